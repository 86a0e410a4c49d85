//! Takes a pack and its index, gives the objects in them. Reads by position, a 256th of the index at
//! a time; what a pack claims is checked against its length, its trailer and a bound on memory.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use backstop_core::bytes::Bytes;

use super::eyes::Eyes;
use super::inflate::Inflater;
use super::oid::{Format, Oid};
use super::trouble::Trouble;
use crate::engine::Side;

/// The longest table of names of one first byte: about 200 million objects of SHA-1.
const TABLE: usize = 16 << 20;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Sort {
    /// As git spells it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    /// From git's spelling.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        [Self::Commit, Self::Tree, Self::Blob, Self::Tag].into_iter().find(|s| s.name().as_bytes() == name)
    }
}

/// What stands at one place of a pack.
pub(super) enum Entry {
    /// The object itself, deflated from `data` on.
    Whole { sort: Sort, size: u64, data: u64 },
    /// A difference to the object at another place of the same pack.
    Offset { base: u64, size: u64, data: u64 },
    /// A difference to an object by name.
    Named { base: Oid, size: u64, data: u64 },
}

/// One pack with its index.
pub(super) struct Pack {
    count: u32,
    fanout: Vec<u32>,
    format: Format,
    index: File,
    pub(super) path: Bytes,
    pub(super) file: File,
    length: u64,
    tables: HashMap<u8, Vec<u8>>,
}

impl Pack {
    /// Opens `stem.idx` and `stem.pack`; none where one of them is not there.
    pub(super) fn open(eyes: &Eyes<'_>, stem: &Bytes, side: Side, format: Format) -> Result<Option<Self>, Trouble> {
        let at = |end: &[u8]| Bytes::new([stem.as_slice(), end].concat());
        let (path, index_path) = (at(b".pack"), at(b".idx"));
        let (Some(file), Some(index)) = (eyes.open(&path, side)?, eyes.open(&index_path, side)?) else {
            return Ok(None);
        };
        let read = |file: &File, path: &Bytes, offset: u64, length: usize| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset).map_err(|e| Trouble::read(path, e))?;
            Ok::<_, Trouble>(bytes)
        };
        let head = read(&index, &index_path, 0, 8 + 1024)?;
        if head[..8] != *b"\xfftOc\0\0\0\x02" {
            return Err(Trouble::damaged(&index_path, "not an index of version 2"));
        }
        let fanout: Vec<u32> = head[8..].chunks_exact(4).map(be32).collect();
        if !fanout.is_sorted() {
            return Err(Trouble::damaged(&index_path, "its table is out of order"));
        }
        let count = fanout[255];
        let length = file.metadata().map_err(|e| Trouble::read(&path, e))?.len();
        let index_length = index.metadata().map_err(|e| Trouble::read(&index_path, e))?.len();
        let hash = format.len() as u64;
        if index_length < 8 + 1024 + u64::from(count) * (hash + 8) + 2 * hash || length < 12 + hash {
            return Err(Trouble::damaged(&index_path, "shorter than it says"));
        }
        let start = read(&file, &path, 0, 12)?;
        if start[..4] != *b"PACK" || be32(&start[8..]) != count {
            return Err(Trouble::damaged(&path, "not the pack of its index"));
        }
        // An index names the pack it was made from by the pack's own last bytes.
        let trailer = read(&file, &path, length - hash, format.len())?;
        if trailer != read(&index, &index_path, index_length - 2 * hash, format.len())? {
            return Err(Trouble::damaged(&path, "not the pack of its index"));
        }
        Ok(Some(Self { count, fanout, format, index, path, file, length, tables: HashMap::new() }))
    }

    fn bucket(&self, first: u8) -> (u32, u32) {
        let from = if first == 0 { 0 } else { self.fanout[usize::from(first) - 1] };
        (from, self.fanout[usize::from(first)])
    }

    /// The names that begin with `first`, raw, one after the other, in order.
    pub(super) fn names(&mut self, first: u8) -> Result<&[u8], Trouble> {
        let (from, to) = self.bucket(first);
        let hash = self.format.len();
        let length = (to - from) as usize * hash;
        if length > TABLE {
            return Err(Trouble::Budget("a pack has too many objects"));
        }
        if !self.tables.contains_key(&first) {
            let mut bytes = vec![0; length];
            let at = 8 + 1024 + u64::from(from) * hash as u64;
            self.index.read_exact_at(&mut bytes, at).map_err(|e| Trouble::read(&self.path, e))?;
            self.tables.insert(first, bytes);
        }
        Ok(self.tables.get(&first).map_or(&[], Vec::as_slice))
    }

    /// Bytes of names in memory.
    pub(super) fn held(&self) -> usize {
        self.tables.values().map(Vec::len).sum()
    }

    /// Forgets them.
    pub(super) fn forget(&mut self) {
        self.tables.clear();
    }

    /// Where the object stands in the index; none where this pack has it not.
    fn position(&mut self, oid: &Oid) -> Result<Option<u32>, Trouble> {
        let (from, _) = self.bucket(oid.first());
        let hash = self.format.len();
        let names = self.names(oid.first())?;
        let (mut low, mut high) = (0, names.len() / hash);
        while low < high {
            let middle = usize::midpoint(low, high);
            match names[middle * hash..(middle + 1) * hash].cmp(oid.as_slice()) {
                std::cmp::Ordering::Equal => return Ok(u32::try_from(middle).ok().map(|m| from + m)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Where the object begins in the pack.
    pub(super) fn offset(&mut self, oid: &Oid) -> Result<Option<u64>, Trouble> {
        let Some(position) = self.position(oid)? else { return Ok(None) };
        let (count, hash) = (u64::from(self.count), self.format.len() as u64);
        let number = |at: u64, length: usize| {
            let mut bytes = [0; 8];
            self.index.read_exact_at(&mut bytes[8 - length..], at).map_err(|e| Trouble::read(&self.path, e))?;
            Ok::<_, Trouble>(u64::from_be_bytes(bytes))
        };
        let small = 8 + 1024 + count * (hash + 4);
        let offset = number(small + u64::from(position) * 4, 4)?;
        if offset & 0x8000_0000 == 0 {
            return Ok(Some(offset));
        }
        number(small + count * 4 + (offset & 0x7fff_ffff) * 8, 8).map(Some)
    }

    /// Reads what stands at `offset`.
    pub(super) fn entry(&self, offset: u64) -> Result<Entry, Trouble> {
        let bad = |what| Trouble::damaged(&self.path, what);
        if offset < 12 || offset >= self.length {
            return Err(bad("an object beyond its end"));
        }
        let mut head = [0; 64];
        let got = self.file.read_at(&mut head, offset).map_err(|e| Trouble::read(&self.path, e))?;
        let mut bytes = head[..got].iter().copied().enumerate();
        let mut next = || bytes.next().ok_or(bad("it ends within an object"));
        let (mut at, mut byte) = next()?;
        let kind = byte >> 4 & 7;
        let (mut size, mut shift) = (u64::from(byte & 15), 4);
        while byte & 0x80 != 0 {
            (at, byte) = next()?;
            if shift > 57 {
                return Err(bad("an object of senseless size"));
            }
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        let sort = match kind {
            1 => Sort::Commit,
            2 => Sort::Tree,
            3 => Sort::Blob,
            4 => Sort::Tag,
            6 => {
                (at, byte) = next()?;
                let mut back = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    (at, byte) = next()?;
                    if back > u64::MAX >> 8 {
                        return Err(bad("a base of senseless place"));
                    }
                    back = (back + 1) << 7 | u64::from(byte & 0x7f);
                }
                let base = offset.checked_sub(back).filter(|b| *b < offset).ok_or(bad("a base of senseless place"))?;
                return Ok(Entry::Offset { base, size, data: offset + at as u64 + 1 });
            }
            7 => {
                let end = at + 1 + self.format.len();
                let base = head[..got].get(at + 1..end).and_then(Oid::raw).ok_or(bad("it ends within an object"))?;
                return Ok(Entry::Named { base, size, data: offset + end as u64 });
            }
            _ => return Err(bad("an object of unknown kind")),
        };
        Ok(Entry::Whole { sort, size, data: offset + at as u64 + 1 })
    }

    /// Inflates `size` bytes from `data` on.
    pub(super) fn inflate(&self, inflater: &mut Inflater, data: u64, size: u64) -> Result<Vec<u8>, Trouble> {
        let size = usize::try_from(size).map_err(|_| Trouble::damaged(&self.path, "an object of senseless size"))?;
        inflater.whole(&self.file, data, size).map_err(|e| Trouble::read(&self.path, e))
    }
}

fn be32(b: &[u8]) -> u32 {
    b.iter().take(4).fold(0, |n, b| n << 8 | u32::from(*b))
}

/// Applies a difference to its base.
pub(super) fn patch(base: &[u8], delta: &[u8], cap: u64) -> Option<Vec<u8>> {
    let (from, rest) = number(delta)?;
    let (to, mut rest) = number(rest)?;
    if from != base.len() as u64 || to > cap {
        return None;
    }
    let to = usize::try_from(to).ok()?;
    let mut out = Vec::with_capacity(to.min(1 << 20));
    while let Some((&op, tail)) = rest.split_first() {
        rest = tail;
        if op & 0x80 != 0 {
            // Four bits say which bytes of the place follow, three which of the length.
            let (at, tail) = field(rest, op & 0x0f)?;
            let (length, tail) = field(tail, op >> 4 & 7)?;
            rest = tail;
            let length = if length == 0 { 0x10000 } else { length };
            out.extend_from_slice(base.get(at..at.checked_add(length)?)?);
        } else {
            let (piece, tail) = rest.split_at_checked(usize::from(op))?;
            rest = tail;
            // Zero is reserved.
            if piece.is_empty() {
                return None;
            }
            out.extend_from_slice(piece);
        }
        if out.len() > to {
            return None;
        }
    }
    (out.len() == to).then_some(out)
}

/// A number of seven bits a byte, the lowest first, and what follows it.
fn number(mut rest: &[u8]) -> Option<(u64, &[u8])> {
    let (mut n, mut shift) = (0_u64, 0);
    loop {
        let (&b, tail) = rest.split_first()?;
        rest = tail;
        n |= u64::from(b & 0x7f).checked_shl(shift)?;
        shift += 7;
        if b & 0x80 == 0 {
            return Some((n, rest));
        }
    }
}

/// A little-endian number of which only the bytes named in `bits` are written, and what follows it.
fn field(mut rest: &[u8], bits: u8) -> Option<(usize, &[u8])> {
    let mut n = 0;
    for i in 0..4 {
        if bits >> i & 1 != 0 {
            let (&b, tail) = rest.split_first()?;
            rest = tail;
            n |= usize::from(b) << (8 * i);
        }
    }
    Some((n, rest))
}
