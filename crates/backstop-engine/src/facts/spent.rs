//! What a lens has computed since it began. Processor time and not the clock, or a busy machine would make
//! facts `incomplete` that a quiet one can tell.

use std::time::{Duration, Instant};

use backstop_sys::process::thread_cpu;

/// How much longer than it may compute a lens may take: a busy machine or a slow disk.
const WAIT: u32 = 4;

/// Since when.
pub(super) struct Spent {
    clock: Instant,
    computed: Duration,
}

impl Spent {
    /// From now on, by this thread.
    pub(super) fn start() -> Self {
        Self { clock: Instant::now(), computed: thread_cpu() }
    }

    /// What this thread has computed since.
    pub(super) fn computed(&self) -> Duration {
        thread_cpu().saturating_sub(self.computed)
    }

    /// True when all that may be computed is, or it has taken so long that nobody should wait on.
    pub(super) fn late(&self, limit: Duration) -> bool {
        self.computed() > limit || self.clock.elapsed() > WAIT * limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_computing() {
        let spent = Spent::start();
        std::thread::sleep(Duration::from_millis(60));
        assert!(!spent.late(Duration::from_millis(50)), "{:?}", spent.computed());
        assert!(spent.late(Duration::from_millis(10)), "four times as long is too long");
    }
}
