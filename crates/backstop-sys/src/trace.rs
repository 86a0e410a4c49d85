//! Catches a process on its way into another program, and lets it go there: in between its executable, arguments and parent
//! can be seen. Takes a process that waits in `execve`; by ptrace, and only until the next thing that happens to it, so that
//! whoever wants to debug it later can.
//!
//! Only a process of one thread. To seize a thread takes a lock of its process that an `execve` of another thread holds as
//! long as it waits for all threads to be gone; and a thread that is traced is gone only when its tracer has looked. Of two
//! that are traced, and begin at once, each waits for the other (`de_thread` and `ptrace_attach` in the kernel).

use std::ffi::{c_int, c_uint, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use crate::process::{Change, change};

/// A process on its way. Who made this has to look after it, from the same thread of its own, until it is [`Seen::Gone`] or
/// let go: what happens to it meanwhile stops it.
#[derive(Debug)]
pub struct Caught(i32);

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet: the call goes on, or came to nothing and the old program does.
    Nothing,
    /// It stands before the first step of its new program.
    Begins,
    /// Its call came to nothing, and it stands with a signal (or none) that it is to get.
    Stands(c_int),
    /// There is nothing to look after any more.
    Gone,
}

impl Caught {
    /// Catches a process, of one thread, by its number here. An error where somebody else has caught it, or where this kernel
    /// does not let us.
    pub fn catch(process: i32) -> io::Result<Self> {
        let options = libc::PTRACE_O_TRACEEXEC as usize as *mut c_void;
        ptrace(libc::PTRACE_SEIZE, process, options)?;
        Ok(Self(process))
    }

    /// Looks what became of it, without waiting.
    pub fn look(&self) -> io::Result<Seen> {
        self.next(libc::WNOHANG)
    }

    fn next(&self, flags: c_int) -> io::Result<Seen> {
        match wait_for(self.0, flags) {
            // One that began other threads since, and became another program by one of them, is no longer ours.
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => Ok(Seen::Gone),
            Err(e) => Err(e),
            Ok(None) => Ok(Seen::Nothing),
            Ok(Some(status)) if !libc::WIFSTOPPED(status) => Ok(Seen::Gone),
            Ok(Some(status)) => Ok(match (status as c_uint >> 16) as c_int {
                libc::PTRACE_EVENT_EXEC => Seen::Begins,
                0 => Seen::Stands(libc::WSTOPSIG(status)),
                // As all of its process does; it goes on standing when it is let go.
                _ => Seen::Stands(0),
            }),
        }
    }

    /// Lets it go on, by itself, with this signal or (0) none. It has to stand. False where it does not any more, because it
    /// is being killed: then its end is still to be looked at.
    pub fn let_go(&self, signal: c_int) -> io::Result<bool> {
        match ptrace(libc::PTRACE_DETACH, self.0, signal as usize as *mut c_void) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Waits until it is dead, where it is being killed.
    pub fn bury(&self) -> io::Result<()> {
        loop {
            match self.next(0)? {
                Seen::Gone => return Ok(()),
                // A stop that came before the signal that kills.
                Seen::Begins | Seen::Stands(_) => {
                    if self.let_go(0)? {
                        return Ok(());
                    }
                }
                Seen::Nothing => {}
            }
        }
    }
}

fn ptrace(request: c_uint, thread: i32, data: *mut c_void) -> io::Result<()> {
    // SAFETY: both requests that are made here take numbers, and touch no memory of ours.
    match unsafe { libc::ptrace(request, thread, std::ptr::null_mut::<c_void>(), data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn wait_for(process: i32, flags: c_int) -> io::Result<Option<c_int>> {
    let mut status = 0;
    // SAFETY: `status` is valid for the call.
    match unsafe { libc::waitpid(process, &raw mut status, flags | libc::__WALL) } {
        -1 => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => Ok(None),
            e => Err(e),
        },
        0 => Ok(None),
        _ => Ok(Some(status)),
    }
}

/// A handle on a process, which stays its own after its end.
pub fn handle(process: i32) -> io::Result<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let number = Pid::from_raw(process).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(number, PidfdFlags::empty())?)
}

/// `struct pidfd_info` of Linux 6.13, as long as it was in its first version.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit: i32,
}

const GET_INFO: u32 = 0xC040_FF0B;
const INFO_EXIT: u64 = 1 << 3;

/// How a process ended, by a handle that was taken while it lived; none where it lives, nobody has waited for it yet, or
/// this kernel does not tell (before Linux 6.15).
pub fn end_of(handle: BorrowedFd<'_>) -> Option<Change> {
    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    // SAFETY: the number encodes the struct's size, 64 bytes; the kernel reads and fills it.
    let rc = unsafe { libc::ioctl(handle.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (rc == 0 && info.mask & INFO_EXIT != 0).then(|| change(info.exit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn becomes(caught: &Caught) -> Seen {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match caught.look().expect("a look") {
                Seen::Nothing if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
                seen => return seen,
            }
        }
    }

    /// Since Linux 6.15.
    fn tells_ends() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
        let mut numbers = release.split(['.', '-']).map(|n| n.trim().parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(6), Some(15))
    }

    /// A shell that waits for a line, and then begins another program. It has said something: when it is made it may
    /// not yet have begun itself.
    fn on_its_way(line: &str) -> std::process::Child {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("echo here; read -r x; {line}")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().expect("a shell");
        let mut said = [0; 5];
        shell.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("a word");
        shell
    }

    #[test]
    fn what_is_caught_stands_before_its_new_program_and_goes_on_when_it_is_let_go() {
        let mut shell = on_its_way("exec cat nothing-of-this-name 2>/dev/null");
        let pid = shell.id().cast_signed();
        let end = handle(pid).expect("a handle");
        let caught = Caught::catch(pid).expect("nobody else has");
        assert!(Caught::catch(pid).is_err(), "it is ours already");
        drop(shell.stdin.take());
        assert_eq!(becomes(&caught), Seen::Begins);
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).expect("its words");
        assert_eq!(words, b"cat\0nothing-of-this-name\0");
        assert_eq!(end_of(end.as_fd()), None);
        assert!(caught.let_go(0).expect("it stands"));
        assert_eq!(shell.wait().expect("an end").code(), Some(1));
        let expected = tells_ends().then_some(Change::Ended(1));
        assert_eq!(end_of(end.as_fd()), expected);
    }

    #[test]
    fn a_signal_that_comes_instead_is_passed_on() {
        let mut shell = on_its_way("exit 3");
        let pid = shell.id().cast_signed();
        let caught = Caught::catch(pid).expect("nobody else has");
        crate::process::send(pid, libc::SIGTERM).expect("sent");
        assert_eq!(becomes(&caught), Seen::Stands(libc::SIGTERM));
        assert!(caught.let_go(libc::SIGTERM).expect("it stands"));
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(shell.wait().expect("an end").signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn what_is_killed_while_it_is_caught_is_buried() {
        let mut shell = on_its_way("exit 3");
        let pid = shell.id().cast_signed();
        let caught = Caught::catch(pid).expect("nobody else has");
        crate::process::send(pid, libc::SIGKILL).expect("sent");
        caught.bury().expect("dead");
        // Taken off the process table: it was our own child.
        assert_eq!(shell.wait().expect_err("nobody left").raw_os_error(), Some(libc::ECHILD));
    }
}
