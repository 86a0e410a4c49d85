//! Terminals made here: one for a command that runs elsewhere than in the caller's session, and the caller's own,
//! which passes everything on meanwhile.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, openat};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// Both ends of a new terminal.
#[derive(Debug)]
pub struct Pair {
    /// The end that shows and types.
    pub outer: OwnedFd,
    /// The end that programs have.
    pub inner: OwnedFd,
}

/// Makes one that belongs to `owner`.
pub fn make(owner: u32) -> io::Result<Pair> {
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&outer)?;
    let name = ptsname(&outer, Vec::new())?;
    let inner = openat(CWD, name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    fchown(&inner, Some(Uid::from_raw(owner)), None::<Gid>)?;
    fchmod(&inner, Mode::from_raw_mode(0o620))?;
    Ok(Pair { outer, inner })
}

/// Makes it the terminal of this process' session, which must have none, and goes on as a child in a group of its
/// own that has the terminal's foreground. The leader of the session only waits for that child: the kernel stops
/// (`SIGTSTP`) no group that has nobody of its session beside it.
pub fn control(inner: BorrowedFd<'_>) -> io::Result<()> {
    rustix::process::ioctl_tiocsctty(inner)?;
    crate::process::go_on_as_child()?;
    rustix::process::setpgid(None, None)?;
    crate::devices::take_foreground()
}

/// Has nothing to do with the terminal any more: who closes its other end sends a signal to the group that had its
/// foreground, which is left here.
pub fn leave() {
    if let Ok(leader) = rustix::process::getsid(None) {
        // Where that fails the signal ends this process, which is one more way of being cut off.
        let _left = rustix::process::setpgid(None, Some(leader));
    }
    if let Ok(tty) = openat(CWD, c"/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()) {
        // SAFETY: a plain request without an argument, on a handle that we own.
        unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCNOTTY) };
    }
}

/// True where this process' group has the foreground of its terminal.
pub fn in_front() -> bool {
    crate::devices::foreground() == Some(crate::devices::own_group())
}

/// True for a terminal.
pub fn is(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(fd)
}

/// What a terminal was set to, and its size.
#[derive(Clone, Debug)]
pub struct Set {
    modes: Termios,
    size: Winsize,
}

impl Set {
    /// As it is now.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { modes: tcgetattr(fd)?, size: tcgetwinsize(fd)? })
    }

    /// Sets another terminal to the same.
    pub fn give(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        tcsetattr(fd, OptionalActions::Now, &self.modes)?;
        Ok(tcsetwinsize(fd, self.size)?)
    }

    /// Lets every key through as it is.
    pub fn raw(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut modes = self.modes.clone();
        modes.make_raw();
        Ok(tcsetattr(fd, OptionalActions::Drain, &modes)?)
    }

    /// Sets it back.
    pub fn restore(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(tcsetattr(fd, OptionalActions::Drain, &self.modes)?)
    }
}

/// Gives a terminal the size of another.
pub fn same_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    Ok(tcsetwinsize(to, tcgetwinsize(from)?)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_terminal_takes_the_settings_and_the_size_of_another() {
        let (one, other) =
            (make(crate::process::own_ids().0).expect("made"), make(crate::process::own_ids().0).expect("made"));
        assert!(is(one.inner.as_fd()) && !is(std::fs::File::open("/dev/null").expect("null").as_fd()));
        tcsetwinsize(&one.inner, Winsize { ws_row: 7, ws_col: 31, ws_xpixel: 0, ws_ypixel: 0 }).expect("size");
        let set = Set::of(one.inner.as_fd()).expect("read");
        set.give(other.inner.as_fd()).expect("given");
        assert_eq!(tcgetwinsize(&other.inner).expect("size").ws_col, 31);
        set.raw(one.inner.as_fd()).expect("raw");
        set.restore(one.inner.as_fd()).expect("back");
    }
}
