//! Which places are the agent's own, so that changes there are allowed because they are undoable.

use crate::bytes::Bytes;
use crate::effect::{Effect, EffectSet};

/// The places of the machine and of the request, found by the engine; nothing an agent can write
/// adds to what is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// Backstop's own directories: state, vaults, configuration.
    pub guard: Vec<Bytes>,
    /// The caller's home directory.
    pub home: Option<Bytes>,
    /// Every home directory, the caller's among them.
    pub homes: Vec<Bytes>,
    /// Scratch directories: `/tmp` and its kin.
    pub scratch: Vec<Bytes>,
    /// The caller, whose own files in scratch directories are free.
    pub uid: u32,
    /// The agent's own place.
    pub workspace: Option<Bytes>,
}

/// Caches of everyday tools below a home. What they hold, the tool fetches or makes again; an agent
/// that had to ask for each of these would be stopped all day.
const CACHES: &[&str] = &[
    // everything by the XDG convention: pip, go-build, ccache, sccache, yarn, deno, huggingface, …
    ".cache",
    // JavaScript
    ".npm",
    ".pnpm-store",
    ".local/share/pnpm/store",
    ".yarn/berry/cache",
    ".bun/install/cache",
    ".node-gyp",
    // Rust
    ".cargo/registry",
    ".cargo/git",
    ".cargo/.package-cache",
    ".cargo/.package-cache-mutate",
    ".cargo/.global-cache",
    // Go
    "go/pkg",
    // Java, Kotlin, Scala
    ".m2/repository",
    ".gradle/caches",
    ".gradle/daemon",
    ".ivy2/cache",
    ".sbt/boot",
    // .NET
    ".nuget/packages",
    ".local/share/NuGet",
    // Ruby, PHP, Haskell, Elixir
    ".bundle/cache",
    ".composer/cache",
    ".cabal/packages",
    ".hex/packages",
    // Python
    ".local/share/virtualenv",
    // Terraform
    ".terraform.d/plugin-cache",
];

/// What pagers, editors and interpreters remember of themselves: each run writes it. May be written,
/// not deleted. The shells' histories are not among them: they are evidence.
const HISTORIES: &[&str] = &[
    ".lesshst",
    ".local/state/lesshst",
    ".node_repl_history",
    ".psql_history",
    ".python_history",
    ".sqlite_history",
    ".viminfo",
    ".viminfo.tmp",
];

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
        use crate::effect::{FileType, Kind};
        let Some(home) = &self.home else { return false };
        let files = [&effect.before, &effect.after].into_iter().flatten().all(|n| n.file_type == FileType::File);
        let written = matches!(effect.kind, Kind::Create | Kind::Change | Kind::Replace) && effect.beneath.is_none();
        files && written && HISTORIES.iter().any(|h| *path == home.join(h.as_bytes()))
    }

    fn in_cache(&self, path: &Bytes) -> bool {
        let Some(home) = &self.home else { return false };
        CACHES.iter().any(|c| path.is_beneath(home.join(c.as_bytes()).as_slice()))
    }
}
