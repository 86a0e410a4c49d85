//! What an object is, by `statx`, never following a link.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::io::Errno;

/// Seconds and nanoseconds since the epoch.
pub type Time = (i64, u32);

/// The identity and metadata of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device of a device node.
    pub rdev: u64,
    /// Length in bytes.
    pub size: u64,
    /// Allocated, in units of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
}

impl Stat {
    /// True for directories.
    pub const fn is_dir(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    /// True for regular files.
    pub const fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// True for symbolic links.
    pub const fn is_symlink(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }

    /// True for a disk or a part of one.
    pub const fn is_block_device(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFBLK
    }

    /// True for bound sockets.
    pub const fn is_socket(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFSOCK
    }

    /// True for named pipes.
    pub const fn is_pipe(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFIFO
    }

    /// True when both are one object (as long as neither is removed).
    pub const fn is_same(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino
    }

    /// True for overlayfs' mark of a deleted name: a character device 0:0.
    pub const fn is_whiteout(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFCHR && self.rdev == 0
    }
}

fn statx(at: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> io::Result<Stat> {
    // No synchronisation with a server, and nothing mounted by being looked at: only what is here counts.
    let flags = flags | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let s = rustix::fs::statx(at, OsStr::from_bytes(name), flags, StatxFlags::BASIC_STATS)?;
    Ok(Stat {
        dev: rustix::fs::makedev(s.stx_dev_major, s.stx_dev_minor),
        ino: s.stx_ino,
        mode: u32::from(s.stx_mode),
        nlink: s.stx_nlink,
        uid: s.stx_uid,
        gid: s.stx_gid,
        rdev: rustix::fs::makedev(s.stx_rdev_major, s.stx_rdev_minor),
        size: s.stx_size,
        blocks: s.stx_blocks,
        atime: (s.stx_atime.tv_sec, s.stx_atime.tv_nsec),
        mtime: (s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec),
        ctime: (s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec),
    })
}

/// The object `name` in `dir`; none where there is no such name.
pub fn stat_at(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Stat>> {
    match statx(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(s) => Ok(Some(s)),
        Err(e) if [Errno::NOENT, Errno::NOTDIR].map(|n| Some(n.raw_os_error())).contains(&e.raw_os_error()) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The object behind a handle.
pub fn stat_fd(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    statx(fd, b"", AtFlags::EMPTY_PATH)
}

/// The object at a path of the machine.
pub fn stat_path(path: &[u8]) -> io::Result<Stat> {
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
}

/// How much room a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes there are.
    pub total: u64,
    /// Bytes free for this user.
    pub free: u64,
}

/// True where the file system of `fd` has so many bytes and names left for this process. One that
/// does not count names (btrfs) has enough.
pub fn has_room(fd: BorrowedFd<'_>, bytes: u64, names: u64) -> io::Result<bool> {
    let s = rustix::fs::fstatvfs(fd)?;
    // What is reserved for root is root's to use.
    let blocks = if rustix::process::geteuid().is_root() { s.f_bfree } else { s.f_bavail };
    // A ramfs counts nothing.
    let bytes = s.f_blocks == 0 || blocks.saturating_mul(s.f_frsize) >= bytes;
    Ok(bytes && (s.f_files == 0 || s.f_ffree >= names))
}

/// The room of the file system that `fd` is on.
pub fn space(fd: BorrowedFd<'_>) -> io::Result<Space> {
    let s = rustix::fs::fstatvfs(fd)?;
    Ok(Space { total: s.f_blocks.saturating_mul(s.f_frsize), free: s.f_bavail.saturating_mul(s.f_frsize) })
}

/// A device number as the kernel's major and minor.
pub fn device(number: u64) -> (u32, u32) {
    (rustix::fs::major(number), rustix::fs::minor(number))
}
