//! A rough idea of which names are there. Takes operations as if they succeeded; may be wrong, then
//! the operation fails the same way under plain execution and under Backstop.

use std::collections::BTreeMap;

use crate::ops::Verb;

/// What a name stands for, as far as the next choice needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device.
    Other,
}

/// The names.
#[derive(Clone, Debug, Default)]
pub struct Shape(BTreeMap<Vec<u8>, Kind>);

impl Shape {
    /// Every name of a kind, or of all.
    pub fn of(&self, kind: Option<Kind>) -> Vec<Vec<u8>> {
        self.0.iter().filter(|(_, k)| kind.is_none_or(|kind| kind == **k)).map(|(p, _)| p.clone()).collect()
    }

    /// The kind of a name, if it is there.
    pub fn kind(&self, name: &[u8]) -> Option<Kind> {
        self.0.get(name).copied()
    }

    /// True when the name is taken.
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.contains_key(name)
    }

    /// Every name beneath a directory.
    pub fn beneath(&self, dir: &[u8]) -> Vec<Vec<u8>> {
        self.0.keys().filter(|p| is_beneath(p, dir)).cloned().collect()
    }

    /// What is there after an operation.
    pub fn apply(&mut self, verb: Verb, names: &[&[u8]]) {
        match (verb, names) {
            (Verb::Create | Verb::Excl | Verb::Save, [p]) => self.put(p, Kind::File),
            (Verb::Tmpfile | Verb::Copy, [_, p]) => self.put(p, Kind::File),
            (Verb::Mkdir, [p]) => self.put(p, Kind::Dir),
            (Verb::Symlink, [_, p]) => self.put(p, Kind::Link),
            (Verb::Fifo | Verb::Socket | Verb::Device, [p]) => self.put(p, Kind::Other),
            (Verb::Link, [a, b]) => {
                if let Some(kind) = self.kind(a).filter(|k| *k != Kind::Dir) {
                    self.put(b, kind);
                }
            }
            (Verb::Unlink | Verb::WriteGhost, [p]) if self.kind(p) != Some(Kind::Dir) => {
                self.0.remove(*p);
            }
            (Verb::Rmdir, [p]) if self.beneath(p).is_empty() => {
                self.0.remove(*p);
            }
            (Verb::RmTree, [p]) => {
                self.take(p);
            }
            (Verb::Rename | Verb::Move | Verb::WriteMoved, [a, b]) => self.rename(a, b),
            (Verb::Exchange, [a, b]) if self.has(a) && self.has(b) && !is_beneath(a, b) && !is_beneath(b, a) => {
                let (left, right) = (self.take(a), self.take(b));
                self.lay(a, right);
                self.lay(b, left);
            }
            _ => {}
        }
    }

    fn put(&mut self, name: &[u8], kind: Kind) {
        let parent = name.iter().rposition(|b| *b == b'/').map_or(&b""[..], |i| &name[..i]);
        if (parent.is_empty() || self.kind(parent) == Some(Kind::Dir)) && !self.has(name) {
            self.0.insert(name.to_vec(), kind);
        }
    }

    fn rename(&mut self, a: &[u8], b: &[u8]) {
        let (from, to) = (self.kind(a), self.kind(b));
        let fits = match (from, to) {
            (None, _) => false,
            (_, None) => true,
            (Some(Kind::Dir), Some(Kind::Dir)) => self.beneath(b).is_empty(),
            (Some(from), Some(to)) => from != Kind::Dir && to != Kind::Dir,
        };
        if fits && a != b && !is_beneath(b, a) {
            let moved = self.take(a);
            self.take(b);
            self.lay(b, moved);
        }
    }

    /// Takes a name and all beneath out; gives the rest of each path.
    fn take(&mut self, name: &[u8]) -> Vec<(Vec<u8>, Kind)> {
        let mut all = self.beneath(name);
        all.push(name.to_vec());
        all.into_iter().filter_map(|p| self.0.remove(&p).map(|kind| (p[name.len()..].to_vec(), kind))).collect()
    }

    fn lay(&mut self, name: &[u8], what: Vec<(Vec<u8>, Kind)>) {
        for (rest, kind) in what {
            self.0.insert([name, &rest].concat(), kind);
        }
    }
}

fn is_beneath(path: &[u8], dir: &[u8]) -> bool {
    path.len() > dir.len() && path.starts_with(dir) && path.get(dir.len()) == Some(&b'/')
}
