//! The documents of `install` and `uninstall`, and what `doctor` says of agents.

use backstop_core::bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use crate::install::system::{Did, Done};
use crate::install::{Act, Hole, Proof, Step};

/// `install`, `uninstall`: what became of each agent's configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InstallDocument {
    /// The agents.
    pub agents: Vec<AgentDocument>,
    /// True where nothing was written.
    pub dry_run: bool,
    /// The document's version: 1.
    pub version: u32,
}

/// `install system`, `uninstall system`: each step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SetupDocument {
    /// True where nothing was done.
    pub dry_run: bool,
    /// The steps, in order.
    pub steps: Vec<StepDocument>,
    /// The document's version: 1.
    pub version: u32,
}

/// One step of setting the machine up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepDocument {
    /// What becomes of it: `create`, `change`, `same`, `remove`, `foreign`, `kept`, `told`.
    pub act: &'static str,
    /// What a person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of what.
    pub what: String,
}

/// One agent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentDocument {
    /// Its name.
    pub agent: String,
    /// Why nothing was done for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Its files.
    pub files: Vec<FileDocument>,
    /// What a hook can't see of this client, where it is installed.
    pub holes: Vec<HoleDocument>,
    /// The canary proof, where it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofDocument>,
    /// For whom: `user` or `system`.
    pub scope: &'static str,
}

/// One file of an agent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileDocument {
    /// What becomes of it: `create`, `change`, `same`, `restore`, `take-out`, `remove`, `absent`, `foreign`.
    pub act: &'static str,
    /// What a person should know of it.
    pub notes: Vec<String>,
    /// The path that the client goes by.
    pub path: Bytes,
    /// Its place behind all links.
    pub real: Bytes,
}

/// The canary proof: whether the hook answers so that its client is stopped.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProofDocument {
    /// True where it was proven.
    pub ok: bool,
    /// What was started.
    pub started: Vec<String>,
    /// What is as it should not be.
    pub wrong: Vec<String>,
}

/// A way around the hook that stays.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HoleDocument {
    /// What helps.
    pub remedy: &'static str,
    /// What gets by.
    pub what: &'static str,
}

impl FileDocument {
    /// Of a step.
    pub fn of(step: &Step) -> Self {
        Self {
            act: act(step.act),
            notes: step.notes.clone(),
            path: step.path.as_path().into(),
            real: step.found.real.as_path().into(),
        }
    }
}

impl StepDocument {
    /// Of a step.
    pub fn of(step: Done) -> Self {
        let act = match step.did {
            Did::Place(this) => act(this),
            Did::Kept => "kept",
            Did::Told => "told",
        };
        Self { act, note: step.note, what: step.what }
    }
}

impl ProofDocument {
    /// Of a proof.
    pub fn of(proof: &Proof) -> Self {
        Self { ok: proof.ok(), started: proof.started.clone(), wrong: proof.wrong.clone() }
    }
}

impl HoleDocument {
    /// Of a hole.
    pub const fn of(hole: &Hole) -> Self {
        Self { remedy: hole.remedy, what: hole.what }
    }
}

const fn act(act: Act) -> &'static str {
    match act {
        Act::Create => "create",
        Act::Change => "change",
        Act::Same => "same",
        Act::Restore => "restore",
        Act::TakeOut => "take-out",
        Act::Remove => "remove",
        Act::Absent => "absent",
        Act::Foreign => "foreign",
    }
}
