//! The documents of `freeze` and `thaw`.

use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_engine::{Frozen, Thaw};
use schemars::JsonSchema;
use serde::Serialize;

use super::VERSION;
use super::approval::RequestDocument;

/// `freeze`: what stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FreezeDocument {
    /// True where it was frozen already.
    pub again: bool,
    /// Runs that did not stand in time, and were ended.
    pub ended: Vec<RunId>,
    /// When, by whom, why, and who lets it go on.
    pub freeze: Freeze,
    /// What is not as it should be; the exit code is 1 then.
    pub notes: Vec<String>,
    /// Runs whose command stands.
    pub stopped: Vec<RunId>,
    /// From the word until the last of them stood, in microseconds.
    pub took_us: u64,
    /// The document's version: 1.
    pub version: u32,
}

impl FreezeDocument {
    /// Of what came of it.
    pub fn of(frozen: &Frozen) -> Self {
        let Frozen { again, ended, freeze, notes, stopped, took_us } = frozen.clone();
        Self { again, ended, freeze, notes, stopped, took_us, version: VERSION }
    }
}

/// `thaw`: what goes on, or who is asked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ThawDocument {
    /// What had stood; none where nothing was frozen, or it still is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The request, where people are asked; the exit code is 75 then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDocument>,
    /// Runs whose command goes on.
    pub runs: Vec<RunId>,
    /// True where nothing is frozen any more.
    pub thawed: bool,
    /// The document's version: 1.
    pub version: u32,
}

impl ThawDocument {
    /// Of what came of it.
    pub fn of(thaw: &Thaw) -> Self {
        let none =
            Self { freeze: None, notes: Vec::new(), request: None, runs: Vec::new(), thawed: true, version: VERSION };
        match thaw {
            Thaw::Nothing => none,
            Thaw::Done(done) => {
                Self { freeze: Some(done.freeze.clone()), notes: done.notes.clone(), runs: done.runs.clone(), ..none }
            }
            Thaw::Asked(asked) => Self { request: Some(RequestDocument::of(asked)), thawed: false, ..none },
        }
    }
}
