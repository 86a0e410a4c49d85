//! A bell that any number of processes hear: a FIFO which is opened for writing and closed again, upon which everybody
//! who has it open for reading sees that its other end is closed. Nobody takes that away from another, nothing is kept in
//! it, and there is no limit to how many listen.
//!
//! `pipe_poll` in the kernel (`fs/pipe.c`) says "closed" to a reader since whose opening a writer came and went; so an ear
//! hears once, and is opened anew for the next time.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, mkfifoat, openat};
use rustix::io::Errno;

/// Hangs the bell up where it is missing.
pub fn hang(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match mkfifoat(dir, name, Mode::RUSR | Mode::WUSR) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn open(dir: BorrowedFd<'_>, name: &str, how: OFlags) -> io::Result<Option<OwnedFd>> {
    // Never waits for anybody at the other end.
    let flags = how | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = match openat(dir, name, flags, Mode::empty()) {
        // For writing, with nobody who listens.
        Err(Errno::NXIO) => return Ok(None),
        other => other?,
    };
    if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Fifo {
        Ok(Some(fd))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "not a FIFO"))
    }
}

/// An ear: its handle says that its other end is closed ([`crate::wait::Ready`]) once the bell was rung after this.
pub fn listen(dir: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    open(dir, name, OFlags::RDONLY)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Rings: everybody who listens hears it. Waits for nobody.
pub fn ring(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    open(dir, name, OFlags::WRONLY).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::wait::readable;

    fn hears(ear: &OwnedFd) -> bool {
        readable(&[Some(ear.as_fd())], Duration::ZERO).expect("a look")[0].closed
    }

    #[test]
    fn everybody_who_listens_hears_it_once_and_whoever_comes_later_does_not() {
        let place = tempfile::tempdir().expect("a temp dir");
        let dir = File::open(place.path()).expect("open");
        let dir = dir.as_fd();
        assert!(ring(dir, "bell").is_err(), "there is none");
        hang(dir, "bell").expect("hung");
        hang(dir, "bell").expect("it hangs already");
        ring(dir, "bell").expect("nobody listens");
        let ears: Vec<OwnedFd> = (0..3).map(|_| listen(dir, "bell").expect("an ear")).collect();
        assert!(!ears.iter().any(hears));
        ring(dir, "bell").expect("rung");
        // Also whoever looks a second time: it is his to listen anew.
        assert!(ears.iter().all(hears) && ears.iter().all(hears));
        let late = listen(dir, "bell").expect("an ear");
        assert!(!hears(&late));
        ring(dir, "bell").expect("rung");
        assert!(hears(&late));
        std::fs::write(place.path().join("file"), "x").expect("written");
        assert!(listen(dir, "file").is_err());
    }
}
