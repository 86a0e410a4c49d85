//! The one boring loop that carries a plan out, forwards or backwards. Every step looks first: done
//! already is fine (that is what makes `recover` simple), something else there is a conflict.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;

use backstop_core::bytes::Bytes;
use backstop_core::plan::{Direction, Meta, Op, Place, Plan, Slot, Spot};
use backstop_sys::fs::{self as sys, Pin, Stat, Time};

use super::{At, CommitError, Guard, Seen, Sites, at_place, at_slot, rights};
use crate::fault;

/// Carries out all steps. On an error some may be done: the caller takes them back. `look` is asked
/// before each: a conflict where somebody else changed what the step would work on. `did` hears how each
/// has left the file that it wrote into or dressed; nothing where it failed halfway.
pub(crate) fn apply(
    plan: &Plan,
    direction: Direction,
    sites: &Sites,
    skip_times: &dyn Fn(u64) -> bool,
    look: &mut dyn FnMut(&Op) -> Result<(), CommitError>,
    did: &mut dyn FnMut(&Op, Option<Seen>),
    progress: &mut dyn FnMut(u64),
) -> Result<(), CommitError> {
    let mut done = 0;
    for op in in_order(plan, direction) {
        look(op).map_err(forwards)?;
        let left = step(op, direction, sites, skip_times).map_err(forwards);
        match &left {
            // It has done nothing.
            Err(CommitError::Conflict { .. }) => {}
            other => did(op, other.as_ref().ok().copied().flatten()),
        }
        left?;
        done += 1;
        progress(done);
    }
    Ok(())
}

/// What is withheld has done nothing: on the way forward that is a conflict as any other.
fn forwards(error: CommitError) -> CommitError {
    match error {
        CommitError::Withheld { conflict } => CommitError::Conflict { conflict },
        other => other,
    }
}

/// Takes back what an `apply` that failed has done: the other way round, the first `done` steps of it
/// (all of them where nobody knows how far it came). What somebody else put in the way or changed
/// meanwhile stays; what was kept then comes back beside it. Gives those places.
pub(crate) fn take_back(
    plan: &Plan,
    failed: Direction,
    sites: &Sites,
    done: Option<usize>,
    guard: &Guard<'_>,
) -> Result<Vec<Bytes>, CommitError> {
    let back = match failed {
        Direction::Forward => Direction::Backward,
        Direction::Backward => Direction::Forward,
    };
    // A step that never ran must not be taken back: its file may have been written to since.
    let steps = in_order(plan, failed).into_iter().take(done.unwrap_or(usize::MAX));
    let ran: HashSet<*const Op> = steps.clone().map(std::ptr::from_ref).collect();
    // What is written back gets its times back as well, though the step that sets them had not come.
    let written: HashSet<u64> =
        steps.filter_map(|op| if let Op::Write { ino, .. } = op { Some(*ino) } else { None }).collect();
    let mut beside = Vec::new();
    for op in in_order(plan, back) {
        // Directories' times are put back in any case: the renames that were done have changed them.
        let due = match op {
            Op::Times { .. } => true,
            Op::Meta { ino, .. } if written.contains(ino) => true,
            _ => ran.contains(&std::ptr::from_ref(op)),
        };
        if !due {
            continue;
        }
        let looked = guard.look(op, back, sites);
        match looked.and_then(|()| step(op, back, sites, &|_| false)) {
            Err(CommitError::Conflict { .. }) => beside.extend(put_beside(op, back, sites, guard)?),
            other => guard.did(op, other?),
        }
    }
    Ok(beside)
}

/// The place of a step is taken by somebody else's work: what the vault has of it, and nobody else, is
/// put beside. None where the vault has nothing of it: then the step had not run, or its object is gone.
fn put_beside(op: &Op, back: Direction, sites: &Sites, guard: &Guard<'_>) -> Result<Option<Bytes>, CommitError> {
    let (place, slot, ino) = match (op, back) {
        // Nobody can tell whether it had been written into before it was changed: both are kept.
        (Op::Write { at, ino, old, .. }, Direction::Backward)
        | (Op::Write { at, ino, new: old, .. }, Direction::Forward) => {
            return if guard.is_foreign(at.vol, *ino) { copy_beside(at, old, sites) } else { Ok(None) };
        }
        (Op::Move { from: Spot::Place(p), ino, to: Spot::Slot(s) }, Direction::Backward)
        | (Op::Move { from: Spot::Slot(s), ino, to: Spot::Place(p) }, Direction::Forward) => (p, s, *ino),
        (Op::Swap { at, old, slot, .. }, Direction::Backward) => (at, slot, *old),
        (Op::Swap { at, new, slot, .. }, Direction::Forward) => (at, slot, *new),
        _ => return Ok(None),
    };
    let Some(kept) = at_slot(sites, slot)? else { return Ok(None) };
    if look(&kept)?.is_none_or(|s| s.ino != ino) {
        return Ok(None);
    }
    for n in 1..=BESIDES {
        let (beside, to) = beside(place, n, sites)?;
        if look(&to)?.is_none() {
            rights::names(sites, &beside, &to, None)?;
            fault::point("apply.beside").map_err(to.step("put beside"))?;
            move_free(&kept, &to, ino)?;
            return Ok(Some(super::shown(sites, &beside)));
        }
    }
    Err(kept.conflict("every name beside its place is taken"))
}

/// How many names are tried beside a place.
const BESIDES: usize = 99;

/// The n-th name beside a place.
fn beside(place: &Place, n: usize, sites: &Sites) -> Result<(Place, At), CommitError> {
    let (_, name) = sys::split(place.path.as_slice());
    let name = beside_name(name, ".before-conflict", n);
    let path = if place.path.parent().is_empty() { Bytes::new(name) } else { place.path.parent().join(&name) };
    let beside = Place { path, vol: place.vol };
    match at_place(sites, &beside)? {
        Some(at) => Ok((beside, at)),
        None => Err(missing(&Spot::Place(beside), sites)),
    }
}

/// The n-th name beside a name, with that end; cut where it would be longer than a name may be.
pub(crate) fn beside_name(name: &[u8], end: &str, n: usize) -> Vec<u8> {
    /// As long as a name may be.
    const LONGEST: usize = 255;
    let end = if n > 1 { format!("{end}-{n}") } else { end.to_owned() };
    [&name[..name.len().min(LONGEST - end.len())], end.as_bytes()].concat()
}

/// Puts a copy of what the vault has of a file's content beside it: with the file's own owner and mode,
/// in one step. Where an earlier recovery that was cut off has done so, that one will do.
fn copy_beside(place: &Place, content: &Slot, sites: &Sites) -> Result<Option<Bytes>, CommitError> {
    let (Some(kept), Some(own)) = (at_slot(sites, content)?, at_place(sites, place)?) else { return Ok(None) };
    let from = sys::open_file(kept.dir(), &kept.name).map_err(kept.step("read"))?;
    let Some(like) = look(&own)? else { return Ok(None) };
    let stage = Slot { path: Bytes::new(format!("keep/beside-{}", like.ino)), vol: content.vol };
    let Some(stage) = at_slot(sites, &stage)? else { return Ok(None) };
    for n in 1..=BESIDES {
        let (beside, to) = beside(place, n, sites)?;
        if let Some(there) = look(&to)? {
            let same = there.is_file() && {
                let other = sys::open_file(to.dir(), &to.name).map_err(to.step("read"))?;
                sys::compare(other.as_fd(), from.as_fd()).map_err(to.step("read"))?
            };
            if same {
                return Ok(Some(super::shown(sites, &beside)));
            }
            continue;
        }
        match sys::remove_file(stage.dir(), &stage.name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(stage.step("remove")(e)),
            _ => {}
        }
        rights::names(sites, &beside, &to, None)?;
        fault::point("apply.beside").map_err(to.step("put a copy beside"))?;
        let copy = sys::create_file(stage.dir(), &stage.name).map_err(stage.step("make a copy in"))?;
        sys::clone_or_copy(from.as_fd(), copy.as_fd()).map_err(stage.step("make a copy in"))?;
        sys::sync_file(copy.as_fd()).map_err(stage.step("sync"))?;
        let pin = Pin::new(stage.dir(), &stage.name).map_err(stage.step("look at"))?;
        if (pin.stat.uid, pin.stat.gid) != (like.uid, like.gid) {
            pin.set_owner(like.uid, like.gid).map_err(stage.step("set the owner of"))?;
        }
        pin.set_mode(like.mode & 0o777).map_err(stage.step("set the mode of"))?;
        move_free(&stage, &to, pin.stat.ino)?;
        return Ok(Some(super::shown(sites, &beside)));
    }
    Err(own.conflict("every name beside it is taken"))
}

/// Steps in the order of a direction. A file's metadata comes after its content in either direction,
/// since writing changes times and drops set-id bits and capabilities; a directory's times always
/// come last, since every rename in it changes them again.
pub(super) fn in_order(plan: &Plan, direction: Direction) -> Vec<&Op> {
    let (last, mut steps): (Vec<&Op>, Vec<&Op>) = plan.ops.iter().partition(|op| matches!(op, Op::Times { .. }));
    if direction == Direction::Backward {
        steps.reverse();
        for at in 1..steps.len() {
            if let (Op::Meta { ino: a, .. }, Op::Write { ino: b, .. }) = (steps[at - 1], steps[at])
                && a == b
            {
                steps.swap(at - 1, at);
            }
        }
    }
    steps.extend(last);
    steps
}

/// One step. Gives how it has left the file that it wrote into or dressed.
fn step(
    op: &Op,
    direction: Direction,
    sites: &Sites,
    skip_times: &dyn Fn(u64) -> bool,
) -> Result<Option<Seen>, CommitError> {
    use Direction::{Backward, Forward};
    match (op, direction) {
        (Op::Write { at, ino, new, .. }, Forward) => return write(at, *ino, new, sites),
        (Op::Write { at, ino, old, .. }, Backward) => return write(at, *ino, old, sites),
        (Op::Meta { after, at, before, ino }, Forward) => return meta(at, *ino, before, after, sites),
        (Op::Meta { after, at, before, ino }, Backward) => return meta(at, *ino, after, before, sites),
        (Op::Move { from, ino, to }, Forward) => rename(from, to, *ino, sites),
        (Op::Move { from, ino, to }, Backward) => rename(to, from, *ino, sites),
        (Op::Swap { at, new, old, slot }, Forward) => swap(at, slot, *new, *old, sites),
        (Op::Swap { at, new, old, slot }, Backward) => swap(at, slot, *old, *new, sites),
        (Op::Link { at, ino, of }, Forward) => link(at, of, *ino, sites),
        (Op::Link { at, ino, .. }, Backward) => unlink(at, *ino, sites),
        (Op::Times { ino, .. }, _) if skip_times(*ino) => Ok(()),
        (Op::Times { after, at, ino, .. }, Forward) => times(at.as_ref(), *ino, *after, sites),
        (Op::Times { before, ino, was, .. }, Backward) => times(was.as_ref(), *ino, *before, sites),
    }
    .map(|()| None)
}

fn spot(sites: &Sites, spot: &Spot) -> Result<Option<At>, CommitError> {
    match spot {
        Spot::Place(p) => at_place(sites, p),
        Spot::Slot(s) => at_slot(sites, s),
    }
}

fn vol(spot: &Spot) -> usize {
    usize::from(match spot {
        Spot::Place(p) => p.vol,
        Spot::Slot(s) => s.vol,
    })
}

pub(super) fn look(at: &At) -> Result<Option<Stat>, CommitError> {
    sys::stat_at(at.dir(), &at.name).map_err(at.step("look at"))
}

fn rename(from_spot: &Spot, to_spot: &Spot, ino: u64, sites: &Sites) -> Result<(), CommitError> {
    if sites[vol(from_spot)].volume().is_none() {
        return Ok(());
    }
    let target = spot(sites, to_spot)?;
    if let Some(to) = &target
        && let Some(there) = look(to)?
    {
        if there.ino == ino {
            return Ok(());
        }
        return Err(to.conflict("something else is there now"));
    }
    let source = spot(sites, from_spot)?;
    let (Some(from), Some(to)) = (source, target) else { return Err(missing(from_spot, sites)) };
    let was = match look(&from)? {
        Some(there) if there.ino == ino => there,
        Some(_) => return Err(from.conflict("something else is there now")),
        None => return Err(from.conflict("it is gone")),
    };
    if let Spot::Place(place) = from_spot {
        rights::names(sites, place, &from, Some(&was))?;
        if changes_parent(from_spot, to_spot) {
            rights::moves(sites, place, &from, &pin(&from, ino)?)?;
        }
    }
    if let Spot::Place(place) = to_spot {
        // Whose it is matters where a name is taken away.
        rights::names(sites, place, &to, None)?;
    }
    fault::point("apply.move").map_err(to.step("move to"))?;
    move_free(&from, &to, ino)?;
    // Between look and move somebody may have put another object there: then it goes back.
    if look(&to)?.is_some_and(|s| s.ino == ino) {
        return keep_times(&to, &was);
    }
    sys::move_free(to.dir(), &to.name, from.dir(), &from.name).map_err(from.step("put back"))?;
    Err(from.conflict("somebody replaced it at this very moment"))
}

fn changes_parent(from: &Spot, to: &Spot) -> bool {
    match (from, to) {
        (Spot::Place(a), Spot::Place(b)) => (a.vol, a.path.parent()) != (b.vol, b.path.parent()),
        _ => true,
    }
}

/// A directory that gets another parent is written (its `..`), and xfs shows that in its times.
fn keep_times(at: &At, was: &Stat) -> Result<(), CommitError> {
    if !was.is_dir() || look(at)?.is_none_or(|now| now.mtime == was.mtime) {
        return Ok(());
    }
    let pin = pin(at, was.ino)?;
    pin.set_times(was.atime, was.mtime).map_err(at.step("set the times of"))
}

fn missing(from: &Spot, sites: &Sites) -> CommitError {
    let path = match from {
        Spot::Place(p) => super::shown(sites, p),
        Spot::Slot(s) => sites[usize::from(s.vol)].root.join(s.path.as_slice()),
    };
    CommitError::Conflict {
        conflict: backstop_core::effect::Conflict { path, why: "its directory is gone".to_owned() },
    }
}

/// Renames; a directory that denies its own user writing is opened up meanwhile, because a directory
/// that gets another parent is itself written (its `..`).
fn move_free(from: &At, to: &At, ino: u64) -> Result<(), CommitError> {
    let denied = match sys::move_free(from.dir(), &from.name, to.dir(), &to.name) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => e,
        Err(e) => return Err(to.step("move to")(e)),
    };
    let pin = Pin::new(from.dir(), &from.name).map_err(from.step("look at"))?;
    if pin.stat.ino != ino || !pin.stat.is_dir() {
        return Err(to.step("move to")(denied));
    }
    pin.set_mode(pin.stat.mode | 0o700).map_err(from.step("open up"))?;
    let moved = sys::move_free(from.dir(), &from.name, to.dir(), &to.name);
    pin.set_mode(pin.stat.mode).map_err(from.step("close again"))?;
    moved.map_err(to.step("move to"))
}

fn swap(at: &Place, slot: &Slot, comes: u64, goes: u64, sites: &Sites) -> Result<(), CommitError> {
    if sites[usize::from(at.vol)].volume().is_none() {
        return Ok(());
    }
    let (Some(place), Some(kept)) = (at_place(sites, at)?, at_slot(sites, slot)?) else {
        return Err(missing(&Spot::Place(at.clone()), sites));
    };
    let (here, there) = (look(&place)?, look(&kept)?);
    match (here.map(|s| s.ino), there.map(|s| s.ino)) {
        (Some(here), _) if here == comes => return Ok(()),
        (Some(here), Some(there)) if here == goes && there == comes => {}
        (None, _) => return Err(place.conflict("it is gone")),
        (Some(here), None) if here == goes => return Err(kept.conflict("what was kept is gone")),
        (Some(_), _) => return Err(place.conflict("something else is there now")),
    }
    rights::names(sites, at, &place, here.as_ref())?;
    fault::point("apply.swap").map_err(place.step("replace"))?;
    exchange(&place, &kept)?;
    if look(&kept)?.is_some_and(|s| s.ino == goes) {
        for (at, was) in [(&kept, here), (&place, there)] {
            was.map_or(Ok(()), |was| keep_times(at, &was))?;
        }
        return Ok(());
    }
    sys::exchange(place.dir(), &place.name, kept.dir(), &kept.name).map_err(place.step("put back"))?;
    Err(place.conflict("somebody replaced it at this very moment"))
}

fn exchange(a: &At, b: &At) -> Result<(), CommitError> {
    let denied = match sys::exchange(a.dir(), &a.name, b.dir(), &b.name) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => e,
        Err(e) => return Err(a.step("replace")(e)),
    };
    // As in `move_free`: directories that deny their own user writing.
    let mut pins = Vec::new();
    for end in [a, b] {
        let pin = Pin::new(end.dir(), &end.name).map_err(end.step("look at"))?;
        if pin.stat.is_dir() && pin.stat.mode & 0o200 == 0 {
            pin.set_mode(pin.stat.mode | 0o700).map_err(end.step("open up"))?;
            pins.push(pin);
        }
    }
    if pins.is_empty() {
        return Err(a.step("replace")(denied));
    }
    let swapped = sys::exchange(a.dir(), &a.name, b.dir(), &b.name);
    for pin in pins {
        pin.set_mode(pin.stat.mode).map_err(a.step("close again"))?;
    }
    swapped.map_err(a.step("replace"))
}

fn write(at: &Place, ino: u64, content: &Slot, sites: &Sites) -> Result<Option<Seen>, CommitError> {
    if sites[usize::from(at.vol)].volume().is_none() {
        return Ok(None);
    }
    let (Some(place), Some(slot)) = (at_place(sites, at)?, at_slot(sites, content)?) else {
        return Err(missing(&Spot::Place(at.clone()), sites));
    };
    let pin = pin(&place, ino)?;
    rights::writes(sites, at, &place, &pin)?;
    let from = sys::open_file(slot.dir(), &slot.name).map_err(slot.step("read"))?;
    let to = match sys::open_rw(place.dir(), &place.name) {
        // The command made it writable, wrote, and made it read-only again: so do we.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            pin.set_mode(pin.stat.mode | 0o600).map_err(place.step("open up"))?;
            let opened = sys::open_rw(place.dir(), &place.name);
            pin.set_mode(pin.stat.mode).map_err(place.step("close again"))?;
            opened
        }
        other => other,
    };
    let to = match to {
        // Nothing was done, and nothing is half done: whoever uses it decides when it can be.
        Err(e) if sys::is_in_use(&e) => return Err(place.withheld("it is being executed, or held by a lease")),
        other => other.map_err(place.step("open for writing"))?,
    };
    if sys::stat_fd(to.as_fd()).map_err(place.step("look at"))?.ino != ino {
        return Err(place.conflict("somebody replaced it at this very moment"));
    }
    fault::point("apply.write").map_err(place.step("write"))?;
    sys::overwrite(from.as_fd(), to.as_fd()).map_err(place.step("write"))?;
    // The bytes must be there before the journal says so: a power cut would leave half of them.
    fault::point("apply.write-sync").map_err(place.step("sync"))?;
    sys::sync_file(to.as_fd()).map_err(place.step("sync"))?;
    Ok(Some(Seen::from(&sys::stat_fd(to.as_fd()).map_err(place.step("look at"))?)))
}

fn pin(at: &At, ino: u64) -> Result<Pin, CommitError> {
    let pin = match Pin::new(at.dir(), &at.name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(at.conflict("it is gone")),
        other => other.map_err(at.step("look at"))?,
    };
    if pin.stat.ino == ino { Ok(pin) } else { Err(at.conflict("something else is there now")) }
}

fn meta(at: &Place, ino: u64, from: &Meta, to: &Meta, sites: &Sites) -> Result<Option<Seen>, CommitError> {
    if sites[usize::from(at.vol)].volume().is_none() {
        return Ok(None);
    }
    let Some(place) = at_place(sites, at)? else { return Err(missing(&Spot::Place(at.clone()), sites)) };
    let pin = pin(&place, ino)?;
    rights::writes(sites, at, &place, &pin)?;
    fault::point("apply.meta").map_err(place.step("set the metadata of"))?;
    set_meta(&pin, from, to).map_err(place.step("set the metadata of"))?;
    // A directory's times follow our own steps.
    Ok(look(&place)?.filter(|now| now.ino == ino && !now.is_dir()).map(|now| Seen::from(&now)))
}

/// Owner first (it clears set-id bits and file capabilities), then attributes (an ACL sets mode
/// bits), then the mode, then times (everything else changes them).
fn set_meta(pin: &Pin, from: &Meta, to: &Meta) -> io::Result<()> {
    if (from.uid, from.gid) != (to.uid, to.gid) {
        pin.set_owner(to.uid, to.gid)?;
    }
    for (name, value) in &to.xattrs {
        pin.set_xattr(name.as_slice(), value.as_ref().map(|v| v.as_slice()))?;
    }
    pin.set_mode(to.mode)?;
    if !pin.stat.is_dir() {
        pin.set_times(Time::from(to.atime), Time::from(to.mtime))?;
    }
    Ok(())
}

fn link(at: &Place, of: &Place, ino: u64, sites: &Sites) -> Result<(), CommitError> {
    if sites[usize::from(at.vol)].volume().is_none() {
        return Ok(());
    }
    let (Some(new), Some(old)) = (at_place(sites, at)?, at_place(sites, of)?) else {
        return Err(missing(&Spot::Place(at.clone()), sites));
    };
    match look(&new)? {
        Some(there) if there.ino == ino => return Ok(()),
        Some(_) => return Err(new.conflict("something else is there now")),
        None => {}
    }
    if look(&old)?.is_none_or(|s| s.ino != ino) {
        return Err(old.conflict("something else is there now"));
    }
    rights::names(sites, at, &new, None)?;
    fault::point("apply.link").map_err(new.step("link"))?;
    sys::hard_link(old.dir(), &old.name, new.dir(), &new.name).map_err(new.step("link"))?;
    if look(&new)?.is_some_and(|s| s.ino == ino) {
        return Ok(());
    }
    sys::remove_file(new.dir(), &new.name).map_err(new.step("remove"))?;
    Err(old.conflict("somebody replaced it at this very moment"))
}

fn unlink(at: &Place, ino: u64, sites: &Sites) -> Result<(), CommitError> {
    if sites[usize::from(at.vol)].volume().is_none() {
        return Ok(());
    }
    let Some(place) = at_place(sites, at)? else { return Ok(()) };
    match look(&place)? {
        None => Ok(()),
        // The last name is never removed: that would be the object itself.
        Some(there) if there.ino == ino && there.nlink > 1 => {
            rights::names(sites, at, &place, Some(&there))?;
            fault::point("apply.unlink").map_err(place.step("remove"))?;
            sys::remove_file(place.dir(), &place.name).map_err(place.step("remove"))
        }
        Some(there) if there.ino == ino => Err(place.conflict("it is the last name of the file")),
        Some(_) => Err(place.conflict("something else is there now")),
    }
}

fn times(
    at: Option<&Place>,
    ino: u64,
    (atime, mtime): (backstop_core::time::Timestamp, backstop_core::time::Timestamp),
    sites: &Sites,
) -> Result<(), CommitError> {
    let Some(at) = at else { return Ok(()) };
    let Some(place) = at_place(sites, at)? else { return Ok(()) };
    // Times are no one's loss: a directory that is gone or another one is left alone.
    let Ok(pin) = Pin::new(place.dir(), &place.name) else { return Ok(()) };
    if pin.stat.ino != ino {
        return Ok(());
    }
    if rights::writes(sites, at, &place, &pin).is_err() {
        return Ok(());
    }
    fault::point("apply.times").map_err(place.step("set the times of"))?;
    match pin.set_times(Time::from(atime), Time::from(mtime)) {
        // Another's directory that one may write into (/tmp): its times follow our renames, as they
        // would follow the command's.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map_err(place.step("set the times of")),
    }
}
