//! The state directory: runs and their files, the sequence of ids, and the journal's markers; its locks in `locks`.
//! Knows names and durability, nothing of what the files mean to a run.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use backstop_core::id::RunId;
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault;

mod locks;

pub use locks::Lock;

/// Why the state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The directory is another user's, or open to others.
    #[error("{} is not private: owner {owner}, mode {mode:o}", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// A file's content makes no sense.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        source: serde_json::Error,
    },
    /// A newer Backstop wrote it.
    #[error("{} is of version {version}; this Backstop knows versions up to {newest}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The newest version that is known here.
        newest: u32,
    },
    /// No such run.
    #[error("there is no run {0}")]
    NoRun(RunId),
}

/// The state directory, open.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    dir: OwnedFd,
    runs: OwnedFd,
    open: OwnedFd,
    left: OwnedFd,
}

/// A stored value whose file says which version of its format it is.
pub(crate) trait Versioned: DeserializeOwned {
    /// The newest version that this Backstop knows. It reads every older one.
    const NEWEST: u32;
}

impl Versioned for backstop_core::run::RunRecord {
    const NEWEST: u32 = 1;
}

/// The version of the state directory as a whole.
const NEWEST: u32 = 1;

/// The file that says so; where it is missing, version 1.
const VERSION: &str = "version";

fn parse<T: Versioned>(bytes: &[u8], path: &Path) -> Result<T, StoreError> {
    /// Whatever else is in it.
    #[derive(serde::Deserialize)]
    struct Header {
        version: u32,
    }
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    // First of all: what a newer version means by its other fields nobody here can know.
    let Header { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    known(version, T::NEWEST, path)?;
    serde_json::from_slice(bytes).map_err(damaged)
}

fn known(version: u32, newest: u32, path: &Path) -> Result<(), StoreError> {
    if (1..=newest).contains(&version) {
        return Ok(());
    }
    Err(StoreError::Newer { path: path.to_owned(), version, newest })
}

/// The file that says which transaction changed the tree last.
const APPLIED: &str = "applied";

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

impl Store {
    /// Opens the state directory, making it (mode 0700) where it is missing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        for dir in [path.to_owned(), path.join("runs"), path.join("open"), path.join("left"), path.join("locks")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io_error("make", &dir))?;
        }
        let meta = fs::metadata(path).map_err(io_error("look at", path))?;
        let me = fs::metadata("/proc/self").map(|m| m.uid()).unwrap_or(meta.uid());
        if meta.mode() & 0o077 != 0 || meta.uid() != me {
            return Err(StoreError::NotPrivate { path: path.into(), owner: meta.uid(), mode: meta.mode() & 0o7777 });
        }
        let version = path.join(VERSION);
        match fs::read_to_string(&version) {
            // Anything but a number was not written by any version.
            Ok(text) => known(text.trim().parse().unwrap_or(0), NEWEST, &version)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(io_error("read", &version)(e)),
        }
        let open = |p: &Path| sys::open_root(p).map_err(io_error("open", p));
        Ok(Self {
            path: path.to_owned(),
            dir: open(path)?,
            runs: open(&path.join("runs"))?,
            open: open(&path.join("open"))?,
            left: open(&path.join("left"))?,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a new run's directory, and its id: later than every id given before.
    pub fn new_run(&self, now: Timestamp) -> Result<RunId, StoreError> {
        let path = self.path.join("seq");
        let failed = |what| io_error(what, &path);
        let mut file = open_kept(&path)?;
        sys::lock_exclusive(file.as_fd()).map_err(failed("lock"))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read"))?;
        if text.is_empty() {
            // The first run of this directory. In one step: others open the directory meanwhile, and an empty
            // file (half a write, or a power cut after it) would be no version at all.
            sys::write_durable(self.dir.as_fd(), VERSION.as_bytes(), format!("{NEWEST}\n").as_bytes())
                .map_err(io_error("write", &self.path.join(VERSION)))?;
        }
        let mut last = RunId::parse(text.trim());
        loop {
            let id = RunId::next(now, last);
            match sys::open_dir(self.runs.as_fd(), id.to_string().as_bytes()) {
                // The sequence was lost (a power cut, a restored copy): go on behind what is there.
                Ok(_) => last = Some(id),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    fault::point("store.new-run").map_err(failed("number a run in"))?;
                    sys::make_dir(self.runs.as_fd(), id.to_string().as_bytes(), 0o700)
                        .map_err(failed("make a run beside"))?;
                    file.rewind().and_then(|()| writeln!(file, "{id}")).map_err(failed("write"))?;
                    return Ok(id);
                }
                Err(e) => return Err(failed("look beside")(e)),
            }
        }
    }

    /// The ids of all runs, oldest first.
    pub fn ids(&self) -> Result<Vec<RunId>, StoreError> {
        ids_in(&self.path.join("runs"))
    }

    /// True when the run has this file.
    pub fn has(&self, id: RunId, name: &str) -> bool {
        self.file(id, name).symlink_metadata().is_ok()
    }

    fn file(&self, id: RunId, name: &str) -> PathBuf {
        self.path.join("runs").join(id.to_string()).join(name)
    }

    fn run_dir(&self, id: RunId) -> Result<OwnedFd, StoreError> {
        sys::open_dir(self.runs.as_fd(), id.to_string().as_bytes()).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::NoRun(id),
            _ => io_error("open", &self.file(id, ""))(e),
        })
    }

    /// Writes a run's file in one step; `durable` returns only when a power cut can't take it back.
    pub fn write(&self, id: RunId, name: &str, bytes: &[u8], durable: bool) -> Result<(), StoreError> {
        let dir = self.run_dir(id)?;
        let put = if durable { sys::write_durable } else { sys::write_replace };
        fault::point("store.write")
            .and_then(|()| put(dir.as_fd(), name.as_bytes(), bytes))
            .map_err(io_error("write", &self.file(id, name)))
    }

    /// Writes a run's file as JSON.
    pub fn write_json<T: Serialize>(&self, id: RunId, name: &str, value: &T, durable: bool) -> Result<(), StoreError> {
        let bytes =
            serde_json::to_vec(value).map_err(|source| StoreError::Damaged { path: self.file(id, name), source })?;
        self.write(id, name, &bytes, durable)
    }

    /// Adds a line to a run's file, durably.
    pub fn append_json<T: Serialize>(&self, id: RunId, name: &str, value: &T) -> Result<(), StoreError> {
        let path = self.file(id, name);
        let mut line =
            serde_json::to_vec(value).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        line.push(b'\n');
        fault::point("store.append").map_err(io_error("append to", &path))?;
        let mut file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(io_error("open", &path))?;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(io_error("append to", &path))
    }

    /// A run's file; none where it has no such file.
    pub fn read(&self, id: RunId, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.file(id, name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.run_dir(id)?;
                Ok(None)
            }
            Err(e) => Err(io_error("read", &path)(e)),
        }
    }

    /// A run's file of JSON.
    pub fn read_json<T: DeserializeOwned>(&self, id: RunId, name: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.read(id, name)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StoreError::Damaged { path: self.file(id, name), source })
    }

    /// A run's file of JSON that says its version.
    pub(crate) fn read_versioned<T: Versioned>(&self, id: RunId, name: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.read(id, name)? else { return Ok(None) };
        parse(&bytes, &self.file(id, name)).map(Some)
    }

    /// A file of the state directory itself; none where it is missing.
    pub(crate) fn read_own<T: Versioned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => parse(&bytes, &path).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error("read", &path)(e)),
        }
    }

    /// Writes a file of the state directory itself, in one step and durably.
    pub(crate) fn write_own<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        self.put_own(name, value, true)
    }

    /// Writes a file of the state directory itself, in one step; `durable` returns only when a power cut can't take it back.
    pub(crate) fn put_own<T: Serialize>(&self, name: &str, value: &T, durable: bool) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let bytes = serde_json::to_vec(value).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        let put = if durable { sys::write_durable } else { sys::write_replace };
        fault::point("store.write")
            .and_then(|()| put(self.dir.as_fd(), name.as_bytes(), &bytes))
            .map_err(io_error("write", &path))
    }

    /// Makes a file of the state directory itself, and its name, durable.
    pub(crate) fn sync_own(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path.join(name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(io_error("sync", &path))?;
        self.sync()
    }

    /// Removes a file of the state directory itself, durably; one that is missing is removed.
    pub(crate) fn remove_own(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path.join(name);
        fault::point("store.remove")
            .and_then(|()| match sys::remove_file(self.dir.as_fd(), name.as_bytes()) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => sys::sync_dir(self.dir.as_fd()),
            })
            .map_err(io_error("remove", &path))
    }

    /// The state directory itself.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// A run's file of JSON lines. A last line that was cut off by a power cut is left out.
    pub fn read_lines<T: DeserializeOwned>(&self, id: RunId, name: &str) -> Result<Vec<T>, StoreError> {
        let Some(bytes) = self.read(id, name)? else { return Ok(Vec::new()) };
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        bytes[..whole]
            .split(|&b| b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| {
                serde_json::from_slice(l).map_err(|source| StoreError::Damaged { path: self.file(id, name), source })
            })
            .collect()
    }

    /// Says durably that a transaction on this run has begun.
    pub fn mark_open<T: Serialize>(&self, id: RunId, intent: &T) -> Result<(), StoreError> {
        let path = self.path.join("open").join(id.to_string());
        let bytes = serde_json::to_vec(intent).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        fault::point("journal.intent")
            .and_then(|()| sys::write_durable(self.open.as_fd(), id.to_string().as_bytes(), &bytes))
            .map_err(io_error("write", &path))
    }

    /// Takes that back: the transaction is done, or was never begun.
    pub fn mark_closed(&self, id: RunId) -> Result<(), StoreError> {
        let path = self.path.join("open").join(id.to_string());
        fault::point("journal.done").map_err(io_error("close", &path))?;
        match sys::remove_file(self.open.as_fd(), id.to_string().as_bytes()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The runs with a transaction that began and is not known to be done.
    pub fn open_marks(&self) -> Result<Vec<RunId>, StoreError> {
        ids_in(&self.path.join("open"))
    }

    /// What `mark_open` wrote.
    pub(crate) fn read_mark<T: Versioned>(&self, id: RunId) -> Result<Option<T>, StoreError> {
        self.read_own(&format!("open/{id}"))
    }

    /// Notes that a run was left to a client's tool (durably: nobody would look for it otherwise), or that it
    /// no longer is.
    pub(crate) fn mark_left(&self, id: RunId, is: bool) -> Result<(), StoreError> {
        let name = id.to_string();
        let path = self.path.join("left").join(&name);
        let marked = match is {
            true => sys::write_durable(self.left.as_fd(), name.as_bytes(), b""),
            false => sys::remove_file(self.left.as_fd(), name.as_bytes()),
        };
        match marked {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("note what is left to a tool in", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The runs that were left to a client's tool.
    pub(crate) fn left(&self) -> Result<Vec<RunId>, StoreError> {
        ids_in(&self.path.join("left"))
    }

    /// Says that a transaction on this run has changed the tree.
    pub fn note_applied(&self, id: RunId) -> Result<(), StoreError> {
        let path = self.path.join(APPLIED);
        let now = crate::clock::now();
        let text = format!("{id} {}.{:09}", now.secs, now.nanos);
        fs::write(&path, text).map_err(io_error("write", &path))
    }

    /// What [`Self::note_applied`] said last: the same text twice means no transaction in between.
    pub fn applied(&self) -> Result<Vec<u8>, StoreError> {
        let path = self.path.join(APPLIED);
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(io_error("read", &path)),
        }
    }

    /// Removes a run's record for good.
    pub fn forget(&self, id: RunId) -> Result<(), StoreError> {
        sys::remove_tree(self.runs.as_fd(), id.to_string().as_bytes())
            .map(|_| ())
            .map_err(io_error("remove", &self.file(id, "")))
    }

    /// `st_dev` of its files.
    pub fn dev(&self) -> Result<u64, StoreError> {
        Ok(sys::stat_fd(self.dir.as_fd()).map_err(io_error("look at", &self.path))?.dev)
    }

    /// Makes the state directory's own names durable.
    pub fn sync(&self) -> Result<(), StoreError> {
        sys::sync_dir(self.dir.as_fd()).map_err(io_error("sync", &self.path))
    }
}

/// Opens a file to be locked, making it where it is missing; what is in it stays.
fn open_kept(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(io_error("open", path))
}

fn ids_in(path: &Path) -> Result<Vec<RunId>, StoreError> {
    let failed = |what| io_error(what, path);
    let mut ids = Vec::new();
    for entry in fs::read_dir(path).map_err(failed("list"))? {
        let name = entry.map_err(failed("list"))?.file_name();
        ids.extend(name.to_str().and_then(RunId::parse));
    }
    ids.sort_unstable();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_or_the_sequence_is_lost() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("state");
        let store = Store::open(&path).expect("opens");
        let now = Timestamp::new(1_795_364_400, 0);
        let a = store.new_run(now).expect("a run");
        let b = store.new_run(Timestamp::new(now.secs - 1_000, 0)).expect("a run");
        fs::remove_file(path.join("seq")).expect("it is there");
        let c = store.new_run(now).expect("a run");
        assert!(a < b && b < c, "{a} {b} {c}");
        assert_eq!(store.ids().expect("listable"), [a, b, c]);
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("state");
        fs::create_dir(&path).expect("a directory");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
        assert!(matches!(Store::open(&path), Err(StoreError::NotPrivate { .. })));
    }

    #[test]
    fn a_state_directory_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("state");
        Store::open(&path).expect("opens").new_run(Timestamp::new(1_795_364_400, 0)).expect("a run");
        assert_eq!(fs::read_to_string(path.join(VERSION)).expect("there"), "1\n");
        Store::open(&path).expect("its own version");
        fs::write(path.join(VERSION), "2\n").expect("written");
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { version: 2, newest: 1, .. })));
    }

    #[test]
    fn the_first_run_of_a_directory_is_made_while_others_open_it() {
        for _ in 0..50 {
            let dir = tempfile::tempdir().expect("a temp dir");
            let path = dir.path().join("state");
            let store = Store::open(&path).expect("opens");
            std::thread::scope(|scope| {
                let first = scope.spawn(|| store.new_run(Timestamp::new(1_795_364_400, 0)).expect("a run"));
                while !first.is_finished() {
                    Store::open(&path).expect("no half version is seen");
                }
            });
        }
    }

    #[test]
    fn a_line_cut_by_a_power_cut_is_left_out() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let store = Store::open(&dir.path().join("state")).expect("opens");
        let id = store.new_run(Timestamp::new(1_795_364_400, 0)).expect("a run");
        store.append_json(id, "x", &1).expect("appends");
        store.append_json(id, "x", &22).expect("appends");
        let whole = store.read(id, "x").expect("readable").expect("there");
        store.write(id, "x", &whole[..whole.len() - 1], false).expect("writes");
        assert_eq!(store.read_lines::<u32>(id, "x").expect("readable"), [1]);
    }
}
