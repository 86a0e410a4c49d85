//! Where the time goes: with `BACKSTOP_TRACE=FILE` each run adds a JSON line per phase, with wall and
//! processor time. For `cargo xtask bench`; otherwise it costs one look at the environment.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Instant;

use backstop_core::id::RunId;

/// The phases of one run.
pub(crate) struct Trace {
    file: Option<std::ffi::OsString>,
    last: Instant,
    cpu: u64,
    phases: Vec<(&'static str, u64, u64)>,
}

impl Trace {
    /// Begins.
    pub fn start() -> Self {
        let file = std::env::var_os("BACKSTOP_TRACE");
        let cpu = if file.is_some() { own_cpu() } else { 0 };
        Self { file, last: Instant::now(), cpu, phases: Vec::new() }
    }

    /// A phase has ended.
    pub fn phase(&mut self, name: &'static str) {
        if self.file.is_none() {
            return;
        }
        let (now, cpu) = (Instant::now(), own_cpu());
        let wall = u64::try_from((now - self.last).as_micros()).unwrap_or(u64::MAX);
        self.phases.push((name, wall, cpu.saturating_sub(self.cpu)));
        (self.last, self.cpu) = (now, cpu);
    }

    /// Writes the phases. A trace that can't be written is no reason to fail a run.
    pub fn end(self, id: RunId) {
        let Some(path) = self.file else { return };
        let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) else { return };
        for (phase, wall_us, cpu_us) in self.phases {
            let line = serde_json::json!({"run": id, "phase": phase, "wall_us": wall_us, "cpu_us": cpu_us});
            if writeln!(file, "{line}").is_err() {
                return;
            }
        }
    }
}

/// Processor time of this process, all threads, in microseconds; without children, whose time is the
/// command's.
fn own_cpu() -> u64 {
    backstop_sys::process::cpu_time().as_micros().try_into().unwrap_or(u64::MAX)
}
