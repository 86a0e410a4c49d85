//! Room 4, upper floor. Takes the effects of a rehearsal, gives what they mean: facts, the places
//! behind them, and what the lenses saw in words. Reads both sides, changes nothing, decides nothing.

mod after;
pub mod git;
mod gone;
pub mod lens;
mod near;
mod sides;
mod spent;

use std::collections::HashMap;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, EffectSet, FileType, Kind};
use backstop_core::facts::{self, Context, Evidence, Findings, Told, loses};
use backstop_core::policy::Ground;
use serde::Serialize;

pub(crate) use after::Rehearsed;
use gone::{Gone, Heads};
use near::Near;
pub use sides::Sides;

/// The facts of a measured rehearsal, and the places behind them.
pub fn gather(set: &EffectSet, sides: &dyn Sides, context: &Context<'_>) -> Findings {
    let ground = context.ground;
    let near = Near::new(&ground.classes);
    let mut disk = Disk { ground, losing: HashMap::new(), near: &near, within: HashMap::new() };
    for effect in set.effects.iter().filter(|e| loses(e)) {
        let mut tags = ground.classes_of(&effect.path, effect, set);
        if effect.kind == Kind::Rename {
            tags.extend(ground.classes_of(source(effect), effect, set));
        }
        disk.told(effect, &mut tags);
        disk.losing.insert(source(effect).clone(), tags);
    }
    let again = |path: &Bytes| {
        let tagged = disk.losing.get(path).is_some_and(|tags| tags.iter().any(|t| t == "regenerable"));
        tagged || !near.made_again(path).is_empty()
    };
    let workspace = ground.workspace.as_ref();
    let mut gone = Gone::new(&ground.classes, &disk.losing, context.proven, workspace, Heads::default());
    let git = git::look(set, sides, &git::Limits::default(), &again, &mut gone);
    let sum = gone.finish();
    disk.within = sum.within;
    let mut findings = facts::gather(set, context, &mut disk);
    findings.evidence.0.remove("irreplaceable");
    for (path, bytes) in &sum.places {
        findings.evidence.note("irreplaceable", path, *bytes);
    }
    findings.facts.irreplaceable = sum.irreplaceable;
    if sum.unread {
        findings.facts.incomplete.insert("classes".to_owned());
    }
    lenses(git, lens::look(set, sides, ground, &lens::Limits::default()), &mut findings);
    findings
}

/// Adds what the lenses saw inside the files.
fn lenses(git: git::GitSeen, seen: lens::Seen, findings: &mut Findings) {
    let Findings { evidence, facts, told, .. } = findings;
    facts.incomplete.extend(seen.incomplete);
    if git.incomplete.is_some() {
        facts.incomplete.insert("git".to_owned());
    }
    // The weightiest first: what git and databases lose for good stands before settings.
    told.extend(git.told);
    told.extend(seen.told);
    behind(evidence, "git", &git.facts, told);
    behind(evidence, "sqlite", &seen.sqlite, told);
    behind(evidence, "terraform", &seen.terraform, told);
    behind(evidence, "access", &seen.access, told);
    behind(evidence, "agent", &seen.agent, told);
    facts.git = git.facts;
    facts.sqlite = seen.sqlite;
    facts.terraform = seen.terraform;
    facts.access = seen.access;
    facts.agent = seen.agent;
}

/// Notes the files a lens spoke of behind each of its facts that is not zero.
fn behind(evidence: &mut Evidence, lens: &str, facts: &impl Serialize, told: &[Told]) {
    let Ok(serde_json::Value::Object(all)) = serde_json::to_value(facts) else { return };
    let speaks = all.iter().filter(|(_, value)| value.as_i64().is_some_and(|n| n != 0));
    for (fact, _) in speaks {
        for told in told.iter().filter(|t| t.lens == lens) {
            evidence.note(&format!("{lens}.{fact}"), &told.path, 0);
        }
    }
}

/// Where what an effect speaks of was before.
fn source(effect: &Effect) -> &Bytes {
    effect.from.as_ref().filter(|_| effect.kind == Kind::Rename).unwrap_or(&effect.path)
}

/// What the disk tells of an effect.
struct Disk<'a> {
    ground: &'a Ground,
    /// The classes of the effects that lose something, by place; found first, since what lies beneath is
    /// told by them.
    losing: HashMap<Bytes, Vec<String>>,
    near: &'a Near<'a>,
    within: HashMap<Bytes, Evidence>,
}

impl facts::Disk for Disk<'_> {
    fn classes(&mut self, effect: &Effect, tags: &mut Vec<String>) {
        match self.losing.get(source(effect)).filter(|_| loses(effect)) {
            Some(known) => tags.clone_from(known),
            None => self.told(effect, tags),
        }
    }

    fn within(&self, effect: &Effect) -> Option<&Evidence> {
        self.within.get(source(effect)).filter(|_| loses(effect))
    }
}

impl Disk<'_> {
    /// Adds the classes that neighbours and repositories tell.
    fn told(&self, effect: &Effect, tags: &mut Vec<String>) {
        let outside = tags.iter().any(|t| t == "outside");
        // What is new in the agent's own places has no past that its neighbours could tell of.
        if effect.before.is_none() && !outside {
            return;
        }
        let dir = effect.before.as_ref().is_some_and(|n| n.file_type == FileType::Dir);
        if source(effect) != &effect.path {
            tags.extend(self.near.classes(source(effect), dir));
        }
        tags.extend(self.near.classes(&effect.path, dir));
        let other = |repository| Some(&repository) != self.ground.workspace.as_ref();
        if outside && self.near.repository(&effect.path, dir).is_some_and(other) {
            tags.push("other-repository".to_owned());
        }
    }
}
