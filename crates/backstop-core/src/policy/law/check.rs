//! The full check of a law: Cedar's strict validation against the schema of the facts, and the cases that
//! rules carry. What passes once need not be checked again (`Check::Known`).

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};

use super::rule::{Rule, Verdict};
use super::{Law, Refusal, court};
use crate::policy::case::{Case, CaseError};
use crate::policy::schema;

impl Law {
    /// Everything that is wrong.
    pub(super) fn check(&self) -> Vec<Refusal> {
        let schema = match Schema::from_cedarschema_str(&schema::cedar()) {
            Ok((schema, _)) => schema,
            Err(error) => {
                return vec![Refusal {
                    at: "docs/format/facts.cedarschema:1".to_owned(),
                    id: None,
                    next: "report this as a bug".to_owned(),
                    rule: "rules are checked against the schema of the facts".to_owned(),
                    why: format!("the schema can't be read: {error}"),
                }];
            }
        };
        let validator = Validator::new(schema);
        let mut refusals = Vec::new();
        for rule in self.rules.values() {
            let Some(alone) = self.alone(&rule.id) else { continue };
            let result = validator.validate(&alone, ValidationMode::Strict);
            // A warning is a mistake as well: a rule that can never speak, letters that look like others.
            refusals.extend(result.validation_errors().map(|e| rule.refuse("it does not fit the facts", e)));
            refusals.extend(result.validation_warnings().map(|w| rule.refuse("it can't be meant so", w)));
            refusals.extend(about(rule));
            if result.validation_passed() {
                refusals.extend(cases(rule, &alone));
            }
        }
        refusals
    }

    fn alone(&self, id: &str) -> Option<PolicySet> {
        let policy = self.set.policy(&cedar_policy::PolicyId::new(id))?.clone();
        PolicySet::from_policies([policy]).ok()
    }
}

/// A fact that a rule speaks about, and that does not exist. Classes are open, so their names can't be
/// checked; what has a dot is a fact.
fn about(rule: &Rule) -> Option<Refusal> {
    let unknown = rule.about.iter().find(|key| key.contains('.') && !schema::is_fact(key))?;
    Some(rule.refuse("@about", &CaseError::Unknown(unknown.clone())))
}

/// Cases that don't hold.
fn cases(rule: &Rule, alone: &PolicySet) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (text, key, stops) in [(&rule.stops, "@stops", true), (&rule.allows, "@allows", false)] {
        let Some(text) = text else { continue };
        let all = match Case::all(text) {
            Ok(all) => all,
            Err(error) => {
                refusals.push(rule.refuse(key, &error));
                continue;
            }
        };
        for (facts, told) in all.iter().zip(text.split('|')) {
            let speaks = match court::asked(alone, facts, 0) {
                Ok(answer) if answer.errors.is_empty() => answer.spoke.contains(&rule.id),
                Ok(_) | Err(_) => rule.verdict == Verdict::Forbid,
            };
            // A forbid stops by speaking, a permit by being silent.
            let stopped = speaks == (rule.verdict == Verdict::Forbid);
            if stopped != stops {
                let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
                let why = if stops { "it does not stop" } else { "it stops" };
                refusals.push(Refusal {
                    at: rule.at.clone(),
                    id: Some(rule.id.clone()),
                    next: "mend the rule or its case".to_owned(),
                    rule: format!("a rule does what its own {key} says"),
                    why: format!("{why} {told:?}"),
                });
            }
        }
    }
    refusals
}
