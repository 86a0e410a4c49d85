//! One file a verb: takes what was typed, asks the engine, prints. Decides nothing but the exit code.

mod approve;
mod audit;
mod doctor;
mod export;
mod freeze;
mod hook;
mod install;
mod jail;
mod look;
mod mcp;
mod meta;
mod people;
mod policy;
mod question;
mod records;
mod report;
mod review;
mod run;
mod system;
mod takeback;
mod vault;
mod witness;

use backstop_core::approval::statement::Choice;
use backstop_engine::porch::Caller;
use backstop_engine::{Doors, Failure, FailureKind, House, Recovered, by_daemon};

use crate::args::{Drill, Install, Vault, Verb};
use crate::out::{self, Done};
use crate::screen::message;
use crate::screen::style::Style;

/// The way in for the caller of this process.
pub fn doors() -> Result<Box<dyn Doors>, Failure> {
    backstop_engine::open(recovered)
}

/// The engine in this process, for what only whoever owns the records may do.
pub fn house() -> Result<House, Failure> {
    roots()?;
    let house = House::open()?;
    recovered(house.engine.recovered());
    Ok(house)
}

/// Says what a crash had left.
fn recovered(all: &[Recovered]) {
    out::say(&message::recovered(all, Style::of(&std::io::stderr())));
}

/// Refuses what is only for whoever owns the records, where that is root.
pub fn roots() -> Result<(), Failure> {
    if by_daemon(Caller::of_this_process())? {
        return Err(Failure::new(FailureKind::Refused, "refused: on this machine the records and rules are root's")
            .next("have root look: sudo backstop …; what is your own: backstop runs, backstop show RUN")
            .by("whom a guard is to watch does not read what it goes by"));
    }
    Ok(())
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
        Verb::Review(typed) => review::review(&typed),
        Verb::Approve(typed) => approve::approve(&typed),
        Verb::Deny(typed) => approve::decide(&typed, &Choice::Deny.into()),
        Verb::Revoke(typed) => approve::decide(&typed, &Choice::Revoke.into()),
        Verb::Freeze(typed) => freeze::freeze(&typed),
        Verb::Thaw(json) => freeze::thaw(&json),
        Verb::Jail(what) => jail::dispatch(&what),
        Verb::People(what) => people::people(&what),
        Verb::Discard(one) => takeback::discard(&one),
        Verb::Undo(typed) => takeback::undo(&typed),
        Verb::Redo(which) => takeback::redo(&which),
        Verb::Vault(Vault::Status(json)) => vault::status(json.json),
        Verb::Vault(Vault::Prune { older_than, json }) => vault::prune(older_than, json),
        Verb::Recover(json) => vault::recover(json.json),
        Verb::Policy(what) => policy::dispatch(&what),
        Verb::Log(typed) => records::log(&typed),
        Verb::Report(typed) => report::report(&typed),
        Verb::Audit(what) => audit::audit(&what),
        Verb::Export { args } => export::export(&args),
        Verb::Doctor(json) => doctor::doctor(json.json),
        Verb::Drill(Drill::Incident(typed)) => crate::drill::incident(&typed),
        Verb::Hook { agent } => hook::hook(agent),
        Verb::Mcp(typed) => mcp::mcp(&typed),
        Verb::Install(Install { machine: Some(machine), .. }) => system::set_up(&machine, false),
        Verb::Uninstall(Install { machine: Some(machine), .. }) => system::set_up(&machine, true),
        Verb::Install(typed) => install::install(&typed),
        Verb::Uninstall(typed) => install::uninstall(&typed),
        Verb::Completions { shell } => meta::completions(shell),
        Verb::Man { dir } => meta::man(&dir),
        Verb::Help { topic } => meta::help(topic.as_deref()),
    }
}
