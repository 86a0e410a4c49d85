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
/// Nobody has more witnesses.
const MOST: usize = 32;

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
        // What somebody elsewhere remembers must be nothing that a power cut takes back.
        fs::File::open(&path).and_then(|file| file.sync_data()).map_err(AuditError::io("sync", &path))?;
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
/// Where it is not this log's, not the witness's, of more than is signed here, or older than what is kept.
pub fn keep(dir: &Path, witness: &Witness, note: &str) -> Result<Cosigned, AuditError> {
    let path = place(dir, witness);
    let refused = |why: String| AuditError::Note { why };
    let key = public_key(dir)?;
    if note.len() > LONGEST {
        return Err(refused(format!("it is longer than {LONGEST} bytes")));
    }
    let new = cosigned(note, witness, &key).map_err(|e| refused(e.to_string()))?;
    let (_, signed) = super::signed_end(dir)?;
    if new.checkpoint.size > signed {
        return Err(AuditError::Unwitnessed { dir: dir.to_owned(), found: signed, seen: new.checkpoint.size });
    }
    let beside = dir.join(WITNESSED);
    DirBuilder::new().mode(0o700).recursive(true).create(&beside).map_err(AuditError::io("create", &beside))?;
    sync_dir(dir)?;
    // Of two at once the older one does not take the newer one's place. The log itself goes on meanwhile.
    let _held = lock(&beside)?;
    if let Some(before) = read(&path).and_then(|kept| cosigned(&kept, witness, &key).ok()) {
        let (old, size) = (&before.checkpoint, new.checkpoint.size);
        if old.size > size {
            // Somebody was quicker: all of this is in what is kept.
            return Ok(before);
        }
        if old.size == size && *old != new.checkpoint {
            return Err(refused(format!("others of {size} entries are cosigned by it already")));
        }
    } else if notes(&beside)?.len() >= MOST {
        let what =
            format!("notes of {MOST} witnesses are kept already: have root take those away that are no witness's, in");
        return Err(refused(format!("{what} {}", beside.display())));
    }
    let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    let written = sys::open_root(&beside).and_then(|at| sys::write_durable(at.as_fd(), &name, note.as_bytes()));
    written.map_err(AuditError::io("write", &path))?;
    Ok(new)
}

/// What `witness` cosigned last of the log in `dir`, as it is kept there; none where that is nothing.
///
/// # Errors
/// A note that is none of this log's and this witness's.
pub(super) fn kept(dir: &Path, witness: &Witness, key: &Verifier) -> Result<Option<Cosigned>, NoteError> {
    read(&place(dir, witness)).map(|note| cosigned(&note, witness, key)).transpose()
}

/// What the notes beside the log speak of that the log itself signed, whoever cosigned it. One that is damaged, or no
/// such note, says nothing: what is missing is asked about by the witness's name.
///
/// # Errors
/// Where the directory can't be read.
pub(super) fn seen(dir: &Path, key: &Verifier) -> Result<Vec<Checkpoint>, AuditError> {
    let all = notes(&dir.join(WITNESSED))?;
    Ok(all.iter().filter_map(|path| Checkpoint::open(&read(path)?, key).ok()).collect())
}

/// The files that are called as notes are.
fn notes(beside: &Path) -> Result<Vec<PathBuf>, AuditError> {
    let items = match fs::read_dir(beside) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        items => items.map_err(AuditError::io("read", beside))?,
    };
    let mut found = Vec::new();
    for item in items {
        let path = item.map_err(AuditError::io("read", beside))?.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let is_note = path.extension().is_some_and(|e| e == "note");
        if is_note && stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn cosigned(note: &str, witness: &Witness, key: &Verifier) -> Result<Cosigned, NoteError> {
    Ok(Cosigned { checkpoint: Checkpoint::open(note, key)?, at: witness.cosigned(note)? })
}

/// Named by the witness's key, whose name may be anything.
fn place(dir: &Path, witness: &Witness) -> PathBuf {
    dir.join(WITNESSED).join(format!("{}.note", Digest::of_content(witness.to_string().as_bytes()).hex()))
}

/// The text of a note; none where there is none, or something else lies there.
fn read(path: &Path) -> Option<String> {
    let dir = sys::open_root(path.parent()?).ok()?;
    let file = fs::File::from(sys::open_file(dir.as_fd(), path.file_name()?.as_encoded_bytes()).ok()?);
    let plain = file.metadata().is_ok_and(|m| m.is_file());
    let mut text = String::new();
    let read = plain.then(|| file.take(LONGEST as u64 + 1).read_to_string(&mut text).ok()).flatten()?;
    (read <= LONGEST).then_some(text)
}
