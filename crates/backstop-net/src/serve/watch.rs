//! Whether the guard answers. It is asked by a connection of its own each time: whoever is connected already talks to a process
//! that goes on when the guard itself is gone.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::time::Timestamp;
use backstop_engine::clock;

use super::Records;

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(20);
/// So long an answer says that it lives.
const LIVES: Duration = Duration::from_secs(60);

/// When it answered last.
pub(super) struct Watch {
    last: Mutex<Last>,
    /// So long it may not answer before people are told.
    patience: Duration,
}

struct Last {
    at: (Instant, Timestamp),
    /// False before it has.
    seen: bool,
}

impl Watch {
    /// One that has heard nothing yet.
    pub fn new(patience: Duration) -> Self {
        Self { last: Mutex::new(Last { at: (Instant::now(), clock::now()), seen: false }), patience }
    }

    /// Asks, for as long as the process lives. Where an answer never comes this hangs, and nothing is heard.
    pub fn go_on<R: Records>(&self, open: &mut dyn FnMut() -> Result<R, String>) {
        loop {
            self.ask(open);
            thread::sleep(EVERY);
        }
    }

    fn ask<R: Records>(&self, open: &mut dyn FnMut() -> Result<R, String>) {
        if open().and_then(|mut records| records.notices(None, Duration::ZERO)).is_ok() {
            *self.last() = Last { at: (Instant::now(), clock::now()), seen: true };
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when it does not answer, where that is long.
    pub fn silent(&self) -> Option<Timestamp> {
        let (at, wall) = self.last().at;
        (at.elapsed() >= self.patience).then_some(wall)
    }

    /// True where it has answered a moment ago.
    pub fn answers(&self) -> bool {
        let last = self.last();
        last.seen && last.at.0.elapsed() < LIVES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::teller::tests::{Book, Page, notice};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(180);

    #[test]
    fn who_has_not_answered_for_long_is_silent_and_who_never_did_does_not_live() {
        let watch = Watch::new(PATIENCE);
        assert!(watch.silent().is_none() && !watch.answers());
        let book = Mutex::new(Book { notices: vec![notice(0)], ..Book::default() });
        watch.ask(&mut || Ok(Page(&book)));
        assert!(watch.silent().is_none() && watch.answers());
        let ago = |age: Duration| {
            let at = Instant::now().checked_sub(age).expect("the machine is up for longer");
            watch.last().at = (at, Timestamp::new(7, 0));
        };
        ago(LIVES);
        assert!(watch.silent().is_none() && !watch.answers());
        ago(PATIENCE);
        assert_eq!(watch.silent(), Some(Timestamp::new(7, 0)));
        watch.ask(&mut || Err::<Page<'_>, _>("no such socket".to_owned()));
        assert_eq!(watch.silent(), Some(Timestamp::new(7, 0)));
        watch.ask(&mut || Ok(Page(&book)));
        assert!(watch.silent().is_none() && watch.answers());
    }
}
