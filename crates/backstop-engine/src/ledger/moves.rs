//! Recognises what only moved where the view can't rename: an unprivileged overlay makes a rename of
//! a directory a copy and a deletion (`EXDEV`), and forgets where a renamed file came from. Goes by
//! content, byte for byte; changes how effects are told, never what is committed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use backstop_core::bytes::Bytes;
use backstop_core::effect::Kind;
use backstop_sys::fs::{Stat, Time, open_dir_read, open_parent, read_dir, read_link, split, stat_at};

use super::content::same;
use super::effects::Book;
use super::fate::Fate;

/// So much is compared for one run; beyond it a move is told as what it was done by.
const BUDGET: u64 = 256 << 20;

/// So many things that look the same are compared with one that is gone.
const TRIES: usize = 8;

/// Tells deletions and creations of the same thing as one rename.
pub(super) fn recognise(book: &mut Book<'_>) {
    let mut budget = BUDGET;
    let mut taken: HashSet<usize> = HashSet::new();
    let mut renames: HashMap<Bytes, Bytes> = HashMap::new();
    let mut by_look: HashMap<Look, Vec<usize>> = HashMap::new();
    for (i, f) in book.found.iter().enumerate() {
        let user = book.input.layers[f.layer].prefix == "user.";
        if user && f.lower.is_none() && matches!(book.fates.fates[i], Fate::New) {
            by_look.entry(look(f.layer, &f.stat)).or_default().push(i);
        }
    }
    for lost in &book.lost {
        let layer = &book.input.layers[lost.layer];
        if layer.prefix != "user." || !matches!(book.fates.fates[lost.by], Fate::Whiteout) {
            continue;
        }
        let volume = &book.input.volumes[layer.volume];
        let candidates = by_look.get(&look(lost.layer, &lost.lower.stat)).into_iter().flatten();
        let free: Vec<usize> = candidates.copied().filter(|i| !taken.contains(i)).take(TRIES).collect();
        for i in free {
            let f = &book.found[i];
            let upper = layer.upper.join(f.up.as_slice());
            let moved = Pair { old: volume.root, new: volume.run_dir }.same(&lost.lower.place, &upper, &mut budget);
            // What can't be read is not recognised; the effects say it as it was done.
            if moved.unwrap_or(false) {
                taken.insert(i);
                renames.insert(book.after(i), book.absolute(lost.layer, &lost.lower.place));
                break;
            }
        }
    }
    if !renames.is_empty() {
        retell(book, &renames);
    }
}

/// How a thing looks from outside: worth comparing with what looks the same.
type Look = (usize, u32, u64, Time);

fn look(layer: usize, s: &Stat) -> Look {
    // A directory's size and times are not its own.
    if s.is_dir() { (layer, s.mode, 0, (0, 0)) } else { (layer, s.mode, s.size, s.mtime) }
}

/// The lower tree and the run's part of the vault.
struct Pair<'a> {
    old: BorrowedFd<'a>,
    new: BorrowedFd<'a>,
}

impl Pair<'_> {
    /// True when both names stand for the same content, and all beneath.
    fn same(&self, old: &Bytes, new: &Bytes, budget: &mut u64) -> io::Result<bool> {
        let mut pairs = vec![(old.clone(), new.clone())];
        while let Some((old, new)) = pairs.pop() {
            let (a, b) = (open_parent(self.old, old.as_slice())?, open_parent(self.new, new.as_slice())?);
            let (name_a, name_b) = (split(old.as_slice()).1, split(new.as_slice()).1);
            let (Some(stat_a), Some(stat_b)) = (stat_at(a.as_fd(), name_a)?, stat_at(b.as_fd(), name_b)?) else {
                return Ok(false);
            };
            if look(0, &stat_a) != look(0, &stat_b) {
                return Ok(false);
            }
            let equal = match stat_a {
                s if s.is_dir() => {
                    let names = names(a.as_fd(), name_a)?;
                    pairs.extend(names.iter().map(|n| (old.join(n), new.join(n))));
                    names == self::names(b.as_fd(), name_b)?
                }
                s if s.is_file() => {
                    let Some(left) = budget.checked_sub(s.size) else { return Ok(false) };
                    *budget = left;
                    same((a.as_fd(), name_a), (b.as_fd(), name_b))?
                }
                s if s.is_symlink() => read_link(a.as_fd(), name_a)? == read_link(b.as_fd(), name_b)?,
                s => s.rdev == stat_b.rdev,
            };
            if !equal {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn names(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let handle = open_dir_read(dir, name)?;
    let mut names = Vec::new();
    read_dir::<io::Error>(handle.as_fd(), |e| {
        names.push(e.name.to_vec());
        Ok(())
    })?;
    names.sort_unstable();
    Ok(names)
}

/// Turns each recognised creation into a rename, and takes out what it stands for: the deletion, and
/// the creations beneath a directory.
fn retell(book: &mut Book<'_>, renames: &HashMap<Bytes, Bytes>) {
    let gone: HashSet<&Bytes> = renames.values().collect();
    let mut befores = HashMap::new();
    for e in book.effects.iter().filter(|e| e.kind == Kind::Delete && gone.contains(&e.path)) {
        befores.insert(e.path.clone(), e.before.clone());
    }
    let beneath_renamed = |path: &Bytes| {
        let mut here = path.parent();
        while here.as_slice().len() > 1 {
            if renames.contains_key(&here) {
                return true;
            }
            here = here.parent();
        }
        false
    };
    book.effects.retain(|e| match e.kind {
        Kind::Delete => !gone.contains(&e.path),
        Kind::Create | Kind::Link => !beneath_renamed(&e.path),
        _ => true,
    });
    for e in book.effects.iter_mut().filter(|e| e.kind == Kind::Create) {
        if let Some(from) = renames.get(&e.path) {
            e.kind = Kind::Rename;
            e.before = befores.get(from).cloned().flatten();
            e.from = Some(from.clone());
        }
    }
}
