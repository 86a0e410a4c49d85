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
    /// The extended attributes that differ, ACLs and file capabilities among them; none = absent.
    pub xattrs: Vec<(Bytes, Option<Bytes>)>,
}

/// Either end of a move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Spot {
    /// In the real tree.
    Place(Place),
    /// In the vault.
    Slot(Slot),
}

/// One step. Forwards as described; backwards the exact reverse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// Renames the object `ino`: out of the tree (a delete, or the first half of a move), into it
    /// (a creation, or a move's second half), or aside within the vault. The new name must be free.
    Move {
        /// Where it is.
        from: Spot,
        /// Its inode.
        ino: u64,
        /// Where it goes.
        to: Spot,
    },
    /// Swaps what is in the vault with what is at the place, in one step (a replacement).
    Swap {
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
    /// Sets metadata; for a directory all but its times.
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
    /// Sets a directory's access and modification time, last of all in either direction; not where
    /// somebody else changed the directory meanwhile.
    Times {
        /// Afterwards.
        after: (Timestamp, Timestamp),
        /// Where the directory is afterwards; none where it is gone then.
        at: Option<Place>,
        /// Before.
        before: (Timestamp, Timestamp),
        /// Its inode.
        ino: u64,
        /// Where the directory was before; none where it is new.
        was: Option<Place>,
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

/// A copy to make before the journal's intent: the content that a `Write` will change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The file, where it is before.
    pub from: Place,
    /// Its inode.
    pub ino: u64,
    /// Where the copy goes.
    pub to: Slot,
}

/// The whole of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Copies to make first.
    pub keeps: Vec<Keep>,
    /// The steps, in the order that a commit takes.
    pub ops: Vec<Op>,
    /// The file systems that take part.
    pub volumes: Vec<Volume>,
}

impl Op {
    /// The places of the real tree that it changes.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        let (a, b) = match self {
            Self::Move { from, to, .. } => (place(from), place(to)),
            Self::Swap { at, .. } | Self::Write { at, .. } | Self::Meta { at, .. } | Self::Link { at, .. } => {
                (Some(at), None)
            }
            Self::Times { at, was, .. } => (at.as_ref(), was.as_ref()),
        };
        a.into_iter().chain(b)
    }
}

const fn place(spot: &Spot) -> Option<&Place> {
    match spot {
        Spot::Place(p) => Some(p),
        Spot::Slot(_) => None,
    }
}
