//! Breaks Backstop at one named moment and looks at what is left. Takes a scenario, a verb and a
//! fault; gives what broke, in words. The fault points themselves are the engine's (feature `faults`).

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::case::Case;
use crate::claims::{Stamp, capture, inodes, same};
use crate::ground::{Ground, Ran};
use crate::images::{FsKind, Image};
use crate::tree::Tree;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// `backstop run`, from the rehearsal on.
    Run,
    /// `backstop commit` of a held run.
    Commit,
    /// `backstop undo`.
    Undo,
    /// `backstop redo`.
    Redo,
}

impl Breaks {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Run, Self::Commit, Self::Undo, Self::Redo];

    /// What is typed; nothing for `run`, which needs a command too.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Run => &[],
            Self::Commit => &["commit", "@last"],
            Self::Undo => &["undo", "@last"],
            Self::Redo => &["redo", "@last"],
        }
    }

    /// The states that say "before" and the one that says "after".
    const fn states(self) -> (&'static [&'static str], &'static str) {
        match self {
            // Cut off so early that not even the record was there, there is no run at all.
            Self::Run => (&["", "held", "failed", "discarded", "rehearsing"], "committed"),
            Self::Commit => (&["held"], "committed"),
            Self::Undo => (&["committed"], "undone"),
            Self::Redo => (&["undone"], "committed"),
        }
    }
}

/// A tree, what is done to it, and whether part of it lies on a second file system (`vol`).
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What is done.
    pub case: Case,
    /// True when `vol` is a mount.
    pub second: bool,
}

/// A scenario made ready: everything before the verb that is to be broken.
#[derive(Debug)]
pub struct Ready<'a> {
    ground: &'a Ground,
    verb: Breaks,
    dir: PathBuf,
    list: PathBuf,
    from: Tree,
    to: Option<Tree>,
    start: SystemTime,
    exact: bool,
    second: Option<Image>,
}

/// What a person wrote into a file after a crash: the object, and all of its content since.
#[derive(Debug)]
pub struct Edit {
    path: PathBuf,
    object: (u64, u64),
    content: Vec<u8>,
}

/// Which of the two trees was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// As before the verb.
    Before,
    /// As after it.
    After,
}

impl<'a> Ready<'a> {
    /// Makes a scenario ready for a verb. `to` is the tree of an undisturbed commit, where known.
    pub fn make(ground: &'a Ground, scenario: &Scenario, verb: Breaks, to: Option<&Tree>) -> Result<Self, String> {
        let io = |e: std::io::Error| format!("the harness failed: {e}");
        ground.wipe().map_err(io)?;
        let dir = ground.fresh("ours").map_err(io)?;
        let second = scenario.second.then(|| second_volume(ground, &dir)).transpose().map_err(io)?;
        let setup = ground.list("setup", &scenario.case.setup).map_err(io)?;
        ground.plain(&dir, &setup).map_err(io)?;
        let list = ground.list("ops", &scenario.case.ops).map_err(io)?;
        let (from, start) = (capture(&dir), years_ago());
        let mut ready = Self { ground, verb, dir, list, from, to: to.cloned(), start, exact: false, second };
        match verb {
            Breaks::Run => {}
            Breaks::Commit => {
                ready.expect(75, |r| r.run_with(&["--hold"], None))?;
            }
            Breaks::Undo | Breaks::Redo => {
                ready.expect(0, |r| r.run_with(&[], None))?;
                let after = capture(&ready.dir);
                if verb == Breaks::Undo {
                    ready.to = Some(std::mem::replace(&mut ready.from, after));
                } else {
                    ready.to = Some(after);
                    ready.expect(0, |r| r.say(&["undo", "@last"], None))?;
                    same("the undo before", &ready.from, &capture(&ready.dir), None)?;
                }
            }
        }
        Ok(ready)
    }

    /// The verb, with a fault or without.
    pub fn act(&self, fault: Option<&str>) -> Result<Ran, String> {
        match self.verb {
            Breaks::Run => self.run_with(&[], fault),
            verb => self.say(verb.words(), fault),
        }
    }

    /// `backstop recover`, with a fault or without.
    pub fn recover(&self, fault: Option<&str>) -> Result<Ran, String> {
        self.say(&["recover"], fault)
    }

    /// Takes what is there now as the tree after the verb, exactly so, times and all.
    pub fn after_is_now(&mut self) {
        self.to = Some(self.now());
        self.exact = true;
    }

    /// The verb as a process of its own that stops at a point.
    pub fn stopping(&self, point: usize) -> Result<std::process::Child, String> {
        let mut command = self.ground.direct(&self.dir).map_err(|e| e.to_string())?;
        command.env("BACKSTOP_FAULT", format!("stop:{point}")).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(self.verb.words()).spawn().map_err(|e| e.to_string())
    }

    /// The tree that is there now.
    pub fn now(&self) -> Tree {
        capture(&self.dir)
    }

    /// The objects that are there now.
    pub fn stamps(&self) -> Result<std::collections::BTreeMap<PathBuf, Stamp>, String> {
        inodes(&self.dir)
    }

    /// Adds a line to every regular file that `which` picks by its place in the order of paths, as a person
    /// would who comes by after a crash.
    pub fn edit(&self, which: impl Fn(usize, usize) -> bool) -> Result<Vec<Edit>, String> {
        let io = |e: std::io::Error| format!("the harness failed: {e}");
        let mut files = files(&self.dir).map_err(io)?;
        let mut seen = std::collections::BTreeSet::new();
        files.retain(|(_, object)| seen.insert(*object));
        let all = files.len();
        let mut edits = Vec::new();
        for (n, (path, object)) in files.into_iter().enumerate().filter(|(n, _)| which(*n, all)) {
            let mut file = fs::OpenOptions::new().append(true).open(&path).map_err(io)?;
            std::io::Write::write_all(&mut file, format!("a person's line {n}\n").as_bytes()).map_err(io)?;
            let content = fs::read(&path).map_err(io)?;
            edits.push(Edit { path, object, content });
        }
        Ok(edits)
    }

    /// Checks that every edit is still in the tree, in the object that it was made in.
    pub fn keeps(&self, edits: &[Edit]) -> Result<(), String> {
        let files = files(&self.dir).map_err(|e| format!("the harness failed: {e}"))?;
        for edit in edits {
            let Some((path, _)) = files.iter().find(|(_, object)| *object == edit.object) else {
                return Err(format!("what a person wrote into {} is gone from the tree", edit.path.display()));
            };
            if fs::read(path).map_err(|e| e.to_string())? != edit.content {
                return Err(format!("what a person wrote into {} was written over", edit.path.display()));
            }
        }
        Ok(())
    }

    /// Which tree is there: exactly before, or exactly after (new times are new in any way).
    pub fn found(&self) -> Result<Found, String> {
        let now = self.now();
        let before = same("before", &self.from, &now, None);
        if before.is_ok() {
            return Ok(Found::Before);
        }
        // What a commit brings has the times of its own rehearsal, which no other run has.
        let since = (!self.exact && matches!(self.verb, Breaks::Run | Breaks::Commit)).then_some(self.start);
        match &self.to {
            Some(to) => same("after", to, &now, since)
                .map(|()| Found::After)
                .map_err(|e| format!("between before and after:\n{}\n{e}", before.err().unwrap_or_default())),
            None => Ok(Found::After),
        }
    }

    /// The length of every regular file that is there now, sorted.
    pub fn contents(&self) -> Result<Vec<u64>, String> {
        let io = |e: std::io::Error| format!("the harness failed: {e}");
        let files = files(&self.dir).map_err(io)?;
        let mut all: Vec<u64> =
            files.iter().map(|(path, _)| Ok(fs::metadata(path)?.len())).collect::<std::io::Result<_>>().map_err(io)?;
        all.sort_unstable();
        Ok(all)
    }

    /// The state of the newest run.
    pub fn state(&self) -> Result<String, String> {
        Ok(first_state(&self.say(&["runs", "--json"], None)?.stdout).to_owned())
    }

    /// Checks that the run's state says which tree is there.
    pub fn state_says(&self, found: Found) -> Result<(), String> {
        let state = self.state()?;
        let state = state.as_str();
        let (before, after) = self.verb.states();
        let right = match found {
            Found::Before => before.contains(&state),
            Found::After => state == after,
        };
        if right { Ok(()) } else { Err(format!("the tree is as {found:?}, but the run's state is {state:?}")) }
    }

    /// `backstop audit verify` has to be content.
    pub fn audit_holds(&self) -> Result<(), String> {
        self.expect(0, |r| r.say(&["audit", "verify"], None)).map(|_| ())
    }

    fn run_with(&self, options: &[&str], fault: Option<&str>) -> Result<Ran, String> {
        let mut command = self.ground.run_command(&self.dir, options, &self.list).map_err(|e| e.to_string())?;
        finish(&mut command, fault)
    }

    /// `backstop ARGS`.
    pub fn say(&self, args: &[&str], fault: Option<&str>) -> Result<Ran, String> {
        let mut command = self.ground.backstop(&self.dir).map_err(|e| e.to_string())?;
        finish(command.args(args), fault)
    }

    /// Runs something that has to end with a code.
    pub fn expect(&self, code: i32, act: impl FnOnce(&Self) -> Result<Ran, String>) -> Result<Ran, String> {
        let ran = act(self)?;
        if ran.code == code { Ok(ran) } else { Err(format!("expected exit {code}: {ran}")) }
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if let Some(second) = self.second.take()
            && let Err(e) = second.unmount()
        {
            eprintln!("{e}");
        }
    }
}

/// Every regular file below a directory, in the order of paths, with its device and inode.
fn files(dir: &Path) -> std::io::Result<Vec<(PathBuf, (u64, u64))>> {
    let mut found = Vec::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            // The vault of a second volume is none of a person's business.
            if meta.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".backstop-") {
                rest.push(entry.path());
            } else if meta.is_file() {
                found.push((entry.path(), (meta.dev(), meta.ino())));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn finish(command: &mut Command, fault: Option<&str>) -> Result<Ran, String> {
    if let Some(fault) = fault {
        command.env("BACKSTOP_FAULT", fault);
    }
    command.output().map(Ran::from).map_err(|e| e.to_string())
}

/// Every scenario begins with a tree that is older than this; what is newer was made by a run, and no
/// two runs give the same times.
fn years_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)
}

/// Mounts a second file system at `dir/vol`.
fn second_volume(ground: &Ground, dir: &Path) -> std::io::Result<Image> {
    let file = ground.desk().join("second.img");
    if file.exists() {
        fs::remove_file(&file)?;
    }
    let made = Image::make(FsKind::Ext4, ground.desk(), "second", 16)?;
    made.unmount()?;
    let image = Image::mount(FsKind::Ext4, &file, dir, "vol")?;
    // Made by the first run on a volume, once and for all: no part of what a run does to the tree.
    fs::DirBuilder::new().mode(0o700).create(image.point().join(".backstop-0"))?;
    Ok(image)
}

/// The state of the newest run, from `backstop runs --json`; empty when there is none.
fn first_state(json: &str) -> &str {
    json.split_once("\"state\":")
        .map_or("", |(_, rest)| rest.trim_start().trim_start_matches('"').split('"').next().unwrap_or(""))
}

/// Waits until a process stands still (true) or has ended (false).
pub fn stands_still(child: &mut std::process::Child) -> Result<bool, String> {
    let stat = format!("/proc/{}/stat", child.id());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::time::Instant::now() < end {
        if child.try_wait().map_err(|e| e.to_string())?.is_some() {
            return Ok(false);
        }
        let text = fs::read_to_string(&stat).unwrap_or_default();
        if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err("neither stopped nor ended".to_owned())
}

/// Builds Backstop with fault points, once; or takes `BACKSTOP_FAULTS_BIN`.
pub fn faults_bin() -> PathBuf {
    if let Some(path) = std::env::var_os("BACKSTOP_FAULTS_BIN") {
        return PathBuf::from(path);
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let target = project.join("target/faults");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "backstop", "-p", "backstop-engine", "--bins", "--features", "faults"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(project)
        .status()
        .expect("cargo");
    assert!(status.success(), "backstop does not build with the feature `faults`");
    target.join("debug/backstop")
}

/// What is broken at every point: small trees, each with another kind of plan.
pub fn scenarios() -> Vec<Scenario> {
    let all: [(&'static str, bool, &str); 6] = [
        (
            "mixed",
            false,
            "setup
             mkdir a 493
             create a/f 3000 1
             create a/g 100 2
             create b 5000 3
             mkdir d 493
             create d/x 10 4
             symlink b l
             set-xattr b user.a 10 1
             age . 1
             ops
             create new 700 5
             append b 100 6
             save a/f 2000 7
             unlink a/g
             mkdir n 448
             create n/deep 12 8
             chmod d 448
             unlink l
             symlink new l
             rename d e",
        ),
        (
            "delete-directory",
            false,
            "setup
             mkdir a 493
             mkdir a/b 448
             create a/b/c 4000 1
             create a/d 10 2
             link a/d keep
             fifo a/p 420
             age . 2
             ops
             rm-tree a",
        ),
        (
            "rename-chain",
            false,
            "setup
             mkdir a 493
             create a/x 10 1
             mkdir b 493
             create b/y 20 2
             create c 30 3
             age . 3
             ops
             rename a t
             rename b a
             rename t b
             rename c a/y
             rename b d
             mkdir b 493
             create b/z 5 4",
        ),
        (
            "write-into-links",
            false,
            "setup
             create a 9000 1
             link a b
             mkdir d 493
             link a d/c
             create e 100 2
             age . 4
             ops
             append b 500 3
             overwrite e 50 20 4
             truncate e 60
             link a f
             unlink d/c",
        ),
        (
            "metadata",
            false,
            "setup
             mkdir a 493
             create a/f 5000 1
             create g 10 2
             link g h
             age . 5
             ops
             chmod a/f 384
             chown g 5 6
             set-xattr a user.x 20 1
             acl a/f 1234 6
             default-acl a 1234 5
             times h 1000000000 5
             chmod a 1517",
        ),
        (
            "two-volumes",
            true,
            "setup
             mkdir vol/a 493
             create vol/a/f 3000 1
             create vol/g 10 2
             create here 200 3
             mkdir d 493
             create d/x 10 4
             age . 6
             ops
             copy vol/a/f moved
             rm-tree vol/a
             append here 10 5
             create vol/new 300 6
             rename d e
             append vol/g 5 7",
        ),
    ];
    all.into_iter()
        .map(|(name, second, text)| Scenario { name, case: Case::parse(text).expect("a scenario"), second })
        .collect()
}
