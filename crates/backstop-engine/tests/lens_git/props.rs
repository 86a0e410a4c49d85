//! What holds whatever bytes stand in one of git's own files. Shared with the fuzzer (`fuzz/`), which
//! calls `holds`. The first byte picks the file, the second the side and what the run did; the rest is
//! what the file holds. Git itself makes the repository once; the fuzzed bytes it never sees.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;
use backstop_engine::Side;
use backstop_engine::facts::Sides;
use backstop_engine::facts::git::{Limits, Lost, Watch, look};

use crate::scene::Scene;
use crate::sight::Sight;

/// Packed and loose objects with deltas, a merge, a stash, a worktree, ignored and changed files.
const BEFORE: &str = r#"
git init -q app && cd app
seq 1 400 > big; printf '*.log\n!keep.log\nbuild/\n' > .gitignore; mkdir src; echo a > src/a; save one
seq 2 401 > big; save two; git branch topic; echo b > src/b; save three
git checkout -q topic; echo c > src/c; save four; git checkout -q main; git merge -q --no-edit topic
git gc -q; echo d > src/d; save five; echo e >> src/a; git stash -q
echo f >> src/a; echo g > new; echo h > x.log; git tag -a -m t v1; git worktree add -q ../other topic
"#;

/// What a run does to it: everything goes, or a branch is moved back.
const RUNS: [&str; 2] = ["rm -rf app other", "cd app && git reset -q --hard HEAD~2 && git stash drop -q"];

/// The files whose bytes are fuzzed, by their end.
const FILES: [&str; 12] = [
    ".git/index",
    ".pack",
    ".idx",
    ".git/packed-refs",
    ".git/HEAD",
    ".git/config",
    ".git/logs/refs/stash",
    ".git/refs/heads/main",
    ".gitignore",
    ".git/info/exclude",
    "other/.git",
    "commit-graph",
];

struct Stage {
    scene: Scene,
    /// Per file of `FILES` its place; none where this git writes none.
    places: Vec<Option<PathBuf>>,
}

fn stages() -> &'static [Stage; 2] {
    static STAGES: OnceLock<[Stage; 2]> = OnceLock::new();
    STAGES.get_or_init(|| {
        RUNS.map(|run| {
            let scene = Scene::play(BEFORE, run);
            let mut all = Vec::new();
            files(&scene.trees.before, &mut all);
            let places = FILES.map(|end| all.iter().find(|f| f.to_str().is_some_and(|f| f.ends_with(end))).cloned());
            Stage { scene, places: places.to_vec() }
        })
    })
}

fn files(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, all);
        } else {
            all.push(path);
        }
    }
    all.sort();
}

/// Both sides, with other bytes in one file of one of them.
struct Forged<'a> {
    stage: &'a Stage,
    place: Bytes,
    after: bool,
    bytes: &'a Path,
}

impl Sides for Forged<'_> {
    fn open(&self, path: &Bytes, side: Side) -> io::Result<Option<File>> {
        let there = self.stage.scene.trees.open(path, side)?;
        if *path == self.place && (side == Side::After) == self.after && there.is_some() {
            return File::open(self.bytes).map(Some);
        }
        Ok(there)
    }

    fn list(&self, path: &Bytes, side: Side) -> io::Result<Option<Vec<(Bytes, FileType)>>> {
        self.stage.scene.trees.list(path, side)
    }
}

/// Looks, and asks what can be asked of what was seen.
pub fn holds(data: &[u8]) {
    let [file, how, bytes @ ..] = data else { return };
    let stage = &stages()[usize::from(how & 1)];
    let Some(place) = &stage.places[usize::from(*file) % FILES.len()] else { return };
    let trees = &stage.scene.trees;
    let place = Bytes::from(trees.work.join(place.strip_prefix(&trees.before).expect("before")));
    let mut path = std::env::temp_dir();
    path.push(format!("backstop-forged-{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::write(&path, bytes).expect("written");
    let forged = Forged { stage, place, after: how & 2 != 0, bytes: &path };
    let mut counted = Counted { files: 0, work: Bytes::from(trees.work.as_path()) };
    let seen = look(&stage.scene.effects, &forged, &Limits::default(), &|_| false, &mut counted);
    let files = counted.files;
    fs::remove_file(&path).expect("removed");
    assert!(files < 10_000, "{files} of a few are lost");
    for text in seen.told.iter().map(|t| &t.text).chain(&seen.incomplete) {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
}

/// Counts what is lost.
struct Counted {
    files: u64,
    work: Bytes,
}

impl Watch for Counted {
    fn dir(&mut self, _: &Bytes, _: &[(Bytes, FileType)]) {}

    fn file(&mut self, lost: &Lost, _: Option<&File>) {
        assert!(lost.path.is_beneath(self.work.as_slice()), "{}", lost.path.quoted());
        self.files += lost.files;
    }
}

/// What the lens sees where nothing is forged.
pub fn as_it_is() -> Vec<Sight> {
    stages().iter().map(|s| s.scene.look(&Limits::default(), &[])).collect()
}

/// The bytes that stand in each file to begin with, as a fuzzer takes them.
pub fn genuine() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (how, stage) in stages().iter().enumerate() {
        for (n, place) in stage.places.iter().enumerate() {
            let Some(place) = place else { continue };
            all.push([&[n as u8, how as u8][..], &fs::read(place).expect("a file")].concat());
        }
    }
    all
}
