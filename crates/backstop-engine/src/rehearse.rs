//! Room 3. Takes a request, runs its command once on a copy-on-write view of the machine (in the read
//! lane: on a read-only one), gives how it ended and where its changes lie. Never changes a byte of the real
//! tree outside the vaults; only a command that was to run in place does so itself, in the agent's own places.

mod inside;
mod outside;
mod plan;
mod tty;

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Door, Mount};
use backstop_core::id::RunId;
use backstop_core::policy::InPlace;
use backstop_core::program::{Program, Unlisted};
use backstop_core::request::Request;
use backstop_core::run::{Exit, LeftBehind};
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::executables::Executables;
use crate::freeze::Gate;
use crate::settings::StandIn;
use crate::volume::{OpenVolume, VolumeError};

/// What to rehearse, and how.
#[derive(Debug)]
pub struct RehearseInput<'a> {
    /// The run; its directories in the vaults are named so.
    pub id: RunId,
    /// The command and where it runs.
    pub request: &'a Request,
    /// The state directory; hidden in the view.
    pub state: &'a Path,
    /// What it passes before it begins, and hears by whether everything stands.
    pub gate: &'a Gate<'a>,
    /// The caller's home; unprivileged it is covered, if it can be.
    pub home: Option<&'a Bytes>,
    /// Further directories that are hidden in the view (policy, keys).
    pub hide: &'a [Bytes],
    /// Sends the command's standard output to standard error.
    pub stdout_to_stderr: bool,
    /// The pipe that a line's shell says its last directory to.
    pub cwd_to: Option<u16>,
    /// The pipe that a line's shell reads functions and aliases from.
    pub shell_from: Option<u16>,
    /// What processes that outlive the command get before they are asked to end.
    pub grace: Duration,
    /// The run is stopped when it has written more than this, in bytes.
    pub upper_limit: Option<u64>,
    /// True to use a user namespace even where the machine's root could do more.
    pub force_user: bool,
    /// On what view it runs.
    pub lane: Lane,
    /// Whom the command runs for; none: this process' own user.
    pub stand_in: Option<&'a StandIn>,
    /// Where to put which programs it started: that is of interest also where the rehearsal fails.
    pub started: &'a RefCell<Started>,
    /// Digests of executables that are known already.
    pub executables: &'a RefCell<Executables>,
}

/// Programs that were started in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// In the order in which they began.
    pub programs: Vec<Program>,
    /// Of which nothing more is known.
    pub unlisted: Option<Unlisted>,
}

/// On what view a command runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// A copy-on-write one: what it changes lies in layers.
    Rehearse,
    /// The machine itself, without any right to write: it is known to only read.
    Read,
    /// The machine itself, where it can write in these places alone. Behind the same walls otherwise.
    InPlace(InPlace),
}

/// One overlay of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Index into the volumes.
    pub volume: usize,
    /// The overlay's lower directory, below the volume's root; empty for the root itself.
    pub lower: Bytes,
    /// The same directory as a path of the machine.
    pub point: Bytes,
    /// The upper directory, as a slot of the run: `upper/0`.
    pub upper: Bytes,
    /// The prefix of the overlay's own attributes: `trusted.overlay.` or `user.overlay.`.
    pub xattr_prefix: &'static str,
    /// Index into the mounts.
    pub mount: u32,
}

/// What a rehearsal left.
#[derive(Debug)]
pub struct Rehearsal {
    /// The overlays that carry changes.
    pub layers: Vec<Layer>,
    /// The file systems that take part.
    pub volumes: Vec<OpenVolume>,
    /// What each mount of the machine was in the view.
    pub mounts: Vec<Mount>,
    /// Per volume, a moment of its own clock before the view was built.
    pub t0: Vec<Timestamp>,
    /// How the command ended.
    pub exit: Exit,
    /// Why the command did not start; `exit` is 126 or 127 then.
    pub not_started: Option<String>,
    /// Processes that outlived it and were stopped.
    pub left_behind: Vec<LeftBehind>,
    /// What a Backstop inside noted of nested runs: lines of JSON, unchecked.
    pub nested: Vec<Bytes>,
    /// What it tried to reach outside.
    pub doors: Vec<Door>,
    /// In the read lane, what it tried to write first.
    pub refused: Option<Bytes>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Rehearsal {
    /// What to say of a command that was taken for one that only reads, where that may have been wrong.
    /// Exit code 1 alone is an answer ("no match", "they differ").
    pub fn wrong_guess(&self) -> Option<String> {
        let rest = "it is known to only read, so it ran in place without any right to write";
        // What it did well without is no matter.
        let refused = self.refused.as_ref().filter(|path| self.exit.code() != 0 || !outside::doors::is_luxury(path));
        match refused {
            Some(path) => Some(format!("{rest}, and was refused to write {}: backstop run --rehearse", path.quoted())),
            None if self.exit.code() > 1 => Some(format!("{rest}; if that is why it failed: backstop run --rehearse")),
            None => None,
        }
    }
}

/// Why there was no rehearsal, or it was cut off. Nothing of it took effect.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// This machine lets nobody build the view.
    #[error("no copy-on-write view can be made here: {}", why.join("; "))]
    NoOverlay {
        /// What was tried and how it failed.
        why: Vec<String>,
        /// What would help.
        help: Vec<String>,
    },
    /// A file system that takes part can't be used.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Building the view failed at this step.
    #[error("cannot build the view: {0}")]
    View(String),
    /// The working directory is not to be had inside.
    #[error("the working directory {} is not there inside the view: {why}", path.quoted())]
    Cwd {
        /// Which.
        path: Bytes,
        /// Why.
        why: String,
    },
    /// An inherited descriptor would be a way out of the view.
    #[error("descriptor {fd} is {what}, which a command in the view must not inherit")]
    Descriptor {
        /// Which.
        fd: i32,
        /// What it is.
        what: &'static str,
    },
    /// A signal to Backstop ended the run.
    #[error("interrupted by signal {0}")]
    Interrupted(u8),
    /// It wrote too much.
    #[error("stopped: the command wrote more than {limit} bytes")]
    TooBig {
        /// The limit.
        limit: u64,
    },
    /// The disk got full.
    #[error("stopped: {} has only {free} bytes free", root.quoted())]
    NoSpace {
        /// The file system.
        root: Bytes,
        /// What is left.
        free: u64,
    },
    /// While a command ran in place, what has to stay as it is came to be, or was replaced.
    #[error("stopped: {} was made or replaced while it ran; it sets up agents or rules, or is Backstop's", path.quoted())]
    Replaced {
        /// Which.
        path: Bytes,
    },
    /// Everything is frozen.
    #[error("{}", if *.begun { "ended: everything was frozen, and it did not stand in time" } else { "everything is frozen" })]
    Frozen {
        /// True where the command had begun.
        begun: bool,
    },
    /// Whoever asked is banned.
    #[error("{}", if *.begun { "ended: whoever asked for it is banned" } else { "whoever asked for it is banned" })]
    Banned {
        /// True where the command had begun.
        begun: bool,
    },
    /// The sandbox's first process vanished.
    #[error("the run was cut off: its first process died")]
    Lost,
    /// A system call failed outside.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl RehearseError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// Rehearses. The caller's process must have no other thread that holds locks; it comes back to the
/// terminal as it was.
pub fn rehearse(input: &RehearseInput<'_>) -> Result<Rehearsal, RehearseError> {
    outside::rehearse(input)
}
