//! File systems that take part in a run, by handle, each with its vault. Takes their names from
//! `mountinfo` or from a plan, gives handles to root and vault; writes nowhere but in the vault.

mod survey;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::plan::Volume;
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use backstop_sys::{mount, mountinfo};

pub(crate) use survey::private_place;
pub use survey::{How, Part, Query, Survey, survey};

/// Why a volume can't be had.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A system call failed.
    #[error("cannot {what} {}", path.quoted())]
    Io {
        /// What was tried: `open`, `make the vault`, ….
        what: &'static str,
        /// On what.
        path: Bytes,
        /// The cause.
        source: io::Error,
    },
    /// It was a file system in memory, and is gone.
    #[error("the {fs} at {} is gone, and what was kept on it", root.quoted())]
    Gone {
        /// File system type.
        fs: String,
        /// Where it was.
        root: Bytes,
        /// True where nothing of it can come back.
        volatile: bool,
    },
    /// Something else is there now.
    #[error("another file system is mounted at {} now", root.quoted())]
    Different {
        /// Where.
        root: Bytes,
    },
    /// Not even a run's own directories have room.
    #[error("{} is full", root.quoted())]
    Full {
        /// Where.
        root: Bytes,
    },
    /// The vault's name is taken by somebody else's directory.
    #[error("{} belongs to user {owner}, so it is no vault of user {uid}", path.quoted())]
    Foreign {
        /// The directory.
        path: Bytes,
        /// Who has it.
        owner: u32,
        /// Who wants it.
        uid: u32,
    },
}

impl VolumeError {
    fn io(what: &'static str, path: &Bytes) -> impl FnOnce(io::Error) -> Self {
        let path = path.clone();
        move |source| Self::Io { what, path, source }
    }
}

/// A file system that takes part, open.
#[derive(Debug)]
pub struct OpenVolume {
    spec: Volume,
    root: OwnedFd,
    vault: OwnedFd,
    dev: u64,
}

/// What of a run's part of a vault is no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// The overlays' work directories: after every rehearsal.
    Work,
    /// Work and upper directories: after a commit, or when a run is given up.
    Upper,
    /// The run's whole directory, with what it keeps.
    All,
}

/// Bytes and names that a run needs in a vault before its command writes anything. With less, the
/// volume is read-only in a run; a full disk somewhere must not stop what never goes there.
const ROOM: (u64, u64) = (128 << 10, 32);
/// The name of the file that says which vault this is.
const ID: &[u8] = b"id";

impl OpenVolume {
    /// Opens the volume at `spec.root` and makes its vault where it is missing; fills in `vault_id`.
    pub(crate) fn create(mut spec: Volume, uid: u32) -> Result<Self, VolumeError> {
        let root = open_root(&spec.root)?;
        if !sys::has_room(root.as_fd(), ROOM.0, ROOM.1).map_err(VolumeError::io("measure", &spec.root))? {
            return Err(VolumeError::Full { root: spec.root });
        }
        let path = spec.root.join(spec.vault.as_slice());
        // On a shared root such as /tmp anybody can have been there first.
        let private = |fd: BorrowedFd<'_>, path: &Bytes| -> Result<u64, VolumeError> {
            let facts = sys::stat_fd(fd).map_err(VolumeError::io("look at", path))?;
            if facts.uid != uid || facts.mode & 0o077 != 0 {
                return Err(VolumeError::Foreign { path: path.clone(), owner: facts.uid, uid });
            }
            Ok(facts.dev)
        };
        if let Some(shared) = shared(&spec.vault) {
            let path = spec.root.join(shared.as_slice());
            sys::ensure_dir(root.as_fd(), shared.as_slice(), 0o700)
                .map_err(VolumeError::io("make the vault", &path))?;
            let fd = sys::open_dir_read(root.as_fd(), shared.as_slice())
                .map_err(VolumeError::io("open the vault", &path))?;
            private(fd.as_fd(), &path)?;
        }
        sys::ensure_dir(root.as_fd(), spec.vault.as_slice(), 0o700)
            .map_err(VolumeError::io("make the vault", &path))?;
        let vault = sys::open_dir_read(root.as_fd(), spec.vault.as_slice())
            .map_err(VolumeError::io("open the vault", &path))?;
        let dev = private(vault.as_fd(), &path)?;
        spec.vault_id = named(&vault).map_err(VolumeError::io("name the vault", &path))?;
        Ok(Self { spec, root, vault, dev })
    }

    /// How it is found again.
    pub fn spec(&self) -> &Volume {
        &self.spec
    }

    /// The directory that all its places are below. Privileged: a private clone of the mount, so that
    /// nothing mounted above is in the way. Root and vault are on one mount: renames between work.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The vault's directory.
    pub fn vault(&self) -> BorrowedFd<'_> {
        self.vault.as_fd()
    }

    /// The path of the machine that the root is visible at.
    pub fn root_path(&self) -> &Bytes {
        &self.spec.root
    }

    /// Where the vault is, as a path of the machine.
    pub fn vault_path(&self) -> Bytes {
        self.spec.root.join(self.spec.vault.as_slice())
    }

    /// `st_dev` of its files.
    pub const fn dev(&self) -> u64 {
        self.dev
    }

    /// What has to be hidden and guarded: the vault, and on a file system that further state
    /// directories of the same user use as well, theirs.
    pub fn guarded_path(&self) -> Bytes {
        self.spec.root.join(shared(&self.spec.vault).as_ref().unwrap_or(&self.spec.vault).as_slice())
    }

    /// The run's own directory in the vault; `create` makes it where it is missing.
    pub fn run_dir(&self, id: RunId, create: bool) -> io::Result<OwnedFd> {
        let name = id.to_string();
        if create {
            sys::ensure_dir(self.vault(), name.as_bytes(), 0o700)?;
        }
        sys::open_dir_read(self.vault(), name.as_bytes())
    }

    /// A moment of the file system's own clock: later than every change time it gave before, and not
    /// later than any that it will give. (A wall clock that is set back breaks that, as it breaks
    /// every change time; inode numbers and sizes are compared as well.)
    pub fn now(&self) -> io::Result<Timestamp> {
        let (secs, nanos) = sys::clock(self.vault(), c"clock")?;
        Ok(Timestamp::new(secs, nanos))
    }

    /// Makes the changes of names and metadata so far durable; for ext4 and xfs.
    pub(crate) fn sync_journal(&self) -> io::Result<()> {
        sys::sync_journal(self.vault(), b"clock")
    }
}

/// How the directory with a user's vaults on a file system begins.
const VAULTS: &[u8] = b".backstop-";

/// The vault of one state directory in `at`: each has its own, because each gives its runs numbers of
/// its own and lets go of what it doesn't know.
pub(crate) fn vault_in(at: &Bytes, uid: u32, state: &Path) -> Bytes {
    let state = Digest::of("backstop vault v1", &[Bytes::from(state).as_slice()]).hex();
    at.join(format!(".backstop-{uid}").as_bytes()).join(&state.as_bytes()[..16])
}

/// The directory that a vault shares with those of other state directories; none where it lies in its
/// state directory.
fn shared(vault: &Bytes) -> Option<Bytes> {
    let parent = vault.parent();
    let name = parent.as_slice().rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.starts_with(VAULTS).then_some(parent)
}

/// The vault's name; one that has none gets it. By one process alone: what another had begun by a name that
/// was written over could never be found again.
fn named(vault: &OwnedFd) -> io::Result<String> {
    if let Some(id) = read_id(vault.as_fd())? {
        return Ok(id);
    }
    sys::lock_exclusive(vault.as_fd())?;
    let named = match read_id(vault.as_fd()) {
        Ok(None) => new_id(vault.as_fd()),
        read => read.map(Option::unwrap_or_default),
    };
    sys::unlock(vault.as_fd()).and(named)
}

/// None where there is none, or something that is none.
fn read_id(vault: BorrowedFd<'_>) -> io::Result<Option<String>> {
    match sys::read_small(vault, ID) {
        Ok(text) => Ok(String::from_utf8(text).ok().filter(|id| is_id(id.as_bytes()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn is_id(text: &[u8]) -> bool {
    text.len() == 32 && text.iter().all(u8::is_ascii_hexdigit)
}

fn new_id(vault: BorrowedFd<'_>) -> io::Result<String> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
    let id: String = random.iter().map(|b| format!("{b:02x}")).collect();
    sys::write_durable(vault, ID, id.as_bytes())?;
    Ok(id)
}

fn open_root(path: &Bytes) -> Result<OwnedFd, VolumeError> {
    // Without CAP_SYS_ADMIN no clone is to be had, nor in a user namespace of what has a mount beneath.
    // The directory itself will do: it is on the same mount as the vault below it.
    match mount::clone_at(path.as_slice()) {
        Ok(root) => Ok(root),
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => {
            sys::position(path.as_slice()).map_err(VolumeError::io("open", path))
        }
        Err(e) => Err(VolumeError::io("open", path)(e)),
    }
}

/// Opens a volume of an earlier process again, and makes sure that it is the same one.
pub fn reopen(spec: &Volume) -> Result<OpenVolume, VolumeError> {
    let gone = || VolumeError::Gone { fs: spec.fs.clone(), root: spec.root.clone(), volatile: spec.volatile };
    let other = || {
        if spec.volatile { gone() } else { VolumeError::Different { root: spec.root.clone() } }
    };
    let root = match open_root(&spec.root) {
        Err(VolumeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Err(gone()),
        other => other?,
    };
    let path = spec.root.join(spec.vault.as_slice());
    let vault = match sys::open_dir_read(root.as_fd(), spec.vault.as_slice()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(other()),
        result => result.map_err(VolumeError::io("open the vault", &path))?,
    };
    match sys::read_small(vault.as_fd(), ID) {
        Ok(id) if id == spec.vault_id.as_bytes() => {}
        Ok(_) => return Err(other()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(other()),
        Err(e) => return Err(VolumeError::io("read the name of", &path)(e)),
    }
    let dev = sys::stat_fd(vault.as_fd()).map_err(VolumeError::io("look at", &path))?.dev;
    Ok(OpenVolume { spec: spec.clone(), root, vault, dev })
}

/// Removes what a run left in a volume's vault and nobody needs. Never follows a link, never crosses
/// a mount; what is gone already is fine.
pub fn tidy(volume: &OpenVolume, id: RunId, what: Leftover) -> io::Result<()> {
    if what == Leftover::All {
        return sys::remove_tree(volume.vault(), id.to_string().as_bytes()).map(drop);
    }
    let run = match volume.run_dir(id, false) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    sys::remove_tree(run.as_fd(), b"work")?;
    match what {
        Leftover::Work => Ok(()),
        Leftover::Upper | Leftover::All => sys::remove_tree(run.as_fd(), b"upper").map(drop),
    }
}

/// The same in several volumes. Gives what could not be removed, as remarks for a person: it stays
/// until `vault prune`, and nothing is lost by it.
pub(crate) fn leftovers(volumes: &[OpenVolume], id: RunId, what: Leftover) -> Vec<String> {
    let remark = |v: &OpenVolume, e: io::Error| format!("leftovers of {id} in {}: {e}", v.vault_path().quoted());
    volumes.iter().filter_map(|v| tidy(v, id, what).err().map(|e| remark(v, e))).collect()
}

/// The mounts of the machine, as this process sees them.
pub(crate) fn mounts() -> Result<Vec<mountinfo::Entry>, VolumeError> {
    mountinfo::read().map_err(VolumeError::io("read", &Bytes::from("/proc/self/mountinfo")))
}

/// The places where a user's vaults may be, besides the state directory: one at each mount's root.
pub(crate) fn vaults_of(uid: u32) -> Vec<Bytes> {
    let name = format!(".backstop-{uid}");
    let at_roots = mount_points().unwrap_or_default().into_iter().map(|p| p.join(name.as_bytes()));
    at_roots.filter(|p| p.as_path().symlink_metadata().is_ok()).collect()
}

/// Every mount point of the machine, hidden ones included.
pub fn mount_points() -> Result<Vec<Bytes>, VolumeError> {
    Ok(mounts()?.into_iter().map(|e| Bytes::from(e.point)).collect())
}

#[cfg(test)]
mod tests;
