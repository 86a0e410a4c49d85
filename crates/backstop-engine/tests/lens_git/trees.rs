//! Takes a directory as it was and as a command left it, gives both sides and the effects between
//! them, as a rehearsal would. For tests: it compares everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::{Aspect, Effect, EffectSet, FileType, Kind, Node, Tally};
use backstop_core::time::Timestamp;
use backstop_engine::Side;
use backstop_engine::facts::Sides;

/// `work` as it was and as it is afterwards, wherever either stands by now.
pub struct Trees {
    pub after: PathBuf,
    pub before: PathBuf,
    pub work: PathBuf,
}

impl Trees {
    fn real(&self, path: &Bytes, side: Side) -> io::Result<PathBuf> {
        let Ok(rel) = path.as_path().strip_prefix(&self.work) else {
            return Ok(path.as_path().to_owned());
        };
        let base = match side {
            Side::Before => &self.before,
            Side::After => &self.after,
        };
        let mut at = base.clone();
        for part in rel {
            at.push(part);
            if at.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
                return Err(io::Error::from_raw_os_error(40));
            }
        }
        Ok(at)
    }
}

impl Sides for Trees {
    fn open(&self, path: &Bytes, side: Side) -> io::Result<Option<File>> {
        let real = self.real(path, side)?;
        match real.symlink_metadata() {
            Ok(m) if m.is_file() => File::open(real).map(Some),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list(&self, path: &Bytes, side: Side) -> io::Result<Option<Vec<(Bytes, FileType)>>> {
        let real = self.real(path, side)?;
        if !real.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            return Ok(None);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(real)? {
            let entry = entry?;
            let kind = FileType::from_mode(entry.metadata()?.mode());
            names.push((Bytes::from(entry.file_name()), kind));
        }
        Ok(Some(names))
    }
}

/// Inode by path and path by inode, before the command runs.
#[derive(Default)]
pub struct Inodes {
    by_ino: BTreeMap<u64, PathBuf>,
    by_path: BTreeMap<PathBuf, u64>,
}

impl Inodes {
    pub fn of(dir: &Path) -> Self {
        let mut all = Self::default();
        let mut todo = vec![dir.to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).expect("a directory") {
                let (path, meta) = entry.map(|e| (e.path(), e.metadata().expect("its metadata"))).expect("an entry");
                all.by_ino.insert(meta.ino(), path.clone());
                all.by_path.insert(path.clone(), meta.ino());
                if meta.is_dir() {
                    todo.push(path);
                }
            }
        }
        all
    }
}

/// What differs between the two.
pub fn effects(trees: &Trees, inodes: &Inodes) -> EffectSet {
    let mut diff = Diff { found: Vec::new(), inodes, moved: BTreeSet::new(), trees };
    diff.renames(&trees.work.clone());
    diff.dir(Path::new(""));
    diff.found.sort_by(|a, b| a.path.cmp(&b.path));
    EffectSet {
        conflicts: Vec::new(),
        crossings: Vec::new(),
        doors: Vec::new(),
        effects: diff.found,
        incomplete: Vec::new(),
        mounts: Vec::new(),
    }
}

struct Diff<'a> {
    found: Vec<Effect>,
    inodes: &'a Inodes,
    moved: BTreeSet<PathBuf>,
    trees: &'a Trees,
}

fn names(dir: &Path) -> BTreeSet<PathBuf> {
    match fs::read_dir(dir) {
        Ok(all) => all.map(|e| PathBuf::from(e.expect("an entry").file_name())).collect(),
        Err(_) => BTreeSet::new(),
    }
}

fn node(path: &Path, m: &Metadata, content: bool) -> Node {
    Node {
        content: (content && m.is_file()).then(|| Digest::of_content(&fs::read(path).expect("a file"))),
        ctime: Timestamp::new(m.ctime(), 0),
        dev: m.dev(),
        gid: m.gid(),
        ino: m.ino(),
        mode: m.mode() & 0o7777,
        mtime: Timestamp::new(m.mtime(), 0),
        nlink: u32::try_from(m.nlink()).expect("few links"),
        rdev: None,
        size: m.len(),
        target: m.is_symlink().then(|| fs::read_link(path).expect("a link").into()),
        file_type: FileType::from_mode(m.mode()),
        uid: m.uid(),
    }
}

fn tally(dir: &Path) -> Tally {
    let mut all = Tally::default();
    for name in names(dir) {
        let path = dir.join(name);
        let m = path.symlink_metadata().expect("it is there");
        if m.is_dir() {
            all.dirs += 1;
            all.add(&tally(&path));
        } else if m.is_file() {
            all.files += 1;
            all.bytes += m.len();
        } else {
            all.others += 1;
        }
    }
    all
}

impl Diff<'_> {
    fn effect(&self, kind: Kind, rel: &Path) -> Effect {
        let path =
            if rel.as_os_str().as_bytes().is_empty() { self.trees.work.clone() } else { self.trees.work.join(rel) };
        Effect {
            after: None,
            aspects: Vec::new(),
            before: None,
            beneath: None,
            from: None,
            kind,
            linked_elsewhere: 0,
            mount: 0,
            open_by: Vec::new(),
            path: path.into(),
            undoable: true,
            xattrs: Vec::new(),
        }
    }

    /// What has another name than before, and nothing else has the old one.
    fn renames(&mut self, dir: &Path) {
        for name in names(dir) {
            let path = dir.join(name);
            let m = path.symlink_metadata().expect("it is there");
            let old = self.inodes.by_ino.get(&m.ino()).filter(|old| **old != path && old.symlink_metadata().is_err());
            // An inode number is soon used again: only what is the same else is the same.
            let same = old.filter(|old| {
                let was = self.trees.before.join(old.strip_prefix(&self.trees.work).expect("in the tree"));
                was.symlink_metadata().is_ok_and(|w| {
                    w.is_dir() && m.is_dir() && names(&was) == names(&path)
                        || w.is_file() && m.is_file() && fs::read(&was).ok() == fs::read(&path).ok()
                })
            });
            if let Some(old) = same.cloned() {
                let rel = path.strip_prefix(&self.trees.work).expect("in the tree").to_owned();
                let after = Some(node(&path, &m, false));
                let effect = Effect { after, from: Some(old.clone().into()), ..self.effect(Kind::Rename, &rel) };
                self.found.push(effect);
                self.moved.insert(old);
                self.moved.insert(path);
            } else if m.is_dir() {
                self.renames(&path);
            }
        }
    }

    fn dir(&mut self, rel: &Path) {
        let (old, new) = (self.trees.before.join(rel), self.trees.work.join(rel));
        let all: BTreeSet<PathBuf> = names(&old).union(&names(&new)).cloned().collect();
        for name in all {
            let rel = rel.join(name);
            let (old, new) = (self.trees.before.join(&rel), self.trees.work.join(&rel));
            if self.moved.contains(&new) {
                continue;
            }
            match (old.symlink_metadata(), new.symlink_metadata()) {
                (Ok(was), Err(_)) => {
                    let beneath = was.is_dir().then(|| tally(&old));
                    let before = Some(node(&old, &was, false));
                    self.found.push(Effect { before, beneath, ..self.effect(Kind::Delete, &rel) });
                }
                (Err(_), Ok(now)) => self.create(&rel, &now),
                (Ok(was), Ok(now)) => self.both(&rel, &was, &now),
                (Err(_), Err(_)) => {}
            }
        }
    }

    fn create(&mut self, rel: &Path, now: &Metadata) {
        let new = self.trees.work.join(rel);
        self.found.push(Effect { after: Some(node(&new, now, true)), ..self.effect(Kind::Create, rel) });
        if now.is_dir() {
            for name in names(&new) {
                let rel = rel.join(name);
                if let Ok(m) = self.trees.work.join(&rel).symlink_metadata() {
                    self.create(&rel, &m);
                }
            }
        }
    }

    fn both(&mut self, rel: &Path, was: &Metadata, now: &Metadata) {
        let (old, new) = (self.trees.before.join(rel), self.trees.work.join(rel));
        let same = self.inodes.by_path.get(&new) == Some(&now.ino());
        if was.is_dir() && now.is_dir() && same {
            self.dir(rel);
            return;
        }
        let differs = was.file_type() != now.file_type()
            || was.is_dir()
            || was.is_file() && fs::read(&old).ok() != fs::read(&new).ok()
            || was.is_symlink() && fs::read_link(&old).ok() != fs::read_link(&new).ok();
        if !differs {
            return;
        }
        let kind = if same { Kind::Change } else { Kind::Replace };
        let effect = Effect {
            after: Some(node(&new, now, true)),
            aspects: vec![Aspect::Content],
            before: Some(node(&old, was, false)),
            beneath: was.is_dir().then(|| tally(&old)),
            ..self.effect(kind, rel)
        };
        self.found.push(effect);
        if now.is_dir() {
            for name in names(&new) {
                let rel = rel.join(name);
                let m = self.trees.work.join(&rel).symlink_metadata().expect("it is there");
                self.create(&rel, &m);
            }
        }
    }
}
