//! `doctor`: what this machine can and can't do, and what Backstop would take for the agent's own
//! place here. Every ability is found by trying it.

use std::io;

use backstop_core::bytes::Bytes;
use backstop_core::machine::Machine;
use backstop_core::run::State;
use backstop_engine::Filter;
use backstop_engine::porch;
use backstop_engine::probe::{Ability, probe};

use crate::document::{AbilityDocument, DoctorDocument, MachineDocument, VERSION, VaultDocument};
use crate::out::{self, Done};
use crate::screen::doctor::page;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// `backstop doctor`: exit 1 where runs can't be rehearsed here, the settings stop them, or an agent's
/// hook is not proven.
pub fn doctor(json: bool) -> Done {
    inside::records_needed("doctor")?;
    let house = super::house()?;
    let probed = probe();
    let machine = porch::machine();
    if let Err(failure) = &machine {
        out::failure(failure);
    }
    let machine = machine.ok();
    let status = house.engine.vault_status()?;
    let held = house.engine.runs(&Filter { state: Some(State::Held), ..Filter::default() })?.runs.len() as u64;
    let settings = house.engine.settings();
    let proven = super::install::proven(&settings.state);
    if let Err(failure) = &proven {
        out::failure(failure);
    }
    let known = proven.is_ok();
    let agents = proven.unwrap_or_default();
    let unproven = agents.iter().any(|a| a.proof.as_ref().is_some_and(|p| !p.ok));
    let found = DoctorDocument {
        abilities: probed.abilities.iter().map(ability).collect(),
        agents,
        homes: settings.homes.clone(),
        held,
        machine: machine.as_ref().map(in_force),
        privileged: house.caller.uid == 0,
        scratch: settings.scratch.clone(),
        state: Bytes::from(settings.state.as_path()),
        uid: house.caller.uid,
        vault: VaultDocument::of(&status),
        version: VERSION,
        workspace: porch::workspace_here(house.caller, &house.accounts, &settings.kinds.classes)?.map(Bytes::from),
    };
    if json {
        out::document(&found)?;
    } else {
        out::print(&page(&found, &status, clock::now(), Style::of(&io::stdout())))?;
    }
    Ok(if probed.can_rehearse() && machine.is_some() && known && !unproven { exit::OK } else { exit::FOUND })
}

fn in_force(machine: &Machine) -> MachineDocument {
    MachineDocument {
        file: porch::is_set().then(|| porch::FILE.to_owned()),
        may: machine.may.iter().map(|p| (p.name().to_owned(), machine.widest(*p))).collect(),
        profile: machine.profile.name().to_owned(),
    }
}

fn ability(a: &Ability) -> AbilityDocument {
    AbilityDocument { detail: a.detail.clone(), name: a.name.to_owned(), ok: a.ok, what: a.what.to_owned() }
}
