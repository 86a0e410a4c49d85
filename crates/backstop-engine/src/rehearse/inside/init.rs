//! The first process once the view stands: starts the command, takes every orphan off the process
//! table, and stops what outlives the command.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::run::{Exit, LeftBehind};
use backstop_sys::channel::Channel;
use backstop_sys::first::First;
use backstop_sys::process::{self, Change, SIGCHLD, SIGCONT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM, Signals};
use backstop_sys::wait::readable;

use super::{Message, Order, Ready, Recipe, kept};

/// Where a Backstop inside notes what it was asked to run.
const NESTED: &str = "/run/backstop.nested";

/// From the request to end until the end.
const MERCY: Duration = Duration::from_millis(400);

/// How many of the dead are taken off before anything else is looked at.
const AT_ONCE: usize = 1024;

/// More than so many at once, and it is waited a moment for more of them.
const FEW: usize = 8;
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

pub(super) fn live(recipe: &Recipe, channel: &Channel, caller_mask: &Signals, first: &First, ready: Ready) -> u8 {
    // Nobody outside, or another word: it was not to begin.
    if !matches!(Order::receive(channel), Ok(Some(Order::Begin))) {
        return 1;
    }
    match process::fork(|| {
        first.over();
        start(recipe, channel, caller_mask, &ready)
    }) {
        Ok(main) => {
            // Nothing of the real tree stays open here, and no pipe of the caller: a reader at its
            // other end would wait for us.
            process::close_all_but(&kept(channel, &ready));
            u8::from(watch(recipe, channel, &ready, main).is_err())
        }
        Err(e) => u8::from(Message::Trouble(format!("start a process: {e}")).send(channel, &[]).is_err()),
    }
}

/// Becomes the command.
fn start(recipe: &Recipe, channel: &Channel, caller_mask: &Signals, ready: &Ready) -> u8 {
    let result = || -> io::Result<()> {
        if let Some(stdin) = &ready.stdin {
            process::duplicate_to(stdin.as_raw_fd(), 0)?;
        }
        if recipe.stdout_to_stderr {
            process::duplicate_to(2, 1)?;
        }
        let mut keep = vec![0, 1, 2, channel.as_fd().as_raw_fd()];
        keep.extend(&recipe.pass);
        keep.sort_unstable();
        process::close_all_but(&keep);
        // Rust ignores it at start; a program that is piped into `head` counts on it.
        process::default_action(SIGPIPE);
        if let Some(him) = &recipe.rights {
            process::lower_limits(&him.limits)?;
            process::ignore_only(&him.ignored);
        }
        caller_mask.set()
    };
    let error = match result() {
        Ok(()) => {
            let environment = recipe.rights.as_ref().map(|him| him.env.as_slice());
            not_found(recipe, process::execute(&recipe.argv, environment))
        }
        Err(e) => e,
    };
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    let sent = Message::NotStarted(code, error.to_string()).send(channel, &[]);
    if sent.is_ok() { code } else { 125 }
}

/// A directory of `PATH` that can't be read makes the C library say "permission denied" for a command
/// that is nowhere; a shell says "not found".
fn not_found(recipe: &Recipe, error: io::Error) -> io::Error {
    let Some(name) = recipe.argv.first().map(|a| a.to_bytes()) else { return error };
    if error.kind() != io::ErrorKind::PermissionDenied || name.contains(&b'/') {
        return error;
    }
    let path = match &recipe.rights {
        None => std::env::var_os("PATH").unwrap_or_default(),
        Some(him) => him.variable("PATH").unwrap_or_default(),
    };
    let there =
        std::env::split_paths(&path).any(|dir| dir.join(Bytes::from(name).as_path()).symlink_metadata().is_ok());
    if there { error } else { io::ErrorKind::NotFound.into() }
}

fn watch(recipe: &Recipe, channel: &Channel, ready: &Ready, main: i32) -> io::Result<()> {
    let mut view = View {
        channel,
        children: Signals::of(&[SIGCHLD]).descriptor()?,
        frost: Frost::None,
        look: Instant::now(),
        pause: STIRS,
    };
    let exit = 'ended: loop {
        let mut taken = 0;
        // What outside has to say does not wait for the end of orphans that come faster than they can be taken off.
        while taken < AT_ONCE {
            taken += 1;
            match process::wait_any(false)? {
                Some((pid, Change::Ended(code))) if pid == main => break 'ended Exit::Code(code),
                Some((pid, Change::Killed(signal))) if pid == main => break 'ended Exit::Signal(signal),
                // A program that stops its own group (an editor's Ctrl-Z) does not reach the shell outside,
                // which waits for Backstop to stop.
                Some((pid, Change::Stopped(signal))) if pid == main => Message::Stopped(signal).send(channel, &[])?,
                Some(_) => {}
                None => break,
            }
        }
        if taken > FEW {
            // We are served before all others, who must not keep us at it: many are taken off at once.
            view.rest()?;
        } else {
            view.wait(view.patience())?;
        }
    };
    for left in view.stop_the_rest(recipe.grace)? {
        Message::Left(left).send(channel, &[])?;
    }
    for line in nested() {
        Message::Nested(line).send(channel, &[])?;
    }
    let at = ready.stdin.as_ref().and_then(|fd| backstop_sys::fs::offset(fd.as_fd()).ok());
    Message::Ended(exit, at).send(channel, &[])
}

/// What nested runs were noted: whole lines that fit a message, and no more than a log can bear.
fn nested() -> Vec<Bytes> {
    let mut text = Vec::new();
    // The command can put anything there, also a pipe that would never end.
    let plain = fs::symlink_metadata(NESTED).is_ok_and(|m| m.is_file());
    if !plain || fs::File::open(NESTED).and_then(|f| f.take(1 << 20).read_to_end(&mut text)).is_err() {
        return Vec::new();
    }
    let lines = text.split(|&b| b == b'\n').filter(|l| !l.is_empty() && l.len() < backstop_sys::channel::LONGEST);
    lines.take(1_000).map(Bytes::from).collect()
}

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
struct View<'a> {
    channel: &'a Channel,
    /// Readable when something has become of one of them. It is blocked here from the start, so that none is missed that
    /// comes while nobody looks.
    children: OwnedFd,
    frost: Frost,
    /// When is looked next whether all stands, and how long that is after the last time.
    look: Instant,
    pause: Duration,
}

impl View<'_> {
    /// How long is waited where nothing happens.
    fn patience(&self) -> Duration {
        if self.frost == Frost::None { FOREVER } else { self.look.saturating_duration_since(Instant::now()) }
    }

    /// Waits until something has become of one of them, or outside has something to say, which is done.
    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let ready = readable(&[Some(self.children.as_fd()), Some(self.channel.as_fd())], limit)?;
        while ready[0].any() && process::taken(&self.children).is_some() {}
        if ready[1].any() {
            self.obey()?;
        }
        self.hold()
    }

    /// Waits a moment, whatever becomes of them; what outside has to say is done at once.
    fn rest(&mut self) -> io::Result<()> {
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

    fn stop_the_rest(&mut self, grace: Duration) -> io::Result<Vec<LeftBehind>> {
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

/// Who is in the view beside us.
fn others() -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()).filter(|n| *n != 1);
        found.extend(pid.map(|pid| (pid, entry.path())));
    }
    Ok(found)
}

/// State, as the kernel names it, and name.
fn state(stat: &[u8]) -> Option<(u8, Bytes)> {
    // `pid (name) state …`; the name may hold anything, so its end is the last parenthesis.
    let (open, close) = (stat.iter().position(|b| *b == b'(')?, stat.iter().rposition(|b| *b == b')')?);
    Some((*stat.get(close + 2)?, Bytes::from(&stat[open + 1..close])))
}

/// True where something in the view may go on: some thread neither stands nor is dead nor waits in the kernel with the
/// signal to come. A first thread that has ended says nothing of the others, and what can't be read is not taken for
/// standing.
fn stirs() -> bool {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(process::ESRCH);
    let thread_stirs = |place: &Path| match fs::read(place.join("stat")).map(|stat| state(&stat)) {
        Ok(Some((b'T' | b't' | b'Z' | b'X', _))) => false,
        Ok(Some((b'D', _))) => !is_to_stop(place),
        Ok(_) => true,
        Err(e) => !gone(&e),
    };
    let process_stirs = |place: &Path| match fs::read_dir(place.join("task")) {
        Ok(tasks) => tasks.into_iter().any(|task| task.as_ref().map_or_else(|e| !gone(e), |t| thread_stirs(&t.path()))),
        Err(e) => !gone(&e),
    };
    others().map_or(true, |all| all.iter().any(|(_, place)| process_stirs(place)))
}

/// True where the signal waits for a thread, as for one that waits for a disk, or for a child to begin.
fn is_to_stop(place: &Path) -> bool {
    const STOP: u64 = 1 << (SIGSTOP - 1);
    let status = fs::read_to_string(place.join("status")).unwrap_or_default();
    let mut pending = status.lines().filter_map(|l| l.strip_prefix("SigPnd:").or_else(|| l.strip_prefix("ShdPnd:")));
    pending.any(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & STOP != 0))
}

/// Who lives in the view beside us; the dead that nobody has waited for do not count.
fn living() -> Vec<LeftBehind> {
    let lives = |(pid, place): (u32, PathBuf)| {
        let (state, name) = state(&fs::read(place.join("stat")).ok()?)?;
        (!matches!(state, b'Z' | b'X')).then_some(LeftBehind { name, pid })
    };
    let mut left: Vec<LeftBehind> = others().unwrap_or_default().into_iter().filter_map(lives).collect();
    left.sort_by_key(|l| l.pid);
    left
}
