//! One request and the votes on it. Takes a signed statement, gives the vote it is or the one reason why it is
//! none; counts people, never keys or accounts. A vote once given stays: decisions are only ever added.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key::{Key, SignatureError};
use super::people::People;
use super::statement::{Choice, FRESH, Nonce, Statement, StatementError};
use crate::digest::Digest;
use crate::time::Timestamp;

/// A clock may be ahead of ours by so many seconds.
const AHEAD: i64 = 30;

/// Who has to agree; frozen in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// At least so many of them from each of these groups; who is in two counts for both.
    pub groups: BTreeMap<String, u32>,
    /// So many different people in all; never 0.
    pub people: u32,
}

/// What is asked, as it was frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// When.
    pub asked: Timestamp,
    /// The digest of the text that approvers are shown.
    pub display: Digest,
    /// Who may not approve it, whatever the trust store says.
    pub excluded: BTreeSet<String>,
    /// User accounts whose people may not approve it: who asked, and who owns the account the agent runs under.
    pub excluded_uids: BTreeSet<u32>,
    /// From this moment on nothing is approved.
    pub expires: Timestamp,
    /// The machine that executes.
    pub host: String,
    /// Who has to agree.
    pub quorum: Quorum,
    /// The digest of the request.
    pub request: Digest,
    /// The effect in one line of printable ASCII.
    pub summary: String,
}

/// A decision that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// When it was taken.
    pub at: Timestamp,
    /// What was decided.
    pub choice: Choice,
    /// By which key.
    pub credential: String,
    /// The groups that it counts for.
    pub groups: BTreeSet<String>,
    /// The statement's.
    pub nonce: Nonce,
    /// Whose.
    pub person: String,
}

/// Why a statement is no vote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is none.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The signature doesn't hold.
    #[error("the signature is not accepted: {0}")]
    Signature(#[from] SignatureError),
    /// For another machine.
    #[error("it is a statement for the machine {theirs}; this is {ours}")]
    Host {
        /// The statement's.
        theirs: String,
        /// This one.
        ours: String,
    },
    /// About something else.
    #[error("it is a statement about another request, or about an earlier state of this one")]
    Request,
    /// Something else was shown.
    #[error("the approver was shown another text than the one that belongs to this request")]
    Display,
    /// The line about the effect is not the request's.
    #[error("its summary is not the request's")]
    Summary,
    /// Prepared by somebody else than this machine.
    #[error("its nonce was not drawn by this machine for this request")]
    Nonce,
    /// Used before.
    #[error("it has been used already")]
    Replayed,
    /// Its time is over, or it names another.
    #[error("the request expired at {0}, or the statement names another time")]
    Expired(Timestamp),
    /// Whoever signed it looked too long ago.
    #[error("it was prepared at {0}, more than 10 minutes ago: prepare it anew")]
    Stale(Timestamp),
    /// From the future.
    #[error("it was prepared at {0}, which is yet to come: a clock is wrong")]
    Early(Timestamp),
    /// Nobody.
    #[error("{0} is not enrolled on this machine")]
    Stranger(String),
    /// A key that is nobody's, or somebody else's.
    #[error("the key {key} is not one of {person}'s")]
    Credential {
        /// Its fingerprint.
        key: String,
        /// The person whom the statement names.
        person: String,
    },
    /// Not yet.
    #[error("the key {key} counts from {from} on: keys settle for a day")]
    Unsettled {
        /// Its fingerprint.
        key: String,
        /// From when.
        from: Timestamp,
    },
    /// One's own.
    #[error("{0} asked for this, or owns the account that did: others have to approve it")]
    Own(String),
    /// One person, one decision.
    #[error("{0} has decided already, and a decision stays")]
    Twice(String),
    /// Nothing to take back.
    #[error("{0} has approved nothing here that could be revoked")]
    NothingToRevoke(String),
}

/// How a ballot stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// More people are needed.
    Open {
        /// Who has approved.
        have: BTreeSet<String>,
        /// How many more people at least, whoever they are.
        people: u32,
        /// How many more of each group.
        groups: BTreeMap<String, u32>,
    },
    /// The quorum is there.
    Met,
    /// Somebody said no, or took an approval back.
    Denied(String),
}

/// A request's votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// What is asked.
    pub question: Question,
    issued: BTreeSet<Nonce>,
    votes: Vec<Vote>,
}

impl Ballot {
    /// Nobody has voted.
    pub const fn new(question: Question) -> Self {
        Self { question, issued: BTreeSet::new(), votes: Vec::new() }
    }

    /// The statement that a person signs with a key; `nonce` has to be fresh and random.
    pub fn prepare(
        &mut self,
        choice: Choice,
        person: &str,
        credential: &str,
        nonce: Nonce,
        now: Timestamp,
    ) -> Statement {
        self.issued.insert(nonce);
        let q = &self.question;
        Statement {
            choice,
            request: q.request,
            display: q.display,
            host: q.host.clone(),
            summary: q.summary.clone(),
            person: person.to_owned(),
            credential: credential.to_owned(),
            prepared_at: Timestamp::new(now.secs, 0),
            expires: q.expires,
            nonce,
        }
    }

    /// Nonces that were drawn for this ballot before, as its store has them.
    pub fn issue(&mut self, nonces: impl IntoIterator<Item = Nonce>) {
        self.issued.extend(nonces);
    }

    /// The votes, in the order they were taken.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Takes a signed statement.
    ///
    /// # Errors
    /// The one reason why it is no vote; then the ballot is as before.
    pub fn cast(&mut self, text: &str, armoured: &str, people: &People, now: Timestamp) -> Result<&Vote, Refusal> {
        let vote = self.vote(text, armoured, people, now)?;
        self.votes.push(vote);
        Ok(&self.votes[self.votes.len() - 1])
    }

    fn vote(&self, text: &str, armoured: &str, people: &People, now: Timestamp) -> Result<Vote, Refusal> {
        let statement = Statement::parse(text)?;
        self.fits(&statement, now)?;
        let (person, print) = (&statement.person, &statement.credential);
        let member = people.member(person).ok_or_else(|| Refusal::Stranger(person.clone()))?;
        let wrong = || Refusal::Credential { key: print.clone(), person: person.clone() };
        let credential = member.credentials.iter().find(|c| c.id == *print).ok_or_else(wrong)?;
        // A store that was tampered with could have the key of one under the fingerprint of another.
        let key = Key::parse(&credential.key).ok().filter(|k| k.fingerprint() == *print).ok_or_else(wrong)?;
        key.verify(text.as_bytes(), armoured)?;
        if credential.from > now {
            return Err(Refusal::Unsettled { key: print.clone(), from: credential.from });
        }
        let q = &self.question;
        let own = q.excluded.contains(person) || member.uids.iter().any(|u| q.excluded_uids.contains(u));
        // To say no, or to take an approval back, is open to everybody who is enrolled.
        if own && statement.choice == Choice::ApproveOnce {
            return Err(Refusal::Own(person.clone()));
        }
        let before: Vec<Choice> = self.votes.iter().filter(|v| v.person == *person).map(|v| v.choice).collect();
        match (statement.choice, before.as_slice()) {
            (Choice::ApproveOnce | Choice::Deny, []) | (Choice::Revoke, [Choice::ApproveOnce]) => {}
            (Choice::Revoke, []) => return Err(Refusal::NothingToRevoke(person.clone())),
            _ => return Err(Refusal::Twice(person.clone())),
        }
        let groups = member.groups.iter().filter(|(_, from)| **from <= now).map(|(name, _)| name.clone()).collect();
        Ok(Vote {
            at: now,
            choice: statement.choice,
            credential: print.clone(),
            groups,
            nonce: statement.nonce,
            person: person.clone(),
        })
    }

    /// Whether a statement is about this very question, prepared here, in time, and not used before.
    fn fits(&self, statement: &Statement, now: Timestamp) -> Result<(), Refusal> {
        let q = &self.question;
        if statement.host != q.host {
            return Err(Refusal::Host { theirs: statement.host.clone(), ours: q.host.clone() });
        }
        if statement.request != q.request {
            return Err(Refusal::Request);
        }
        if statement.display != q.display {
            return Err(Refusal::Display);
        }
        if statement.summary != q.summary {
            return Err(Refusal::Summary);
        }
        if !self.issued.contains(&statement.nonce) {
            return Err(Refusal::Nonce);
        }
        if self.votes.iter().any(|v| v.nonce == statement.nonce) {
            return Err(Refusal::Replayed);
        }
        let prepared = statement.prepared_at;
        if statement.expires != q.expires || now >= q.expires {
            return Err(Refusal::Expired(q.expires));
        }
        if prepared.seconds_since(now) > AHEAD {
            return Err(Refusal::Early(prepared));
        }
        if now.seconds_since(prepared) > FRESH {
            return Err(Refusal::Stale(prepared));
        }
        Ok(())
    }

    /// How it stands. A no wins whenever it came.
    pub fn tally(&self) -> Tally {
        tally(&self.question.quorum, &self.votes)
    }
}

fn tally(quorum: &Quorum, votes: &[Vote]) -> Tally {
    if let Some(no) = votes.iter().find(|v| v.choice != Choice::ApproveOnce) {
        return Tally::Denied(no.person.clone());
    }
    let have: BTreeSet<String> = votes.iter().map(|v| v.person.clone()).collect();
    let of = |group: &str| {
        let members = votes.iter().filter(|v| v.groups.contains(group)).map(|v| &v.person);
        u32::try_from(members.collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX)
    };
    let missing = |(group, needs): (&String, &u32)| (group.clone(), needs.saturating_sub(of(group)));
    let groups: BTreeMap<String, u32> = quorum.groups.iter().map(missing).filter(|(_, n)| *n > 0).collect();
    let people = quorum.people.max(1).saturating_sub(u32::try_from(have.len()).unwrap_or(u32::MAX));
    if people == 0 && groups.is_empty() { Tally::Met } else { Tally::Open { have, people, groups } }
}

#[cfg(test)]
mod tests;
