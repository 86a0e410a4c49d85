//! The law: every rule that a run is judged by, from its layers. Takes the texts of policy files, gives a
//! set of Cedar policies with their reasons, or says what can't be accepted and why. Opens no files.
//!
//! Only the profile and the system's files (which root alone can write) may permit. What a user or a
//! project adds can only forbid, so it can only tighten: in Cedar a forbid always wins.

mod check;
mod court;
mod fallback;
mod rule;

use std::collections::BTreeMap;

use cedar_policy::PolicySet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text;
use crate::digest::Digest;
use crate::request::Net;

pub use court::refused;
pub use fallback::machines;
pub use rule::{Rule, Verdict};

/// Where a policy file stands. Ordered: a lower layer is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The rules that a profile begins with, compiled in or replaced by root.
    Profile,
    /// The machine's: only root can write it.
    System,
    /// A user's own. May only forbid.
    User,
    /// A project's: an agent can write it. May only forbid.
    Project,
}

impl Layer {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::System => "system",
            Self::User => "user",
            Self::Project => "project",
        }
    }

    /// True where only root can write it, so that it may permit as well.
    pub const fn may_permit(self) -> bool {
        matches!(self, Self::Profile | Self::System)
    }
}

/// The defaults to go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A person's own machine.
    #[default]
    Workstation,
    /// A server.
    Production,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Workstation, Self::Production];

    /// The name in files, on screens, and in the fact `host.role`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workstation => "workstation",
            Self::Production => "production",
        }
    }

    /// The file whose text it is; one of the same name among the system's files takes its place.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Workstation => "workstation.cedar",
            Self::Production => "production.cedar",
        }
    }

    /// What a run by it may reach when nothing else is said.
    pub const fn net(self) -> Net {
        match self {
            Self::Workstation => Net::Host,
            Self::Production => Net::None,
        }
    }

    /// Its rules as they are compiled in.
    pub fn source(self) -> Source {
        let text = match self {
            Self::Workstation => include_str!("workstation.cedar"),
            Self::Production => include_str!("production.cedar"),
        };
        Source { layer: Layer::Profile, name: self.file().to_owned(), text: text.to_owned() }
    }
}

/// The text of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it stands.
    pub layer: Layer,
    /// The file, as it is shown.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Why a file is not accepted: the place, the cause, the rule behind it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// File and line: `/etc/backstop/policy/site.cedar:12`.
    pub at: String,
    /// The rule that is broken: its `@id`, where it has a readable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What to do.
    pub next: String,
    /// Which rule of policy files it goes against.
    pub rule: String,
    /// What is wrong, as a sentence fragment.
    pub why: String,
}

/// How much is checked when sources are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Everything: types against the schema, cases of the rules.
    Full,
    /// Form only: this very set (by its digest) passed the full check before. An error that slips through
    /// denies when it is met.
    Known,
}

/// All rules that are in force.
#[derive(Clone, Debug)]
pub struct Law {
    set: PolicySet,
    rules: BTreeMap<String, Rule>,
    sources: Vec<Source>,
    digest: Digest,
}

impl Law {
    /// Loads every source, the profile's among them.
    ///
    /// # Errors
    /// Everything that can't be accepted in any of them; then none of it is in force.
    pub fn load(sources: Vec<Source>, check: Check) -> Result<Self, Vec<Refusal>> {
        let mut law =
            Self { set: PolicySet::new(), rules: BTreeMap::new(), digest: digest(&sources), sources: Vec::new() };
        let mut refusals = Vec::new();
        for source in &sources {
            for rule in read(source) {
                match rule {
                    Ok((rule, policy)) => law.add(rule, policy, &mut refusals),
                    Err(refusal) => refusals.push(refusal),
                }
            }
        }
        law.sources = sources;
        if refusals.is_empty() && check == Check::Full {
            refusals = law.check();
        }
        if refusals.is_empty() { Ok(law) } else { Err(refusals) }
    }

    /// The rules of a profile as they are compiled in.
    ///
    /// # Errors
    /// Never: tests load every profile.
    pub fn of(profile: Profile) -> Result<Self, Vec<Refusal>> {
        Self::load(vec![profile.source()], Check::Known)
    }

    fn add(&mut self, rule: Rule, policy: cedar_policy::Policy, refusals: &mut Vec<Refusal>) {
        if let Some(first) = self.rules.get(&rule.id) {
            refusals.push(Refusal {
                at: rule.at,
                id: Some(rule.id),
                next: "give it a name of its own".to_owned(),
                rule: "a name stands for one rule, over all layers".to_owned(),
                why: format!("there is a rule of this name already, at {}", first.at),
            });
            return;
        }
        match self.set.add(policy) {
            Ok(()) => {
                self.rules.insert(rule.id.clone(), rule);
            }
            Err(error) => refusals.push(rule.refuse("it can't be added", &error)),
        }
    }

    /// The rules, by name.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// What it was loaded from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Names this very set: the digest over layer, name and text of every source.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// The digest of sources, known before they are read.
pub fn digest(sources: &[Source]) -> Digest {
    let parts: Vec<&[u8]> =
        sources.iter().flat_map(|s| [s.layer.name().as_bytes(), s.name.as_bytes(), s.text.as_bytes()]).collect();
    Digest::of("backstop/law/1", &parts)
}

/// Every rule of a source, or why it is none.
fn read(source: &Source) -> Vec<Result<(Rule, cedar_policy::Policy), Refusal>> {
    match text::statements(&source.text) {
        Ok(statements) => match whole(source, &statements) {
            Some(policies) => statements.iter().zip(policies).map(|(s, p)| Rule::of(source, *s, p)).collect(),
            None => statements.iter().map(|s| Rule::read(source, *s)).collect(),
        },
        Err(line) => vec![Err(Refusal {
            at: format!("{}:{line}", source.name),
            id: None,
            next: "end it: a rule with `;`, a string with a quotation mark".to_owned(),
            rule: "a file is read whole or not at all".to_owned(),
            why: "what begins here never ends".to_owned(),
        })],
    }
}

/// All policies of a source in their order, read at once, which takes Cedar less than half the time; none
/// where that fails, or where Cedar cuts the text elsewhere: then each is read by itself, to say which is at fault.
fn whole(source: &Source, statements: &[text::Statement<'_>]) -> Option<Vec<cedar_policy::Policy>> {
    let set: PolicySet = source.text.parse().ok()?;
    // A template is no rule, and no policy of the set.
    if set.policies().count() != statements.len() || set.templates().next().is_some() {
        return None;
    }
    // Cedar names them by their order, and keeps the text of each.
    let named = |(n, statement): (usize, &text::Statement<'_>)| {
        let policy = set.policy(&cedar_policy::PolicyId::new(format!("policy{n}")))?;
        (policy.to_string() == statement.text).then(|| policy.clone())
    };
    statements.iter().enumerate().map(named).collect()
}

/// The rules of `source` that can be read, each with its text, and the refusals of the others.
pub fn readable(source: &Source) -> (Vec<Rule>, Vec<Refusal>) {
    let (mut rules, mut refusals) = (Vec::new(), Vec::new());
    for rule in read(source) {
        match rule {
            Ok((rule, _)) => rules.push(rule),
            Err(refusal) => refusals.push(refusal),
        }
    }
    (rules, refusals)
}

#[cfg(test)]
mod layers;
#[cfg(test)]
mod tests;
