//! Room 4, upper floor. Takes the effects of a rehearsal, gives what they mean: facts, the places
//! behind them, and what the lenses saw in words. Reads both sides, changes nothing, decides nothing.

mod after;
pub mod git;
pub mod lens;
mod near;
mod sides;
mod spent;

use std::collections::HashMap;
use std::io::Read;

use backstop_core::bytes::Bytes;
use backstop_core::classes::{Classes, HEAD};
use backstop_core::effect::{Effect, EffectSet, FileType, Kind};
use backstop_core::facts::{self, Context, Evidence, Findings, Irreplaceable, Proven, Told, long, loses};
use serde::Serialize;

use crate::engine::Side;
pub(crate) use after::Rehearsed;
use near::Near;
pub use sides::Sides;

/// At most so many lost files have their first bytes read. A file beyond that lies outside the agent's
/// own places only where hundreds do, and then those are told by their names.
const HEADS: u64 = 512;

/// The facts of a measured rehearsal, and the places behind them.
pub(crate) fn gather(set: &EffectSet, sides: &dyn Sides, context: &Context<'_>) -> Findings {
    let classes = &context.ground.classes;
    let mut disk = Disk { classes, heads: HEADS, near: Near::new(classes), sides, losing: HashMap::new() };
    let mut findings = facts::gather(set, context, &mut |effect, tags| disk.classes(effect, tags, context));
    lenses(set, sides, context, &disk.losing, &mut findings);
    findings
}

/// What the lenses add: what happened inside the files, and which content is nowhere else.
fn lenses(
    set: &EffectSet,
    sides: &dyn Sides,
    context: &Context<'_>,
    losing: &HashMap<Bytes, Vec<String>>,
    findings: &mut Findings,
) {
    let seen = lens::look(set, sides, context.ground.workspace.as_ref(), &lens::Limits::default());
    let near = Near::new(&context.ground.classes);
    let again = |path: &Bytes| {
        let tagged = losing.get(path).is_some_and(|tags| tags.iter().any(|t| t == "regenerable"));
        tagged || !near.made_again(path).is_empty()
    };
    let mut gone = Gone {
        classes: &context.ground.classes,
        losing,
        places: Vec::new(),
        proven: context.proven,
        sum: Irreplaceable::default(),
    };
    let git = git::look(set, sides, &git::Limits::default(), &again, &mut |lost| gone.file(lost));
    let Gone { sum, places, .. } = gone;
    let Findings { evidence, facts, told, .. } = findings;
    evidence.0.remove("irreplaceable");
    for (path, bytes) in &places {
        evidence.note("irreplaceable", path, *bytes);
    }
    facts.irreplaceable = sum;
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

/// Sums what would exist nowhere else.
struct Gone<'a> {
    classes: &'a Classes,
    losing: &'a HashMap<Bytes, Vec<String>>,
    places: Vec<(Bytes, u64)>,
    proven: &'a [Proven],
    sum: Irreplaceable,
}

impl Gone<'_> {
    fn file(&mut self, lost: &git::Lost) {
        let backed = |p: &Proven| lost.changed.is_some_and(|changed| p.keeps(&lost.path, changed));
        if lost.fate.survives() || self.proven.iter().any(backed) {
            return;
        }
        let effect = lost.path.as_path().ancestors().find_map(|a| self.losing.get_key_value(&Bytes::from(a)));
        let (top, tags) = effect.map_or((&lost.path, &[][..]), |(path, tags)| (path, tags.as_slice()));
        // Git knowing a file as its own outweighs a name that says a tool makes it again.
        if lost.fate != git::FileFate::Dirty && self.made_again(tags, top, &lost.path) {
            return;
        }
        self.sum.files += long(lost.files);
        self.sum.bytes += long(lost.size);
        for tag in tags {
            if !self.sum.classes.contains(tag) {
                self.sum.classes.insert(tag.clone());
            }
        }
        // Files beneath one effect come one after another.
        match self.places.last_mut().filter(|(path, _)| path == top) {
            Some((_, bytes)) => *bytes += lost.size,
            None => self.places.push((top.clone(), lost.size)),
        }
    }

    fn made_again(&self, tags: &[String], top: &Bytes, path: &Bytes) -> bool {
        if tags.iter().any(|t| ["regenerable", "cache", "history"].contains(&t.as_str())) {
            return true;
        }
        let below = &path.as_slice()[top.as_slice().len().min(path.as_slice().len())..];
        let parts = below.split(|b| *b == b'/').filter(|p| !p.is_empty());
        parts.into_iter().any(|name| self.classes.of_name(name).any(|c| c == "regenerable"))
    }
}

/// What the disk tells of an effect.
struct Disk<'a> {
    classes: &'a Classes,
    heads: u64,
    near: Near<'a>,
    sides: &'a dyn Sides,
    /// The classes of the effects that lose something, by place.
    losing: HashMap<Bytes, Vec<String>>,
}

impl Disk<'_> {
    fn classes(&mut self, effect: &Effect, tags: &mut Vec<String>, context: &Context<'_>) {
        self.told_by_disk(effect, tags, context);
        if loses(effect) {
            self.losing.insert(effect.path.clone(), tags.clone());
        }
    }

    fn told_by_disk(&mut self, effect: &Effect, tags: &mut Vec<String>, context: &Context<'_>) {
        let outside = tags.iter().any(|t| t == "outside");
        // What is new in the agent's own places has no past that its neighbours could tell of.
        if effect.before.is_none() && !outside {
            return;
        }
        if let Some(from) = effect.from.as_ref().filter(|_| effect.kind == Kind::Rename) {
            tags.extend(self.near.classes(from, effect));
        }
        tags.extend(self.near.classes(&effect.path, effect));
        tags.extend(self.by_content(effect));
        let other = |repository| Some(&repository) != context.ground.workspace.as_ref();
        if outside && self.near.repository(&effect.path).is_some_and(other) {
            tags.push("other-repository".to_owned());
        }
    }

    /// The class that a lost file's first bytes tell.
    fn by_content(&mut self, effect: &Effect) -> Option<String> {
        effect.before.as_ref().filter(|n| n.file_type == FileType::File && n.size > 1)?;
        if !loses(effect) || self.heads == 0 {
            return None;
        }
        self.heads -= 1;
        let mut head = Vec::with_capacity(HEAD);
        // Unreadable content is told by its place and name; that it could not be read changes no sum.
        let file = self.sides.open(&effect.path, Side::Before).ok().flatten()?;
        file.take(HEAD as u64).read_to_end(&mut head).ok()?;
        self.classes.of_content(&head).map(str::to_owned)
    }
}
