//! `discard`, `undo`, `redo`.

use std::ffi::OsStr;
use std::io;

use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_core::run::State;
use backstop_engine::{Doors, Failure, FailureKind, Filter, UndoOptions, UndoReport, Which};

use super::{self as verb};
use crate::args::{Discard, Several, Undo};
use crate::document::{RecordDocument, UndoDocument};
use crate::out::{self, Done};
use crate::person::Terminal;
use crate::screen::report::{self, Way};
use crate::screen::style::Style;
use crate::{exit, inside};

/// `backstop discard`.
pub fn discard(typed: &Discard) -> Done {
    inside::records_needed("discard")?;
    let one = &typed.one;
    let mut house = verb::doors()?;
    let id = house.find(&one.run)?;
    its_own(&*house, &[id], typed.only_of.as_deref())?;
    let record = house.discard(id)?;
    if one.json {
        out::document(&RecordDocument::of(record))?;
    } else {
        out::say(&format!("backstop: discarded {id}: nothing of it took effect\n"));
    }
    Ok(exit::OK)
}

/// `backstop undo`.
pub fn undo(typed: &Undo) -> Done {
    inside::records_needed("undo")?;
    let mut house = verb::doors()?;
    let which = match (which(&*house, &typed.which)?, typed.only_of.as_deref()) {
        (which, None) => which,
        (Which::Last(n), Some(session)) => {
            let filter = Filter { state: Some(State::Committed), session: Some(session.into()), call: None };
            Which::Runs(house.runs(&filter)?.runs.iter().take(n).map(|r| r.id).collect())
        }
        (Which::Runs(ids), session) => {
            its_own(&*house, &ids, session)?;
            Which::Runs(ids)
        }
        (Which::Session(other), Some(session)) if other != Bytes::from(session) => return Err(not_its_own().into()),
        (which, Some(_)) => which,
    };
    let mut person = Terminal::new(false, false);
    let report = house.undo(&which, UndoOptions { beside: typed.beside }, &mut person)?;
    person.clear();
    finish(&report, Way::Undo, typed.which.json)
}

/// `backstop redo`.
pub fn redo(typed: &Several) -> Done {
    inside::people_only("redo")?;
    let mut house = verb::doors()?;
    let which = which(&*house, typed)?;
    let mut person = Terminal::new(false, false);
    let report = house.redo(&which, &mut person)?;
    person.clear();
    finish(&report, Way::Redo, typed.json)
}

/// An agent takes back what its own session did, and nobody else's.
fn its_own(house: &dyn Doors, ids: &[RunId], session: Option<&OsStr>) -> Result<(), Failure> {
    let Some(session) = session.map(Bytes::from) else { return Ok(()) };
    for id in ids {
        if house.record(*id)?.request.session.as_ref() != Some(&session) {
            return Err(not_its_own());
        }
    }
    Ok(())
}

fn not_its_own() -> Failure {
    Failure::new(FailureKind::Refused, "refused: that is a run of another session")
        .next("an agent takes back its own runs: backstop runs --session ID; others are their people's")
}

/// Turns what was typed into runs; all names are looked up before anything is done.
fn which(house: &dyn Doors, typed: &Several) -> Result<Which, Failure> {
    if let Some(session) = &typed.session {
        return Ok(Which::Session(Bytes::from(session.as_os_str())));
    }
    if let Some(n) = typed.last {
        return Ok(Which::Last(n as usize));
    }
    let mut ids = typed.runs.iter().map(|text| house.find(text)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    ids.reverse();
    Ok(Which::Runs(ids))
}

fn finish(report: &UndoReport, way: Way, json: bool) -> Done {
    if json {
        out::document(&UndoDocument::of(report))?;
    } else {
        out::say(&report::undo(report, way, Style::of(&io::stderr())));
    }
    Ok(report.stopped.as_ref().map_or(exit::OK, |(_, why)| exit::of_failure(why.kind)))
}
