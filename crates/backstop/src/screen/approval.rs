//! What people read of requests for approval, and of who may approve.

use std::collections::BTreeSet;

use backstop_core::approval::ballot::{Grounds, Tally};
use backstop_core::approval::display::in_words;
use backstop_core::approval::key::Key;
use backstop_core::approval::life::Phase;
use backstop_core::approval::matter::{Matter, code};
use backstop_core::approval::people::{Change, FOUNDERS, People};
use backstop_core::approval::statement::{Choice, Word};
use backstop_core::id::RunId;
use backstop_core::time::Timestamp;
use backstop_engine::{Decided, Pending, Wish, standing};

use super::message::{line, push, tame};
use super::size;
use super::style::{Ink, Style, pad};

/// What a request is called on the command line.
pub fn name(asked: &Pending) -> String {
    match &asked.question.matter {
        Matter::Run { run, .. } => run.to_string(),
        Matter::Clear { .. } | Matter::People { .. } | Matter::Thaw { .. } => code(asked.question.request),
    }
}

/// `1 of 2 (anna), expires in 12 min`.
pub fn state(asked: &Pending, now: Timestamp) -> String {
    let (have, needs) = standing(&asked.tally, &asked.question.quorum);
    let yes: BTreeSet<&str> = asked.votes.iter().filter(|v| v.choice.lets_through()).map(|v| &*v.person).collect();
    let who: Vec<&str> = match &asked.tally {
        // Of those who said yes, who still counts.
        Tally::Open { have, .. } => have.iter().map(String::as_str).collect(),
        _ => yes.into_iter().collect(),
    };
    let glass = broken(asked).map_or_else(String::new, |glass| format!("; {glass}"));
    let who = if who.is_empty() { String::new() } else { format!(" ({})", who.join(", ")) };
    let groups = match &asked.tally {
        Tally::Open { groups, .. } if !groups.is_empty() => {
            let all: Vec<String> = groups.iter().map(|(group, n)| format!("{n} of {group}")).collect();
            format!(", lacks {}", all.join(" and "))
        }
        _ => String::new(),
    };
    match asked.phase {
        Phase::Pending | Phase::Approved { .. } => {
            let left = |end: Timestamp| match end.seconds_since(now).max(0) {
                left @ ..120 => format!("{left} s"),
                left @ ..7_200 => format!("{} min", left / 60),
                left => format!("{} h", left / 3_600),
            };
            let opens = asked.question.terms.opens.filter(|from| now < *from);
            let opens = opens.map_or_else(String::new, |from| format!(", opens in {}", left(from)));
            let have =
                if glass.is_empty() { format!("{have} of {needs}{who}{groups}{opens}, ") } else { String::new() };
            format!("{have}expires in {}{glass}", left(asked.question.expires))
        }
        Phase::Denied | Phase::Revoked => {
            let no = |choice: Choice| matches!(choice, Choice::Deny | Choice::Revoke);
            let by = asked.votes.iter().find(|v| no(v.choice)).map(|v| &*v.person);
            format!("{} by {}{glass}", asked.phase.name(), by.unwrap_or("somebody"))
        }
        phase if glass.is_empty() => format!("{}{who}", phase.name()),
        phase => format!("{}{glass}", phase.name()),
    }
}

/// Where somebody broke the glass: who, and who has reviewed that.
fn broken(asked: &Pending) -> Option<String> {
    let by = asked.votes.iter().find(|v| v.choice == Choice::BreakGlass)?;
    let review = asked.votes.iter().find(|v| v.choice.reviews());
    let review = review
        .map_or_else(|| "not reviewed yet".to_owned(), |v| format!("reviewed by {}: {}", v.person, v.choice.name()));
    Some(format!("{} broke the glass, {review}", by.person))
}

/// What whoever breaks the glass, or reviews that, is told before it is signed.
pub fn alone(word: &Word, asked: &Pending, style: Style) -> String {
    let mut out = String::new();
    let mut say = |key: &str, text: &str| line(&mut out, style, key, &tame(text.as_bytes()));
    if word.choice == Choice::BreakGlass {
        say(
            "alone",
            "all others hear of it, and one of them has to review it before the glass is broken again, also where \
             nothing comes of it",
        );
    }
    if word.choice.reviews() {
        say("was", asked.phase.name());
        for vote in asked.votes.iter().filter(|v| v.choice == Choice::BreakGlass) {
            let Grounds { reason, ticket } = vote.grounds();
            let (reason, ticket) = (reason.unwrap_or_default(), ticket.unwrap_or_default());
            say("by", &format!("{}: {reason} ({ticket})", vote.person));
        }
    }
    for (key, said) in [("ticket", &word.ticket), ("reason", &word.reason)] {
        said.iter().for_each(|said| say(key, said));
    }
    out
}

/// What somebody let through alone, and nobody has reviewed.
pub fn reviews(all: &[Pending], now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    for asked in all {
        let name = name(asked);
        push(
            &mut out,
            format_args!(
                "{}  {}  {}  {}\n           {}\n",
                style.ink(Ink::Strong, pad(&name, 9)),
                style.ink(Ink::Faint, code(asked.question.request)),
                style.ink(Ink::Faint, pad(&size::ago(asked.asked_at, now), 6)),
                style.ink(Ink::Lost, state(asked, now)),
                tame(asked.question.summary.as_bytes()),
            ),
        );
        line(&mut out, style, "next", &to_review(&name));
    }
    out
}

fn to_review(name: &str) -> String {
    format!("another person: backstop review {name} --justified --reason TEXT --key FILE, or --unjustified")
}

/// The way on where people can't decide any more on what they were asked.
pub fn anew(id: RunId) -> String {
    format!("people: run it again, which asks anew: backstop retry {id} · give up: backstop discard {id}")
}

/// What whoever waits is told where nobody decided in time.
pub fn over(asked: &Pending, id: RunId, now: Timestamp, style: Style) -> String {
    let mut out = format!("backstop: {} {}: nobody can approve it any more\n", style.ink(Ink::Changed, "held"), id);
    line(&mut out, style, "people", &state(asked, now));
    line(&mut out, style, "next", &anew(id));
    out
}

/// What waits, a line each, with what it is about below it.
pub fn list(all: &[Pending], now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    for asked in all {
        push(
            &mut out,
            format_args!(
                "{}  {}  {}  {}\n",
                style.ink(Ink::Strong, pad(&name(asked), 9)),
                style.ink(Ink::Faint, code(asked.question.request)),
                style.ink(Ink::Faint, pad(&size::ago(asked.asked_at, now), 6)),
                style.ink(Ink::Changed, state(asked, now)),
            ),
        );
        push(&mut out, format_args!("           {}\n", tame(asked.question.summary.as_bytes())));
    }
    if let [first, ..] = all {
        line(&mut out, style, "next", &format!("backstop approve {} --key FILE · deny, in the same way", name(first)));
    }
    out
}

/// What a decision led to.
pub fn decided(decided: &Decided, choice: Choice, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    let (asked, word, ink) = match decided {
        Decided::Waits(asked) => (asked, "taken", Ink::Changed),
        Decided::Over(asked) => (asked, asked.phase.name(), Ink::Lost),
        Decided::Reviewed(asked) => (asked, "reviewed", Ink::Changed),
        Decided::Run(asked, _) | Decided::People(asked, _) | Decided::Thawed(asked, _) | Decided::Cleared(asked, _) => {
            (asked, "approved", Ink::Made)
        }
    };
    let name = name(asked);
    let what = match decided {
        Decided::Waits(_) => format!("{}, which needs more people", choice.name()),
        Decided::Over(_) => "nothing of it takes effect".to_owned(),
        Decided::Reviewed(_) => choice.name().to_owned(),
        Decided::Run(..) if choice == Choice::BreakGlass => "alone, in an emergency".to_owned(),
        Decided::Run(..) => "by all it takes".to_owned(),
        Decided::Thawed(_, thawed) => {
            format!("by all it takes; {} on", size::counted(thawed.runs.len() as u64, "command goes", "commands go"))
        }
        Decided::Cleared(_, cleared) => format!("by all it takes; {} is banned no more", cleared.ban.key.in_words()),
        Decided::People(_, people) => format!("by all it takes; in force as revision {}", people.revision),
    };
    push(&mut out, format_args!("backstop: {} {}: {what}\n", style.ink(ink, word), style.ink(Ink::Strong, &name)));
    line(&mut out, style, "state", &state(asked, now));
    let notes: &[String] = match decided {
        Decided::Thawed(_, thawed) => &thawed.notes,
        Decided::Cleared(_, cleared) => &cleared.notes,
        _ => &[],
    };
    notes.iter().for_each(|note| line(&mut out, style, "note", &tame(note.as_bytes())));
    if matches!(decided, Decided::Waits(_)) {
        line(&mut out, style, "next", &format!("another person: backstop approve {name} --key FILE"));
    }
    if choice == Choice::BreakGlass {
        line(&mut out, style, "next", &to_review(&name));
    }
    out
}

/// What became of a wish to change who may approve.
pub fn wish(wish: &Wish<People>, change: &Change, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    let what = tame(in_words(change).as_bytes());
    match wish {
        Wish::Done(people) => {
            push(&mut out, format_args!("backstop: {}: {what}\n", style.ink(Ink::Made, "done")));
            let next = if people.founded {
                "two people are enrolled: every other change takes two people from now on"
            } else {
                "enrol a second person: what takes two people takes both of them"
            };
            line(&mut out, style, "next", next);
        }
        Wish::Asked(asked) => {
            let name = name(asked);
            push(
                &mut out,
                format_args!(
                    "backstop: {} {}: {what}\n",
                    style.ink(Ink::Changed, "asked as"),
                    style.ink(Ink::Strong, &name)
                ),
            );
            line(&mut out, style, "state", &state(asked, now));
            line(&mut out, style, "next", &format!("two people: backstop approve {name} --key FILE"));
        }
    }
    out
}

/// Who may approve.
pub fn people(people: &People, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    let count = size::counted(people.members.len() as u64, "person", "people");
    push(&mut out, format_args!("{count} on {}, revision {}\n", people.host, people.revision));
    for member in &people.members {
        let settles = |from: Timestamp| {
            if from <= now { String::new() } else { format!(" (counts from {} on)", from.whole()) }
        };
        let groups: Vec<String> =
            member.groups.iter().map(|(group, from)| format!("{group}{}", settles(*from))).collect();
        push(&mut out, format_args!("\n{}\n", style.ink(Ink::Strong, &member.id)));
        if !groups.is_empty() {
            line(&mut out, style, "groups", &groups.join(", "));
        }
        for credential in &member.credentials {
            let kind = Key::parse(&credential.key).map_or_else(|e| e.to_string(), |key| key.kind());
            line(&mut out, style, "key", &format!("{} {kind}{}", credential.id, settles(credential.from)));
        }
        if !member.uids.is_empty() {
            let uids: Vec<String> = member.uids.iter().map(u32::to_string).collect();
            line(&mut out, style, "accounts", &uids.join(", "));
        }
    }
    if people.members.len() < FOUNDERS {
        line(&mut out, style, "next", "enrol two people: backstop people add ID --key FILE");
    }
    out
}
