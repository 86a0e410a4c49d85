//! Room 4. Takes what a rehearsal left in its upper directories, gives the effects it stands for and
//! the plan that would make them real. Reads the lower tree, changes nothing but the overlay's own
//! marks in the uppers; decides nothing.

mod content;
mod effects;
mod fate;
mod kept;
mod measure;
mod moves;
mod observed;
mod openers;
mod overlay;
mod planner;
mod strays;
mod tally;
mod upper;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Conflict, Crossing, Effect, Mount};
use backstop_core::plan::{Keep, Op};
use backstop_core::time::Timestamp;

pub use measure::measure;
pub(crate) use observed::observed;
pub(crate) use openers::Openers;
pub(crate) use tally::Count;

/// A volume as the ledger needs it.
pub struct VolumeIn<'a> {
    /// Its root.
    pub root: BorrowedFd<'a>,
    /// The run's directory in its vault.
    pub run_dir: BorrowedFd<'a>,
    /// The vault itself: what earlier runs deleted has its names there.
    pub vault: BorrowedFd<'a>,
    /// A moment of its own clock just before the rehearsal.
    pub t0: Timestamp,
}

/// One overlay of the rehearsal.
pub struct LayerIn {
    /// Which volume.
    pub volume: usize,
    /// The lower directory, below the volume's root.
    pub lower: Bytes,
    /// Where the machine has it.
    pub point: Bytes,
    /// The upper directory, below the run's directory in the vault.
    pub upper: Bytes,
    /// `trusted.` or `user.`.
    pub prefix: &'static str,
    /// Its mount, an index into `mounts`.
    pub mount: u32,
}

/// What the ledger looks at.
pub struct Input<'a> {
    /// The volumes.
    pub volumes: Vec<VolumeIn<'a>>,
    /// The overlays.
    pub layers: Vec<LayerIn>,
    /// The mounts of the view.
    pub mounts: &'a [Mount],
    /// Every mount point of the machine.
    pub mount_points: &'a [Bytes],
    /// Counts entries for a progress line.
    pub progress: &'a AtomicU64,
}

/// What the ledger found.
#[derive(Debug, Default)]
pub struct Measured {
    /// The changes, sorted.
    pub effects: Vec<Effect>,
    /// What others changed meanwhile in the same places.
    pub conflicts: Vec<Conflict>,
    /// What could not be measured.
    pub incomplete: Vec<String>,
    /// The steps that make it real.
    pub ops: Vec<Op>,
    /// The copies to make first.
    pub keeps: Vec<Keep>,
    /// Typed places that lead elsewhere (filled in by `reading`).
    pub crossings: Vec<Crossing>,
}

/// Why the effect can't be known. Nothing may be committed then.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Something could not be read.
    #[error("cannot read {path:?} to measure the effect")]
    Read {
        /// What.
        path: Bytes,
        /// Why.
        source: io::Error,
    },
    /// An upper directory could not be read.
    #[error("cannot read what the rehearsal wrote below {point:?}")]
    Upper {
        /// The layer.
        point: Bytes,
        /// Why.
        source: io::Error,
    },
    /// A renamed object's old place can't be found.
    #[error("cannot find where {path:?} was renamed from")]
    Source {
        /// The new place.
        path: Bytes,
    },
}
