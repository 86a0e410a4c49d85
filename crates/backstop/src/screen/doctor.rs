//! Takes what `doctor` found, gives the page people read.

use std::fmt::Write;

use backstop_core::bytes::Bytes;
use backstop_core::time::Timestamp;
use backstop_engine::VaultStatus;

use super::message::{line, quoted};
use super::style::{Ink, Style, pad};
use super::{install, report, size};
use crate::document::{DoctorDocument, MachineDocument};

/// The page.
pub fn page(found: &DoctorDocument, vault: &VaultStatus, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    let mut push = |args: std::fmt::Arguments<'_>| out.write_fmt(args).expect("writing to a string never fails");
    for a in &found.abilities {
        let (mark, ink) = if a.ok { ("✓", Ink::Made) } else { ("✗", Ink::Lost) };
        push(format_args!(
            "{} {} {}{}\n",
            style.ink(ink, mark),
            pad(&quoted(&a.name), 18),
            quoted(&a.what),
            if a.detail.is_empty() {
                String::new()
            } else {
                style.ink(Ink::Faint, format!("  ({})", quoted(&a.detail))).to_string()
            }
        ));
    }
    let who = if found.privileged { "root: every mount can be covered" } else { "a user: what the user can write to" };
    push(format_args!("\n{}\n", style.ink(Ink::Strong, format!("as {who}"))));
    let place = match &found.workspace {
        Some(w) => w.quoted().to_string(),
        None => "none from here: every change is outside".to_owned(),
    };
    line(&mut out, style, "here", &format!("workspace {place}"));
    line(&mut out, style, "profile", &found.machine.as_ref().map_or_else(unusable, settled));
    line(&mut out, style, "scratch", &places(&found.scratch));
    line(&mut out, style, "homes", &places(&found.homes));
    line(&mut out, style, "state", &found.state.quoted().to_string());
    line(&mut out, style, "held", &size::counted(found.held, "run waits for a person", "runs wait for a person"));
    out.push_str(&install::proven(&found.agents, style));
    out.push('\n');
    out.push_str(&report::vault(vault, now, style));
    out
}

fn unusable() -> String {
    "none: the machine's settings can't be used, so no run goes".to_owned()
}

fn settled(machine: &MachineDocument) -> String {
    let may: Vec<String> =
        machine.may.iter().map(|(name, net)| format!("{} (--net {})", quoted(name), net.name())).collect();
    let from = machine.file.as_deref().map_or_else(|| "no settings file".to_owned(), quoted);
    format!("{}; a run may name {}  ({from})", quoted(&machine.profile), may.join(", "))
}

fn places(all: &[Bytes]) -> String {
    const SHOWN: usize = 6;
    let names: Vec<String> = all.iter().take(SHOWN).map(|p| p.quoted().to_string()).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => names.join("  "),
        more => format!("{}  … and {more} more", names.join("  ")),
    }
}
