//! Paths of the machine, as the caller's own knowledge and not an agent's: opens and looks at what is
//! there. Changes nothing; the last name of a path is never followed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::dir::read_dir;
use super::stat::{Stat, stat_at, stat_path};

fn open(path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(CWD, OsStr::from_bytes(path), flags, Mode::empty())?)
}

/// Opens a directory as a mere position (`O_PATH`).
pub fn position(path: &[u8]) -> io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Holds on to what is there, whatever it is: as long as that is open, nothing else gets its inode number.
pub fn hold(path: &[u8]) -> io::Result<OwnedFd> {
    open(path, OFlags::PATH)
}

/// Opens a directory as a mere position, where no name on the way may be a link.
pub fn real_position(path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(CWD, OsStr::from_bytes(path), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // The kernel gives up when a rename runs beside it and asks to be called again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// True where this path, taken from a directory as if that were the root, also by every link on the way, leads to a regular
/// file: whatever another's view has there, and nothing outside it. With `known`, only where the kernel knows all of the way
/// already (Linux 5.12), so that no file system is asked.
pub fn is_file_within(root: &[u8], path: &[u8], known: bool) -> io::Result<bool> {
    /// A rename or a mount beside it makes the kernel give up.
    const AGAIN: u32 = 16;
    let root =
        rustix::fs::open(OsStr::from_bytes(root), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let cached = if known { ResolveFlags::CACHED } else { ResolveFlags::empty() };
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | cached;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut asked = 0;
    let found = loop {
        match rustix::fs::openat2(&root, OsStr::from_bytes(path), flags, Mode::empty(), how) {
            Err(Errno::AGAIN) if asked < AGAIN => asked += 1,
            other => break other?,
        }
    };
    let mode = rustix::fs::fstat(found)?.st_mode;
    Ok(rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::RegularFile)
}

/// Opens a file for reading; never blocks on a FIFO, never takes a terminal.
pub fn open_to_read(path: &[u8]) -> io::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// True when this process may make and remove names in the directory.
pub fn writable(path: &[u8]) -> bool {
    let rights = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, OsStr::from_bytes(path), rights, AtFlags::EACCESS).is_ok()
}

/// True when this process may read the file, or list the directory.
pub fn readable(path: &[u8]) -> bool {
    rustix::fs::accessat(CWD, OsStr::from_bytes(path), Access::READ_OK, AtFlags::EACCESS).is_ok()
}

/// True when this process may go through the directory to what it names.
pub fn searchable(path: &[u8]) -> bool {
    rustix::fs::accessat(CWD, OsStr::from_bytes(path), Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// True for a directory; a link to one is none.
pub fn is_directory(path: &[u8]) -> bool {
    stat_path(path).is_ok_and(|s| s.is_dir())
}

/// The names of the directories in the directory (links are none), unsorted.
pub fn subdirectories(path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    read_dir::<io::Error>(dir.as_fd(), |e| {
        let is_dir = match e.is_dir {
            Some(is_dir) => is_dir,
            None => stat_at(dir.as_fd(), e.name)?.as_ref().is_some_and(Stat::is_dir),
        };
        if is_dir {
            names.push(e.name.to_vec());
        }
        Ok(())
    })?;
    Ok(names)
}
