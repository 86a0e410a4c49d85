//! While a transaction is under way: what it has not come to yet has to be as it was when the intent was
//! written. Looks only. A plan of many files takes its time, and an edit made meanwhile must not be
//! written over, nor a file that was worked on be taken out of the tree.

use std::collections::{BTreeMap, HashMap, HashSet};

use backstop_core::plan::{Direction, Op, Place, Plan, Slot, Spot};

use super::check::{CHANGED, stages};
use super::{CommitError, Foreign, Left, Seen, Sites, apply, at_place, shown};

/// A volume and an inode.
type Key = (u16, u64);

/// What our own steps have done to an object so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    /// Another name, or one more or less: that gives a new change time and leaves all else.
    Named,
    /// New content or metadata: it is compared with what our steps have left.
    Written,
}

/// What is known of the objects of a transaction that is under way.
pub(crate) struct Fresh<'a> {
    plan: &'a Plan,
    before: &'a BTreeMap<Key, Seen>,
    stages: HashSet<&'a Slot>,
    done: HashMap<Key, Done>,
    /// How our steps have left what they wrote into or dressed.
    left: HashMap<Key, Left>,
    direction: Direction,
    sites: &'a Sites,
}

impl<'a> Fresh<'a> {
    /// For a plan whose objects were found like this before the first step.
    pub fn new(plan: &'a Plan, direction: Direction, before: &'a BTreeMap<Key, Seen>, sites: &'a Sites) -> Self {
        // Directories' times are set in any case, also where all is taken back.
        let times = plan.ops.iter().filter_map(|op| match op {
            Op::Times { at, ino, was, .. } => at.as_ref().or(was.as_ref()).map(|p| ((p.vol, *ino), Done::Named)),
            _ => None,
        });
        Self { plan, before, stages: stages(plan), done: times.collect(), left: HashMap::new(), direction, sites }
    }

    /// True for an object that our steps have come to: its change time is our doing.
    pub fn is_ours(&self, vol: u16, ino: u64) -> bool {
        self.done.contains_key(&(vol, ino))
    }

    /// Hears how a step has left what it wrote into or dressed; nothing where that is not known.
    pub fn did(&mut self, op: &Op, left: Option<Seen>) {
        let (Op::Write { at, ino, .. } | Op::Meta { at, ino, .. }) = op else { return };
        match left {
            Some(seen) => self.left.insert((at.vol, *ino), Left { seen, named: false }),
            None => self.left.remove(&(at.vol, *ino)),
        };
    }

    /// How our steps have left what they wrote into or dressed.
    pub const fn left(&self) -> &HashMap<Key, Left> {
        &self.left
    }

    /// What somebody else changed after our step and before the end, where objects are now like this.
    pub fn foreign(&self, now: &BTreeMap<Key, Seen>) -> Vec<Foreign> {
        let mut told = HashSet::new();
        let other = |op: &Op| {
            let (Op::Write { at, ino, .. } | Op::Meta { at, ino, .. }) = op else { return None };
            let key = (at.vol, *ino);
            let (left, now) = self.left.get(&key).zip(now.get(&key))?;
            (!left.is(now) && told.insert(key)).then(|| Foreign { ino: *ino, path: shown(self.sites, at), vol: at.vol })
        };
        self.plan.ops.iter().filter_map(other).collect()
    }

    /// Looks at what a step is about to write over, change or take out of the tree.
    pub fn look(&mut self, op: &Op) -> Result<(), CommitError> {
        let forward = self.direction == Direction::Forward;
        match op {
            Op::Move { from, ino, to } => {
                let (now, then) = if forward { (from, to) } else { (to, from) };
                if let (Spot::Place(place), Spot::Slot(slot)) = (now, then)
                    // What only passes through the vault keeps whatever is done to it.
                    && !self.stages.contains(slot)
                {
                    self.same(place, *ino)?;
                }
                self.note(vol(from), *ino, Done::Named);
            }
            Op::Swap { at, new, old, slot } => {
                if !self.stages.contains(slot) || forward {
                    self.same(at, if forward { *old } else { *new })?;
                }
                self.note(at.vol, *new, Done::Named);
                self.note(at.vol, *old, Done::Named);
            }
            Op::Write { at, ino, .. } | Op::Meta { at, ino, .. } => {
                self.same(at, *ino)?;
                self.note(at.vol, *ino, Done::Written);
            }
            Op::Link { at, ino, .. } => self.note(at.vol, *ino, Done::Named),
            Op::Times { .. } => {}
        }
        Ok(())
    }

    fn note(&mut self, vol: u16, ino: u64, done: Done) {
        let so_far = self.done.entry((vol, ino)).or_insert(done);
        *so_far = done.max(*so_far);
        if let (Done::Named, Some(left)) = (done, self.left.get_mut(&(vol, ino))) {
            left.named = true;
        }
    }

    fn same(&self, place: &Place, ino: u64) -> Result<(), CommitError> {
        let (Some(was), done) = (self.before.get(&(place.vol, ino)), self.done.get(&(place.vol, ino))) else {
            return Ok(());
        };
        let left = self.left.get(&(place.vol, ino));
        if left.is_none() && done == Some(&Done::Written) {
            return Ok(());
        }
        let Some(at) = at_place(self.sites, place)? else { return Ok(()) };
        // Another object, or none: the step says so itself. A directory's times follow our own steps.
        let Some(stat) = apply::look(&at)?.filter(|stat| stat.ino == ino && !stat.is_dir()) else { return Ok(()) };
        let now = Seen::from(&stat);
        if !left.copied().unwrap_or(Left { seen: *was, named: done.is_some() }).is(&now) {
            return Err(at.conflict(CHANGED));
        }
        Ok(())
    }
}

const fn vol(spot: &Spot) -> u16 {
    match spot {
        Spot::Place(p) => p.vol,
        Spot::Slot(s) => s.vol,
    }
}
