//! What a commit does to the disk, as a list that can be printed, journaled, run forwards (commit,
//! redo), run backwards (undo), and run again after a crash. Every operation names the inode it
//! expects, so doing it twice is the same as once, and a stranger's object is never touched.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::time::Timestamp;

/// A name in the real tree: a volume and a path below that volume's root (no leading slash).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Path below the volume's root; empty for the root itself.
    pub path: Bytes,
    /// Index into the plan's volumes.
    pub vol: u16,
}

/// A name in the run's own part of a volume's vault (`upper/…` or `keep/…`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Path below the run's directory in that vault.
    pub path: Bytes,
    /// Index into the plan's volumes.
    pub vol: u16,
}

/// Mode, owner, times and extended attributes of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Last access.
    pub atime: Timestamp,
    /// Group.
    pub gid: u32,
    /// The twelve permission bits.
    pub mode: u32,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Owner.
    pub uid: u32,
    /// Extended attributes by name; ACLs and file capabilities among them.
    pub xattrs: Vec<(Bytes, Bytes)>,
}

/// One step. Forwards as described; backwards the exact reverse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// Moves the object `ino` from its place into the vault (a delete, or the first half of a move).
    Detach {
        /// Where it is.
        at: Place,
        /// Its inode.
        ino: u64,
        /// Where it goes.
        slot: Slot,
    },
    /// Moves the object `ino` from the vault to its place (a creation, or a move's second half).
    Attach {
        /// Where it goes; the name must be free.
        at: Place,
        /// Its inode.
        ino: u64,
        /// Where it is.
        slot: Slot,
    },
    /// Swaps what is in the vault with what is at the place, in one step (a replacement).
    Exchange {
        /// The place.
        at: Place,
        /// The inode that comes.
        new: u64,
        /// The inode that goes.
        old: u64,
        /// The vault's end.
        slot: Slot,
    },
    /// Writes another content into the existing inode (links, open handles and watchers survive).
    Write {
        /// The file.
        at: Place,
        /// Its inode.
        ino: u64,
        /// The content it gets.
        new: Slot,
        /// The content it had, kept before the journal's intent.
        old: Slot,
    },
    /// Sets metadata.
    Meta {
        /// The metadata it gets.
        after: Meta,
        /// The object.
        at: Place,
        /// The metadata it had.
        before: Meta,
        /// Its inode.
        ino: u64,
    },
    /// Adds a name to an object; backwards, removes that name again.
    Link {
        /// The new name.
        at: Place,
        /// The inode.
        ino: u64,
        /// A name it has.
        of: Place,
    },
    /// Sets a directory's times, last of all; skipped where somebody else changed the directory.
    Times {
        /// Access and modification time afterwards.
        after: (Timestamp, Timestamp),
        /// The directory.
        at: Place,
        /// Access and modification time before.
        before: (Timestamp, Timestamp),
        /// Its inode.
        ino: u64,
    },
}

/// A file system that takes part: how to find it again, also after a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its file system's type, for messages.
    pub fs: String,
    /// The directory its paths are below, as a path of the machine.
    pub root: Bytes,
    /// The vault's directory, below `root` (no leading slash).
    pub vault: Bytes,
    /// The name in the vault's own `id` file: another file system mounted there is not this one.
    pub vault_id: String,
    /// True for file systems that are gone after an unmount (tmpfs).
    pub volatile: bool,
}

/// Forwards or backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Commit and redo.
    Forward,
    /// Undo, and the way back from a commit that failed.
    Backward,
}

/// The whole of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The steps, in the order that a commit takes.
    pub ops: Vec<Op>,
    /// The file systems that take part.
    pub volumes: Vec<Volume>,
}

impl Op {
    /// The place it changes.
    pub const fn at(&self) -> &Place {
        match self {
            Self::Detach { at, .. }
            | Self::Attach { at, .. }
            | Self::Exchange { at, .. }
            | Self::Write { at, .. }
            | Self::Meta { at, .. }
            | Self::Link { at, .. }
            | Self::Times { at, .. } => at,
        }
    }
}
