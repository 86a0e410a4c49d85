//! Takes one file that a run would delete or overwrite, says whether its content stays somewhere, and
//! if not, what git knew of it. Goes by the file's bytes as they are now, not by what an index, a
//! time stamp or a file's name claims: those an agent can write.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use backstop_core::bytes::Bytes;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::effect::EffectSet;
use backstop_core::time::Timestamp;

use super::compare::{Compared, Hints};
use super::eyes::Eyes;
use super::oid::{Format, Hasher, Oid};
use super::repo::Finder;
use super::trouble::Trouble;
use super::{FileFate, Lost};
use crate::engine::Side;

/// Bytes read at once.
const PIECE: usize = 1 << 18;

/// What one pass over a file gives.
struct Read {
    content: Option<Digest>,
    crlf: u64,
    oid: Oid,
    size: u64,
}

/// Content that the run itself writes, by size.
pub(super) struct Made(HashMap<u64, HashSet<Digest>>);

impl Made {
    pub(super) fn new(effects: &EffectSet) -> Self {
        let mut by_size: HashMap<u64, HashSet<Digest>> = HashMap::new();
        for after in effects.effects.iter().filter_map(|e| e.after.as_ref()) {
            if let Some(content) = after.content {
                by_size.entry(after.size).or_default().insert(content);
            }
        }
        Self(by_size)
    }
}

/// Judges files one by one.
pub(super) struct Judge<'a> {
    pub(super) compared: HashMap<usize, Compared>,
    pub(super) eyes: &'a Eyes<'a>,
    pub(super) finder: Finder<'a>,
    pub(super) hints: Hints,
    pub(super) made: Made,
}

impl Judge<'_> {
    /// What becomes of the content of the file at `path`, and the file as it is. `stays` is where the same
    /// name or object is afterwards, with other content.
    pub(super) fn judge(&mut self, path: &Bytes, stays: Option<&Bytes>) -> (Lost, Option<File>) {
        let mut lost = Lost {
            changed: None,
            edited: false,
            fate: FileFate::Unknown,
            files: 1,
            inode: None,
            links: 1,
            path: path.clone(),
            size: 0,
        };
        let file = match self.eyes.open(path, Side::Before) {
            Ok(Some(file)) => file,
            Ok(None) => {
                self.eyes.note(Trouble::read(path, io::ErrorKind::NotFound.into()));
                return (lost, None);
            }
            Err(e) => {
                self.eyes.note(e);
                return (lost, None);
            }
        };
        if let Err(e) = self.look(path, &file, stays, &mut lost) {
            lost.fate = FileFate::Unknown;
            self.eyes.note(e);
        }
        (lost, Some(file))
    }

    fn look(&mut self, path: &Bytes, file: &File, stays: Option<&Bytes>, lost: &mut Lost) -> Result<(), Trouble> {
        let eyes = self.eyes;
        let meta = file.metadata().map_err(|e| Trouble::read(path, e))?;
        lost.changed = u32::try_from(meta.ctime_nsec()).ok().map(|nanos| Timestamp::new(meta.ctime(), nanos));
        lost.size = meta.len();
        lost.inode = Some((meta.dev(), meta.ino()));
        lost.links = meta.nlink();
        if lost.size == 0 {
            lost.fate = FileFate::Elsewhere;
            return Ok(());
        }
        if path.name() == b".git" && self.finder.tree_of(&path.parent()).is_some() {
            // The word of a linked working tree or a submodule on where its git directory is.
            lost.fate = FileFate::Bookkeeping;
            return Ok(());
        }
        if let Some((repo, dir)) = self.finder.inside(path) {
            lost.fate = self.own_file(repo, &dir, path)?;
            if lost.fate != FileFate::NotInRepository {
                return Ok(());
            }
        }
        if let Some(later) = stays
            && let Some(now) = eyes.open(later, Side::After)?
            && self.begins(file, lost.size, &now, path)?
        {
            lost.fate = FileFate::Elsewhere;
            return Ok(());
        }
        let twins = self.made.0.contains_key(&lost.size);
        let tree = if lost.fate == FileFate::NotInRepository { None } else { self.finder.tree_of(&path.parent()) };
        let Some(tree) = tree else {
            lost.fate = FileFate::NotInRepository;
            if twins && eyes.may_hash(lost.size) {
                let read = read(file, path, lost.size, Format::Sha1, true)?;
                if self.is_twin(&read) {
                    lost.fate = FileFate::Elsewhere;
                }
            }
            return Ok(());
        };
        let (root, repo) = (self.finder.trees[tree].root.clone(), self.finder.trees[tree].repo);
        let rel = path.as_slice()[root.as_slice().len()..].strip_prefix(b"/").unwrap_or_default().to_vec();
        let desk = self.finder.sit_down(tree);
        let entry = desk.index.get(&rel).cloned();
        let unchanged = entry.as_ref().filter(|e| desk.index.unchanged(e, &meta)).map(|e| e.oid);
        let ignored = entry.is_none() && desk.ignore.ignores(eyes, &rel, false);
        let else_fate = match (&entry, ignored) {
            (Some(_), _) => FileFate::Dirty,
            (None, true) => FileFate::Ignored,
            (None, false) => FileFate::Untracked,
        };
        lost.fate = else_fate;
        // Build output is rarely in an object, and hashing it would take what others need.
        if ignored && !twins && lost.size > eyes.limits.ignored_bytes {
            return Ok(());
        }
        let store = &mut self.finder.repos[repo];
        if !eyes.may_hash(lost.size) {
            if let Some(oid) = unchanged
                && store.after.contains(eyes, &oid)?
            {
                // By the index's word alone, which is not enough to be silent about it.
                lost.fate = FileFate::Object;
            }
            if entry.is_some() {
                eyes.note(Trouble::Budget("files of a working tree"));
            }
            return Ok(());
        }
        let found = read(file, path, lost.size, store.format, twins)?;
        let format = store.format;
        let mut names = vec![found.oid];
        if found.crlf > 0 && entry.is_some() {
            // Checked out with line ends of its own: what git keeps is the other spelling.
            names.push(without_cr(file, path, found.size, found.crlf, format)?);
        }
        for oid in &names {
            let repo = &mut self.finder.repos[repo];
            if repo.after.holds(eyes, oid).unwrap_or_else(|e| {
                eyes.note(e);
                false
            }) {
                lost.fate = FileFate::Object;
                return Ok(());
            }
        }
        if self.is_twin(&found) {
            lost.fate = FileFate::Elsewhere;
            return Ok(());
        }
        if entry.is_some() && self.in_lfs(repo, file, path, found.size)? {
            lost.fate = FileFate::Object;
            return Ok(());
        }
        for oid in &names {
            let repo = &mut self.finder.repos[repo];
            if repo.before.holds(eyes, oid).unwrap_or(false) {
                lost.fate = FileFate::GoneWithStore;
                return Ok(());
            }
        }
        if let Some(later) = stays {
            lost.edited = self.is_new(repo, later)?;
        }
        Ok(())
    }

    fn is_twin(&self, read: &Read) -> bool {
        read.content.is_some_and(|c| self.made.0.get(&read.size).is_some_and(|all| all.contains(&c)))
    }

    /// True when the file afterwards begins with all that it was: something was appended.
    fn begins(&self, old: &File, size: u64, now: &File, path: &Bytes) -> Result<bool, Trouble> {
        let length = now.metadata().map_err(|e| Trouble::read(path, e))?.len();
        if length < size || !self.eyes.may_hash(size) {
            return Ok(false);
        }
        let (mut a, mut b) = (vec![0; PIECE], vec![0; PIECE]);
        let mut at = 0;
        while at < size {
            let want = usize::try_from(size - at).map_or(PIECE, |n| n.min(PIECE));
            let ends = old.read_exact_at(&mut a[..want], at).and_then(|()| now.read_exact_at(&mut b[..want], at));
            ends.map_err(|e| Trouble::read(path, e))?;
            if a[..want] != b[..want] {
                return Ok(false);
            }
            at += want as u64;
        }
        Ok(true)
    }

    /// True when git does not know what the file holds afterwards: an edit, no reset.
    fn is_new(&mut self, repo: usize, later: &Bytes) -> Result<bool, Trouble> {
        let Some(now) = self.eyes.open(later, Side::After)? else { return Ok(false) };
        let size = now.metadata().map_err(|e| Trouble::read(later, e))?.len();
        if size == 0 || !self.eyes.may_hash(size) {
            return Ok(false);
        }
        let repo = &mut self.finder.repos[repo];
        let read = read(&now, later, size, repo.format, false)?;
        Ok(!repo.after.contains(self.eyes, &read.oid)?)
    }

    /// True when Git LFS has the content and keeps it.
    fn in_lfs(&mut self, repo: usize, file: &File, path: &Bytes, size: u64) -> Result<bool, Trouble> {
        let objects = self.finder.repos[repo].later.join(b"lfs/objects");
        if !self.eyes.is_dir(&objects, Side::After) || !self.eyes.may_hash(2 * size) {
            return Ok(false);
        }
        let Some(content) = read(file, path, size, Format::Sha1, true)?.content else { return Ok(false) };
        let hex = content.hex();
        let kept = objects.join(format!("{}/{}/{hex}", &hex[..2], &hex[2..4]).as_bytes());
        let Some(copy) = self.eyes.open(&kept, Side::After)? else { return Ok(false) };
        let length = copy.metadata().map_err(|e| Trouble::read(&kept, e))?.len();
        Ok(length == size && read(&copy, &kept, size, Format::Sha1, true)?.content == Some(content))
    }

    /// A file in a git directory: part of the store, git's own book-keeping, or somebody's work.
    fn own_file(&mut self, repo: usize, dir: &Bytes, path: &Bytes) -> Result<FileFate, Trouble> {
        self.compare(repo);
        if self.finder.repos[repo].gone {
            return Ok(FileFate::GoneWithStore);
        }
        let rel = path.as_slice()[dir.as_slice().len()..].strip_prefix(b"/").unwrap_or_default();
        let name = path.name();
        if let Some(object) = rel.strip_prefix(b"objects/") {
            let lost = match Oid::hex(&object.iter().copied().filter(|b| *b != b'/').collect::<Vec<_>>()) {
                Some(oid) => !self.finder.repos[repo].after.contains(self.eyes, &oid)?,
                None => self.compared.get(&repo).is_some_and(|c| c.packs.contains(path)),
            };
            return Ok(if lost { FileFate::GoneWithStore } else { FileFate::Bookkeeping });
        }
        let own_work = rel.starts_with(b"lfs/objects/")
            || rel.starts_with(b"hooks/") && !name.ends_with(b".sample")
            || rel.starts_with(b"info/") && !matches!(name, b"refs" | b"exclude");
        Ok(if own_work { FileFate::NotInRepository } else { FileFate::Bookkeeping })
    }
}

fn read(file: &File, path: &Bytes, size: u64, format: Format, content: bool) -> Result<Read, Trouble> {
    let mut name = Hasher::new(format, "blob", size);
    let mut sha256 = content.then(ContentHasher::default);
    let (mut crlf, mut last) = (0, 0);
    each(file, path, size, &mut |piece| {
        name.update(piece);
        if let Some(h) = &mut sha256 {
            h.update(piece);
        }
        // Counted where a piece is text at all; binary files rarely have any.
        for &b in piece {
            crlf += u64::from(b == b'\n' && last == b'\r');
            last = b;
        }
    })?;
    Ok(Read { content: sha256.map(ContentHasher::finish), crlf, oid: name.finish(), size })
}

/// The name of the same text with line feeds alone.
fn without_cr(file: &File, path: &Bytes, size: u64, crlf: u64, format: Format) -> Result<Oid, Trouble> {
    let mut name = Hasher::new(format, "blob", size - crlf);
    let (mut held, mut out) = (false, Vec::with_capacity(PIECE));
    each(file, path, size, &mut |piece| {
        out.clear();
        for &b in piece {
            if held && b != b'\n' {
                out.push(b'\r');
            }
            held = b == b'\r';
            if !held {
                out.push(b);
            }
        }
        name.update(&out);
    })?;
    if held {
        name.update(b"\r");
    }
    Ok(name.finish())
}

fn each(file: &File, path: &Bytes, size: u64, take: &mut dyn FnMut(&[u8])) -> Result<(), Trouble> {
    let mut buffer = vec![0; usize::try_from(size).map_or(PIECE, |n| n.min(PIECE))];
    let mut at = 0;
    while at < size {
        let want = usize::try_from(size - at).map_or(buffer.len(), |n| n.min(buffer.len()));
        file.read_exact_at(&mut buffer[..want], at).map_err(|e| Trouble::read(path, e))?;
        take(&buffer[..want]);
        at += want as u64;
    }
    Ok(())
}
