//! Takes the files that may be databases, shows each with what stands beside it to the lens, on both
//! sides. A database that only moves is compared with itself at its new place.

use std::collections::BTreeSet;

use backstop_core::bytes::Bytes;
use backstop_core::lens::sqlite::{self, Files};
use backstop_core::lens::{Budget, Incomplete, LensKind, ReadAt, Seen};

use super::files::Opened;
use super::pick::Picked;
use super::settle::Book;
use crate::engine::Side;
use crate::facts::Sides;

/// The open files of a database on one side.
struct Set {
    main: Opened,
    wal: Option<Opened>,
    journal: Option<Opened>,
}

impl Set {
    fn open(sides: &dyn Sides, path: &Bytes, side: Side) -> Result<Option<Self>, Incomplete> {
        let Some(main) = Opened::open(sides, path, side)? else { return Ok(None) };
        let beside = |end: &[u8]| Opened::open(sides, &Bytes::from([path.as_slice(), end].concat()), side);
        Ok(Some(Self { main, wal: beside(b"-wal")?, journal: beside(b"-journal")? }))
    }

    fn files(&self) -> Files<'_> {
        Files {
            main: &self.main,
            wal: self.wal.as_ref().map(|f| f as &dyn ReadAt),
            journal: self.journal.as_ref().map(|f| f as &dyn ReadAt),
        }
    }
}

/// Compares every database that was there before.
pub(super) fn look(picked: &Picked, sides: &dyn Sides, budget: &mut Budget<'_>, book: &mut Book) {
    let mut known = BTreeSet::new();
    for path in picked.databases.keys() {
        let seen = match one(picked, path, sides, budget, &mut known) {
            Ok(Some(seen)) => seen,
            Ok(None) => continue,
            Err(why) => Seen::untold(&why),
        };
        let weight = seen.facts.rows_lost.max(seen.facts.databases).max(0).unsigned_abs();
        book.facts.sqlite.databases += seen.facts.databases;
        book.facts.sqlite.rows_lost = book.facts.sqlite.rows_lost.saturating_add(seen.facts.rows_lost);
        book.facts.sqlite.schema_dropped += seen.facts.schema_dropped;
        book.facts.sqlite.tables_dropped += seen.facts.tables_dropped;
        book.facts.sqlite.tables_emptied += seen.facts.tables_emptied;
        book.note(LensKind::Sqlite, path, weight, seen.told, seen.incomplete);
    }
}

fn one(
    picked: &Picked,
    path: &Bytes,
    sides: &dyn Sides,
    budget: &mut Budget<'_>,
    known: &mut BTreeSet<Bytes>,
) -> Result<Option<Seen<backstop_core::facts::Sqlite>>, Incomplete> {
    // Effects name places as they will be; before, what moved was elsewhere.
    let mut old = path.clone();
    let mut before = Set::open(sides, &old, Side::Before)?;
    if before.is_none() {
        old = picked.before(path);
        before = Set::open(sides, &old, Side::Before)?;
    }
    let Some(before) = before else { return Ok(None) };
    // A move names its database twice, by either path.
    if !known.insert(old.clone()) {
        return Ok(None);
    }
    let after = Set::open(sides, &picked.after(&old), Side::After)?;
    Ok(Some(sqlite::compare(&before.files(), after.as_ref().map(Set::files).as_ref(), budget)))
}
