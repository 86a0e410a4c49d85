//! Makes a new log, whole or not at all, and reads its keys. Never makes a second one where any part
//! of a first is left.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use backstop_core::audit::{Body, Entry};
use backstop_core::merkle::{self, Frontier};
use backstop_core::note::{Checkpoint, Signer, Verifier};
use backstop_core::time::Timestamp;

use super::AuditError;
use super::layout::{CHECKPOINT, FRONTIER, KEY, KEY_PUB, LOCK, padded, segment_path, sync_dir, write_durably};
use super::recover::Cached;

/// Makes the log where `dir` is missing or empty. It is built beside and renamed into place, so a
/// crash leaves all of it or nothing, and a directory without a key or checkpoint is always damage,
/// never a new beginning.
pub(super) fn if_missing(dir: &Path, now: Timestamp) -> Result<(), AuditError> {
    match fs::read_dir(dir) {
        Ok(mut items) => {
            if items.next().is_some() {
                return Ok(());
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(AuditError::io("read", dir)(e)),
    }
    let mut random = [0; 40];
    getrandom::fill(&mut random).map_err(|e| AuditError::io("make a key for", dir)(e.into()))?;
    let (seed, suffix) = random.split_first_chunk::<32>().expect("40 is more than 32");
    let suffix: String = suffix.iter().map(|b| format!("{b:02x}")).collect();
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let beside = parent.join(format!("audit.new-{suffix}"));
    let mut private = DirBuilder::new();
    private.mode(0o700).recursive(true);
    private.create(parent).map_err(AuditError::io("create", parent))?;
    private.create(&beside).map_err(AuditError::io("create", &beside))?;
    let made = fill(&beside, &Signer::of_host(seed), now).and_then(|()| match fs::rename(&beside, dir) {
        Ok(()) => sync_dir(parent).map(|()| true),
        // Another process was first: rename replaces an empty directory only.
        Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => Ok(false),
        Err(e) => Err(AuditError::io("create", dir)(e)),
    });
    if !matches!(made, Ok(true)) && beside.exists() {
        fs::remove_dir_all(&beside).map_err(AuditError::io("remove", &beside))?;
    }
    made.map(|_| ())
}

/// Everything a new log has: keys, first entry, checkpoint, all durable.
pub(super) fn fill(dir: &Path, signer: &Signer, now: Timestamp) -> Result<(), AuditError> {
    let verifier = signer.verifier();
    let body = Body::AuditStarted { key: verifier.to_string() };
    let line = Entry { at: now, body, index: 0, version: Entry::VERSION }.line();
    let mut frontier = Frontier::default();
    frontier.push(merkle::leaf(&line));
    let checkpoint = Checkpoint { origin: verifier.name().to_owned(), root: frontier.root(), size: 1 };
    let bytes = [&line[..], b"\n"].concat();
    write_durably(&dir.join(LOCK), b"")?;
    write_durably(&dir.join(KEY), format!("{}\n", signer.secret()).as_bytes())?;
    write_durably(&dir.join(KEY_PUB), format!("{verifier}\n").as_bytes())?;
    write_durably(&segment_path(dir, 0), &bytes)?;
    write_durably(&dir.join(CHECKPOINT), &padded(&checkpoint.signed(signer)))?;
    write_durably(&dir.join(FRONTIER), &Cached::new(&frontier, 0, bytes.len() as u64).bytes())?;
    sync_dir(dir)
}

/// The keys of the log, which must belong together.
pub(super) fn keys(dir: &Path) -> Result<(Signer, Verifier), AuditError> {
    let path = dir.join(KEY);
    let text = fs::read_to_string(&path).map_err(AuditError::io("read", &path))?;
    let signer = text.strip_suffix('\n').and_then(|t| Signer::parse(t).ok());
    let signer = signer.ok_or_else(|| AuditError::Key { path: path.clone() })?;
    let verifier = public_key(dir)?;
    if signer.verifier() == verifier && verifier.names_itself() {
        Ok((signer, verifier))
    } else {
        Err(AuditError::Key { path: dir.join(KEY_PUB) })
    }
}

/// The public key of the log in `dir` alone.
///
/// # Errors
/// Where it can't be read, or is none.
pub fn public_key(dir: &Path) -> Result<Verifier, AuditError> {
    let path = dir.join(KEY_PUB);
    let text = fs::read(&path).map_err(AuditError::io("read", &path))?;
    let text = std::str::from_utf8(&text).ok().and_then(|t| t.strip_suffix('\n'));
    text.and_then(|t| Verifier::parse(t).ok()).ok_or(AuditError::Key { path })
}
