//! Being served before others, for as long as it takes to hold them. Takes no right that the process has not got.

use std::ffi::c_int;
use std::io;

fn check(rc: libc::c_long) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// This process is served before others until this is dropped: as root by `SCHED_FIFO`, the least of it, else by a short
/// slice (Linux 6.12: a task that asks for less at a time gets it sooner). A nice value would not do: where sessions are
/// groups of their own (`sched_autogroup`), it counts in one's own alone.
#[derive(Debug)]
pub struct First {
    before: Option<Before>,
}

/// What is to be put back.
#[derive(Clone, Copy)]
enum Before {
    Class(c_int, libc::sched_param),
    Slice,
}

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class(class, was) => write!(f, "Class({class}, {})", was.sched_priority),
            Self::Slice => f.write_str("Slice"),
        }
    }
}

/// The shortest slice that can be asked for, in nanoseconds.
const SLICE: u64 = 100_000;

/// `struct sched_attr` as of its first size (`sched_setattr(2)`).
#[repr(C)]
struct Attributes {
    size: u32,
    class: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for a slice of so many nanoseconds, 0 for the usual one, and changes nothing else. A kernel that knows none takes
/// it for no change at all.
fn slice(nanoseconds: u64) -> io::Result<()> {
    let nice = rustix::process::getpriority_process(None)?;
    let size = size_of::<Attributes>() as u32;
    let class = libc::SCHED_OTHER as u32;
    let wanted = Attributes { size, class, flags: 0, nice, priority: 0, runtime: nanoseconds, deadline: 0, period: 0 };
    // SAFETY: the value has the size that it names and lives until the call's end; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) })
}

impl First {
    /// From here on. Without the right to it, nothing changes.
    pub fn now() -> Self {
        let mut first = Self { before: None };
        first.again();
        first
    }

    /// The same once more, after [`First::over`].
    pub fn again(&mut self) {
        let mut was = libc::sched_param { sched_priority: 0 };
        // SAFETY: `was` is valid for the call, which fills it; the other has plain numbers alone.
        let (known, class) = unsafe { (libc::sched_getparam(0, &raw mut was), libc::sched_getscheduler(0)) };
        let wanted = libc::sched_param { sched_priority: 1 };
        // SAFETY: `wanted` is valid for the call, which only reads it.
        if known == 0 && class >= 0 && unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const wanted) } == 0
        {
            self.before = Some(Before::Class(class, was));
        } else if class == libc::SCHED_OTHER && slice(SLICE).is_ok() {
            self.before = Some(Before::Slice);
        }
    }

    /// True where it is served before all that is not (not where it only asks for less at a time).
    pub const fn is_before_all(&self) -> bool {
        matches!(self.before, Some(Before::Class(..)))
    }

    /// As before; also in a copy of the process that made it.
    pub fn over(&self) -> io::Result<()> {
        match &self.before {
            Some(Before::Class(class, was)) => {
                // SAFETY: `was` is valid for the call, which only reads it.
                check(unsafe { libc::sched_setscheduler(0, *class, &raw const *was) }.into())
            }
            Some(Before::Slice) => slice(0),
            None => Ok(()),
        }
    }
}

impl Drop for First {
    fn drop(&mut self) {
        // Whoever could be served first may be served later; and where not, it is ours alone, which do no long work.
        let _back = self.over();
    }
}
