//! The JSON documents: what `--json` prints, each with a schema in `docs/format/`. Values of the
//! engine are copied into these, so that the engine may change without breaking readers.

mod approval;
mod freeze;
mod install;
mod jail;
mod policy;

use std::borrow::Cow;
use std::collections::BTreeMap;

use backstop_core::audit::Question;
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::{Conflict, EffectSet};
use backstop_core::id::RunId;
use backstop_core::request::Net;
use backstop_core::run::RunRecord;
use backstop_core::time::Timestamp;
use backstop_engine::audit::{Answer, Finding, Report, Weight};
use backstop_engine::{Failure, FailureKind, Listed, Outcome, Pruned, Recovered, UndoReport, Unreachable, VaultStatus};
use schemars::JsonSchema;
use serde::Serialize;

pub use approval::{DecidedDocument, PendingDocument, PeopleDocument};
pub use freeze::{FreezeDocument, ThawDocument};
pub use install::{
    AgentDocument, FileDocument, HoleDocument, InstallDocument, ProofDocument, SetupDocument, StepDocument,
};
pub use jail::{ClearDocument, JailDocument, JailTestDocument};
pub use policy::{
    ChangedRun, PolicyCheckDocument, PolicyExplainDocument, PolicyShowDocument, PolicySimulateDocument,
    PolicyTestDocument, TrialDocument,
};

/// The version of every document.
pub const VERSION: u32 = 1;

/// `run`, `commit`, `retry`, `wait`: what became of a run.
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
    /// Runs whose records can't be read.
    pub unreadable: Vec<UnreadableRun>,
    /// The document's version: 1.
    pub version: u32,
}

/// A run whose record can't be read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnreadableRun {
    /// The run.
    pub id: RunId,
    /// What to do.
    pub next: Vec<String>,
    /// Why.
    pub what: String,
}

impl RunsDocument {
    /// Of a list.
    pub fn of(listed: Listed) -> Self {
        let unreadable = listed.unreadable.into_iter();
        let unreadable = unreadable.map(|u| UnreadableRun { id: u.id, next: u.next, what: u.what }).collect();
        Self { runs: listed.runs, unreadable, version: VERSION }
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
    /// What kind of trouble.
    pub failure: FailureName,
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
                failure: FailureName::of(s.kind),
                id: *id,
                next: s.next.clone(),
                what: s.what.clone(),
            }),
            version: VERSION,
        }
    }
}

/// A vault that can't be opened.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnreachableVault {
    /// Where it is, or was.
    pub path: Bytes,
    /// Why it can't be opened.
    pub why: String,
}

impl UnreachableVault {
    fn all(unreachable: &[Unreachable]) -> Vec<Self> {
        unreachable.iter().map(|u| Self { path: u.path.clone(), why: u.why.clone() }).collect()
    }
}

/// `vault status`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VaultDocument {
    /// Vaults that can't be looked into.
    pub unreachable: Vec<UnreachableVault>,
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
        Self { unreachable: UnreachableVault::all(&status.unreachable), version: VERSION, volumes }
    }
}

/// `vault prune`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PrunedDocument {
    /// Bytes freed.
    pub bytes: u64,
    /// Runs that can no longer be undone.
    pub runs: Vec<RunId>,
    /// Vaults that nothing could be let go of, because they can't be opened.
    pub unreachable: Vec<UnreachableVault>,
    /// The document's version: 1.
    pub version: u32,
}

impl PrunedDocument {
    /// Of what was pruned.
    pub fn of(pruned: &Pruned) -> Self {
        let unreachable = UnreachableVault::all(&pruned.unreachable);
        Self { bytes: pruned.bytes, runs: pruned.runs.clone(), unreachable, version: VERSION }
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
    /// Where what others changed was in the way of what was there before: the names this has now.
    pub beside: Vec<Bytes>,
    /// The run.
    pub id: RunId,
    /// What somebody else changed between the crash and the recovery: it was left as it is.
    pub left: Vec<Conflict>,
    /// What was done about it.
    pub what: String,
}

impl RecoveredDocument {
    /// Of what was recovered.
    pub fn of(all: &[Recovered]) -> Self {
        let recovered = all
            .iter()
            .map(|r| RecoveredRun { beside: r.beside.clone(), id: r.id, left: r.left.clone(), what: r.what.clone() })
            .collect();
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
    /// A signal to Backstop ended it; nothing was changed.
    Interrupted,
}

impl FailureName {
    const fn of(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Usage => Self::Usage,
            FailureKind::Conflict => Self::Conflict,
            FailureKind::Refused => Self::Refused,
            FailureKind::Internal => Self::Internal,
            FailureKind::Interrupted(_) => Self::Interrupted,
        }
    }
}

impl FailureDocument {
    /// Of a failure.
    pub fn of(failure: &Failure, exit_code: u8) -> Self {
        let name = FailureName::of(failure.kind);
        Self { exit_code, failure: name, next: failure.next.clone(), version: VERSION, what: failure.what.clone() }
    }
}

/// `audit verify`: an auditor's three questions, and what was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditDocument {
    /// Had everything that took effect the word it needed?
    pub authorisation: AnswerName,
    /// Has every run each of its doors?
    pub completeness: AnswerName,
    /// Lines in the log.
    pub entries: u64,
    /// What was found, in the order of the log.
    pub findings: Vec<FindingDocument>,
    /// Is the log as it was written?
    pub integrity: AnswerName,
    /// How many findings more there are.
    pub more: u64,
    /// Runs with something under way at the end of the log.
    pub open: Vec<RunId>,
    /// Which log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The root over all whole lines.
    pub root: Digest,
    /// Runs it speaks of.
    pub runs: u64,
    /// Entries that the checkpoint covers.
    pub signed: u64,
    /// The document's version: 1.
    pub version: u32,
}

/// An answer.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerName {
    /// Yes.
    Holds,
    /// No.
    Broken,
    /// It can't be said.
    Unknown,
}

/// Something that was found in the audit log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FindingDocument {
    /// The entry it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The byte of the segment where that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The question it belongs to.
    pub question: QuestionName,
    /// The run it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The file it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// How much it weighs.
    pub weight: WeightName,
    /// What.
    pub what: String,
}

/// A question.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionName {
    /// Is the log as it was written?
    Integrity,
    /// Has every run each of its doors?
    Completeness,
    /// Had what took effect the word it needed?
    Authorisation,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightName {
    /// Worth knowing; breaks nothing.
    Note,
    /// The question's answer is no.
    Broken,
    /// Something could not be read.
    Unreadable,
}

impl AuditDocument {
    /// Of a report.
    pub fn of(report: &Report) -> Self {
        let answer = |a: Answer| match a {
            Answer::Holds => AnswerName::Holds,
            Answer::Broken => AnswerName::Broken,
            Answer::Unknown => AnswerName::Unknown,
        };
        let finding = |f: &Finding| FindingDocument {
            index: f.index,
            offset: f.offset,
            question: match f.question {
                Question::Integrity => QuestionName::Integrity,
                Question::Completeness => QuestionName::Completeness,
                Question::Authorisation => QuestionName::Authorisation,
            },
            run: f.run,
            segment: f.segment.clone(),
            weight: match f.weight {
                Weight::Note => WeightName::Note,
                Weight::Broken => WeightName::Broken,
                Weight::Unreadable => WeightName::Unreadable,
            },
            what: f.what.clone(),
        };
        Self {
            authorisation: answer(report.authorisation),
            completeness: answer(report.completeness),
            entries: report.entries,
            findings: report.findings.iter().map(finding).collect(),
            integrity: answer(report.integrity),
            more: report.more,
            open: report.open.clone(),
            origin: report.origin.clone(),
            root: report.root,
            runs: report.runs as u64,
            signed: report.signed,
            version: VERSION,
        }
    }
}

/// `doctor`: what this machine can and can't do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoctorDocument {
    /// What was tried.
    pub abilities: Vec<AbilityDocument>,
    /// The agents that have Backstop's hook, proven anew.
    pub agents: Vec<AgentDocument>,
    /// Whole homes, which are never a workspace.
    pub homes: Vec<Bytes>,
    /// Runs that wait for a person.
    pub held: u64,
    /// What the machine's settings say; none where they can't be used, and then no run goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineDocument>,
    /// True when it runs as root: every mount can be covered.
    pub privileged: bool,
    /// Scratch directories.
    pub scratch: Vec<Bytes>,
    /// The state directory.
    pub state: Bytes,
    /// The caller.
    pub uid: u32,
    /// What is kept for undo.
    pub vault: VaultDocument,
    /// The document's version: 1.
    pub version: u32,
    /// The workspace of a run from here; none when every change is outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Bytes>,
}

/// The machine's settings that are in force.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MachineDocument {
    /// The file; none where there is none and the defaults hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The profiles that a run may name, each with the widest network that it may have.
    pub may: BTreeMap<String, Net>,
    /// The profile of a run that names none.
    pub profile: String,
}

/// One ability, tried.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AbilityDocument {
    /// How it failed, or a version.
    pub detail: String,
    /// A fixed name.
    pub name: String,
    /// True when it worked.
    pub ok: bool,
    /// What it is for.
    pub what: String,
}

#[cfg(test)]
mod tests;
