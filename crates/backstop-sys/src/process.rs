//! One process' own affairs: its signals, descriptors, rights to be looked into, its children. All
//! of it for a process with a single thread.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::proc;
pub use libc::{
    ECHILD, ESRCH, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGWINCH,
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

/// Takes [`seal`] back in a copy of a sealed process, which is about to begin another program: until then whoever
/// watches it from outside has no right to look into it, not even at what it begins. Only where all that it has in its
/// memory is its own user's anyway: from here on that one can read it.
pub fn unseal() -> io::Result<()> {
    // SAFETY: a plain system call with numbers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) })
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

/// The last signal's number.
const LAST: c_int = 64;

/// The signals that this process ignores, but for `SIGPIPE`, which Rust does at start.
pub fn ignored() -> Vec<u8> {
    let is = |signal: &c_int| {
        let mut now = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks; `now` is valid for the call, and all zero is a valid value of it.
        let known = unsafe { libc::sigaction(*signal, std::ptr::null(), now.as_mut_ptr()) } == 0;
        // SAFETY: as above.
        known && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
    };
    (1..=LAST).filter(|s| *s != SIGPIPE).filter(is).map(|s| s as u8).collect()
}

/// Ignores these, and lets every other signal do what it does by default.
pub fn ignore_only(signals: &[u8]) {
    for signal in (1..=LAST).filter(|s| ![SIGKILL, SIGSTOP].contains(s)) {
        let action = if signals.iter().any(|s| c_int::from(*s) == signal) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: no handler of ours is involved. Of those that the C library keeps for itself it says no.
        unsafe { libc::signal(signal, action) };
    }
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

pub(crate) fn change(status: c_int) -> Change {
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

/// Kills a process of this number, where it is the one that was started then; false where that is gone.
pub fn kill_exactly(pid: i32, start: u64) -> io::Result<bool> {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let number = if pid > 1 { Pid::from_raw(pid) } else { None }.ok_or(io::ErrorKind::InvalidInput)?;
    // First: from here on it can't become another one's.
    let handle = match pidfd_open(number, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        other => other?,
    };
    if !proc::stat(&proc::place(pid)).is_ok_and(|now| now.start == start) {
        return Ok(false);
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

/// Waits for this child to end, and gives how; one that is stopped is killed.
pub fn end_of(pid: i32) -> io::Result<Change> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for the call.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) } == pid {
            match change(status) {
                Change::Stopped(_) => send(pid, SIGKILL)?,
                ended => return Ok(ended),
            }
        } else {
            let e = io::Error::last_os_error();
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e);
            }
        }
    }
}

/// How many descriptors this process may have open.
pub fn most_descriptors() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
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

/// Comes back in a child; this process lets go of everything, waits for it, and ends as it does. No signal but
/// `SIGKILL` ends the wait.
pub fn go_on_as_child() -> io::Result<()> {
    // SAFETY: this process has a single thread, so the copy can go on with ordinary code.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        pid => {
            // What is sent to the group, or by the terminal, is not for it.
            if Signals::all().block().is_err() {
                exit_now(1);
            }
            close_all_but(&[]);
            let mut status = 0;
            loop {
                // SAFETY: `status` is valid for the call.
                if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
                    exit_now(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) as u8 } else { 1 });
                }
                if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                    exit_now(1);
                }
            }
        }
    }
}

/// Becomes the program `argv[0]`, found as a shell would (`PATH`; a file without a known format is
/// given to `/bin/sh`), with this environment, or with this process' own byte for byte. Comes back only with an
/// error.
pub fn execute(argv: &[CString], environment: Option<&[CString]>) -> io::Error {
    let Some(program) = argv.first() else { return io::ErrorKind::InvalidInput.into() };
    let array = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let pointers = array(argv);
    let other = environment.map(array);
    if let Some(other) = &other {
        // SAFETY: no other thread reads or changes it: there is none. The array ends in null and lives until the
        // call below, after which this process either is another program or ends (it may only say why before).
        unsafe { environ = other.as_ptr().cast() };
    }
    // SAFETY: all strings end in NUL and outlive the call; the array ends in null. `execvp` reads
    // `environ`, which no other thread changes: there is none.
    unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
    let error = io::Error::last_os_error();
    // What it points to must not be freed while it does.
    std::mem::forget(other);
    error
}

unsafe extern "C" {
    /// The environment that `execvp` looks `PATH` up in and hands on.
    static mut environ: *const *const c_char;
}

/// One of this process' limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its number, as the kernel has it.
    pub which: u32,
    /// The soft one; `u64::MAX` for none.
    pub soft: u64,
    /// The hard one.
    pub hard: u64,
}

/// All limits of a process, as everybody may know them: asking the kernel for another's takes a right that root in a
/// container may lack.
pub fn limits(pid: i32) -> io::Result<Vec<Limit>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let found: Vec<Limit> = text.lines().filter_map(parse_limit).collect();
    // A kernel that says it otherwise is no reason to know of none.
    if found.len() < NAMES.len() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(found) }
}

/// The names of the limits in `/proc/PID/limits`, with their numbers.
const NAMES: [(&str, u32); 16] = [
    ("Max cpu time", libc::RLIMIT_CPU),
    ("Max file size", libc::RLIMIT_FSIZE),
    ("Max data size", libc::RLIMIT_DATA),
    ("Max stack size", libc::RLIMIT_STACK),
    ("Max core file size", libc::RLIMIT_CORE),
    ("Max resident set", libc::RLIMIT_RSS),
    ("Max processes", libc::RLIMIT_NPROC),
    ("Max open files", libc::RLIMIT_NOFILE),
    ("Max locked memory", libc::RLIMIT_MEMLOCK),
    ("Max address space", libc::RLIMIT_AS),
    ("Max file locks", libc::RLIMIT_LOCKS),
    ("Max pending signals", libc::RLIMIT_SIGPENDING),
    ("Max msgqueue size", libc::RLIMIT_MSGQUEUE),
    ("Max nice priority", libc::RLIMIT_NICE),
    ("Max realtime priority", libc::RLIMIT_RTPRIO),
    ("Max realtime timeout", libc::RLIMIT_RTTIME),
];

fn parse_limit(line: &str) -> Option<Limit> {
    let (name, which) = NAMES.iter().find(|(name, _)| line.starts_with(name))?;
    let mut words = line[name.len()..].split_whitespace();
    let mut number = || match words.next()? {
        "unlimited" => Some(u64::MAX),
        text => text.parse().ok(),
    };
    Some(Limit { which: *which, soft: number()?, hard: number()? })
}

fn limit(which: u32) -> io::Result<Limit> {
    let mut now = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` is valid for the call, which fills it.
    check(unsafe { libc::prlimit64(0, which as _, std::ptr::null(), &raw mut now) })?;
    Ok(Limit { which, soft: now.rlim_cur, hard: now.rlim_max })
}

/// Lowers this process' limits to these; raises none.
pub fn lower_limits(limits: &[Limit]) -> io::Result<()> {
    for wanted in limits {
        let now = limit(wanted.which)?;
        let hard = wanted.hard.min(now.hard);
        let new = libc::rlimit64 { rlim_cur: wanted.soft.min(hard), rlim_max: hard };
        // SAFETY: `new` is valid for the call, which only reads it.
        check(unsafe { libc::prlimit64(0, wanted.which as _, &raw const new, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Begins a session of its own: no terminal, and a group that it leads.
pub fn new_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Makes descriptor `to` the same as `from`, to be inherited.
pub fn duplicate_to(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: numbers; the caller answers for what `to` was.
    if unsafe { libc::dup2(from, to) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes descriptor `number` the same as `fd`, to be inherited. Whatever it was before is closed.
pub fn place(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == number {
        return Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?);
    }
    duplicate_to(fd.as_raw_fd(), number)
}

/// The same file by a descriptor of this number or a higher one.
pub fn at_least(fd: OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= number {
        return Ok(fd);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, number)?)
}

/// Sets this process' own name as others see it.
pub fn set_name(name: &CStr) -> io::Result<()> {
    // SAFETY: the name ends in NUL and outlives the call.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) })
}

/// How long the machine was awake since it was started; setting the time does not move that clock.
pub fn awake() -> Duration {
    reading(rustix::time::ClockId::Monotonic)
}

fn reading(clock: rustix::time::ClockId) -> Duration {
    let t = rustix::time::clock_gettime(clock);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Processor time this process has used, all its threads, without its children.
pub fn cpu_time() -> Duration {
    reading(rustix::time::ClockId::ProcessCPUTime)
}

/// The time that the calling thread has computed so far, waiting not counted: a bound on it means the
/// same on a busy machine as on an idle one.
pub fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec), u32::try_from(spent.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_that_everybody_may_know_are_those_that_the_kernel_says() {
        let own = limits(own_pid()).expect("limits");
        assert_eq!(own.len(), NAMES.len());
        for one in own {
            assert_eq!(limit(one.which).expect("the kernel's word"), one);
        }
        let processes = "Max processes             96364                unlimited            processes ";
        let expected = Limit { which: libc::RLIMIT_NPROC, soft: 96_364, hard: u64::MAX };
        assert_eq!(parse_limit(processes), Some(expected));
        assert_eq!(parse_limit("Limit                     Soft Limit           Hard Limit           Units     "), None);
    }
}
