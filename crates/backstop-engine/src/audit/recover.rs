//! Takes a log as the last writer, or its crash, left it; gives where the next entry goes, and what
//! had to be put right for that. Signed entries are checked, never touched.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use backstop_core::audit::{Body, Entry};
use backstop_core::canon;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::merkle::{self, Frontier};
use backstop_core::note::{Checkpoint, NoteError, Verifier};
use serde::{Deserialize, Serialize};

use crate::fault;

use super::layout::{CHECKPOINT, CUT, FRONTIER, Segment, new_file, segment_path, segments, sync_dir, unpadded};
use super::lines::Lines;
use super::{AuditError, Tail};

/// The `frontier` file: a cache, believed only where it gives the signed root.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cached {
    end: u64,
    peaks: Vec<Digest>,
    segment: u64,
    size: u64,
}

impl Cached {
    pub(super) fn new(frontier: &Frontier, segment: u64, end: u64) -> Self {
        Self { end, peaks: frontier.peaks().to_vec(), segment, size: frontier.size() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut line = canon::line(self);
        line.push(b'\n');
        line
    }
}

/// What was not as a writer that finished leaves it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    adopted: u64,
    cut: Option<(Digest, u64)>,
}

impl Found {
    /// The entry that records it; none where all was well.
    pub(super) fn entry(self) -> Option<Body> {
        if self == Self::default() {
            return None;
        }
        let (cut, cut_bytes) = self.cut.map_or((None, 0), |(digest, bytes)| (Some(digest), bytes));
        Some(Body::AuditRecovered { adopted: self.adopted, cut, cut_bytes })
    }
}

/// A place between two entries.
#[derive(Clone)]
struct Place {
    frontier: Frontier,
    segment: u64,
    end: u64,
}

/// Finds the end of the log, which has to have as many entries as a witness has `seen`. Call it with the lock held.
pub(super) fn load(dir: &Path, verifier: &Verifier, seen: u64) -> Result<(Tail, Found), AuditError> {
    let segments = segments(dir)?;
    let signed = signed(dir, verifier)?;
    let (mut place, cached) = match cached(dir).and_then(|c| walk_to(dir, &segments, c, &signed).transpose()) {
        Some(Ok(place)) => (place, true),
        // The cache is ahead or damaged: the log itself says.
        None | Some(Err(_)) => (whole(dir, &segments, &signed)?, false),
    };
    let (mut adopted, mut bad) = adopt(dir, &segments, &mut place)?;
    if bad.is_some() && cached {
        // The root vouches for the cache's peaks, not for the byte it names: never cut on its word.
        place = whole(dir, &segments, &signed)?;
        (adopted, bad) = adopt(dir, &segments, &mut place)?;
    }
    // Of all that is there: a power cut may have left an older checkpoint beside younger entries. Before anything is cut.
    let there = place.frontier.size();
    if seen > there {
        return Err(AuditError::Unwitnessed { dir: dir.to_owned(), found: there, seen });
    }
    let cut = bad.map(|(segment, offset)| cut(dir, &segments, segment, offset)).transpose()?;
    let found = Found { adopted, cut };
    let path = segment_path(dir, place.segment);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(AuditError::io("open", &path))?;
    if adopted > 0 {
        // Their writer may have been killed before it synced them, and they are about to be signed.
        file.sync_data().map_err(AuditError::io("sync", &path))?;
    }
    let tail = Tail { frontier: place.frontier, file, segment: place.segment, end: place.end };
    Ok((tail, found))
}

/// The signed checkpoint. It lies in one sector, so a power cut leaves the old or the new one:
/// whatever is none was done by somebody, or by a failing disk, and a person must look.
fn signed(dir: &Path, verifier: &Verifier) -> Result<Checkpoint, AuditError> {
    let path = dir.join(CHECKPOINT);
    let bytes = fs::read(&path).map_err(AuditError::io("read", &path))?;
    let note = unpadded(&bytes).ok_or(NoteError::Shape);
    note.and_then(|note| Checkpoint::open(note, verifier)).map_err(|source| AuditError::Checkpoint { path, source })
}

/// The cached place, where the file is whole.
fn cached(dir: &Path) -> Option<Place> {
    let bytes = fs::read(dir.join(FRONTIER)).ok()?;
    // A longer line may have stood here before; its end is still there.
    let line = bytes.split(|b| *b == b'\n').next()?;
    let cached: Cached = serde_json::from_slice(line).ok()?;
    let frontier = Frontier::from_parts(cached.size, cached.peaks)?;
    Some(Place { frontier, segment: cached.segment, end: cached.end })
}

/// Goes on from `from` to the signed size; none where that doesn't give the signed root.
fn walk_to(dir: &Path, segments: &[Segment], from: Place, signed: &Checkpoint) -> Result<Option<Place>, AuditError> {
    // The bytes up to `end` must be there: the tail of the log may have been cut off since.
    if !segments.iter().any(|s| s.first == from.segment && from.end <= s.bytes) || from.frontier.size() > signed.size {
        return Ok(None);
    }
    let reached = advance(dir, segments, from, signed.size)?;
    Ok((reached.frontier.size() == signed.size && reached.frontier.root() == signed.root).then_some(reached))
}

/// Reads the log from its first entry to the signed size.
fn whole(dir: &Path, segments: &[Segment], signed: &Checkpoint) -> Result<Place, AuditError> {
    let start = Place { frontier: Frontier::default(), segment: 0, end: 0 };
    let reached = advance(dir, segments, start, signed.size)?;
    let found = reached.frontier.size();
    if found < signed.size {
        return Err(AuditError::Short { dir: dir.to_owned(), found, signed: signed.size });
    }
    if reached.frontier.root() != signed.root {
        return Err(AuditError::Altered { dir: dir.to_owned(), signed: signed.size });
    }
    Ok(reached)
}

/// Takes lines into the tree until it has `size` leaves or the log ends.
fn advance(dir: &Path, segments: &[Segment], mut place: Place, size: u64) -> Result<Place, AuditError> {
    if place.frontier.size() == size {
        return Ok(place);
    }
    let mut lines = Lines::from(dir, segments, place.segment, place.end)?;
    while place.frontier.size() < size {
        match lines.next()? {
            Some(line) if line.whole => place.frontier.push(merkle::leaf(line.bytes)),
            Some(_) | None => break,
        }
        (place.segment, place.end) = lines.position();
    }
    Ok(place)
}

/// Where a line that is no entry begins: its segment and byte.
type Bad = (u64, u64);

/// Goes on over the whole entries after the signed ones; gives their number, and where something else
/// follows them.
fn adopt(dir: &Path, segments: &[Segment], place: &mut Place) -> Result<(u64, Option<Bad>), AuditError> {
    if segments.last().is_some_and(|s| s.first == place.segment && s.bytes == place.end) {
        return Ok((0, None));
    }
    let mut lines = Lines::from(dir, segments, place.segment, place.end)?;
    let mut adopted = 0;
    while let Some(line) = lines.next()? {
        let index = place.frontier.size();
        let in_place = line.offset > 0 || line.segment == index;
        if !line.whole || !in_place || Entry::parse(line.bytes).is_none_or(|e| e.index != index) {
            return Ok((adopted, Some((line.segment, line.offset))));
        }
        place.frontier.push(merkle::leaf(line.bytes));
        adopted += 1;
        (place.segment, place.end) = lines.position();
    }
    // A new segment may have been begun and nothing written to it yet.
    if let Some(last) = segments.last().filter(|last| last.first == place.frontier.size() && last.bytes == 0) {
        (place.segment, place.end) = (last.first, 0);
    }
    Ok((adopted, None))
}

/// Cuts the log off at a byte. What is cut is evidence: it is kept aside, durably, before it goes.
fn cut(dir: &Path, segments: &[Segment], first: u64, offset: u64) -> Result<(Digest, u64), AuditError> {
    let kept = dir.join(CUT);
    DirBuilder::new().mode(0o700).recursive(true).create(&kept).map_err(AuditError::io("create", &kept))?;
    let new = kept.join("new");
    let mut out = new_file(&new)?;
    let (mut hasher, mut bytes) = (ContentHasher::default(), 0);
    let gone = || segments.iter().filter(|s| s.first >= first);
    for segment in gone() {
        let path = segment_path(dir, segment.first);
        let from = if segment.first == first { offset } else { 0 };
        bytes += copy(&path, from, &mut out, &mut hasher).map_err(AuditError::io("keep aside the end of", &path))?;
    }
    out.sync_all().map_err(AuditError::io("write", &new))?;
    let digest = hasher.finish();
    let named = kept.join(digest.hex());
    fs::rename(&new, &named).map_err(AuditError::io("create", &named))?;
    sync_dir(&kept)?;
    sync_dir(dir)?;
    for segment in gone().rev() {
        let path = segment_path(dir, segment.first);
        // The log's first segment stays, empty, rather than leave a log without any.
        if segment.first == first && (offset > 0 || first == 0) {
            let file = OpenOptions::new().write(true).open(&path).map_err(AuditError::io("open", &path))?;
            let cut = fault::point("audit.cut").and_then(|()| file.set_len(offset)).and_then(|()| file.sync_all());
            cut.map_err(AuditError::io("cut", &path))?;
        } else {
            fs::remove_file(&path).map_err(AuditError::io("remove", &path))?;
        }
    }
    sync_dir(dir)?;
    Ok((digest, bytes))
}

fn copy(path: &Path, from: u64, out: &mut File, hasher: &mut ContentHasher) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(bytes);
        }
        hasher.update(&buffer[..n]);
        out.write_all(&buffer[..n])?;
        bytes += n as u64;
    }
}
