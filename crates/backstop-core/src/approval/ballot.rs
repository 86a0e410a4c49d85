//! One request and the votes on it. Takes a signed statement, gives the vote it is or the one reason why it is
//! none; counts people, never keys or accounts. A vote once given stays: decisions are only ever added.

mod right;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_name;
use super::key::{Key, SignatureError};
use super::life::{ALONE, PENDING};
use super::matter::{Matter, code};
use super::people::{Credential, Member, People};
use super::quorum::{Quorum, Terms};
use super::statement::{Choice, FRESH, NAMESPACE, Nonce, Statement, StatementError, Word, is_summary};
use crate::digest::Digest;
use crate::time::Timestamp;

pub use right::Right;

/// Who may not approve, whatever the trust store says. They may still say no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// People, by id: whose account asked, when it asked.
    pub people: BTreeSet<String>,
    /// User accounts: what asked, and as whom that had logged in. Whose they are when a decision is counted.
    pub uids: BTreeSet<u32>,
}

impl Excluded {
    /// These accounts, and whose they are today.
    pub fn of(uids: BTreeSet<u32>, people: &People) -> Self {
        let owners = uids.iter().filter_map(|uid| people.of_account(*uid));
        Self { people: owners.map(|m| m.id.clone()).collect(), uids }
    }
}

/// What is asked, as it was frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The digest of the text that approvers are shown.
    pub display: Digest,
    /// Who may not approve it.
    pub excluded: Excluded,
    /// From this moment on nothing is approved.
    pub expires: Timestamp,
    /// The machine that executes.
    pub host: String,
    /// What is asked to be let through.
    pub matter: Matter,
    /// Who has to agree.
    pub quorum: Quorum,
    /// The digest of the request: of matter, machine, quorum, terms, and who is excluded.
    pub request: Digest,
    /// The effect in one line of printable ASCII.
    pub summary: String,
    /// What holds beside the quorum.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub terms: Terms,
}

fn is_plain(terms: &Terms) -> bool {
    *terms == Terms::default()
}

impl Question {
    /// These are asked, from now on. What they are shown is made of it: [`Question::shown`] completes it.
    pub fn new(
        people: &People,
        (matter, quorum, terms): (Matter, Quorum, Terms),
        excluded: Excluded,
        summary: String,
        now: Timestamp,
    ) -> Self {
        let end = terms.opens.map_or(now.secs.saturating_add(PENDING), |from| from.secs.saturating_add(ALONE));
        Self {
            display: Digest::of_content(b""),
            expires: Timestamp::new(end, 0),
            host: people.host.clone(),
            request: matter.request(&people.host, (&quorum, terms), &excluded),
            excluded,
            matter,
            quorum,
            summary,
            terms,
        }
    }

    /// The same, about this very text.
    #[must_use]
    pub fn shown(self, display: &str) -> Self {
        Self { display: Digest::of_content(display.as_bytes()), ..self }
    }

    /// What people call it by: its run, or its code.
    pub fn name(&self) -> String {
        self.matter.run().map_or_else(|| code(self.request), |run| run.to_string())
    }

    /// Whether it can have been asked: its digest is its own, and its words are plain. For what is read.
    pub fn is_sound(&self) -> bool {
        let Terms { glass, opens } = self.terms;
        let is_run = self.matter.run().is_some();
        let alone = self.quorum == Quorum::LONE && opens.is_some() && !glass && is_run;
        self.request == self.matter.request(&self.host, (&self.quorum, self.terms), &self.excluded)
            && is_name(&self.host)
            && is_summary(&self.summary)
            && (alone || self.quorum.is_sound() && opens.is_none() && (is_run || !glass))
    }
}

/// A decision that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
    #[schemars(with = "String")]
    pub nonce: Nonce,
    /// Whose.
    pub person: String,
    /// The signature, armoured: with the text, for whoever verifies it again.
    pub signature: String,
    /// The statement's text.
    pub text: String,
}

/// What somebody answers for, in the words that were signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// Why.
    pub reason: Option<String>,
    /// Where the emergency is dealt with.
    pub ticket: Option<String>,
}

impl Vote {
    /// What it is answered for with; nothing where that is not asked of it.
    pub fn grounds(&self) -> Grounds {
        Statement::parse(&self.text)
            .map_or_else(|_| Grounds::default(), |s| Grounds { reason: s.reason, ticket: s.ticket })
    }

    /// True where the fields say what the signed text says. For what is read.
    fn is_its_text(&self) -> bool {
        Statement::parse(&self.text).is_ok_and(|s| {
            (s.choice, &s.credential, s.nonce, &s.person) == (self.choice, &self.credential, self.nonce, &self.person)
        })
    }
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
    /// Its nonce is known, but it was drawn for another text.
    #[error("it is not the statement that this machine prepared: its decision, person, key or time is another")]
    Altered,
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
    /// Whom it takes something from.
    #[error("{0} can't decide on what is to be taken away from {0}")]
    Unheard(String),
    /// One person, one decision.
    #[error("{0} has decided already, and a decision stays")]
    Twice(String),
    /// Whoever is alone waits.
    #[error("nobody else is enrolled who could look at it, so it can be approved from {0} on; it can be denied now")]
    Early(Timestamp),
    /// Not asked on these terms.
    #[error("the glass can't be broken for it: it takes the people that it asks for")]
    NoGlass,
    /// A key that says of itself that it is none.
    #[error("the glass is broken with a security key, which somebody has to touch; {0} is none")]
    Software(String),
    /// Once is enough, whatever came of it.
    #[error("{0} has broken the glass for it already")]
    Broken(String),
    /// Nobody acted alone.
    #[error("nobody broke the glass here, so there is nothing to review")]
    NothingToReview,
    /// One's own deed.
    #[error("{0} broke the glass: another person has to review it")]
    OwnReview(String),
    /// Once is enough.
    #[error("{0} has reviewed it already")]
    Reviewed(String),
    /// Nothing to take back.
    #[error("{0} has approved nothing here that could be revoked")]
    NothingToRevoke(String),
}

/// How a ballot stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Somebody said no.
    Denied(String),
    /// Somebody took an approval back.
    Revoked(String),
}

/// A request's votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    question: Question,
    /// What was prepared: each nonce with the digest of the text it was drawn for.
    issued: BTreeMap<Nonce, Digest>,
    votes: Vec<Vote>,
}

impl Ballot {
    /// Nobody has voted.
    pub const fn new(question: Question) -> Self {
        Self { question, issued: BTreeMap::new(), votes: Vec::new() }
    }

    /// One that was kept: what was prepared, and the votes that were taken.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence fragment.
    pub fn restore(question: Question, issued: &[String], votes: Vec<Vote>) -> Result<Self, String> {
        if !question.is_sound() {
            return Err("the question is not the one that was asked".to_owned());
        }
        let mut ballot = Self::new(question);
        for text in issued {
            ballot.issue(text).map_err(|e| format!("a statement that was prepared: {e}"))?;
        }
        if let Some(vote) = votes.iter().find(|v| !v.is_its_text() || !ballot.issued.contains_key(&v.nonce)) {
            return Err(format!("a vote of {} is not what was signed", vote.person));
        }
        ballot.votes = votes;
        Ok(ballot)
    }

    /// Counts votes again that were taken at their time, and says which of them is none: for whoever has
    /// nothing but a record of them. That their statements were prepared by the machine is taken on trust.
    ///
    /// # Errors
    /// Whose vote it is that doesn't hold, and why.
    pub fn recount(question: Question, votes: &[Vote], people: &People) -> Result<Self, (String, Refusal)> {
        let mut ballot = Self::new(question);
        for vote in votes {
            let refused = |e: Refusal| (vote.person.clone(), e);
            ballot.issue(&vote.text).map_err(|e| refused(e.into()))?;
            ballot.cast(&vote.text, &vote.signature, people, vote.at).map_err(refused)?;
        }
        Ok(ballot)
    }

    fn issue(&mut self, text: &str) -> Result<(), StatementError> {
        let nonce = Statement::parse(text)?.nonce;
        self.issued.insert(nonce, Digest::of_content(text.as_bytes()));
        Ok(())
    }

    /// The statement that a person signs with a key; `nonce` has to be fresh and random.
    pub fn prepare(
        &mut self,
        word: impl Into<Word>,
        person: &str,
        credential: &str,
        nonce: Nonce,
        now: Timestamp,
    ) -> Statement {
        let q = &self.question;
        let Word { choice, reason, ticket } = word.into();
        let statement = Statement {
            choice,
            request: q.request,
            display: q.display,
            host: q.host.clone(),
            summary: q.summary.clone(),
            person: person.to_owned(),
            credential: credential.to_owned(),
            prepared_at: now.whole(),
            expires: q.expires,
            nonce,
            ticket,
            reason,
        };
        self.issued.insert(nonce, Digest::of_content(statement.text().as_bytes()));
        statement
    }

    /// What is asked.
    pub const fn question(&self) -> &Question {
        &self.question
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
        self.fits(&statement, text, now)?;
        let (person, print) = (&statement.person, &statement.credential);
        let (member, credential) = verified(people, person, print, text, armoured)?;
        // Not even a no: whoever stole a key could keep it for ever.
        if self.question.matter.takes_from(person, print) {
            return Err(Refusal::Unheard(person.clone()));
        }
        let choice = statement.choice;
        if choice.reviews() {
            self.may_review(member)?;
        }
        // A no is taken from everybody who is enrolled, by whatever key.
        if credential.from > now && (choice.lets_through() || choice.reviews()) {
            return Err(Refusal::Unsettled { key: print.clone(), from: credential.from });
        }
        // A review lets nothing through, and whoever owns the account that asked may be the only other one.
        if self.is_own(member) && choice.lets_through() {
            return Err(Refusal::Own(person.clone()));
        }
        if choice == Choice::BreakGlass {
            self.may_break(credential)?;
        }
        if let (true, Some(from)) = (choice.lets_through(), self.question.terms.opens.filter(|from| now < *from)) {
            return Err(Refusal::Early(from));
        }
        let his = |v: &&Vote| v.person == *person && !v.choice.reviews();
        let before: Vec<Choice> = self.votes.iter().filter(his).map(|v| v.choice).collect();
        match (choice, before.as_slice()) {
            (Choice::Justified | Choice::Unjustified, _)
            | (Choice::ApproveOnce | Choice::BreakGlass | Choice::Deny, [])
            // The other one does not come.
            | (Choice::BreakGlass, [Choice::ApproveOnce])
            | (Choice::Revoke, [.., Choice::ApproveOnce | Choice::BreakGlass]) => {}
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
            signature: armoured.to_owned(),
            text: text.to_owned(),
        })
    }

    /// Whether the glass can be broken, and by this key.
    fn may_break(&self, credential: &Credential) -> Result<(), Refusal> {
        if !self.question.terms.glass {
            return Err(Refusal::NoGlass);
        }
        if let Some(before) = self.broken() {
            return Err(Refusal::Broken(before.person.clone()));
        }
        let hard = Key::parse(&credential.key).is_ok_and(|key| key.claims_hardware());
        hard.then_some(()).ok_or_else(|| Refusal::Software(credential.id.clone()))
    }

    /// Whether there is something to review, by this person.
    ///
    /// # Errors
    /// Why not.
    pub fn may_review(&self, member: &Member) -> Result<(), Refusal> {
        let broke = self.broken().ok_or(Refusal::NothingToReview)?;
        if broke.person == member.id {
            return Err(Refusal::OwnReview(member.id.clone()));
        }
        self.reviewed().map_or(Ok(()), |vote| Err(Refusal::Reviewed(vote.person.clone())))
    }

    /// By whose word the glass was broken.
    pub fn broken(&self) -> Option<&Vote> {
        self.votes.iter().find(|v| v.choice == Choice::BreakGlass)
    }

    /// Who reviewed that.
    pub fn reviewed(&self) -> Option<&Vote> {
        self.votes.iter().find(|v| v.choice.reviews())
    }

    /// Whether a statement is about this very question, prepared here, in time, and not used before.
    fn fits(&self, statement: &Statement, text: &str, now: Timestamp) -> Result<(), Refusal> {
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
        let issued = self.issued.get(&statement.nonce).ok_or(Refusal::Nonce)?;
        if self.votes.iter().any(|v| v.nonce == statement.nonce) {
            return Err(Refusal::Replayed);
        }
        let prepared = statement.prepared_at;
        // What was done alone is looked at whenever somebody comes to it.
        if statement.expires != q.expires || (now >= q.expires && !statement.choice.reviews()) {
            return Err(Refusal::Expired(q.expires));
        }
        if *issued != Digest::of_content(text.as_bytes()) {
            return Err(Refusal::Altered);
        }
        if now.seconds_since(prepared) > FRESH {
            return Err(Refusal::Stale(prepared));
        }
        Ok(())
    }

    /// How it stands by today's trust store: every yes is verified again, and one whose person, key or group
    /// was taken away since counts no more. A no stays, and wins whenever it came.
    pub fn tally(&self, people: &People) -> Tally {
        self.tally_of(self.votes.iter(), people)
    }

    fn tally_of<'v>(&self, votes: impl Iterator<Item = &'v Vote>, people: &People) -> Tally {
        let said = votes.filter_map(|v| Some((v.person.as_str(), v.choice, self.still(v, people)?)));
        tally(&self.question.quorum, &said.collect::<Vec<_>>())
    }

    /// True where the quorum is not there but by a broken glass.
    pub fn stands_on_glass(&self, people: &People) -> bool {
        let others = self.votes.iter().filter(|v| v.choice != Choice::BreakGlass);
        self.tally(people) == Tally::Met && self.tally_of(others, people) != Tally::Met
    }

    /// True where the request is the person's own.
    fn is_own(&self, member: &Member) -> bool {
        let q = &self.question;
        q.excluded.people.contains(&member.id) || member.uids.iter().any(|u| q.excluded.uids.contains(u))
    }

    /// The groups that a vote still counts for; none where a yes counts no more: its person, key or group is
    /// gone (or was given again since), or the account that asked turned out to be the person's.
    fn still(&self, vote: &Vote, people: &People) -> Option<BTreeSet<String>> {
        if !vote.choice.lets_through() {
            return Some(BTreeSet::new());
        }
        let held = verified(people, &vote.person, &vote.credential, &vote.text, &vote.signature);
        let (member, key) = held.ok().filter(|(member, key)| key.from <= vote.at && !self.is_own(member))?;
        let Terms { glass, opens } = self.question.terms;
        let hard = || Key::parse(&key.key).is_ok_and(|key| key.claims_hardware());
        if opens.is_some_and(|from| vote.at < from) || vote.choice == Choice::BreakGlass && !(glass && hard()) {
            return None;
        }
        let counts = |g: &&String| member.groups.get(*g).is_some_and(|from| *from <= vote.at);
        Some(vote.groups.iter().filter(counts).cloned().collect())
    }

    /// The approvals that count by today's trust store.
    pub fn standing(&self, people: &People) -> Vec<Vote> {
        let yes = |v: &&Vote| v.choice.lets_through() && self.still(v, people).is_some();
        self.votes.iter().filter(yes).cloned().collect()
    }

    /// The right to what is asked, where the quorum is there in time.
    pub fn right(&self, people: &People, now: Timestamp) -> Option<Right> {
        let met = self.question.is_sound() && now < self.question.expires && self.tally(people) == Tally::Met;
        met.then(|| Right::to(&self.question))
    }
}

/// The person and the key behind a signed text.
fn verified<'p>(
    people: &'p People,
    person: &str,
    print: &str,
    text: &str,
    armoured: &str,
) -> Result<(&'p Member, &'p Credential), Refusal> {
    let member = people.member(person).ok_or_else(|| Refusal::Stranger(person.to_owned()))?;
    let wrong = || Refusal::Credential { key: print.to_owned(), person: person.to_owned() };
    let credential = member.credentials.iter().find(|c| c.id == print).ok_or_else(wrong)?;
    // A store that was tampered with could have the key of one under the fingerprint of another.
    let key = Key::parse(&credential.key).ok().filter(|k| k.fingerprint() == print).ok_or_else(wrong)?;
    key.verify(NAMESPACE, text.as_bytes(), armoured)?;
    Ok((member, credential))
}

/// How a ballot stands in which this was said, in this order: by whom, what, and for which groups.
pub(super) fn tally(quorum: &Quorum, said: &[(&str, Choice, BTreeSet<String>)]) -> Tally {
    let no = |choice: Choice| matches!(choice, Choice::Deny | Choice::Revoke);
    if let Some((person, choice, _)) = said.iter().find(|(_, choice, _)| no(*choice)) {
        let person = (*person).to_owned();
        return if *choice == Choice::Revoke { Tally::Revoked(person) } else { Tally::Denied(person) };
    }
    if said.iter().any(|(_, choice, _)| *choice == Choice::BreakGlass) {
        return Tally::Met;
    }
    let said: Vec<_> = said.iter().filter(|(_, choice, _)| *choice == Choice::ApproveOnce).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let have: BTreeSet<String> = said.iter().map(|(person, ..)| (*person).to_owned()).collect();
    let of = |group: &str| {
        let members = said.iter().filter(|(.., groups)| groups.contains(group)).map(|(person, ..)| person);
        count(members.collect::<BTreeSet<_>>().len())
    };
    let missing = |(group, needs): (&String, &u32)| (group.clone(), needs.saturating_sub(of(group)));
    let groups: BTreeMap<String, u32> = quorum.groups.iter().map(missing).filter(|(_, n)| *n > 0).collect();
    let people = quorum.people.max(1).saturating_sub(count(have.len()));
    if people == 0 && groups.is_empty() { Tally::Met } else { Tally::Open { have, people, groups } }
}

#[cfg(test)]
mod tests;
