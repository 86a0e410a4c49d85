//! What an installation notes of each file: the old bytes, and what came in their place. Kept in the state
//! directory and not beside the file: there it would be read by clients that take every file of a directory,
//! and an agent could write what an uninstallation then puts in force.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_engine::Failure;
use serde::{Deserialize, Serialize};

use super::disk::{self, Found, Mode};

const PRIVATE: Mode = Mode { bits: 0o600, shared: false };

/// The directories that were made.
const DIRS: &str = "made.json";

/// The format's version.
const VERSION: u32 = 1;

/// One file's note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The digest of what was written.
    pub after: String,
    /// The agent.
    pub agent: String,
    /// The digest of what was there; none where there was no file.
    pub before: Option<String>,
    /// The file, behind all links.
    pub path: Bytes,
    pub version: u32,
}

/// The notes of one state directory.
pub struct Notes {
    dir: PathBuf,
}

pub fn digest(bytes: &[u8]) -> String {
    Digest::of("backstop install v1", &[bytes]).hex()
}

impl Notes {
    pub fn of(state: &Path) -> Self {
        Self { dir: state.join("install") }
    }

    fn place(&self, file: &Path, what: &str) -> PathBuf {
        let name = Digest::of("backstop install path v1", &[Bytes::from(file).as_slice()]).hex();
        self.dir.join(format!("{}.{what}", &name[..32]))
    }

    /// The note of a file; none where there is none, or where it can't be used.
    pub fn note(&self, file: &Path) -> Option<Note> {
        let text = fs::read(self.place(file, "json")).ok()?;
        let note: Note = serde_json::from_slice(&text).ok()?;
        (note.version == VERSION && note.path == Bytes::from(file)).then_some(note)
    }

    /// The old bytes, where they are still what was noted.
    pub fn before(&self, file: &Path, note: &Note) -> Option<Vec<u8>> {
        let bytes = fs::read(self.place(file, "before")).ok()?;
        (note.before.as_deref() == Some(digest(&bytes).as_str())).then_some(bytes)
    }

    /// Notes a file before it is written.
    ///
    /// # Errors
    /// Where that can't be kept; then nothing may be written.
    pub fn keep(&self, file: &Path, agent: &str, before: Option<&[u8]>, after: &[u8]) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure::because(format!("cannot keep a copy of {}", disk::quoted(file)), &e);
        let note = Note {
            after: digest(after),
            agent: agent.to_owned(),
            before: before.map(digest),
            path: Bytes::from(file),
            version: VERSION,
        };
        if let Some(bytes) = before {
            self.write(&self.place(file, "before"), bytes)?;
        }
        let text = serde_json::to_vec_pretty(&note).map_err(|e| failed(e.into()))?;
        self.write(&self.place(file, "json"), &text)
    }

    /// Private files of ours: nobody else's secrets come out of a configuration this way.
    fn write(&self, place: &Path, bytes: &[u8]) -> Result<(), Failure> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(|e| {
            Failure::because(format!("cannot make {}", disk::quoted(&self.dir)), &e)
                .next("make the directory above it writable, or set XDG_STATE_HOME")
        })?;
        let bytes_now = fs::read(place).ok();
        disk::replace(&Found { bytes: bytes_now, executable: false, real: place.to_owned() }, bytes, PRIVATE)
    }

    /// Where what is taken away is kept, if somebody has changed it.
    pub fn aside(&self, file: &Path) -> PathBuf {
        self.place(file, "changed")
    }

    /// Keeps it there.
    ///
    /// # Errors
    /// Where it can't be kept.
    pub fn put_aside(&self, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
        self.write(&self.aside(file), bytes)
    }

    /// Notes directories that are about to be made; several files may need the same.
    ///
    /// # Errors
    /// Where that can't be kept.
    pub fn keep_dirs(&self, made: &[PathBuf]) -> Result<(), Failure> {
        if made.is_empty() {
            return Ok(());
        }
        let mut all = self.dirs();
        all.extend(made.iter().cloned());
        self.write_dirs(all)
    }

    /// The directories that were made for any file.
    fn dirs(&self) -> Vec<PathBuf> {
        let text = fs::read(self.dir.join(DIRS)).unwrap_or_default();
        let all: Vec<Bytes> = serde_json::from_slice(&text).unwrap_or_default();
        all.iter().map(|b| b.as_path().to_owned()).collect()
    }

    fn write_dirs(&self, mut all: Vec<PathBuf>) -> Result<(), Failure> {
        all.sort();
        all.dedup();
        let all: Vec<Bytes> = all.iter().map(|d| Bytes::from(d.as_path())).collect();
        let text = serde_json::to_vec(&all).map_err(|e| Failure::because("cannot note directories", &e))?;
        self.write(&self.dir.join(DIRS), &text)
    }

    /// Forgets a file, and takes the directories away that were made and are empty.
    ///
    /// # Errors
    /// Where the note can't be removed.
    pub fn forget(&self, file: &Path) -> Result<(), Failure> {
        disk::remove(&self.place(file, "json"))?;
        disk::remove(&self.place(file, "before"))?;
        let mut left = self.dirs();
        let had = left.len();
        // Innermost first: sorted, a directory stands before what is in it. One that somebody else has put
        // something into stays, and so do those above it.
        left.sort();
        left.reverse();
        left.retain(|dir| fs::remove_dir(dir).is_err() && dir.is_dir());
        if left.is_empty() {
            disk::remove(&self.dir.join(DIRS))?;
        } else if left.len() != had {
            self.write_dirs(left)?;
        }
        if !self.has_notes() {
            disk::remove(&self.dir.join(DIRS))?;
            // What was put aside is a person's, and keeps the directory.
            let _stays = fs::remove_dir(&self.dir);
        }
        Ok(())
    }

    fn has_notes(&self) -> bool {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.map(|e| e.path()).any(|p| p.extension().is_some_and(|e| e == "json") && !p.ends_with(DIRS))
    }
}
