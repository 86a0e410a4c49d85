//! Takes the bytes of a git index, gives what it says of each path. Versions 2 to 4; a split index is
//! refused, not half read.

use std::os::unix::fs::MetadataExt;

use backstop_core::bytes::Bytes;

use super::oid::{Format, Oid};
use super::trouble::Trouble;

/// What the index knows of a path.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    ctime: (u32, u32),
    ino: u32,
    mtime: (u32, u32),
    pub(super) oid: Oid,
    path: Vec<u8>,
    size: u32,
}

/// The index of one working tree.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In the order of their paths.
    entries: Vec<Entry>,
    /// When the index itself was written: what is not older may have changed unseen.
    written: (i64, i64),
}

impl Index {
    /// Reads an index that was written at `written`.
    pub(super) fn parse(path: &Bytes, bytes: &[u8], format: Format, written: (i64, i64)) -> Result<Self, Trouble> {
        read(bytes, format, written).map_err(|what| Trouble::damaged(path, what))
    }

    /// What is known of `path`.
    pub(super) fn get(&self, path: &[u8]) -> Option<&Entry> {
        let at = self.entries.partition_point(|e| e.path.as_slice() < path);
        self.entries.get(at).filter(|e| e.path == path)
    }

    /// True when something beneath the directory `dir` is tracked.
    pub(super) fn tracks_beneath(&self, dir: &[u8]) -> bool {
        let dir = [dir, b"/"].concat();
        let at = self.entries.partition_point(|e| e.path < dir);
        self.entries.get(at).is_some_and(|e| e.path.starts_with(&dir))
    }

    /// True when the file is as the index saw it, by its times, identity and length, and could not
    /// have changed since unseen. The low 32 bits of each, as git keeps them.
    pub(super) fn unchanged(&self, entry: &Entry, file: &std::fs::Metadata) -> bool {
        let low = |n: i64| n as u32;
        let racy = (i64::from(entry.mtime.0), i64::from(entry.mtime.1)) >= self.written;
        !racy
            && entry.mtime == (low(file.mtime()), low(file.mtime_nsec()))
            && entry.ctime == (low(file.ctime()), low(file.ctime_nsec()))
            && entry.ino == file.ino() as u32
            && entry.size == file.size() as u32
    }
}

fn read(bytes: &[u8], format: Format, written: (i64, i64)) -> Result<Index, &'static str> {
    const SHORT: &str = "it ends too early";
    let be32 = |at: usize| {
        let b = bytes.get(at..at + 4).ok_or(SHORT)?;
        Ok::<_, &'static str>(b.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)))
    };
    if bytes.get(..4) != Some(b"DIRC") {
        return Err("not an index");
    }
    let (version, count) = (be32(4)?, be32(8)?);
    if !(2..=4).contains(&version) {
        return Err("an index of unknown version");
    }
    let hash = format.len();
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 12;
    let end = bytes.len().checked_sub(hash).ok_or(SHORT)?;
    for _ in 0..count {
        let start = at;
        let oid = bytes.get(at + 40..at + 40 + hash).and_then(Oid::raw).ok_or(SHORT)?;
        let flags = bytes.get(at + 40 + hash..at + 42 + hash).ok_or(SHORT)?;
        let extended = flags[0] & 0x40 != 0;
        let name = at + 42 + hash + if extended { 2 } else { 0 };
        let mut path = Vec::new();
        if version == 4 {
            // Bytes to drop from the last path, seven bits at a time, then what to add.
            let (mut drop, mut next) = (0_usize, name);
            loop {
                let byte = *bytes.get(next).ok_or(SHORT)?;
                drop |= usize::from(byte & 0x7f);
                next += 1;
                if byte & 0x80 == 0 {
                    break;
                }
                drop = (drop + 1).checked_shl(7).filter(|d| *d < 1 << 20).ok_or("a senseless path")?;
            }
            let last = entries.last().map_or([].as_slice(), |e| e.path.as_slice());
            let kept = last.len().checked_sub(drop).ok_or("a senseless path")?;
            path.extend_from_slice(&last[..kept]);
            at = next;
        } else {
            at = name;
        }
        let length = bytes.get(at..end).and_then(|rest| rest.iter().position(|&b| b == 0)).ok_or(SHORT)?;
        if length > 1 << 16 {
            return Err("a senseless path");
        }
        path.extend_from_slice(&bytes[at..at + length]);
        // Up to version 3 an entry is filled up with 1 to 8 zero bytes to a multiple of eight.
        at = if version == 4 { at + length + 1 } else { start + (at + length - start + 8) / 8 * 8 };
        entries.push(Entry {
            ctime: (be32(start)?, be32(start + 4)?),
            ino: be32(start + 20)?,
            mtime: (be32(start + 8)?, be32(start + 12)?),
            oid,
            path,
            size: be32(start + 36)?,
        });
    }
    while at + 8 <= end {
        if &bytes[at..at + 4] == b"link" {
            return Err("a split index, which can't be read");
        }
        at = at.checked_add(8 + be32(at + 4)? as usize).ok_or(SHORT)?;
    }
    if !entries.is_sorted_by(|a, b| a.path <= b.path) {
        return Err("it is out of order");
    }
    Ok(Index { entries, written })
}
