//! What a witness of logs remembers, in a directory of its own: its key, and of each log the key and the note that it
//! cosigned last. Reads and writes nothing of the state of whoever guards a machine; an auditor's laptop has only this.
//! What may be cosigned is decided in core.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use backstop_core::digest::Digest;
use backstop_core::note::{Checkpoint, Verifier};
use backstop_core::witness::{Cosigner, LONGEST, Proposal, Refusal, Seen, Witness};
use backstop_sys::fs as sys;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::failure::{Failure, FailureKind};

const KEY: &str = "key";
const KEY_PUB: &str = "key.pub";
const LOCK: &str = "lock";

/// Why a proposal was not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// What it says is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The witness itself can't.
    #[error("{}", .0.what)]
    Failed(Failure),
}

impl From<Failure> for NotCosigned {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What is remembered of a log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// By which command it was visited first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// When it was seen to have grown last, in seconds of Unix time.
    #[serde(default)]
    grew: u64,
    /// Its public key.
    log: String,
    /// The note that was cosigned last, with the cosignature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    version: u32,
}

/// A log that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its name.
    pub name: String,
    /// By which command it was visited first.
    pub from: Option<String>,
    /// When it was seen to have grown last, in seconds of Unix time.
    pub grew: u64,
    /// The note that was cosigned last.
    pub note: Option<String>,
    /// What was seen.
    pub seen: Option<Seen>,
}

const VERSION: u32 = 1;

/// A witness.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    dir: OwnedFd,
    cosigner: Cosigner,
}

fn failed<'p>(what: &'static str, path: &'p Path) -> impl Fn(io::Error) -> Failure + use<'p> {
    move |e| Failure::because(format!("cannot {what} {}", path.display()), &e)
}

impl Memory {
    /// Makes a witness of this name in `path`.
    ///
    /// # Errors
    /// Where there is one already, or the name can't be one.
    pub fn make(path: &Path, name: &str) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| Failure::because("cannot draw a key", &e))?;
        let cosigner = Cosigner::new(name, &seed).ok().filter(|_| is_plain(name)).ok_or_else(|| {
            Failure::usage(format!("{name:?} can't be a witness's name"))
                .next("letters, digits and . - _ /, like laptop.example/anna")
        })?;
        DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(failed("make", path))?;
        let dir = sys::open_root(path).map_err(failed("open", path))?;
        let secret = path.join(KEY);
        if secret.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!("{} is a witness already", path.display()))
                .next("leave --name out; another witness takes another directory"));
        }
        let write = |name: &str, text: String| {
            sys::write_durable(dir.as_fd(), name.as_bytes(), text.as_bytes()).map_err(failed("write", path))
        };
        write(KEY_PUB, format!("{}\n", cosigner.witness()))?;
        write(KEY, format!("{}\n", cosigner.secret()))?;
        Ok(Self { path: path.to_owned(), dir, cosigner })
    }

    /// Opens the witness in `path`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let secret = path.join(KEY);
        let text = fs::read_to_string(&secret).map_err(|e| {
            Failure { kind: FailureKind::Usage, ..failed("read", &secret)(e) }
                .next("make a witness there: backstop audit witness --state DIR --name NAME --trust KEY")
        })?;
        let cosigner = Cosigner::parse(&text).ok().filter(|key| is_plain(key.witness().name()));
        let wrong = || Failure::internal(format!("{} is no key of a witness of ours", secret.display()));
        let cosigner = cosigner.ok_or_else(|| wrong().next("bring back the one that was made there"))?;
        let dir = sys::open_root(path).map_err(failed("open", path))?;
        Ok(Self { path: path.to_owned(), dir, cosigner })
    }

    /// Its public key.
    pub fn witness(&self) -> Witness {
        self.cosigner.witness()
    }

    /// Looks at one more log from now on. Said again, by a person, it may be visited by another command than before.
    ///
    /// # Errors
    /// Another key under the name of a log that is looked at.
    pub fn look_at(&self, log: &Verifier) -> Result<(), Failure> {
        let _one = self.lock()?;
        match self.known(log.name())? {
            Some(known) if known.log != log.to_string() => {
                Err(Failure::new(FailureKind::Refused, format!("{} has another key here", log.name()))
                    .next("find out which one is the machine's: a log's key never changes"))
            }
            Some(known) => self.remember(log.name(), &Known { from: None, ..known }),
            None => {
                let known = Known { from: None, grew: 0, log: log.to_string(), note: None, version: VERSION };
                self.remember(log.name(), &known)
            }
        }
    }

    /// Looks at a log no more. What was seen of it stays, under another name.
    ///
    /// # Errors
    /// Where it does not look at such a log.
    pub fn forget(&self, name: &str) -> Result<(), Failure> {
        let _one = self.lock()?;
        let path = self.place(name);
        if self.known(name)?.is_none() {
            return Err(Failure::usage("this witness does not look at such a log").next("which it looks at: --list"));
        }
        let aside = path.with_extension(format!("forgotten-{}", clock::now().secs));
        fs::rename(&path, &aside).and_then(|()| sys::sync_dir(self.dir.as_fd())).map_err(failed("put aside", &path))
    }

    /// The logs that it looks at, by their names; and why others can't be told.
    ///
    /// # Errors
    /// Where the directory can't be read.
    pub fn logs(&self) -> Result<(Vec<Looked>, Vec<Failure>), Failure> {
        let (mut logs, mut unreadable) = (Vec::new(), Vec::new());
        for item in fs::read_dir(&self.path).map_err(failed("list", &self.path))? {
            let path = item.map_err(failed("list", &self.path))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let known = self.read(&path).and_then(|known| known.ok_or_else(|| damaged(&path)));
                match known.and_then(|known| looked(known, &path)) {
                    Ok(log) => logs.push(log),
                    Err(failure) => unreadable.push(failure),
                }
            }
        }
        logs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((logs, unreadable))
    }

    /// What it remembers of one log; none where it does not look at it.
    ///
    /// # Errors
    /// Where that can't be read.
    pub fn of(&self, name: &str) -> Result<Option<Looked>, Failure> {
        self.known(name)?.map(|known| looked(known, &self.place(name))).transpose()
    }

    /// Remembers by which command a log was visited first.
    ///
    /// # Errors
    /// Where it does not look at such a log, or can't remember.
    pub fn visited(&self, name: &str, from: &str) -> Result<(), Failure> {
        let _one = self.lock()?;
        let known = self.known(name)?.ok_or_else(|| damaged(&self.place(name)))?;
        if known.from.is_some() {
            return Ok(());
        }
        self.remember(name, &Known { from: Some(from.to_owned()), ..known })
    }

    /// Cosigns what goes on from what it has seen, and remembers it first; gives the whole note.
    ///
    /// # Errors
    /// Why it is not cosigned; then what is remembered is as before.
    pub fn cosign(&self, proposal: &Proposal) -> Result<(Checkpoint, String), NotCosigned> {
        let origin = proposal.origin()?;
        // Of two at once one is first, and the other goes on from there.
        let _one = self.lock()?;
        let known = self.known(&origin)?.ok_or(Refusal::Stranger(origin.clone()))?;
        let path = self.place(&origin);
        let log = verifier(&known, &path)?;
        let seen = seen(&known, &log, &path)?;
        let checkpoint = proposal.admit(seen, &log)?;
        let now = u64::try_from(clock::now().secs).unwrap_or_default();
        let note = proposal.cosigned(&log, &self.cosigner.cosign(&checkpoint, now));
        let grew = if checkpoint.size > seen.map_or(0, |seen| seen.size) { now } else { known.grew };
        self.remember(&origin, &Known { grew, note: Some(note.clone()), ..known })?;
        Ok((checkpoint, note))
    }

    fn lock(&self) -> Result<File, Failure> {
        let path = self.path.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        loop {
            match file.lock() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(|()| file).map_err(failed("lock", &path)),
            }
        }
    }

    fn place(&self, origin: &str) -> PathBuf {
        self.path.join(format!("{}.json", Digest::of_content(origin.as_bytes()).hex()))
    }

    fn known(&self, origin: &str) -> Result<Option<Known>, Failure> {
        self.read(&self.place(origin))
    }

    fn read(&self, path: &Path) -> Result<Option<Known>, Failure> {
        match fs::read(path) {
            Ok(bytes) if bytes.len() <= 2 * LONGEST => {
                let known: Known = serde_json::from_slice(&bytes).map_err(|_| damaged(path))?;
                if known.version == VERSION { Ok(Some(known)) } else { Err(damaged(path)) }
            }
            Ok(_) => Err(damaged(path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("read", path)(e)),
        }
    }

    fn remember(&self, origin: &str, known: &Known) -> Result<(), Failure> {
        let path = self.place(origin);
        let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
        let bytes = serde_json::to_vec(known).map_err(|e| Failure::internal(e.to_string()))?;
        sys::write_durable(self.dir.as_fd(), &name, &bytes).map_err(failed("write", &path))
    }
}

/// Names stand in files and on command lines of others.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '-', '_', '/'].contains(&c))
}

fn damaged(path: &Path) -> Failure {
    Failure::internal(format!("what is remembered in {} makes no sense", path.display()))
        .next("a copy of it has seen less than it had: compare with what it printed last before it cosigns anything")
}

fn verifier(known: &Known, path: &Path) -> Result<Verifier, Failure> {
    Verifier::parse(&known.log).map_err(|_| damaged(path))
}

fn looked(known: Known, path: &Path) -> Result<Looked, Failure> {
    let log = verifier(&known, path)?;
    let seen = seen(&known, &log, path)?;
    Ok(Looked { from: known.from, grew: known.grew, name: log.name().to_owned(), note: known.note, seen })
}

fn seen(known: &Known, log: &Verifier, path: &Path) -> Result<Option<Seen>, Failure> {
    let Some(note) = &known.note else { return Ok(None) };
    let Checkpoint { root, size, .. } = Checkpoint::open(note, log).map_err(|_| damaged(path))?;
    Ok(Some(Seen { root, size }))
}
