//! A run's life: its states and the record of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::effect::Totals;
use crate::facts::Meaning;
use crate::id::RunId;
use crate::policy::Judgement;
use crate::request::Request;
use crate::time::Timestamp;

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The command runs (or ran and was cut off: `recover` discards it).
    Rehearsing,
    /// It changed nothing.
    NoEffect,
    /// Nothing of it took effect; it waits for a person.
    Held,
    /// Policy refused it; nothing took effect.
    Denied,
    /// Shown by `--dry-run`; nothing took effect.
    DryRun,
    /// It ran in place, confined to the agent's own places. What it changed there is not known, and undo does
    /// not cover it.
    InPlace,
    /// A client's own tool may do it; what became of it is not known yet.
    Allowed,
    /// Its effects are on the disk.
    Committed,
    /// Its effects were taken back.
    Undone,
    /// Given up by somebody; nothing took effect.
    Discarded,
    /// Backstop failed, or the run was cut off; nothing took effect.
    Failed,
}

impl State {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rehearsing => "rehearsing",
            Self::NoEffect => "no-effect",
            Self::Held => "held",
            Self::Denied => "denied",
            Self::DryRun => "dry-run",
            Self::InPlace => "in-place",
            Self::Allowed => "allowed",
            Self::Committed => "committed",
            Self::Undone => "undone",
            Self::Discarded => "discarded",
            Self::Failed => "failed",
        }
    }

    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Rehearsing,
        Self::NoEffect,
        Self::Held,
        Self::Denied,
        Self::DryRun,
        Self::InPlace,
        Self::Allowed,
        Self::Committed,
        Self::Undone,
        Self::Discarded,
        Self::Failed,
    ];
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It returned this code.
    Code(u8),
    /// A signal ended it.
    Signal(u8),
}

impl Exit {
    /// As a shell would report it: 128+N for signal N.
    pub const fn code(self) -> u8 {
        match self {
            Self::Code(c) => c,
            Self::Signal(n) => 128u8.wrapping_add(n),
        }
    }
}

/// A process that outlived the command and was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftBehind {
    /// Its name.
    pub name: Bytes,
    /// Its process id inside the sandbox.
    pub pid: u32,
}

/// What is kept of a run in `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The request for approval, where two people were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Digest>,
    /// The effects' digest, once they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How the command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The run's name.
    pub id: RunId,
    /// The run that people are asked about already, for which this one, which would do the same, was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<RunId>,
    /// What policy said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// Processes that outlived the command and were stopped.
    #[serde(default)]
    pub left_behind: Vec<LeftBehind>,
    /// True once the vault has let go of what taking it back would need.
    #[serde(default)]
    pub let_go: bool,
    /// What its effects mean, in brief.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<Meaning>,
    /// Further remarks for a person: what was not covered, why it failed.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The request.
    pub request: Request,
    /// When it was asked for.
    pub started: Timestamp,
    /// Where it is in its life.
    pub state: State,
    /// Sums of its effects, once they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// When the state changed last.
    pub updated: Timestamp,
    /// The format's version: 1.
    pub version: u32,
}
