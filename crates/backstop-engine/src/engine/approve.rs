//! Two people's word: asking for it, taking it, and the one time that it is good for. What counts is decided in
//! core; here is the order in which it is written down. Every step is taken under the lock under which runs
//! change the disk: whoever has it knows that no other executor is alive.

use backstop_core::approval::ballot::{Question, Refusal, Tally, Vote};
use backstop_core::approval::key::Key;
use backstop_core::approval::life::{Event, Phase, Refused};
use backstop_core::approval::matter::{Matter, code};
use backstop_core::approval::people::People;
use backstop_core::approval::quorum::Quorum;
use backstop_core::approval::statement::{Choice, Statement, Word};
use backstop_core::audit::Body;
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::policy::Decision;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cleared, Engine, Offer, Outcome, Person, Thawed};
use crate::approvals::{self, Request};
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::store::Lock;
use crate::transaction::PLAN;
use crate::volume::Leftover;

/// A request for approval, as people see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// The text that approvers are shown, and whose digest they sign.
    pub display: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// What is asked.
    pub question: Question,
    /// How it stands.
    pub tally: Tally,
    /// The decisions so far.
    pub votes: Vec<Vote>,
}

/// What waits for people.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Waiting {
    /// The requests, the oldest first.
    pub requests: Vec<Pending>,
    /// What somebody let through alone, and nobody has reviewed yet.
    #[serde(default)]
    pub reviews: Vec<Pending>,
    /// Why others can't be read.
    pub unreadable: Vec<Failure>,
}

/// What a decision led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Decided {
    /// More people are needed.
    Waits(Pending),
    /// It has ended, and nothing took effect.
    Over(Pending),
    /// What somebody had let through alone is reviewed.
    Reviewed(Pending),
    /// The quorum is there, and the run took effect, or could not (its state says so).
    Run(Pending, Box<Outcome>),
    /// The quorum is there, and these may approve from now on.
    People(Pending, People),
    /// The quorum is there, and what was frozen goes on.
    Thawed(Pending, Thawed),
    /// The quorum is there, and this ban is over.
    Cleared(Pending, Cleared),
}

/// A claim on an approved request, while what it is about is executed.
pub(super) struct Claim {
    pub(super) request: Request,
    by: u64,
}

impl Claim {
    /// This process's.
    pub(super) fn of(request: Request) -> Self {
        Self { request, by: executor() }
    }
}

fn executor() -> u64 {
    u64::from(std::process::id())
}

impl Engine {
    /// What waits for people, the oldest first.
    pub fn pending(&self) -> Result<Waiting, Failure> {
        let people = self.people()?;
        let mut waiting = Waiting::default();
        for digest in approvals::open(&self.store)? {
            match self.waiting(digest, &people) {
                Ok(pending) => waiting.requests.extend(pending),
                // That of one is no reason to hide all others.
                Err(failure) => waiting.unreadable.push(failure),
            }
        }
        waiting.requests.sort_by_key(|p| (p.asked_at, p.question.request));
        match self.unreviewed().and_then(|open| open.map(|open| self.seen(&open, &people)).transpose()) {
            Ok(open) => waiting.reviews.extend(open),
            Err(failure) => waiting.unreadable.push(failure),
        }
        Ok(waiting)
    }

    fn waiting(&self, digest: Digest, people: &People) -> Result<Option<Pending>, Failure> {
        if !Request::waits(&self.store, digest)? {
            return Ok(None);
        }
        let Some(request) = Request::load(&self.store, digest)? else { return Ok(None) };
        let pending = self.seen(&request, people)?;
        let waits = pending.phase.waits() && self.still_stands(&pending.question.matter)?;
        Ok(waits.then_some(pending))
    }

    /// The request about a run, or that has this code; what whoever executed it left behind is settled first.
    pub fn asked(&mut self, name: &str) -> Result<Pending, Failure> {
        let digest = self.named_request(name)?;
        let people = self.people()?;
        let mut request = self.request(digest)?;
        self.may_see(&request)?;
        if (request.phase.is_claimed() || request.phase.is_over() && !request.is_away())
            && self.sound().is_ok()
            && let Ok(lock) = self.store.try_lock("apply", "")?
            && self.store.open_marks()?.is_empty()
        {
            request = self.current(digest, &self.people()?, &lock)?;
        }
        self.seen(&request, &people)
    }

    /// A code may be anybody's request.
    fn may_see(&self, request: &Request) -> Result<(), Failure> {
        match request.question().matter.run() {
            Some(run) => self.record(run).map(drop),
            None if self.sees_his_own().is_some() => Err(Failure::usage("there is no such request")),
            None => Ok(()),
        }
    }

    fn named_request(&self, name: &str) -> Result<Digest, Failure> {
        if let Some(digest) = Digest::parse(name) {
            return Ok(digest);
        }
        let is_code = name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_code {
            let found: Vec<Digest> =
                approvals::all(&self.store)?.into_iter().filter(|d| code(*d) == name.to_ascii_lowercase()).collect();
            match found[..] {
                [one] => return Ok(one),
                [] => {}
                _ => {
                    return Err(Failure::usage(format!("two requests have the code {name}"))
                        .next("name the run: backstop pending"));
                }
            }
        }
        let record = self.record(self.find(name)?)?;
        record.approval.ok_or_else(|| {
            Failure::usage(format!("nobody was asked to approve {}", record.id))
                .next("see what waits: backstop pending")
        })
    }

    /// What a request asks.
    pub fn question_of(&self, digest: Digest) -> Result<Question, Failure> {
        Ok(self.request(digest)?.question().clone())
    }

    pub(super) fn request(&self, digest: Digest) -> Result<Request, Failure> {
        Request::load(&self.store, digest)?
            .ok_or_else(|| Failure::internal(format!("the request {} is gone", code(digest))))
    }

    /// A request as it stands, without writing anything.
    pub(super) fn seen(&self, request: &Request, people: &People) -> Result<Pending, Failure> {
        let now = clock::now();
        let mut phase = request.phase.at(now, request.question().expires);
        if phase.waits() && !request.time_holds(now)? {
            phase = Phase::Expired;
        }
        Ok(Pending {
            asked_at: request.asked_at(),
            display: request.display()?,
            phase,
            question: request.question().clone(),
            tally: request.ballot.tally(people),
            votes: request.ballot.votes().to_vec(),
        })
    }

    /// False where what a request is about was given up, or has happened otherwise.
    fn still_stands(&self, matter: &Matter) -> Result<bool, Failure> {
        match matter {
            Matter::Run { run, .. } => Ok(self.record_if_any(*run)?.is_some_and(|r| r.state == State::Held)),
            Matter::People { revision, .. } => Ok(self.people()?.revision == *revision),
            Matter::Thaw { freeze, .. } => self.is_frozen_by(*freeze),
            Matter::Clear { ban, .. } => self.is_banned_by(*ban),
        }
    }

    /// Prepares what somebody signs with one of the enrolled keys.
    pub fn statement(&mut self, digest: Digest, word: &Word, key: &Key) -> Result<Statement, Failure> {
        word.check().map_err(|_| ungrounded(word.choice))?;
        self.sound()?;
        let people = self.people()?;
        let print = key.fingerprint();
        people.of_key(&print).ok_or_else(|| stranger(&print, &people))?;
        // A review is kept from nobody by whoever asked.
        let lock = if word.choice.reviews() { self.store.lock("apply")? } else { self.lock_for(digest)? };
        let people = self.people()?;
        let member = people.of_key(&print).ok_or_else(|| stranger(&print, &people))?;
        let mut request = if word.choice.reviews() {
            self.ended(digest, &people, &lock)?
        } else {
            self.current(digest, &people, &lock)?
        };
        // Said before anybody signs.
        match word.choice {
            Choice::Justified | Choice::Unjustified => {
                request.ballot.may_review(member).map_err(|refusal| refused(digest, &refusal))?;
                over(&request)?;
            }
            choice => self.open_for(&request, choice)?,
        }
        request.prepare(word.clone(), &member.id, &print, clock::now())
    }

    /// Takes a signed statement. Where the quorum is there with it, what was asked takes effect at once.
    pub fn decide(
        &mut self,
        digest: Digest,
        (text, signature): (&str, &str),
        reason: Option<&Bytes>,
        offer: Offer,
        person: &mut dyn Person,
    ) -> Result<Decided, Failure> {
        self.sound()?;
        let choice = Statement::parse(text).map_err(|e| refused(digest, &e.into()))?.choice;
        if choice.reviews() {
            return self.review(digest, (text, signature), reason);
        }
        let (pending, run) = {
            let lock = self.lock_for(digest)?;
            self.settle_people(&lock)?;
            let people = self.people()?;
            let mut request = self.current(digest, &people, &lock)?;
            self.open_for(&request, choice)?;
            let now = clock::now();
            if choice == Choice::BreakGlass {
                // What doesn't hold is noted nowhere.
                request.ballot.clone().cast(text, signature, &people, now).map_err(|e| refused(digest, &e))?;
                self.breaks(digest)?;
            }
            let vote = request.vote(text, signature, &people, now)?.map_err(|refusal| refused(digest, &refusal))?;
            let run = request.question().matter.run();
            self.records.write(&[Body::ApprovalVoted { reason: reason.cloned(), request: digest, run, vote }])?;
            self.count(&mut request, &people)?;
            let pending = self.seen(&request, &people)?;
            if let Some(done) = self.carried_out(request, &pending)? {
                return Ok(done);
            }
            (pending, run)
        };
        match (pending.phase, run) {
            (Phase::Approved { .. }, Some(run)) => {
                let outcome = match self.commit(run, offer, person) {
                    // Somebody else was quicker, with the same people's word.
                    Err(_) if self.record(run)?.state == State::Committed => {
                        Outcome { record: self.record(run)?, effects: self.read_effects(run)? }
                    }
                    other => other?,
                };
                Ok(Decided::Run(self.asked(&run.to_string())?, Box::new(outcome)))
            }
            (phase, _) if phase.waits() => Ok(Decided::Waits(pending)),
            _ => Ok(Decided::Over(pending)),
        }
    }

    /// A request under the lock, with all that happened to it meanwhile written down: time, a crash of whoever
    /// executed it, a changed trust store, a run that was given up.
    pub(super) fn current(&mut self, digest: Digest, people: &People, _lock: &Lock) -> Result<Request, Failure> {
        let mut request = self.request(digest)?;
        let now = clock::now();
        if let Matter::Run { run, .. } = request.question().matter
            && request.phase.is_claimed()
            && !self.is_settled(run)
        {
            return Err(Failure::internal(format!("what was begun with {run} was cut off")).next(super::SETTLE));
        }
        if request.phase.is_claimed() {
            // Whoever had it is gone: the lock is ours, and the journal has nothing open.
            let done = match request.question().matter {
                Matter::Run { run, .. } => matches!(self.known(run)?.state, State::Committed | State::Undone),
                Matter::People { .. } => {
                    let made = |b: &Body| matches!(b, Body::PeopleChanged { request: Some(r), .. } if *r == digest);
                    self.records.says(made)?
                }
                Matter::Thaw { .. } => {
                    let made = |b: &Body| matches!(b, Body::HostThawed { request: Some(r), .. } if *r == digest);
                    self.records.says(made)?
                }
                Matter::Clear { .. } => {
                    let made = |b: &Body| matches!(b, Body::JailCleared { request: Some(r), .. } if *r == digest);
                    self.records.says(made)?
                }
            };
            if request.phase != Phase::Unknown {
                self.step(&mut request, &Event::Restarted)?;
            }
            if request.phase == Phase::Unknown {
                self.step(&mut request, &Event::Settled { done })?;
            }
        }
        if request.ballot.broken().is_some() && !request.is_away() {
            // All others are told by its entry, and the next of this request's stand behind it.
            self.on_record(&request)?;
        }
        if request.phase.waits() {
            let event = if request.time_holds(now)? { Event::Ticked } else { Event::TimeLost };
            self.step(&mut request, &event)?;
        }
        if request.phase.waits() && !self.still_stands(&request.question().matter)? {
            self.step(&mut request, &Event::Cancelled)?;
        }
        if request.phase.waits() && request.question().terms.opens.is_some() && people.founded {
            // Who was alone is so no more.
            self.step(&mut request, &Event::Superseded)?;
        }
        self.count(&mut request, people)?;
        if request.phase.is_over() && !request.is_away() {
            self.put_away_late(&mut request)?;
        }
        Ok(request)
    }

    /// The same for a review, which nothing of whoever asked can hold up: what was begun is as good as over.
    pub(super) fn ended(&mut self, digest: Digest, people: &People, lock: &Lock) -> Result<Request, Failure> {
        let request = self.request(digest)?;
        if request.phase.waits() { self.current(digest, people, lock) } else { Ok(request) }
    }

    /// Lets the votes have their effect, also those that were kept when power went.
    fn count(&mut self, request: &mut Request, people: &People) -> Result<(), Failure> {
        if request.phase.waits() && !request.ballot.votes().is_empty() {
            self.step(request, &Event::Voted(request.ballot.tally(people)))?;
        }
        Ok(())
    }

    /// One step of a request's life, written down and recorded.
    fn step(&mut self, request: &mut Request, event: &Event) -> Result<(), Failure> {
        let question = request.question();
        let (digest, run) = (question.request, question.matter.run());
        let next = request.phase.step(event, clock::now(), question.expires);
        let next = next.map_err(|why| out_of_turn(digest, why))?;
        if next == request.phase {
            return Ok(());
        }
        request.enter(next)?;
        if !next.is_over() {
            return Ok(());
        }
        if next != Phase::Committed {
            self.records.write(&[Body::ApprovalEnded { how: next.name().to_owned(), request: digest, run }])?;
        }
        self.put_away(request)
    }

    /// What follows from its end.
    fn put_away(&mut self, request: &mut Request) -> Result<(), Failure> {
        if let (Phase::Denied, Some(run)) = (request.phase, request.question().matter.run()) {
            self.denied(run)?;
        }
        request.put_away(&self.store)
    }

    /// The same for one whose end was cut off: then it may be missing on record.
    fn put_away_late(&mut self, request: &mut Request) -> Result<(), Failure> {
        let (phase, question) = (request.phase, request.question());
        let (digest, run) = (question.request, question.matter.run());
        let said = |b: &Body| matches!(b, Body::ApprovalEnded { request, .. } if *request == digest);
        if phase != Phase::Committed && !self.records.says(said)? {
            self.records.write(&[Body::ApprovalEnded { how: phase.name().to_owned(), request: digest, run }])?;
        }
        self.put_away(request)
    }

    /// What a no means for the run. Again, where it was cut off in between.
    fn denied(&mut self, run: RunId) -> Result<(), Failure> {
        let mut record = self.known(run)?;
        if record.state != State::Held {
            return Ok(());
        }
        // Said in another spelling it is the same effect, and nobody is asked again.
        self.remember_a_no(&record)?;
        record.state = State::Denied;
        self.save(&mut record, true)?;
        self.records.write(&[Body::RunDenied { run }])?;
        // Not before: cut off in between, a run that is still held has to have what it needs.
        record.notes.extend(self.sweep(run, Leftover::All));
        self.save(&mut record, false)
    }

    /// Refuses what nobody can decide any more, or not like this.
    fn open_for(&self, request: &Request, choice: Choice) -> Result<(), Failure> {
        let question = request.question();
        if request.phase.waits() {
            if choice.lets_through() && question.matter.run().is_some() {
                // Before anybody signs what would come to nothing.
                self.not_frozen()?;
            }
            let (digest, terms) = (question.request, question.terms);
            return match terms.opens.filter(|from| clock::now() < *from) {
                Some(from) if choice.lets_through() => Err(refused(digest, &Refusal::Early(from))),
                _ if choice != Choice::BreakGlass => Ok(()),
                _ if terms.glass => self.may_break(digest),
                _ => Err(refused(digest, &Refusal::NoGlass)),
            };
        }
        let what = format!("the request {} is {}", code(question.request), request.phase.name());
        let next = match (&question.matter, request.phase) {
            (Matter::Run { run, .. }, Phase::Expired | Phase::Drifted | Phase::Failed | Phase::Revoked) => {
                format!("run the command again, which asks anew: backstop retry {run}")
            }
            (Matter::Run { run, .. }, _) => format!("see it: backstop show {run}"),
            (Matter::People { .. }, _) => "see who may approve: backstop people list".to_owned(),
            (Matter::Thaw { .. }, _) => "ask anew: backstop thaw".to_owned(),
            (Matter::Clear { .. }, _) => "see who is banned, and ask anew: backstop jail list".to_owned(),
        };
        Err(Failure::new(FailureKind::Refused, what).next(next))
    }

    /// True where a run takes two people: by the rules of now, or by those under which it was held.
    pub(super) fn takes_two(record: &RunRecord, now: Decision) -> bool {
        now == Decision::TwoPerson || record.judgement.as_ref().is_some_and(|j| j.decision == Decision::TwoPerson)
    }

    /// The rules have become so strict that nobody can let it through.
    pub(super) fn supersede(&mut self, record: &RunRecord) -> Result<(), Failure> {
        let Some(digest) = record.approval else { return Ok(()) };
        let people = self.people()?;
        let lock = self.lock_for(digest)?;
        let mut request = self.current(digest, &people, &lock)?;
        if request.phase.waits() { self.step(&mut request, &Event::Superseded) } else { Ok(()) }
    }

    /// The lock, with nothing of whoever asked for what the request is about half done: only then nobody executes it.
    pub(super) fn lock_for(&self, digest: Digest) -> Result<Lock, Failure> {
        let asker = self.question_of(digest)?.matter.run().and_then(|run| self.asker_of(run));
        let uids: Vec<u32> = asker.into_iter().chain([self.settings.uid]).collect();
        self.lock_runs_of(&uids)
    }

    /// Takes the one claim on a run's request, which has to have asked at least this quorum. Every signature is
    /// verified again, and what would be done is compared with what people were asked.
    pub(super) fn claim(
        &mut self,
        record: &RunRecord,
        quorum: &Quorum,
        offer: Offer,
        lock: &Lock,
    ) -> Result<Claim, Failure> {
        let run = record.id;
        let people = self.people()?;
        let Some(digest) = record.approval else {
            let (what, next) = if people.founded {
                (
                    "it was not among what they were asked",
                    format!("run it again, which asks them: backstop retry {run}"),
                )
            } else {
                let enrol = "enrol two people: backstop people add; then run it again (or one, who waits a day: alone = \
                             \"wait\" in /etc/backstop/settings.toml)";
                ("nobody is enrolled who could approve it", enrol.to_owned())
            };
            return Err(Failure::new(FailureKind::Refused, format!("{run} needs two people: {what}"))
                .next(next)
                .next(format!("give up: backstop discard {run}")));
        };
        let mut request = self.current(digest, &people, lock)?;
        // By whoever is alone: only as long as nobody else is there, and no rule asks for certain people.
        let alone = request.question().terms.opens.is_some() && !people.founded && *quorum == Quorum::TWO;
        if request.phase.waits() && !alone && !request.question().quorum.covers(quorum) {
            self.step(&mut request, &Event::Superseded)?;
            let what = format!("{run} needs {} by today's rules, which were asked for less", quorum.in_words());
            return Err(Failure::new(FailureKind::Refused, what)
                .next(format!("run it again, which asks anew: backstop retry {run}"))
                .next(format!("give up: backstop discard {run}")));
        }
        if request.phase.waits() && !matches!(request.phase, Phase::Approved { .. }) {
            let quorum = &request.question().quorum;
            let (have, _) = standing(&request.ballot.tally(&people), quorum);
            let what = format!("{run} needs {}, has {have}", quorum.in_words());
            return Err(Failure::new(FailureKind::Refused, what)
                .next(format!("people: backstop approve {run} --key FILE"))
                .next(format!("give up: backstop discard {run}")));
        }
        self.open_for(&request, Choice::ApproveOnce)?;
        offer.covers(request.ballot.stands_on_glass(&people), request.question().terms.opens.is_some())?;
        let plan = self.store.read(run, PLAN)?.unwrap_or_default();
        if self.matter(record, &plan)? != request.question().matter {
            return Err(Failure::internal(format!("{run} is not what people were asked about any more")));
        }
        self.begin_claim(&mut request, &people)?;
        Ok(Claim::of(request))
    }

    pub(super) fn begin_claim(&mut self, request: &mut Request, people: &People) -> Result<(), Failure> {
        let question = request.question();
        let (digest, run) = (question.request, question.matter.run());
        let votes = request.ballot.standing(people);
        let tally = request.ballot.tally(people);
        self.step(request, &Event::Claimed { by: executor(), tally })?;
        Ok(self.records.write(&[Body::ApprovalClaimed { request: digest, run, votes }])?)
    }

    /// What the executor found when it looked again: the same, or not. Gives the request's digest.
    pub(super) fn checked(&mut self, claim: &mut Claim, same: bool) -> Result<Digest, Failure> {
        let by = claim.by;
        self.step(&mut claim.request, &Event::Checked { by, same })?;
        Ok(claim.request.question().request)
    }

    /// What became of it.
    pub(super) fn executed(&mut self, claim: &mut Claim, done: bool) -> Result<(), Failure> {
        let by = claim.by;
        self.step(&mut claim.request, &Event::Executed { by, done })
    }

    /// Nobody is to decide any more on a run that was given up.
    pub(super) fn give_up(&mut self, record: &RunRecord, lock: &Lock) -> Result<(), Failure> {
        let Some(digest) = record.approval else { return Ok(()) };
        let people = self.people()?;
        self.current(digest, &people, lock).map(drop)
    }
}

/// How many have approved, and how many it takes.
pub fn standing(tally: &Tally, quorum: &Quorum) -> (usize, u32) {
    match tally {
        Tally::Open { have, .. } => (have.len(), quorum.people),
        Tally::Met => (usize::try_from(quorum.people).unwrap_or(usize::MAX), quorum.people),
        Tally::Denied(_) | Tally::Revoked(_) => (0, quorum.people),
    }
}

fn stranger(print: &str, people: &People) -> Failure {
    let next = if people.founded {
        "see who may approve: backstop people list"
    } else {
        "nobody may approve yet; enrol two people: backstop people add"
    };
    Failure::new(FailureKind::Refused, format!("the key {print} is nobody's who is enrolled on this machine"))
        .next(next)
}

fn ungrounded(choice: Choice) -> Failure {
    let grounds: Vec<String> = choice.grounds().iter().map(|key| format!("--{key}")).collect();
    match &*grounds.join(" and ") {
        "" => Failure::usage(format!("{} is signed without a ticket or a reason", choice.name()))
            .next("leave them out; a reason can be given with what is signed: --reason"),
        all => Failure::usage(format!("{} has to be answered for", choice.name()))
            .next(format!("say it in plain words: {all}, and nothing else")),
    }
}

/// Refuses to review what can still be stopped.
pub(super) fn over(request: &Request) -> Result<(), Failure> {
    if !request.phase.waits() {
        return Ok(());
    }
    let name = request.question().name();
    Err(Failure::new(FailureKind::Refused, format!("{name} has not taken effect yet, so there is nothing to review"))
        .next(format!("stop it: backstop deny {name}")))
}

pub(super) fn refused(request: Digest, refusal: &Refusal) -> Failure {
    Failure::new(FailureKind::Refused, format!("not taken for {}: {refusal}", code(request)))
        .next("look at what is asked: backstop pending")
}

fn out_of_turn(request: Digest, why: Refused) -> Failure {
    Failure::new(FailureKind::Refused, format!("{}: {why}", code(request))).next("see what waits: backstop pending")
}

#[cfg(test)]
pub(super) mod tests;
