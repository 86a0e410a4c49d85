//! An incident report as one value, made of what is on record: what happened, what it did, who decided what, what came
//! back, and the proofs. Made of plain blocks, which are written as Markdown or as one page of HTML; whatever text from
//! outside stands in them is spelled out here, and escaped there.

pub mod html;
pub mod markdown;

use std::collections::BTreeMap;

use backstop_core::approval::statement::Statement;
use backstop_core::audit::{Body, By, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::effect::{Effect, EffectSet, Kind};
use backstop_core::id::RunId;
use backstop_core::policy::Decision;
use backstop_core::run::{RunRecord, State};
use backstop_core::summary::{self, Tense, loss};
use backstop_core::time::Timestamp;
use backstop_engine::Pending;
use backstop_engine::audit::{Answer, Report as Verdict, Weight};

use crate::screen::message::{quoted, tame};
use crate::screen::{records, size};

/// So many effects of a run are listed.
const EFFECTS: usize = 30;
/// So many places are drawn.
const PLACES: usize = 10;
/// So many findings of the verification.
const FINDINGS: usize = 20;

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
    /// What became of verifying the log.
    pub verdict: Verdict,
}

/// One run.
#[derive(Debug)]
pub struct Case {
    /// Its record.
    pub record: RunRecord,
    /// What it would change, or changed.
    pub effects: EffectSet,
    /// What people were asked, where they were.
    pub asked: Option<Pending>,
}

/// A part of a report. All of its text is plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// The title.
    Title(String),
    /// A heading; of a run, or of a part.
    Heading(String),
    /// A sentence or more.
    Text(String),
    /// Keys and values.
    Facts(Vec<(&'static str, String)>),
    /// A table.
    Table(Vec<&'static str>, Vec<Vec<String>>),
    /// Bytes by place.
    Bars(&'static str, Vec<(String, u64)>),
}

impl Incident {
    /// The report.
    pub fn blocks(&self) -> Vec<Block> {
        let mut all =
            vec![Block::Title(format!("Incident report: {}", self.about)), self.head(), Block::Text(self.sum())];
        all.push(Block::Heading("Timeline".to_owned()));
        all.push(self.timeline());
        for case in &self.cases {
            all.extend(case.blocks(self));
        }
        all.push(Block::Heading("Proofs".to_owned()));
        all.extend(self.proofs());
        all
    }

    fn head(&self) -> Block {
        Block::Facts(vec![
            ("machine", quoted(&self.host)),
            ("written", Timestamp::new(self.at.secs, 0).to_string()),
            ("runs", size::count(self.cases.len() as u64)),
            ("log", whole(&self.verdict).to_owned()),
        ])
    }

    /// What came of it all, in a sentence.
    fn sum(&self) -> String {
        let of = |state: State| self.cases.iter().filter(|c| c.record.state == state).count() as u64;
        let states = State::ALL.map(|state| (state, of(state)));
        let told: Vec<String> = states
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(state, n)| format!("{} {}", size::count(*n), state.name()))
            .collect();
        let lost: i64 = self.losing().filter_map(|c| Some(c.record.meaning.as_ref()?.bytes)).sum();
        let lost = u64::try_from(lost).unwrap_or(0);
        let lost = if lost == 0 {
            "Nothing that existed nowhere else is gone.".to_owned()
        } else {
            format!(
                "{} that existed nowhere else are gone from their places; undo has copies where this report says so.",
                size::bytes(lost)
            )
        };
        format!("{}. {lost}", if told.is_empty() { "No runs".to_owned() } else { told.join(", ") })
    }

    fn losing(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|c| c.record.state == State::Committed)
    }

    fn timeline(&self) -> Block {
        let row = |e: &Entry| {
            let run = e.body.run().map_or_else(String::new, |run| run.to_string());
            let (said, _) = records::said(&e.body);
            vec![Timestamp::new(e.at.secs, 0).to_string(), run, e.body.name().to_owned(), said, e.index.to_string()]
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
        let log = verdict.origin.clone().unwrap_or_else(|| "its key can't be read".to_owned());
        let facts = Block::Facts(vec![
            ("integrity", answer(verdict.integrity).to_owned()),
            ("completeness", answer(verdict.completeness).to_owned()),
            ("authorisation", answer(verdict.authorisation).to_owned()),
            ("log", log),
            ("entries", format!("{} ({} signed)", size::count(verdict.entries), size::count(verdict.signed))),
            ("root", verdict.root.to_string()),
        ]);
        let found: Vec<Vec<String>> = verdict
            .findings
            .iter()
            .take(FINDINGS)
            .map(|f| {
                let weight = if f.weight == Weight::Note { "note" } else { "BROKEN" };
                let at = f.index.map_or_else(String::new, |index| index.to_string());
                vec![weight.to_owned(), at, tame(f.what.as_bytes())]
            })
            .collect();
        let mut all = vec![facts];
        if !found.is_empty() {
            all.push(Block::Table(vec!["", "entry", "finding"], found));
        }
        all.push(Block::Text(
            "Verified again by: backstop audit verify, on the machine or on a copy of its log; each entry above stands in the \
             log under its number. What was rewritten whole is found by a witness elsewhere alone: audit verify --witness KEY."
                .to_owned(),
        ));
        all
    }
}

/// How the log stands, in a word.
fn whole(verdict: &Verdict) -> &'static str {
    match verdict.exit() {
        0 => "verified: as it was written, whole, and all that took effect had its word",
        1 => "NOT AS IT SHOULD BE: see the proofs",
        _ => "CAN'T BE READ: see the proofs",
    }
}

impl Case {
    fn blocks(&self, incident: &Incident) -> Vec<Block> {
        let record = &self.record;
        let tense = if matches!(record.state, State::Committed | State::Undone) { Tense::Did } else { Tense::Would };
        let mut all = vec![Block::Heading(format!("Run {}: {}", record.id, record.state.name()))];
        all.push(Block::Facts(self.facts(tense, incident)));
        let decided = self.decided(&incident.entries);
        if !decided.is_empty() {
            all.push(Block::Table(vec!["who", "what", "why", "when (UTC)"], decided));
        }
        let places = places(&self.effects);
        if !places.is_empty() {
            let what =
                if tense == Tense::Did { "bytes that it took away or overwrote" } else { "bytes that it would take" };
            all.push(Block::Bars(what, places));
        }
        let effects = listed(&self.effects);
        if !effects.is_empty() {
            all.push(Block::Table(vec!["change", "place", "size"], effects));
        }
        if self.effects.effects.len() > EFFECTS {
            let more = size::count((self.effects.effects.len() - EFFECTS) as u64);
            all.push(Block::Text(format!("And {more} more: backstop show {} --tree.", record.id)));
        }
        all
    }

    fn facts(&self, tense: Tense, incident: &Incident) -> Vec<(&'static str, String)> {
        let (record, request) = (&self.record, &self.record.request);
        let shown = |text: &Bytes| text.quoted().to_string();
        let mut facts = vec![
            ("asked at", Timestamp::new(record.started.secs, 0).to_string()),
            ("asked by", format!("user account {}", request.asked_by())),
        ];
        facts.extend(request.asker.as_ref().map(|a| ("agent", shown(&a.agent))));
        facts.extend(request.session.as_ref().map(|s| ("session", shown(s))));
        if request.by.is_some() {
            facts.push(("ran as", format!("user account {}", request.uid)));
        }
        facts.push(("command", tame(request.command.text().as_slice())));
        facts.push(("in", shown(&request.cwd)));
        facts.extend(request.reason.as_ref().map(|r| ("said why", shown(r))));
        facts.push(("effect", summary::sentence(&self.effects, tense)));
        for c in &self.effects.crossings {
            facts.push((
                "through",
                format!("{} -> {}, where {} was named", c.via.quoted(), c.hit.quoted(), c.typed.quoted()),
            ));
        }
        if let Some(meaning) = &record.meaning {
            facts.extend(loss(meaning));
            facts.extend(meaning.kinds.iter().map(|k| ("is", format!("{}: {}", quoted(&k.class), quoted(&k.why)))));
            facts.extend(meaning.told.iter().map(|t| ("saw", format!("{}: {}", t.path.quoted(), quoted(&t.text)))));
        }
        facts.extend(record.digest.map(|digest| ("digest", format!("{digest} (of all effects)"))));
        facts.push(("came back", self.came_back(incident)));
        facts.extend(record.notes.iter().map(|note| ("note", tame(note.as_bytes()))));
        facts
    }

    /// Whether it was taken back, or can be.
    fn came_back(&self, incident: &Incident) -> String {
        let record = &self.record;
        let undone =
            incident.entries.iter().rev().find(|e| matches!(&e.body, Body::RunUndone { run } if *run == record.id));
        match (record.state, undone) {
            (State::Undone, Some(e)) => format!("all of it, at {}", Timestamp::new(e.at.secs, 0)),
            (State::Undone, None) => "all of it".to_owned(),
            (State::Committed, _) if record.let_go => "no: what undo needs was let go".to_owned(),
            (State::Committed, _) if self.effects.effects.iter().any(|e| !e.undoable) => {
                format!("not yet, and not all of it can: backstop undo {}", record.id)
            }
            (State::Committed, _) => format!("not yet: backstop undo {}", record.id),
            (State::InPlace, _) => "no: it ran in place, which undo does not cover".to_owned(),
            _ => "nothing took effect".to_owned(),
        }
    }

    /// Who decided what: the rules, people by word, people by signature.
    fn decided(&self, entries: &[Entry]) -> Vec<Vec<String>> {
        let record = &self.record;
        let mut rows = Vec::new();
        for reason in record.judgement.iter().flat_map(|j| &j.reasons).filter(|r| r.decision > Decision::Allow) {
            let who = reason.source.as_deref().map_or_else(|| "Backstop".to_owned(), quoted);
            let what = format!("{}: {}", quoted(&reason.rule), reason.decision.name());
            rows.push(vec![who, what, quoted(&reason.why), String::new()]);
        }
        let at = |at: Timestamp| Timestamp::new(at.secs, 0).to_string();
        for vote in self.asked.iter().flat_map(|asked| &asked.votes) {
            let said = Statement::parse(&vote.text).ok();
            let why = said.and_then(|s| {
                Some(format!("{}{}", s.reason?, s.ticket.map_or_else(String::new, |t| format!(" ({t})"))))
            });
            let who = format!("{}, by the key {}", quoted(&vote.person), quoted(&vote.credential));
            rows.push(vec![who, vote.choice.name().to_owned(), quoted(&why.unwrap_or_default()), at(vote.at)]);
        }
        for e in entries.iter().filter(|e| e.body.run() == Some(record.id)) {
            let (what, by) = match &e.body {
                Body::RunCommitting { by, .. } => ("let it take effect", by),
                Body::RunUndoing { by, .. } => ("took it back", by),
                Body::RunRedoing { by, .. } => ("brought it back", by),
                Body::RunDiscarded { by, .. } => ("gave it up", by),
                _ => continue,
            };
            let who = match by {
                By::Rule => "the rules alone".to_owned(),
                By::Person { uid } => format!("user account {uid}"),
                By::Approved { .. } => "the people who approved it".to_owned(),
            };
            rows.push(vec![who, what.to_owned(), String::new(), at(e.at)]);
        }
        rows
    }
}

/// What is on the disk no more, or as something else, in bytes.
fn taken(e: &Effect) -> u64 {
    let own = e.before.as_ref().map_or(0, |n| n.size);
    match e.kind {
        Kind::Delete | Kind::Replace => own + e.beneath.as_ref().map_or(0, |b| b.bytes),
        Kind::Change => own,
        Kind::Create | Kind::Rename | Kind::Link | Kind::Metadata => 0,
    }
}

/// The directories in which most is taken, the greatest first.
fn places(set: &EffectSet) -> Vec<(String, u64)> {
    let mut by_place: BTreeMap<Bytes, u64> = BTreeMap::new();
    for e in set.effects.iter().filter(|e| taken(e) > 0) {
        let path = e.path.as_slice();
        let parent = path.iter().rposition(|b| *b == b'/').map_or(path, |at| &path[..at.max(1)]);
        // A directory that goes whole is a place of its own.
        let place = if e.beneath.is_some() { path } else { parent };
        *by_place.entry(Bytes::from(place)).or_default() += taken(e);
    }
    let mut all: Vec<(String, u64)> = by_place.into_iter().map(|(p, n)| (p.quoted().to_string(), n)).collect();
    all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    all.truncate(PLACES);
    all
}

/// The effects that took most, then the others.
fn listed(set: &EffectSet) -> Vec<Vec<String>> {
    let mut effects: Vec<&Effect> = set.effects.iter().collect();
    effects.sort_by_key(|e| std::cmp::Reverse(taken(e)));
    let row = |e: &&Effect| {
        let from = e.from.as_ref().map_or_else(String::new, |from| format!(" (from {})", from.quoted()));
        let beneath = e.beneath.as_ref().filter(|b| b.entries() > 0);
        let with =
            beneath.map_or_else(String::new, |b| format!(" with {}", size::counted(b.entries(), "entry", "entries")));
        let bytes = match (taken(e), &e.after) {
            (0, Some(after)) => after.size,
            (taken, _) => taken,
        };
        vec![e.kind.name().to_owned(), format!("{}{from}{with}", e.path.quoted()), size::bytes(bytes)]
    };
    effects.iter().take(EFFECTS).map(row).collect()
}

/// Whose entries belong into a report about these runs: their own, and what was changed of rules and people meanwhile.
pub fn belongs(e: &Entry, runs: &[RunId], from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
    let of_them = e.body.run().is_some_and(|run| runs.contains(&run));
    let meanwhile = from.is_some_and(|from| e.at >= from) && to.is_some_and(|to| e.at <= to);
    let law = matches!(
        e.body,
        Body::PolicyLoaded { .. }
            | Body::PolicyRefused { .. }
            | Body::PeopleChanged { .. }
            | Body::AuditRecovered { .. }
    );
    of_them || meanwhile && law
}

#[cfg(test)]
mod tests;
