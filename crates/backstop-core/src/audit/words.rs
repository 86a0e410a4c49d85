//! What an entry says beyond its type, in one line for people. Names from outside are harmless in it.

use crate::approval::ballot::Grounds;
use crate::approval::display::in_words;
use crate::approval::matter::code;
use crate::audit::{Body, By, Settled};
use crate::effect::Totals;
use crate::jail::Key;
use crate::program::{Program, Unlisted};
use crate::quoted::tame;
use crate::request::Command;
use crate::run::Exit;
use crate::{size, summary};

impl Body {
    /// What it says beyond its name; nothing where the name says all.
    pub fn in_words(&self) -> String {
        let quoted = |text: &str| tame(text.as_bytes());
        let approved = |request: &Option<_>| request.map_or_else(String::new, |r| format!(", approved as {}", code(r)));
        match self {
            Self::ApprovalAsked { question } => {
                let people = question.quorum.people;
                format!("{} asks {people} people: {}", code(question.request), quoted(&question.summary))
            }
            Self::ApprovalVoted { request, vote, .. } => {
                let Grounds { reason, ticket } = vote.grounds();
                let ticket = ticket.map_or_else(String::new, |t| format!(" ({})", quoted(&t)));
                let reason = reason.map_or_else(String::new, |r| format!(": {}", quoted(&r)));
                format!("{} {} {}{ticket}{reason}", code(*request), quoted(&vote.person), vote.choice.name())
            }
            Self::ApprovalClaimed { request, votes, .. } => {
                let people: Vec<String> = votes.iter().map(|v| quoted(&v.person)).collect();
                format!("{} approved by {}", code(*request), people.join(" and "))
            }
            Self::ApprovalEnded { how, request, .. } => format!("{} {}", code(*request), quoted(how)),
            Self::PeopleChanged { change, request, revision, uid, .. } => {
                let by =
                    request.map_or_else(|| format!("founding, user {uid}"), |r| format!("approved as {}", code(r)));
                format!("{} (revision {revision}, {by})", quoted(&in_words(change)))
            }
            Self::HostFrozen { ended, freeze, stopped, .. } => {
                let ended = if ended.is_empty() { String::new() } else { format!(", {} ended", ended.len()) };
                let why = freeze.reason.as_ref().map_or_else(String::new, |why| format!(": {}", why.quoted()));
                let runs = size::counted(stopped.len() as u64, "run stands", "runs stand");
                format!("everything was frozen by user {} ({runs}{ended}){why}", freeze.by)
            }
            Self::HostThawed { request, uid, .. } => {
                format!("what was frozen goes on (user {uid}{})", approved(request))
            }
            Self::JailBanned { ban, .. } => {
                let until = ban.until.map_or_else(String::new, |until| format!(" until {until}"));
                let tried = quoted(&ban.closed());
                format!("{} is banned{until} ({}): {tried}", ban.key.in_words(), ban.level.name())
            }
            Self::JailCleared { ban, request, uid, .. } => {
                format!("the ban {} was ended (user {uid}{})", code(*ban), approved(request))
            }
            Self::JailCounted { offence } => {
                let classes: Vec<String> = offence.classes.iter().map(|c| quoted(&c.to_string())).collect();
                let who = offence.keys.first().map_or_else(String::new, Key::in_words);
                let nothing = || "begins nothing while it is banned".to_owned();
                let what = if classes.is_empty() { nothing() } else { classes.join(", ") };
                format!("counted against {who}: {what}")
            }
            Self::NoticeDelivered { attempts, channel, entry, with } => {
                let tries = if *attempts == 1 { String::new() } else { format!(", at the {attempts}. attempt") };
                format!("people were told of entry {entry}{} by {}{tries}", more(*with), quoted(channel))
            }
            Self::NoticeFailed { attempts, channel, entry, why, with } => {
                let (channel, why, with) = (quoted(channel), quoted(why), more(*with));
                format!("people could not be told of entry {entry}{with} by {channel} ({attempts} attempts): {why}")
            }
            Self::ExportResumed { entry, sink } => format!("{} takes the log again, entry {entry} first", quoted(sink)),
            Self::ExportSkipped { entries, sink, why } => {
                format!("{} refuses {}, which it is not sent again: {}", quoted(sink), entries.in_words(), quoted(why))
            }
            Self::ExportStalled { entry, sink, why } => {
                format!("{} has not taken the log for long, from entry {entry} on: {}", quoted(sink), quoted(why))
            }
            Self::AuditStarted { .. } => "the log begins".to_owned(),
            Self::AuditHeartbeat { clocks } => format!("the guard lives (awake for {} s)", clocks.awake),
            Self::GuardStarted { version, .. } => format!("the guard watches (Backstop {})", quoted(version)),
            Self::GuardStopped { .. } => "the guard was stopped".to_owned(),
            Self::AuditRecovered { adopted, cut_bytes, .. } => {
                format!("{adopted} entries adopted, {} cut off", size::bytes(*cut_bytes))
            }
            Self::PolicyLoaded { digest, rules, sources } => {
                let names: Vec<String> = sources.iter().map(|s| quoted(&s.name)).collect();
                format!("{rules} rules in force ({}): {}", digest.short(), names.join(", "))
            }
            Self::PolicyRefused { fallback, refusals, .. } => {
                let first = refusals.first().map_or_else(String::new, |r| format!("{}: {}", r.at, r.why));
                let then = if *fallback { "the last good ones hold" } else { "everything is denied" };
                format!("rules refused, {then}: {}", quoted(&first))
            }
            Self::RunRequested { by, command, uid, .. } => {
                let who = by.map_or_else(|| format!("user {uid}"), |by| format!("user {by}, as user {uid}"));
                format!("{}  ({who})", tame(command.text().as_slice()))
            }
            Self::ExecRan { program, .. } => ran(program),
            Self::ExecUnlisted { unlisted: Unlisted { count, why }, .. } => {
                let which = count.map_or_else(
                    || "programs that ran".to_owned(),
                    |count| size::counted(count, "more program that ran", "more programs that ran"),
                );
                format!("{which}, not listed: {}", quoted(why))
            }
            Self::Nested { command, .. } => tame(command.text().as_slice()),
            Self::RunRehearsed { totals, exit, .. } => rehearsed(totals, *exit),
            Self::RunJudged { judgement, .. } => {
                let rules: Vec<String> = judgement.reasons.iter().take(3).map(|r| quoted(&r.rule)).collect();
                format!("{} {}", judgement.decision.name(), rules.join(", "))
            }
            Self::RunObserved { totals, as_rehearsed, .. } => {
                let word = if *as_rehearsed { "a tool did it" } else { "a tool did something else" };
                format!("{word}: {}", summary::brief(totals))
            }
            Self::RunInPlace { exit, why, .. } => {
                let end = exit.map_or_else(String::new, |e| format!(", exit {}", e.code()));
                let why = why.as_deref().map_or_else(String::new, |w| format!(": {}", quoted(w)));
                format!("in place, without undo{end}{why}")
            }
            Self::RunHeld { .. } => "waits for a person".to_owned(),
            Self::RunDenied { .. } => "nothing took effect".to_owned(),
            Self::RunDryRun { .. } => "shown only".to_owned(),
            Self::RunFailed { why, .. } => quoted(why),
            Self::RunConflict { count, .. } => size::counted(*count, "place differs", "places differ"),
            Self::RunDiscarded { by, .. }
            | Self::RunCommitting { by, .. }
            | Self::RunUndoing { by, .. }
            | Self::RunRedoing { by, .. } => whose(*by),
            Self::RunCommitted { .. } | Self::RunUndone { .. } | Self::RunRedone { .. } => String::new(),
            Self::Recovered { now, what, .. } => format!("{} (now {})", quoted(what), now.name()),
            Self::VaultPruned { bytes, runs } => {
                let runs = size::counted(runs.len() as u64, "run", "runs");
                format!("{} freed, {runs} can no longer be undone", size::bytes(*bytes))
            }
        }
    }
}

fn more(with: u64) -> String {
    if with == 0 { String::new() } else { format!(" and {with} more like it") }
}

impl Settled {
    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Held => "held",
            Self::Discarded => "discarded",
            Self::Undone => "undone",
        }
    }
}

fn ran(program: &Program) -> String {
    let Program { argv, as_asked, cut, exe, exit, .. } = program;
    let more = if *cut == 0 { String::new() } else { format!(" … (and {})", size::bytes(*cut)) };
    let by = exe.as_ref().map_or_else(String::new, |exe| tame(exe.as_slice()));
    let end = match exit {
        None => String::new(),
        Some(Exit::Code(code)) => format!(", exit {code}"),
        Some(Exit::Signal(signal)) => format!(", signal {signal}"),
    };
    let asked = if *as_asked { ", as it was asked for" } else { "" };
    let words = Command::Argv(argv.clone()).text();
    format!("{}{more}  ({by}, process {}{end}{asked})", tame(words.as_slice()), program.pid)
}

fn rehearsed(totals: &Totals, exit: Exit) -> String {
    let brief = summary::brief(totals);
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
