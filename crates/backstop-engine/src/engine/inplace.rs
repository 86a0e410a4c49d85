//! Commands that run in place: servers, watchers, whatever goes on in the background. They can't be rehearsed,
//! because nobody would see what they do until they end; so they are confined instead of judged, and what
//! they changed in the agent's own places is neither known nor undone. The record and the log say so.

use backstop_core::audit::Body;
use backstop_core::effect::EffectSet;
use backstop_core::run::{RunRecord, State};
use backstop_sys::process::SIGTERM;

use super::told::{nested, note_end, open_doors};
use super::{Engine, Outcome};
use crate::failure::{Failure, FailureKind};
use crate::rehearse::{Rehearsal, RehearseError};
use crate::trace::Trace;

/// What is said of each.
const NO_UNDO: &str = "it ran in place: undo does not cover what it changed in the workspace, scratch and caches";

/// False for what keeps a command from beginning. Of all else it may have done something.
pub(super) const fn had_begun(error: &RehearseError) -> bool {
    use RehearseError as E;
    match error {
        E::Frozen { begun } | E::Banned { begun } => *begun,
        other => {
            !matches!(other, E::NoOverlay { .. } | E::Volume(_) | E::View(_) | E::Cwd { .. } | E::Descriptor { .. })
        }
    }
}

impl Engine {
    /// It has ended.
    pub(super) fn ran_in_place(
        &mut self,
        record: &mut RunRecord,
        rehearsal: Rehearsal,
        programs: Vec<Body>,
        mut trace: Trace,
    ) -> Result<Outcome, Failure> {
        note_end(record, &rehearsal);
        let effects = EffectSet { doors: rehearsal.doors, mounts: rehearsal.mounts, ..EffectSet::default() };
        self.write_effects(record.id, &effects)?;
        let mut entries = programs;
        entries.extend(nested(record.id, &rehearsal.nested));
        entries.push(Body::RunInPlace {
            doors: open_doors(&effects),
            exit: record.exit,
            left_behind: record.left_behind.clone(),
            run: record.id,
            why: None,
        });
        self.settle_in_place(record, &entries)?;
        trace.phase("record");
        self.over(record);
        trace.end(record.id);
        Ok(Outcome { record: record.clone(), effects })
    }

    /// It was ended.
    pub(super) fn ended_in_place(
        &mut self,
        record: &mut RunRecord,
        mut entries: Vec<Body>,
        error: &RehearseError,
    ) -> Failure {
        let why = error.to_string();
        let signal = match error {
            RehearseError::Interrupted(signal) => *signal,
            _ => SIGTERM as u8,
        };
        let mut failure = Failure::new(FailureKind::Interrupted(signal), format!("{why}; {NO_UNDO}"));
        if let RehearseError::Replaced { path } = error {
            failure = failure.next(format!("see whether somebody wants it so: {}", path.quoted()));
        }
        record.notes.push(why.clone());
        let ended = self.write_effects(record.id, &EffectSet::default()).and_then(|_| {
            entries.push(in_place_without_end(record, why));
            self.settle_in_place(record, &entries)?;
            Ok(self.store.not_alive(record.id)?)
        });
        if let Err(second) = ended {
            failure.what = format!("{}; and it can't be noted: {}", failure.what, second.what);
        }
        failure
    }

    /// Its process is gone: whatever it did is done.
    pub(super) fn bury_in_place(&mut self, record: &mut RunRecord) -> Result<&'static str, Failure> {
        let what = "was cut off; it ran in place, so what it changed stays";
        record.notes.push(format!("it {what}"));
        self.write_effects(record.id, &EffectSet::default())?;
        // Cut off before its request was recorded, it is not in the log, and never began.
        let entries = match self.records.is_requested(record.id)? {
            true => vec![in_place_without_end(record, "cut off".to_owned())],
            false => Vec::new(),
        };
        self.settle_in_place(record, &entries)?;
        Ok(what)
    }

    fn settle_in_place(&mut self, record: &mut RunRecord, entries: &[Body]) -> Result<(), Failure> {
        record.notes.push(NO_UNDO.to_owned());
        record.state = State::InPlace;
        self.records.write(entries)?;
        self.save(record, true)
    }
}

fn in_place_without_end(record: &RunRecord, why: String) -> Body {
    Body::RunInPlace { doors: Vec::new(), exit: None, left_behind: Vec::new(), run: record.id, why: Some(why) }
}
