//! The court: effects in, judgement out. Pure; the strictest reason wins. This is the first form,
//! with the floor that no later policy can loosen and the default rules of a workstation; the rules
//! from files ([`law`]) come to the same door.

pub mod case;
mod floor;
pub mod law;
mod places;
pub mod schema;
mod text;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::effect::{Effect, EffectSet, FileType, Kind, Node};

pub use places::Ground;

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
    /// The reasons.
    pub reasons: Vec<Reason>,
}

impl Judgement {
    /// Of reasons: the strictest first, and its decision.
    pub fn of(mut reasons: Vec<Reason>) -> Self {
        // Stable, so that among equals the first found stays first.
        reasons.sort_by_key(|r| std::cmp::Reverse(r.decision));
        Self { decision: reasons.iter().map(|r| r.decision).max().unwrap_or(Decision::Allow), reasons }
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

/// Judges what a run would change.
pub fn judge(set: &EffectSet, ground: &Ground) -> Judgement {
    let mut reasons = Reasons::default();
    for effect in &set.effects {
        if let Some((rule, why)) = floor::speaks(effect, ground) {
            reasons.add(Decision::Deny, rule, why, &effect.path);
        }
        if let Some((rule, why)) = outside(effect, set, ground) {
            reasons.add(Decision::Ask, rule, why, &effect.path);
        }
        if !effect.undoable {
            reasons.add(Decision::Ask, "not-undoable", "no copy of what was there can be kept", &effect.path);
        }
        if effect.linked_elsewhere > 0 {
            reasons.add(
                Decision::Ask,
                "linked-elsewhere",
                "the file has further names (hard links) that this run does not show, and they change along",
                &effect.path,
            );
        }
        if gives_rights(effect) {
            reasons.add(
                Decision::Ask,
                "gives-rights",
                "whoever runs this file gets its owner's or group's rights, or capabilities",
                &effect.path,
            );
        }
        let overwrites = matches!(effect.kind, Kind::Change | Kind::Replace | Kind::Delete);
        if overwrites && effect.open_by.iter().any(|o| o.writing) {
            reasons.add(
                Decision::Ask,
                "open-for-writing",
                "a process outside this run has it open for writing",
                &effect.path,
            );
        }
    }
    for what in &set.incomplete {
        reasons.add(Decision::Ask, "incomplete", what, &Bytes::default());
    }
    reasons.finish()
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

/// The rule that asks because the effect lies where the agent has no business of its own.
fn outside(effect: &Effect, set: &EffectSet, ground: &Ground) -> Option<(&'static str, &'static str)> {
    let from = effect.from.as_ref().filter(|_| effect.kind == Kind::Rename);
    for path in [Some(&effect.path), from].into_iter().flatten() {
        if ground.own(path, effect, set) {
            continue;
        }
        let behind_mount = ground.workspace.as_ref().is_some_and(|w| path.is_beneath(w.as_slice()));
        return Some(match (&ground.workspace, behind_mount) {
            (Some(w), _) if w == path => ("workspace-itself", "the workspace as a whole would go away"),
            (None, _) => ("no-workspace", "there is no workspace here, so every change is outside"),
            (Some(_), true) => ("mount-in-workspace", "another mount, or a home, lies inside the workspace here"),
            (Some(_), false) => ("outside-workspace", "the place is outside the workspace"),
        });
    }
    None
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

    fn finish(self) -> Judgement {
        Judgement::of(self.0)
    }
}

#[cfg(test)]
mod tests;
