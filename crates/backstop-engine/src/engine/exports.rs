//! The audit log as whoever copies it elsewhere reads it: signed lines, in order, from a mark on. He keeps how far he got;
//! what he says of those who take it from him is put on record, within limits.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::audit::Body;
use backstop_core::export::{Remark, SKIPS, Said};
use backstop_core::notice::Mark;
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::audit::{entries, signed_end};
use crate::clock;
use crate::failure::{Failure, FailureKind};
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

/// A sink says so seldom that it takes nothing, or does again: whatever speaks to networks must not fill the log.
const SELDOM: i64 = 60;

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
    /// From where on it may say that it skips.
    next: u64,
    /// How often it skipped since.
    skips: u32,
    /// True between stalled and resumed.
    stalled: bool,
}

impl Versioned for Heard {
    const NEWEST: u32 = 1;
}

impl Heard {
    /// Takes that something is said; false where it was said before.
    fn take(&mut self, remark: &Remark, now: Timestamp) -> Result<bool, Failure> {
        if !self.sinks.contains_key(&remark.sink) && self.sinks.len() >= SINKS {
            self.sinks.retain(|_, sink| now.seconds_since(sink.at) < SILENT);
            if self.sinks.len() >= SINKS {
                return Err(refused(&format!("of {SINKS} sinks something was said within a week")));
            }
        }
        let old = Timestamp::new(0, 0);
        let new = || Sink { at: old, hour: old, next: 0, skips: 0, stalled: false };
        let sink = self.sinks.entry(remark.sink.clone()).or_insert_with(new);
        match &remark.what {
            Said::Skipped { entries, .. } => {
                if entries.first < sink.next {
                    return Ok(false);
                }
                if now.seconds_since(sink.hour) >= HOUR {
                    (sink.hour, sink.skips) = (now, 0);
                }
                if sink.skips >= SKIPS {
                    return Err(refused(&format!("{} was refused {SKIPS} times within an hour", remark.sink)));
                }
                sink.skips += 1;
                sink.next = entries.last.saturating_add(1);
            }
            Said::Stalled { .. } | Said::Resumed { .. } => {
                let stalled = matches!(remark.what, Said::Stalled { .. });
                if sink.stalled == stalled {
                    return Ok(false);
                }
                if stalled && now.seconds_since(sink.at) < SELDOM {
                    return Err(refused(&format!("of {} something was said a moment ago", remark.sink)));
                }
                sink.stalled = stalled;
            }
        }
        sink.at = now;
        Ok(true)
    }
}

impl Engine {
    /// The log's lines from `from` on; waits for one at most so long. Without `from`, or where that is of another log,
    /// from the beginning.
    ///
    /// # Errors
    /// Where the log has fewer entries than `from` says were there; where it can't be read.
    pub fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, Failure> {
        self.records.open()?;
        let dir = self.audit_dir();
        let (log, mut end) = signed_end(&dir)?;
        let entry = from.filter(|mark| mark.log == log).map_or(0, |mark| mark.entry);
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
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for one in entries(&dir, entry) {
            let one = one?;
            if one.index >= end || lines.len() >= MOST || bytes >= BYTES {
                break;
            }
            let line = String::from_utf8(one.line()).map_err(|e| Failure::because("an entry is no text", &e))?;
            bytes += line.len();
            lines.push(line);
        }
        let next = Mark { entry: entry + lines.len() as u64, log };
        Ok(Lines { end, host: self.people()?.host, lines, next })
    }

    /// Puts on record what is said of a sink. Said again it is no news.
    ///
    /// # Errors
    /// Where it is not sound, of an entry that is not there, or too much is said.
    pub fn exported(&mut self, remark: Remark) -> Result<(), Failure> {
        if !remark.is_sound() {
            return Err(refused("the sink's name, the entries, or the reason, are none, not plain text, or too long"));
        }
        self.records.open()?;
        let (log, end) = signed_end(&self.audit_dir())?;
        if remark.entry() >= end {
            return Err(refused(&format!("there is no entry {}", remark.entry())));
        }
        let _one = self.store.lock("exported")?;
        let heard: Option<Heard> = self.store.read_own(EXPORTED)?;
        let new = || Heard { sinks: BTreeMap::new(), log: log.clone(), version: Heard::NEWEST };
        let mut heard = heard.filter(|heard| heard.log == log).unwrap_or_else(new);
        if !heard.take(&remark, clock::now())? {
            return Ok(());
        }
        // First: where that fails again and again, the log must not grow by it.
        self.store.write_own(EXPORTED, &heard)?;
        let body: Body = remark.body();
        Ok(self.records.write(&[body])?)
    }
}

fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("not put on record: {what}"))
}

#[cfg(test)]
mod tests;
