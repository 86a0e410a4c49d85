//! The verbs on runs that wait or are done: commit, discard, undo, redo.

use backstop_core::audit::{Body, By};
use backstop_core::digest::Digest;
use backstop_core::effect::{Conflict, EffectSet};
use backstop_core::id::RunId;
use backstop_core::plan::{Direction, Plan};
use backstop_core::policy::{self, Decision, Judgement};
use backstop_core::run::{RunRecord, State};

use super::edit::Unchanged;
use super::look::Kept;
use super::{Engine, Filter, Offer, Outcome, Person, SETTLE, Step, UndoOptions, UndoReport, Which};
use crate::beside::beside;
use crate::commit::{Bounds, Checked, History, Known, Receipt, Site, check};
use crate::failure::{Failure, FailureKind};
use crate::transaction::{Kind, RECEIPTS, Transaction, TransactionError};
use crate::volume::{Leftover, OpenVolume};

/// How many conflicts a message names; the count is always told.
const NAMED: usize = 5;

impl Engine {
    /// Commits a held run: re-checks that the disk is still as the rehearsal saw it, then makes the
    /// rehearsed bytes real. The command does not run again.
    pub fn commit(&mut self, id: RunId, offer: Offer, person: &mut dyn Person) -> Result<Outcome, Failure> {
        self.sound_of(id)?;
        self.not_frozen()?;
        let mut record = self.record(id)?;
        expect(&record, State::Held)?;
        let mut effects = self.read_effects(id)?;
        if Some(effects.digest()) != record.digest {
            return Err(Failure::internal(format!("the effects of {id} are not the ones that were judged")));
        }
        let plan = self.load_plan(id)?;
        let sites = self.sites(id, &plan)?;
        let volumes: Vec<&OpenVolume> = sites.iter().filter_map(Site::volume).collect();
        if volumes.len() < sites.len() {
            return Err(Failure::new(FailureKind::Conflict, "a file system that the run changed is gone")
                .next(format!("run it again: backstop retry {id}")));
        }
        let judgement = self.judged_today(&mut record, &effects, &volumes)?;
        let why = || judgement.reasons.first().map(|r| r.why.clone()).unwrap_or_default();
        match judgement.decision {
            Decision::Deny => {
                self.supersede(&record)?;
                let refused = Failure::new(FailureKind::Refused, format!("{id} may not be committed: {}", why()));
                let denials = judgement.reasons.iter().filter(|r| r.decision == Decision::Deny);
                let way = denials.filter_map(|r| r.next.clone()).next();
                return Err(way
                    .into_iter()
                    .fold(refused, Failure::next)
                    .next(format!("give up: backstop discard {id}")));
            }
            Decision::TwoPerson | Decision::Ask | Decision::Allow => {}
        }
        let two = Self::takes_two(&record, judgement.decision);
        let words = if two { Vec::new() } else { judgement.words() };
        if !words.is_empty() && !person.agrees(&words) {
            return Err(Failure::new(FailureKind::Refused, format!("{id} stays held: {}", why()))
                .next(format!("at a terminal, type what it asks for: {}", words.join(", "))));
        }
        let (lock, now) = self.locked(id)?;
        expect(&now, State::Held)?;
        self.not_frozen()?;
        // While somebody was asked, or waited for the lock, it may have come to take more.
        let today = self.judged_today(&mut record, &effects, &volumes)?;
        if today.decision > judgement.decision {
            let what = format!("{id} stays held: the rules, or who can approve, changed meanwhile");
            return Err(Failure::new(FailureKind::Refused, what).next(format!("again: backstop commit {id}")));
        }
        let bounds = self.t0(id, &sites)?;
        let mut claim = if two { Some(self.claim(&now, &today.quorum(), offer, &lock)?) } else { None };
        let checked = match self.as_rehearsed((&plan, &effects), &sites, &bounds, true) {
            Ok(checked) => checked,
            Err(failure) => {
                let ended = claim.as_mut().map_or(Ok(()), |claim| self.executed(claim, false));
                return Err(ended.err().into_iter().fold(failure, |first, second| first.next(second.what)));
            }
        };
        let mut by = By::Person { uid: self.caller() };
        if let Some(claim) = &mut claim {
            let request = self.checked(claim, checked.conflicts.is_empty())?;
            by = By::Approved { request };
        }
        if !checked.conflicts.is_empty() {
            let paths = checked.conflicts.iter().take(NAMED).map(|c| c.path.clone()).collect();
            let entry = Body::RunConflict { count: checked.conflicts.len() as u64, paths, run: id };
            self.records.write(&[entry])?;
            effects.conflicts = checked.conflicts;
            return Ok(Outcome { record, effects });
        }
        let done = self.transact((Kind::Commit, by), &record, (&plan, false), &sites, &checked, person);
        let noted = match &mut claim {
            // What is not settled is nobody's to call done or not done.
            Some(claim) if self.is_settled(id) => self.executed(claim, done.is_ok()),
            _ => Ok(()),
        };
        done?;
        drop(lock);
        record = self.record(id)?;
        record.notes.extend(noted.err().map(|failure| failure.what));
        self.forgive(&mut record);
        Ok(Outcome { record, effects })
    }

    /// The judgement by today's rules, and by who can approve today: both may have become stricter since.
    fn judged_today(
        &mut self,
        record: &mut RunRecord,
        effects: &EffectSet,
        volumes: &[&OpenVolume],
    ) -> Result<Judgement, Failure> {
        let id = record.id;
        let again = format!("run it again: backstop retry {id}");
        let mut findings = match self.kept(id)? {
            Kept::These(findings) => findings,
            Kept::Other(version) => {
                let what = format!(
                    "{id} was rehearsed by another version of Backstop: today's rules don't know its facts (version \
                     {version}), so it can't be let through"
                );
                return Err(Failure::usage(what).next(again));
            }
            Kept::Nothing => {
                let what = format!("what {id} means is not known, so it can't be let through");
                return Err(Failure::internal(what).next(again));
            }
        };
        findings.facts.people.enrolled = self.enrolled()?;
        let ground = self.ground_of(record, volumes);
        let rights = self.rights(record.id)?;
        let law = self.standing(&record.request, rights.as_deref());
        let judgement = law.judge(&findings, policy::floor(effects, &ground));
        self.note_rules(record, &law)?;
        Ok(judgement)
    }

    /// False where it has come to take more than one person's word while the question stood.
    pub(super) fn one_is_enough(
        &mut self,
        record: &mut RunRecord,
        effects: &EffectSet,
        volumes: &[OpenVolume],
    ) -> Result<bool, Failure> {
        let volumes: Vec<&OpenVolume> = volumes.iter().collect();
        let enough = self.judged_today(record, effects, &volumes)?.decision <= Decision::Ask;
        if !enough {
            record.notes.push("while the question stood, the rules, or who can approve, changed".to_owned());
        }
        Ok(enough)
    }

    /// Gives up a run that did not take effect.
    pub fn discard(&mut self, id: RunId) -> Result<RunRecord, Failure> {
        self.sound_of(id)?;
        let (lock, mut record) = self.locked(id)?;
        match record.state {
            State::Held | State::DryRun | State::Failed => {}
            State::Discarded | State::Denied | State::NoEffect => return Ok(record),
            State::Allowed => {
                return Err(Failure::usage(format!("{id} was left to a tool, which may be about to write"))
                    .next(format!("when it has written, take it back: backstop undo {id}")));
            }
            State::InPlace => {
                return Err(Failure::usage(format!("{id} ran in place: what it changed is not known, and stays")));
            }
            State::Rehearsing => {
                return Err(Failure::usage(format!("{id} is still running")).next("stop it where it runs"));
            }
            State::Committed => {
                return Err(
                    Failure::usage(format!("{id} has taken effect")).next(format!("take it back: backstop undo {id}"))
                );
            }
            State::Undone => return Err(Failure::usage(format!("{id} is already taken back"))),
        }
        record.state = State::Discarded;
        self.save(&mut record, true)?;
        self.records.write(&[Body::RunDiscarded { by: By::Person { uid: self.caller() }, run: id }])?;
        if let Err(failure) = self.give_up(&record, &lock) {
            record.notes.push(format!("what people were asked about it can't be ended: {}", failure.what));
        }
        // Not before: cut off in between, a run that is still held has to have what it needs.
        record.notes.extend(self.sweep(id, Leftover::All));
        Ok(record)
    }

    /// Takes runs back, newest first; stops before the first that would overwrite later work.
    pub fn undo(
        &mut self,
        which: &Which,
        options: UndoOptions,
        person: &mut dyn Person,
    ) -> Result<UndoReport, Failure> {
        self.not_frozen_for_agents()?;
        // What a tool has written meanwhile is taken back in its turn.
        let unsettled = self.settle_edits(None, Unchanged::Wait)?;
        let mut runs = self.chosen(which, State::Committed)?;
        for id in &runs {
            self.may_change(&self.record(*id)?.request)?;
        }
        runs.sort_unstable();
        runs.reverse();
        let mut report = self.take(&runs, Kind::Undo, options, person)?;
        report.notes.extend(unsettled);
        Ok(report)
    }

    /// The undone runs that are meant.
    pub fn undone(&self, which: &Which) -> Result<Vec<RunId>, Failure> {
        self.chosen(which, State::Undone)
    }

    /// Brings undone runs back, oldest first.
    pub fn redo(&mut self, which: &Which, person: &mut dyn Person) -> Result<UndoReport, Failure> {
        self.not_frozen()?;
        let mut runs = self.chosen(which, State::Undone)?;
        runs.sort_unstable();
        self.take(&runs, Kind::Redo, UndoOptions::default(), person)
    }

    /// The runs that are meant, all in the state that the verb needs.
    fn chosen(&self, which: &Which, state: State) -> Result<Vec<RunId>, Failure> {
        match which {
            Which::Runs(ids) => {
                for id in ids {
                    expect(&self.record(*id)?, state)?;
                }
                Ok(ids.clone())
            }
            Which::Last(n) => {
                let mut all = self.all_runs(&Filter { state: Some(state), ..Filter::default() })?;
                all.retain(|r| self.is_meant(r));
                let ids: Vec<RunId> = match state {
                    // The last that were undone are the oldest of them.
                    State::Undone => all.iter().rev().take(*n).map(|r| r.id).collect(),
                    _ => all.iter().take(*n).map(|r| r.id).collect(),
                };
                if ids.is_empty() {
                    return Err(Failure::usage(format!("no run is {}", state.name())));
                }
                Ok(ids)
            }
            Which::Session(session) => {
                let filter = Filter { state: Some(state), session: Some(session.clone()), call: None };
                let mut all = self.all_runs(&filter)?;
                all.retain(|r| self.is_meant(r));
                let ids: Vec<RunId> = all.iter().map(|r| r.id).collect();
                if ids.is_empty() {
                    return Err(Failure::usage(format!("no run of session {} is {}", session.quoted(), state.name()))
                        .next("list them: backstop runs"));
                }
                Ok(ids)
            }
        }
    }

    fn take(
        &mut self,
        runs: &[RunId],
        kind: Kind,
        options: UndoOptions,
        person: &mut dyn Person,
    ) -> Result<UndoReport, Failure> {
        let askers: Vec<u32> = runs.iter().filter_map(|id| self.asker_of(*id)).chain([self.settings.uid]).collect();
        askers.iter().try_for_each(|uid| self.sound_for(*uid))?;
        let mut report = UndoReport { done: Vec::new(), beside: Vec::new(), notes: Vec::new(), stopped: None };
        let _lock = self.lock_runs_of(&askers)?;
        let mut history = self.history()?;
        for &id in runs {
            match self.take_one(id, kind, options, &history, &mut report, person) {
                Ok(record) => report.done.push(record),
                Err(failure) => {
                    report.stopped = Some((id, failure));
                    break;
                }
            }
            let (vaults, receipts) = self.transactions(id)?;
            history.add(&vaults, &receipts);
        }
        Ok(report)
    }

    fn take_one(
        &mut self,
        id: RunId,
        kind: Kind,
        options: UndoOptions,
        history: &History,
        report: &mut UndoReport,
        person: &mut dyn Person,
    ) -> Result<RunRecord, Failure> {
        let record = self.record(id)?;
        // Chosen before the lock was had.
        expect(&record, kind.state(false))?;
        if record.let_go {
            return Err(Failure::usage(format!("{id} can't be taken back any more: the vault has let its copies go"))
                .next("see how far back undo reaches: backstop vault status"));
        }
        let mut plan = self.load_plan(id)?;
        let sites = self.sites(id, &plan)?;
        for site in sites.iter().filter(|s| s.volume().is_none()) {
            let note = format!("{} was unmounted since; what {id} did there is gone with it", site.root.quoted());
            if !report.notes.contains(&note) {
                report.notes.push(note);
            }
        }
        let receipts: Vec<Receipt> = self.store.read_lines(id, RECEIPTS)?;
        let Some(last) = receipts.last() else {
            return Err(Failure::internal(format!(
                "the receipt of {id} is missing, so nobody can say what is still its own"
            )));
        };
        let bounds = Bounds { ends: &last.ends, foreign: &last.foreign, history, known: &Known::default(), deep: true };
        let mut checked = check(&plan, kind.direction(), &sites, &bounds)?;
        let mut names = None;
        if !checked.conflicts.is_empty() && options.beside && kind == Kind::Undo {
            let other = beside(id, &plan, &sites, &checked.conflicts)?;
            checked = check(&other.plan, kind.direction(), &sites, &bounds)?;
            plan = other.plan;
            names = Some(other.names);
        }
        if !checked.conflicts.is_empty() {
            return Err(in_the_way(id, kind, &checked.conflicts));
        }
        if kind == Kind::Redo {
            self.may_come_back(record.clone(), &sites)?;
        }
        let by = By::Person { uid: self.caller() };
        self.transact((kind, by), &record, (&plan, names.is_some()), &sites, &checked, person)?;
        report.beside.extend(names.into_iter().flatten());
        self.record(id)
    }

    /// Refuses to bring back what one person's word is too little for: by the rules under which it took effect,
    /// or by those of today. Two people's word was good for one time.
    fn may_come_back(&mut self, mut record: RunRecord, sites: &[Site]) -> Result<(), Failure> {
        let id = record.id;
        let again = "run the command again, which judges it anew";
        let refuse = |what: String| Err(Failure::new(FailureKind::Refused, what).next(again));
        if Self::takes_two(&record, Decision::Allow) {
            return refuse(format!("{id} took two people's word, which was good for one time"));
        }
        // What was not judged by facts that today's rules know: as it was, where nobody could be asked anyway.
        if !matches!(self.kept(id)?, Kept::These(_)) && self.enrolled()? == 0 {
            return Ok(());
        }
        let effects = self.read_effects(id)?;
        let volumes: Vec<&OpenVolume> = sites.iter().filter_map(Site::volume).collect();
        let judgement = self.judged_today(&mut record, &effects, &volumes)?;
        let why = judgement.reasons.first().map(|r| r.why.clone()).unwrap_or_default();
        match judgement.decision {
            Decision::Allow | Decision::Ask => Ok(()),
            Decision::TwoPerson => refuse(format!("{id} takes two people by today's rules: {why}")),
            Decision::Deny => refuse(format!("{id} may not be brought back by today's rules: {why}")),
        }
    }

    fn transact(
        &mut self,
        (kind, by): (Kind, By),
        record: &RunRecord,
        (plan, beside): (&Plan, bool),
        sites: &[Site],
        checked: &Checked,
        person: &mut dyn Person,
    ) -> Result<(), Failure> {
        // What was never measured has no effects, and their digest is this one.
        let digest = record.digest.unwrap_or_else(|| Digest::of("backstop effects v1", &[]));
        let durability = self.settings.durability;
        let (store, records) = (&self.store, &mut self.records);
        let mut transaction = Transaction { store, records, id: record.id, plan, beside, sites, durability };
        let mut progress = |done| person.progress(Step::Applying, done);
        transaction.run(kind, by, digest, checked, &mut progress).map_err(|error| {
            let unsettled = matches!(error, TransactionError::Unsettled { .. });
            let failure = Failure::from(error);
            if unsettled || !self.is_settled(record.id) { failure.next(SETTLE) } else { failure }
        })
    }

    /// The moments the rehearsal began, by each volume's clock; kept beside the plan.
    fn t0(&self, id: RunId, sites: &[Site]) -> Result<Vec<Option<backstop_core::time::Timestamp>>, Failure> {
        let t0: Option<Vec<_>> = self.store.read_json(id, super::T0)?;
        match t0 {
            Some(list) if list.len() == sites.len() => Ok(list.into_iter().map(Some).collect()),
            _ => Err(Failure::internal(format!("nobody can say when {id} began"))
                .next(format!("run it again: backstop retry {id}"))),
        }
    }

    /// All transactions that are known, for telling our own work from somebody else's.
    pub(super) fn history(&self) -> Result<History, Failure> {
        let mut history = History::default();
        for id in self.store.ids()? {
            let (vaults, receipts) = self.transactions(id)?;
            // A single receipt has nothing that stands for something earlier.
            if !lone(&receipts) {
                history.add(&vaults, &receipts);
            }
        }
        Ok(history)
    }

    fn transactions(&self, id: RunId) -> Result<(Vec<String>, Vec<Receipt>), Failure> {
        let receipts: Vec<Receipt> = self.store.read_lines(id, RECEIPTS)?;
        if lone(&receipts) {
            return Ok((Vec::new(), receipts));
        }
        let plan = self.load_plan(id)?;
        Ok((plan.volumes.into_iter().map(|v| v.vault_id).collect(), receipts))
    }

    pub(super) fn caller(&self) -> u32 {
        self.settings.uid
    }

    fn ground_of(&self, record: &RunRecord, volumes: &[&OpenVolume]) -> backstop_core::policy::Ground {
        let mut ground = self.ground(&record.request, &[]);
        ground.guard.extend(volumes.iter().map(|v| v.guarded_path()));
        ground
    }
}

/// Refuses a run that is not in the state that a verb needs.
fn expect(record: &RunRecord, state: State) -> Result<(), Failure> {
    if record.state == state {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is {}, not {}", record.id, record.state.name(), state.name()))
        .next(format!("see it: backstop show {}", record.id)))
}

/// True when nothing was done after a commit.
fn lone(receipts: &[Receipt]) -> bool {
    receipts.len() < 2 && receipts.iter().all(|r| r.direction == Direction::Forward)
}

fn in_the_way(id: RunId, kind: Kind, conflicts: &[Conflict]) -> Failure {
    let verb = if kind == Kind::Undo { "undo" } else { "redo" };
    let mut what = format!("{verb} of {id} would overwrite later work");
    match conflicts.len() {
        1 => what.push_str(" in 1 place"),
        n => what.push_str(&format!(" in {n} places")),
    }
    for conflict in conflicts.iter().take(NAMED) {
        what.push_str(&format!("\n  {}: {}", conflict.path.quoted(), conflict.why));
    }
    if conflicts.len() > NAMED {
        what.push_str(&format!("\n  … and {} more", conflicts.len() - NAMED));
    }
    let failure = Failure::new(FailureKind::Conflict, what);
    match kind {
        Kind::Undo => failure.next(format!("put the old ones beside the new: backstop undo --beside {id}")),
        Kind::Redo | Kind::Commit => failure.next(format!("run the command again: backstop retry {id}")),
    }
}
