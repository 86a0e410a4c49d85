//! Turns the book of effects into the plan: first what leaves its place (deepest first, by the old
//! paths), then what enters (parents first, by the new paths), then further names, then times.
//!
//! A new directory enters the tree by one rename, with all that is new beneath it. What stands in
//! it only as a proxy (an object that exists in the lower tree) is first moved aside in the vault.

use std::collections::{BTreeMap, HashMap, HashSet};

use backstop_core::bytes::Bytes;
use backstop_core::plan::{Keep, Op, Place, Slot, Spot};
use backstop_core::time::Timestamp;
use backstop_sys::fs::Stat;

use super::effects::Book;
use super::fate::Fate;
use super::{LedgerError, Measured};

struct Planner<'a, 'b> {
    book: &'b Book<'a>,
    /// Index of a found object by (layer, path in the upper).
    by_path: HashMap<(usize, Bytes), usize>,
    /// Where proxies were moved aside to: (layer, path in the upper) -> slot path.
    asides: HashMap<(usize, Bytes), Bytes>,
    asided: Vec<Op>,
    /// Changes of objects whose name goes away, by way of that name.
    early: Vec<Op>,
    leaves: Vec<(usize, Bytes, Op)>,
    enters: Vec<(Bytes, Vec<Op>)>,
    links: Vec<Op>,
    times: BTreeMap<(usize, u64), Op>,
    keeps: Vec<Keep>,
    slots: u32,
}

/// Makes the plan; gives the book's effects along.
pub(super) fn plan(book: Book<'_>) -> Result<Measured, LedgerError> {
    let mut p = Planner {
        book: &book,
        by_path: book.found.iter().enumerate().map(|(i, f)| ((f.layer, f.up.clone()), i)).collect(),
        asides: HashMap::new(),
        asided: Vec::new(),
        early: Vec::new(),
        leaves: Vec::new(),
        enters: Vec::new(),
        links: Vec::new(),
        times: BTreeMap::new(),
        keeps: Vec::new(),
        slots: 0,
    };
    p.aside();
    let swapped = p.leave();
    for i in 0..book.found.len() {
        p.enter(i, swapped.get(&i));
    }
    // Children before parents: once a directory has left, its old paths lead nowhere.
    p.leaves.sort_by(|a, b| (a.0, &b.1).cmp(&(b.0, &a.1)));
    p.enters.sort_by(|a, b| a.0.cmp(&b.0));
    let mut ops = p.early;
    ops.append(&mut p.asided);
    ops.extend(p.leaves.into_iter().map(|(_, _, op)| op));
    ops.extend(p.enters.into_iter().flat_map(|(_, ops)| ops));
    ops.append(&mut p.links);
    let touched: HashSet<Place> = ops.iter().flat_map(Op::places).map(parent).collect();
    ops.extend(p.times.into_values().filter(|op| changes_or_is_touched(op, &touched)));
    let keeps = p.keeps;
    Ok(Measured {
        effects: book.effects,
        conflicts: book.conflicts,
        incomplete: book.incomplete,
        ops,
        keeps,
        crossings: Vec::new(),
    })
}

fn parent(place: &Place) -> Place {
    Place { path: place.path.parent(), vol: place.vol }
}

/// A directory's times are set where the command changed them, or where our own renames would.
fn changes_or_is_touched(op: &Op, touched: &HashSet<Place>) -> bool {
    let Op::Times { after, at, before, was, .. } = op else { return true };
    after.1 != before.1 || [at, was].into_iter().flatten().any(|p| touched.contains(p))
}

impl Planner<'_, '_> {
    fn volume(&self, layer: usize) -> usize {
        self.book.input.layers[layer].volume
    }

    fn vol(&self, layer: usize) -> u16 {
        u16::try_from(self.volume(layer)).expect("a machine has fewer than 65,536 mounts")
    }

    fn place(&self, layer: usize, path: Bytes) -> Place {
        Place { path, vol: self.vol(layer) }
    }

    fn new_slot(&mut self, layer: usize) -> Slot {
        self.slots += 1;
        Slot { path: Bytes::new(format!("keep/{}", self.slots)), vol: self.vol(layer) }
    }

    fn fate(&self, i: usize) -> &Fate {
        &self.book.fates.fates[i]
    }

    fn parent_is_new(&self, i: usize) -> bool {
        let f = &self.book.found[i];
        !f.up.is_empty()
            && self
                .by_path
                .get(&(f.layer, f.up.parent()))
                .is_some_and(|&p| matches!(self.fate(p), Fate::New) && self.book.found[p].stat.is_dir())
    }

    /// The vault path of a found object's upper, wherever it was moved aside to.
    fn slot(&self, i: usize) -> Slot {
        let f = &self.book.found[i];
        let mut here = f.up.clone();
        while !here.is_empty() {
            if let Some(aside) = self.asides.get(&(f.layer, here.clone())) {
                let rest = f.up.as_slice()[here.as_slice().len()..].to_vec();
                let rest = rest.strip_prefix(b"/").unwrap_or(&rest).to_vec();
                let path = if rest.is_empty() { aside.clone() } else { aside.join(&rest) };
                return Slot { path, vol: self.vol(f.layer) };
            }
            here = here.parent();
        }
        let upper = &self.book.input.layers[f.layer].upper;
        Slot { path: if f.up.is_empty() { upper.clone() } else { upper.join(f.up.as_slice()) }, vol: self.vol(f.layer) }
    }

    /// Moves proxies out of new directories. Parents come first in `found`, so a proxy's own
    /// children are addressed through it.
    fn aside(&mut self) {
        for i in 0..self.book.found.len() {
            if matches!(self.fate(i), Fate::New) || !self.parent_is_new(i) {
                continue;
            }
            let f = &self.book.found[i];
            let from = self.slot(i);
            let to = self.new_slot(f.layer);
            self.asides.insert((f.layer, f.up.clone()), to.path.clone());
            self.asided.push(Op::Move { from: Spot::Slot(from), ino: f.stat.ino, to: Spot::Slot(to) });
            if let Some(&parent) = self.by_path.get(&(f.layer, f.up.parent())) {
                self.new_directory_times(parent);
            }
        }
    }

    /// What leaves its place. A lost object whose place is taken by another stays until they are
    /// swapped in one step: returns those, by the index of who comes.
    fn leave(&mut self) -> HashMap<usize, u64> {
        let mut swapped = HashMap::new();
        for lost in &self.book.lost {
            let comes = matches!(self.fate(lost.by), Fate::New | Fate::Moved(_));
            // Only at the very same place: below a moved directory both are, and stay, side by side.
            if comes {
                swapped.insert(lost.by, lost.lower.stat.ino);
                continue;
            }
            let to = self.new_slot(lost.layer);
            self.detach(lost.layer, &lost.lower.place, lost.lower.stat.ino, to);
        }
        swapped
    }

    fn detach(&mut self, layer: usize, place: &Bytes, ino: u64, to: Slot) {
        let from = Spot::Place(self.place(layer, place.clone()));
        let vol = self.volume(layer);
        self.leaves.push((vol, place.clone(), Op::Move { from, ino, to: Spot::Slot(to) }));
        // The parent may itself be lost (kept in the vault); its times are for the way back.
        if let Some((parent, stat)) = self.book.parent_before(vol, place) {
            let was = Some(self.place(layer, parent));
            let times = both(&stat);
            let op = Op::Times { after: times, at: None, before: times, ino: stat.ino, was };
            self.times.entry((vol, stat.ino)).or_insert(op);
        }
    }

    fn enter(&mut self, i: usize, swapped: Option<&u64>) {
        let book = self.book;
        let f = &book.found[i];
        let at = self.place(f.layer, book.place(i));
        let mut ops = Vec::new();
        match self.fate(i).clone() {
            Fate::Whiteout => return,
            Fate::Linked(of, lower) => {
                let of = self.place(f.layer, of);
                self.links.push(Op::Link { at, ino: lower.stat.ino, of });
                return;
            }
            Fate::New => {
                if self.parent_is_new(i) {
                    return;
                }
                let slot = self.slot(i);
                ops.push(match swapped {
                    Some(&old) => Op::Swap { at, new: f.stat.ino, old, slot },
                    None => Op::Move { from: Spot::Slot(slot), ino: f.stat.ino, to: Spot::Place(at) },
                });
            }
            Fate::Same => {
                if let Some(lower) = &f.lower {
                    self.change(i, &at, lower.stat.ino, &lower.place.clone(), &mut ops);
                }
            }
            Fate::Moved(source) => {
                let stage = self.new_slot(f.layer);
                let ino = source.stat.ino;
                self.detach(f.layer, &source.place, ino, stage.clone());
                ops.push(match swapped {
                    Some(&old) => Op::Swap { at: at.clone(), new: ino, old, slot: stage },
                    None => Op::Move { from: Spot::Slot(stage), ino, to: Spot::Place(at.clone()) },
                });
                self.change(i, &at, ino, &source.place, &mut ops);
            }
        }
        if f.stray {
            // Its name here may be on its way out; it is written before anything moves.
            self.early.append(&mut ops);
            return;
        }
        self.enters.push((book.after(i), ops));
    }

    /// Content and metadata of an object that stays; times of a directory.
    fn change(&mut self, i: usize, at: &Place, ino: u64, was: &Bytes, ops: &mut Vec<Op>) {
        let book = self.book;
        let f = &book.found[i];
        if let Some(difference) = book.differences.get(&i) {
            if difference.content {
                let old = self.new_slot(f.layer);
                let from = self.place(f.layer, was.clone());
                self.keeps.push(Keep { from, ino, to: old.clone() });
                ops.push(Op::Write { at: at.clone(), ino, new: self.slot(i), old });
            }
            if let Some((before, after)) = &difference.meta {
                ops.push(Op::Meta { after: after.clone(), at: at.clone(), before: before.clone(), ino });
            }
        }
        if f.stat.is_dir() {
            let lower = match self.fate(i) {
                Fate::Moved(source) => Some(source.stat),
                _ => f.lower.as_ref().map(|l| l.stat),
            };
            let Some(lower) = lower else { return };
            // Others make entries in it meanwhile: its times are theirs as much as ours.
            if Timestamp::from(lower.ctime) >= book.input.volumes[self.volume(f.layer)].t0 {
                return;
            }
            let moved = matches!(self.fate(i), Fate::Moved(_));
            if lower.mtime == f.stat.mtime && !moved {
                // Unchanged by the command; but if entries leave or enter here, it is noted by them.
                self.steady_directory(i, at, &lower, was);
                return;
            }
            let was = Some(self.place(f.layer, was.clone()));
            let op = Op::Times { after: both(&f.stat), at: Some(at.clone()), before: both(&lower), ino, was };
            self.times.insert((self.volume(f.layer), ino), op);
        }
    }

    /// A directory whose times the command left (or set back) as they were: our own renames in it
    /// must not show either.
    fn steady_directory(&mut self, i: usize, at: &Place, lower: &Stat, was: &Bytes) {
        let f = &self.book.found[i];
        let key = (self.volume(f.layer), lower.ino);
        let was = Some(self.place(f.layer, was.clone()));
        let op = Op::Times { after: both(&f.stat), at: Some(at.clone()), before: both(lower), ino: lower.ino, was };
        self.times.insert(key, op);
    }

    /// A new directory that proxies were moved out of (and enter again) keeps the times it had.
    fn new_directory_times(&mut self, i: usize) {
        let f = &self.book.found[i];
        let at = Some(self.place(f.layer, self.book.place(i)));
        let times = both(&f.stat);
        let op = Op::Times { after: times, at, before: times, ino: f.stat.ino, was: None };
        self.times.insert((self.volume(f.layer), f.stat.ino), op);
    }
}

fn both(stat: &Stat) -> (Timestamp, Timestamp) {
    (Timestamp::from(stat.atime), Timestamp::from(stat.mtime))
}
