//! The JSON documents: what `--json` prints, each with a schema in `docs/format/`. Values of the
//! engine are copied into these, so that the engine may change without breaking readers.

use std::borrow::Cow;

use backstop_core::bytes::Bytes;
use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::run::RunRecord;
use backstop_core::time::Timestamp;
use backstop_engine::{Failure, FailureKind, Outcome, Pruned, Recovered, UndoReport, VaultStatus};
use schemars::JsonSchema;
use serde::Serialize;

/// The version of every document.
pub const VERSION: u32 = 1;

/// `run`, `commit`, `retry`: what became of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunDocument<'a> {
    /// What it would change, or changed.
    pub effects: Cow<'a, EffectSet>,
    /// The code that `backstop` itself returns.
    pub exit_code: u8,
    /// The record, with state, exit and judgement.
    pub record: Cow<'a, RunRecord>,
    /// The document's version: 1.
    pub version: u32,
}

impl<'a> RunDocument<'a> {
    /// Of an outcome.
    pub const fn of(outcome: &'a Outcome, exit_code: u8) -> Self {
        Self {
            effects: Cow::Borrowed(&outcome.effects),
            exit_code,
            record: Cow::Borrowed(&outcome.record),
            version: VERSION,
        }
    }
}

/// `show`: a run and what it would change, or changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShowDocument<'a> {
    /// What it would change, or changed.
    pub effects: Cow<'a, EffectSet>,
    /// The record.
    pub record: Cow<'a, RunRecord>,
    /// The document's version: 1.
    pub version: u32,
}

impl<'a> ShowDocument<'a> {
    /// Of an outcome.
    pub const fn of(outcome: &'a Outcome) -> Self {
        Self { effects: Cow::Borrowed(&outcome.effects), record: Cow::Borrowed(&outcome.record), version: VERSION }
    }
}

/// `discard`: the run's record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordDocument {
    /// The record.
    pub record: RunRecord,
    /// The document's version: 1.
    pub version: u32,
}

impl RecordDocument {
    /// Of a record.
    pub const fn of(record: RunRecord) -> Self {
        Self { record, version: VERSION }
    }
}

/// `runs`: newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunsDocument {
    /// The runs.
    pub runs: Vec<RunRecord>,
    /// The document's version: 1.
    pub version: u32,
}

impl RunsDocument {
    /// Of records.
    pub const fn of(runs: Vec<RunRecord>) -> Self {
        Self { runs, version: VERSION }
    }
}

/// `undo`, `redo`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UndoDocument {
    /// Old content that was put beside a newer file.
    pub beside: Vec<Bytes>,
    /// The runs taken back (or brought back), in the order done.
    pub done: Vec<RunRecord>,
    /// Remarks.
    pub notes: Vec<String>,
    /// What stopped it before the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedDocument>,
    /// The document's version: 1.
    pub version: u32,
}

/// What stopped an undo or redo; nothing of that run was changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StoppedDocument {
    /// The run.
    pub id: RunId,
    /// What to do.
    pub next: Vec<String>,
    /// What failed.
    pub what: String,
}

impl UndoDocument {
    /// Of a report.
    pub fn of(report: &UndoReport) -> Self {
        Self {
            beside: report.beside.clone(),
            done: report.done.clone(),
            notes: report.notes.clone(),
            stopped: report.stopped.as_ref().map(|(id, s)| StoppedDocument {
                id: *id,
                next: s.next.clone(),
                what: s.what.clone(),
            }),
            version: VERSION,
        }
    }
}

/// `vault status`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VaultDocument {
    /// The document's version: 1.
    pub version: u32,
    /// One per file system.
    pub volumes: Vec<VolumeDocument>,
}

/// One file system's vault.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VolumeDocument {
    /// Free bytes of the file system.
    pub free: u64,
    /// File system type.
    pub fs: String,
    /// Bytes it may take.
    pub limit: u64,
    /// The oldest run that can be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<RunId>,
    /// When that one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<Timestamp>,
    /// Where the vault is.
    pub path: Bytes,
    /// Runs it keeps something for.
    pub runs: u64,
    /// Bytes in it.
    pub used: u64,
}

impl VaultDocument {
    /// Of a status.
    pub fn of(status: &VaultStatus) -> Self {
        let volumes = status
            .volumes
            .iter()
            .map(|v| VolumeDocument {
                free: v.free,
                fs: v.fs.clone(),
                limit: v.limit,
                oldest: v.oldest.map(|(id, _)| id),
                oldest_at: v.oldest.map(|(_, at)| at),
                path: v.path.clone(),
                runs: v.runs,
                used: v.used,
            })
            .collect();
        Self { version: VERSION, volumes }
    }
}

/// `vault prune`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PrunedDocument {
    /// Bytes freed.
    pub bytes: u64,
    /// Runs that can no longer be undone.
    pub runs: Vec<RunId>,
    /// The document's version: 1.
    pub version: u32,
}

impl PrunedDocument {
    /// Of what was pruned.
    pub fn of(pruned: &Pruned) -> Self {
        Self { bytes: pruned.bytes, runs: pruned.runs.clone(), version: VERSION }
    }
}

/// `recover`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecoveredDocument {
    /// What was put right.
    pub recovered: Vec<RecoveredRun>,
    /// The document's version: 1.
    pub version: u32,
}

/// A run that a crash had left half done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecoveredRun {
    /// The run.
    pub id: RunId,
    /// What was done about it.
    pub what: String,
}

impl RecoveredDocument {
    /// Of what was recovered.
    pub fn of(all: &[Recovered]) -> Self {
        let recovered = all.iter().map(|r| RecoveredRun { id: r.id, what: r.what.clone() }).collect();
        Self { recovered, version: VERSION }
    }
}

/// What `--json` prints when a verb fails.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FailureDocument {
    /// The code that `backstop` returns.
    pub exit_code: u8,
    /// What kind of trouble.
    pub failure: FailureName,
    /// What to do.
    pub next: Vec<String>,
    /// The document's version: 1.
    pub version: u32,
    /// What failed.
    pub what: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureName {
    /// The arguments make no sense, or name something that is not there.
    Usage,
    /// The disk changed meanwhile.
    Conflict,
    /// The caller may not do this here.
    Refused,
    /// Backstop or the machine failed; nothing was changed.
    Internal,
}

impl FailureDocument {
    /// Of a failure.
    pub fn of(failure: &Failure, exit_code: u8) -> Self {
        let name = match failure.kind {
            FailureKind::Usage => FailureName::Usage,
            FailureKind::Conflict => FailureName::Conflict,
            FailureKind::Refused => FailureName::Refused,
            FailureKind::Internal => FailureName::Internal,
        };
        Self { exit_code, failure: name, next: failure.next.clone(), version: VERSION, what: failure.what.clone() }
    }
}

#[cfg(test)]
mod tests;
