//! Undo where later work is in the way: what was there comes back beside it, as `name.before-RUN`,
//! and the steps that would have overwritten leave the plan. Makes a plan and looks; changes nothing, so
//! that all of it is journaled and taken back like any other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Conflict;
use backstop_core::id::RunId;
use backstop_core::plan::{Meta, Op, Place, Plan, Slot, Spot};
use backstop_sys::fs as sys;

use crate::commit::{At, CommitError, Site, at_place, at_slot, beside_name, meta_of, shown};
use crate::failure::Failure;

/// A plan that takes a run back beside what is in the way, and the names that what was there would get.
pub(crate) struct Beside {
    pub plan: Plan,
    pub names: Vec<Bytes>,
}

struct Maker<'a> {
    id: RunId,
    sites: &'a [Site],
    /// How objects were dressed before the run, where it changed that.
    metas: HashMap<(u16, u64), &'a Meta>,
    taken: HashSet<Place>,
    names: Vec<Bytes>,
}

/// Takes the steps with conflicts out of a plan; in their place come steps that put what was kept beside.
pub(crate) fn beside(id: RunId, plan: &Plan, sites: &[Site], conflicts: &[Conflict]) -> Result<Beside, Failure> {
    let paths: BTreeSet<&[u8]> = conflicts.iter().map(|c| bare(c.path.as_slice())).collect();
    let hit = |place: &Place| touches(&paths, shown(sites, place).as_slice());
    let metas = plan.ops.iter().filter_map(|op| match op {
        Op::Meta { before, ino, at, .. } => Some(((at.vol, *ino), before)),
        _ => None,
    });
    // What such a step brought stays where it is, so it can't go back to where it came from either.
    let stay: HashSet<(u16, u64)> = plan.ops.iter().filter(|op| op.places().any(hit)).filter_map(brings).collect();
    let mut maker = Maker { id, sites, metas: metas.collect(), taken: HashSet::new(), names: Vec::new() };
    let mut ops = Vec::new();
    for op in &plan.ops {
        let came_from = matches!(op, Op::Move { from: Spot::Place(p), ino, .. } if stay.contains(&(p.vol, *ino)));
        if !came_from && !op.places().any(hit) {
            ops.push(op.clone());
            continue;
        }
        match op {
            _ if came_from => {}
            Op::Move { from: Spot::Place(at), ino, to: Spot::Slot(slot) } => {
                let from = Spot::Place(maker.place(at)?);
                ops.push(Op::Move { from, ino: *ino, to: Spot::Slot(slot.clone()) });
            }
            Op::Swap { at, old, slot, .. } => {
                let from = Spot::Place(maker.place(at)?);
                ops.push(Op::Move { from, ino: *old, to: Spot::Slot(slot.clone()) });
            }
            Op::Write { at, ino, old, .. } => ops.extend(maker.content(at, *ino, old)?),
            // What the run made stays: somebody has worked on it since.
            Op::Move { .. } | Op::Meta { .. } | Op::Link { .. } | Op::Times { .. } => {}
        }
    }
    let plan = Plan { keeps: plan.keeps.clone(), ops, volumes: plan.volumes.clone() };
    Ok(Beside { plan, names: maker.names })
}

/// True where one of the paths is this one, or above or beneath it.
fn touches(paths: &BTreeSet<&[u8]>, path: &[u8]) -> bool {
    let path = bare(path);
    let beneath = [path, b"/"].concat();
    let from = (Bound::Included(&beneath[..]), Bound::Unbounded);
    let mut ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
    ends.any(|end| paths.contains(&path[..end]))
        || paths.range::<[u8], _>(from).next().is_some_and(|p| p.starts_with(&beneath))
}

/// A path as what lies beneath it begins: the root as nothing.
fn bare(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// The object that a step brings into the tree.
const fn brings(op: &Op) -> Option<(u16, u64)> {
    match op {
        Op::Move { from: Spot::Slot(_), ino, to: Spot::Place(at) } | Op::Swap { new: ino, at, .. } => {
            Some((at.vol, *ino))
        }
        _ => None,
    }
}

impl Maker<'_> {
    /// A free name beside a place.
    fn place(&mut self, at: &Place) -> Result<Place, CommitError> {
        let (_, name) = sys::split(at.path.as_slice());
        let end = format!(".before-{}", self.id);
        let mut n = 1;
        loop {
            let name = beside_name(name, &end, n);
            let parent = at.path.parent();
            let path = if parent.is_empty() { Bytes::new(name) } else { parent.join(&name) };
            let place = Place { path, vol: at.vol };
            let free = match at_place(self.sites, &place)? {
                Some(at) => look(&at)?.is_none(),
                // Its directory comes first, or the check will say that it is gone.
                None => true,
            };
            if free && self.taken.insert(place.clone()) {
                self.names.push(shown(self.sites, &place));
                return Ok(place);
            }
            n += 1;
        }
    }

    /// The steps for a content that was kept: the copy itself goes into the tree, with owner, mode, times
    /// and attributes that the file had before. (Backwards the last comes first.) What the run did not
    /// change is taken from the file itself, so what somebody has changed of it since shows in both. Left out
    /// are set-id bits, which nobody wants on a further name, and where the run kept the time of the last
    /// change, that time: it is noted nowhere, and the copy has the one of the commit.
    fn content(&mut self, at: &Place, ino: u64, old: &Slot) -> Result<Vec<Op>, CommitError> {
        let Some(kept) = at_slot(self.sites, old)? else { return Ok(Vec::new()) };
        let Some(stat) = look(&kept)? else { return Ok(Vec::new()) };
        let plain = meta_of(&stat);
        let own = match at_place(self.sites, at)? {
            Some(own) => look(&own)?.filter(|now| now.ino == ino).map(|now| (own, now)),
            None => None,
        };
        let mut was = match (self.metas.get(&(at.vol, ino)), &own) {
            (Some(&before), _) => before.clone(),
            (None, Some((_, now))) => like(&plain, now, backstop_sys::process::is_root()),
            (None, None) => plain.clone(),
        };
        if let Some((own, _)) = own {
            for name in sys::xattr_names_at(own.dir(), own.name()).map_err(own.step("read the attributes of"))? {
                let changed = was.xattrs.iter().any(|(n, _)| n.as_slice() == name);
                if changed || !(name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_access")) {
                    continue;
                }
                let value = sys::xattr_at(own.dir(), own.name(), &name).map_err(own.step("read the attributes of"))?;
                was.xattrs.push((Bytes::from(name), value.map(Bytes::from)));
            }
        }
        // What the copy never had needs not be taken from it.
        was.xattrs.retain(|(_, value)| value.is_some());
        let undressed = Meta { xattrs: was.xattrs.iter().map(|(name, _)| (name.clone(), None)).collect(), ..plain };
        let place = self.place(at)?;
        let dress = Op::Meta { after: undressed, at: place.clone(), before: was, ino: stat.ino };
        Ok(vec![dress, Op::Move { from: Spot::Place(place), ino: stat.ino, to: Spot::Slot(old.clone()) }])
    }
}

/// Owner and mode of a file for a copy of it. Only root can give it to others; elsewhere one that has another
/// owner or group is for its maker alone, as whom the bits would let in is not whom they were meant for.
fn like(copy: &Meta, file: &sys::Stat, root: bool) -> Meta {
    let mode = file.mode & 0o777;
    if root || (file.uid, file.gid) == (copy.uid, copy.gid) {
        Meta { gid: file.gid, mode, uid: file.uid, ..copy.clone() }
    } else {
        Meta { mode: mode & 0o700, ..copy.clone() }
    }
}

fn look(at: &At) -> Result<Option<sys::Stat>, CommitError> {
    sys::stat_at(at.dir(), at.name()).map_err(at.step("look at"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_touched_by_itself_by_what_is_above_and_by_what_is_beneath() {
        let all = ["/", "/a", "/a-b", "/a/b", "/a/b/c", "/a/bc", "/ab", "/b/c/d", "/b"].map(Bytes::from);
        // Every set of paths, against the slow way.
        for picked in 0..1 << all.len() {
            let paths: Vec<&Bytes> = (0..all.len()).filter(|n| picked >> n & 1 == 1).map(|n| &all[n]).collect();
            let set: BTreeSet<&[u8]> = paths.iter().map(|p| bare(p.as_slice())).collect();
            for path in &all {
                let slow = paths.iter().any(|p| p.is_beneath(path.as_slice()) || path.is_beneath(p.as_slice()));
                assert_eq!(touches(&set, path.as_slice()), slow, "{path:?} of {paths:?}");
            }
        }
    }
}
