//! Directories by handle, as the sandbox and the vaults need them: opens, makes and clears, always
//! below a handle, never through a link, never across a mount.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_NOW, XattrFlags,
    accessat, chmodat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, fstatvfs, futimens, mkdirat, openat,
    openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// What `stat` says of a directory, as far as the sandbox needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names.
    pub nlink: u64,
}

/// Facts of what a handle stands for.
pub fn facts(fd: BorrowedFd<'_>) -> io::Result<Facts> {
    let st = fstat(fd)?;
    Ok(Facts {
        dev: st.st_dev,
        ino: st.st_ino,
        mode: st.st_mode,
        uid: st.st_uid,
        gid: st.st_gid,
        nlink: st.st_nlink as u64,
    })
}

/// Facts of a path of the machine; its last name is not followed.
pub fn facts_at(path: &[u8]) -> io::Result<Facts> {
    let st = statat(CWD, os(path), AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)?;
    Ok(Facts {
        dev: st.st_dev,
        ino: st.st_ino,
        mode: st.st_mode,
        uid: st.st_uid,
        gid: st.st_gid,
        nlink: st.st_nlink as u64,
    })
}

impl Facts {
    /// True for a directory.
    pub const fn is_dir(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    /// True for a regular file.
    pub const fn is_file(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// True for a disk or a part of one.
    pub const fn is_block_device(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFBLK
    }

    /// True for a bound socket.
    pub const fn is_socket(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFSOCK
    }

    /// True for a symbolic link.
    pub const fn is_link(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }
}

fn os(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// Opens a directory of the machine by path, as a mere position (`O_PATH`).
pub fn position(path: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(CWD, os(path), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens anything of the machine by path, as a mere position; a link as itself.
pub fn position_any(path: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(CWD, os(path), OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens the directory `path` below `dir`; an empty `path` means `dir` itself.
pub fn open_below(dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat2(dir, os(path), flags, Mode::empty(), BENEATH)?)
}

/// Like [`open_below`], as a mere position, which needs no right to read.
pub fn position_below(dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat2(dir, os(path), flags, Mode::empty(), BENEATH)?)
}

/// Makes a directory below `dir`; one that is there already is fine.
pub fn ensure(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<()> {
    match mkdirat(dir, os(name), Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Makes a directory below `dir` that must not be there yet.
pub fn make(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<()> {
    Ok(mkdirat(dir, os(name), Mode::from_raw_mode(mode))?)
}

/// True when this process may make and remove names in the directory at `path`.
pub fn writable(path: &[u8]) -> bool {
    accessat(CWD, os(path), Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// The names of the directories in `path` (links are none), unsorted; nothing where it can't be read.
pub fn subdirectories(path: &[u8]) -> Vec<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(fd) = openat(CWD, os(path), flags, Mode::empty()) else { return Vec::new() };
    let Ok(dir) = Dir::read_from(&fd) else { return Vec::new() };
    dir.flatten()
        .filter(|e| !matches!(e.file_name().to_bytes(), b"." | b".."))
        .filter(|e| match e.file_type() {
            FileType::Directory => true,
            FileType::Unknown => statat(&fd, e.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|st| FileType::from_raw_mode(st.st_mode) == FileType::Directory),
            _ => false,
        })
        .map(|e| e.file_name().to_bytes().to_vec())
        .collect()
}

/// Gives `to` the mode, the times, the access lists, and where the process may the owner of `from`;
/// the root of an upper directory is what the view shows in the lower's place.
pub fn dress_like(to: BorrowedFd<'_>, from: BorrowedFd<'_>) -> io::Result<()> {
    let st = fstat(from)?;
    let own = fstat(to)?;
    if (own.st_uid, own.st_gid) != (st.st_uid, st.st_gid) {
        match fchown(to, Some(rustix::fs::Uid::from_raw(st.st_uid)), Some(rustix::fs::Gid::from_raw(st.st_gid))) {
            // Not ours to give, or an owner that this user namespace does not know.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut names = vec![0u8; 1 << 16];
    let names = match flistxattr(from, &mut names[..]) {
        Ok(len) => &names[..len],
        // A mere position gives no attributes.
        Err(Errno::OPNOTSUPP | Errno::BADF) => &[],
        Err(e) => return Err(e.into()),
    };
    for name in names.split(|&b| b == 0).filter(|n| !n.is_empty()) {
        // What an overlay noted about the lower directory is not ours to repeat.
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let mut value = vec![0u8; 1 << 16];
        match fgetxattr(from, name, &mut value[..]) {
            Ok(len) => match fsetxattr(to, name, &value[..len], XattrFlags::empty()) {
                // Labels that only the machine's root may give.
                Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP) => {}
                Err(e) => return Err(e.into()),
            },
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(e) => return Err(e.into()),
        }
    }
    fchmod(to, Mode::from_raw_mode(st.st_mode & 0o7777))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: st.st_atime as _, tv_nsec: st.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: st.st_mtime as _, tv_nsec: st.st_mtime_nsec as _ },
    };
    Ok(futimens(to, &times)?)
}

/// A moment of the file system's own clock that is later than every change time it gave before, and
/// not later than any it will give: the change time of `name` in `dir`, touched until it moves.
pub fn clock(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<(i64, u32)> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let probe = openat(dir, name, flags, Mode::from_raw_mode(0o600))?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let touch = || -> io::Result<(i64, u32)> {
        futimens(&probe, &Timestamps { last_access: now, last_modification: now })?;
        let st = fstat(&probe)?;
        Ok((st.st_ctime as i64, st.st_ctime_nsec as u32))
    };
    let first = touch()?;
    loop {
        let next = touch()?;
        // Not `>`: a wall clock that was set back would never get there.
        if next != first {
            return Ok(next);
        }
        // Before 6.13, change times move once per tick (1 to 10 ms).
        std::thread::sleep(std::time::Duration::from_micros(250));
    }
}

/// A file of at most 4 KiB below `dir`.
pub fn read_small(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let fd = openat2(dir, os(name), flags, Mode::empty(), BENEATH)?;
    let mut text = vec![0u8; 4096];
    let len = rustix::io::read(&fd, &mut text[..])?;
    text.truncate(len);
    Ok(text)
}

/// Opens the file `path` below `dir` for reading.
pub fn open_file_below(dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(openat2(dir, os(path), flags, Mode::empty(), BENEATH)?)
}

/// Writes a small file below `dir` at once: whole or not at all, and durable.
pub fn write_small(dir: BorrowedFd<'_>, name: &[u8], text: &[u8]) -> io::Result<()> {
    let temp = [name, format!(".new-{}", std::process::id()).as_bytes()].concat();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = openat(dir, os(&temp), flags, Mode::from_raw_mode(0o600))?;
    if rustix::io::write(&fd, text)? != text.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    rustix::fs::fsync(&fd)?;
    Ok(renameat(dir, os(&temp), dir, os(name))?)
}

/// Makes a file with this content in a directory that only this process knows.
pub fn write_new(dir: BorrowedFd<'_>, path: &[u8], text: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = openat(dir, os(path), flags, Mode::from_raw_mode(mode))?;
    let mut rest = text;
    while !rest.is_empty() {
        let done = rustix::io::write(&fd, rest)?;
        rest = &rest[done..];
    }
    Ok(())
}

/// Makes a symbolic link in a directory that only this process knows.
pub fn link_new(dir: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::symlinkat(os(target), dir, os(name))?)
}

/// Makes the directories of `path` below `dir`, as many as are missing.
pub fn ensure_all(dir: BorrowedFd<'_>, path: &[u8], mode: u32) -> io::Result<()> {
    for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/').filter(|(at, _)| *at > 0) {
        ensure(dir, &path[..at], mode)?;
    }
    if path.is_empty() { Ok(()) } else { ensure(dir, path, mode) }
}

/// Sets a directory's permission bits by handle.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(fchmod(fd, Mode::from_raw_mode(mode))?)
}

/// Gives `name` below `dir` to a user and a group.
pub fn give(dir: BorrowedFd<'_>, name: &[u8], uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    Ok(rustix::fs::chownat(dir, os(name), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Where a file's reading and writing stands.
pub fn offset(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::tell(fd)?)
}

/// Puts a file's reading and writing at a place.
pub fn seek(fd: BorrowedFd<'_>, to: u64) -> io::Result<()> {
    rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(to))?;
    Ok(())
}

/// Opens a file of the view for reading, nothing followed at its last name.
pub fn open_to_read(path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(openat(CWD, os(path), flags, Mode::empty())?)
}

/// Bytes a file system has free for this process, and how many there are.
pub fn space(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let st = fstatvfs(fd)?;
    Ok((st.f_bavail.saturating_mul(st.f_frsize), st.f_blocks.saturating_mul(st.f_frsize)))
}

/// Bytes allocated beneath `name` in `dir`; stops counting beyond `enough`.
pub fn used(dir: BorrowedFd<'_>, name: &[u8], enough: u64) -> io::Result<u64> {
    let mut sum = 0;
    let mut todo = vec![open_below(dir, name)?];
    while let Some(at) = todo.pop() {
        for entry in Dir::read_from(&at)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(st) = statat(&at, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            sum += st.st_blocks as u64 * 512;
            if sum > enough {
                return Ok(sum);
            }
            // What vanishes or can't be entered is simply not counted: this is a rough measure.
            if FileType::from_raw_mode(st.st_mode) == FileType::Directory
                && let Ok(below) = open_below(at.as_fd(), entry.file_name().to_bytes())
            {
                todo.push(below);
            }
        }
    }
    Ok(sum)
}

/// Directories deeper than this are first moved up, so that no depth exhausts handles or the stack.
const DEEP: u32 = 48;

/// Removes `name` below `dir` with all beneath it. Only for directories that nobody else can write
/// to (a vault): a directory without rights, as overlays leave in `work`, is given them first.
pub fn remove_all(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let name = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut moved = 0;
    gone_is_fine(remove(dir, &name, dir, 0, &mut moved))?;
    let mut done = 0;
    // What was moved up may hold deep directories itself, which take further numbers.
    while done < moved {
        gone_is_fine(remove(dir, &parked(done), dir, 0, &mut moved))?;
        done += 1;
    }
    Ok(())
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn parked(n: u32) -> CString {
    CString::new(format!(".deep-{n}")).unwrap_or_default()
}

fn park(dir: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u32) -> io::Result<()> {
    loop {
        let to = parked(*moved);
        *moved += 1;
        match renameat(dir, name, top, &to) {
            Ok(()) => return Ok(()),
            // Left by a removal that was killed; its number is taken up with the others.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn remove(dir: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, depth: u32, moved: &mut u32) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    if unlinkat(dir, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    if depth >= DEEP {
        return park(dir, name, top, moved);
    }
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(dir, name, flags, Mode::empty(), BENEATH)
    };
    let fd = match open() {
        Err(Errno::ACCESS) => {
            chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        other => other?,
    };
    let own = fstat(&fd)?;
    if own.st_mode & 0o300 != 0o300 && rustix::process::geteuid().as_raw() == own.st_uid {
        fchmod(&fd, Mode::RWXU)?;
    }
    let names: Vec<CString> =
        Dir::read_from(&fd)?.map(|e| e.map(|e| e.file_name().to_owned())).collect::<Result<_, _>>()?;
    for child in &names {
        if !matches!(child.to_bytes(), b"." | b"..") {
            remove(fd.as_fd(), child, top, depth + 1, moved)?;
        }
    }
    Ok(unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}
