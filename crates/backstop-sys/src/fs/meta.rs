//! Sets metadata of one pinned object: what was checked is what is changed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::stat::{Stat, Time, stat_fd};
use super::xattr;

/// An object held by an `O_PATH` handle.
pub struct Pin {
    fd: OwnedFd,
    /// The object when it was pinned.
    pub stat: Stat,
}

impl Pin {
    /// A handle to it, which opens nothing.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Pins `name` in `dir`; a link itself, never where it points.
    pub fn new(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Self> {
        let name = if name.is_empty() { b"." } else { name };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, OsStr::from_bytes(name), flags, Mode::empty())?;
        let stat = stat_fd(fd.as_fd())?;
        Ok(Self { fd, stat })
    }

    /// The object as a path: `/proc/self/fd/N` leads to exactly it. Needed by the calls that have no
    /// form for `O_PATH` handles.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    /// Sets owner and group.
    pub fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        Ok(rustix::fs::chownat(&self.fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
    }

    /// Sets the twelve permission bits. Links have none of their own: nothing happens.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        if self.stat.is_symlink() {
            return Ok(());
        }
        Ok(rustix::fs::chmod(self.path(), Mode::from_raw_mode(mode & 0o7777))?)
    }

    /// Sets (or with none removes) an extended attribute; removing one that is absent is fine.
    pub fn set_xattr(&self, name: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        match value {
            Some(value) => Ok(rustix::fs::setxattr(self.path(), name, value, XattrFlags::empty())?),
            None => match rustix::fs::removexattr(self.path(), name) {
                Err(Errno::NODATA) | Ok(()) => Ok(()),
                Err(e) => Err(e.into()),
            },
        }
    }

    /// Sets access and modification time.
    pub fn set_times(&self, atime: Time, mtime: Time) -> io::Result<()> {
        set_times(self.fd.as_fd(), b"", atime, mtime)
    }
}

/// Sets the times of `name` in `dir` (of `dir` itself for an empty name), not following a link.
pub fn set_times(dir: BorrowedFd<'_>, name: &[u8], atime: Time, mtime: Time) -> io::Result<()> {
    let spec = |t: Time| Timespec { tv_sec: t.0, tv_nsec: t.1.into() };
    let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
    let flags = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(rustix::fs::utimensat(dir, OsStr::from_bytes(name), &times, flags)?)
}

/// Gives `to` the mode, the times, the attributes and access lists, and where the process may the owner
/// of `from`: the root of an upper directory is what the view shows in the lower's place. Both may be
/// mere positions.
pub fn dress_like(to: BorrowedFd<'_>, from: BorrowedFd<'_>) -> io::Result<()> {
    let like = stat_fd(from)?;
    let pin = Pin::new(to, b"")?;
    if (pin.stat.uid, pin.stat.gid) != (like.uid, like.gid) {
        // Not ours to give, or an owner that this user namespace does not know.
        unless(&[Errno::PERM, Errno::INVAL], pin.set_owner(like.uid, like.gid))?;
    }
    for name in xattr::list_at(from, b"")? {
        // What an overlay noted about the lower directory is not ours to repeat.
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        if let Some(value) = xattr::read_at(from, b"", &name)? {
            // Labels that only the machine's root may give.
            unless(&[Errno::PERM, Errno::OPNOTSUPP], pin.set_xattr(&name, Some(&value)))?;
        }
    }
    pin.set_mode(like.mode)?;
    pin.set_times(like.atime, like.mtime)
}

fn unless(fine: &[Errno], result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if fine.iter().any(|f| e.raw_os_error() == Some(f.raw_os_error())) => Ok(()),
        other => other,
    }
}
