//! Takes scripts, runs them in a throw-away root: an ext4 image of its own with `/usr` and `/etc`
//! read-only, own mount, process, network, IPC and host-name namespaces. So even `rm -rf /*` can
//! only hit the image. Never runs a script anywhere else.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Broken;
use crate::bounded::{self, Said};
use crate::tree::{CaptureOpts, Tree};

/// The search path inside.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who runs the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The superuser.
    Root,
    /// User 1000, with no capability and no group but its own.
    User,
}

impl Who {
    /// The word in test names and corpus files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
        }
    }
}

/// What an arena is made of, beyond the usual.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who runs the scripts.
    pub who: Who,
    /// The program under test, found inside as `backstop`; none for plain bash.
    pub guard: Option<PathBuf>,
    /// Directories of the machine that are mounted read-only, as (outside, inside).
    pub borrowed: Vec<(PathBuf, String)>,
}

/// A throw-away root.
pub struct Arena {
    plan: Plan,
    // Declared last to go last: the mount must be gone before its directory is removed.
    dir: tempfile::TempDir,
}

/// Mounts what every step sees. The image is unlinked at once: killed or not, nothing stays but an
/// empty directory.
const BUILD: &str = r#"
set -e
truncate -s 4G img; mkfs.ext4 -q -F -E nodiscard img; mkdir root; mount -o loop img root; rm img
cd root; rmdir lost+found
mkdir usr etc proc sys dev tmp run guard old home home/agent var opt srv w w/work w/outside state
for l in bin lib lib64 sbin; do ln -s usr/$l $l; done
mount --rbind /usr usr; mount -o remount,ro,bind usr
mount --bind /etc etc; mount -o remount,ro,bind etc
printf '%s\n' root:x:0:0::/home/agent:/bin/bash agent:x:1000:1000::/home/agent:/bin/bash > ../passwd
mount --bind ../passwd etc/passwd; mount -o remount,ro,bind etc/passwd
mount -t sysfs -o ro sys sys
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=755 dev dev
for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do set -- $n; mknod -m 666 dev/$1 c $2 $3; done
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mkdir dev/shm dev/pts; chmod 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 pts dev/pts; ln -s pts/ptmx dev/ptmx
chmod 700 state
"#;

impl Arena {
    /// Makes a root with an empty file system.
    pub fn new(plan: Plan) -> Result<Self, Broken> {
        let dir = tempfile::Builder::new()
            .prefix("backstop-arena-")
            .tempdir()
            .map_err(Broken::io("make a temporary directory"))?;
        let arena = Self { plan, dir };
        let mut script = BUILD.to_owned();
        if arena.plan.who == Who::User {
            script.push_str("chown 1000:1000 w w/work w/outside home/agent state\n");
        }
        if let Some(guard) = &arena.plan.guard {
            for name in ["backstop", "backstopd", "backstop-export", "backstop-notify"] {
                let program = quote(&guard.with_file_name(name).display().to_string());
                script.push_str(&format!(
                    "if [ -e {program} ]; then touch guard/{name}; mount --bind {program} guard/{name}; \
                     mount -o remount,ro,bind guard/{name}; fi\n"
                ));
            }
        }
        for (outside, inside) in &arena.plan.borrowed {
            let outside = quote(&outside.display().to_string());
            script.push_str(&format!(
                "mkdir -p .{inside}; mount --bind {outside} .{inside}; mount -o remount,ro,bind .{inside}\n"
            ));
        }
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).current_dir(arena.dir.path());
        bounded::run(&mut bash, Duration::from_secs(30))?.must("building the throw-away root")?;
        Ok(arena)
    }

    /// Where the root lies, seen from outside.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A path inside, seen from outside.
    pub fn at(&self, inside: &str) -> PathBuf {
        self.root().join(inside.trim_start_matches('/'))
    }

    /// Runs a bash script inside, at `/w`, as the arena's user.
    pub fn sh(&self, script: &str, binds: &[(String, String)], limit: Duration) -> Result<Said, Broken> {
        self.sh_as(self.plan.who, script, binds, limit)
    }

    /// Runs a bash script inside, at `/w`. Everything it started is gone when this returns.
    pub fn sh_as(&self, who: Who, script: &str, binds: &[(String, String)], limit: Duration) -> Result<Said, Broken> {
        let root = quote(&self.root().display().to_string());
        // What this test inherited from whoever started it is no business of the case's.
        let mut enter =
            "for fd in /proc/self/fd/*; do n=${fd##*/}; [ $n -le 2 ] || eval \"exec $n>&-\"; done\n".to_owned();
        enter.push_str(&format!("set -e; cd {root}; mount -t proc proc proc; ip link set lo up 2>/dev/null || true\n"));
        for (from, to) in binds {
            enter.push_str(&format!("mount --bind .{} .{}\n", quote(from), quote(to)));
        }
        enter.push_str("pivot_root . old; umount -l /old; cd /w\n");
        let drop = match who {
            Who::Root => "",
            Who::User => "setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all ",
        };
        let mut path = PATH.to_owned();
        for (_, inside) in &self.plan.borrowed {
            path = format!("{inside}/bin:{path}");
        }
        if self.plan.guard.is_some() {
            path = format!("/guard:{path}");
        }
        enter.push_str(&format!(
            "exec {drop}env -i HOME=/home/agent USER=agent LOGNAME=agent SHELL=/bin/bash PATH={path} LANG=C.UTF-8 \
             TERM=dumb XDG_STATE_HOME=/state bash -c \"$CODE\"\n"
        ));
        let mut unshare = Command::new("unshare");
        unshare
            .args([
                "-m",
                "-p",
                "-n",
                "-i",
                "-u",
                "-f",
                "--propagation",
                "private",
                "--kill-child",
                "bash",
                "-c",
                &enter,
            ])
            .env("CODE", script);
        bounded::run(&mut unshare, limit)
    }

    /// What lies in the image, but not what is mounted or what Backstop keeps for itself.
    pub fn tree(&self) -> Tree {
        let mut skip: Vec<Vec<u8>> = ["usr", "etc", "proc", "sys", "dev", "tmp", "run", "guard", "old", "state"]
            .iter()
            .map(|s| s.as_bytes().to_vec())
            .collect();
        skip.extend(self.plan.borrowed.iter().map(|(_, inside)| inside.trim_start_matches('/').as_bytes().to_vec()));
        let mut tree = Tree::capture(&self.root(), CaptureOpts { skip });
        // Any mount's root may hold a vault; the root's own times change with it.
        let vault = |path: &[u8]| path.split(|b| *b == b'/').any(|name| name.starts_with(b".backstop-"));
        tree.entries.retain(|path, _| !path.is_empty() && !vault(path));
        tree
    }

    /// Everything beneath one path inside.
    pub fn tree_at(&self, inside: &str) -> Tree {
        Tree::capture(&self.at(inside), CaptureOpts::default())
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").args(["-R", "-l"]).arg(self.root()).status();
        if !unmounted.is_ok_and(|s| s.success()) && self.root().exists() {
            // Never let the temporary directory's own clean-up walk into what is still mounted.
            eprintln!("cannot unmount {}; it goes when this process ends", self.root().display());
            self.dir.disable_cleanup(true);
        }
    }
}

/// A word for a shell.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path of a corpus file: absolute inside, or relative to `/w`.
pub fn inside(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/w/{path}") }
}

/// True when the captured path `path` is `place` or lies beneath it.
pub fn beneath(path: &[u8], place: &str) -> bool {
    Path::new(OsStr::from_bytes(path)).starts_with(place.trim_start_matches('/'))
}
