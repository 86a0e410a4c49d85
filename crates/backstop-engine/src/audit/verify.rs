//! Takes a log's directory, or a copy of one, and answers an auditor's three questions apart: is it
//! as it was written, is it whole, had everything the word it needed. Reads only, a line at a time.

use std::fs;
use std::io;
use std::path::Path;

use backstop_core::audit::{Body, Clocks, Entry, Question, Story, Watch};
use backstop_core::auditd::Explanations;
use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::merkle::{self, Frontier};
use backstop_core::note::{Checkpoint, Verifier};
use backstop_core::quoted::Quoted;
use backstop_core::time::Timestamp;
use backstop_core::witness::Witness;
use serde::Serialize;

use super::AuditError;
use super::auditd::{self, Seen};
use super::create::public_key;
use super::layout::{CHECKPOINT, Segment, lock_to_look, segment_name, segments, unpadded};
use super::lines::{Line, Lines};
use super::witnessed::{self, Cosigned};
use crate::{approvals, clock};

/// The answer to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes.
    Holds,
    /// No; the findings say where.
    Broken,
    /// It can't be said, because the log is not as it was written.
    Unknown,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Worth knowing; breaks nothing.
    Note,
    /// The question's answer is no.
    Broken,
    /// Something could not be read, so nothing can be said.
    Unreadable,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The entry it is about.
    pub index: Option<u64>,
    /// The byte of the segment where that begins.
    pub offset: Option<u64>,
    /// The question it belongs to.
    pub question: Question,
    /// The run it is about.
    pub run: Option<RunId>,
    /// The file it is in.
    pub segment: Option<String>,
    /// How much it weighs.
    pub weight: Weight,
    /// What, as a sentence fragment.
    pub what: String,
}

/// What verification found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Had everything that took effect the word it needed?
    pub authorisation: Answer,
    /// Has every run each of its doors?
    pub completeness: Answer,
    /// Lines in the log.
    pub entries: u64,
    /// What was found, in the order of the log; at most `Report::SHOWN`, of which 200 notes.
    pub findings: Vec<Finding>,
    /// Is the log as it was written?
    pub integrity: Answer,
    /// How many findings more there are.
    pub more: u64,
    /// Runs with something under way at the end of the log: still running, or cut off by a crash that
    /// the next start of Backstop puts right.
    pub open: Vec<RunId>,
    /// Which log.
    pub origin: Option<String>,
    /// The root over all whole lines.
    pub root: Digest,
    /// Runs it speaks of.
    pub runs: usize,
    /// Entries that the checkpoint covers.
    pub signed: u64,
}

impl Report {
    /// How many findings are kept.
    pub const SHOWN: usize = 1_000;

    /// How many of them may be notes: those that a log collects over the years must not take the room of what is wrong.
    const NOTES: usize = 200;

    /// 0 when everything holds, 1 when something doesn't, 2 when it could not be read.
    pub fn exit(&self) -> u8 {
        let answers = [self.integrity, self.completeness, self.authorisation];
        if self.findings.iter().any(|f| f.weight == Weight::Unreadable) {
            2
        } else {
            u8::from(answers.iter().any(|a| *a != Answer::Holds))
        }
    }
}

/// What of a log was kept elsewhere: without any, a log that was replaced as a whole, key and all, can't be told from the
/// real one.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// A checkpoint that a person kept and trusts.
    pub checkpoint: Option<Checkpoint>,
    /// Witnesses who have to have cosigned the log.
    pub witnesses: Vec<Witness>,
    /// What auditd saw.
    pub auditd: Option<Seen>,
}

/// Verifies the log in `dir`.
pub fn verify(dir: &Path, kept: &Kept) -> Report {
    let mut check = Check { explained: kept.auditd.as_ref().map(|_| Explanations::default()), ..Check::default() };
    let before = approvals::people_in(dir);
    if let Err(error) = check.all(dir, kept) {
        let source = std::error::Error::source(&error).map_or(String::new(), |s| format!(": {s}"));
        check.say(Question::Integrity, Weight::Unreadable, None, format!("{error}{source}"));
    }
    check.people(&[before, approvals::people_in(dir)].concat());
    if let Some(seen) = &kept.auditd {
        check.auditd(seen);
    }
    check.report()
}

/// A log at one moment, read with the lock held so that no append is half done.
struct Snapshot {
    key: Result<Verifier, String>,
    checkpoint: Result<Checkpoint, String>,
    segments: Vec<Segment>,
    /// When that was, by the wall clock and by the machine's own clocks where they can be read.
    at: (Timestamp, Option<Clocks>),
}

fn snapshot(dir: &Path) -> Result<Snapshot, AuditError> {
    let _held = lock_to_look(dir)?;
    let key = match public_key(dir) {
        Ok(key) if key.names_itself() => Ok(key),
        Ok(_) => Err("the name in key.pub is not this key's".to_owned()),
        Err(AuditError::Io { source, .. }) if source.kind() != io::ErrorKind::NotFound => {
            return Err(AuditError::Io { what: "read", path: dir.join(super::layout::KEY_PUB), source });
        }
        Err(_) => Err("key.pub is missing or damaged".to_owned()),
    };
    let path = dir.join(CHECKPOINT);
    let checkpoint = match (fs::read(&path), &key) {
        (Err(e), _) if e.kind() == io::ErrorKind::NotFound => Err("the checkpoint is missing".to_owned()),
        (Err(e), _) => return Err(AuditError::io("read", &path)(e)),
        (Ok(_), Err(_)) => Err("without the key the checkpoint cannot be checked".to_owned()),
        (Ok(bytes), Ok(key)) => match unpadded(&bytes) {
            Some(note) => Checkpoint::open(note, key).map_err(|e| format!("the checkpoint: {e}")),
            None => Err("the checkpoint: not a signed note".to_owned()),
        },
    };
    let at = (clock::now(), clock::clocks().ok());
    Ok(Snapshot { key, checkpoint, segments: segments(dir)?, at })
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn entries_of(n: u64) -> String {
    count(n, "entry", "entries")
}

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
    /// How many of them are notes.
    notes: usize,
    /// Broken findings per question, in the questions' order.
    broken: [u64; 3],
    more: u64,
    tree: Frontier,
    story: Story,
    watch: Watch,
    /// What may explain what was seen elsewhere, where that is asked for.
    explained: Option<Explanations>,
    origin: Option<String>,
    signed: u64,
    last: Option<Timestamp>,
    /// By how much the last entry's index differs from its place.
    shift: u64,
}

/// A place in the log.
#[derive(Clone, Copy)]
struct At {
    index: u64,
    segment: u64,
    offset: u64,
}

impl Check {
    fn all(&mut self, dir: &Path, kept: &Kept) -> Result<(), AuditError> {
        let pinned = kept.checkpoint.as_ref();
        let Snapshot { key, checkpoint, segments, at: (now, here) } = snapshot(dir)?;
        self.origin = key.as_ref().ok().map(|k| k.name().to_owned());
        if let Err(what) = &key {
            self.broken(None, what.clone());
        }
        if let Err(what) = &checkpoint {
            self.broken(None, what.clone());
        }
        if let (Some(pinned), Some(origin)) = (pinned, &self.origin)
            && pinned.origin != *origin
        {
            let what = format!("this is the log of {origin}, the kept checkpoint is of {}", pinned.origin);
            self.broken(None, what);
        }
        let checkpoint = checkpoint.ok();
        self.signed = checkpoint.as_ref().map_or(0, |c| c.size);
        let cosigned = key.as_ref().map_or_else(|_| Ok(Vec::new()), |key| self.cosigned(dir, kept, key))?;
        // The roots that the tree must have on its way, by size.
        let marks = [(checkpoint.as_ref(), "the signed checkpoint"), (pinned, "the kept checkpoint")];
        let mut marks: Vec<_> = marks.into_iter().filter_map(|(c, name)| c.map(|c| (c, name))).collect();
        marks.extend(cosigned.iter().map(|(checkpoint, name)| (checkpoint, name.as_str())));
        let mut lines = Lines::all(dir, segments);
        let mut first_unsigned = None;
        self.compare(&marks);
        while let Some(line) = lines.next()? {
            let at = At { index: self.tree.size(), segment: line.segment, offset: line.offset };
            if !line.whole {
                let what = format!("{} that are no whole entry", count(line.bytes.len() as u64, "byte", "bytes"));
                self.broken(Some(at), what);
                continue;
            }
            if at.index == self.signed {
                first_unsigned = Some(at);
            }
            self.line(at, &line, key.as_ref().ok());
            self.compare(&marks);
        }
        let entries = self.tree.size();
        for (mark, name) in marks {
            if mark.size > entries {
                let what =
                    format!("{name} covers {}, the log has {entries}: its end is missing", entries_of(mark.size));
                self.broken(None, what);
            }
        }
        if checkpoint.is_some_and(|c| c.size < entries) {
            let after = entries - self.signed;
            let what = format!("{} after the last checkpoint, not yet signed", entries_of(after));
            self.broken(first_unsigned, what);
        }
        if let Some(remark) = self.watch.end(now, here.as_ref()) {
            self.say(Question::Completeness, Weight::Note, None, remark);
        }
        Ok(())
    }

    /// What is kept of witnesses: what the named ones cosigned, who have to have, and what any note speaks of that the log
    /// itself signed.
    fn cosigned(&mut self, dir: &Path, kept: &Kept, key: &Verifier) -> Result<Vec<(Checkpoint, String)>, AuditError> {
        let mut all = Vec::new();
        for witness in &kept.witnesses {
            let name = Quoted(witness.name().as_bytes()).to_string();
            match witnessed::kept(dir, witness, key) {
                Ok(Some(Cosigned { at, checkpoint })) => {
                    let when = Timestamp::new(i64::try_from(at).unwrap_or(i64::MAX), 0);
                    let what = format!("{name} has seen {} at {when}", entries_of(checkpoint.size));
                    self.say(Question::Integrity, Weight::Note, None, what);
                    all.push((checkpoint, format!("what {name} cosigned")));
                }
                Ok(None) => self.broken(None, format!("the witness {name} has cosigned nothing that is kept here")),
                Err(why) => {
                    self.broken(None, format!("what is kept as cosigned by {name} is not to be trusted: {why}"))
                }
            }
        }
        for seen in witnessed::seen(dir, key)? {
            if all.iter().all(|(named, _)| *named != seen) {
                all.push((seen, "a note of a witness".to_owned()));
            }
        }
        Ok(all)
    }

    fn line(&mut self, at: At, line: &Line<'_>, key: Option<&Verifier>) {
        self.tree.push(merkle::leaf(line.bytes));
        if at.offset == 0 && at.segment != at.index {
            let what = format!("the segment should begin with entry {}, here is entry {}", at.segment, at.index);
            self.broken(Some(at), what);
        }
        let Some(entry) = Entry::parse(line.bytes) else {
            return self.broken(Some(at), "not an entry in its one spelling".to_owned());
        };
        // Said where it begins, not for each entry that moved along.
        let shift = entry.index.wrapping_sub(at.index);
        if shift != self.shift && shift != 0 {
            self.broken(Some(at), format!("says it is entry {}, stands as entry {}", entry.index, at.index));
        }
        self.shift = shift;
        match &entry.body {
            Body::AuditStarted { key: said } => {
                if at.index != 0 {
                    self.broken(Some(at), "the log begins a second time".to_owned());
                } else if key.is_some_and(|k| k.to_string() != *said) {
                    self.broken(Some(at), "the log was begun with another key than key.pub".to_owned());
                }
            }
            _ if at.index == 0 => self.broken(Some(at), "the first entry does not begin a log".to_owned()),
            Body::AuditRecovered { adopted, cut_bytes, .. } => {
                let (late, cut) = (entries_of(*adopted), count(*cut_bytes, "byte", "bytes"));
                let what = format!("put right after a crash: {late} before this signed late, {cut} cut off");
                self.say(Question::Integrity, Weight::Note, Some(at), what);
            }
            _ => {}
        }
        if let Some(last) = self.last
            && entry.at.seconds_since(last) < 0
        {
            let what = format!("the clock went back by {} s", last.seconds_since(entry.at));
            self.say(Question::Integrity, Weight::Note, Some(at), what);
        }
        self.last = Some(entry.at);
        if let Some(explained) = &mut self.explained {
            explained.tell(&entry);
        }
        for remark in self.watch.tell(entry.at, &entry.body) {
            self.say(Question::Completeness, Weight::Note, Some(at), remark);
        }
        for complaint in self.story.tell(entry.at, &entry.body) {
            self.find(complaint.question, Weight::Broken, Some(at), complaint.run, complaint.what);
        }
    }

    /// Compares who may approve, as the state directory has it around this log, with what the log makes of it.
    /// It may change while the log is read: then one of the looks fits.
    fn people(&mut self, looks: &[Result<Option<Digest>, String>]) {
        let told = self.story.people();
        let other = "who may approve (people.json) is not who the log says".to_owned();
        // A copy of a log has none beside it, and nothing is said.
        if let Some(last) = looks.last()
            && !looks.contains(&Ok(told))
        {
            let what = looks.iter().find_map(|look| look.clone().err()).filter(|_| last.is_err()).unwrap_or(other);
            self.find(Question::Authorisation, Weight::Broken, None, None, what);
        }
    }

    /// Compares what was started past Backstop.
    fn auditd(&mut self, seen: &Seen) {
        match auditd::compare(seen, &mut self.explained.take().unwrap_or_default()) {
            Ok(said) => {
                for (weight, what) in said {
                    self.say(Question::Completeness, weight, None, what);
                }
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map_or(String::new(), |s| format!(": {s}"));
                self.say(Question::Completeness, Weight::Unreadable, None, format!("{error}{source}"));
            }
        }
    }

    /// Compares the root where the tree has just reached a size for which one is known.
    fn compare(&mut self, marks: &[(&Checkpoint, &str)]) {
        for (mark, name) in marks {
            if mark.size == self.tree.size() && mark.root != self.tree.root() {
                self.broken(None, format!("the first {} do not give the root of {name}", entries_of(mark.size)));
            }
        }
    }

    fn broken(&mut self, at: Option<At>, what: String) {
        self.say(Question::Integrity, Weight::Broken, at, what);
    }

    fn say(&mut self, question: Question, weight: Weight, at: Option<At>, what: String) {
        self.find(question, weight, at, None, what);
    }

    fn find(&mut self, question: Question, weight: Weight, at: Option<At>, run: Option<RunId>, what: String) {
        if weight == Weight::Broken {
            self.broken[question as usize] += 1;
        }
        let full = match weight {
            Weight::Note => self.notes >= Report::NOTES,
            Weight::Broken => self.findings.len() >= Report::SHOWN,
            // Always shown: the exit code hangs on it.
            Weight::Unreadable => false,
        };
        if full {
            self.more += 1;
            return;
        }
        self.notes += usize::from(weight == Weight::Note);
        self.findings.push(Finding {
            index: at.map(|at| at.index),
            offset: at.map(|at| at.offset),
            question,
            run,
            segment: at.map(|at| segment_name(at.segment)),
            weight,
            what,
        });
    }

    fn report(self) -> Report {
        let unreadable = self.findings.iter().any(|f| f.weight == Weight::Unreadable);
        let answer = |question: Question, sure: bool| match (self.broken[question as usize], sure) {
            (0, true) => Answer::Holds,
            (0, false) => Answer::Unknown,
            (_, _) => Answer::Broken,
        };
        let integrity = answer(Question::Integrity, !unreadable);
        let sure = integrity == Answer::Holds;
        Report {
            authorisation: answer(Question::Authorisation, sure),
            completeness: answer(Question::Completeness, sure),
            entries: self.tree.size(),
            integrity,
            more: self.more,
            open: self.story.open(),
            origin: self.origin,
            root: self.tree.root(),
            runs: self.story.runs(),
            signed: self.signed,
            findings: self.findings,
        }
    }
}
