//! Takes a repository on both sides, gives what happens to its branches, tags, stash and objects, as
//! numbers and in words. Judges nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use backstop_core::bytes::Bytes;
use backstop_core::facts::{Git, Told, long};
use backstop_core::quoted::Quoted;

use super::eyes::Eyes;
use super::fate::Judge;
use super::oid::{Hasher, Oid};
use super::pack::Pack;
use super::refs::{Entry, Refs};
use super::repo::Repo;
use super::store::Store;
use super::tree::{self, Leaf};
use super::trouble::Trouble;
use super::walk::{History, Only};
use crate::engine::Side;

/// Sentences about single refs of one repository.
const SENTENCES: usize = 12;
/// Stash entries looked into.
const STASHES: usize = 50;
/// Repositories that the run makes, looked through for one that went away.
const CANDIDATES: usize = 16;
/// Objects that moved into a pack the run wrote, read again as a sample.
const SAMPLE: usize = 64;

/// What was found out about one repository.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) facts: Git,
    /// Packs of which some objects are nowhere afterwards.
    pub(super) packs: HashSet<Bytes>,
    /// The weightiest first.
    pub(super) told: Vec<(u8, Told)>,
}

/// What the effects say of repositories before any is looked into.
#[derive(Default)]
pub(super) struct Hints {
    /// Git directories that the run makes.
    pub(super) made: Vec<Bytes>,
    /// Packs that are there on both sides and not the same.
    pub(super) packs: HashSet<Bytes>,
    /// Repositories in whose stores something is deleted or replaced.
    pub(super) stores: BTreeSet<usize>,
}

impl Judge<'_> {
    /// Compares a repository, once.
    pub(super) fn compare(&mut self, at: usize) {
        if self.compared.contains_key(&at) {
            return;
        }
        // Before the comparing, so that a failure can't ask for another try.
        self.compared.insert(at, Compared::default());
        self.finder.rest_but(at);
        let roots: Vec<Bytes> =
            self.finder.trees.iter().filter(|t| t.repo == at).map(|t| t.root.clone()).take(8).collect();
        let repo = &mut self.finder.repos[at];
        let mut sight = Sight { eyes: self.eyes, found: Compared::default(), hints: &self.hints, roots };
        if let Err(e) = sight.compare(at, repo) {
            self.eyes.note(format!("{}: {e}", repo.name().quoted()));
        }
        let found = sight.found;
        self.compared.insert(at, found);
    }
}

struct Sight<'a> {
    eyes: &'a Eyes<'a>,
    found: Compared,
    hints: &'a Hints,
    roots: Vec<Bytes>,
}

impl Sight<'_> {
    fn tell(&mut self, repo: &Repo, weight: u8, text: String) {
        self.found.told.push((weight, Told { lens: "git".to_owned(), path: repo.name(), text }));
    }

    fn compare(&mut self, at: usize, repo: &mut Repo) -> Result<(), Trouble> {
        let eyes = self.eyes;
        if !eyes.is_dir(&repo.common.join(b"objects"), Side::Before) {
            return Ok(());
        }
        let before = Refs::read(eyes, &repo.common, Side::Before)?;
        repo.gone = self.gone(repo, &before)?;
        let after = if repo.gone { Refs::default() } else { Refs::read(eyes, &repo.later, Side::After)? };
        let shallow = repo.shallow(eyes)?;
        let name = repo.name();
        let (gone, format) = (repo.gone, repo.format);
        let mut popped = HashSet::new();
        let dropped: Vec<Entry> = before.stash.iter().filter(|e| !after.stash.contains(e)).cloned().collect();
        let mut lines: Vec<(u8, String)> = Vec::new();
        {
            let mut history = History::new(eyes, &mut repo.before, &mut repo.after, shallow);
            if gone {
                self.found.facts.repositories_lost = 1;
                lines.push((0, all_of_it(&mut history, &before)?));
            }
            let (deleted, moved) = self.refs(&mut history, &before, &after, gone, &mut lines)?;
            self.found.facts.refs_deleted = long(deleted);
            self.found.facts.refs_moved = long(moved);
            self.unreachable(&mut history, &before, &after, gone, &mut lines)?;
            if !gone {
                for entry in dropped.iter().take(STASHES) {
                    if self.stands(&mut history, entry, &name, format)? {
                        popped.insert(entry.oid);
                    }
                }
            }
        }
        let dropped: Vec<_> = dropped.into_iter().filter(|e| !popped.contains(&e.oid)).collect();
        self.found.facts.stash_dropped = long(dropped.len() as u64);
        if let Some(first) = dropped.first() {
            let what = plural(dropped.len() as u64, "stash entry", "stash entries");
            let of = if first.message.is_empty() { first.oid.to_string() } else { text(&first.message) };
            lines.push((2, format!("{what} dropped: {of}")));
        }
        for (weight, text) in lines {
            self.tell(repo, weight, text);
        }
        if !gone && self.hints.stores.contains(&at) {
            self.objects(repo)?;
        }
        Ok(())
    }

    /// True when nothing of the repository's objects is left. Looks among the repositories that the run
    /// makes for one that is the same: it only moved.
    fn gone(&self, repo: &mut Repo, before: &Refs) -> Result<bool, Trouble> {
        let eyes = self.eyes;
        let left = |repo: &mut Repo| {
            let mut tips: Vec<Oid> = before.tips().collect();
            tips.truncate(1000);
            if !eyes.is_dir(&repo.later.join(b"objects"), Side::After) {
                return Ok(false);
            }
            let mut found = tips.is_empty();
            for tip in tips {
                found = found || repo.after.contains(eyes, &tip)?;
            }
            Ok::<_, Trouble>(found)
        };
        if left(repo)? {
            return Ok(false);
        }
        let later = repo.later.clone();
        for made in self.hints.made.iter().take(CANDIDATES) {
            if Refs::read(eyes, made, Side::After).is_ok_and(|r| r.named == before.named && !r.named.is_empty()) {
                repo.later = made.clone();
                repo.after = Store::new(eyes, &made.join(b"objects"), Side::After, repo.format);
                if left(repo)? {
                    return Ok(false);
                }
            }
        }
        repo.after = Store::new(eyes, &later.join(b"objects"), Side::After, repo.format);
        repo.later = later;
        // One without a single object has nothing to lose but its name.
        repo.before.is_empty(eyes).map(|empty| !empty)
    }

    /// Branches and tags deleted and moved.
    fn refs(
        &mut self,
        history: &mut History<'_>,
        before: &Refs,
        after: &Refs,
        gone: bool,
        lines: &mut Vec<(u8, String)>,
    ) -> Result<(u64, u64), Trouble> {
        let (mut deleted, mut moved) = (0, 0);
        let new: BTreeMap<Oid, &Vec<u8>> = after
            .named
            .iter()
            .filter(|(name, _)| shown(name).is_some() && !before.named.contains_key(*name))
            .map(|(name, oid)| (*oid, name))
            .collect();
        for (name, old) in &before.named {
            let Some((what, short)) = shown(name) else { continue };
            match after.named.get(name) {
                Some(now) if now == old => {}
                Some(now) => {
                    let lost = history.only(&[*old], &[*now])?;
                    if lost.cut {
                        self.eyes.note(format!("{what} {short}: its history is too long"));
                    }
                    if lost.commits == 0 {
                        continue;
                    }
                    moved += 1;
                    if lines.len() < SENTENCES {
                        let back = history.only(&[*now], &[*old])? == Only::default();
                        let (about, n) = (if lost.cut { "about " } else { "" }, lost.commits);
                        lines.push((
                            4,
                            if back {
                                format!("{what} {short} moved back {about}{}", plural(n, "commit", "commits"))
                            } else {
                                format!(
                                    "{what} {short} rewritten: {about}{} no longer in it",
                                    plural(n, "commit", "commits")
                                )
                            },
                        ));
                    }
                }
                None if gone => deleted += 1,
                None => match new.get(old).and_then(|n| shown(n)) {
                    // A branch of the same commit that was not there: it has another name now.
                    Some((_, other)) => lines.push((9, format!("{what} {short} renamed {other}"))),
                    None => {
                        deleted += 1;
                        if lines.len() < SENTENCES {
                            lines.push((4, format!("{what} {short} deleted, it was at {old}")));
                        }
                    }
                },
            }
        }
        Ok((deleted, moved))
    }

    /// Commits that nothing reaches any more.
    fn unreachable(
        &mut self,
        history: &mut History<'_>,
        before: &Refs,
        after: &Refs,
        gone: bool,
        lines: &mut Vec<(u8, String)>,
    ) -> Result<(), Trouble> {
        let new: BTreeSet<Oid> = after.tips().collect();
        let old: BTreeSet<Oid> = before.tips().filter(|o| !new.contains(o)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let (old, new): (Vec<_>, Vec<_>) = (old.into_iter().collect(), new.into_iter().collect());
        let only = history.only(&old, &new)?;
        if only.cut {
            self.eyes.note("the history is too long to be walked");
        }
        self.found.facts.unreachable = long(only.commits);
        if only.cut && !gone {
            lines.push((
                3,
                "it can't be told which commits nothing reaches any more: the history is too long".to_owned(),
            ));
        } else if only.commits > 0 && !gone {
            let kept =
                old.iter().try_fold(true, |all, o| Ok::<_, Trouble>(all && history.after.contains(self.eyes, o)?))?;
            let still =
                if kept { "; their objects are still there until git prunes" } else { ", nor are they there any more" };
            let n = plural(only.commits, "commit", "commits");
            lines.push((3, format!("{n} that no branch or tag reaches any more{still}")));
        }
        Ok(())
    }

    /// True when all files of a stash entry stand in a working tree afterwards: it was popped.
    fn stands(
        &self,
        history: &mut History<'_>,
        entry: &Entry,
        name: &Bytes,
        format: super::oid::Format,
    ) -> Result<bool, Trouble> {
        // An entry is a commit on top of where it was made, with the index and, where asked for, the
        // untracked files as further parents.
        let commit = history.commit(&entry.oid)?;
        let base = match commit.parents.first() {
            Some(parent) => Some(history.commit(parent)?.tree),
            None => None,
        };
        let mut leaves = tree::added(history, base, commit.tree)?;
        if let Some(untracked) = commit.parents.get(2) {
            let untracked = history.commit(untracked)?.tree;
            leaves.extend(tree::added(history, None, untracked)?);
        }
        let roots = self.roots.iter().chain([name]);
        for root in roots {
            let mut all = !leaves.is_empty();
            for leaf in &leaves {
                all = all && self.same(root, leaf, format)?;
            }
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn same(&self, root: &Bytes, leaf: &Leaf, format: super::oid::Format) -> Result<bool, Trouble> {
        let path = root.join(&leaf.path);
        let cap = self.eyes.limits.object_bytes;
        let Some(file) = self.eyes.open(&path, Side::After)? else { return Ok(false) };
        let size = file.metadata().map_err(|e| Trouble::read(&path, e))?.len();
        if size > cap || !self.eyes.may_hash(size) {
            return Ok(false);
        }
        let Some(bytes) = self.eyes.read(&path, Side::After, cap)? else { return Ok(false) };
        let mut hasher = Hasher::new(format, "blob", bytes.len() as u64);
        hasher.update(&bytes);
        Ok(hasher.finish() == leaf.oid)
    }

    /// Objects that were there and are nowhere afterwards.
    fn objects(&mut self, repo: &mut Repo) -> Result<(), Trouble> {
        let eyes = self.eyes;
        let mut lost = 0_u64;
        let mut sample = Sample::default();
        let mut ask = |after: &mut Store, oid: &Oid| {
            let there = after.contains(eyes, oid)?;
            if there {
                sample.take(*oid);
            }
            Ok::<_, Trouble>(!there)
        };
        for first in 0..=255 {
            let here: Vec<Oid> = repo.before.own_loose(eyes, first)?;
            let there: HashSet<Oid> = repo.after.own_loose(eyes, first)?.into_iter().collect();
            for oid in here.iter().filter(|o| !there.contains(o)) {
                lost += u64::from(ask(&mut repo.after, oid)?);
            }
        }
        for mut pack in self.packs_gone(repo)? {
            let mut of_pack = 0_u64;
            for first in 0..=255 {
                if eyes.late() {
                    return Err(Trouble::Budget("time"));
                }
                let names = pack.names(first)?.to_vec();
                for oid in names.chunks_exact(repo.format.len()).filter_map(Oid::raw) {
                    of_pack += u64::from(ask(&mut repo.after, &oid)?);
                }
                pack.forget();
            }
            if of_pack > 0 {
                self.found.packs.insert(pack.path.clone());
            }
            lost += of_pack;
        }
        // What a new pack's index names is believed only as far as a sample of it holds.
        for oid in &sample.kept {
            if !repo.after.holds(eyes, oid)? {
                return Err(Trouble::damaged(&repo.later, "an object that should have moved can't be read"));
            }
        }
        self.found.facts.objects_lost = long(lost);
        if lost > 0 {
            let n = plural(lost, "object", "objects");
            self.tell(repo, 1, format!("{n} (commits, trees, file contents) pruned for good"));
        }
        Ok(())
    }

    /// Packs that are not there afterwards, or not the same.
    fn packs_gone(&self, repo: &Repo) -> Result<Vec<Pack>, Trouble> {
        let dir = repo.common.join(b"objects/pack");
        let there = repo.later.join(b"objects/pack");
        let mut gone = Vec::new();
        for (name, _) in self.eyes.list(&dir, Side::Before)?.unwrap_or_default() {
            let Some(stem) = name.as_slice().strip_suffix(b".pack") else { continue };
            let stays = Pack::open(self.eyes, &there.join(stem), Side::After, repo.format);
            if matches!(stays, Ok(Some(_))) && !self.hints.packs.contains(&dir.join(name.as_slice())) {
                continue;
            }
            match Pack::open(self.eyes, &dir.join(stem), Side::Before, repo.format)? {
                Some(pack) => gone.push(pack),
                None => self.eyes.note(format!("{}: a pack without an index goes away", dir.quoted())),
            }
        }
        Ok(gone)
    }
}

/// Some of many, evenly.
#[derive(Default)]
struct Sample {
    kept: Vec<Oid>,
    seen: u64,
    step: u64,
}

impl Sample {
    fn take(&mut self, oid: Oid) {
        if self.seen.is_multiple_of(self.step.max(1)) {
            self.kept.push(oid);
        }
        self.seen += 1;
        if self.kept.len() == SAMPLE {
            // Every other one stays, and from now on only every other one comes.
            self.kept = self.kept.iter().copied().step_by(2).collect();
            self.step = self.step.max(1) * 2;
        }
    }
}

/// A repository that goes away, in a sentence.
fn all_of_it(history: &mut History<'_>, before: &Refs) -> Result<String, Trouble> {
    let tips: Vec<Oid> = before.tips().collect();
    let all = history.only(&tips, &[])?;
    let remote = |name: &[u8]| name.starts_with(b"refs/remotes/");
    let far: Vec<Oid> = before.named.iter().filter(|(n, _)| remote(n)).map(|(_, o)| *o).collect();
    let count = |start: &[u8]| before.named.keys().filter(|n| n.starts_with(start)).count() as u64;
    let more = if all.cut { "more than " } else { "" };
    let mut text = format!(
        "repository lost: {more}{}, {}, {}, {}",
        plural(all.commits, "commit", "commits"),
        plural(count(b"refs/heads/"), "branch", "branches"),
        plural(count(b"refs/tags/"), "tag", "tags"),
        plural(before.stash.len() as u64, "stash entry", "stash entries"),
    );
    if far.is_empty() {
        text.push_str("; no remote-tracking branch has any of it");
    } else {
        let local = before.named.iter().filter(|(n, _)| !remote(n) && *n != b"refs/stash").map(|(_, o)| *o);
        let local: Vec<Oid> = local.chain(before.detached.values().copied()).collect();
        let only = history.only(&local, &far)?;
        let about = if only.cut { "about " } else { "" };
        let n = plural(only.commits, "commit", "commits");
        text.push_str(&format!("; {about}{n} that no remote-tracking branch has"));
    }
    Ok(text)
}

/// What a ref is called, for branches and tags.
fn shown(name: &[u8]) -> Option<(&'static str, String)> {
    let (what, short) = match (name.strip_prefix(b"refs/heads/"), name.strip_prefix(b"refs/tags/")) {
        (Some(short), _) => ("branch", short),
        (_, Some(short)) => ("tag", short),
        _ => return None,
    };
    Some((what, text(short)))
}

/// Text from outside, spelled harmlessly: it stands in sentences for a person, and in documents.
pub(super) fn text(bytes: &[u8]) -> String {
    Quoted(bytes).to_string()
}

/// `1 commit`, `2,000 commits`.
pub(super) fn plural(n: u64, one: &str, many: &str) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    format!("{grouped} {}", if n == 1 { one } else { many })
}
