//! Takes an outcome or a failure, gives the message on standard error: cause, rule, next step.
//! Never more than a screen; nothing is left out without its count.

use std::fmt::Write;

use backstop_core::approval::quorum::Quorum;
use backstop_core::effect::{Cover, CrossingKind, Door, EffectSet, Mount};
use backstop_core::facts::Meaning;
use backstop_core::policy::{Decision, Judgement, Reason};
pub use backstop_core::quoted::tame;
use backstop_core::run::{RunRecord, State};
use backstop_engine::{Failure, FailureKind, Outcome, Recovered};

use super::size;
use super::style::{Ink, Style, pad};
use super::summary::{self, Tense};

/// How many lines of one kind a message has.
const LINES: usize = 4;
/// How many ways to do it otherwise are named.
const WAYS: usize = 2;

/// How wide the keys in front of lines are.
const KEY: usize = 8;

/// One aligned line below the first.
pub fn line(out: &mut String, style: Style, key: &str, text: &str) {
    let key = pad(key, KEY);
    push(out, format_args!("  {} {text}\n", style.ink(Ink::Faint, key)));
}

/// Adds to a screen.
pub(super) fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("writing to a string never fails");
}

/// What `run`, `commit` and `retry` say about a run.
pub fn outcome(outcome: &Outcome, style: Style) -> String {
    let (record, set) = (&outcome.record, &outcome.effects);
    let mut out = String::new();
    let tense = if record.state == State::Committed { Tense::Did } else { Tense::Would };
    let (word, ink) = word(record);
    let what = if set.is_empty() { nothing(record).to_owned() } else { summary::sentence(set, tense) };
    push(&mut out, format_args!("backstop: {} {}: {what}\n", style.ink(ink, word), style.ink(Ink::Strong, record.id)));
    let blocked = matches!(record.state, State::Held | State::Denied | State::DryRun);
    if blocked {
        grounds(&mut out, record, set, 0, style);
    }
    let shut: Vec<&Door> = set.doors.iter().filter(|d| d.shut).collect();
    few(&mut out, style, "no door", &shut, |d| format!("{} for {}", d.to.quoted(), d.who.quoted()));
    remarks(&mut out, record, style);
    if let Some(next) = next(record, set) {
        line(&mut out, style, "next", &next);
    }
    out
}

/// What a question opens with: the sentence and its grounds, no way on yet.
pub fn question(record: &RunRecord, set: &EffectSet, style: Style) -> String {
    let mut out = String::new();
    let what = summary::sentence(set, Tense::Would);
    push(
        &mut out,
        format_args!("backstop: {} {}: {what}\n", style.ink(Ink::Changed, "asks"), style.ink(Ink::Strong, record.id)),
    );
    grounds(&mut out, record, set, 0, style);
    out.push('\n');
    out
}

/// The state as the first word, in its colour.
pub const fn word(record: &RunRecord) -> (&'static str, Ink) {
    match record.state {
        State::Committed => ("committed", Ink::Made),
        State::Held => ("held", Ink::Changed),
        State::Denied => ("denied", Ink::Lost),
        State::Failed => ("failed", Ink::Lost),
        State::DryRun => ("dry run", Ink::Place),
        State::Undone => ("undone", Ink::Place),
        State::Discarded => ("discarded", Ink::Faint),
        State::NoEffect => ("no effect", Ink::Faint),
        State::Rehearsing if record.request.in_place => ("in place", Ink::Place),
        State::Rehearsing => ("rehearsing", Ink::Place),
        State::Allowed => ("allowed", Ink::Made),
        State::InPlace => ("in place", Ink::Changed),
    }
}

const fn nothing(record: &RunRecord) -> &'static str {
    match record.state {
        State::Failed => "nothing took effect",
        // All that an empty set of effects leaves to commit.
        State::Committed => "only the times of directories changed",
        State::Rehearsing => "still going on",
        State::InPlace => "ran in the background; what it changed is not known",
        _ => "would change nothing",
    }
}

/// Why a run did not simply take effect: conflicts, crossings, who has it open, rules; `have` people have
/// approved it.
pub fn grounds(out: &mut String, record: &RunRecord, set: &EffectSet, have: usize, style: Style) {
    few(out, style, "conflict", &set.conflicts, |c| format!("{}: {}", c.path.quoted(), c.why));
    few(out, style, "through", &set.crossings, |c| {
        let how = match c.how {
            CrossingKind::Link => "",
            CrossingKind::Mount => " (a mount)",
        };
        let way = format!("{} -> {}{how}", c.via.quoted(), c.hit.quoted());
        format!("{}   the command named {}", pad(&way, 54), c.typed.quoted())
    });
    few(out, style, "open", &summary::openers(set), |o| {
        let how = if o.writing { " open for writing" } else { " open" };
        format!("{}[{}] has {} of these{how}", o.name.quoted(), o.pid, size::count(o.files))
    });
    let linked: u64 = set.effects.iter().map(|e| u64::from(e.linked_elsewhere)).sum();
    if linked > 0 {
        let names = size::counted(linked, "further name (hard link)", "further names (hard links)");
        line(out, style, "linked", &format!("{names} elsewhere would change along"));
    }
    let lost = set.effects.iter().filter(|e| !e.undoable).count() as u64;
    if lost > 0 {
        line(out, style, "no undo", &format!("no copy can be kept of {}", size::counted(lost, "place", "places")));
    }
    few(out, style, "unknown", &set.incomplete, |what| quoted(what));
    if let Some(meaning) = &record.meaning {
        meant(out, meaning, style);
    }
    if let Some(judgement) = &record.judgement {
        rules(out, record, judgement, have, style);
        if record.state == State::Held && judgement.decision == Decision::Allow && set.conflicts.is_empty() {
            line(out, style, "rule", "held on request; policy would allow it");
        }
    }
}

/// What would be lost, and why it matters.
fn meant(out: &mut String, meaning: &Meaning, style: Style) {
    if let Some((key, text)) = summary::loss(meaning) {
        line(out, style, key, &text);
    }
    few(out, style, "is", &meaning.kinds, |k| format!("{}: {}", quoted(&k.class), quoted(&k.why)));
    few(out, style, "saw", &meaning.told, |t| {
        format!("{} {}: {}", quoted(&t.lens), t.path.quoted(), tame(t.text.as_bytes()))
    });
}

/// The rules that spoke, strictest first: each with its place and what it takes, then why.
fn rules(out: &mut String, record: &RunRecord, judgement: &Judgement, have: usize, style: Style) {
    let telling: Vec<&Reason> = judgement.reasons.iter().filter(|r| r.decision != Decision::Allow).collect();
    let below = " ".repeat(KEY + 1);
    few(out, style, "rule", &telling, |r| {
        let ink = if r.decision == Decision::Deny { Ink::Lost } else { Ink::Changed };
        let why = match r.count {
            0 | 1 => quoted(&r.why),
            n => format!("{} ({} places)", quoted(&r.why), size::count(n)),
        };
        let (name, at) = (pad(&quoted(&r.rule), 22), pad(&source(r), 27));
        format!("{}  {at}  {}\n  {below}{why}", style.ink(ink, name), needs(r, have))
    });
    // What a denial says to do is its next step.
    let said = if record.state == State::Denied { way_on(judgement) } else { None };
    let mut instead: Vec<&str> = Vec::new();
    for way in telling.iter().filter_map(|r| r.next.as_deref()).filter(|way| Some(*way) != said) {
        if !instead.contains(&way) && instead.len() < WAYS {
            instead.push(way);
        }
    }
    few(out, style, "instead", &instead, |way| quoted(way));
}

/// Where a rule stands; the floor and the court's own rules stand in no file.
fn source(reason: &Reason) -> String {
    reason.source.as_deref().map_or_else(|| "compiled in".to_owned(), quoted)
}

/// What it takes to satisfy a rule, of which so many people have approved. One person who does, commits it.
fn needs(reason: &Reason, have: usize) -> String {
    match reason.decision {
        Decision::Allow => "needs nobody".to_owned(),
        Decision::Ask => "needs 1 person, has 0".to_owned(),
        Decision::TwoPerson => {
            let quorum = reason.quorum.clone().unwrap_or(Quorum::TWO);
            format!("needs {}, has {have}", quorum.in_words())
        }
        Decision::Deny => "denies; nobody can let it through".to_owned(),
    }
}

/// What to do instead of what was denied.
fn instead_of(record: &RunRecord) -> String {
    record.judgement.as_ref().and_then(way_on).map_or("name a narrower place".to_owned(), quoted)
}

/// What the strictest rule that says so advises to do instead.
fn way_on(judgement: &Judgement) -> Option<&str> {
    let strictest = judgement.reasons.iter().filter(|r| r.decision == judgement.decision);
    strictest.filter_map(|r| r.next.as_deref()).next()
}

/// What a person should know about the run itself.
pub fn remarks(out: &mut String, record: &RunRecord, style: Style) {
    few(out, style, "stopped", &record.left_behind, |p| format!("{}[{}] outlived the command", p.name.quoted(), p.pid));
    few(out, style, "note", &record.notes, |n| quoted(n));
}

/// What behaved differently from a plain run, for a run that otherwise has nothing to say: processes
/// that were stopped, and where the command failed, the doors that were shut and the remarks.
pub fn quiet(outcome: &Outcome, style: Style) -> String {
    let (record, set) = (&outcome.record, &outcome.effects);
    let mut lines = String::new();
    let failed = record.exit.is_some_and(|e| e.code() != 0);
    few(&mut lines, style, "stopped", &record.left_behind, |p| {
        format!("{}[{}] outlived the command", p.name.quoted(), p.pid)
    });
    if failed {
        let shut: Vec<&Door> = set.doors.iter().filter(|d| d.shut).collect();
        few(&mut lines, style, "no door", &shut, |d| format!("{} for {}", d.to.quoted(), d.who.quoted()));
        if let Some((mount, why)) = read_only_here(record, set) {
            let text = format!("{} is read-only in a run: {}", mount.path.quoted(), quoted(why));
            line(&mut lines, style, "note", &text);
        }
    }
    if failed || style.terminal {
        few(&mut lines, style, "note", &record.notes, |n| quoted(n));
    }
    if lines.is_empty() {
        return lines;
    }
    let (word, ink) = word(record);
    format!("backstop: {} {}\n{lines}", style.ink(ink, word), style.ink(Ink::Strong, record.id))
}

/// The mount that the command worked on, where that could not carry changes: a command that failed
/// probably failed for it.
fn read_only_here<'a>(record: &RunRecord, set: &'a EffectSet) -> Option<(&'a Mount, &'a str)> {
    let cwd = &record.request.cwd;
    let mounts = set.mounts.iter().filter(|m| cwd.is_beneath(m.path.as_slice()));
    let mount = mounts.max_by_key(|m| m.path.as_slice().len())?;
    match &mount.cover {
        Cover::ReadOnly { why } => Some((mount, why)),
        Cover::Overlay | Cover::Private => None,
    }
}

/// What can be done now; none where nothing needs doing.
pub fn next(record: &RunRecord, set: &EffectSet) -> Option<String> {
    let id = record.id;
    let decision = record.judgement.as_ref().map_or(Decision::Allow, |j| j.decision);
    match record.state {
        State::Held if !set.conflicts.is_empty() => {
            Some(format!("backstop show {id} · people: backstop retry {id} · give up: backstop discard {id}"))
        }
        State::Held => match decision {
            Decision::Allow | Decision::Ask => {
                let words = record.judgement.as_ref().map(Judgement::words).unwrap_or_default();
                let typed = if words.is_empty() { "" } else { " (and its words typed)" };
                Some(format!(
                    "backstop show {id} · people: backstop commit {id}{typed} · give up: backstop discard {id}"
                ))
            }
            Decision::TwoPerson if record.approval.is_some() => Some(format!(
                "backstop show {id} · people: backstop approve {id} --key FILE · give up: backstop discard {id}"
            )),
            Decision::TwoPerson => Some(format!(
                "backstop show {id} · nobody could be asked: backstop help approvals · give up: backstop discard {id}"
            )),
            Decision::Deny => Some(format!("backstop show {id} · give up: backstop discard {id}")),
        },
        State::Denied => Some(format!("{} · see all of it: backstop show {id}", instead_of(record))),
        State::Committed => Some(format!("take it back: backstop undo {id}")),
        State::DryRun => Some("nothing was changed; the same line without --dry-run does it".to_owned()),
        State::Failed => Some(format!("see what is known: backstop show {id} · backstop doctor")),
        State::Allowed => Some("a tool of the agent's own does it; what it did is looked at when it has".to_owned()),
        State::Rehearsing | State::NoEffect | State::InPlace | State::Undone | State::Discarded => None,
    }
}

/// At most `LINES` lines of `items`, then how many more there are.
fn few<T>(out: &mut String, style: Style, key: &str, items: &[T], show: impl Fn(&T) -> String) {
    let shown = if items.len() > LINES { LINES - 1 } else { items.len() };
    for (at, item) in items[..shown].iter().enumerate() {
        line(out, style, if at == 0 { key } else { "" }, &show(item));
    }
    if items.len() > shown {
        line(out, style, "", &format!("… and {} more", size::count((items.len() - shown) as u64)));
    }
}

/// Text that may hold names from outside, shown harmlessly. Backslashes stay single, because most
/// of these texts quoted their names already.
pub fn quoted(text: &str) -> String {
    tame(text.as_bytes())
}

/// A failure with its rule and next steps; `rule` where the kind doesn't say it already.
pub fn failure(failure: &Failure, style: Style) -> String {
    let mut out = String::new();
    let ink = match failure.kind {
        FailureKind::Usage | FailureKind::Conflict | FailureKind::Interrupted(_) => Ink::Changed,
        FailureKind::Refused | FailureKind::Internal => Ink::Lost,
    };
    let mut lines = failure.what.lines();
    push(&mut out, format_args!("backstop: {}\n", style.ink(ink, quoted(lines.next().unwrap_or_default()))));
    for more in lines {
        line(&mut out, style, "", &quoted(more.trim_start()));
    }
    if let Some(rule) = failure.rule.as_deref().or(rule_of(failure.kind)) {
        line(&mut out, style, "rule", rule);
    }
    for (at, step) in failure.next.iter().enumerate() {
        line(&mut out, style, if at == 0 { "next" } else { "" }, &quoted(step));
    }
    out
}

/// The rule behind a kind of failure.
pub(super) const fn rule_of(kind: FailureKind) -> Option<&'static str> {
    match kind {
        FailureKind::Usage | FailureKind::Interrupted(_) => None,
        FailureKind::Conflict => Some("what others changed meanwhile is never overwritten"),
        FailureKind::Refused => Some("what lets something through, or changes the rules, is people's"),
        FailureKind::Internal => Some("when Backstop fails, nothing is changed"),
    }
}

/// How many places a line each is given to; the rest is counted.
const LEFT: usize = 8;

/// What opening the engine had to put right after a crash.
pub fn recovered(all: &[Recovered], style: Style) -> String {
    let mut out = String::new();
    for r in all {
        push(
            &mut out,
            format_args!("backstop: after a crash, {}: {}\n", style.ink(Ink::Strong, r.id), quoted(&r.what)),
        );
        for conflict in r.left.iter().take(LEFT) {
            push(&mut out, format_args!("  left     {}: {}\n", conflict.path.quoted(), conflict.why));
        }
        if let Some(more) = r.left.len().checked_sub(LEFT).filter(|more| *more > 0) {
            push(&mut out, format_args!("  left     … and {more} more: backstop show {}\n", r.id));
        }
        for path in r.beside.iter().take(LEFT) {
            push(&mut out, format_args!("  beside   what was there before is now {}\n", path.quoted()));
        }
        if let Some(more) = r.beside.len().checked_sub(LEFT).filter(|more| *more > 0) {
            push(&mut out, format_args!("  beside   … and {more} more: backstop show {}\n", r.id));
        }
    }
    out
}
