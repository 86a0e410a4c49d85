//! Where the engine keeps things and how long.

use std::path::PathBuf;
use std::time::Duration;

use backstop_core::bytes::Bytes;

use crate::law::Kinds;

/// How much of a power cut a commit survives. A kill of Backstop is survived by either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The journal, the audit log and what was kept are synced before they are relied on, and the names
    /// and metadata of a transaction before it is called done. The new content is as durable as the
    /// command left it, which is what a plain run gives: after a power cut a file that was just written
    /// may be there and be empty.
    #[default]
    Ordered,
    /// All content is synced as well, before the intent and before the commit is called done.
    Full,
}

/// The engine's settings, already read and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The caller's user id.
    pub uid: u32,
    /// The user id that had logged in, where the kernel knows it: whoever became somebody else is still that one.
    pub login: Option<u32>,
    /// Journal, runs, audit log, and the vault of its own file system; mode 0700.
    pub state: PathBuf,
    /// The caller's home.
    pub home: Option<Bytes>,
    /// Every home directory known to the machine.
    pub homes: Vec<Bytes>,
    /// Scratch directories.
    pub scratch: Vec<Bytes>,
    /// Further directories that a command must not see: policy and keys.
    pub hide: Vec<Bytes>,
    /// The kinds of places and contents, and the files they come from.
    pub kinds: Kinds,
    /// True to rehearse in a user namespace even as root.
    pub force_user: bool,
    /// See [`Durability`].
    pub durability: Durability,
    /// A vault may take this share of its file system, in percent.
    pub vault_percent: u8,
    /// Preimages older than this are let go.
    pub vault_age: Duration,
    /// Preimages go, oldest first, while less than this share of the file system is free, percent.
    pub free_percent: u8,
    /// A rehearsal that writes more than this is stopped, in bytes; none means up to the free floor.
    pub upper_limit: Option<u64>,
    /// What processes left behind by the command get before they are stopped.
    pub grace: Duration,
    /// How long a run waits for its turn in the workspace.
    pub turn_limit: Duration,
}
