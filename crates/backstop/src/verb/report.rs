//! `report`: gathers what is on record of some runs, and writes it down for a post-mortem.

use backstop_core::audit::{Body, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::run::RunRecord;
use backstop_engine::audit::{Kept, entries, verify};
use backstop_engine::{Doors, Failure, Filter};

use super::records::{folder, unreadable};
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
    let mut house = verb::doors()?;
    let mut records = chosen(typed, &*house)?;
    if records.is_empty() {
        return Err(Failure::usage("there are no such runs").next("see which there are: backstop runs").into());
    }
    if records.len() > MOST {
        let what = format!("{} runs are more than a report of {MOST} can hold", records.len());
        return Err(Failure::usage(what).next("name some: --since, --session, or the runs themselves").into());
    }
    records.sort_by_key(|r| (r.started, r.id));
    let ids: Vec<RunId> = records.iter().map(|r| r.id).collect();
    let (from, to) = (records.first().map(|r| r.started), records.iter().map(|r| r.updated).max());
    let mut told: Vec<Entry> = Vec::new();
    for entry in entries(&dir, 0) {
        let entry = entry.map_err(unreadable)?;
        if belongs(&entry, &ids, from, to) && !matches!(entry.body, Body::Nested { .. }) {
            told.push(entry);
        }
    }
    let mut cases = Vec::new();
    for record in records {
        let asked = record.approval.map(|_| house.asked(&record.id.to_string())).transpose()?;
        cases.push(Case { effects: house.effects(record.id)?, asked, record });
    }
    let incident = Incident {
        about: about(typed, &ids),
        at: clock::now(),
        host: house.people()?.host,
        cases,
        entries: told,
        verdict: verify(&dir, &Kept::default()),
    };
    let blocks = incident.blocks();
    out::print(&if typed.html { html::text(&blocks) } else { markdown::text(&blocks) })?;
    Ok(exit::OK)
}

fn chosen(typed: &ReportArgs, house: &dyn Doors) -> Result<Vec<RunRecord>, Trouble> {
    if !typed.runs.is_empty() {
        let found = typed.runs.iter().map(|name| house.record(house.find(name)?));
        return Ok(found.collect::<Result<_, Failure>>()?);
    }
    let filter = Filter { session: typed.session.as_deref().map(Bytes::from), ..Filter::default() };
    let all = house.runs(&filter)?;
    // A report that says nothing of what can't be read would be taken for the whole.
    if let Some(first) = all.unreadable.first() {
        let what = format!("the record of {} can't be read, so the report would not be whole", first.id);
        return Err(Failure::internal(what).next("name the runs that it is to be about").into());
    }
    let since = typed.since.map(|when| when.moment(clock::now()));
    Ok(all.runs.into_iter().filter(|r| since.is_none_or(|since| r.started >= since)).collect())
}

fn about(typed: &ReportArgs, ids: &[RunId]) -> String {
    if let Some(session) = &typed.session {
        return format!("session {}", Bytes::from(session.as_os_str()).quoted());
    }
    match (typed.since, ids) {
        (Some(when), _) => format!("runs since {}", when.moment(clock::now())),
        (None, [one]) => one.to_string(),
        (None, all) => all.iter().map(RunId::to_string).collect::<Vec<_>>().join(", "),
    }
}
