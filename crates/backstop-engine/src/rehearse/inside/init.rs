//! The first process once the view stands: starts the command, takes every orphan off the process
//! table, and stops what outlives the command.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::run::{Exit, LeftBehind};
use backstop_sys::channel::Channel;
use backstop_sys::process::{self, Change, SIGCHLD, SIGCONT, SIGKILL, SIGPIPE, SIGTERM, Signals};

use super::{Message, Ready, Recipe, kept};

/// Where a Backstop inside notes what it was asked to run.
const NESTED: &str = "/run/backstop.nested";

/// From the request to end until the end.
const MERCY: Duration = Duration::from_millis(400);

pub(super) fn live(recipe: &Recipe, channel: &Channel, caller_mask: &Signals, ready: Ready) -> u8 {
    match process::fork(|| start(recipe, channel, caller_mask, &ready)) {
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
    let exit = loop {
        match process::wait_any(true)? {
            Some((pid, Change::Ended(code))) if pid == main => break Exit::Code(code),
            Some((pid, Change::Killed(signal))) if pid == main => break Exit::Signal(signal),
            // A program that stops its own group (an editor's Ctrl-Z) does not reach the shell outside,
            // which waits for Backstop to stop.
            Some((pid, Change::Stopped(signal))) if pid == main => Message::Stopped(signal).send(channel, &[])?,
            _ => {}
        }
    };
    for left in stop_the_rest(recipe.grace)? {
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
    loop {
        match process::wait_any(false) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(e) if e.raw_os_error() == Some(process::ECHILD) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}

/// True when all are gone within `limit`.
fn gone_within(limit: Duration) -> io::Result<bool> {
    let child = Signals::of(&[SIGCHLD]);
    let end = Instant::now() + limit;
    while others_live()? {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // A signal that came while it was not looked for is pending: it is blocked here from the start.
        let _seen = child.take(left);
    }
    Ok(true)
}

fn stop_the_rest(grace: Duration) -> io::Result<Vec<LeftBehind>> {
    if !others_live()? || gone_within(grace)? {
        return Ok(Vec::new());
    }
    let left = living();
    process::send(-1, SIGTERM).or_else(none_is_fine)?;
    // What is stopped takes no other signal until it goes on.
    process::send(-1, SIGCONT).or_else(none_is_fine)?;
    if !gone_within(MERCY)? {
        process::send(-1, SIGKILL).or_else(none_is_fine)?;
        while others_live()? {
            gone_within(MERCY)?;
        }
    }
    Ok(left)
}

fn none_is_fine(e: io::Error) -> io::Result<()> {
    if e.raw_os_error() == Some(process::ESRCH) { Ok(()) } else { Err(e) }
}

/// Who lives in the view beside us; the dead that nobody has waited for do not count.
fn living() -> Vec<LeftBehind> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()).filter(|n| *n != 1) else {
            continue;
        };
        let Ok(stat) = fs::read(entry.path().join("stat")) else { continue };
        // `pid (name) state …`; the name may hold anything, so its end is the last parenthesis.
        let (Some(open), Some(close)) = (stat.iter().position(|b| *b == b'('), stat.iter().rposition(|b| *b == b')'))
        else {
            continue;
        };
        if !matches!(stat.get(close + 2), Some(b'Z' | b'X')) {
            left.push(LeftBehind { name: Bytes::from(&stat[open + 1..close]), pid });
        }
    }
    left.sort_by_key(|l| l.pid);
    left
}
