//! The court: findings in, judgement out. Pure; the strictest reason wins. The floor is in code and no
//! rule can loosen it; all other rules are [`law`].

pub mod case;
mod floor;
pub mod law;
mod places;
pub mod schema;
mod text;
pub mod trial;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::quorum::Quorum;
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::effect::{Effect, EffectSet, FileType, Kind, Node};
use crate::jail;

pub use places::{Ground, InPlace};

/// What may happen to a set of effects. Ordered: the strictest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[must_use]
pub enum Decision {
    /// Commit.
    Allow,
    /// One person confirms.
    Ask,
    /// Two people approve.
    TwoPerson,
    /// Never.
    Deny,
}

impl Decision {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::TwoPerson => "two-person",
            Self::Deny => "deny",
        }
    }
}

/// One rule that spoke, and about what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// How many effects it speaks about; 0 where it speaks of none in particular.
    pub count: u64,
    /// What the rule asks for.
    pub decision: Decision,
    /// What can be done instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Some of their places, at most `Reason::SHOWN`, the first in path order.
    pub paths: Vec<Bytes>,
    /// Who has to agree, where it takes more than any two people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
    /// The rule's name.
    pub rule: String,
    /// The rule's file and line; none for the floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why, as a sentence fragment.
    pub why: String,
    /// What one person types to let it through, where two should have approved and only one can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

impl Reason {
    /// How many places a reason carries along; `count` tells the rest.
    pub const SHOWN: usize = 5;

    /// A reason that tells no more than its rule.
    pub fn new(decision: Decision, rule: &str) -> Self {
        Self {
            count: 0,
            decision,
            next: None,
            paths: Vec::new(),
            quorum: None,
            rule: rule.to_owned(),
            source: None,
            why: String::new(),
            words: None,
        }
    }
}

/// The decision with every reason that spoke, strictest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// The strictest of the reasons' decisions; `Allow` where none spoke.
    pub decision: Decision,
    /// Names the rules that judged: the digest over their files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub law: Option<Digest>,
    /// The reasons.
    pub reasons: Vec<Reason>,
}

impl Judgement {
    /// Of reasons: the strictest first, and its decision.
    pub fn of(mut reasons: Vec<Reason>) -> Self {
        // Stable, so that among equals the first found stays first.
        reasons.sort_by_key(|r| std::cmp::Reverse(r.decision));
        Self { decision: reasons.iter().map(|r| r.decision).max().unwrap_or(Decision::Allow), law: None, reasons }
    }

    /// True where it is the effect that is denied: not rules that could not be loaded or evaluated, a ban, nor that
    /// it was denied before, which would never end. Only such a denial is remembered.
    pub fn denies_the_effect(&self) -> bool {
        self.denies_but(&["repeats-denied", jail::CLOSED, jail::READ_ONLY])
    }

    /// True where it is denied for what it tries, also where that was denied before: not for rules that could not be
    /// loaded or evaluated.
    pub fn denies_what_is_tried(&self) -> bool {
        self.denies_but(&[])
    }

    fn denies_but(&self, other: &[&str]) -> bool {
        let counts = |rule: &str| !["policy-error", "policy-not-loaded"].contains(&rule) && !other.contains(&rule);
        self.reasons.iter().any(|r| r.decision == Decision::Deny && counts(&r.rule))
    }

    /// Who has to agree, where it takes two people: what all rules that say so ask for together.
    pub fn quorum(&self) -> Quorum {
        let named = self.reasons.iter().filter_map(|r| r.quorum.as_ref());
        named.fold(Quorum::TWO, |all, quorum| all.and(quorum))
    }

    /// What one person has to type, each once, before this takes effect; empty where a plain yes is enough.
    pub fn words(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.reasons.iter().filter_map(|r| r.words.as_deref()).collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}

/// The reasons of the floor alone: what no law can outweigh.
pub fn floor(set: &EffectSet, ground: &Ground) -> Vec<Reason> {
    let mut reasons = Reasons::default();
    for effect in &set.effects {
        if let Some((rule, why)) = floor::speaks(effect, ground) {
            reasons.add(Decision::Deny, rule, why, &effect.path);
        }
    }
    reasons.0
}

/// True where a file is set-user-id, set-group-id or has capabilities afterwards and had not before: it
/// hands the caller's rights to every user of the machine, in whatever directory it lies.
pub fn gives_rights(effect: &Effect) -> bool {
    // A further name for a file that stays gives nobody a right that the file did not give before; where
    // this run gave it the right, its other name says so.
    if effect.kind == Kind::Link {
        return false;
    }
    let Some(after) = effect.after.as_ref().filter(|n| n.file_type == FileType::File) else { return false };
    let before = effect.before.as_ref().filter(|_| effect.kind != Kind::Replace);
    let bits = |n: &Node| (n.mode & 0o4000 != 0, n.mode & 0o2010 == 0o2010);
    let had = before
        .map_or((false, false), |b| if (b.uid, b.gid) == (after.uid, after.gid) { bits(b) } else { (false, false) });
    let has = bits(after);
    (has.0 && !had.0) || (has.1 && !had.1) || effect.xattrs.iter().any(|x| x.as_slice() == b"security.capability")
}

#[derive(Default)]
struct Reasons(Vec<Reason>);

impl Reasons {
    fn add(&mut self, decision: Decision, rule: &str, why: &str, path: &Bytes) {
        let at = self.0.iter().position(|r| r.rule == rule && r.why == why && r.decision == decision);
        let reason = match at {
            Some(at) => &mut self.0[at],
            None => {
                self.0.push(Reason { why: why.to_owned(), ..Reason::new(decision, rule) });
                self.0.last_mut().expect("just pushed")
            }
        };
        reason.count += 1;
        if reason.paths.len() < Reason::SHOWN && !path.is_empty() {
            reason.paths.push(path.clone());
        }
    }
}

#[cfg(test)]
mod tests;
