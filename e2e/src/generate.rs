//! Makes random trees and random changes to them, as operations. Keeps a rough idea of what is
//! there, so that most operations succeed and fall on the same names again and again: the trouble is
//! in the combinations.

mod shape;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::case::Case;
use crate::dice::Dice;
use crate::ops::{Op, Verb};
use shape::{Kind, Shape};

/// What the case may use.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Foreign owners, device nodes.
    pub root: bool,
    /// The most operations of the part that is tested.
    pub ops: u64,
}

/// Makes the case that a seed stands for.
pub fn case(seed: u64, range: Range) -> Case {
    let mut maker =
        Maker { dice: Dice::new(seed), shape: Shape::default(), out: Vec::new(), devices: range.root, range };
    let grown = 3 + maker.dice.below(25);
    for _ in 0..grown {
        maker.grow();
    }
    // A sandbox refuses device nodes: they are only there to be moved and deleted.
    maker.devices = false;
    let mut setup = std::mem::take(&mut maker.out);
    setup.push(Op { verb: Verb::Age, names: vec![".".into()], numbers: vec![maker.dice.below(1000)] });
    // Short sequences as often as long ones: they are where a failing case is easy to read.
    let most = if maker.dice.chance(50) { 6 } else { range.ops };
    let length = 1 + maker.dice.below(most);
    while (maker.out.len() as u64) < length {
        maker.change();
    }
    Case { setup, ops: maker.out }
}

struct Maker {
    dice: Dice,
    shape: Shape,
    out: Vec<Op>,
    devices: bool,
    range: Range,
}

type Name = Vec<u8>;

const PLAIN: [&[u8]; 7] = [b"a", b"b", b"c", b"d", b"e", b"f", b"g"];
const ODD: [&[u8]; 8] =
    [b"new\nline", b"\xff\xfe", b"sp ace", b".wh.a", b"\x1b[2J", b"target", b".git", "\u{202e}txt".as_bytes()];

impl Maker {
    fn emit(&mut self, verb: Verb, names: &[&[u8]], numbers: &[u64]) {
        let op = Op {
            verb,
            names: names.iter().map(|n| OsString::from_vec(n.to_vec())).collect(),
            numbers: numbers.to_vec(),
        };
        self.shape.apply(verb, names);
        self.out.push(op);
    }

    fn any(&mut self, kind: Option<Kind>) -> Option<Name> {
        let all = self.shape.of(kind);
        self.dice.pick(&all).cloned()
    }

    /// A directory, the root of the tree among them.
    fn dir(&mut self) -> Name {
        let mut dirs = self.shape.of(Some(Kind::Dir));
        dirs.push(Vec::new());
        self.dice.pick(&dirs).cloned().unwrap_or_default()
    }

    /// A name that may be taken or free.
    fn name(&mut self) -> Name {
        let dir = self.dir();
        self.name_in(dir)
    }

    fn name_in(&mut self, mut dir: Name) -> Name {
        let last = if self.dice.chance(6) {
            if self.dice.chance(10) { vec![b'x'; 255] } else { self.dice.pick(&ODD).map_or(Vec::new(), |n| n.to_vec()) }
        } else {
            self.dice.pick(&PLAIN).map_or(Vec::new(), |n| n.to_vec())
        };
        if !dir.is_empty() {
            dir.push(b'/');
        }
        dir.extend(last);
        dir
    }

    /// A name that is free, for most tries.
    fn free(&mut self) -> Name {
        for _ in 0..6 {
            let name = self.name();
            if !self.shape.has(&name) {
                return name;
            }
        }
        self.name()
    }

    fn length(&mut self) -> u64 {
        match self.dice.below(10) {
            0 => 0,
            1..=5 => self.dice.below(60),
            6..=7 => self.dice.below(5_000),
            8 => 4_096,
            _ => self.dice.below(200_000),
        }
    }

    fn mode(&mut self, dir: bool) -> u64 {
        let modes: &[u64] = if dir {
            &[0o755, 0o700, 0o750, 0o775, 0o777, 0o1777, 0o2775, 0o555]
        } else {
            &[0o644, 0o600, 0o640, 0o444, 0o755, 0o4755, 0o2755, 0o666, 0o000]
        };
        self.dice.pick(modes).copied().unwrap_or(0o755)
    }

    fn content(&mut self, verb: Verb, name: &[u8]) {
        let (len, seed) = (self.length(), self.dice.below(1_000));
        self.emit(verb, &[name], &[len, seed]);
    }

    /// One more thing in the tree that the case begins with.
    fn grow(&mut self) {
        let name = self.free();
        match self.dice.below(20) {
            0..=5 => {
                let mode = if self.dice.chance(25) { self.mode(true) } else { 0o755 };
                self.emit(Verb::Mkdir, &[&name], &[mode]);
            }
            6..=11 => self.content(Verb::Create, &name),
            12 => {
                self.content(Verb::Create, &name);
                let (at, len) = (1_048_576 * (1 + self.dice.below(4)), self.dice.below(9_000));
                self.emit(Verb::Overwrite, &[&name], &[at, len, 7]);
            }
            13..=14 => {
                if let Some(file) = self.any(Some(Kind::File)) {
                    self.emit(Verb::Link, &[&file, &name], &[]);
                }
            }
            15 => {
                let to = self.name();
                self.emit(Verb::Symlink, &[&to, &name], &[]);
            }
            16 => self.emit(Verb::Fifo, &[&name], &[0o644]),
            17 => self.emit(Verb::Socket, &[&name], &[]),
            18 if self.devices && self.dice.chance(15) => self.emit(Verb::Device, &[&name], &[1, 3]),
            _ => self.metadata(),
        }
    }

    /// Another mode, owner, time, attribute or ACL of something.
    fn metadata(&mut self) {
        let Some(name) = (if self.dice.chance(40) { self.any(Some(Kind::Dir)) } else { self.any(None) }) else {
            return;
        };
        let kind = self.shape.kind(&name);
        match self.dice.below(9) {
            0..=1 if kind != Some(Kind::Link) => {
                let mode = self.mode(kind == Some(Kind::Dir));
                self.emit(Verb::Chmod, &[&name], &[mode]);
            }
            2 if self.range.root => {
                let (user, group) = (self.dice.below(3) * 500, self.dice.below(3) * 500);
                self.emit(Verb::Chown, &[&name], &[user, group]);
            }
            3 => {
                let (secs, nanos) = (1_000_000_000 + self.dice.below(300_000_000), self.dice.below(1_000_000_000));
                self.emit(Verb::Times, &[&name], &[secs, nanos]);
            }
            4..=5 if kind != Some(Kind::Link) => {
                let (attribute, len) = (self.attribute(), 1 + self.dice.below(40));
                self.emit(Verb::SetXattr, &[&name, attribute], &[len, 3]);
            }
            6 => {
                let attribute = self.attribute();
                self.emit(Verb::RmXattr, &[&name, attribute], &[]);
            }
            7 if kind != Some(Kind::Link) => self.emit(Verb::Acl, &[&name], &[1234, 6]),
            8 if kind == Some(Kind::Dir) => self.emit(Verb::DefaultAcl, &[&name], &[1234, 5]),
            _ => {}
        }
    }

    fn attribute(&mut self) -> &'static [u8] {
        let names: &[&'static [u8]] = &[b"user.a", b"user.b", b"user.with.dots", b"user.overlay"];
        self.dice.pick(names).copied().unwrap_or(b"user.a")
    }

    /// One change, or a few that belong together.
    fn change(&mut self) {
        match self.dice.below(30) {
            0..=4 => self.write(),
            5..=8 => self.metadata(),
            9..=14 => self.rename(),
            15..=16 => self.remove(),
            17..=19 => self.grow(),
            20..=25 => self.pattern(),
            26 => {
                let (dir, name) = (self.dir(), self.free());
                let dir = if dir.is_empty() { b".".to_vec() } else { dir };
                let len = self.length();
                self.emit(Verb::Tmpfile, &[&dir, &name], &[len, 5]);
            }
            27 => {
                if let (Some(a), b) = (self.any(None), self.free()) {
                    self.emit(Verb::Link, &[&a, &b], &[]);
                }
            }
            _ => {
                if let Some(name) = self.any(None) {
                    let verb = if self.shape.kind(&name) == Some(Kind::Dir) { Verb::List } else { Verb::Look };
                    self.emit(verb, &[&name], &[]);
                }
            }
        }
    }

    fn write(&mut self) {
        let Some(file) = self.any(Some(Kind::File)) else { return };
        // Not nothing: copying up for a write that never comes changes a file's time, see `append`.
        let len = self.length().max(1);
        match self.dice.below(11) {
            0 => self.content(Verb::Create, &file),
            1..=2 => {
                // Not nothing: copying up for a write that never comes changes the time of a linked or
                // chmodded file, which no ledger can tell from a touch.
                let seed = self.dice.below(1_000);
                self.emit(Verb::Append, &[&file], &[len.max(1), seed]);
            }
            3..=4 => {
                let at = self.dice.below(10_000);
                self.emit(Verb::Overwrite, &[&file], &[at, len, 2]);
            }
            5 => self.emit(Verb::Truncate, &[&file], &[len]),
            6 => self.emit(Verb::Truncate, &[&file], &[1_500_000]),
            7 => {
                let at = 65_536 * self.dice.below(3);
                self.emit(Verb::Punch, &[&file], &[at, 65_536]);
            }
            8 => self.content(Verb::Save, &file),
            9 => {
                let to = self.name();
                self.emit(Verb::WriteMoved, &[&file, &to], &[len, 4]);
            }
            _ => {
                let to = self.name();
                self.emit(Verb::Copy, &[&file, &to], &[]);
            }
        }
    }

    fn rename(&mut self) {
        let Some(from) = (if self.dice.chance(45) { self.any(Some(Kind::Dir)) } else { self.any(None) }) else {
            return;
        };
        // Over something of the same kind, over anything, or to a free name.
        let over = match self.dice.below(4) {
            0 => self.any(self.shape.kind(&from)),
            1 => self.any(None),
            _ => None,
        };
        let to = match over {
            Some(to) => to,
            None => self.free(),
        };
        let verb = if self.dice.chance(15) { Verb::Exchange } else { Verb::Rename };
        self.emit(verb, &[&from, &to], &[]);
    }

    fn remove(&mut self) {
        let Some(name) = self.any(None) else { return };
        match self.shape.kind(&name) {
            Some(Kind::Dir) if self.dice.chance(20) => self.emit(Verb::Rmdir, &[&name], &[]),
            Some(Kind::Dir) => self.emit(Verb::RmTree, &[&name], &[]),
            _ if self.dice.chance(10) => self.content(Verb::WriteGhost, &name),
            _ => self.emit(Verb::Unlink, &[&name], &[]),
        }
    }

    /// What programs do in several steps.
    fn pattern(&mut self) {
        let (dir, file) = (self.any(Some(Kind::Dir)), self.any(Some(Kind::File)));
        match (self.dice.below(8), dir, file) {
            // A directory goes and comes back with other things in it.
            (0, Some(d), _) => {
                self.emit(Verb::RmTree, &[&d], &[]);
                self.emit(Verb::Mkdir, &[&d], &[0o755]);
                let inside = self.name_in(d);
                self.content(Verb::Create, &inside);
            }
            // A chain of renames.
            (1, _, _) => {
                let (Some(mut last), mut left) = (self.any(None), 3) else { return };
                while left > 0 {
                    let next = self.name();
                    self.emit(Verb::Rename, &[&last, &next], &[]);
                    (last, left) = (next, left - 1);
                }
            }
            // Two names swapped by way of a third.
            (2, _, _) => {
                if let (Some(a), Some(b)) = (self.any(None), self.any(None)) {
                    let third = self.free();
                    self.emit(Verb::Rename, &[&a, &third], &[]);
                    self.emit(Verb::Rename, &[&b, &a], &[]);
                    self.emit(Verb::Rename, &[&third, &b], &[]);
                }
            }
            // A file becomes a directory, a directory a file.
            (3, _, Some(f)) => {
                self.emit(Verb::Unlink, &[&f], &[]);
                self.emit(Verb::Mkdir, &[&f], &[0o750]);
                let inside = self.name_in(f);
                self.content(Verb::Create, &inside);
            }
            (4, Some(d), _) => {
                self.emit(Verb::RmTree, &[&d], &[]);
                self.content(Verb::Create, &d);
            }
            // Moved away, another in its place, and something inside the moved one changed.
            (5, Some(d), _) => {
                let away = self.free();
                self.emit(Verb::Rename, &[&d, &away], &[]);
                self.emit(Verb::Mkdir, &[&d], &[0o700]);
                let inside = self.name_in(away);
                self.content(Verb::Create, &inside);
            }
            // Something is taken out of a directory before that goes.
            (6, Some(d), _) => {
                let beneath = self.shape.beneath(&d);
                let to = self.free();
                if let Some(child) = self.dice.pick(&beneath).cloned() {
                    self.emit(Verb::Rename, &[&child, &to], &[]);
                }
                self.emit(Verb::RmTree, &[&d], &[]);
            }
            // Changed by way of one name, looked at by way of another.
            (_, _, Some(f)) => {
                let other = self.free();
                self.emit(Verb::Link, &[&f, &other], &[]);
                let seed = self.dice.below(1_000);
                self.emit(Verb::Append, &[&other], &[10 + seed, seed]);
                self.emit(Verb::Look, &[&f], &[]);
            }
            _ => {}
        }
    }
}
