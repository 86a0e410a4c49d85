//! Which places are the agent's own, so that changes there are allowed because they are undoable.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::classes::{Classes, Own};
use crate::effect::{CrossingKind, Effect, EffectSet, FileType, Kind};

/// The places of the machine and of the request, found by the engine; nothing an agent can write
/// adds to what is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// The kinds of places and contents.
    pub classes: Classes,
    /// Backstop's own directories: state, vaults, configuration.
    pub guard: Vec<Bytes>,
    /// The caller's home directory.
    pub home: Option<Bytes>,
    /// Every home directory, the caller's among them.
    pub homes: Vec<Bytes>,
    /// Where the rules that a user or a project adds are taken from. They only tighten, so who takes one
    /// away loosens.
    pub rules: Vec<Bytes>,
    /// Scratch directories: `/tmp` and its kin.
    pub scratch: Vec<Bytes>,
    /// The caller, whose own files in scratch directories are free.
    pub uid: u32,
    /// The agent's own place.
    pub workspace: Option<Bytes>,
}

/// Where a command that runs in place may write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    /// Directories, with all beneath on the same mount.
    pub open: Vec<Bytes>,
    /// Directories that it sees empty ones of its own instead of.
    pub private: Vec<Bytes>,
    /// Places in these that stay as they are, whether or not they are there yet.
    pub shut: Vec<Bytes>,
}

impl Ground {
    /// True when `path` is the agent's own place: in the workspace on the workspace's own mount, in
    /// a scratch directory and the caller's own, in a tool's cache, or a program's history.
    pub fn own(&self, path: &Bytes, effect: &Effect, set: &EffectSet) -> bool {
        self.in_workspace(path, set)
            || self.in_scratch(path, effect)
            || self.in_cache(path)
            || self.is_history(path, effect)
    }

    /// True when a directory, of which only the times change, is in the agent's own places (or is one
    /// of them: a new file in `/tmp` touches `/tmp`).
    pub fn own_directory(&self, path: &Bytes, set: &EffectSet) -> bool {
        self.in_workspace(path, set)
            || self.in_cache(path)
            || self.scratch.iter().any(|s| path.is_beneath(s.as_slice()))
            || self.workspace.as_ref() == Some(path)
    }

    /// Where a command that runs in place may write, which is nowhere but in the agent's own places, and what
    /// stays shut in these: histories of versions, rules, and what sets agents up.
    pub fn in_place(&self) -> InPlace {
        let caches = self.home.iter().flat_map(|home| self.classes.own_below(home));
        let mut open: Vec<Bytes> = self.workspace.iter().cloned().chain(caches).collect();
        // What others have in scratch directories is theirs, and nothing keeps root from it there.
        let private = if self.uid == 0 { self.scratch.clone() } else { Vec::new() };
        if private.is_empty() {
            open.extend(self.scratch.iter().cloned());
        }
        let in_workspace = self.workspace.iter().flat_map(|w| {
            let names = [&b".git"[..]].into_iter().chain(self.classes.home_places("agent-config"));
            names.map(|name| w.join(name)).collect::<Vec<_>>()
        });
        // A home that happens to lie in the workspace is no part of it.
        let other = self.rules.iter().chain(&self.guard).chain(&self.homes).cloned();
        let shut = in_workspace.chain(other);
        let shut = shut.filter(|s| open.iter().any(|o| s != o && s.is_beneath(o.as_slice()))).collect();
        InPlace { open, private, shut }
    }

    fn in_workspace(&self, path: &Bytes, set: &EffectSet) -> bool {
        let Some(workspace) = &self.workspace else { return false };
        let ws = workspace.as_slice();
        // Another mount inside the workspace is another place, whatever its path looks like (R09),
        // and so is a home that happens to lie in it.
        let islands = set.mounts.iter().map(|m| &m.point).chain(&self.homes);
        path != workspace
            && path.is_beneath(ws)
            && !islands.into_iter().any(|i| i != workspace && i.is_beneath(ws) && path.is_beneath(i.as_slice()))
            || path == workspace && self.only_inside(set, workspace)
    }

    /// The workspace directory itself may get other metadata or times, but it may not go away.
    fn only_inside(&self, set: &EffectSet, workspace: &Bytes) -> bool {
        use crate::effect::Kind::{Change, Create, Metadata};
        set.effects.iter().filter(|e| &e.path == workspace).all(|e| matches!(e.kind, Metadata | Change | Create))
    }

    fn in_scratch(&self, path: &Bytes, effect: &Effect) -> bool {
        let mine = effect.before.as_ref().is_none_or(|n| n.uid == self.uid)
            && effect.beneath.as_ref().is_none_or(|t| t.owners.keys().all(|o| *o == self.uid));
        mine && self.scratch.iter().any(|s| path != s && path.is_beneath(s.as_slice()))
    }

    fn is_history(&self, path: &Bytes, effect: &Effect) -> bool {
        let files = [&effect.before, &effect.after].into_iter().flatten().all(|n| n.file_type == FileType::File);
        let written = matches!(effect.kind, Kind::Create | Kind::Change | Kind::Replace) && effect.beneath.is_none();
        files && written && matches!(self.own_below_home(path), Some((_, Own::Files)))
    }

    fn in_cache(&self, path: &Bytes) -> bool {
        matches!(self.own_below_home(path), Some((_, Own::All)))
    }

    fn own_below_home(&self, path: &Bytes) -> Option<(&str, Own)> {
        self.home.as_ref().and_then(|home| self.classes.own(path, home))
    }

    /// The classes of a place by where it lies and what its name is. What content, neighbours and
    /// repositories add is the engine's to find.
    pub fn classes_of(&self, path: &Bytes, effect: &Effect, set: &EffectSet) -> Vec<String> {
        let mut tags: Vec<String> = Vec::new();
        if self.in_workspace(path, set) {
            tags.push("workspace".into());
        } else if self.in_scratch(path, effect) {
            tags.push("scratch".into());
        } else if self.in_cache(path) || self.is_history(path, effect) {
            tags.extend(self.own_below_home(path).map(|(name, _)| name.to_owned()));
        } else {
            tags.push("outside".into());
        }
        let goes = matches!(effect.kind, Kind::Delete | Kind::Replace | Kind::Rename);
        if self.guard.iter().any(|g| path.is_beneath(g.as_slice()) || (goes && g.is_beneath(path.as_slice()))) {
            tags.push("guard".into());
        }
        // Of a whole workspace that goes away, that is said, and not that it may have had rules.
        let above = |rules: &Bytes| {
            goes && rules.is_beneath(path.as_slice())
                && !self.workspace.as_ref().is_some_and(|w| w.is_beneath(path.as_slice()))
        };
        if self.rules.iter().any(|r| path.is_beneath(r.as_slice()) || above(r)) {
            tags.push("rules".into());
        }
        let device = |n: &crate::effect::Node| matches!(n.file_type, FileType::BlockDevice | FileType::CharDevice);
        if [&effect.before, &effect.after].into_iter().flatten().any(device) {
            tags.push("device".into());
        }
        if set.crossings.iter().any(|c| c.how == CrossingKind::Link && path.is_beneath(c.hit.as_slice())) {
            tags.push("symlink-target".into());
        }
        tags.extend(self.mount_of(effect, set));
        // A cache or history class of another's home frees nothing here, and says nothing.
        let freeing = |name: &&str| !self.classes.frees(name);
        tags.extend(self.classes.of_place(path).filter(freeing).map(str::to_owned));
        tags.extend(self.classes.of_name(path.name()).map(str::to_owned));
        // A whole directory takes along the kinds of places that lie beneath it.
        if effect.beneath.is_some() || effect.kind == Kind::Rename {
            tags.extend(self.classes.beneath(path).map(str::to_owned));
        }
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// The mount that an effect lies on, where it is neither the root's nor the workspace's.
    fn mount_of(&self, effect: &Effect, set: &EffectSet) -> Option<String> {
        let mount = set.mounts.get(effect.mount as usize)?;
        let deepest = |path: &Bytes| {
            let over = set.mounts.iter().filter(|m| path.is_beneath(m.point.as_slice()));
            over.max_by_key(|m| m.point.as_slice().len()).map(|m| &m.point)
        };
        let home = self.workspace.as_ref().and_then(deepest);
        (mount.point.as_slice() != b"/" && home != Some(&mount.point)).then(|| format!("mount:{}", mount.fs))
    }
}
