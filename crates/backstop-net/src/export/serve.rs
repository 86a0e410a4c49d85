//! Copies the log, sink by sink, each in a thread and by connections of its own: one that is slow or away keeps none of the
//! others, and nobody's run waits for any of them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::export::{PATIENCE, Remark, Said, Span};
use backstop_core::notice::{Delivery, Mark};
use backstop_engine::{Doors, FailureKind, Lines, clock};

use super::config::{self, From};
use super::cursor::{Cursor, Failing};
use super::pump::{Book, Counts, Pump};
use super::record::Record;
use super::sink::{Sink, shaped};
use crate::place::Cursors;
use crate::serve::Clock;

/// How long is waited for a line, at a time; nor may a connection be silent for longer.
const WAIT: Duration = Duration::from_secs(20);
/// The pause after something went wrong with the log: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What the exporter asks of the log.
pub trait Log {
    /// The lines from an entry on; waits for one at most so long.
    ///
    /// # Errors
    /// As a sentence fragment.
    fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, String>;
    /// Puts on record what is said of a sink. Gives false where that is refused.
    ///
    /// # Errors
    /// As a sentence fragment.
    fn exported(&mut self, remark: Remark) -> Result<bool, String>;
}

impl Log for Box<dyn Doors> {
    fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, String> {
        Doors::lines(&mut **self, from, wait).map_err(|failure| failure.what)
    }

    fn exported(&mut self, remark: Remark) -> Result<bool, String> {
        match Doors::exported(&mut **self, remark) {
            Ok(()) => Ok(true),
            Err(failure) if failure.kind == FailureKind::Refused => Ok(false),
            Err(failure) => Err(failure.what),
        }
    }
}

/// Gets at the log anew.
pub type Open<'a> = &'a (dyn Fn() -> Result<Box<dyn Log>, String> + Sync);

/// A sink that is ready, with what the settings say of it.
pub struct Ready {
    /// The settings.
    pub config: config::Sink,
    /// The sink.
    pub sink: Box<dyn Sink>,
}

/// Copies what there is to copy, until the process is ended. `say` hears what people at the machine should know.
///
/// # Errors
/// Cursors that can't be read: what a sink has is not known then.
pub fn serve(sinks: Vec<Ready>, cursors: &Cursors, open: Open<'_>, say: &(dyn Fn(&str) + Sync)) -> io::Result<()> {
    let mut all = Vec::new();
    for ready in sinks {
        let name = &ready.config.name;
        let cursor = cursors
            .read(name)
            .map_err(|e| io::Error::new(e.kind(), format!("how far {name} has the log can't be read: {e}")))?;
        all.push((ready, cursor));
    }
    thread::scope(|scope| {
        for (mut ready, mut cursor) in all {
            scope.spawn(move || {
                let Ready { config, sink } = &mut ready;
                let (mut clock, mut pause) = (Clock(Instant::now()), PAUSES.0);
                let mut pump = Pump::new(sink.as_mut(), &mut clock);
                loop {
                    let feed = Feed { config, cursors, open, say };
                    if let Err(why) = feed.go_on(&mut pump, &mut cursor, &mut pause) {
                        say(&format!("{}: {why}; again in {} s", config.name, pause.as_secs()));
                        pump.pace().wait(pause);
                        pause = (pause * 2).min(PAUSES.1);
                    }
                }
            });
        }
    });
    Ok(())
}

/// What one sink is fed by.
struct Feed<'a> {
    config: &'a config::Sink,
    cursors: &'a Cursors,
    open: Open<'a>,
    say: &'a (dyn Fn(&str) + Sync),
}

impl Feed<'_> {
    /// Copies by one connection until it was silent for long.
    fn go_on(&self, pump: &mut Pump<'_>, kept: &mut Option<Cursor>, pause: &mut Duration) -> Result<(), String> {
        let mut log = (self.open)()?;
        let mut cursor = match kept.take() {
            Some(cursor) => cursor,
            None => {
                let Lines { end, next, .. } = log.lines(None, Duration::ZERO)?;
                let entry = if self.config.from == From::Now { end } else { 0 };
                Cursor::new(Mark { entry, ..next })
            }
        };
        let gone = self.copy(log.as_mut(), pump, &mut cursor, pause);
        *kept = Some(cursor);
        gone
    }

    fn copy(
        &self,
        log: &mut dyn Log,
        pump: &mut Pump<'_>,
        cursor: &mut Cursor,
        pause: &mut Duration,
    ) -> Result<(), String> {
        loop {
            let Lines { host, lines, next, .. } = log.lines(Some(&cursor.next), WAIT)?;
            *pause = PAUSES.0;
            if next.log != cursor.next.log {
                (self.say)(&format!("{}: another log begins, {}", self.config.name, next.log));
                cursor.next = Mark { entry: 0, log: next.log.clone() };
            }
            let records = lines.into_iter().map(|line| Record::read(line, &next.log, &host));
            let records = records.collect::<Result<Vec<_>, _>>()?;
            let batch: Vec<_> = records.iter().map(|record| shaped(pump.sink(), record)).collect();
            let begin = pump.pace().now();
            let mut book = Kept { feed: self, cursor, since: None };
            pump.deliver(batch, &mut book)?;
            if pump.pace().now().saturating_sub(begin) > WAIT {
                return Ok(());
            }
        }
    }

    fn keep(&self, cursor: &Cursor) -> Result<(), String> {
        let kept = self.cursors.write(&self.config.name, cursor);
        kept.map_err(|e| format!("how far it has the log can't be kept: {e}"))
    }

    /// By a connection of its own: the other may be silent for long.
    fn remark(&self, what: Said) -> Result<bool, String> {
        (self.open)()?.exported(Remark { sink: self.config.name.clone(), what })
    }
}

/// Keeps how a sink stands, and has on record what others should know of it.
struct Kept<'a, 'f> {
    feed: &'a Feed<'f>,
    cursor: &'a mut Cursor,
    /// Since when it fails.
    since: Option<Duration>,
}

impl Book for Kept<'_, '_> {
    fn settled(&mut self, next: u64, counts: Counts) -> Result<(), String> {
        let cursor = &mut *self.cursor;
        cursor.next.entry = next;
        cursor.known += counts.known;
        cursor.sent += counts.taken;
        cursor.skipped += counts.skipped;
        if counts.taken + counts.known > 0 {
            (cursor.failing, cursor.last, self.since) = (None, Some(clock::now()), None);
            if cursor.stalled {
                let entry = counts.first.unwrap_or(next.saturating_sub(1));
                match self.feed.remark(Said::Resumed { entry }) {
                    Ok(_) => cursor.stalled = false,
                    Err(why) => (self.feed.say)(&format!("{}: {why}", self.feed.config.name)),
                }
            }
        }
        self.feed.keep(cursor)
    }

    fn skips(&mut self, entries: Span, why: &str) -> Result<bool, String> {
        let why = Delivery::reason(why);
        (self.feed.say)(&format!("{}: refuses {}: {why}", self.feed.config.name, entries.in_words()));
        self.feed.remark(Said::Skipped { entries, why })
    }

    fn fails(&mut self, entry: u64, why: &str, wait: Duration, now: Duration) {
        let (cursor, why) = (&mut *self.cursor, Delivery::reason(why));
        let name = &self.feed.config.name;
        (self.feed.say)(&format!("{name}: entry {entry} did not arrive, again in {} s: {why}", wait.as_secs()));
        let since = cursor.failing.as_ref().map_or_else(clock::now, |failing| failing.since);
        cursor.failing = Some(Failing { since, why: why.clone() });
        let long = now.saturating_sub(*self.since.get_or_insert(now)) >= Duration::from_secs(PATIENCE);
        if long && !cursor.stalled {
            match self.feed.remark(Said::Stalled { entry, why }) {
                Ok(taken) => cursor.stalled = taken,
                Err(why) => (self.feed.say)(&format!("{name}: {why}")),
            }
        }
        if let Err(why) = self.feed.keep(cursor) {
            (self.feed.say)(&format!("{name}: {why}"));
        }
    }
}

#[cfg(test)]
mod tests;
