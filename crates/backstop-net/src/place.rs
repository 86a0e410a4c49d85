//! Where the notifier finds its settings, and keeps how far it has told what: a place in the audit log for each channel,
//! durable before it goes on.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use backstop_core::notice::Mark;
use serde::{Deserialize, Serialize};

/// The administrator's settings.
pub const CONFIG: &str = "/etc/backstop/notify.toml";

/// Settings: the machine's where there are any, else the person's own, where rules are as well: no run reaches them.
pub fn config() -> PathBuf {
    let machine = PathBuf::from(CONFIG);
    let own = home().map(|home| home.join(".config/backstop/notify.toml"));
    if machine.exists() { machine } else { own.unwrap_or(machine) }
}

/// Where the cursors are kept: the service manager's directory (of several the first), else beside the person's own
/// records, where no run reaches them.
pub fn state() -> Option<PathBuf> {
    let managed = std::env::var_os("STATE_DIRECTORY").and_then(|dirs| std::env::split_paths(&dirs).next());
    managed.or_else(|| home().map(|home| home.join(".local/state/backstop/notify")))
}

/// By the account, as everywhere: whoever sets `HOME` gets no other settings to be believed.
fn home() -> Option<PathBuf> {
    let uid = backstop_engine::porch::Caller::of_this_process().uid;
    let accounts = backstop_engine::porch::accounts();
    accounts.iter().find(|a| a.uid == uid).map(|a| a.home.as_path().to_owned())
}

/// The directory of the cursors, which one process has at a time.
#[derive(Debug)]
pub struct Cursors {
    dir: PathBuf,
    _alone: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// From where on it was not told yet.
    next: Mark,
    /// The format's version: 1.
    version: u32,
}

impl Cursors {
    /// Opens the directory, and makes it where it is missing.
    ///
    /// # Errors
    /// Where that fails, or another notifier has it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let lock = File::options().create(true).append(true).open(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _alone: lock }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another notifier is at work there"))
            }
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    fn path(&self, channel: &str) -> PathBuf {
        self.dir.join(format!("{channel}.json"))
    }

    /// From where on a channel was not told; none where it is new.
    ///
    /// # Errors
    /// A file that can't be read or understood: then nobody knows what was told.
    pub fn read(&self, channel: &str) -> io::Result<Option<Mark>> {
        let bytes = match fs::read(self.path(channel)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let cursor: Cursor = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
        if cursor.version != 1 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, format!("it is of version {}", cursor.version)));
        }
        Ok(Some(cursor.next))
    }

    /// Keeps from where on a channel is to be told; durable when it returns.
    ///
    /// # Errors
    /// Where that fails: then what was told is told once more.
    pub fn write(&self, channel: &str, next: &Mark) -> io::Result<()> {
        let (path, new) = (self.path(channel), self.dir.join(format!("{channel}.new")));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&Cursor { next: next.clone(), version: 1 })?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_again_and_one_process_tells() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("a/b");
        let cursors = Cursors::open(&state).expect("opened");
        assert_eq!(cursors.read("oncall").expect("read"), None);
        let mark = |entry: u64| Mark { entry, log: "db-1".to_owned() };
        cursors.write("oncall", &mark(7)).expect("written");
        cursors.write("oncall", &mark(8)).expect("written");
        assert_eq!(Cursors::open(&state).expect_err("taken").kind(), io::ErrorKind::ResourceBusy);
        drop(cursors);
        let cursors = Cursors::open(&state).expect("free again");
        assert_eq!((cursors.read("oncall").expect("read"), cursors.read("mail").expect("read")), (Some(mark(8)), None));
        for bad in ["", "{}", "{\"next\":1,\"version\":1}", "{\"next\":{\"entry\":1,\"log\":\"x\"},\"version\":2}"] {
            fs::write(state.join("oncall.json"), bad).expect("written");
            assert!(cursors.read("oncall").is_err(), "{bad}");
        }
    }
}
