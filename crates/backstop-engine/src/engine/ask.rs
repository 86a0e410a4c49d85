//! Asking people: about a run that is held (whom, about what, and once for what a session tries again and again), and
//! about what is no run, with the one claim on that.

use backstop_core::approval::ballot::{Excluded, Question, Right};
use backstop_core::approval::display;
use backstop_core::approval::life::{ALONE, PENDING, Phase};
use backstop_core::approval::matter::Matter;
use backstop_core::approval::people::{Member, People};
use backstop_core::approval::quorum::{Quorum, Terms};
use backstop_core::audit::Body;
use backstop_core::canon;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::policy::Judgement;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::approve::Claim;
use super::{Decided, Engine, FINDINGS, Offer, Outcome, Pending};
use crate::approvals::{self, Request};
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::store::Lock;
use crate::transaction::plan_digest;

/// What became of a wish that may take two people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Wish<T> {
    /// It is done.
    Done(T),
    /// They are asked.
    Asked(Box<Pending>),
}

impl Engine {
    /// Asks people about a run that is about to be held; gives the entry that says so, and a remark where
    /// they can't be as many as it takes.
    pub(super) fn ask(
        &self,
        record: &mut RunRecord,
        effects: &EffectSet,
        plan: &[u8],
        offer: Offer,
    ) -> Result<Option<Body>, Failure> {
        let people = self.people()?;
        let now = clock::now();
        let Some((quorum, excluded, terms)) = self.asks(record, &people, offer, now) else { return Ok(None) };
        let may = people.members.len() - excluded.people.len();
        if may < quorum.people as usize {
            let may = if may == 1 { "only 1 of the people enrolled".to_owned() } else { format!("{may} people") };
            record.notes.push(format!(
                "{may} may approve it: the others own the account that asked, or had logged in when it did; enrol more: \
                 backstop people add"
            ));
        }
        if let (Some(from), [one]) = (terms.opens, &people.members[..]) {
            let id = &one.id;
            record.notes.push(format!("nobody else is enrolled: {id} may approve it from {from} on, and deny it now"));
        }
        let matter = self.matter(record, plan)?;
        record.notes.extend(lacking(&quorum, &people, &excluded, now));
        let summary = display::run_summary(record, effects);
        let question = Question::new(&people, (matter, quorum, terms), excluded, summary, now);
        let display = display::run(&question, &people, record, effects);
        let question = question.shown(&display);
        // There before the log says so: until the run is on record as held, nobody can decide on it.
        Request::make(&self.store, question.clone(), &display, now)?.publish()?;
        record.approval = Some(question.request);
        Ok(Some(Body::ApprovalAsked { question }))
    }

    /// Who is asked, and on which terms; none where nobody can be.
    fn asks(
        &self,
        record: &RunRecord,
        people: &People,
        offer: Offer,
        now: Timestamp,
    ) -> Option<(Quorum, Excluded, Terms)> {
        let quorum = quorum(record);
        if people.founded {
            // Whoever logged in and became somebody else stays who he is.
            let request = &record.request;
            let uids = [Some(request.uid), request.by, self.settings.login].into_iter().flatten().collect();
            let terms = Terms { glass: offer.break_glass, opens: None };
            return Some((quorum, Excluded::of(uids, people), terms));
        }
        // Not where a rule asks for certain people.
        let one = offer.alone && people.members.len() == 1 && quorum == Quorum::TWO;
        let opens = Some(Timestamp::new(now.secs.saturating_add(ALONE), 0));
        one.then(|| (Quorum::LONE, Excluded::default(), Terms { glass: false, opens }))
    }

    /// Asks people, without anybody left out, about what is no run, and once where they are asked the same already; does it
    /// where they have agreed, and whoever came last was cut off.
    pub(super) fn wish<T>(
        &mut self,
        (people, lock): (&People, &Lock),
        same: impl Fn(&Matter) -> bool,
        (matter, quorum): (Matter, Quorum),
        (summary, display): (String, impl Fn(&Question) -> String),
        carry_out: impl FnOnce(&mut Self, Request) -> Result<T, Failure>,
    ) -> Result<Wish<T>, Failure> {
        let before = self.pending()?.requests.into_iter().find(|p| same(&p.question.matter));
        let request = match before {
            Some(before) => self.current(before.question.request, people, lock)?,
            None => {
                let now = clock::now();
                let asked = (matter, quorum, Terms::default());
                let question = Question::new(people, asked, Excluded::default(), summary, now);
                let display = display(&question);
                let question = question.shown(&display);
                let request = Request::make(&self.store, question.clone(), &display, now)?;
                // The log first: what nobody asked by the log can't be decided on.
                self.records.write(&[Body::ApprovalAsked { question }])?;
                request.publish()?;
                request
            }
        };
        let asked = self.seen(&request, people)?;
        match asked.phase {
            Phase::Approved { .. } => carry_out(self, request).map(Wish::Done),
            _ => Ok(Wish::Asked(Box::new(asked))),
        }
    }

    /// The claim on what a quorum agreed to that is no run, the request's digest, and the right to it.
    pub(super) fn claim_right(
        &mut self,
        mut request: Request,
        people: &People,
    ) -> Result<(Claim, Digest, Right), Failure> {
        self.begin_claim(&mut request, people)?;
        let mut claim = Claim::of(request);
        let digest = self.checked(&mut claim, true)?;
        match claim.request.ballot.right(people, clock::now()) {
            Some(right) => Ok((claim, digest, right)),
            None => {
                let refused = Failure::new(FailureKind::Refused, "the people it needs are not there");
                Err(self.came_to_nothing(&mut claim, refused))
            }
        }
    }

    /// Who may approve what takes this quorum and is no run; refused where they are not enrolled.
    pub(super) fn founded(&mut self, quorum: &Quorum, what: &str, lock: &Lock) -> Result<People, Failure> {
        self.settle_people(lock)?;
        let people = self.people()?;
        if !people.founded {
            let what = format!("it takes {} {what}, and they are not enrolled", quorum.in_words());
            return Err(Failure::new(FailureKind::Refused, what).next("enrol two people: backstop people add"));
        }
        Ok(people)
    }

    /// Does what a quorum agreed to, where the right to it is that (on this machine, by its name); with a remark where
    /// that it is done can't be noted.
    pub(super) fn by_right<T>(
        &mut self,
        request: Request,
        is_it: impl FnOnce(&Right, &str) -> bool,
        act: impl FnOnce(&mut Self, Digest) -> Result<T, Failure>,
    ) -> Result<(T, Option<String>), Failure> {
        let people = self.people()?;
        let (mut claim, digest, right) = self.claim_right(request, &people)?;
        if !is_it(&right, &people.host) {
            let refused = Failure::new(FailureKind::Refused, "that is not what the people it needs agreed to");
            return Err(self.came_to_nothing(&mut claim, refused));
        }
        // Where this fails, nobody knows here whether it is on record; whoever looks next finds out.
        let done = act(self, digest)?;
        Ok((done, self.executed(&mut claim, true).err().map(|failure| failure.what)))
    }

    /// Does what a quorum agreed to, where that is no run; none where it is one, or where it takes more people.
    pub(super) fn carried_out(&mut self, request: Request, asked: &Pending) -> Result<Option<Decided>, Failure> {
        let Phase::Approved { .. } = asked.phase else { return Ok(None) };
        let done = Pending { phase: Phase::Committed, ..asked.clone() };
        Ok(match &asked.question.matter {
            Matter::Run { .. } => None,
            Matter::People { change, .. } => Some(Decided::People(done, self.change_approved(request, change)?)),
            Matter::Thaw { .. } => Some(Decided::Thawed(done, self.thaw_approved(request)?)),
            Matter::Clear { ban, .. } => Some(Decided::Cleared(done, self.clear_approved(request, *ban)?)),
        })
    }

    /// Ends a claim of which nothing came, for this reason.
    pub(super) fn came_to_nothing(&mut self, claim: &mut Claim, why: Failure) -> Failure {
        self.executed(claim, false).err().into_iter().fold(why, |first, second| first.next(second.what))
    }

    /// What a held run is about, from what is kept of it now.
    pub(super) fn matter(&self, record: &RunRecord, plan: &[u8]) -> Result<Matter, Failure> {
        let findings = self.store.read(record.id, FINDINGS)?;
        let findings = findings.ok_or_else(|| Failure::internal(format!("what {} means is gone", record.id)))?;
        let effects = record.digest.ok_or_else(|| Failure::internal("its effects have no digest"))?;
        Ok(Matter::Run {
            asked: Digest::of("backstop/request/1", &[&canon::line(&record.request)]),
            effects,
            facts: Digest::of_content(&findings),
            law: record.judgement.as_ref().and_then(|j| j.law),
            plan: plan_digest(plan),
            run: record.id,
        })
    }

    /// The run of the same session about whose very effects people are asked already: asked once more, they would only
    /// read less. It waits for them, by the same rules, by at least the same quorum, and for the same account; and
    /// nothing of it was changed since, for its effects would be others then. One that can't be read is passed over.
    pub(super) fn asked_before(
        &self,
        record: &RunRecord,
        set: &EffectSet,
        offer: Offer,
    ) -> Result<Option<Outcome>, Failure> {
        let Some(session) = &record.request.session else { return Ok(None) };
        // What could not be measured is like nothing else.
        if set.effects.is_empty() || !set.incomplete.is_empty() {
            return Ok(None);
        }
        let (now, law) = (clock::now(), record.judgement.as_ref().and_then(|j| j.law));
        let Some((quorum, _, terms)) = self.asks(record, &self.people()?, offer, now) else { return Ok(None) };
        for digest in approvals::open(&self.store)? {
            let Ok(Some(asked)) = Request::load(&self.store, digest) else { continue };
            let question = asked.question();
            let Matter::Run { effects, law: by, run, .. } = &question.matter else { continue };
            let waits =
                asked.phase == Phase::Pending && now < question.expires && asked.time_holds(now).unwrap_or(false);
            let asked_now = (terms.glass, terms.opens.is_some());
            let on_these = (question.terms.glass, question.terms.opens.is_some()) == asked_now;
            let covers = *by == law && on_these && question.quorum.covers(&quorum);
            if Some(*effects) != record.digest || !covers || !waits {
                continue;
            }
            let Ok(first) = self.known(*run) else { continue };
            let (his, ours) = (&first.request, &record.request);
            let same = his.session.as_ref() == Some(session) && (his.uid, his.by) == (ours.uid, ours.by);
            if let (true, State::Held, Ok(effects)) = (same, first.state, self.read_effects(*run)) {
                return Ok(Some(Outcome { effects, record: first }));
            }
        }
        Ok(None)
    }
}

/// Who has to agree, by the judgement.
fn quorum(record: &RunRecord) -> Quorum {
    record.judgement.as_ref().map_or(Quorum::TWO, Judgement::quorum)
}

/// Where a group has fewer people who may approve in time than it takes: nobody can let it through then.
fn lacking(quorum: &Quorum, people: &People, excluded: &Excluded, now: Timestamp) -> Vec<String> {
    let end = Timestamp::new(now.secs.saturating_add(PENDING), 0);
    let counts = |m: &&Member, group: &String| {
        let in_time = m.groups.get(group).is_some_and(|from| *from < end);
        in_time && m.credentials.iter().any(|key| key.from < end) && !excluded.people.contains(&m.id)
    };
    let too_few = |(group, needs): (&String, &u32)| {
        let have = people.members.iter().filter(|m| counts(m, group)).count();
        let who = format!("it takes {needs} of the group {group}, in which {have} may approve");
        (have < *needs as usize).then(|| format!("{who}: backstop people grant ID {group}"))
    };
    quorum.groups.iter().filter_map(too_few).collect()
}
