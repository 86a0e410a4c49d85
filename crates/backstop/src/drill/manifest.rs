//! Everything a directory holds, with what undo must give back: content (SHA-256), type, mode,
//! owner, times, link target. Reads only.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::effect::FileType;
use backstop_engine::Failure;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    content: Option<Digest>,
    gid: u32,
    mode: u32,
    mtime: (i64, i64),
    nlink: u64,
    size: u64,
    target: Option<Bytes>,
    uid: u32,
}

/// A tree at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: BTreeMap<Bytes, Entry>,
}

impl Manifest {
    /// Reads everything in and beneath `root`.
    pub fn of(root: &Path) -> Result<Self, Failure> {
        let mut all = Self::default();
        let mut todo = vec![root.to_path_buf()];
        while let Some(path) = todo.pop() {
            let shown = Bytes::from(path.as_path());
            let fail = |e: &io::Error| super::failure(format!("read {}", shown.quoted()), e);
            let meta = path.symlink_metadata().map_err(|e| fail(&e))?;
            let kind = FileType::from_mode(meta.mode());
            let (mut content, mut target) = (None, None);
            match kind {
                FileType::File => content = Some(digest(&path).map_err(|e| fail(&e))?),
                FileType::Symlink => target = Some(fs::read_link(&path).map_err(|e| fail(&e))?.into()),
                FileType::Dir => {
                    for entry in fs::read_dir(&path).map_err(|e| fail(&e))? {
                        todo.push(entry.map_err(|e| fail(&e))?.path());
                    }
                }
                FileType::Fifo | FileType::Socket | FileType::CharDevice | FileType::BlockDevice => {}
            }
            let entry = Entry {
                content,
                gid: meta.gid(),
                mode: meta.mode(),
                mtime: (meta.mtime(), meta.mtime_nsec()),
                nlink: if kind == FileType::Dir { 0 } else { meta.nlink() },
                // How long a directory is, is the file system's affair.
                size: if kind == FileType::Dir { 0 } else { meta.len() },
                target,
                uid: meta.uid(),
            };
            all.entries.insert(shown, entry);
        }
        Ok(all)
    }

    /// How many entries.
    pub fn entries(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How many regular files.
    pub fn files(&self) -> u64 {
        self.entries.values().filter(|e| e.content.is_some()).count() as u64
    }

    /// Bytes in regular files.
    pub fn bytes(&self) -> u64 {
        self.entries.values().filter(|e| e.content.is_some()).map(|e| e.size).sum()
    }

    /// One line for each entry that is not the same in `other`.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, entry) in &self.entries {
            match other.entries.get(path) {
                Some(now) if now == entry => {}
                Some(now) => lines.push(format!("{}: {}", path.quoted(), entry.what_differs(now))),
                None => lines.push(format!("{}: gone", path.quoted())),
            }
        }
        let new = other.entries.keys().filter(|p| !self.entries.contains_key(*p));
        lines.extend(new.map(|p| format!("{}: was not there", p.quoted())));
        lines
    }
}

impl Entry {
    fn what_differs(&self, now: &Self) -> String {
        let parts: Vec<&str> = [
            (self.content != now.content || self.target != now.target || self.size != now.size, "content"),
            (self.mode != now.mode, "mode"),
            ((self.uid, self.gid) != (now.uid, now.gid), "owner"),
            (self.mtime != now.mtime, "time"),
            (self.nlink != now.nlink, "links"),
        ]
        .into_iter()
        .filter_map(|(differs, name)| differs.then_some(name))
        .collect();
        format!("other {}", parts.join(", "))
    }
}

fn digest(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = ContentHasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_kind_of_difference_is_found() {
        let dir = tempfile::tempdir().expect("temp");
        let at = |name: &str| dir.path().join(name);
        for name in ["content", "mode", "time", "gone", "same"] {
            fs::write(at(name), name).expect("write");
        }
        let before = Manifest::of(dir.path()).expect("manifest");
        assert!(before.differences(&Manifest::of(dir.path()).expect("again")).is_empty());
        let times = fs::metadata(dir.path()).expect("meta").modified().expect("mtime");
        let old = fs::metadata(at("content")).expect("meta").modified().expect("mtime");
        fs::write(at("content"), "CONTENT").expect("write");
        File::options().write(true).open(at("content")).and_then(|f| f.set_modified(old)).expect("time");
        fs::set_permissions(at("mode"), fs::Permissions::from_mode(0o600)).expect("chmod");
        File::options()
            .write(true)
            .open(at("time"))
            .and_then(|f| f.set_modified(old + std::time::Duration::from_nanos(1_000)))
            .expect("time");
        fs::remove_file(at("gone")).expect("rm");
        fs::write(at("new"), "").expect("write");
        File::open(dir.path()).and_then(|f| f.set_modified(times)).expect("time");
        let root = Bytes::from(dir.path());
        let found: Vec<String> = before
            .differences(&Manifest::of(dir.path()).expect("now"))
            .into_iter()
            .map(|l| l.replace(&format!("{}/", root.quoted()), ""))
            .collect();
        let expected =
            ["content: other content", "gone: gone", "mode: other mode", "time: other time", "new: was not there"];
        assert_eq!(found, expected);
    }
}
