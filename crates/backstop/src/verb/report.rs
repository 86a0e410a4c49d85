//! `report`: gathers what is on record of some runs, and writes it down for a post-mortem. The log is verified first,
//! before the engine is opened, which may put right what a crash left. What can't be read is said, and the rest told.

use std::collections::BTreeSet;

use backstop_core::audit::{Body, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::run::RunRecord;
use backstop_core::time::Timestamp;
use backstop_engine::audit::{self, AuditLog, Kept, entries, verify};
use backstop_engine::{Doors, Failure, Filter};

use super::records::folder;
use super::{self as verb};
use crate::args::ReportArgs;
use crate::out::{self, Done, Trouble};
use crate::report::{Case, Incident, belongs, html, markdown};
use crate::{clock, exit, inside};

/// Nobody reads a report of more.
const MOST: usize = 200;

/// `backstop report`.
pub fn report(typed: &ReportArgs) -> Done {
    inside::records_needed("report")?;
    let dir = folder()?;
    let now = clock::now();
    let verdict = verify(&dir, &Kept::default());
    let house = verb::doors()?;
    // A report is for others, and what is a secret in a record, or in an entry of before they were taken out, is its
    // owner's. Where the key can't be had, which the verdict says, by one that nobody has.
    let redactor = AuditLog::redactor(&dir).or_else(|_| audit::some_redactor())?;
    let (mut all, unread) = read(&dir);
    all.iter_mut().for_each(|entry| entry.body = redactor.body(&entry.body).into_owned());
    let wanted = Wanted::of(typed, now);
    let told = wanted.told_of(&all);
    let mut records = chosen(typed, &wanted, &told, &*house)?;
    let missing: Vec<RunId> = told.into_iter().filter(|id| records.iter().all(|r| r.id != *id)).collect();
    if records.is_empty() && missing.is_empty() {
        return Err(Failure::usage("there are no such runs").next("see which there are: backstop runs").into());
    }
    if records.len() > MOST {
        let what = format!("{} runs are more than a report of {MOST} can hold", records.len());
        return Err(Failure::usage(what).next("name some: --since, --session, or the runs themselves").into());
    }
    records.sort_by_key(|r| (r.started, r.id));
    let ids: Vec<RunId> = records.iter().map(|r| r.id).chain(missing.iter().copied()).collect();
    let from = wanted.since.or(records.first().map(|r| r.started)).unwrap_or(now);
    let to = if wanted.since.is_some() { now } else { records.iter().map(|r| r.updated).max().unwrap_or(now) };
    let mut cases = Vec::new();
    for mut record in records {
        record.request = redactor.request(&record.request);
        let calm = |note: &String| {
            redactor.text(&note.as_str().into()).map_or_else(|| note.clone(), |n| n.quoted().to_string())
        };
        record.notes = record.notes.iter().map(calm).collect();
        // One whole set of effects at a time: a report needs little of it.
        let effects = house.effects(record.id).map_err(|failure| failure.what);
        cases.push(Case::new(record, effects, &all));
    }
    let incident = Incident {
        about: wanted.about(typed),
        at: now,
        host: house
            .people()
            .map_or_else(|_| "its name can't be told: who may approve can't be read".to_owned(), |p| p.host),
        cases,
        entries: all.into_iter().filter(|e| belongs(e, &ids, (from, to))).collect(),
        missing,
        unread,
        verdict,
    };
    let blocks = incident.blocks();
    out::print(&if typed.html { html::text(&blocks) } else { markdown::text(&blocks) })?;
    Ok(if incident.alarms() { exit::FOUND } else { exit::OK })
}

/// All entries up to the first that can't be read, and why that can't.
fn read(dir: &std::path::Path) -> (Vec<Entry>, Option<String>) {
    let mut all = Vec::new();
    for entry in entries(dir, 0) {
        match entry {
            Ok(entry) => all.push(entry),
            Err(error) => return (all, Some(error.to_string())),
        }
    }
    (all, None)
}

/// Which runs a report is to be about, where they are not named.
struct Wanted {
    session: Option<Bytes>,
    since: Option<Timestamp>,
}

impl Wanted {
    fn of(typed: &ReportArgs, now: Timestamp) -> Self {
        let session = typed.session.as_deref().map(Bytes::from);
        Self { session, since: typed.since.map(|when| when.moment(now)) }
    }

    /// The runs that the log has of these: of which it says something since then, whenever they were asked for.
    fn told_of(&self, entries: &[Entry]) -> BTreeSet<RunId> {
        if self.session.is_none() && self.since.is_none() {
            return BTreeSet::new();
        }
        let its = |e: &Entry| match &e.body {
            Body::RunRequested { run, session, .. } if self.session.is_none() || *session == self.session => Some(*run),
            _ => None,
        };
        let its: BTreeSet<RunId> = entries.iter().filter_map(its).collect();
        let late = entries.iter().filter(|e| self.since.is_none_or(|since| e.at >= since));
        late.filter_map(|e| e.body.run()).filter(|run| its.contains(run)).collect()
    }

    fn about(&self, typed: &ReportArgs) -> String {
        let since = self.since.map(Timestamp::whole);
        match (&self.session, since) {
            (Some(session), Some(since)) => format!("session {}, since {since}", session.quoted()),
            (Some(session), None) => format!("session {}", session.quoted()),
            (None, Some(since)) => format!("runs since {since}"),
            (None, None) if typed.runs.len() == 1 => "one run".to_owned(),
            (None, None) => format!("{} runs", typed.runs.len()),
        }
    }
}

fn chosen(
    typed: &ReportArgs,
    wanted: &Wanted,
    told: &BTreeSet<RunId>,
    house: &dyn Doors,
) -> Result<Vec<RunRecord>, Trouble> {
    if !typed.runs.is_empty() {
        let mut found: Vec<RunRecord> = Vec::new();
        for name in &typed.runs {
            let record = house.record(house.find(name)?)?;
            // Named twice it happened once.
            if found.iter().all(|known| known.id != record.id) {
                found.push(record);
            }
        }
        return Ok(found);
    }
    let all = house.runs(&Filter { session: wanted.session.clone(), ..Filter::default() })?;
    // Of what is kept of others the log says that they are missing.
    let late = |r: &RunRecord| wanted.since.is_none_or(|since| r.updated >= since) || told.contains(&r.id);
    Ok(all.runs.into_iter().filter(late).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::rehearsal;

    #[test]
    fn a_run_belongs_to_the_time_in_which_something_came_of_it() {
        let record = rehearsal::incident().record;
        let (early, late) = (record.id, RunId::from_number(5));
        let entry = |at, body| Entry { at: Timestamp::new(at, 0), body, index: 0, version: Entry::VERSION };
        let asked = |at, run| entry(at, Body::requested(run, &record.request));
        let all = [asked(10, early), asked(20, late), entry(30, Body::RunUndone { run: early })];
        let told = |session: Option<&str>, since: Option<i64>| {
            let since = since.map(|secs| Timestamp::new(secs, 0));
            Wanted { session: session.map(Bytes::from), since }.told_of(&all).into_iter().collect::<Vec<_>>()
        };
        let both = BTreeSet::from([early, late]).into_iter().collect::<Vec<_>>();
        assert_eq!(told(None, Some(15)), both, "asked for before, and taken back since");
        assert_eq!(told(None, Some(25)), [early]);
        assert_eq!(told(None, Some(31)), []);
        assert_eq!(told(Some("another"), Some(0)), []);
        assert_eq!(told(None, None), [], "named by themselves");
    }
}
