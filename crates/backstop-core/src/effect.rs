//! What a rehearsal would change, each change at its real place: the value that is judged, shown,
//! signed and committed. Fields stand in alphabetical order because their JSON is canonical
//! (RFC 8785, integers only) and is what the digest covers; a test holds that.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::canon;
use crate::digest::Digest;
use crate::merkle;
use crate::time::Timestamp;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A bound socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl FileType {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "directory",
            Self::Symlink => "link",
            Self::Fifo => "pipe",
            Self::Socket => "socket",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
        }
    }

    /// From the type bits of `st_mode`.
    pub const fn from_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Dir,
            0o120_000 => Self::Symlink,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            _ => Self::File,
        }
    }
}

/// The identity and metadata of one object at one moment, as `statx` gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// SHA-256 of the content; only where the content is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// Device number of the file system (`st_dev`).
    pub dev: u64,
    /// Owning group.
    pub gid: u32,
    /// Inode number.
    pub ino: u64,
    /// The twelve permission bits.
    pub mode: u32,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Number of hard links.
    pub nlink: u32,
    /// Device number of a device node (`st_rdev`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdev: Option<u64>,
    /// Length in bytes.
    pub size: u64,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Bytes>,
    /// What it is.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Owner.
    pub uid: u32,
}

/// What happens to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A new name for a new object.
    Create,
    /// The same object with other content (and perhaps other metadata).
    Change,
    /// Another object under the same name.
    Replace,
    /// The name, and for a directory all beneath it, goes away.
    Delete,
    /// The same object under another name; `from` says the old one.
    Rename,
    /// The same object and content with other mode, owner, times or attributes.
    Metadata,
    /// A further name for an object that stays; `from` says one of its names.
    Link,
}

impl Kind {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Rename => "rename",
            Self::Metadata => "metadata",
            Self::Link => "link",
        }
    }
}

/// What differs between before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Bytes, a link's target, or a device number.
    Content,
    /// Permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// Modification time.
    Times,
    /// Extended attributes, ACLs and file capabilities among them.
    Xattrs,
}

/// A sum over everything beneath a directory (itself not counted).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The biggest files beneath, at most eight, biggest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub biggest: Vec<Sized>,
    /// Bytes in regular files (apparent size; a further link to a file counted before adds none).
    pub bytes: u64,
    /// Digest over every name beneath with type, inode, size, owner, mode, mtime and ctime, so that
    /// a million entries are bound without being listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Directories.
    pub dirs: u64,
    /// Regular files.
    pub files: u64,
    /// The latest mtime of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// The earliest mtime of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Links, pipes, sockets, devices.
    pub others: u64,
    /// Entries by owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "canonical_keys")]
    pub owners: BTreeMap<u32, u64>,
}

/// Keys of JSON sort as text: `10` before `9`.
fn canonical_keys<S: serde::Serializer>(owners: &BTreeMap<u32, u64>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(owners.iter().map(|(uid, n)| (uid.to_string(), n)).collect::<BTreeMap<_, _>>())
}

/// A path and its length in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sized {
    /// The path.
    pub path: Bytes,
    /// Its length in bytes.
    pub size: u64,
}

impl Tally {
    /// How many biggest files a tally keeps.
    pub const BIGGEST: usize = 8;

    /// Every entry beneath.
    pub const fn entries(&self) -> u64 {
        self.files + self.dirs + self.others
    }

    /// Adds another tally's sums; digests are the caller's to combine.
    pub fn add(&mut self, other: &Tally) {
        self.bytes += other.bytes;
        self.dirs += other.dirs;
        self.files += other.files;
        self.others += other.others;
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
        self.newest = self.newest.max(other.newest);
        for (owner, n) in &other.owners {
            *self.owners.entry(*owner).or_default() += n;
        }
        for file in &other.biggest {
            self.note_big(file.size, || file.path.clone());
        }
    }

    /// Keeps a file among the biggest when it is one; `path` is made only then.
    pub fn note_big(&mut self, size: u64, path: impl FnOnce() -> Bytes) {
        if self.biggest.len() == Self::BIGGEST && self.biggest.last().is_some_and(|l| l.size >= size) {
            return;
        }
        let at = self.biggest.partition_point(|b| b.size >= size);
        self.biggest.insert(at, Sized { path: path(), size });
        self.biggest.truncate(Self::BIGGEST);
    }
}

/// A process outside the run that has files open which the run would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opener {
    /// How many of them.
    pub files: u64,
    /// Its name (`/proc/PID/comm`).
    pub name: Bytes,
    /// Its process id, as seen from outside the run.
    pub pid: u32,
    /// True when it holds at least one of them open for writing.
    pub writing: bool,
}

/// One change at one real place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// The object afterwards; none for a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Node>,
    /// What differs; empty for creations and deletions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aspects: Vec<Aspect>,
    /// The object before; none for a creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Node>,
    /// What lies beneath a directory that is deleted or replaced, and goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beneath: Option<Tally>,
    /// The old name of a rename, or the other name of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Bytes>,
    /// What happens.
    pub kind: Kind,
    /// For an object changed in place that has several names: how many of them are not among this
    /// run's effects, and so change along, wherever they are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub linked_elsewhere: u32,
    /// The mount it lies on, an index into `EffectSet::mounts`.
    pub mount: u32,
    /// Who else has it (or files beneath it) open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_by: Vec<Opener>,
    /// The real place: absolute, no link in it.
    pub path: Bytes,
    /// False when its preimage can't be kept.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub undoable: bool,
    /// Names of the extended attributes that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<Bytes>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn yes() -> bool {
    true
}

impl Effect {
    /// Bytes that are gone from this name afterwards: what is deleted, overwritten or replaced.
    pub fn bytes_lost(&self) -> u64 {
        let own = match self.kind {
            Kind::Delete | Kind::Replace => true,
            Kind::Change => self.aspects.contains(&Aspect::Content),
            Kind::Create | Kind::Rename | Kind::Metadata | Kind::Link => false,
        };
        let file = self.before.as_ref().filter(|n| own && n.file_type == FileType::File).map_or(0, |n| n.size);
        file + self.beneath.as_ref().map_or(0, |t| t.bytes)
    }

    /// Regular files that are gone from their names afterwards.
    pub fn files_lost(&self) -> u64 {
        let own = matches!(self.kind, Kind::Delete | Kind::Replace)
            && self.before.as_ref().is_some_and(|n| n.file_type == FileType::File);
        u64::from(own) + self.beneath.as_ref().map_or(0, |t| t.files)
    }
}

/// How a mount of the real machine appears inside a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "as", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cover {
    /// Copy-on-write: changes are measured and can be committed.
    Overlay,
    /// Read-only, with the reason.
    ReadOnly {
        /// Why it carries no overlay.
        why: String,
    },
    /// Replaced by a private, empty or minimal one (`/dev`, `/run`, `/proc`).
    Private,
}

/// One mount (or, unprivileged, one directory) of the view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// How it appears.
    pub cover: Cover,
    /// File system type.
    pub fs: String,
    /// Where the view has it: the mount point, or unprivileged a directory below it.
    pub path: Bytes,
    /// The mount point of the machine it belongs to.
    pub point: Bytes,
    /// The directory of its file system that is mounted there; `/` unless it is a bind mount.
    pub root: Bytes,
    /// What is mounted.
    pub source: Bytes,
}

/// The command named one place and hit another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crossing {
    /// The real place beneath which the effects lie.
    pub hit: Bytes,
    /// The way: a symbolic link, or a mount.
    pub how: CrossingKind,
    /// The path as the command spelled it, made absolute.
    pub typed: Bytes,
    /// The link or mount point that leads elsewhere.
    pub via: Bytes,
}

/// What leads from the typed place to the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CrossingKind {
    /// A symbolic link.
    Link,
    /// A mount.
    Mount,
}

/// The disk changed under the rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// Where.
    pub path: Bytes,
    /// What was found, as a sentence fragment.
    pub why: String,
}

/// Everything a run would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectSet {
    /// Changes by others since the rehearsal began, in places this run changes too.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// Typed places that lead elsewhere, where effects lie.
    #[serde(default)]
    pub crossings: Vec<Crossing>,
    /// What the program tried to reach outside and could not: sockets, hosts.
    #[serde(default)]
    pub doors: Vec<Door>,
    /// The changes, sorted by the bytes of their paths.
    pub effects: Vec<Effect>,
    /// What could not be measured; policy is strict about it.
    #[serde(default)]
    pub incomplete: Vec<String>,
    /// The mounts of the view.
    pub mounts: Vec<Mount>,
}

/// An attempt to reach something outside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// True when the sandbox has this door shut.
    pub shut: bool,
    /// What: a socket's path, `@name` for an abstract one, or `address:port`.
    pub to: Bytes,
    /// Who tried (`/proc/PID/comm`).
    pub who: Bytes,
}

/// Files, directories and bytes of one kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Bytes: new ones for creations, old ones for changes and deletions.
    pub bytes: u64,
    /// Directories.
    pub dirs: u64,
    /// Regular files.
    pub files: u64,
    /// Links, pipes, sockets, devices.
    pub others: u64,
}

impl Count {
    /// Every entry.
    pub const fn entries(&self) -> u64 {
        self.files + self.dirs + self.others
    }

    fn node(&mut self, node: &Node) {
        match node.file_type {
            FileType::File => {
                self.files += 1;
                self.bytes += node.size;
            }
            FileType::Dir => self.dirs += 1,
            _ => self.others += 1,
        }
    }

    fn tally(&mut self, t: &Tally) {
        self.bytes += t.bytes;
        self.dirs += t.dirs;
        self.files += t.files;
        self.others += t.others;
    }
}

/// The sums a screen opens with, each counted at the real place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Objects with other content under the same name and identity (old bytes).
    pub changed: Count,
    /// New objects (new bytes), also those that replace another.
    pub created: Count,
    /// What is gone: deleted, replaced, and all beneath.
    pub deleted: Count,
    /// Further names for objects that stay.
    pub linked: Count,
    /// Same content, other metadata.
    pub metadata: Count,
    /// Same object, other name.
    pub renamed: Count,
}

impl EffectSet {
    /// True when nothing would change.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Sums over all effects.
    pub fn totals(&self) -> Totals {
        let mut t = Totals::default();
        for e in &self.effects {
            let (before, after) = (e.before.as_ref(), e.after.as_ref());
            match e.kind {
                Kind::Create => after.into_iter().for_each(|n| t.created.node(n)),
                Kind::Change => before.into_iter().for_each(|n| t.changed.node(n)),
                Kind::Replace => {
                    before.into_iter().for_each(|n| t.deleted.node(n));
                    after.into_iter().for_each(|n| t.created.node(n));
                }
                Kind::Delete => before.into_iter().for_each(|n| t.deleted.node(n)),
                Kind::Rename => after.into_iter().for_each(|n| t.renamed.node(n)),
                Kind::Metadata => after.into_iter().for_each(|n| t.metadata.node(n)),
                Kind::Link => after.into_iter().for_each(|n| t.linked.node(n)),
            }
            if let Some(beneath) = &e.beneath {
                t.deleted.tally(beneath);
            }
        }
        t
    }

    /// The RFC 6962 Merkle root over a header leaf (everything but the effects) and one leaf per
    /// effect, each its canonical JSON. Any difference in what would happen gives another digest.
    pub fn digest(&self) -> Digest {
        self.lines().0
    }

    /// The digest, and the very lines it covers: a header, then one per effect.
    pub fn lines(&self) -> (Digest, Vec<u8>) {
        let mut tree = merkle::Frontier::default();
        let mut text = Vec::with_capacity(300 * (self.effects.len() + 1));
        let mut add = |line: Vec<u8>| {
            tree.push(merkle::leaf(&line));
            text.extend_from_slice(&line);
            text.push(b'\n');
        };
        add(canon::line(&self.clone_header()));
        for e in &self.effects {
            add(canon::line(e));
        }
        (tree.root(), text)
    }

    /// Reads what `lines` wrote; none where it is damaged.
    pub fn from_lines(text: &[u8]) -> Option<Self> {
        let mut lines = text.strip_suffix(b"\n")?.split(|&b| b == b'\n');
        let mut set: Self = serde_json::from_slice(lines.next()?).ok()?;
        set.effects = lines.map(|l| serde_json::from_slice(l).ok()).collect::<Option<_>>()?;
        Some(set)
    }

    fn clone_header(&self) -> EffectSet {
        EffectSet {
            conflicts: self.conflicts.clone(),
            crossings: self.crossings.clone(),
            doors: self.doors.clone(),
            effects: Vec::new(),
            incomplete: self.incomplete.clone(),
            mounts: self.mounts.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
