//! A measured rehearsal takes effect: is kept for later, looked at once more, and committed. What becomes of it is
//! decided in `run.rs`.

use backstop_core::audit::{Body, By};
use backstop_core::bytes::Bytes;
use backstop_core::effect::{Conflict, EffectSet};
use backstop_core::id::RunId;
use backstop_core::plan::{Direction, Plan};
use backstop_core::policy::Reason;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;

use super::run::Rehearsed;
use super::{Engine, Outcome, Person, SETTLE, Step, T0};
use crate::commit::{Bounds, Checked, CommitError, History, Site, check, known};
use crate::failure::{Failure, FailureKind};
use crate::store::Lock;
use crate::trace::Trace;
use crate::transaction::{Kind, PLAN, Transaction, TransactionError, plan_bytes};
use crate::volume::{Leftover, tidy};

impl Engine {
    /// What a held run needs to be committed later.
    pub(super) fn keep_plan(&self, id: RunId, done: &Rehearsed) -> Result<(), Failure> {
        self.keep_rights(id)?;
        self.store.write_json(id, T0, &done.t0, false)?;
        Ok(self.store.write(id, PLAN, &plan_bytes(&done.plan), true)?)
    }

    pub(super) fn commit_now(
        &mut self,
        record: &mut RunRecord,
        done: Rehearsed,
        by: By,
        _lock: &Lock,
        person: &mut dyn Person,
        trace: &mut Trace,
    ) -> Result<Outcome, Failure> {
        let Rehearsed { applied, mut effects, plan, t0, volumes } = done;
        for volume in &volumes {
            tidy(volume, record.id, Leftover::Work).map_err(|e| Failure::because("cannot tidy the vault", &e))?;
        }
        self.keep_rights(record.id)?;
        let rights = self.rights(record.id)?;
        let site = |v| Ok(Site::new(v, record.id)?.on_behalf(rights.as_ref()));
        let sites: Vec<Site> = volumes.into_iter().map(site).collect::<Result<_, CommitError>>()?;
        // A person has thought about it, or another run took effect since the ledger began to look.
        let long = record.state == State::Held || self.store.applied()? != applied;
        let ends: Vec<_> = t0.iter().copied().map(Some).collect();
        let mut checked = self.as_rehearsed((&plan, &effects), &sites, &ends, long)?;
        let conflicts = std::mem::take(&mut checked.conflicts);
        if !conflicts.is_empty() {
            let paths = conflicts.iter().take(Reason::SHOWN).map(|c| c.path.clone()).collect();
            let entry = Body::RunConflict { count: conflicts.len() as u64, paths, run: record.id };
            effects.conflicts = conflicts;
            record.state = State::Held;
            self.store.write(record.id, PLAN, &plan_bytes(&plan), true)?;
            self.save(record, true)?;
            // By the log as well it is held with that, as it may have been before.
            self.records.write(&[entry])?;
            return Ok(Outcome { record: record.clone(), effects });
        }
        let digest = record.digest.unwrap_or_else(|| effects.digest());
        // Cut off after the commit, `recover` has to find all of it but the state.
        self.save(record, false)?;
        let mut transaction = Transaction {
            store: &self.store,
            records: &mut self.records,
            id: record.id,
            plan: &plan,
            beside: false,
            sites: &sites,
            durability: self.settings.durability,
        };
        let mut progress = |done| person.progress(Step::Applying, done);
        let result = transaction.run(Kind::Commit, by, digest, &checked, &mut progress);
        trace.phase("commit");
        if let Err(error) = result {
            let met = match &error {
                TransactionError::Commit(CommitError::Conflict { conflict })
                | TransactionError::TakenBack { first: CommitError::Conflict { conflict }, .. } => {
                    Some(conflict.clone())
                }
                _ => None,
            };
            let told = matches!(error, TransactionError::TakenBack { .. });
            let unsettled = matches!(error, TransactionError::Unsettled { .. });
            let failure = Failure::from(error);
            if unsettled || !self.is_settled(record.id) {
                // Not a word more in record and log: they would say that it has ended, and then nobody
                // would finish it or take it back.
                return Err(failure.next(SETTLE));
            }
            record.state = State::Held;
            let entry = match failure.kind {
                FailureKind::Conflict => {
                    let paths = met.iter().map(|c| c.path.clone()).collect();
                    let unknown = || Conflict { path: Bytes::default(), why: failure.what.clone() };
                    effects.conflicts.push(met.unwrap_or_else(unknown));
                    Body::RunConflict { count: 1, paths, run: record.id }
                }
                _ => Body::RunFailed { run: record.id, why: failure.what.clone() },
            };
            record.notes.push(failure.what.clone());
            self.store.write(record.id, PLAN, &plan_bytes(&plan), true)?;
            self.save(record, true)?;
            // By the log as well it is held with that, as it may have been before.
            if !told {
                self.records.write(&[entry])?;
            }
            return match failure.kind {
                FailureKind::Conflict => Ok(Outcome { record: record.clone(), effects }),
                _ => Err(failure),
            };
        }
        record.state = State::Committed;
        // The transaction has saved its end already; this adds the remarks.
        if let Err(failure) = self.save(record, false) {
            record.notes.push(failure.what);
        }
        trace.phase("recorded");
        Ok(Outcome { record: record.clone(), effects })
    }

    /// Looks whether the disk still is as the ledger saw it. `deep` looks beneath directories that go as
    /// a whole, too. Where the ledger has only just done so, that would double the cost of deleting a
    /// big tree for little: what was changed beneath one since goes into the vault with it as it is, and
    /// undo gives it back, as after an edit a moment before a plain `rm`. What would be written over or
    /// go by itself is looked at always.
    pub(super) fn as_rehearsed(
        &self,
        (plan, effects): (&Plan, &EffectSet),
        sites: &[Site],
        ends: &[Option<Timestamp>],
        deep: bool,
    ) -> Result<Checked, Failure> {
        let known = known(effects);
        let look = |history: &History| {
            check(plan, Direction::Forward, sites, &Bounds { ends, foreign: &[], history, known: &known, deep })
        };
        // Without any history everything that changed is somebody else's. Only where something has does
        // it take reading all receipts to tell what Backstop itself changed and changed back.
        let strict = look(&History::default())?;
        Ok(if strict.conflicts.is_empty() { strict } else { look(&self.history()?)? })
    }
}
