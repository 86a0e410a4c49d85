//! Where steps are finished or taken back, after a crash or because one of them failed: tells what
//! somebody else changed since the transaction began from what Backstop had done of it, by what the
//! journal says of each object, by the contents that were kept, and by how our own steps have left it where
//! that is known. Looks only;
//! a change that is not ours is a conflict, so that no step writes over it or takes it away.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use backstop_core::bytes::Bytes;
use backstop_core::plan::{Direction, Meta, Op, Plan, Slot, Spot};
use backstop_core::time::Timestamp;
use backstop_sys::fs::{self as sys, Stat};

use super::check::{CHANGED, stages};
use super::{At, CommitError, Foreign, Left, Seen, Sites, at_place, at_slot};
use crate::ledger::{Count, Openers};

/// A volume and an inode.
type Key = (u16, u64);

/// What a recovery or a retreat knows of the objects of its plan.
pub(crate) struct Guard<'a> {
    /// How they were before the first step.
    before: &'a BTreeMap<Key, Seen>,
    /// A moment before that, per volume; none where an older journal has not noted it.
    began: &'a [Option<Timestamp>],
    /// False where an older journal has not noted lengths and times.
    noted: bool,
    stages: HashSet<&'a Slot>,
    /// The contents between which a file is that is written into.
    contents: HashMap<Key, [&'a Slot; 2]>,
    /// The times that we give to objects.
    times: HashMap<Key, Vec<Timestamp>>,
    /// How our own steps have left what they wrote into or dressed; of a crash only those that came after.
    left: RefCell<HashMap<Key, Left>>,
    /// What somebody else changed, and where it is.
    foreign: RefCell<BTreeMap<Key, Bytes>>,
}

impl<'a> Guard<'a> {
    /// For a plan that was begun, and what its journal says.
    pub fn new(plan: &'a Plan, before: &'a BTreeMap<Key, Seen>, began: &'a [Option<Timestamp>], noted: bool) -> Self {
        let mut contents = HashMap::new();
        let mut times: HashMap<Key, Vec<Timestamp>> = HashMap::new();
        for op in &plan.ops {
            match op {
                Op::Write { at, ino, new, old } => {
                    contents.insert((at.vol, *ino), [new, old]);
                }
                Op::Meta { after, at, before, ino } => {
                    times.entry((at.vol, *ino)).or_default().extend([after.mtime, before.mtime]);
                }
                Op::Move { .. } | Op::Swap { .. } | Op::Link { .. } | Op::Times { .. } => {}
            }
        }
        let (left, foreign) = (RefCell::default(), RefCell::default());
        Self { before, began, noted, stages: stages(plan), contents, times, left, foreign }
    }

    /// Where nothing was cut off, it is known how our own steps have left what they came to.
    #[must_use]
    pub fn knowing(mut self, left: HashMap<Key, Left>) -> Self {
        self.left = RefCell::new(left);
        self
    }

    /// Hears how a step has left what it wrote into or dressed; nothing where that is not known.
    pub fn did(&self, op: &Op, left: Option<Seen>) {
        if let (Op::Write { at, ino, .. } | Op::Meta { at, ino, .. }, Some(seen)) = (op, left) {
            // It may get another name yet, as it is taken back.
            self.left.borrow_mut().insert((at.vol, *ino), Left { seen, named: true });
        }
    }

    /// True when somebody else changed this object.
    pub fn is_foreign(&self, vol: u16, ino: u64) -> bool {
        self.foreign.borrow().contains_key(&(vol, ino))
    }

    /// Everything that somebody else changed, by volume and inode.
    pub fn foreign(&self) -> Vec<Foreign> {
        let told = |(&(vol, ino), path): (&Key, &Bytes)| Foreign { ino, path: path.clone(), vol };
        self.foreign.borrow().iter().map(told).collect()
    }

    /// Looks at what a step is about to work on. A conflict where the step would write over somebody
    /// else's work or take it out of the tree. What has come into the tree already and was changed there
    /// is only noted.
    pub fn look(&self, op: &Op, direction: Direction, sites: &Sites) -> Result<(), CommitError> {
        let forward = direction == Direction::Forward;
        match op {
            Op::Move { from, ino, to } => {
                let (now, then) = if forward { (from, to) } else { (to, from) };
                if let Spot::Place(place) = then
                    && let Some((at, stat)) = found(at_place(sites, place)?, *ino)?
                {
                    return self.changed(&at, place.vol, &stat, sites).map(drop);
                }
                match (now, then) {
                    (Spot::Place(place), Spot::Slot(slot)) if !self.stages.contains(slot) => {
                        let Some((at, stat)) = found(at_place(sites, place)?, *ino)? else { return Ok(()) };
                        self.refuse(&at, place.vol, &stat, sites)
                    }
                    _ => Ok(()),
                }
            }
            Op::Swap { at: place, new, old, .. } => {
                let (comes, goes) = if forward { (*new, *old) } else { (*old, *new) };
                let Some(at) = at_place(sites, place)? else { return Ok(()) };
                match super::apply::look(&at)? {
                    Some(stat) if stat.ino == comes => self.changed(&at, place.vol, &stat, sites).map(drop),
                    Some(stat) if stat.ino == goes => self.refuse(&at, place.vol, &stat, sites),
                    // Something else, or nothing: the step says so itself.
                    _ => Ok(()),
                }
            }
            Op::Write { at: place, ino, .. } => {
                let Some((at, stat)) = found(at_place(sites, place)?, *ino)? else { return Ok(()) };
                self.refuse(&at, place.vol, &stat, sites)
            }
            Op::Meta { after, at: place, before, ino } => {
                let Some((at, stat)) = found(at_place(sites, place)?, *ino)? else { return Ok(()) };
                if !self.untouched(place.vol, &stat) && !ours(&stat, before, after) {
                    self.note(place.vol, stat.ino, &at);
                    return Err(at.conflict(CHANGED));
                }
                self.refuse(&at, place.vol, &stat, sites)
            }
            Op::Link { .. } | Op::Times { .. } => Ok(()),
        }
    }

    fn refuse(&self, at: &At, vol: u16, stat: &Stat, sites: &Sites) -> Result<(), CommitError> {
        if self.changed(at, vol, stat, sites)? { Err(at.conflict(CHANGED)) } else { Ok(()) }
    }

    /// True when nobody has done anything to it, neither we.
    fn untouched(&self, vol: u16, stat: &Stat) -> bool {
        self.before.get(&(vol, stat.ino)).is_some_and(|seen| seen.ctime == Timestamp::from(stat.ctime))
    }

    fn note(&self, vol: u16, ino: u64, at: &At) {
        self.foreign.borrow_mut().entry((vol, ino)).or_insert_with(|| at.shown.clone());
    }

    /// Notes and says whether somebody else changed the content of an object, or beneath it.
    fn changed(&self, at: &At, vol: u16, stat: &Stat, sites: &Sites) -> Result<bool, CommitError> {
        let key = (vol, stat.ino);
        if self.is_foreign(vol, stat.ino) {
            return Ok(true);
        }
        if stat.is_dir() {
            return self.beneath(at, vol);
        }
        if !stat.is_file() || self.untouched(vol, stat) {
            return Ok(false);
        }
        let left = self.left.borrow().get(&key).copied();
        let ours = match (self.contents.get(&key), self.before.get(&key)) {
            _ if left.is_some() => left.is_some_and(|left| left.is(&Seen::from(stat))),
            (Some(ends), _) => between(at, ends, sites)?,
            (None, Some(seen)) if self.noted => {
                let mtime = Timestamp::from(stat.mtime);
                let given = self.times.get(&key).is_some_and(|times| times.contains(&mtime));
                seen.size == stat.size && (seen.mtime == mtime || given)
            }
            // Nobody can tell; but it is only ever renamed, so nothing of it can be lost.
            (None, _) => true,
        };
        if !ours {
            self.note(vol, stat.ino, at);
        }
        Ok(!ours)
    }

    /// What changed beneath a directory since the transaction began, and is no part of it.
    fn beneath(&self, at: &At, vol: u16) -> Result<bool, CommitError> {
        let Some(began) = self.began.get(usize::from(vol)).copied().flatten() else { return Ok(false) };
        let dir = match sys::open_dir_read(at.dir(), &at.name) {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(false),
            other => other.map_err(at.step("look beneath"))?,
        };
        let (found, closed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let foreign = |s: &Stat| {
            let ours = s.is_dir() || Timestamp::from(s.ctime) < began || self.before.contains_key(&(vol, s.ino));
            if !ours {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(s.ino);
            }
            !ours
        };
        // A directory that was shut since: what else was done to it nobody can tell.
        let shut = |ino, ctime| {
            let theirs = ctime >= began && !self.before.contains_key(&(vol, ino));
            if theirs {
                closed.lock().unwrap_or_else(PoisonError::into_inner).push(ino);
            }
            theirs
        };
        let (progress, openers) = (AtomicU64::new(0), Openers::default());
        let count = Count {
            dir: dir.as_fd(),
            path: &at.shown,
            skip: &HashSet::new(),
            openers: &openers,
            foreign: &foreign,
            shut: &shut,
            progress: &progress,
        };
        let counted = match count.run() {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(false),
            other => other.map_err(at.step("look beneath"))?,
        };
        let mut foreign = self.foreign.borrow_mut();
        let mut some = false;
        for (inos, paths) in [(found, counted.changed), (closed, counted.denied)] {
            let mut paths = paths.into_iter();
            // Only some are named; the others go by the directory.
            for ino in inos.into_inner().unwrap_or_else(PoisonError::into_inner) {
                let path = paths.next().unwrap_or_else(|| at.shown.clone());
                foreign.entry((vol, ino)).or_insert(path);
                some = true;
            }
        }
        Ok(some)
    }
}

/// The object `ino`, where it is there.
fn found(at: Option<At>, ino: u64) -> Result<Option<(At, Stat)>, CommitError> {
    let Some(at) = at else { return Ok(None) };
    Ok(super::apply::look(&at)?.filter(|stat| stat.ino == ino).map(|stat| (at, stat)))
}

/// True when a file's content is one of the two, or on the way from one to the other.
fn between(at: &At, ends: &[&Slot; 2], sites: &Sites) -> Result<bool, CommitError> {
    let own = match sys::open_file(at.dir(), &at.name) {
        // Nobody can tell what is in it.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(false),
        other => other.map_err(at.step("read"))?,
    };
    let (Some(new), Some(old)) = (at_slot(sites, ends[0])?, at_slot(sites, ends[1])?) else { return Ok(true) };
    let new = sys::open_file(new.dir(), &new.name).map_err(new.step("read"))?;
    let old = sys::open_file(old.dir(), &old.name).map_err(old.step("read"))?;
    sys::is_between(own.as_fd(), [new.as_fd(), old.as_fd()]).map_err(at.step("read"))
}

/// True for the modes and owners that a change of metadata from one to the other can leave where it is
/// cut off.
fn ours(stat: &Stat, before: &Meta, after: &Meta) -> bool {
    // A change of owner drops the set-id bits, an access list sets those of the group, and what denies
    // its own user is opened up for a moment.
    let lists = after.xattrs.iter().chain(&before.xattrs);
    let group =
        if lists.map(|(name, _)| name.as_slice()).any(|n| n.starts_with(b"system.posix_acl")) { 0o070 } else { 0 };
    let same = |mode: u32| {
        let free = 0o6000 | 0o700 | group;
        (stat.mode & 0o7777 & !free) == (mode & !free)
    };
    let owner = |m: &Meta| (stat.uid, stat.gid) == (m.uid, m.gid);
    stat.is_symlink() || ((owner(before) || owner(after)) && (same(before.mode) || same(after.mode)))
}
