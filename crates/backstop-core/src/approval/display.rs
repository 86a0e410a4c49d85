//! The text that an approver is shown: plain lines, made once and kept; its digest is what people sign. Says
//! what would happen, at its real places, and why somebody has to look; never what is safe to press. Names from
//! outside are spelled out, so that none of them can add a line or repaint one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ballot::Question;
use super::key::Key;
use super::matter::code;
use super::people::{Change, NewKey, People};
use super::statement;
use crate::effect::{Aspect, CrossingKind, Effect, EffectSet, FileType, Kind, Node};
use crate::freeze::Freeze;
use crate::jail::Ban;
use crate::policy::{Decision, gives_rights};
use crate::quoted::Quoted;
use crate::run::RunRecord;
use crate::size;
use crate::summary::{self, Tense, loss};

/// So many effects are listed; all of them are in the request by their digest.
const EFFECTS: usize = 200;
/// And no more text about them than this, in bytes.
const LONGEST: usize = 48 * 1024;
/// A command is shown up to so many bytes, a reason and a name up to a quarter of it.
const FREE: usize = 4_000;
/// So many lines of one kind above the effects.
const LINES: usize = 20;
/// How wide the keys in front of lines are.
const KEY: usize = 9;
/// So many columns of a value stand on one line, that no terminal breaks it where a name wants it broken.
const WIDE: usize = 66;

/// What stands on top of every display.
fn head(page: &mut Page, question: &Question, what: &str) {
    page.0.push_str("backstop asks for approval\n");
    page.line("request", &code(question.request));
    page.line("host", &question.host);
    page.line("for", what);
    page.line("needs", &question.quorum.in_words());
    if question.terms.glass {
        page.line(
            "or alone",
            "in an emergency (break glass): somebody with a security key, a ticket and a reason, which all hear of and \
             another person has to review",
        );
    }
    if let Some(from) = question.terms.opens {
        page.line(
            "opens",
            &format!(
                "{from} (nobody else is enrolled; to be denied at any time, and void where the machine is started anew)"
            ),
        );
    }
    page.line("expires", &question.expires.to_string());
}

struct Page(String);

impl Page {
    /// A value, on as many lines as it needs. Those after the first are marked, and only those are: `|` where a
    /// space stood, `+` within a word. So one text has one form, and no number reads as two.
    fn line(&mut self, key: &str, text: &str) {
        write!(self.0, "  {key:KEY$}").expect("writing to a string never fails");
        let mut column = WIDE + 1;
        for (at, word) in spelled(text).split(' ').enumerate() {
            let whole = columns(word);
            if at == 0 || (column + 1 + whole > WIDE && whole <= WIDE) || column >= WIDE {
                column = self.on(if at == 0 { "" } else { "| " });
            } else {
                self.0.push(' ');
                column += 1;
            }
            for c in word.chars() {
                let width = columns(c.encode_utf8(&mut [0; 4]));
                if column + width > WIDE {
                    column = self.on("+ ");
                }
                self.0.push(c);
                column += width;
            }
        }
        self.0.push('\n');
    }

    /// The next line of a value; the first stands behind its key.
    fn on(&mut self, mark: &str) -> usize {
        match mark {
            "" => self.0.push(' '),
            mark => write!(self.0, "\n  {:KEY$} {mark}", "").expect("writing to a string never fails"),
        }
        0
    }

    /// Some lines of a kind, and how many more there are.
    fn few<T>(&mut self, key: &str, all: &[T], text: impl Fn(&T) -> String) {
        for one in all.iter().take(LINES) {
            self.line(key, &text(one));
        }
        if all.len() > LINES {
            self.line(key, &format!("and {} more", size::count((all.len() - LINES) as u64)));
        }
    }
}

/// The same with spaces spelled out where they could not be seen, or would push what follows them to where
/// something else seems to begin: in rows, and at either end.
fn spelled(text: &str) -> String {
    let (mut out, mut before, last) = (String::new(), ' ', text.len().saturating_sub(1));
    for (at, c) in text.char_indices() {
        if c == ' ' && (before == ' ' || at == last) {
            out.push_str("\\x20")
        } else {
            out.push(c)
        }
        before = c;
    }
    out
}

/// How many columns it may take: whatever may be wide is taken for wide.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

fn quoted(text: &str) -> String {
    Quoted(text.as_bytes()).to_string()
}

/// Text of anybody's length, cut where it is too long, and saying so.
fn free(text: &[u8], most: usize) -> String {
    if text.len() <= most {
        return Quoted(text).to_string();
    }
    format!("{} ... (cut: {} bytes in all)", Quoted(&text[..most]), size::count(text.len() as u64))
}

/// The display of a held run.
pub fn run(question: &Question, people: &People, record: &RunRecord, set: &EffectSet) -> String {
    let mut page = Page(String::new());
    let request = &record.request;
    head(&mut page, question, &format!("the run {}", record.id));
    let agent = request.asker.as_ref().map(|a| format!(", {}", free(a.agent.as_slice(), FREE / 4))).unwrap_or_default();
    let session =
        request.session.as_ref().map(|s| format!(", session {}", free(s.as_slice(), FREE / 4))).unwrap_or_default();
    page.line("asked by", &format!("user account {}{agent}{session}", request.asked_by()));
    if request.by.is_some() {
        page.line("runs as", &format!("user account {}, with its rights", request.uid));
    }
    page.line("asked at", &record.started.whole().to_string());
    let owner = people.of_account(request.asked_by()).map(|m| format!("{} owns that account", m.id));
    page.line("asker", &owner.unwrap_or_else(|| "nobody who may approve owns that account".to_owned()));
    let excluded: Vec<&str> = question.excluded.people.iter().map(String::as_str).collect();
    page.line("without", &format!("{} (whose account asked, or had logged in when it did)", listed(&excluded)));
    page.line("command", &free(request.command.text().as_slice(), FREE));
    let workspace = request.workspace.as_ref().map_or("none".to_owned(), |w| w.quoted().to_string());
    page.line("in", &format!("{} (workspace: {workspace})", request.cwd.quoted()));
    if let Some(reason) = &request.reason {
        page.line("reason", &format!("{} (unchecked, in the caller's words)", free(reason.as_slice(), FREE / 4)));
    }
    page.line("network", request.net.name());
    if let Some(exit) = record.exit.filter(|e| e.code() != 0) {
        page.line("exit", &exit.code().to_string());
    }
    page.line("effect", &summary::sentence(set, Tense::Would));
    page.few("through", &set.crossings, |c| {
        let how = if c.how == CrossingKind::Mount { " (a mount)" } else { "" };
        format!("{} -> {}{how}, where the command named {}", c.via.quoted(), c.hit.quoted(), c.typed.quoted())
    });
    page.few("open", &summary::openers(set), |o| {
        let how = if o.writing { "for writing" } else { "for reading" };
        format!("{}[{}] has {} of these open {how}", o.name.quoted(), o.pid, size::count(o.files))
    });
    page.few("door", &set.doors.iter().filter(|d| !d.shut).collect::<Vec<_>>(), |d| {
        format!("{} was open for {}: what went through it is not among the effects", d.to.quoted(), d.who.quoted())
    });
    page.few("no undo", &set.effects.iter().filter(|e| !e.undoable).collect::<Vec<_>>(), |e| {
        format!("no copy can be kept of {}", e.path.quoted())
    });
    page.few("unknown", &set.incomplete, |what| quoted(what));
    if let Some(meaning) = &record.meaning {
        if let Some((key, text)) = loss(meaning) {
            page.line(key, &text);
        }
        page.few("is", &meaning.kinds, |k| format!("{}: {}", quoted(&k.class), quoted(&k.why)));
        page.few("saw", &meaning.told, |t| format!("{} {}: {}", quoted(&t.lens), t.path.quoted(), quoted(&t.text)));
    }
    let reasons = record.judgement.iter().flat_map(|j| &j.reasons).filter(|r| r.decision > Decision::Allow);
    page.few("rule", &reasons.collect::<Vec<_>>(), |r| {
        let at = r.source.as_deref().map_or_else(String::new, |s| format!(" ({})", quoted(s)));
        format!("{}{at}: {}", quoted(&r.rule), quoted(&r.why))
    });
    if let Some(digest) = &record.digest {
        page.line("digest", &format!("{digest} (of all effects)"));
    }
    effects(&mut page, set);
    page.0
}

/// What is the worst to lose comes first, so that nothing hides it: the others are only counted.
fn rank(e: &Effect) -> u8 {
    if !e.undoable || gives_rights(e) {
        return 0;
    }
    match e.kind {
        Kind::Delete => 1,
        Kind::Replace => 2,
        Kind::Change => 3,
        Kind::Metadata => 4,
        Kind::Rename => 5,
        Kind::Link => 6,
        Kind::Create => 7,
    }
}

fn effects(page: &mut Page, set: &EffectSet) {
    let all = set.effects.len();
    page.0.push_str(&format!("\n{}\n", size::counted(all as u64, "effect", "effects")));
    let mut sorted: Vec<&Effect> = set.effects.iter().collect();
    sorted.sort_by_key(|e| rank(e));
    let begin = page.0.len();
    for (at, effect) in sorted.into_iter().enumerate() {
        if at == EFFECTS || page.0.len() - begin > LONGEST {
            let more = size::count((all - at) as u64);
            page.0.push_str(&format!("  and {more} more, in the request by their digest\n"));
            break;
        }
        page.line(effect.kind.name(), &one(effect));
    }
}

/// One effect on a line.
fn one(e: &Effect) -> String {
    let mut out = e.path.quoted().to_string();
    if let Some(from) = &e.from {
        out.push_str(&format!(" from {}", from.quoted()));
    }
    if let Some(b) = e.beneath.as_ref().filter(|b| b.entries() > 0) {
        out.push_str(&format!(
            " with all beneath: {} ({}), {}, {}",
            size::counted(b.files, "file", "files"),
            size::bytes(b.bytes),
            size::counted(b.dirs, "directory", "directories"),
            size::counted(b.others, "link or other", "links and others"),
        ));
    }
    let bytes = |n: &Node| size::bytes(n.size);
    let is_file = |n: &&Node| n.file_type == FileType::File;
    match (e.before.as_ref().filter(is_file), e.after.as_ref().filter(is_file)) {
        (Some(b), Some(a)) if e.kind != Kind::Metadata => out.push_str(&format!(" ({} -> {})", bytes(b), bytes(a))),
        (Some(n), None) | (None, Some(n)) => out.push_str(&format!(" ({})", bytes(n))),
        _ => {}
    }
    if let Some(target) = e.after.as_ref().and_then(|n| n.target.as_ref()) {
        out.push_str(&format!(" -> {}", target.quoted()));
    }
    let made = matches!(e.kind, Kind::Create | Kind::Replace);
    match (&e.before, &e.after) {
        (_, Some(a)) if made => {
            let device = a.rdev.map(|d| format!(", device number {d:#x}")).unwrap_or_default();
            out.push_str(&format!(", {}{device}, mode {:04o}, owner {}:{}", a.file_type.name(), a.mode, a.uid, a.gid));
        }
        (Some(b), Some(a)) => {
            if e.aspects.contains(&Aspect::Mode) {
                out.push_str(&format!(", mode {:04o} -> {:04o}", b.mode, a.mode));
            }
            if e.aspects.contains(&Aspect::Owner) {
                out.push_str(&format!(", owner {}:{} -> {}:{}", b.uid, b.gid, a.uid, a.gid));
            }
        }
        _ => {}
    }
    if !e.xattrs.is_empty() {
        let names: Vec<String> = e.xattrs.iter().map(|x| x.quoted().to_string()).collect();
        out.push_str(&format!(", attributes {}", names.join(" ")));
    }
    if e.linked_elsewhere > 0 {
        out.push_str(&format!(", has {} more names elsewhere", e.linked_elsewhere));
    }
    if !e.undoable {
        out.push_str(", CAN'T BE UNDONE");
    }
    out
}

/// The one line about a held run that is part of each statement.
pub fn run_summary(record: &RunRecord, set: &EffectSet) -> String {
    let via = set.crossings.first().map(|c| format!(" (via {})", c.via.quoted())).unwrap_or_default();
    let loss = record.meaning.as_ref().and_then(loss).map(|(key, text)| format!("; {key}: {text}"));
    statement::summary(&format!("{}{via}{}", summary::sentence(set, Tense::Would), loss.unwrap_or_default()))
}

/// The display of a change of who may approve.
pub fn change(question: &Question, people: &People, change: &Change, asked_by: u32) -> String {
    let mut page = Page(String::new());
    head(&mut page, question, "a change of who may approve on this machine");
    let owner = people.of_account(asked_by).map_or("nobody's who may approve", |m| m.id.as_str());
    page.line("asked by", &format!("user account {asked_by} ({owner})"));
    page.line("change", &in_words(change));
    page.line("counts", "a new key or group after a day; what is taken away at once");
    match change {
        Change::Enrol { keys, .. } => page.few("key", &keys.iter().collect::<Vec<_>>(), |new| key_line(new)),
        Change::AddKey { key, .. } => page.few("key", &[key], |new| key_line(new)),
        // Each of them, with every key: none may come in unseen among many.
        Change::EnrolAll { people } => {
            for new in people {
                page.line("enrol", &newcomer(&new.id, &new.keys, &new.groups, &new.uids));
                new.keys.iter().for_each(|key| page.line("key", &key_line(key)));
            }
        }
        _ => {}
    }
    page.line("now", &format!("{} enrolled, revision {}", people.members.len(), people.revision));
    for member in &people.members {
        let groups: Vec<&str> = member.groups.keys().map(String::as_str).collect();
        let keys = size::counted(member.credentials.len() as u64, "key", "keys");
        let groups = listed(&groups);
        page.line("", &format!("{}: {keys}; groups: {groups}; user accounts: {}", member.id, numbers(&member.uids)));
    }
    page.0
}

/// The one line about a thaw that is part of each statement.
pub fn thaw_summary(freeze: &Freeze) -> String {
    statement::summary(&format!("what is frozen since {} goes on", freeze.at.whole()))
}

/// The display of a thaw.
pub fn thaw(question: &Question, people: &People, freeze: &Freeze, asked_by: u32) -> String {
    let mut page = Page(String::new());
    let owner = |uid: u32| people.of_account(uid).map_or("nobody's who may approve", |m| m.id.as_str());
    head(&mut page, question, "everything that is frozen on this machine to go on");
    page.line("asked by", &format!("user account {asked_by} ({})", owner(asked_by)));
    page.line("frozen", &format!("{} by user account {} ({})", freeze.at, freeze.by, owner(freeze.by)));
    if let Some(reason) = &freeze.reason {
        page.line("reason", &reason.quoted().to_string());
    }
    if !freeze.accounts.is_empty() {
        page.line("accounts", &numbers(&freeze.accounts));
    }
    page.line("then", "commands that stand go on where they were, new ones begin, and what is allowed takes effect");
    page.0
}

/// The one line about a ban's end that is part of each statement.
pub fn clear_summary(ban: &Ban) -> String {
    statement::summary(&format!("the ban {} ends: {}", ban.code(), ban.key.in_words()))
}

/// The display of a ban's end.
pub fn clear(question: &Question, people: &People, ban: &Ban, asked_by: u32) -> String {
    let mut page = Page(String::new());
    let owner = |uid: u32| people.of_account(uid).map_or("nobody's who may approve", |m| m.id.as_str());
    head(&mut page, question, "the end of a ban on this machine");
    page.line("asked by", &format!("user account {asked_by} ({})", owner(asked_by)));
    page.line("banned", &ban.key.in_words());
    page.line("since", &ban.at.to_string());
    page.line("level", &format!("{}: {}", ban.level.name(), ban.level.means()));
    page.line("tried", &quoted(&ban.closed()));
    page.line(
        "then",
        "what of it stands goes on, what was counted against it is forgotten, and policy alone judges it",
    );
    page.0
}

fn newcomer(id: &str, keys: &[NewKey], groups: &BTreeSet<String>, uids: &BTreeSet<u32>) -> String {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let keys = size::counted(keys.len() as u64, "key", "keys");
    format!("{id} with {keys}; groups: {}; user accounts: {}", listed(&groups), numbers(uids))
}

fn numbers(uids: &BTreeSet<u32>) -> String {
    let all: Vec<String> = uids.iter().map(u32::to_string).collect();
    listed(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn key_line(new: &NewKey) -> String {
    Key::parse(&new.key).map_or_else(|e| e.to_string(), |key| format!("{} ({})", key.fingerprint(), key.kind()))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A change as a sentence fragment.
pub fn in_words(change: &Change) -> String {
    match change {
        Change::Enrol { groups, id, keys, uids } => format!("enrol {}", newcomer(id, keys, groups, uids)),
        Change::EnrolAll { people } => {
            let ids: Vec<&str> = people.iter().map(|new| new.id.as_str()).collect();
            format!("enrol {}: {}", size::counted(ids.len() as u64, "person", "people"), listed(&ids))
        }
        Change::Remove { id } => format!("remove {id}"),
        Change::AddKey { id, .. } => format!("give {id} another key"),
        Change::RemoveKey { id, key } => format!("take the key {} from {id}", quoted(key)),
        Change::Grant { group, id } => format!("put {id} into the group {group}"),
        Change::Withdraw { group, id } => format!("take {id} out of the group {group}"),
        Change::Accounts { id, uids } => format!("say that these user accounts are {id}'s as well: {}", numbers(uids)),
    }
}

/// The one line about a change that is part of each statement.
pub fn change_summary(change: &Change) -> String {
    statement::summary(&format!("who may approve: {}", in_words(change)))
}
