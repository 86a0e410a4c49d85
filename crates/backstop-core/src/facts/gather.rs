//! From effects to facts, as far as the effects themselves tell: sums, classes, flags, and the places
//! behind each. What takes a look at the disk (neighbours, contents, repositories) comes in by the
//! caller's hand.

use super::key::Key;
use super::proven::Weakest;
use super::{Doors, Evidence, Facts, Findings, People, Principal, Proven, Reading, Time, long};
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::effect::{Aspect, CrossingKind, Effect, EffectSet, FileType, Kind};
use crate::policy::{Ground, gives_rights};
use crate::request::Request;
use crate::time::Timestamp;

/// What is known of a run beside its effects.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Runs of the same session that were denied.
    pub denials: u64,
    /// The keys of effects that were denied and are to stay so.
    pub denied: &'a [Digest],
    /// Places and kinds.
    pub ground: &'a Ground,
    /// What the command names, resolved, its current directory among it.
    pub named: &'a [Bytes],
    /// Now.
    pub now: Timestamp,
    /// People who can approve.
    pub people: People,
    /// The backups that were tested.
    pub proven: &'a [Proven],
    /// What reading the command gave.
    pub reading: Reading,
    /// Who asks for what.
    pub request: &'a Request,
}

/// What only the disk can tell of an effect.
pub trait Disk {
    /// Adds classes to those that the path tells.
    fn classes(&mut self, effect: &Effect, tags: &mut Vec<String>);

    /// Further classes of what is lost at or beneath the place, each with where exactly.
    fn within(&self, effect: &Effect) -> Option<&Evidence>;
}

/// No disk to look at.
impl Disk for () {
    fn classes(&mut self, _: &Effect, _: &mut Vec<String>) {}

    fn within(&self, _: &Effect) -> Option<&Evidence> {
        None
    }
}

/// The facts of measured effects, and the places behind them.
pub fn gather(set: &EffectSet, context: &Context<'_>, disk: &mut dyn Disk) -> Findings {
    let facts = Facts::of(&set.totals());
    let mut gathering = Gathering {
        context,
        disk,
        evidence: Evidence::default(),
        facts,
        key: Key::default(),
        proof: Weakest::default(),
        set,
    };
    for effect in &set.effects {
        gathering.effect(effect);
    }
    gathering.whole();
    let Gathering { evidence, mut facts, key, proof, .. } = gathering;
    let key = key.finish();
    facts.proof = proof.finish(context.now);
    facts.session.repeats_denied = key.is_some_and(|key| context.denied.contains(&key));
    Findings { evidence, facts, key, told: Vec::new() }
}

/// Classes that say no more than that a place is the agent's own; so do those of caches and histories.
const OWN: [&str; 3] = ["workspace", "scratch", "regenerable"];

struct Gathering<'a> {
    context: &'a Context<'a>,
    disk: &'a mut dyn Disk,
    evidence: Evidence,
    facts: Facts,
    key: Key,
    proof: Weakest<'a>,
    set: &'a EffectSet,
}

impl Gathering<'_> {
    fn effect(&mut self, effect: &Effect) {
        let tags = self.classes(effect);
        let has = |tag: &str| tags.iter().any(|t| t == tag);
        let lost = effect.bytes_lost();
        let losing = loses(effect);
        let within = self.disk.within(effect);
        let all = || tags.iter().chain(within.iter().flat_map(|w| w.0.keys()));
        let own = all().all(|t| OWN.contains(&t.as_str()) || self.context.ground.classes.frees(t));
        self.key.note(effect, own);
        if losing && !own {
            self.proof.note(&effect.path, self.context.proven);
        }
        for tag in &tags {
            self.evidence.note(tag, &effect.path, lost);
        }
        if let Some(within) = within {
            self.evidence.add(within);
        }
        for tag in all() {
            if losing && !self.facts.losing.contains(tag) {
                self.facts.losing.insert(tag.clone());
            }
            if !self.facts.classes.contains(tag) {
                self.facts.classes.insert(tag.clone());
            }
        }
        if losing && !["regenerable", "cache", "history"].iter().any(|t| has(t)) {
            self.irreplaceable(effect, &tags);
        }
        self.flags(effect);
        if has("outside") && !self.context.named.iter().any(|n| effect.path.is_beneath(n.as_slice())) {
            self.facts.surprise.unnamed += 1;
            self.evidence.note("surprise.unnamed", &effect.path, lost);
        }
    }

    /// Every class of an effect, at both ends of a rename.
    fn classes(&mut self, effect: &Effect) -> Vec<String> {
        let ground = self.context.ground;
        let mut tags = ground.classes_of(&effect.path, effect, self.set);
        if let Some(from) = effect.from.as_ref().filter(|_| effect.kind == Kind::Rename) {
            tags.extend(ground.classes_of(from, effect, self.set));
        }
        self.disk.classes(effect, &mut tags);
        let inside = |w: &Bytes| effect.path != *w && effect.path.is_beneath(w.as_slice());
        if tags.iter().any(|t| t == "outside") && ground.workspace.as_ref().is_some_and(inside) {
            tags.push("mount".to_owned());
        }
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    fn irreplaceable(&mut self, effect: &Effect, tags: &[String]) {
        let own = effect.before.as_ref().is_some_and(|n| n.file_type == FileType::File);
        let (files, bytes) = match effect.kind {
            Kind::Delete | Kind::Replace => (effect.files_lost(), effect.bytes_lost()),
            Kind::Change => (u64::from(own), effect.bytes_lost()),
            Kind::Create | Kind::Rename | Kind::Metadata | Kind::Link => (0, 0),
        };
        if files == 0 {
            return;
        }
        self.facts.irreplaceable.files += long(files);
        self.facts.irreplaceable.bytes += long(bytes);
        self.facts.irreplaceable.classes.extend(tags.iter().cloned());
        self.evidence.note("irreplaceable", &effect.path, bytes);
    }

    /// The facts that one effect alone decides.
    fn flags(&mut self, effect: &Effect) {
        let lost = effect.bytes_lost();
        if !effect.undoable {
            self.facts.undoable = false;
            self.evidence.note("undoable", &effect.path, lost);
        }
        if effect.linked_elsewhere > 0 {
            self.facts.linked_elsewhere += i64::from(effect.linked_elsewhere);
            self.evidence.note("linked_elsewhere", &effect.path, lost);
        }
        if gives_rights(effect) {
            self.facts.gives_rights += 1;
            self.evidence.note("gives_rights", &effect.path, 0);
        }
        if matches!(effect.kind, Kind::Change | Kind::Replace | Kind::Delete) && !effect.open_by.is_empty() {
            let open = &mut self.facts.open_elsewhere;
            for opener in &effect.open_by {
                open.files += long(opener.files);
                open.writing += i64::from(opener.writing);
                open.programs.insert(opener.name.quoted().to_string());
            }
            self.evidence.note("open_elsewhere", &effect.path, lost);
            if effect.open_by.iter().any(|o| o.writing) {
                self.evidence.note("open_elsewhere.writing", &effect.path, lost);
            }
        }
        let goes = matches!(effect.kind, Kind::Delete | Kind::Replace);
        let workspace = self.context.ground.workspace.as_ref();
        let renamed = effect.kind == Kind::Rename && effect.from.as_ref() == workspace;
        if workspace.is_some() && (renamed || goes && Some(&effect.path) == workspace) {
            self.facts.workspace_lost = true;
            self.evidence.note("workspace_lost", &effect.path, lost);
        }
    }

    /// The facts about the run as a whole.
    fn whole(&mut self) {
        let (facts, set, context) = (&mut self.facts, self.set, self.context);
        facts.conflict = !set.conflicts.is_empty();
        if !set.incomplete.is_empty() {
            facts.incomplete.insert("ledger".to_owned());
        }
        let doors = |shut: bool| set.doors.iter().filter(move |d| d.shut == shut).map(|d| d.to.quoted().to_string());
        facts.doors = Doors { open: doors(false).collect(), shut: doors(true).collect() };
        for crossing in &set.crossings {
            let (sum, key) = match crossing.how {
                CrossingKind::Link => (&mut facts.surprise.links_crossed, "surprise.links_crossed"),
                CrossingKind::Mount => (&mut facts.surprise.mounts_crossed, "surprise.mounts_crossed"),
            };
            *sum += 1;
            self.evidence.note(key, &crossing.hit, 0);
        }
        facts.host.role.clone_from(&context.request.profile);
        facts.people = context.people;
        facts.principal = Principal { agent: String::new(), uid: i64::from(context.request.asked_by()) };
        facts.reading = context.reading.clone();
        facts.session.denials = long(context.denials);
        facts.session.named = context.request.session.is_some();
        facts.time = time(context.now);
    }
}

/// True where content goes away at this place: it is deleted, replaced or overwritten.
pub fn loses(effect: &Effect) -> bool {
    match effect.kind {
        Kind::Delete | Kind::Replace => true,
        Kind::Change => effect.aspects.contains(&Aspect::Content) && effect.bytes_lost() > 0,
        // Written to as well, under the old name or the new.
        Kind::Rename => effect.aspects.contains(&Aspect::Content) && effect.before.as_ref().is_some_and(|n| n.size > 0),
        Kind::Create | Kind::Metadata | Kind::Link => false,
    }
}

/// Hour and weekday of a moment, in UTC.
fn time(now: Timestamp) -> Time {
    let seconds = now.secs;
    // 1970-01-01 was a Thursday, the fourth day.
    Time { hour: seconds.rem_euclid(86_400) / 3_600, weekday: (seconds.div_euclid(86_400) + 3).rem_euclid(7) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_utc() {
        for (seconds, hour, weekday) in [(0, 0, 4), (86_399, 23, 4), (86_400, 0, 5), (1_795_392_000, 0, 1)] {
            let t = time(Timestamp::new(seconds, 0));
            assert_eq!((t.hour, t.weekday), (hour, weekday), "{seconds}");
        }
    }
}
