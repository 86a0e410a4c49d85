//! Takes the picked places, reads both sides of each, lets its lens compare them, and sums what all
//! lenses say.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use backstop_core::bytes::Bytes;
use backstop_core::facts::Told;
use backstop_core::lens::access::{self, Object};
use backstop_core::lens::{Incomplete, LensKind, agent, terraform};

use super::files::{Files, leads_to, name};
use super::pick::{Picked, Place};
use super::{Seen, order};
use crate::engine::Side;

/// Sentences that are kept of all files together; facts count the rest.
const TOLD: usize = 200;

/// By order of the lens, then the weightiest first.
type Rank = (u8, Reverse<u64>, Bytes);

/// The sums so far.
#[derive(Default)]
pub(super) struct Book {
    pub(super) facts: Seen,
    told: BTreeMap<Rank, (&'static str, Vec<String>)>,
}

impl Book {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Notes what a lens said of a file.
    pub(super) fn note(
        &mut self,
        kind: LensKind,
        path: &Bytes,
        weight: u64,
        told: Vec<String>,
        incomplete: Vec<String>,
    ) {
        self.add(order(kind), kind.name(), path, weight, told, incomplete);
    }

    /// Notes a directory that was not looked at to the end.
    pub(super) fn left_out(&mut self, dir: &Bytes, why: &str) {
        self.add(u8::MAX, "lens", dir, 0, Vec::new(), vec![why.to_owned()]);
    }

    fn add(
        &mut self,
        order: u8,
        lens: &'static str,
        path: &Bytes,
        weight: u64,
        mut told: Vec<String>,
        incomplete: Vec<String>,
    ) {
        if !incomplete.is_empty() {
            self.facts.incomplete.insert(lens.to_owned());
            told.extend(incomplete.iter().map(|why| format!("could not be told: {why}")));
        }
        if !told.is_empty() {
            self.told.insert((order, Reverse(weight), path.clone()), (lens, told));
        }
    }

    /// What all lenses saw.
    pub(super) fn close(self) -> Seen {
        let mut seen = self.facts;
        for ((_, _, path), (lens, texts)) in self.told {
            for text in texts {
                if seen.told.len() < TOLD {
                    seen.told.push(Told { lens: lens.to_owned(), path: path.clone(), text });
                }
            }
        }
        seen
    }
}

/// Compares every place that a lens knows by its path.
pub(super) fn by_path(picked: &Picked, files: &mut Files<'_>, workspace: Option<&Bytes>, book: &mut Book) {
    for (path, place) in &picked.places {
        let result = match place.kind {
            LensKind::Terraform => state(path, place, files, book),
            LensKind::Access => way_in(path, place, files, book),
            LensKind::Agent => settings(path, place, files, workspace, book),
            LensKind::Sqlite => Ok(()),
        };
        if let Err(why) = result {
            book.note(place.kind, path, 0, Vec::new(), vec![why.why]);
        }
    }
}

/// The bytes at a place on one side, a link followed once.
fn bytes(
    path: &Bytes,
    place: &Place,
    side: Side,
    most: u64,
    files: &mut Files<'_>,
) -> Result<Option<Vec<u8>>, Incomplete> {
    let target = &place.targets[usize::from(side == Side::After)];
    match target {
        None => {
            let really = place.really.as_ref().filter(|_| side == Side::After).unwrap_or(path);
            files.read(really, side, most)
        }
        Some(target) if target.as_slice() == b"/dev/null" => Ok(Some(Vec::new())),
        Some(target) if target.is_empty() => {
            Err(Incomplete::new(format!("{}: it is a link, which was not followed", name(side))))
        }
        Some(target) => match files.read(&leads_to(path, target), side, most)? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(Incomplete::new(format!(
                "{}: it is a link to {}, which was not followed",
                name(side),
                target.quoted()
            ))),
        },
    }
}

fn state(path: &Bytes, place: &Place, files: &mut Files<'_>, book: &mut Book) -> Result<(), Incomplete> {
    let most = files.limits.state_bytes;
    let before = bytes(path, place, Side::Before, most, files)?;
    let after = bytes(path, place, Side::After, most, files)?;
    let seen = match terraform::place(path) {
        Some(terraform::Place::Backup(of)) => {
            let (live_before, live_after) = (files.read(&of, Side::Before, most)?, files.read(&of, Side::After, most)?);
            terraform::compare_backup(
                before.as_deref(),
                after.as_deref(),
                live_before.as_deref(),
                live_after.as_deref(),
            )
        }
        Some(terraform::Place::State) | None => terraform::compare(before.as_deref(), after.as_deref()),
    };
    let sum = &mut book.facts.terraform;
    sum.lineage_changed += seen.facts.lineage_changed;
    sum.resources_removed += seen.facts.resources_removed;
    sum.serial_lowered += seen.facts.serial_lowered;
    sum.stateful_removed += seen.facts.stateful_removed;
    let weight = (1000 * seen.facts.stateful_removed + seen.facts.resources_removed).max(0).unsigned_abs();
    book.note(LensKind::Terraform, path, weight, seen.told, seen.incomplete);
    Ok(())
}

fn way_in(path: &Bytes, place: &Place, files: &mut Files<'_>, book: &mut Book) -> Result<(), Incomplete> {
    let Some(what) = access::place(path) else { return Ok(()) };
    let most = files.limits.file_bytes;
    let mut read = |side: Side| -> Result<Option<Vec<u8>>, Incomplete> {
        let linked = place.targets[usize::from(side == Side::After)].is_some();
        match bytes(path, place, side, most, files) {
            // The lens itself says what a link it can't see behind means.
            Err(_) if linked => Ok(None),
            other => other,
        }
    };
    let (before, after) = (read(Side::Before)?, read(Side::After)?);
    let [old, new] = &place.targets;
    let seen = access::compare(what, path, object(before.as_deref(), old), object(after.as_deref(), new));
    let (sum, new) = (&mut book.facts.access, &seen.facts);
    sum.cron_added += new.cron_added;
    sum.cron_removed += new.cron_removed;
    sum.keys_added += new.keys_added;
    sum.keys_removed += new.keys_removed;
    sum.startup_added += new.startup_added;
    sum.startup_removed += new.startup_removed;
    sum.sudo_added += new.sudo_added;
    sum.sudo_removed += new.sudo_removed;
    sum.units_changed += new.units_changed;
    sum.units_removed += new.units_removed;
    let weight = new.keys_added + new.sudo_added + new.keys_removed + new.sudo_removed;
    book.note(LensKind::Access, path, weight.max(0).unsigned_abs(), seen.told, seen.incomplete);
    Ok(())
}

fn object<'a>(bytes: Option<&'a [u8]>, target: &'a Option<Bytes>) -> Object<'a> {
    match (target, bytes) {
        (Some(target), bytes) => Object::Link(target, bytes),
        (None, Some(bytes)) => Object::File(bytes),
        (None, None) => Object::None,
    }
}

fn settings(
    path: &Bytes,
    place: &Place,
    files: &mut Files<'_>,
    workspace: Option<&Bytes>,
    book: &mut Book,
) -> Result<(), Incomplete> {
    let Some(row) = agent::place(path) else { return Ok(()) };
    let most = files.limits.file_bytes;
    let before = bytes(path, place, Side::Before, most, files)?;
    let after = bytes(path, place, Side::After, most, files)?;
    let ours = workspace.is_some_and(|w| path.is_beneath(w.as_slice()));
    let seen = agent::compare(row, before.as_deref(), after.as_deref(), ours);
    let (sum, new) = (&mut book.facts.agent, seen.facts);
    sum.hooks_changed += new.hooks_changed;
    sum.instructions_changed += new.instructions_changed;
    sum.mcp_changed += new.mcp_changed;
    sum.permissions_changed += new.permissions_changed;
    sum.agents.extend(new.agents);
    let weight = (2 * new.hooks_changed + new.permissions_changed).max(0).unsigned_abs();
    book.note(LensKind::Agent, path, weight, seen.told, seen.incomplete);
    Ok(())
}
