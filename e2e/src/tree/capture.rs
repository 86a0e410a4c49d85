//! Takes a directory, gives its `Tree`. Walks by handle, so that paths longer than the kernel takes
//! at once and names planted meanwhile do no harm; opens nothing but directories and regular files.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, Dir, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{Entry, Kind, Tree, shown};

/// What a capture leaves out.
#[derive(Clone, Debug, Default)]
pub struct CaptureOpts {
    /// Paths (relative to the directory) that are left out with all beneath.
    pub skip: Vec<Vec<u8>>,
}

/// Why a tree could not be captured.
#[derive(Debug)]
pub struct CaptureError {
    what: &'static str,
    path: Vec<u8>,
    source: Errno,
}

impl std::fmt::Display for CaptureError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} {}: {}", self.what, shown(&self.path), self.source)
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Tree {
    /// Captures `dir` and all beneath it.
    ///
    /// # Panics
    /// Where `dir` cannot be captured; tests have no use for half a tree.
    pub fn capture(dir: &Path, opts: CaptureOpts) -> Tree {
        match Self::try_capture(dir, &opts) {
            Ok(tree) => tree,
            Err(e) => panic!("capture of {}: {e}", dir.display()),
        }
    }

    /// Captures `dir` and all beneath it; an entry that vanishes meanwhile is an error.
    pub fn try_capture(dir: &Path, opts: &CaptureOpts) -> Result<Tree, CaptureError> {
        raise_open_files();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(dir, flags, Mode::empty()).map_err(|source| CaptureError {
            what: "open",
            path: Vec::new(),
            source,
        })?;
        let mut walk = Walk { opts, tree: Tree::default(), groups: HashMap::new(), buf: vec![0; 64 * 1024] };
        walk.node(root, Vec::new())?;
        Ok(walk.finish())
    }
}

/// One handle stays open for each level, and a path may have thousands of them.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused a deep tree fails later, with a clear error.
    setrlimit(Resource::Nofile, limit).ok();
}

struct Walk<'a> {
    opts: &'a CaptureOpts,
    tree: Tree,
    groups: HashMap<(u64, u64), Vec<Vec<u8>>>,
    buf: Vec<u8>,
}

impl Walk<'_> {
    /// Records the node that `fd` (O_PATH) is, and all beneath it.
    fn node(&mut self, fd: OwnedFd, path: Vec<u8>) -> Result<(), CaptureError> {
        let err = |what| {
            let path = path.clone();
            move |source| CaptureError { what, path, source }
        };
        let stat = fs::fstat(&fd).map_err(err("stat"))?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let mut unreadable = false;
        let kind = match file_type {
            FileType::RegularFile => match content(fd.as_fd(), &stat, &mut self.buf) {
                Ok((digest, data)) => Kind::File { size: size(&stat), digest, data },
                Err(Errno::ACCESS | Errno::PERM) => {
                    unreadable = true;
                    Kind::File { size: size(&stat), digest: [0; 32], data: Vec::new() }
                }
                Err(e) => return Err(err("read")(e)),
            },
            FileType::Directory => Kind::Dir,
            FileType::Symlink => {
                Kind::Symlink(fs::readlinkat(&fd, c"", Vec::new()).map_err(err("read link"))?.into_bytes())
            }
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice => Kind::CharDevice(stat.st_rdev),
            FileType::BlockDevice => Kind::BlockDevice(stat.st_rdev),
            FileType::Unknown => return Err(err("tell the type of")(Errno::INVAL)),
        };
        let xattrs = self.xattrs(fd.as_fd()).map_err(err("read the attributes of"))?;
        let is_dir = file_type == FileType::Directory;
        let names = if is_dir {
            match names(fd.as_fd()) {
                Ok(names) => names,
                Err(Errno::ACCESS | Errno::PERM) => {
                    unreadable = true;
                    Vec::new()
                }
                Err(e) => return Err(err("list")(e)),
            }
        } else {
            if stat.st_nlink > 1 {
                self.groups.entry((stat.st_dev, stat.st_ino)).or_default().push(path.clone());
            }
            Vec::new()
        };
        let entry = Entry {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(u32::MAX)),
            links: if is_dir { 0 } else { stat.st_nlink },
            link_group: Vec::new(),
            xattrs,
            unreadable,
        };
        self.tree.entries.insert(path.clone(), entry);
        for name in names {
            let mut below = path.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(&name);
            if self.opts.skip.contains(&below) {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match fs::openat(&fd, name.as_slice(), flags, Mode::empty()) {
                Ok(child) => self.node(child, below)?,
                // A directory that may be listed but not entered.
                Err(Errno::ACCESS) => {}
                Err(source) => return Err(CaptureError { what: "open", path: below, source }),
            }
        }
        Ok(())
    }

    fn xattrs(&mut self, fd: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
        // An O_PATH handle takes no fgetxattr; its /proc name does, and stands for the link itself.
        let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let mut found = BTreeMap::new();
        let len = match fs::listxattr(name.as_str(), self.buf.as_mut_slice()) {
            Ok(len) => len,
            Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM) => return Ok(found),
            Err(e) => return Err(e),
        };
        let list = self.buf[..len].to_vec();
        for key in list.split(|b| *b == 0).filter(|k| !k.is_empty()) {
            match fs::getxattr(name.as_str(), key, self.buf.as_mut_slice()) {
                Ok(len) => {
                    found.insert(key.to_vec(), self.buf[..len].to_vec());
                }
                Err(Errno::ACCESS | Errno::PERM | Errno::NODATA) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Names the groups of hard links after their first path in byte order, which no walk order changes.
    fn finish(mut self) -> Tree {
        for mut paths in self.groups.into_values() {
            paths.sort();
            for path in &paths {
                if let Some(entry) = self.tree.entries.get_mut(path) {
                    entry.link_group = paths[0].clone();
                }
            }
        }
        self.tree
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Opens what an O_PATH handle stands for, without asking the path again.
fn reopen(fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
}

fn names(fd: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let dir = fs::openat(fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::new(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort();
    Ok(names)
}

const BLOCK: u64 = 4096;

/// Digest and data segments.
type Content = ([u8; 32], Vec<(u64, u64)>);

/// Digest and data segments of a regular file. The digest takes every block that is not all zeros,
/// with its offset, and the size: so a terabyte of hole costs nothing, and a hole filled with zeros
/// is the same content.
fn content(fd: BorrowedFd<'_>, stat: &Stat, buf: &mut [u8]) -> Result<Content, Errno> {
    let size = size(stat);
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    let mut data = Vec::new();
    if size > 0 {
        let file = reopen(fd, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let mut at = 0;
        while at < size {
            let from = match fs::seek(&file, SeekFrom::Data(at)) {
                Ok(from) => from,
                // Nothing but hole up to the end.
                Err(Errno::NXIO) => break,
                Err(e) => return Err(e),
            };
            let to = fs::seek(&file, SeekFrom::Hole(from))?.min(size);
            data.push((from, to));
            at = to;
        }
        let mut next = 0;
        for (from, to) in &data {
            let from = (from / BLOCK * BLOCK).max(next);
            let to = to.div_ceil(BLOCK) * BLOCK;
            hash_blocks(&file, from, to.min(size), &mut hash, buf)?;
            next = to;
        }
    }
    Ok((hash.finalize().into(), data))
}

fn hash_blocks(file: &OwnedFd, from: u64, to: u64, hash: &mut Sha256, buf: &mut [u8]) -> Result<(), Errno> {
    let mut at = from;
    while at < to {
        let want = usize::try_from((to - at).min(buf.len() as u64)).unwrap_or(buf.len());
        let mut have = 0;
        while have < want {
            match rustix::io::pread(file, &mut buf[have..want], at + have as u64)? {
                0 => break,
                n => have += n,
            }
        }
        if have == 0 {
            break;
        }
        for (i, block) in buf[..have].chunks(BLOCK as usize).enumerate() {
            if block.iter().any(|b| *b != 0) {
                hash.update((at + i as u64 * BLOCK).to_le_bytes());
                hash.update(block);
            }
        }
        at += have as u64;
    }
    Ok(())
}
