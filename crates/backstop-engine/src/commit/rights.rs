//! For whom a commit is made, where that is another than this process' user: nothing is done in his name that he
//! could not do himself at that moment. The rehearsal ran with his rights, but what he owns he can move since: a
//! directory of somebody else's in the place of one of his, and root would write into it for him.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use backstop_core::identity::Identity;
use backstop_core::plan::Place;
use backstop_sys::fs::{self as sys, Pin, Stat};
use backstop_sys::rights::{Access, may, with_files_of};

use super::{At, CommitError, Sites};

/// For whom, and what the kernel has said to it so far.
#[derive(Debug)]
pub(crate) struct Rights {
    pub who: Identity,
    /// What he was found to be free to do in which directories, by device and inode: a plan names most of them many
    /// times.
    known: Mutex<BTreeSet<(u64, u64, Access)>>,
}

/// What is said where he may not.
pub(super) const NOT_HIS: &str = "whoever ran it may not change this now: it was moved, or its owner or mode changed";

impl Rights {
    pub const fn of(who: Identity) -> Self {
        Self { who, known: Mutex::new(BTreeSet::new()) }
    }

    /// Does `work` as far as files are concerned with his rights.
    fn with<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        with_files_of(self.who.uid, self.who.gid, &self.who.groups, work)?
    }

    /// He may, or could give himself the right.
    fn may(&self, handle: BorrowedFd<'_>, owner: u32, wanted: Access) -> io::Result<bool> {
        let Identity { uid, gid, groups } = &self.who;
        Ok(owner == *uid || may(handle, wanted, (*uid, *gid, groups))?)
    }

    /// The same of a directory that is likely to come again.
    fn may_in(&self, dir: BorrowedFd<'_>, stat: &Stat, wanted: Access) -> io::Result<bool> {
        let key = (stat.dev, stat.ino, wanted);
        if self.known.lock().is_ok_and(|set| set.contains(&key)) {
            return Ok(true);
        }
        let his = self.may(dir, stat.uid, wanted)?;
        if his && let Ok(mut set) = self.known.lock() {
            set.insert(key);
        }
        Ok(his)
    }

    /// Refuses where he may not go through this directory.
    fn passes(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        let his = self.may_in(dir, &sys::stat_fd(dir)?, Access::Search)?;
        if his { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    /// Names in this directory are his to make and, where that is its owner, to take away.
    fn may_name(&self, dir: BorrowedFd<'_>, owner: Option<u32>) -> io::Result<bool> {
        let (stat, me) = (sys::stat_fd(dir)?, self.who.uid);
        // A sticky directory: only the owner of what has the name, or its own.
        let sticky = stat.mode & 0o1000 != 0 && ![0, stat.uid].contains(&me);
        if sticky && owner.is_some_and(|owner| owner != me) {
            return Ok(false);
        }
        self.may_in(dir, &stat, Access::Names)
    }
}

/// Opens a directory of a site as he could who it is changed for: each directory on the way, and the last one too, is
/// his, or he may search it. What is his he could open up for himself, and the command may have shut it in the end. From
/// handle to handle: a name could be given to another directory between two walks.
pub(super) fn open_dir(rights: Option<&Rights>, root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let Some(rights) = rights else { return sys::open_dir(root, path) };
    let mut here = sys::open_dir(root, b"")?;
    rights.passes(here.as_fd())?;
    for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
        here = sys::open_dir(here.as_fd(), name)?;
        rights.passes(here.as_fd())?;
    }
    Ok(here)
}

/// Does `work` on the files of a site with the rights of whom it is changed for.
pub(super) fn with<T>(sites: &Sites, vol: u16, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match sites.get(usize::from(vol)).and_then(|site| site.rights.as_deref()) {
        Some(rights) => rights.with(work),
        None => work(),
    }
}

fn of<'a>(sites: &'a Sites, place: &Place) -> Option<&'a Rights> {
    sites.get(usize::from(place.vol)).and_then(|site| site.rights.as_deref())
}

fn verdict(at: &At, his: io::Result<bool>) -> Result<(), CommitError> {
    match his {
        Ok(true) => Ok(()),
        Ok(false) => Err(at.withheld(NOT_HIS)),
        Err(e) => Err(at.step("see whose is")(e)),
    }
}

/// A name at `place`, opened as `at`, is about to be made, or taken from an object of this owner.
pub(super) fn names(sites: &Sites, place: &Place, at: &At, object: Option<&Stat>) -> Result<(), CommitError> {
    let Some(rights) = of(sites, place) else { return Ok(()) };
    verdict(at, rights.may_name(at.dir(), object.map(|o| o.uid)))
}

/// This directory is about to get another parent, for which its own `..` is written: the kernel lets nobody do that
/// who may not write into it. One that is empty could be removed and made again.
pub(super) fn moves(sites: &Sites, place: &Place, at: &At, pin: &Pin) -> Result<(), CommitError> {
    let Some(rights) = of(sites, place) else { return Ok(()) };
    if !pin.stat.is_dir() {
        return Ok(());
    }
    let his = rights.may(pin.handle(), pin.stat.uid, Access::Names).and_then(|his| {
        let empty = || sys::open_dir_read(at.dir(), at.name()).and_then(|dir| sys::is_empty(dir.as_fd()));
        if his { Ok(true) } else { empty() }
    });
    verdict(at, his)
}

/// This object is about to be written into, or to get other metadata: what was only written into gets its times as well,
/// and who owns it has both rights.
pub(super) fn writes(sites: &Sites, place: &Place, at: &At, pin: &Pin) -> Result<(), CommitError> {
    let Some(rights) = of(sites, place) else { return Ok(()) };
    verdict(at, rights.may(pin.handle(), pin.stat.uid, Access::Write))
}
