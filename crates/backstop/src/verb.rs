//! One file a verb: takes what was typed, asks the engine, prints. Decides nothing but the exit code.

mod approve;
mod doctor;
mod hook;
mod install;
mod look;
mod mcp;
mod meta;
mod people;
mod policy;
mod question;
mod records;
mod run;
mod takeback;
mod vault;

use backstop_core::approval::statement::Choice;
use backstop_core::id::RunId;
use backstop_core::machine::Machine;
use backstop_engine::{Engine, Failure, Settings};

use crate::args::{Audit, Drill, Vault, Verb};
use crate::out::{self, Done};
use crate::porch::{self, Account, Caller, Here};
use crate::screen::message;
use crate::screen::style::Style;

/// The engine with the caller it works for.
pub struct House {
    /// Who calls.
    pub caller: Caller,
    /// The accounts of this machine.
    pub accounts: Vec<Account>,
    /// The engine.
    pub engine: Engine,
}

impl House {
    /// Opens the engine for the caller of this process, and says what a crash had left.
    pub fn open() -> Result<Self, Failure> {
        let caller = Caller::of_this_process();
        let (settings, accounts) = porch::settings(caller)?;
        let engine = open(settings)?;
        Ok(Self { caller, accounts, engine })
    }

    /// What the porch makes requests of.
    pub fn here<'a>(&'a self, machine: &'a Machine) -> Here<'a> {
        let classes = &self.engine.settings().kinds.classes;
        Here { accounts: &self.accounts, caller: self.caller, classes, machine }
    }

    /// The run that `text` names.
    pub fn find(&self, text: &str) -> Result<RunId, Failure> {
        self.engine.find(text)
    }
}

/// Opens an engine and says what a crash had left.
pub fn open(settings: Settings) -> Result<Engine, Failure> {
    let engine = Engine::open(settings)?;
    out::say(&message::recovered(engine.recovered(), Style::of(&std::io::stderr())));
    Ok(engine)
}

/// Does what was asked for.
pub fn dispatch(verb: Verb) -> Done {
    match verb {
        Verb::Run(typed) => run::run(&typed),
        Verb::Commit(one) => run::commit(&one),
        Verb::Retry(one) => run::retry(&one),
        Verb::Wait(typed) => run::wait(&typed),
        Verb::Show(typed) => look::show(&typed),
        Verb::Runs(typed) => look::runs(&typed),
        Verb::Pending(json) => approve::pending(json.json),
        Verb::Approve(typed) => approve::decide(&typed, Choice::ApproveOnce),
        Verb::Deny(typed) => approve::decide(&typed, Choice::Deny),
        Verb::Revoke(typed) => approve::decide(&typed, Choice::Revoke),
        Verb::People(what) => people::people(&what),
        Verb::Discard(one) => takeback::discard(&one),
        Verb::Undo(typed) => takeback::undo(&typed),
        Verb::Redo(which) => takeback::redo(&which),
        Verb::Vault(Vault::Status(json)) => vault::status(json.json),
        Verb::Vault(Vault::Prune { older_than, json }) => vault::prune(older_than, json),
        Verb::Recover(json) => vault::recover(json.json),
        Verb::Policy(what) => policy::dispatch(&what),
        Verb::Log(typed) => records::log(&typed),
        Verb::Audit(Audit::Verify(json)) => records::verify(json.json),
        Verb::Doctor(json) => doctor::doctor(json.json),
        Verb::Drill(Drill::Incident(typed)) => crate::drill::incident(&typed),
        Verb::Hook { agent } => hook::hook(agent),
        Verb::Mcp(typed) => mcp::mcp(&typed),
        Verb::Install(typed) => install::install(&typed),
        Verb::Uninstall(typed) => install::uninstall(&typed),
        Verb::Completions { shell } => meta::completions(shell),
        Verb::Man { dir } => meta::man(&dir),
        Verb::Help { topic } => meta::help(topic.as_deref()),
    }
}
