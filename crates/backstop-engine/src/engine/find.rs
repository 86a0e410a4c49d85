//! Finds runs: by id, prefix, or place in the list.

use backstop_core::id::RunId;
use backstop_core::run::RunRecord;

use super::{Engine, Filter, Listed, RECORD, Unreadable};
use crate::failure::Failure;
use crate::store::StoreError;

impl Engine {
    /// The run that `text` names: an id, an unambiguous prefix (with or without `r-`), `@last`, `@-2`.
    pub fn find(&self, text: &str) -> Result<RunId, Failure> {
        let mut ids = self.store.ids()?;
        if self.sees_his_own().is_some() {
            // Of others' runs not even the names.
            ids.retain(|id| self.known(*id).is_ok_and(|r| self.sees(&r)));
        }
        if let Some(back) = text.strip_prefix('@') {
            let n = match back {
                "last" => Some(1),
                _ => back.strip_prefix('-').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0),
            };
            let n = n.ok_or_else(|| {
                Failure::usage(format!("{text} names no run")).next("say @last, or @-2 for the one before")
            })?;
            // A run that was cut off before its record was written (a full disk) is in no list.
            let mut recorded = 0;
            for id in ids.into_iter().rev() {
                let meant = || self.settings.viewer.is_none() || self.known(id).is_ok_and(|r| self.is_meant(&r));
                recorded += usize::from(self.store.has(id, RECORD) && meant());
                if recorded == n {
                    return Ok(id);
                }
            }
            return Err(Failure::usage(format!("there are only {recorded} runs")).next("list them: backstop runs"));
        }
        if let Some(id) = RunId::parse(text).filter(|id| ids.contains(id)) {
            return Ok(id);
        }
        let prefix = text.strip_prefix("r-").unwrap_or(text);
        let matching: Vec<RunId> =
            ids.into_iter().filter(|id| !prefix.is_empty() && id.to_string()[2..].starts_with(prefix)).collect();
        match matching[..] {
            [one] => Ok(one),
            [] => Err(Failure::usage(format!("there is no run {}", backstop_core::quoted::Quoted(text.as_bytes())))
                .next("list them: backstop runs")),
            _ => {
                let some: Vec<String> = matching.iter().take(4).map(ToString::to_string).collect();
                Err(Failure::usage(format!("{text} may be any of {} runs: {}", matching.len(), some.join(", ")))
                    .next("give more of the id"))
            }
        }
    }

    /// A run's record, where it is one of those that are to be seen.
    pub fn record(&self, id: RunId) -> Result<RunRecord, Failure> {
        let record = self.known(id)?;
        if self.sees(&record) { Ok(record) } else { Err(StoreError::NoRun(id).into()) }
    }

    /// True for a run that whoever asks may see.
    fn sees(&self, record: &RunRecord) -> bool {
        self.sees_his_own().is_none_or(|his| record.request.asked_by() == his.uid)
    }

    /// A run's record, whoever's it is: for what the engine does by itself.
    pub(super) fn known(&self, id: RunId) -> Result<RunRecord, Failure> {
        let record = self.store.read_versioned(id, RECORD).map_err(|error| record_failure(id, error))?;
        record.ok_or_else(|| {
            Failure::internal(format!("the record of {id} is missing")).next(
                "it was cut off at its very start, before anything took effect: see the others with backstop runs",
            )
        })
    }

    /// A run's record; none where there is no such run, or it was cut off before it had one.
    pub(super) fn record_if_any(&self, id: RunId) -> Result<Option<RunRecord>, Failure> {
        match self.store.read_versioned(id, RECORD) {
            Err(StoreError::NoRun(_)) => Ok(None),
            Err(error) => Err(record_failure(id, error)),
            other => Ok(other?),
        }
    }

    /// The runs, newest first; those whose record can't be read by name.
    pub fn runs(&self, filter: &Filter) -> Result<Listed, Failure> {
        let mut listed = Listed { runs: Vec::new(), unreadable: Vec::new() };
        for id in self.store.ids()?.into_iter().rev() {
            let record = match self.store.read_versioned::<RunRecord>(id, RECORD) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                // Whose it is nobody can say.
                Err(_) if self.sees_his_own().is_some() => continue,
                Err(error) => {
                    let Failure { what, next, .. } = record_failure(id, error);
                    listed.unreadable.push(Unreadable { id, what, next });
                    continue;
                }
            };
            if !self.sees(&record) {
                continue;
            }
            let state = filter.state.is_none_or(|s| s == record.state);
            let session = filter.session.is_none() || filter.session == record.request.session;
            let call =
                filter.call.is_none() || filter.call == record.request.asker.as_ref().and_then(|a| a.call.clone());
            if state && session && call {
                listed.runs.push(record);
                if filter.call.is_some() {
                    break;
                }
            }
        }
        Ok(listed)
    }

    /// The runs, newest first, where all have to be known: one that can't be read may be one of them.
    pub(super) fn all_runs(&self, filter: &Filter) -> Result<Vec<RunRecord>, Failure> {
        let listed = self.runs(filter)?;
        match listed.unreadable.into_iter().next() {
            None => Ok(listed.runs),
            Some(Unreadable { what, next, .. }) => {
                let failure = Failure::internal(what).next("name the runs one by one: backstop runs");
                Err(next.into_iter().fold(failure, Failure::next))
            }
        }
    }
}

/// A run's record can't be read: that is this run's trouble, not the whole directory's.
fn record_failure(id: RunId, error: StoreError) -> Failure {
    match &error {
        StoreError::Damaged { .. } => Failure::because(format!("the record of {id} can't be read"), &error)
            .next(format!("the audit log still has what became of it: backstop log | grep {id}")),
        _ => error.into(),
    }
}
