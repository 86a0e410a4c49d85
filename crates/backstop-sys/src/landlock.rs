//! Landlock: signals and abstract sockets reach only processes of the same domain, and files can be
//! opened for writing only beneath the directories that are given. Takes handles; names no path.
//!
//! Rules for writing alone, and only where the view's ground is a read-only copy: a read-only mount
//! does not stop anybody from writing into a pipe. Reading has no rule, so it costs nothing.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

#[repr(C)]
struct Attr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// The kernel's struct is packed: no room behind the handle.
#[repr(C, packed)]
struct Beneath {
    allowed_access: u64,
    parent_fd: i32,
}

const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 2;
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const WRITE_FILE: u64 = 1 << 1;
/// Links and renames from one directory to another. Denied by any ruleset with rules for files, asked
/// for or not, so it has to be given back.
const REFER: u64 = 1 << 13;

/// The first version that can give `REFER` back.
const WITH_REFER: u32 = 2;
const WITH_SCOPES: u32 = 6;

/// What was confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confined {
    /// Signals and abstract sockets; the kernel can from 6.12 on.
    pub scoped: bool,
    /// Writing; the kernel can from 5.19 on. Also true where it was not asked for.
    pub writing: bool,
}

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
    confine(None).map(|c| c.scoped)
}

/// The same; and with `writable` nothing but these, and what lies beneath, can be opened for writing.
/// Mounts can't be made or taken away then. Needs `no_new_privs`.
pub fn confine(writable: Option<&[BorrowedFd<'_>]>) -> io::Result<Confined> {
    let version = version();
    let scoped = version >= WITH_SCOPES;
    let rules = writable.filter(|_| version >= WITH_REFER);
    let confined = Confined { scoped, writing: rules.is_some() == writable.is_some() };
    if !scoped && rules.is_none() {
        return Ok(confined);
    }
    let attr = Attr {
        handled_access_fs: if rules.is_some() { WRITE_FILE | REFER } else { 0 },
        handled_access_net: 0,
        scoped: if scoped { SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL } else { 0 },
    };
    // SAFETY: the struct outlives the call and has the size that is passed; older kernels take a longer
    // one whose further bytes are zero.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size_of::<Attr>(), 0u32) };
    if rc < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let ruleset = unsafe { OwnedFd::from_raw_fd(rc as i32) };
    for place in rules.unwrap_or_default() {
        allow(&ruleset, *place)?;
    }
    // SAFETY: a plain system call with a handle that we own.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    if rc == 0 { Ok(confined) } else { Err(io::Error::last_os_error()) }
}

fn allow(ruleset: &OwnedFd, place: BorrowedFd<'_>) -> io::Result<()> {
    let dir = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(place)?.st_mode).is_dir();
    let rule =
        Beneath { allowed_access: if dir { WRITE_FILE | REFER } else { WRITE_FILE }, parent_fd: place.as_raw_fd() };
    // SAFETY: the struct has the kernel's layout and outlives the call; both handles are open.
    let rc = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), RULE_PATH_BENEATH, &raw const rule, 0u32)
    };
    match rc {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // A pipe or socket without a name: no rule is needed for these, and none is taken.
            e if e.raw_os_error() == Some(libc::EBADFD) => Ok(()),
            e => Err(e),
        },
    }
}
