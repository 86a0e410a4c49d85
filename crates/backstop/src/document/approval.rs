//! The documents about requests for approval and who may approve.

use backstop_core::approval::ballot::{Question, Tally};
use backstop_core::approval::life::Phase;
use backstop_core::approval::matter::code;
use backstop_core::approval::people::People;
use backstop_core::approval::statement::Choice;
use backstop_core::freeze::Freeze;
use backstop_core::run::RunRecord;
use backstop_core::time::Timestamp;
use backstop_engine::{Decided, Pending, Waiting};
use schemars::JsonSchema;
use serde::Serialize;

use super::VERSION;

/// A request for approval.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RequestDocument {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// What it is called on the command line, where it is not about a run.
    pub code: String,
    /// The decisions so far.
    pub decisions: Vec<DecisionDocument>,
    /// The text that approvers are shown.
    pub display: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// What is asked, by whom it may be approved, and until when.
    pub question: Question,
    /// Whether the quorum is there, or the glass was broken for it.
    pub quorum_met: bool,
}

/// Somebody's decision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecisionDocument {
    /// When it was taken.
    pub at: Timestamp,
    /// What was decided.
    pub choice: Choice,
    /// By which key.
    pub credential: String,
    /// Whose.
    pub person: String,
    /// The signature: with the statement, for whoever verifies it again.
    pub signature: String,
    /// The text that was signed.
    pub statement: String,
}

impl RequestDocument {
    /// Of a request.
    pub fn of(asked: &Pending) -> Self {
        let decisions = asked.votes.iter().map(|vote| DecisionDocument {
            at: vote.at,
            choice: vote.choice,
            credential: vote.credential.clone(),
            person: vote.person.clone(),
            signature: vote.signature.clone(),
            statement: vote.text.clone(),
        });
        Self {
            asked_at: asked.asked_at,
            code: code(asked.question.request),
            decisions: decisions.collect(),
            display: asked.display.clone(),
            phase: asked.phase,
            question: asked.question.clone(),
            quorum_met: asked.tally == Tally::Met,
        }
    }
}

/// `pending`: what waits for people, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PendingDocument {
    /// What is frozen; none where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Freeze>,
    /// The requests.
    pub requests: Vec<RequestDocument>,
    /// What somebody let through alone, and nobody has reviewed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<RequestDocument>,
    /// Why others can't be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// The document's version: 1.
    pub version: u32,
}

impl PendingDocument {
    /// Of all that waits.
    pub fn of(frozen: Option<Freeze>, all: &Waiting) -> Self {
        let unreadable = all.unreadable.iter().map(|failure| failure.what.clone()).collect();
        let of = |all: &[Pending]| all.iter().map(RequestDocument::of).collect();
        Self { frozen, requests: of(&all.requests), reviews: of(&all.reviews), unreadable, version: VERSION }
    }
}

/// `approve`, `deny`, `revoke`: what the decision led to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecidedDocument {
    /// The code that `backstop` itself returns.
    pub exit_code: u8,
    /// Who may approve now, where that is what was decided on and approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<People>,
    /// The request as it stands now.
    pub request: RequestDocument,
    /// The run's record, where the quorum is there with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
    /// The document's version: 1.
    pub version: u32,
}

impl DecidedDocument {
    /// Of what became of it.
    pub fn of(decided: &Decided, exit_code: u8) -> Self {
        let (asked, people, run) = match decided {
            Decided::Waits(asked) | Decided::Over(asked) | Decided::Reviewed(asked) => (asked, None, None),
            Decided::Run(asked, outcome) => (asked, None, Some(outcome.record.clone())),
            Decided::People(asked, people) => (asked, Some(people.clone()), None),
            Decided::Thawed(asked, _) => (asked, None, None),
            Decided::Cleared(asked, _) => (asked, None, None),
        };
        Self { exit_code, people, request: RequestDocument::of(asked), run, version: VERSION }
    }
}

/// `people`: who may approve, and what was asked for where that takes two people.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PeopleDocument {
    /// Who may approve.
    pub people: People,
    /// The request for a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDocument>,
    /// The document's version: 1.
    pub version: u32,
}

impl PeopleDocument {
    /// Of them, and of a change that is asked for.
    pub fn of(people: People, asked: Option<&Pending>) -> Self {
        Self { people, request: asked.map(RequestDocument::of), version: VERSION }
    }
}
