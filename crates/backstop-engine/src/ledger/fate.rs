//! Decides what each object of an upper directory stands for: the object that was there, one that
//! was elsewhere, a further name, or a new one. Goes by file handles, not by names, because with
//! `metacopy` a renamed file looks like a changed one (its content is still the lower file's).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use backstop_core::bytes::Bytes;
use backstop_sys::fs::{FileHandle, file_handle, open_by_handle, open_dir_read, open_parent, split, stat_at};

use super::overlay::Origin;
use super::upper::{Found, Lower};
use super::{Input, LedgerError};

/// What an object of the upper stands for.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// The object that is at the same place of the lower tree.
    Same,
    /// An object that was at `source`.
    Moved(Lower),
    /// A further name for the object that is (afterwards) at this place of the same volume.
    Linked(Bytes, Lower),
    /// A new object.
    New,
    /// Nothing: the name is deleted.
    Whiteout,
}

/// Every found object with its fate, and which lower names go away.
pub(super) struct Fates {
    /// One per found object.
    pub fates: Vec<Fate>,
    /// Places whose object is renamed: (volume, place).
    pub sources: HashSet<(usize, Bytes)>,
}

type Place = (usize, Bytes);

/// A name that the kernel knows for a handle, below `root`: a guess, to be proven.
pub(super) fn place_by_kernel(root: BorrowedFd<'_>, handle: &FileHandle) -> Option<Bytes> {
    // The call wants a readable directory of the file system, not an O_PATH handle.
    let readable = open_dir_read(root, b"").ok()?;
    let fd = open_by_handle(readable.as_fd(), handle).ok()??;
    let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    let top = std::fs::read_link(format!("/proc/self/fd/{}", root.as_raw_fd())).ok()?;
    let below = path.strip_prefix(&top).or_else(|_| path.strip_prefix("/")).ok()?;
    Some(Bytes::from(below.as_os_str().as_bytes()))
}

struct Sorter<'a> {
    input: &'a Input<'a>,
    found: &'a [Found],
    fates: Vec<Option<Fate>>,
    /// Lower names that are gone from their place, non-directories, by their handle.
    gone: HashMap<(usize, FileHandle), Vec<Lower>>,
    /// Every lower place that is gone (or whose object moved).
    removed: HashSet<Place>,
}

/// Decides.
pub(super) fn sort(input: &Input<'_>, found: &[Found]) -> Result<Fates, LedgerError> {
    let mut sorter =
        Sorter { input, found, fates: vec![None; found.len()], gone: HashMap::new(), removed: HashSet::new() };
    let pending = sorter.plain()?;
    if !pending.is_empty() {
        sorter.gone_names()?;
        sorter.by_handle(&pending)?;
    }
    sorter.finish()
}

impl Sorter<'_> {
    fn volume(&self, f: &Found) -> usize {
        self.input.layers[f.layer].volume
    }

    fn handle(&self, volume: usize, place: &Bytes) -> Result<Option<FileHandle>, LedgerError> {
        let root = self.input.volumes[volume].root;
        let at = |source| LedgerError::Read { path: place.clone(), source };
        let parent = match open_parent(root, place.as_slice()) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            other => other.map_err(at)?,
        };
        file_handle(parent.as_fd(), split(place.as_slice()).1).map_err(at)
    }

    /// What can be said without looking for handles; returns the rest.
    fn plain(&mut self) -> Result<Vec<usize>, LedgerError> {
        let mut pending = Vec::new();
        for (i, f) in self.found.iter().enumerate() {
            let fate = if f.stray {
                Some(Fate::Same)
            } else if f.stat.is_whiteout() {
                Some(Fate::Whiteout)
            } else if f.stat.is_dir() {
                Some(self.directory(f)?)
            } else {
                self.object(f)?
            };
            match &fate {
                None => pending.push(i),
                Some(Fate::Same) => {}
                Some(_) => {
                    if let Some(lower) = &f.lower {
                        self.removed.insert((self.volume(f), lower.place.clone()));
                    }
                }
            }
            if let Some(Fate::Moved(source)) = &fate {
                self.removed.insert((self.volume(f), source.place.clone()));
            }
            self.fates[i] = fate;
        }
        self.links_of_unknown();
        Ok(pending)
    }

    /// Without handles, what is one object in the upper tells which new names are further names of an
    /// object that stays.
    fn links_of_unknown(&mut self) {
        let mut stay: HashMap<(usize, u64), usize> = HashMap::new();
        for (i, f) in self.found.iter().enumerate() {
            let same = matches!(self.fates[i], Some(Fate::Same));
            if same && f.notes.origin == Origin::Unknown && f.stat.nlink > 1 && !f.stat.is_dir() {
                stay.insert((f.layer, f.stat.ino), i);
            }
        }
        for (i, f) in self.found.iter().enumerate() {
            let Some(&of) = stay.get(&(f.layer, f.stat.ino)) else { continue };
            if let (Some(Fate::New), Some(lower)) = (&self.fates[i], &self.found[of].lower) {
                self.fates[i] = Some(Fate::Linked(self.place(of), lower.clone()));
            }
        }
    }

    fn directory(&self, f: &Found) -> Result<Fate, LedgerError> {
        let Some(base) = &f.base else { return Ok(Fate::New) };
        if f.lower.as_ref().is_some_and(|l| &l.place == base) {
            return Ok(Fate::Same);
        }
        let root = self.input.volumes[self.volume(f)].root;
        let at = |source| LedgerError::Read { path: base.clone(), source };
        let parent = open_parent(root, base.as_slice()).map_err(at)?;
        let stat = stat_at(parent.as_fd(), split(base.as_slice()).1).map_err(at)?;
        match stat {
            Some(stat) if stat.is_dir() => Ok(Fate::Moved(Lower { place: base.clone(), stat })),
            _ => Err(LedgerError::Source { path: f.up.clone() }),
        }
    }

    /// A file, link, pipe, socket or device; none where its origin is another place.
    fn object(&self, f: &Found) -> Result<Option<Fate>, LedgerError> {
        let same_type = |l: &&Lower| l.stat.mode & 0o170_000 == f.stat.mode & 0o170_000;
        let lower = f.lower.as_ref().filter(same_type);
        match (&f.notes.origin, lower) {
            (Origin::None, _) => Ok(Some(Fate::New)),
            // An unprivileged overlay can't say whether this is the file that was here or another
            // one that was renamed onto it. For a file with one name both end in the same tree.
            (Origin::Unknown, Some(_)) => Ok(Some(Fate::Same)),
            (Origin::Unknown, None) => Ok(Some(Fate::New)),
            (Origin::Handle(handle), Some(lower)) => {
                let same = self.handle(self.volume(f), &lower.place)?.as_ref() == Some(handle);
                Ok(same.then_some(Fate::Same))
            }
            (Origin::Handle(_), None) => Ok(None),
        }
    }

    /// Fills `gone` with the handles of non-directories whose names go away. The pending objects'
    /// own places count as gone too: what was there is not what is there now.
    fn gone_names(&mut self) -> Result<(), LedgerError> {
        for (i, f) in self.found.iter().enumerate() {
            let stays = matches!(self.fates[i], Some(Fate::Same));
            let Some(lower) = f.lower.as_ref().filter(|_| !stays) else { continue };
            let volume = self.volume(f);
            self.removed.insert((volume, lower.place.clone()));
            if lower.stat.is_dir() {
                continue;
            }
            if let Some(handle) = self.handle(volume, &lower.place)? {
                self.gone.entry((f.layer, handle)).or_default().push(lower.clone());
            }
        }
        Ok(())
    }

    fn by_handle(&mut self, pending: &[usize]) -> Result<(), LedgerError> {
        // Names of one inode are sorted together: the first takes the old name, the rest are links.
        let mut groups: BTreeMap<(usize, u64), Vec<usize>> = BTreeMap::new();
        for &i in pending {
            groups.entry((self.found[i].layer, self.found[i].stat.ino)).or_default().push(i);
        }
        let mut staying: HashMap<(usize, u64), usize> = HashMap::new();
        for (i, f) in self.found.iter().enumerate() {
            if matches!(self.fates[i], Some(Fate::Same)) && !f.stat.is_dir() {
                staying.insert((f.layer, f.stat.ino), i);
            }
        }
        for (key, mut names) in groups {
            names.sort_by(|a, b| self.found[*a].up.cmp(&self.found[*b].up));
            let mut anchor = staying.get(&key).map(|&i| (self.place(i), self.found[i].lower.clone()));
            for i in names {
                let fate = self.elsewhere(i, &mut anchor)?;
                self.fates[i] = Some(fate);
            }
        }
        Ok(())
    }

    /// The place of a found object below its volume's root, afterwards.
    fn place(&self, i: usize) -> Bytes {
        let f = &self.found[i];
        self.input.layers[f.layer].lower.join(f.up.as_slice())
    }

    fn elsewhere(&mut self, i: usize, anchor: &mut Option<(Bytes, Option<Lower>)>) -> Result<Fate, LedgerError> {
        let f = &self.found[i];
        let Origin::Handle(handle) = &f.notes.origin else { return Ok(Fate::New) };
        let key = (f.layer, handle.clone());
        if let Some(source) = self.gone.get_mut(&key).and_then(Vec::pop) {
            anchor.get_or_insert((self.place(i), Some(source.clone())));
            return Ok(Fate::Moved(source));
        }
        if let Some((of, Some(lower))) = anchor {
            return Ok(Fate::Linked(of.clone(), lower.clone()));
        }
        match self.search(f, handle)? {
            Some(source) if self.is_removed(self.volume(f), &source.place) => {
                *anchor = Some((self.place(i), Some(source.clone())));
                Ok(Fate::Moved(source))
            }
            Some(source) => {
                *anchor = Some((source.place.clone(), Some(source.clone())));
                Ok(Fate::Linked(source.place.clone(), source))
            }
            // Its content is all here, so nothing is lost by taking it as new.
            None if !f.notes.metacopy => Ok(Fate::New),
            None => Err(LedgerError::Source { path: f.up.clone() }),
        }
    }

    /// Looks for the object with this handle: where the redirect says, else where the kernel says.
    fn search(&self, f: &Found, handle: &FileHandle) -> Result<Option<Lower>, LedgerError> {
        let volume = self.volume(f);
        let layer = &self.input.layers[f.layer];
        let redirected = f.notes.redirect.as_ref().and_then(|r| match (r.strip_prefix(b"/"), &f.parent_base) {
            (Some(absolute), _) => Some(layer.lower.join(absolute)),
            (None, Some(parent)) => Some(parent.join(r)),
            (None, None) => None,
        });
        let root = self.input.volumes[volume].root;
        for place in redirected.into_iter().chain(place_by_kernel(root, handle)) {
            // Whatever a note or the kernel's cache says, only the handle at that place proves it.
            if self.handle(volume, &place)?.as_ref() != Some(handle) {
                continue;
            }
            let at = |source| LedgerError::Read { path: place.clone(), source };
            let parent = open_parent(root, place.as_slice()).map_err(at)?;
            if let Some(stat) = stat_at(parent.as_fd(), split(place.as_slice()).1).map_err(at)? {
                return Ok(Some(Lower { place, stat }));
            }
        }
        Ok(None)
    }

    /// True when the place, or a directory above it, goes away.
    fn is_removed(&self, volume: usize, place: &Bytes) -> bool {
        let mut here = place.clone();
        while !here.is_empty() {
            if self.removed.contains(&(volume, here.clone())) {
                return true;
            }
            here = here.parent();
        }
        false
    }

    fn finish(self) -> Result<Fates, LedgerError> {
        let mut sources = HashSet::new();
        let mut fates = Vec::with_capacity(self.fates.len());
        for (f, fate) in self.found.iter().zip(self.fates) {
            let fate = fate.unwrap_or(Fate::New);
            if let Fate::Moved(source) = &fate {
                sources.insert((self.input.layers[f.layer].volume, source.place.clone()));
            }
            fates.push(fate);
        }
        Ok(Fates { fates, sources })
    }
}
