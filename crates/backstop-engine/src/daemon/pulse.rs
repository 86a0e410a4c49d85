//! The daemon's own signs of life in the audit log: that it watches, once a minute that it still does, and that it was
//! told to end. What is missing is said by whoever verifies the log (`core::audit::Watch`).
//!
//! A child writes each: a disk that hangs, or a log that takes long to open, keeps no caller waiting.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstop_core::audit::{Body, Clocks, Watch};
use backstop_sys::process;

use crate::audit::AuditLog;
use crate::clock;
use crate::failure::Failure;

/// From one sign of life to the next.
const EVERY: Duration = Duration::from_secs(Watch::EVERY);

/// When the next one is due, and who writes the one of before.
#[derive(Debug)]
pub struct Pulse {
    log: PathBuf,
    next: Instant,
    writer: Option<i32>,
}

impl Pulse {
    /// Puts on record that the daemon watches.
    pub fn begin(log: PathBuf) -> Self {
        record(&log, |clocks| Body::GuardStarted { clocks, version: env!("CARGO_PKG_VERSION").to_owned() });
        Self { log, next: Instant::now() + EVERY, writer: None }
    }

    /// How long until the next is due.
    pub fn due(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Has the next one written, where it is due.
    pub fn beat(&mut self) {
        if !self.due().is_zero() {
            return;
        }
        self.next = Instant::now() + EVERY;
        if self.writer.is_some() {
            return eprintln!("backstopd: the audit log has taken no sign of life for a minute");
        }
        let made = process::fork(|| {
            process::close_all_but(&[0, 1, 2]);
            record(&self.log, |clocks| Body::AuditHeartbeat { clocks });
            0
        });
        match made {
            Ok(pid) => self.writer = Some(pid),
            Err(e) => eprintln!("backstopd: cannot give a sign of life: {e}"),
        }
    }

    /// True where it was the writer that has ended.
    pub fn ended(&mut self, pid: i32) -> bool {
        let own = self.writer == Some(pid);
        if own {
            self.writer = None;
        }
        own
    }

    /// Puts on record that the daemon was told to end; nothing is written after it.
    pub fn end(&mut self) {
        if let Some(pid) = self.writer.take() {
            // It has ended already, where that fails.
            let _ended = process::reap(pid);
        }
        record(&self.log, |clocks| Body::GuardStopped { clocks });
    }
}

/// Whoever can't write has said so, and every run is refused for the same reason: the daemon goes on, so that people can
/// look.
fn record(log: &Path, body: impl FnOnce(Clocks) -> Body) {
    let write = || -> Result<(), Failure> {
        let body = body(clocks()?);
        let now = clock::now();
        Ok(AuditLog::open(log, now).and_then(|mut log| log.append(now, &[body]))?)
    };
    if let Err(failure) = write() {
        eprintln!("backstopd: cannot put on record that it watches: {}", failure.what);
    }
}

fn clocks() -> Result<Clocks, Failure> {
    let path = "/proc/sys/kernel/random/boot_id";
    let boot = fs::read_to_string(path).map_err(|e| Failure::because(format!("cannot read {path}"), &e))?;
    Ok(Clocks { awake: process::awake().as_secs(), boot: boot.trim().to_owned(), up: process::up().as_secs() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kept, entries, verify};

    #[test]
    fn what_a_guard_puts_on_record_is_in_order_and_verifies() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let log = dir.path().join("audit");
        let mut pulse = Pulse::begin(log.clone());
        assert!(!pulse.due().is_zero() && pulse.due() <= EVERY);
        // Nothing before its time.
        pulse.beat();
        record(&log, |clocks| Body::AuditHeartbeat { clocks });
        pulse.end();
        let names: Vec<_> = entries(&log, 0).map(|e| e.expect("readable").body.name()).collect();
        assert_eq!(names, ["audit.started", "guard.started", "audit.heartbeat", "guard.stopped"]);
        let report = verify(&log, &Kept::default());
        assert!(report.exit() == 0 && report.findings.is_empty(), "{report:?}");
        // Told to end, and there again: nothing is missing. Begun once more, something is.
        Pulse::begin(log.clone()).end();
        assert_eq!(verify(&log, &Kept::default()).findings, []);
        Pulse::begin(log.clone());
        Pulse::begin(log.clone());
        let report = verify(&log, &Kept::default());
        assert!(report.exit() == 0 && report.findings.len() == 1, "{report:?}");
        assert!(report.findings[0].what.starts_with("the guard ended without being stopped"), "{report:?}");
    }
}
