//! What a rehearsal tells: for the record, for the log, and where it failed, for people.

use backstop_core::audit::Body;
use backstop_core::bytes::Bytes;
use backstop_core::canon;
use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::program::Unlisted;
use backstop_core::request::NestedRequest;
use backstop_core::run::RunRecord;

use super::Engine;
use crate::failure::{Failure, FailureKind};
use crate::rehearse::{Rehearsal, RehearseError, Started};

/// How the command ended.
pub(super) fn note_end(record: &mut RunRecord, rehearsal: &Rehearsal) {
    record.exit = Some(rehearsal.exit);
    record.left_behind.clone_from(&rehearsal.left_behind);
    let program = record.request.command.argv().into_iter().next().unwrap_or_default();
    let why = rehearsal.not_started.iter();
    record.notes.extend(why.map(|why| format!("cannot run {}: {why}", program.quoted())));
    record.notes.extend(rehearsal.notes.iter().cloned());
}

/// Entries for what was noted of nested runs; what is no such note is passed over, being the
/// command's own scribble.
pub(super) fn nested(run: RunId, lines: &[Bytes]) -> Vec<Body> {
    let notes = lines.iter().filter_map(|l| serde_json::from_slice::<NestedRequest>(l.as_slice()).ok());
    notes
        .map(|NestedRequest { command, cwd, reason, session }| Body::Nested { command, cwd, reason, run, session })
        .collect()
}

/// So many bytes of programs are told together with how the command ended; more of them first, and only where there is room:
/// what has to be said always needs no more than is kept for it.
const FEW: usize = 64 << 10;

impl Engine {
    /// Which programs it started, as entries that are yet to be written.
    pub(super) fn programs(&mut self, record: &mut RunRecord, started: Started) -> Vec<Body> {
        let run = record.id;
        let Started { programs, unlisted } = started;
        let listed = programs.len() as u64;
        let mut entries: Vec<Body> = programs.into_iter().map(|program| Body::ExecRan { program, run }).collect();
        entries.extend(unlisted.clone().map(|unlisted| Body::ExecUnlisted { run, unlisted }));
        if entries.iter().map(|body| canon::line(body).len()).sum::<usize>() <= FEW {
            return entries;
        }
        match self.records.write_if_room(&entries) {
            Ok(()) => Vec::new(),
            Err(error) => {
                record.notes.push(format!("programs that it started are not on record: {error}"));
                let why = format!("they can't be put on record: {error}");
                let count = unlisted.map_or(Some(listed), |more| Some(more.count?.saturating_add(listed)));
                vec![Body::ExecUnlisted { run, unlisted: Unlisted { count, why } }]
            }
        }
    }
}

/// Where the command got to outside.
pub(super) fn open_doors(effects: &EffectSet) -> Vec<Bytes> {
    effects.doors.iter().filter(|d| !d.shut).map(|d| d.to.clone()).collect()
}

/// A rehearsal's failure for the edge.
pub(super) fn rehearsal_failure(error: &RehearseError) -> Failure {
    let failure = Failure::because("nothing was run", error);
    match error {
        RehearseError::NoOverlay { help, .. } => help.iter().fold(failure, |f, h| f.next(h.clone())),
        RehearseError::Interrupted(signal) => Failure::new(
            FailureKind::Interrupted(*signal),
            format!("interrupted by signal {signal}; nothing took effect"),
        ),
        RehearseError::TooBig { .. } | RehearseError::NoSpace { .. } => {
            Failure::because("the command was stopped and nothing took effect", error)
                .next("make room (backstop vault status), or let it write less at once")
        }
        RehearseError::Frozen { .. } => crate::freeze::refused(format!("{error}; nothing of it took effect")),
        RehearseError::Banned { .. } => {
            Failure::new(FailureKind::Refused, format!("{error}; nothing of it took effect"))
                .next("see why, and until when: backstop jail list")
        }
        RehearseError::Lost => Failure::because("nothing took effect", error),
        // Only of what ran in place, which is ended in other words.
        RehearseError::Replaced { .. } => Failure::because("the command was ended", error),
        RehearseError::Volume(_)
        | RehearseError::View(_)
        | RehearseError::Cwd { .. }
        | RehearseError::Descriptor { .. }
        | RehearseError::Io { .. } => failure,
    }
}
