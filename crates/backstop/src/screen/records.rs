//! Takes entries of the audit log and the verdict on it, gives what people read of them.

use backstop_core::approval::ballot::Grounds;
use backstop_core::approval::display::in_words;
use backstop_core::approval::matter::code;
use backstop_core::approval::statement::Choice;
use backstop_core::audit::{Body, By, Entry, Settled};
use backstop_core::effect::Totals;
use backstop_core::run::Exit;
use backstop_engine::audit::{Answer, Report, Weight};

use super::message::{line, push, quoted, tame};
use super::style::{Ink, Style, pad};
use super::{list, size};

/// One entry on one line.
pub fn entry(e: &Entry, style: Style) -> String {
    let at = e.at.to_string();
    let at = at.split('.').next().unwrap_or(&at).trim_end_matches('Z').replace('T', " ");
    let run = e.body.run().map_or_else(|| " ".repeat(8), |r| r.to_string());
    let (what, ink) = said(&e.body);
    let line = format!(
        "{}  {}  {} {what}",
        style.ink(Ink::Faint, at),
        style.ink(Ink::Strong, run),
        style.ink(ink, pad(e.body.name(), 15)),
    );
    format!("{}\n", line.trim_end())
}

/// What an entry says beyond its name.
pub fn said(body: &Body) -> (String, Ink) {
    match body {
        Body::ApprovalAsked { question } => (
            format!(
                "{} asks {} people: {}",
                code(question.request),
                question.quorum.people,
                tame(question.summary.as_bytes())
            ),
            Ink::Changed,
        ),
        Body::ApprovalVoted { request, vote, .. } => {
            let good = matches!(vote.choice, Choice::ApproveOnce | Choice::Justified);
            let Grounds { reason, ticket } = vote.grounds();
            let ticket = ticket.map_or_else(String::new, |t| format!(" ({})", quoted(&t)));
            let reason = reason.map_or_else(String::new, |r| format!(": {}", quoted(&r)));
            let said = format!("{} {} {}{ticket}{reason}", code(*request), quoted(&vote.person), vote.choice.name());
            (said, if good { Ink::Made } else { Ink::Lost })
        }
        Body::ApprovalClaimed { request, votes, .. } => {
            let people: Vec<String> = votes.iter().map(|v| quoted(&v.person)).collect();
            (format!("{} approved by {}", code(*request), people.join(" and ")), Ink::Made)
        }
        Body::ApprovalEnded { how, request, .. } => (format!("{} {}", code(*request), quoted(how)), Ink::Changed),
        Body::PeopleChanged { change, request, revision, uid, .. } => {
            let by = request.map_or_else(|| format!("founding, user {uid}"), |r| format!("approved as {}", code(r)));
            (format!("{} (revision {revision}, {by})", tame(in_words(change).as_bytes())), Ink::Changed)
        }
        Body::HostFrozen { ended, freeze, stopped, .. } => {
            let ended = if ended.is_empty() { String::new() } else { format!(", {} ended", ended.len()) };
            let why = freeze.reason.as_ref().map_or_else(String::new, |why| format!(": {}", why.quoted()));
            let runs = size::counted(stopped.len() as u64, "run stands", "runs stand");
            (format!("everything was frozen by user {} ({runs}{ended}){why}", freeze.by), Ink::Lost)
        }
        Body::HostThawed { request, uid, .. } => {
            let by = request.map_or_else(String::new, |r| format!(", approved as {}", code(r)));
            (format!("what was frozen goes on (user {uid}{by})"), Ink::Made)
        }
        Body::JailBanned { ban, .. } => {
            let until = ban.until.map_or_else(String::new, |until| format!(" until {until}"));
            let tried = tame(ban.closed().as_bytes());
            (format!("{} is banned{until} ({}): {tried}", ban.key.in_words(), ban.level.name()), Ink::Lost)
        }
        Body::JailCleared { ban, request, uid, .. } => {
            let by = request.map_or_else(String::new, |r| format!(", approved as {}", code(r)));
            (format!("the ban {} was ended (user {uid}{by})", code(*ban)), Ink::Made)
        }
        Body::JailCounted { offence } => {
            let classes: Vec<String> = offence.classes.iter().map(|c| tame(c.to_string().as_bytes())).collect();
            let who = offence.keys.first().map_or_else(String::new, backstop_core::jail::Key::in_words);
            let what =
                if classes.is_empty() { "begins nothing while it is banned".to_owned() } else { classes.join(", ") };
            (format!("counted against {who}: {what}"), Ink::Changed)
        }
        Body::NoticeDelivered { attempts, channel, entry } => {
            let tries = if *attempts == 1 { String::new() } else { format!(", at the {attempts}. attempt") };
            (format!("people were told of entry {entry} by {}{tries}", quoted(channel)), Ink::Faint)
        }
        Body::NoticeFailed { attempts, channel, entry, why } => (
            format!(
                "people could not be told of entry {entry} by {} ({attempts} attempts): {}",
                quoted(channel),
                quoted(why)
            ),
            Ink::Lost,
        ),
        Body::AuditStarted { .. } => ("the log begins".to_owned(), Ink::Faint),
        Body::AuditHeartbeat { clocks } => (format!("the guard lives (awake for {} s)", clocks.awake), Ink::Faint),
        Body::GuardStarted { version, .. } => (format!("the guard watches (Backstop {})", quoted(version)), Ink::Made),
        Body::GuardStopped { .. } => ("the guard was stopped".to_owned(), Ink::Lost),
        Body::AuditRecovered { adopted, cut_bytes, .. } => {
            (format!("{adopted} entries adopted, {} cut off", size::bytes(*cut_bytes)), Ink::Changed)
        }
        Body::PolicyLoaded { digest, rules, sources } => {
            let names: Vec<String> = sources.iter().map(|s| tame(s.name.as_bytes())).collect();
            (format!("{rules} rules in force ({}): {}", digest.short(), names.join(", ")), Ink::Place)
        }
        Body::PolicyRefused { fallback, refusals, .. } => {
            let first = refusals.first().map_or_else(String::new, |r| format!("{}: {}", r.at, r.why));
            let then = if *fallback { "the last good ones hold" } else { "everything is denied" };
            (format!("rules refused, {then}: {}", tame(first.as_bytes())), Ink::Lost)
        }
        Body::RunRequested { by, command, uid, .. } => {
            let who = by.map_or_else(|| format!("user {uid}"), |by| format!("user {by}, as user {uid}"));
            (format!("{}  ({who})", tame(command.text().as_slice())), Ink::Place)
        }
        Body::Nested { command, .. } => (tame(command.text().as_slice()), Ink::Faint),
        Body::RunRehearsed { totals, exit, .. } => (rehearsed(totals, *exit), Ink::Place),
        Body::RunJudged { judgement, .. } => {
            let rules: Vec<String> = judgement.reasons.iter().take(3).map(|r| quoted(&r.rule)).collect();
            (format!("{} {}", judgement.decision.name(), rules.join(", ")), Ink::Place)
        }
        Body::RunObserved { totals, as_rehearsed, .. } => {
            let word = if *as_rehearsed { "a tool did it" } else { "a tool did something else" };
            (format!("{word}: {}", list::brief(totals)), Ink::Made)
        }
        Body::RunInPlace { exit, why, .. } => {
            let end = exit.map_or_else(String::new, |e| format!(", exit {}", e.code()));
            let why = why.as_deref().map_or_else(String::new, |w| format!(": {}", quoted(w)));
            (format!("in place, without undo{end}{why}"), Ink::Changed)
        }
        Body::RunHeld { .. } => ("waits for a person".to_owned(), Ink::Changed),
        Body::RunDenied { .. } => ("nothing took effect".to_owned(), Ink::Lost),
        Body::RunDryRun { .. } => ("shown only".to_owned(), Ink::Faint),
        Body::RunFailed { why, .. } => (quoted(why), Ink::Lost),
        Body::RunConflict { count, .. } => (size::counted(*count, "place differs", "places differ"), Ink::Changed),
        Body::RunDiscarded { by, .. } => (whose(*by), Ink::Faint),
        Body::RunCommitting { by, .. } | Body::RunUndoing { by, .. } | Body::RunRedoing { by, .. } => {
            (whose(*by), Ink::Place)
        }
        Body::RunCommitted { .. } | Body::RunUndone { .. } | Body::RunRedone { .. } => (String::new(), Ink::Made),
        Body::Recovered { now, what, .. } => (format!("{} (now {})", quoted(what), settled(*now)), Ink::Changed),
        Body::VaultPruned { bytes, runs } => {
            let runs = size::counted(runs.len() as u64, "run", "runs");
            (format!("{} freed, {runs} can no longer be undone", size::bytes(*bytes)), Ink::Changed)
        }
    }
}

fn rehearsed(totals: &Totals, exit: Exit) -> String {
    let brief = list::brief(totals);
    let effect = if brief.is_empty() { "no effect".to_owned() } else { brief };
    match exit {
        Exit::Code(0) => effect,
        Exit::Code(n) => format!("{effect}  (exit {n})"),
        Exit::Signal(n) => format!("{effect}  (signal {n})"),
    }
}

fn whose(by: By) -> String {
    match by {
        By::Person { uid } => format!("by a person, user {uid}"),
        By::Approved { request } => format!("by the people who approved {}", code(request)),
        By::Rule => "by rule".to_owned(),
    }
}

const fn settled(now: Settled) -> &'static str {
    match now {
        Settled::Committed => "committed",
        Settled::Held => "held",
        Settled::Discarded => "discarded",
        Settled::Undone => "undone",
    }
}

/// The verdict on the log: three answers, then what was found.
pub fn report(r: &Report, style: Style) -> String {
    const SHOWN: usize = 12;
    let mut out = String::new();
    for (question, name, answer) in [
        ("is it as it was written?", "integrity", r.integrity),
        ("has every run each of its doors?", "completeness", r.completeness),
        ("had all that took effect its word?", "authorisation", r.authorisation),
    ] {
        let (word, ink) = match answer {
            Answer::Holds => ("holds", Ink::Made),
            Answer::Broken => ("broken", Ink::Lost),
            Answer::Unknown => ("unknown", Ink::Changed),
        };
        push(
            &mut out,
            format_args!("{} {} {}\n", pad(name, 14), style.ink(ink, pad(word, 8)), style.ink(Ink::Faint, question)),
        );
    }
    let entries = size::counted(r.entries, "entry", "entries");
    let runs = size::counted(r.runs as u64, "run", "runs");
    line(&mut out, style, "log", &format!("{entries}, {} signed, {runs}", size::count(r.signed)));
    line(&mut out, style, "root", &r.root.to_string());
    if !r.open.is_empty() {
        let ids: Vec<String> = r.open.iter().take(6).map(ToString::to_string).collect();
        line(&mut out, style, "open", &format!("under way, or cut off: {}", ids.join(" ")));
    }
    // What is wrong first: notes must not hide it.
    let mut found: Vec<_> = r.findings.iter().collect();
    found.sort_by_key(|f| f.weight == Weight::Note);
    for f in found.into_iter().take(SHOWN) {
        let (key, ink) = match f.weight {
            Weight::Note => ("note", Ink::Faint),
            Weight::Broken => ("broken", Ink::Lost),
            Weight::Unreadable => ("unread", Ink::Lost),
        };
        let mut place = String::new();
        if let Some(index) = f.index {
            push(&mut place, format_args!("entry {index}: "));
        }
        let at = match (&f.segment, f.offset) {
            (Some(s), Some(o)) => format!("  ({} byte {o})", quoted(s)),
            (Some(s), None) => format!("  ({})", quoted(s)),
            (None, _) => String::new(),
        };
        line(&mut out, style, key, &format!("{place}{}{}", style.ink(ink, quoted(&f.what)), style.ink(Ink::Faint, at)));
    }
    let kept = r.findings.len().saturating_sub(SHOWN) as u64;
    if kept > 0 {
        line(&mut out, style, "", &format!("… and {} more (--json shows them)", size::count(kept)));
    }
    if r.more > 0 {
        line(&mut out, style, "", &format!("… and {} more, which are only counted", size::count(r.more)));
    }
    if r.exit() != 0 {
        line(&mut out, style, "next", "keep a copy of the log as it is, and find out who could write there");
    }
    out
}
