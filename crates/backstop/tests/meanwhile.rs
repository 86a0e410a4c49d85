//! What others do while a run waits for an answer or takes effect: their work stays, the run is a
//! conflict, and the next run finds nothing in its way. On the real pipeline, in a scratch directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::request::{Command, Net, Request};
use backstop_core::run::{RunRecord, State};
use backstop_engine::{Answer, Durability, Engine, Person, RunOptions, Settings, Step, UndoOptions, Which};

/// Says yes; does something else on the way.
struct Meanwhile<A: FnMut(), B: FnMut(u64)> {
    asked: A,
    applied: B,
}

impl<A: FnMut(), B: FnMut(u64)> Person for Meanwhile<A, B> {
    fn waiting(&mut self, _: Option<RunId>) {}

    fn progress(&mut self, step: Step, done: u64) {
        if step == Step::Applying {
            (self.applied)(done);
        }
    }

    fn confirm(&mut self, _: &RunRecord, _: &EffectSet) -> Answer {
        (self.asked)();
        Answer::Commit
    }
}

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { dir: tempfile::tempdir().expect("temp") };
        fs::create_dir(scene.at("w")).expect("workspace");
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("real").join(path)
    }

    fn open(&self) -> Engine {
        Engine::open(self.settings()).expect("nothing is in the way")
    }

    fn settings(&self) -> Settings {
        let owner = fs::metadata(self.dir.path()).expect("ours");
        Settings {
            uid: owner.uid(),
            state: self.at("state"),
            home: None,
            homes: Vec::new(),
            scratch: Vec::new(),
            hide: Vec::new(),
            kinds: backstop_engine::law::Kinds::default(),
            force_user: false,
            durability: Durability::Ordered,
            vault_percent: 20,
            vault_age: Duration::from_secs(3_600),
            free_percent: 0,
            upper_limit: None,
            grace: Duration::from_millis(50),
            turn_limit: Duration::from_secs(10),
        }
    }

    fn request(&self, line: &str) -> Request {
        let owner = fs::metadata(self.dir.path()).expect("ours");
        Request {
            command: Command::Line(line.into()),
            cwd: Bytes::from(self.at("w")),
            env_keys: Vec::new(),
            gid: owner.gid(),
            net: Net::None,
            parallel: false,
            profile: "workstation".into(),
            reason: None,
            session: None,
            uid: owner.uid(),
            workspace: Some(Bytes::from(self.at("w"))),
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it is there")
}

#[test]
fn an_edit_made_while_the_question_stands_is_a_conflict() {
    let scene = Scene::new();
    let victim = scene.at("outside");
    fs::write(&victim, "old\n").expect("write");
    let request = scene.request("echo run > ../outside; echo x > inside");
    let edit = || fs::write(&victim, "a person's edit\n").expect("write");
    let mut person = Meanwhile { asked: edit, applied: |_| {} };
    let outcome = scene.open().run(request, &RunOptions::default(), &mut person).expect("a conflict is an outcome");
    assert_eq!(outcome.record.state, State::Held);
    assert!(outcome.effects.conflicts.iter().any(|c| c.path == Bytes::from(victim.clone())));
    assert_eq!(read(&victim), "a person's edit\n");
    assert!(!scene.at("w/inside").exists());
}

#[test]
fn a_conflict_halfway_takes_back_what_was_done_and_only_that() {
    let scene = Scene::new();
    for name in ["a", "b", "c"] {
        fs::write(scene.at("w").join(name), format!("{name} before\n")).expect("write");
    }
    let request = scene.request("rm a b; echo by the run >> c");
    let (a, c) = (scene.at("w/a"), scene.at("w/c"));
    let interfere = |done| {
        if done == 1 {
            let new = scene.at("new");
            fs::write(&new, "a, new\n").and_then(|()| fs::rename(&new, &a)).expect("replaced");
            fs::write(&c, "c, edited\n").expect("edited");
        }
    };
    let mut person = Meanwhile { asked: || {}, applied: interfere };
    let outcome = scene.open().run(request, &RunOptions::default(), &mut person).expect("a conflict is an outcome");
    assert_eq!(outcome.record.state, State::Held);
    assert_eq!(read(&a), "a, new\n", "somebody else's");
    assert_eq!(read(&scene.at("w/b")), "b before\n", "was gone for a moment");
    assert_eq!(read(&c), "c, edited\n", "the run had not come to it, so nothing is taken back there");
    // The journal is closed: the next run is not in its way.
    let mut person = Meanwhile { asked: || {}, applied: |_| {} };
    let next = scene.open().run(scene.request("echo d > d"), &RunOptions::default(), &mut person).expect("runs");
    assert_eq!(next.record.state, State::Committed);
}

#[test]
fn an_edit_made_during_an_undo_stays_and_the_undo_is_taken_back() {
    let scene = Scene::new();
    for name in ["a", "b", "c"] {
        fs::write(scene.at("w").join(name), format!("{name} before\n")).expect("write");
    }
    let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
    let request = scene.request("rm a b; mv c d");
    let run = scene.open().run(request, &RunOptions::default(), &mut nobody).expect("runs").record;
    assert_eq!(run.state, State::Committed);
    let mut put = false;
    let theirs = |_| {
        for name in ["a", "b", "c"] {
            let place = scene.at("w").join(name);
            if !put && !place.exists() {
                fs::write(&place, "a person's\n").expect("write");
                put = true;
            }
        }
    };
    let mut person = Meanwhile { asked: || {}, applied: theirs };
    let report = scene.open().undo(&Which::Runs(vec![run.id]), UndoOptions::default(), &mut person).expect("a report");
    let (_, stopped) = report.stopped.expect("it stopped");
    assert!(stopped.what.contains("something else is there now"), "{}", stopped.what);
    let mut left: Vec<String> = fs::read_dir(scene.at("w"))
        .expect("listed")
        .map(|e| e.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect();
    left.sort();
    assert_eq!(left.len(), 2, "theirs and what the run left: {left:?}");
    assert_eq!(read(&scene.at("w/d")), "c before\n");
    let other = left.iter().find(|n| *n != "d").expect("theirs");
    assert_eq!(read(&scene.at("w").join(other)), "a person's\n");
    assert_eq!(scene.open().record(run.id).expect("a record").state, State::Committed);
}

#[test]
fn what_another_run_did_between_look_and_commit_is_a_conflict() {
    let scene = Scene::new();
    let file = scene.at("w/file");
    fs::write(&file, "old\n").expect("write");
    let outside = scene.at("outside");
    fs::write(&outside, "old\n").expect("write");
    // The question of the first run stands while a second one, beside it, is committed.
    let second = || {
        let request = Request { parallel: true, ..scene.request("echo second > file") };
        let mut yes = Meanwhile { asked: || {}, applied: |_| {} };
        let outcome = scene.open().run(request, &RunOptions::default(), &mut yes).expect("runs");
        assert_eq!(outcome.record.state, State::Committed);
    };
    let mut person = Meanwhile { asked: second, applied: |_| {} };
    let request = scene.request("echo first >> file; echo x > ../outside");
    let outcome = scene.open().run(request, &RunOptions::default(), &mut person).expect("a conflict is an outcome");
    assert_eq!(outcome.record.state, State::Held);
    assert_eq!(read(&file), "second\n");
}
