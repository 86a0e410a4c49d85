//! Takes entries of the audit log and the verdict on it, gives what people read of them.

use backstop_core::approval::statement::Choice;
use backstop_core::audit::{Body, Entry};
use backstop_engine::audit::{Answer, Report, Weight};

use super::message::{line, push, quoted};
use super::size;
use super::style::{Ink, Style, pad};

/// One entry on one line.
pub fn entry(e: &Entry, style: Style) -> String {
    let at = e.at.to_string();
    let at = at.split('.').next().unwrap_or(&at).trim_end_matches('Z').replace('T', " ");
    let run = e.body.run().map_or_else(|| " ".repeat(8), |r| r.to_string());
    let what = e.body.in_words();
    let line = format!(
        "{}  {}  {} {what}",
        style.ink(Ink::Faint, at),
        style.ink(Ink::Strong, run),
        style.ink(ink(&e.body), pad(e.body.name(), 15)),
    );
    format!("{}\n", line.trim_end())
}

/// In which colour it is said.
const fn ink(body: &Body) -> Ink {
    match body {
        Body::ApprovalVoted { vote, .. } => match vote.choice {
            Choice::ApproveOnce | Choice::Justified => Ink::Made,
            _ => Ink::Lost,
        },
        Body::ApprovalClaimed { .. }
        | Body::ExportResumed { .. }
        | Body::GuardStarted { .. }
        | Body::HostThawed { .. }
        | Body::JailCleared { .. }
        | Body::RunCommitted { .. }
        | Body::RunObserved { .. }
        | Body::RunRedone { .. }
        | Body::RunUndone { .. } => Ink::Made,
        Body::ExportSkipped { .. }
        | Body::ExportStalled { .. }
        | Body::GuardStopped { .. }
        | Body::HostFrozen { .. }
        | Body::JailBanned { .. }
        | Body::NoticeFailed { .. }
        | Body::PolicyRefused { .. }
        | Body::RunDenied { .. }
        | Body::RunFailed { .. } => Ink::Lost,
        Body::ApprovalAsked { .. }
        | Body::ApprovalEnded { .. }
        | Body::AuditRecovered { .. }
        | Body::JailCounted { .. }
        | Body::PeopleChanged { .. }
        | Body::Recovered { .. }
        | Body::RunConflict { .. }
        | Body::RunHeld { .. }
        | Body::RunInPlace { .. }
        | Body::VaultPruned { .. } => Ink::Changed,
        Body::AuditHeartbeat { .. }
        | Body::AuditStarted { .. }
        | Body::ExecRan { .. }
        | Body::ExecUnlisted { .. }
        | Body::Nested { .. }
        | Body::NoticeDelivered { .. }
        | Body::RunDiscarded { .. }
        | Body::RunDryRun { .. } => Ink::Faint,
        Body::PolicyLoaded { .. }
        | Body::RunCommitting { .. }
        | Body::RunJudged { .. }
        | Body::RunRedoing { .. }
        | Body::RunRehearsed { .. }
        | Body::RunRequested { .. }
        | Body::RunUndoing { .. } => Ink::Place,
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
