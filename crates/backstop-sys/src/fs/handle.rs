//! File handles (`name_to_handle_at`): an inode's name that survives renames, as overlayfs stores it
//! in `overlay.origin`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's largest handle (`MAX_HANDLE_SZ`).
const MAX: usize = 128;

/// A file handle: its type and its opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileHandle {
    /// `handle_type`.
    pub kind: i32,
    /// `f_handle`.
    pub bytes: Vec<u8>,
}

#[repr(C)]
struct Raw {
    bytes: libc::c_uint,
    kind: libc::c_int,
    data: [u8; MAX],
}

/// The handle of `name` in `dir` (a link itself); none where the file system has no handles or no
/// such name.
pub fn file_handle(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<FileHandle>> {
    let name = std::ffi::CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut raw = Raw { bytes: MAX as libc::c_uint, kind: 0, data: [0; MAX] };
    let mut mount_id = 0;
    // SAFETY: `raw` has the layout of `struct file_handle` with room for `bytes` bytes, `name` is a
    // C string, and all three outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_raw_fd(),
            name.as_ptr(),
            &mut raw,
            &mut mount_id as *mut i32,
            0,
        )
    };
    if result == 0 {
        let length = (raw.bytes as usize).min(MAX);
        return Ok(Some(FileHandle { kind: raw.kind, bytes: raw.data[..length].to_vec() }));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOENT | libc::EOVERFLOW) => Ok(None),
        _ => Err(error),
    }
}

/// Opens the object behind a handle as `O_PATH`; needs CAP_DAC_READ_SEARCH. None where it is gone.
pub fn open_by_handle(mount: BorrowedFd<'_>, handle: &FileHandle) -> io::Result<Option<OwnedFd>> {
    let mut raw = Raw { bytes: handle.bytes.len().min(MAX) as libc::c_uint, kind: handle.kind, data: [0; MAX] };
    raw.data[..raw.bytes as usize].copy_from_slice(&handle.bytes[..raw.bytes as usize]);
    let flags = libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: `raw` has the layout of `struct file_handle` and outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &mut raw, flags) };
    if fd >= 0 {
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESTALE | libc::ENOENT) => Ok(None),
        _ => Err(error),
    }
}
