//! Takes the effects, gives the places that a lens may read: those named by an effect, and those
//! beneath directories that go away, move, or are linked to in place of another.

use std::collections::BTreeMap;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Aspect, Effect, EffectSet, FileType, Kind, Node};
use backstop_core::lens::{self, LensKind, access, agent, sqlite};
use backstop_core::policy::Ground;

use super::Limits;
use super::files::leads_to;
use crate::engine::Side;
use crate::facts::Sides;
use crate::ways::ways;

/// Everything that will be looked at.
#[derive(Default)]
pub(super) struct Picked {
    /// Places that a lens knows by path.
    pub(super) places: BTreeMap<Bytes, Place>,
    /// Files that were there before and may be databases, by their path before.
    pub(super) databases: BTreeMap<Bytes, ()>,
    /// Where files and directories that move go, by their path before.
    pub(super) moves: BTreeMap<Bytes, Bytes>,
    /// Directories that were not looked at to the end, and why.
    pub(super) left_out: Vec<(Bytes, String)>,
}

/// What is known of a place before it is read.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: LensKind,
    /// Targets of links there, before and after.
    pub(super) targets: [Option<Bytes>; 2],
    /// Where the file really is afterwards, where a directory above it is a link.
    pub(super) really: Option<Bytes>,
}

/// Endings of names that no database has by habit: looking into each would cost more than all else.
const NO_DATABASE: &[&[u8]] = &[
    b"a",
    b"bz2",
    b"c",
    b"cc",
    b"cfg",
    b"class",
    b"cpp",
    b"css",
    b"csv",
    b"d",
    b"eot",
    b"gif",
    b"go",
    b"gz",
    b"h",
    b"hpp",
    b"html",
    b"ico",
    b"ini",
    b"jar",
    b"java",
    b"jpeg",
    b"jpg",
    b"js",
    b"json",
    b"jsx",
    b"lock",
    b"log",
    b"map",
    b"md",
    b"mjs",
    b"mp3",
    b"mp4",
    b"o",
    b"pdf",
    b"php",
    b"pl",
    b"png",
    b"po",
    b"pot",
    b"py",
    b"pyc",
    b"pyi",
    b"rb",
    b"rlib",
    b"rmeta",
    b"rs",
    b"rst",
    b"scss",
    b"sh",
    b"so",
    b"sql",
    b"svg",
    b"tar",
    b"tf",
    b"tgz",
    b"timestamp",
    b"toml",
    b"ts",
    b"tsx",
    b"ttf",
    b"txt",
    b"vue",
    b"webp",
    b"whl",
    b"woff",
    b"woff2",
    b"xml",
    b"xz",
    b"yaml",
    b"yml",
    b"zip",
    b"zst",
];

/// The smallest database there can be, one page.
const SMALLEST: u64 = 512;

/// Picks from all effects.
pub(super) fn pick(
    set: &EffectSet,
    sides: &dyn Sides,
    ground: &Ground,
    limits: &Limits,
    late: &dyn Fn() -> bool,
) -> Picked {
    let mut picker =
        Picker { ground, late, names: limits.names, picked: Picked::default(), sides, sniffs: limits.sniffs };
    for e in set.effects.iter().filter(|e| e.kind == Kind::Rename) {
        if let Some(from) = &e.from {
            picker.picked.moves.insert(from.clone(), e.path.clone());
        }
    }
    for e in set.effects.iter().filter(|e| e.kind != Kind::Metadata) {
        picker.effect(e);
    }
    picker.picked
}

struct Picker<'a> {
    ground: &'a Ground,
    late: &'a dyn Fn() -> bool,
    names: u64,
    picked: Picked,
    sides: &'a dyn Sides,
    sniffs: u64,
}

fn is(node: Option<&Node>, file_type: FileType) -> bool {
    node.is_some_and(|n| n.file_type == file_type)
}

fn target(node: Option<&Node>) -> Option<Bytes> {
    node.filter(|n| n.file_type == FileType::Symlink).map(|n| n.target.clone().unwrap_or_default())
}

impl Picker<'_> {
    fn effect(&mut self, e: &Effect) {
        let (before, after) = (e.before.as_ref(), e.after.as_ref());
        let moved = e.from.as_ref().filter(|_| e.kind == Kind::Rename);
        if let Some(from) = moved {
            self.place(from, [target(before), None], None);
            // What stood under the new name may be gone with it; the effect speaks of what came.
            self.place(&e.path, [None, target(after)], None);
            if is(before, FileType::Dir) {
                self.beneath(from, Side::Before, None);
                self.beneath(&e.path, Side::After, None);
            } else {
                self.database(from, before);
                self.database(&e.path, None);
            }
            return;
        }
        self.place(&e.path, [target(before), target(after)], None);
        let lost = matches!(e.kind, Kind::Change | Kind::Replace | Kind::Delete);
        if lost && is(before, FileType::File) && (e.kind != Kind::Change || e.aspects.contains(&Aspect::Content)) {
            self.database(&e.path, before);
        }
        // A log that appears or changes is a change of its database.
        self.beside(&e.path);
        if e.beneath.is_some() || (is(before, FileType::Dir) && !is(after, FileType::Dir)) {
            self.beneath(&e.path, Side::Before, None);
        }
        if let Some(target) = target(after).filter(|_| can_hold(&e.path)) {
            self.beneath(&leads_to(&e.path, &target), Side::After, Some(&e.path));
        }
    }

    /// Notes a place that a lens knows by its path.
    fn place(&mut self, path: &Bytes, targets: [Option<Bytes>; 2], really: Option<Bytes>) {
        let Some(kind) = lens::which(path).filter(|k| *k != LensKind::Sqlite) else { return };
        let instructions = |row: &agent::Row| row.keys.iter().all(|(_, k)| *k == agent::Kind::Instructions);
        if kind == LensKind::Agent
            && agent::place(path).is_some_and(instructions)
            && self.ground.workspace.as_ref().is_some_and(|w| path.is_beneath(w.as_slice()))
        {
            return;
        }
        if kind == LensKind::Access && self.is_copy(path) {
            return;
        }
        let place =
            self.picked.places.entry(path.clone()).or_insert(Place { kind, targets: [None, None], really: None });
        let [before, after] = targets;
        place.targets = [place.targets[0].take().or(before), place.targets[1].take().or(after)];
        place.really = place.really.take().or(really);
    }

    /// True in the agent's own places for a file that would decide something in a home, where no home has
    /// it: neither itself nor by a link. Dotfiles and fixtures of tests are work.
    fn is_copy(&self, path: &Bytes) -> bool {
        let mut own = self.ground.workspace.iter().chain(&self.ground.scratch);
        let Some(part) = access::in_home(path).filter(|_| own.any(|o| path.is_beneath(o.as_slice()))) else {
            return false;
        };
        let read = |home: &Bytes| {
            let place = home.join(part);
            // Its last part may be missing: it is about to be made, behind a link to where it will be.
            ways(place.as_path()).iter().any(|way| way == path.as_path())
        };
        !self.ground.homes.iter().any(read)
    }

    /// Notes a file that was there before, where it may be a database.
    fn database(&mut self, path: &Bytes, before: Option<&Node>) {
        self.beside(path);
        if before.is_some_and(|n| n.file_type != FileType::File || n.size < SMALLEST) {
            return;
        }
        if self.may_be_database(path) {
            self.picked.databases.insert(path.clone(), ());
        }
    }

    fn beside(&mut self, path: &Bytes) {
        let Some(main) = sqlite::main_of(path.name()) else { return };
        let main = path.parent().join(main);
        if !self.picked.databases.contains_key(&main) && self.may_be_database(&main) {
            self.picked.databases.insert(main, ());
        }
    }

    fn may_be_database(&mut self, path: &Bytes) -> bool {
        let name = path.name();
        if sqlite::is_database_name(name) {
            return true;
        }
        let end = name.iter().rposition(|&b| b == b'.').map_or(&b""[..], |dot| &name[dot + 1..]);
        if self.sniffs == 0 || NO_DATABASE.binary_search(&end).is_ok() {
            return false;
        }
        self.sniffs -= 1;
        let mut magic = [0u8; 16];
        // What can't be read here is no database for this lens; the ledger said that it changes.
        let file = self.sides.open(path, Side::Before).ok().flatten();
        file.is_some_and(|f| {
            std::os::unix::fs::FileExt::read_exact_at(&f, &mut magic, 0).is_ok() && magic == *sqlite::MAGIC
        })
    }

    /// Lists what lies beneath a directory; `shown` is the path it is reached by, where that differs.
    fn beneath(&mut self, dir: &Bytes, side: Side, shown: Option<&Bytes>) {
        let mut open = vec![(dir.clone(), shown.cloned())];
        while let Some((dir, shown)) = open.pop() {
            // Git's objects are many, and none of them is a file of ours.
            if dir.as_slice().ends_with(b"/.git/objects") {
                continue;
            }
            if self.names == 0 || (self.late)() {
                let more = open.len() + 1;
                self.picked
                    .left_out
                    .push((dir, format!("{more} directories beneath were not looked at: too many names")));
                return;
            }
            let names = match self.sides.list(&dir, side) {
                Ok(names) => names.unwrap_or_default(),
                Err(e) => {
                    self.picked.left_out.push((dir, format!("can't be listed: {e}")));
                    continue;
                }
            };
            self.names = self.names.saturating_sub(names.len() as u64);
            for (name, file_type) in names {
                let path = dir.join(name.as_slice());
                let as_shown = shown.as_ref().map(|s| s.join(name.as_slice()));
                match file_type {
                    FileType::Dir => open.push((path, as_shown)),
                    FileType::File if side == Side::Before => {
                        self.place(&path, [None, None], None);
                        self.database(&path, None);
                    }
                    FileType::File => {
                        let at = as_shown.unwrap_or_else(|| path.clone());
                        self.place(&at, [None, None], Some(path));
                    }
                    // Where it leads is not known from its name; an empty target says so.
                    FileType::Symlink => {
                        let unknown = Some(Bytes::default());
                        let targets = if side == Side::Before { [unknown, None] } else { [None, unknown] };
                        self.place(as_shown.as_ref().unwrap_or(&path), targets, None);
                    }
                    FileType::Fifo | FileType::Socket | FileType::CharDevice | FileType::BlockDevice => {}
                }
            }
        }
    }
}

/// True for directories that hold what a lens reads by path: hidden ones and the system's own. Links
/// there are looked behind; the thousands that package managers make are not.
fn can_hold(path: &Bytes) -> bool {
    path.name().starts_with(b".")
        || [&b"/etc"[..], b"/lib", b"/usr/lib", b"/var/spool"].iter().any(|d| path.is_beneath(d))
}

impl Picked {
    /// Where the file that is at `path` before is afterwards, by the moves.
    pub(super) fn after(&self, path: &Bytes) -> Bytes {
        let mut above = path.clone();
        loop {
            if let Some(to) = self.moves.get(&above) {
                let rest = &path.as_slice()[above.as_slice().len()..];
                return to.join(rest.strip_prefix(b"/").unwrap_or(rest));
            }
            if above.as_slice().len() <= 1 {
                return path.clone();
            }
            above = above.parent();
        }
    }

    /// Where the file that is at `path` afterwards was before.
    pub(super) fn before(&self, path: &Bytes) -> Bytes {
        let to = self.moves.iter().filter(|(_, to)| path.is_beneath(to.as_slice()));
        match to.max_by_key(|(_, to)| to.as_slice().len()) {
            Some((from, to)) => {
                let rest = &path.as_slice()[to.as_slice().len()..];
                from.join(rest.strip_prefix(b"/").unwrap_or(rest))
            }
            None => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endings_are_sorted() {
        assert!(NO_DATABASE.is_sorted());
    }

    #[test]
    fn moves_lead_both_ways() {
        let moves = [("/a", "/b"), ("/x/db", "/y/db")].map(|(f, t)| (Bytes::from(f), Bytes::from(t)));
        let picked = Picked { moves: moves.into(), ..Picked::default() };
        for (before, after) in [("/a/c", "/b/c"), ("/a", "/b"), ("/ab", "/ab"), ("/x/db", "/y/db"), ("/z", "/z")] {
            assert_eq!(picked.after(&before.into()), Bytes::from(after));
            assert_eq!(picked.before(&after.into()), Bytes::from(before));
        }
    }
}
