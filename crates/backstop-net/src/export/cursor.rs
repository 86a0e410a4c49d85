//! How far a sink has the log, and how it goes, as it is kept.

use backstop_core::digest::Digest;
use backstop_core::notice::Mark;
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How one sink stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// What is wrong, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// How many entries it had before: they were sent again.
    pub known: u64,
    /// When it took something last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The leaf of the entry before `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Digest>,
    /// From where on it has nothing.
    pub next: Mark,
    /// How many entries it took.
    pub sent: u64,
    /// How many it refused, and is not sent again.
    pub skipped: u64,
    /// True where it is on record that it takes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stalled: bool,
    /// The format's version: 1.
    pub version: u32,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What, the last time.
    pub why: String,
}

impl Cursor {
    /// Of a sink that has nothing before `next`.
    pub const fn new(next: Mark) -> Self {
        Self { failing: None, known: 0, last: None, leaf: None, next, sent: 0, skipped: 0, stalled: false, version: 1 }
    }
}
