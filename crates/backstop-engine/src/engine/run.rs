//! One straight pipeline: ask, rehearse, measure, judge, then commit or hold.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use backstop_core::audit::{Body, By};
use backstop_core::effect::EffectSet;
use backstop_core::facts::Meaning;
use backstop_core::id::RunId;
use backstop_core::jail::Came;
use backstop_core::plan::{Op, Place, Plan};
use backstop_core::policy::{self, Decision, Ground, Judgement};
use backstop_core::request::Request;
use backstop_core::run::{RunRecord, State};
use backstop_core::shell::Script;
use backstop_core::shell::lane;
use backstop_core::time::Timestamp;

use super::edit::Unchanged;
use super::inplace::had_begun;
use super::jail::Subject;
use super::told::{nested, note_end, open_doors, rehearsal_failure};
use super::{Answer, EFFECTS, Engine, Outcome, Person, RunOptions, Step};
use crate::clock;
use crate::executables::Executables;
use crate::failure::Failure;
use crate::freeze::Gate;
use crate::law::Standing;
use crate::ledger::{Input, LayerIn, Measured, VolumeIn, measure};
use crate::reading;
use crate::rehearse::{Lane, Rehearsal, RehearseError, RehearseInput, Started, rehearse};
use crate::store::Lock;
use crate::trace::Trace;
use crate::transaction::{PLAN, plan_bytes};
use crate::volume::{Leftover, OpenVolume, leftovers};

/// A rehearsal that was measured.
pub(super) struct Rehearsed {
    /// Which transaction was the last before the ledger looked.
    pub(super) applied: Vec<u8>,
    pub(super) effects: EffectSet,
    pub(super) plan: Plan,
    /// When it began, by each volume's clock.
    pub(super) t0: Vec<Timestamp>,
    pub(super) volumes: Vec<OpenVolume>,
}

impl Engine {
    /// Rehearses, judges, and commits or holds.
    pub fn run(
        &mut self,
        mut request: Request,
        options: &RunOptions,
        person: &mut dyn Person,
    ) -> Result<Outcome, Failure> {
        self.is_his_own(&request)?;
        self.sound_for(request.asked_by())?;
        self.not_frozen()?;
        let subject = self.subject(&request, options);
        self.not_shut(&request, &subject, &options.jail)?;
        let mut trace = Trace::start();
        // What the session's tools did so far comes before what this command does.
        let unsettled = match &request.session {
            Some(session) => self.settle_edits(Some(session), Unchanged::Wait)?,
            None => Vec::new(),
        };
        let asked = request.in_place;
        let lane = self.lane(&request, options, self.is_banned(&subject)?);
        request.in_place = matches!(lane, Lane::InPlace(_));
        if asked {
            person.background(&lane);
            // Rehearsed after all, it may still go on for days: its turn would keep all others waiting.
            request.parallel = true;
        }
        // Whoever only reads waits for nobody, and for what may go on for days nobody is to wait.
        let turn = if lane == Lane::Rehearse { self.turn(&request, person)? } else { None };
        let (mut record, _alive) = self.begin(request, turn.as_ref())?;
        record.notes.extend(unsettled);
        trace.phase("begin");
        if matches!(lane, Lane::InPlace(_)) && self.is_banned(&subject)? {
            // In this very moment: what nobody sees does not begin.
            return Err(self.fail(&mut record, Vec::new(), &RehearseError::Banned { begun: false }));
        }
        let reads = lane == Lane::Read;
        let (started, executables) = (RefCell::default(), RefCell::new(Executables::of(&self.settings.state)));
        let rehearsed = self.rehearse(&record, options, lane, &subject, (&started, &executables));
        executables.into_inner().keep();
        let programs = self.programs(&mut record, started.take());
        let rehearsal = match rehearsed {
            Ok(rehearsal) if record.request.in_place => {
                return self.ran_in_place(&mut record, rehearsal, programs, trace);
            }
            Ok(rehearsal) => rehearsal,
            Err(error) if record.request.in_place && had_begun(&error) => {
                return Err(self.ended_in_place(&mut record, programs, &error));
            }
            Err(error) => return Err(self.fail(&mut record, programs, &error)),
        };
        trace.phase("rehearse");
        // On an error the mark of life stays: whoever opens the state directory next finds the run as
        // one that was cut off, gives it up and clears its part of the vaults.
        if reads {
            record.notes.extend(rehearsal.wrong_guess());
        }
        let mut outcome = self.conclude(&mut record, rehearsal, programs, (options, &subject), person, &mut trace)?;
        // What is answered may be the run about which people are asked already; that one goes on.
        let ended = if outcome.record.id == record.id { &mut outcome.record } else { &mut record };
        self.over(ended);
        trace.end(outcome.record.id);
        Ok(outcome)
    }

    /// What became of the run is settled; trouble from here on is a remark and takes nothing back.
    pub(super) fn over(&mut self, record: &mut RunRecord) {
        if let Err(error) = self.store.not_alive(record.id) {
            record.notes.push(Failure::from(error).what);
        }
        if let Err(failure) = self.tend(record) {
            record.notes.push(failure.what);
        }
    }

    /// Runs a held run's command again on today's disk, as a new run; the old one is discarded.
    pub fn retry(&mut self, id: RunId, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        self.not_frozen()?;
        let old = self.record(id)?;
        self.is_his_own(&old.request)?;
        if !matches!(old.state, State::Held | State::Denied | State::Failed | State::DryRun | State::Discarded) {
            return Err(Failure::usage(format!(
                "{id} is {}; only what did not take effect can be run again",
                old.state.name()
            )));
        }
        if old.state == State::Held {
            self.discard(id)?;
        }
        // It is whoever says so now that asks.
        let by = (old.request.uid != self.caller()).then_some(self.caller());
        self.run(Request { by, ..old.request }, &RunOptions { anew: true, ..options.clone() }, person)
    }

    /// Makes the record and says durably what is about to run.
    fn begin(&mut self, request: Request, turn: Option<&Lock>) -> Result<(RunRecord, Lock), Failure> {
        let now = clock::now();
        let id = self.store.new_run(now)?;
        if let Some(turn) = turn {
            turn.name(&format!("{id} {}", std::process::id()))?;
        }
        let alive = self.alive(id)?;
        let mut record = RunRecord {
            approval: None,
            digest: None,
            exit: None,
            id,
            instead: None,
            judgement: None,
            left_behind: Vec::new(),
            let_go: false,
            meaning: None,
            notes: Vec::new(),
            request,
            started: now,
            state: State::Rehearsing,
            totals: None,
            updated: now,
            version: 1,
        };
        self.save(&mut record, false)?;
        self.records.write(&[Body::requested(id, &record.request)])?;
        Ok((record, alive))
    }

    /// On what view a command runs. Of whoever is banned everything is seen.
    fn lane(&self, request: &Request, options: &RunOptions, banned: bool) -> Lane {
        // A guess that only saves time: behind the same walls and without any right to write, a command
        // that would write after all fails.
        if !options.rehearse && lane::lane(&reading::script(request)) == lane::Lane::Read {
            Lane::Read
        } else if request.in_place
            && !options.rehearse
            && !options.keep_undo
            && !banned
            && self.standing(request, None).is_shipped()
        {
            Lane::InPlace(self.ground(request, &[]).in_place())
        } else {
            Lane::Rehearse
        }
    }

    fn rehearse(
        &self,
        record: &RunRecord,
        options: &RunOptions,
        lane: Lane,
        subject: &Subject,
        (started, executables): (&RefCell<Started>, &RefCell<Executables>),
    ) -> Result<Rehearsal, RehearseError> {
        rehearse(&RehearseInput {
            id: record.id,
            request: &record.request,
            state: &self.settings.state,
            gate: &Gate::new(&self.store, record.id, subject.stands_by()),
            home: self.settings.home.as_ref(),
            hide: &self.hidden_from(&record.request),
            cwd_to: options.cwd_to,
            shell_from: options.shell_from,
            stdout_to_stderr: options.stdout_to_stderr,
            grace: self.settings.grace,
            upper_limit: options.write_limit,
            force_user: self.settings.force_user,
            lane,
            stand_in: self.settings.stand_in.as_ref(),
            started,
            executables,
        })
    }

    /// Ends a run that Backstop could not carry through. Nothing of it took effect.
    fn fail(&mut self, record: &mut RunRecord, programs: Vec<Body>, error: &RehearseError) -> Failure {
        let mut failure = rehearsal_failure(error);
        if let RehearseError::Banned { .. } = error
            && let Some(ban) = self.by_a_ban(&record.request)
        {
            failure = Failure { what: format!("{}; {error}, and nothing of it took effect", ban.what), ..ban };
        }
        let leftovers = self.sweep(record.id, Leftover::All);
        self.fail_with(record, programs, leftovers, failure)
    }

    /// Notes the failure. Where that fails as well, the mark of life stays, and the next opening of the
    /// state directory notes it.
    fn fail_with(
        &mut self,
        record: &mut RunRecord,
        mut entries: Vec<Body>,
        leftovers: Vec<String>,
        mut failure: Failure,
    ) -> Failure {
        record.state = State::Failed;
        record.notes.push(failure.what.clone());
        record.notes.extend(leftovers);
        entries.push(Body::RunFailed { run: record.id, why: failure.what.clone() });
        let noted = self.save(record, false).and_then(|()| Ok(self.records.write(&entries)?));
        if let Err(second) = noted.and_then(|()| Ok(self.store.not_alive(record.id)?)) {
            failure.what = format!("{}; and it can't be noted: {}", failure.what, second.what);
        }
        failure
    }

    /// Everything after the command has ended.
    fn conclude(
        &mut self,
        record: &mut RunRecord,
        rehearsal: Rehearsal,
        programs: Vec<Body>,
        (options, subject): (&RunOptions, &Subject),
        person: &mut dyn Person,
        trace: &mut Trace,
    ) -> Result<Outcome, Failure> {
        note_end(record, &rehearsal);
        let applied = self.store.applied()?;
        let script = reading::script(&record.request);
        let (effects, mut plan) = match self.measured(record, &script, &rehearsal, person) {
            Ok(both) => both,
            Err(failure) => {
                let leftovers = leftovers(&rehearsal.volumes, record.id, Leftover::All);
                return Err(self.fail_with(record, programs, leftovers, failure));
            }
        };
        self.note_vaults(&plan.volumes)?;
        trace.phase("ledger");
        let ground = self.ground(&record.request, &rehearsal.volumes);
        // Where nothing would change, there is nothing to judge: most commands only look.
        let (mut standing, mut tried) = (None, None);
        let judgement = if plan.ops.is_empty() && effects.is_empty() {
            Judgement::of(Vec::new())
        } else {
            let findings = self.found(record, &script, &rehearsal.volumes, (&effects, &plan), &ground, options.anew)?;
            record.meaning = Some(Meaning::of(&findings, &ground.classes));
            trace.phase("facts");
            let law = standing.insert(self.standing(&record.request, None));
            record.notes.extend(law.note());
            trace.phase("law");
            let judgement = law.judge(&findings, policy::floor(&effects, &ground));
            let (judgement, what) = self.under_ban(subject, &findings, &ground, judgement)?;
            tried = Some(what).filter(|_| !options.dry_run);
            trace.phase("judge");
            judgement
        };
        keep_own_times(&mut plan, &ground, &effects);
        record.totals = Some(effects.totals());
        let digest = self.write_effects(record.id, &effects)?;
        trace.phase("effects");
        record.digest = Some(digest);
        record.judgement = Some(judgement.clone());
        // Directories' times alone are no effect to show, but they are something to commit.
        let counted = effects.effects.len().max(usize::from(!plan.ops.is_empty()));
        let mut entries = programs;
        entries.extend(nested(record.id, &rehearsal.nested));
        entries.push(Body::RunRehearsed {
            digest,
            doors: open_doors(&effects),
            effects: counted as u64,
            exit: rehearsal.exit,
            left_behind: rehearsal.left_behind.clone(),
            run: record.id,
            totals: effects.totals(),
        });
        if let Some(law) = &standing {
            self.note_rules(record, law)?;
            trace.phase("rules");
        }
        let done = Rehearsed { applied, effects, plan, t0: rehearsal.t0, volumes: rehearsal.volumes };
        if done.plan.ops.is_empty() {
            record.state = State::NoEffect;
            return self.close(record, done, Leftover::All, entries, trace);
        }
        entries.push(Body::RunJudged { judgement: judgement.clone(), run: record.id });
        let mut lock = None;
        let answer = match judgement.decision {
            Decision::Deny => None,
            _ if options.dry_run => None,
            _ if options.hold || !done.effects.conflicts.is_empty() => Some(Answer::Hold),
            Decision::Allow => Some(Answer::Commit),
            // Two people can't both sit at this terminal.
            Decision::TwoPerson => Some(Answer::Hold),
            Decision::Ask => {
                // Held first, so that whatever happens while the question stands (Ctrl-C, a closed
                // terminal) leaves a run that can still be committed or given up.
                record.state = State::Held;
                entries.push(Body::RunHeld { run: record.id });
                self.keep_plan(record.id, &done)?;
                self.records.write(&std::mem::take(&mut entries))?;
                self.save(record, true)?;
                let answer = person.confirm(record, &done.effects);
                // From another terminal it could be committed or given up as soon as it was held: what
                // came of that stands.
                let (held, now) = self.locked(record.id)?;
                *record = now;
                if record.state != State::Held {
                    record.notes.push(format!("it was {} elsewhere while the question stood", record.state.name()));
                    return Ok(Outcome { record: record.clone(), effects: done.effects });
                }
                lock = Some(held);
                Some(match answer {
                    Answer::Commit if !self.one_is_enough(record, &done.effects, &done.volumes)? => Answer::Hold,
                    answer => answer,
                })
            }
        };
        let stopped = if answer == Some(Answer::Commit) { self.interrupted() } else { None };
        if let Some(signal) = stopped {
            let failure = rehearsal_failure(&RehearseError::Interrupted(signal));
            // Held for a question, it stays so; what no question was asked about is given up.
            let leftover = if record.state == State::Held {
                Leftover::Work
            } else {
                record.state = State::Discarded;
                entries.push(Body::RunDiscarded { by: By::Person { uid: self.caller() }, run: record.id });
                Leftover::All
            };
            drop(lock);
            let mut outcome = self.close(record, done, leftover, entries, trace)?;
            self.over(&mut outcome.record);
            return Err(failure);
        }
        let by = match judgement.decision {
            Decision::Allow => By::Rule,
            _ => By::Person { uid: self.caller() },
        };
        let came = match answer {
            None => Came::Denied,
            Some(Answer::Discard) => Came::GivenUp,
            Some(Answer::Hold) => Came::Waits,
            Some(Answer::Commit) => Came::Through,
        };
        // Held for what somebody else changed, it is not known yet what people would say.
        let tried = tried.filter(|_| came != Came::Waits || done.effects.conflicts.is_empty());
        let banned = self.note_tried(record, (subject, &options.jail), tried, came, &mut entries)?;
        match answer {
            None if options.dry_run => {
                record.state = State::DryRun;
                entries.push(Body::RunDryRun { run: record.id });
                self.keep_rights(record.id)?;
                self.store.write(record.id, PLAN, &plan_bytes(&done.plan), false)?;
                self.close(record, done, Leftover::All, entries, trace)
            }
            None => {
                record.state = State::Denied;
                entries.push(Body::RunDenied { run: record.id });
                self.remember_denial(record)?;
                self.close(record, done, Leftover::All, entries, trace)
            }
            Some(Answer::Discard) => {
                record.state = State::Discarded;
                entries.push(Body::RunDiscarded { by, run: record.id });
                self.close(record, done, Leftover::All, entries, trace)
            }
            Some(Answer::Hold) if record.state == State::Held => {
                self.close(record, done, Leftover::Work, entries, trace)
            }
            Some(Answer::Hold) => {
                let two = judgement.decision == Decision::TwoPerson && done.effects.conflicts.is_empty();
                if two {
                    // Whoever is asked more reads less: what is over must not lie among it.
                    record.notes.extend(self.let_end().err().map(|failure| failure.what));
                }
                if let Some(mut first) =
                    if two { self.asked_before(record, &done.effects, options.offer)? } else { None }
                {
                    record.state = State::Discarded;
                    record.instead = Some(first.record.id);
                    let note = format!("{} would do the same, and people are asked already", first.record.id);
                    record.notes.push(note);
                    entries.push(Body::RunDiscarded { by: By::Rule, run: record.id });
                    self.close(record, done, Leftover::All, entries, trace)?;
                    first.record.notes.push(format!("tried again as {}, which was given up for this", record.id));
                    first.record.notes.extend(banned);
                    return Ok(first);
                }
                record.state = State::Held;
                entries.push(Body::RunHeld { run: record.id });
                self.keep_plan(record.id, &done)?;
                if two {
                    entries.extend(self.ask(record, &done.effects, &plan_bytes(&done.plan), options.offer)?);
                }
                self.close(record, done, Leftover::Work, entries, trace)
            }
            Some(Answer::Commit) if options.leave && judgement.decision == Decision::Allow => {
                self.leave(record, done, &entries)
            }
            Some(Answer::Commit) => {
                self.records.write(&entries)?;
                self.store.write_json(record.id, super::T0, &done.t0, false)?;
                trace.phase("record");
                let lock = lock.map_or_else(|| self.lock_runs_of(&[record.request.asked_by()]), Ok)?;
                self.commit_now(record, done, by, &lock, person, trace)
            }
        }
    }

    /// Which rules are in force is on record before what they let through.
    pub(super) fn note_rules(&mut self, record: &mut RunRecord, law: &Standing) -> Result<(), Failure> {
        let Some(entry) = law.entry() else { return Ok(()) };
        self.records.write(std::slice::from_ref(entry))?;
        if let Err(error) = law.recorded() {
            record
                .notes
                .push(format!("that the rules are on record can't be noted, so they will be once more: {error}"));
        }
        Ok(())
    }

    fn close(
        &mut self,
        record: &mut RunRecord,
        done: Rehearsed,
        leftover: Leftover,
        entries: Vec<Body>,
        trace: &mut Trace,
    ) -> Result<Outcome, Failure> {
        if record.state == State::Discarded {
            // Held until now: the log's last word on it comes when nobody can commit it any more, and
            // what was kept goes after that.
            self.save(record, true)?;
            self.records.write(&entries)?;
        } else {
            // As soon as the record says held, others may commit it, and the log has to say so before.
            self.records.write(&entries)?;
            self.save(record, record.state == State::Held)?;
        }
        trace.phase("record");
        // How it ended is on the disk; what could not be removed takes nothing of that back.
        record.notes.extend(leftovers(&done.volumes, record.id, leftover));
        trace.phase("tidy");
        Ok(Outcome { record: record.clone(), effects: done.effects })
    }

    /// The ledger, over the rehearsal's layers.
    fn measured(
        &self,
        record: &RunRecord,
        script: &Script,
        rehearsal: &Rehearsal,
        person: &mut dyn Person,
    ) -> Result<(EffectSet, Plan), Failure> {
        let failed =
            |e: &dyn std::error::Error| Failure::because("the effect can't be measured, so nothing is let through", e);
        let mut runs = Vec::new();
        for volume in &rehearsal.volumes {
            runs.push(volume.run_dir(record.id, true).map_err(|e| failed(&e))?);
        }
        let volumes = rehearsal.volumes.iter().zip(&runs).zip(&rehearsal.t0);
        let progress = AtomicU64::new(0);
        let mount_points = crate::volume::mount_points().map_err(|e| failed(&e))?;
        let input = Input {
            volumes: volumes
                .map(|((v, run), t0)| VolumeIn {
                    root: v.root(),
                    run_dir: std::os::fd::AsFd::as_fd(run),
                    vault: v.vault(),
                    t0: *t0,
                })
                .collect(),
            layers: rehearsal
                .layers
                .iter()
                .map(|l| LayerIn {
                    volume: l.volume,
                    lower: l.lower.clone(),
                    point: l.point.clone(),
                    upper: l.upper.clone(),
                    prefix: if l.xattr_prefix.starts_with("trusted.") { "trusted." } else { "user." },
                    mount: l.mount,
                })
                .collect(),
            mounts: &rehearsal.mounts,
            mount_points: &mount_points,
            progress: &progress,
        };
        let Measured { effects, conflicts, incomplete, ops, keeps, .. } =
            crate::progress::with(person, Step::Counting, &progress, || measure(&input)).map_err(|e| failed(&e))?;
        let mut set = EffectSet {
            conflicts,
            crossings: Vec::new(),
            doors: rehearsal.doors.clone(),
            effects,
            incomplete,
            mounts: rehearsal.mounts.clone(),
        };
        set.crossings = reading::crossings(&record.request, script, self.settings.home.as_ref(), &set);
        let plan = Plan { keeps, ops, volumes: rehearsal.volumes.iter().map(|v| v.spec().clone()).collect() };
        Ok((set, plan))
    }

    /// Writes the effects, a header line and a line each, as they are hashed.
    pub(super) fn write_effects(&self, id: RunId, set: &EffectSet) -> Result<backstop_core::digest::Digest, Failure> {
        let (digest, lines) = set.lines();
        self.store.write(id, EFFECTS, &lines, false)?;
        Ok(digest)
    }

    pub(super) fn read_effects(&self, id: RunId) -> Result<EffectSet, Failure> {
        let Some(bytes) = self.store.read(id, EFFECTS)? else {
            return Err(Failure::usage(format!("the effects of {id} are not known")));
        };
        EffectSet::from_lines(&bytes).ok_or_else(|| Failure::internal(format!("the effects of {id} are damaged")))
    }
}

/// Directories' times are no effect that is judged; so they are set only in the agent's own places, and
/// where the steps that were judged change them anyway.
fn keep_own_times(plan: &mut Plan, ground: &Ground, set: &EffectSet) {
    let volumes = plan.volumes.clone();
    let own = |place: &Place| {
        let root = &volumes[usize::from(place.vol)].root;
        ground.own_directory(&root.join(place.path.as_slice()), set)
    };
    let steps = plan.ops.iter().filter(|op| !matches!(op, Op::Times { .. }));
    let touched: HashSet<Place> =
        steps.flat_map(Op::places).flat_map(|p| [p.clone(), Place { path: p.path.parent(), vol: p.vol }]).collect();
    plan.ops.retain(|op| match op {
        Op::Times { at, was, .. } => {
            at.as_ref().is_some_and(own) || [at, was].into_iter().flatten().any(|p| touched.contains(p))
        }
        _ => true,
    });
}
