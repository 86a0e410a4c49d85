//! What can be looked at: effects, what lies beneath, content before and after.

use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, EffectSet, FileType};
use backstop_core::facts::{Findings, VERSION};
use backstop_core::id::RunId;
use backstop_core::plan::{Op, Place, Plan, Spot};
use backstop_core::run::State;
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use serde_json::Value;

use super::{Beneath, Engine, Side};
use crate::commit::{Site, shown};
use crate::failure::{Failure, FailureKind};
use crate::law::Reader;

/// Where an object can be read now.
enum Where<'a> {
    /// In the real tree.
    Place(Place),
    /// In the vault.
    Slot(&'a backstop_core::plan::Slot, Bytes),
}

/// What was kept of what a run's effects mean.
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// Facts of another version.
    Other(i64),
    /// These.
    These(Box<Findings>),
}

impl Engine {
    /// What a run would change, or changed.
    pub fn effects(&self, id: RunId) -> Result<EffectSet, Failure> {
        self.record(id)?;
        self.read_effects(id)
    }

    /// What the effects of a run mean, as they were judged; none for a run that changed nothing, or whose
    /// facts are not those of this version.
    pub fn findings(&self, id: RunId) -> Result<Option<Findings>, Failure> {
        match self.kept(id)? {
            Kept::These(findings) => Ok(Some(*findings)),
            Kept::Nothing | Kept::Other(_) => Ok(None),
        }
    }

    /// What was kept of a run's meaning. Facts of another version are not read as if they were ours: the
    /// rules of today would take what they don't find there, or find by another meaning, for harmless.
    pub(super) fn kept(&self, id: RunId) -> Result<Kept, Failure> {
        let version = |v: &Value| v.pointer("/facts/version").and_then(Value::as_i64);
        match self.store.read_json::<Value>(id, super::FINDINGS)?.as_ref().and_then(version) {
            Some(other) if other != VERSION => Ok(Kept::Other(other)),
            _ => Ok(self.store.read_json(id, super::FINDINGS)?.map_or(Kept::Nothing, |f| Kept::These(Box::new(f)))),
        }
    }

    /// With whose rights the machine's own files are read for whoever asks.
    fn reader(&self) -> Reader {
        self.sees_his_own().map_or(Reader::Own, Reader::of)
    }

    /// What a run does at a path, or to what was there.
    fn seen_effect(&self, id: RunId, path: &Bytes) -> Result<Option<Effect>, Failure> {
        let is_it = |e: &Effect| e.path == *path || e.from.as_ref() == Some(path);
        Ok(self.effects(id)?.effects.into_iter().find(is_it))
    }

    /// Calls `each` for everything beneath the directory `path` that run `id` deletes or replaces;
    /// in path order; `each` returns false to stop.
    pub fn beneath(&self, id: RunId, path: &Bytes, each: &mut dyn FnMut(Beneath) -> bool) -> Result<(), Failure> {
        let record = self.record(id)?;
        let this = if self.settings.viewer.is_some() {
            let effect = self.seen_effect(id, path)?.filter(|e| e.beneath.is_some());
            let none = || Failure::usage(format!("{id} takes no directory {} away", path.quoted()));
            Some(effect.and_then(|e| e.before).map(|n| (n.dev, n.ino)).ok_or_else(none)?)
        } else {
            None
        };
        let reader = self.reader();
        if !self.has_plan(id)? {
            return reader
                .read(|| walk_path(path, this, each))
                .map_err(|e| Failure::because("cannot look there", &e))?;
        }
        let plan = self.load_plan(id)?;
        let sites = self.sites(id, &plan)?;
        let gone = matches!(record.state, State::Committed);
        match locate(&plan, &sites, path, gone, Side::Before) {
            Some(Where::Slot(slot, rest)) => {
                let Some(volume) = sites[usize::from(slot.vol)].volume() else { return Ok(()) };
                let run = volume.run_dir(id, false).map_err(|e| Failure::because("cannot open the vault", &e))?;
                walk(run.as_fd(), &slot.path.join(rest.as_slice()), path, each)
            }
            _ => reader.read(|| walk_path(path, this, each)).map_err(|e| Failure::because("cannot look there", &e))?,
        }
    }

    /// The first `limit` bytes of a file that run `id` changes, before or after; none where there is
    /// no such side, or it was let go.
    pub fn content(&self, id: RunId, path: &Bytes, side: Side, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let record = self.record(id)?;
        let mut these = None;
        if self.settings.viewer.is_some() {
            let Some(Effect { before, after, .. }) = self.seen_effect(id, path)? else { return Ok(None) };
            these = Some([before.as_ref(), after.as_ref()].map(|n| n.map(|n| n.ino)));
            let node = if side == Side::Before { before } else { after };
            if !node.is_some_and(|n| self.sees_his_own().is_none_or(|his| his.reads(&n))) {
                return Ok(None);
            }
        }
        if !self.has_plan(id)? {
            return Ok(None);
        }
        let plan = self.load_plan(id)?;
        let sites = self.sites(id, &plan)?;
        let committed = record.state == State::Committed;
        let failed = |e: std::io::Error| Failure::because(format!("cannot read {}", path.quoted()), &e);
        let file = match locate(&plan, &sites, path, committed, side) {
            Some(Where::Slot(slot, rest)) => {
                let Some(volume) = sites[usize::from(slot.vol)].volume() else { return Ok(None) };
                let Ok(run) = volume.run_dir(id, false) else { return Ok(None) };
                let full = slot.path.join(rest.as_slice());
                open(run.as_fd(), full.as_slice())
            }
            Some(Where::Place(place)) => {
                let Some(volume) = sites[usize::from(place.vol)].volume() else { return Ok(None) };
                // What is there now may be another's: with the eyes of whoever asks.
                let opened = self.reader().read(|| open(volume.root(), place.path.as_slice()));
                opened.and_then(|opened| opened).and_then(|file| match (file, these) {
                    (Some(file), Some(these)) => {
                        let ino = sys::stat_fd(file.as_fd())?.ino;
                        Ok(these.contains(&Some(ino)).then_some(file))
                    }
                    (file, _) => Ok(file),
                })
            }
            None => return Ok(None),
        };
        let Some(file) = file.map_err(failed)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }
}

fn open(root: std::os::fd::BorrowedFd<'_>, path: &[u8]) -> std::io::Result<Option<std::fs::File>> {
    let parent = match sys::open_parent(root, path) {
        // Something else may stand in the way since: then this side can't be shown.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) || sys::leads_elsewhere(&e) => {
            return Ok(None);
        }
        other => other?,
    };
    let name = sys::split(path).1;
    match sys::stat_at(parent.as_fd(), name)? {
        Some(stat) if stat.is_file() => Ok(Some(sys::open_file(parent.as_fd(), name)?.into())),
        _ => Ok(None),
    }
}

/// Where the object that was (or will be) at `path` can be read now.
fn locate<'a>(plan: &'a Plan, sites: &[Site], path: &Bytes, committed: bool, side: Side) -> Option<Where<'a>> {
    let rest_below = |top: &Bytes| -> Option<Bytes> {
        path.is_beneath(top.as_slice()).then(|| {
            let rest = &path.as_slice()[top.as_slice().len()..];
            Bytes::from(rest.strip_prefix(b"/").unwrap_or(rest))
        })
    };
    for op in &plan.ops {
        match op {
            // The last matching step wins for what comes in; the first for what goes.
            Op::Move { from: Spot::Place(p), to: Spot::Slot(s), .. } if side == Side::Before => {
                let Some(rest) = rest_below(&shown(sites, p)) else { continue };
                return Some(if committed { Where::Slot(s, rest) } else { Where::Place(below(p, &rest)) });
            }
            Op::Move { from: Spot::Slot(s), to: Spot::Place(p), .. } if side == Side::After => {
                let Some(rest) = rest_below(&shown(sites, p)) else { continue };
                return Some(if committed { Where::Place(below(p, &rest)) } else { Where::Slot(s, rest) });
            }
            Op::Swap { at, slot, .. } => {
                let Some(rest) = rest_below(&shown(sites, at)) else { continue };
                let in_place = committed == (side == Side::After);
                return Some(if in_place { Where::Place(below(at, &rest)) } else { Where::Slot(slot, rest) });
            }
            Op::Write { at, new, old, .. } if &shown(sites, at) == path => {
                return Some(match (side, committed) {
                    (Side::Before, true) => Where::Slot(old, Bytes::default()),
                    (Side::After, false) => Where::Slot(new, Bytes::default()),
                    (Side::Before, false) | (Side::After, true) => Where::Place(at.clone()),
                });
            }
            _ => {}
        }
    }
    None
}

fn below(place: &Place, rest: &Bytes) -> Place {
    let path = if rest.is_empty() { place.path.clone() } else { place.path.join(rest.as_slice()) };
    Place { path, vol: place.vol }
}

/// With `this`, the directory has to be that one, by device and inode.
fn walk_path(path: &Bytes, this: Option<(u64, u64)>, each: &mut dyn FnMut(Beneath) -> bool) -> Result<(), Failure> {
    let root =
        sys::open_root(path.as_path()).map_err(|e| Failure::because(format!("cannot list {}", path.quoted()), &e))?;
    if let Some(this) = this {
        let found = sys::stat_fd(root.as_fd()).map_err(|e| Failure::because("cannot look there", &e))?;
        if (found.dev, found.ino) != this {
            return Err(Failure::new(FailureKind::Conflict, format!("{}: something else is there now", path.quoted())));
        }
    }
    walk(root.as_fd(), &Bytes::default(), path, each)
}

fn walk(
    root: std::os::fd::BorrowedFd<'_>,
    dir: &Bytes,
    path: &Bytes,
    each: &mut dyn FnMut(Beneath) -> bool,
) -> Result<(), Failure> {
    // A stack of its own, and no handle kept open: a tree may be deeper than either reaches.
    let mut todo = listing(root, dir, path)?;
    while let Some((dir, entry)) = todo.pop() {
        let below = (entry.file_type == FileType::Dir).then(|| entry.path.clone());
        if !each(entry) {
            return Ok(());
        }
        if let Some(path) = below {
            todo.extend(listing(root, &dir, &path)?);
        }
    }
    Ok(())
}

/// A directory's entries, last name first, each with its path below `root`.
fn listing(root: std::os::fd::BorrowedFd<'_>, dir: &Bytes, path: &Bytes) -> Result<Vec<(Bytes, Beneath)>, Failure> {
    let failed = |e: std::io::Error| Failure::because(format!("cannot list {}", path.quoted()), &e);
    let handle = sys::open_dir_read(root, dir.as_slice()).map_err(failed)?;
    let mut entries = Vec::new();
    sys::read_dir::<std::io::Error>(handle.as_fd(), |e| {
        let Some(stat) = sys::stat_at(handle.as_fd(), e.name)? else { return Ok(()) };
        let entry = Beneath {
            path: path.join(e.name),
            file_type: FileType::from_mode(stat.mode),
            size: stat.size,
            mtime: Timestamp::from(stat.mtime),
        };
        entries.push((dir.join(e.name), entry));
        Ok(())
    })
    .map_err(failed)?;
    entries.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    Ok(entries)
}
