//! The state directory's locks, and the marks of runs that are under way: each the lock of its run's process, as long as
//! that lives. Knows nothing of what a mark says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use backstop_core::id::RunId;
use backstop_sys::fs as sys;

use super::{Store, StoreError, io_error, open_kept};

/// How the lock of a run that is under way is called.
const ALIVE: &str = "alive-";

/// A lock that is given back when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Writes who holds it, for those who wait.
    pub fn name(&self, holder: &str) -> Result<(), StoreError> {
        let write = |mut file: &File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder.as_bytes())
        };
        write(&self.file).map_err(io_error("write into the lock", Path::new(holder)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do as well; a failure to unlock can't matter then.
        drop(sys::unlock(self.file.as_fd()));
    }
}

impl Store {
    /// Waits for a lock.
    pub fn lock(&self, name: &str) -> Result<Lock, StoreError> {
        let (file, path) = self.lock_file(name)?;
        sys::lock_exclusive(file.as_fd()).map_err(io_error("lock", &path))?;
        Ok(Lock { file })
    }

    /// Takes a lock if it is free, and writes `holder` into it; else says who wrote into it last.
    pub fn try_lock(&self, name: &str, holder: &str) -> Result<Result<Lock, String>, StoreError> {
        let (mut file, path) = self.lock_file(name)?;
        if sys::try_lock_exclusive(file.as_fd()).map_err(io_error("lock", &path))? {
            file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(io_error("write", &path))?;
            return Ok(Ok(Lock { file }));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io_error("read", &path))?;
        Ok(Err(text))
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), StoreError> {
        let path = self.path.join("locks").join(name);
        Ok((open_kept(&path)?, path))
    }

    /// Where a run that is under way is marked.
    pub(crate) fn mark(&self, id: RunId) -> PathBuf {
        self.path.join("locks").join(format!("{ALIVE}{id}"))
    }

    /// The runs that are marked, whether or not their process lives.
    pub(crate) fn marked(&self) -> Result<Vec<RunId>, StoreError> {
        let path = self.path.join("locks");
        let mut marked = Vec::new();
        for entry in fs::read_dir(&path).map_err(io_error("list", &path))? {
            let name = entry.map_err(io_error("list", &path))?.file_name();
            marked.extend(name.to_str().and_then(|name| name.strip_prefix(ALIVE)).and_then(RunId::parse));
        }
        marked.sort_unstable();
        Ok(marked)
    }

    /// Marks a run as under way: the lock is held as long as its process lives.
    pub fn alive(&self, id: RunId) -> Result<Lock, StoreError> {
        let name = format!("{ALIVE}{id}");
        loop {
            let lock = self.lock(&name)?;
            // Between the mark's birth and its lock it looks like that of a dead run, and may be removed.
            if self.is_linked(&lock, &name)? {
                let path = self.mark(id);
                lock.file.write_all_at(&crate::freeze::blank(), 0).map_err(io_error("write", &path))?;
                return Ok(lock);
            }
        }
    }

    /// True when a lock is the one that its name leads to, so that others find it.
    fn is_linked(&self, lock: &Lock, name: &str) -> Result<bool, StoreError> {
        let path = self.path.join("locks").join(name);
        let own = lock.file.metadata().map_err(io_error("look at", &path))?;
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map_err(io_error("look at", &path)).map(|m| (m.dev(), m.ino()) == (own.dev(), own.ino())),
        }
    }

    /// Removes the mark of a run that has ended.
    pub fn not_alive(&self, id: RunId) -> Result<(), StoreError> {
        let path = self.mark(id);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Runs that are marked as under way but whose process is gone, each with the lock that its process
    /// held: as long as that is kept, nobody else takes it for dead, nor begins under its name.
    pub fn dead(&self) -> Result<Vec<(RunId, Lock)>, StoreError> {
        let mut dead = Vec::new();
        for id in self.marked()? {
            let mark = self.mark(id);
            let file = match OpenOptions::new().read(true).write(true).open(&mark) {
                // It has ended meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(io_error("open", &mark))?,
            };
            if sys::try_lock_exclusive(file.as_fd()).map_err(io_error("lock", &mark))? {
                let lock = Lock { file };
                if self.is_linked(&lock, &format!("{ALIVE}{id}"))? {
                    dead.push((id, lock));
                }
            }
        }
        Ok(dead)
    }
}

#[cfg(test)]
mod tests {
    use backstop_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_run_that_begins_while_its_mark_is_taken_for_dead_lives() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let store = Store::open(&dir.path().join("state")).expect("opens");
        let id = store.new_run(Timestamp::new(1_795_364_400, 0)).expect("a run");
        // The mark is made, and not locked yet, when somebody looks for the dead.
        fs::write(store.path.join("locks").join(format!("{ALIVE}{id}")), "").expect("a mark");
        let dead = store.dead().expect("listable");
        assert_eq!(dead.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
        assert!(store.dead().expect("listable").is_empty(), "one buries it, not two");
        std::thread::scope(|scope| {
            let alive = scope.spawn(|| store.alive(id).expect("a mark"));
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(!alive.is_finished(), "it waits for the burial");
            store.not_alive(id).expect("removed");
            drop(dead);
            let lock = alive.join().expect("no panic");
            assert!(store.is_linked(&lock, &format!("{ALIVE}{id}")).expect("known"), "its mark can be found");
            assert!(store.dead().expect("listable").is_empty());
        });
    }
}
