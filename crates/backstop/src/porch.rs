//! The porch: turns what was typed, the current directory and the environment into a `Request` and
//! `Settings`, once. Believes nothing else; the environment's `$HOME` only ever makes it stricter.

mod machine;
mod passwd;
mod settings;
mod workspace;

use std::path::PathBuf;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::hook::{Call, Tool};
use backstop_core::machine::Machine;
use backstop_core::request::{Asker, Command, NestedRequest, Request};
use backstop_engine::Failure;

pub use machine::{FILE, is_set, machine, settle, still};
pub use passwd::Account;
pub use settings::settings;
pub use workspace::Forbidden;

use crate::args::Run;
use crate::out::Trouble;
use crate::verb::House;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Caller {
    /// The effective user: the one whose rights the kernel goes by.
    pub fn of_this_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

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

/// The request that `typed` stands for, here and now.
pub fn request(
    typed: &Run,
    caller: Caller,
    accounts: &[Account],
    classes: &Classes,
    machine: &Machine,
) -> Result<Request, Trouble> {
    let (profile, net) = settle(machine, typed.profile.map(|p| p.law()), typed.net.map(|n| n.asked()))?;
    let cwd = current_dir()?;
    let forbidden = Forbidden::new(accounts, std::env::var_os("HOME"), classes.clone());
    let given = typed.workspace.as_ref().map(|dir| workspace::given(dir, &forbidden)).transpose()?;
    let workspace = given.unwrap_or_else(|| workspace::found(&cwd, caller.uid, &forbidden));
    let text = |value: &Option<std::ffi::OsString>| value.as_deref().map(Bytes::from);
    let asker =
        text(&typed.agent).map(|agent| Asker { agent, call: text(&typed.call), subagent: text(&typed.subagent) });
    Ok(Request {
        asker,
        command: command(typed)?,
        cwd: cwd.into(),
        env_keys: env_keys(),
        gid: caller.gid,
        net,
        parallel: typed.parallel,
        profile: profile.name().to_owned(),
        reason: typed.reason.as_deref().map(Bytes::from),
        session: typed.session.as_deref().map(Bytes::from),
        uid: caller.uid,
        workspace: workspace.map(Bytes::from),
    })
}

/// The request for what a client's file tool would do: `line` does the same.
pub fn edit_request(call: &Call, key: &Bytes, line: &str, house: &House) -> Result<Request, Failure> {
    let machine = machine().map_err(Trouble::failure)?;
    let (profile, net) = settle(&machine, None, None).map_err(Trouble::failure)?;
    let cwd = match &call.cwd {
        Some(cwd) if cwd.as_path().is_dir() => cwd.as_path().to_owned(),
        _ => current_dir()?,
    };
    let classes = house.engine.settings().kinds.classes.clone();
    let forbidden = Forbidden::new(&house.accounts, std::env::var_os("HOME"), classes);
    let workspace = workspace::found(&cwd, house.caller.uid, &forbidden);
    let name = match &call.tool {
        Tool::Edit(edit) => edit.name.as_str(),
        _ => "",
    };
    Ok(Request {
        asker: Some(Asker {
            agent: call.agent.name().into(),
            call: Some(key.clone()),
            subagent: call.subagent.clone(),
        }),
        command: Command::Line(line.into()),
        cwd: cwd.into(),
        env_keys: env_keys(),
        gid: house.caller.gid,
        net,
        // A build that goes on in the workspace must not keep an edit waiting: the client would not.
        parallel: true,
        profile: profile.name().to_owned(),
        reason: Some(Bytes::new(format!("what the tool {name} of {} would do", call.agent.name()))),
        session: call.session.clone(),
        uid: house.caller.uid,
        workspace: workspace.map(Bytes::from),
    })
}

/// The workspace that a run from here would have without options.
pub fn workspace_here(caller: Caller, accounts: &[Account], classes: &Classes) -> Result<Option<PathBuf>, Failure> {
    let forbidden = Forbidden::new(accounts, std::env::var_os("HOME"), classes.clone());
    Ok(workspace::found(&current_dir()?, caller.uid, &forbidden))
}

fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|e| {
        Failure::because("cannot tell the current directory", &e).next("change to a directory that exists")
    })
}

/// The names of the environment's variables; values may be secrets.
pub fn env_keys() -> Vec<Bytes> {
    let mut keys: Vec<Bytes> = std::env::vars_os().map(|(key, _)| key.into()).collect();
    keys.sort();
    keys
}
