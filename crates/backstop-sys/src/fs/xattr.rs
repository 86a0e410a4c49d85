//! Extended attributes of a name, links themselves included, without opening the object.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::io::Errno;

/// `/proc/self/fd/N/name`: the directory by its handle, the last step not followed by the `l…xattr`
/// calls. There is no `…at` form before Linux 6.13.
fn path(dir: BorrowedFd<'_>, name: &[u8]) -> OsString {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(if name.is_empty() { b"." } else { name });
    OsString::from_vec(path)
}

/// The names of all attributes; empty where the file system has none.
pub fn list_at(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let path = path(dir, name);
    let mut buffer = vec![0; 1024];
    loop {
        match rustix::fs::llistxattr(&path, &mut buffer[..]) {
            Ok(n) => {
                let names = buffer[..n].split(|&b| b == 0).filter(|n| !n.is_empty());
                return Ok(names.map(<[u8]>::to_vec).collect());
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 17 => buffer.resize(buffer.len() * 4, 0),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// One attribute's value; none where it is absent.
pub fn read_at(dir: BorrowedFd<'_>, name: &[u8], attr: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let path = path(dir, name);
    let mut buffer = vec![0; 256];
    loop {
        match rustix::fs::lgetxattr(&path, attr, &mut buffer[..]) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 17 => buffer.resize(buffer.len() * 8, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
}
