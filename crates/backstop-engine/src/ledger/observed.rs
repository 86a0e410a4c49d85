//! What is on the disk where a rehearsal had foretold an effect: for what a client's own tool has done.

use std::io;
use std::os::fd::AsFd as _;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, EffectSet, FileType, Kind, Node};
use backstop_sys::fs as sys;

use super::content::{hash, node};
use crate::volume::OpenVolume;

/// The effects as they are on the disk, and whether their content is what was rehearsed.
pub(crate) fn observed(rehearsed: &EffectSet, volumes: &[&OpenVolume]) -> io::Result<(EffectSet, bool)> {
    let mut set = rehearsed.clone();
    let mut as_rehearsed = true;
    let mut effects = Vec::new();
    for mut effect in set.effects.into_iter().flat_map(apart) {
        let now = look(&effect.path, volumes)?;
        let wanted = effect.after.as_ref().and_then(|n| n.content);
        as_rehearsed &= now.as_ref().and_then(|n| n.content) == wanted && now.is_some() == effect.after.is_some();
        effect.kind = match (&effect.before, &now) {
            (None, None) => continue,
            (None, Some(_)) => Kind::Create,
            (Some(_), None) => Kind::Delete,
            (Some(before), Some(now)) if before.ino == now.ino => effect.kind,
            (Some(_), Some(_)) => Kind::Replace,
        };
        effect.after = now;
        effects.push(effect);
    }
    set.effects = effects;
    Ok((set, as_rehearsed))
}

/// A tool that renames makes another file and removes the old one, as far as is known beforehand.
fn apart(effect: Effect) -> Vec<Effect> {
    match (effect.kind, &effect.from) {
        (Kind::Rename, Some(from)) => {
            let gone = Effect { after: None, from: None, kind: Kind::Delete, path: from.clone(), ..effect.clone() };
            vec![gone, Effect { before: None, from: None, kind: Kind::Create, ..effect }]
        }
        _ => vec![effect],
    }
}

fn look(path: &Bytes, volumes: &[&OpenVolume]) -> io::Result<Option<Node>> {
    // Of several that cover each other the innermost has it.
    let covers = |v: &&&OpenVolume| path.is_beneath(v.root_path().as_slice());
    let Some(volume) = volumes.iter().filter(covers).max_by_key(|v| v.root_path().as_slice().len()) else {
        return Err(io::Error::other(format!("{} is on no file system that took part", path.quoted())));
    };
    let rest = path.as_slice()[volume.root_path().as_slice().len()..].to_vec();
    let (parent, name) = sys::split(rest.strip_prefix(b"/").unwrap_or(&rest));
    let dir = match sys::open_dir(volume.root(), parent) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        other => other?,
    };
    let Some(stat) = sys::stat_at(dir.as_fd(), name)? else { return Ok(None) };
    let mut node = node(&stat);
    if node.file_type == FileType::File {
        node.content = Some(hash(dir.as_fd(), name)?);
    }
    Ok(Some(node))
}
