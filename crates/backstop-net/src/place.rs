//! Where the notifier and the exporter find their settings, and keep how far they are: a place in the audit log for each
//! channel or sink, durable before it goes on.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use backstop_core::notice::{Mark, What};
use backstop_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::desk::Windows;

/// Where the machine's settings are.
pub const CONFIGS: &str = "/etc/backstop";

/// Who holds it writes.
const LOCK: &str = "lock";

/// A program's settings (`notify`, `export`): the machine's where there are any, else the person's own, where rules are as
/// well: no run reaches them.
pub fn config(program: &str) -> PathBuf {
    let machine = Path::new(CONFIGS).join(format!("{program}.toml"));
    let own = home().map(|home| home.join(format!(".config/backstop/{program}.toml")));
    if machine.exists() { machine } else { own.unwrap_or(machine) }
}

/// The service manager's directory for this process; of several the first.
pub fn managed() -> Option<PathBuf> {
    std::env::var_os("STATE_DIRECTORY").and_then(|dirs| std::env::split_paths(&dirs).next())
}

/// Where a program's cursors are kept: in the service manager's directory, else beside the person's own records, where no run
/// reaches them.
pub fn state(program: &str) -> Option<PathBuf> {
    managed().or_else(|| home().map(|home| home.join(format!(".local/state/backstop/{program}"))))
}

/// The rules for alerts: the machine's, or the person's own where it has none.
pub fn alerts() -> PathBuf {
    backstop_engine::alerts::file(home().as_deref())
}

/// By the account, as everywhere: whoever sets `HOME` gets no other settings to be believed.
fn home() -> Option<PathBuf> {
    let uid = backstop_engine::porch::Caller::of_this_process().uid;
    let accounts = backstop_engine::porch::accounts();
    accounts.iter().find(|a| a.uid == uid).map(|a| a.home.as_path().to_owned())
}

/// The directory of the cursors, which one process writes at a time, and others may read.
#[derive(Debug)]
pub struct Cursors {
    dir: PathBuf,
    _alone: File,
}

/// How far a channel was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// As it was kept before there was `lasting`: that the guard does not answer since then.
    #[serde(default, skip_serializing)]
    pub away: Option<Timestamp>,
    /// What lasts and has no entry: that it began was told or tried, and that it is over was not. By what it is called.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lasting: BTreeMap<String, Lasting>,
    /// From where on it was not told yet.
    pub next: Mark,
    /// How many notices each silence kept back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub silenced: BTreeMap<String, u64>,
    /// The format's version: 1.
    pub version: u32,
    /// What was told lately, and what of the same was not, as of `next`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: Windows,
}

/// What lasts until it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// When people were told that it began; none where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// What is told when it is over.
    pub over: String,
    /// Since when.
    pub since: Timestamp,
    /// True where nobody tries any more to tell that it began.
    pub warned: bool,
    /// What it is.
    pub what: What,
}

impl Told {
    /// Of a channel of which nothing is known but from where on it is told.
    pub fn from(next: Mark) -> Self {
        let (lasting, silenced, windows) = (BTreeMap::new(), BTreeMap::new(), Windows::new());
        Self { away: None, lasting, next, silenced, version: 1, windows }
    }
}

impl Cursors {
    /// Opens the directory to write, and makes it where it is missing.
    ///
    /// # Errors
    /// Where that fails, or another has it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let lock = File::options().create(true).append(true).open(dir.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _alone: lock }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another of this program is at work there"))
            }
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    /// What is kept under a name; none where it is new.
    ///
    /// # Errors
    /// A file that can't be read or understood: then nobody knows how far it was.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        read(&self.dir, name)
    }

    /// Keeps it; durable when it returns.
    ///
    /// # Errors
    /// Where that fails: then what was sent since is sent once more.
    pub fn write<T: Serialize>(&self, name: &str, kept: &T) -> io::Result<()> {
        replace(&path(&self.dir, name), &serde_json::to_vec(kept)?, 0o600)
    }
}

/// Writes a file in one step, of this mode whatever the caller's mask; durable when it returns.
///
/// # Errors
/// Where that fails: then the old one is there.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.json"))
}

/// True where somebody has the directory open to write.
pub fn is_at_work(dir: &Path) -> bool {
    File::open(dir.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// What is kept under a name, for whoever only looks.
///
/// # Errors
/// As for [`Cursors::read`].
pub fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> io::Result<Option<T>> {
    let bytes = match fs::read(path(dir, name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let kept: serde_json::Value = serde_json::from_slice(&bytes)?;
    if kept["version"] != 1 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, format!("it is of version {}", kept["version"])));
    }
    Ok(Some(serde_json::from_value(kept)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_again_and_one_process_tells() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("a/b");
        let cursors = Cursors::open(&state).expect("opened");
        assert!(is_at_work(&state) && !is_at_work(dir.path()));
        assert_eq!(cursors.read::<Told>("oncall").expect("read"), None);
        let mark = |entry: u64| Told::from(Mark { entry, log: "db-1".to_owned() });
        cursors.write("oncall", &mark(7)).expect("written");
        cursors.write("oncall", &mark(8)).expect("written");
        assert_eq!(Cursors::open(&state).expect_err("taken").kind(), io::ErrorKind::ResourceBusy);
        drop(cursors);
        let cursors = Cursors::open(&state).expect("free again");
        assert_eq!(
            (cursors.read("oncall").expect("read"), cursors.read::<Told>("mail").expect("read")),
            (Some(mark(8)), None)
        );
        assert_eq!(read(&state, "oncall").expect("read"), Some(mark(8)));
        for bad in ["", "{}", "{\"next\":1,\"version\":1}", "{\"next\":{\"entry\":1,\"log\":\"x\"},\"version\":2}"] {
            fs::write(state.join("oncall.json"), bad).expect("written");
            assert!(cursors.read::<Told>("oncall").is_err(), "{bad}");
        }
    }
}
