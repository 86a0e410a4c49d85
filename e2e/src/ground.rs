//! Where a case is played: a mounted throw-away file system, a user, copies of the programs, a state
//! directory; and the commands that are given there.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::images::{FsKind, Image};
use crate::ops::Op;

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// uid 0: the privileged mode.
    Root,
    /// uid 1000: the unprivileged mode.
    Plain,
}

impl User {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Root, Self::Plain];

    /// His name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Plain => "user",
        }
    }

    const fn id(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Plain => 1000,
        }
    }
}

/// The place.
#[derive(Debug)]
pub struct Ground {
    /// Who plays.
    pub user: User,
    /// The file system.
    pub image: Image,
    /// Variables that every `backstop` gets besides, such as a durability.
    pub env: Vec<(String, String)>,
    backstop: Option<PathBuf>,
    treeops: PathBuf,
    state: PathBuf,
    // Last, so that the image is unmounted before its directory goes.
    home: TempDir,
}

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; 128 + N for signal N.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    /// From what the system says of a process that ended.
    pub fn from(out: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = out.status.code().unwrap_or_else(|| 128 + out.status.signal().unwrap_or(0));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code, stdout: text(out.stdout), stderr: text(out.stderr) }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

impl Ground {
    /// Makes a file system of a kind for a user. Without `backstop` only plain commands can be given.
    pub fn make(kind: FsKind, user: User, mib: u64, backstop: Option<&Path>, treeops: &Path) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("backstop-e2e-").tempdir()?;
        let image = Image::make(kind, home.path(), "disk", mib)?;
        Self::on(image, home, user, backstop, treeops)
    }

    /// The same, on an image that is mounted already below `home`.
    pub fn on(image: Image, home: TempDir, user: User, backstop: Option<&Path>, treeops: &Path) -> io::Result<Self> {
        let dir = home.path();
        // Another user has to get at the programs and the disk.
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
        chown(image.point(), Some(user.id()), Some(user.id()))?;
        let program = |name: &str, from: &Path| -> io::Result<PathBuf> {
            let to = dir.join(name);
            fs::copy(from, &to)?;
            fs::set_permissions(&to, Permissions::from_mode(0o755))?;
            Ok(to)
        };
        let treeops = program("treeops", treeops)?;
        let backstop = backstop.map(|b| program("backstop", b)).transpose()?;
        let (state, own) = (dir.join("state"), dir.join("home"));
        for d in [&state, &own] {
            fs::create_dir_all(d)?;
            chown(d, Some(user.id()), Some(user.id()))?;
        }
        Ok(Self { user, image, env: Vec::new(), backstop, treeops, state, home })
    }

    /// Puts the state directory elsewhere, such as on the image itself.
    pub fn state_at(&mut self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        chown(dir, Some(self.user.id()), Some(self.user.id()))?;
        dir.clone_into(&mut self.state);
        Ok(())
    }

    /// The directory for files that are no part of the test.
    pub fn desk(&self) -> &Path {
        self.home.path()
    }

    /// Makes a fresh directory on the image that belongs to the user.
    pub fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let dir = self.image.point().join(name);
        fs::create_dir_all(&dir)?;
        chown(&dir, Some(self.user.id()), Some(self.user.id()))?;
        Ok(dir)
    }

    /// Removes everything on the image and all of Backstop's state.
    pub fn wipe(&self) -> io::Result<()> {
        for place in [self.image.point(), &self.state] {
            // The state directory may lie on the image, and is gone with it.
            if !place.exists() {
                continue;
            }
            for entry in fs::read_dir(place)? {
                let path = entry?.path();
                if path.file_name() == Some(OsStr::new("lost+found")) {
                    continue;
                }
                if fs::symlink_metadata(&path)?.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
            }
        }
        Ok(())
    }

    /// Writes a list of operations for `treeops`.
    pub fn list(&self, name: &str, ops: &[Op]) -> io::Result<PathBuf> {
        let path = self.home.path().join(name);
        let text: String = ops.iter().map(|op| format!("{op}\n")).collect();
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Carries a list out in `dir`, without Backstop.
    pub fn plain(&self, dir: &Path, list: &Path) -> io::Result<Ran> {
        let mut command = self.command(&self.treeops, dir);
        command.arg(list);
        Ok(Ran::from(command.output()?))
    }

    /// `backstop run OPTIONS --workspace dir -- treeops list`, in `dir`.
    pub fn run(&self, dir: &Path, options: &[&str], list: &Path) -> io::Result<Ran> {
        Ok(Ran::from(self.run_command(dir, options, list)?.output()?))
    }

    /// The same, as a command to be completed.
    pub fn run_command(&self, dir: &Path, options: &[&str], list: &Path) -> io::Result<Command> {
        let mut command = self.backstop(dir)?;
        command.arg("run").args(options).arg("--workspace").arg(dir).arg("--").arg(&self.treeops).arg(list);
        Ok(command)
    }

    /// `backstop ARGS`, in `dir`.
    pub fn say(&self, dir: &Path, args: &[&str]) -> io::Result<Ran> {
        Ok(Ran::from(self.backstop(dir)?.args(args).output()?))
    }

    /// A `backstop` command to be completed.
    pub fn backstop(&self, dir: &Path) -> io::Result<Command> {
        let path = self.backstop.as_deref().ok_or_else(|| io::Error::other("this ground has no backstop"))?;
        Ok(self.command(path, dir))
    }

    /// A `backstop` command of root's that is started without any other program around it, so that
    /// its process is known.
    pub fn direct(&self, dir: &Path) -> io::Result<Command> {
        let path = self.backstop.as_deref().ok_or_else(|| io::Error::other("this ground has no backstop"))?;
        let mut command = Command::new(path);
        self.environment(&mut command, dir);
        Ok(command)
    }

    /// A command as the user, with an environment that is the same on every machine.
    fn command(&self, program: &Path, dir: &Path) -> Command {
        // A case that hangs is a failure (exit 124), not the end of all cases.
        let mut command = Command::new("timeout");
        let id = self.user.id();
        command.args(["--foreground", "--kill-after=5", "60", "setpriv"]);
        command.args([format!("--reuid={id}"), format!("--regid={id}"), "--clear-groups".to_owned(), "--".to_owned()]);
        command.arg(program);
        self.environment(&mut command, dir);
        command
    }

    fn environment(&self, command: &mut Command, dir: &Path) {
        command.current_dir(dir).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.home.path().join("home")).env("XDG_STATE_HOME", &self.state);
        command.env("LC_ALL", "C.UTF-8").env("RUST_BACKTRACE", "1");
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
    }
}

/// The `backstop` to be tested: `BACKSTOP_BIN`, else the one beside the test's own programs.
pub fn backstop_beside(treeops: &Path) -> Option<PathBuf> {
    let named = std::env::var_os("BACKSTOP_BIN").map(PathBuf::from);
    named.or_else(|| treeops.parent().map(|d| d.join("backstop"))).filter(|p| p.is_file())
}
