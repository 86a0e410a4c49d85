//! What lasts and is in no entry of the log: that the guard does not answer, that a disk is nearly full, that rules for alerts
//! can't be used, that something is silenced. Each is told when it begins and when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use backstop_core::audit::Severity;
use backstop_core::notice::{Delivery, Notice, What};
use backstop_core::time::Timestamp;

use super::disk::{Disks, Found};
use super::watch::Watch;
use crate::silence::Silence;

/// How often disks are looked at.
const EVERY: Duration = Duration::from_secs(30);

/// Something that lasts at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// What it is.
    pub what: What,
    /// How much it matters.
    pub severity: Severity,
    /// What people are told.
    pub says: String,
    /// What they are told when it is over.
    pub over: String,
}

/// What lasts at this moment, by what it is called.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    pub lasts: BTreeMap<String, Condition>,
    /// Whether the guard answers is not known.
    pub guard_unknown: bool,
    /// The places of disks that were looked at; none before that.
    pub disks: Option<BTreeSet<String>>,
}

/// What is looked at for all channels together.
pub(super) struct Machine {
    /// Whether the guard answers.
    pub guard: Watch,
    /// None before they were looked at.
    disks: Mutex<Option<Found>>,
    least: u8,
}

impl Machine {
    pub fn new(guard: Watch, least: u8) -> Self {
        Self { guard, disks: Mutex::new(None), least }
    }

    /// Looks at disks, for as long as the process lives.
    pub fn look_at_disks(&self) {
        let mut disks = Disks::default();
        loop {
            // A file system that hangs keeps this thread, and nobody else.
            let found = disks.look(self.least);
            *self.disks.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            thread::sleep(EVERY);
        }
    }

    /// What lasts.
    pub fn now(&self) -> Now {
        let found = self.disks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (low, looked) = found.map_or((BTreeMap::new(), None), |found| (found.low, Some(found.looked)));
        let disks = low.into_iter().map(|(place, percent)| Condition {
            since: None,
            severity: Severity::Error,
            says: format!("{percent} % of {place} are left; on a full disk no agent's command begins"),
            over: format!("{place} has room again"),
            what: What::Disk { back: false, place },
        });
        let silent = self.guard.silent();
        // After a start nobody knows yet.
        let guard_unknown = silent.is_none() && !self.guard.answers();
        Now { lasts: named(silent.map(away).into_iter().chain(disks)), guard_unknown, disks: looked }
    }
}

/// The guard does not answer.
pub(super) fn away(since: Timestamp) -> Condition {
    let whole = since.whole();
    Condition {
        since: Some(since),
        what: What::Away { back: false },
        severity: Severity::Alert,
        says: format!("the guard does not answer since {whole}: nothing is recorded, and no agent's command begins"),
        over: format!("the guard answers again; it did not since {whole}"),
    }
}

/// The rules for alerts can't be used.
pub(super) fn refused(why: &str) -> Condition {
    Condition {
        since: None,
        what: What::AlertRules { back: false },
        severity: Severity::Error,
        says: format!("Backstop's own hold instead: {}", Delivery::reason(why)),
        over: "they can be used again".to_owned(),
    }
}

/// Something is silenced.
pub(super) fn silenced(silence: &Silence) -> Condition {
    let Silence { by, id, reason, until, .. } = silence;
    Condition {
        since: Some(silence.made_at),
        what: What::Silenced { back: false, silence: id.clone() },
        severity: Severity::Notice,
        says: format!("{} is not told until {}, by user account {by}: {reason}", silence.about(), until.whole()),
        over: format!("{} is told again", silence.about()),
    }
}

/// By what they are called.
pub(super) fn named(all: impl IntoIterator<Item = Condition>) -> BTreeMap<String, Condition> {
    all.into_iter().filter_map(|condition| name(&condition.what).map(|name| (name, condition))).collect()
}

/// What something is called that lasts.
pub(super) fn name(what: &What) -> Option<String> {
    Notice { what: what.clone(), ..Notice::test("", Timestamp::default()) }.matter().map(|(name, _)| name)
}
