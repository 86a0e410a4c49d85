//! `hook AGENT`: what a client's hook is answered. Whatever goes wrong here must not read as consent: a
//! panic, a broken input and a deadline of our own end in the answer that stops that client.

mod edit;

use std::io::{self, Read as _, Write as _};
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use backstop_core::hook::{self, Agent, Answer, Reply};
use backstop_engine::Failure;

use crate::out::Done;

/// Far below what the clients grant: most take their own time-out for consent.
const DEADLINE: Duration = Duration::from_secs(2);

/// What a client hands over is a command and a few names; a file's content comes with some edits.
const LIMIT: u64 = 64 << 20;

/// `backstop hook`.
pub fn hook(agent: Agent) -> Done {
    // The message of a panic would stand before the reason, with lines nobody can act on.
    panic::set_hook(Box::new(|_| {}));
    let (done, waiting) = mpsc::sync_channel(1);
    let worker = thread::Builder::new().spawn(move || {
        let reply = panic::catch_unwind(|| answer(agent)).unwrap_or_else(|_| stopped(agent, "it failed unexpectedly"));
        // Nobody waits any more: the deadline has answered.
        let _late = done.send(reply);
    });
    let reply = match worker {
        // Not waited for: it may hang in a read that never ends.
        Ok(_) => match waiting.recv_timeout(DEADLINE) {
            Ok(reply) => reply,
            Err(RecvTimeoutError::Timeout) => stopped(agent, "it took longer than 2 s"),
            Err(RecvTimeoutError::Disconnected) => stopped(agent, "it failed unexpectedly"),
        },
        Err(error) => stopped(agent, &format!("it can't start a thread: {error}")),
    };
    say(agent, &reply)
}

/// Our own trouble, told so that nobody looks for it in the command.
fn stopped(agent: Agent, what: &str) -> Reply {
    let reason = format!(
        "Backstop could not judge this, so nothing was run: {what}. Tell the person you work for; `backstop doctor` \
         says what is wrong on this machine."
    );
    hook::stop(agent, None, &reason)
}

/// Writes the answer. One that can't be written whole is no answer: exit code 2 is what is left to say.
fn say(agent: Agent, reply: &Reply) -> Done {
    let mut out = io::stdout().lock();
    if out.write_all(reply.out.as_bytes()).and_then(|()| out.flush()).is_err() {
        crate::out::say(&hook::stop(agent, None, "Backstop can't write its answer").err);
        return Ok(2);
    }
    crate::out::say(&reply.err);
    Ok(reply.code)
}

fn answer(agent: Agent) -> Reply {
    let mut input = Vec::new();
    let read = io::stdin().lock().take(LIMIT + 1).read_to_end(&mut input);
    if let Err(error) = read {
        return stopped(agent, &format!("what it was handed can't be read: {error}"));
    }
    if input.len() as u64 > LIMIT {
        return stopped(agent, "it was handed more than 64 MiB");
    }
    let call = match hook::read(agent, &input) {
        Ok(call) => call,
        Err(error) => return stopped(agent, &error.to_string()),
    };
    let program = match program() {
        Ok(program) => program,
        Err(why) => return stopped(agent, &why),
    };
    match hook::judge(&call, &program) {
        Answer::Pass => hook::pass(agent),
        Answer::Run(commands) => hook::reply(&call, &commands),
        Answer::Deny(reason) => hook::stop(agent, Some(&call), &reason),
        Answer::Note(text) => hook::note(&call, &text),
        Answer::Edit(changes) => ours(agent, edit::before(&call, &changes)),
        Answer::Edited(key) => ours(agent, edit::after(&call, &key)),
        Answer::Ended => ours(agent, edit::ended(&call)),
    }
}

fn ours(agent: Agent, reply: Result<Reply, Failure>) -> Reply {
    reply.unwrap_or_else(|failure| {
        let next = failure.next.iter().map(|n| format!("; {n}")).collect::<String>();
        stopped(agent, &format!("{}{next}", failure.what))
    })
}

/// The absolute path of this program. One that is no text could not be typed into a client's JSON.
pub fn program() -> Result<String, String> {
    let path = std::env::current_exe().map_err(|e| format!("it can't tell its own path: {e}"))?;
    if !path.exists() {
        return Err(format!("{} was replaced while it ran; try again", path.display()));
    }
    path.into_os_string().into_string().map_err(|_| "its own path is not UTF-8".to_owned())
}
