//! `doctor`: what this machine can and can't do, and what Backstop would take for the agent's own
//! place here. Every ability is found by trying it.

use std::io;

use backstop_core::bytes::Bytes;
use backstop_core::run::State;
use backstop_engine::Filter;
use backstop_engine::probe::{Ability, probe};

use super::House;
use crate::document::{AbilityDocument, DoctorDocument, VERSION, VaultDocument};
use crate::out::{self, Done};
use crate::screen::doctor::page;
use crate::screen::style::Style;
use crate::{clock, exit, inside, porch};

/// `backstop doctor`: exit 1 where runs can't be rehearsed here.
pub fn doctor(json: bool) -> Done {
    inside::records_needed("doctor")?;
    let house = House::open()?;
    let machine = probe();
    let status = house.engine.vault_status()?;
    let held = house.engine.runs(&Filter { state: Some(State::Held), session: None })?.runs.len() as u64;
    let settings = house.engine.settings();
    let found = DoctorDocument {
        abilities: machine.abilities.iter().map(ability).collect(),
        homes: settings.homes.clone(),
        held,
        privileged: house.caller.uid == 0,
        scratch: settings.scratch.clone(),
        state: Bytes::from(settings.state.as_path()),
        uid: house.caller.uid,
        vault: VaultDocument::of(&status),
        version: VERSION,
        workspace: porch::workspace_here(house.caller, &house.accounts, &house.engine.settings().classes)?
            .map(Bytes::from),
    };
    if json {
        out::document(&found)?;
    } else {
        out::print(&page(&found, &status, clock::now(), Style::of(&io::stdout())))?;
    }
    Ok(if machine.can_rehearse() { exit::OK } else { exit::FOUND })
}

fn ability(a: &Ability) -> AbilityDocument {
    AbilityDocument { detail: a.detail.clone(), name: a.name.to_owned(), ok: a.ok, what: a.what.to_owned() }
}
