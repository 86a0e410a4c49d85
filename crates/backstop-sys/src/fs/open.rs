//! Opens directories and files below a directory handle.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How long a piece of a path may be for one system call; the kernel's own limit is 4,096 with the
/// final zero.
const PIECE: usize = 4_000;

/// No way out: not upwards, not through a link, not through `/proc`, not onto another mount.
fn resolve() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV
}

/// Opens a directory of the machine by its absolute path, as a root for everything else here.
/// Follows links: the path is the caller's own knowledge, not an agent's.
pub fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn open2(at: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    /// How often it is asked again, at once and then with a pause: a lease that somebody has on the file is given up
    /// only when he is asked, or after 45 s, and nobody waits for that.
    const AT_ONCE: u32 = 100;
    const AGAIN: u32 = 300;
    let path = if path.is_empty() { b"." } else { path };
    let mut asked = 0;
    loop {
        match rustix::fs::openat2(at, OsStr::from_bytes(path), flags | OFlags::CLOEXEC, mode, resolve()) {
            // The kernel gives up when a rename runs beside it and asks to be called again.
            Err(Errno::AGAIN) if asked < AGAIN => {
                asked += 1;
                if asked > AT_ONCE {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
            }
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Opens in pieces where the path is longer than the kernel takes at once.
fn open_long(at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let mut rest = path;
    let mut here: Option<OwnedFd> = None;
    while rest.len() > PIECE {
        let cut = rest[..PIECE].iter().rposition(|&b| b == b'/').ok_or(Errno::NAMETOOLONG)?;
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        here = Some(open2(here.as_ref().map_or(at, AsFd::as_fd), &rest[..cut], step, Mode::empty())?);
        rest = &rest[cut + 1..];
    }
    open2(here.as_ref().map_or(at, AsFd::as_fd), rest, flags, Mode::empty())
}

/// Opens the directory `path` below `at` as a place for names (`O_PATH`); an empty path is `at`.
pub fn open_dir(at: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    open_long(at, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// Opens the directory `path` below `at` for listing and syncing.
pub fn open_dir_read(at: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    open_long(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// A path's directory part and last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(cut) => (&path[..cut], &path[cut + 1..]),
        None => (b"", path),
    }
}

/// Opens the directory that holds the last component of `path`.
pub fn open_parent(at: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    open_dir(at, split(path).0)
}

/// Opens the regular file `name` in `dir` for reading; never blocks on a FIFO.
pub fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOATIME;
    match open2(dir, name, flags, Mode::empty()) {
        // O_NOATIME is for the owner (or CAP_FOWNER) only.
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => open2(dir, name, flags - OFlags::NOATIME, Mode::empty()),
        other => other,
    }
}

/// Opens the existing regular file `name` in `dir` for reading and writing.
pub fn open_rw(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    open2(dir, name, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
}

/// Creates the file `name` in `dir`, which must not exist, readable and writable by its owner only.
pub fn create_file(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    open2(dir, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, Mode::RUSR | Mode::WUSR)
}

/// Where a file's reading and writing stands.
pub fn offset(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::tell(file)?)
}

/// Puts a file's reading and writing at a place.
pub fn seek(file: BorrowedFd<'_>, to: u64) -> io::Result<()> {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Start(to))?;
    Ok(())
}

/// Where the link `name` in `dir` points.
pub fn read_link(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(dir, OsStr::from_bytes(name), Vec::new())?.into_bytes())
}

/// True where a file can't be opened for the time being because of what others do with it: it is being executed, or
/// somebody has a lease on it.
pub fn is_in_use(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETXTBSY | libc::EAGAIN))
}

/// True for the errors by which the resolution here refuses a link or a mount on the way.
pub fn leads_elsewhere(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EXDEV))
}
