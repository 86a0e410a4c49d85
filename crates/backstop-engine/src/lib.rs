//! Acts. Rehearses a command, measures what it would change, commits the rehearsed bytes, keeps
//! what was there, undoes, recovers and records. Decides nothing: `backstop-core` does.
#![forbid(unsafe_code)]

pub mod alerts;
mod approvals;
pub mod audit;
mod beside;
pub mod clock;
mod commit;
pub mod daemon;
pub mod doors;
pub mod engine;
pub mod executables;
pub mod facts;
pub mod failure;
mod fault;
pub mod freeze;
mod host;
pub mod jail;
pub mod law;
pub mod ledger;
mod memory;
pub mod porch;
pub mod probe;
mod progress;
mod reader;
mod reading;
mod records;
pub mod rehearse;
pub mod remote;
pub mod settings;
pub mod store;
mod trace;
mod transaction;
pub mod volume;
mod ways;
pub mod witness;

/// For the rooms after this one, which do not call backstop-sys.
pub use backstop_sys::child;
pub use doors::{Doors, House, by_daemon, freeze as freeze_all, open};
pub use engine::{
    Answer, Beneath, Button, Cleared, Decided, Engine, Filter, Frozen, Jailed, Lines, Listed, Notices, Offer, Outcome,
    Pending, Person, Pruned, Recovered, RunOptions, Side, Step, Thaw, Thawed, Tried, Unchanged, UndoOptions,
    UndoReport, Unreachable, Unreadable, VaultStatus, VolumeStatus, Waiting, Which, Wish, standing,
};
pub use failure::{Failure, FailureKind};
pub use remote::Remote;
pub use settings::{Durability, Line, Settings, StandIn, Viewer};
