//! Walks a tree below a directory handle, to remove or to measure it. Never follows a link, never
//! crosses a mount.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::dir::read_dir;
use super::meta::Pin;
use super::open::{leads_elsewhere, open_dir_read, open_parent, split};
use super::rename::{remove_dir, remove_file};
use super::stat::{Stat, stat_at};

/// Removes `path` below `root` and everything beneath. A directory that denies its owner reading or
/// searching (overlayfs leaves `work/work` with mode 000) is opened up first. A name that is not
/// there is fine. Returns the bytes freed (allocated size).
pub fn remove_tree(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<u64> {
    let parent = match open_parent(root, path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let (_, name) = split(path);
    let Some(stat) = stat_at(parent.as_fd(), name)? else { return Ok(0) };
    if !stat.is_dir() {
        remove_file(parent.as_fd(), name)?;
        return Ok(freed(&stat));
    }
    let own = rustix::process::geteuid().as_raw();
    let mut bytes = 0;
    // Children are emptied before their parents: paths below `path`, deepest handled last in, first out.
    let mut stack = vec![(path.to_vec(), false)];
    while let Some((dir, emptied)) = stack.pop() {
        let parent = open_parent(root, &dir)?;
        let (_, name) = split(&dir);
        if emptied {
            remove_dir(parent.as_fd(), name)?;
            continue;
        }
        let pin = Pin::new(parent.as_fd(), name)?;
        // Root needs no rights, and another's directory is not ours to change.
        if pin.stat.mode & 0o700 != 0o700 && pin.stat.uid == own {
            pin.set_mode(0o700)?;
        }
        stack.push((dir.clone(), true));
        let handle = open_dir_read(parent.as_fd(), name)?;
        let mut names = Vec::new();
        read_dir::<io::Error>(handle.as_fd(), |e| {
            names.push(e.name.to_vec());
            Ok(())
        })?;
        for name in names {
            let Some(stat) = stat_at(handle.as_fd(), &name)? else { continue };
            if stat.is_dir() {
                let mut below = dir.clone();
                below.push(b'/');
                below.extend_from_slice(&name);
                stack.push((below, false));
            } else {
                remove_file(handle.as_fd(), &name)?;
                bytes += freed(&stat);
            }
        }
    }
    Ok(bytes)
}

/// What removing one name of an object gives back: nothing while it has others.
const fn freed(stat: &Stat) -> u64 {
    if stat.nlink > 1 { 0 } else { stat.blocks * 512 }
}

/// Allocated bytes of `path` below `root` and everything beneath; zero where it is not there or not
/// readable. Somebody may be at work in it. Stops counting beyond `enough`.
pub fn tree_usage(root: BorrowedFd<'_>, path: &[u8], enough: u64) -> io::Result<u64> {
    let mut bytes = 0;
    let mut stack = vec![path.to_vec()];
    while let Some(dir) = stack.pop() {
        if bytes > enough {
            break;
        }
        let handle = match open_dir_read(root, &dir) {
            Ok(handle) => handle,
            Err(e) if gone_or_shut(&e) => continue,
            Err(e) => return Err(e),
        };
        read_dir::<io::Error>(handle.as_fd(), |e| {
            let Some(stat) = stat_at(handle.as_fd(), e.name)? else { return Ok(()) };
            bytes += stat.blocks * 512 / if stat.is_dir() { 1 } else { u64::from(stat.nlink.max(1)) };
            if stat.is_dir() {
                let mut below = dir.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(e.name);
                stack.push(below);
            }
            Ok(())
        })?;
    }
    Ok(bytes)
}

/// True when a directory went away meanwhile, gave way to something else, or lets nobody in.
fn gone_or_shut(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) || leads_elsewhere(error)
}
