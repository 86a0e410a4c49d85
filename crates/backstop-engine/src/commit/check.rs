//! The re-check: is everything still as the plan knows it? For a commit, as the rehearsal saw it; for
//! undo and redo, as the last transaction left it. O(changes), and for what goes as a whole directory
//! everything beneath. Reads only.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Conflict;
use backstop_core::plan::{Direction, Op, Place, Plan, Spot};
use backstop_core::time::Timestamp;
use backstop_sys::fs::{self as sys, Stat};

use super::{CommitError, History, Sites, at_place, at_slot, shown};
use crate::ledger::{Count, Openers};

/// What the plan's objects are compared with.
pub(crate) struct Bounds<'a> {
    /// Per volume: an object that changed at or after this moment was changed by somebody else.
    pub ends: &'a [Option<Timestamp>],
    /// Change times that are our own doing.
    pub history: &'a History,
}

/// The result.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// What is not as the plan knows it.
    pub conflicts: Vec<Conflict>,
    /// Directories that somebody else changed: their times are left alone.
    pub foreign: HashSet<u64>,
}

struct Checker<'a> {
    plan: &'a Plan,
    direction: Direction,
    sites: &'a Sites,
    bounds: &'a Bounds<'a>,
    /// Where objects are now that this transaction will take away, so that their places get free.
    vacated: HashSet<&'a Place>,
    /// Vault slots through which objects only pass from one place to another.
    stages: HashSet<&'a backstop_core::plan::Slot>,
    /// Places that such objects come from or go to.
    passing: HashSet<&'a Place>,
    out: Checked,
}

/// Checks a plan that is about to be applied in this direction.
pub(crate) fn check(
    plan: &Plan,
    direction: Direction,
    sites: &Sites,
    bounds: &Bounds<'_>,
) -> Result<Checked, CommitError> {
    let mut vacated = HashSet::new();
    let mut into: HashSet<&backstop_core::plan::Slot> = HashSet::new();
    let mut out_of: HashSet<&backstop_core::plan::Slot> = HashSet::new();
    for op in &plan.ops {
        match (op, direction) {
            (Op::Move { from: Spot::Place(p), .. }, Direction::Forward)
            | (Op::Move { to: Spot::Place(p), .. } | Op::Link { at: p, .. }, Direction::Backward) => {
                vacated.insert(p);
            }
            _ => {}
        }
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
    let stages: HashSet<_> = into.intersection(&out_of).copied().collect();
    let passing = plan.ops.iter().filter_map(|op| match op {
        Op::Move { from: Spot::Place(p), to: Spot::Slot(s), .. }
        | Op::Move { from: Spot::Slot(s), to: Spot::Place(p), .. } => stages.contains(s).then_some(p),
        _ => None,
    });
    let passing = passing.collect();
    let mut checker = Checker { plan, direction, sites, bounds, vacated, stages, passing, out: Checked::default() };
    checker.run()?;
    Ok(checker.out)
}

impl Checker<'_> {
    fn run(&mut self) -> Result<(), CommitError> {
        let plan = self.plan;
        let keeps: HashMap<u64, &Place> = plan.keeps.iter().map(|k| (k.ino, &k.from)).collect();
        for op in &plan.ops {
            let forward = self.direction == Direction::Forward;
            match op {
                Op::Move { from, ino, to } => {
                    let (now, then) = if forward { (from, to) } else { (to, from) };
                    self.present(now, *ino)?;
                    self.free(then)?;
                }
                Op::Swap { at, new, old, slot } => {
                    let (here, kept) = if forward { (*old, *new) } else { (*new, *old) };
                    // In an undo the place may lie in a directory that is still where the run left it.
                    self.at(at, here, !self.stages.contains(slot) || forward)?;
                    if !self.stages.contains(slot) || !forward {
                        self.in_vault(&Spot::Slot(slot.clone()), kept)?;
                    }
                }
                Op::Write { at, ino, .. } => {
                    let place = if forward { keeps.get(ino).copied().unwrap_or(at) } else { at };
                    self.at(place, *ino, true)?;
                }
                Op::Meta { after, at, before, ino } => {
                    let expected = if forward { before } else { after };
                    let Some(stat) = self.find(&Spot::Place(at.clone()))? else { continue };
                    let same = stat.mode & 0o7777 == expected.mode || stat.is_symlink();
                    if stat.ino == *ino && !(same && (stat.uid, stat.gid) == (expected.uid, expected.gid)) {
                        self.conflict(at, "somebody else changed its mode or owner");
                    }
                    if stat.ino == *ino && !stat.is_dir() {
                        self.unchanged(at, &stat);
                    }
                }
                Op::Link { at, ino, .. } if !forward => self.at(at, *ino, false)?,
                Op::Link { at, .. } => self.free(&Spot::Place(at.clone()))?,
                Op::Times { after, at, before, ino, was } => {
                    let (place, (_, mtime)) = if forward { (was, before) } else { (at, after) };
                    let Some(place) = place else { continue };
                    let stat = self.find(&Spot::Place(place.clone()))?;
                    if stat.is_some_and(|s| s.ino == *ino && Timestamp::from(s.mtime) != *mtime) {
                        self.out.foreign.insert(*ino);
                    }
                }
            }
        }
        Ok(())
    }

    fn conflict(&mut self, at: &Place, why: &str) {
        self.out.conflicts.push(Conflict { path: shown(self.sites, at), why: why.to_owned() });
    }

    fn gone(&self, vol: u16) -> bool {
        self.sites[usize::from(vol)].volume().is_none()
    }

    fn find(&self, spot: &Spot) -> Result<Option<Stat>, CommitError> {
        let at = match spot {
            Spot::Place(p) => at_place(self.sites, p)?,
            Spot::Slot(s) => at_slot(self.sites, s)?,
        };
        let Some(at) = at else { return Ok(None) };
        sys::stat_at(at.dir(), &at.name).map_err(at.step("look at"))
    }

    /// The object of a move is where it should be, and if it is about to be lost or taken away, as it
    /// should be.
    fn present(&mut self, spot: &Spot, ino: u64) -> Result<(), CommitError> {
        match spot {
            Spot::Place(place) => {
                // What is only renamed keeps whatever was done to it meanwhile.
                let passes = self.passing.contains(place);
                self.at(place, ino, !passes)
            }
            Spot::Slot(slot) if self.stages.contains(slot) => Ok(()),
            Spot::Slot(_) => self.in_vault(spot, ino),
        }
    }

    fn in_vault(&mut self, spot: &Spot, ino: u64) -> Result<(), CommitError> {
        let Spot::Slot(slot) = spot else { return Ok(()) };
        if self.gone(slot.vol) || self.find(spot)?.is_some_and(|s| s.ino == ino) {
            return Ok(());
        }
        // A proxy that an earlier step of this very plan moves aside or back is found by that step.
        let moved = self.plan.ops.iter().any(|op| {
            matches!(op, Op::Move { from: Spot::Slot(a), to: Spot::Slot(b), .. }
                if slot.path.is_beneath(a.path.as_slice()) || slot.path.is_beneath(b.path.as_slice()))
        });
        if !moved {
            let root = &self.sites[usize::from(slot.vol)].root;
            let why = "the vault no longer has what belongs here".to_owned();
            self.out.conflicts.push(Conflict { path: root.join(slot.path.as_slice()), why });
        }
        Ok(())
    }

    /// `ino` is at the place; with `strict` also unchanged since the bound, and all beneath it.
    fn at(&mut self, place: &Place, ino: u64, strict: bool) -> Result<(), CommitError> {
        if self.gone(place.vol) {
            return Ok(());
        }
        match self.find(&Spot::Place(place.clone()))? {
            Some(stat) if stat.ino == ino => {
                if !strict {
                    return Ok(());
                }
                if stat.is_dir() {
                    self.beneath(place)
                } else {
                    self.unchanged(place, &stat);
                    Ok(())
                }
            }
            Some(_) => {
                self.conflict(place, "something else is there now");
                Ok(())
            }
            None => {
                if !self.comes_back(place) {
                    self.conflict(place, "it is gone");
                }
                Ok(())
            }
        }
    }

    fn bound(&self, vol: u16) -> Option<Timestamp> {
        self.bounds.ends.get(usize::from(vol)).copied().flatten()
    }

    fn settled(&self, vol: u16, stat: &Stat) -> bool {
        let Some(bound) = self.bound(vol) else { return false };
        let vault = &self.plan.volumes[usize::from(vol)].vault_id;
        self.bounds.history.settled(vault, stat.ino, Timestamp::from(stat.ctime), bound)
    }

    fn unchanged(&mut self, place: &Place, stat: &Stat) {
        if !self.settled(place.vol, stat) {
            self.conflict(place, "somebody else changed it meanwhile");
        }
    }

    fn beneath(&mut self, place: &Place) -> Result<(), CommitError> {
        let site = &self.sites[usize::from(place.vol)];
        let (Some(root), Some(bound)) = (site.root(), self.bound(place.vol)) else { return Ok(()) };
        let path = shown(self.sites, place);
        let failed = |source| CommitError::Step { what: "look beneath", path: path.clone(), source };
        let dir = match sys::open_dir_read(root, place.path.as_slice()) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other.map_err(failed)?,
        };
        let skip: HashSet<Bytes> = self
            .vacated
            .iter()
            .filter(|p| p.vol == place.vol && *p != &place && p.path.is_beneath(place.path.as_slice()))
            .map(|p| shown(self.sites, p))
            .collect();
        let (progress, openers) = (AtomicU64::new(0), Openers::default());
        let vol = place.vol;
        let foreign = |s: &Stat| Timestamp::from(s.ctime) >= bound && !self.settled(vol, s);
        let count = Count {
            dir: dir.as_fd(),
            path: &path,
            skip: &skip,
            openers: &openers,
            foreign: &foreign,
            progress: &progress,
        };
        let counted = match count.run() {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other.map_err(failed)?,
        };
        for path in counted.changed {
            self.out.conflicts.push(Conflict { path, why: "somebody else changed it meanwhile".to_owned() });
        }
        Ok(())
    }

    /// The name is free, or will be when its turn comes.
    fn free(&mut self, spot: &Spot) -> Result<(), CommitError> {
        let Spot::Place(place) = spot else { return Ok(()) };
        if self.gone(place.vol) || self.vacated.contains(place) {
            return Ok(());
        }
        if self.find(spot)?.is_some() {
            self.conflict(place, "something else is there now");
            return Ok(());
        }
        let parent = Place { path: place.path.parent(), vol: place.vol };
        if !place.path.parent().is_empty() && self.find(&Spot::Place(parent))?.is_none() && !self.comes_back(place) {
            self.conflict(place, "its directory is gone");
        }
        Ok(())
    }

    /// True when a directory above (or the place itself) is put there by a step of this plan.
    fn comes_back(&self, place: &Place) -> bool {
        self.plan.ops.iter().any(|op| {
            let to = match (op, self.direction) {
                (Op::Move { to: Spot::Place(p), .. }, Direction::Forward) => p,
                (Op::Move { from: Spot::Place(p), .. }, Direction::Backward) => p,
                (Op::Swap { at, .. }, _) => at,
                _ => return false,
            };
            to.vol == place.vol && place.path.is_beneath(to.path.as_slice())
        })
    }
}
