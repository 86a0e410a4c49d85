//! What the types of entries are called, and which of them speak of a run.

use crate::audit::Body;
use crate::id::RunId;

impl Body {
    /// The names of all types.
    pub const NAMES: [&'static str; 44] = [
        "approval.asked",
        "approval.claimed",
        "approval.ended",
        "approval.voted",
        "audit.heartbeat",
        "audit.recovered",
        "audit.started",
        "exec.ran",
        "exec.unlisted",
        "export.resumed",
        "export.skipped",
        "export.stalled",
        "guard.started",
        "guard.stopped",
        "host.frozen",
        "host.thawed",
        "jail.banned",
        "jail.cleared",
        "jail.counted",
        "notice.delivered",
        "notice.failed",
        "people.changed",
        "policy.loaded",
        "policy.refused",
        "run.committed",
        "run.committing",
        "run.conflict",
        "run.denied",
        "run.discarded",
        "run.dry-run",
        "run.failed",
        "run.held",
        "run.in-place",
        "run.judged",
        "run.nested",
        "run.observed",
        "run.recovered",
        "run.redoing",
        "run.redone",
        "run.rehearsed",
        "run.requested",
        "run.undoing",
        "run.undone",
        "vault.pruned",
    ];

    /// The type's name in the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ApprovalAsked { .. } => "approval.asked",
            Self::ApprovalClaimed { .. } => "approval.claimed",
            Self::ApprovalEnded { .. } => "approval.ended",
            Self::ApprovalVoted { .. } => "approval.voted",
            Self::AuditHeartbeat { .. } => "audit.heartbeat",
            Self::AuditRecovered { .. } => "audit.recovered",
            Self::AuditStarted { .. } => "audit.started",
            Self::ExecRan { .. } => "exec.ran",
            Self::ExecUnlisted { .. } => "exec.unlisted",
            Self::ExportResumed { .. } => "export.resumed",
            Self::ExportSkipped { .. } => "export.skipped",
            Self::ExportStalled { .. } => "export.stalled",
            Self::GuardStarted { .. } => "guard.started",
            Self::GuardStopped { .. } => "guard.stopped",
            Self::HostFrozen { .. } => "host.frozen",
            Self::HostThawed { .. } => "host.thawed",
            Self::JailBanned { .. } => "jail.banned",
            Self::JailCleared { .. } => "jail.cleared",
            Self::JailCounted { .. } => "jail.counted",
            Self::Nested { .. } => "run.nested",
            Self::NoticeDelivered { .. } => "notice.delivered",
            Self::NoticeFailed { .. } => "notice.failed",
            Self::PeopleChanged { .. } => "people.changed",
            Self::PolicyLoaded { .. } => "policy.loaded",
            Self::PolicyRefused { .. } => "policy.refused",
            Self::Recovered { .. } => "run.recovered",
            Self::RunCommitted { .. } => "run.committed",
            Self::RunCommitting { .. } => "run.committing",
            Self::RunConflict { .. } => "run.conflict",
            Self::RunDenied { .. } => "run.denied",
            Self::RunDiscarded { .. } => "run.discarded",
            Self::RunDryRun { .. } => "run.dry-run",
            Self::RunFailed { .. } => "run.failed",
            Self::RunHeld { .. } => "run.held",
            Self::RunJudged { .. } => "run.judged",
            Self::RunInPlace { .. } => "run.in-place",
            Self::RunObserved { .. } => "run.observed",
            Self::RunRedone { .. } => "run.redone",
            Self::RunRedoing { .. } => "run.redoing",
            Self::RunRehearsed { .. } => "run.rehearsed",
            Self::RunRequested { .. } => "run.requested",
            Self::RunUndone { .. } => "run.undone",
            Self::RunUndoing { .. } => "run.undoing",
            Self::VaultPruned { .. } => "vault.pruned",
        }
    }

    /// True for what says that something is about to begin, or is let go on: it may not, where no room is left to say how
    /// it ended. All else says that, or what was refused, taken back, stopped or told, and has to fit always.
    pub const fn begins(&self) -> bool {
        matches!(
            self,
            Self::ApprovalAsked { .. }
                | Self::ApprovalClaimed { .. }
                | Self::HostThawed { .. }
                | Self::JailCleared { .. }
                | Self::PeopleChanged { .. }
                | Self::RunCommitting { .. }
                | Self::RunRedoing { .. }
                | Self::RunRequested { .. }
        )
    }

    /// The run it speaks about, if one.
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::ApprovalAsked { question } => question.matter.run(),
            Self::ApprovalClaimed { run, .. } | Self::ApprovalEnded { run, .. } | Self::ApprovalVoted { run, .. } => {
                *run
            }
            Self::AuditHeartbeat { .. }
            | Self::AuditRecovered { .. }
            | Self::AuditStarted { .. }
            | Self::ExportResumed { .. }
            | Self::ExportSkipped { .. }
            | Self::ExportStalled { .. }
            | Self::GuardStarted { .. }
            | Self::GuardStopped { .. }
            | Self::HostFrozen { .. }
            | Self::HostThawed { .. }
            | Self::JailBanned { .. }
            | Self::JailCleared { .. }
            | Self::NoticeDelivered { .. }
            | Self::NoticeFailed { .. }
            | Self::PeopleChanged { .. }
            | Self::PolicyLoaded { .. }
            | Self::PolicyRefused { .. }
            | Self::VaultPruned { .. } => None,
            Self::JailCounted { offence } => offence.run,
            Self::ExecRan { run, .. }
            | Self::ExecUnlisted { run, .. }
            | Self::Nested { run, .. }
            | Self::Recovered { run, .. }
            | Self::RunCommitted { run }
            | Self::RunCommitting { run, .. }
            | Self::RunConflict { run, .. }
            | Self::RunDenied { run }
            | Self::RunDiscarded { run, .. }
            | Self::RunDryRun { run }
            | Self::RunFailed { run, .. }
            | Self::RunHeld { run }
            | Self::RunJudged { run, .. }
            | Self::RunInPlace { run, .. }
            | Self::RunObserved { run, .. }
            | Self::RunRedone { run }
            | Self::RunRedoing { run, .. }
            | Self::RunRehearsed { run, .. }
            | Self::RunRequested { run, .. }
            | Self::RunUndone { run }
            | Self::RunUndoing { run, .. } => Some(*run),
        }
    }
}
