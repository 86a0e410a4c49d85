//! Reads entries in their order and says where the story of a run doesn't hold: a door passed without
//! the one before it, or without the word it needed. Decides only; never reads a file.

mod approvals;
mod freezes;
mod jails;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::approval::quorum::Quorum;
use crate::approval::statement::Choice;
use crate::audit::{Body, By, Settled};
use crate::digest::Digest;
use crate::id::RunId;
use crate::policy::Decision;
use crate::time::Timestamp;
use approvals::{Approvals, Granted};
use freezes::Freezes;
use jails::{Banned, Jails};

/// Which of an auditor's questions a complaint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Is the log as it was written?
    Integrity,
    /// Does every run have each of its doors?
    Completeness,
    /// Had what took effect the word that it needed?
    Authorisation,
}

/// What doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The question it answers with no.
    pub question: Question,
    /// The run, where it is about one.
    pub run: Option<RunId>,
    /// What is wrong, as a sentence fragment.
    pub what: String,
}

/// The last door a run passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Requested,
    Rehearsed,
    Judged,
    Held,
    Committing,
    Committed,
    Undoing,
    Undone,
    Redoing,
    Ended,
}

impl Door {
    const fn name(self) -> &'static str {
        match self {
            Self::Requested => "its request",
            Self::Rehearsed => "its rehearsal",
            Self::Judged => "its judgement",
            Self::Held => "being held",
            Self::Committing => "the begin of its commit",
            Self::Committed => "its commit",
            Self::Undoing => "the begin of its undo",
            Self::Undone => "its undo",
            Self::Redoing => "the begin of its redo",
            Self::Ended => "its end",
        }
    }
}

#[derive(Clone, Debug)]
struct Life {
    door: Door,
    /// Where it goes back to when what is under way fails.
    back: Door,
    effects: u64,
    digest: Option<Digest>,
    decision: Option<Decision>,
    in_place: bool,
    /// What a quorum let through, until it begins or comes to nothing.
    claimed: Option<Granted>,
    /// Who has to agree, by the newest judgement that is on record.
    quorum: Quorum,
    /// The account that asked.
    uid: u32,
    /// Whoever asked was banned then, by these.
    banned: Vec<Banned>,
}

/// The runs as far as they have been told.
#[derive(Clone, Debug, Default)]
pub struct Story {
    lives: BTreeMap<RunId, Life>,
    approvals: Approvals,
    freezes: Freezes,
    jails: Jails,
}

impl Story {
    /// Takes the next entry, with its time, and gives what is wrong with it.
    pub fn tell(&mut self, at: Timestamp, body: &Body) -> Vec<Complaint> {
        let told = self.approvals.tell(at, body);
        let mut wrong: Vec<Complaint> =
            told.wrong.into_iter().map(|(question, what)| Complaint { question, run: body.run(), what }).collect();
        let stands = self.freezes.tell(body, &mut self.approvals);
        for told in [stands, self.jails.tell(at, body, &mut self.approvals)] {
            wrong.extend(told.err().map(|(question, what)| Complaint { question, run: body.run(), what }));
        }
        let Some(run) = body.run() else { return wrong };
        let mut complain = |question, what: String| wrong.push(Complaint { question, run: Some(run), what });
        if let Body::RunRequested { by, in_place, uid, .. } = body {
            let life = Life {
                door: Door::Requested,
                back: Door::Ended,
                effects: 0,
                digest: None,
                decision: None,
                in_place: *in_place,
                claimed: None,
                quorum: Quorum::TWO,
                uid: by.unwrap_or(*uid),
                banned: self.jails.on(body),
            };
            if self.lives.insert(run, life).is_some() {
                complain(Question::Completeness, "requested a second time under the same name".to_owned());
            }
            return wrong;
        }
        let Some(life) = self.lives.get_mut(&run) else {
            complain(Question::Completeness, format!("{} without its request", body.name()));
            if takes_effect(body) {
                complain(Question::Authorisation, format!("{} without a judgement", body.name()));
            }
            return wrong;
        };
        if !may_follow(body, life.door) && !is_said_again(body, life) {
            let what = format!("{} directly after {}", body.name(), life.door.name());
            complain(Question::Completeness, what);
        }
        if let Some(what) = unauthorised(body, life) {
            complain(Question::Authorisation, what);
        }
        let finished = matches!(body, Body::Recovered { now: Settled::Committed, .. })
            && matches!(life.door, Door::Committing | Door::Redoing);
        if finished && self.freezes.stands() {
            let what = "what a crash had cut off was brought to its end while everything was frozen";
            complain(Question::Authorisation, what.to_owned());
        }
        if by_rules_alone(body) && self.jails.stands(&life.banned) {
            let what = "took effect by rules alone, and whoever asked was banned";
            complain(Question::Authorisation, what.to_owned());
        }
        if let Some((effects, excluded)) = told.asked {
            if life.digest != Some(effects) {
                let what = "what people were asked about is not what was rehearsed (the digests differ)";
                complain(Question::Authorisation, what.to_owned());
            }
            if excluded.is_some_and(|excluded| !excluded.contains(&life.uid)) {
                let what = "whoever owns the account that asked was let approve it";
                complain(Question::Authorisation, what.to_owned());
            }
        }
        // Good for what comes directly after it, and once.
        life.claimed = told.granted;
        life.step(body);
        wrong
    }

    /// For tests: these may approve.
    #[cfg(test)]
    pub(crate) fn in_force(&mut self, people: crate::approval::people::People) {
        self.approvals.in_force(people);
    }

    /// The digest of the trust store, as the log leaves it; none where nobody was ever enrolled.
    pub fn people(&self) -> Option<Digest> {
        self.approvals.people()
    }

    /// Runs of which something is under way at the end of the log: still running, or cut off and
    /// not yet recovered. Held runs wait and are not among them.
    pub fn open(&self) -> Vec<RunId> {
        let open = |life: &Life| match life.door {
            Door::Rehearsed => life.effects > 0,
            Door::Requested | Door::Judged | Door::Committing | Door::Undoing | Door::Redoing => true,
            Door::Held | Door::Committed | Door::Undone | Door::Ended => false,
        };
        self.lives.iter().filter(|(_, life)| open(life)).map(|(run, _)| *run).collect()
    }

    /// How many runs it has heard of.
    pub fn runs(&self) -> usize {
        self.lives.len()
    }
}

/// True for entries after which bytes of the run are on the real disk.
const fn takes_effect(body: &Body) -> bool {
    matches!(
        body,
        Body::RunCommitting { .. }
            | Body::RunCommitted { .. }
            | Body::RunInPlace { .. }
            | Body::RunObserved { .. }
            | Body::RunRedoing { .. }
            | Body::RunRedone { .. }
    )
}

/// True for what was cut off between the entry and the record that says the same.
fn is_said_again(body: &Body, life: &Life) -> bool {
    match body {
        Body::RunInPlace { .. } => life.in_place && life.door == Door::Ended,
        Body::RunObserved { digest, .. } => life.door == Door::Committed && life.digest == Some(*digest),
        _ => false,
    }
}

/// Which door must have been the last before `body`.
fn may_follow(body: &Body, door: Door) -> bool {
    use Door as D;
    match body {
        Body::RunRehearsed { .. } | Body::RunInPlace { .. } => door == D::Requested,
        Body::RunJudged { .. } => door == D::Rehearsed,
        Body::RunHeld { .. } | Body::RunDryRun { .. } | Body::RunObserved { .. } => door == D::Judged,
        // By the rules at once, or later by a person who was asked.
        Body::RunDenied { .. } => matches!(door, D::Judged | D::Held),
        // What somebody did alone is reviewed whenever another person comes to it, whatever became of the run; and that he
        // did is put on record then at the latest.
        Body::ApprovalVoted { vote, .. } if vote.choice.reviews() || vote.choice == Choice::BreakGlass => true,
        Body::ApprovalAsked { .. } | Body::ApprovalClaimed { .. } | Body::ApprovalVoted { .. } => door == D::Held,
        Body::RunCommitting { .. } => matches!(door, D::Judged | D::Held),
        Body::RunCommitted { .. } => door == D::Committing,
        Body::RunUndoing { .. } => door == D::Committed,
        Body::RunUndone { .. } => door == D::Undoing,
        Body::RunRedoing { .. } => door == D::Undone,
        Body::RunRedone { .. } => door == D::Redoing,
        // What was only shown, or failed, has come to its end before what is kept of it is given up.
        Body::RunDiscarded { .. } => matches!(door, D::Requested | D::Rehearsed | D::Judged | D::Held | D::Ended),
        // Cut off between the entry and the record that says the same.
        Body::Recovered { now: Settled::Discarded, .. } if door == D::Ended => true,
        // Found before the intent is written, or between the intent and the first change.
        Body::RunConflict { .. } => !matches!(door, D::Requested | D::Rehearsed | D::Ended),
        Body::RunFailed { .. } | Body::Recovered { .. } => door != D::Ended,
        Body::ExecRan { .. } | Body::ExecUnlisted { .. } | Body::Nested { .. } => door == D::Requested,
        // Found to have ended when somebody looks, whatever became of the run meanwhile.
        Body::ApprovalEnded { .. }
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
        | Body::RunRequested { .. }
        | Body::VaultPruned { .. } => true,
    }
}

/// True for what nobody was asked about.
const fn by_rules_alone(body: &Body) -> bool {
    matches!(body, Body::RunCommitting { by: By::Rule, .. } | Body::RunObserved { .. } | Body::RunInPlace { .. })
}

/// What speaks against the right that `body` claims.
fn unauthorised(body: &Body, life: &Life) -> Option<String> {
    let by = match body {
        Body::RunCommitting { by, digest, .. } => {
            if life.digest != Some(*digest) {
                return Some("what was committed is not what was rehearsed (the digests differ)".to_owned());
            }
            *by
        }
        Body::RunRedoing { by, .. } => *by,
        // Confined instead of judged: the request, which stands before it, says so.
        Body::RunInPlace { .. } if life.in_place => return None,
        Body::RunInPlace { .. } => return Some("run in place, which its request did not say".to_owned()),
        // Left to the tool by the rules alone.
        Body::RunObserved { .. } => By::Rule,
        Body::RunCommitted { .. } if !matches!(life.door, Door::Committing) => {
            return Some("committed without an intent that says who let it through".to_owned());
        }
        Body::RunRedone { .. } if !matches!(life.door, Door::Redoing) => {
            return Some("brought back without an intent that says who wanted it".to_owned());
        }
        Body::Recovered { now: Settled::Committed, .. }
            if !matches!(life.door, Door::Committing | Door::Committed | Door::Undoing | Door::Redoing) =>
        {
            return Some("recovery finished a commit that nobody began".to_owned());
        }
        _ => return None,
    };
    if let By::Approved { request } = by {
        let Some(granted) = life.claimed.as_ref().filter(|granted| granted.request == request) else {
            return Some("let through by an approval that the log does not show".to_owned());
        };
        let approved = matches!(body, Body::RunCommitting { digest, plan, .. }
            if (*digest, *plan) == (granted.effects, granted.plan));
        if !approved {
            return Some("what begins is not what people approved (the digests differ)".to_owned());
        }
        // Where there was nobody else a day's wait stands for the second person.
        let alone = granted.quorum == Quorum::LONE && life.quorum == Quorum::TWO;
        if !alone && !granted.quorum.covers(&life.quorum) {
            return Some(format!("let through by fewer people than policy asked for: {}", life.quorum.in_words()));
        }
    }
    match (life.decision, by) {
        (None, _) => Some("let through without a judgement".to_owned()),
        (Some(Decision::Allow), _)
        | (Some(Decision::Ask), By::Person { .. } | By::Approved { .. })
        | (Some(Decision::TwoPerson), By::Approved { .. }) => None,
        (Some(Decision::Ask), By::Rule) => {
            Some("let through without a person's word, which policy asked for".to_owned())
        }
        (Some(Decision::TwoPerson), By::Person { .. } | By::Rule) => {
            Some("let through without two people's word".to_owned())
        }
        (Some(Decision::Deny), _) => Some("let through although policy denied it".to_owned()),
    }
}

impl Life {
    /// Goes through the door, in order or not: the story goes on from what the log says.
    fn step(&mut self, body: &Body) {
        match body {
            Body::RunRehearsed { digest, effects, .. } => {
                self.digest = Some(*digest);
                self.effects = *effects;
                self.door = Door::Rehearsed;
            }
            Body::RunJudged { judgement, .. } => {
                self.decision = Some(judgement.decision);
                self.quorum = judgement.quorum();
                self.door = Door::Judged;
            }
            Body::RunHeld { .. } => self.door = Door::Held,
            Body::RunCommitting { .. } => self.start(Door::Committing, Door::Held),
            Body::RunUndoing { .. } => self.start(Door::Undoing, Door::Committed),
            Body::RunRedoing { .. } => self.start(Door::Redoing, Door::Undone),
            Body::RunCommitted { .. } | Body::RunRedone { .. } => self.door = Door::Committed,
            Body::RunObserved { digest, .. } => {
                self.digest = Some(*digest);
                self.door = Door::Committed;
            }
            Body::RunUndone { .. } => self.door = Door::Undone,
            Body::RunConflict { .. } | Body::RunFailed { .. } => self.door = self.fallback(),
            Body::Recovered { now, .. } => {
                self.door = match now {
                    Settled::Committed => Door::Committed,
                    Settled::Held => Door::Held,
                    Settled::Discarded => Door::Ended,
                    Settled::Undone => Door::Undone,
                };
            }
            Body::RunDenied { .. } | Body::RunDiscarded { .. } | Body::RunDryRun { .. } | Body::RunInPlace { .. } => {
                self.door = Door::Ended;
            }
            Body::ApprovalAsked { .. }
            | Body::ApprovalClaimed { .. }
            | Body::ApprovalEnded { .. }
            | Body::ApprovalVoted { .. }
            | Body::ExecRan { .. }
            | Body::ExecUnlisted { .. }
            | Body::Nested { .. }
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
            | Body::RunRequested { .. }
            | Body::VaultPruned { .. } => {}
        }
    }

    fn start(&mut self, door: Door, back: Door) {
        self.door = door;
        self.back = back;
    }

    /// Where a run stands when what was under way is called off.
    const fn fallback(&self) -> Door {
        match self.door {
            Door::Committing | Door::Undoing | Door::Redoing => self.back,
            // A conflict found before the intent: the run is held with it.
            Door::Judged | Door::Held => Door::Held,
            Door::Committed => Door::Committed,
            Door::Undone => Door::Undone,
            Door::Requested | Door::Rehearsed | Door::Ended => Door::Ended,
        }
    }
}
