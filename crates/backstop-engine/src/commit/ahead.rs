//! Follows a plan in the mind, step by step: where, on today's disk, is what a step will find at a spot
//! when its turn comes? Touches no disk. Without it a chain of renames looks like a conflict with itself.

use std::collections::BTreeMap;

use backstop_core::bytes::Bytes;
use backstop_core::plan::{Direction, Op, Place, Slot, Spot};

/// In the vault or not, the volume, the path.
type Key = (bool, u16, Vec<u8>);

/// What the steps so far have put elsewhere: a spot -> where that is today; none where nothing is.
#[derive(Debug, Default)]
pub(super) struct Ahead(BTreeMap<Key, Option<Spot>>);

fn key(spot: &Spot) -> Key {
    match spot {
        Spot::Place(p) => (false, p.vol, p.path.as_slice().to_vec()),
        Spot::Slot(s) => (true, s.vol, s.path.as_slice().to_vec()),
    }
}

fn below(spot: &Spot, rest: &[u8]) -> Spot {
    let join = |path: &Bytes| if rest.is_empty() { path.clone() } else { path.join(rest) };
    match spot {
        Spot::Place(p) => Spot::Place(Place { path: join(&p.path), vol: p.vol }),
        Spot::Slot(s) => Spot::Slot(Slot { path: join(&s.path), vol: s.vol }),
    }
}

impl Ahead {
    /// Where what will be at `spot` is today; none where there will be nothing.
    pub fn today(&self, spot: &Spot) -> Option<Spot> {
        let (vault, vol, path) = key(spot);
        let mut end = path.len();
        loop {
            if let Some(put) = self.0.get(&(vault, vol, path[..end].to_vec())) {
                let rest = &path[end..];
                return put.as_ref().map(|base| below(base, rest.strip_prefix(b"/").unwrap_or(rest)));
            }
            if end == 0 {
                return Some(spot.clone());
            }
            end = path[..end].iter().rposition(|b| *b == b'/').unwrap_or(0);
        }
    }

    /// Goes past a step.
    pub fn step(&mut self, op: &Op, direction: Direction) {
        match (op, direction) {
            (Op::Move { from, to, .. }, Direction::Forward)
            | (Op::Move { from: to, to: from, .. }, Direction::Backward) => {
                let moved = self.take(from);
                self.lay(to, moved);
                self.0.insert(key(from), None);
            }
            (Op::Swap { at, slot, .. }, _) => {
                let (at, slot) = (Spot::Place(at.clone()), Spot::Slot(slot.clone()));
                let (left, right) = (self.take(&at), self.take(&slot));
                self.lay(&at, right);
                self.lay(&slot, left);
            }
            (Op::Link { at, of, .. }, Direction::Forward) => {
                let today = self.today(&Spot::Place(of.clone()));
                self.0.insert(key(&Spot::Place(at.clone())), today);
            }
            (Op::Link { at, .. }, Direction::Backward) => {
                self.0.insert(key(&Spot::Place(at.clone())), None);
            }
            (Op::Write { .. } | Op::Meta { .. } | Op::Times { .. }, _) => {}
        }
    }

    /// Takes a spot and what was put beneath it out; by the rest of each path.
    fn take(&mut self, spot: &Spot) -> Vec<(Vec<u8>, Option<Spot>)> {
        let itself = self.today(spot);
        let (vault, vol, path) = key(spot);
        let edge = |end: u8| (vault, vol, [&path[..], &[end]].concat());
        // '0' is the byte after '/'.
        let beneath: Vec<Key> = self.0.range(edge(b'/')..edge(b'0')).map(|(k, _)| k.clone()).collect();
        let mut taken = vec![(Vec::new(), itself)];
        for k in beneath {
            if let Some(put) = self.0.remove(&k) {
                taken.push((k.2[path.len()..].to_vec(), put));
            }
        }
        self.0.remove(&(vault, vol, path));
        taken
    }

    fn lay(&mut self, spot: &Spot, taken: Vec<(Vec<u8>, Option<Spot>)>) {
        let (vault, vol, path) = key(spot);
        for (rest, put) in taken {
            self.0.insert((vault, vol, [&path[..], &rest].concat()), put);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Spot {
        Spot::Place(Place { path: path.into(), vol: 0 })
    }

    fn slot(path: &str) -> Spot {
        Spot::Slot(Slot { path: path.into(), vol: 0 })
    }

    #[test]
    fn a_chain_of_renames_is_followed_to_todays_disk() {
        let mut ahead = Ahead::default();
        for (from, to) in
            [(place("b"), slot("1")), (place("g"), slot("2")), (slot("2"), place("b")), (slot("1"), place("b/b"))]
        {
            ahead.step(&Op::Move { from, ino: 1, to }, Direction::Forward);
        }
        assert_eq!(ahead.today(&place("b/x")), Some(place("g/x")));
        assert_eq!(ahead.today(&place("b/b/x")), Some(place("b/x")));
        assert_eq!(ahead.today(&place("g")), None);
        assert_eq!(ahead.today(&place("h/i")), Some(place("h/i")));
    }
}
