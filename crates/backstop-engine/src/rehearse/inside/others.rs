//! All that lives in the view beside the first process: takes the dead off the process table, lets all stand and go on
//! as outside says, and ends what outlives the command.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::run::LeftBehind;
use backstop_sys::channel::Channel;
use backstop_sys::proc;
use backstop_sys::process::{self, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals};
use backstop_sys::wait::readable;

use super::{Message, Order};

/// From the request to end until the end.
const MERCY: Duration = Duration::from_millis(400);

/// How many of the dead are taken off before anything else is looked at.
pub(super) const AT_ONCE: usize = 1024;

/// More than so many at once, and it is waited a moment for more of them.
pub(super) const FEW: usize = 8;
const REST: Duration = Duration::from_millis(1);

/// How soon is looked whether all stands, and how seldom at last as long as something stirs: to stand they have to be
/// served, and we are served before them.
const STIRS: Duration = Duration::from_millis(2);
const STIRS_STILL: Duration = Duration::from_millis(25);

/// By how much longer is waited each time.
const SLOWER: u32 = 3;

/// The same once all does.
const STILL: Duration = Duration::from_millis(500);

/// As long as nothing happens.
const FOREVER: Duration = Duration::from_secs(3_600);

/// True while any other process lives. Every orphan becomes our child, so no child means no process.
fn others_live() -> io::Result<bool> {
    for _ in 0..AT_ONCE {
        match process::wait_any(false) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(e) if e.raw_os_error() == Some(process::ECHILD) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    // Where orphans come faster than they can be taken off, somebody makes them.
    Ok(true)
}

/// Whether all in the view stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frost {
    None,
    /// It was told to, and did not all do so yet.
    Told,
    /// It does, as far as was seen last.
    Stands,
}

/// All that lives in the view beside us.
pub(super) struct View<'a> {
    channel: &'a Channel,
    /// Readable when something has become of one of them. It is blocked here from the start, so that none is missed that
    /// comes while nobody looks.
    children: OwnedFd,
    frost: Frost,
    /// When is looked next whether all stands, and how long that is after the last time.
    look: Instant,
    pause: Duration,
}

impl<'a> View<'a> {
    /// Of whom outside is told, and hears what is to be done, by this.
    pub(super) fn new(channel: &'a Channel) -> io::Result<Self> {
        let children = Signals::of(&[SIGCHLD]).descriptor()?;
        Ok(Self { channel, children, frost: Frost::None, look: Instant::now(), pause: STIRS })
    }

    /// How long is waited where nothing happens.
    pub(super) fn patience(&self) -> Duration {
        if self.frost == Frost::None { FOREVER } else { self.look.saturating_duration_since(Instant::now()) }
    }

    /// Waits until something has become of one of them, or outside has something to say, which is done.
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let ready = readable(&[Some(self.children.as_fd()), Some(self.channel.as_fd())], limit)?;
        while ready[0].any() && process::taken(&self.children).is_some() {}
        if ready[1].any() {
            self.obey()?;
        }
        self.hold()
    }

    /// Waits a moment, whatever becomes of them; what outside has to say is done at once.
    pub(super) fn rest(&mut self) -> io::Result<()> {
        if readable(&[Some(self.channel.as_fd())], REST)?[0].any() {
            self.obey()?;
        }
        self.hold()
    }

    fn obey(&mut self) -> io::Result<()> {
        match Order::receive(self.channel)? {
            Some(Order::Stand) => {
                self.frost = Frost::Told;
                process::send(-1, SIGSTOP).or_else(none_is_fine)?;
                (self.look, self.pause) = (Instant::now() + STIRS, STIRS);
            }
            Some(Order::GoOn) => {
                self.frost = Frost::None;
                process::send(-1, SIGCONT).or_else(none_is_fine)?;
            }
            Some(Order::Begin) => return Err(io::ErrorKind::InvalidData.into()),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    /// Lets all of them stand that don't. One step for all, which those that are being forked can't escape and nobody can
    /// ignore; but whoever was about to let others go on may still do so, and a timer lets go on who set it. So it is looked
    /// whether they do, again and again: outside ends whom it takes too long.
    fn hold(&mut self) -> io::Result<()> {
        if self.frost == Frost::None || Instant::now() < self.look {
            return Ok(());
        }
        let stirs = stirs();
        match (self.frost, stirs) {
            (Frost::Told, false) => {
                self.frost = Frost::Stands;
                Message::Stands.send(self.channel, &[])?;
            }
            (Frost::Stands, true) => {
                (self.frost, self.pause) = (Frost::Told, STIRS);
                Message::Stirs.send(self.channel, &[])?;
            }
            _ => {}
        }
        // Whatever was seen: what goes on between two looks is stopped at each.
        process::send(-1, SIGSTOP).or_else(none_is_fine)?;
        self.pause = if stirs { (self.pause * SLOWER).min(STIRS_STILL) } else { STILL };
        self.look = Instant::now() + self.pause;
        Ok(())
    }

    /// True when all are gone within `limit`; as long as they stand no time goes by.
    fn gone_within(&mut self, limit: Duration) -> io::Result<bool> {
        let mut end = Instant::now() + limit;
        while others_live()? {
            let left = end.saturating_duration_since(Instant::now());
            if self.frost != Frost::None {
                self.wait(self.patience())?;
                end = Instant::now() + limit;
            } else if left.is_zero() {
                return Ok(false);
            } else {
                self.wait(left)?;
            }
        }
        Ok(true)
    }

    pub(super) fn stop_the_rest(&mut self, grace: Duration) -> io::Result<Vec<LeftBehind>> {
        if !others_live()? || self.gone_within(grace)? {
            return Ok(Vec::new());
        }
        let left = living();
        process::send(-1, SIGTERM).or_else(none_is_fine)?;
        // What is stopped takes no other signal until it goes on.
        process::send(-1, SIGCONT).or_else(none_is_fine)?;
        if !self.gone_within(MERCY)? {
            process::send(-1, SIGKILL).or_else(none_is_fine)?;
            while others_live()? {
                self.gone_within(MERCY)?;
            }
        }
        Ok(left)
    }
}

fn none_is_fine(e: io::Error) -> io::Result<()> {
    if e.raw_os_error() == Some(process::ESRCH) { Ok(()) } else { Err(e) }
}

/// True where something in the view may go on: some thread neither stands nor is dead nor waits in the kernel with the
/// signal to come, as for a disk, or for a child to begin. A first thread that has ended says nothing of the others, and
/// what can't be read is not taken for standing.
fn stirs() -> bool {
    let thread_stirs = |place: &Path| match proc::stat(place).map(|now| now.state) {
        Ok(b'T' | b't' | b'Z' | b'X') => false,
        Ok(b'D') => !proc::has_pending(place, SIGSTOP).unwrap_or(false),
        Ok(_) => true,
        Err(e) => !proc::is_gone(&e),
    };
    let process_stirs = |pid: i32| match proc::threads(pid) {
        Ok(threads) => threads.iter().any(|thread| thread_stirs(thread)),
        Err(e) => !proc::is_gone(&e),
    };
    others().map_or(true, |all| all.into_iter().any(process_stirs))
}

/// Who is in the view beside us.
fn others() -> io::Result<Vec<i32>> {
    let mut all = proc::processes()?;
    all.retain(|pid| *pid != 1);
    Ok(all)
}

/// Who of them lives; the dead that nobody has waited for do not count.
fn living() -> Vec<LeftBehind> {
    let lives = |pid: i32| {
        let now = proc::stat(&proc::place(pid)).ok()?;
        (!matches!(now.state, b'Z' | b'X'))
            .then_some(LeftBehind { name: Bytes::new(now.name), pid: pid.cast_unsigned() })
    };
    // It is for people to read; what can't be read is ended all the same.
    let mut left: Vec<LeftBehind> = others().unwrap_or_default().into_iter().filter_map(lives).collect();
    left.sort_by_key(|l| l.pid);
    left
}
