//! A file system's own clock, by which its change times are given.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_NOW};

use super::stat::{Time, stat_fd};

/// A moment of the file system's own clock that is later than every change time it gave before, and
/// not later than any it will give: the change time of `name` in `dir`, touched until it moves.
pub fn clock(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Time> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let probe = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let touch = || -> io::Result<Time> {
        rustix::fs::futimens(&probe, &Timestamps { last_access: now, last_modification: now })?;
        Ok(stat_fd(probe.as_fd())?.ctime)
    };
    let first = touch()?;
    loop {
        let next = touch()?;
        // Not `>`: a wall clock that was set back would never get there.
        if next != first {
            return Ok(next);
        }
        // Before 6.13, change times move once per tick (1 to 10 ms).
        std::thread::sleep(std::time::Duration::from_micros(250));
    }
}
