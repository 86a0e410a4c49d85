//! The daemon's own signs of life in the audit log: that it watches, once a minute that it still does, and that it was
//! told to end. What is missing is said by whoever verifies the log (`core::audit::Watch`).
//!
//! The first it writes itself, before it serves. Each of the others a child writes: a disk that hangs, or a log that takes
//! long to open, keeps neither a caller waiting nor the daemon from its end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstop_core::audit::{Body, Clocks, Watch};
use backstop_sys::process::{self, Change, SIGCHLD, Signals};

use crate::clock;
use crate::failure::Failure;
use crate::records::Records;

/// From one sign of life to the next.
const EVERY: Duration = Duration::from_secs(Watch::EVERY);

/// How long a daemon that was told to end waits for its last sign to be written.
const LAST: Duration = Duration::from_secs(10);

/// When the next one is due, and who writes the one of before.
#[derive(Debug)]
pub struct Pulse {
    log: PathBuf,
    next: Instant,
    writer: Option<i32>,
    /// That it watches is on record. Until it is, that is what is written next.
    started: bool,
}

impl Pulse {
    /// Puts on record that the daemon watches.
    pub fn begin(log: PathBuf) -> Self {
        let started = record(&log, started);
        Self { log, next: Instant::now() + EVERY, writer: None, started }
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
            eprintln!("backstopd: the audit log has taken no sign of life for a minute");
            return;
        }
        let body = if self.started { |clocks| Body::AuditHeartbeat { clocks } } else { started };
        self.writer = write(&self.log, body);
    }

    /// Takes notice of the end of a child; true where it was the writer.
    pub fn take_ended(&mut self, pid: i32, change: Change) -> bool {
        let own = self.writer == Some(pid);
        if own {
            self.writer = None;
            self.started |= change == Change::Ended(0);
        }
        own
    }

    /// Puts on record that the daemon was told to end. No sign of life comes after it.
    pub fn end(&mut self) {
        let until = Instant::now() + LAST;
        let before = self.writer.take().is_none_or(|pid| ended_by(until, pid));
        let last = || write(&self.log, |clocks| Body::GuardStopped { clocks });
        // A writer that has ended and could not write has said so itself.
        if !before || !last().is_some_and(|pid| ended_by(until, pid)) {
            eprintln!("backstopd: that it was told to end is not on record: the audit log takes nothing");
        }
    }
}

fn started(clocks: Clocks) -> Body {
    Body::GuardStarted { clocks, version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// Begins a child that writes.
fn write(log: &Path, body: fn(Clocks) -> Body) -> Option<i32> {
    let made = process::fork(|| {
        process::close_all_but(&[0, 1, 2]);
        u8::from(!record(log, body))
    });
    made.inspect_err(|e| eprintln!("backstopd: cannot give a sign of life: {e}")).ok()
}

/// Waits for a writer; false where it has not ended by then. Others that end meanwhile are nobody's business any more.
fn ended_by(until: Instant, writer: i32) -> bool {
    let child = Signals::of(&[SIGCHLD]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match process::wait_any(false) {
            Ok(Some((pid, Change::Ended(_) | Change::Killed(_)))) if pid == writer => return true,
            Ok(Some(_)) => {}
            Ok(None) if !left.is_zero() => {
                // One that came while it was not looked for is pending: the daemon blocks it.
                let _seen = child.take(left);
            }
            Ok(None) | Err(_) => return false,
        }
    }
}

/// True where it is on the disk. Whoever can't write says so, and every run is refused for the same reason: the daemon
/// goes on, so that people can look.
fn record(log: &Path, body: fn(Clocks) -> Body) -> bool {
    let write = || -> Result<(), Failure> {
        let mut records = Records::new(log.to_owned());
        records.open()?;
        // Read when the log is open, which may take long.
        Ok(records.write(&[body(clock::clocks()?)])?)
    };
    let written = write();
    if let Err(failure) = &written {
        eprintln!("backstopd: cannot put on record that it watches: {}", failure.what);
    }
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kept, entries, verify};

    fn names(log: &Path) -> Vec<&'static str> {
        entries(log, 0).map(|e| e.expect("readable").body.name()).collect()
    }

    #[test]
    fn what_a_guard_puts_on_record_is_in_order_and_verifies() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let log = dir.path().join("audit");
        let beat = || assert!(record(&log, |clocks| Body::AuditHeartbeat { clocks }));
        let stop = || assert!(record(&log, |clocks| Body::GuardStopped { clocks }));
        let mut pulse = Pulse::begin(log.clone());
        assert!(pulse.started && !pulse.due().is_zero() && pulse.due() <= EVERY);
        // Nothing before its time.
        pulse.beat();
        assert_eq!(pulse.writer, None);
        // Nor while the one of before has not ended.
        pulse.next = Instant::now();
        pulse.writer = Some(7);
        pulse.beat();
        assert!(pulse.writer == Some(7) && !pulse.due().is_zero());
        beat();
        stop();
        assert_eq!(names(&log), ["audit.started", "guard.started", "audit.heartbeat", "guard.stopped"]);
        // Told to end, and there again: nothing is missing. Begun once more, something is.
        Pulse::begin(log.clone());
        let report = verify(&log, &Kept::default());
        assert!(report.exit() == 0 && report.findings.is_empty(), "{report:?}");
        Pulse::begin(log.clone());
        let report = verify(&log, &Kept::default());
        assert!(report.exit() == 0 && report.findings.len() == 1, "{report:?}");
        assert!(report.findings[0].what.starts_with("the guard ended without being stopped"), "{report:?}");
    }

    #[test]
    fn a_start_that_could_not_be_written_is_written_when_it_can_be() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let log = dir.path().join("audit");
        std::fs::write(&log, "no directory").expect("written");
        let mut pulse = Pulse::begin(log);
        assert!(!pulse.started);
        pulse.writer = Some(7);
        assert!(!pulse.take_ended(8, Change::Ended(0)) && pulse.take_ended(7, Change::Ended(1)));
        assert!(!pulse.started && pulse.writer.is_none());
        pulse.writer = Some(7);
        assert!(pulse.take_ended(7, Change::Ended(0)) && pulse.started);
    }
}
