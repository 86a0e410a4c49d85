//! The floor: effects that no policy can allow.

use crate::bytes::Bytes;
use crate::effect::{Effect, FileType, Kind};

use super::Ground;

/// Directories without which the machine does not start or run.
const SYSTEM_ROOTS: [&str; 24] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/proc",
    "/sbin",
    "/srv",
    "/sys",
    "/usr",
    // Where `/bin`, `/lib` and `/sbin` are links, these are the directories themselves.
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/sbin",
    "/var",
    "/var/lib",
];

/// Files and folders that decide who may log in and how the machine boots.
const BOOT_AND_ACCOUNTS: [&str; 10] = [
    "/boot",
    "/efi",
    "/etc/fstab",
    "/etc/group",
    "/etc/gshadow",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
];

/// The floor's rule against `effect`, with the reason; none where the floor is silent.
pub(super) fn speaks(effect: &Effect, ground: &Ground) -> Option<(&'static str, &'static str)> {
    let from = effect.from.as_ref().filter(|_| effect.kind == Kind::Rename);
    for path in [Some(&effect.path), from].into_iter().flatten() {
        let goes = matches!(effect.kind, Kind::Delete | Kind::Replace | Kind::Rename);
        let is = |place: &Bytes| path == place;
        if ground.guard.iter().any(|g| path.is_beneath(g.as_slice()) || (goes && g.is_beneath(path.as_slice()))) {
            return Some(("floor-guard", "these are Backstop's own files"));
        }
        if goes && SYSTEM_ROOTS.iter().any(|r| path.as_slice() == r.as_bytes()) {
            return Some(("floor-system-root", "the machine does not run without this directory"));
        }
        if goes && ground.homes.iter().any(is) {
            return Some(("floor-home", "this is a whole home directory"));
        }
        if BOOT_AND_ACCOUNTS.iter().any(|p| path.is_beneath(p.as_bytes())) {
            return Some(("floor-boot-and-accounts", "this decides how the machine boots or who may log in"));
        }
    }
    let device = |n: &crate::effect::Node| matches!(n.file_type, FileType::BlockDevice | FileType::CharDevice);
    if effect.after.as_ref().is_some_and(device) || effect.before.as_ref().is_some_and(device) {
        return Some(("floor-device", "this is a device node"));
    }
    None
}
