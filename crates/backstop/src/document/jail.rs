//! The documents of `jail`.

use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::jail::{Ban, Count, Rules};
use backstop_engine::{Cleared, Failure, Jailed, Tried, Wish};
use schemars::JsonSchema;
use serde::Serialize;

use super::VERSION;
use super::approval::RequestDocument;

/// A ban, with what people call it by.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamedBan {
    /// It.
    pub ban: Ban,
    /// What `jail clear` takes.
    pub code: String,
    /// The whole of that: its digest.
    pub digest: Digest,
}

impl NamedBan {
    fn of(ban: &Ban) -> Self {
        Self { ban: ban.clone(), code: ban.code(), digest: ban.digest() }
    }
}

/// `jail list`: who is banned, and who is on the way there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JailDocument {
    /// The bans that stand.
    pub bans: Vec<NamedBan>,
    /// What is counted now.
    pub counts: Vec<Count>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The document's version: 1.
    pub version: u32,
}

impl JailDocument {
    /// Of both.
    pub fn of(jailed: &Jailed) -> Self {
        let bans = jailed.bans.iter().map(NamedBan::of).collect();
        Self { bans, counts: jailed.counts.clone(), notes: jailed.notes.clone(), version: VERSION }
    }
}

/// What came of the wish to end one ban.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OneCleared {
    /// The ban; none where people are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ban: Option<NamedBan>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The request, where people are asked; the exit code is 75 then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDocument>,
    /// Runs whose command goes on.
    pub runs: Vec<RunId>,
}

/// `jail clear`: what ended, or who is asked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ClearDocument {
    /// One each.
    pub cleared: Vec<OneCleared>,
    /// Why others did not end; the exit code is 1 then.
    pub failed: Vec<String>,
    /// The document's version: 1.
    pub version: u32,
}

impl ClearDocument {
    /// Of what came of each.
    pub fn of(all: &[Wish<Cleared>], failed: &[Failure]) -> Self {
        let of = |clear: &Wish<Cleared>| match clear {
            Wish::Done(done) => OneCleared {
                ban: Some(NamedBan::of(&done.ban)),
                notes: done.notes.clone(),
                request: None,
                runs: done.runs.clone(),
            },
            Wish::Asked(asked) => {
                OneCleared { ban: None, notes: Vec::new(), request: Some(RequestDocument::of(asked)), runs: Vec::new() }
            }
        };
        let failed = failed.iter().map(|failure| failure.what.clone()).collect();
        Self { cleared: all.iter().map(of).collect(), failed, version: VERSION }
    }
}

/// `jail test`: what rules would have made of what the log says was counted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JailTestDocument {
    /// The bans, and each raise of one, in their order.
    pub bans: Vec<Ban>,
    /// How much was counted.
    pub counted: u64,
    /// How many bans and raises there really were.
    pub made: u64,
    /// The rules.
    pub rules: Rules,
    /// The document's version: 1.
    pub version: u32,
}

impl JailTestDocument {
    /// Of what came of them.
    pub fn of(tried: &Tried, rules: Rules) -> Self {
        Self { bans: tried.bans.clone(), counted: tried.counted, made: tried.made, rules, version: VERSION }
    }
}
