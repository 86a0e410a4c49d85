//! The part of the story that is about people: replays who may approve, change by change, and counts every
//! quorum again from the signatures that the log carries. Believes no entry that says so without them.

use std::collections::{BTreeMap, BTreeSet};

use super::Question as Asks;
use crate::approval::ballot::{Ballot, Question, Refusal, Vote};
use crate::approval::life::{ALONE, JUMP};
use crate::approval::matter::Matter;
use crate::approval::people::{Footing, People};
use crate::approval::quorum::Quorum;
use crate::approval::statement::{Choice, FRESH};
use crate::audit::Body;
use crate::digest::Digest;
use crate::id::RunId;
use crate::quoted::Quoted;
use crate::time::Timestamp;

/// What a quorum let through of a run, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub effects: Digest,
    pub plan: Digest,
    pub quorum: Quorum,
    pub request: Digest,
}

/// What an entry says of approvals.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// A request about a run: the effects that it is about, and the accounts that may not approve it; none of these where
    /// whoever asked may be the only one who is enrolled.
    pub asked: Option<(Digest, Option<BTreeSet<u32>>)>,
    /// A request about a run whose quorum holds.
    pub granted: Option<Granted>,
    /// What is wrong with it.
    pub wrong: Vec<(Asks, String)>,
}

/// A request as far as it has been told.
#[derive(Clone, Debug)]
struct Asked {
    at: Timestamp,
    question: Question,
    votes: Vec<Vote>,
    /// True once it was denied, revoked, claimed, or has ended otherwise.
    over: bool,
}

/// People and requests as far as they have been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Approvals {
    people: Option<People>,
    asked: BTreeMap<Digest, Asked>,
    /// The quorum of what is no run (a change of people, a thaw, a ban's end) that was claimed and is not made yet.
    granted: BTreeMap<Digest, (Timestamp, Vec<Vote>)>,
    /// For which request the glass was broken, until that is reviewed.
    broken: Option<Digest>,
}

impl Approvals {
    /// The digest of the trust store as it stands.
    pub fn people(&self) -> Option<Digest> {
        self.people.as_ref().map(People::digest)
    }

    #[cfg(test)]
    pub fn in_force(&mut self, people: People) {
        self.people = Some(people);
    }

    /// Takes the next entry.
    pub fn tell(&mut self, at: Timestamp, body: &Body) -> Told {
        let mut told = Told::default();
        let said = match body {
            Body::ApprovalAsked { question } => {
                if let Matter::Run { effects, .. } = &question.matter {
                    let among_others = question.quorum != Quorum::LONE;
                    told.asked = Some((*effects, among_others.then(|| question.excluded.uids.clone())));
                }
                self.asks(at, question)
            }
            Body::ApprovalVoted { request, run, vote, .. } => {
                self.is_about(*request, *run).and_then(|()| self.votes(*request, vote, at))
            }
            Body::ApprovalClaimed { request, votes, run } => {
                let matter = self.is_about(*request, *run).and_then(|()| self.claims(*request, votes, at));
                matter.map(|(matter, quorum)| match matter {
                    Matter::Run { effects, plan, .. } => {
                        told.granted = Some(Granted { effects, plan, quorum, request: *request });
                    }
                    Matter::Clear { .. } | Matter::People { .. } | Matter::Thaw { .. } => {
                        drop(self.granted.insert(*request, (at, votes.clone())));
                    }
                })
            }
            Body::ApprovalEnded { request, run, .. } => {
                self.asked.entry(*request).and_modify(|asked| asked.over = true);
                if self.asked.contains_key(request) { self.is_about(*request, *run) } else { Ok(()) }
            }
            Body::PeopleChanged { .. } => self.changes(at, body),
            _ => Ok(()),
        };
        told.wrong.extend(said.err().map(|what| (Asks::Authorisation, what)));
        told
    }

    fn asks(&mut self, at: Timestamp, question: &Question) -> Result<(), String> {
        if !question.is_sound() {
            return Err("a question to people that can't have been asked".to_owned());
        }
        // That nobody else was there is asked when it begins. The question was made some moments before its entry.
        if question.terms.opens.is_some_and(|opens| opens.seconds_since(at) < ALONE - FRESH) {
            return Err("one person was asked alone, without a day's wait".to_owned());
        }
        let asked = Asked { at, question: question.clone(), votes: Vec::new(), over: false };
        let before = self.asked.insert(question.request, asked);
        before.map_or(Ok(()), |_| Err("people were asked the same a second time".to_owned()))
    }

    /// An entry about a request names the run that this is about.
    fn is_about(&self, request: Digest, run: Option<RunId>) -> Result<(), String> {
        let asked = self.asked.get(&request).ok_or("people decided on what nobody asked")?;
        let right = asked.question.matter.run() == run;
        right.then_some(()).ok_or_else(|| "what people decided is said of another run".to_owned())
    }

    fn votes(&mut self, request: Digest, vote: &Vote, at: Timestamp) -> Result<(), String> {
        // Said by the claim already, which a crash let be written first.
        let known = |asked: &Asked| asked.votes.contains(vote);
        if vote.choice == Choice::BreakGlass && self.asked.get(&request).is_some_and(known) {
            return Ok(());
        }
        let counted = self.counts(request, vote, at);
        if let Some(asked) = self.asked.get_mut(&request) {
            // A no that doesn't hold as a signature may still be one that was said.
            asked.over |= matches!(vote.choice, Choice::Deny | Choice::Revoke);
            asked.votes.push(vote.clone());
        }
        match vote.choice {
            Choice::BreakGlass => counted.and(self.breaks(request)),
            Choice::Justified | Choice::Unjustified if counted.is_ok() => {
                self.broken = self.broken.filter(|broken| *broken != request);
                Ok(())
            }
            _ => counted,
        }
    }

    /// The glass is broken once until that is reviewed.
    fn breaks(&mut self, request: Digest) -> Result<(), String> {
        match self.broken.replace(request) {
            Some(other) if other != request => {
                Err("the glass was broken again before another person had reviewed it".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether a vote holds by the people of now. Those before it held in their time.
    fn counts(&self, request: Digest, vote: &Vote, now: Timestamp) -> Result<(), String> {
        let asked = self.asked.get(&request).ok_or("people decided on what nobody asked")?;
        let people = self.people.as_ref().ok_or("somebody decided, and nobody is enrolled")?;
        in_time(asked.at, vote, now)?;
        let issued: Vec<String> = asked.votes.iter().chain([vote]).map(|v| v.text.clone()).collect();
        let mut ballot = Ballot::restore(asked.question.clone(), &issued, asked.votes.clone())?;
        match ballot.cast(&vote.text, &vote.signature, people, vote.at) {
            // Signed and all; the yes that it takes back was cut off before it was on record.
            Ok(_) | Err(Refusal::NothingToRevoke(_)) => Ok(()),
            Err(why) => Err(format!("the decision of {} doesn't hold: {why}", calm(&vote.person))),
        }
    }

    /// The ballot of these votes: each holds by the people of now, and was cast between question and now.
    fn count(&self, request: Digest, votes: &[Vote], now: Timestamp) -> Result<(Ballot, &People), String> {
        let asked = self.asked.get(&request).ok_or("people decided on what nobody asked")?;
        let people = self.people.as_ref().ok_or("somebody decided, and nobody is enrolled")?;
        votes.iter().try_for_each(|vote| in_time(asked.at, vote, now))?;
        let counted = Ballot::recount(asked.question.clone(), votes, people);
        let ballot = counted.map_err(|(who, why)| format!("the decision of {} doesn't hold: {why}", calm(&who)))?;
        Ok((ballot, people))
    }

    fn claims(&mut self, request: Digest, votes: &[Vote], at: Timestamp) -> Result<(Matter, Quorum), String> {
        {
            let (ballot, people) = self.count(request, votes, at)?;
            ballot.right(people, at).ok_or("begun without the people that it needs, or too late")?;
            if ballot.question().terms.opens.is_some() && people.founded {
                return Err("begun by one person alone, where there are two".to_owned());
            }
        }
        let known = |vote: &Vote| self.asked.get(&request).is_some_and(|asked| asked.votes.contains(vote));
        let unknown = votes.iter().any(|v| v.choice == Choice::BreakGlass && !known(v));
        let broken = if unknown { self.breaks(request) } else { Ok(()) };
        match self.asked.get_mut(&request) {
            Some(asked) if !asked.over => {
                asked.over = true;
                // Those that a crash kept from being on record by themselves.
                let known = |vote: &Vote| asked.votes.iter().any(|v| v.nonce == vote.nonce);
                let missed: Vec<Vote> = votes.iter().filter(|vote| !known(vote)).cloned().collect();
                asked.votes.extend(missed);
                broken?;
                Ok((asked.question.matter.clone(), asked.question.quorum.clone()))
            }
            _ => Err("begun on a request that had ended".to_owned()),
        }
    }

    /// Whether what takes this quorum (none: one person's word) was done rightly; `what` says what was done. Where it names
    /// a request, that was about it, by as many people, and is good for it once.
    pub fn ended(
        &mut self,
        what: &str,
        request: Option<Digest>,
        is_it: impl Fn(&Matter) -> bool,
        takes: Option<&Quorum>,
    ) -> Result<(), String> {
        let Some(request) = request else {
            let short = |takes: &Quorum| Err(format!("{what} without {}, which it took", takes.in_words()));
            return takes.map_or(Ok(()), short);
        };
        let claimed = self.granted.remove(&request);
        claimed.ok_or_else(|| format!("{what} without the approval that it names"))?;
        let asked = self.asked.get(&request);
        let question = &asked.ok_or_else(|| format!("{what} by an approval that nobody was asked for"))?.question;
        if !is_it(&question.matter) {
            return Err(format!("{what} by an approval of something else"));
        }
        match takes {
            Some(takes) if !question.quorum.covers(takes) => {
                Err(format!("{what} by fewer people than it took: {}", takes.in_words()))
            }
            _ => Ok(()),
        }
    }

    /// Makes a change of people again.
    fn changes(&mut self, at: Timestamp, body: &Body) -> Result<(), String> {
        let Body::PeopleChanged { change, digest, host, made_at, request, revision, .. } = body else { return Ok(()) };
        let before = match &self.people {
            Some(people) => people.clone(),
            None => People::new(host).map_err(|e| e.to_string())?,
        };
        if made_at.seconds_since(at).abs() > JUMP {
            return Err("who may approve was changed at another time than the log says".to_owned());
        }
        let right = match request {
            None => None,
            Some(request) => {
                let claimed = self.granted.remove(request);
                let (when, votes) = claimed.ok_or("who may approve was changed without an approval")?;
                let (ballot, people) = self.count(*request, &votes, when)?;
                Some(ballot.right(people, when).ok_or("who may approve was changed without the people it needs")?)
            }
        };
        let footing = right.as_ref().map_or(Footing::Founding, Footing::Approved);
        let next = before.with(change, footing, *made_at).map_err(|e| format!("who may approve was changed: {e}"))?;
        if (next.digest(), next.revision, &next.host) != (*digest, *revision, host) {
            return Err("who may approve is not what the change makes of it".to_owned());
        }
        self.people = Some(next);
        Ok(())
    }
}

/// A vote is cast between the question and now.
fn in_time(asked: Timestamp, vote: &Vote, now: Timestamp) -> Result<(), String> {
    let within = vote.at.seconds_since(asked) >= -JUMP && now.seconds_since(vote.at) >= -JUMP;
    within.then_some(()).ok_or_else(|| format!("{} decided at another time than the log says", calm(&vote.person)))
}

/// A name from the log, which may be anybody's text.
fn calm(name: &str) -> String {
    Quoted(name.as_bytes()).to_string()
}
