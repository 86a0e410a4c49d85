//! The engine's doors: what the command line (and later the daemon) may ask for.

use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{EffectSet, FileType};
use backstop_core::id::RunId;
use backstop_core::request::Request;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;

use crate::failure::Failure;
use crate::settings::Settings;

/// Whoever sits at the terminal, if anybody: told what takes long, asked what needs a person.
pub trait Person {
    /// Another run in the same workspace has its turn; called after two seconds, once.
    fn waiting(&mut self, holder: Option<RunId>);
    /// Something has been taking more than a second.
    fn progress(&mut self, step: Step, done: u64);
    /// Policy asks. `Answer::Hold` where nobody can answer.
    fn confirm(&mut self, record: &RunRecord, effects: &EffectSet) -> Answer;
}

/// What takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Counting what lies beneath deleted directories; entries so far.
    Counting,
    /// Reading new content; bytes so far.
    Hashing,
    /// Keeping copies; bytes so far.
    Keeping,
    /// Applying; operations so far.
    Applying,
}

/// A person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Let it take effect.
    Commit,
    /// Keep it for later.
    Hold,
    /// Throw it away.
    Discard,
}

/// How a run is to be treated, beyond the request.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Show, never commit.
    pub dry_run: bool,
    /// Hold even when allowed.
    pub hold: bool,
    /// Send the child's standard output to standard error (for `--json`).
    pub stdout_to_stderr: bool,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The record, with state, exit and judgement.
    pub record: RunRecord,
    /// What it would change, or changed.
    pub effects: EffectSet,
}

/// Which runs `runs` lists.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// Only this session.
    pub session: Option<Bytes>,
}

/// Which runs `undo` takes.
#[derive(Clone, Debug)]
pub enum Which {
    /// These, in the order that is safe (newest first).
    Runs(Vec<RunId>),
    /// The newest n that are committed.
    Last(usize),
    /// All committed ones of a session.
    Session(Bytes),
}

/// How `undo` treats what changed since.
#[derive(Clone, Copy, Debug, Default)]
pub struct UndoOptions {
    /// Put the old one beside the new as `name.before-RUN` instead of stopping.
    pub beside: bool,
}

/// What an undo (or redo) did.
#[derive(Clone, Debug)]
pub struct UndoReport {
    /// The runs taken back (or brought back), in the order done.
    pub done: Vec<RunRecord>,
    /// Old content that was put beside a newer file.
    pub beside: Vec<Bytes>,
    /// Remarks, such as a tmpfs that is gone and its effects with it.
    pub notes: Vec<String>,
    /// What stopped it before the rest; nothing of that run was changed.
    pub stopped: Option<(RunId, Stopped)>,
}

/// A failure as plain data, so that a report can be shown again.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// What failed.
    pub what: String,
    /// What to do.
    pub next: Vec<String>,
}

/// One entry beneath a directory that a run deletes or replaces.
#[derive(Clone, Debug)]
pub struct Beneath {
    /// The path it had.
    pub path: Bytes,
    /// What it is.
    pub file_type: FileType,
    /// Bytes.
    pub size: u64,
    /// Last change.
    pub mtime: Timestamp,
}

/// Before or after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// As it was.
    Before,
    /// As it would be, or is.
    After,
}

/// What `Engine::open` had to put right after a crash.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The run.
    pub id: RunId,
    /// What was done, as a sentence fragment: "finished its commit", "took its commit back", ….
    pub what: String,
}

/// The vaults' state.
#[derive(Clone, Debug)]
pub struct VaultStatus {
    /// One per file system.
    pub volumes: Vec<VolumeStatus>,
}

/// One file system's vault.
#[derive(Clone, Debug)]
pub struct VolumeStatus {
    /// Where the vault is.
    pub path: Bytes,
    /// File system type.
    pub fs: String,
    /// Bytes in it (allocated).
    pub used: u64,
    /// Bytes it may take.
    pub limit: u64,
    /// Free bytes of the file system.
    pub free: u64,
    /// Runs it keeps something for.
    pub runs: u64,
    /// How far back undo reaches: the oldest run that can be taken back.
    pub oldest: Option<(RunId, Timestamp)>,
}

/// What `prune` let go.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Runs that can no longer be undone.
    pub runs: Vec<RunId>,
    /// Bytes freed.
    pub bytes: u64,
}

/// The embedded engine.
pub struct Engine {
    settings: Settings,
    recovered: Vec<Recovered>,
}

impl Engine {
    /// Opens the state directory (making it where it is missing) and finishes or takes back what a
    /// crash left half done.
    pub fn open(settings: Settings) -> Result<Self, Failure> {
        Ok(Self { settings, recovered: Vec::new() })
    }

    /// What opening had to put right.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// The settings it runs with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Rehearses, judges, and commits or holds.
    pub fn run(&mut self, request: Request, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let _unbuilt = (request, options, person);
        Err(Failure::internal("not built yet"))
    }

    /// Runs a held run's command again on today's disk, as a new run; the old one is discarded.
    pub fn retry(&mut self, id: RunId, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let _unbuilt = (id, options, person);
        Err(Failure::internal("not built yet"))
    }

    /// The run that `text` names: an id, an unambiguous prefix, `@last`, `@-2`.
    pub fn find(&self, text: &str) -> Result<RunId, Failure> {
        Err(Failure::usage(format!("no run {text}")))
    }

    /// A run's record.
    pub fn record(&self, id: RunId) -> Result<RunRecord, Failure> {
        Err(Failure::usage(format!("no run {id}")))
    }

    /// The runs, newest first.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<RunRecord>, Failure> {
        let _unbuilt = filter;
        Err(Failure::internal("not built yet"))
    }

    /// What a run would change, or changed.
    pub fn effects(&self, id: RunId) -> Result<EffectSet, Failure> {
        Err(Failure::usage(format!("no run {id}")))
    }

    /// Calls `each` for everything beneath the directory `path` that run `id` deletes or replaces;
    /// in path order; `each` returns false to stop.
    pub fn beneath(&self, id: RunId, path: &Bytes, each: &mut dyn FnMut(Beneath) -> bool) -> Result<(), Failure> {
        let _unbuilt = (path, each);
        Err(Failure::usage(format!("no run {id}")))
    }

    /// The first `limit` bytes of a file that run `id` changes, before or after; none where there is
    /// no such side, or it was let go.
    pub fn content(&self, id: RunId, path: &Bytes, side: Side, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let _unbuilt = (path, side, limit);
        Err(Failure::usage(format!("no run {id}")))
    }

    /// Commits a held run.
    pub fn commit(&mut self, id: RunId, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let _unbuilt = person;
        Err(Failure::usage(format!("no run {id}")))
    }

    /// Gives up a held run.
    pub fn discard(&mut self, id: RunId) -> Result<RunRecord, Failure> {
        Err(Failure::usage(format!("no run {id}")))
    }

    /// Takes runs back, newest first; stops before the first that would overwrite later work.
    pub fn undo(
        &mut self,
        which: &Which,
        options: UndoOptions,
        person: &mut dyn Person,
    ) -> Result<UndoReport, Failure> {
        let _unbuilt = (which, options, person);
        Err(Failure::internal("not built yet"))
    }

    /// Brings undone runs back, oldest first.
    pub fn redo(&mut self, which: &Which, person: &mut dyn Person) -> Result<UndoReport, Failure> {
        let _unbuilt = (which, person);
        Err(Failure::internal("not built yet"))
    }

    /// What the vaults hold.
    pub fn vault_status(&self) -> Result<VaultStatus, Failure> {
        Err(Failure::internal("not built yet"))
    }

    /// Lets go of preimages beyond the limits, or older than `older_than`.
    pub fn prune(&mut self, older_than: Option<Duration>) -> Result<Pruned, Failure> {
        let _unbuilt = older_than;
        Err(Failure::internal("not built yet"))
    }
}
