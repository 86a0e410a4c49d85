//! Case files: facts, and the tier that rules must give them. One file, one claim; `corpus/policy` has
//! those of the built-in rules, and whoever writes rules can write theirs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::law::{Law, Profile};
use super::{Decision, Judgement};
use crate::facts::{Facts, Findings};

/// A case file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What is expected of each profile.
    pub expect: BTreeMap<String, Expected>,
    /// The facts.
    pub facts: Facts,
    /// Why it should be so.
    pub why: String,
}

/// What is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Every rule that speaks, in any order.
    #[serde(default)]
    pub rules: BTreeSet<String>,
    /// The decision.
    pub tier: Decision,
    /// What one person has to type.
    #[serde(default)]
    pub words: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    why: String,
    #[serde(default)]
    facts: toml::Table,
    expect: BTreeMap<String, Expected>,
}

impl Trial {
    /// Reads a case file.
    ///
    /// # Errors
    /// With what is wrong: unknown keys, facts that do not exist, values of another kind.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: Raw = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        let mut case = Case::default();
        tell(&mut case, "", raw.facts)?;
        if let Some(stranger) = raw.expect.keys().find(|k| Profile::ALL.iter().all(|p| p.name() != k.as_str())) {
            return Err(format!("there is no profile {stranger:?}"));
        }
        if raw.expect.is_empty() {
            return Err("it expects nothing".to_owned());
        }
        Ok(Self { expect: raw.expect, facts: case.facts().map_err(|e| e.to_string())?, why: raw.why })
    }

    /// What `law` gives these facts under a profile.
    pub fn judged(&self, law: &Law, profile: Profile) -> Judgement {
        let mut facts = self.facts.clone();
        facts.host.role = profile.name().to_owned();
        law.judge(&Findings { facts, ..Findings::default() }, Vec::new())
    }
}

impl Expected {
    /// As a judgement was.
    pub fn of(judgement: &Judgement) -> Self {
        Self {
            rules: judgement.reasons.iter().map(|r| r.rule.clone()).collect(),
            tier: judgement.decision,
            words: judgement.words().into_iter().map(str::to_owned).collect(),
        }
    }
}

fn tell(case: &mut Case, path: &str, table: toml::Table) -> Result<(), String> {
    for (key, value) in table {
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(below) => tell(case, &path, below)?,
            value => {
                let value = serde_json::to_value(value).map_err(|e| e.to_string())?;
                case.set(&path, value).map_err(|e| e.to_string())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_file_is_read_or_refused() {
        let good = "why = 'w'\n[facts]\nclasses = ['outside']\ndeleted.files = 2\n[expect.workstation]\ntier = 'ask'\n";
        let trial = Trial::parse(good).expect("a case");
        assert_eq!((trial.facts.deleted.files, trial.expect["workstation"].tier), (2, Decision::Ask));
        for (from, to) in [
            ("deleted.files", "deleted.fils"),
            ("deleted.files = 2", "deleted.files = 'many'"),
            ("deleted.files = 2", "deleted = 2"),
            ("workstation", "laptop"),
            ("tier = 'ask'", "tier = 'maybe'"),
            ("tier = 'ask'", "tier = 'ask'\nrule = 'x'"),
            ("why = 'w'", "reason = 'w'"),
        ] {
            assert!(Trial::parse(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
