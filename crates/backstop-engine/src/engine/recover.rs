//! After a crash: every transaction that began is brought to its end or taken back, every run that was
//! cut off is given up. Doing it twice is the same as once.

use backstop_core::audit::{Body, Settled};
use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::plan::Plan;
use backstop_core::run::{RunRecord, State};

use super::{Engine, RECORD, Recovered};
use crate::approvals;
use crate::failure::Failure;
use crate::store::StoreError;
use crate::transaction::{BESIDE, Intent, Kind, PLAN, Transaction, plan_bytes, plan_digest};
use crate::volume::Leftover;

impl Engine {
    /// Puts right what a crash left. What another process is working on is left to it.
    pub(super) fn recover(&mut self) -> Result<Vec<Recovered>, Failure> {
        let mut done = Vec::new();
        if !self.store.open_marks()?.is_empty() {
            // Whoever works on one holds this lock; once we have it, what is open was left behind.
            let lock = match self.settings.viewer {
                None => Some(self.store.lock("apply")?),
                // One of many callers of a daemon: he does not wait for what others are at.
                Some(_) => self.store.try_lock("apply", "")?.ok(),
            };
            let open = if lock.is_some() { self.store.open_marks()? } else { Vec::new() };
            for id in open {
                match self.finish(id) {
                    Ok(settled) => done.push(settled),
                    // That of one is no reason to leave the others.
                    Err(failure) => self.stuck_runs.push((self.asker_of(id), failure)),
                }
            }
        }
        if approvals::staged_people(&self.store).map_or(true, |staged| staged.is_some()) {
            let lock = self.store.lock("apply")?;
            self.settle_people(&lock)?;
        }
        for (id, _lock) in self.store.dead()? {
            // Cut off while it was applied, its record says that it never got so far: what could not be finished here,
            // or is being finished elsewhere, is nobody's to clear away.
            if !self.is_settled(id) {
                continue;
            }
            match self.store.read_versioned::<RunRecord>(id, RECORD) {
                // That of one run is no reason to stop all others; `runs` names it. Its mark stays.
                Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => {}
                _ => done.extend(self.bury(id)?),
            }
        }
        Ok(done)
    }

    /// Signs what a crash left unsigned at the end of the audit log. (Every run does so when it writes
    /// its first entry; this is for who wants it now.)
    pub fn mend_records(&mut self) -> Result<(), Failure> {
        Ok(self.records.open()?)
    }

    fn finish(&mut self, id: RunId) -> Result<Recovered, Failure> {
        let stuck = |f: Failure| f.next(format!("mend the cause, then: backstop recover (run {id})"));
        let Some(intent) = self.store.read_mark::<Intent>(id)? else {
            return Ok(Recovered::of(id, "was already done"));
        };
        if !self.records.is_begun(id)? {
            // The first step comes after the entry that says so, and the record's state before the one
            // that says how it ended: either nothing was done, or everything.
            self.store.mark_closed(id)?;
            return Ok(Recovered::of(id, "was done already, or had not begun"));
        }
        let (plan, beside) = self.begun(id, &intent).map_err(stuck)?;
        let sites = self.sites(id, &plan).map_err(stuck)?;
        let durability = self.settings.durability;
        let (store, records) = (&self.store, &mut self.records);
        let mut transaction = Transaction { store, records, id, plan: &plan, beside, sites: &sites, durability };
        let ended = transaction.finish(&intent).map_err(|e| stuck(e.into()))?;
        let (now, what) = match (intent.kind, ended.done) {
            (Kind::Commit, true) => (Settled::Committed, "its commit was finished"),
            (Kind::Commit, false) => (Settled::Held, "its commit was taken back; it is held again"),
            (Kind::Undo, true) => (Settled::Undone, "its undo was finished"),
            (Kind::Undo, false) => (Settled::Committed, "its undo was taken back"),
            (Kind::Redo, true) => (Settled::Committed, "its redo was finished"),
            (Kind::Redo, false) => (Settled::Undone, "its redo was taken back"),
        };
        let what = match ended.left.len() {
            0 => what.to_owned(),
            n => format!("{what}; what somebody else changed after the crash was left as it is, in {n} places"),
        };
        let entry = Body::Recovered { now, run: id, what: what.clone() };
        transaction.settle(intent.kind, ended.done, &[entry]).map_err(|e| stuck(e.into()))?;
        if let Some(mut record) = self.store.read_versioned::<RunRecord>(id, RECORD)? {
            record.notes.push(format!("after a crash {what}"));
            record.notes.extend(ended.left.iter().map(|c| format!("{}: {}", c.path.quoted(), c.why)));
            let beside = |path: &Bytes| format!("what was there before is now {}", path.quoted());
            record.notes.extend(ended.beside.iter().map(beside));
            self.save(&mut record, false)?;
        }
        self.store.not_alive(id)?;
        Ok(Recovered { id, what, left: ended.left, beside: ended.beside })
    }

    /// The plan that was begun: the run's own, or that of an undo beside later work (true).
    fn begun(&self, id: RunId, intent: &Intent) -> Result<(Plan, bool), Failure> {
        for (name, beside) in [(PLAN, false), (BESIDE, true)] {
            let plan: Option<Plan> = self.store.read_json(id, name)?;
            if let Some(plan) = plan.filter(|plan| plan_digest(&plan_bytes(plan)) == intent.plan) {
                return Ok((plan, beside));
            }
        }
        Err(Failure::internal(format!("the plan of {id} that was begun is gone, or is another one now")))
    }

    /// A run whose process is gone: what it rehearsed is worth nothing, unless it was held meanwhile.
    fn bury(&mut self, id: RunId) -> Result<Option<Recovered>, Failure> {
        let Some(mut record) = self.record_if_any(id)? else {
            self.store.not_alive(id)?;
            return Ok(None);
        };
        let what = match record.state {
            State::Rehearsing if record.request.in_place => Some(self.bury_in_place(&mut record)?),
            State::Rehearsing => {
                // A held or committing run has its plan on the disk; this one got no further than
                // rehearsing, or was cut off before anything was let through.
                record.notes.extend(self.sweep(id, Leftover::All));
                record.state = State::Failed;
                record.notes.push("cut off before anything took effect".to_owned());
                self.save(&mut record, true)?;
                let what = "was cut off; nothing of it took effect";
                // Cut off before its request was recorded, it is not in the log, and never began.
                if self.records.is_requested(id)? {
                    let entry = Body::Recovered { now: Settled::Discarded, run: id, what: what.to_owned() };
                    self.records.write(&[entry])?;
                }
                Some(what)
            }
            _ => None,
        };
        self.store.not_alive(id)?;
        Ok(what.map(|what| Recovered::of(id, what)))
    }

    /// Holds the mark of a run that is under way.
    pub(super) fn alive(&self, id: RunId) -> Result<crate::store::Lock, Failure> {
        Ok(self.store.alive(id)?)
    }

    /// True when a plan is on the disk, so that a held run can be committed.
    pub(super) fn has_plan(&self, id: RunId) -> Result<bool, Failure> {
        Ok(self.store.read(id, PLAN)?.is_some())
    }
}
