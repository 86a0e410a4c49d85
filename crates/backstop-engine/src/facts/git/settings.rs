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

/// True where `to`, as the configuration of a submodule names it, is a place in the repository that the
/// submodule belongs to.
fn is_within(config: &Bytes, to: &[u8]) -> bool {
    const MODULES: &[u8] = b"/.git/modules/";
    let config = config.as_slice();
    let Some(at) = config.windows(MODULES.len()).position(|w| w == MODULES) else { return false };
    let (repository, below) = (&config[..at], &config[at + 1..]);
    // From the directory of the configuration on, and never above the repository.
    let mut here: Vec<&[u8]> = below.split(|b| *b == b'/').collect();
    here.pop();
    for part in to.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if here.pop().is_none() => return false,
            b".." => {}
            name => here.push(name),
        }
    }
    !repository.is_empty() && !to.starts_with(b"/") && here.first().is_some_and(|first| *first != b".git")
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
    let everyday = |s: &Setting| s.0 == "core.worktree" && is_within(path, &s.1);
    let new = after.into_iter().filter(|s| config::weighs(&s.0, &s.1) && !everyday(s) && !before.contains(s));
    Ok(new.map(|(key, value)| format!("{key} = {}", text(&value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodule_s_tree_is_within_its_repository() {
        for (config, to, within) in [
            ("/w/.git/modules/lib/config", "../../../lib", true),
            ("/w/.git/modules/a/b/config", "../../../../deep/lib", true),
            ("/w/.git/modules/lib/config", "../../../../other", false),
            ("/w/.git/modules/lib/config", "../../..", false),
            ("/w/.git/modules/lib/config", "../../hooks", false),
            ("/w/.git/modules/lib/config", "/home/ann", false),
            ("/w/.git/config", "../lib", false),
        ] {
            assert_eq!(is_within(&config.into(), to.as_bytes()), within, "{config} {to}");
        }
    }
}
