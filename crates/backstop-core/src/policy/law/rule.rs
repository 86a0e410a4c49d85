//! One rule: takes a statement of a policy file, gives Cedar's policy with what people are told about
//! it. Refuses what a rule may not have: no name, unknown annotations, a permit in a layer that may only
//! forbid.

use cedar_policy::{Effect, Policy, PolicyId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Refusal, Source};
use crate::approval::quorum::Quorum;
use crate::policy::text::Statement;

/// Names that the court itself gives reasons by.
const RESERVED: [&str; 3] = ["nothing-permits", "policy-error", "policy-not-loaded"];
/// What begins the names of the floor.
const FLOOR: &str = "floor-";

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It lets through what no rule forbids.
    Permit,
    /// It stops, whatever permits.
    Forbid,
}

/// A rule as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whose places are shown with it: classes and facts.
    pub about: Vec<String>,
    /// Cases in which it is silent (a permit: speaks).
    pub allows: Option<String>,
    /// File and line.
    pub at: String,
    /// Its name.
    pub id: String,
    /// The layer it is from.
    pub layer: super::Layer,
    /// What can be done instead.
    pub next: Option<String>,
    /// Who has to agree, where it takes more than any two people.
    pub quorum: Option<Quorum>,
    /// Why, as a sentence fragment.
    pub reason: String,
    /// Cases in which it speaks (a permit: is silent).
    pub stops: Option<String>,
    /// Its text.
    pub text: String,
    /// What it does.
    pub verdict: Verdict,
    /// What one person types, where two should have approved and only one can.
    pub words: Option<String>,
}

impl Rule {
    /// Reads a statement.
    pub(super) fn read(source: &Source, statement: Statement<'_>) -> Result<(Self, Policy), Refusal> {
        let policy = Policy::parse(None, statement.text).map_err(|error| Refusal {
            at: format!("{}:{}", source.name, statement.line),
            // Read as far as can be, so that its earlier form can be found.
            id: named(statement.text).map(str::to_owned),
            next: "mend it there".to_owned(),
            rule: "rules are written in Cedar".to_owned(),
            why: format!("it can't be read: {}", told(&error)),
        })?;
        Self::of(source, statement, policy)
    }

    /// Takes what Cedar made of a statement.
    pub(super) fn of(source: &Source, statement: Statement<'_>, policy: Policy) -> Result<(Self, Policy), Refusal> {
        let at = format!("{}:{}", source.name, statement.line);
        let refuse = |id: Option<&str>, why: String, rule: &str, next: &str| Refusal {
            at: at.clone(),
            id: id.map(str::to_owned),
            next: next.to_owned(),
            rule: rule.to_owned(),
            why,
        };
        let mut rule = Self {
            about: Vec::new(),
            allows: None,
            at: at.clone(),
            id: String::new(),
            layer: source.layer,
            next: None,
            quorum: None,
            reason: String::new(),
            stops: None,
            text: statement.text.to_owned(),
            verdict: match policy.effect() {
                Effect::Permit => Verdict::Permit,
                Effect::Forbid => Verdict::Forbid,
            },
            words: None,
        };
        let id = policy.annotation("id").map(str::to_owned);
        for (key, value) in policy.annotations() {
            let text = value.to_owned();
            match key {
                "id" => rule.id = text,
                "reason" => rule.reason = text,
                "about" => rule.about = text.split_whitespace().map(str::to_owned).collect(),
                "next" => rule.next = Some(text),
                "words" => rule.words = Some(text),
                "quorum" if rule.verdict == Verdict::Permit => {
                    let why = "a rule that permits has a @quorum".to_owned();
                    let law = "who has to agree is said by the rule that stops what they agree to";
                    return Err(refuse(id.as_deref(), why, law, "put it at the rule that forbids"));
                }
                "quorum" => match Quorum::parse(&text) {
                    Ok(quorum) => rule.quorum = Some(quorum),
                    Err(why) => {
                        let law = "@quorum says how many people, and of which groups";
                        let next = "@quorum(\"1 dba\"), @quorum(\"3 people, 1 dba\")";
                        return Err(refuse(id.as_deref(), format!("its @quorum: {why}"), law, next));
                    }
                },
                "allows" => rule.allows = Some(text),
                "stops" => rule.stops = Some(text),
                _ => {
                    let why = format!("there is no annotation @{key}");
                    let known = "one of: @id @reason @about @next @words @quorum @allows @stops";
                    return Err(refuse(id.as_deref(), why, "unknown keys are refused", known));
                }
            }
        }
        if !is_name(&rule.id) {
            let next = "@id(\"a-short-name\") in front: small letters, digits and dashes, at most 64";
            return Err(refuse(None, "it has no name of its own".to_owned(), "a rule has a name", next));
        }
        if rule.reason.trim().is_empty() {
            let next = "@reason(\"…\") in front: a sentence fragment";
            let why = "it does not say why".to_owned();
            return Err(refuse(id.as_deref(), why, "a rule says why it is there", next));
        }
        if rule.verdict == Verdict::Permit && !source.layer.may_permit() {
            let why = format!("a rule of the {} layer permits", source.layer.name());
            let law = "a lower layer may only tighten: it forbids, it never permits";
            return Err(refuse(id.as_deref(), why, law, "have root change the machine's rules: /etc/backstop/policy"));
        }
        let policy = policy.new_id(PolicyId::new(&rule.id));
        Ok((rule, policy))
    }

    /// A refusal of this rule.
    pub(super) fn refuse(&self, why: &str, error: &dyn std::error::Error) -> Refusal {
        Refusal {
            at: self.at.clone(),
            id: Some(self.id.clone()),
            next: "mend it there; then: backstop policy check".to_owned(),
            rule: "rules are checked whole before any is in force".to_owned(),
            why: format!("{why}: {}", told(error)),
        }
    }
}

/// The name that a text which Cedar can't read gives itself, where it does so plainly: once, and for one
/// rule. A statement that swallowed another one has no name, for that could be a rule nobody knows of.
fn named(text: &str) -> Option<&str> {
    let rules = text.matches("forbid").count() + text.matches("permit").count();
    if text.matches("@id").count() != 1 || rules != 1 {
        return None;
    }
    let (_, rest) = text.split_once("@id(\"")?;
    rest.split_once("\")").map(|(id, _)| id).filter(|id| is_name(id))
}

fn is_name(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with(FLOOR) && !RESERVED.contains(&id)
}

/// An error with its causes, on one line.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let further = cause.to_string();
        if !text.contains(&further) {
            text.push_str(&format!(": {further}"));
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
