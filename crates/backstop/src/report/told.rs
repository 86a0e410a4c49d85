//! What the log alone says of a run, and where what is kept of the run is something else. Whoever can write a run's
//! files can make them say anything; what the log says is verified.

use backstop_core::approval::ballot::Vote;
use backstop_core::audit::{Body, By, Entry, Settled};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::policy::Judgement;
use backstop_core::program::Unlisted;
use backstop_core::request::Command;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;

/// What came of what somebody wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was done.
    Done,
    /// It was called off: the disk had changed, or Backstop failed.
    CalledOff,
    /// The log ends before that.
    Open,
}

/// What somebody did about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Gave it up.
    Discarded,
    /// Let it take effect.
    Committed,
    /// Took it back.
    Undone,
    /// Brought it back.
    Redone,
}

impl Act {
    /// In words, as somebody did it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Discarded => "gave it up",
            Self::Committed => "let it take effect",
            Self::Undone => "took it back",
            Self::Redone => "brought it back",
        }
    }
}

/// Somebody let something take effect, took it back, brought it back, or gave it up.
#[derive(Clone, Debug)]
pub struct Deed {
    /// When it began.
    pub at: Timestamp,
    /// On whose word.
    pub by: By,
    /// What.
    pub act: Act,
    /// What came of it.
    pub came: Came,
}

/// What was asked of Backstop.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    command: Command,
    cwd: Bytes,
    /// The account.
    by: u32,
    session: Option<Bytes>,
}

/// A run, as the log tells it.
#[derive(Debug, Default)]
pub struct Told {
    /// What was asked.
    asked: Option<Asked>,
    /// What was done on whose word, in order.
    pub deeds: Vec<Deed>,
    /// The digest of its effects.
    digest: Option<Digest>,
    /// The last judgement.
    pub judgement: Option<Judgement>,
    /// How many programs it started that are on record.
    pub programs: u64,
    /// And those that are not.
    pub unlisted: Option<Unlisted>,
    /// How often a command inside it called Backstop.
    pub nested: u64,
    /// False where a tool did something else than it had said.
    pub as_rehearsed: bool,
    /// Where it stands; none where the log does not say that surely.
    state: Option<State>,
    /// The signed decisions, in order.
    pub votes: Vec<Vote>,
}

impl Told {
    /// What these entries say of a run.
    pub fn of(run: RunId, entries: &[Entry]) -> Self {
        let mut told = Self { as_rehearsed: true, ..Self::default() };
        entries.iter().filter(|e| e.body.run() == Some(run)).for_each(|e| told.tell(e));
        told
    }

    fn tell(&mut self, e: &Entry) {
        match &e.body {
            Body::RunRequested { command, cwd, uid, by, session, .. } => {
                let by = by.unwrap_or(*uid);
                self.asked = Some(Asked { command: command.clone(), cwd: cwd.clone(), by, session: session.clone() });
                self.state = Some(State::Rehearsing);
            }
            Body::RunRehearsed { digest, effects, .. } => {
                self.digest = Some(*digest);
                self.state = (*effects == 0).then_some(State::NoEffect);
            }
            Body::RunJudged { judgement, .. } => {
                self.judgement = Some(judgement.clone());
                self.state = None;
            }
            Body::RunObserved { digest, as_rehearsed, .. } => {
                self.digest = Some(*digest);
                self.as_rehearsed = *as_rehearsed;
                self.state = Some(State::Committed);
            }
            Body::RunHeld { .. } => self.state = Some(State::Held),
            Body::RunDenied { .. } => self.state = Some(State::Denied),
            Body::RunDryRun { .. } => self.state = Some(State::DryRun),
            Body::RunInPlace { .. } => self.state = Some(State::InPlace),
            Body::RunDiscarded { by, .. } => {
                self.begins(e.at, *by, Act::Discarded);
                self.ends(Came::Done, Some(State::Discarded));
            }
            Body::RunCommitting { by, .. } => self.begins(e.at, *by, Act::Committed),
            Body::RunUndoing { by, .. } => self.begins(e.at, *by, Act::Undone),
            Body::RunRedoing { by, .. } => self.begins(e.at, *by, Act::Redone),
            Body::RunCommitted { .. } | Body::RunRedone { .. } => self.ends(Came::Done, Some(State::Committed)),
            Body::RunUndone { .. } => self.ends(Came::Done, Some(State::Undone)),
            // Where it went back to is not said here.
            Body::RunConflict { .. } | Body::RunFailed { .. } => self.ends(Came::CalledOff, None),
            Body::Recovered { now, .. } => {
                let (came, state) = match now {
                    Settled::Committed => (Came::Done, State::Committed),
                    Settled::Held => (Came::CalledOff, State::Held),
                    Settled::Discarded => (Came::CalledOff, State::Discarded),
                    Settled::Undone => (Came::Done, State::Undone),
                };
                self.ends(came, Some(state));
            }
            Body::ApprovalVoted { vote, .. } => self.votes.push(vote.clone()),
            Body::ApprovalClaimed { votes, .. } => {
                let new = votes.iter().filter(|v| self.votes.iter().all(|known| known.nonce != v.nonce));
                let new: Vec<Vote> = new.cloned().collect();
                self.votes.extend(new);
            }
            Body::Nested { .. } => self.nested += 1,
            Body::ExecRan { .. } => self.programs += 1,
            Body::ExecUnlisted { unlisted, .. } => self.unlisted = Some(unlisted.clone()),
            Body::ApprovalAsked { .. }
            | Body::ApprovalEnded { .. }
            | Body::AuditHeartbeat { .. }
            | Body::AuditRecovered { .. }
            | Body::AuditStarted { .. }
            | Body::ExportResumed { .. }
            | Body::ExportSkipped { .. }
            | Body::ExportStalled { .. }
            | Body::GuardStarted { .. }
            | Body::GuardStopped { .. }
            | Body::HostFrozen { .. }
            | Body::HostThawed { .. }
            | Body::JailBanned { .. }
            | Body::JailCleared { .. }
            | Body::JailCounted { .. }
            | Body::NoticeDelivered { .. }
            | Body::NoticeFailed { .. }
            | Body::PeopleChanged { .. }
            | Body::PolicyLoaded { .. }
            | Body::PolicyRefused { .. }
            | Body::VaultPruned { .. } => {}
        }
    }

    fn begins(&mut self, at: Timestamp, by: By, act: Act) {
        self.deeds.push(Deed { at, by, act, came: Came::Open });
        self.state = None;
    }

    fn ends(&mut self, came: Came, state: Option<State>) {
        if let Some(last) = self.deeds.last_mut().filter(|deed| deed.came == Came::Open) {
            last.came = came;
        }
        self.state = state;
    }

    /// When it was taken back last, and whether that still stands.
    pub fn taken_back(&self) -> Option<Timestamp> {
        let done = self.deeds.iter().rev().find(|d| d.came == Came::Done)?;
        (done.act == Act::Undone).then_some(done.at)
    }

    /// Where what is kept of the run is not what the log says.
    pub fn differs(&self, record: &RunRecord, effects: Option<&EffectSet>) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(asked) = &self.asked else {
            return vec!["the log does not know this run".to_owned()];
        };
        let request = &record.request;
        let kept = (&request.command, &request.cwd, request.asked_by(), &request.session);
        if kept != (&asked.command, &asked.cwd, asked.by, &asked.session) {
            wrong.push("its record has another command, place, account or session than the log".to_owned());
        }
        if let Some(state) = self.state.filter(|state| *state != record.state) {
            wrong.push(format!("its record says {}, the log {}", record.state.name(), state.name()));
        }
        let of_effects = effects.map(EffectSet::digest);
        if self.digest.is_some() && (record.digest != self.digest || of_effects.is_some_and(|d| Some(d) != self.digest))
        {
            wrong.push("what is kept of its effects is not what the log has (the digests differ)".to_owned());
        }
        wrong
    }
}
