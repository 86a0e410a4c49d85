//! What is entrusted to a client's own tool: keeps what it is going to change, and afterwards gives the plan
//! and the receipt that a transaction of ours would have own. Undo and redo go by these as by any other.
//!
//! Kept of every file: a copy of the content, for tools that write in place, and a further name in the
//! vault, for tools that put another file in its place (then the old one, with all that belongs to it, is
//! still there to be swapped back).

use std::io;
use std::os::fd::AsFd as _;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Conflict, FileType};
use backstop_core::plan::{Direction, Meta, Op, Place, Plan, Slot, Spot, Volume};
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use serde::{Deserialize, Serialize};

use super::{At, CommitError, Receipt, Sites, Touched, at_place, at_slot, meta_of, moments, rights, touched};

/// What is on the disk between a tool's consent and its end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entrusted {
    /// Directories that the tool's files lie in.
    dirs: Vec<Dir>,
    files: Vec<File>,
    /// The file systems that take part.
    pub volumes: Vec<Volume>,
}

/// A directory before names in it came or went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dir {
    at: Place,
    ctime: Timestamp,
    ino: u64,
    /// Access and modification time.
    times: (Timestamp, Timestamp),
}

/// A place that a tool would change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    at: Place,
    /// None where nothing was there.
    before: Option<Before>,
}

/// A file before a tool changed it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    copy: Slot,
    /// Its change time before it got a further name in the vault.
    ctime: Timestamp,
    ino: u64,
    link: Slot,
    meta: Meta,
    size: u64,
}

/// Keeps a copy and a further name of every file that the plan touches.
pub(crate) fn keep(plan: &Plan, sites: &Sites) -> Result<Entrusted, CommitError> {
    let mut own = Entrusted { dirs: Vec::new(), files: Vec::new(), volumes: plan.volumes.clone() };
    for site in sites {
        site.make_keep()?;
    }
    for op in &plan.ops {
        // Directories' times are looked at by themselves.
        if matches!(op, Op::Times { .. }) {
            continue;
        }
        for place in op.places() {
            if own.files.iter().any(|f| f.at == *place) {
                continue;
            }
            let n = own.files.len();
            let (before, parent) = before(n, place, sites)?;
            own.files.push(File { at: place.clone(), before });
            own.dirs.extend(parent.filter(|dir| !own.dirs.iter().any(|known| known.at == dir.at)));
        }
    }
    Ok(own)
}

fn before(n: usize, place: &Place, sites: &Sites) -> Result<(Option<Before>, Option<Dir>), CommitError> {
    let Some(at) = at_place(sites, place)? else { return Ok((None, None)) };
    let dir = sys::stat_fd(at.dir()).map_err(at.step("look at the directory of"))?;
    let dir = Dir {
        at: Place { path: place.path.parent(), vol: place.vol },
        ctime: dir.ctime.into(),
        ino: dir.ino,
        times: (dir.atime.into(), dir.mtime.into()),
    };
    let Some(stat) = sys::stat_at(at.dir(), at.name()).map_err(at.step("look at"))? else {
        return Ok((None, Some(dir)));
    };
    if FileType::from_mode(stat.mode) != FileType::File {
        return Err(at.conflict("it is no file, so a shell command has to change it"));
    }
    let slot = |kind: char| Slot { path: Bytes::new(format!("keep/{kind}{n}")), vol: place.vol };
    let ctime = stat.ctime.into();
    let before =
        Before { copy: slot('c'), ctime, ino: stat.ino, link: slot('l'), meta: meta_of(&stat), size: stat.size };
    copy(sites, place, before.ino, &before.copy)?;
    let to = in_vault(sites, &before.link)?;
    sys::hard_link(at.dir(), at.name(), to.dir(), to.name()).map_err(to.step("keep a name in"))?;
    // By then something else may have had the name.
    if sys::stat_at(to.dir(), to.name()).map_err(to.step("look at"))?.is_none_or(|kept| kept.ino != stat.ino) {
        remove(sites, &before.link)?;
        return Err(at.conflict("somebody replaced it at this very moment"));
    }
    Ok((Some(before), Some(dir)))
}

/// Copies the content at a place into the vault, durably.
fn copy(sites: &Sites, place: &Place, ino: u64, slot: &Slot) -> Result<(), CommitError> {
    let (from, to) = (there(sites, place)?, in_vault(sites, slot)?);
    remove(sites, slot)?;
    // By his rights: what has the name now may be another's.
    let source = rights::with(sites, place.vol, || sys::open_file(from.dir(), from.name()));
    let source = source.map_err(from.step("read"))?;
    if sys::stat_fd(source.as_fd()).map_err(from.step("look at"))?.ino != ino {
        return Err(from.conflict("something else is there now"));
    }
    let copy = sys::create_file(to.dir(), to.name()).map_err(to.step("keep a copy in"))?;
    sys::clone_or_copy(source.as_fd(), copy.as_fd()).map_err(to.step("keep a copy in"))?;
    sys::sync_file(copy.as_fd()).map_err(to.step("sync"))
}

/// A place whose directory has to be there.
fn there(sites: &Sites, place: &Place) -> Result<At, CommitError> {
    at_place(sites, place)?.ok_or_else(|| gone(super::shown(sites, place)))
}

/// A slot whose directory has to be there: without it nothing is kept.
fn in_vault(sites: &Sites, slot: &Slot) -> Result<At, CommitError> {
    at_slot(sites, slot)?.ok_or_else(|| gone(slot.path.clone()))
}

fn gone(path: Bytes) -> CommitError {
    CommitError::Conflict { conflict: Conflict { path, why: "its directory is gone".to_owned() } }
}

fn remove(sites: &Sites, slot: &Slot) -> Result<(), CommitError> {
    let Some(at) = at_slot(sites, slot)? else { return Ok(()) };
    match sys::remove_file(at.dir(), at.name()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at.step("remove")(e)),
        _ => Ok(()),
    }
}

/// What was done to the entrusted files, as the steps of a plan; none where nothing has changed. The
/// further names of files that are still in their places go.
pub(crate) fn found(own: &Entrusted, sites: &Sites) -> Result<Option<Plan>, CommitError> {
    let mut ops = Vec::new();
    for (n, file) in own.files.iter().enumerate() {
        steps(n, file, sites, &mut ops)?;
    }
    if ops.is_empty() {
        return Ok(None);
    }
    alone(own, &ops, sites)?;
    times(own, sites, &mut ops)?;
    Ok(Some(Plan { keeps: Vec::new(), ops, volumes: own.volumes.clone() }))
}

/// The steps that lead from what was at a place to what is there now, as if they had been ours.
fn steps(n: usize, file: &File, sites: &Sites, ops: &mut Vec<Op>) -> Result<(), CommitError> {
    let at = file.at.clone();
    let now = match at_place(sites, &at)? {
        Some(here) => match sys::stat_at(here.dir(), here.name()).map_err(here.step("look at"))? {
            // Where nothing was, a tool may have made a directory for its file; in the place of a file it makes none.
            Some(now) if file.before.is_some() && !now.is_file() => return Err(here.conflict("it is no file any more")),
            now => now,
        },
        None => None,
    };
    let slot = |kind: char| Slot { path: Bytes::new(format!("keep/{kind}{n}")), vol: at.vol };
    match (&file.before, now) {
        (None, None) => {}
        (None, Some(now)) => ops.push(Op::Move { from: Spot::Slot(slot('n')), ino: now.ino, to: Spot::Place(at) }),
        (Some(before), None) => {
            whole(before, sites)?;
            ops.push(Op::Move { from: Spot::Place(at), ino: before.ino, to: Spot::Slot(before.link.clone()) });
        }
        (Some(before), Some(now)) if now.ino == before.ino => {
            let after = meta_of(&now);
            if now.size != before.size || after.mtime != before.meta.mtime || !same(before, &at, sites)? {
                let new = slot('w');
                copy(sites, &at, now.ino, &new)?;
                ops.push(Op::Write { at: at.clone(), ino: now.ino, new, old: before.copy.clone() });
            } else if (after.mode, after.uid, after.gid) == (before.meta.mode, before.meta.uid, before.meta.gid) {
                return Ok(());
            }
            ops.push(Op::Meta { after, at, before: before.meta.clone(), ino: now.ino });
        }
        (Some(before), Some(now)) => {
            whole(before, sites)?;
            ops.push(Op::Swap { at, new: now.ino, old: before.ino, slot: before.link.clone() });
        }
    }
    Ok(())
}

/// True when what is at the place is what was kept.
fn same(before: &Before, at: &Place, sites: &Sites) -> Result<bool, CommitError> {
    let (here, kept) = (there(sites, at)?, in_vault(sites, &before.copy)?);
    let a = sys::open_file(here.dir(), here.name()).map_err(here.step("read"))?;
    let b = sys::open_file(kept.dir(), kept.name()).map_err(kept.step("read"))?;
    sys::compare(a.as_fd(), b.as_fd()).map_err(here.step("read"))
}

/// A tool that wrote into the old file before it put another in its place: the old one is as it was.
fn whole(before: &Before, sites: &Sites) -> Result<(), CommitError> {
    let (old, kept) = (in_vault(sites, &before.link)?, in_vault(sites, &before.copy)?);
    let Some(stat) = sys::stat_at(old.dir(), old.name()).map_err(old.step("look at"))? else { return Ok(()) };
    if stat.ino != before.ino {
        return Err(old.conflict("the vault no longer has what belongs here"));
    }
    if (stat.size, Timestamp::from(stat.mtime)) == (before.size, before.meta.mtime) {
        return Ok(());
    }
    let from = sys::open_file(kept.dir(), kept.name()).map_err(kept.step("read"))?;
    let to = sys::open_rw(old.dir(), old.name()).map_err(old.step("open for writing"))?;
    sys::overwrite(from.as_fd(), to.as_fd()).map_err(old.step("write"))?;
    sys::set_times(old.dir(), old.name(), before.meta.atime.into(), before.meta.mtime.into())
        .map_err(old.step("set the times of"))
}

/// Gives up the further names of files that are still in their places.
fn alone(own: &Entrusted, ops: &[Op], sites: &Sites) -> Result<(), CommitError> {
    let taken = |slot: &Slot| {
        ops.iter().any(|op| match op {
            Op::Swap { slot: s, .. } | Op::Move { to: Spot::Slot(s), .. } => s == slot,
            _ => false,
        })
    };
    let links = own.files.iter().filter_map(|f| f.before.as_ref()).map(|b| &b.link);
    links.filter(|link| !taken(link)).try_for_each(|link| remove(sites, link))
}

/// The times of the directories in which names came or went.
fn times(own: &Entrusted, sites: &Sites, ops: &mut Vec<Op>) -> Result<(), CommitError> {
    for dir in &own.dirs {
        let now = match at_place(sites, &Place { path: dir.at.path.join(b"."), vol: dir.at.vol })? {
            Some(here) => sys::stat_fd(here.dir()).map_err(here.step("look at"))?,
            None => continue,
        };
        let after = (now.atime.into(), now.mtime.into());
        if now.ino == dir.ino && after != dir.times {
            let at = Some(dir.at.clone());
            ops.push(Op::Times { after, at: at.clone(), before: dir.times, ino: dir.ino, was: at });
        }
    }
    Ok(())
}

/// As a transaction of ours would have left it: undo tells by it what is still as the tool left it.
pub(crate) fn receipt(plan: &Plan, own: &Entrusted, sites: &Sites) -> Result<Receipt, CommitError> {
    let was = |vol: u16, ino: u64| {
        let files = own.files.iter().filter_map(|f| f.before.as_ref().map(|b| (f.at.vol, b.ino, b.ctime)));
        let mut all = files.chain(own.dirs.iter().map(|d| (d.at.vol, d.ino, d.ctime)));
        all.find(|(v, i, _)| (*v, *i) == (vol, ino)).map(|(.., ctime)| ctime)
    };
    let seen = touched(plan, sites, Direction::Forward)?.into_iter();
    let touched =
        seen.map(|((vol, ino), s)| Touched { ino, now: s.ctime, vol, was: was(vol, ino).unwrap_or(s.ctime) }).collect();
    Ok(Receipt { direction: Direction::Forward, ends: moments(sites)?, foreign: Vec::new(), touched })
}
