//! An incident report as one value, made of what is on record: what happened, what it did, who decided what, what came
//! back, and the proofs. What a run's own files say is compared with the log, and a difference is told first; what is not
//! known is never told as nothing. Made of plain blocks, which are written as Markdown or as one page of HTML; text from
//! outside is spelled out here, and escaped there.

pub mod html;
pub mod markdown;
mod told;

use std::collections::BTreeMap;

use backstop_core::approval::ballot::Grounds;
use backstop_core::audit::{Body, By, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, EffectSet};
use backstop_core::id::RunId;
use backstop_core::policy::Decision;
use backstop_core::run::{RunRecord, State};
use backstop_core::summary::{self, Tense, loss};
use backstop_core::time::Timestamp;
use backstop_engine::audit::{Answer, Report as Verdict, Weight};

use crate::screen::message::{quoted, tame};
use crate::screen::size;
use told::{Came, Told};

/// So many effects of a run are listed.
const EFFECTS: usize = 30;
/// So many places are drawn.
const PLACES: usize = 10;
/// So many findings of the verification.
const FINDINGS: usize = 30;
/// So much of a command is shown, in bytes, and of any other text of the caller's.
const FREE: usize = 2_000;
/// So many lines of one kind.
const LINES: usize = 20;

/// What a report is made of.
#[derive(Debug)]
pub struct Incident {
    /// What was asked for, in words.
    pub about: String,
    /// When it was written.
    pub at: Timestamp,
    /// The machine.
    pub host: String,
    /// The runs, the oldest first.
    pub cases: Vec<Case>,
    /// The entries of the log about them, and what else happened meanwhile, in their order.
    pub entries: Vec<Entry>,
    /// Runs that the log knows, and of which nothing is kept.
    pub missing: Vec<RunId>,
    /// Why the log could not be read to its end.
    pub unread: Option<String>,
    /// What became of verifying the log, before anything else was done.
    pub verdict: Verdict,
}

/// One run.
#[derive(Debug)]
pub struct Case {
    record: RunRecord,
    told: Told,
    /// Where what is kept is not what the log says.
    wrong: Vec<String>,
    /// What is kept of its effects; or why that can't be read.
    effects: Result<Brief, String>,
}

/// What a report needs of a set of effects, which may be a million.
#[derive(Debug)]
struct Brief {
    would: String,
    did: String,
    listed: Vec<Vec<String>>,
    more: usize,
    places: Vec<(String, u64)>,
    more_places: usize,
    through: Vec<String>,
    doors: Vec<String>,
    unknown: Vec<String>,
    undoable: bool,
}

/// What a run took for good, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// So many bytes that existed nowhere else are gone from their places.
    Bytes(u64),
    /// Nobody can say.
    Unknown,
}

/// A part of a report. All of its text is plain, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// The title.
    Title(String),
    /// A heading; of a run, or of a part.
    Heading(String),
    /// A sentence or more, of ours.
    Text(String),
    /// Something that has to be seen.
    Alarm(String),
    /// Keys and values.
    Facts(Vec<(&'static str, String)>),
    /// A table.
    Table(Vec<&'static str>, Vec<Vec<String>>),
    /// Bytes by place.
    Bars(&'static str, Vec<(String, u64)>),
}

impl Incident {
    /// True where the log, or what is kept, is not as it should be.
    pub fn alarms(&self) -> bool {
        self.verdict.exit() != 0 || self.unread.is_some() || self.cases.iter().any(|c| !c.wrong.is_empty())
    }

    /// The report.
    pub fn blocks(&self) -> Vec<Block> {
        let mut all = vec![Block::Title(format!("Incident report: {}", self.about)), self.head()];
        all.extend(self.trouble());
        all.push(Block::Text(self.sum()));
        all.push(Block::Heading("Timeline".to_owned()));
        all.push(self.timeline());
        for case in &self.cases {
            all.extend(case.blocks());
        }
        all.push(Block::Heading("Proofs".to_owned()));
        all.extend(self.proofs());
        all
    }

    fn head(&self) -> Block {
        Block::Facts(vec![
            ("machine", quoted(&self.host)),
            ("written", second(self.at)),
            ("runs", size::count(self.cases.len() as u64)),
            ("log", whole(&self.verdict).to_owned()),
        ])
    }

    /// What has to be known before anything else is read.
    fn trouble(&self) -> Vec<Block> {
        let mut all: Vec<String> = self
            .unread
            .iter()
            .map(|why| format!("THE LOG CAN'T BE READ TO ITS END: {}", tame(why.as_bytes())))
            .collect();
        for case in &self.cases {
            all.extend(case.wrong.iter().map(|wrong| format!("{}: {wrong}", case.record.id)));
        }
        if !self.missing.is_empty() {
            let some = some(self.missing.iter().map(RunId::to_string)).join(", ");
            all.push(format!("the log knows runs of which nothing is kept here: {some}"));
        }
        all.into_iter().map(Block::Alarm).collect()
    }

    /// What came of it all, in sentences.
    fn sum(&self) -> String {
        let of = |state: State| self.cases.iter().filter(|c| c.record.state == state).count() as u64;
        let states = State::ALL.map(|state| (state, of(state)));
        let named = states.iter().filter(|(_, n)| *n > 0);
        let states: Vec<String> = named.map(|(state, n)| format!("{} {}", size::count(*n), state.name())).collect();
        let (mut lost, mut unknown) = (0u64, Vec::new());
        for case in &self.cases {
            match case.loss() {
                Loss::Bytes(n) => lost = lost.saturating_add(n),
                Loss::Unknown => unknown.push(case.record.id.to_string()),
            }
        }
        let states = if states.is_empty() { "No runs".to_owned() } else { states.join(", ") };
        let known = match (lost, unknown.is_empty()) {
            (0, true) => "Nothing that existed nowhere else is gone.".to_owned(),
            (0, false) => "Of what is known, nothing that existed nowhere else is gone.".to_owned(),
            (n, _) => format!("{} that existed nowhere else are gone from their places.", size::bytes(n)),
        };
        let unknown = match unknown.len() {
            0 => String::new(),
            n => format!(
                " Of {} it is not known what they took: {}.",
                size::counted(n as u64, "run", "runs"),
                some(unknown).join(", ")
            ),
        };
        format!("{states}. {known}{unknown}")
    }

    fn timeline(&self) -> Block {
        let row = |e: &Entry| {
            let run = e.body.run().map_or_else(String::new, |run| run.to_string());
            let said = e.body.in_words();
            vec![second(e.at), run, e.body.name().to_owned(), cut(&tame(said.as_bytes())), e.index.to_string()]
        };
        Block::Table(vec!["when (UTC)", "run", "what", "", "entry"], self.entries.iter().map(row).collect())
    }

    fn proofs(&self) -> Vec<Block> {
        let verdict = &self.verdict;
        let answer = |answer: Answer| match answer {
            Answer::Holds => "holds",
            Answer::Broken => "BROKEN",
            Answer::Unknown => "unknown",
        };
        let log = verdict.origin.as_deref().map_or_else(|| "its key can't be read".to_owned(), quoted);
        let mut all = vec![Block::Facts(vec![
            ("integrity", answer(verdict.integrity).to_owned()),
            ("completeness", answer(verdict.completeness).to_owned()),
            ("authorisation", answer(verdict.authorisation).to_owned()),
            ("log", log),
            ("entries", format!("{} ({} signed)", size::count(verdict.entries), size::count(verdict.signed))),
            ("root", verdict.root.to_string()),
        ])];
        // What is wrong first: notes must not hide it.
        let mut found: Vec<_> = verdict.findings.iter().collect();
        found.sort_by_key(|f| f.weight == Weight::Note);
        let rows = found.iter().take(FINDINGS).map(|f| {
            let weight = match f.weight {
                Weight::Note => "note",
                Weight::Broken => "BROKEN",
                Weight::Unreadable => "UNREADABLE",
            };
            let at = f.index.map_or_else(String::new, |index| index.to_string());
            vec![weight.to_owned(), at, tame(f.what.as_bytes())]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        if !rows.is_empty() {
            all.push(Block::Table(vec!["", "entry", "finding"], rows));
        }
        let left = verdict.more.saturating_add(found.len().saturating_sub(FINDINGS) as u64);
        if left > 0 {
            all.push(Block::Text(format!("And {} more: backstop audit verify.", size::count(left))));
        }
        all.push(Block::Text(
            "The log was verified by its own key, before this was written; what was rewritten whole is found by a witness \
             elsewhere alone (backstop help witness). Each entry of the timeline stands in the log under its number. \
             Secrets in commands are left out where they look like one: look through the rest before this is passed on."
                .to_owned(),
        ));
        all
    }
}

/// How the log stands, in a word.
fn whole(verdict: &Verdict) -> &'static str {
    match verdict.exit() {
        0 => "verified by its own key: as it was written, whole, and all that took effect had its word",
        1 => "NOT AS IT SHOULD BE: see the proofs",
        _ => "CAN'T BE READ: see the proofs",
    }
}

fn second(at: Timestamp) -> String {
    at.whole().to_string()
}

/// A text of anybody's length, with what is left out counted.
fn cut(text: &str) -> String {
    match text.char_indices().nth(FREE) {
        Some((at, _)) => format!("{} … ({} bytes in all)", &text[..at], size::count(text.len() as u64)),
        None => text.to_owned(),
    }
}

/// The first of them, and how many more there are.
fn some(all: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all = all.into_iter();
    let mut some: Vec<String> = all.by_ref().take(LINES).collect();
    let left = all.count();
    some.extend((left > 0).then(|| format!("and {} more", size::count(left as u64))));
    some
}

impl Case {
    /// A run, by what is kept of it and what the log says.
    pub fn new(record: RunRecord, effects: Result<EffectSet, String>, entries: &[Entry]) -> Self {
        let told = Told::of(record.id, entries);
        let wrong = told.differs(&record, effects.as_ref().ok());
        Self { wrong, told, record, effects: effects.map(|set| Brief::of(&set)) }
    }

    /// What it took for good.
    fn loss(&self) -> Loss {
        let none = Loss::Bytes(0);
        let known = self.wrong.is_empty() && self.told.as_rehearsed;
        match self.record.state {
            State::Rehearsing | State::InPlace | State::Allowed => Loss::Unknown,
            State::NoEffect | State::Held | State::Denied | State::DryRun | State::Discarded | State::Failed
                if known =>
            {
                none
            }
            State::Committed | State::Undone if known => {
                let (Ok(brief), Some(meaning)) = (&self.effects, &self.record.meaning) else { return Loss::Unknown };
                let whole = brief.unknown.is_empty() && brief.doors.is_empty();
                match (self.record.state, whole) {
                    (_, false) => Loss::Unknown,
                    (State::Undone, true) if brief.undoable && !self.record.let_go => none,
                    (State::Undone, true) => Loss::Unknown,
                    _ => Loss::Bytes(u64::try_from(meaning.bytes).unwrap_or(0)),
                }
            }
            _ => Loss::Unknown,
        }
    }

    fn blocks(&self) -> Vec<Block> {
        let record = &self.record;
        let mut all = vec![Block::Heading(format!("Run {}: {}", record.id, record.state.name()))];
        all.extend(self.wrong.iter().map(|wrong| Block::Alarm(wrong.clone())));
        all.push(Block::Facts(self.facts()));
        let decided = self.decided();
        if !decided.is_empty() {
            all.push(Block::Table(vec!["who", "what", "why", "when (UTC)"], decided));
        }
        let Ok(brief) = &self.effects else { return all };
        if !brief.places.is_empty() {
            let what = if self.did() { "bytes that it took away or overwrote" } else { "bytes that it would take" };
            all.push(Block::Bars(what, brief.places.clone()));
        }
        if brief.more_places > 0 {
            all.push(Block::Text(format!("In {} further places less.", size::count(brief.more_places as u64))));
        }
        if !brief.listed.is_empty() {
            all.push(Block::Table(vec!["change", "place", "bytes lost"], brief.listed.clone()));
        }
        if brief.more > 0 {
            let more = size::count(brief.more as u64);
            all.push(Block::Text(format!("And {more} changes more: backstop show {} --tree.", record.id)));
        }
        all
    }

    const fn did(&self) -> bool {
        matches!(self.record.state, State::Committed | State::Undone)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let (record, request) = (&self.record, &self.record.request);
        let free = |text: &Bytes| cut(&tame(text.as_slice()));
        let mut facts =
            vec![("asked at", second(record.started)), ("asked by", format!("user account {}", request.asked_by()))];
        facts.extend(request.asker.as_ref().map(|a| ("agent", format!("{} (as it says)", free(&a.agent)))));
        facts.extend(request.session.as_ref().map(|s| ("session", free(s))));
        if request.by.is_some() {
            facts.push(("ran as", format!("user account {}", request.uid)));
        }
        facts.push(("command", free(&request.command.text())));
        facts.push(("in", request.cwd.quoted().to_string()));
        facts.extend(request.workspace.as_ref().map(|w| ("workspace", w.quoted().to_string())));
        facts.push(("network", request.net.name().to_owned()));
        facts.extend(
            request.reason.as_ref().map(|r| ("said why", format!("{} (unchecked, in the caller's words)", free(r)))),
        );
        facts.extend(record.exit.filter(|e| e.code() != 0).map(|e| ("exit", e.code().to_string())));
        match &self.effects {
            Ok(brief) => facts.extend(self.effect(brief)),
            Err(why) => facts.push(("effect", format!("not known: {}", tame(why.as_bytes())))),
        }
        let left = record.left_behind.iter();
        let left = left.map(|p| format!("{}[{}], which outlived the command", p.name.quoted(), p.pid));
        facts.extend(some(left).into_iter().map(|left| ("stopped", left)));
        if self.told.nested > 0 {
            let times = size::counted(self.told.nested, "time", "times");
            facts.push((
                "inside",
                format!("it called Backstop {times}: backstop log --run {} --event run.nested", record.id),
            ));
        }
        if self.told.programs > 0 || self.told.unlisted.is_some() {
            let programs = size::counted(self.told.programs, "program", "programs");
            let more = self.told.unlisted.as_ref().map_or_else(String::new, |more| match more.count {
                Some(count) => format!(" and {} more, not listed", size::count(count)),
                None => " and others, not listed".to_owned(),
            });
            facts.push(("started", format!("{programs}{more}: backstop log --run {} --event exec", record.id)));
        }
        facts.extend(record.digest.map(|digest| ("digest", format!("{digest} (of all effects)"))));
        facts.push(("came back", self.came_back()));
        facts.extend(
            record.instead.map(|run| ("instead", format!("{run} would do the same, and people were asked about that"))),
        );
        let notes = record.notes.iter().map(|note| cut(&tame(note.as_bytes())));
        facts.extend(some(notes).into_iter().map(|note| ("note", note)));
        facts
    }

    fn effect(&self, brief: &Brief) -> Vec<(&'static str, String)> {
        let mut facts = vec![("effect", if self.did() { brief.did.clone() } else { brief.would.clone() })];
        facts.extend(brief.through.iter().map(|t| ("through", t.clone())));
        facts.extend(brief.doors.iter().map(|d| ("door", d.clone())));
        facts.extend(brief.unknown.iter().map(|u| ("unknown", u.clone())));
        let Some(meaning) = &self.record.meaning else { return facts };
        let key = match self.record.state {
            State::Committed => "lost",
            State::Undone => "was lost",
            _ => "would lose",
        };
        facts.extend(loss(meaning).map(|(_, text)| (key, tame(text.as_bytes()))));
        facts.extend(meaning.kinds.iter().map(|k| ("is", format!("{}: {}", quoted(&k.class), quoted(&k.why)))));
        facts.extend(meaning.told.iter().map(|t| ("saw", format!("{}: {}", t.path.quoted(), quoted(&t.text)))));
        facts.extend((meaning.more > 0).then(|| ("saw", format!("{} things more", size::count(meaning.more)))));
        facts
    }

    /// Whether it was taken back, or can be.
    fn came_back(&self) -> String {
        let record = &self.record;
        let undoable = self.effects.as_ref().is_ok_and(|brief| brief.undoable);
        let at = self.told.taken_back().map_or_else(String::new, |at| format!(", at {}", second(at)));
        match record.state {
            State::Undone if record.let_go => format!("as copies beside what had changed since{at}"),
            State::Undone if undoable => format!("all of it{at}"),
            State::Undone => format!("what could be brought back{at}; not all of it could"),
            State::Committed if record.let_go => "no: what undo needs was let go".to_owned(),
            State::Committed if !undoable => format!("not yet, and not all of it can: backstop undo {}", record.id),
            State::Committed => format!("not yet: backstop undo {}", record.id),
            State::InPlace => "no: it ran in place, which undo does not cover".to_owned(),
            State::Allowed => "not known: a tool was let do it, and what it did was not looked at yet".to_owned(),
            State::Rehearsing if record.request.in_place => {
                "no: it runs in place, which undo does not cover".to_owned()
            }
            State::Rehearsing => "it has not ended, and nothing took effect".to_owned(),
            State::NoEffect | State::Held | State::Denied | State::DryRun | State::Discarded | State::Failed => {
                "nothing took effect".to_owned()
            }
        }
    }

    /// Who decided what, by the log: the rules, people by signature, and on whose word it was done.
    fn decided(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let reasons = self.told.judgement.iter().flat_map(|j| &j.reasons).filter(|r| r.decision > Decision::Allow);
        let mut reasons = reasons.peekable();
        for reason in reasons.by_ref().take(LINES) {
            let who = reason.source.as_deref().map_or_else(|| "Backstop".to_owned(), quoted);
            let what = format!("{}: {}", quoted(&reason.rule), reason.decision.name());
            rows.push(vec![who, what, quoted(&reason.why), String::new()]);
        }
        if reasons.peek().is_some() {
            let left = size::counted(reasons.count() as u64, "rule", "rules");
            rows.push(vec![format!("and {left} more"), String::new(), String::new(), String::new()]);
        }
        for vote in &self.told.votes {
            let Grounds { reason, ticket } = vote.grounds();
            let why: Vec<String> = reason.into_iter().chain(ticket.map(|t| format!("({t})"))).collect();
            let who = format!("{}, by the key {}", quoted(&vote.person), quoted(&vote.credential));
            rows.push(vec![who, vote.choice.name().to_owned(), quoted(&why.join(" ")), second(vote.at)]);
        }
        for deed in &self.told.deeds {
            let who = match deed.by {
                By::Rule => "the rules alone".to_owned(),
                By::Person { uid } => format!("user account {uid}"),
                By::Approved { .. } => "the people who approved it".to_owned(),
            };
            let came = match deed.came {
                Came::Done => "",
                Came::CalledOff => " (called off: nothing came of it)",
                Came::Open => " (begun; how it ended is not on record)",
            };
            rows.push(vec![who, format!("{}{came}", deed.act.in_words()), String::new(), second(deed.at)]);
        }
        rows
    }
}

impl Brief {
    fn of(set: &EffectSet) -> Self {
        let sentence =
            |tense| if set.is_empty() { "none that is on record".to_owned() } else { summary::sentence(set, tense) };
        let (places, more_places) = places(set);
        let through = set.crossings.iter();
        let through =
            through.map(|c| format!("{} -> {}, where {} was named", c.via.quoted(), c.hit.quoted(), c.typed.quoted()));
        let doors = set.doors.iter().filter(|d| !d.shut);
        let doors = doors.map(|d| {
            format!("{} was open for {}: what went through is not among the effects", d.to.quoted(), d.who.quoted())
        });
        Self {
            would: sentence(Tense::Would),
            did: sentence(Tense::Did),
            listed: listed(set),
            more: set.effects.len().saturating_sub(EFFECTS),
            places,
            more_places,
            through: some(through),
            doors: some(doors),
            unknown: some(set.incomplete.iter().map(|what| quoted(what))),
            undoable: set.effects.iter().all(|e| e.undoable),
        }
    }
}

/// The directories in which most is lost, the greatest first, and how many more there are.
fn places(set: &EffectSet) -> (Vec<(String, u64)>, usize) {
    let mut by_place: BTreeMap<Bytes, u64> = BTreeMap::new();
    for e in set.effects.iter().filter(|e| e.bytes_lost() > 0) {
        // A directory that goes whole is a place of its own.
        let place = if e.beneath.is_some() { e.path.clone() } else { e.path.parent() };
        let sum = by_place.entry(place).or_default();
        *sum = sum.saturating_add(e.bytes_lost());
    }
    let mut all: Vec<(Bytes, u64)> = by_place.into_iter().collect();
    all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let left = all.len().saturating_sub(PLACES);
    (all.into_iter().take(PLACES).map(|(place, n)| (place.quoted().to_string(), n)).collect(), left)
}

/// The effects that lose most, then the others.
fn listed(set: &EffectSet) -> Vec<Vec<String>> {
    let mut effects: Vec<(&Effect, u64)> = set.effects.iter().map(|e| (e, e.bytes_lost())).collect();
    let by_loss = |a: &(&Effect, u64), b: &(&Effect, u64)| b.1.cmp(&a.1).then_with(|| a.0.path.cmp(&b.0.path));
    if effects.len() > EFFECTS {
        effects.select_nth_unstable_by(EFFECTS, by_loss);
        effects.truncate(EFFECTS);
    }
    effects.sort_by(by_loss);
    let row = |(e, lost): &(&Effect, u64)| {
        let from = e.from.as_ref().map_or_else(String::new, |from| format!(" (from {})", from.quoted()));
        let beneath = e.beneath.as_ref().filter(|b| b.entries() > 0);
        let with =
            beneath.map_or_else(String::new, |b| format!(" with {}", size::counted(b.entries(), "entry", "entries")));
        let never = if e.undoable { "" } else { ", CAN'T BE UNDONE" };
        vec![e.kind.name().to_owned(), format!("{}{from}{with}{never}", e.path.quoted()), size::bytes(*lost)]
    };
    effects.iter().map(row).collect()
}

/// Whose entries belong into a report about these runs: their own, and what was changed of rules, people and copies
/// meanwhile, and whether somebody watched.
pub fn belongs(e: &Entry, runs: &[RunId], (from, to): (Timestamp, Timestamp)) -> bool {
    let meanwhile = (from..=to).contains(&e.at);
    match &e.body {
        Body::ExecRan { .. } | Body::Nested { .. } => false,
        Body::VaultPruned { runs: pruned, .. } => pruned.iter().any(|run| runs.contains(run)),
        Body::PolicyLoaded { .. }
        | Body::PolicyRefused { .. }
        | Body::PeopleChanged { .. }
        | Body::AuditRecovered { .. }
        | Body::GuardStarted { .. }
        | Body::GuardStopped { .. }
        | Body::HostFrozen { .. }
        | Body::HostThawed { .. }
        | Body::JailBanned { .. }
        | Body::JailCleared { .. } => meanwhile,
        Body::JailCounted { offence } => offence.run.is_some_and(|run| runs.contains(&run)),
        body => body.run().is_some_and(|run| runs.contains(&run)),
    }
}

#[cfg(test)]
mod tests;
