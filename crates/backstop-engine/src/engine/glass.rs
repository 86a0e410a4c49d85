//! What one person lets through alone, in an emergency: once, until another person has reviewed it. Which request that
//! was is kept beside the requests; what was said of it, in it.

use backstop_core::approval::ballot::{Refusal, Vote};
use backstop_core::audit::Body;
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::approve::{over, refused};
use super::{Decided, Engine};
use crate::approvals::Request;
use crate::audit::signed_end;
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::store::Versioned;

/// For which request the glass was broken last, in the state directory.
const GLASS: &str = "glass.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    /// From which entry of the log on something may be said of it.
    entry: u64,
    request: Digest,
    version: u32,
}

impl Versioned for Broken {
    const NEWEST: u32 = 1;
}

impl Engine {
    fn noted(&self) -> Result<Option<Broken>, Failure> {
        Ok(self.store.read_own(GLASS)?)
    }

    /// The request for which the glass was broken last; none where it never was.
    fn last_broken(&self) -> Result<Option<Request>, Failure> {
        let broken = self.noted()?;
        let lost =
            |failure: Failure| failure.next("bring it back from where the state directory was copied: approvals-ended");
        let request = broken.map(|broken| self.request(broken.request).map_err(lost)).transpose()?;
        // Noted first: where it was cut off before the vote was kept, nobody broke it.
        Ok(request.filter(|request| request.ballot.broken().is_some()))
    }

    /// The same, where nobody has reviewed it.
    pub(super) fn unreviewed(&self) -> Result<Option<Request>, Failure> {
        Ok(self.last_broken()?.filter(|request| request.ballot.reviewed().is_none()))
    }

    /// Whether the glass can be broken for a request now.
    pub(super) fn may_break(&self, digest: Digest) -> Result<(), Failure> {
        let Some(open) = self.unreviewed()?.filter(|open| open.question().request != digest) else { return Ok(()) };
        let name = open.question().name();
        let who = open.ballot.broken().map_or_else(String::new, |vote| format!(" by {}", vote.person));
        Err(Failure::new(
            FailureKind::Refused,
            format!("the glass was broken{who} for {name}, which nobody has reviewed"),
        )
        .next(format!("another person looks at it, and signs: backstop review {name} --justified, or --unjustified"))
        .by("the glass is broken once, until another person has reviewed it"))
    }

    /// Notes that the glass is about to be broken; what was left off of the time before is on record first.
    pub(super) fn breaks(&mut self, request: Digest) -> Result<(), Failure> {
        self.catch_up()?;
        self.records.open()?;
        let (_, entry) = signed_end(&self.audit_dir())?;
        Ok(self.store.write_own(GLASS, &Broken { entry, request, version: Broken::NEWEST })?)
    }

    /// What was said of the last broken glass is in the log: before it is broken again, and before people are changed, by
    /// whom the log counts it.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        self.last_broken()?.map_or(Ok(()), |before| self.on_record(&before))
    }

    /// What was said of a deed done alone is in the log, also what a crash kept from it.
    pub(super) fn on_record(&mut self, request: &Request) -> Result<(), Failure> {
        let votes: Vec<Vote> =
            [request.ballot.broken(), request.ballot.reviewed()].into_iter().flatten().cloned().collect();
        let (digest, run) = (request.question().request, request.question().matter.run());
        let from = self.noted()?.filter(|noted| noted.request == digest).map_or(0, |noted| noted.entry);
        for vote in votes {
            let nonce = vote.nonce;
            let said = |b: &Body| matches!(b, Body::ApprovalVoted { vote, .. } if vote.nonce == nonce);
            if !self.records.says_from(from, said)? {
                self.records.write(&[Body::ApprovalVoted { reason: None, request: digest, run, vote }])?;
            }
        }
        Ok(())
    }

    /// Takes the signed review of what somebody did alone.
    pub(super) fn review(
        &mut self,
        digest: Digest,
        (text, signature): (&str, &str),
        reason: Option<&Bytes>,
    ) -> Result<Decided, Failure> {
        // Not that of whoever asked: nothing of his can keep others from it.
        let lock = self.store.lock("apply")?;
        self.settle_people(&lock)?;
        let people = self.people()?;
        let mut request = self.ended(digest, &people, &lock)?;
        if request.ballot.broken().is_none() {
            return Err(refused(digest, &Refusal::NothingToReview));
        }
        over(&request)?;
        self.on_record(&request)?;
        let vote =
            request.vote(text, signature, &people, clock::now())?.map_err(|refusal| refused(digest, &refusal))?;
        let run = request.question().matter.run();
        self.records.write(&[Body::ApprovalVoted { reason: reason.cloned(), request: digest, run, vote }])?;
        Ok(Decided::Reviewed(self.seen(&request, &people)?))
    }
}
