//! Content and attributes: hashes of what is new, comparison of what may be the same.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use backstop_core::bytes::Bytes;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::effect::{FileType, Node};
use backstop_core::time::Timestamp;
use backstop_sys::fs::{Stat, compare, open_file, xattr_at, xattr_names_at};

/// The extended attributes of a lower object, sorted, without an overlay's own marks.
pub(super) fn attributes(dir: BorrowedFd<'_>, name: &[u8], prefix: &str) -> io::Result<Vec<(Bytes, Bytes)>> {
    let mut all = Vec::new();
    for attr in xattr_names_at(dir, name)? {
        let marks = attr.strip_prefix(prefix.as_bytes()).is_some_and(|a| a.starts_with(b"overlay."));
        if let (false, Some(value)) = (marks, xattr_at(dir, name, &attr)?) {
            all.push((attr.into(), value.into()));
        }
    }
    all.sort();
    Ok(all)
}

/// The SHA-256 of a file.
pub(super) fn hash(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Digest> {
    let file = std::fs::File::from(open_file(dir, name)?);
    let mut hasher = ContentHasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut &file, &mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// True when two files have the same bytes.
pub(super) fn same(a: (BorrowedFd<'_>, &[u8]), b: (BorrowedFd<'_>, &[u8])) -> io::Result<bool> {
    let (left, right) = (open_file(a.0, a.1)?, open_file(b.0, b.1)?);
    compare(left.as_fd(), right.as_fd())
}

/// Where a link points.
pub(super) fn target(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Bytes> {
    let name = std::ffi::OsStr::from_bytes(name);
    backstop_sys::fs::read_link(dir, name.as_bytes()).map(Bytes::from)
}

/// A `Node` without content.
pub(super) fn node(stat: &Stat) -> Node {
    let file_type = FileType::from_mode(stat.mode);
    let device = matches!(file_type, FileType::CharDevice | FileType::BlockDevice);
    Node {
        content: None,
        ctime: Timestamp::from(stat.ctime),
        dev: stat.dev,
        gid: stat.gid,
        ino: stat.ino,
        mode: stat.mode & 0o7777,
        mtime: Timestamp::from(stat.mtime),
        nlink: stat.nlink,
        rdev: device.then_some(stat.rdev),
        size: stat.size,
        target: None,
        file_type,
        uid: stat.uid,
    }
}
