//! What went wrong, for the edge: a kind (it decides the exit code), one sentence with its causes,
//! and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The caller asked for something that is not there or makes no sense (exit 2).
    Usage,
    /// The disk changed meanwhile, or a turn was waited for in vain (exit 74).
    Conflict,
    /// The caller may not do this here (exit 77).
    Refused,
    /// Backstop or the machine failed; nothing was changed, or the next step says how what was begun is
    /// settled (exit 125).
    Internal,
    /// A signal to Backstop ended it (exit 128+N); nothing was changed.
    Interrupted(u8),
}

/// A failure with its causes and the next step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: FailureKind,
    /// What failed, with what; lower case, no period.
    pub what: String,
    /// What to do, one line each.
    pub next: Vec<String>,
    /// The rule behind it, where its kind doesn't say it.
    pub rule: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), next: Vec::new(), rule: None }
    }

    /// Something failed in Backstop or below it; nothing was changed.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, what)
    }

    /// The caller's mistake.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, what)
    }

    /// Wraps an error with what was being done: `cannot do X: cause: cause of cause`.
    pub fn because(what: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{}: {error}", what.into());
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self::internal(text)
    }

    /// Names the rule behind it.
    #[must_use]
    pub fn by(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    /// Adds a next step.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}
