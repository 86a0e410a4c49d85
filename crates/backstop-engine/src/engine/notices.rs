//! What people are told of requests for approval: read from the audit log, which is the outbox. Whoever tells it keeps
//! how far he got, and says what became of each; that is on record as well, once for each of his channels.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::alert::Rules;
use backstop_core::approval::ballot::Question;
use backstop_core::audit::{Body, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::notice::{Delivery, Mark, Notice};
use backstop_core::run::RunRecord;
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::alerts;
use crate::approvals::{self, Request};
use crate::audit::{Entries, entries, signed_end};
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::host;
use crate::store::Versioned;

/// Within so many seconds after an entry its run's record says the same.
const SOON: u64 = 5;

/// So many are given at once.
const MOST: usize = 64;

/// Nobody is kept waiting longer for something to be told.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often the log is looked at while somebody waits.
const PAUSE: Duration = Duration::from_millis(500);

/// How often requests are looked at whose time may be over.
const CLOCK: Duration = Duration::from_secs(5);

/// No more are ended at once: whoever waits for the lock waits for this.
const MOST_ENDED: usize = 16;

/// What was said to be told, in the state directory.
const TOLD: &str = "told.json";

/// So many channels are known at once; one that was silent for a week makes room for another.
const CHANNELS: usize = 16;
const SILENT: i64 = 7 * 86_400;

/// So many entries of a channel are known one by one.
const AFTER: usize = 1_024;

/// What there is to tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notices {
    /// Why the rules for alerts that the machine has, or the person, can't be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<String>,
    /// From where on to ask the next time.
    pub next: Mark,
    /// The notices, in the order of the log.
    pub notices: Vec<Notice>,
    /// Why a request whose time is over could not be ended, so that nobody is told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Up to which entry each channel said what became of it, so that nobody fills the log by saying it again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    channels: BTreeMap<String, Said>,
    /// Which log these are entries of.
    log: String,
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// Those after `entry` of which it said so, at most [`AFTER`]: what stands for several comes late.
    #[serde(default)]
    after: BTreeSet<u64>,
    at: Timestamp,
    /// Of what is up to here nothing more is taken.
    entry: Option<u64>,
}

impl Versioned for Told {
    const NEWEST: u32 = 1;
}

impl Told {
    /// Takes that a channel says something of an entry; false where it said so before, an error where there are too
    /// many channels.
    fn take(&mut self, channel: &str, entry: u64, now: Timestamp) -> Result<bool, Failure> {
        let old = |said: &Said| said.entry.is_some_and(|last| entry <= last) || said.after.contains(&entry);
        if self.channels.get(channel).is_some_and(old) {
            return Ok(false);
        }
        if !self.channels.contains_key(channel) && self.channels.len() >= CHANNELS {
            self.channels.retain(|_, said| now.seconds_since(said.at) < SILENT);
            if self.channels.len() >= CHANNELS {
                return Err(refused(&format!("{CHANNELS} channels have said something within a week")));
            }
        }
        let new = || Said { after: BTreeSet::new(), at: now, entry: None };
        let said = self.channels.entry(channel.to_owned()).or_insert_with(new);
        said.at = now;
        said.after.insert(entry);
        while said.after.len() > AFTER {
            said.entry = said.after.pop_first();
        }
        Ok(true)
    }
}

impl Engine {
    /// What there is to tell from `from` on; waits for something at most so long. Without `from` nothing is told but
    /// from where on to ask; in another log than that of `from` all of it is new.
    pub fn notices(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Notices, Failure> {
        self.records.open()?;
        let (log, size) = signed_end(&self.audit_dir())?;
        let (rules, alerts) = self.alert_rules();
        let none = |mark| Notices { alerts: alerts.clone(), next: mark, notices: Vec::new(), trouble: None };
        let entry = match from {
            None => return Ok(none(Mark { entry: size, log })),
            Some(mark) if mark.log == log => mark.entry.min(size),
            Some(_) => 0,
        };
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let mut reader = entries(&self.audit_dir(), entry);
        let mut told = none(Mark { entry, log });
        let mut looked: Option<Instant> = None;
        loop {
            self.tell(&mut reader, &rules, &mut told)?;
            if !told.notices.is_empty() || Instant::now() >= until {
                return Ok(told);
            }
            if looked.is_none_or(|at| at.elapsed() >= CLOCK) {
                // No reason to tell nothing, but to be told.
                told.trouble = self.let_end().err().map(|failure| failure.what);
                looked = Some(Instant::now());
                continue;
            }
            thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// Takes up what is signed. Before what can't be read it stops, and says so only where nothing stands before it.
    fn tell(&self, reader: &mut Entries, rules: &Rules, told: &mut Notices) -> Result<(), Failure> {
        let (_, size) = signed_end(&self.audit_dir())?;
        let host = self.people().map(|people| people.host).or_else(|_| host::name(&self.store))?;
        // A run has many entries, one after the other.
        let mut last: Option<(RunId, Option<RunRecord>)> = None;
        while told.next.entry < size && told.notices.len() < MOST {
            let entry = match reader.next() {
                None => break,
                Some(Err(_)) if !told.notices.is_empty() => break,
                Some(entry) => entry?,
            };
            if self.is_early(&entry) {
                *reader = entries(&self.audit_dir(), told.next.entry);
                break;
            }
            told.next.entry = entry.index + 1;
            let question = match (&entry.body, Notice::request(&entry.body)) {
                (Body::ApprovalAsked { question }, _) => Some(question.clone()),
                (_, Some(request)) => self.question(request),
                (_, None) => None,
            };
            let notice = Notice::of(&entry, question.as_ref(), &host).or_else(|| {
                let run = entry.body.run();
                // What a run is about is in its record by the time of its judgement, and not before.
                let again = matches!(entry.body, Body::RunJudged { .. });
                if let Some(id) = run.filter(|id| again || last.as_ref().is_none_or(|(known, _)| known != id)) {
                    last = Some((id, self.known(id).ok()));
                }
                let record = last.as_ref().filter(|(id, _)| Some(*id) == run).and_then(|(_, record)| record.as_ref());
                rules.raised(&entry, record).map(|raised| Notice::raised(&entry, &raised, &host))
            });
            told.notices.extend(notice);
        }
        Ok(())
    }

    /// True for a judgement whose run's record does not say yet what it is about: that is written after the entry, and soon.
    fn is_early(&self, entry: &Entry) -> bool {
        let Body::RunJudged { run, .. } = entry.body else { return false };
        clock::now().seconds_since(entry.at).unsigned_abs() < SOON
            && self.known(run).is_ok_and(|record| record.judgement.is_none())
    }

    /// The rules for alerts, and why the file of them can't be used. Behind the daemon whoever asks has none of his own.
    fn alert_rules(&self) -> (Rules, Option<String>) {
        let home = self.settings.home.as_ref().filter(|_| self.settings.viewer.is_none());
        alerts::rules(&alerts::file(home.map(Bytes::as_path)))
    }

    /// True where people are told of it.
    fn is_told(&self, entry: &Entry) -> bool {
        Notice::of(entry, None, "").is_some() || {
            let record = entry.body.run().and_then(|id| self.known(id).ok());
            self.alert_rules().0.raised(entry, record.as_ref()).is_some()
        }
    }

    /// What a request asks. One that can't be read is told of all the same, by its code.
    fn question(&self, request: Digest) -> Option<Question> {
        let request = Request::load(&self.store, request).ok().flatten()?;
        Some(request.question().clone())
    }

    /// Ends the requests whose time is over, or whose end was cut off, so that people hear of it; of many the first, and the
    /// others when it is called again. Leaves them to others where somebody is at work. Gives what the first had against
    /// it that could not be ended.
    pub(super) fn let_end(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let mut due = Vec::new();
        for digest in approvals::open(&self.store)? {
            // One that can't be read is told by whoever lists what waits.
            let Ok(Some(request)) = Request::load(&self.store, digest) else { continue };
            let over = request.phase.at(now, request.question().expires) != request.phase;
            if over || !request.phase.waits() || !request.time_holds(now).unwrap_or(true) {
                due.push(digest);
            }
        }
        if due.is_empty() || self.sound().is_err() {
            return Ok(());
        }
        let Ok(lock) = self.store.try_lock("apply", "")? else { return Ok(()) };
        if !self.store.open_marks()?.is_empty() {
            return Ok(());
        }
        let people = self.people()?;
        let mut ended = Ok(());
        for digest in due.into_iter().take(MOST_ENDED) {
            // Of one that can't be ended the others know nothing.
            ended = ended.and(self.current(digest, &people, &lock).map(drop));
        }
        ended
    }

    /// Puts on record what became of a notice. Said again it is no news.
    pub fn delivered(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        if !delivery.is_sound() {
            return Err(refused("the channel's name, or the reason, is not plain text, or too long"));
        }
        let entry = entries(&self.audit_dir(), delivery.entry).next().transpose()?;
        if entry.is_none_or(|entry| !self.is_told(&entry)) {
            return Err(refused("people are not told of that entry"));
        }
        let _one = self.store.lock("told")?;
        let (log, _) = signed_end(&self.audit_dir())?;
        let told: Option<Told> = self.store.read_own(TOLD)?;
        let new = || Told { channels: BTreeMap::new(), log: log.clone(), version: Told::NEWEST };
        let mut told = told.filter(|told| told.log == log).unwrap_or_else(new);
        let Delivery { attempts, channel, entry, failed, with } = delivery.clone();
        if !told.take(&channel, entry, clock::now())? {
            return Ok(());
        }
        // First: where that fails again and again, the log must not grow by it.
        self.store.write_own(TOLD, &told)?;
        Ok(self.records.write(&[match failed {
            None => Body::NoticeDelivered { attempts, channel, entry, with },
            Some(why) => Body::NoticeFailed { attempts, channel, entry, why, with },
        }])?)
    }

    /// A notice that tells nothing, for whoever tries his channels.
    pub fn test_notice(&self) -> Result<Notice, Failure> {
        Ok(Notice::test(&self.people()?.host, clock::now()))
    }
}

fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("not put on record: {what}"))
}

#[cfg(test)]
mod tests;
