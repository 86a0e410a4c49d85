//! Places that a command in place can write to: the machine's own directories, put over the read-only copy.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::fs as sys;
use backstop_sys::mount::{self, Attr, Opt};

use super::super::{Trouble, below_root};
use crate::rehearse::plan::Opened;

/// One that was taken, and where it belongs.
pub(super) struct Taken<'a> {
    opened: &'a Opened,
    mount: OwnedFd,
}

/// Takes them while the machine's paths still mean the machine.
pub(super) fn take(opened: &[Opened]) -> Result<Vec<Taken<'_>>, Trouble> {
    let all = opened.iter().map(|opened| {
        let at = &opened.at;
        let attr = Attr { no_suid: true, no_dev: true, ..Attr::default() };
        let take = || -> io::Result<OwnedFd> {
            if opened.private {
                return mount::fresh("tmpfs", "backstop", &[Opt::Value("mode", "1777")], attr);
            }
            // With what is mounted beneath: in a user namespace the kernel gives no directory without it.
            let mount = mount::clone_tree(sys::real_position(at.as_slice())?.as_fd(), b"", true)?;
            mount::restrict(mount.as_fd(), attr, true)?;
            Ok(mount)
        };
        let mount = take().map_err(Trouble::at(format!("open {} for writing", at.quoted())))?;
        Ok(Taken { opened, mount })
    });
    all.collect()
}

/// Puts them in their places, and what stays shut over them again, as it is in the copy.
pub(super) fn place(root: BorrowedFd<'_>, taken: Vec<Taken<'_>>) -> Result<Vec<Bytes>, Trouble> {
    let mut shut = Vec::with_capacity(taken.len());
    // All of these first: once a place is open, what is taken from it is open as well.
    for one in &taken {
        let copy = |path| {
            let mount = mount::clone_tree(root, below_root(path), true);
            mount.map_err(Trouble::at(format!("shut {}", path.quoted())))
        };
        shut.push(one.opened.shut.iter().map(copy).collect::<Result<Vec<_>, _>>()?);
    }
    let mut places = Vec::with_capacity(taken.len());
    for (one, shut) in taken.into_iter().zip(shut) {
        let at = &one.opened.at;
        attach(&one.mount, root, at)?;
        for (mount, path) in shut.iter().zip(&one.opened.shut) {
            attach(mount, root, path)?;
        }
        places.push(at.clone());
    }
    Ok(places)
}

/// Beneath a private one the machine's directories are not there, so they are made for what lies on them.
fn attach(mount: &OwnedFd, root: BorrowedFd<'_>, path: &Bytes) -> Result<(), Trouble> {
    let attach = || mount::attach(mount.as_fd(), root, below_root(path));
    let attached = match attach() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            sys::ensure_dirs(root, below_root(path), 0o755).and_then(|()| attach())
        }
        other => other,
    };
    attached.map_err(Trouble::at(format!("put {} in its place", path.quoted())))
}
