//! Panes of glass: read-only places seen through an overlay without an upper, so that their pipes and
//! sockets are not the real ones. Takes the recipe, gives mounts; a place that can't have one stays bare.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::channel::Channel;
use backstop_sys::fs as sys;
use backstop_sys::mount::{self, Attr, OverlayKind};

use super::super::{Message, Recipe, Trouble, below_root};
use super::missing;
use crate::rehearse::plan::Glass;
use crate::volume::How;

/// File systems that know neither pipes nor sockets, and whose names an overlay can't compare.
const WITHOUT: &[&str] = &["vfat", "msdos", "exfat", "hfs"];

/// One that was made.
pub(super) struct Pane {
    /// Where it belongs.
    pub at: Bytes,
    /// The mount; none where it is one of the recipe's parts, and placed with these.
    mount: Option<OwnedFd>,
}

/// Makes them all. As root they are parts of the recipe and come into `made`, where a bare clone takes
/// the place of one that can't be had.
pub(super) fn make(
    recipe: &Recipe,
    channel: &Channel,
    ground: BorrowedFd<'_>,
    made: &mut [Option<OwnedFd>],
) -> Result<Vec<Pane>, Trouble> {
    let empty = sys::open_dir(ground, b"empty").map_err(Trouble::at("open an empty directory"))?;
    let mut panes = Vec::new();
    let mut bare = Vec::new();
    if recipe.user.is_some() {
        for (n, Glass { at, attr, turned }) in recipe.ways.glass.iter().enumerate() {
            let attr = Attr { no_suid: true, no_dev: true, ..*attr };
            let made = if *turned {
                behind_a_copy(at, ground, n, attr)
            } else {
                pane(at, empty.as_fd(), OverlayKind::User, attr)
            };
            match made {
                Ok(mount) => panes.push(Pane { at: at.clone(), mount: Some(mount) }),
                // It went away meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => bare.push((at, e)),
            }
        }
    } else {
        for (n, part) in recipe.parts.iter().enumerate() {
            if made[n].is_some() || !matches!(part.how, How::Clone | How::Layer { .. }) {
                continue;
            }
            let (at, attr) = (&part.mount.path, Attr { read_only: true, no_dev: true, ..part.attr });
            if part.dir && !WITHOUT.contains(&part.mount.fs.as_str()) {
                match pane(at, empty.as_fd(), OverlayKind::Privileged, attr) {
                    Ok(mount) => {
                        made[n] = Some(mount);
                        panes.push(Pane { at: at.clone(), mount: None });
                        continue;
                    }
                    Err(e) => bare.push((at, e)),
                }
            }
            let clone = mount::clone_at(at.as_slice());
            match clone.and_then(|m| mount::restrict(m.as_fd(), attr, false).map(|()| m)) {
                Ok(clone) => made[n] = Some(clone),
                Err(e) => missing(n, &e.to_string(), channel)?,
            }
        }
    }
    let mut notes = Vec::new();
    if recipe.ways.bare > 0 {
        notes.push(format!(
            "{} read-only directories are not shut off from the pipes and sockets in them: there are too many",
            recipe.ways.bare
        ));
    }
    notes.extend(bare.iter().map(|(at, e)| {
        format!(
            "{} is not shut off from the pipes and sockets that are made in it while the command runs: {e}",
            at.quoted()
        )
    }));
    for text in notes {
        Message::Note(text).send(channel, &[]).map_err(Trouble::at("tell"))?;
    }
    Ok(panes)
}

fn pane(at: &Bytes, empty: BorrowedFd<'_>, kind: OverlayKind, attr: Attr) -> io::Result<OwnedFd> {
    mount::glass(sys::position(at.as_slice())?.as_fd(), empty, kind, attr)
}

/// The place as the lowest layer, below a directory of ours that has the same mode and times.
fn behind_a_copy(at: &Bytes, ground: BorrowedFd<'_>, n: usize, attr: Attr) -> io::Result<OwnedFd> {
    let place = sys::position(at.as_slice())?;
    let facts = sys::stat_fd(place.as_fd())?;
    let name = format!("front-{n}");
    sys::make_dir(ground, name.as_bytes(), facts.mode & 0o7777)?;
    sys::set_times(ground, name.as_bytes(), facts.atime, facts.mtime)?;
    let front = sys::open_dir(ground, name.as_bytes())?;
    mount::glass(front.as_fd(), place.as_fd(), OverlayKind::User, attr)
}

/// Puts those in their places that are no parts of the recipe; whatever else belongs there comes after.
pub(super) fn place(root: BorrowedFd<'_>, panes: &[Pane]) -> Result<(), Trouble> {
    for pane in panes {
        let Some(mounted) = &pane.mount else { continue };
        match mount::attach(mounted.as_fd(), root, below_root(&pane.at)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Trouble::View(format!("put a glass before {}: {e}", pane.at.quoted())));
            }
            _ => {}
        }
    }
    Ok(())
}
