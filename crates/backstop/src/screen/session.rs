//! Takes the runs of a session, gives what is said of it at its end: how many did what, what waits for a
//! person, and the way back.

use backstop_core::bytes::Bytes;
use backstop_core::run::{RunRecord, State};

use super::message::tame;
use super::size;
use super::style::head;

/// Runs that are named one by one.
const NAMED: usize = 5;
/// Columns of a command.
const WIDTH: usize = 60;

/// The states that a count is worth, in the order of what a person wants to know, and their words.
const STATES: [(State, &str); 9] = [
    (State::Committed, "took effect"),
    (State::NoEffect, "changed nothing"),
    (State::Held, "held"),
    (State::Denied, "denied"),
    (State::DryRun, "only shown"),
    (State::InPlace, "ran in place"),
    (State::Undone, "undone"),
    (State::Discarded, "given up"),
    (State::Failed, "failed"),
];

/// What is said of a session of at least one run, newest first; none where there is nothing to say.
pub fn summary(session: &Bytes, runs: &[RunRecord]) -> Option<String> {
    let of = |state: State| runs.iter().filter(move |r| r.state == state);
    let goes_on = of(State::Rehearsing).filter(|r| r.request.in_place).count();
    let ended = STATES.iter().map(|(state, words)| (of(*state).count(), *words));
    let counts: Vec<(usize, &str)> =
        ended.chain([(goes_on, "still going on in place")]).filter(|(n, _)| *n > 0).collect();
    if counts.is_empty() {
        return None;
    }
    let all = counts.iter().map(|(n, _)| *n as u64).sum();
    let parts: Vec<String> = counts.iter().map(|(n, words)| format!("{} {words}", size::count(*n as u64))).collect();
    let mut out = format!(
        "Backstop: {} in this session: {}",
        size::counted(all, "command or edit", "commands and edits"),
        parts.join(", ")
    );
    let held = of(State::Held).count();
    for run in of(State::Held).take(NAMED) {
        let command = tame(run.request.command.text().as_slice());
        out.push_str(&format!("\n  held {}: {} · people: backstop show {0}", run.id, head(&command, WIDTH)));
    }
    if held > NAMED {
        out.push_str(&format!("\n  … and {} more: backstop runs --state held", size::count((held - NAMED) as u64)));
    }
    if goes_on > 0 || of(State::InPlace).next().is_some() {
        out.push_str("\n  undo does not cover what ran in place");
    }
    if of(State::Committed).next().is_some() {
        out.push_str(&format!("\n  take all of it back: backstop undo --session {}", word(session)));
    }
    Some(out)
}

fn word(session: &Bytes) -> String {
    let text = tame(session.as_slice());
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:@".contains(&b));
    if plain { text } else { backstop_core::hook::quote(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::rehearsal;

    #[test]
    fn what_waits_and_the_way_back_are_said() {
        let run = |state| RunRecord { state, ..rehearsal::incident().record };
        let session = Bytes::from("a b");
        assert_eq!(summary(&session, &[]), None);
        assert_eq!(summary(&session, &[run(State::Rehearsing)]), None);
        let looked = summary(&session, &[run(State::NoEffect)]).expect("said");
        assert_eq!(looked, "Backstop: 1 command or edit in this session: 1 changed nothing");
        let all = [run(State::Held), run(State::Committed), run(State::Committed), run(State::InPlace)];
        insta::assert_snapshot!(summary(&session, &all).expect("said"), @r#"
        Backstop: 4 commands and edits in this session: 2 took effect, 1 held, 1 ran in place
          held r-2x7k3f: rm -rf /var/www/temp/* · people: backstop show r-2x7k3f
          undo does not cover what ran in place
          take all of it back: backstop undo --session 'a b'
        "#);
        let mut server = run(State::Rehearsing);
        server.request.in_place = true;
        let said = summary(&session, &[server]).expect("said");
        assert!(said.contains("1 still going on in place\n  undo does not cover"), "{said}");
        let many = vec![run(State::Held); 7];
        let said = summary(&session, &many).expect("said");
        assert_eq!(said.matches("backstop show").count(), NAMED);
        assert!(said.contains("… and 2 more: backstop runs --state held"), "{said}");
    }
}
