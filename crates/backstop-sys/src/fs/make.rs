//! Makes names that are not there yet, below a directory that nobody else writes to: a vault, or the
//! sandbox's own file system in memory. Overwrites nothing.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// Makes a directory that must not be there yet.
pub fn make_dir(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(dir, OsStr::from_bytes(name), Mode::from_raw_mode(mode))?)
}

/// Makes a directory; one that is there already is fine.
pub fn ensure_dir(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<()> {
    match rustix::fs::mkdirat(dir, OsStr::from_bytes(name), Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Makes the directories of `path`, as many as are missing.
pub fn ensure_dirs(dir: BorrowedFd<'_>, path: &[u8], mode: u32) -> io::Result<()> {
    for (at, _) in path.iter().enumerate().filter(|(at, b)| **b == b'/' && *at > 0) {
        ensure_dir(dir, &path[..at], mode)?;
    }
    if path.is_empty() { Ok(()) } else { ensure_dir(dir, path, mode) }
}

/// Makes a file with this content.
pub fn write_new(dir: BorrowedFd<'_>, path: &[u8], text: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(dir, OsStr::from_bytes(path), flags, Mode::from_raw_mode(mode))?;
    super::durable::write_all(&file, text)
}

/// Makes a symbolic link.
pub fn link_new(dir: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::symlinkat(OsStr::from_bytes(target), dir, OsStr::from_bytes(name))?)
}

/// Gives `name` to a user and a group.
pub fn give(dir: BorrowedFd<'_>, name: &[u8], uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::chownat(dir, OsStr::from_bytes(name), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}
