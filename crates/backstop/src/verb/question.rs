//! `show --question`: whether one person may be asked about a held run through a client of theirs, and the
//! text of that question. Lets nothing through; `mcp` shows it, and `commit` is what an answer starts.

use backstop_core::policy::law::Profile;
use backstop_core::policy::{Decision, Judgement};
use backstop_core::run::State;
use backstop_engine::{Failure, FailureKind, Outcome};

use crate::person::ROWS;
use crate::screen::style::{Style, head};
use crate::screen::{message, tree};

/// A client shows the text in a dialogue; what is beyond it is in `show`.
const LONGEST: usize = 8_000;
/// Columns of the command and of the reason that are shown.
const WIDE: usize = 600;

/// The question, without colours, names escaped.
///
/// # Errors
/// Where it is not for one person, or not for a dialogue, to answer.
pub fn text(shown: &Outcome, machine: Profile) -> Result<String, Failure> {
    if let Some(why) = unfit(shown, machine) {
        let next = format!("people decide at a terminal: backstop show {}", shown.record.id);
        return Err(Failure::new(FailureKind::Refused, format!("refused: {why}")).next(next));
    }
    let request = &shown.record.request;
    let mut out = String::new();
    let mut line = |key, text: &[u8], more: &str| {
        let text = head(&message::tame(text), WIDE);
        message::line(&mut out, Style::PLAIN, key, &format!("{text}{more}"));
    };
    line("command", request.command.text().as_slice(), "");
    line("in", request.cwd.as_slice(), "");
    if let Some(asker) = &request.asker {
        line("asked by", asker.agent.as_slice(), "");
    }
    if let Some(reason) = &request.reason {
        line("reason", reason.as_slice(), " (unchecked, in the caller's words)");
    }
    out.push_str(&message::question(&shown.record, &shown.effects, Style::PLAIN));
    out.push_str(&tree::draw(&shown.effects, Style::PLAIN, ROWS));
    if out.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
        out.truncate(end);
        out.push_str(&format!("…\nthere is more: backstop show {}\n", shown.record.id));
    }
    Ok(out)
}

/// Why nobody is to be asked in a dialogue.
fn unfit(shown: &Outcome, machine: Profile) -> Option<&'static str> {
    let record = &shown.record;
    let judgement = record.judgement.as_ref();
    let here = |profile: Profile| profile == Profile::Workstation;
    if record.state != State::Held {
        return Some("it is not held");
    }
    if !shown.effects.conflicts.is_empty() {
        return Some("the disk changed meanwhile");
    }
    match judgement.map(|j| j.decision) {
        Some(Decision::Ask) => {}
        Some(Decision::Allow) => return Some("it was held on request"),
        Some(Decision::TwoPerson) => return Some("it takes two people"),
        Some(Decision::Deny) | None => return Some("nobody can let it through"),
    }
    if !judgement.map(Judgement::words).unwrap_or_default().is_empty() {
        // A dialogue's field is filled in by programs as easily as by people.
        return Some("it takes words that a person types at a terminal");
    }
    if !here(machine) || record.request.profile != Profile::Workstation.name() {
        return Some("in this profile people decide at a terminal");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::rehearsal;
    use backstop_core::policy::Reason;

    fn asked() -> Outcome {
        let mut held = rehearsal::hostile();
        let judgement = held.record.judgement.as_mut().expect("judged");
        judgement.decision = Decision::Ask;
        judgement.reasons.retain(|r| r.decision <= Decision::Ask && r.words.is_none());
        held
    }

    #[test]
    fn the_question_shows_command_effect_and_reasons_harmlessly() {
        let mut held = asked();
        held.record.request.reason = Some("because\u{1b}[2J".into());
        let text = text(&held, Profile::Workstation).expect("one person may answer");
        for part in ["asks r-2x7k3f", "touch x", "/var/www", "/etc", "in the caller's words", "rule"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}'), "{text:?}");
    }

    #[test]
    fn a_long_question_is_cut_and_says_so() {
        let mut held = asked();
        let reason = |n: usize| Reason { why: "x".repeat(4_000 + n), ..Reason::clone(&asked_reason()) };
        held.record.judgement.as_mut().expect("judged").reasons = (0..3).map(reason).collect();
        let text = text(&held, Profile::Workstation).expect("one person may answer");
        assert!(text.len() < LONGEST + 100 && text.contains("there is more: backstop show r-2x7k3f"), "{}", text.len());
    }

    fn asked_reason() -> Reason {
        let judgement = asked().record.judgement.expect("judged");
        judgement.reasons.into_iter().find(|r| r.decision == Decision::Ask).expect("something asks")
    }

    #[test]
    fn what_is_not_for_one_person_to_answer_is_not_asked() {
        type Change = fn(&mut Outcome);
        let cases: [(&str, Change); 7] = [
            ("not held", |o| o.record.state = State::Denied),
            ("changed meanwhile", |o| o.effects.conflicts = rehearsal::conflict().effects.conflicts),
            ("two people", |o| decide(o, Decision::TwoPerson)),
            ("nobody", |o| decide(o, Decision::Deny)),
            ("on request", |o| decide(o, Decision::Allow)),
            ("words", |o| {
                let reasons = &mut o.record.judgement.as_mut().expect("judged").reasons;
                reasons[0].words = Some("lose a database".to_owned());
            }),
            ("profile", |o| o.record.request.profile = "production".to_owned()),
        ];
        for (part, change) in cases {
            let mut held = asked();
            change(&mut held);
            let why = text(&held, Profile::Workstation).expect_err(part).what;
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(text(&asked(), Profile::Production).is_err());
        assert!(text(&asked(), Profile::Workstation).is_ok());
    }

    fn decide(outcome: &mut Outcome, decision: Decision) {
        outcome.record.judgement.as_mut().expect("judged").decision = decision;
    }
}
