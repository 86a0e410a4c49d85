//! Carries operations out below the current directory, one after the other, and says of each how it
//! went: what a program in the tree sees. Never stops at a failure; a failure is a result.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{
    self as unix, DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags, fallocate,
    ioctl_ficlone, linkat, lremovexattr, lsetxattr, makedev, mknodat, openat, renameat_with, setxattr, utimensat,
};

use crate::ops::{Op, Verb, escape};

/// Carries one operation out; gives what is to be printed for it.
pub fn perform(op: &Op) -> String {
    match act(op) {
        Ok(None) => "ok".to_owned(),
        Ok(Some(seen)) => seen,
        Err(e) => e.raw_os_error().map_or_else(|| "refused".to_owned(), |n| format!("errno {n}")),
    }
}

fn act(op: &Op) -> io::Result<Option<String>> {
    let path = |i: usize| Path::new(op.names.get(i).map_or(OsStr::new(""), |n| n.as_os_str()));
    let number = |i: usize| op.numbers.get(i).copied().unwrap_or(0);
    let small = |i: usize| u32::try_from(number(i)).unwrap_or(u32::MAX);
    let (p, q) = (path(0), path(1));
    match op.verb {
        Verb::Create => create(p)?.write_all(&pattern(number(1), number(0)))?,
        Verb::Excl => File::create_new(p)?.write_all(&pattern(number(1), number(0)))?,
        Verb::Append => open(p, OpenOptions::new().append(true))?.write_all(&pattern(number(1), number(0)))?,
        Verb::Overwrite => writer(p)?.write_all_at(&pattern(number(2), number(1)), number(0))?,
        Verb::Truncate => writer(p)?.set_len(number(0))?,
        Verb::Punch => {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(writer(p)?, flags, number(0), number(1))?;
        }
        Verb::Allocate => fallocate(writer(p)?, FallocateFlags::KEEP_SIZE, number(0), number(1))?,
        Verb::Save => {
            let mut name = p.as_os_str().to_owned();
            name.push(".tmp");
            let mut file = create(Path::new(&name))?;
            file.write_all(&pattern(number(1), number(0)))?;
            file.sync_all()?;
            fs::rename(&name, p)?;
        }
        Verb::WriteMoved => {
            let file = writer(p)?;
            fs::rename(p, q)?;
            file.write_all_at(&pattern(number(1), number(0)), 1)?;
        }
        Verb::WriteGhost => {
            let file = writer(p)?;
            fs::remove_file(p)?;
            file.write_all_at(&pattern(number(1), number(0)), 0)?;
        }
        Verb::Copy => {
            let from = open(p, OpenOptions::new().read(true))?;
            if !from.metadata()?.is_file() {
                return Err(io::Error::from_raw_os_error(22));
            }
            let to = create(q)?;
            if ioctl_ficlone(&to, &from).is_err() {
                let mut bytes = Vec::new();
                (&from).read_to_end(&mut bytes)?;
                (&to).write_all(&bytes)?;
            }
        }
        Verb::Rename => fs::rename(p, q)?,
        Verb::Move => renameat_with(CWD, p, CWD, q, RenameFlags::NOREPLACE)?,
        Verb::Exchange => renameat_with(CWD, p, CWD, q, RenameFlags::EXCHANGE)?,
        Verb::Link => fs::hard_link(p, q)?,
        Verb::Symlink => unix::symlink(p, q)?,
        Verb::Unlink => fs::remove_file(p)?,
        Verb::Mkdir => fs::DirBuilder::new().mode(small(0)).create(p)?,
        Verb::Rmdir => fs::remove_dir(p)?,
        Verb::RmTree => remove_tree(p)?,
        Verb::Chmod => fs::set_permissions(p, Permissions::from_mode(small(0)))?,
        Verb::Chown => unix::lchown(p, Some(small(0)), Some(small(1)))?,
        Verb::SetXattr => lsetxattr(p, q.as_os_str(), &pattern(number(1), number(0)), XattrFlags::empty())?,
        Verb::RmXattr => lremovexattr(p, q.as_os_str())?,
        Verb::Acl => setxattr(p, "system.posix_acl_access", &acl(small(0), number(1)), XattrFlags::empty())?,
        Verb::DefaultAcl => setxattr(p, "system.posix_acl_default", &acl(small(0), number(1)), XattrFlags::empty())?,
        Verb::Times => set_times(p, number(0), number(1))?,
        Verb::Fifo => mknodat(CWD, p, FileType::Fifo, Mode::from_raw_mode(small(0)), 0)?,
        Verb::Socket => drop(UnixListener::bind(p)?),
        Verb::Device => {
            mknodat(CWD, p, FileType::CharacterDevice, Mode::from_raw_mode(0o600), makedev(small(0), small(1)))?;
        }
        Verb::Tmpfile => {
            let fd = openat(CWD, p, OFlags::TMPFILE | OFlags::RDWR, Mode::from_raw_mode(0o640))?;
            let mut file = File::from(fd);
            file.write_all(&pattern(number(1), number(0)))?;
            // By way of /proc, as open(2) recommends: AT_EMPTY_PATH wants CAP_DAC_READ_SEARCH.
            let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            linkat(CWD, own, CWD, q, AtFlags::SYMLINK_FOLLOW)?;
        }
        Verb::Look => return look(p).map(Some),
        Verb::List => {
            let names: Vec<_> =
                children(p)?.iter().filter_map(|c| c.file_name().map(|n| escape(n.as_bytes()))).collect();
            return Ok(Some(format!("[{}]", names.join(" "))));
        }
        Verb::Sync => open(p, OpenOptions::new().read(true))?.sync_all()?,
        Verb::Age => age(p, number(0))?,
    }
    Ok(None)
}

fn create(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().write(true).create(true).truncate(true))
}

fn writer(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().write(true))
}

/// Opens without waiting: a pipe that has no other end would hold the case up for ever.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// `len` bytes that only `seed` decides.
pub fn pattern(seed: u64, len: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x.to_be_bytes()[0]
        })
        .collect()
}

/// The attribute that setfacl(1) would write: the usual entries, one named user and a mask of rwx.
fn acl(user: u32, rights: u64) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let rights = u16::try_from(rights & 7).unwrap_or(0);
    let mut out = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in
        [(1u16, 7u16, NOBODY), (2, rights, user), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 1, NOBODY)]
    {
        out.extend(tag.to_le_bytes());
        out.extend(rights.to_le_bytes());
        out.extend(id.to_le_bytes());
    }
    out
}

fn set_times(path: &Path, secs: u64, nanos: u64) -> io::Result<()> {
    let time = |s: u64| Timespec { tv_sec: s.cast_signed(), tv_nsec: nanos.min(999_999_999).cast_signed() };
    let times = Timestamps { last_access: time(secs / 2), last_modification: time(secs) };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn children(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
    all.sort();
    Ok(all)
}

/// As `rm -rf`, but in the order of names and up to the first failure, so that a failure leaves the
/// same rest whatever order the file system lists.
fn remove_tree(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    for child in children(path)? {
        remove_tree(&child)?;
    }
    fs::remove_dir(path)
}

fn age(path: &Path, seed: u64) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for child in children(path)? {
            age(&child, seed)?;
        }
    }
    let x = sum(path.as_os_str().as_bytes()).wrapping_add(seed);
    set_times(path, 1_400_000_000 + x % 200_000_000, x % 1_000_000_000)
}

/// FNV-1a, 64 bits: enough to tell contents of tests apart.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3))
}

fn look(path: &Path) -> io::Result<String> {
    let meta = fs::symlink_metadata(path)?;
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        "dir".to_owned()
    } else if kind.is_symlink() {
        format!("link {}", escape(fs::read_link(path)?.as_os_str().as_bytes()))
    } else if kind.is_file() {
        let mut bytes = Vec::new();
        let content = File::open(path).and_then(|mut f| f.read_to_end(&mut bytes));
        match content {
            Ok(_) => format!("file {} {:x} links {}", meta.len(), sum(&bytes), meta.nlink()),
            Err(e) => format!("file {} unreadable {:?} links {}", meta.len(), e.raw_os_error(), meta.nlink()),
        }
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else if kind.is_socket() {
        "socket".to_owned()
    } else {
        format!("device {:x}", meta.rdev())
    };
    Ok(format!("{what} mode {:o} owner {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid()))
}
