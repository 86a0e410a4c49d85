//! Makes a process that is the first of its own namespaces. Takes which, gives a handle by which
//! it is watched, killed and awaited; the process dies with the one that made it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fs::{AtFlags, CWD, statat};

use crate::channel::Channel;
use crate::process;

/// Namespaces beyond those for mounts, processes, IPC, names and control groups, which are always new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spaces {
    /// Users: for a caller without the machine's rights.
    pub user: bool,
    /// Network.
    pub net: bool,
}

impl Spaces {
    fn flags(self) -> u64 {
        let base = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        let user = if self.user { libc::CLONE_NEWUSER } else { 0 };
        let net = if self.net { libc::CLONE_NEWNET } else { 0 };
        u64::from((base | user | net) as u32) | libc::CLONE_NEWCGROUP as u64
    }
}

/// The first process of new namespaces, seen from outside.
#[derive(Debug)]
pub struct Init {
    pid: i32,
    pidfd: OwnedFd,
    /// The process between us and it, where there had to be one.
    between: Option<i32>,
}

impl Init {
    /// Its number outside.
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable once it, and with it everything in its process namespace, is dead.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills it, and with it everything in its process namespace.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Lets it go on where somebody stopped it: whoever is its user may.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(libc::SIGCONT)
    }

    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        // SAFETY: a plain system call on a handle that we own; a null siginfo is allowed.
        let rc = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match rc {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
                e => Err(e),
            },
        }
    }

    /// Waits until it is dead, and takes it off the process table.
    pub fn reap(self) -> io::Result<()> {
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        while let Err(e) = rustix::event::poll(&mut fds, None) {
            if e != rustix::io::Errno::INTR {
                return Err(e.into());
            }
        }
        process::reap(self.between.unwrap_or(self.pid))
    }
}

/// Makes the process and runs `body` in it; what `body` returns is its exit code. `body` runs in a
/// copy of this process: what it changes is not seen here.
pub fn spawn(spaces: Spaces, body: impl FnOnce() -> u8) -> io::Result<Init> {
    if single_threaded() { direct(spaces, body) } else { by_way_of_another(spaces, body) }
}

/// `/proc/self/task` has one directory per thread, and so one link per thread beyond its own two.
fn single_threaded() -> bool {
    statat(CWD, c"/proc/self/task", AtFlags::empty()).is_ok_and(|st| st.st_nlink <= 3)
}

fn direct(spaces: Spaces, body: impl FnOnce() -> u8) -> io::Result<Init> {
    let mut pidfd: i32 = -1;
    // SAFETY: all zero is a valid clone_args: no stack, no tid pointers, so that the child goes on
    // with a copy of this stack, as after fork.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = spaces.flags() | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has a copy of all memory. The C library's fork handlers do
    // not run, which matters only where another thread could hold one of its locks: there is none.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => finish(body),
        _ => {
            // SAFETY: the kernel has just made this descriptor for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Init { pid: pid as i32, pidfd, between: None })
        }
    }
}

/// With other threads about, only the C library's own fork leaves its locks usable in the child; and
/// that fork makes no namespaces. So it makes a process that makes the process.
fn by_way_of_another(spaces: Spaces, body: impl FnOnce() -> u8) -> io::Result<Init> {
    let (ours, theirs) = Channel::pair()?;
    // SAFETY: the child runs ordinary code, as the C library's fork allows where its handlers have
    // put the allocator right; it uses no lock of another thread of this program.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            finish(|| {
                if process::die_with_parent().is_err() {
                    return 1;
                }
                match direct(spaces, body) {
                    Err(e) => {
                        let code = e.raw_os_error().unwrap_or(libc::EIO);
                        u8::from(theirs.send(&[b"E".as_slice(), &code.to_ne_bytes()].concat(), &[]).is_err())
                    }
                    Ok(init) => {
                        let sent = theirs.send(&[b"P".as_slice(), &init.pid.to_ne_bytes()].concat(), &[init.handle()]);
                        if sent.is_err() {
                            return 1;
                        }
                        // Everything inherited is closed here, so that ends of pipes are seen.
                        process::close_all_but(&[init.pidfd.as_raw_fd()]);
                        u8::from(init.reap().is_err())
                    }
                }
            })
        }
        between => {
            drop(theirs);
            let (message, mut handles) = ours.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let number = message.get(1..5).and_then(|b| b.try_into().ok()).map_or(0, i32::from_ne_bytes);
            match (message.first(), handles.pop()) {
                (Some(b'P'), Some(pidfd)) => Ok(Init { pid: number, pidfd, between: Some(between) }),
                _ => {
                    process::reap(between)?;
                    Err(io::Error::from_raw_os_error(number))
                }
            }
        }
    }
}

/// Ends the copied process without running anything that belongs to the original.
fn finish(body: impl FnOnce() -> u8) -> ! {
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(125);
    process::exit_now(code)
}

/// In a new user namespace: maps the user and the group to themselves, and nothing else.
pub fn map_self(uid: u32, gid: u32) -> io::Result<()> {
    // Without this the kernel refuses a group map by somebody without rights (CVE-2014-8989).
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// In a new network namespace: brings the loopback device up.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: a plain system call; the result is checked below.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is a valid ifreq with a terminated name, and outlives the call.
    let rc = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
