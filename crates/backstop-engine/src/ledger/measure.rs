//! The ledger's one function: walk, sort, then effects and plan.

use std::os::fd::AsFd;

use backstop_sys::fs::open_dir_read;

use super::effects::Book;
use super::strays::strays;
use super::upper::{Found, Walk};
use super::{Input, LedgerError, Measured, fate, moves, planner};

/// Measures what the rehearsal would change.
pub fn measure(input: &Input<'_>) -> Result<Measured, LedgerError> {
    let (mut found, mut incomplete): (Vec<Found>, Vec<String>) = (Vec::new(), Vec::new());
    for (index, layer) in input.layers.iter().enumerate() {
        let volume = &input.volumes[layer.volume];
        let failed = |source| LedgerError::Upper { point: layer.point.clone(), source };
        let upper = open_dir_read(volume.run_dir, layer.upper.as_slice()).map_err(failed)?;
        let walk =
            Walk { layer: index, upper: upper.as_fd(), root: volume.root, lower: &layer.lower, prefix: layer.prefix };
        found.extend(walk.run().map_err(failed)?);
        let (strays, nameless) = strays(index, layer, volume, &found)?;
        found.extend(strays);
        if nameless > 0 {
            incomplete.push(format!(
                "{nameless} file(s) were changed by way of a name that was deleted, and no other name is known"
            ));
        }
    }
    let fates = fate::sort(input, &found)?;
    let mut book = Book::new(input, &found, &fates);
    book.write()?;
    moves::recognise(&mut book);
    book.incomplete.append(&mut incomplete);
    let mut measured = planner::plan(book)?;
    measured.effects.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    Ok(measured)
}
