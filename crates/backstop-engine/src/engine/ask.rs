//! Asking people about a run that is held: whom, about what, and once for what a session tries again and again.

use backstop_core::approval::ballot::{Excluded, Question};
use backstop_core::approval::display;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::people::{FOUNDERS, People};
use backstop_core::approval::quorum::Quorum;
use backstop_core::audit::Body;
use backstop_core::canon;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::policy::Judgement;
use backstop_core::run::{RunRecord, State};

use super::{Engine, FINDINGS, Outcome};
use crate::approvals::{self, Request};
use crate::clock;
use crate::failure::Failure;
use crate::transaction::plan_digest;

impl Engine {
    /// Asks people about a run that is about to be held; gives the entry that says so, and a remark where
    /// they can't be as many as it takes.
    pub(super) fn ask(
        &self,
        record: &mut RunRecord,
        effects: &EffectSet,
        plan: &[u8],
    ) -> Result<Option<Body>, Failure> {
        let people = self.people()?;
        let now = clock::now();
        if !people.founded {
            return Ok(None);
        }
        // Whoever logged in and became somebody else stays who he is.
        let uids = [Some(record.request.uid), record.request.by, self.settings.login].into_iter().flatten().collect();
        let excluded = Excluded::of(uids, &people);
        let may = people.members.len() - excluded.people.len();
        if may < FOUNDERS {
            let may = if may == 1 { "only 1 of the people enrolled".to_owned() } else { format!("{may} people") };
            record.notes.push(format!(
                "{may} may approve it: the others own the account that asked, or had logged in when it did; enrol more: \
                 backstop people add"
            ));
        }
        let matter = self.matter(record, plan)?;
        let quorum = record.judgement.as_ref().map_or(Quorum::TWO, Judgement::quorum);
        record.notes.extend(lacking(&quorum, &people, &excluded));
        let summary = display::run_summary(record, effects);
        let question = Question::new(&people, (matter, quorum), excluded, summary, now);
        let display = display::run(&question, &people, record, effects);
        let question = question.shown(&display);
        // There before the log says so: until the run is on record as held, nobody can decide on it.
        Request::make(&self.store, question.clone(), &display, now)?.publish()?;
        record.approval = Some(question.request);
        Ok(Some(Body::ApprovalAsked { question }))
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
    /// read less. It waits, by the same rules and for the same account, and nothing of it was changed since, for its
    /// effects would be others then.
    pub(super) fn asked_before(&self, record: &RunRecord) -> Result<Option<Outcome>, Failure> {
        let Some(session) = &record.request.session else { return Ok(None) };
        let (now, law) = (clock::now(), record.judgement.as_ref().and_then(|j| j.law));
        for digest in approvals::open(&self.store)? {
            // One that can't be read is told by whoever lists what waits.
            let Ok(Some(asked)) = Request::load(&self.store, digest) else { continue };
            let question = asked.question();
            let Matter::Run { effects, law: by, run, .. } = &question.matter else { continue };
            let waits = asked.phase.waits() && asked.phase.at(now, question.expires) == asked.phase;
            if Some(*effects) != record.digest || *by != law || !waits || !asked.time_holds(now)? {
                continue;
            }
            let first = self.known(*run)?;
            let (his, ours) = (&first.request, &record.request);
            let same = his.session.as_ref() == Some(session) && (his.uid, his.by) == (ours.uid, ours.by);
            if same && first.state == State::Held {
                return Ok(Some(Outcome { effects: self.read_effects(*run)?, record: first }));
            }
        }
        Ok(None)
    }
}

/// Where a group has fewer people who may approve than it takes: nobody can let it through then.
fn lacking(quorum: &Quorum, people: &People, excluded: &Excluded) -> Vec<String> {
    let of = |group: &String| {
        people.members.iter().filter(|m| m.groups.contains_key(group) && !excluded.people.contains(&m.id)).count()
    };
    let too_few = |(group, needs): (&String, &u32)| {
        let have = of(group);
        let enrol = "backstop people grant ID GROUP";
        (have < *needs as usize)
            .then(|| format!("it takes {needs} of the group {group}, in which {have} may approve: {enrol}"))
    };
    quorum.groups.iter().filter_map(too_few).collect()
}
