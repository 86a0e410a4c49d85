//! System mode: the daemon owns state, vaults, rules and keys; whoever has no rights there asks it through a socket,
//! and the kernel says who that is.
//!
//! The daemon itself (`serve`) accepts, counts, forks, and records that it watches (`pulse`): one worker for each connection, which does for one
//! caller what the embedded engine does in personal mode (`work`). Runs are kept on the disk and taken under file
//! locks, so a worker outlives a daemon that is stopped or killed. Who may ask for what is decided in
//! `core::authority`; the messages are in `wire`; the caller's end is `crate::remote`.

mod line;
mod pulse;
mod serve;
pub(crate) mod wire;
mod work;

pub use serve::{Daemon, serve};

/// Where the daemon listens.
pub const SOCKET: &str = "/run/backstop/socket";

/// What the daemon owns.
pub const STATE: &str = "/var/lib/backstop";

#[cfg(any(test, fuzzing))]
pub mod heard;
