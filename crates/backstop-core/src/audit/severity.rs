//! How much an entry matters: decided here once, whoever is told of it, in whatever form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::statement::Choice;
use crate::audit::Body;
use crate::policy::Decision;

/// How much it matters, as RFC 5424 numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody has to look at once.
    Alert = 1,
    /// Something is broken.
    Error = 3,
    /// Something was stopped, or is not as it should be.
    Warning = 4,
    /// Somebody should know of it.
    Notice = 5,
    /// The everyday.
    Info = 6,
    /// Signs of life.
    Debug = 7,
}

impl Severity {
    /// Its name in RFC 5424.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Body {
    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::ApprovalVoted { vote, .. } => match vote.choice {
                Choice::BreakGlass | Choice::Unjustified => Severity::Alert,
                _ => Severity::Notice,
            },
            Self::HostFrozen { .. } => Severity::Alert,
            Self::ExportStalled { .. }
            | Self::NoticeFailed { .. }
            | Self::PolicyRefused { .. }
            | Self::RunFailed { .. } => Severity::Error,
            Self::ApprovalAsked { .. }
            | Self::AuditRecovered { .. }
            | Self::ExportSkipped { .. }
            | Self::GuardStopped { .. }
            | Self::JailBanned { .. }
            | Self::Recovered { .. }
            | Self::RunDenied { .. } => Severity::Warning,
            Self::RunJudged { judgement, .. } => match judgement.decision {
                Decision::Allow => Severity::Info,
                Decision::Ask => Severity::Notice,
                Decision::TwoPerson | Decision::Deny => Severity::Warning,
            },
            Self::ApprovalClaimed { .. }
            | Self::ApprovalEnded { .. }
            | Self::AuditStarted { .. }
            | Self::ExportResumed { .. }
            | Self::GuardStarted { .. }
            | Self::HostThawed { .. }
            | Self::JailCleared { .. }
            | Self::JailCounted { .. }
            | Self::PeopleChanged { .. }
            | Self::PolicyLoaded { .. }
            | Self::RunConflict { .. }
            | Self::RunHeld { .. }
            | Self::RunRedone { .. }
            | Self::RunUndone { .. }
            | Self::VaultPruned { .. } => Severity::Notice,
            Self::ExecUnlisted { .. }
            | Self::Nested { .. }
            | Self::RunCommitted { .. }
            | Self::RunCommitting { .. }
            | Self::RunDiscarded { .. }
            | Self::RunDryRun { .. }
            | Self::RunInPlace { .. }
            | Self::RunObserved { .. }
            | Self::RunRedoing { .. }
            | Self::RunRehearsed { .. }
            | Self::RunRequested { .. }
            | Self::RunUndoing { .. } => Severity::Info,
            Self::AuditHeartbeat { .. } | Self::ExecRan { .. } | Self::NoticeDelivered { .. } => Severity::Debug,
        }
    }
}
