//! What witnesses elsewhere are asked about this log, and what they said of it: takes a log's directory, gives a
//! proposal; keeps their notes beside the log. What they may cosign is decided in core.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use backstop_core::digest::Digest;
use backstop_core::merkle::{self, consistency_proof};
use backstop_core::note::{Checkpoint, NoteError, Verifier};
use backstop_core::witness::{LONGEST, Proposal, Witness};
use backstop_sys::fs as sys;

use super::AuditError;
use super::create::public_key;
use super::layout::{CHECKPOINT, lock, lock_to_look, segments, sync_dir, unpadded};
use super::lines::Lines;

/// The directory of what witnesses cosigned, below the log's.
const WITNESSED: &str = "witnessed";

/// A note that a witness cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// When, by the witness's clock, in seconds of Unix time.
    pub at: u64,
    /// What of the log.
    pub checkpoint: Checkpoint,
}

/// What a witness that has seen `old` entries of the log in `dir` is asked to cosign: all that is signed, with the proof
/// that it goes on from there. Where there are fewer entries it is asked all the same: it will say so.
///
/// # Errors
/// A log that can't be read, or is not what its checkpoint says.
pub fn propose(dir: &Path, old: u64) -> Result<Proposal, AuditError> {
    let (note, checkpoint, segments) = {
        let _held = lock_to_look(dir)?;
        let path = dir.join(CHECKPOINT);
        let bytes = fs::read(&path).map_err(AuditError::io("read", &path))?;
        let untrusted = |source| AuditError::Checkpoint { path: path.clone(), source };
        let note = unpadded(&bytes).ok_or(NoteError::Shape).map_err(untrusted)?;
        let checkpoint = Checkpoint::open(note, &public_key(dir)?).map_err(untrusted)?;
        (note.to_owned(), checkpoint, segments(dir)?)
    };
    let mut lines = Lines::all(dir, segments);
    let mut leaves: Vec<Digest> = Vec::new();
    while (leaves.len() as u64) < checkpoint.size {
        let Some(line) = lines.next()? else { break };
        leaves.push(merkle::leaf(line.bytes));
    }
    let (found, signed) = (leaves.len() as u64, checkpoint.size);
    if found < signed {
        return Err(AuditError::Short { dir: dir.to_owned(), found, signed });
    }
    if merkle::root(&leaves) != checkpoint.root {
        return Err(AuditError::Altered { dir: dir.to_owned(), signed });
    }
    let proof = usize::try_from(old).ok().and_then(|old| consistency_proof(&leaves, old)).unwrap_or_default();
    Ok(Proposal { old, proof, note })
}

/// Keeps a note that `witness` cosigned, in place of an earlier one of its.
///
/// # Errors
/// Where it is not this log's, not the witness's, or older than what is kept.
pub fn keep(dir: &Path, witness: &Witness, note: &str) -> Result<Cosigned, AuditError> {
    let path = place(dir, witness);
    let untrusted = |source| AuditError::Checkpoint { path: path.clone(), source };
    let key = public_key(dir)?;
    let new = cosigned(note, witness, &key).map_err(untrusted)?;
    // Of two at once the older one does not take the newer one's place.
    let _held = lock(dir)?;
    let kept = read(&path)?.and_then(|kept| cosigned(&kept, witness, &key).ok());
    if kept.is_some_and(|kept| kept.checkpoint.size > new.checkpoint.size) {
        return Err(untrusted(NoteError::Stale));
    }
    let beside = dir.join(WITNESSED);
    DirBuilder::new().mode(0o700).recursive(true).create(&beside).map_err(AuditError::io("create", &beside))?;
    sync_dir(dir)?;
    let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    let written = sys::open_root(&beside).and_then(|at| sys::write_durable(at.as_fd(), &name, note.as_bytes()));
    written.map_err(AuditError::io("write", &path))?;
    Ok(new)
}

/// What `witness` cosigned last of the log in `dir`, as it is kept there; none where that is nothing.
///
/// # Errors
/// A note that can't be read, or is none of this log's and this witness's.
pub(super) fn kept(dir: &Path, witness: &Witness, key: &Verifier) -> Result<Option<Cosigned>, AuditError> {
    let path = place(dir, witness);
    let note = read(&path)?;
    let note = note.map(|note| cosigned(&note, witness, key)).transpose();
    note.map_err(|source| AuditError::Checkpoint { path, source })
}

/// The most entries that any note beside the log speaks of which the log itself signed.
pub(super) fn furthest(dir: &Path, key: &Verifier) -> Result<u64, AuditError> {
    let beside = dir.join(WITNESSED);
    let items = match fs::read_dir(&beside) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        items => items.map_err(AuditError::io("read", &beside))?,
    };
    let mut most = 0;
    for item in items {
        let path = item.map_err(AuditError::io("read", &beside))?.path();
        let note = read(&path)?.unwrap_or_default();
        most = most.max(Checkpoint::open(&note, key).map_or(0, |checkpoint| checkpoint.size));
    }
    Ok(most)
}

fn cosigned(note: &str, witness: &Witness, key: &Verifier) -> Result<Cosigned, NoteError> {
    Ok(Cosigned { checkpoint: Checkpoint::open(note, key)?, at: witness.cosigned(note)? })
}

/// Named by the witness's key, whose name may be anything.
fn place(dir: &Path, witness: &Witness) -> PathBuf {
    dir.join(WITNESSED).join(format!("{}.note", Digest::of_content(witness.to_string().as_bytes()).hex()))
}

fn read(path: &Path) -> Result<Option<String>, AuditError> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST as u64).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(AuditError::io("read", path)(e)),
    }
}
