//! The engine's hand on the audit log: opened when first needed, every entry durable before the next
//! door opens.

use std::path::PathBuf;

use backstop_core::audit::Body;

use crate::audit::{AuditError, AuditLog};
use crate::clock;

/// The audit log of the state directory.
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

    /// Appends; returns when a power cut can't take it back.
    pub fn write(&mut self, bodies: &[Body]) -> Result<(), AuditError> {
        if bodies.is_empty() {
            return Ok(());
        }
        self.open()?;
        let now = clock::now();
        match &mut self.log {
            Some(log) => log.append(now, bodies),
            None => Ok(()),
        }
    }
}
