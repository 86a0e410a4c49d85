//! Writes the book of effects: one `Effect` for each object that is created, changed, lost, renamed
//! or linked, and beside it the facts that the planner needs. Counts what lies beneath what is lost.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Aspect, Conflict, Effect, FileType, Kind, Node, Opener, Tally};
use backstop_core::plan::Meta;
use backstop_core::time::Timestamp;
use backstop_sys::fs::{Pin, Stat, Time, open_dir, open_dir_read, open_parent, split};

use super::content::{attributes, hash, node, same, target};
use super::fate::{Fate, Fates};
use super::openers::Openers;
use super::overlay::Origin;
use super::tally::Count;
use super::upper::{Found, Lower};
use super::{Input, LedgerError, kept};

/// How an object that stays differs afterwards.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Other bytes.
    pub content: bool,
    /// Other mode, owner or attributes, or (not for directories) times.
    pub meta: Option<(Meta, Meta)>,
}

/// A lower object that is gone from its place and is not renamed.
#[derive(Debug)]
pub(super) struct Lost {
    /// Layer.
    pub layer: usize,
    /// The object.
    pub lower: Lower,
    /// The found object at the same place.
    pub by: usize,
}

/// A file that was there before and has more names than this run shows.
struct Linked {
    volume: usize,
    ino: u64,
    /// How many names are unaccounted for.
    missing: u32,
    /// The effect that says so.
    effect: Option<usize>,
    /// The place, where an unprivileged rehearsal can't tell which names change along.
    untold: Option<(Bytes, u32)>,
}

/// True for a file that writing through another name would change as well.
fn has_names(lower: &Stat) -> bool {
    lower.is_file() && lower.nlink > 1
}

/// The effects in the making.
pub(super) struct Book<'a> {
    pub input: &'a Input<'a>,
    pub found: &'a [Found],
    pub fates: &'a Fates,
    pub effects: Vec<Effect>,
    pub conflicts: Vec<Conflict>,
    pub incomplete: Vec<String>,
    /// By index of `found`: how objects that stay differ.
    pub differences: HashMap<usize, Difference>,
    pub lost: Vec<Lost>,
    openers: Option<Openers>,
    /// Names of an object among the found ones, by (layer, upper inode): for `linked_elsewhere`.
    known_names: HashMap<(usize, u64), u32>,
    /// Files whose further names were not seen; some may only be in the vault.
    linked: Vec<Linked>,
    /// Files with several names that are gone from a place, by layer, size and time: where a new file may have
    /// come from that an unprivileged overlay copied.
    gone_names: HashMap<(usize, u64, Time), Stat>,
    /// New objects seen, by (layer, inode): a second name is a link.
    created: HashMap<(usize, u64), Bytes>,
    /// The last directory opened, by (volume or layer, path): names come in runs.
    cache: Option<((bool, usize, Bytes), OwnedFd)>,
}

impl<'a> Book<'a> {
    pub fn new(input: &'a Input<'a>, found: &'a [Found], fates: &'a Fates) -> Self {
        let mut known_names = HashMap::new();
        for (f, fate) in found.iter().zip(&fates.fates) {
            if matches!(fate, Fate::Same | Fate::Moved(_)) && !f.stat.is_dir() {
                *known_names.entry((f.layer, f.stat.ino)).or_default() += 1;
            }
        }
        let mut gone_names = HashMap::new();
        for f in found.iter().filter(|f| f.stat.is_whiteout()) {
            if let Some(lower) = f.lower.as_ref().map(|l| l.stat).filter(has_names) {
                gone_names.entry((f.layer, lower.size, lower.mtime)).or_insert(lower);
            }
        }
        Self {
            input,
            found,
            fates,
            effects: Vec::new(),
            conflicts: Vec::new(),
            incomplete: Vec::new(),
            differences: HashMap::new(),
            lost: Vec::new(),
            openers: None,
            known_names,
            gone_names,
            linked: Vec::new(),
            created: HashMap::new(),
            cache: None,
        }
    }

    /// Writes all effects.
    pub fn write(&mut self) -> Result<(), LedgerError> {
        for i in 0..self.found.len() {
            let (found, fates) = (self.found, self.fates);
            let f = &found[i];
            if f.notes.foreign {
                self.incomplete.push(format!("{} carries overlay attributes of its own", self.after(i).quoted()));
            }
            match &fates.fates[i] {
                Fate::Same => self.stays(i, f.lower.as_ref(), None)?,
                Fate::Moved(source) => {
                    self.loses(i);
                    self.stays(i, Some(source), Some(source))?;
                }
                Fate::Linked(of, lower) => {
                    self.loses(i);
                    self.links(i, of, lower);
                }
                Fate::New => {
                    self.loses(i);
                    self.broken_links(i);
                    self.creates(i)?;
                }
                Fate::Whiteout => self.loses(i),
            }
        }
        self.names_in_vaults()?;
        self.losses()
    }

    /// Takes off the names that only our own vault has: nobody sees those change along.
    fn names_in_vaults(&mut self) -> Result<(), LedgerError> {
        for volume in 0..self.input.volumes.len() {
            let mut wanted: HashMap<u64, u32> = HashMap::new();
            for l in self.linked.iter().filter(|l| l.volume == volume) {
                let most = wanted.entry(l.ino).or_default();
                *most = (*most).max(l.missing);
            }
            if wanted.is_empty() {
                continue;
            }
            let names = kept::names(self.input.volumes[volume].vault, &wanted)
                .map_err(|source| LedgerError::Read { path: "the vault".into(), source })?;
            for l in self.linked.iter().filter(|l| l.volume == volume) {
                let kept = names.get(&l.ino).copied().unwrap_or(0);
                if let Some(effect) = l.effect {
                    self.effects[effect].linked_elsewhere = l.missing.saturating_sub(kept);
                }
                if let Some((path, names)) = l.untold.as_ref().filter(|(_, names)| names.saturating_sub(kept) > 1) {
                    self.incomplete.push(format!(
                        "{} has {} names, and an unprivileged rehearsal cannot tell which of them change along",
                        path.quoted(),
                        names - kept,
                    ));
                }
            }
        }
        Ok(())
    }

    /// The absolute path of a place of a layer's volume.
    pub fn absolute(&self, layer: usize, place: &Bytes) -> Bytes {
        let layer = &self.input.layers[layer];
        let below = place.as_slice().strip_prefix(layer.lower.as_slice()).unwrap_or(place.as_slice());
        let below = below.strip_prefix(b"/").unwrap_or(below);
        if below.is_empty() { layer.point.clone() } else { layer.point.join(below) }
    }

    /// The absolute path of a found object, afterwards.
    pub fn after(&self, i: usize) -> Bytes {
        let f = &self.found[i];
        if let (true, Some(lower)) = (f.stray, &f.lower) {
            return self.absolute(f.layer, &lower.place);
        }
        let point = &self.input.layers[f.layer].point;
        if f.up.is_empty() { point.clone() } else { point.join(f.up.as_slice()) }
    }

    /// The place of a found object below its volume's root, afterwards.
    pub fn place(&self, i: usize) -> Bytes {
        let f = &self.found[i];
        if let (true, Some(lower)) = (f.stray, &f.lower) {
            return lower.place.clone();
        }
        self.input.layers[f.layer].lower.join(f.up.as_slice())
    }

    fn volume(&self, layer: usize) -> usize {
        self.input.layers[layer].volume
    }

    /// The directory that holds a found object, in the upper.
    fn upper_dir(&mut self, i: usize) -> Result<OwnedFd, LedgerError> {
        let f = &self.found[i];
        let layer = &self.input.layers[f.layer];
        let dir = layer.upper.join(split(f.up.as_slice()).0);
        self.open((true, layer.volume, dir))
    }

    /// The directory that holds a place of the lower tree.
    fn lower_dir(&mut self, volume: usize, place: &Bytes) -> Result<OwnedFd, LedgerError> {
        self.open((false, volume, Bytes::from(split(place.as_slice()).0)))
    }

    fn open(&mut self, key: (bool, usize, Bytes)) -> Result<OwnedFd, LedgerError> {
        if self.cache.as_ref().is_none_or(|(k, _)| k != &key) {
            let volume = &self.input.volumes[key.1];
            let root = if key.0 { volume.run_dir } else { volume.root };
            let fd =
                open_dir(root, key.2.as_slice()).map_err(|source| LedgerError::Read { path: key.2.clone(), source })?;
            self.cache = Some((key, fd));
        }
        let (key, fd) = self.cache.as_ref().expect("filled above");
        fd.try_clone().map_err(|source| LedgerError::Read { path: key.2.clone(), source })
    }

    fn loses(&mut self, i: usize) {
        let f = &self.found[i];
        let Some(lower) = &f.lower else { return };
        if !self.fates.sources.contains(&(self.volume(f.layer), lower.place.clone())) {
            self.lost.push(Lost { layer: f.layer, lower: lower.clone(), by: i });
        }
    }

    /// An unprivileged overlay breaks hard links when it copies up and leaves no mark: what was
    /// written in place, or renamed, looks like a new file, and the other names don't follow.
    fn broken_links(&mut self, i: usize) {
        let f = &self.found[i];
        if self.input.layers[f.layer].prefix == "trusted." || !f.stat.is_file() {
            return;
        }
        let here = f.lower.as_ref().map(|l| l.stat).filter(has_names);
        let from = || self.gone_names.get(&(f.layer, f.stat.size, f.stat.mtime)).copied();
        if let Some(lower) = here.or_else(from) {
            let linked = Linked {
                volume: self.volume(f.layer),
                ino: lower.ino,
                missing: lower.nlink - 1,
                effect: None,
                untold: Some((self.after(i), lower.nlink)),
            };
            self.linked.push(linked);
        }
    }

    fn check(&mut self, layer: usize, path: &Bytes, stat: &Stat) {
        if Timestamp::from(stat.ctime) >= self.input.volumes[self.volume(layer)].t0 {
            self.conflicts.push(Conflict { path: path.clone(), why: "somebody else changed it meanwhile".into() });
        }
    }

    fn open_by(&mut self, stat: &Stat) -> Vec<Opener> {
        let openers = self.openers.get_or_insert_with(Openers::scan);
        let mut counts = HashMap::new();
        openers.note(stat.dev, stat.ino, &mut counts);
        openers.list(&counts)
    }

    fn effect(&self, layer: usize, kind: Kind, path: Bytes) -> Effect {
        Effect {
            after: None,
            aspects: Vec::new(),
            before: None,
            beneath: None,
            from: None,
            kind,
            linked_elsewhere: 0,
            mount: self.input.layers[layer].mount,
            open_by: Vec::new(),
            path,
            undoable: true,
            xattrs: Vec::new(),
        }
    }

    /// An object that was there before, here or (moved) at `source`.
    fn stays(&mut self, i: usize, lower: Option<&Lower>, source: Option<&Lower>) -> Result<(), LedgerError> {
        let f = &self.found[i];
        let Some(lower) = lower else { return Ok(()) };
        let (difference, aspects, xattrs) = self.difference(i, lower)?;
        let path = self.after(i);
        let kind = match source {
            Some(_) => Kind::Rename,
            None if aspects.contains(&Aspect::Content) => Kind::Change,
            None if aspects.is_empty() => return self.quiet(i, difference),
            None => Kind::Metadata,
        };
        let before_path = self.absolute(f.layer, &lower.place);
        // A directory that is only renamed takes along whatever others do in it.
        if !f.stat.is_dir() || !aspects.is_empty() {
            self.check(f.layer, &before_path, &lower.stat);
        }
        let mut after = Node { ino: lower.stat.ino, nlink: lower.stat.nlink, ..node(&f.stat) };
        if difference.content {
            let dir = self.upper_dir(i)?;
            after.content = Some(self.hash(i, &dir)?);
        }
        let links = self.known_names.get(&(f.layer, f.stat.ino)).copied().unwrap_or(1);
        // New times on a file with several names (git freshens shared objects so) lose nobody anything.
        let matters = aspects.iter().any(|a| *a != Aspect::Times);
        let shared = !f.stat.is_dir() && matters && lower.stat.nlink > links;
        let untold = f.notes.origin == Origin::Unknown && lower.stat.nlink > 1 && !f.stat.is_dir();
        if shared || untold {
            self.linked.push(Linked {
                volume: self.volume(f.layer),
                ino: lower.stat.ino,
                missing: lower.stat.nlink.saturating_sub(if untold { 1 } else { links }),
                effect: shared.then_some(self.effects.len()),
                untold: untold.then(|| (path.clone(), lower.stat.nlink)),
            });
        }
        let effect = Effect {
            after: Some(after),
            aspects,
            before: Some(node(&lower.stat)),
            from: source.map(|_| before_path),
            linked_elsewhere: if shared { lower.stat.nlink - links } else { 0 },
            open_by: self.open_by(&lower.stat),
            xattrs,
            ..self.effect(f.layer, kind, path)
        };
        self.effects.push(effect);
        self.differences.insert(i, difference);
        Ok(())
    }

    /// Nothing differs; a directory may still have got other times by its entries.
    fn quiet(&mut self, i: usize, difference: Difference) -> Result<(), LedgerError> {
        self.differences.insert(i, difference);
        Ok(())
    }

    fn difference(&mut self, i: usize, lower: &Lower) -> Result<(Difference, Vec<Aspect>, Vec<Bytes>), LedgerError> {
        let f = &self.found[i];
        let layer = &self.input.layers[f.layer];
        let volume = layer.volume;
        let path = lower.place.clone();
        let failed = |source| LedgerError::Read { path: path.clone(), source };
        let lower_dir = self.lower_dir(volume, &lower.place)?;
        let lower_name = split(lower.place.as_slice()).1;
        let old = attributes(lower_dir.as_fd(), lower_name, layer.prefix).map_err(failed)?;
        let b = &lower.stat;
        // The upper directory itself was made by us and dressed like the lower one; an unprivileged
        // user can't give it another's owner.
        let own = f.up.is_empty() && layer.prefix == "user.";
        let a = &if own { Stat { uid: b.uid, gid: b.gid, ..f.stat } } else { f.stat };
        let mut aspects = Vec::new();
        let mut difference = Difference::default();
        if a.is_file() && !f.notes.metacopy {
            let unchanged = a.size == b.size && {
                let dir = self.upper_dir(i)?;
                let name = split(f.up.as_slice()).1;
                same((dir.as_fd(), name), (lower_dir.as_fd(), lower_name)).map_err(failed)?
            };
            if !unchanged {
                difference.content = true;
                aspects.push(Aspect::Content);
            }
        }
        if a.mode & 0o7777 != b.mode & 0o7777 && !a.is_symlink() {
            aspects.push(Aspect::Mode);
        }
        if (a.uid, a.gid) != (b.uid, b.gid) {
            aspects.push(Aspect::Owner);
        }
        let t0 = self.input.volumes[volume].t0;
        // Others may have made entries in a directory meanwhile; then its times say nothing about us.
        let busy = a.is_dir() && Timestamp::from(b.ctime) >= t0;
        // A directory's times follow its entries; only a moment before the run was set on purpose.
        let set_on_purpose = Timestamp::from(a.mtime) < t0 && !busy;
        if a.mtime != b.mtime && (!a.is_dir() || set_on_purpose) {
            aspects.push(Aspect::Times);
        }
        let changed = changed_attributes(&old, &f.notes.own);
        if !changed.is_empty() {
            aspects.push(Aspect::Xattrs);
        }
        let names: Vec<Bytes> = changed.iter().map(|(name, _, _)| name.clone()).collect();
        let only_times = aspects.iter().all(|a| *a == Aspect::Times);
        if !(aspects.is_empty() || a.is_dir() && only_times) {
            let before = changed.iter().map(|(n, old, _)| (n.clone(), old.clone())).collect();
            let after = changed.into_iter().map(|(n, _, new)| (n, new)).collect();
            difference.meta = Some((meta(b, before), meta(a, after)));
        }
        Ok((difference, aspects, names))
    }

    fn hash(&self, i: usize, dir: &OwnedFd) -> Result<backstop_core::digest::Digest, LedgerError> {
        let name = split(self.found[i].up.as_slice()).1;
        hash(dir.as_fd(), name).map_err(|source| LedgerError::Read { path: self.after(i), source })
    }

    fn links(&mut self, i: usize, of: &Bytes, lower: &Lower) {
        let f = &self.found[i];
        let (path, from) = (self.after(i), self.absolute(f.layer, of));
        let after = Node { ino: lower.stat.ino, ..node(&f.stat) };
        let effect = Effect { after: Some(after), from: Some(from), ..self.effect(f.layer, Kind::Link, path) };
        self.effects.push(effect);
    }

    fn creates(&mut self, i: usize) -> Result<(), LedgerError> {
        let f = &self.found[i];
        let dir = self.upper_dir(i)?;
        let name = split(f.up.as_slice()).1;
        let path = self.after(i);
        let failed = |source| LedgerError::Read { path: path.clone(), source };
        if !f.notes.strip.is_empty() {
            // Marks of this overlay must not enter the tree: a later overlay would obey them.
            let pin = Pin::new(dir.as_fd(), name).map_err(failed)?;
            for mark in &f.notes.strip {
                pin.set_xattr(mark, None).map_err(failed)?;
            }
        }
        let mut after = node(&f.stat);
        match after.file_type {
            FileType::Symlink => after.target = Some(target(dir.as_fd(), name).map_err(failed)?),
            FileType::File => {
                let further = if f.stat.nlink > 1 { self.created.get(&(f.layer, f.stat.ino)).cloned() } else { None };
                if let Some(first) = further {
                    let link =
                        Effect { after: Some(after), from: Some(first), ..self.effect(f.layer, Kind::Link, path) };
                    self.effects.push(link);
                    return Ok(());
                }
                after.content = Some(self.hash(i, &dir)?);
                if f.stat.nlink > 1 {
                    self.created.insert((f.layer, f.stat.ino), path.clone());
                }
            }
            _ => {}
        }
        // A label that the machine gives to every file says nothing about this one.
        let told = f.notes.own.iter().map(|(name, _)| name.clone());
        let xattrs = told.filter(|name| name.as_slice() != b"security.selinux").collect();
        let effect = Effect { after: Some(after), xattrs, ..self.effect(f.layer, Kind::Create, path) };
        self.effects.push(effect);
        Ok(())
    }

    /// Turns what is lost into deletions, or into replacements where a new object takes the place.
    fn losses(&mut self) -> Result<(), LedgerError> {
        let mut created: HashMap<Bytes, usize> = HashMap::new();
        for (at, e) in self.effects.iter().enumerate() {
            if e.kind == Kind::Create {
                created.insert(e.path.clone(), at);
            }
        }
        let skip: HashSet<Bytes> = self.moved_paths();
        for n in 0..self.lost.len() {
            let (layer, by, lower) = (self.lost[n].layer, self.lost[n].by, self.lost[n].lower.clone());
            let path = self.absolute(layer, &lower.place);
            self.check(layer, &path, &lower.stat);
            let mut before = node(&lower.stat);
            let volume = self.volume(layer);
            if lower.stat.is_symlink() {
                let dir = self.lower_dir(volume, &lower.place)?;
                let name = split(lower.place.as_slice()).1;
                before.target = target(dir.as_fd(), name).ok();
            }
            let (beneath, mut open_by) = if lower.stat.is_dir() {
                let (tally, open) = self.beneath(layer, &path, &lower, &skip)?;
                (Some(tally), open)
            } else {
                (None, self.open_by(&lower.stat))
            };
            let replaced = created.get(&self.after(by)).copied().filter(|_| matches!(self.fates.fates[by], Fate::New));
            match replaced {
                Some(at) if self.effects[at].path == path => {
                    let e = &mut self.effects[at];
                    e.kind = Kind::Replace;
                    e.before = Some(before);
                    e.beneath = beneath;
                    e.open_by.append(&mut open_by);
                }
                _ => {
                    let effect =
                        Effect { before: Some(before), beneath, open_by, ..self.effect(layer, Kind::Delete, path) };
                    self.effects.push(effect);
                }
            }
        }
        Ok(())
    }

    /// The absolute paths that are renamed away.
    fn moved_paths(&self) -> HashSet<Bytes> {
        let moved = self.found.iter().zip(&self.fates.fates).filter_map(|(f, fate)| match fate {
            Fate::Moved(source) => Some(self.absolute(f.layer, &source.place)),
            _ => None,
        });
        moved.collect()
    }

    fn beneath(
        &mut self,
        layer: usize,
        path: &Bytes,
        lower: &Lower,
        skip: &HashSet<Bytes>,
    ) -> Result<(Tally, Vec<Opener>), LedgerError> {
        let volume = &self.input.volumes[self.volume(layer)];
        let failed = |source| LedgerError::Read { path: path.clone(), source };
        if let Some(point) = self.input.mount_points.iter().find(|p| *p != path && p.is_beneath(path.as_slice())) {
            let why = format!("{} is mounted beneath it and would go along", point.quoted());
            self.conflicts.push(Conflict { path: path.clone(), why });
        }
        let dir = match open_dir_read(volume.root, lower.place.as_slice()) {
            // `rmdir` of an empty directory one may not read is legal; what can't be read is said.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                self.incomplete.push(format!("what lies beneath {} cannot be read", path.quoted()));
                return Ok((Tally::default(), Vec::new()));
            }
            other => other.map_err(failed)?,
        };
        let openers = self.openers.get_or_insert_with(Openers::scan);
        // Only paths beneath this directory matter for it; most often there are none.
        let inside: HashSet<Bytes> = skip.iter().filter(|s| s.is_beneath(path.as_slice())).cloned().collect();
        let count = Count {
            dir: dir.as_fd(),
            path,
            skip: &inside,
            openers,
            foreign: &|s| Timestamp::from(s.ctime) >= volume.t0,
            shut: &|_, _| true,
            progress: self.input.progress,
        };
        let counted = match count.run() {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                self.incomplete.push(format!("not all beneath {} can be read", path.quoted()));
                return Ok((Tally::default(), Vec::new()));
            }
            other => other.map_err(failed)?,
        };
        if !counted.denied.is_empty() {
            self.incomplete.push(format!("not all beneath {} can be read", path.quoted()));
        }
        let list = openers.list(&counted.open);
        for changed in counted.changed {
            self.conflicts.push(Conflict { path: changed, why: "somebody else changed it meanwhile".into() });
        }
        Ok((counted.tally, list))
    }

    /// The directory that a place's parent is, with its state before, for its times.
    pub fn parent_before(&self, volume: usize, place: &Bytes) -> Option<(Bytes, Stat)> {
        let parent = Bytes::from(split(place.as_slice()).0);
        let root = self.input.volumes[volume].root;
        let above = open_parent(root, parent.as_slice()).ok()?;
        let fd = if parent.is_empty() {
            open_dir(root, b"").ok()?
        } else {
            open_dir(above.as_fd(), split(parent.as_slice()).1).ok()?
        };
        Some((parent, backstop_sys::fs::stat_fd(fd.as_fd()).ok()?))
    }
}

fn meta(stat: &Stat, xattrs: Vec<(Bytes, Option<Bytes>)>) -> Meta {
    Meta {
        atime: Timestamp::from(stat.atime),
        gid: stat.gid,
        mode: stat.mode & 0o7777,
        mtime: Timestamp::from(stat.mtime),
        uid: stat.uid,
        xattrs,
    }
}

/// The attributes that differ: name, old value, new value.
fn changed_attributes(old: &[(Bytes, Bytes)], new: &[(Bytes, Bytes)]) -> Vec<(Bytes, Option<Bytes>, Option<Bytes>)> {
    let find = |list: &[(Bytes, Bytes)], name: &Bytes| list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let mut names: Vec<&Bytes> = old.iter().chain(new).map(|(n, _)| n).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|n| (n.clone(), find(old, n), find(new, n)))
        .filter(|(_, before, after)| before != after)
        .collect()
}
