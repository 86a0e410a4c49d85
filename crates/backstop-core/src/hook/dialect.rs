//! One dialect per agent: how its hook asks, and what it takes for which answer. A dialect is a file; the
//! ones that speak like Claude Code share [`claude`].

mod amp;
mod claude;
mod cline;
mod copilot;
mod cursor;
mod field;
mod gemini;
mod ours;
mod tools;
mod windsurf;

use serde_json::Value;

use super::call::{Agent, Call, Event, Tool, Unreadable};

/// What the client reads: standard output, standard error and the exit code. One object on standard output
/// or none: several clients read a second one, or text, as consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Exit code.
    pub code: u8,
    /// Standard error.
    pub err: String,
    /// Standard output.
    pub out: String,
}

impl Reply {
    fn json(value: &Value) -> Self {
        Self { code: 0, err: String::new(), out: format!("{value}\n") }
    }

    /// Exit code 2 with a reason on standard error and nothing on standard output: the one answer that
    /// stops most clients alike.
    fn two(reason: &str) -> Self {
        let reason = if reason.trim().is_empty() { "stopped by Backstop" } else { reason };
        Self { code: 2, err: format!("{reason}\n"), out: String::new() }
    }
}

/// Reads what the hook of `agent` was handed.
///
/// # Errors
/// Whatever is not as that agent says it. The answer to that is [`stop`].
pub fn read(agent: Agent, input: &[u8]) -> Result<Call, Unreadable> {
    let value: Value = serde_json::from_slice(input).map_err(|_| Unreadable::NotJson)?;
    if !value.is_object() {
        return Err(Unreadable::NotJson);
    }
    let mut call = called(agent, &value)?;
    if let Tool::Shell(shell) = &mut call.tool {
        shell.background = is_background(agent, &shell.input);
    }
    Ok(call)
}

/// True where the input says, in this client's own word for it, that nobody waits for the end.
fn is_background(agent: Agent, input: &Value) -> bool {
    let is = |key: &str| input.get(key) == Some(&Value::Bool(true));
    match agent {
        Agent::Claude => is("run_in_background"),
        Agent::Copilot => is("detach") || input.get("mode").and_then(Value::as_str) == Some("async"),
        Agent::Gemini | Agent::Qwen | Agent::Cursor => is("is_background"),
        Agent::Amp | Agent::Cline | Agent::Codex | Agent::Droid | Agent::Goose | Agent::Kiro => false,
        Agent::OpenCode | Agent::Pi | Agent::Windsurf => false,
    }
}

fn called(agent: Agent, value: &Value) -> Result<Call, Unreadable> {
    match agent {
        Agent::Claude | Agent::Codex | Agent::Droid | Agent::Goose | Agent::Kiro | Agent::Qwen => {
            claude::read(agent, value)
        }
        Agent::Gemini => gemini::read(value),
        Agent::Copilot => copilot::read(value),
        Agent::Cline => cline::read(value),
        Agent::Cursor => cursor::read(value),
        Agent::Windsurf => windsurf::read(value),
        Agent::Amp => amp::read(value),
        Agent::OpenCode | Agent::Pi => ours::read(agent, value),
    }
}

/// True where the client runs what the hook gives it in place of its own command.
pub fn rewrites(call: &Call) -> bool {
    match call.agent {
        Agent::Claude | Agent::Codex | Agent::Cline | Agent::Copilot | Agent::Droid | Agent::Gemini => true,
        Agent::OpenCode | Agent::Pi => true,
        // Only its newer event lets a hook do so; the one for the shell doesn't.
        Agent::Cursor => cursor::rewrites(call),
        Agent::Amp | Agent::Goose | Agent::Kiro | Agent::Qwen | Agent::Windsurf => false,
    }
}

/// The answer that stops the client, whatever it asked: for a call that could not be read, too.
pub fn stop(agent: Agent, call: Option<&Call>, reason: &str) -> Reply {
    match agent {
        Agent::Cline => cline::stop(reason),
        Agent::Copilot => copilot::stop(call, reason),
        Agent::Cursor => cursor::stop(reason),
        Agent::OpenCode | Agent::Pi => ours::stop(reason),
        Agent::Amp | Agent::Claude | Agent::Codex | Agent::Droid | Agent::Gemini => Reply::two(reason),
        Agent::Goose | Agent::Kiro | Agent::Qwen | Agent::Windsurf => Reply::two(reason),
    }
}

/// The answer that lets the client go on as it would.
pub fn pass(agent: Agent) -> Reply {
    match agent {
        Agent::Cline => cline::pass(),
        Agent::Cursor => cursor::pass(),
        Agent::OpenCode | Agent::Pi => ours::pass(),
        // Nothing at all: an explicit consent would answer the client's own questions as well.
        _ => Reply::default(),
    }
}

/// The answer that gives the client other commands for its own. Where the call was no shell's, or the client
/// takes none, the one that stops it.
pub fn reply(call: &Call, commands: &[String]) -> Reply {
    let Tool::Shell(shell) = &call.tool else { return stop(call.agent, Some(call), "") };
    if !rewrites(call) || commands.len() != shell.commands.len() {
        return stop(call.agent, Some(call), "");
    }
    let input = tools::with(&shell.input, commands);
    match call.agent {
        Agent::Claude => claude::rewrite(&input, None),
        // Without a consent beside it these two run the old command.
        Agent::Codex | Agent::Droid => claude::rewrite(&input, Some("allow")),
        Agent::Gemini => gemini::rewrite(&input),
        Agent::Copilot => copilot::rewrite(call, &input),
        Agent::Cline => cline::rewrite(&input),
        Agent::Cursor => cursor::rewrite(&input),
        Agent::OpenCode | Agent::Pi => ours::rewrite(&input),
        Agent::Amp | Agent::Goose | Agent::Kiro | Agent::Qwen | Agent::Windsurf => stop(call.agent, Some(call), ""),
    }
}

/// A text for the person at the end of a session, where the client has a place for one; else on standard error,
/// which clients keep or show as they like. `waits`: something of it waits for the person.
pub fn farewell(call: &Call, text: &str, waits: bool) -> Reply {
    match call.agent {
        // It shows nothing of a hook at a session's end but the error of one that failed.
        Agent::Claude if waits => Reply::two(text),
        Agent::Claude | Agent::Droid | Agent::Gemini | Agent::Qwen => claude::message(text),
        agent => Reply { err: format!("{text}\n"), ..pass(agent) },
    }
}

/// A text for the model where the client takes one at this event; else nothing.
pub fn note(call: &Call, text: &str) -> Reply {
    match (call.agent, call.event) {
        (Agent::Claude | Agent::Codex | Agent::Droid | Agent::Gemini | Agent::Qwen, Event::SessionStart) => {
            claude::note(text)
        }
        (Agent::OpenCode | Agent::Pi, Event::SessionStart) => ours::note(text),
        _ => pass(call.agent),
    }
}
