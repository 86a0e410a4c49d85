//! The places and sentences behind the facts, for people. Policy never sees them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Facts;
use crate::bytes::Bytes;
use crate::digest::Digest;

/// Facts with what stands behind them: kept with the run, shown, explained, replayed by `simulate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// The places behind the facts.
    pub evidence: Evidence,
    /// What policy judges.
    pub facts: Facts,
    /// The effect key: the same where the same would happen at the same places, whatever the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// What the lenses saw, in words, the weightiest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

/// Places by the name of a class (`database`) or the path of a fact (`linked_elsewhere`); a rule
/// names in `@about("…")` which it speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Evidence(pub BTreeMap<String, Places>);

/// How many places there are and some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// Bytes lost there.
    pub bytes: u64,
    /// How many effects.
    pub count: u64,
    /// Some of their places, at most [`Places::SHOWN`], the first in path order.
    pub paths: Vec<Bytes>,
}

impl Places {
    /// How many places are carried along; `count` tells the rest.
    pub const SHOWN: usize = 5;
}

/// A sentence fragment of a lens about one file or repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Which lens: `git`, `sqlite`, `terraform`, `access`, `agent`.
    pub lens: String,
    /// The file or repository.
    pub path: Bytes,
    /// What, for instance "table roles: 2,000 rows -> 0". May hold names from outside: show it tamed.
    pub text: String,
}

impl Evidence {
    /// Notes that `key` speaks of `path`, where `bytes` would be lost.
    pub fn note(&mut self, key: &str, path: &Bytes, bytes: u64) {
        let places = match self.0.get_mut(key) {
            Some(places) => places,
            None => self.0.entry(key.to_owned()).or_default(),
        };
        places.count += 1;
        places.bytes += bytes;
        if places.paths.len() < Places::SHOWN {
            places.paths.push(path.clone());
        }
    }

    /// Adds what was noted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (key, more) in &other.0 {
            let places = self.0.entry(key.clone()).or_default();
            places.count += more.count;
            places.bytes += more.bytes;
            let room = Places::SHOWN.saturating_sub(places.paths.len());
            places.paths.extend(more.paths.iter().take(room).cloned());
        }
    }

    /// The places of `key`.
    pub fn get(&self, key: &str) -> Option<&Places> {
        self.0.get(key)
    }
}
