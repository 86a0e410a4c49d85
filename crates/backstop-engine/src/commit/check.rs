//! The re-check: is everything still as the plan knows it? For a commit, as the rehearsal saw it; for
//! undo and redo, as the last transaction left it. O(changes), and for what goes as a whole directory
//! everything beneath. Reads only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Conflict, EffectSet};
use backstop_core::plan::{Direction, Op, Place, Plan, Slot, Spot};
use backstop_core::time::Timestamp;
use backstop_sys::fs::{self as sys, Stat};

use super::ahead::Ahead;
use super::apply::in_order;
use super::{CommitError, Foreign, History, Seen, Sites, at_place, at_slot, shown};
use crate::ledger::{Count, Openers};

/// What the plan's objects are compared with.
pub(crate) struct Bounds<'a> {
    /// Per volume: an object that changed at or after this moment was changed by somebody else.
    pub ends: &'a [Option<Timestamp>],
    /// What others changed before that moment, while a crash had it unfinished.
    pub foreign: &'a [Foreign],
    /// Change times that are our own doing.
    pub history: &'a History,
    /// How the ledger found the objects; nothing where it is no rehearsal that is compared with.
    pub known: &'a Known,
    /// False where the ledger itself has only just looked beneath the directories.
    pub deep: bool,
}

/// How the ledger found objects, by device and inode: change time and length.
pub(crate) type Known = HashMap<(u64, u64), (Timestamp, u64)>;

/// How the ledger found what it says would change.
pub(crate) fn known(effects: &EffectSet) -> Known {
    let nodes = effects.effects.iter().filter_map(|e| e.before.as_ref());
    nodes.map(|n| ((n.dev, n.ino), (n.ctime, n.size))).collect()
}

/// The result.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// What is not as the plan knows it.
    pub conflicts: Vec<Conflict>,
    /// Directories that somebody else changed: their times are left alone.
    pub foreign: HashSet<u64>,
    /// How the files were found that would be written over, changed or taken away, and where.
    pub seen: BTreeMap<(u16, u64), (Seen, Place)>,
}

impl Checked {
    /// A conflict where something changed between this look and a later one.
    pub fn still(&self, later: &BTreeMap<(u16, u64), Seen>, sites: &Sites) -> Result<(), CommitError> {
        for (key, (seen, place)) in &self.seen {
            if later.get(key).is_some_and(|now| now != seen) {
                return Err(CommitError::Conflict {
                    conflict: Conflict { path: shown(sites, place), why: CHANGED.into() },
                });
            }
        }
        Ok(())
    }
}

/// What a conflict says where an object is the same, but not as it was.
pub(super) const CHANGED: &str = "somebody else changed it meanwhile";

struct Checker<'a> {
    plan: &'a Plan,
    direction: Direction,
    sites: &'a Sites,
    bounds: &'a Bounds<'a>,
    /// What the steps looked at so far would have put elsewhere.
    ahead: Ahead,
    /// Today's places of what they would have taken out of directories.
    taken_out: BTreeSet<Place>,
    /// Vault slots through which objects only pass from one place to another.
    stages: HashSet<&'a Slot>,
    /// The conflicts that are noted: a step that keeps and the step that writes look at the same place.
    said: HashSet<(Bytes, String)>,
    out: Checked,
}

/// Checks a plan that is about to be applied in this direction.
pub(crate) fn check(
    plan: &Plan,
    direction: Direction,
    sites: &Sites,
    bounds: &Bounds<'_>,
) -> Result<Checked, CommitError> {
    let stages = stages(plan);
    let mut checker = Checker {
        plan,
        direction,
        sites,
        bounds,
        ahead: Ahead::default(),
        taken_out: BTreeSet::new(),
        stages,
        said: HashSet::new(),
        out: Checked::default(),
    };
    checker.run()?;
    Ok(checker.out)
}

/// The vault slots through which objects only pass from one place to another.
pub(super) fn stages(plan: &Plan) -> HashSet<&Slot> {
    let mut into: HashSet<&Slot> = HashSet::new();
    let mut out_of: HashSet<&Slot> = HashSet::new();
    for op in &plan.ops {
        match op {
            Op::Move { from: Spot::Place(_), to: Spot::Slot(s), .. } => {
                into.insert(s);
            }
            Op::Move { from: Spot::Slot(s), to: Spot::Place(_), .. } | Op::Swap { slot: s, .. } => {
                out_of.insert(s);
            }
            _ => {}
        }
    }
    into.intersection(&out_of).copied().collect()
}

impl Checker<'_> {
    fn run(&mut self) -> Result<(), CommitError> {
        let plan = self.plan;
        for op in in_order(plan, self.direction) {
            let forward = self.direction == Direction::Forward;
            match op {
                Op::Move { from, ino, to } => {
                    let (now, then) = if forward { (from, to) } else { (to, from) };
                    self.present(now, then, *ino)?;
                    self.free(then)?;
                }
                Op::Swap { at, new, old, slot } => {
                    let (here, kept) = if forward { (*old, *new) } else { (*new, *old) };
                    self.at(&Spot::Place(at.clone()), here, !self.stages.contains(slot) || forward)?;
                    self.at(&Spot::Slot(slot.clone()), kept, false)?;
                }
                Op::Write { at, ino, .. } => {
                    self.at(&Spot::Place(at.clone()), *ino, true)?;
                }
                Op::Meta { after, at, before, ino } => {
                    let expected = if forward { before } else { after };
                    let Some((found, stat)) = self.find(&Spot::Place(at.clone()))? else { continue };
                    let same = stat.mode & 0o7777 == expected.mode || stat.is_symlink();
                    if stat.ino == *ino && !(same && (stat.uid, stat.gid) == (expected.uid, expected.gid)) {
                        self.conflict(&found, "somebody else changed its mode or owner");
                    }
                    if stat.ino == *ino && !stat.is_dir() {
                        self.unchanged(&found, &stat);
                    }
                }
                Op::Link { at, ino, .. } if !forward => self.at(&Spot::Place(at.clone()), *ino, false)?,
                Op::Link { at, .. } => self.free(&Spot::Place(at.clone()))?,
                Op::Times { after, at, before, ino, was } => {
                    let (place, (_, mtime)) = if forward { (was, before) } else { (at, after) };
                    let Some(place) = place else { continue };
                    let stat = self.find(&Spot::Place(place.clone()))?;
                    if stat.is_some_and(|(_, s)| s.ino == *ino && Timestamp::from(s.mtime) != *mtime) {
                        self.out.foreign.insert(*ino);
                    }
                }
            }
            self.go_past(op);
        }
        Ok(())
    }

    fn go_past(&mut self, op: &Op) {
        let (Op::Move { from, to, .. }, direction) = (op, self.direction) else {
            return self.ahead.step(op, self.direction);
        };
        let from = if direction == Direction::Forward { from } else { to };
        if let Some(Spot::Place(place)) = self.ahead.today(from) {
            self.taken_out.insert(place);
        }
        self.ahead.step(op, direction);
    }

    fn shown(&self, spot: &Spot) -> Bytes {
        match spot {
            Spot::Place(p) => shown(self.sites, p),
            Spot::Slot(s) => self.sites[usize::from(s.vol)].root.join(s.path.as_slice()),
        }
    }

    fn conflict(&mut self, at: &Spot, why: &str) {
        let conflict = Conflict { path: self.shown(at), why: why.to_owned() };
        if self.said.insert((conflict.path.clone(), conflict.why.clone())) {
            self.out.conflicts.push(conflict);
        }
    }

    fn gone(&self, spot: &Spot) -> bool {
        let vol = match spot {
            Spot::Place(p) => p.vol,
            Spot::Slot(s) => s.vol,
        };
        self.sites[usize::from(vol)].volume().is_none()
    }

    /// What a step will find at a spot: where it is today, and its state.
    fn find(&mut self, spot: &Spot) -> Result<Option<(Spot, Stat)>, CommitError> {
        let Some(today) = self.ahead.today(spot) else { return Ok(None) };
        let at = match &today {
            Spot::Place(p) => at_place(self.sites, p),
            Spot::Slot(s) => at_slot(self.sites, s),
        };
        let at = match at {
            // As any other: the run stays as it is, and is told of all of them.
            Err(CommitError::Conflict { conflict } | CommitError::Withheld { conflict }) => {
                if self.said.insert((conflict.path.clone(), conflict.why.clone())) {
                    self.out.conflicts.push(conflict);
                }
                return Ok(None);
            }
            other => other?,
        };
        let Some(at) = at else { return Ok(None) };
        Ok(sys::stat_at(at.dir(), &at.name).map_err(at.step("look at"))?.map(|stat| (today, stat)))
    }

    /// The object of a move is where it should be, and if it is about to be lost or taken away, as it
    /// should be.
    fn present(&mut self, now: &Spot, then: &Spot, ino: u64) -> Result<(), CommitError> {
        // What is only renamed keeps whatever was done to it meanwhile.
        let goes = match (now, then) {
            (Spot::Place(_), Spot::Slot(slot)) => !self.stages.contains(slot),
            _ => false,
        };
        self.at(now, ino, goes)
    }

    /// `ino` is at the spot; with `strict` also unchanged since the bound, and all beneath it.
    fn at(&mut self, spot: &Spot, ino: u64, strict: bool) -> Result<(), CommitError> {
        if self.gone(spot) {
            return Ok(());
        }
        match self.find(spot)? {
            Some((today, stat)) if stat.ino == ino => match (&today, strict) {
                (_, false) | (Spot::Slot(_), true) => Ok(()),
                (Spot::Place(place), true) if stat.is_dir() => self.beneath(&place.clone(), &stat),
                (Spot::Place(_), true) => {
                    self.unchanged(&today, &stat);
                    Ok(())
                }
            },
            Some((today, _)) => {
                self.conflict(&today, "something else is there now");
                Ok(())
            }
            None => {
                let why = match spot {
                    Spot::Place(_) => "it is gone",
                    Spot::Slot(_) => "the vault no longer has what belongs here",
                };
                self.conflict(spot, why);
                Ok(())
            }
        }
    }

    fn bound(&self, vol: u16) -> Option<Timestamp> {
        self.bounds.ends.get(usize::from(vol)).copied().flatten()
    }

    fn is_foreign(&self, vol: u16, ino: u64) -> bool {
        self.bounds.foreign.iter().any(|f| (f.vol, f.ino) == (vol, ino))
    }

    /// The change time before the bound that stands for the same object with the same content; none
    /// where somebody else has changed it since.
    fn settled(&self, vol: u16, ino: u64, ctime: Timestamp) -> Option<Timestamp> {
        let bound = self.bound(vol)?;
        if self.is_foreign(vol, ino) {
            return None;
        }
        let vault = &self.plan.volumes[usize::from(vol)].vault_id;
        self.bounds.history.settled(vault, ino, ctime, bound)
    }

    fn unchanged(&mut self, today: &Spot, stat: &Stat) {
        // What is in the vault nobody else can reach.
        let Spot::Place(place) = today else { return };
        self.out.seen.insert((place.vol, stat.ino), (Seen::from(stat), place.clone()));
        let known = self.bounds.known.get(&(stat.dev, stat.ino));
        let same = match (self.settled(place.vol, stat.ino, Timestamp::from(stat.ctime)), known) {
            // A clock that was set back gives change times that are earlier than the bound.
            (Some(then), Some(known)) => (then, stat.size) == *known,
            (settled, None) => settled.is_some(),
            (None, Some(_)) => false,
        };
        if !same {
            self.conflict(today, CHANGED);
        }
    }

    fn beneath(&mut self, place: &Place, top: &Stat) -> Result<(), CommitError> {
        if !self.bounds.deep {
            return Ok(());
        }
        let site = &self.sites[usize::from(place.vol)];
        let (Some(root), Some(bound)) = (site.root(), self.bound(place.vol)) else { return Ok(()) };
        let path = shown(self.sites, place);
        let failed = |source| CommitError::Step { what: "look beneath", path: path.clone(), source };
        let vol = place.vol;
        let late =
            |ino, ctime| (ctime >= bound || self.is_foreign(vol, ino)) && self.settled(vol, ino, ctime).is_none();
        // What can't be looked into now couldn't be when a person was asked about just that; where it
        // could, its mode or owner was changed since.
        let shut = |path: Bytes| Conflict { path, why: "it can't be looked into".to_owned() };
        let denied = || late(top.ino, Timestamp::from(top.ctime)).then(|| shut(path.clone()));
        let refused = |e: &io::Error| e.kind() == io::ErrorKind::PermissionDenied;
        let dir = match sys::open_dir_read(root, place.path.as_slice()) {
            Err(e) if refused(&e) => {
                let conflict = denied();
                self.out.conflicts.extend(conflict);
                return Ok(());
            }
            other => other.map_err(failed)?,
        };
        let edge = match place.path.as_slice() {
            b"" => Bytes::default(),
            path => Bytes::new([path, b"/"].concat()),
        };
        let skip: HashSet<Bytes> = self
            .taken_out
            .range(Place { path: edge.clone(), vol: 0 }..)
            .take_while(|p| p.path.as_slice().starts_with(edge.as_slice()))
            .filter(|p| p.vol == place.vol && *p != place)
            .map(|p| shown(self.sites, p))
            .collect();
        let (progress, openers) = (AtomicU64::new(0), Openers::default());
        let foreign = |s: &Stat| late(s.ino, Timestamp::from(s.ctime));
        let count = Count {
            dir: dir.as_fd(),
            path: &path,
            skip: &skip,
            openers: &openers,
            foreign: &foreign,
            shut: &late,
            progress: &progress,
        };
        let found: Vec<Conflict> = match count.run() {
            Err(e) if refused(&e) => denied().into_iter().collect(),
            other => {
                let counted = other.map_err(failed)?;
                let changed = counted.changed.into_iter().map(|path| Conflict { path, why: CHANGED.to_owned() });
                let mut found: Vec<Conflict> = changed.chain(counted.denied.into_iter().map(shut)).collect();
                if let (Some(last), 1..) = (found.last_mut(), counted.denied_more) {
                    last.why.push_str(&format!(", nor can {} more", counted.denied_more));
                }
                found
            }
        };
        self.out.conflicts.extend(found);
        Ok(())
    }

    /// The name will be free when its turn comes, and its directory there.
    fn free(&mut self, spot: &Spot) -> Result<(), CommitError> {
        let Spot::Place(place) = spot else { return Ok(()) };
        if self.gone(spot) {
            return Ok(());
        }
        if let Some((today, _)) = self.find(spot)? {
            self.conflict(&today, "something else is there now");
            return Ok(());
        }
        let parent = Spot::Place(Place { path: place.path.parent(), vol: place.vol });
        if !place.path.parent().is_empty() && !self.find(&parent)?.is_some_and(|(_, stat)| stat.is_dir()) {
            self.conflict(spot, "its directory is gone");
        }
        Ok(())
    }
}
