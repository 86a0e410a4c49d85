//! Room 7. Takes a plan, makes it real (or takes it back), step by step, each idempotent, each by
//! inode: what is not what the plan names is never touched. Keeps what was there; decides nothing.

mod ahead;
mod apply;
mod check;
mod entrusted;
mod fresh;
mod guard;
mod keep;
mod receipt;
mod rights;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Conflict;
use backstop_core::id::RunId;
use backstop_core::plan::{Meta, Place, Slot};
use backstop_core::time::Timestamp;

use crate::fault;
use crate::volume::{OpenVolume, VolumeError, reopen};

pub(crate) use apply::{apply, beside_name, take_back};
pub(crate) use check::{Bounds, Checked, Known, check, known};
pub(crate) use entrusted::{Entrusted, found, keep as entrust, receipt};
pub(crate) use fresh::Fresh;
pub(crate) use guard::Guard;
pub(crate) use keep::keep;
pub(crate) use receipt::{Foreign, History, Left, Receipt, Seen, Touched, touched};
pub(crate) use rights::Rights;

/// What is said of a transaction that a step has failed in.
pub(crate) const TAKEN_BACK: &str = "the step failed, and all before it was taken back";

/// Why a transaction stopped.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Everything is frozen.
    #[error("everything is frozen")]
    Frozen,
    /// Something at a place is not what the plan knows.
    #[error("{}: {}", conflict.path.quoted(), conflict.why)]
    Conflict {
        /// Where and what.
        conflict: Conflict,
    },
    /// A step can't be made now, and nothing of it was: what it is about is in use, or not his for whom it is made. On
    /// the way forward that is a conflict; on the way back it is none, since what is to be taken back is our own.
    #[error("{}: {}", conflict.path.quoted(), conflict.why)]
    Withheld {
        /// Where and what.
        conflict: Conflict,
    },
    /// A step failed.
    #[error("cannot {what} {}", path.quoted())]
    Step {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: Bytes,
        /// The cause.
        source: io::Error,
    },
    /// A file system that takes part is not there.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// A file system of a transaction: open, with the run's directory in its vault. None where it was in
/// memory and is gone, and its effects with it.
pub(crate) struct Site {
    /// The volume; none where it is gone.
    volume: Option<(OpenVolume, OwnedFd)>,
    /// Where it is, or was.
    pub root: Bytes,
    /// For whom it is changed, where that is not this process' user.
    rights: Option<Arc<Rights>>,
}

impl Site {
    /// A volume that is still open from the rehearsal.
    pub fn new(volume: OpenVolume, id: RunId) -> Result<Self, CommitError> {
        let root = volume.root_path().clone();
        let run = volume.run_dir(id, true).map_err(|source| CommitError::Step {
            what: "open the run's vault on",
            path: root.clone(),
            source,
        })?;
        Ok(Self { volume: Some((volume, run)), root, rights: None })
    }

    /// Finds a volume again.
    pub fn reopen(spec: &backstop_core::plan::Volume, id: RunId) -> Result<Self, CommitError> {
        match reopen(spec) {
            Ok(volume) => Self::new(volume, id),
            Err(VolumeError::Gone { volatile: true, .. }) => {
                Ok(Self { volume: None, root: spec.root.clone(), rights: None })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Changed for this user, who may himself what is done.
    pub fn on_behalf(self, rights: Option<&Arc<Rights>>) -> Self {
        Self { rights: rights.cloned(), ..self }
    }

    /// The open volume.
    pub fn volume(&self) -> Option<&OpenVolume> {
        self.volume.as_ref().map(|(v, _)| v)
    }

    fn root(&self) -> Option<BorrowedFd<'_>> {
        self.volume.as_ref().map(|(v, _)| v.root())
    }

    /// Makes the run's place for copies, where it is missing.
    pub fn make_keep(&self) -> Result<(), CommitError> {
        let Some(run) = self.run_dir() else { return Ok(()) };
        let step =
            |source| CommitError::Step { what: "make a place to keep copies on", path: self.root.clone(), source };
        fault::point("keep.dir").and_then(|()| backstop_sys::fs::ensure_dir(run, b"keep", 0o700)).map_err(step)
    }

    fn run_dir(&self) -> Option<BorrowedFd<'_>> {
        self.volume.as_ref().map(|(_, r)| r.as_fd())
    }
}

/// The file systems of a transaction, in the plan's order.
pub(crate) type Sites = [Site];

/// A moment of each file system's own clock; none where it is gone.
pub(crate) fn moments(sites: &Sites) -> Result<Vec<Option<Timestamp>>, CommitError> {
    let moment = |site: &Site| {
        let step = |source| CommitError::Step { what: "read the clock of", path: site.root.clone(), source };
        site.volume().map(OpenVolume::now).transpose().map_err(step)
    };
    sites.iter().map(moment).collect()
}

/// The metadata of an object, but for its attributes.
pub(crate) fn meta_of(stat: &backstop_sys::fs::Stat) -> Meta {
    Meta {
        atime: stat.atime.into(),
        gid: stat.gid,
        mode: stat.mode & 0o7777,
        mtime: stat.mtime.into(),
        uid: stat.uid,
        xattrs: Vec::new(),
    }
}

/// The path a person knows a place by.
pub(crate) fn shown(sites: &Sites, place: &Place) -> Bytes {
    sites[usize::from(place.vol)].root.join(place.path.as_slice())
}

/// A directory handle and a name in it.
pub(crate) struct At {
    dir: OwnedFd,
    name: Vec<u8>,
    /// For messages.
    shown: Bytes,
}

impl At {
    /// The directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The name in it.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// An error of a step on it.
    pub fn step(&self, what: &'static str) -> impl FnOnce(io::Error) -> CommitError + use<> {
        let path = self.shown.clone();
        move |source| CommitError::Step { what, path, source }
    }

    fn withheld(&self, why: &str) -> CommitError {
        CommitError::Withheld { conflict: Conflict { path: self.shown.clone(), why: why.to_owned() } }
    }

    fn conflict(&self, why: &str) -> CommitError {
        CommitError::Conflict { conflict: Conflict { path: self.shown.clone(), why: why.to_owned() } }
    }
}

/// Opens the directory of a place; none where it (or the volume) is not there.
pub(crate) fn at_place(sites: &Sites, place: &Place) -> Result<Option<At>, CommitError> {
    let site = &sites[usize::from(place.vol)];
    let Some(root) = site.root() else { return Ok(None) };
    let open = |path: &[u8]| rights::open_dir(site.rights.as_deref(), root, path);
    match open_at(&open, place.path.as_slice(), shown(sites, place)) {
        Err(CommitError::Step { source, path, .. })
            if site.rights.is_some() && source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Err(CommitError::Withheld { conflict: Conflict { path, why: rights::NOT_HIS.to_owned() } })
        }
        other => other,
    }
}

/// Opens the directory of a slot.
pub(crate) fn at_slot(sites: &Sites, slot: &Slot) -> Result<Option<At>, CommitError> {
    let site = &sites[usize::from(slot.vol)];
    let Some(run) = site.run_dir() else { return Ok(None) };
    let vault = site.volume().map(OpenVolume::vault_path).unwrap_or_default();
    let open = |path: &[u8]| backstop_sys::fs::open_dir(run, path);
    open_at(&open, slot.path.as_slice(), vault.join(slot.path.as_slice()))
}

fn open_at(open: &dyn Fn(&[u8]) -> io::Result<OwnedFd>, path: &[u8], shown: Bytes) -> Result<Option<At>, CommitError> {
    let (parent, name) = backstop_sys::fs::split(path);
    match open(parent) {
        Ok(dir) => Ok(Some(At { dir, name: name.to_vec(), shown })),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        // A link where a directory was: somebody swapped it (ELOOP by RESOLVE_NO_SYMLINKS), or
        // mounted something there (EXDEV).
        Err(e) if backstop_sys::fs::leads_elsewhere(&e) => {
            let why = "a directory on the way was replaced by a link or a mount".to_owned();
            Err(CommitError::Conflict { conflict: Conflict { path: shown, why } })
        }
        Err(source) => Err(CommitError::Step { what: "open the directory of", path: shown, source }),
    }
}
