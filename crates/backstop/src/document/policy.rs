//! The documents of `policy …`.

use std::collections::BTreeMap;

use backstop_core::audit::PolicyFile;
use backstop_core::digest::Digest;
use backstop_core::facts::Findings;
use backstop_core::id::RunId;
use backstop_core::policy::law::{Refusal, Rule};
use backstop_core::policy::trial::Expected;
use backstop_core::policy::{Decision, Judgement};
use schemars::JsonSchema;
use serde::Serialize;

/// `policy check`: what is refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyCheckDocument {
    /// True where nothing is.
    pub ok: bool,
    /// What is refused, and why.
    pub refusals: Vec<Refusal>,
    /// How many rules were accepted.
    pub rules: u64,
    /// The document's version: 1.
    pub version: u32,
}

/// `policy explain`: by what a run was judged.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyExplainDocument {
    /// The facts, the places behind them and what the lenses saw; none where they were not kept.
    pub findings: Option<Findings>,
    /// What was said.
    pub judgement: Option<Judgement>,
    /// The rules that spoke, as they stand today, by name.
    pub rules: BTreeMap<String, Rule>,
    /// The run.
    pub run: RunId,
    /// True where the rules of today are those that judged it.
    pub same_rules: bool,
    /// The document's version: 1.
    pub version: u32,
}

/// `policy show`: the rules in force.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyShowDocument {
    /// The files that the set is made of, those of classes among them.
    pub files: Vec<PolicyFile>,
    /// Names the set; a run's judgement carries it.
    pub law: Digest,
    /// What is wrong with today's files; with rules beside it, the last good ones hold.
    pub refusals: Vec<Refusal>,
    /// The rules; none where everything is denied.
    pub rules: Vec<Rule>,
    /// The document's version: 1.
    pub version: u32,
}

/// `policy simulate`: what would differ.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicySimulateDocument {
    /// The runs that would be judged otherwise, newest first.
    pub changed: Vec<ChangedRun>,
    /// How many runs were judged anew.
    pub judged: u64,
    /// How many went from one decision to another, as `allow -> ask`.
    pub moves: BTreeMap<String, u64>,
    /// Runs whose findings are not kept.
    pub skipped: u64,
    /// The document's version: 1.
    pub version: u32,
}

/// A run that would be judged otherwise.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangedRun {
    /// The decision that was.
    pub before: Decision,
    /// Rules that would speak and did not.
    pub gained: Vec<String>,
    /// Rules that spoke and would not.
    pub lost: Vec<String>,
    /// The decision that would be.
    pub now: Decision,
    /// The run.
    pub run: RunId,
}

/// `policy test`: what the cases got.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyTestDocument {
    /// The cases, in the order of their files.
    pub cases: Vec<TrialDocument>,
    /// True where each got what it expects.
    pub ok: bool,
    /// The document's version: 1.
    pub version: u32,
}

/// One case under one profile.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrialDocument {
    /// What it expects.
    pub expected: Expected,
    /// The file, as it is shown.
    pub file: String,
    /// What it got.
    pub got: Expected,
    /// The profile.
    pub profile: String,
}
