//! Takes a place, gives the repository it belongs to: the working tree around it, or the git
//! directory it lies in. Looks at the machine as it was before the run; remembers what it found.

use std::collections::{HashMap, HashSet};

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, Kind};

use super::config;
use super::eyes::{Eyes, resolve};
use super::ignore::Ignore;
use super::index::Index;
use super::oid::{Format, Oid};
use super::store::Store;
use super::trouble::Trouble;
use crate::engine::Side;

/// Longest configuration.
pub(super) const CONFIG: u64 = 1 << 20;
/// Longest index.
const INDEX: u64 = 128 << 20;
/// Git directories within git directories (submodules of submodules).
const CANDIDATES: usize = 16;

/// Where renamed things went.
#[derive(Default)]
pub(super) struct Moves(HashMap<Bytes, Bytes>);

impl Moves {
    pub(super) fn new(effects: &[Effect]) -> Self {
        let renames = effects.iter().filter(|e| e.kind == Kind::Rename);
        Self(renames.filter_map(|e| Some((e.from.clone()?, e.path.clone()))).collect())
    }

    /// Where what was at `path` is afterwards, if it is still there.
    pub(super) fn after(&self, path: &Bytes) -> Bytes {
        let mut here = path.clone();
        while here.as_slice().len() > 1 && !self.0.is_empty() {
            if let Some(to) = self.0.get(&here) {
                return to.join(path.as_slice()[here.as_slice().len()..].strip_prefix(b"/").unwrap_or_default());
            }
            here = here.parent();
        }
        path.clone()
    }

    /// True when exactly this name moved.
    pub(super) fn moved(&self, path: &Bytes) -> bool {
        self.0.contains_key(path)
    }
}

/// A working tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) gitdir: Bytes,
    pub(super) repo: usize,
    pub(super) root: Bytes,
}

/// A repository, on both sides.
pub(super) struct Repo {
    pub(super) after: Store,
    pub(super) before: Store,
    /// The directory that all its working trees share.
    pub(super) common: Bytes,
    pub(super) format: Format,
    /// True when it goes away as a whole; known only once it was compared.
    pub(super) gone: bool,
    /// Where it is afterwards.
    pub(super) later: Bytes,
}

impl Repo {
    /// What a person calls it.
    pub(super) fn name(&self) -> Bytes {
        if self.common.name() == b".git" { self.common.parent() } else { self.common.clone() }
    }

    /// Commits whose parents a shallow clone does not have.
    pub(super) fn shallow(&self, eyes: &Eyes<'_>) -> Result<HashSet<Oid>, Trouble> {
        let mut all = HashSet::new();
        for (dir, side) in [(&self.common, Side::Before), (&self.later, Side::After)] {
            let text = eyes.read(&dir.join(b"shallow"), side, CONFIG)?.unwrap_or_default();
            all.extend(text.split(|&b| b == b'\n').filter_map(Oid::hex));
        }
        Ok(all)
    }
}

/// What is needed of one working tree while its files are looked at.
pub(super) struct Desk {
    pub(super) ignore: Ignore,
    pub(super) index: Index,
    tree: usize,
}

/// Every repository that was met.
pub(super) struct Finder<'a> {
    by_common: HashMap<Bytes, usize>,
    pub(super) desk: Option<Desk>,
    dirs: HashMap<Bytes, Option<usize>>,
    eyes: &'a Eyes<'a>,
    gitdirs: HashMap<Bytes, Option<usize>>,
    pub(super) moves: Moves,
    pub(super) repos: Vec<Repo>,
    pub(super) trees: Vec<Tree>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(eyes: &'a Eyes<'a>, moves: Moves) -> Self {
        Self {
            by_common: HashMap::new(),
            desk: None,
            dirs: HashMap::new(),
            eyes,
            gitdirs: HashMap::new(),
            moves,
            repos: Vec::new(),
            trees: Vec::new(),
        }
    }

    /// The working tree that the directory `dir` is in, before the run.
    pub(super) fn tree_of(&mut self, dir: &Bytes) -> Option<usize> {
        let mut way = Vec::new();
        let mut here = dir.clone();
        let found = loop {
            if let Some(known) = self.dirs.get(&here) {
                break *known;
            }
            if let Some(tree) = self.root(&here) {
                self.dirs.insert(here.clone(), Some(tree));
                break Some(tree);
            }
            way.push(here.clone());
            if here.as_slice().len() <= 1 {
                break None;
            }
            here = here.parent();
        };
        if self.dirs.len() > 1 << 18 {
            self.dirs.clear();
        }
        self.dirs.extend(way.into_iter().map(|d| (d, found)));
        found
    }

    /// The working tree whose root is `dir`, if it is one.
    fn root(&mut self, dir: &Bytes) -> Option<usize> {
        let dot = dir.join(b".git");
        let gitdir = match self.eyes.read(&dot, Side::Before, 1 << 16) {
            Ok(Some(text)) => resolve(dir, text.strip_prefix(b"gitdir:")?.trim_ascii()),
            Ok(None) => dot,
            Err(e) => {
                self.eyes.note(e);
                return None;
            }
        };
        let repo = self.gitdir(&gitdir)?;
        self.trees.push(Tree { gitdir, repo, root: dir.clone() });
        Some(self.trees.len() - 1)
    }

    /// The repository whose git directory (or linked working tree's) `dir` is, on either side.
    fn gitdir(&mut self, dir: &Bytes) -> Option<usize> {
        if let Some(known) = self.gitdirs.get(dir) {
            return *known;
        }
        let found = [Side::Before, Side::After].into_iter().find_map(|side| self.gitdir_on(dir, side));
        self.gitdirs.insert(dir.clone(), found);
        found
    }

    fn gitdir_on(&mut self, dir: &Bytes, side: Side) -> Option<usize> {
        let there = |name: &[u8]| match self.eyes.open(&dir.join(name), side) {
            Ok(file) => file.is_some(),
            Err(e) => {
                self.eyes.note(e);
                false
            }
        };
        let shared = self.eyes.read(&dir.join(b"commondir"), side, 1 << 16).ok().flatten();
        let common = match shared {
            Some(text) if there(b"HEAD") => resolve(dir, text.trim_ascii()),
            // A damaged one may lack its HEAD; refs and objects are git's own work.
            _ if self.eyes.is_dir(&dir.join(b"objects"), side)
                && (there(b"HEAD") || self.eyes.is_dir(&dir.join(b"refs"), side)) =>
            {
                dir.clone()
            }
            _ => return None,
        };
        if let Some(known) = self.by_common.get(&common) {
            return Some(*known);
        }
        let eyes = self.eyes;
        let text = eyes.read(&common.join(b"config"), side, CONFIG).ok().flatten().unwrap_or_default();
        let settings = config::parse(&text).unwrap_or_default();
        let sha256 = settings.iter().any(|(k, v)| k == "extensions.objectformat" && v == b"sha256");
        let format = if sha256 { Format::Sha256 } else { Format::Sha1 };
        let later = self.moves.after(&common);
        self.repos.push(Repo {
            after: Store::new(eyes, &later.join(b"objects"), Side::After, format),
            before: Store::new(eyes, &common.join(b"objects"), Side::Before, format),
            common: common.clone(),
            format,
            gone: false,
            later,
        });
        self.by_common.insert(common, self.repos.len() - 1);
        Some(self.repos.len() - 1)
    }

    /// The repository in whose git directory `path` lies, that directory's length, deepest first.
    pub(super) fn inside(&mut self, path: &Bytes) -> Option<(usize, Bytes)> {
        let bytes = path.as_slice();
        let ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).chain([bytes.len()]);
        let mut candidates: Vec<usize> = Vec::new();
        let mut last = 0;
        for end in ends {
            let name = &bytes[last..end];
            match name {
                b"/.git" => candidates.push(end),
                // What stands directly in a git directory, wherever that lies and whatever its name.
                b"/objects" | b"/refs" | b"/hooks" | b"/logs" | b"/info" | b"/packed-refs" | b"/HEAD" | b"/config"
                | b"/worktrees" | b"/modules" | b"/config.worktree" | b"/index" | b"/shallow" | b"/commondir" => {
                    candidates.push(last);
                }
                _ => {}
            }
            last = end;
        }
        candidates.dedup();
        let deepest = candidates.into_iter().rev().filter(|end| *end > 0).take(CANDIDATES);
        deepest.map(|end| Bytes::from(&bytes[..end])).find_map(|dir| Some((self.gitdir(&dir)?, dir)))
    }

    /// The repository that `dir` is itself a git directory of.
    pub(super) fn is_gitdir(&mut self, dir: &Bytes) -> Option<usize> {
        self.gitdir(dir)
    }

    /// Lets go of the handles and tables of every repository but one.
    pub(super) fn rest_but(&mut self, repo: usize) {
        for (i, other) in self.repos.iter_mut().enumerate() {
            if i != repo {
                other.before.rest();
                other.after.rest();
            }
        }
    }

    /// Puts index and ignore rules of a working tree on the desk, if they are not there already.
    pub(super) fn sit_down(&mut self, tree: usize) -> &mut Desk {
        if self.desk.as_ref().is_none_or(|d| d.tree != tree) {
            self.desk = None;
            let Tree { gitdir, repo, root } = self.trees[tree].clone();
            self.rest_but(repo);
            let index = self.index(&gitdir, self.repos[repo].format).unwrap_or_else(|e| {
                self.eyes.note(e);
                Index::default()
            });
            let ignore = Ignore::new(self.eyes, &root, &self.repos[repo].common);
            self.desk = Some(Desk { ignore, index, tree });
        }
        self.desk.as_mut().expect("put there just above")
    }

    fn index(&self, gitdir: &Bytes, format: Format) -> Result<Index, Trouble> {
        use std::os::unix::fs::MetadataExt;
        let path = gitdir.join(b"index");
        let Some(file) = self.eyes.open(&path, Side::Before)? else { return Ok(Index::default()) };
        let written = file.metadata().map_err(|e| Trouble::read(&path, e))?;
        let bytes = self.eyes.read(&path, Side::Before, INDEX)?.unwrap_or_default();
        Index::parse(&path, &bytes, format, (written.mtime(), written.mtime_nsec()))
    }
}
