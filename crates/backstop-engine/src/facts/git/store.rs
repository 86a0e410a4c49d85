//! Takes the object directories of a repository on one side, gives what objects are there and reads
//! them. "There" for a file's content means read again and hashed: a name that an agent wrote into
//! a directory or an index proves nothing.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use backstop_core::bytes::Bytes;

use super::eyes::{Eyes, resolve};
use super::inflate::Inflater;
use super::oid::{Format, Hasher, Oid};
use super::pack::{Entry, Pack, Sort, patch};
use super::trouble::Trouble;
use crate::engine::Side;

/// Packs of one store; git itself repacks at 50. Each takes two file handles.
const PACKS: usize = 128;
/// Stores that alternates lead to, further stores included.
const ALTERNATES: usize = 8;
/// Differences on differences; git's own limit is 4095.
const CHAIN: usize = 4096;
/// Names of packs kept in memory.
const TABLES: usize = 64 << 20;
/// Bases of differences kept in memory.
const BASES: usize = 16 << 20;

/// An object as it was before it was packed.
pub(super) type Object = (Sort, Rc<Vec<u8>>);

/// The objects of a repository on one side.
pub(super) struct Store {
    bases: HashMap<(usize, u64), Object>,
    bases_held: usize,
    dirs: Vec<Bytes>,
    format: Format,
    inflater: Inflater,
    loose: HashMap<u8, HashSet<Oid>>,
    packs: Option<Vec<Pack>>,
    side: Side,
}

impl Store {
    /// The store at `objects`, with those it borrows from.
    pub(super) fn new(eyes: &Eyes<'_>, objects: &Bytes, side: Side, format: Format) -> Self {
        let mut dirs = vec![objects.clone()];
        let mut at = 0;
        while let Some(dir) = dirs.get(at).cloned() {
            at += 1;
            match eyes.read(&dir.join(b"info/alternates"), side, 1 << 16) {
                Ok(None) => {}
                Ok(Some(text)) => {
                    for line in text.split(|&b| b == b'\n').filter(|l| !l.is_empty() && !l.starts_with(b"#")) {
                        let other = resolve(&dir, line);
                        if dirs.len() > ALTERNATES {
                            eyes.note(Trouble::Budget("alternates of alternates"));
                        } else if !dirs.contains(&other) {
                            dirs.push(other);
                        }
                    }
                }
                Err(e) => eyes.note(e),
            }
        }
        Self {
            bases: HashMap::new(),
            bases_held: 0,
            dirs,
            format,
            inflater: Inflater::new(),
            loose: HashMap::new(),
            packs: None,
            side,
        }
    }

    /// Lets go of file handles and memory until the next question.
    pub(super) fn rest(&mut self) {
        self.packs = None;
        self.loose = HashMap::new();
        self.bases = HashMap::new();
        self.bases_held = 0;
    }

    fn packs(&mut self, eyes: &Eyes<'_>) -> Result<&mut Vec<Pack>, Trouble> {
        if self.packs.is_none() {
            let mut packs = Vec::new();
            for dir in &self.dirs {
                let dir = dir.join(b"pack");
                for (name, _) in eyes.list(&dir, self.side)?.unwrap_or_default() {
                    let Some(stem) = name.as_slice().strip_suffix(b".idx") else { continue };
                    if packs.len() == PACKS {
                        return Err(Trouble::Budget("too many packs"));
                    }
                    match Pack::open(eyes, &dir.join(stem), self.side, self.format) {
                        Ok(pack) => packs.extend(pack),
                        // What is damaged holds nothing that can be counted on; the others may.
                        Err(e) => eyes.note(e),
                    }
                }
            }
            self.packs = Some(packs);
        }
        Ok(self.packs.get_or_insert_default())
    }

    fn loose(&mut self, eyes: &Eyes<'_>, first: u8) -> Result<&HashSet<Oid>, Trouble> {
        if !self.loose.contains_key(&first) {
            let mut found = HashSet::new();
            let two = format!("{first:02x}");
            for dir in &self.dirs {
                for (name, _) in eyes.list(&dir.join(two.as_bytes()), self.side)?.unwrap_or_default() {
                    found.extend(Oid::hex(&[two.as_bytes(), name.as_slice()].concat()));
                }
            }
            self.loose.insert(first, found);
        }
        Ok(self.loose.entry(first).or_default())
    }

    /// The loose objects of this store itself, none of those it borrows from.
    pub(super) fn own_loose(&mut self, eyes: &Eyes<'_>, first: u8) -> Result<Vec<Oid>, Trouble> {
        let two = format!("{first:02x}");
        let names = eyes.list(&self.dirs[0].join(two.as_bytes()), self.side)?.unwrap_or_default();
        Ok(names.iter().filter_map(|(n, _)| Oid::hex(&[two.as_bytes(), n.as_slice()].concat())).collect())
    }

    /// True when the store names the object.
    pub(super) fn contains(&mut self, eyes: &Eyes<'_>, oid: &Oid) -> Result<bool, Trouble> {
        Ok(self.in_packs(eyes, oid)?.is_some() || self.loose(eyes, oid.first())?.contains(oid))
    }

    fn in_packs(&mut self, eyes: &Eyes<'_>, oid: &Oid) -> Result<Option<(usize, u64)>, Trouble> {
        if oid.as_slice().len() != self.format.len() {
            return Ok(None);
        }
        let packs = self.packs(eyes)?;
        let mut found = None;
        for (i, pack) in packs.iter_mut().enumerate() {
            if let Some(offset) = pack.offset(oid)? {
                found = Some((i, offset));
                break;
            }
        }
        if packs.iter().map(Pack::held).sum::<usize>() > TABLES {
            packs.iter_mut().for_each(Pack::forget);
        }
        Ok(found)
    }

    /// True when the object is there, whole, and hashes to its name.
    pub(super) fn holds(&mut self, eyes: &Eyes<'_>, oid: &Oid) -> Result<bool, Trouble> {
        if !self.contains(eyes, oid)? {
            return Ok(false);
        }
        if let Some(at) = self.in_packs(eyes, oid)? {
            let packs = self.packs(eyes)?;
            let entry = packs[at.0].entry(at.1)?;
            if let Entry::Whole { sort, size, data } = entry {
                let mut hasher = Hasher::new(self.format, sort.name(), size);
                let Some(pack) = self.packs.as_ref().and_then(|p| p.get(at.0)) else { return Ok(false) };
                let ended = self.inflater.pour(&mut pack.reader(), data, &mut |piece| {
                    hasher.update(piece);
                    !eyes.late()
                });
                let ended = ended.map_err(|e| Trouble::read(&pack.path, e))?;
                return Ok(ended && hasher.finish() == *oid);
            }
            let (sort, bytes) = self.unpack(eyes, at, eyes.limits.object_bytes)?;
            let mut hasher = Hasher::new(self.format, sort.name(), bytes.len() as u64);
            hasher.update(&bytes);
            return Ok(hasher.finish() == *oid);
        }
        let mut hasher: Option<Hasher> = None;
        let (mut head, format) = (Vec::new(), self.format);
        self.pour_loose(eyes, oid, &mut |piece| {
            match &mut hasher {
                Some(h) => h.update(piece),
                None => {
                    head.extend_from_slice(piece);
                    if let Some((sort, size, rest)) = loose_head(&head) {
                        let mut h = Hasher::new(format, sort.name(), size);
                        h.update(rest);
                        hasher = Some(h);
                        head.clear();
                    }
                }
            }
            head.len() < 64 && !eyes.late()
        })?;
        Ok(hasher.is_some_and(|h| h.finish() == *oid))
    }

    fn pour_loose(&mut self, eyes: &Eyes<'_>, oid: &Oid, sink: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, Trouble> {
        let hex = oid.to_hex();
        let name = Bytes::from(format!("{}/{}", &hex[..2], &hex[2..]).as_str());
        for dir in &self.dirs {
            let path = dir.join(name.as_slice());
            if let Some(file) = eyes.open(&path, self.side)? {
                let mut read = |offset, into: &mut [u8]| file.read_at(into, offset);
                return self.inflater.pour(&mut read, 0, sink).map_err(|e| Trouble::read(&path, e));
            }
        }
        Err(Trouble::Missing(hex))
    }

    /// Reads an object of at most `cap` bytes; none where it is not there.
    pub(super) fn read(&mut self, eyes: &Eyes<'_>, oid: &Oid, cap: u64) -> Result<Option<Object>, Trouble> {
        if let Some(at) = self.in_packs(eyes, oid)? {
            return self.unpack(eyes, at, cap).map(Some);
        }
        if !self.loose(eyes, oid.first())?.contains(oid) {
            return Ok(None);
        }
        let mut all = Vec::new();
        let ended = self.pour_loose(eyes, oid, &mut |piece| {
            all.extend_from_slice(piece);
            all.len() as u64 <= cap + 64
        })?;
        if !ended {
            return Err(Trouble::Budget("an object is too big"));
        }
        let damaged = || Trouble::damaged(&self.dirs[0].join(oid.to_hex().as_bytes()), "not an object");
        let (sort, size, rest) = loose_head(&all).ok_or_else(damaged)?;
        if rest.len() as u64 != size {
            return Err(damaged());
        }
        Ok(Some((sort, Rc::new(rest.to_vec()))))
    }

    /// Reads an object of a pack, through all differences.
    fn unpack(&mut self, eyes: &Eyes<'_>, (pack, offset): (usize, u64), cap: u64) -> Result<Object, Trouble> {
        let mut chain: Vec<(usize, u64, u64, u64)> = Vec::new();
        let mut here = (pack, offset);
        let (sort, mut bytes) = loop {
            if let Some((sort, bytes)) = self.bases.get(&here) {
                break (*sort, Rc::clone(bytes));
            }
            let Some(pack) = self.packs.as_ref().and_then(|p| p.get(here.0)) else {
                return Err(Trouble::Missing("in a pack".to_owned()));
            };
            let (base, size, data) = match pack.entry(here.1)? {
                Entry::Whole { sort, size, data } => {
                    if size > cap {
                        return Err(Trouble::Budget("an object is too big"));
                    }
                    let bytes = Rc::new(pack.inflate(&mut self.inflater, data, size)?);
                    self.keep(here, sort, &bytes);
                    break (sort, bytes);
                }
                Entry::Offset { base, size, data } => ((here.0, base), size, data),
                Entry::Named { base, size, data } => {
                    let found = self.in_packs(eyes, &base)?;
                    (found.ok_or_else(|| Trouble::Missing(base.to_hex()))?, size, data)
                }
            };
            if chain.len() == CHAIN || size > cap {
                return Err(Trouble::Budget("an object is too deep or too big"));
            }
            chain.push((here.0, here.1, data, size));
            here = base;
        };
        for (pack, offset, data, size) in chain.into_iter().rev() {
            if eyes.late() {
                return Err(Trouble::Budget("time"));
            }
            let Some(from) = self.packs.as_ref().and_then(|p| p.get(pack)) else {
                return Err(Trouble::Missing("in a pack".to_owned()));
            };
            let delta = from.inflate(&mut self.inflater, data, size)?;
            let patched =
                patch(&bytes, &delta, cap).ok_or_else(|| Trouble::damaged(&from.path, "a wrong difference"))?;
            bytes = Rc::new(patched);
            self.keep((pack, offset), sort, &bytes);
        }
        Ok((sort, bytes))
    }

    fn keep(&mut self, at: (usize, u64), sort: Sort, bytes: &Rc<Vec<u8>>) {
        if bytes.len() > BASES / 8 {
            return;
        }
        if self.bases_held > BASES {
            self.bases.clear();
            self.bases_held = 0;
        }
        self.bases_held += bytes.len() + 128;
        self.bases.insert(at, (sort, Rc::clone(bytes)));
    }

    /// True when there is any object at all.
    pub(super) fn is_empty(&mut self, eyes: &Eyes<'_>) -> Result<bool, Trouble> {
        if !self.packs(eyes)?.is_empty() {
            return Ok(false);
        }
        for first in 0..=255 {
            if !self.loose(eyes, first)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads `blob 12\0` at the beginning of a loose object.
fn loose_head(bytes: &[u8]) -> Option<(Sort, u64, &[u8])> {
    let end = bytes.iter().take(32).position(|&b| b == 0)?;
    let space = bytes[..end].iter().position(|&b| b == b' ')?;
    let size = std::str::from_utf8(&bytes[space + 1..end]).ok()?.parse().ok()?;
    Some((Sort::named(&bytes[..space])?, size, &bytes[end + 1..]))
}
