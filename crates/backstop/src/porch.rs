//! The porch: turns what was typed, the current directory and the environment into a `Request` and
//! `Settings`, once. Believes nothing else; the environment's `$HOME` only ever makes it stricter.

mod machine;
mod passwd;
mod settings;
mod workspace;

use std::path::PathBuf;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::hook::Call;
use backstop_core::machine::Machine;
use backstop_core::policy::law::Profile;
use backstop_core::request::{Asker, Command, NestedRequest, Net, Request};
use backstop_engine::Failure;

pub use machine::{FILE, is_set, keeps_undo, machine, settle, still};
pub use passwd::Account;
pub use settings::settings;
pub use workspace::Forbidden;

use crate::args::Run;
use crate::out::Trouble;

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

/// Who calls, on what machine: what requests are made of besides what is asked.
pub struct Here<'a> {
    /// The accounts of the machine.
    pub accounts: &'a [Account],
    /// Who calls.
    pub caller: Caller,
    /// The kinds of places.
    pub classes: &'a Classes,
    /// The machine's settings.
    pub machine: &'a Machine,
}

impl Here<'_> {
    fn forbidden(&self) -> Forbidden {
        Forbidden::new(self.accounts, std::env::var_os("HOME"), self.classes.clone())
    }

    /// A request from `cwd`, by the machine's own profile, in the workspace that is found there.
    fn request(
        &self,
        command: Command,
        cwd: PathBuf,
        wanted: (Option<Profile>, Option<Net>),
    ) -> Result<Request, Trouble> {
        let (profile, net) = settle(self.machine, wanted.0, wanted.1)?;
        let workspace = workspace::found(&cwd, self.caller.uid, &self.forbidden());
        Ok(Request {
            asker: None,
            command,
            cwd: cwd.into(),
            env_keys: env_keys(),
            gid: self.caller.gid,
            in_place: false,
            net,
            parallel: false,
            profile: profile.name().to_owned(),
            reason: None,
            session: None,
            uid: self.caller.uid,
            workspace: workspace.map(Bytes::from),
        })
    }
}

/// The request that `typed` stands for, here and now.
pub fn request(typed: &Run, here: &Here<'_>) -> Result<Request, Trouble> {
    let text = |value: &Option<std::ffi::OsString>| value.as_deref().map(Bytes::from);
    let wanted = (typed.profile.map(|p| p.law()), typed.net.map(|n| n.asked()));
    let mut request = here.request(command(typed)?, current_dir()?, wanted)?;
    if let Some(dir) = &typed.workspace {
        request.workspace = workspace::given(dir, &here.forbidden())?.map(Bytes::from);
    }
    let asker = |agent| Asker { agent, call: text(&typed.call), subagent: text(&typed.subagent) };
    Ok(Request {
        asker: text(&typed.agent).map(asker),
        in_place: typed.background,
        parallel: typed.parallel,
        reason: text(&typed.reason),
        session: text(&typed.session),
        ..request
    })
}

/// The request for what the file tool `name` of a client would do as its call `key`: `line` does the same.
pub fn edit_request(call: &Call, (name, key): (&str, Bytes), line: &str, here: &Here<'_>) -> Result<Request, Trouble> {
    let cwd = match &call.cwd {
        Some(cwd) if cwd.as_path().is_dir() => cwd.as_path().to_owned(),
        // Clients start their hooks where they work.
        _ => current_dir()?,
    };
    let agent = call.agent.name();
    Ok(Request {
        asker: Some(Asker { agent: agent.into(), call: Some(key), subagent: call.subagent.clone() }),
        // A build that goes on in the workspace must not keep an edit waiting: the client would not.
        parallel: true,
        reason: Some(Bytes::new(format!("what the tool {name} of {agent} would do"))),
        session: call.session.clone(),
        ..here.request(Command::Line(line.into()), cwd, (None, None))?
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
