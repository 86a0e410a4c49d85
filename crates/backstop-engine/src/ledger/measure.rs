//! The ledger's one function: walk, sort, then effects and plan.

use std::os::fd::AsFd;

use backstop_sys::fs::open_dir_read;

use super::effects::Book;
use super::upper::{Found, Walk};
use super::{Input, LedgerError, Measured, fate, planner};

/// Measures what the rehearsal would change.
pub fn measure(input: &Input<'_>) -> Result<Measured, LedgerError> {
    let mut found: Vec<Found> = Vec::new();
    for (index, layer) in input.layers.iter().enumerate() {
        let volume = &input.volumes[layer.volume];
        let failed = |source| LedgerError::Upper { point: layer.point.clone(), source };
        let upper = open_dir_read(volume.run_dir, layer.upper.as_slice()).map_err(failed)?;
        let walk =
            Walk { layer: index, upper: upper.as_fd(), root: volume.root, lower: &layer.lower, prefix: layer.prefix };
        found.extend(walk.run().map_err(failed)?);
    }
    let fates = fate::sort(input, &found)?;
    let mut book = Book::new(input, &found, &fates);
    book.write()?;
    let mut measured = planner::plan(book)?;
    measured.effects.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    Ok(measured)
}
