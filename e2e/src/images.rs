//! Throw-away file systems on loop images, and the private mount namespace they are mounted in.
//! Never mounts anything in the namespace of the machine: [`in_private_mounts`] goes first.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kinds of file system that the claims are tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsKind {
    /// ext4: no reflinks.
    Ext4,
    /// xfs: reflinks, larger inode numbers.
    Xfs,
    /// btrfs: reflinks, link counts of directories stay 1.
    Btrfs,
    /// tmpfs: no file handles that outlive it.
    Tmpfs,
}

impl FsKind {
    /// Its name, as mount(8) takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
        }
    }

    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ext4, Self::Xfs, Self::Btrfs, Self::Tmpfs];

    /// The smallest image that mkfs takes, in MiB (sparse, so it costs what is written).
    const fn least_mib(self) -> u64 {
        match self {
            Self::Ext4 | Self::Tmpfs => 64,
            Self::Btrfs => 128,
            Self::Xfs => 320,
        }
    }
}

/// A file system of its own, mounted; unmounted when dropped.
#[derive(Debug)]
pub struct Image {
    kind: FsKind,
    file: Option<PathBuf>,
    point: PathBuf,
    mounted: bool,
}

impl Image {
    /// Makes an image `dir/name.img` of at least `mib` MiB and mounts it at `dir/name`.
    pub fn make(kind: FsKind, dir: &Path, name: &str, mib: u64) -> io::Result<Self> {
        let size = mib.max(kind.least_mib());
        if kind == FsKind::Tmpfs {
            let point = point(dir, name)?;
            ok(Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("noatime,mode=755,size={size}m"), "tmpfs"])
                .arg(&point))?;
            return Ok(Self { kind, file: None, point, mounted: true });
        }
        let file = dir.join(format!("{name}.img"));
        File::create(&file)?.set_len(size << 20)?;
        let quiet: &[&str] = match kind {
            FsKind::Ext4 => &["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
            FsKind::Xfs | FsKind::Btrfs => &["-q", "-f"],
            FsKind::Tmpfs => &[],
        };
        ok(Command::new(format!("mkfs.{}", kind.name())).args(quiet).arg(&file))?;
        Self::mount(kind, &file, dir, name)
    }

    /// Mounts an image that is there already, at `dir/name`.
    pub fn mount(kind: FsKind, file: &Path, dir: &Path, name: &str) -> io::Result<Self> {
        let point = point(dir, name)?;
        mount(kind, file, &point)?;
        Ok(Self { kind, file: Some(file.to_owned()), point, mounted: true })
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Its kind.
    pub const fn kind(&self) -> FsKind {
        self.kind
    }

    /// The file behind it; none for tmpfs.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Unmounts it; its mount point stays for [`Image::put_in`].
    pub fn take_out(&self) -> io::Result<()> {
        ok(Command::new("umount").arg(&self.point))
    }

    /// Mounts the file system in `file` where this one was.
    pub fn put_in(&self, file: &Path) -> io::Result<()> {
        mount(self.kind, file, &self.point)
    }

    /// Unmounts it, so that everything is in the image.
    pub fn unmount(mut self) -> io::Result<()> {
        self.mounted = false;
        ok(Command::new("umount").arg(&self.point))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.mounted
            && let Err(e) = ok(Command::new("umount").arg("-l").arg(&self.point))
        {
            eprintln!("{e}");
        }
    }
}

fn mount(kind: FsKind, file: &Path, point: &Path) -> io::Result<()> {
    // Two copies of one image have one identity: xfs and btrfs have to be told that this is meant.
    let options = if kind == FsKind::Xfs { "loop,noatime,nouuid" } else { "loop,noatime" };
    ok(Command::new("mount").args(["-t", kind.name(), "-o", options]).arg(file).arg(point))
}

/// Copies an image as it is at this moment, holes kept, by reflink where that is possible.
pub fn copy_image(from: &Path, to: &Path) -> io::Result<()> {
    ok(Command::new("cp").args(["--reflink=auto", "--sparse=auto", "--"]).arg(from).arg(to))
}

fn point(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let point = dir.join(name);
    std::fs::create_dir_all(&point)?;
    Ok(point)
}

/// Runs a command that has to succeed; its own words are in the error.
pub fn ok(command: &mut Command) -> io::Result<()> {
    let out = command.stdin(Stdio::null()).output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{command:?}: {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim())))
}

/// Runs the body of the test `name` (its full name in its own test binary) in a process with a
/// private mount namespace: the test binary once more, under unshare(1). Without root there is no
/// such namespace to mount loop images in: the test fails, or nobody would see that it tested nothing,
/// unless `BACKSTOP_WITHOUT_ROOT` says that this is known.
pub fn in_private_mounts(name: &str, body: impl FnOnce()) {
    const INSIDE: &str = "BACKSTOP_E2E_INSIDE";
    if std::env::var_os(INSIDE).is_some_and(|v| v == name) {
        return body();
    }
    if !rustix::process::geteuid().is_root() {
        const WITHOUT: &str = "BACKSTOP_WITHOUT_ROOT";
        let known = std::env::var_os(WITHOUT).is_some_and(|v| v == "1");
        assert!(known, "{name} needs root for loop mounts; run it as root, or leave it out with {WITHOUT}=1");
        eprintln!("SKIPPED {name}: it needs root for loop mounts");
        return;
    }
    let exe = std::env::current_exe().expect("own path");
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(exe)
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, name)
        .status()
        .expect("unshare(1)");
    assert!(status.success(), "{name}: {status}");
}
