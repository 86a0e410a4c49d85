//! Takes the effects on hooks and configurations, gives which of them make git run something or reach
//! elsewhere. Reads both sides; runs nothing.

use std::collections::BTreeSet;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, FileType, Kind};

use super::compare::text;
use super::config::{self, Setting};
use super::eyes::Eyes;
use super::repo::CONFIG;
use super::trouble::Trouble;
use crate::engine::Side;

/// True when an effect at `rel` of a git directory adds, changes or removes a hook that git would run.
pub(super) fn is_hook(rel: &[u8], effect: &Effect) -> bool {
    let Some(name) = rel.strip_prefix(b"hooks/") else { return false };
    if name.is_empty() || name.contains(&b'/') || name.ends_with(b".sample") {
        return false;
    }
    // Git runs what may be executed; a link is followed.
    let runs = |n: &backstop_core::effect::Node| {
        n.file_type == FileType::Symlink || n.file_type == FileType::File && n.mode & 0o111 != 0
    };
    let (before, after) = (effect.before.as_ref().is_some_and(runs), effect.after.as_ref().is_some_and(runs));
    match effect.kind {
        Kind::Metadata => before != after,
        _ => before || after,
    }
}

/// True for a configuration that git reads for every repository of a user or machine.
pub(super) fn is_global(path: &Bytes) -> bool {
    let path = path.as_slice();
    path.ends_with(b"/.gitconfig") || path.ends_with(b"/.config/git/config") || path == b"/etc/gitconfig"
}

/// True for a configuration of a repository, at `rel` of its git directory.
pub(super) fn is_own(rel: &[u8]) -> bool {
    matches!(rel, b"config" | b"config.worktree")
}

/// The weighty settings that `path` has afterwards and had not before.
pub(super) fn added(eyes: &Eyes<'_>, path: &Bytes, from: &Bytes) -> Result<Vec<String>, Trouble> {
    let read = |path: &Bytes, side| {
        let bytes = eyes.read(path, side, CONFIG)?.unwrap_or_default();
        config::parse(&bytes).ok_or_else(|| Trouble::damaged(path, "not a configuration of git"))
    };
    // One that made no sense before can only have become better.
    let before: BTreeSet<Setting> = read(from, Side::Before).unwrap_or_default().into_iter().collect();
    let after = read(path, Side::After)?;
    // Each submodule's configuration says where its working tree is.
    let module = path.as_slice().windows(14).any(|w| w == b"/.git/modules/");
    let everyday = |s: &Setting| module && s.0 == "core.worktree";
    let new = after.into_iter().filter(|s| config::weighs(&s.0, &s.1) && !everyday(s) && !before.contains(s));
    Ok(new.map(|(key, value)| format!("{key} = {}", text(&value))).collect())
}
