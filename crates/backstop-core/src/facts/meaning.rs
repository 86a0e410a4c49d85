//! What a person is told of the facts, short enough to be kept in a run's record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Findings, Proof, Told};
use crate::canon;
use crate::classes::Classes;

/// The facts in brief.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meaning {
    /// Bytes that would exist nowhere else.
    pub bytes: i64,
    /// Files that would exist nowhere else.
    pub files: i64,
    /// The protected kinds of places that are touched, those that lose something first, each with why it
    /// matters: a credential that is made or given away is as grave as one that is lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// How many sentences of the lenses are not among `told`.
    #[serde(default, skip_serializing_if = "canon::is_zero")]
    pub more: u64,
    /// The newest backup of it that was restored and compared.
    pub proof: Proof,
    /// What the lenses saw, the weightiest first, at most [`Meaning::TOLD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

/// A protected kind of place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// The class.
    pub class: String,
    /// Why it matters, as a sentence fragment.
    pub why: String,
}

impl Meaning {
    /// How many sentences are carried along.
    pub const TOLD: usize = 8;

    /// Of findings.
    pub fn of(findings: &Findings, classes: &Classes) -> Self {
        let facts = &findings.facts;
        let touched = facts.classes.iter().filter(|c| !facts.losing.contains(*c));
        let protected = facts.losing.iter().chain(touched).filter(|c| classes.protected(c));
        let kinds = protected.map(|c| Kind { class: c.clone(), why: classes.why(c).to_owned() }).collect();
        Self {
            bytes: facts.irreplaceable.bytes,
            files: facts.irreplaceable.files,
            kinds,
            more: findings.told.len().saturating_sub(Self::TOLD) as u64,
            proof: facts.proof.clone(),
            told: findings.told.iter().take(Self::TOLD).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protected_kind_that_is_only_made_or_changed_is_told_too() {
        let words = |all: &[&str]| all.iter().map(|c| (*c).to_owned()).collect();
        let mut findings = Findings::default();
        findings.facts.classes = words(&["credentials", "database", "outside"]);
        findings.facts.losing = words(&["database", "outside"]);
        let meaning = Meaning::of(&findings, &Classes::new(&[]));
        let kinds: Vec<&str> = meaning.kinds.iter().map(|k| k.class.as_str()).collect();
        assert_eq!(kinds, ["database", "credentials"], "what loses something first");
        assert!(meaning.kinds.iter().all(|k| !k.why.is_empty()));
    }
}
