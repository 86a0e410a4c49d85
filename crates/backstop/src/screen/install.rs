//! What `install` and `uninstall` say: each file, what became of it, the proof, and what it does not cover.

use backstop_core::bytes::Bytes;
use backstop_core::hook::Agent;

use super::diff;
use super::message::{line, quoted};
use super::style::{Ink, Style, pad};
use crate::document::AgentDocument;
use crate::install::system::{Did, Done};
use crate::install::{Act, Step};

/// One step of setting the machine up.
pub fn step(step: &Done, dry_run: bool, style: Style) -> String {
    let mut out = String::new();
    let (word, more) = match step.did {
        Did::Place(act) => (word(act, dry_run), more(act)),
        Did::Kept => ("kept", ""),
        Did::Told if dry_run => ("tell", ""),
        Did::Told => ("told", ""),
    };
    line(&mut out, style, word, &format!("{}{more}", step.what));
    if let Some(note) = &step.note {
        line(&mut out, style, "", note);
    }
    out
}

/// The files of one agent.
pub fn steps(agent: Agent, steps: &[Step], dry_run: bool, style: Style) -> String {
    let mut out = String::new();
    let told: Vec<&Step> = steps.iter().filter(|s| s.act != Act::Absent).collect();
    out.push_str(&format!("{}\n", style.ink(Ink::Strong, agent.name())));
    if told.is_empty() {
        line(&mut out, style, "absent", "no hook of Backstop's is there");
    }
    for step in told {
        let path = Bytes::from(step.path.as_path()).quoted().to_string();
        line(&mut out, style, word(step.act, dry_run), &format!("{path}{}", more(step.act)));
        for note in &step.notes {
            line(&mut out, style, "", note);
        }
        if dry_run && step.acts() {
            let real = Bytes::from(step.found.real.as_path());
            out.push_str(&diff::file(&real, step.found.bytes.as_deref(), step.after.as_deref(), style));
        }
    }
    out
}

const fn word(act: Act, dry_run: bool) -> &'static str {
    match (act, dry_run) {
        (Act::Create, false) => "made",
        (Act::Create, true) => "make",
        (Act::Change, false) => "changed",
        (Act::Change, true) => "change",
        (Act::Same, _) => "same",
        (Act::Restore, false) => "restored",
        (Act::Restore, true) => "restore",
        (Act::TakeOut, false) => "taken",
        (Act::TakeOut, true) => "take",
        (Act::Remove, false) => "removed",
        (Act::Remove, true) => "remove",
        (Act::Absent, _) => "absent",
        (Act::Foreign, _) => "left",
    }
}

const fn more(act: Act) -> &'static str {
    match act {
        Act::Same => ", as it should be",
        Act::Restore => ", the bytes from before",
        Act::TakeOut => ", only what is Backstop's: it was changed since",
        Act::Foreign => ", which is not Backstop's",
        Act::Create | Act::Change | Act::Remove | Act::Absent => "",
    }
}

/// The proof and the holes of one agent.
pub fn proof(agent: &AgentDocument, style: Style) -> String {
    let mut out = String::new();
    let Some(proof) = &agent.proof else { return out };
    if proof.ok {
        line(&mut out, style, "proven", "the hook stops what it must, and lets go on what only reads");
    }
    for wrong in &proof.wrong {
        line(&mut out, style, "wrong", &style.ink(Ink::Lost, quoted(wrong)).to_string());
    }
    let mut remedies: Vec<&str> = agent.holes.iter().map(|h| h.remedy).collect();
    remedies.dedup();
    for (nth, remedy) in remedies.iter().enumerate() {
        if remedies[..nth].contains(remedy) {
            continue;
        }
        for hole in agent.holes.iter().filter(|h| h.remedy == *remedy) {
            line(&mut out, style, "hole", hole.what);
        }
        line(&mut out, style, "", &style.ink(Ink::Faint, format!("-> {remedy}")).to_string());
    }
    out
}

/// The agents of `doctor`.
pub fn proven(agents: &[AgentDocument], style: Style) -> String {
    let mut out = String::new();
    for agent in agents {
        let ok = agent.proof.as_ref().is_some_and(|p| p.ok);
        let (mark, ink) = if ok { ("✓", Ink::Made) } else { ("✗", Ink::Lost) };
        let name = pad(&format!("{} ({})", agent.agent, agent.scope), 18);
        out.push_str(&format!("\n{} {name} the hook of this agent\n", style.ink(ink, mark)));
        out.push_str(&proof(agent, style));
    }
    out
}
