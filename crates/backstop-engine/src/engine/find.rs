//! Finds runs: by id, prefix, or place in the list.

use backstop_core::id::RunId;
use backstop_core::run::RunRecord;

use super::{Engine, Filter, RECORD};
use crate::failure::Failure;

impl Engine {
    /// The run that `text` names: an id, an unambiguous prefix (with or without `r-`), `@last`, `@-2`.
    pub fn find(&self, text: &str) -> Result<RunId, Failure> {
        let ids = self.store.ids()?;
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
                recorded += usize::from(self.store.has(id, RECORD));
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

    /// A run's record.
    pub fn record(&self, id: RunId) -> Result<RunRecord, Failure> {
        let record = self.store.read_json(id, RECORD)?;
        record.ok_or_else(|| {
            Failure::internal(format!("the record of {id} is missing")).next(
                "it was cut off at its very start, before anything took effect: see the others with backstop runs",
            )
        })
    }

    /// The runs, newest first.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<RunRecord>, Failure> {
        let mut list = Vec::new();
        for id in self.store.ids()?.into_iter().rev() {
            let Some(record) = self.store.read_json::<RunRecord>(id, RECORD)? else { continue };
            let state = filter.state.is_none_or(|s| s == record.state);
            let session = filter.session.is_none() || filter.session == record.request.session;
            if state && session {
                list.push(record);
            }
        }
        Ok(list)
    }
}
