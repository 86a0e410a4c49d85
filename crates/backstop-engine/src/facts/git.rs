//! The git lens. Takes effects and both sides of a rehearsal, gives what happens to repositories and
//! to each file that is lost. Never runs git, a hook or a filter, and believes no configuration: it
//! reads git's formats itself, by position and within limits.

mod compare;
mod config;
mod eyes;
mod fate;
mod ignore;
mod index;
mod inflate;
mod lost;
mod oid;
mod pack;
mod refs;
mod repo;
mod settings;
mod store;
mod tree;
mod trouble;
mod walk;
mod wild;

use std::fs::File;
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;
use backstop_core::facts::{Git, Told};
use backstop_core::time::Timestamp;

pub use lost::look;

/// What one run of the lens may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Commits read from one repository.
    pub commits: usize,
    /// Files judged one by one; beyond them a directory is unknown as a whole.
    pub files: u64,
    /// Bytes of files hashed.
    pub hashed_bytes: u64,
    /// Ignored files longer than this are not looked for among the objects.
    pub ignored_bytes: u64,
    /// The longest object that is put together in memory.
    pub object_bytes: u64,
    /// Refs of one repository.
    pub refs: usize,
    /// Computing, everything together; what is not done by then is unknown. Waiting (for a disk, for
    /// other processes) may take a few times as long.
    pub time: Duration,
    /// Computing while the history of one repository is walked.
    pub walk: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            commits: 100_000,
            files: 200_000,
            hashed_bytes: 512 << 20,
            ignored_bytes: 64 << 10,
            object_bytes: 64 << 20,
            refs: 100_000,
            time: Duration::from_secs(3),
            walk: Duration::from_millis(300),
        }
    }
}

/// What git knows of a file that a run would delete or overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileFate {
    /// Its content is in an object that survives the run, read again and hashed.
    Object,
    /// The same content stands elsewhere afterwards, or at the beginning of what the file becomes; or
    /// it had none.
    Elsewhere,
    /// Git's own books (index, reflogs, refs, indexes of packs): the facts tell what they meant.
    Bookkeeping,
    /// Tracked, with changes that no object has.
    Dirty,
    /// In a working tree, neither tracked nor ignored.
    Untracked,
    /// In a working tree, ignored.
    Ignored,
    /// Only in objects that go away as well, or itself such an object.
    GoneWithStore,
    /// In no repository.
    NotInRepository,
    /// Not measured; to be taken for lost.
    Unknown,
}

impl FileFate {
    /// True when nothing of the content is lost.
    pub const fn survives(self) -> bool {
        matches!(self, Self::Object | Self::Elsewhere | Self::Bookkeeping)
    }
}

/// A file (or, unknown, all beneath a directory) that a run would delete or overwrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When its inode last changed, where known.
    pub changed: Option<Timestamp>,
    /// True when the file stays and gets content that git has not: an edit, no deletion or reset.
    pub edited: bool,
    /// What becomes of the content.
    pub fate: FileFate,
    /// How many files this speaks of; more than one only where they are unknown.
    pub files: u64,
    /// Device and inode, where known: a file with further names may stay under one of them.
    pub inode: Option<(u64, u64)>,
    /// Its names.
    pub links: u64,
    /// The place.
    pub path: Bytes,
    /// Bytes.
    pub size: u64,
}

/// Who wants to know of everything that goes away, as the lens passes by.
pub trait Watch {
    /// A directory that goes away, with the names in it. Called before anything beneath it.
    fn dir(&mut self, path: &Bytes, names: &[(Bytes, FileType)]);

    /// A file that loses its content: as it still is, where it could be opened.
    fn file(&mut self, lost: &Lost, file: Option<&File>);
}

/// What the lens saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitSeen {
    /// The numbers.
    pub facts: Git,
    /// What could not be read or measured.
    pub incomplete: Option<String>,
    /// The same in words, the weightiest first.
    pub told: Vec<Told>,
}
