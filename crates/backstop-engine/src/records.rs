//! The engine's hand on the audit log: opened when first needed, every entry durable before the next
//! door opens.

use std::path::PathBuf;

use backstop_core::audit::Body;
use backstop_core::id::RunId;
use backstop_core::time::Timestamp;

use crate::audit::{AuditError, AuditLog, entries};
use crate::clock;

/// The audit log of the state directory.
#[derive(Debug)]
pub(crate) struct Records {
    dir: PathBuf,
    log: Option<AuditLog>,
}

impl Records {
    /// The log in `dir`; not touched yet.
    pub const fn new(dir: PathBuf) -> Self {
        Self { dir, log: None }
    }

    /// Opens the log, which puts right what a crash left at its end.
    pub fn open(&mut self) -> Result<(), AuditError> {
        if self.log.is_none() {
            self.log = Some(AuditLog::open(&self.dir, clock::now())?);
        }
        Ok(())
    }

    /// Forgets how the log stands, after a write that failed; the next use looks.
    pub fn close(&mut self) {
        self.log = None;
    }

    /// True when the log says that a commit, undo or redo of this run was begun, and not how it ended.
    pub fn is_begun(&mut self, id: RunId) -> Result<bool, AuditError> {
        let begun = self.last_word(|body| match body {
            body if body.run() != Some(id) => None,
            Body::RunCommitting { .. } | Body::RunUndoing { .. } | Body::RunRedoing { .. } => Some(true),
            // Said of a run, or of what people were asked about it, and nothing of how it goes.
            Body::ExecRan { .. }
            | Body::ExecUnlisted { .. }
            | Body::Nested { .. }
            | Body::ApprovalAsked { .. }
            | Body::ApprovalClaimed { .. }
            | Body::ApprovalEnded { .. }
            | Body::ApprovalVoted { .. }
            | Body::JailCounted { .. } => None,
            _ => Some(false),
        })?;
        Ok(begun.unwrap_or(false))
    }

    /// What the newest entry says that says something.
    pub fn last_word<T>(&mut self, says: impl Fn(&Body) -> Option<T>) -> Result<Option<T>, AuditError> {
        self.open()?;
        let mut last = None;
        for entry in entries(&self.dir, 0) {
            last = says(&entry?.body).or(last);
        }
        Ok(last)
    }

    /// True when the run's request is in the log: only then anything more may be said of it.
    pub fn is_requested(&mut self, id: RunId) -> Result<bool, AuditError> {
        self.says(|body| matches!(body, Body::RunRequested { run, .. } if *run == id))
    }

    /// True when the log has an entry of which this holds.
    pub fn says(&mut self, holds: impl Fn(&Body) -> bool) -> Result<bool, AuditError> {
        self.says_from(0, holds)
    }

    /// The same from an entry on.
    pub fn says_from(&mut self, from: u64, holds: impl Fn(&Body) -> bool) -> Result<bool, AuditError> {
        self.open()?;
        for entry in entries(&self.dir, from) {
            if holds(&entry?.body) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Appends; returns when a power cut can't take it back.
    pub fn write(&mut self, bodies: &[Body]) -> Result<(), AuditError> {
        self.with_log(bodies, AuditLog::append)
    }

    /// The same of what can be left out, which is refused where the disk is as good as full.
    pub fn write_if_room(&mut self, bodies: &[Body]) -> Result<(), AuditError> {
        self.with_log(bodies, AuditLog::append_if_room)
    }

    fn with_log(
        &mut self,
        bodies: &[Body],
        append: impl FnOnce(&mut AuditLog, Timestamp, &[Body]) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        if bodies.is_empty() {
            return Ok(());
        }
        self.open()?;
        let now = clock::now();
        match &mut self.log {
            Some(log) => append(log, now, bodies),
            None => Ok(()),
        }
    }
}
