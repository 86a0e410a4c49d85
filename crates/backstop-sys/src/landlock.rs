//! Landlock's scopes: signals and abstract sockets reach only processes of the same domain. No
//! rules for files: the view has those, and rules would cost on every path.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

#[repr(C)]
struct Attr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 2;
const CREATE_RULESET_VERSION: u32 = 1;

/// The interface's version; 0 where there is none.
pub fn version() -> u32 {
    // SAFETY: with a null attribute and size 0, this flag only asks for a number.
    let rc = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<Attr>(), 0usize, CREATE_RULESET_VERSION)
    };
    u32::try_from(rc).unwrap_or(0)
}

/// Confines signals and abstract sockets of this process and its children to each other. False
/// where the kernel (before 6.12) can't. Needs `no_new_privs`.
pub fn scope() -> io::Result<bool> {
    let attr = Attr { handled_access_fs: 0, handled_access_net: 0, scoped: SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL };
    // SAFETY: the struct outlives the call and has the size that is passed.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size_of::<Attr>(), 0u32) };
    if rc < 0 {
        return match io::Error::last_os_error() {
            // Older: an unknown field that is not zero; none: no such call, or switched off at boot.
            e if matches!(e.raw_os_error(), Some(libc::E2BIG | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)) => {
                Ok(false)
            }
            e => Err(e),
        };
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let rules = unsafe { OwnedFd::from_raw_fd(rc as i32) };
    // SAFETY: a plain system call with a handle that we own.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0u32) };
    if rc == 0 { Ok(true) } else { Err(io::Error::last_os_error()) }
}
