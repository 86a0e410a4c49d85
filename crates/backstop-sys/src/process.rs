//! One process' own affairs: its signals, descriptors, rights to be looked into, its children. All
//! of it for a process with a single thread.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub use libc::{
    ECHILD, ESRCH, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGTTIN,
    SIGTTOU,
};
use libc::{c_char, c_int};

fn check(rc: c_int) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Ends this process at once; nothing registered to run at exit does.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: ends the process; no memory is touched.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Gets this process killed when the thread that made it ends. Change of user or rights undoes it.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: a plain system call with numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })
}

/// Nothing executed from here on gains rights by a set-user-id bit or file capabilities.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: a plain system call with numbers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Keeps others without `CAP_SYS_PTRACE` from looking into this process: its memory, its descriptors,
/// and its program file, which is one of the real tree.
pub fn seal() -> io::Result<()> {
    // SAFETY: a plain system call with numbers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
}

/// Closes every descriptor from 0 up but these (sorted by number).
pub fn close_all_but(keep: &[RawFd]) {
    let mut first = 0u32;
    for fd in keep {
        let fd = *fd as u32;
        if fd > first {
            // SAFETY: the caller gives up everything in the range.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0u32) };
        }
        first = fd + 1;
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0u32) };
}

/// Sets the file mode creation mask and gives the one before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: always succeeds, touches no memory.
    unsafe { libc::umask(mask) }
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signals")
    }
}

impl Signals {
    /// These.
    pub fn of(signals: &[c_int]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset fills the set; sigaddset with a valid set only sets bits.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for s in signals {
                libc::sigaddset(set.as_mut_ptr(), *s);
            }
            Self(set.assume_init())
        }
    }

    /// Every signal.
    pub fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset fills the set.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// Blocks these as well; gives the mask before.
    pub fn block(&self) -> io::Result<Self> {
        let mut old = MaybeUninit::uninit();
        // SAFETY: both sets are valid for the call, which fills `old`.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const self.0, old.as_mut_ptr()) })?;
        // SAFETY: filled by the call that succeeded.
        Ok(Self(unsafe { old.assume_init() }))
    }

    /// Blocks exactly these.
    pub fn set(&self) -> io::Result<()> {
        // SAFETY: the set is valid for the call.
        check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) })
    }

    /// A descriptor that becomes readable when one of these (blocked) signals is pending.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: the set is valid for the call.
        let fd = unsafe { libc::signalfd(-1, &raw const self.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Takes one of these (blocked) signals, or none within `limit`.
    pub fn take(&self, limit: Duration) -> Option<c_int> {
        let limit = libc::timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
        // SAFETY: the set and the time are valid for the call; no siginfo is wanted.
        let signal = unsafe { libc::sigtimedwait(&raw const self.0, std::ptr::null_mut(), &raw const limit) };
        (signal > 0).then_some(signal)
    }
}

/// Takes one signal from a descriptor of [`Signals::descriptor`], and whether the kernel itself (a
/// terminal) sent it; none when there is none.
pub fn taken(descriptor: &OwnedFd) -> Option<(c_int, bool)> {
    const KERNEL: i32 = 0x80;
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    let got = rustix::io::read(descriptor, &mut info[..]).ok()?;
    let word = |at: usize| Some(i32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
    // `ssi_signo`, `ssi_errno`, `ssi_code`.
    (got == info.len()).then_some((word(0)?, word(8)? == KERNEL))
}

/// The effective user and group.
pub fn own_ids() -> (u32, u32) {
    // SAFETY: always succeed.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// True for user 0.
pub fn is_root() -> bool {
    own_ids().0 == 0
}

/// This process' number.
pub fn own_pid() -> c_int {
    // SAFETY: always succeeds.
    unsafe { libc::getpid() }
}

/// Lets a signal do what it does by default.
pub fn default_action(signal: c_int) {
    // SAFETY: restores the kernel's own handling; no handler of ours is involved.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Sends a signal; 0 for the own process group, -1 for all that can be reached.
pub fn send(pid: i32, signal: c_int) -> io::Result<()> {
    // SAFETY: a plain system call with numbers.
    check(unsafe { libc::kill(pid, signal) })
}

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended with this code.
    Ended(u8),
    /// This signal ended it.
    Killed(u8),
    /// This signal stopped it.
    Stopped(u8),
    /// It goes on.
    Resumed,
}

/// Waits for a change of any child (without `wait`: only looks). `Ok(None)`: nothing has changed;
/// an error of kind `ECHILD`: there is no child left.
pub fn wait_any(wait: bool) -> io::Result<Option<(i32, Change)>> {
    let mut status = 0;
    let flags = libc::WUNTRACED | libc::WCONTINUED | if wait { 0 } else { libc::WNOHANG };
    // SAFETY: `status` is valid for the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => Ok(Some((pid, change(status)))),
    }
}

fn change(status: c_int) -> Change {
    if libc::WIFEXITED(status) {
        Change::Ended(libc::WEXITSTATUS(status) as u8)
    } else if libc::WIFSIGNALED(status) {
        Change::Killed(libc::WTERMSIG(status) as u8)
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status) as u8)
    } else {
        Change::Resumed
    }
}

/// Waits for this child to end.
pub fn reap(pid: i32) -> io::Result<()> {
    loop {
        // SAFETY: no status is wanted.
        if unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } >= 0 {
            return Ok(());
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
}

/// Makes a child that runs `body` and ends with its code; gives the child's number.
pub fn fork(body: impl FnOnce() -> u8) -> io::Result<i32> {
    // SAFETY: this process has a single thread, so the copy can go on with ordinary code.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(125);
            exit_now(code)
        }
        pid => Ok(pid),
    }
}

/// Becomes the program `argv[0]`, found as a shell would (`PATH`; a file without a known format is
/// given to `/bin/sh`), with this process' environment byte for byte. Comes back only with an error.
pub fn execute(argv: &[CString]) -> io::Error {
    let Some(program) = argv.first() else { return io::ErrorKind::InvalidInput.into() };
    let mut pointers: Vec<*const c_char> = argv.iter().map(|a| a.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: all strings end in NUL and outlive the call; the array ends in null. `execvp` reads
    // `environ`, which no other thread changes: there is none.
    unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Makes descriptor `to` the same as `from`, to be inherited.
pub fn duplicate_to(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: numbers; the caller answers for what `to` was.
    if unsafe { libc::dup2(from, to) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets this process' own name as others see it.
pub fn set_name(name: &CStr) -> io::Result<()> {
    // SAFETY: the name ends in NUL and outlives the call.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) })
}

/// Processor time this process has used, all its threads, without its children.
pub fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// The time that the calling thread has computed so far, waiting not counted: a bound on it means the
/// same on a busy machine as on an idle one.
pub fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec), u32::try_from(spent.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
