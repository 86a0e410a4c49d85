//! The two sides of a rehearsal that is not committed. Before is the machine as it is; after is found by
//! running the plan's steps backwards over a name: where is now what will be there then?

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;
use backstop_core::id::RunId;
use backstop_core::plan::{Op, Place, Plan, Slot, Spot};
use backstop_sys::fs as sys;

use super::Sides;
use crate::engine::Side;
use crate::volume::OpenVolume;

/// Reads both sides through the volumes of a rehearsal.
pub(crate) struct Rehearsed<'a> {
    plan: &'a Plan,
    volumes: &'a [OpenVolume],
    runs: Vec<OwnedFd>,
    /// The steps that name a spot, by index, ascending.
    steps: HashMap<Spot, Vec<usize>>,
    /// New names by the directory they come to stand in.
    arrivals: HashMap<Place, Vec<Bytes>>,
}

impl<'a> Rehearsed<'a> {
    /// Over the plan of run `id`.
    pub fn new(plan: &'a Plan, volumes: &'a [OpenVolume], id: RunId) -> io::Result<Self> {
        let runs = volumes.iter().map(|v| v.run_dir(id, true)).collect::<Result<_, _>>()?;
        let mut steps: HashMap<Spot, Vec<usize>> = HashMap::new();
        let mut arrivals: HashMap<Place, Vec<Bytes>> = HashMap::new();
        for (at, op) in plan.ops.iter().enumerate() {
            for spot in spots(op) {
                steps.entry(spot).or_default().push(at);
            }
            if let Op::Move { to: Spot::Place(p), .. } | Op::Link { at: p, .. } = op {
                let dir = Place { path: p.path.parent(), vol: p.vol };
                arrivals.entry(dir).or_default().push(Bytes::from(p.path.name()));
            }
        }
        Ok(Self { plan, volumes, runs, steps, arrivals })
    }

    /// The place of a path of the machine: below the volume that lies deepest above it.
    fn place(&self, path: &Bytes) -> Option<Place> {
        let over = self.volumes.iter().enumerate().filter(|(_, v)| path.is_beneath(v.root_path().as_slice()));
        let (vol, volume) = over.max_by_key(|(_, v)| v.root_path().as_slice().len())?;
        let rest = &path.as_slice()[volume.root_path().as_slice().len()..];
        Some(Place { path: rest.strip_prefix(b"/").unwrap_or(rest).into(), vol: u16::try_from(vol).ok()? })
    }

    /// Where what will be at `place` is now; none where nothing will be.
    fn origin(&self, place: Place) -> Option<Spot> {
        let mut here = Spot::Place(place);
        let mut bound = self.plan.ops.len();
        while let Some(at) = self.last_step(&here, bound) {
            here = back(&self.plan.ops[at], here)?;
            bound = at;
        }
        Some(here)
    }

    /// The last step before `bound` that names this spot or one above it.
    fn last_step(&self, spot: &Spot, bound: usize) -> Option<usize> {
        let mut above = spot.clone();
        let mut found = None;
        loop {
            if let Some(list) = self.steps.get(&above) {
                let before = list.partition_point(|&at| at < bound);
                found = found.max(before.checked_sub(1).map(|i| list[i]));
            }
            let path = match &mut above {
                Spot::Place(Place { path, .. }) | Spot::Slot(Slot { path, .. }) => path,
            };
            if path.is_empty() {
                return found;
            }
            *path = path.parent();
        }
    }

    fn root(&self, spot: &Spot) -> (BorrowedFd<'_>, Bytes) {
        match spot {
            Spot::Place(p) => (self.volumes[usize::from(p.vol)].root(), p.path.clone()),
            Spot::Slot(s) => (self.runs[usize::from(s.vol)].as_fd(), s.path.clone()),
        }
    }

    fn spot(&self, path: &Bytes, side: Side) -> Option<Spot> {
        let place = self.place(path)?;
        match side {
            Side::Before => Some(Spot::Place(place)),
            Side::After => self.origin(place),
        }
    }
}

impl Sides for Rehearsed<'_> {
    fn open(&self, path: &Bytes, side: Side) -> io::Result<Option<File>> {
        let Some(spot) = self.spot(path, side) else { return Ok(None) };
        let (root, path) = self.root(&spot);
        let Some(parent) = there(sys::open_parent(root, path.as_slice()))? else { return Ok(None) };
        let name = sys::split(path.as_slice()).1;
        match sys::stat_at(parent.as_fd(), name)? {
            Some(stat) if stat.is_file() => Ok(there(sys::open_file(parent.as_fd(), name))?.map(File::from)),
            _ => Ok(None),
        }
    }

    fn list(&self, path: &Bytes, side: Side) -> io::Result<Option<Vec<(Bytes, FileType)>>> {
        let Some(spot) = self.spot(path, side) else { return Ok(None) };
        let (root, below) = self.root(&spot);
        let Some(dir) = there(sys::open_dir_read(root, below.as_slice()))? else { return Ok(None) };
        let mut names: Vec<(Bytes, FileType)> = Vec::new();
        sys::read_dir::<io::Error>(dir.as_fd(), |e| {
            if let Some(stat) = sys::stat_at(dir.as_fd(), e.name)? {
                names.push((Bytes::from(e.name), FileType::from_mode(stat.mode)));
            }
            Ok(())
        })?;
        if side == Side::Before {
            return Ok(Some(names));
        }
        let Some(place) = self.place(path) else { return Ok(Some(names)) };
        // What stands there now may go, and what comes has its own step.
        let arriving = self.arrivals.get(&place).cloned().unwrap_or_default();
        let stays = |name: &Bytes| self.origin(Place { path: place.path.join(name.as_slice()), vol: place.vol });
        let mut all: Vec<(Bytes, FileType)> = Vec::new();
        for name in names.into_iter().map(|(n, _)| n).chain(arriving) {
            if all.iter().any(|(n, _)| *n == name) {
                continue;
            }
            let Some(spot) = stays(&name) else { continue };
            let (root, path) = self.root(&spot);
            let Some(parent) = there(sys::open_parent(root, path.as_slice()))? else { continue };
            if let Some(stat) = sys::stat_at(parent.as_fd(), sys::split(path.as_slice()).1)? {
                all.push((name, FileType::from_mode(stat.mode)));
            }
        }
        Ok(Some(all))
    }
}

/// None where a name is missing, or something on the way is no directory.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) || sys::leads_elsewhere(&e) => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// The spots whose meaning a step changes.
fn spots(op: &Op) -> Vec<Spot> {
    match op {
        Op::Move { from, to, .. } => vec![from.clone(), to.clone()],
        Op::Swap { at, slot, .. } => vec![Spot::Place(at.clone()), Spot::Slot(slot.clone())],
        Op::Write { at, .. } | Op::Link { at, .. } => vec![Spot::Place(at.clone())],
        Op::Meta { .. } | Op::Times { .. } => Vec::new(),
    }
}

/// Where what is at `here` after the step was before it; none where nothing is at `here` after it.
fn back(op: &Op, here: Spot) -> Option<Spot> {
    match op {
        Op::Move { from, to, .. } => match (rest(&here, to), rest(&here, from)) {
            (Some(rest), _) => Some(join(from, &rest)),
            (None, Some(_)) => None,
            (None, None) => Some(here),
        },
        Op::Swap { at, slot, .. } => {
            let (at, slot) = (Spot::Place(at.clone()), Spot::Slot(slot.clone()));
            Some(match (rest(&here, &at), rest(&here, &slot)) {
                (Some(rest), _) => join(&slot, &rest),
                (None, Some(rest)) => join(&at, &rest),
                (None, None) => here,
            })
        }
        Op::Write { at, new, .. } if here == Spot::Place(at.clone()) => Some(Spot::Slot(new.clone())),
        Op::Link { at, of, .. } if here == Spot::Place(at.clone()) => Some(Spot::Place(of.clone())),
        Op::Write { .. } | Op::Link { .. } | Op::Meta { .. } | Op::Times { .. } => Some(here),
    }
}

/// What is left of `spot` below `top`; none where it is not beneath it.
fn rest(spot: &Spot, top: &Spot) -> Option<Bytes> {
    let (path, top) = match (spot, top) {
        (Spot::Place(a), Spot::Place(b)) if a.vol == b.vol => (&a.path, &b.path),
        (Spot::Slot(a), Spot::Slot(b)) if a.vol == b.vol => (&a.path, &b.path),
        _ => return None,
    };
    if top.is_empty() {
        return Some(path.clone());
    }
    path.is_beneath(top.as_slice()).then(|| {
        let rest = &path.as_slice()[top.as_slice().len()..];
        Bytes::from(rest.strip_prefix(b"/").unwrap_or(rest))
    })
}

fn join(top: &Spot, rest: &Bytes) -> Spot {
    let mut spot = top.clone();
    if !rest.is_empty() {
        let path = match &mut spot {
            Spot::Place(Place { path, .. }) | Spot::Slot(Slot { path, .. }) => path,
        };
        *path = path.join(rest.as_slice());
    }
    spot
}
