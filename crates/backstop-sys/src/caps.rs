//! Gives up capabilities for good. Takes which to keep; never adds one.

use std::io;

/// A set of capabilities by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps(u64);

macro_rules! caps {
    ($($name:ident = $n:expr),* $(,)?) => {
        impl Caps {
            $(#[doc = concat!("`CAP_", stringify!($name), "`.")] pub const $name: Self = Self(1 << $n);)*
        }
    };
}

caps! {
    CHOWN = 0, DAC_OVERRIDE = 1, FOWNER = 3, FSETID = 4, KILL = 5, SETGID = 6, SETUID = 7, SETPCAP = 8,
    NET_BIND_SERVICE = 10, NET_BROADCAST = 11, NET_ADMIN = 12, NET_RAW = 13, IPC_LOCK = 14, IPC_OWNER = 15,
    SYS_CHROOT = 18, SYS_NICE = 23, SYS_RESOURCE = 24, LEASE = 28, SETFCAP = 31,
}

impl Caps {
    /// None.
    pub const NONE: Self = Self(0);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Gives up every capability that this process has.
pub fn give_up() -> io::Result<()> {
    own(Caps::NONE)
}

/// Keeps none of its own but these.
fn own(keep: Caps) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Words::default(); 2];
    // SAFETY: version 3 means two data structs; both pointers are valid for the call.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for (word, shift) in words.iter_mut().zip([0, 32]) {
        let keep = (keep.0 >> shift) as u32;
        word.permitted &= keep;
        word.effective &= keep;
        word.inheritable = 0;
    }
    // SAFETY: as above; the kernel only reads the data.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes every capability but `keep` out of the bounding set, so that no program regains it, and
/// leaves this process with what of `keep` it has. Numbers that this code does not know go as well.
pub fn keep_only(keep: Caps) -> io::Result<()> {
    for n in 0..64 {
        if keep.0 & 1 << n != 0 {
            continue;
        }
        // SAFETY: plain system calls with numbers.
        let rc = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, n as libc::c_ulong, 0, 0, 0) };
        if rc != 0 {
            match io::Error::last_os_error() {
                // The first number after the last that this kernel has.
                e if e.raw_os_error() == Some(libc::EINVAL) => break,
                e => return Err(e),
            }
        }
    }
    own(keep)?;
    // SAFETY: a plain system call with numbers. Fails only on kernels without ambient capabilities.
    let rc = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
