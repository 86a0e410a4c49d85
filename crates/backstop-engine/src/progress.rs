//! Runs a long step beside a counter, telling a person who watches how far it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::{Person, Step};

/// How often a watching person is told.
const EVERY: Duration = Duration::from_millis(250);

/// Runs `work`; tells `person` the counter now and then, if anybody watches.
pub(crate) fn with<T: Send>(
    person: &mut dyn Person,
    step: Step,
    counter: &AtomicU64,
    work: impl FnOnce() -> T + Send,
) -> T {
    if !person.watching() {
        return work();
    }
    std::thread::scope(|scope| {
        let (done, wait) = std::sync::mpsc::channel();
        let handle = scope.spawn(move || {
            let result = work();
            drop(done);
            result
        });
        while wait.recv_timeout(EVERY) == Err::<(), _>(std::sync::mpsc::RecvTimeoutError::Timeout) {
            person.progress(step, counter.load(Ordering::Relaxed));
        }
        match handle.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
