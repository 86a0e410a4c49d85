//! The survey without the machine's rights. In a user namespace nothing that has a mount beneath it
//! can be the lower of an overlay, so the largest directories are sought that the user can write to
//! and that have none; all else is read-only.

use std::collections::BTreeSet;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Cover, Mount};
use backstop_sys::fs as sys;
use backstop_sys::mountinfo::Entry;

use super::{
    How, Part, Query, Survey, VolumeError, attr, because, is_private, locate, no_layer, private_place, spec_of, told,
};
use crate::volume::{OpenVolume, vault_in};

/// How deep below a mount's root writable directories are looked for, beside the seeds.
const DEPTH: u32 = 2;

pub(super) fn survey(query: &Query<'_>, all: &[Entry], seen: &[&Entry]) -> Result<Survey, VolumeError> {
    let mut survey = Survey { volumes: Vec::new(), parts: Vec::new(), notes: Vec::new(), hidden: Vec::new() };
    // Which mounts can carry an overlay at all.
    let mut open = vec![false; seen.len()];
    for (n, entry) in seen.iter().enumerate() {
        let is_dir = sys::is_directory(&entry.point);
        let (cover, how) = if is_private(entry) {
            (Cover::Private, How::Private)
        } else if let Some(why) = no_layer(entry, is_dir) {
            (Cover::ReadOnly { why }, How::Clone)
        } else {
            open[n] = true;
            (
                Cover::ReadOnly { why: "without root, only directories that you can write to are covered".into() },
                How::Clone,
            )
        };
        survey.parts.push(Part { mount: told(entry, &entry.point, cover), how, attr: attr(entry), dir: is_dir });
    }
    let mut found = BTreeSet::new();
    for seed in query.seeds {
        if let Ok(real) = std::fs::canonicalize(seed.as_path())
            && let Some(top) = largest(&Bytes::from(&*real), seen, &open)
        {
            // What is somebody else's on the way down gets an overlay of its own, see `reaches`.
            let mut at = Bytes::from(real);
            while at != top {
                if !own(&at, query) && sys::writable(at.as_slice()) {
                    found.insert(at.clone());
                }
                at = at.parent();
            }
            found.insert(top);
        }
    }
    for (n, entry) in seen.iter().enumerate().filter(|(n, _)| open[*n]) {
        shallow(&Bytes::from(&entry.point[..]), n, DEPTH, seen, &mut found);
    }
    let mut whole = BTreeSet::new();
    for top in found {
        split(&top, all, &mut whole);
    }
    let whole: Vec<Bytes> = whole.into_iter().collect();
    let outer: Vec<&Bytes> = whole.iter().filter(|d| !whole.iter().any(|o| o != *d && reaches(o, d, query))).collect();
    for top in &outer {
        match alias(seen, top, &outer) {
            Some(place) => survey.parts.push(bind(seen, top, place)),
            None => layer(query, seen, &mut survey, top),
        }
    }
    // The outer before the inner, as they are put in place.
    survey.parts.sort_by_key(|p| p.mount.path.as_slice().len());
    Ok(survey)
}

/// True when an overlay over `outer` can take changes in `dir` as well. It has to copy the directories
/// between, and `dir` itself, and in this user namespace it can't give them to anybody else.
fn reaches(outer: &Bytes, dir: &Bytes, query: &Query<'_>) -> bool {
    if !dir.is_beneath(outer.as_slice()) {
        return false;
    }
    let mut at = dir.clone();
    while at != *outer {
        if !own(&at, query) {
            return false;
        }
        at = at.parent();
    }
    true
}

fn own(path: &Bytes, query: &Query<'_>) -> bool {
    sys::stat_path(path.as_slice()).is_ok_and(|s| (s.uid, s.gid) == (query.uid, query.gid))
}

/// The largest writable directory around `seed` on its mount; none where `seed` is not writable.
fn largest(seed: &Bytes, seen: &[&Entry], open: &[bool]) -> Option<Bytes> {
    let (n, _) = locate(seen, seed)?;
    if !open[n] || private_place(seed) || !sys::writable(seed.as_slice()) || !seed.as_path().is_dir() {
        return None;
    }
    let mut top = seed.clone();
    while top.as_slice() != seen[n].point && sys::writable(top.parent().as_slice()) {
        top = top.parent();
    }
    Some(top)
}

/// None where they can't be listed: what can't be searched can't be found, and stays read-only.
fn subdirectories(path: &Bytes) -> Vec<Vec<u8>> {
    sys::subdirectories(path.as_slice()).unwrap_or_default()
}

fn shallow(at: &Bytes, mount: usize, depth: u32, seen: &[&Entry], found: &mut BTreeSet<Bytes>) {
    if private_place(at) || locate(seen, at).is_none_or(|(n, _)| n != mount) {
        return;
    }
    if sys::writable(at.as_slice()) {
        found.insert(at.clone());
    } else if depth > 0 {
        for name in subdirectories(at) {
            shallow(&at.join(&name), mount, depth - 1, seen, found);
        }
    }
}

/// `top`, or where mounts lie beneath it (hidden ones count too), those of its parts that have none.
fn split(top: &Bytes, all: &[Entry], whole: &mut BTreeSet<Bytes>) {
    let beneath =
        |d: &Bytes| all.iter().any(|e| e.point != d.as_slice() && Bytes::from(&e.point[..]).is_beneath(d.as_slice()));
    if !beneath(top) {
        whole.insert(top.clone());
        return;
    }
    for name in subdirectories(top) {
        let child = top.join(&name);
        let is_mount = all.iter().any(|e| e.point == child.as_slice());
        if !is_mount && sys::writable(child.as_slice()) {
            split(&child, all, whole);
        }
    }
}

/// The same directory by another mount, where another overlay covers it there: two overlays over one
/// directory would not see each other's changes, and the second would want a vault inside it.
fn alias(seen: &[&Entry], top: &Bytes, outer: &[&Bytes]) -> Option<Bytes> {
    let (n, lower) = locate(seen, top)?;
    let entry = seen[n];
    let inner = Bytes::from(&entry.root[..]).join(lower.as_slice());
    let facts = sys::stat_path(top.as_slice()).ok()?;
    seen.iter().enumerate().filter(|(m, base)| *m != n && base.dev == entry.dev).find_map(|(_, base)| {
        let root = base.root.strip_suffix(b"/").unwrap_or(&base.root);
        // Of two mounts that show the same, the one with the longer root is the bind.
        if !inner.is_beneath(&base.root) || base.root.len() >= entry.root.len() {
            return None;
        }
        let rest = inner.as_slice()[root.len()..].strip_prefix(b"/").unwrap_or_default();
        let place = Bytes::from(&base.point[..]).join(rest);
        let same = sys::stat_path(place.as_slice()).is_ok_and(|s| s.is_same(&facts));
        let covered = outer.iter().any(|o| **o != *top && place.is_beneath(o.as_slice()));
        (same && covered).then_some(place)
    })
}

fn bind(seen: &[&Entry], top: &Bytes, place: Bytes) -> Part {
    let entry = locate(seen, top).map_or(seen[0], |(n, _)| seen[n]);
    Part {
        mount: Mount { path: top.clone(), ..told(entry, top.as_slice(), Cover::Overlay) },
        how: How::Bind(place),
        attr: attr(entry),
        dir: true,
    }
}

fn layer(query: &Query<'_>, seen: &[&Entry], survey: &mut Survey, top: &Bytes) {
    let Some((n, lower)) = locate(seen, top) else { return };
    let entry = seen[n];
    let part = |cover: Cover, how: How| Part {
        mount: Mount { path: top.clone(), ..told(entry, top.as_slice(), cover) },
        how,
        attr: attr(entry),
        dir: true,
    };
    if query.hidden.iter().any(|h| top.is_beneath(h.as_slice())) {
        return;
    }
    match volume(query, seen, n, survey, &lower) {
        Ok(volume) => survey.parts.push(part(Cover::Overlay, How::Layer { volume, lower })),
        Err(e) => survey.parts.push(part(Cover::ReadOnly { why: because(&e) }, How::Clone)),
    }
}

/// The volume for a mount; made at the first directory on it that needs one.
fn volume(
    query: &Query<'_>,
    seen: &[&Entry],
    n: usize,
    survey: &mut Survey,
    lower: &Bytes,
) -> Result<usize, VolumeError> {
    let entry = seen[n];
    if let Some(at) = survey.volumes.iter().position(|v| v.root_path().as_slice() == entry.point) {
        return Ok(at);
    }
    let vault = match locate(seen, &Bytes::from(query.state)) {
        Some((at, rest)) if at == n => rest.join(b"vault"),
        // The mount's root where that may be written to, as the privileged survey has it.
        _ if sys::writable(&entry.point) => vault_in(&Bytes::default(), query.uid, query.state),
        _ => vault_in(lower, query.uid, query.state),
    };
    let spec = spec_of(entry, vault);
    survey.volumes.push(OpenVolume::create(spec, query.uid)?);
    Ok(survey.volumes.len() - 1)
}
