//! Files that a client's own tool changes. What the tool would do is rehearsed and judged like any command;
//! where that is allowed, the tool does it itself, and what it did is looked at afterwards and becomes a
//! run like any other, so that it can be taken back in its turn. What is kept for that: `commit/entrusted.rs`.

use backstop_core::audit::{Body, By};
use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::run::{RunRecord, State};
use serde::{Deserialize, Serialize};

use super::run::Rehearsed;
use super::{Engine, Outcome};
use crate::commit::{CommitError, Entrusted, Site, entrust, found, receipt};
use crate::failure::Failure;
use crate::ledger::observed;
use crate::transaction::{PLAN, RECEIPTS, plan_bytes};
use crate::volume::{Leftover, OpenVolume, tidy};

/// The file that says what was kept before the tool went on.
const LEFT: &str = "left.json";

/// What settling does where nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unchanged {
    /// Goes on waiting: the tool may still be about to begin.
    Wait,
    /// Gives the run up: the tool has ended.
    GiveUp,
}

impl Engine {
    /// The run of a tool call that was allowed and is not known to have ended.
    pub fn allowed_edit(&self, session: Option<&Bytes>, call: &Bytes) -> Result<Option<RunId>, Failure> {
        let is_it = |r: &RunRecord| r.request.asker.as_ref().and_then(|a| a.call.as_ref()) == Some(call);
        Ok(self.left(session)?.into_iter().find(is_it).map(|r| r.id))
    }

    /// Settles all that were allowed, of one session or of all. One that can't be settled stays as it is and
    /// stops no other: gives a remark for each of these.
    pub fn settle_edits(&mut self, session: Option<&Bytes>, unchanged: Unchanged) -> Result<Vec<String>, Failure> {
        let mut remarks = Vec::new();
        for id in self.left(session)?.into_iter().map(|r| r.id) {
            if let Err(failure) = self.settle_edit(id, unchanged) {
                remarks.push(format!("what a tool did as {id} can't be taken back yet: {}", failure.what));
            }
        }
        Ok(remarks)
    }

    fn left(&self, session: Option<&Bytes>) -> Result<Vec<RunRecord>, Failure> {
        let mut left = Vec::new();
        for id in self.store.left()? {
            match self.record(id) {
                Ok(r) if r.state != State::Allowed => self.store.mark_left(id, false)?,
                Ok(r) if session.is_none() || r.request.session.as_ref() == session => left.push(r),
                // One whose record is damaged can't be settled, and is no reason to leave out the others.
                _ => {}
            }
        }
        left.reverse();
        Ok(left)
    }

    /// Allowed: keeps what the tool is going to change, and leaves the rest to it.
    pub(super) fn leave(
        &mut self,
        record: &mut RunRecord,
        done: Rehearsed,
        entries: &[Body],
    ) -> Result<Outcome, Failure> {
        let id = record.id;
        // What was rehearsed is not committed: the tool writes it once more.
        for volume in &done.volumes {
            tidy(volume, id, Leftover::Upper).map_err(|e| Failure::because("cannot tidy the vault", &e))?;
        }
        self.keep_rights(id)?;
        let rights = self.rights(id)?;
        let site = |v| Ok(Site::new(v, id)?.on_behalf(rights.as_ref()));
        let sites: Vec<Site> = done.volumes.into_iter().map(site).collect::<Result<_, CommitError>>()?;
        let left = entrust(&done.plan, &sites)?;
        self.store.write_json(id, LEFT, &left, true)?;
        // Whoever freezes says so first, and then waits for this.
        let _lock = self.store.lock("apply")?;
        self.not_frozen()?;
        record.state = State::Allowed;
        self.records.write(entries)?;
        self.store.mark_left(id, true)?;
        self.save(record, true)?;
        Ok(Outcome { record: record.clone(), effects: done.effects })
    }

    /// Looks at what a tool did, and makes it a committed run; none where it did nothing.
    pub fn settle_edit(&mut self, id: RunId, unchanged: Unchanged) -> Result<Option<RunRecord>, Failure> {
        self.sound_of(id)?;
        let (_lock, mut record) = self.locked(id)?;
        if record.state != State::Allowed {
            return Ok(None);
        }
        let left: Option<Entrusted> = self.store.read_json(id, LEFT)?;
        let left = left.ok_or_else(|| Failure::internal(format!("what was kept for {id} is not known any more")))?;
        let rights = self.rights(id)?;
        let site = |v| Ok(Site::reopen(v, id)?.on_behalf(rights.as_ref()));
        let sites: Vec<Site> = left.volumes.iter().map(site).collect::<Result<_, CommitError>>()?;
        let Some(plan) = found(&left, &sites)? else {
            if unchanged == Unchanged::GiveUp {
                record.state = State::Discarded;
                self.save(&mut record, true)?;
                self.records.write(&[Body::RunDiscarded { by: By::Rule, run: id }])?;
                self.store.mark_left(id, false)?;
                let leftovers = self.sweep(id, Leftover::All);
                if !leftovers.is_empty() {
                    record.notes.extend(leftovers);
                    self.save(&mut record, false)?;
                }
            }
            return Ok(None);
        };
        let volumes: Vec<&OpenVolume> = sites.iter().filter_map(Site::volume).collect();
        let (effects, as_rehearsed) = observed(&self.read_effects(id)?, &volumes)
            .map_err(|e| Failure::because("cannot look at what the tool did", &e))?;
        self.store.write(id, PLAN, &plan_bytes(&plan), true)?;
        let digest = self.write_effects(id, &effects)?;
        record.digest = Some(digest);
        record.totals = Some(effects.totals());
        record.state = State::Committed;
        if !as_rehearsed {
            record.notes.push("what the tool wrote is not what it had said it would write".to_owned());
        }
        self.store.append_json(id, RECEIPTS, &receipt(&plan, &left, &sites)?)?;
        // The log first: cut off in between, it is settled once more, and the log says it twice.
        self.records.write(&[Body::RunObserved { as_rehearsed, digest, run: id, totals: effects.totals() }])?;
        self.save(&mut record, true)?;
        self.store.note_applied(id)?;
        self.store.mark_left(id, false)?;
        Ok(Some(record))
    }
}
