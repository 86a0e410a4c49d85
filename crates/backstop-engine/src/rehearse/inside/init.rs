//! The first process once the view stands: starts the command, and waits for its end.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use backstop_core::bytes::Bytes;
use backstop_core::run::Exit;
use backstop_sys::channel::Channel;
use backstop_sys::first::First;
use backstop_sys::process::{self, Change, SIGPIPE, Signals};

use super::others::{AT_ONCE, FEW, View};
use super::{Message, Order, Ready, Recipe, kept};

/// Where a Backstop inside notes what it was asked to run.
const NESTED: &str = "/run/backstop.nested";

pub(super) fn live(recipe: &Recipe, channel: &Channel, caller_mask: &Signals, first: &First, ready: Ready) -> u8 {
    // Nobody outside, or another word: it was not to begin.
    if !matches!(Order::receive(channel), Ok(Some(Order::Begin))) {
        return 1;
    }
    match process::fork(|| start(recipe, channel, caller_mask, first, &ready)) {
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
fn start(recipe: &Recipe, channel: &Channel, caller_mask: &Signals, first: &First, ready: &Ready) -> u8 {
    let result = || -> io::Result<()> {
        first.over()?;
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
    // What holds root's secrets stays sealed: root may look all the same.
    let sealed = recipe.user.is_none() || recipe.rights.is_some();
    let ready = result().and_then(|()| if sealed { Ok(()) } else { process::unseal() });
    let error = match ready {
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
    let mut view = View::new(channel)?;
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
