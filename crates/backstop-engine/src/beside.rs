//! Undo where later work is in the way: what was there comes back beside it, as `name.before-RUN`,
//! and the steps that would have overwritten leave the plan.

use std::os::fd::AsFd;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Conflict;
use backstop_core::id::RunId;
use backstop_core::plan::{Op, Place, Plan, Slot, Spot};
use backstop_sys::fs as sys;

use crate::commit::{CommitError, Site, at_place, at_slot, shown};
use crate::failure::Failure;

/// Takes the steps with conflicts out of the plan and puts what they kept beside; returns where.
pub(crate) fn set_beside(
    id: RunId,
    plan: &mut Plan,
    sites: &[Site],
    conflicts: &[Conflict],
) -> Result<Vec<Bytes>, Failure> {
    let hit = |place: &Place| {
        let path = shown(sites, place);
        conflicts.iter().any(|c| c.path.is_beneath(path.as_slice()) || path.is_beneath(c.path.as_slice()))
    };
    let mut placed = Vec::new();
    let mut rest = Vec::new();
    for op in std::mem::take(&mut plan.ops) {
        if !op.places().any(hit) {
            rest.push(op);
            continue;
        }
        let kept = match &op {
            Op::Move { from: Spot::Place(at), to: Spot::Slot(slot), .. } => Some((at, slot, false)),
            Op::Swap { at, slot, .. } => Some((at, slot, false)),
            Op::Write { at, old, .. } => Some((at, old, true)),
            // What the run made stays: somebody has worked on it since.
            Op::Move { .. } | Op::Meta { .. } | Op::Link { .. } | Op::Times { .. } => None,
        };
        if let Some((at, slot, copy)) = kept {
            placed.extend(put(id, sites, at, slot, copy)?);
        }
    }
    plan.ops = rest;
    Ok(placed)
}

/// Puts one kept object beside its place; none where the vault or the directory is gone.
fn put(id: RunId, sites: &[Site], at: &Place, slot: &Slot, copy: bool) -> Result<Option<Bytes>, CommitError> {
    let (_, name) = sys::split(at.path.as_slice());
    let mut beside = name.to_vec();
    beside.extend_from_slice(format!(".before-{id}").as_bytes());
    let place = Place { path: at.path.parent().join(&beside), vol: at.vol };
    let (Some(to), Some(from)) = (at_place(sites, &place)?, at_slot(sites, slot)?) else { return Ok(None) };
    if copy {
        let source = sys::open_file(from.dir(), from.name()).map_err(from.step("read"))?;
        let target = sys::create_file(to.dir(), to.name()).map_err(to.step("create"))?;
        sys::clone_or_copy(source.as_fd(), target.as_fd()).map_err(to.step("write"))?;
        sys::sync_file(target.as_fd()).map_err(to.step("sync"))?;
    } else {
        sys::move_free(from.dir(), from.name(), to.dir(), to.name()).map_err(to.step("create"))?;
    }
    Ok(Some(shown(sites, &place)))
}
