//! Takes the machine's mounts, gives what the view makes of each: an overlay, the same place of
//! another overlay, read-only, or private. Opens volumes and makes their vaults; mounts nothing.

use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Cover, Mount};
use backstop_core::plan::Volume;
use backstop_sys::fs::{self as sys, Stat};
use backstop_sys::mount::Attr;
use backstop_sys::mountinfo::{self, Entry};

use super::{OpenVolume, VolumeError, vault_in};

mod user;

/// What the survey goes by.
#[derive(Debug)]
pub struct Query<'a> {
    /// The state directory, real path; its `vault/` serves the volume that it lies on.
    pub state: &'a Path,
    /// Who owns the vaults.
    pub uid: u32,
    /// Their group; unprivileged, nothing can be given to another.
    pub gid: u32,
    /// True where overlays are mounted by the machine's root, one per file system; else each covers
    /// a directory that the user can write to.
    pub privileged: bool,
    /// Unprivileged: directories that matter most (workspace, working directory, home, scratch).
    pub seeds: &'a [Bytes],
    /// Directories that the view hides: no overlay is wanted for them.
    pub hidden: &'a [Bytes],
}

/// How a part of the view is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// An overlay with an upper of its own.
    Layer {
        /// Index into the volumes.
        volume: usize,
        /// Its directory, below the volume's root.
        lower: Bytes,
    },
    /// A bind mount of a place that another overlay covers: the same bind in the view, so that both
    /// ways lead to the same files there too. The place, as an absolute path.
    Bind(Bytes),
    /// A read-only clone of what is there.
    Clone,
    /// Nothing is taken over; a private one, or none, stands there.
    Private,
}

/// One mount of the machine and what the view makes of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// What is told about it.
    pub mount: Mount,
    /// How it is made.
    pub how: How,
    /// The restrictions that the machine's mount has.
    pub attr: Attr,
    /// True for a directory; files can be mounted on files.
    pub dir: bool,
}

/// All of it, in the order in which mounts have to be made.
#[derive(Debug)]
pub struct Survey {
    /// The volumes that take part.
    pub volumes: Vec<OpenVolume>,
    /// The mounts.
    pub parts: Vec<Part>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What the view hides: what was asked for, the vaults, and every further path by which a bind
    /// mount leads to one of these.
    pub hidden: Vec<Bytes>,
}

/// Interfaces of the kernel, not disks: the view has its own, read-only ones, or none.
const KERNEL: &[&str] = &[
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

/// File systems that are known to carry no upper directory: no vault is even tried on them.
const NO_UPPER: &[&str] = &[
    "9p", "afs", "ceph", "cifs", "coda", "cramfs", "ecryptfs", "erofs", "exfat", "fuse", "fuseblk", "hfs", "hfsplus",
    "iso9660", "msdos", "ncpfs", "nfs", "nfs4", "ntfs", "ntfs3", "overlay", "romfs", "smb3", "squashfs", "udf", "ufs",
    "vboxsf", "vfat", "virtiofs",
];

/// Places that are private in every view, with all beneath.
const PRIVATE: &[&[u8]] = &[b"/proc", b"/sys", b"/dev"];

/// Places that the view replaces, whatever the machine has there.
pub(crate) fn private_place(path: &Bytes) -> bool {
    path.is_beneath(b"/run") || PRIVATE.iter().any(|p| path.is_beneath(p))
}

/// Looks at every mount and decides.
pub fn survey(query: &Query<'_>) -> Result<Survey, VolumeError> {
    let entries = super::mounts()?;
    let visible: Vec<bool> = entries.iter().map(|e| mountinfo::mount_id(&e.point).is_ok_and(|id| id == e.id)).collect();
    let mut seen: Vec<&Entry> = entries.iter().zip(&visible).filter(|(_, v)| **v).map(|(e, _)| e).collect();
    // Of two visible mounts, one beneath the other, the outer has the shorter path; newer kernels
    // list by number, which a moved mount keeps.
    seen.sort_by_key(|e| e.point.len());
    let mut survey = if query.privileged { privileged(query, &seen)? } else { user::survey(query, &entries, &seen)? };
    survey.hidden = query.hidden.to_vec();
    survey.hidden.extend(survey.volumes.iter().map(OpenVolume::guarded_path));
    survey.hidden.extend(aliases(&seen, &survey.hidden));
    survey.hidden.sort();
    let all = survey.hidden.clone();
    // What lies beneath another hidden directory is hidden with it, and can't be mounted on.
    survey.hidden.retain(|h| !all.iter().any(|o| o != h && h.is_beneath(o.as_slice())));
    survey.hidden.dedup();
    for place in [b"/run".as_slice(), b"/proc", b"/sys", b"/dev"] {
        // A plain directory of the root's file system is replaced all the same; that is told as well.
        if !seen.iter().any(|e| e.point == place)
            && let Some(root) = seen.iter().find(|e| e.point == b"/")
        {
            survey.parts.push(Part {
                mount: told(root, place, Cover::Private),
                how: How::Private,
                attr: attr(root),
                dir: true,
            });
        }
    }
    Ok(survey)
}

/// What a mount's own options restrict, to be carried into the view.
fn attr(entry: &Entry) -> Attr {
    Attr {
        read_only: entry.has("ro"),
        no_suid: entry.has("nosuid"),
        // Device nodes of the view are those of its /dev; a node on a disk is a way to another disk.
        no_dev: true,
        no_exec: entry.has("noexec"),
        no_atime: entry.has("noatime"),
    }
}

fn told(entry: &Entry, path: &[u8], cover: Cover) -> Mount {
    Mount {
        cover,
        fs: entry.fs.clone(),
        path: Bytes::from(path),
        point: Bytes::from(&entry.point[..]),
        root: Bytes::from(&entry.root[..]),
        source: Bytes::from(&entry.source[..]),
    }
}

/// Why a mount carries no overlay, where that is plain from the outset.
fn no_layer(entry: &Entry, is_dir: bool) -> Option<String> {
    let kind = entry.fs.split('.').next().unwrap_or_default();
    if NO_UPPER.contains(&kind) {
        return Some(format!("{} can't carry an overlay", entry.fs));
    }
    if entry.read_only() {
        return Some("it is read-only on this machine".into());
    }
    (!is_dir).then(|| "a single file is mounted there".into())
}

fn is_private(entry: &Entry) -> bool {
    let point = Bytes::from(&entry.point[..]);
    KERNEL.contains(&entry.fs.as_str())
        || PRIVATE.iter().any(|p| point.is_beneath(p))
        || entry.point == b"/run"
        || (point.is_beneath(b"/run") && matches!(entry.fs.as_str(), "tmpfs" | "ramfs"))
}

fn privileged(query: &Query<'_>, seen: &[&Entry]) -> Result<Survey, VolumeError> {
    let state = locate(seen, &Bytes::from(query.state));
    let mut survey = Survey { volumes: Vec::new(), parts: Vec::new(), notes: Vec::new(), hidden: Vec::new() };
    // Which entry became which volume.
    let mut layers: Vec<(usize, usize)> = Vec::new();
    // The whole of a file system before its parts, wherever they are mounted.
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by_key(|n| (seen[*n].root.len(), *n));
    for n in order {
        let entry = seen[n];
        let facts = sys::stat_path(&entry.point).ok();
        let is_dir = facts.as_ref().is_none_or(Stat::is_dir);
        let mut part = Part {
            mount: told(entry, &entry.point, Cover::Private),
            how: How::Private,
            attr: attr(entry),
            dir: is_dir,
        };
        if is_private(entry) {
            survey.parts.push(part);
            continue;
        }
        let why = no_layer(entry, is_dir);
        // A bind mount of what another overlay covers anyway: two overlays over one directory would
        // not see each other's changes, and a commit would get two answers for one file.
        if let Some(place) = covered(seen, n, &layers, facts) {
            part.attr.read_only |= entry.read_only();
            part.how = How::Bind(place);
            part.mount.cover =
                if entry.has("ro") { Cover::ReadOnly { why: why.unwrap_or_default() } } else { Cover::Overlay };
            survey.parts.push(part);
            continue;
        }
        if let Some(why) = why {
            part.attr.read_only = true;
            part.how = How::Clone;
            part.mount.cover = Cover::ReadOnly { why };
            survey.parts.push(part);
            continue;
        }
        let vault = match &state {
            Some((at, rest)) if *at == n => rest.join(b"vault"),
            _ => vault_in(&Bytes::default(), query.uid, query.state),
        };
        let spec = spec_of(entry, vault);
        match OpenVolume::create(spec, query.uid) {
            Ok(volume) => {
                layers.push((n, survey.volumes.len()));
                part.how = How::Layer { volume: survey.volumes.len(), lower: Bytes::default() };
                part.mount.cover = Cover::Overlay;
                survey.volumes.push(volume);
            }
            Err(e) => {
                part.attr.read_only = true;
                part.how = How::Clone;
                part.mount.cover = Cover::ReadOnly { why: because(&e) };
            }
        }
        survey.parts.push(part);
    }
    survey.parts.sort_by_key(|p| p.mount.path.as_slice().len());
    Ok(survey)
}

/// The error with its cause, on one line.
fn because(error: &VolumeError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The place in an earlier overlay at which the mount `n` can be reached as well.
fn covered(seen: &[&Entry], n: usize, layers: &[(usize, usize)], facts: Option<Stat>) -> Option<Bytes> {
    let entry = seen[n];
    let facts = facts?;
    layers.iter().find_map(|(at, _)| {
        let base = seen[*at];
        let inner = Bytes::from(&entry.root[..]);
        if base.dev != entry.dev || !inner.is_beneath(&base.root) {
            return None;
        }
        let rest = inner.as_slice()[base.root.strip_suffix(b"/").unwrap_or(&base.root).len()..].strip_prefix(b"/");
        let place = Bytes::from(&base.point[..]).join(rest.unwrap_or_default());
        // Visible there, not under a further mount, and not another subvolume.
        let same = mountinfo::mount_id(place.as_slice()).is_ok_and(|id| id == base.id);
        let found = sys::stat_path(place.as_slice()).ok()?;
        (same && found.is_same(&facts)).then_some(place)
    })
}

/// The further paths by which other mounts of the same file system lead to these.
fn aliases(seen: &[&Entry], hidden: &[Bytes]) -> Vec<Bytes> {
    let mut found = Vec::new();
    for path in hidden {
        let Some((n, rest)) = locate(seen, path) else { continue };
        let place = Bytes::from(&seen[n].root[..]).join(rest.as_slice());
        for (m, entry) in seen.iter().enumerate().filter(|(m, e)| *m != n && e.dev == seen[n].dev) {
            let point = Bytes::from(&seen[m].point[..]);
            if place.is_beneath(&entry.root) {
                let rest = &place.as_slice()[entry.root.strip_suffix(b"/").unwrap_or(&entry.root).len()..];
                found.push(point.join(rest.strip_prefix(b"/").unwrap_or(rest)));
            } else if Bytes::from(&entry.root[..]).is_beneath(place.as_slice()) {
                found.push(point);
            }
        }
    }
    found
}

/// The visible mount that `path` lies on, and the path below its mount point.
fn locate(seen: &[&Entry], path: &Bytes) -> Option<(usize, Bytes)> {
    let (n, entry) =
        seen.iter().enumerate().filter(|(_, e)| path.is_beneath(&e.point)).max_by_key(|(_, e)| e.point.len())?;
    let rest = &path.as_slice()[entry.point.strip_suffix(b"/").unwrap_or(&entry.point).len()..];
    Some((n, Bytes::from(rest.strip_prefix(b"/").unwrap_or(rest))))
}

/// How the volume of a mount is found again; its vault has no name yet.
fn spec_of(entry: &Entry, vault: Bytes) -> Volume {
    Volume {
        fs: entry.fs.clone(),
        root: Bytes::from(&entry.point[..]),
        vault,
        vault_id: String::new(),
        volatile: matches!(entry.fs.as_str(), "tmpfs" | "ramfs"),
    }
}
