//! One transaction on the disk, from intent to receipt: keep copies, write the intent, record it,
//! apply, write the receipt, close. After a kill at any point `finish` brings it to its end or takes
//! it back. Takes a plan that was checked and authorised; decides nothing.

use std::cell::RefCell;
use std::collections::HashSet;

use backstop_core::audit::{Body, By};
use backstop_core::bytes::Bytes;
use backstop_core::canon;
use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::plan::{Direction, Op, Plan};
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use backstop_sys::process::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, Signals};
use serde::{Deserialize, Serialize};

use crate::commit::{self, Checked, CommitError, Foreign, Fresh, Guard, Receipt, Seen, Sites, Touched};
use crate::failure::Failure;
use crate::fault;
use crate::freeze;
use crate::records::Records;
use crate::settings::Durability;
use crate::store::{Store, StoreError};

/// Why a transaction was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A run's effects take effect.
    Commit,
    /// They are taken back.
    Undo,
    /// They are brought back.
    Redo,
}

impl Kind {
    pub const fn direction(self) -> Direction {
        match self {
            Self::Commit | Self::Redo => Direction::Forward,
            Self::Undo => Direction::Backward,
        }
    }

    /// The state of a run after such a transaction was done, or taken back.
    pub const fn state(self, done: bool) -> State {
        match (self, done) {
            (Self::Commit, true) | (Self::Redo, true) | (Self::Undo, false) => State::Committed,
            (Self::Undo, true) | (Self::Redo, false) => State::Undone,
            (Self::Commit, false) => State::Held,
        }
    }
}

/// What is on the disk between intent and done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Intent {
    /// What was begun.
    pub kind: Kind,
    /// The digest of the plan's file, so that only the plan that was meant is gone on with.
    pub plan: Digest,
    /// How many receipts there were: one more says that it came to its end, either end.
    pub receipts: u64,
    /// The change times of the objects before the first step, as (volume, inode, change time).
    pub before: Vec<(u16, u64, Timestamp)>,
    /// Length and last change of the content of those that are files, as (volume, inode, length, time):
    /// what is otherwise after a crash was changed by somebody else. (Since version 2.)
    #[serde(default)]
    pub files: Vec<(u16, u64, u64, Timestamp)>,
    /// Per volume, a moment of its clock before the first step. (Since version 2.)
    #[serde(default)]
    pub began: Vec<Option<Timestamp>>,
    /// The format's version: 2.
    pub version: u32,
}

impl Intent {
    /// The format's version.
    pub const VERSION: u32 = 2;

    /// How the objects were before the first step.
    pub fn seen(&self) -> Objects {
        let mut seen: Objects = self
            .before
            .iter()
            .map(|&(vol, ino, ctime)| ((vol, ino), Seen { ctime, mtime: Timestamp::default(), size: 0 }))
            .collect();
        for &(vol, ino, size, mtime) in &self.files {
            if let Some(seen) = seen.get_mut(&(vol, ino)) {
                (seen.size, seen.mtime) = (size, mtime);
            }
        }
        seen
    }
}

impl crate::store::Versioned for Intent {
    const NEWEST: u32 = Self::VERSION;
}

/// How a transaction that a crash had cut off was ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// True when it is done, false when it was taken back.
    pub done: bool,
    /// What somebody else changed since the crash; it was left as it is.
    pub left: Vec<backstop_core::effect::Conflict>,
    /// Where that was in the way of what was there before: the names this has now.
    pub beside: Vec<Bytes>,
}

/// Why it did not come to its end. Nothing of it is on the disk, unless `Unsettled` or `Stuck`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransactionError {
    /// Before the intent: something is not as the plan knows it, or failed. Nothing was done.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A step met something else than the plan knows, or failed; all was taken back, and the log says so.
    #[error("{first}{rest}")]
    TakenBack {
        /// Why.
        first: CommitError,
        /// What was left as it is, and what was put beside.
        rest: String,
    },
    /// All steps were done (or taken back), but that can't be made durable or be recorded: `recover` goes on
    /// when the cause is mended.
    #[error("all steps were {}, but that can't be made durable and be recorded", ended(*.done))]
    Unsettled {
        /// Done, or taken back.
        done: bool,
        /// Why.
        #[source]
        cause: Box<TransactionError>,
    },
    /// The state directory failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be recorded.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// A step failed and taking back failed, too: `recover` goes on when the cause is mended.
    #[error("{first}; taking it back failed as well: {second}")]
    Stuck {
        /// The first failure.
        first: CommitError,
        /// The second.
        second: CommitError,
    },
}

/// The file systems and files of one transaction.
pub(crate) struct Transaction<'a> {
    pub store: &'a Store,
    pub records: &'a mut Records,
    pub id: RunId,
    pub plan: &'a Plan,
    /// True when it is not the run's own plan but what an undo beside later work made of it. After that
    /// nothing can bring the run back.
    pub beside: bool,
    pub sites: &'a Sites,
    pub durability: Durability,
}

/// How objects were found, by volume and inode.
type Objects = std::collections::BTreeMap<(u16, u64), Seen>;

/// The file with a run's record.
pub(crate) const RECORD: &str = "run.json";
/// The file with a run's plan.
pub(crate) const PLAN: &str = "plan.json";
/// The file with the plan of an undo beside later work.
pub(crate) const BESIDE: &str = "beside.json";
/// The file with a run's receipts, a line each.
pub(crate) const RECEIPTS: &str = "receipts.jsonl";

/// The bytes of a plan's file.
pub(crate) fn plan_bytes(plan: &Plan) -> Vec<u8> {
    canon::line(plan)
}

/// What an intent calls a plan.
pub(crate) fn plan_digest(bytes: &[u8]) -> Digest {
    Digest::of("backstop plan v1", &[bytes])
}

impl Transaction<'_> {
    /// Carries out a checked plan. The caller holds the apply lock.
    pub fn run(
        &mut self,
        kind: Kind,
        by: By,
        effects: Digest,
        checked: &Checked,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), TransactionError> {
        // Under the lock: whoever freezes says so first, and then waits for it.
        if self.is_kept_from(kind)? {
            return Err(CommitError::Frozen.into());
        }
        if kind == Kind::Commit {
            commit::keep(self.plan, self.sites, progress)?;
        }
        let direction = kind.direction();
        let before = commit::touched(self.plan, self.sites, opposite(direction))?;
        // From the look to here nobody has changed what is about to be written over: what was copied is
        // what was there, and what was there is what was judged.
        checked.still(&before, self.sites)?;
        if self.durability == Durability::Full {
            self.sync_all()?;
        }
        let bytes = plan_bytes(self.plan);
        let plan = plan_digest(&bytes);
        if kind == Kind::Commit || self.beside {
            self.store.write(self.id, if self.beside { BESIDE } else { PLAN }, &bytes, true)?;
        }
        let receipts = self.receipts()?.len() as u64;
        let began = commit::moments(self.sites)?;
        let _uninterrupted = Uninterrupted::begin();
        self.store.mark_open(
            self.id,
            &Intent {
                kind,
                plan,
                receipts,
                before: before.iter().map(|(&(vol, ino), seen)| (vol, ino, seen.ctime)).collect(),
                files: before.iter().map(|(&(vol, ino), seen)| (vol, ino, seen.size, seen.mtime)).collect(),
                began: began.clone(),
                version: Intent::VERSION,
            },
        )?;
        let run = self.id;
        let intent = match kind {
            Kind::Commit => Body::RunCommitting { by, digest: effects, plan, run },
            Kind::Undo => Body::RunUndoing { by, run },
            Kind::Redo => Body::RunRedoing { by, run },
        };
        if let Err(error) = self.records.write(&[intent]) {
            // Can't be recorded, so it may not happen. What failed may have come after the entry was on the
            // disk; then the log has to say that nothing came of it. Where it can't, the mark stays, and
            // `recover` sees to it.
            self.records.close();
            if self.records.is_begun(run)? {
                let why = Failure::because("it can't be recorded", &error).what;
                self.records.write(&[Body::RunFailed { run, why }])?;
            }
            self.store.mark_closed(self.id)?;
            return Err(error.into());
        }
        let skip = |ino| checked.foreign.contains(&ino);
        let fresh = RefCell::new(Fresh::new(self.plan, direction, &before, self.sites));
        let mut done = 0;
        let mut counted = |n: u64| {
            done = n;
            progress(n);
        };
        let mut look = |op: &Op| fresh.borrow_mut().look(op);
        let mut did = |op: &Op, left| fresh.borrow_mut().did(op, left);
        let applied = commit::apply(self.plan, direction, self.sites, &skip, &mut look, &mut did, &mut counted);
        let fresh = fresh.into_inner();
        if let Err(first) = applied {
            // A step that meets a conflict has done nothing; one that fails may have done a part.
            let failed = u64::from(!matches!(first, CommitError::Conflict { .. }));
            let ran = usize::try_from(done + failed).ok();
            let ours = |vol, ino| fresh.is_ours(vol, ino);
            let guard = Guard::new(self.plan, &before, &began, true).knowing(fresh.left().clone());
            let (first, beside) = self.retreat(direction, first, &before, ran, &guard, &ours)?;
            let (first, rest) = told(first, &guard.foreign(), &beside);
            self.settle(kind, false, &[called_off(run, &first, &rest)]).map_err(unsettled(false))?;
            return Err(TransactionError::TakenBack { first, rest });
        }
        self.receive(direction, &before, &|now| fresh.foreign(now), &|_, _| true).map_err(unsettled(true))?;
        let entry = match kind {
            Kind::Commit => Body::RunCommitted { run },
            Kind::Undo => Body::RunUndone { run },
            Kind::Redo => Body::RunRedone { run },
        };
        self.settle(kind, true, &[entry]).map_err(unsettled(true))
    }

    /// True while everything stands, for what would take effect.
    fn is_kept_from(&self, kind: Kind) -> Result<bool, StoreError> {
        Ok(kind != Kind::Undo && freeze::standing(self.store)?.is_some())
    }

    fn receipts(&self) -> Result<Vec<Receipt>, TransactionError> {
        Ok(self.store.read_lines(self.id, RECEIPTS)?)
    }

    /// Lets the run's record and the audit log say how it ended, and only then closes the journal: cut
    /// off before, `recover` says it again.
    pub fn settle(&mut self, kind: Kind, done: bool, entries: &[Body]) -> Result<(), TransactionError> {
        if let Some(mut record) = self.store.read_versioned::<RunRecord>(self.id, RECORD)? {
            record.state = kind.state(done);
            record.let_go |= done && self.beside;
            record.updated = crate::clock::now();
            self.store.write_json(self.id, RECORD, &record, true)?;
        }
        self.records.write(entries)?;
        // At the end: whoever reads it while this one is under way reads what was before, and knows later
        // that something came in between.
        self.store.note_applied(self.id)?;
        Ok(self.store.mark_closed(self.id)?)
    }

    /// A step failed: takes all back. Returns the error to report, and what was put beside.
    fn retreat(
        &mut self,
        failed: Direction,
        first: CommitError,
        before: &Objects,
        done: Option<usize>,
        guard: &Guard<'_>,
        ours: &dyn Fn(u16, u64) -> bool,
    ) -> Result<(CommitError, Vec<Bytes>), TransactionError> {
        let beside = match commit::take_back(self.plan, failed, self.sites, done, guard) {
            Ok(beside) => beside,
            Err(second) => return Err(TransactionError::Stuck { first, second }),
        };
        // What was moved there and back has other change times, and they are our doing.
        self.receive(opposite(failed), before, &|_| guard.foreign(), ours).map_err(unsettled(false))?;
        Ok((first, beside))
    }

    /// All steps are done: makes them durable as far as asked for, then writes the receipt. `others` says
    /// what somebody else changed meanwhile, where objects are now like this.
    fn receive(
        &mut self,
        direction: Direction,
        before: &Objects,
        others: &dyn Fn(&Objects) -> Vec<Foreign>,
        ours: &dyn Fn(u16, u64) -> bool,
    ) -> Result<(), TransactionError> {
        self.sync_if_needed()?;
        let after = commit::touched(self.plan, self.sites, direction)?;
        let mut foreign = others(&after);
        let known: HashSet<(u16, u64)> = foreign.iter().map(|f| (f.vol, f.ino)).collect();
        let touched = after
            .into_iter()
            // Somebody else's work must not pass for ours.
            .filter(|&((vol, ino), _)| !known.contains(&(vol, ino)) && ours(vol, ino))
            .map(|((vol, ino), Seen { ctime: now, .. })| {
                let was = before.get(&(vol, ino)).map_or(now, |seen| seen.ctime);
                Touched { ino, now, vol, was }
            })
            .collect();
        let receipt = match self.receipts()?.pop() {
            // Taken back: what the transaction before left counts as before. Who has changed something
            // between that one's end and now did not do it for us.
            Some(last) if last.direction == direction => {
                foreign.extend(last.foreign.into_iter().filter(|f| !known.contains(&(f.vol, f.ino))));
                Receipt { direction, ends: last.ends, foreign, touched }
            }
            _ => Receipt { direction, ends: commit::moments(self.sites)?, foreign, touched },
        };
        Ok(self.store.append_json(self.id, RECEIPTS, &receipt)?)
    }

    /// What the receipt says is done has to be on the disk before it: a power cut must not leave the word
    /// without the deed. On the file system of the state directory, ext4's and xfs's one journal sees to
    /// that. Elsewhere nothing orders the two; btrfs makes a single file durable ahead of renames.
    fn sync_if_needed(&self) -> Result<(), TransactionError> {
        if self.durability == Durability::Full {
            return self.sync_all();
        }
        for site in self.sites {
            let Some(volume) = site.volume().filter(|v| !v.spec().volatile) else { continue };
            let journal = matches!(volume.spec().fs.as_str(), "ext4" | "xfs");
            if journal && self.store.dev()? == volume.dev() {
                continue;
            }
            let step = |source| CommitError::Step { what: "sync", path: site.root.clone(), source };
            let sync = || if journal { volume.sync_journal() } else { sys::sync_fs(volume.root()) };
            fault::point("sync.volume").and_then(|()| sync()).map_err(step)?;
        }
        Ok(())
    }

    fn sync_all(&self) -> Result<(), TransactionError> {
        for site in self.sites {
            let Some(volume) = site.volume() else { continue };
            let step = |source| CommitError::Step { what: "sync", path: site.root.clone(), source };
            fault::point("sync.volume").and_then(|()| sys::sync_fs(volume.root())).map_err(step)?;
        }
        Ok(())
    }

    /// After a crash: goes on to the end, or where that can't be done, takes it back. True when the
    /// transaction is done. What somebody else changed since stays as it is. The caller settles it.
    pub fn finish(&mut self, intent: &Intent) -> Result<Ended, TransactionError> {
        let direction = intent.kind.direction();
        let known = self.receipts()?;
        if let (true, Some(last)) = (known.len() as u64 > intent.receipts, known.last()) {
            let left = last.foreign.iter().map(Foreign::told).collect();
            return Ok(Ended { done: last.direction == direction, left, beside: Vec::new() });
        }
        let before = intent.seen();
        let guard = Guard::new(self.plan, &before, &intent.began, !intent.files.is_empty());
        let mut look = |op: &Op| guard.look(op, direction, self.sites);
        // What took effect in part while nobody looked is not let take all of it while everything stands.
        let applied = if self.is_kept_from(intent.kind)? {
            Err(CommitError::Frozen)
        } else {
            commit::apply(self.plan, direction, self.sites, &|_| false, &mut look, &mut |_, _| {}, &mut |_| {})
        };
        let (done, beside) = match applied {
            Ok(()) => {
                let received = self.receive(direction, &before, &|_| guard.foreign(), &|_, _| true);
                received.map(|()| (true, Vec::new())).map_err(unsettled(true))?
            }
            Err(first) => self
                .retreat(direction, first, &before, None, &guard, &|_, _| true)
                .map(|(_, beside)| (false, beside))?,
        };
        let left = guard.foreign().iter().map(Foreign::told).collect();
        Ok(Ended { done, left, beside })
    }
}

/// While it lives, Ctrl-C and its kin wait: what has begun comes to its end, or is taken back, first. A
/// harder kill is a crash, which `finish` is for.
struct Uninterrupted(Option<Signals>);

impl Uninterrupted {
    fn begin() -> Self {
        // Where they can't be blocked, they are a crash too.
        Self(Signals::of(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM]).block().ok())
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        drop(self.0.map(|before| before.set()));
    }
}

/// What the audit log says of a transaction that was begun and taken back.
fn called_off(run: RunId, error: &CommitError, rest: &str) -> Body {
    match error {
        CommitError::Conflict { conflict } => Body::RunConflict { count: 1, paths: vec![conflict.path.clone()], run },
        _ => Body::RunFailed { run, why: Failure::because(commit::TAKEN_BACK, error).what + rest },
    }
}

/// The error, and what is to be said with it: what somebody else changed and was left, and where old things
/// were put because their places are taken. (A conflict says it itself, since it is listed as such.)
fn told(error: CommitError, left: &[Foreign], beside: &[Bytes]) -> (CommitError, String) {
    let mut rest = String::new();
    for foreign in left {
        let path = foreign.path.quoted();
        rest.push_str(&format!("; what somebody else changed meanwhile was left as it is: {path}"));
    }
    for path in beside {
        rest.push_str(&format!("; what was there before is now {}", path.quoted()));
    }
    match error {
        CommitError::Conflict { mut conflict } => {
            conflict.why.push_str(&rest);
            (CommitError::Conflict { conflict }, String::new())
        }
        other => (other, rest),
    }
}

const fn ended(done: bool) -> &'static str {
    if done { "done" } else { "taken back" }
}

/// What goes wrong behind the last step leaves all of them done, or taken back.
fn unsettled(done: bool) -> impl Fn(TransactionError) -> TransactionError {
    move |cause| TransactionError::Unsettled { done, cause: Box::new(cause) }
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Forward => Direction::Backward,
        Direction::Backward => Direction::Forward,
    }
}
