//! Takes what the view leaves read-only, gives how the ways out through it are shut. A read-only mount
//! keeps nobody from a pipe or a socket on it: both are the real ones, and lead to real programs. So
//! such places are seen through a glass, an overlay without an upper, which has inodes of its own.

use std::fs;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Cover;
use backstop_sys::fs as sys;
use backstop_sys::mount::Attr;

use super::opened::Opened;
use crate::volume::{How, Part, private_place};

/// More panes than this cost more than a run: a directory with that many beside a mount is left bare.
const MOST: usize = 96;

/// Names looked at in one bare directory.
const NAMES: usize = 4096;

/// A place that is looked at through a glass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rehearse) struct Glass {
    /// Where.
    pub at: Bytes,
    /// What its mount is like.
    pub attr: Attr,
    /// True where it holds a directory that the user can't read. An overlay asks each directory of its upper
    /// layers for attributes, in the user's name, and has none that doesn't answer; so the place has to be the
    /// lowest layer, and a copy of its own directory stands above it.
    pub turned: bool,
}

/// How ways out are shut.
#[derive(Debug, Default)]
pub(in crate::rehearse) struct Ways {
    /// Unprivileged: directories that get a glass. (Privileged, each read-only mount gets one.)
    pub glass: Vec<Glass>,
    /// Sockets and pipes known now, wherever they are not behind a glass.
    pub known: Vec<Bytes>,
    /// How many directories would want a glass and get none.
    pub bare: usize,
}

/// Privileged, what is mounted on a single file can be a socket; all else gets a glass when it is made.
pub(super) fn privileged(parts: &[Part]) -> Ways {
    let mut ways = Ways { known: bound(parts), ..Ways::default() };
    ways.known.extend(parts.iter().filter(|p| leads_out(&p.mount.path)).map(|p| p.mount.path.clone()));
    ways.sorted()
}

/// Unprivileged, nothing with a mount beneath can be looked at through a glass; of such a directory
/// those parts are that have none, and what is in it directly is bare.
pub(super) fn user(parts: &[Part], points: &[Bytes], hidden: &[Bytes]) -> Ways {
    let mut walk = Walk { parts, points, hidden, ways: Ways { known: bound(parts), ..Ways::default() } };
    let root = Bytes::from("/");
    walk.directory(&root);
    for part in parts.iter().filter(|p| p.dir && matches!(p.how, How::Clone) && p.mount.path != root) {
        walk.directory(&part.mount.path);
    }
    walk.ways.sorted()
}

/// In place nothing is behind a glass: what is known now is cut off, and what lies directly in a directory
/// that is open.
pub(super) fn in_place(open: &[Opened], points: &[Bytes]) -> Ways {
    let mut ways = Ways { known: listed().filter(leads_out).collect(), ..Ways::default() };
    ways.known.extend(points.iter().filter(|path| leads_out(path)).cloned());
    for Opened { at, .. } in open.iter().filter(|place| !place.private) {
        let entries = fs::read_dir(at.as_path()).into_iter().flatten().flatten();
        // All of them: to tell by the directory alone costs little.
        let ways_out = entries.filter(|e| e.file_type().is_ok_and(|t| !t.is_file() && !t.is_dir() && !t.is_symlink()));
        let paths = ways_out.map(|entry| at.join(Bytes::from(entry.file_name()).as_slice()));
        ways.known.extend(paths.filter(leads_out));
    }
    ways.sorted()
}

impl Ways {
    fn sorted(mut self) -> Self {
        self.glass.sort_by(|a, b| a.at.cmp(&b.at));
        self.glass.dedup_by(|a, b| a.at == b.at);
        self.known.sort();
        self.known.dedup();
        self
    }
}

struct Walk<'a> {
    parts: &'a [Part],
    points: &'a [Bytes],
    hidden: &'a [Bytes],
    ways: Ways,
}

impl Walk<'_> {
    fn directory(&mut self, at: &Bytes) {
        let own = self.parts.iter().any(|p| p.mount.path == *at && !matches!(p.how, How::Clone));
        let gone = self.hidden.iter().any(|h| at.is_beneath(h.as_slice()));
        // What nobody can go through leads nowhere.
        if own || gone || private_place(at) || !sys::searchable(at.as_slice()) {
            return;
        }
        if !self.points.iter().any(|p| p != at && p.is_beneath(at.as_slice())) {
            match nearest(self.parts, at) {
                Some(part) if self.ways.glass.len() < MOST => {
                    let turned = holds_unreadable(at);
                    self.ways.glass.push(Glass { at: at.clone(), attr: part.attr, turned });
                }
                _ => self.ways.bare += 1,
            }
            return;
        }
        for entry in fs::read_dir(at.as_path()).into_iter().flatten().flatten().take(NAMES) {
            let path = at.join(Bytes::from(entry.file_name()).as_slice());
            if self.points.contains(&path) {
                // A mount is a part of its own.
                if leads_out(&path) {
                    self.ways.known.push(path);
                }
            } else if entry.file_type().is_ok_and(|t| t.is_dir()) {
                self.directory(&path);
            } else if entry.file_type().is_ok_and(|t| !t.is_file() && !t.is_symlink()) && leads_out(&path) {
                self.ways.known.push(path);
            }
        }
    }
}

fn nearest<'a>(parts: &'a [Part], path: &Bytes) -> Option<&'a Part> {
    parts.iter().filter(|p| path.is_beneath(p.mount.path.as_slice())).max_by_key(|p| p.mount.path.as_slice().len())
}

/// True if the user can't read a directory directly in this one. What lies deeper an overlay doesn't ask;
/// of one that can't be listed nobody sees what is missing.
fn holds_unreadable(at: &Bytes) -> bool {
    let names = sys::subdirectories(at.as_slice()).unwrap_or_default();
    names.iter().any(|name| !sys::readable(at.join(name).as_slice()))
}

fn leads_out(path: &Bytes) -> bool {
    !private_place(path) && sys::stat_path(path.as_slice()).is_ok_and(|s| s.is_socket() || s.is_pipe())
}

/// Sockets that the kernel's list has with a path outside every overlay.
fn bound(parts: &[Part]) -> Vec<Bytes> {
    if !parts.iter().any(|p| matches!(p.mount.cover, Cover::ReadOnly { .. })) {
        return Vec::new();
    }
    let overlaid =
        |path: &Bytes| nearest(parts, path).is_some_and(|p| !matches!(p.mount.cover, Cover::ReadOnly { .. }));
    listed().filter(|path| !overlaid(path)).collect()
}

/// Sockets that the kernel's list has with a path, but for those in `/run`, of which the view has its own.
fn listed() -> impl Iterator<Item = Bytes> {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let path = |line: &[u8]| line.iter().position(|&b| b == b'/').map(|at| Bytes::from(&line[at..]));
    let paths: Vec<Bytes> = table.split(|&b| b == b'\n').filter_map(path).collect();
    paths.into_iter().filter(|path| !path.is_beneath(b"/run"))
}
