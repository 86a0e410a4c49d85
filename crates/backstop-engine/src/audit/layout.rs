//! The files of an audit log's directory: their names, the lock, and how they are written.
//! Knows nothing of what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::fault;

use super::AuditError;

/// The signed checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// A cache of the tree's peaks and of where the log ends, so that an append doesn't read the log.
pub(super) const FRONTIER: &str = "frontier";
/// The secret key.
pub(super) const KEY: &str = "key";
/// The public key.
pub(super) const KEY_PUB: &str = "key.pub";
/// Whoever writes holds this.
pub(super) const LOCK: &str = "lock";
/// What was cut off the log's end is kept in here.
pub(super) const CUT: &str = "cut";

/// A new segment is begun when the last one has reached this.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;
/// The longest line a reader accepts.
pub(super) const LINE_BYTES: usize = 64 << 20;

/// The segment whose first entry has this index.
pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(segment_name(first))
}

/// Twelve digits, so that names sort as numbers do.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:012}.jsonl")
}

/// One file of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// The index of its first entry.
    pub first: u64,
    /// Its length.
    pub bytes: u64,
}

/// The segments in order, with the length each has now.
pub(super) fn segments(dir: &Path) -> Result<Vec<Segment>, AuditError> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).map_err(AuditError::io("read", dir))? {
        let item = item.map_err(AuditError::io("read", dir))?;
        let name = item.file_name();
        let first = name.to_str().and_then(|n| n.strip_suffix(".jsonl")).and_then(|n| n.parse::<u64>().ok());
        let Some(first) = first.filter(|f| *segment_name(*f) == *name) else { continue };
        let bytes = item.metadata().map_err(AuditError::io("look at", &item.path()))?.len();
        found.push(Segment { first, bytes });
    }
    found.sort();
    Ok(found)
}

/// Waits until nobody else writes; closing the handle lets the next one in. Held for one append, a
/// millisecond or less; the kernel lets go of it when its holder dies.
pub(super) fn lock(dir: &Path) -> Result<File, AuditError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(AuditError::io("open", &path))?;
    until_uninterrupted(|| file.lock()).map_err(AuditError::io("lock", &path))?;
    Ok(file)
}

/// As `lock`, for somebody who only looks; none in a copy of a log, which has no lock.
pub(super) fn lock_to_look(dir: &Path) -> Result<Option<File>, AuditError> {
    let path = dir.join(LOCK);
    match File::open(&path) {
        Ok(file) => {
            until_uninterrupted(|| file.lock_shared()).map_err(AuditError::io("lock", &path))?;
            Ok(Some(file))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(AuditError::io("open", &path)(e)),
    }
}

fn until_uninterrupted(mut step: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match step() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A new file for its owner only; an old one of that name is emptied.
pub(super) fn new_file(path: &Path) -> Result<File, AuditError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(AuditError::io("create", path))
}

/// Writes a whole new file and makes it durable; its name is not.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
    let mut file = new_file(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(AuditError::io("write", path))
}

/// Writes a small file over its old content, which must not be longer (or its reader stops at a line's
/// end). Not by rename: ext4 then allocates and flushes the new file at once, which cost 700 µs of
/// CPU an append; and not synced. Below 512 bytes it lies in one sector, so that a power cut leaves
/// the old or the new content; readers hold the lock.
pub(super) fn overwrite(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), AuditError> {
    let path = dir.join(name);
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = fault::point("audit.overwrite").and_then(|()| open());
    file.and_then(|file| file.write_all_at(bytes, 0)).map_err(AuditError::io("write", &path))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), AuditError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(AuditError::io("sync", dir))
}

/// The checkpoint's file has always this length, one sector: overwritten in place it never grows, so
/// that a power cut can't leave an old text with a new length.
const SECTOR: usize = 512;

/// A note as the checkpoint's file has it: filled up with line ends.
pub(super) fn padded(note: &str) -> Vec<u8> {
    let mut bytes = note.as_bytes().to_vec();
    bytes.resize(SECTOR.max(bytes.len()), b'\n');
    bytes
}

/// The note in the checkpoint's file; none where the file is not exactly what `padded` makes.
pub(super) fn unpadded(bytes: &[u8]) -> Option<&str> {
    let note = std::str::from_utf8(bytes).ok()?;
    let end = note.trim_end_matches('\n').len() + 1;
    note.get(..end).filter(|note| padded(note) == bytes)
}
