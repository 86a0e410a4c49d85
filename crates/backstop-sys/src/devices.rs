//! The few device nodes that ordinary programs need, and terminals. Makes nodes only where it is
//! told to; opens no disk.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat, openat};

/// Names and numbers of the character devices every program may expect.
pub const NODES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links in `/dev` and where they point.
pub const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the nodes in `dir`; needs `CAP_MKNOD`.
pub fn make_nodes(dir: BorrowedFd<'_>) -> io::Result<()> {
    for (name, major, minor) in NODES {
        mknodat(dir, *name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(*major, *minor))?;
    }
    Ok(())
}

/// The number of the terminal that `fd` is, as a name below `/dev/pts`.
pub fn terminal_number(fd: BorrowedFd<'_>) -> Option<u32> {
    let name = rustix::termios::ttyname(fd, Vec::new()).ok()?;
    name.to_str().ok()?.strip_prefix("/dev/pts/")?.parse().ok()
}

/// Takes number `wanted` in a new devpts instance at `pts`, whose numbers are all free, so that the
/// name exists and something can be put over it. The name lives as long as the handle.
pub fn take_number(pts: BorrowedFd<'_>, wanted: u32) -> io::Result<OwnedFd> {
    // The lowest free number is given, so those before have to be held meanwhile.
    let mut held = Vec::new();
    loop {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end = openat(pts, c"ptmx", flags, Mode::empty())?;
        let mut number: libc::c_uint = 0;
        // SAFETY: the request fills one unsigned int.
        if unsafe { libc::ioctl(end.as_raw_fd(), libc::TIOCGPTN, &raw mut number) } != 0 {
            return Err(io::Error::last_os_error());
        }
        if number == wanted {
            return Ok(end);
        }
        if number > wanted {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        held.push(end);
    }
}

/// The foreground process group of the controlling terminal; none where there is none.
pub fn foreground() -> Option<i32> {
    let tty = controlling()?;
    // Not rustix: a group of another process namespace has the number 0, which its type can't hold.
    // SAFETY: a plain system call on a handle that we own.
    let group = unsafe { libc::tcgetpgrp(tty.as_raw_fd()) };
    (group >= 0).then_some(group)
}

/// Makes this process' group the foreground group again.
pub fn take_foreground() -> io::Result<()> {
    let Some(tty) = controlling() else { return Ok(()) };
    // From the background this call itself would stop us.
    let before = crate::process::Signals::of(&[libc::SIGTTOU]).block()?;
    // SAFETY: plain system calls with numbers.
    let rc = unsafe { libc::tcsetpgrp(tty.as_raw_fd(), libc::getpgrp()) };
    let result = if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    before.set()?;
    result
}

/// This process' group.
pub fn own_group() -> i32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpgrp() }
}

fn controlling() -> Option<OwnedFd> {
    openat(CWD, c"/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()
}
