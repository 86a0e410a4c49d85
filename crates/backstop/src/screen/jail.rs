//! What people read of the jail.

use backstop_core::approval::quorum::Quorum;
use backstop_core::jail::{Ban, Level, Rules, in_words};
use backstop_core::time::Timestamp;
use backstop_engine::{Cleared, Jailed, Tried, Wish};

use super::approval::{name, state};
use super::message::{line, push, tame};
use super::size;
use super::style::{Ink, Style};

/// So much of what is counted is shown.
const SHOWN: usize = 12;

fn ink(level: Level) -> Ink {
    if level.shuts() { Ink::Lost } else { Ink::Changed }
}

/// Who ends it, and how.
fn way_out(ban: &Ban) -> String {
    let who = ban.quorum.as_ref().map_or_else(|| "a person, at a terminal".to_owned(), Quorum::in_words);
    format!("{who}: backstop jail clear {}", ban.code())
}

/// A ban, in some lines.
fn lines(out: &mut String, ban: &Ban, style: Style) {
    line(out, style, "level", &format!("{}: {}", ban.level.name(), ban.level.means()));
    line(out, style, "tried", &tame(ban.closed().as_bytes()));
    let earlier = match ban.times {
        0 => String::new(),
        n => format!(", banned {} before in a week", size::counted(u64::from(n), "time", "times")),
    };
    let until = ban.until.map_or_else(|| "until people end it".to_owned(), |until| format!("until {}", until.whole()));
    line(out, style, "time", &format!("since {}, {until}{earlier}", ban.at.whole()));
}

/// One that a person is about to end.
pub fn standing(ban: &Ban, style: Style) -> String {
    let mut out = String::new();
    let (code, who) = (ban.code(), ban.key.in_words());
    let code = style.ink(Ink::Strong, &code);
    push(&mut out, format_args!("backstop: {} {code}: {who}\n", style.ink(ink(ban.level), "banned")));
    lines(&mut out, ban, style);
    out
}

/// Who is banned, and who is on the way there.
pub fn list(jailed: &Jailed, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    for ban in &jailed.bans {
        push(
            &mut out,
            format_args!(
                "{}  {}\n",
                style.ink(ink(ban.level), &ban.code()),
                style.ink(Ink::Strong, &ban.key.in_words())
            ),
        );
        lines(&mut out, ban, style);
        line(&mut out, style, "end", &way_out(ban));
    }
    if jailed.bans.is_empty() {
        out.push_str("nobody is banned\n");
    }
    let mut counts = jailed.counts.clone();
    counts.sort_by_key(|count| (count.most.saturating_sub(count.times), count.key.clone()));
    let banned = |key| jailed.bans.iter().any(|ban| ban.stands(now) && ban.key == key);
    counts.retain(|count| !banned(count.key.clone()));
    if !counts.is_empty() {
        out.push_str("counted of late\n");
    }
    for count in counts.iter().take(SHOWN) {
        let class = tame(count.class.to_string().as_bytes());
        push(&mut out, format_args!("  {} of {}  {}: {class}\n", count.times, count.most, count.key.in_words()));
    }
    if let Some(more) = counts.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        push(&mut out, format_args!("  and {more} more: backstop jail list --json\n"));
    }
    for note in &jailed.notes {
        line(&mut out, style, "note", &tame(note.as_bytes()));
    }
    out
}

/// What came of the wish to end one.
pub fn cleared(clear: &Wish<Cleared>, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    match clear {
        Wish::Done(cleared) => {
            let (word, who) = (style.ink(Ink::Made, "unbanned"), cleared.ban.key.in_words());
            let runs = match cleared.runs.len() as u64 {
                0 => String::new(),
                n => format!("; {} on", size::counted(n, "command goes", "commands go")),
            };
            push(&mut out, format_args!("backstop: {word} {}: {who}{runs}\n", cleared.ban.code()));
            for note in &cleared.notes {
                line(&mut out, style, "note", &tame(note.as_bytes()));
            }
        }
        Wish::Asked(asked) => {
            let name = name(asked);
            let (word, code) = (style.ink(Ink::Changed, "asked as"), style.ink(Ink::Strong, &name));
            push(&mut out, format_args!("backstop: {word} {code}: that the ban ends\n"));
            line(&mut out, style, "state", &state(asked, now));
            line(&mut out, style, "next", &format!("two people: backstop approve {name} --key FILE"));
        }
    }
    out
}

/// What rules would have made of what the log says.
pub fn tried(tried: &Tried, rules: &Rules, style: Style) -> String {
    let mut out = String::new();
    let made = size::counted(tried.bans.len() as u64, "ban or raise", "bans and raises");
    push(
        &mut out,
        format_args!(
            "{} counted; by these rules ({}) {}; there were {}\n",
            tried.counted,
            in_words(rules),
            style.ink(Ink::Strong, &made),
            tried.made
        ),
    );
    for ban in &tried.bans {
        let level = style.ink(ink(ban.level), ban.level.name());
        let tried = tame(ban.closed().as_bytes());
        push(&mut out, format_args!("  {}  {level}  {}: {tried}\n", ban.at.whole(), ban.key.in_words()));
    }
    out
}
