//! The engine's doors: what the command line (and later the daemon) may ask for. The values that
//! pass them are here; each verb has its own file.

mod approve;
mod ask;
mod court;
mod edit;
mod effective;
mod exports;
mod find;
mod freeze;
mod glass;
mod inplace;
mod jail;
mod look;
mod notices;
mod people;
mod recover;
mod run;
mod takeback;
mod told;
mod turn;
mod vault;
mod whose;

pub use approve::{Decided, Pending, Waiting, standing};
pub use ask::Wish;
pub use edit::Unchanged;
pub use exports::Lines;
pub(crate) use freeze::press;
pub use freeze::{Button, Frozen, Pressed, Thaw, Thawed};
pub use jail::{Cleared, Jailed, Tried};
pub use notices::Notices;

use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Conflict, EffectSet, FileType};
use backstop_core::id::RunId;
use backstop_core::identity::Identity;
use backstop_core::machine::{Alone, Machine};
use backstop_core::plan::Plan;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{CommitError, Site, TAKEN_BACK};
use crate::failure::{Failure, FailureKind};
use crate::jail::Terms;
use crate::records::Records;
use crate::rehearse::Lane;
use crate::settings::{Settings, StandIn};
use crate::store::{Lock, Store, StoreError};
use crate::transaction::TransactionError;

/// Whoever sits at the terminal, if anybody: told what takes long, asked what needs a person.
pub trait Person {
    /// Another run in the same workspace has its turn; called after two seconds, once.
    fn waiting(&mut self, holder: Option<RunId>);
    /// A command that was to run in place is about to begin, and how it does.
    fn background(&mut self, _lane: &Lane) {}
    /// Something has been taking more than a second.
    fn progress(&mut self, step: Step, done: u64);
    /// True when somebody sees progress; then it is worth a thread.
    fn watching(&self) -> bool {
        false
    }
    /// Policy asks. `Answer::Hold` where nobody can answer.
    fn confirm(&mut self, record: &RunRecord, effects: &EffectSet) -> Answer;
    /// Something protected would be lost or changed: true when a person typed each of the words. False
    /// where nobody can.
    fn agrees(&mut self, _words: &[&str]) -> bool {
        false
    }
}

/// What takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Let it take effect.
    Commit,
    /// Keep it for later.
    Hold,
    /// Throw it away.
    Discard,
}

/// How a run is to be treated, beyond the request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOptions {
    /// Show, never commit.
    pub dry_run: bool,
    /// Hold even when allowed.
    pub hold: bool,
    /// Where it is allowed, commit nothing: a client's own tool does it (`Engine::rehearse_edit`).
    pub leave: bool,
    /// Judge it whatever was denied before: a person wants it.
    pub anew: bool,
    /// A person asks, at a terminal and outside of any agent, as whoever asks says.
    pub person: bool,
    /// What the machine's settings say of the jail.
    #[serde(skip)]
    pub jail: Terms,
    /// Rehearse even what is known to only read.
    pub rehearse: bool,
    /// Rehearse what was to run in place: the machine's settings keep undo.
    pub keep_undo: bool,
    /// What the machine's settings offer people where it takes two of them.
    #[serde(skip)]
    pub offer: Offer,
    /// The descriptor of a pipe that a line's shell says its last directory to, so that the shell outside
    /// can go there as well.
    pub cwd_to: Option<u16>,
    /// The descriptor of a pipe that a line's shell reads functions and aliases from, before the line.
    pub shell_from: Option<u16>,
    /// Send the child's standard output to standard error (for `--json`).
    pub stdout_to_stderr: bool,
    /// Stop the command when it has written more than this, in bytes; none leaves only the free space as a limit.
    pub write_limit: Option<u64>,
}

/// What the machine's settings offer where two people are needed and are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// One of them alone, in an emergency.
    pub break_glass: bool,
    /// The only one who is enrolled, after a day.
    pub alone: bool,
}

impl Offer {
    /// What these settings offer.
    pub fn of(machine: &Machine) -> Self {
        Self { break_glass: machine.break_glass, alone: machine.alone == Alone::Wait }
    }

    /// Refuses what is not offered: to break the glass, to approve alone.
    pub(crate) fn covers(self, glass: bool, alone: bool) -> Result<(), Failure> {
        let refused = |what: &str, line: &str| {
            Failure::new(FailureKind::Refused, format!("refused: {what}"))
                .next(format!("have root write into {}: {line}", crate::porch::FILE))
                .by("what one person lets through alone is the machine's settings to offer")
        };
        if glass && !self.break_glass {
            return Err(refused("this machine lets nobody break the glass", "break_glass = true"));
        }
        if alone && !self.alone {
            return Err(refused("this machine lets nobody approve alone", "alone = \"wait\""));
        }
        Ok(())
    }
}

/// What became of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The record, with state, exit and judgement.
    pub record: RunRecord,
    /// What it would change, or changed.
    pub effects: EffectSet,
}

/// Which runs `runs` lists.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// Only this session.
    pub session: Option<Bytes>,
    /// Only the newest of this tool call; older records are not looked at.
    pub call: Option<Bytes>,
}

/// What `runs` found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// The records, newest first.
    pub runs: Vec<RunRecord>,
    /// The runs whose records can't be read, newest first; whether the filter means them nobody can say.
    pub unreadable: Vec<Unreadable>,
}

/// A run whose record can't be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unreadable {
    /// The run.
    pub id: RunId,
    /// Why.
    pub what: String,
    /// What to do.
    pub next: Vec<String>,
}

/// Which runs `undo` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Which {
    /// These, in the order that is safe (newest first).
    Runs(Vec<RunId>),
    /// The newest n that are committed.
    Last(usize),
    /// All committed ones of a session.
    Session(Bytes),
}

/// How `undo` treats what changed since.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoOptions {
    /// Put the old one beside the new as `name.before-RUN` instead of stopping.
    pub beside: bool,
}

/// What an undo (or redo) did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UndoReport {
    /// The runs taken back (or brought back), in the order done.
    pub done: Vec<RunRecord>,
    /// Old content that was put beside a newer file.
    pub beside: Vec<Bytes>,
    /// Remarks, such as a tmpfs that is gone and its effects with it.
    pub notes: Vec<String>,
    /// What stopped it before the rest; nothing of that run was changed.
    pub stopped: Option<(RunId, Failure)>,
}

/// One entry beneath a directory that a run deletes or replaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What somebody else changed between the crash and now: it was left as it is.
    pub left: Vec<Conflict>,
    /// Where that was in the way of what was there before: the names this has now.
    pub beside: Vec<Bytes>,
}

impl Recovered {
    /// Where nobody else had changed anything.
    fn of(id: RunId, what: &str) -> Self {
        Self { id, what: what.to_owned(), left: Vec::new(), beside: Vec::new() }
    }
}

/// The vaults' state.
#[derive(Clone, Debug)]
pub struct VaultStatus {
    /// Those that can't be looked into.
    pub unreachable: Vec<Unreachable>,
    /// One per file system.
    pub volumes: Vec<VolumeStatus>,
}

/// A vault that can't be opened: not mounted, another file system in its place, or broken.
#[derive(Clone, Debug)]
pub struct Unreachable {
    /// Where it is, or was.
    pub path: Bytes,
    /// Why it can't be opened.
    pub why: String,
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
    /// Vaults that nothing could be let go of, because they can't be opened.
    pub unreachable: Vec<Unreachable>,
    /// Runs that can no longer be undone.
    pub runs: Vec<RunId>,
    /// Bytes freed.
    pub bytes: u64,
}

/// The embedded engine.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    store: Store,
    records: Records,
    recovered: Vec<Recovered>,
    stuck: Option<Failure>,
    /// What of single runs can't be put right, and who asked for them where that is known.
    stuck_runs: Vec<(Option<u32>, Failure)>,
    /// Where in the log its exporter reads on.
    place: Option<exports::Place>,
}

use crate::transaction::RECORD;
/// The file with a run's effects: a header line, then a line per effect.
const EFFECTS: &str = "effects.jsonl";
/// The file that says with whose rights a command ran, where not with those of whoever keeps this.
const RIGHTS: &str = "rights.json";
/// The file with what the effects mean.
const FINDINGS: &str = "findings.json";
/// The file with the moments the rehearsal began, by each volume's clock.
const T0: &str = "t0.json";

/// The next step where a transaction was begun and failed behind its first operation.
const SETTLE: &str = "have what was begun finished or taken back: backstop recover";

impl Engine {
    /// Opens the state directory (making it where it is missing) and finishes or takes back what a
    /// crash left half done.
    pub fn open(settings: Settings) -> Result<Self, Failure> {
        let store = Store::open(&settings.state)?;
        let records = Records::new(settings.state.join("audit"));
        let mut engine =
            Self { settings, store, records, recovered: Vec::new(), stuck: None, stuck_runs: Vec::new(), place: None };
        match engine.recover() {
            Ok(recovered) => engine.recovered = recovered,
            // Records can still be looked at; nothing may change the disk before this is mended.
            Err(failure) => engine.stuck = Some(failure),
        }
        Ok(engine)
    }

    /// Stands in for somebody from here on: commands run with his rights.
    pub fn stand_in(&mut self, him: StandIn) {
        self.settings.stand_in = Some(him);
    }

    /// Whoever looks sees everybody's runs from here on.
    pub fn sees_all(&mut self) {
        if let Some(viewer) = &mut self.settings.viewer {
            viewer.sees_all = true;
        }
    }

    /// Who sees no runs but his own; none where all are seen.
    fn sees_his_own(&self) -> Option<&Identity> {
        self.settings.viewer.as_ref().filter(|viewer| !viewer.sees_all).map(|viewer| &viewer.who)
    }

    /// True for a run that `@last`, the last n and a session may mean.
    fn is_meant(&self, record: &RunRecord) -> bool {
        self.settings.viewer.as_ref().is_none_or(|viewer| record.request.asked_by() == viewer.who.uid)
    }

    /// Why what a crash left could not be put right. Until it is, nothing that changes the disk goes.
    pub fn stuck(&self) -> Option<&Failure> {
        self.stuck.as_ref().or(self.stuck_runs.first().map(|(_, failure)| failure))
    }

    /// Refuses to go on with what `uid` asked for while something of his is half done. What others keep from being
    /// settled is theirs: nobody stops a whole machine.
    fn sound_for(&self, uid: u32) -> Result<(), Failure> {
        let his = self.stuck_runs.iter().find(|(whose, _)| whose.is_none_or(|w| w == uid));
        self.stuck.as_ref().or(his.map(|(_, failure)| failure)).cloned().map_or(Ok(()), Err)
    }

    /// The same for what concerns no run.
    fn sound(&self) -> Result<(), Failure> {
        self.sound_for(self.settings.uid)
    }

    /// The same for this run.
    fn sound_of(&self, id: RunId) -> Result<(), Failure> {
        self.sound_for(self.asker_of(id).unwrap_or(self.settings.uid))
    }

    fn asker_of(&self, id: RunId) -> Option<u32> {
        self.known(id).ok().map(|record| record.request.asked_by())
    }

    /// What opening had to put right.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// The settings it runs with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the audit log is.
    pub fn audit_dir(&self) -> std::path::PathBuf {
        self.settings.state.join("audit")
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.settings.state
    }

    fn save(&self, record: &mut RunRecord, durable: bool) -> Result<(), Failure> {
        record.updated = crate::clock::now();
        Ok(self.store.write_json(record.id, RECORD, record, durable)?)
    }

    /// False while the journal has a transaction on this run that is not known to be done (or can't be
    /// read, which is the stricter answer).
    fn is_settled(&self, id: RunId) -> bool {
        self.store.open_marks().is_ok_and(|open| !open.contains(&id))
    }

    /// Takes the lock under which runs change the disk and their own state. Whoever waits for it may have
    /// been overtaken: what was read before is to be read again.
    fn lock_runs(&self) -> Result<Lock, Failure> {
        self.lock_runs_of(&[self.settings.uid])
    }

    /// The same for runs that these users asked for.
    fn lock_runs_of(&self, uids: &[u32]) -> Result<Lock, Failure> {
        let lock = self.store.lock("apply")?;
        // Nobody can be working on one now; it was cut off after this engine had looked.
        let theirs = |id: &RunId| self.asker_of(*id).is_none_or(|uid| uids.contains(&uid));
        if let Some(id) = self.store.open_marks()?.into_iter().find(theirs) {
            return Err(Failure::internal(format!("what was begun with {id} was cut off")).next(SETTLE));
        }
        Ok(lock)
    }

    /// The same, with a run's record as it is then.
    fn locked(&self, id: RunId) -> Result<(Lock, RunRecord), Failure> {
        let asker = self.asker_of(id).unwrap_or(self.settings.uid);
        let lock = self.lock_runs_of(&[asker])?;
        let record = self.record(id)?;
        Ok((lock, record))
    }

    fn load_plan(&self, id: RunId) -> Result<Plan, Failure> {
        let plan = self.store.read_json(id, crate::transaction::PLAN)?;
        plan.ok_or_else(|| Failure::internal(format!("the plan of {id} is gone, so nothing can be done with it")))
    }

    /// Finds the file systems of a plan again.
    fn sites(&self, id: RunId, plan: &Plan) -> Result<Vec<Site>, Failure> {
        let rights = self.rights(id)?;
        let site = |v| Ok(Site::reopen(v, id)?.on_behalf(rights.as_ref()));
        plan.volumes.iter().map(site).collect::<Result<_, CommitError>>().map_err(Failure::from)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NoRun(id) => Self::usage(format!("there is no run {id}")).next("list them: backstop runs"),
            StoreError::NotPrivate { path, .. } => Self::because("the state directory can't be used", &error)
                .next(format!("make it yours alone: chmod 700 {}", path.display())),
            StoreError::Newer { .. } => Self::because("a newer Backstop wrote it", &error)
                .next("use that one for it, or another state directory: XDG_STATE_HOME"),
            _ => Self::because("the state directory can't be used", &error)
                .next("make it writable, with room left; or name another place in XDG_STATE_HOME"),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match &error {
            CommitError::Conflict { conflict } | CommitError::Withheld { conflict } => {
                Self::new(FailureKind::Conflict, format!("{}: {}", conflict.path.quoted(), conflict.why))
            }
            CommitError::Frozen => crate::freeze::refused(error.to_string()),
            _ => Self::because(TAKEN_BACK, &error),
        }
    }
}

impl From<TransactionError> for Failure {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Commit(e) => e.into(),
            TransactionError::TakenBack { first, rest } => {
                let failure = Self::from(first);
                Self { what: failure.what + &rest, ..failure }
            }
            TransactionError::Unsettled { ref cause, .. } => Self::because(error.to_string(), cause.as_ref()),
            TransactionError::Store(e) => e.into(),
            TransactionError::Audit(e) => e.into(),
            TransactionError::Stuck { .. } => Self::internal(error.to_string()).next("mend the cause first"),
        }
    }
}

impl From<crate::audit::AuditError> for Failure {
    fn from(error: crate::audit::AuditError) -> Self {
        let next = match &error {
            crate::audit::AuditError::Full { .. } => "make room: backstop vault status, backstop vault prune, df",
            _ => "look into it: backstop audit verify",
        };
        Self::because("it can't be recorded, so it may not happen", &error).next(next)
    }
}

#[cfg(test)]
mod tests;
