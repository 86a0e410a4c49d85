//! `report`: gathers what is on record of some runs, and writes it down for a post-mortem. The log is verified first,
//! before the engine is opened, which may put right what a crash left. What can't be read is said, and the rest told.

use backstop_core::audit::{Body, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::run::RunRecord;
use backstop_core::time::Timestamp;
use backstop_engine::audit::{Kept, entries, verify};
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
    let (all, unread) = read(&dir);
    let wanted = Wanted::of(typed, now);
    let mut records = chosen(typed, &wanted, &*house)?;
    let missing: Vec<RunId> =
        wanted.told_of(&all).into_iter().filter(|id| records.iter().all(|r| r.id != *id)).collect();
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
    for record in records {
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

    /// The runs that the log has of these.
    fn told_of(&self, entries: &[Entry]) -> Vec<RunId> {
        if self.session.is_none() && self.since.is_none() {
            return Vec::new();
        }
        let asked = |e: &Entry| match &e.body {
            Body::RunRequested { run, session, .. } => {
                let its = self.session.is_none() || *session == self.session;
                (its && self.since.is_none_or(|since| e.at >= since)).then_some(*run)
            }
            _ => None,
        };
        entries.iter().filter_map(asked).collect()
    }

    fn about(&self, typed: &ReportArgs) -> String {
        let since = self.since.map(|since| Timestamp::new(since.secs, 0));
        match (&self.session, since) {
            (Some(session), Some(since)) => format!("session {}, since {since}", session.quoted()),
            (Some(session), None) => format!("session {}", session.quoted()),
            (None, Some(since)) => format!("runs since {since}"),
            (None, None) if typed.runs.len() == 1 => "one run".to_owned(),
            (None, None) => format!("{} runs", typed.runs.len()),
        }
    }
}

fn chosen(typed: &ReportArgs, wanted: &Wanted, house: &dyn Doors) -> Result<Vec<RunRecord>, Trouble> {
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
    Ok(all.runs.into_iter().filter(|r| wanted.since.is_none_or(|since| r.updated >= since)).collect())
}
