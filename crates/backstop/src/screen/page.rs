//! Takes a run with its effects, gives the page that `show` prints: what was asked, the tree, why.

use backstop_core::policy::Decision;
use backstop_core::time::Timestamp;
use backstop_engine::{Outcome, Pending, standing};

use super::message::{self, line, push};
use super::style::{Ink, Style};
use super::summary::{self, Tense};
use super::{approval, size, tree};
use backstop_core::run::State;

/// Rows that all but the tree take.
const REST: usize = 16;

/// The page of one run.
pub fn run(shown: &Outcome, asked: Option<&Pending>, now: Timestamp, style: Style) -> String {
    let (record, set) = (&shown.record, &shown.effects);
    let mut out = String::new();
    let (word, ink) = message::word(record);
    let age = size::age(record.started, now);
    push(
        &mut out,
        format_args!(
            "{}  {}  {}\n",
            style.ink(Ink::Strong, record.id),
            style.ink(ink, word),
            style.ink(Ink::Faint, age)
        ),
    );
    let request = &record.request;
    line(&mut out, style, "command", &message::tame(request.command.text().as_slice()));
    let place = match &request.workspace {
        Some(w) if *w == request.cwd => format!("{} (the workspace)", request.cwd.quoted()),
        Some(w) => format!("{} (workspace {})", request.cwd.quoted(), w.quoted()),
        None => format!("{} (no workspace: every change is outside)", request.cwd.quoted()),
    };
    line(&mut out, style, "in", &place);
    if let Some(session) = &request.session {
        line(&mut out, style, "session", &session.quoted().to_string());
    }
    if let Some(reason) = &request.reason {
        line(
            &mut out,
            style,
            "reason",
            &format!("{} (unchecked, in the caller's words)", message::tame(reason.as_slice())),
        );
    }
    if let Some(exit) = record.exit.filter(|e| e.code() != 0) {
        line(&mut out, style, "exit", &exit.code().to_string());
    }
    let tense = if matches!(record.state, State::Committed | State::Undone) { Tense::Did } else { Tense::Would };
    if set.is_empty() {
        line(&mut out, style, "effect", "none");
    } else {
        line(&mut out, style, "effect", &summary::sentence(set, tense));
        out.push('\n');
        out.push_str(&tree::draw(set, style, style.height.saturating_sub(REST).clamp(10, 60)));
        out.push('\n');
    }
    let have = asked.map_or(0, |a| standing(&a.tally, &a.question.quorum).0);
    message::grounds(&mut out, record, set, have, style);
    let allowed = record.judgement.as_ref().is_some_and(|j| j.decision == Decision::Allow);
    if allowed && record.state != State::Held {
        line(&mut out, style, "rule", "allowed: in places of its own, and it can be undone");
    }
    if let Some(asked) = asked {
        line(&mut out, style, "people", &approval::state(asked, now));
    }
    message::remarks(&mut out, record, style);
    if let Some(digest) = &record.digest {
        line(&mut out, style, "digest", &digest.short());
    }
    let over = asked.is_some_and(|a| record.state == State::Held && !a.phase.waits_or_runs());
    if over {
        line(&mut out, style, "next", &approval::anew(record.id));
    } else if let Some(next) = message::next(record, set) {
        // This is what `show` shows.
        let show = format!("backstop show {}", record.id);
        let rest = next.replace(&format!("{show} · "), "").replace(&format!(" · see all of it: {show}"), "");
        line(&mut out, style, "next", &rest);
    }
    out
}
