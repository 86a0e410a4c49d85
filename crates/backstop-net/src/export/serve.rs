//! Copies the log, sink by sink, each in a thread and by connections of its own: one that is slow or away keeps none of the
//! others, and nobody's run waits for any of them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::digest::Digest;
use backstop_core::export::{PATIENCE, Remark, Said, Span};
use backstop_core::merkle;
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
    /// Puts on record what is said of a sink.
    ///
    /// # Errors
    /// As a sentence fragment.
    fn exported(&mut self, remark: &Remark) -> Result<Heard, String>;
}

/// What becomes of a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is on record.
    Taken,
    /// The log that it is of was put aside; there is another.
    Other,
    /// It is not taken, for this reason, as things are.
    Refused(String),
}

impl Log for Box<dyn Doors> {
    fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, String> {
        Doors::lines(&mut **self, from, wait).map_err(|failure| failure.what)
    }

    fn exported(&mut self, remark: &Remark) -> Result<Heard, String> {
        match Doors::exported(&mut **self, remark) {
            Ok(true) => Ok(Heard::Taken),
            Ok(false) => Ok(Heard::Other),
            Err(failure) if failure.kind == FailureKind::Refused => Ok(Heard::Refused(failure.what)),
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
                let feed = Feed { config, cursors, open, say };
                let mut state = State { cursor: cursor.take(), fresh: true, changed: false };
                loop {
                    if let Err(why) = feed.go_on(&mut pump, &mut state, &mut pause) {
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

/// How it stands with it.
struct State {
    /// None before it is known.
    cursor: Option<Cursor>,
    /// Nothing was taken since this process began: whether an outage is on record the log knows alone.
    fresh: bool,
    /// That the log is not what was copied is on record.
    changed: bool,
}

impl Feed<'_> {
    /// Copies by one connection until it was silent for long.
    fn go_on(&self, pump: &mut Pump<'_>, state: &mut State, pause: &mut Duration) -> Result<(), String> {
        let mut log = (self.open)()?;
        let cursor = match &mut state.cursor {
            Some(cursor) => cursor,
            none => {
                let Lines { end, next, .. } = log.lines(None, Duration::ZERO)?;
                let entry = if self.config.from == From::Now { end } else { 0 };
                let cursor = Cursor::new(Mark { entry, ..next });
                self.keep(&cursor)?;
                none.insert(cursor)
            }
        };
        if let Some(why) = difference(log.as_mut(), cursor)? {
            self.changed(cursor, &mut state.changed, &why);
            return Err(why);
        }
        loop {
            let Lines { host, lines, next, .. } = log.lines(Some(&cursor.next), WAIT)?;
            *pause = PAUSES.0;
            if next.log != cursor.next.log {
                (self.say)(&format!("{}: another log begins, {}", self.config.name, next.log));
                cursor.next = Mark { entry: 0, log: next.log.clone() };
                cursor.leaf = None;
                // What was on record was in the other one.
                (cursor.stalled, state.changed) = (false, false);
            }
            let records = lines.into_iter().map(|line| Record::read(line, &next.log, &host));
            let records = records.collect::<Result<Vec<_>, _>>()?;
            let batch: Vec<_> = records.iter().map(|record| shaped(pump.sink(), record)).collect();
            let leaves = records.iter().map(|record| record.leaf).collect();
            drop(records);
            let (begin, first) = (pump.pace().now(), cursor.next.entry);
            let mut book = Kept { feed: self, cursor, fresh: &mut state.fresh, since: None, leaves, first };
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
    fn remark(&self, cursor: &Cursor, what: Said) -> Result<Heard, String> {
        let remark = Remark { log: cursor.next.log.clone(), sink: self.config.name.clone(), what };
        (self.open)()?.exported(&remark)
    }

    /// What was copied is not what the log has now: nothing more is copied, and that is on record.
    fn changed(&self, cursor: &mut Cursor, said: &mut bool, why: &str) {
        let why = Delivery::reason(why);
        cursor.failing.get_or_insert_with(|| Failing { since: clock::now(), why: why.clone() }).why.clone_from(&why);
        let end = (self.open)().and_then(|mut log| log.lines(None, Duration::ZERO)).map_or(0, |lines| lines.end);
        let entry = cursor.next.entry.min(end.saturating_sub(1));
        // Also where an outage is on record: that may be among what is gone.
        if !*said {
            *said = self.remark(cursor, Said::Stalled { entry, why }) == Ok(Heard::Taken);
            cursor.stalled |= *said;
        }
        if let Err(why) = self.keep(cursor) {
            (self.say)(&format!("{}: {why}", self.config.name));
        }
    }
}

/// Why the log has no longer, where a sink is with it, what it had then; none where it has. A copy elsewhere is evidence.
fn difference(log: &mut dyn Log, cursor: &Cursor) -> Result<Option<String>, String> {
    let Lines { end, next, .. } = log.lines(None, Duration::ZERO)?;
    let (Some(leaf), Some(last)) = (cursor.leaf, cursor.next.entry.checked_sub(1)) else { return Ok(None) };
    if next.log != cursor.next.log {
        return Ok(None);
    }
    if last >= end {
        return Ok(Some(format!("the audit log has {end} entries, and {} were copied", cursor.next.entry)));
    }
    let Lines { lines, .. } = log.lines(Some(&Mark { entry: last, ..next }), Duration::ZERO)?;
    let now = lines.first().map(|line| merkle::leaf(line.as_bytes()));
    Ok((now != Some(leaf)).then(|| format!("entry {last} of the audit log is not what was copied")))
}

/// Keeps how a sink stands, and has on record what others should know of it.
struct Kept<'a, 'f> {
    feed: &'a Feed<'f>,
    cursor: &'a mut Cursor,
    fresh: &'a mut bool,
    /// Since when it fails.
    since: Option<Duration>,
    /// The leaves of what is under way, and the first one's index.
    leaves: Vec<Digest>,
    first: u64,
}

impl Kept<'_, '_> {
    fn say(&self, what: &str) {
        (self.feed.say)(&format!("{}: {what}", self.feed.config.name));
    }

    fn keep(&self) {
        if let Err(why) = self.feed.keep(self.cursor) {
            self.say(&why);
        }
    }

    /// Where it has failed for long, that goes on record.
    fn patience(&mut self, now: Duration) {
        let Some(since) = self.since else { return };
        let Some(Failing { why, .. }) = self.cursor.failing.clone() else { return };
        if self.cursor.stalled || now.saturating_sub(since) < Duration::from_secs(PATIENCE) {
            return;
        }
        match self.feed.remark(self.cursor, Said::Stalled { entry: self.cursor.next.entry, why }) {
            Ok(Heard::Taken) => {
                self.cursor.stalled = true;
                self.keep();
            }
            // The next lines are of the other log, and it is said there.
            Ok(Heard::Other) => {}
            Ok(Heard::Refused(why)) | Err(why) => self.say(&why),
        }
    }
}

impl Book for Kept<'_, '_> {
    fn settled(&mut self, next: u64, counts: Counts) -> Result<(), String> {
        let cursor = &mut *self.cursor;
        cursor.next.entry = next;
        let last = next.checked_sub(self.first + 1).and_then(|at| self.leaves.get(usize::try_from(at).ok()?));
        cursor.leaf = last.copied().or(cursor.leaf);
        cursor.known += counts.known;
        cursor.sent += counts.taken;
        cursor.skipped += counts.skipped;
        if counts.taken + counts.known > 0 {
            (cursor.failing, cursor.last, self.since) = (None, Some(clock::now()), None);
            if cursor.stalled || *self.fresh {
                let entry = counts.first.unwrap_or(next.saturating_sub(1));
                match self.feed.remark(cursor, Said::Resumed { entry }) {
                    Ok(Heard::Taken | Heard::Other) => (cursor.stalled, *self.fresh) = (false, false),
                    Ok(Heard::Refused(why)) | Err(why) => (self.feed.say)(&format!("{}: {why}", self.feed.config.name)),
                }
            }
        }
        self.feed.keep(self.cursor)
    }

    fn skips(&mut self, entries: Span, why: &str) -> Result<(), String> {
        let why = Delivery::reason(why);
        self.say(&format!("refuses {}: {why}", entries.in_words()));
        match self.feed.remark(self.cursor, Said::Skipped { entries, why })? {
            Heard::Taken => Ok(()),
            Heard::Refused(why) => Err(why),
            Heard::Other => {
                self.say("that was of a log that was put aside, and can't be on record in another");
                Ok(())
            }
        }
    }

    fn fails(&mut self, entry: u64, why: &str, wait: Duration, now: Duration) {
        let why = Delivery::reason(why);
        self.say(&format!("entry {entry} did not arrive, again in {} s: {why}", wait.as_secs()));
        let since = self.cursor.failing.as_ref().map_or_else(clock::now, |failing| failing.since);
        self.cursor.failing = Some(Failing { since, why });
        self.since.get_or_insert(now);
        self.keep();
        self.patience(now);
    }

    fn waits(&mut self, now: Duration) {
        self.patience(now);
    }
}

#[cfg(test)]
pub(crate) mod tests;
