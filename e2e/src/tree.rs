//! Takes a directory, gives everything a user of it can observe, and tells two such captures apart.
//! Reads only; follows no link.

mod capture;
mod diff;

use std::collections::BTreeMap;

pub use capture::{CaptureError, CaptureOpts};
pub use diff::DiffOpts;

/// A directory with all that lies beneath it, by path relative to it; the empty path is the directory itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The entries, in byte order of their paths.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

/// One file, directory, link or other node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of content: seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    /// Number of names; 0 for directories, where it says nothing of its own.
    pub links: u64,
    /// For a file with several names: the first of those inside the tree; else empty.
    pub link_group: Vec<u8>,
    /// Extended attributes that the caller may see, ACLs among them.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Set where the caller may not read the content (of a file) or the entries (of a directory).
    pub unreadable: bool,
}

/// What a node is, with what only this type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Apparent size.
        size: u64,
        /// Digest of the content, the same wherever the holes are.
        digest: [u8; 32],
        /// The parts that are not holes, as (from, to).
        data: Vec<(u64, u64)>,
    },
    /// A directory.
    Dir,
    /// A symbolic link and where it points.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device and its number.
    CharDevice(u64),
    /// A block device and its number.
    BlockDevice(u64),
}

impl Kind {
    /// The word for it in a report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Dir => "directory",
            Self::Symlink(_) => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharDevice(_) => "character device",
            Self::BlockDevice(_) => "block device",
        }
    }
}

/// A path for a report: control characters and bytes outside ASCII escaped.
pub fn shown(path: &[u8]) -> String {
    if path.is_empty() { "(the directory itself)".to_owned() } else { path.escape_ascii().to_string() }
}

impl Tree {
    /// Digests of all contents in the tree, to ask whether a content still exists anywhere in it.
    pub fn contents(&self) -> std::collections::BTreeSet<[u8; 32]> {
        let file = |e: &Entry| match &e.kind {
            Kind::File { digest, .. } => Some(*digest),
            _ => None,
        };
        self.entries.values().filter_map(file).collect()
    }

    /// Sum of the apparent sizes of the files, each inode once.
    pub fn bytes(&self) -> u64 {
        self.entries
            .iter()
            .filter(|(path, e)| e.link_group.is_empty() || e.link_group == **path)
            .map(|(_, e)| if let Kind::File { size, .. } = e.kind { size } else { 0 })
            .sum()
    }
}

#[cfg(test)]
mod tests;
