//! What people read where everything was stopped, and where it goes on.

use backstop_core::approval::quorum::Quorum;
use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_core::time::Timestamp;
use backstop_engine::{Frozen, Thaw};

use super::approval::{name, state};
use super::message::{line, push, tame};
use super::size;
use super::style::{Ink, Style};

/// How many runs a line names.
const NAMED: usize = 5;

fn names(runs: &[RunId]) -> String {
    let mut names: Vec<String> = runs.iter().take(NAMED).map(ToString::to_string).collect();
    if runs.len() > NAMED {
        names.push(format!("and {} more", runs.len() - NAMED));
    }
    names.join(", ")
}

/// Who lets it go on, and how.
fn way_back(freeze: &Freeze) -> String {
    let who = freeze.quorum.as_ref().map_or_else(|| "a person, at a terminal".to_owned(), Quorum::in_words);
    format!("{who}: backstop thaw")
}

/// What stands, and how it goes on.
pub fn standing(freeze: &Freeze, style: Style) -> String {
    let at = freeze.at.whole();
    let mut out = format!("backstop: {} since {at} by user {}\n", style.ink(Ink::Lost, "frozen"), freeze.by);
    if let Some(reason) = &freeze.reason {
        line(&mut out, style, "reason", &reason.quoted().to_string());
    }
    line(&mut out, style, "thaw", &way_back(freeze));
    out
}

/// What came of freezing.
pub fn frozen(frozen: &Frozen, style: Style) -> String {
    let mut out = String::new();
    let stands = match frozen.stopped.len() as u64 {
        0 if frozen.ended.is_empty() => "no command was running".to_owned(),
        0 => "no command is left".to_owned(),
        n => format!("{}, after {} ms", size::counted(n, "command stands", "commands stand"), frozen.took_us / 1_000),
    };
    let already = if frozen.again { " already" } else { "" };
    let word = style.ink(Ink::Lost, "frozen");
    push(&mut out, format_args!("backstop: {word}{already}: {stands}; nothing begins and nothing takes effect\n"));
    if !frozen.stopped.is_empty() {
        line(&mut out, style, "stands", &names(&frozen.stopped));
    }
    if !frozen.ended.is_empty() {
        line(&mut out, style, "ended", &format!("{} did not stand in time", names(&frozen.ended)));
    }
    for note in &frozen.notes {
        line(&mut out, style, "note", &tame(note.as_bytes()));
    }
    line(&mut out, style, "thaw", &way_back(&frozen.freeze));
    out
}

/// What came of the wish to let it go on.
pub fn thawed(thaw: &Thaw, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    match thaw {
        Thaw::Nothing => out.push_str("backstop: nothing is frozen\n"),
        Thaw::Done(thawed) => {
            let runs = match thawed.runs.len() as u64 {
                0 => "no command had stood".to_owned(),
                n => format!("{} on", size::counted(n, "command goes", "commands go")),
            };
            push(&mut out, format_args!("backstop: {}: {runs}\n", style.ink(Ink::Made, "thawed")));
            for note in &thawed.notes {
                line(&mut out, style, "note", &tame(note.as_bytes()));
            }
            line(&mut out, style, "next", "what was held meanwhile waits for its people: backstop runs --state held");
        }
        Thaw::Asked(asked) => {
            let name = name(asked);
            let (word, code) = (style.ink(Ink::Changed, "asked as"), style.ink(Ink::Strong, &name));
            push(&mut out, format_args!("backstop: {word} {code}: that what is frozen goes on\n"));
            line(&mut out, style, "state", &state(asked, now));
            line(&mut out, style, "next", &format!("two people: backstop approve {name} --key FILE"));
        }
    }
    out
}
