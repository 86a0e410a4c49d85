//! Digests of executables that were read before: the same interpreter, a hundred megabytes of it, begins in one run after the
//! other. A cache: what can't be read of it is read anew from the executable, and what can't be written is read again next time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use serde::{Deserialize, Serialize};

/// Smaller ones are read sooner than looked up.
const WORTH_IT: u64 = 1 << 20;

/// So many are remembered; then it begins anew.
const MOST: usize = 256;

/// A file in one state. Nobody can set a change time, so that none has the same in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: (i64, i64),
    pub(crate) changed: (i64, i64),
}

impl Version {
    /// As it is now.
    pub(crate) fn of(now: &fs::Metadata) -> Self {
        Self {
            inode: now.ino(),
            size: now.size(),
            modified: (now.mtime(), now.mtime_nsec()),
            changed: (now.ctime(), now.ctime_nsec()),
        }
    }
}

/// An executable in one state, by its path in the view. Its device is left out: an overlay has another number each time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Executable {
    pub(crate) path: Bytes,
    pub(crate) version: Version,
}

/// What is remembered of them.
#[derive(Debug)]
pub struct Executables {
    file: PathBuf,
    /// None until it is asked for.
    known: Option<BTreeMap<Executable, Digest>>,
    fresh: bool,
}

impl Executables {
    /// Those of a state directory.
    pub fn of(state: &std::path::Path) -> Self {
        Self { file: state.join("executables.json"), known: None, fresh: false }
    }

    /// The digest, remembered, or by reading it.
    pub(crate) fn digest(&mut self, what: Executable, read: impl FnOnce() -> Option<Digest>) -> Option<Digest> {
        if what.version.size < WORTH_IT {
            return read();
        }
        let file = &self.file;
        let known = self.known.get_or_insert_with(|| load(file));
        if let Some(digest) = known.get(&what) {
            return Some(*digest);
        }
        let digest = read()?;
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(what, digest);
        self.fresh = true;
        Some(digest)
    }

    /// Writes down what is new.
    pub(crate) fn keep(self) {
        let (true, Some(known)) = (self.fresh, self.known) else { return };
        let next = self.file.with_extension(format!("{}.next", std::process::id()));
        let write = || -> io::Result<()> {
            let text = serde_json::to_vec(&known.into_iter().collect::<Vec<_>>())?;
            let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
            new.write_all(&text)?;
            fs::rename(&next, &self.file)
        };
        if write().is_err() {
            // It is read anew next time, and what is half there is nobody's.
            let _gone = fs::remove_file(&next);
        }
    }
}

fn load(file: &std::path::Path) -> BTreeMap<Executable, Digest> {
    let text = fs::read(file).unwrap_or_default();
    serde_json::from_slice::<Vec<(Executable, Digest)>>(&text).unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_it_was_is_not_read_again() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("big");
        fs::write(&path, vec![7; WORTH_IT as usize]).expect("written");
        let now = |path: &std::path::Path| Executable {
            path: "/usr/bin/big".into(),
            version: Version::of(&fs::metadata(path).expect("there")),
        };
        let (first, second) = (Digest::of_content(b"1"), Digest::of_content(b"2"));
        let mut all = Executables::of(dir.path());
        assert_eq!(all.digest(now(&path), || Some(first)), Some(first));
        assert_eq!(all.digest(now(&path), || panic!("read twice")), Some(first));
        all.keep();
        let mut all = Executables::of(dir.path());
        assert_eq!(all.digest(now(&path), || panic!("read twice")), Some(first));
        let old = fs::metadata(&path).expect("there").modified().expect("a time");
        let file = fs::OpenOptions::new().write(true).open(&path).expect("open");
        std::os::unix::fs::FileExt::write_all_at(&file, b"8", 0).expect("written");
        file.set_modified(old).expect("as if nothing had been");
        assert_eq!(all.digest(now(&path), || Some(second)), Some(second));
        assert_eq!(all.digest(now(&path), || None), Some(second));
        // What is small is read, and what is no such file is nothing.
        fs::write(&path, "small").expect("written");
        assert_eq!(all.digest(now(&path), || None), None);
        fs::write(dir.path().join("executables.json"), "{").expect("written");
        fs::write(&path, vec![7; WORTH_IT as usize]).expect("written");
        assert_eq!(Executables::of(dir.path()).digest(now(&path), || Some(second)), Some(second));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let dir = tempfile::tempdir().expect("temp");
        let of = |inode| Executable {
            path: "/x".into(),
            version: Version { inode, size: WORTH_IT, modified: (0, 0), changed: (0, 0) },
        };
        let mut all = Executables::of(dir.path());
        for inode in 0..2 * MOST as u64 + 1 {
            all.digest(of(inode), || Some(Digest::of_content(b"1")));
        }
        all.keep();
        assert_eq!(load(&dir.path().join("executables.json")).len(), 1);
    }
}
