//! A line of the log: what happened, when, and at which place; and its one spelling.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::Body;
use crate::canon;
use crate::time::Timestamp;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// What.
    pub body: Body,
    /// Its place in the log, from 0.
    pub index: u64,
    /// The format's version: 1.
    pub version: u32,
}

impl Entry {
    /// The version this code writes.
    pub const VERSION: u32 = 1;

    /// The bytes that are hashed: canonical JSON without a line end.
    pub fn line(&self) -> Vec<u8> {
        canon::line(self)
    }

    /// Reads a line (without its line end); none where it is not exactly what `line` writes.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(line).ok()?;
        (entry.version == Self::VERSION && entry.line() == line).then_some(entry)
    }
}
