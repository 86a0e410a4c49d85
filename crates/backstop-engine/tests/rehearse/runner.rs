//! Runs cases one by one, and what a case needs: a scratch directory, a driver in it, a comparison.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Who rehearses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root, with the machine's rights.
    Root,
    /// User 1000, in a user namespace.
    User,
}

/// A scratch world: `tree` to work in, `state` for Backstop.
pub struct Scratch {
    pub dir: tempfile::TempDir,
    pub who: Who,
    /// How the driver is to take the command, beside who runs it.
    way: &'static str,
}

/// What a rehearsal gave.
pub struct Done {
    pub told: Value,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn code(&self) -> i64 {
        self.told["code"].as_i64().unwrap_or_else(|| panic!("no code: {}\n{}", self.told, self.stderr))
    }

    pub fn error(&self) -> &str {
        self.told["error"].as_str().unwrap_or_else(|| panic!("no error: {}", self.told))
    }
}

impl Scratch {
    pub fn new(who: Who) -> Self {
        let dir = tempfile::Builder::new().prefix("backstop-rehearse-").tempdir_in("/var/tmp").expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        // The build directory may be closed to other users.
        fs::copy(std::env::current_exe().expect("this program"), dir.path().join("driver")).expect("copy");
        let home = dir.path().join("home");
        for name in ["home", "home/state", "home/tree"] {
            fs::create_dir(dir.path().join(name)).expect("mkdir");
        }
        fs::set_permissions(home.join("state"), fs::Permissions::from_mode(0o700)).expect("chmod");
        let scratch = Self { dir, who, way: "" };
        scratch.own();
        scratch
    }

    /// The same, and every command is taken for one that only reads.
    pub fn reads(who: Who) -> Self {
        Self { way: "-reads", ..Self::new(who) }
    }

    /// The same, and every command runs in place: it can write in the tree.
    pub fn in_place(who: Who) -> Self {
        Self { way: "-in-place", ..Self::new(who) }
    }

    /// Gives everything in the home to who rehearses.
    pub fn own(&self) {
        if self.who == Who::User {
            let ok = Command::new("chown").args(["-hR", "1000:1000"]).arg(self.home()).status().expect("chown");
            assert!(ok.success());
        }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn tree(&self) -> PathBuf {
        self.home().join("tree")
    }

    pub fn state(&self) -> PathBuf {
        self.home().join("state")
    }

    /// The driver's command line, to be run in the tree.
    pub fn command(&self, net: &str, argv: &[&str]) -> Command {
        let mut command = match self.who {
            Who::Root => Command::new(self.dir.path().join("driver")),
            Who::User => {
                let mut c = Command::new("setpriv");
                c.args(["--reuid=1000", "--regid=1000", "--clear-groups", "--"]).arg(self.dir.path().join("driver"));
                c
            }
        };
        let mode = if self.who == Who::Root { "root" } else { "user" };
        let mode = format!("{mode}{}", self.way);
        command.arg("--driver").arg(self.state()).args([&mode, net, "-"]).args(argv);
        command.current_dir(self.tree()).env("HOME", self.home()).env_remove("TMPDIR").stdin(Stdio::null());
        command
    }

    pub fn run(&self, argv: &[&str]) -> Done {
        done(&self.command("host", argv).output().expect("the driver runs"))
    }

    pub fn sh(&self, line: &str) -> Done {
        self.run(&["sh", "-c", line])
    }

    /// The same in a mount namespace of its own, after `prepare` (a shell line) has mounted things.
    pub fn sh_with_mounts(&self, prepare: &str, line: &str) -> Done {
        self.clear();
        let inner = self.command("host", &["sh", "-c", line]);
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-ec", &format!("{prepare}\nexec \"$@\""), "sh"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.tree()).env("HOME", self.home()).env_remove("TMPDIR").stdin(Stdio::null());
        done(&command.output().expect("unshare runs"))
    }

    /// Removes what the last run left, for another.
    pub fn clear(&self) {
        let run = self.state().join("vault/r-000007");
        if run.exists() {
            fs::remove_dir_all(run).expect("rm");
        }
    }

    /// The path of what a run made of a path of the machine.
    pub fn upper(&self, done: &Done, path: &Path) -> PathBuf {
        let layers = done.told["layers"].as_array().expect("layers");
        layers
            .iter()
            .filter_map(|l| {
                let point = Path::new(l["point"].as_str()?);
                Some((point, Path::new(l["upper"].as_str()?).join(path.strip_prefix(point).ok()?)))
            })
            .max_by_key(|(point, _)| point.as_os_str().len())
            .expect("a layer over the path")
            .1
    }
}

pub fn done(output: &Output) -> Done {
    let stderr = String::from_utf8(output.stderr.clone()).expect("text");
    let last = stderr.lines().last().unwrap_or_default();
    let told =
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: signal {:?}, {stderr}", output.status.signal()));
    // `grep -r` prints what looks like text, and a packed object of git may by chance.
    Done { told, stdout: String::from_utf8_lossy(&output.stdout).into_owned(), stderr }
}

/// One case.
pub type Case = (&'static str, fn(Who));

/// Runs all cases for both; names on the command line pick some.
pub fn main(args: &[String], cases: &[Case]) {
    let picked: Vec<&String> = args.iter().skip(1).filter(|a| !a.starts_with('-')).collect();
    let asked = |option: &str| args.iter().any(|a| a == option);
    let root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if asked("--list") {
        // Without root all are ignored, so that nextest counts them as skipped and not as passed.
        if !asked("--ignored") || !root {
            cases.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return;
    }
    if !root {
        const WHY: &str = "the rehearsal's cases need root to make scratch users and mounts";
        assert!(picked.is_empty(), "{WHY}");
        cases.iter().for_each(|(name, _)| println!("ignored {name}: {WHY}"));
        return;
    }
    let mut failed = Vec::new();
    for who in [Who::Root, Who::User] {
        for (name, case) in cases {
            let full = format!("{name} ({who:?})");
            let is_picked =
                |p: &&String| if asked("--exact") { p.as_str() == *name } else { full.contains(p.as_str()) };
            if !picked.is_empty() && !picked.iter().any(is_picked) {
                continue;
            }
            match std::panic::catch_unwind(|| case(who)) {
                Ok(()) => println!("ok      {full}"),
                Err(_) => {
                    println!("FAILED  {full}");
                    failed.push(full);
                }
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}
