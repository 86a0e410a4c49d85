//! Builds the view and enters it: overlays first, while the machine's paths still mean the machine,
//! then all in its place, then the old root is let go.

mod glass;
mod opened;
mod private;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::channel::Channel;
use backstop_sys::fs::{self as sys, Stat};
use backstop_sys::mount::{self, Attr, OverlayKind};

use self::glass::Pane;
use super::{Message, Recipe, Trouble, below_root};
use crate::rehearse::plan::Upper;
use crate::volume::{How, Part};

/// What stands when all is built.
pub(super) struct View {
    /// Keeps the caller's terminal number taken.
    pub terminal: Option<OwnedFd>,
    /// Directories beneath which the command may write; all others are read-only.
    pub writable: Vec<Bytes>,
}

/// Builds it and makes it this process' root.
pub(super) fn build(recipe: &Recipe, channel: &Channel) -> Result<View, Trouble> {
    mount::make_private("/").map_err(Trouble::at("take the mounts out of sharing"))?;
    let mut made = Vec::with_capacity(recipe.parts.len());
    for (n, part) in recipe.parts.iter().enumerate() {
        made.push(layer(recipe, channel, n, part)?);
    }
    let mut writable = vec![Bytes::from("/dev"), Bytes::from("/proc"), Bytes::from("/run")];
    let overlaid = |n: usize| made[n].is_some();
    writable.extend(recipe.parts.iter().enumerate().filter(|(n, _)| overlaid(*n)).map(|(_, p)| p.mount.path.clone()));
    let hook = sys::position(recipe.hook.as_slice()).map_err(Trouble::at("open the state directory"))?;
    // Before what lies on the state directory, or it would be copied as well.
    let copy = if recipe.copies() { Some(copy()?) } else { None };
    let opened = opened::take(recipe.opened.as_deref().unwrap_or_default())?;
    // Before the view, which comes to lie on it: what lay on the view's root would stay there. And
    // attached at all, because a kernel before 6.15 clones only parts of what is attached.
    let ground = private::ground().map_err(Trouble::at("make a file system in memory"))?;
    mount::attach(ground.as_fd(), hook.as_fd(), b"").map_err(Trouble::at("hang it on the state directory"))?;
    let panes = glass::make(recipe, channel, ground.as_fd(), &mut made)?;
    let root = match copy {
        Some(copy) => copy,
        None => root(recipe, &mut made)?,
    };
    mount::attach(root.as_fd(), hook.as_fd(), b"").map_err(Trouble::at("hang the view on the state directory"))?;
    let terminal = private::attach(recipe, root.as_fd(), ground.as_fd())?;
    glass::place(root.as_fd(), &panes)?;
    writable.extend(place_all(recipe, root.as_fd(), &mut made, channel)?);
    writable.extend(opened::place(root.as_fd(), opened)?);
    hide(recipe, root.as_fd(), ground.as_fd(), &panes, channel)?;
    mount::enter(root.as_fd()).map_err(Trouble::at("enter the view"))?;
    Ok(View { terminal, writable })
}

/// Puts every part in its place: the outer before the inner, and a bind after what it shows again.
/// Gives where binds came to lie that can be written to.
fn place_all(
    recipe: &Recipe,
    root: BorrowedFd<'_>,
    made: &mut [Option<OwnedFd>],
    channel: &Channel,
) -> Result<Vec<Bytes>, Trouble> {
    let parts = &recipe.parts;
    let mut binds = Vec::new();
    let mut todo: Vec<usize> = (0..parts.len()).collect();
    while !todo.is_empty() {
        let mut later: Vec<usize> = Vec::new();
        for &n in &todo {
            let path = &parts[n].mount.path;
            let mut waits = later.iter().any(|l| path.is_beneath(parts[*l].mount.path.as_slice()));
            if let How::Bind(shown) = &parts[n].how {
                // Its source waits as well, if it comes after this in the order of paths.
                waits |= todo.iter().any(|t| *t > n && shown.is_beneath(parts[*t].mount.path.as_slice()))
                    || later.iter().any(|l| shown.is_beneath(parts[*l].mount.path.as_slice()));
            }
            if waits {
                later.push(n);
                continue;
            }
            if let How::Bind(shown) = &parts[n].how {
                made[n] = again(root, shown, &parts[n]).ok();
            }
            let result = match &made[n] {
                Some(mounted) => place(root, mounted.as_fd(), &parts[n]),
                None if matches!(parts[n].how, How::Bind(_)) => Err(io::ErrorKind::NotFound.into()),
                None => Ok(()),
            };
            match result {
                Ok(()) if matches!(parts[n].how, How::Bind(_)) => binds.push(path.clone()),
                Ok(()) => {}
                Err(e) => missing(n, &e.to_string(), channel)?,
            }
        }
        if later.len() == todo.len() {
            for n in later {
                missing(n, "it is mounted above its own source", channel)?;
            }
            return Ok(binds);
        }
        todo = later;
    }
    Ok(binds)
}

fn missing(n: usize, why: &str, channel: &Channel) -> Result<(), Trouble> {
    Message::Missing(n as u32, why.into()).send(channel, &[]).map_err(Trouble::at("tell"))
}

/// The overlay for one part, nowhere yet; none where there is to be none, or it can't be had.
fn layer(recipe: &Recipe, channel: &Channel, n: usize, part: &Part) -> Result<Option<OwnedFd>, Trouble> {
    let Some(upper) = &recipe.uppers[n] else { return Ok(None) };
    match overlay(recipe, part, upper) {
        Ok(made) => Ok(Some(made)),
        Err(e) => {
            Message::Fallback(n as u32, e.to_string()).send(channel, &[]).map_err(Trouble::at("tell"))?;
            Ok(None)
        }
    }
}

fn overlay(recipe: &Recipe, part: &Part, upper: &Upper) -> io::Result<OwnedFd> {
    let lower = sys::position(part.mount.path.as_slice())?;
    // By path again: the handles of our parent belong to its mounts, and an overlay takes only ours.
    let base = sys::position(upper.root.as_slice())?;
    let (up, work) =
        (sys::open_dir(base.as_fd(), upper.upper.as_slice())?, sys::open_dir(base.as_fd(), upper.work.as_slice())?);
    let found = sys::stat_fd(up.as_fd())?;
    if !found.is_same(&upper.facts) {
        return Err(io::Error::other("the upper directory is not the one that was made"));
    }
    let kind = if recipe.user.is_some() { OverlayKind::User } else { OverlayKind::Privileged };
    mount::overlay(lower.as_fd(), up.as_fd(), work.as_fd(), kind, part.attr)
}

/// In a user namespace and where nothing is rehearsed, the view's ground: a read-only copy of everything.
fn copy() -> Result<OwnedFd, Trouble> {
    let copy = mount::clone_tree(sys::position(b"/").map_err(Trouble::at("open /"))?.as_fd(), b"", true)
        .map_err(Trouble::at("copy the mounts"))?;
    let attr = Attr { read_only: true, no_suid: true, no_dev: true, ..Attr::default() };
    mount::restrict(copy.as_fd(), attr, true).map_err(Trouble::at("make the copy read-only"))?;
    Ok(copy)
}

/// As root, the view's ground: what is made of `/`.
fn root(recipe: &Recipe, made: &mut [Option<OwnedFd>]) -> Result<OwnedFd, Trouble> {
    let at = recipe.parts.iter().position(|p| p.mount.path.as_slice() == b"/");
    at.and_then(|n| made[n].take()).ok_or_else(|| Trouble::View("the machine's / can't be had".into()))
}

/// The same bind in the view.
fn again(root: BorrowedFd<'_>, place: &Bytes, part: &Part) -> io::Result<OwnedFd> {
    let made = mount::clone_tree(root, below_root(place), false)?;
    mount::restrict(made.as_fd(), part.attr, false)?;
    Ok(made)
}

fn place(root: BorrowedFd<'_>, mounted: BorrowedFd<'_>, part: &Part) -> io::Result<()> {
    let path = below_root(&part.mount.path);
    match mount::attach(mounted, root, path) {
        // A disk below the view's own `/run`, which has no directory for it.
        Err(e) if e.kind() == io::ErrorKind::NotFound && part.dir && part.mount.path.is_beneath(b"/run") => {
            sys::ensure_dirs(root, path, 0o755)?;
            mount::attach(mounted, root, path)
        }
        other => other,
    }
}

/// Puts something empty over what the command must not see, and something deaf over the sockets and
/// pipes that are behind no glass.
fn hide(
    recipe: &Recipe,
    root: BorrowedFd<'_>,
    ground: BorrowedFd<'_>,
    panes: &[Pane],
    channel: &Channel,
) -> Result<(), Trouble> {
    let attr = Attr { read_only: true, no_suid: true, no_dev: true, no_exec: true, ..Attr::default() };
    let over = |from: &[u8], path: &Bytes| {
        private::part(ground, from, attr).and_then(|m| mount::attach(m.as_fd(), root, below_root(path)))
    };
    for path in &recipe.hidden {
        match over(b"empty", path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Trouble::View(format!("hide {}: {e}", path.quoted())));
            }
            _ => {}
        }
    }
    for path in recipe.ways.known.iter().filter(|path| !panes.iter().any(|p| path.is_beneath(p.at.as_slice()))) {
        match over(b"deaf", path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Message::Note(format!("cannot cut off {}: {e}", path.quoted()))
                    .send(channel, &[])
                    .map_err(Trouble::at("tell"))?
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens standard input again by its path in the view. The inherited one is open on the real file,
/// and through `/proc/self/fd/0` it could be opened anew for writing.
pub(super) fn reopen_stdin(path: &Bytes, facts: Stat, at: u64) -> Result<OwnedFd, Trouble> {
    let open = || -> io::Result<OwnedFd> {
        let fd = sys::open_to_read(path.as_slice())?;
        // An overlay shows the inode number of its lower file, but a device number of its own.
        if sys::stat_fd(fd.as_fd())?.ino != facts.ino {
            return Err(io::ErrorKind::NotFound.into());
        }
        sys::seek(fd.as_fd(), at)?;
        Ok(fd)
    };
    open().map_err(|_| Trouble::Stdin("a file that is not to be had in the view"))
}
