//! Takes the effects of a run, goes through every file that loses its content, those beneath deleted
//! directories too, and tells the fate of each. Streams: no list of files is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Aspect, Effect, EffectSet, FileType, Kind, Node};
use backstop_core::facts::{Git, Told};

use super::compare::{Hints, plural, text};
use super::eyes::Eyes;
use super::fate::{Judge, Made};
use super::repo::{Finder, Moves};
use super::trouble::Trouble;
use super::{FileFate, GitSeen, Limits, Lost, Watch, settings};
use crate::engine::Side;
use crate::facts::Sides;

/// Directories beneath directories.
const DEPTH: usize = 2048;

/// Looks at all repositories that `effects` touch, and at every regular file that loses its content:
/// `watch` hears of each once. `regenerable` says of an ignored file or directory that a tool
/// makes it again; such a directory is passed over unless something in it is tracked.
pub fn look(
    effects: &EffectSet,
    sides: &dyn Sides,
    limits: &Limits,
    regenerable: &dyn Fn(&Bytes) -> bool,
    watch: &mut dyn Watch,
) -> GitSeen {
    let eyes = Eyes::new(sides, limits);
    let finder = Finder::new(&eyes, Moves::new(&effects.effects));
    let judge =
        Judge { compared: HashMap::new(), eyes: &eyes, finder, hints: Hints::default(), made: Made::new(effects) };
    let mut lens = Lens {
        config: 0,
        files: 0,
        hooks: BTreeMap::new(),
        judge,
        kept: kept(&effects.effects),
        regenerable,
        sums: BTreeMap::new(),
        told: Vec::new(),
        touched: BTreeSet::new(),
        watch,
    };
    for effect in &effects.effects {
        lens.meet(effect);
    }
    for effect in &effects.effects {
        lens.effect(effect);
    }
    lens.seen()
}

/// Names whose object stays under another name.
fn kept(effects: &[Effect]) -> HashSet<Bytes> {
    let moves = effects.iter().filter(|e| matches!(e.kind, Kind::Rename | Kind::Link));
    moves.filter(|e| !e.aspects.contains(&Aspect::Content)).filter_map(|e| e.from.clone()).collect()
}

fn is_file(node: Option<&Node>) -> bool {
    node.is_some_and(|n| n.file_type == FileType::File)
}

/// What was lost in one working tree.
#[derive(Default)]
struct Sum {
    count: u64,
    some: Vec<Bytes>,
}

struct Lens<'a, 'b> {
    config: i64,
    files: u64,
    hooks: BTreeMap<usize, Vec<String>>,
    judge: Judge<'a>,
    kept: HashSet<Bytes>,
    regenerable: &'b dyn Fn(&Bytes) -> bool,
    /// By working tree and fate.
    sums: BTreeMap<(usize, FileFate), Sum>,
    told: Vec<(u8, Told)>,
    touched: BTreeSet<usize>,
    watch: &'b mut dyn Watch,
}

impl Lens<'_, '_> {
    /// Notes which repository an effect lies in, and what it does to hooks and settings.
    fn meet(&mut self, e: &Effect) {
        for path in e.from.iter().chain([&e.path]) {
            let Some((repo, dir)) = self.judge.finder.inside(path) else { continue };
            let rel = path.as_slice()[dir.as_slice().len()..].strip_prefix(b"/").unwrap_or_default();
            self.touched.insert(repo);
            let makes = matches!(e.kind, Kind::Create | Kind::Link | Kind::Metadata);
            if !makes && (rel.is_empty() || rel.starts_with(b"objects")) {
                self.judge.hints.stores.insert(repo);
            }
            if matches!(e.kind, Kind::Change | Kind::Replace) && rel.ends_with(b".pack") {
                self.judge.hints.packs.insert(path.clone());
            }
            if settings::is_hook(rel, e) {
                self.hooks.entry(repo).or_default().push(text(path.name()));
            }
            if rel == b"HEAD" && e.kind == Kind::Create {
                self.judge.hints.made.push(dir);
            }
        }
        let own = |finder: &mut Finder<'_>| match finder.inside(&e.path) {
            Some((_, dir)) => {
                settings::is_own(e.path.as_slice()[dir.as_slice().len()..].strip_prefix(b"/").unwrap_or_default())
            }
            None => false,
        };
        if is_file(e.after.as_ref()) && (settings::is_global(&e.path) || own(&mut self.judge.finder)) {
            match settings::added(self.judge.eyes, &e.path, e.from.as_ref().unwrap_or(&e.path)) {
                Ok(keys) if keys.is_empty() => {}
                Ok(keys) => {
                    self.config += i64::try_from(keys.len()).unwrap_or(i64::MAX);
                    let text =
                        format!("settings that run programs or lead elsewhere: {}", some(&keys, keys.len() as u64));
                    self.told.push((6, Told { lens: "git".to_owned(), path: e.path.clone(), text }));
                }
                Err(trouble) => self.judge.eyes.note(trouble),
            }
        }
    }

    fn effect(&mut self, e: &Effect) {
        let content = e.aspects.contains(&Aspect::Content);
        let dir = e.before.as_ref().is_some_and(|n| n.file_type == FileType::Dir);
        let stays = is_file(e.after.as_ref()).then_some(&e.path);
        match e.kind {
            Kind::Delete | Kind::Replace if dir => self.walk(e),
            Kind::Delete | Kind::Replace if is_file(e.before.as_ref()) => self.file(&e.path, stays),
            Kind::Change if content && is_file(e.before.as_ref()) => self.file(&e.path, stays),
            Kind::Rename if content && is_file(e.after.as_ref()) => {
                self.file(e.from.as_ref().unwrap_or(&e.path), stays);
            }
            Kind::Delete | Kind::Replace | Kind::Change | Kind::Rename => {}
            Kind::Create | Kind::Link | Kind::Metadata => {}
        }
    }

    /// Everything beneath a directory that goes away.
    fn walk(&mut self, e: &Effect) {
        if self.passed_over(&e.path) {
            return;
        }
        let (mut files, mut bytes) = (0, 0);
        let mut todo = vec![(e.path.clone(), 0)];
        while let Some((dir, depth)) = todo.pop() {
            if self.files >= self.judge.eyes.limits.files || self.judge.eyes.late() || depth > DEPTH {
                let tally = e.beneath.clone().unwrap_or_default();
                self.judge.eyes.note(Trouble::Budget("files beneath a deleted directory"));
                let rest = Lost {
                    changed: None,
                    edited: false,
                    fate: FileFate::Unknown,
                    files: tally.files.saturating_sub(files).max(1),
                    inode: None,
                    links: 1,
                    path: e.path.clone(),
                    size: tally.bytes.saturating_sub(bytes),
                };
                self.watch.file(&rest, None);
                return;
            }
            let names = match self.judge.eyes.list(&dir, Side::Before) {
                Ok(names) => names.unwrap_or_default(),
                Err(trouble) => {
                    self.judge.eyes.note(trouble);
                    continue;
                }
            };
            self.watch.dir(&dir, &names);
            let has = |name: &[u8]| names.iter().any(|(n, _)| n.as_slice() == name);
            if has(b"HEAD")
                && (has(b"objects") || has(b"commondir"))
                && let Some(repo) = self.judge.finder.is_gitdir(&dir)
            {
                self.touched.insert(repo);
                self.judge.hints.stores.insert(repo);
            }
            let mut names = names;
            names.sort_unstable_by(|a, b| b.cmp(a));
            let (dirs, rest): (Vec<_>, Vec<_>) = names.into_iter().partition(|(_, kind)| *kind == FileType::Dir);
            for (name, kind) in rest.into_iter().rev() {
                let path = dir.join(name.as_slice());
                if kind == FileType::File && !self.kept.contains(&path) {
                    bytes += self.one(&path, None);
                    files += 1;
                }
            }
            for (name, _) in dirs {
                let path = dir.join(name.as_slice());
                if !self.judge.finder.moves.moved(&path) && !self.passed_over(&path) {
                    todo.push((path, depth + 1));
                }
            }
        }
    }

    /// True for an ignored directory that a tool makes again, with nothing tracked in it.
    fn passed_over(&mut self, dir: &Bytes) -> bool {
        if !(self.regenerable)(dir) {
            return false;
        }
        let Some(tree) = self.judge.finder.tree_of(&dir.parent()) else { return false };
        let root = self.judge.finder.trees[tree].root.clone();
        let rel = dir.as_slice()[root.as_slice().len()..].strip_prefix(b"/").unwrap_or_default();
        let eyes = self.judge.eyes;
        let desk = self.judge.finder.sit_down(tree);
        desk.ignore.ignores(eyes, rel, true) && !desk.index.tracks_beneath(rel)
    }

    fn file(&mut self, path: &Bytes, stays: Option<&Bytes>) {
        if !self.kept.contains(path) {
            self.one(path, stays);
        }
    }

    fn one(&mut self, path: &Bytes, stays: Option<&Bytes>) -> u64 {
        self.files += 1;
        let (lost, file) = self.judge.judge(path, stays);
        let counted = match lost.fate {
            FileFate::Dirty | FileFate::Untracked => true,
            FileFate::Ignored => !(self.regenerable)(path),
            _ => false,
        };
        if counted && let Some(tree) = self.judge.finder.tree_of(&path.parent()) {
            // Edits are the daily bread of a working tree; they have a number of their own.
            let key = if lost.edited { FileFate::Elsewhere } else { lost.fate };
            let sum = self.sums.entry((tree, key)).or_default();
            sum.count += 1;
            if sum.some.len() < 3 {
                sum.some.push(path.clone());
            }
        }
        self.watch.file(&lost, file.as_ref());
        lost.size
    }

    fn seen(mut self) -> GitSeen {
        for repo in self.touched.clone() {
            self.judge.compare(repo);
        }
        let mut facts = Git { config_changed: self.config, ..Git::default() };
        let long = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for ((tree, fate), sum) in &self.sums {
            let root = self.judge.finder.trees[*tree].root.clone();
            let inner = |p: &Bytes| text(p.as_slice()[root.as_slice().len()..].strip_prefix(b"/").unwrap_or_default());
            let names: Vec<String> = sum.some.iter().map(inner).collect();
            let n = sum.count;
            let (weight, what) = match fate {
                FileFate::Dirty => {
                    facts.dirty_lost += long(n);
                    (
                        1,
                        plural(
                            n,
                            "tracked file with uncommitted changes lost",
                            "tracked files with uncommitted changes lost",
                        ),
                    )
                }
                FileFate::Untracked => {
                    facts.untracked_lost += long(n);
                    (1, plural(n, "untracked file lost", "untracked files lost"))
                }
                FileFate::Ignored => {
                    facts.ignored_lost += long(n);
                    (5, plural(n, "ignored file lost", "ignored files lost"))
                }
                _ => {
                    facts.edited += long(n);
                    (8, plural(n, "uncommitted file edited further", "uncommitted files edited further"))
                }
            };
            let text = format!("{what}: {}", some(&names, n));
            self.told.push((weight, Told { lens: "git".to_owned(), path: root, text }));
        }
        for (at, names) in &self.hooks {
            let repo = &self.judge.finder.repos[*at];
            if repo.gone {
                continue;
            }
            facts.hooks_changed += long(names.len() as u64);
            let n = plural(names.len() as u64, "hook changed", "hooks changed");
            let text = format!("{n}: {}", some(names, names.len() as u64));
            self.told.push((6, Told { lens: "git".to_owned(), path: repo.name(), text }));
        }
        for found in self.judge.compared.into_values() {
            let f = found.facts;
            facts.objects_lost += f.objects_lost;
            facts.refs_deleted += f.refs_deleted;
            facts.refs_moved += f.refs_moved;
            facts.repositories_lost += f.repositories_lost;
            facts.stash_dropped += f.stash_dropped;
            facts.unreachable += f.unreachable;
            self.told.extend(found.told);
        }
        self.told.sort_by(|a, b| (a.0, &a.1.path, &a.1.text).cmp(&(b.0, &b.1.path, &b.1.text)));
        GitSeen {
            facts,
            incomplete: self.judge.eyes.troubles(),
            told: self.told.into_iter().map(|(_, told)| told).collect(),
        }
    }
}

/// Some of the names, and how many more there are.
fn some(names: &[String], all: u64) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = all.saturating_sub(shown.len() as u64);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
