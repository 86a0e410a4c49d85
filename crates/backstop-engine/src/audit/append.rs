//! Takes bodies, gives them index and time, and puts them at the end of the log: one write, one
//! `fdatasync`, then the checkpoint. Assumes the lock is held and the tail known.
//!
//! Some room behind the last entry is taken ahead, without making the file longer: a full disk must keep nobody from saying
//! how something ended, or that it was refused. What is about to begin, and what can be left out, may not use it up. Files are no longer than what was
//! written: where their end was filled with zeros (which saves a third of an append: ext4 on a virtual disk, 100 instead of
//! 150 µs), every reader would have to tell zeros that are reserve from zeros that somebody wrote, and an appended byte
//! must be found.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use backstop_core::audit::{Body, Entry};
use backstop_core::merkle;
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;

use super::layout::{CHECKPOINT, FRONTIER, LINE_BYTES, overwrite, padded, segment_path, sync_dir};
use super::recover::Cached;
use crate::fault;

use super::{AuditError, AuditLog, Tail};

/// So much room is taken behind the last entry, in bytes: some thousand entries.
const RESERVE: u64 = 1 << 20;

/// The cache is written when the log passes a multiple of so many entries: the next process reads at
/// most that many lines to catch up, some microseconds.
const CACHE_EVERY: u64 = 32;

impl AuditLog {
    /// True when the log does not end where this process left it.
    pub(super) fn others_appended(&self) -> Result<bool, AuditError> {
        let path = segment_path(&self.dir, self.tail.segment);
        let found = self.tail.file.metadata().map_err(AuditError::io("look at", &path))?;
        // Without a name left, the file is no longer the log: somebody moved the log away.
        let size = self.tail.frontier.size();
        let rolled = size != self.tail.segment && segment_path(&self.dir, size).exists();
        Ok(found.len() != self.tail.end || found.nlink() == 0 || rolled)
    }

    /// What `spares` the last room is refused where nothing else is left.
    pub(super) fn write(&mut self, now: Timestamp, bodies: &[Body], spares: bool) -> Result<(), AuditError> {
        if bodies.is_empty() {
            return Ok(());
        }
        let mut frontier = self.tail.frontier.clone();
        let mut bytes = Vec::with_capacity(512 * bodies.len());
        for body in bodies {
            let entry = Entry { at: now, body: body.clone(), index: frontier.size(), version: Entry::VERSION };
            let line = entry.line();
            if line.len() > LINE_BYTES {
                return Err(AuditError::Long { bytes: line.len(), limit: LINE_BYTES });
            }
            frontier.push(merkle::leaf(&line));
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        // From here on a failure leaves it to `recover` to say what is in the log.
        self.stale = true;
        if self.tail.end >= self.segment_bytes {
            match self.roll() {
                // The room is behind the old one, which may be longer.
                Err(AuditError::Full { .. }) if !spares => {}
                other => other?,
            }
        }
        self.reserve(&self.tail, bytes.len() as u64, spares)?;
        self.put(&bytes)?;
        let remember = frontier.size() / CACHE_EVERY != self.tail.frontier.size() / CACHE_EVERY;
        self.tail.frontier = frontier;
        self.tail.end += bytes.len() as u64;
        self.publish(remember)?;
        self.stale = false;
        Ok(())
    }

    /// Begins a new segment, named after its first entry.
    fn roll(&mut self) -> Result<(), AuditError> {
        let first = self.tail.frontier.size();
        let path = segment_path(&self.dir, first);
        // Never over an old one: an empty one that a crash left was taken up by `recover`.
        let mut new = OpenOptions::new();
        new.read(true).write(true).create_new(true).mode(0o600);
        let file = fault::point("audit.segment").and_then(|()| new.open(&path)).map_err(full_or("create", &path))?;
        let tail = Tail { frontier: self.tail.frontier.clone(), file, segment: first, end: 0 };
        if let Err(full) = self.reserve(&tail, 0, true) {
            // Nothing is in it yet; where it can't be removed, `recover` takes it up.
            std::fs::remove_file(&path).map_err(AuditError::io("remove", &path))?;
            return Err(full);
        }
        sync_dir(&self.dir)?;
        self.tail = tail;
        Ok(())
    }

    /// Sees to it that there is room for so many bytes, and behind them for what has to be said afterwards. Where there is
    /// not, what `spares` it is refused.
    fn reserve(&self, tail: &Tail, bytes: u64, spares: bool) -> Result<(), AuditError> {
        /// The kernel counts a file's blocks in these.
        const BLOCK: u64 = 512;
        let Tail { file, segment, end, .. } = tail;
        let path = segment_path(&self.dir, *segment);
        let taken = file.metadata().map_err(AuditError::io("look at", &path))?.blocks() * BLOCK;
        if taken >= end + bytes + RESERVE / 2 {
            return Ok(());
        }
        let took = fault::point("audit.reserve").and_then(|()| sys::reserve(file.as_fd(), *end, bytes + RESERVE));
        match took {
            Ok(()) => Ok(()),
            // What was taken before is for this; whether it is enough, writing says.
            Err(_) if !spares => Ok(()),
            Err(e) => Err(full_or("take room for", &path)(e)),
        }
    }

    fn put(&self, bytes: &[u8]) -> Result<(), AuditError> {
        let Tail { file, segment, end, .. } = &self.tail;
        let written = fault::point("audit.write")
            .and_then(|()| file.write_all_at(bytes, *end))
            .and_then(|()| fault::point("audit.sync"))
            .and_then(|()| file.sync_data());
        written.map_err(|source| {
            // What is half there goes again, so that a full disk leaves no torn line. Where even that
            // fails, the next append or open cuts it off and records that.
            let what = match file.set_len(*end) {
                Ok(()) => "write",
                Err(_) => "write to, nor take the half back from,",
            };
            AuditError::io(what, &segment_path(&self.dir, *segment))(source)
        })
    }

    /// Signs what the log now holds; to `remember` is to write the cache as well. The cache goes second:
    /// behind the checkpoint it is caught up with by reading on, ahead of it the whole log is read.
    fn publish(&self, remember: bool) -> Result<(), AuditError> {
        let Tail { frontier, segment, end, .. } = &self.tail;
        overwrite(&self.dir, CHECKPOINT, &padded(&self.checkpoint().signed(&self.signer)))?;
        if remember {
            overwrite(&self.dir, FRONTIER, &Cached::new(frontier, *segment, *end).bytes())?;
        }
        Ok(())
    }
}

/// That the disk is full, or what else failed.
fn full_or(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => AuditError::Full { path, source },
        _ => AuditError::Io { what, path, source },
    }
}
