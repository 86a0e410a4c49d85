//! The jail as values: what counts against an agent, by what it is known, and what a ban makes of its further runs. As in
//! fail2ban: so many within a time, a ban that grows; but what is counted are classes of effects, not spellings, and what
//! is banned is whoever tries, not an address. Decides only; remembers in values that somebody else keeps.

mod class;
mod count;
mod key;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::quorum::Quorum;
use crate::canon;
use crate::digest::Digest;
use crate::id::RunId;
use crate::policy::{Decision, Judgement, Reason};
use crate::size;
use crate::time::Timestamp;

pub use class::{Class, Does};
pub use count::{Count, Jail};
pub use key::Key;

/// When, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// What is counted stays so for so many minutes.
    pub find_minutes: u32,
    /// So many of one class within that time, in one session, are a ban; twice as many by what is wider, four times as many
    /// by an account. So many more under a ban raise its level.
    pub most: u32,
    /// The first ban, in minutes.
    pub ban_minutes: u32,
    /// Each further one is longer by this factor.
    pub factor: u32,
    /// Up to so many minutes.
    pub longest_minutes: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { find_minutes: 10, most: 5, ban_minutes: 60, factor: 2, longest_minutes: 7 * 24 * 60 }
    }
}

impl Rules {
    /// What is wrong with them, as a sentence fragment; none where they can be gone by.
    pub fn trouble(&self) -> Option<&'static str> {
        let all = [self.find_minutes, self.most, self.ban_minutes, self.factor, self.longest_minutes];
        if all.contains(&0) {
            return Some("each number in [jail] is at least 1");
        }
        (self.longest_minutes < self.ban_minutes).then_some("longest-minutes is less than ban-minutes")
    }

    /// How long a ban lasts, in seconds, after `times` earlier ones.
    fn span(&self, times: u32) -> i64 {
        let longer = u64::from(self.factor).saturating_pow(times);
        let minutes = u64::from(self.ban_minutes).saturating_mul(longer).min(u64::from(self.longest_minutes));
        i64::try_from(minutes * 60).unwrap_or(i64::MAX)
    }

    /// From how many on it is a ban for this key.
    fn most_of(&self, key: &Key) -> u32 {
        // Many may share what is wider than a session.
        let times = match key {
            Key::Session { .. } => 1,
            Key::Agent { .. } | Key::Workspace { .. } | Key::Starter { .. } => 2,
            Key::Account { .. } => 4,
        };
        self.most.saturating_mul(times)
    }
}

/// How far a ban goes. Ordered: the strictest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The classes are closed to it, and a person is asked about all else that it changes.
    Asks,
    /// It changes nothing.
    ReadOnly,
    /// What it runs stands, and nothing of it begins.
    Frozen,
    /// What it ran was ended, and nothing of it begins.
    Locked,
}

impl Level {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asks => "asks",
            Self::ReadOnly => "read-only",
            Self::Frozen => "frozen",
            Self::Locked => "locked",
        }
    }

    /// What it means, as a sentence fragment.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Asks => "a person is asked about every change",
            Self::ReadOnly => "it changes nothing",
            Self::Frozen => "what it runs stands, and nothing of it begins",
            Self::Locked => "what it ran was ended, and nothing of it begins",
        }
    }

    /// The next stricter one; none above the strictest.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Asks => Some(Self::ReadOnly),
            Self::ReadOnly => Some(Self::Frozen),
            Self::Frozen => Some(Self::Locked),
            Self::Locked => None,
        }
    }

    /// True where nothing of it begins, and people alone end it.
    pub fn shuts(self) -> bool {
        self >= Self::Frozen
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// One person was asked, and none said yes. It counts where the same effect comes back.
    Asked,
    /// Rules or a person said no, or a ban that closes its class.
    Denied,
    /// Two people were asked.
    Held,
    /// It was to begin under a ban that lets nothing begin.
    Refused,
}

/// What came of a run that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was denied.
    Denied,
    /// A person gave it up.
    GivenUp,
    /// It waits for people.
    Waits,
    /// It takes effect.
    Through,
}

impl How {
    /// How a run counts, by what policy alone says of it, whether a class of it was closed, and what came of it. None where it
    /// does not: what takes effect, what could not be judged, and what is denied or asked about for nothing but a ban.
    pub fn of(law: &Judgement, closed: bool, came: Came) -> Option<Self> {
        match (law.decision, came) {
            (_, Came::Through) => None,
            (_, Came::Denied) => (closed || law.denies_what_is_tried()).then_some(Self::Denied),
            (Decision::Allow, _) => None,
            (_, Came::GivenUp) => Some(Self::Denied),
            (Decision::TwoPerson, Came::Waits) => Some(Self::Held),
            (_, Came::Waits) => Some(Self::Asked),
        }
    }
}

/// One thing that counts against whoever tried it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offence {
    /// What it would have done; empty where it was not let begin.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<Class>,
    /// The effect, whatever command would have had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Digest>,
    /// What came of it.
    pub how: How,
    /// By what it is known.
    pub keys: BTreeSet<Key>,
    /// The run, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// That an agent is banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// Since when, at this level.
    pub at: Timestamp,
    /// The classes that are closed.
    pub classes: BTreeSet<Class>,
    /// Who.
    pub key: Key,
    /// How far it goes.
    pub level: Level,
    /// Whose signatures end it; none where one person's word does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
    /// How often the same was banned before, in the last week.
    pub times: u32,
    /// When it ends by itself; none where people alone end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Ban {
    /// Names it.
    pub fn digest(&self) -> Digest {
        Digest::of("backstop/ban/1", &[&canon::line(self)])
    }

    /// What people call it by.
    pub fn code(&self) -> String {
        crate::approval::matter::code(self.digest())
    }

    /// True while it stands.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// The classes in words.
    pub fn closed(&self) -> String {
        words(&self.classes)
    }

    /// What this makes of a run that would change something of these classes. The answer names what is closed: an agent
    /// that is only told no looks for another spelling.
    pub fn judge(&self, classes: &BTreeSet<Class>) -> Reason {
        let hit: BTreeSet<Class> = classes.intersection(&self.classes).filter(|c| !c.own).cloned().collect();
        let lasts = self.until.map_or_else(|| "people end it".to_owned(), |at| format!("until {}", at.whole()));
        let who = self.key.in_words();
        let (decision, rule, why) = if !hit.is_empty() {
            let and = if self.level >= Level::ReadOnly { ", and so is every change" } else { "" };
            let why = format!("{} is closed to {who}, in whatever spelling{and} ({lasts})", words(&hit));
            (Decision::Deny, CLOSED, why)
        } else if self.level >= Level::ReadOnly {
            let why = format!("{who} is banned, and read-only: it tried {} too often ({lasts})", self.closed());
            (Decision::Deny, READ_ONLY, why)
        } else {
            let tried = self.closed();
            let why = format!("{who} is banned for trying {tried} too often: a person looks at each change ({lasts})");
            (Decision::Ask, ASKS, why)
        };
        let next = match decision {
            Decision::Deny => "stop trying, and tell the person you work for; ",
            _ => "",
        };
        Reason {
            next: Some(format!("{next}people end it: backstop jail clear {}", self.code())),
            why,
            ..Reason::new(decision, rule)
        }
    }
}

/// The reason that its class is closed.
pub const CLOSED: &str = "jail-closed";

/// The reason that it changes nothing.
pub const READ_ONLY: &str = "jail-read-only";

/// The reason that a person is asked.
pub const ASKS: &str = "jail-asks";

fn words(classes: &BTreeSet<Class>) -> String {
    let all: Vec<String> = classes.iter().map(ToString::to_string).collect();
    if all.is_empty() { "what it may not".to_owned() } else { all.join(", ") }
}

/// So many within so many minutes, in words.
pub fn in_words(rules: &Rules) -> String {
    format!("{} within {}", rules.most, size::counted(u64::from(rules.find_minutes), "minute", "minutes"))
}

#[cfg(test)]
mod tests;
