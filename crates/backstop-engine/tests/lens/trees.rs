//! Takes a case, builds both of its trees in a temporary directory, and tells their differences as a
//! ledger would. Reads them as `Sides` does: no link is followed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Aspect, Effect, EffectSet, FileType, Kind, Node, Tally};
use backstop_core::time::Timestamp;
use backstop_engine::Side;
use backstop_engine::facts::Sides;

use super::case::{Case, Step};

/// Runs a script in a database; killed, it leaves what a program that dies leaves.
const PYTHON: &str = "
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('pragma synchronous=off')
for part in sys.argv[2].split(';\\n'):
    if part.strip(): c.execute(part).fetchall()
if sys.argv[3] == 'killed': os._exit(0)
c.close()
";

pub struct Trees {
    dir: tempfile::TempDir,
}

impl Trees {
    pub fn build(case: &Case) -> Self {
        let trees = Self { dir: tempfile::tempdir().unwrap() };
        let (before, after) = (trees.root(Side::Before), trees.root(Side::After));
        fs::create_dir(&before).unwrap();
        case.before.iter().for_each(|step| act(&before, step));
        let copied = Command::new("cp").arg("-a").args([&before, &after]).status().unwrap();
        assert!(copied.success());
        case.after.iter().for_each(|step| act(&after, step));
        trees
    }

    /// Runs a script with the tree before and a word; gives what it prints.
    pub fn python(&self, script: &str, word: &str) -> String {
        let mut python = Command::new("python3");
        let done = python.args(["-c", script]).arg(self.root(Side::Before)).arg(word).output().unwrap();
        assert!(done.status.success(), "{}", done.stderr.escape_ascii());
        String::from_utf8(done.stdout).unwrap()
    }

    /// The effects of one file being deleted; it is on no side but the first.
    pub fn deleted(&self, path: &Bytes) -> EffectSet {
        let effects = vec![effect(Kind::Delete, path, self.node(path, Side::Before), None)];
        EffectSet { effects, ..EffectSet::default() }
    }

    /// The effects of one file having other content.
    pub fn changed(&self, path: &Bytes) -> EffectSet {
        let (before, after) = (self.node(path, Side::Before), self.node(path, Side::After));
        EffectSet { effects: vec![effect(Kind::Change, path, before, after)], ..EffectSet::default() }
    }

    fn root(&self, side: Side) -> PathBuf {
        self.dir.path().join(match side {
            Side::Before => "before",
            Side::After => "after",
        })
    }

    /// Where a path lies.
    pub fn at(&self, path: &Bytes, side: Side) -> PathBuf {
        self.root(side).join(path.as_path().strip_prefix("/").unwrap())
    }

    /// No component of a real place is a link.
    fn real(&self, path: &Bytes, side: Side) -> Option<PathBuf> {
        let mut here = self.root(side);
        for part in path.as_path().strip_prefix("/").unwrap() {
            here.push(part);
            if fs::symlink_metadata(&here).ok()?.is_symlink() {
                return None;
            }
        }
        Some(here)
    }

    /// The differences, each kind as the ledger names it.
    pub fn effects(&self, case: &Case) -> EffectSet {
        let mut effects = Vec::new();
        let moves: Vec<(Bytes, Bytes)> = case
            .after
            .iter()
            .filter_map(|s| match s {
                Step::Move { from, to } => Some((from.as_str().into(), to.as_str().into())),
                _ => None,
            })
            .collect();
        for (from, to) in &moves {
            let mut e = effect(Kind::Rename, to, self.node(from, Side::Before), self.node(to, Side::After));
            e.from = Some(from.clone());
            effects.push(e);
        }
        self.differences(&"/".into(), &moves, &mut effects);
        effects.sort_by(|a, b| a.path.cmp(&b.path));
        EffectSet { effects, ..EffectSet::default() }
    }

    fn differences(&self, dir: &Bytes, moves: &[(Bytes, Bytes)], effects: &mut Vec<Effect>) {
        let names =
            |side| fs::read_dir(self.at(dir, side)).into_iter().flatten().map(|e| Bytes::from(e.unwrap().file_name()));
        let all: BTreeSet<Bytes> = names(Side::Before).chain(names(Side::After)).collect();
        for name in all {
            let path = dir.join(name.as_slice());
            if moves.iter().any(|(from, to)| path == *from || path == *to) {
                continue;
            }
            let (before, after) = (self.node(&path, Side::Before), self.node(&path, Side::After));
            let types = (before.as_ref().map(|n| n.file_type), after.as_ref().map(|n| n.file_type));
            let kind = match types {
                (Some(FileType::Dir), Some(FileType::Dir)) => {
                    self.differences(&path, moves, effects);
                    continue;
                }
                (None, _) => Kind::Create,
                (_, None) => Kind::Delete,
                (Some(FileType::File), Some(FileType::File)) => {
                    let read = |side| fs::read(self.at(&path, side)).unwrap();
                    if read(Side::Before) == read(Side::After) {
                        continue;
                    }
                    Kind::Change
                }
                (Some(FileType::Symlink), Some(FileType::Symlink))
                    if before.as_ref().unwrap().target == after.as_ref().unwrap().target =>
                {
                    continue;
                }
                _ => Kind::Replace,
            };
            let mut e = effect(kind, &path, before, after);
            if types.0 == Some(FileType::Dir) {
                e.beneath = Some(Tally::default());
            }
            effects.push(e);
            if types.1 == Some(FileType::Dir) {
                self.differences(&path, moves, effects);
            }
        }
    }

    fn node(&self, path: &Bytes, side: Side) -> Option<Node> {
        let at = self.at(path, side);
        let m = fs::symlink_metadata(&at).ok()?;
        Some(Node {
            content: None,
            ctime: Timestamp::new(0, 0),
            dev: m.dev(),
            gid: m.gid(),
            ino: m.ino(),
            mode: m.mode() & 0o7777,
            mtime: Timestamp::new(0, 0),
            nlink: 1,
            rdev: None,
            size: m.len(),
            target: fs::read_link(&at).ok().map(Bytes::from),
            file_type: FileType::from_mode(m.mode()),
            uid: m.uid(),
        })
    }
}

fn effect(kind: Kind, path: &Bytes, before: Option<Node>, after: Option<Node>) -> Effect {
    Effect {
        after,
        aspects: if kind == Kind::Change { vec![Aspect::Content] } else { Vec::new() },
        before,
        beneath: None,
        from: None,
        kind,
        linked_elsewhere: 0,
        mount: 0,
        open_by: Vec::new(),
        path: path.clone(),
        undoable: true,
        xattrs: Vec::new(),
    }
}

/// Does a step beneath `root`, and nowhere else.
fn act(root: &Path, step: &Step) {
    let at = |path: &str| {
        let at = root.join(path.strip_prefix('/').expect("paths of a case are absolute"));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        at
    };
    match step {
        Step::Write { path, content } => fs::write(at(path), content).unwrap(),
        Step::Link { path, target } => {
            let at = at(path);
            if fs::symlink_metadata(&at).is_ok() {
                remove(&at);
            }
            symlink(target, at).unwrap();
        }
        Step::Gone { path } => remove(&at(path)),
        Step::Move { from, to } => fs::rename(at(from), at(to)).unwrap(),
        Step::Sql { path, script, killed } => {
            let mut python = Command::new("python3");
            python.args(["-c", PYTHON]).arg(at(path)).arg(script).arg(if *killed { "killed" } else { "" });
            let done = python.output().unwrap();
            assert!(done.status.success(), "{path}: {}", done.stderr.escape_ascii());
        }
    }
}

fn remove(at: &Path) {
    match fs::symlink_metadata(at).unwrap().is_dir() {
        true => fs::remove_dir_all(at).unwrap(),
        false => fs::remove_file(at).unwrap(),
    }
}

impl Sides for Trees {
    fn open(&self, path: &Bytes, side: Side) -> io::Result<Option<File>> {
        match self.real(path, side) {
            Some(at) if at.is_file() => File::open(at).map(Some),
            _ => Ok(None),
        }
    }

    fn list(&self, path: &Bytes, side: Side) -> io::Result<Option<Vec<(Bytes, FileType)>>> {
        let Some(at) = self.real(path, side).filter(|at| at.is_dir()) else { return Ok(None) };
        let mut names = Vec::new();
        for entry in fs::read_dir(at)? {
            let entry = entry?;
            names.push((Bytes::from(entry.file_name()), FileType::from_mode(entry.path().symlink_metadata()?.mode())));
        }
        Ok(Some(names))
    }
}
