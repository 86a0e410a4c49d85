//! The audit log as whoever copies it elsewhere reads it: signed lines, in order, from a mark on. He keeps how far he got;
//! what he says of those who take it from him is put on record, within limits.

use std::collections::{BTreeMap, VecDeque};
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::export::{PATIENCE, Remark, SKIPS, Said, Span};
use backstop_core::notice::Mark;
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::audit::{Entries, entries, signed_end};
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::host;
use crate::store::Versioned;

/// So many lines are given at once.
const MOST: usize = 1_000;

/// About so many bytes are given at once; a single line may be longer.
const BYTES: usize = 4 << 20;

/// Nobody is kept waiting longer for a line.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often the log is looked at while somebody waits.
const PAUSE: Duration = Duration::from_millis(500);

/// What was said of sinks, in the state directory.
const EXPORTED: &str = "exported.json";

/// So many sinks are known at once; one of which nothing was said for a week makes room for another.
const SINKS: usize = 16;
const SILENT: i64 = 7 * 86_400;

/// What is counted together, in seconds.
const HOUR: i64 = 3_600;

/// A sink says so seldom that it takes nothing: whatever speaks to networks must neither fill the log nor keep people from what
/// matters. Nobody who waits his five minutes first says it more often.
const SELDOM: i64 = PATIENCE as i64;

/// Some of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// How many entries are signed.
    pub end: u64,
    /// The machine's name in statements.
    pub host: String,
    /// The lines, without their ends; the first is that of the mark, or of the other log's beginning.
    pub lines: Vec<String>,
    /// From where on to ask the next time.
    pub next: Mark,
}

/// What was said of each sink.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heard {
    sinks: BTreeMap<String, Sink>,
    /// Which log the entries are of.
    log: String,
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sink {
    /// When something was put on record last.
    at: Timestamp,
    /// When `skips` began.
    hour: Timestamp,
    /// What it skipped last, as far as it is on record.
    skipped: VecDeque<Span>,
    /// How often it skipped since.
    skips: u32,
    /// True between stalled and resumed.
    stalled: bool,
    /// When it was stalled, or resumed, last.
    turned: Timestamp,
}

impl Versioned for Heard {
    const NEWEST: u32 = 1;
}

impl Heard {
    /// Counts that something is about to be said; false where it is on record.
    fn count(&mut self, remark: &Remark, now: Timestamp) -> Result<bool, Failure> {
        // A clock that was set back makes nothing young.
        let since = |at: Timestamp| match now.seconds_since(at) {
            ..0 => i64::MAX,
            age => age,
        };
        if !self.sinks.contains_key(&remark.sink) && self.sinks.len() >= SINKS {
            self.sinks.retain(|_, sink| since(sink.at) < SILENT);
            if self.sinks.len() >= SINKS {
                return Err(refused(&format!("of {SINKS} sinks something was said within a week")));
            }
        }
        let old = Timestamp::new(0, 0);
        let new = || Sink { at: old, hour: old, skipped: VecDeque::new(), skips: 0, stalled: false, turned: old };
        let sink = self.sinks.entry(remark.sink.clone()).or_insert_with(new);
        match &remark.what {
            Said::Skipped { entries, .. } => {
                if sink.skipped.contains(entries) {
                    return Ok(false);
                }
                if since(sink.hour) >= HOUR {
                    (sink.hour, sink.skips) = (now, 0);
                }
                if sink.skips >= SKIPS {
                    return Err(refused(&format!("{} was refused {SKIPS} times within an hour", remark.sink)));
                }
                sink.skips += 1;
            }
            Said::Stalled { .. } if since(sink.turned) < SELDOM => {
                return Err(refused(&format!("of {} something was said a moment ago", remark.sink)));
            }
            Said::Resumed { .. } if !sink.stalled => return Ok(false),
            Said::Stalled { .. } | Said::Resumed { .. } => sink.turned = now,
        }
        sink.at = now;
        Ok(true)
    }

    /// Keeps that it is on record.
    fn keep(&mut self, remark: &Remark) {
        let Some(sink) = self.sinks.get_mut(&remark.sink) else { return };
        match &remark.what {
            Said::Skipped { entries, .. } => {
                sink.skipped.push_back(*entries);
                if sink.skipped.len() > SKIPS as usize {
                    sink.skipped.pop_front();
                }
            }
            Said::Stalled { .. } => sink.stalled = true,
            Said::Resumed { .. } => sink.stalled = false,
        }
    }
}

/// Where in the log somebody reads on: what he has had of a segment is not looked through again.
#[derive(Debug)]
pub(super) struct Place {
    log: String,
    next: u64,
    entries: Entries,
}

impl Engine {
    /// The log's lines from `from` on; waits for one at most so long. Of another log than `from` says, from its beginning;
    /// without `from` no line, but where it begins and ends.
    ///
    /// # Errors
    /// Where the log has fewer entries than `from` says were there; where it can't be read.
    pub fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, Failure> {
        self.records.open()?;
        let dir = self.audit_dir();
        let (log, mut end) = signed_end(&dir)?;
        let host = self.people().map(|people| people.host).or_else(|_| host::name(&self.store))?;
        let Some(from) = from else {
            return Ok(Lines { end, host, lines: Vec::new(), next: Mark { entry: 0, log } });
        };
        let entry = if from.log == log { from.entry } else { 0 };
        if entry > end {
            let what = format!("the audit log has {end} entries, and entry {} was there once", entry - 1);
            return Err(Failure::new(FailureKind::Refused, what)
                .next("keep a copy of the log as it is, and find out who could write there: backstop audit verify"));
        }
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        while entry == end && Instant::now() < until {
            thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
            end = signed_end(&dir)?.1;
        }
        let here = self.place.take().filter(|place| place.log == log && place.next == entry);
        // What was read ahead may be of an entry that was taken back since.
        let here = here.and_then(|mut place| place.entries.forget().is_ok().then_some(place));
        let mut here = here.unwrap_or_else(|| Place { entries: entries(&dir, entry), log: log.clone(), next: entry });
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while here.next < end && lines.len() < MOST && bytes < BYTES {
            let Some(one) = here.entries.next().transpose()? else { break };
            let line = String::from_utf8(one.line()).map_err(|e| Failure::because("an entry is no text", &e))?;
            bytes += line.len();
            lines.push(line);
            here.next += 1;
        }
        let next = Mark { entry: here.next, log };
        self.place = Some(here);
        Ok(Lines { end, host, lines, next })
    }

    /// Puts on record what is said of a sink; said again it is no news. Gives false where it is of another log than there is,
    /// in which it would be of other entries.
    ///
    /// # Errors
    /// Where it is not sound, of an entry that is not there, or too much is said.
    pub fn exported(&mut self, remark: &Remark) -> Result<bool, Failure> {
        if !remark.is_sound() {
            return Err(refused("the sink's name, the entries, or the reason, are none, not plain text, or too long"));
        }
        self.records.open()?;
        let (log, end) = signed_end(&self.audit_dir())?;
        if remark.log != log {
            return Ok(false);
        }
        if remark.entry() >= end {
            return Err(refused(&format!("there is no entry {}", remark.entry())));
        }
        let _one = self.store.lock("exported")?;
        let heard: Option<Heard> = self.store.read_own(EXPORTED)?;
        let new = || Heard { sinks: BTreeMap::new(), log: log.clone(), version: Heard::NEWEST };
        let mut heard = heard.filter(|heard| heard.log == log).unwrap_or_else(new);
        if !heard.count(remark, clock::now())? {
            return Ok(true);
        }
        // Counted first: where the next fails again and again, the log must not grow by it. Kept last: what is not on record
        // must not pass for it.
        self.store.write_own(EXPORTED, &heard)?;
        self.records.write(&[remark.clone().body()])?;
        heard.keep(remark);
        self.store.write_own(EXPORTED, &heard)?;
        Ok(true)
    }
}

fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("not put on record: {what}"))
}

#[cfg(test)]
mod tests;
