//! What this process has inherited, and what a child would inherit; reading and writing by those descriptors.

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

/// True for a pipe.
pub fn is_pipe(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|st| FileType::from_raw_mode(st.st_mode) == FileType::Fifo)
}

/// The pipes beyond the standard streams that a program started from here would inherit, sorted.
pub fn beyond_standard() -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(fd) = entry?.file_name().to_str().and_then(|n| n.parse::<i32>().ok()).filter(|n| *n > 2) else {
            continue;
        };
        // SAFETY: only two questions are asked of the number, and both fail where it is closed meanwhile; where
        // another thread has opened something else by it, they are answered for that.
        let handle = unsafe { BorrowedFd::borrow_raw(fd) };
        let inherited = fcntl_getfd(handle).is_ok_and(|f| !f.contains(FdFlags::CLOEXEC));
        if inherited && is_pipe(handle) {
            found.push(handle.as_raw_fd());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// These descriptors of this process, which inherited them and closes none.
pub fn borrow(numbers: &[i32]) -> Vec<BorrowedFd<'static>> {
    // SAFETY: they were inherited, so nothing in this process owns them and could close them.
    numbers.iter().map(|n| unsafe { BorrowedFd::borrow_raw(*n) }).collect()
}

/// Reads and writes of this descriptor say `WouldBlock` rather than wait.
pub fn never_wait(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

/// All bytes, waiting for room where there is none.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let mut room = [rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::OUT)];
                rustix::event::poll(&mut room, None)?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
