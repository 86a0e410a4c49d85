//! Records. Takes what passed a door, gives back only when it is on the disk; an append-only log of
//! canonical JSON lines under an RFC 6962 tree whose checkpoint is signed (`docs/format/audit.md`).
//! Never changes or removes a signed entry, and never lets a caller go on unrecorded.

mod append;
mod auditd;
mod create;
mod layout;
mod lines;
mod read;
mod recover;
mod verify;
mod witnessed;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use backstop_core::audit::Body;
use backstop_core::merkle::Frontier;
use backstop_core::note::{Checkpoint, NoteError, Signer, Verifier};
use backstop_core::redact::Redactor;
use backstop_core::time::Timestamp;

use crate::failure::Failure;

pub use auditd::{Expected, Seen};
pub use create::public_key;
pub use read::{Entries, entries, signed_end};
pub use verify::{Answer, Finding, Kept, Report, Weight, verify};
pub use witnessed::{Cosigned, keep, propose};

/// Why the log could not be opened or written. Whoever gets one may not go on.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system refused.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk is full but for what is kept free for ends and refusals.
    #[error("the disk is full: what is left in {path} is kept for how things end")]
    Full {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file is not one, or the two don't belong together.
    #[error("the audit log's key in {path} is damaged or was swapped")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint is not one that this log's key signed.
    #[error("the audit log's checkpoint {path} is not to be trusted")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: NoteError,
    },
    /// Entries that were signed are gone.
    #[error("the audit log in {dir} has {found} entries, but {signed} were signed: its end is missing")]
    Short {
        /// The log.
        dir: PathBuf,
        /// Entries that are there.
        found: u64,
        /// Entries of the checkpoint.
        signed: u64,
    },
    /// A witness's note that is not kept.
    #[error("the note is not kept: {why}")]
    Note {
        /// Why not.
        why: String,
    },
    /// Entries that a witness elsewhere has seen are gone.
    #[error("the audit log in {dir} has {found} entries, but a witness has seen {seen}: its end is missing")]
    Unwitnessed {
        /// The log.
        dir: PathBuf,
        /// Entries of the checkpoint.
        found: u64,
        /// Entries that were seen.
        seen: u64,
    },
    /// Entries that were signed are not the same any more.
    #[error("the audit log in {dir} was changed: its {signed} signed entries do not give the signed root")]
    Altered {
        /// The log.
        dir: PathBuf,
        /// Entries of the checkpoint.
        signed: u64,
    },
    /// An entry longer than a reader accepts.
    #[error("an audit entry of {bytes} bytes is too long, the limit is {limit}")]
    Long {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A line that is not an entry.
    #[error("entry {index} of the audit log is damaged")]
    Damaged {
        /// Its place.
        index: u64,
    },
}

impl AuditError {
    /// True where the log is not what was written, and somebody has to find out why.
    pub const fn alarms(&self) -> bool {
        matches!(
            self,
            Self::Key { .. }
                | Self::Checkpoint { .. }
                | Self::Short { .. }
                | Self::Unwitnessed { .. }
                | Self::Altered { .. }
                | Self::Damaged { .. }
        )
    }

    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// What takes secrets out by a key that nobody has afterwards, where the log's own can't be had.
///
/// # Errors
/// Where no key can be drawn.
pub fn some_redactor() -> Result<Redactor, Failure> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| Failure::because("cannot draw a key", &e))?;
    Ok(Redactor::new(key))
}

/// The log, open for writing. Several processes may hold one on the same directory.
#[derive(Debug)]
pub struct AuditLog {
    dir: PathBuf,
    signer: Signer,
    verifier: Verifier,
    /// Takes secrets out of what is about to be hashed.
    redactor: Redactor,
    tail: Tail,
    /// A new segment is begun when the last has reached this; smaller in tests.
    segment_bytes: u64,
    /// An append failed half way, so what is known of the tail may not be so.
    stale: bool,
}

/// Where the next entry goes.
#[derive(Debug)]
struct Tail {
    frontier: Frontier,
    file: File,
    /// The index of the first entry of the last segment; its name.
    segment: u64,
    /// Bytes in the last segment.
    end: u64,
}

impl AuditLog {
    /// Opens the log in `dir`, making it where there is none, and puts right what a crash left: a
    /// torn end is cut off (and kept aside), whole entries that were not signed yet are signed; both
    /// are recorded.
    ///
    /// # Errors
    /// When signed entries are gone or changed, the checkpoint or a key was tampered with, or the
    /// directory can't be written.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, AuditError> {
        create::if_missing(dir, now)?;
        let (signer, verifier) = create::keys(dir)?;
        let _held = layout::lock(dir)?;
        // What can't be read there stops nobody: a witness's own memory is what counts.
        let seen = witnessed::seen(dir, &verifier).unwrap_or_default().iter().map(|c| c.size).max().unwrap_or(0);
        let (tail, found) = recover::load(dir, &verifier, seen)?;
        let redactor = Redactor::new(signer.commitment_key());
        let (dir, segment_bytes) = (dir.to_owned(), layout::SEGMENT_BYTES);
        let mut log = Self { dir, signer, verifier, redactor, tail, segment_bytes, stale: false };
        log.record_recovery(found, now)?;
        Ok(log)
    }

    /// Puts right what a crash left in the log in `dir`, for whoever only looks at it.
    ///
    /// # Errors
    /// As [`AuditLog::open`] has them; and where there is no log.
    pub fn settle(dir: &Path) -> Result<(), AuditError> {
        // Nobody who only looks begins a log where one is gone.
        create::public_key(dir)?;
        Self::open(dir, crate::clock::now()).map(drop)
    }

    /// Appends one entry for each of `bodies`; returns when they are on the disk.
    ///
    /// # Errors
    /// When they could not be written: the caller may not do what it wanted to record.
    pub fn append(&mut self, now: Timestamp, bodies: &[Body]) -> Result<(), AuditError> {
        self.add(now, bodies, bodies.iter().any(Body::begins))
    }

    /// The same of what can be left out: it does not use up the last room.
    ///
    /// # Errors
    /// As [`AuditLog::append`]; [`AuditError::Full`] where there is not room enough.
    pub fn append_if_room(&mut self, now: Timestamp, bodies: &[Body]) -> Result<(), AuditError> {
        self.add(now, bodies, true)
    }

    fn add(&mut self, now: Timestamp, bodies: &[Body], spares: bool) -> Result<(), AuditError> {
        // Before the lock: nobody waits for it.
        let bodies: Vec<Body> = bodies.iter().map(|body| self.redactor.body(body).into_owned()).collect();
        let _held = layout::lock(&self.dir)?;
        if self.stale || self.others_appended()? {
            let (tail, found) = recover::load(&self.dir, &self.verifier, 0)?;
            self.tail = tail;
            self.stale = false;
            self.record_recovery(found, now)?;
        }
        self.write(now, &bodies, spares)
    }

    /// What takes secrets out of what goes into the log in `dir`.
    ///
    /// # Errors
    /// Where there is no log, or its keys can't be read.
    pub fn redactor(dir: &Path) -> Result<Redactor, AuditError> {
        Ok(Redactor::new(create::keys(dir)?.0.commitment_key()))
    }

    /// The checkpoint over what this process knows to be in the log.
    pub fn checkpoint(&self) -> Checkpoint {
        let frontier = &self.tail.frontier;
        Checkpoint { origin: self.verifier.name().to_owned(), root: frontier.root(), size: frontier.size() }
    }

    /// The key that signs it.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn record_recovery(&mut self, found: recover::Found, now: Timestamp) -> Result<(), AuditError> {
        match found.entry() {
            Some(body) => self.write(now, &[body], false),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
