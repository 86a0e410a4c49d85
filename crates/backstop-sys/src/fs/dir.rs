//! Lists a directory by `getdents64`, in the file system's own order.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, RawDir};

/// One name of a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// The name.
    pub name: &'a [u8],
    /// True for a directory; none where the file system does not say.
    pub is_dir: Option<bool>,
    /// The number of what it names, on this file system.
    pub ino: u64,
}

/// True where nothing is in the directory.
pub fn is_empty(dir: BorrowedFd<'_>) -> io::Result<bool> {
    let mut empty = true;
    read_dir::<io::Error>(dir, |_| {
        empty = false;
        Ok(())
    })?;
    Ok(empty)
}

/// Calls `each` for every name in `dir` but `.` and `..`. The handle must be open for reading and
/// stands at its start.
pub fn read_dir<E: From<io::Error>>(
    dir: BorrowedFd<'_>,
    mut each: impl FnMut(DirEntry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut raw = RawDir::new(dir, &mut buffer);
    while let Some(entry) = raw.next() {
        let entry = entry.map_err(|e| E::from(e.into()))?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let is_dir = match entry.file_type() {
            FileType::Unknown => None,
            t => Some(t == FileType::Directory),
        };
        each(DirEntry { name, is_dir, ino: entry.ino() })?;
    }
    Ok(())
}
