//! Small files that survive a power cut, and locks between processes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::open::open_file;

/// Writes all of `bytes` where the file stands.
pub(super) fn write_all(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(file, rest) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn write_temp(dir: BorrowedFd<'_>, name: &[u8], bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut temp = b".".to_vec();
    temp.extend_from_slice(name);
    temp.extend_from_slice(format!(".{}", std::process::id()).as_bytes());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(dir, OsStr::from_bytes(&temp), flags, Mode::RUSR | Mode::WUSR)?;
    write_all(&file, bytes)?;
    if sync {
        rustix::fs::fdatasync(&file)?;
    }
    Ok(rustix::fs::renameat(dir, OsStr::from_bytes(&temp), dir, OsStr::from_bytes(name))?)
}

/// Puts `bytes` under `name` in one step, and returns when a power cut can no longer take them back.
pub fn write_durable(dir: BorrowedFd<'_>, name: &[u8], bytes: &[u8]) -> io::Result<()> {
    write_temp(dir, name, bytes, true)?;
    // Without this a power cut may lose the rename itself.
    sync_dir(dir)
}

/// Puts `bytes` under `name` in one step: readers see the old or the new file. Not synced.
pub fn write_replace(dir: BorrowedFd<'_>, name: &[u8], bytes: &[u8]) -> io::Result<()> {
    write_temp(dir, name, bytes, false)
}

/// The first 4 KiB of the file `name` in `dir`.
pub fn read_small(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    let file = open_file(dir, name)?;
    let mut text = vec![0; 4096];
    let length = rustix::io::read(&file, &mut text[..])?;
    text.truncate(length);
    Ok(text)
}

/// Makes a directory's names durable. The handle may be `O_PATH`.
pub fn sync_dir(dir: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(dir, ".", flags, Mode::empty())?;
    Ok(rustix::fs::fsync(&readable)?)
}

/// Makes everything on the file system of `dir` durable.
pub fn sync_fs(dir: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(dir, ".", flags, Mode::empty())?;
    Ok(rustix::fs::syncfs(readable.as_fd())?)
}

/// Makes every change of names and metadata durable that was made before, on a file system whose journal
/// reaches the disk in order (ext4, xfs): up to a touch of `name` in `dir`. New content that nobody has
/// synced stays as it is, which is what makes this cheap.
pub fn sync_journal(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(dir, OsStr::from_bytes(name), flags, Mode::RUSR | Mode::WUSR)?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now })?;
    // Not `fdatasync`: to that a touch is nothing.
    Ok(rustix::fs::fsync(&file)?)
}

/// Takes so many bytes of the disk for a file, from a place on, without making it longer: its readers see no more of it,
/// and what is written there later has room. A file system that knows no such thing takes none.
pub fn reserve(file: BorrowedFd<'_>, from: u64, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Waits for the lock on an open file.
pub fn lock_exclusive(file: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match rustix::fs::flock(file, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Takes the lock if nobody has it.
pub fn try_lock_exclusive(file: BorrowedFd<'_>) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Gives the lock back.
pub fn unlock(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::flock(file, FlockOperation::Unlock)?)
}

/// Makes a file's content durable.
pub fn sync_file(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(file)?)
}
