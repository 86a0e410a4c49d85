//! Takes a pack and its index, gives the objects in them. Reads by position, a 256th of the index at
//! a time; what a pack claims is checked against its length, its trailer and a bound on memory.

use std::cell::RefCell;
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
    held: usize,
    index: File,
    length: u64,
    pages: Pages,
    pub(super) path: Bytes,
    tables: Vec<Option<Table>>,
}

/// A 256th of an index: names that begin with the same byte, and where each stands.
struct Table {
    names: Vec<u8>,
    places: Vec<u8>,
}

/// A file read by position, a page at a time: commits stand side by side in a pack.
pub(super) struct Pages {
    file: File,
    page: RefCell<(u64, Vec<u8>)>,
}

impl Pages {
    /// Bytes read at once.
    const PAGE: usize = 16 << 10;

    fn new(file: File) -> Self {
        Self { file, page: RefCell::new((0, Vec::new())) }
    }

    /// Fills `into` from `offset` on, as far as the file goes or the page does.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let (start, page) = &mut *self.page.borrow_mut();
        let inside = |start: u64, page: &[u8]| {
            let at = usize::try_from(offset.checked_sub(start)?).ok()?;
            page.get(at..).filter(|rest| rest.len() >= 64).map(|_| at)
        };
        let at = match inside(*start, page) {
            Some(at) => at,
            None if into.len() >= Self::PAGE => return self.file.read_at(into, offset),
            None => {
                // A history is walked forwards in packs of `git repack`, backwards in fast-import's.
                let from = offset.saturating_sub(Self::PAGE as u64 / 2);
                page.resize(Self::PAGE, 0);
                let got = self.file.read_at(page, from)?;
                page.truncate(got);
                *start = from;
                usize::try_from(offset - from).map_or(got, |at| at.min(got))
            }
        };
        let rest = &page[at..];
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
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
        let tables = (0..256).map(|_| None).collect();
        Ok(Some(Self { count, fanout, format, held: 0, index, length, pages: Pages::new(file), path, tables }))
    }

    fn bucket(&self, first: u8) -> (u32, u32) {
        let from = if first == 0 { 0 } else { self.fanout[usize::from(first) - 1] };
        (from, self.fanout[usize::from(first)])
    }

    fn table(&mut self, first: u8) -> Result<&Table, Trouble> {
        let (from, to) = self.bucket(first);
        let (hash, n) = (self.format.len(), (to - from) as usize);
        if n * (hash + 4) > TABLE {
            return Err(Trouble::Budget("a pack has too many objects"));
        }
        let slot = &mut self.tables[usize::from(first)];
        if slot.is_none() {
            let mut table = Table { names: vec![0; n * hash], places: vec![0; n * 4] };
            let (hash, from) = (hash as u64, u64::from(from));
            let places = 8 + 1024 + u64::from(self.count) * (hash + 4) + from * 4;
            let read = self.index.read_exact_at(&mut table.names, 8 + 1024 + from * hash);
            let read = read.and_then(|()| self.index.read_exact_at(&mut table.places, places));
            read.map_err(|e| Trouble::read(&self.path, e))?;
            self.held += table.names.len() + table.places.len();
            *slot = Some(table);
        }
        slot.as_ref().ok_or(Trouble::Budget("a pack's index"))
    }

    /// The names that begin with `first`, raw, one after the other, in order.
    pub(super) fn names(&mut self, first: u8) -> Result<&[u8], Trouble> {
        Ok(&self.table(first)?.names)
    }

    /// Bytes of the index in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Forgets them.
    pub(super) fn forget(&mut self) {
        self.tables.fill_with(|| None);
        self.held = 0;
    }

    /// Where the object begins in the pack; none where this pack has it not.
    pub(super) fn offset(&mut self, oid: &Oid) -> Result<Option<u64>, Trouble> {
        let hash = self.format.len();
        let table = self.table(oid.first())?;
        let (mut low, mut high) = (0, table.places.len() / 4);
        let place = loop {
            if low == high {
                return Ok(None);
            }
            let middle = usize::midpoint(low, high);
            match table.names[middle * hash..(middle + 1) * hash].cmp(oid.as_slice()) {
                std::cmp::Ordering::Equal => break be32(&table.places[middle * 4..]),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        };
        if place & 0x8000_0000 == 0 {
            return Ok(Some(u64::from(place)));
        }
        // Packs beyond two gigabytes keep the far places in a table of their own.
        let far = 8 + 1024 + u64::from(self.count) * (hash as u64 + 8) + u64::from(place & 0x7fff_ffff) * 8;
        let mut bytes = [0; 8];
        self.index.read_exact_at(&mut bytes, far).map_err(|e| Trouble::read(&self.path, e))?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    /// Reads what stands at `offset`.
    pub(super) fn entry(&self, offset: u64) -> Result<Entry, Trouble> {
        let bad = |what| Trouble::damaged(&self.path, what);
        if offset < 12 || offset >= self.length {
            return Err(bad("an object beyond its end"));
        }
        let mut head = [0; 64];
        let got = self.pages.read(offset, &mut head).map_err(|e| Trouble::read(&self.path, e))?;
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

    /// Reads the pack by position.
    pub(super) fn reader(&self) -> impl FnMut(u64, &mut [u8]) -> std::io::Result<usize> {
        |offset, into| self.pages.read(offset, into)
    }

    /// Inflates `size` bytes from `data` on.
    pub(super) fn inflate(&self, inflater: &mut Inflater, data: u64, size: u64) -> Result<Vec<u8>, Trouble> {
        let size = usize::try_from(size).map_err(|_| Trouble::damaged(&self.path, "an object of senseless size"))?;
        inflater.whole(&mut self.reader(), data, size).map_err(|e| Trouble::read(&self.path, e))
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
