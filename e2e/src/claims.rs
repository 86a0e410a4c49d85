//! Plays a case and tells whether the claims hold: committed is as plain, held and discarded is as
//! before, undone is as before, redone is as after. Gives a verdict or what broke, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::case::Case;
use crate::ground::{Ground, Ran, User};
use crate::tree::{CaptureOpts, DiffOpts, Kind, Tree, shown};

mod known;

/// How a case ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every claim held.
    Held,
    /// Nothing changed, so there was nothing to undo.
    NoEffect,
    /// The run was not committed by itself (allowed unprivileged only); the tree is as before.
    Kept(String),
    /// The program saw a documented difference, so the trees need not be the same; the other claims
    /// held.
    Known(&'static str),
}

/// Codes of `backstop run` that are its own.
const HELD: i32 = 75;
const DENIED: i32 = 77;

/// Plays a case; `Err` says which claim broke and how.
pub fn play(ground: &Ground, case: &Case) -> Result<Verdict, String> {
    let result = Play { ground, case }.all();
    ground.wipe().map_err(|e| format!("cannot clean up after the case: {e}"))?;
    result
}

/// Plays a case twice without Backstop: what is found then is the harness's own fault.
pub fn play_plain(ground: &Ground, case: &Case) -> Result<(), String> {
    let play = Play { ground, case };
    let result = play.two_trees().and_then(|(one, two)| {
        let start = lately();
        let list = play.list()?;
        let (a, b) = (play.io(ground.plain(&one, &list))?, play.io(ground.plain(&two, &list))?);
        same_output(&a, &b)?;
        same("two plain runs", &capture(&one), &capture(&two), Some(start))
    });
    ground.wipe().map_err(|e| format!("cannot clean up after the case: {e}"))?;
    result
}

struct Play<'a> {
    ground: &'a Ground,
    case: &'a Case,
}

impl Play<'_> {
    fn io<T>(&self, result: io::Result<T>) -> Result<T, String> {
        result.map_err(|e| format!("the harness failed: {e}"))
    }

    fn list(&self) -> Result<PathBuf, String> {
        self.io(self.ground.list("ops", &self.case.ops))
    }

    /// Two trees made by the same operations.
    fn two_trees(&self) -> Result<(PathBuf, PathBuf), String> {
        let (one, two) = (self.io(self.ground.fresh("plain"))?, self.io(self.ground.fresh("ours"))?);
        let list = self.io(self.ground.list("setup", &self.case.setup))?;
        let (a, b) = (self.io(self.ground.plain(&one, &list))?, self.io(self.ground.plain(&two, &list))?);
        same_output(&a, &b)?;
        same("the two trees to begin with", &capture(&one), &capture(&two), Some(SystemTime::UNIX_EPOCH))?;
        Ok((one, two))
    }

    fn all(&self) -> Result<Verdict, String> {
        let (plain, ours) = self.two_trees()?;
        let list = self.list()?;
        let before = capture(&ours);

        let objects = inodes(&plain)?;
        let start = lately();
        let expected = self.io(self.ground.plain(&plain, &list))?;
        let after_plain = capture(&plain);
        let kept_plain = kept(&objects, &inodes(&plain)?);

        let stamps = inodes(&ours)?;
        self.hold_and_discard(&ours, &list, &before, &stamps, &expected)?;

        let mut ran = self.io(self.ground.run(&ours, &[], &list))?;
        if ran.code == DENIED && known::denies(&ran.stderr) {
            same("denied by policy", &before, &capture(&ours), None)?;
            return Ok(Verdict::Kept(known::reason(&ran.stderr)));
        }
        if ran.code == HELD && expected.code != HELD {
            same("held by policy", &before, &capture(&ours), None)?;
            // Policy asks about names that it can't see, so a person says yes; what an unprivileged
            // rehearsal can't tell stays held.
            if self.ground.user == User::Plain {
                return Ok(Verdict::Kept(known::reason(&ran.stderr)));
            }
            if !known::asks(&ran.stderr) {
                return Err(format!("held, though everything was inside the workspace and can be undone:\n{ran}"));
            }
            let committed = self.io(self.ground.say(&ours, &["commit", "@last"]))?;
            if committed.code != 0 {
                return Err(format!("a held run is not committed: {committed}"));
            }
            ran.code = expected.code;
        }
        let after = capture(&ours);
        let mut verdict = Verdict::Held;
        match same_output(&expected, &ran) {
            Ok(()) if self.links_break((&objects, &inodes(&plain)?), (&before, &after_plain, &after), start) => {
                verdict =
                    Verdict::Known("what an unprivileged rehearsal changes through one hard link, others do not show");
            }
            Ok(()) => {
                same("committed, against plain", &in_sight(&after_plain), &in_sight(&after), Some(start))
                    .map_err(|e| format!("{e}\n{ran}"))?;
                if self.ground.user == User::Root {
                    same_objects(&kept_plain, &kept(&stamps, &inodes(&ours)?))?;
                }
            }
            Err(e) => match known::difference(self.ground.user, &expected, &ran) {
                Some(why) => verdict = Verdict::Known(why),
                None => return Err(e),
            },
        }
        self.undo_and_redo(&ours, &before, &after, verdict)
    }

    /// An unprivileged overlay breaks the links of what it copies up, and leaves no mark of it when the
    /// name is moved or deleted later: then neither the program nor Backstop sees the other names.
    /// So only names of files that had several, before or by this run, may differ; all else is as plain.
    fn links_break(
        &self,
        (was, now): (&BTreeMap<PathBuf, Stamp>, &BTreeMap<PathBuf, Stamp>),
        (before, plain, ours): (&Tree, &Tree, &Tree),
        start: SystemTime,
    ) -> bool {
        if self.ground.user != User::Plain || same("", &in_sight(plain), &in_sight(ours), Some(start)).is_ok() {
            return false;
        }
        let path = |p: &Path| p.as_os_str().as_encoded_bytes().to_vec();
        let linked = |tree: &Tree, p: &[u8]| tree.entries.get(p).is_some_and(|e| !e.link_group.is_empty());
        let several: BTreeSet<u64> =
            was.iter().filter(|(p, _)| linked(before, &path(p))).map(|(_, stamp)| stamp.ino).collect();
        // By their inodes, since what had several names may have one by now, and another.
        let by_inode = now.iter().filter(|(_, stamp)| several.contains(&stamp.ino)).map(|(p, _)| path(p));
        let mut excused: BTreeSet<Vec<u8>> = by_inode.collect();
        for tree in [before, plain, ours] {
            excused.extend(tree.entries.keys().filter(|p| linked(tree, p)).cloned());
        }
        let but = |tree: &Tree| {
            let mut tree = in_sight(tree);
            tree.entries.retain(|p, _| !excused.contains(p));
            tree
        };
        same("", &but(plain), &but(ours), Some(start)).is_ok()
    }

    fn hold_and_discard(
        &self,
        ours: &Path,
        list: &Path,
        before: &Tree,
        stamps: &BTreeMap<PathBuf, Stamp>,
        expected: &Ran,
    ) -> Result<(), String> {
        let held = self.io(self.ground.run(ours, &["--hold"], list))?;
        same("held", before, &capture(ours), None).map_err(|e| format!("{e}\n{held}"))?;
        same_stamps("held", stamps, &inodes(ours)?)?;
        if held.code == HELD {
            let discarded = self.io(self.ground.say(ours, &["discard", "@last"]))?;
            if discarded.code != 0 {
                return Err(format!("discard failed: {discarded}"));
            }
            same("discarded", before, &capture(ours), None)?;
            same_stamps("discarded", stamps, &inodes(ours)?)?;
        } else if held.code != expected.code
            && self.ground.user == User::Root
            && !(held.code == DENIED && known::denies(&held.stderr))
        {
            return Err(format!("--hold neither held nor found no effect (plain: {}): {held}", expected.code));
        }
        Ok(())
    }

    fn undo_and_redo(&self, ours: &Path, before: &Tree, after: &Tree, verdict: Verdict) -> Result<Verdict, String> {
        let undone = self.io(self.ground.say(ours, &["undo", "@last"]))?;
        if undone.code != 0 {
            return if before.diff(after, &DiffOpts::default()).is_empty() {
                Ok(Verdict::NoEffect)
            } else {
                Err(format!("undo failed: {undone}"))
            };
        }
        same("undone", before, &capture(ours), None)?;
        let redone = self.io(self.ground.say(ours, &["redo", "@last"]))?;
        if redone.code != 0 {
            return Err(format!("redo failed: {redone}"));
        }
        same("redone", after, &capture(ours), None)?;
        let again = self.io(self.ground.say(ours, &["undo", "@last"]))?;
        if again.code != 0 {
            return Err(format!("the second undo failed: {again}"));
        }
        same("undone again", before, &capture(ours), None)?;
        let verified = self.io(self.ground.say(ours, &["audit", "verify"]))?;
        if verified.code != 0 {
            return Err(format!("the audit log of all this doesn't hold: {verified}"));
        }
        Ok(verdict)
    }
}

/// A moment that lies before all that follows. Times of files come from a clock that ticks up to ten
/// milliseconds behind, and the trees to begin with are years old.
pub fn lately() -> SystemTime {
    SystemTime::now() - Duration::from_secs(1)
}

/// Captures a tree with every hole and every time.
///
/// Where files share blocks (xfs, btrfs), what is written to shared ones is given room in pieces of up
/// to 128 KiB for a while, and that counts as data: there, smaller holes are not looked at.
pub fn capture(dir: &Path) -> Tree {
    // (btrfs also keeps short files inside their inode, where no hole can be.)
    const PIECE: u64 = 1 << 17;
    // A second volume has its vault in its own root.
    let mut tree = Tree::capture(dir, CaptureOpts { skip: vec![b"vol/.backstop-0".to_vec()] });
    if shares_blocks(dir) {
        for entry in tree.entries.values_mut() {
            let Kind::File { data, .. } = &mut entry.kind else { continue };
            let mut coarse: Vec<(u64, u64)> = Vec::new();
            for (from, to) in data.iter().map(|(a, b)| (a / PIECE, b.div_ceil(PIECE))) {
                if to == 1 {
                    continue;
                }
                match coarse.last_mut() {
                    Some(last) if from <= last.1 => last.1 = last.1.max(to),
                    _ => coarse.push((from, to)),
                }
            }
            *data = coarse;
        }
    }
    tree
}

fn shares_blocks(dir: &Path) -> bool {
    const XFS: i64 = 0x5846_5342;
    const BTRFS: i64 = 0x9123_683E;
    rustix::fs::statfs(dir).is_ok_and(|s| [XFS, BTRFS].contains(&s.f_type))
}

/// A tree whose link counts take only names within it: what was deleted is kept in the vault under a
/// name of its own, so a file that loses one of its names keeps its count until the vault lets go.
fn in_sight(tree: &Tree) -> Tree {
    let mut names: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for entry in tree.entries.values().filter(|e| !e.link_group.is_empty()) {
        *names.entry(entry.link_group.clone()).or_default() += 1;
    }
    let mut tree = tree.clone();
    for entry in tree.entries.values_mut().filter(|e| e.links > 0) {
        entry.links = names.get(&entry.link_group).copied().unwrap_or(1);
        if entry.links == 1 {
            entry.link_group.clear();
        }
    }
    tree
}

/// Says how two trees differ, if they do. With `since`, times at or after it are the same.
pub fn same(what: &str, one: &Tree, two: &Tree, since: Option<SystemTime>) -> Result<(), String> {
    let opts = DiffOpts { mtime_since: since, ..DiffOpts::default() };
    let lines = one.diff(two, &opts);
    if lines.is_empty() { Ok(()) } else { Err(format!("{what}: the tree differs:\n  {}", lines.join("\n  "))) }
}

fn same_output(one: &Ran, two: &Ran) -> Result<(), String> {
    // A directory that is not empty: POSIX allows both words, xfs says the first, overlayfs the second.
    let plain = |text: &str| text.replace(": errno 17\n", ": errno 39\n");
    if one.code == two.code && plain(&one.stdout) == plain(&two.stdout) {
        return Ok(());
    }
    let lines: Vec<String> = one
        .stdout
        .lines()
        .zip(two.stdout.lines())
        .filter(|(a, b)| a != b)
        .map(|(a, b)| format!("  plain {a}\n  ours  {b}"))
        .collect();
    Err(format!(
        "the program saw another world: exit {} and {}\n{}\n{}",
        one.code,
        two.code,
        lines.join("\n"),
        two.stderr
    ))
}

/// Which object a name stands for, and when it was last touched in any way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    ino: u64,
    ctime: (i64, i64),
    born: Option<SystemTime>,
}

/// The stamps of a directory and all beneath.
pub fn inodes(dir: &Path) -> Result<BTreeMap<PathBuf, Stamp>, String> {
    fn walk(at: &Path, top: &Path, all: &mut BTreeMap<PathBuf, Stamp>) -> io::Result<()> {
        let meta = fs::symlink_metadata(at)?;
        let stamp = Stamp { ino: meta.ino(), ctime: (meta.ctime(), meta.ctime_nsec()), born: meta.created().ok() };
        all.insert(at.strip_prefix(top).unwrap_or(at).to_owned(), stamp);
        if meta.is_dir() {
            for entry in fs::read_dir(at)? {
                let path = entry?.path();
                if !path.ends_with("vol/.backstop-0") {
                    walk(&path, top, all)?;
                }
            }
        }
        Ok(())
    }
    let mut all = BTreeMap::new();
    walk(dir, dir, &mut all).map_err(|e| format!("the harness failed: {e}"))?;
    Ok(all)
}

fn same_stamps(what: &str, one: &BTreeMap<PathBuf, Stamp>, two: &BTreeMap<PathBuf, Stamp>) -> Result<(), String> {
    for (path, stamp) in one {
        if two.get(path) != Some(stamp) {
            return Err(format!("{what}: {} was touched: {stamp:?} -> {:?}", path.display(), two.get(path)));
        }
    }
    Ok(())
}

/// For every name afterwards, whether its object was there before (inode numbers are given out anew,
/// so the time of birth counts too).
fn kept(before: &BTreeMap<PathBuf, Stamp>, after: &BTreeMap<PathBuf, Stamp>) -> BTreeMap<PathBuf, Option<PathBuf>> {
    let of = |s: &Stamp| before.iter().find(|(_, b)| b.ino == s.ino && b.born == s.born).map(|(p, _)| p.clone());
    after.iter().map(|(path, stamp)| (path.clone(), of(stamp))).collect()
}

/// An object that a plain run leaves the same object has to be the same object after a commit, so
/// that open handles, watchers and further names of it go on.
fn same_objects(
    plain: &BTreeMap<PathBuf, Option<PathBuf>>,
    ours: &BTreeMap<PathBuf, Option<PathBuf>>,
) -> Result<(), String> {
    for (path, was) in plain {
        if was.is_some() && ours.get(path) != Some(was) {
            let name =
                |p: Option<&PathBuf>| p.map_or("a new object".to_owned(), |p| shown(p.as_os_str().as_encoded_bytes()));
            return Err(format!(
                "another object at {}: plain leaves {}, commit {}",
                path.display(),
                name(was.as_ref()),
                name(ours.get(path).and_then(Option::as_ref))
            ));
        }
    }
    Ok(())
}
