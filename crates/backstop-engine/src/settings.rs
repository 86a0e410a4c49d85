//! Where the engine keeps things and how long.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::identity::Identity;
use backstop_sys::process::Limit;

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

/// Whom this process stands in for: a command runs with his rights and in his environment, not with those of this
/// process.
#[derive(Clone)]
pub struct StandIn {
    /// Who he is.
    pub who: Identity,
    /// The environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// The file mode creation mask.
    pub umask: u32,
    /// Signals that a command of his begins with ignoring.
    pub ignored: Vec<u8>,
    /// Limits; this process' own hold as well.
    pub limits: Vec<Limit>,
    /// How he is heard while a command runs.
    pub line: Arc<dyn Line + Send + Sync>,
}

impl StandIn {
    /// The value of a variable of his environment.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let value = |entry: &CString| {
            let rest = entry.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(OsStr::from_bytes(rest).to_owned())
        };
        self.env.iter().find_map(value)
    }

    /// The names of the variables of his environment, sorted.
    pub fn env_keys(&self) -> Vec<Bytes> {
        let name = |entry: &CString| entry.as_bytes().split(|b| *b == b'=').next().map(Bytes::from);
        let mut keys: Vec<Bytes> = self.env.iter().filter_map(name).collect();
        keys.sort();
        keys
    }
}

impl fmt::Debug for StandIn {
    /// Without the environment: its values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn").field("who", &self.who).finish_non_exhaustive()
    }
}

/// Whoever asks from outside of a daemon, and is not root. He is shown nothing of the machine but what the effects of
/// runs name; `@last`, the last n and a session are his own; and he waits for nobody's transaction but his own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Who he is.
    pub who: Identity,
    /// True where he sees everybody's runs: he decides on them. Others see only their own.
    pub sees_all: bool,
}

/// Whoever waits elsewhere for a command to end.
pub trait Line {
    /// Readable when he said something, or went away.
    fn handle(&self) -> BorrowedFd<'_>;
    /// A signal that he passes on to the command; none where he said nothing. An error where he went away.
    fn signal(&self) -> io::Result<Option<u8>>;
    /// The command stopped itself by this signal.
    fn stopped(&self, signal: u8);
    /// The command has ended: what was lent for it is his again.
    fn over(&self);
}

/// The engine's settings, already read and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The caller's user id.
    pub uid: u32,
    /// Who looks; none: whoever keeps the state, who sees everything.
    pub viewer: Option<Viewer>,
    /// Whom commands run for, where that is not this process' own user.
    pub stand_in: Option<StandIn>,
    /// The user id that had logged in, where the kernel knows it: whoever became somebody else is still that one.
    pub login: Option<u32>,
    /// Journal, runs, audit log, and the vault of its own file system; mode 0700.
    pub state: PathBuf,
    /// The caller's home.
    pub home: Option<Bytes>,
    /// Every home directory known to the machine.
    pub homes: Vec<Bytes>,
    /// Whose they are, as far as accounts say so.
    pub homes_of: BTreeMap<u32, Bytes>,
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
    /// What processes left behind by the command get before they are stopped.
    pub grace: Duration,
    /// How long a run waits for its turn in the workspace.
    pub turn_limit: Duration,
}
