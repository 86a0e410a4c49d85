//! The directories of an effect set with their sums, in one vector: a path thousands of names deep
//! is no deeper for the stack.

use std::collections::HashMap;

use backstop_core::effect::{Aspect, Effect, EffectSet, FileType, Kind, Tally};

use crate::screen::summary::is_dir_times;

/// A file beneath a deleted directory is worth a row from this share of it on: one in so many.
const SHARE: u64 = 100;

/// A node's place in the arena.
pub type Index = usize;

/// What happens in and beneath a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Bytes of files that change.
    pub changed_bytes: u64,
    /// Files that change.
    pub changed_files: u64,
    /// Directories that come or go.
    pub dirs: u64,
    /// Bytes that go.
    pub lost_bytes: u64,
    /// Files that go.
    pub lost_files: u64,
    /// Bytes that come new.
    pub made_bytes: u64,
    /// Files that come new.
    pub made_files: u64,
    /// Links, pipes, sockets, devices that come or go.
    pub others: u64,
    /// Things that get another name or other metadata.
    pub touched: u64,
}

impl Sums {
    /// Bytes in all.
    pub const fn weight(self) -> u64 {
        self.lost_bytes + self.made_bytes + self.changed_bytes
    }

    /// Files in all.
    pub const fn files(self) -> u64 {
        self.lost_files + self.made_files + self.changed_files + self.touched
    }

    /// True when nothing happens.
    pub const fn is_empty(self) -> bool {
        self.files() + self.dirs + self.others == 0
    }

    fn each(&mut self, other: Self, f: impl Fn(u64, u64) -> u64) {
        self.changed_bytes = f(self.changed_bytes, other.changed_bytes);
        self.changed_files = f(self.changed_files, other.changed_files);
        self.dirs = f(self.dirs, other.dirs);
        self.lost_bytes = f(self.lost_bytes, other.lost_bytes);
        self.lost_files = f(self.lost_files, other.lost_files);
        self.made_bytes = f(self.made_bytes, other.made_bytes);
        self.made_files = f(self.made_files, other.made_files);
        self.others = f(self.others, other.others);
        self.touched = f(self.touched, other.touched);
    }

    fn add(&mut self, other: Self) {
        self.each(other, u64::saturating_add);
    }

    fn take(&mut self, other: Self) {
        self.each(other, u64::saturating_sub);
    }

    fn of(e: &Effect) -> Self {
        let mut s = Self::default();
        let (before, after) = (e.before.as_ref(), e.after.as_ref());
        if matches!(e.kind, Kind::Delete | Kind::Replace) {
            match before.map(|n| (n.file_type, n.size)) {
                Some((FileType::File, size)) => {
                    s.lost_files += 1;
                    s.lost_bytes += size;
                }
                Some((FileType::Dir, _)) => s.dirs += 1,
                Some(_) => s.others += 1,
                None => {}
            }
        }
        if matches!(e.kind, Kind::Create | Kind::Replace) {
            match after.map(|n| (n.file_type, n.size)) {
                Some((FileType::File, size)) => {
                    s.made_files += 1;
                    s.made_bytes += size;
                }
                Some((FileType::Dir, _)) => s.dirs += 1,
                Some(_) => s.others += 1,
                None => {}
            }
        }
        match e.kind {
            Kind::Change if e.aspects.is_empty() || e.aspects.contains(&Aspect::Content) => {
                s.changed_files += 1;
                s.changed_bytes += before.map_or(0, |n| n.size).max(after.map_or(0, |n| n.size));
            }
            Kind::Change | Kind::Rename | Kind::Metadata | Kind::Link => s.touched += 1,
            Kind::Create | Kind::Replace | Kind::Delete => {}
        }
        if let Some(t) = &e.beneath {
            s.lost_files += t.files;
            s.lost_bytes += t.bytes;
            s.dirs += t.dirs;
            s.others += t.others;
        }
        s
    }
}

struct Node<'a> {
    children: Vec<Index>,
    effect: Option<&'a Effect>,
    /// From the directory above; several names where nothing else lies between.
    name: Vec<u8>,
    parent: Index,
    sums: Sums,
    /// A file known by name beneath a deleted directory.
    within: bool,
}

/// All nodes; the first is `/`.
pub struct Arena<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Arena<'a> {
    /// The directories of `set`.
    pub fn of(set: &'a EffectSet) -> Self {
        let mut arena = Self { nodes: vec![Node::new(0, Vec::new())] };
        let mut known: HashMap<(Index, &'a [u8]), Index> = HashMap::new();
        let only_times = set.effects.iter().all(is_dir_times);
        for e in set.effects.iter().filter(|e| only_times || !is_dir_times(e)) {
            let sums = Sums::of(e);
            let mut at = 0;
            arena.nodes[0].sums.add(sums);
            for name in e.path.as_slice().split(|b| *b == b'/').filter(|n| !n.is_empty()) {
                at = *known.entry((at, name)).or_insert_with(|| arena.child(at, name.to_vec()));
                arena.nodes[at].sums.add(sums);
            }
            arena.nodes[at].effect = Some(e);
            arena.beneath(at, e);
        }
        arena
    }

    fn child(&mut self, parent: Index, name: Vec<u8>) -> Index {
        let at = self.nodes.len();
        self.nodes.push(Node::new(parent, name));
        self.nodes[parent].children.push(at);
        at
    }

    /// The biggest files beneath a directory that goes, by the name they have from there.
    fn beneath(&mut self, at: Index, e: &Effect) {
        let Some(tally) = &e.beneath else { return };
        // Among thousands alike, the biggest eight say nothing.
        let telling = |size: u64| tally.files <= Tally::BIGGEST as u64 || size.saturating_mul(SHARE) >= tally.bytes;
        for big in tally.biggest.iter().filter(|b| telling(b.size)) {
            let rest = big.path.as_slice().strip_prefix(e.path.as_slice()).unwrap_or(big.path.as_slice());
            let name = rest.strip_prefix(b"/").unwrap_or(rest).to_vec();
            let child = self.child(at, name);
            self.nodes[child].within = true;
            self.nodes[child].sums = Sums { lost_bytes: big.size, lost_files: 1, ..Sums::default() };
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of `/`.
    pub const fn root(&self) -> Index {
        0
    }

    /// Follows a directory in which nothing happens but in one directory of it.
    fn settle(&self, mut at: Index) -> Index {
        while let ([only], None) = (self.nodes[at].children.as_slice(), self.nodes[at].effect) {
            if self.nodes[*only].children.is_empty() {
                break;
            }
            at = *only;
        }
        at
    }

    /// The rows that stand at the left edge: the deepest directory that holds everything, or those
    /// of `/` where it is `/`.
    pub fn tops(&self) -> Vec<Index> {
        match self.settle(0) {
            0 => self.nodes[0].children.clone(),
            top => vec![top],
        }
    }

    /// The nodes below, chains of single directories already followed.
    pub fn children(&self, at: Index) -> Vec<Index> {
        self.nodes[at].children.iter().map(|c| self.settle(*c)).collect()
    }

    /// A node's sums.
    pub fn sums(&self, at: Index) -> Sums {
        self.nodes[at].sums
    }

    /// A node's own effect.
    pub fn effect(&self, at: Index) -> Option<&'a Effect> {
        self.nodes[at].effect
    }

    /// What a node weighs: what is lost or overwritten before what comes new, bytes before entries.
    /// Each part is a sum, so no node outranks the one above it.
    pub fn rank(&self, at: Index) -> [u64; 4] {
        let s = self.nodes[at].sums;
        let harm = s.lost_bytes + s.changed_bytes;
        [harm, s.lost_files + s.changed_files, s.weight(), s.files() + s.dirs + s.others]
    }

    /// True for a node that stands for one thing, not for a directory with more in it.
    pub fn is_single(&self, at: Index) -> bool {
        let node = &self.nodes[at];
        node.children.is_empty() && node.effect.is_none_or(|e| e.beneath.as_ref().is_none_or(|b| b.entries() == 0))
    }

    /// True for a directory.
    pub fn is_dir(&self, at: Index) -> bool {
        let node = &self.nodes[at];
        match node.effect {
            Some(e) => {
                e.before.as_ref().or(e.after.as_ref()).is_some_and(|n| n.file_type == FileType::Dir)
                    || !node.children.is_empty()
            }
            None => !node.within,
        }
    }

    /// What of `at` is in no visible node below it; its own effect (without what lies beneath) is
    /// shown by its own row.
    pub fn hidden(&self, at: Index, visible: &[bool]) -> Sums {
        let mut rest = self.nodes[at].sums;
        if let Some(e) = self.nodes[at].effect {
            rest.take(Sums::of(&Effect { beneath: None, ..e.clone() }));
        }
        let below = if at == 0 { self.tops() } else { self.children(at) };
        for child in below.into_iter().filter(|c| visible[*c]) {
            rest.take(self.nodes[child].sums);
        }
        rest
    }

    /// The name from the row above; the whole path for a row at the left edge.
    pub fn name(&self, at: Index) -> Vec<u8> {
        let mut chain = vec![at];
        let mut parent = self.nodes[at].parent;
        while parent != 0 && !self.nodes[chain[chain.len() - 1]].within && self.settle(parent) == at {
            chain.push(parent);
            parent = self.nodes[parent].parent;
        }
        let names: Vec<&[u8]> = chain.iter().rev().map(|i| self.nodes[*i].name.as_slice()).collect();
        let mut name = names.join(&b'/');
        if parent == 0 {
            name.insert(0, b'/');
        }
        name
    }
}

impl Node<'_> {
    fn new(parent: Index, name: Vec<u8>) -> Self {
        Self { children: Vec::new(), effect: None, name, parent, sums: Sums::default(), within: false }
    }
}
