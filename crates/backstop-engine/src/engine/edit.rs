//! Files that a client's own tool changes. What the tool would do is rehearsed and judged like any command;
//! where that is allowed, the tool does it itself, and what it did is looked at afterwards and becomes a
//! run like any other, so that it can be taken back in its turn.
//!
//! Kept before the tool goes on, of every file it would change: a copy of the content, for tools that write
//! in place, and a further name in the vault, for tools that put another file in its place (then the old
//! one, with all that belongs to it, is still there to be swapped back).

use std::io;
use std::os::fd::AsFd as _;

use backstop_core::audit::{Body, By};
use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, EffectSet, FileType, Kind, Node};
use backstop_core::id::RunId;
use backstop_core::plan::{Direction, Meta, Op, Place, Plan, Slot, Spot, Volume};
use backstop_core::request::Request;
use backstop_core::run::{RunRecord, State};
use backstop_core::time::Timestamp;
use backstop_sys::fs::{self as sys, Stat};
use serde::{Deserialize, Serialize};

use super::run::Rehearsed;
use super::{Engine, Outcome, Person, RunOptions};
use crate::commit::{CommitError, Receipt, Site, Sites, Touched, at_place, at_slot, touched};
use crate::failure::Failure;
use crate::ledger::{digest_of, node};
use crate::transaction::{PLAN, RECEIPTS, plan_bytes};
use crate::volume::{Leftover, OpenVolume, tidy};

/// The file that says what was kept before the tool went on.
const LEFT: &str = "left.json";

/// What is on the disk between a tool's consent and its end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Left {
    /// Directories that the tool's files lie in.
    dirs: Vec<Dir>,
    files: Vec<LeftFile>,
    volumes: Vec<Volume>,
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
struct LeftFile {
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

/// What settling does where nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// Goes on waiting: the tool may still be about to begin.
    Wait,
    /// Gives the run up: the tool has ended.
    GiveUp,
}

impl Engine {
    /// Rehearses and judges what a tool would do. Where the run is [`State::Allowed`] then, the tool may do
    /// it, and [`Self::settle_edit`] has to be called when it has.
    pub fn rehearse_edit(&mut self, request: Request, person: &mut dyn Person) -> Result<Outcome, Failure> {
        self.run(request, &RunOptions { leave: true, stdout_to_stderr: true, ..RunOptions::default() }, person)
    }

    /// The run of a tool call that was allowed and is not known to have ended.
    pub fn allowed_edit(&self, session: Option<&Bytes>, call: &Bytes) -> Result<Option<RunId>, Failure> {
        let is_it = |r: &RunRecord| r.request.asker.as_ref().and_then(|a| a.call.as_ref()) == Some(call);
        Ok(self.left(session)?.into_iter().find(is_it).map(|r| r.id))
    }

    /// Settles all that were allowed, of one session or of all; gives what became of those that changed
    /// something. One that can't be settled stays as it is, and is told.
    pub fn settle_edits(
        &mut self,
        session: Option<&Bytes>,
        unchanged: Unchanged,
    ) -> Result<Vec<Result<RunRecord, Failure>>, Failure> {
        let mut settled = Vec::new();
        for record in self.left(session)? {
            settled.extend(self.settle_edit(record.id, unchanged).transpose());
        }
        Ok(settled)
    }

    fn left(&self, session: Option<&Bytes>) -> Result<Vec<RunRecord>, Failure> {
        let mut left = Vec::new();
        for id in self.store.left()? {
            match self.record(id) {
                Ok(r) if r.state != State::Allowed => self.store.mark_left(id, false)?,
                Ok(r) if session.is_none() || r.request.session.as_ref() == session => left.push(r),
                // One whose record is damaged can't be settled, and is no reason to leave out the others.
                _ => {}
            }
        }
        left.reverse();
        Ok(left)
    }

    /// Allowed: keeps what the tool is going to change, and leaves the rest to it.
    pub(super) fn leave(
        &mut self,
        record: &mut RunRecord,
        done: Rehearsed,
        entries: &[Body],
    ) -> Result<Outcome, Failure> {
        let id = record.id;
        // What was rehearsed is not committed: the tool writes it once more.
        for volume in &done.volumes {
            tidy(volume, id, Leftover::Upper).map_err(|e| Failure::because("cannot tidy the vault", &e))?;
        }
        let sites: Vec<Site> = done.volumes.into_iter().map(|v| Site::new(v, id)).collect::<Result<_, _>>()?;
        let left = keep(&done.plan, &sites)?;
        self.store.write_json(id, LEFT, &left, true)?;
        record.state = State::Allowed;
        self.records.write(entries)?;
        self.store.mark_left(id, true)?;
        self.save(record, true)?;
        Ok(Outcome { record: record.clone(), effects: done.effects })
    }

    /// Looks at what a tool did, and makes it a committed run; none where it did nothing.
    pub fn settle_edit(&mut self, id: RunId, unchanged: Unchanged) -> Result<Option<RunRecord>, Failure> {
        self.sound()?;
        let (_lock, mut record) = self.locked(id)?;
        if record.state != State::Allowed {
            return Ok(None);
        }
        let left: Option<Left> = self.store.read_json(id, LEFT)?;
        let left = left.ok_or_else(|| Failure::internal(format!("what was kept for {id} is not known any more")))?;
        let sites: Vec<Site> = left.volumes.iter().map(|v| Site::reopen(v, id)).collect::<Result<_, CommitError>>()?;
        let mut ops = Vec::new();
        for (n, file) in left.files.iter().enumerate() {
            found(n, file, &sites, &mut ops)?;
        }
        if ops.is_empty() {
            if unchanged == Unchanged::GiveUp {
                record.state = State::Discarded;
                self.save(&mut record, true)?;
                self.records.write(&[Body::RunDiscarded { by: By::Rule, run: id }])?;
                self.store.mark_left(id, false)?;
                record.notes.extend(self.sweep(id, Leftover::All));
            }
            return Ok(None);
        }
        alone(&left, &ops, &sites)?;
        times(&left, &sites, &mut ops)?;
        let rehearsed = self.read_effects(id)?;
        let (effects, as_rehearsed) = observed(&rehearsed, &sites)?;
        let plan = Plan { keeps: Vec::new(), ops, volumes: left.volumes.clone() };
        self.store.write(id, PLAN, &plan_bytes(&plan), true)?;
        record.digest = Some(self.write_effects(id, &effects)?);
        record.totals = Some(effects.totals());
        record.state = State::Committed;
        if !as_rehearsed {
            record.notes.push("what the tool wrote is not what it had said it would write".to_owned());
        }
        self.store.append_json(id, RECEIPTS, &receipt(&plan, &left, &sites)?)?;
        self.save(&mut record, true)?;
        let digest = record.digest.unwrap_or_else(|| effects.digest());
        self.records.write(&[Body::RunObserved { as_rehearsed, digest, run: id, totals: effects.totals() }])?;
        self.store.note_applied(id)?;
        self.store.mark_left(id, false)?;
        Ok(Some(record))
    }
}

/// Keeps a copy and a further name of every file that the plan touches.
fn keep(plan: &Plan, sites: &Sites) -> Result<Left, Failure> {
    let mut left = Left { dirs: Vec::new(), files: Vec::new(), volumes: plan.volumes.clone() };
    for site in sites {
        let step = |e| Failure::because("cannot make a place for copies", &e);
        site.make_keep().map_err(step)?;
    }
    for op in &plan.ops {
        // Directories' times are looked at by themselves.
        if matches!(op, Op::Times { .. }) {
            continue;
        }
        for place in op.places() {
            if left.files.iter().any(|f| f.at == *place) {
                continue;
            }
            let n = left.files.len();
            let (before, parent) = before(n, place, sites)?;
            left.files.push(LeftFile { at: place.clone(), before });
            left.dirs.extend(parent.filter(|dir| !left.dirs.iter().any(|known| known.at == dir.at)));
        }
    }
    Ok(left)
}

fn before(n: usize, place: &Place, sites: &Sites) -> Result<(Option<Before>, Option<Dir>), Failure> {
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
        return Err(Failure::usage(format!("{} is no file", crate::commit::shown(sites, place).quoted()))
            .next("change it with a shell command, which is rehearsed as a whole"));
    }
    let slot = |kind: char| Slot { path: Bytes::new(format!("keep/{kind}{n}")), vol: place.vol };
    let ctime = stat.ctime.into();
    let before = Before { copy: slot('c'), ctime, ino: stat.ino, link: slot('l'), meta: meta(&stat), size: stat.size };
    copy(sites, place, &before.copy)?;
    if let Some(to) = at_slot(sites, &before.link)? {
        sys::hard_link(at.dir(), at.name(), to.dir(), to.name()).map_err(to.step("keep a name in"))?;
    }
    Ok((Some(before), Some(dir)))
}

/// Copies the content at a place into the vault, durably.
fn copy(sites: &Sites, place: &Place, slot: &Slot) -> Result<(), CommitError> {
    let (Some(from), Some(to)) = (at_place(sites, place)?, at_slot(sites, slot)?) else { return Ok(()) };
    remove(sites, slot)?;
    let source = sys::open_file(from.dir(), from.name()).map_err(from.step("read"))?;
    let copy = sys::create_file(to.dir(), to.name()).map_err(to.step("keep a copy in"))?;
    sys::clone_or_copy(source.as_fd(), copy.as_fd()).map_err(to.step("keep a copy in"))?;
    sys::sync_file(copy.as_fd()).map_err(to.step("sync"))
}

fn remove(sites: &Sites, slot: &Slot) -> Result<(), CommitError> {
    let Some(at) = at_slot(sites, slot)? else { return Ok(()) };
    match sys::remove_file(at.dir(), at.name()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at.step("remove")(e)),
        _ => Ok(()),
    }
}

fn meta(stat: &Stat) -> Meta {
    Meta {
        atime: stat.atime.into(),
        gid: stat.gid,
        mode: stat.mode & 0o7777,
        mtime: stat.mtime.into(),
        uid: stat.uid,
        xattrs: Vec::new(),
    }
}

/// The steps that lead from what was at a place to what is there now, as if they had been ours.
fn found(n: usize, file: &LeftFile, sites: &Sites, ops: &mut Vec<Op>) -> Result<(), Failure> {
    let at = file.at.clone();
    let now = match at_place(sites, &at)? {
        Some(here) => sys::stat_at(here.dir(), here.name()).map_err(here.step("look at"))?,
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
            let after = meta(&now);
            if now.size != before.size || after.mtime != before.meta.mtime || !same(before, &at, sites)? {
                let new = slot('w');
                copy(sites, &at, &new)?;
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
    let (Some(here), Some(kept)) = (at_place(sites, at)?, at_slot(sites, &before.copy)?) else { return Ok(false) };
    let a = sys::open_file(here.dir(), here.name()).map_err(here.step("read"))?;
    let b = sys::open_file(kept.dir(), kept.name()).map_err(kept.step("read"))?;
    sys::compare(a.as_fd(), b.as_fd()).map_err(here.step("read"))
}

/// A tool that wrote into the old file before it put another in its place: the old one is as it was.
fn whole(before: &Before, sites: &Sites) -> Result<(), CommitError> {
    let (Some(old), Some(kept)) = (at_slot(sites, &before.link)?, at_slot(sites, &before.copy)?) else {
        return Ok(());
    };
    let Some(stat) = sys::stat_at(old.dir(), old.name()).map_err(old.step("look at"))? else { return Ok(()) };
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
fn alone(left: &Left, ops: &[Op], sites: &Sites) -> Result<(), CommitError> {
    let taken = |slot: &Slot| {
        ops.iter().any(|op| match op {
            Op::Swap { slot: s, .. } | Op::Move { to: Spot::Slot(s), .. } => s == slot,
            _ => false,
        })
    };
    let links = left.files.iter().filter_map(|f| f.before.as_ref()).map(|b| &b.link);
    links.filter(|link| !taken(link)).try_for_each(|link| remove(sites, link))
}

/// The times of the directories in which names came or went.
fn times(left: &Left, sites: &Sites, ops: &mut Vec<Op>) -> Result<(), CommitError> {
    for dir in &left.dirs {
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

/// The effects as they are on the disk, and whether their content is what was rehearsed.
fn observed(rehearsed: &EffectSet, sites: &Sites) -> Result<(EffectSet, bool), Failure> {
    let mut set = rehearsed.clone();
    let mut as_rehearsed = true;
    let mut effects = Vec::new();
    for mut effect in set.effects.into_iter().flat_map(apart) {
        let now = look(&effect.path, sites).map_err(|e| Failure::because("cannot look at what the tool did", &e))?;
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

fn look(path: &Bytes, sites: &Sites) -> io::Result<Option<Node>> {
    // Of several that cover each other the innermost has it.
    let covers = |site: &&Site| site.volume().is_some_and(|v| path.is_beneath(v.root_path().as_slice()));
    let Some(volume) = sites.iter().filter(covers).filter_map(Site::volume).max_by_key(depth) else { return Ok(None) };
    let rest = path.as_slice()[volume.root_path().as_slice().len()..].to_vec();
    let (parent, name) = sys::split(rest.strip_prefix(b"/").unwrap_or(&rest));
    let dir = match sys::open_dir(volume.root(), parent) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        other => other?,
    };
    let Some(stat) = sys::stat_at(dir.as_fd(), name)? else { return Ok(None) };
    let mut node = node(&stat);
    if node.file_type == FileType::File {
        node.content = Some(digest_of(dir.as_fd(), name)?);
    }
    Ok(Some(node))
}

fn depth(volume: &&OpenVolume) -> usize {
    volume.root_path().as_slice().len()
}

/// As a transaction of ours would have left it: undo tells by it what is still as the tool left it.
fn receipt(plan: &Plan, left: &Left, sites: &Sites) -> Result<Receipt, Failure> {
    let was = |vol: u16, ino: u64| {
        let files = left.files.iter().filter_map(|f| f.before.as_ref().map(|b| (f.at.vol, b.ino, b.ctime)));
        let mut all = files.chain(left.dirs.iter().map(|d| (d.at.vol, d.ino, d.ctime)));
        all.find(|(v, i, _)| (*v, *i) == (vol, ino)).map(|(.., ctime)| ctime)
    };
    let seen = touched(plan, sites, Direction::Forward)?.into_iter();
    let touched =
        seen.map(|((vol, ino), s)| Touched { ino, now: s.ctime, vol, was: was(vol, ino).unwrap_or(s.ctime) }).collect();
    let mut ends = Vec::new();
    for site in sites {
        let now = site.volume().map(OpenVolume::now).transpose();
        ends.push(now.map_err(|e| Failure::because("cannot read a file system's clock", &e))?);
    }
    Ok(Receipt { direction: Direction::Forward, ends, foreign: Vec::new(), touched })
}
