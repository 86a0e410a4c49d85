//! The kernel's mount interface by handles: makes file systems, clones and overlays that are nowhere
//! yet, and puts them in their place. Every function is one or two system calls; none decides.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// Restrictions of one mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attr {
    /// Nothing can be written through it.
    pub read_only: bool,
    /// Set-user-id bits have no effect.
    pub no_suid: bool,
    /// Device nodes can't be opened.
    pub no_dev: bool,
    /// Nothing can be executed.
    pub no_exec: bool,
    /// Access times are not kept.
    pub no_atime: bool,
}

impl Attr {
    fn flags(self) -> MountAttrFlags {
        let mut flags = MountAttrFlags::empty();
        flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, self.read_only);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, self.no_suid);
        flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, self.no_dev);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, self.no_exec);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOATIME, self.no_atime);
        flags
    }
}

/// An option of a new file system.
#[derive(Clone, Copy, Debug)]
pub enum Opt<'a> {
    /// A bare word.
    Flag(&'a str),
    /// A word with a value of at most 255 bytes.
    Value(&'a str, &'a str),
}

/// Makes a file system of type `fs`, mounted nowhere yet.
pub fn fresh(fs: &str, source: &str, options: &[Opt<'_>], attr: Attr) -> io::Result<OwnedFd> {
    let context = fsopen(fs, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", source)?;
    for option in options {
        match option {
            Opt::Flag(key) => fsconfig_set_flag(context.as_fd(), *key)?,
            Opt::Value(key, value) => fsconfig_set_string(context.as_fd(), *key, *value)?,
        }
    }
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attr.flags())?)
}

/// Which overlay the kernel is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayKind {
    /// `trusted.overlay.*`: renamed directories as redirects, metadata-only copies, an index of links.
    Privileged,
    /// `user.overlay.*`, for a user namespace; no redirects, no metadata-only copies.
    User,
}

/// Makes an overlay, mounted nowhere yet. The directories are given as handles: the kernel takes
/// names, and `/proc/self/fd/N` is a name without length limit and without characters to escape.
pub fn overlay(
    lower: BorrowedFd<'_>,
    upper: BorrowedFd<'_>,
    work: BorrowedFd<'_>,
    kind: OverlayKind,
    attr: Attr,
) -> io::Result<OwnedFd> {
    let name = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let (lower, upper, work) = (name(lower), name(upper), name(work));
    let mut options = vec![
        Opt::Value("lowerdir", &lower),
        Opt::Value("upperdir", &upper),
        Opt::Value("workdir", &work),
        // Nothing of a rehearsal has to outlive a power cut, and without it every fsync of the
        // command, and the unmount, would wait for the disk.
        Opt::Flag("volatile"),
    ];
    match kind {
        OverlayKind::Privileged => {
            options.extend([Opt::Value("redirect_dir", "on"), Opt::Value("metacopy", "on"), Opt::Value("index", "on")])
        }
        OverlayKind::User => options.push(Opt::Flag("userxattr")),
    }
    let made = fresh("overlay", "backstop", &options, attr)?;
    // Where the kernel can't make its work directory it mounts without a word what can't be written.
    let flags = rustix::fs::fstatvfs(&made)?.f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::RDONLY) && !attr.read_only {
        return Err(io::Error::other("there is no room to write (the disk is full)"));
    }
    Ok(made)
}

/// Makes a view of two directories, the second below the first, that can only be read, mounted nowhere yet.
/// It has inodes of its own, and with them pipes and sockets of its own: a mere read-only mount leaves both
/// open to the real ones. One of the two is empty, because a view without an upper wants two layers. The first
/// gives the view's own mode and owner; of its directories those are missing whose attributes can't be read.
pub fn glass(first: BorrowedFd<'_>, second: BorrowedFd<'_>, kind: OverlayKind, attr: Attr) -> io::Result<OwnedFd> {
    let layers = format!("/proc/self/fd/{}:/proc/self/fd/{}", first.as_raw_fd(), second.as_raw_fd());
    let mut options = vec![Opt::Value("lowerdir", &layers)];
    if kind == OverlayKind::User {
        options.push(Opt::Flag("userxattr"));
    }
    fresh("overlay", "backstop", &options, Attr { read_only: true, ..attr })
}

/// Clones the mount at `path` below `dir`, mounted nowhere yet; with everything mounted beneath when
/// `recursive`. An empty `path` means `dir` itself.
pub fn clone_tree(dir: BorrowedFd<'_>, path: &[u8], recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_NO_AUTOMOUNT
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    Ok(open_tree(dir, path, flags)?)
}

/// Puts a mount made here onto `path` below `dir` (onto `dir` itself where `path` is empty). No link
/// is followed at the last name.
pub fn attach(mount: BorrowedFd<'_>, dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    Ok(move_mount(mount, c"", dir, path, flags)?)
}

/// Adds restrictions to a mount, and to all beneath it when `recursive`; takes none away.
pub fn restrict(mount: BorrowedFd<'_>, attr: Attr, recursive: bool) -> io::Result<()> {
    set_attr(mount, u64::from(attr.flags().bits()), 0, recursive)
}

/// Stops mounts beneath from spreading to, or coming from, other namespaces.
pub fn make_private(path: &str) -> io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    Ok(mount_change(path, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn set_attr(mount: BorrowedFd<'_>, set: u64, propagation: u64, recursive: bool) -> io::Result<()> {
    // noatime lives in a field of its own: the kernel wants that field cleared when it is set.
    let atime = u64::from(MountAttrFlags::MOUNT_ATTR__ATIME.bits());
    let attr_clr = if set & atime == 0 { 0 } else { atime };
    let attr = MountAttr { attr_set: set, attr_clr, propagation, userns_fd: 0 };
    let recurse = if recursive { libc::AT_RECURSIVE } else { 0 };
    let empty = CString::default();
    // SAFETY: the path is a NUL-terminated string and the struct has the size that is passed; the
    // kernel only reads both.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            empty.as_ptr(),
            libc::AT_EMPTY_PATH | recurse,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `root` (a mount, attached somewhere) the root of this mount namespace and lets go of
/// everything that was there.
pub fn enter(root: BorrowedFd<'_>) -> io::Result<()> {
    rustix::process::fchdir(root)?;
    // The old root is stacked on the new one, which needs no directory for it.
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir(c"/")?)
}

/// Clones the mount at an absolute path, without what is mounted beneath; needs `CAP_SYS_ADMIN`.
pub fn clone_at(path: &[u8]) -> io::Result<OwnedFd> {
    clone_tree(rustix::fs::CWD, path, false)
}
