//! What a transaction leaves behind for the next: when it ended by each file system's own clock, and
//! which inodes it touched. Undo needs both, to tell its own work from somebody else's: an object
//! whose change time is ours is still what we left.

use std::collections::{BTreeMap, HashMap};

use backstop_core::bytes::Bytes;
use backstop_core::effect::Conflict;
use backstop_core::plan::{Direction, Op, Plan, Spot};
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::apply::in_order;
use super::{CommitError, Sites, at_place, at_slot};

/// One object that a transaction touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Touched {
    /// Inode.
    pub ino: u64,
    /// Its change time afterwards.
    pub now: Timestamp,
    /// Volume, an index into the plan's.
    pub vol: u16,
    /// Its change time before.
    pub was: Timestamp,
}

/// A transaction that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    /// Commit or redo, or undo.
    pub direction: Direction,
    /// Per volume, a moment of its clock after the last step; none where the volume is gone.
    pub ends: Vec<Option<Timestamp>>,
    /// What others changed while it was under way, or between a crash and the recovery: theirs, though its
    /// change time is earlier than the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<Foreign>,
    /// The objects.
    pub touched: Vec<Touched>,
}

/// What somebody else changed while a transaction was under way, or unfinished after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Foreign {
    /// Inode.
    pub ino: u64,
    /// Where it was found.
    pub path: Bytes,
    /// Volume, an index into the plan's.
    pub vol: u16,
}

impl Foreign {
    /// For a person.
    pub fn told(&self) -> Conflict {
        Conflict { path: self.path.clone(), why: super::check::CHANGED.to_owned() }
    }
}

/// How an object was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its change time.
    pub ctime: Timestamp,
    /// When its content changed.
    pub mtime: Timestamp,
    /// Its length.
    pub size: u64,
}

impl From<&sys::Stat> for Seen {
    fn from(stat: &sys::Stat) -> Self {
        Self { ctime: Timestamp::from(stat.ctime), mtime: Timestamp::from(stat.mtime), size: stat.size }
    }
}

/// How our own steps have left an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    /// What it looked like then.
    pub seen: Seen,
    /// It got another name since, or one more or less: that gives a new change time and leaves all else.
    pub named: bool,
}

impl Left {
    /// True where nobody else has changed it since.
    pub fn is(&self, now: &Seen) -> bool {
        (self.seen.size, self.seen.mtime) == (now.size, now.mtime) && (self.named || self.seen.ctime == now.ctime)
    }
}

/// All objects of a plan, by volume and inode, where they are before or after it.
pub(crate) fn touched(plan: &Plan, sites: &Sites, state: Direction) -> Result<BTreeMap<(u16, u64), Seen>, CommitError> {
    let mut all = BTreeMap::new();
    let mut note = |spot: Spot| -> Result<(), CommitError> {
        let (at, vol) = match &spot {
            Spot::Place(p) => (at_place(sites, p)?, p.vol),
            Spot::Slot(s) => (at_slot(sites, s)?, s.vol),
        };
        let Some(at) = at else { return Ok(()) };
        if let Some(stat) = sys::stat_at(at.dir(), &at.name).map_err(at.step("look at"))? {
            all.insert((vol, stat.ino), Seen::from(&stat));
        }
        Ok(())
    };
    // Followed step by step: what one step takes up another may have put elsewhere first.
    let forward = state == Direction::Backward;
    let next = if forward { Direction::Forward } else { Direction::Backward };
    let mut ahead = Ahead::default();
    for op in in_order(plan, next) {
        let spots = match op {
            Op::Move { from, to, .. } => [Some(if forward { from.clone() } else { to.clone() }), None],
            Op::Swap { at, slot, .. } => [Some(Spot::Place(at.clone())), Some(Spot::Slot(slot.clone()))],
            Op::Write { at, .. } | Op::Meta { at, .. } => [Some(Spot::Place(at.clone())), None],
            Op::Link { at, of, .. } => [Some(Spot::Place(if forward { of.clone() } else { at.clone() })), None],
            // A directory beneath one that an earlier run made: its change time is ours as well, and what
            // others put into it meanwhile has change times of its own.
            Op::Times { at, was, .. } => [if forward { was } else { at }.clone().map(Spot::Place), None],
        };
        for today in spots.iter().flatten().filter_map(|spot| ahead.today(spot)) {
            note(today)?;
        }
        ahead.step(op, next);
    }
    Ok(all)
}

/// Which change times stand for the same content, over all transactions that are known.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// (vault, inode, change time) -> an earlier change time of the same object with the same content.
    same: HashMap<(String, u64, Timestamp), Timestamp>,
}

impl History {
    /// Adds a run's transactions, oldest first; `vaults` names its volumes.
    pub fn add(&mut self, vaults: &[String], receipts: &[Receipt]) {
        let mut first: HashMap<(u16, u64), (Timestamp, Timestamp)> = HashMap::new();
        for receipt in receipts {
            for t in &receipt.touched {
                let key = (t.vol, t.ino);
                let Some(vault) = vaults.get(usize::from(t.vol)) else { continue };
                // Undone, or a commit that was taken back: again what it was before the run.
                // Redone: again what it was after it.
                let earlier = match (receipt.direction, first.get(&key)) {
                    (Direction::Backward, Some((was, _))) => *was,
                    (Direction::Backward, None) => t.was,
                    (Direction::Forward, Some((_, now))) => *now,
                    (Direction::Forward, None) => {
                        first.insert(key, (t.was, t.now));
                        continue;
                    }
                };
                if earlier < t.now {
                    self.same.insert((vault.clone(), t.ino, t.now), earlier);
                }
            }
        }
    }

    /// Where an object with this change time is still what it was before `bound`: the change time it had
    /// then.
    pub fn settled(&self, vault: &str, ino: u64, ctime: Timestamp, bound: Timestamp) -> Option<Timestamp> {
        let mut here = ctime;
        while here >= bound {
            // Each step leads to an earlier moment, so this ends.
            here = *self.same.get(&(vault.to_owned(), ino, here))?;
        }
        Some(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: i64) -> Timestamp {
        Timestamp::new(n, 0)
    }

    fn receipt(direction: Direction, was: i64, now: i64) -> Receipt {
        Receipt {
            direction,
            ends: vec![Some(at(now + 1))],
            foreign: Vec::new(),
            touched: vec![Touched { ino: 7, now: at(now), vol: 0, was: at(was) }],
        }
    }

    #[test]
    fn what_a_later_run_did_and_took_back_counts_as_untouched() {
        let mut history = History::default();
        // Run 1 made inode 7 and ended at 10. Run 2 changed it at 20 and was undone at 30.
        history.add(&["v".into()], &[receipt(Direction::Forward, 9, 20), receipt(Direction::Backward, 20, 30)]);
        assert_eq!(history.settled("v", 7, at(9), at(10)), Some(at(9)), "never touched");
        assert_eq!(history.settled("v", 7, at(30), at(10)), Some(at(9)), "taken back");
        assert_eq!(history.settled("v", 7, at(20), at(10)), None, "changed by run 2");
        assert_eq!(history.settled("v", 7, at(31), at(10)), None, "changed by somebody else");
        assert_eq!(history.settled("w", 7, at(30), at(10)), None, "another file system");
    }
}
