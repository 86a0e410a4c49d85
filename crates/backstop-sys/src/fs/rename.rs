//! Moves, swaps, links and removes names. A move never overwrites.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, RenameFlags};

/// Renames; the new name must be free (`EEXIST`).
pub fn move_free(from: BorrowedFd<'_>, old: &[u8], to: BorrowedFd<'_>, new: &[u8]) -> io::Result<()> {
    let flags = RenameFlags::NOREPLACE;
    Ok(rustix::fs::renameat_with(from, OsStr::from_bytes(old), to, OsStr::from_bytes(new), flags)?)
}

/// Swaps two names in one step.
pub fn exchange(a: BorrowedFd<'_>, name_a: &[u8], b: BorrowedFd<'_>, name_b: &[u8]) -> io::Result<()> {
    let flags = RenameFlags::EXCHANGE;
    Ok(rustix::fs::renameat_with(a, OsStr::from_bytes(name_a), b, OsStr::from_bytes(name_b), flags)?)
}

/// Gives the object `old` a further name; the new name must be free. A link is linked itself.
pub fn hard_link(from: BorrowedFd<'_>, old: &[u8], to: BorrowedFd<'_>, new: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::linkat(from, OsStr::from_bytes(old), to, OsStr::from_bytes(new), AtFlags::empty())?)
}

/// Removes a name that is not a directory.
pub fn remove_file(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, OsStr::from_bytes(name), AtFlags::empty())?)
}

/// Removes an empty directory.
pub fn remove_dir(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, OsStr::from_bytes(name), AtFlags::REMOVEDIR)?)
}
