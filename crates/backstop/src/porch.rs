//! The porch's outer step: what was typed, or what a hook was told, as a [`Wanted`]. It is looked up and checked
//! where the rights are: in the engine.

use std::ffi::OsString;

use backstop_core::bytes::Bytes;
use backstop_core::hook::Call;
use backstop_core::request::{Asker, Command, NestedRequest};
use backstop_engine::Failure;
use backstop_engine::porch::{Wanted, current_dir};

use crate::args::Run;

/// The command that was typed; never empty.
pub fn command(typed: &Run) -> Result<Command, Failure> {
    match (&typed.line, typed.command.as_slice()) {
        (Some(line), _) => Ok(Command::Line(line.as_os_str().into())),
        (None, []) => Err(Failure::usage("no command").next("backstop run -- CMD [ARG...]")),
        (None, argv) if argv[0].is_empty() => {
            Err(Failure::usage("the command is an empty word").next("backstop run -- CMD [ARG...]"))
        }
        (None, argv) => Ok(Command::Argv(argv.iter().map(|a| a.as_os_str().into()).collect())),
    }
}

/// What is noted of a run inside a run.
pub fn nested(typed: &Run, command: &Command) -> Result<NestedRequest, Failure> {
    Ok(NestedRequest {
        command: command.clone(),
        cwd: current_dir()?.into(),
        reason: typed.reason.as_deref().map(Bytes::from),
        session: typed.session.as_deref().map(Bytes::from),
    })
}

/// What `typed` stands for, here and now.
pub fn wanted(typed: &Run) -> Result<Wanted, Failure> {
    let text = |value: &Option<OsString>| value.as_deref().map(Bytes::from);
    let asker = |agent| Asker { agent, call: text(&typed.call), subagent: text(&typed.subagent) };
    let here = Wanted::here(command(typed)?)?;
    Ok(Wanted {
        as_user: text(&typed.as_user),
        asker: text(&typed.agent).map(asker),
        in_place: typed.background,
        net: typed.net.map(|n| n.asked()),
        parallel: typed.parallel,
        profile: typed.profile.map(|p| p.law()),
        reason: text(&typed.reason),
        session: text(&typed.session),
        workspace: typed.workspace.as_deref().map(Bytes::from),
        ..here
    })
}

/// What the file tool `name` of a client would do as its call `key`: `line` does the same.
pub fn wanted_edit(call: &Call, (name, key): (&str, Bytes), line: &str) -> Result<Wanted, Failure> {
    let here = Wanted::here(Command::Line(line.into()))?;
    let agent = call.agent.name();
    Ok(Wanted {
        asker: Some(Asker { agent: agent.into(), call: Some(key), subagent: call.subagent.clone() }),
        // Clients start their hooks where they work.
        cwd: call.cwd.clone().filter(|cwd| cwd.as_path().is_dir()).unwrap_or_else(|| here.cwd.clone()),
        // A build that goes on in the workspace must not keep an edit waiting: the client would not.
        parallel: true,
        reason: Some(Bytes::new(format!("what the tool {name} of {agent} would do"))),
        session: call.session.clone(),
        ..here
    })
}
