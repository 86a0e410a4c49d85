//! What this process has inherited, and what a child would inherit. Only looks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{FdFlags, fcntl_getfd};

/// How a descriptor is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading only.
    Read,
    /// For writing, or both.
    Write,
    /// `O_PATH`: neither, but a place to go on from.
    Position,
}

/// How this one is open.
pub fn access(fd: BorrowedFd<'_>) -> io::Result<Access> {
    let flags = fcntl_getfl(fd)?;
    Ok(if flags.contains(OFlags::PATH) {
        Access::Position
    } else if flags & OFlags::RWMODE == OFlags::RDONLY {
        Access::Read
    } else {
        Access::Write
    })
}

/// The pipes beyond the standard streams that a program started from here would inherit, sorted.
pub fn beyond_standard() -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(fd) = entry?.file_name().to_str().and_then(|n| n.parse::<i32>().ok()).filter(|n| *n > 2) else {
            continue;
        };
        // SAFETY: it was open a moment ago, and this single thread has closed none since but the one
        // that lists the directory, for which the calls below fail.
        let handle = unsafe { BorrowedFd::borrow_raw(fd) };
        let inherited = fcntl_getfd(handle).is_ok_and(|f| !f.contains(FdFlags::CLOEXEC));
        let pipe = || fstat(handle).is_ok_and(|st| FileType::from_raw_mode(st.st_mode) == FileType::Fifo);
        if inherited && pipe() {
            found.push(handle.as_raw_fd());
        }
    }
    found.sort_unstable();
    Ok(found)
}
