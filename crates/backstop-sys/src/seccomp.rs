//! The filter on system calls that a command in the view runs under. Takes what is to be told and
//! which sockets can be made; installs it for good in this process and all it starts.
//!
//! Written out here and not by a crate: numbers of another architecture, and x32 numbers, have to
//! fail as "no such call", not kill the program; the crates at hand only kill.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::{c_long, sock_filter};

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const GE: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RET: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const fn arg_low(n: u32) -> u32 {
    // Both architectures are little-endian: the low half comes first.
    16 + 8 * n
}

#[cfg(target_arch = "x86_64")]
const THIS_ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const THIS_ARCH: u32 = 0xC000_00B7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the system call filter knows x86_64 and aarch64");

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const LISTENER: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const fn errno(e: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | e as u32
}

/// As above: the high half.
const fn arg_high(n: u32) -> u32 {
    arg_low(n) + 4
}

/// Refused outright. Each would reach past the view: other mounts, other namespaces, the kernel's
/// own state, or files by number instead of by path.
const REFUSED: &[c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_setns,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Since 6.15; one number on every architecture.
const SYS_OPEN_TREE_ATTR: c_long = 467;

const NEW_NAMESPACE: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
/// `CLONE_NEWTIME`; in `clone` the same bit belongs to the exit signal.
const NEW_TIME: u32 = 0x80;

const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Calls that change something by its path, and which of their arguments that path is.
const WRITES: &[(c_long, usize)] = &[
    (libc::SYS_fchmodat, 1),
    (SYS_FCHMODAT2, 1),
    (libc::SYS_fchownat, 1),
    (libc::SYS_linkat, 3),
    (libc::SYS_lremovexattr, 0),
    (libc::SYS_lsetxattr, 0),
    (libc::SYS_mkdirat, 1),
    (libc::SYS_mknodat, 1),
    (libc::SYS_removexattr, 0),
    (libc::SYS_renameat, 1),
    (libc::SYS_renameat2, 1),
    (libc::SYS_setxattr, 0),
    (libc::SYS_symlinkat, 2),
    (libc::SYS_truncate, 0),
    (libc::SYS_unlinkat, 1),
    (libc::SYS_utimensat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chown, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lchown, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, 0),
];

/// Since 6.6; one number on every architecture.
const SYS_FCHMODAT2: c_long = 452;

/// Calls that open a path, which argument the path is, and which the flags are.
const OPENS: &[(c_long, usize, u32)] = &[
    (libc::SYS_openat, 1, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 0, 1),
];

/// Flags of an opening that is meant to change something.
const TO_WRITE: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32;

/// Which argument of a call that was told is the path it would change; none where it changes none.
/// With an argument before it, that one is the directory the path is taken from.
pub(crate) fn path_argument(nr: c_long) -> Option<usize> {
    let opens = OPENS.iter().map(|(nr, path, _)| (*nr, *path));
    WRITES.iter().copied().chain(opens).find(|(n, _)| *n == nr).map(|(_, path)| path)
}

fn program(tell: Tell, sockets: Sockets) -> Vec<sock_filter> {
    let mut p =
        vec![op(LOAD, 0, 0, ARCH), op(EQ, 1, 0, THIS_ARCH), op(RET, 0, 0, errno(libc::ENOSYS)), op(LOAD, 0, 0, NR)];
    if cfg!(target_arch = "x86_64") {
        // x32: the same calls under other numbers, which would walk past every line below.
        p.extend([op(GE, 0, 1, 0x4000_0000), op(RET, 0, 0, errno(libc::ENOSYS))]);
    }
    let mut simple = |nr: c_long, answer: u32| p.extend([op(EQ, 0, 1, nr as u32), op(RET, 0, 0, answer)]);
    for nr in REFUSED {
        simple(*nr, errno(libc::EPERM));
    }
    // Its flags lie in memory, where a filter can't look; C libraries fall back to `clone`.
    simple(libc::SYS_clone3, errno(libc::ENOSYS));
    if tell == Tell::Writes {
        for (nr, _) in WRITES {
            simple(*nr, NOTIFY);
        }
    }
    if tell != Tell::Nothing {
        simple(libc::SYS_execve, NOTIFY);
        simple(libc::SYS_execveat, NOTIFY);
        simple(libc::SYS_connect, NOTIFY);
        // With an address it is a connection of one message; without, it goes where `connect` led.
        p.extend([
            op(EQ, 0, 6, libc::SYS_sendto as u32),
            op(LOAD, 0, 0, arg_low(4)),
            op(EQ, 0, 2, 0),
            op(LOAD, 0, 0, arg_high(4)),
            op(EQ, 1, 0, 0),
            op(RET, 0, 0, NOTIFY),
            op(RET, 0, 0, ALLOW),
        ]);
    }
    if tell == Tell::Writes {
        for (nr, _, flags) in OPENS {
            p.extend([
                op(EQ, 0, 4, *nr as u32),
                op(LOAD, 0, 0, arg_low(*flags)),
                op(SET, 0, 1, TO_WRITE),
                op(RET, 0, 0, NOTIFY),
                op(RET, 0, 0, ALLOW),
            ]);
        }
    }
    let families = sockets.families();
    if !families.is_empty() {
        let n = families.len() as u8;
        // Pairs stay: they have no name, so they lead nowhere.
        p.extend([op(EQ, 0, n + 3, libc::SYS_socket as u32), op(LOAD, 0, 0, arg_low(0))]);
        p.extend((0..n).map(|i| op(EQ, n - i, 0, families[usize::from(i)] as u32)));
        p.extend([op(RET, 0, 0, errno(libc::EACCES)), op(RET, 0, 0, ALLOW)]);
    }
    let mut by_bits = |nr: c_long, arg: u32, bits: u32| {
        p.extend([
            op(EQ, 0, 4, nr as u32),
            op(LOAD, 0, 0, arg_low(arg)),
            op(SET, 0, 1, bits),
            op(RET, 0, 0, errno(libc::EPERM)),
            op(RET, 0, 0, ALLOW),
        ]);
    };
    by_bits(libc::SYS_clone, 0, NEW_NAMESPACE);
    by_bits(libc::SYS_unshare, 0, NEW_NAMESPACE | NEW_TIME);
    // Both put characters into a terminal as if typed: into the caller's own shell, afterwards.
    p.extend([
        op(EQ, 0, 4, libc::SYS_ioctl as u32),
        op(LOAD, 0, 0, arg_low(1)),
        op(EQ, 1, 0, libc::TIOCSTI as u32),
        op(EQ, 0, 1, libc::TIOCLINUX as u32),
        op(RET, 0, 0, errno(libc::EPERM)),
    ]);
    p.push(op(RET, 0, 0, ALLOW));
    p
}

/// Which sockets a command can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// Any; where they lead is the view's matter.
    All,
    /// Those that a network namespace holds. Others (to the machine's hypervisor, its crypto engine, its
    /// bluetooth) know no namespace, so a run without a network would have one after all.
    Held,
    /// As [`Sockets::Held`], and no local ones but pairs: in a view that shows the machine's own sockets,
    /// each would lead to a program outside.
    Nameless,
}

impl Sockets {
    /// The families that are let through; empty is all.
    const fn families(self) -> &'static [i32] {
        match self {
            Self::All => &[],
            Self::Held => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
            Self::Nameless => &[libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
        }
    }
}

/// What is told while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Nothing.
    Nothing,
    /// Every program that is to be started, every `connect`, and every `sendto` with an address.
    Connects,
    /// These, and every call that would change something by its path.
    Writes,
}

/// Installs the filter; needs `no_new_privs`. Where something is to be told the listener is given on
/// which it is; none where the kernel has no such thing.
pub fn install(tell: Tell, sockets: Sockets) -> io::Result<Option<OwnedFd>> {
    if tell != Tell::Nothing {
        // Without the second, a signal that comes while somebody listens makes a program's start fail.
        for flags in [LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, LISTENER] {
            match load(&program(tell, sockets), flags) {
                // SAFETY: with these flags the kernel gives a descriptor that it has just made for us.
                Ok(fd) => return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
                // Before 5.19, before 5.0, or a filter of a caller listens already.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EBUSY)) => {}
                Err(e) => return Err(e),
            }
        }
    }
    load(&program(Tell::Nothing, sockets), 0).map(|_| None)
}

fn load(program: &[sock_filter], flags: libc::c_ulong) -> io::Result<i32> {
    let prog = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program and its header outlive the call; the kernel copies and checks it.
    let rc = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const prog) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would, for one call.
    fn verdict(p: &[sock_filter], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(nr.to_le_bytes());
        data.extend(arch.to_le_bytes());
        data.extend([0; 8]);
        args.iter().for_each(|a| data.extend(a.to_le_bytes()));
        let (mut at, mut acc) = (0, 0);
        loop {
            let i = p[at];
            at += 1;
            let jump = |yes| usize::from(if yes { i.jt } else { i.jf });
            match i.code {
                LOAD => acc = u32::from_le_bytes(data[i.k as usize..][..4].try_into().expect("four bytes")),
                EQ => at += jump(acc == i.k),
                GE => at += jump(acc >= i.k),
                SET => at += jump(acc & i.k != 0),
                RET => return i.k,
                other => panic!("unknown instruction {other}"),
            }
        }
    }

    #[test]
    fn calls_get_their_verdicts() {
        let eperm = errno(libc::EPERM);
        let enosys = errno(libc::ENOSYS);
        let newuser = libc::CLONE_NEWUSER as u64;
        for (nr, args, expected) in [
            (libc::SYS_read, [0; 6], ALLOW),
            (libc::SYS_mount, [0; 6], eperm),
            (libc::SYS_clone3, [0; 6], enosys),
            (libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0], ALLOW),
            (libc::SYS_clone, [newuser, 0, 0, 0, 0, 0], eperm),
            (libc::SYS_unshare, [libc::CLONE_FS as u64, 0, 0, 0, 0, 0], ALLOW),
            (libc::SYS_unshare, [newuser, 0, 0, 0, 0, 0], eperm),
            (libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], eperm),
            // The kernel looks at 32 bits of the request only.
            (libc::SYS_ioctl, [0, libc::TIOCSTI | 1 << 32, 0, 0, 0, 0], eperm),
            (libc::SYS_ioctl, [0, libc::TIOCLINUX, 0, 0, 0, 0], eperm),
            (libc::SYS_ioctl, [0, libc::TIOCGWINSZ, 0, 0, 0, 0], ALLOW),
            (libc::SYS_connect, [0; 6], NOTIFY),
            (libc::SYS_sendto, [3, 4096, 5, 0, 0, 0], ALLOW),
            (libc::SYS_sendto, [3, 4096, 5, 0, 4096, 16], NOTIFY),
            (libc::SYS_sendto, [3, 4096, 5, 0, 1 << 32, 16], NOTIFY),
            (libc::SYS_execve, [0; 6], NOTIFY),
            (libc::SYS_execveat, [0; 6], NOTIFY),
        ] {
            assert_eq!(
                verdict(&program(Tell::Connects, Sockets::All), THIS_ARCH, nr as u32, args),
                expected,
                "{nr} {args:?}"
            );
        }
        assert_eq!(verdict(&program(Tell::Nothing, Sockets::All), THIS_ARCH, libc::SYS_connect as u32, [0; 6]), ALLOW);
        assert_eq!(
            verdict(
                &program(Tell::Nothing, Sockets::All),
                THIS_ARCH,
                libc::SYS_sendto as u32,
                [3, 4096, 5, 0, 4096, 16]
            ),
            ALLOW
        );
        assert_eq!(verdict(&program(Tell::Connects, Sockets::All), 0x4000_0003, 21, [0; 6]), enosys, "a 32-bit call");
        let eacces = errno(libc::EACCES);
        for (sockets, family, expected) in [
            (Sockets::Nameless, libc::AF_UNIX, eacces),
            (Sockets::Nameless, libc::AF_INET, ALLOW),
            (Sockets::Nameless, libc::AF_NETLINK, ALLOW),
            (Sockets::Nameless, libc::AF_VSOCK, eacces),
            (Sockets::Held, libc::AF_UNIX, ALLOW),
            (Sockets::Held, libc::AF_INET6, ALLOW),
            (Sockets::Held, libc::AF_VSOCK, eacces),
            (Sockets::Held, libc::AF_ALG, eacces),
            (Sockets::All, libc::AF_UNIX, ALLOW),
            (Sockets::All, libc::AF_VSOCK, ALLOW),
        ] {
            let args = [family as u64, 1, 0, 0, 0, 0];
            assert_eq!(verdict(&program(Tell::Connects, sockets), THIS_ARCH, libc::SYS_socket as u32, args), expected);
        }
        let (reading, writing) = (libc::O_RDONLY | libc::O_CLOEXEC, libc::O_WRONLY | libc::O_APPEND);
        for (nr, args, expected) in [
            (libc::SYS_openat, [0, 0, reading as u64, 0, 0, 0], ALLOW),
            (libc::SYS_openat, [0, 0, writing as u64, 0, 0, 0], NOTIFY),
            (libc::SYS_openat, [0, 0, libc::O_CREAT as u64, 0, 0, 0], NOTIFY),
            (libc::SYS_unlinkat, [0; 6], NOTIFY),
            (libc::SYS_connect, [0; 6], NOTIFY),
            (libc::SYS_mount, [0; 6], eperm),
            (libc::SYS_socket, [libc::AF_UNIX as u64, 1, 0, 0, 0, 0], eacces),
        ] {
            let got = verdict(&program(Tell::Writes, Sockets::Nameless), THIS_ARCH, nr as u32, args);
            assert_eq!(got, expected, "{nr} {args:?} while only reading");
        }
        if cfg!(target_arch = "x86_64") {
            assert_eq!(
                verdict(&program(Tell::Connects, Sockets::All), THIS_ARCH, 0x4000_0000 | 165, [0; 6]),
                enosys,
                "an x32 call"
            );
        }
    }
}
