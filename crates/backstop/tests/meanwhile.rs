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
use backstop_engine::{
    Answer, Button, Durability, Engine, Filter, Offer, Person, RunOptions, Settings, Step, Thaw, UndoOptions, Which,
};

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

/// Asked, does something else first and then answers.
struct Answers<A: FnMut(RunId)> {
    asked: A,
    answer: Answer,
}

impl<A: FnMut(RunId)> Person for Answers<A> {
    fn waiting(&mut self, _: Option<RunId>) {}

    fn progress(&mut self, _: Step, _: u64) {}

    fn confirm(&mut self, record: &RunRecord, _: &EffectSet) -> Answer {
        (self.asked)(record.id);
        self.answer
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
            login: None,
            viewer: None,
            stand_in: None,
            uid: owner.uid(),
            state: self.at("state"),
            home: None,
            homes: Vec::new(),
            homes_of: std::collections::BTreeMap::new(),
            scratch: Vec::new(),
            hide: Vec::new(),
            kinds: backstop_engine::law::Kinds::default(),
            force_user: false,
            durability: Durability::Ordered,
            vault_percent: 20,
            vault_age: Duration::from_secs(3_600),
            free_percent: 0,
            grace: Duration::from_millis(50),
            turn_limit: Duration::from_secs(10),
        }
    }

    /// The audit log tells a story that holds.
    fn audit_holds(&self) {
        let report = backstop_engine::audit::verify(&self.at("state/audit"), &Default::default());
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }

    fn request(&self, line: &str) -> Request {
        let owner = fs::metadata(self.dir.path()).expect("ours");
        Request {
            asker: None,
            by: None,
            command: Command::Line(line.into()),
            cwd: Bytes::from(self.at("w")),
            env_keys: Vec::new(),
            gid: owner.gid(),
            in_place: false,
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
    // The journal is closed, and the log knows that the commit was called off: neither the next run nor
    // the next verb on this one is in its way.
    scene.open().discard(outcome.record.id).expect("it is held");
    scene.audit_holds();
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
    fs::remove_file(scene.at("w").join(other)).expect("made way");
    let report = scene.open().undo(&Which::Runs(vec![run.id]), UndoOptions::default(), &mut nobody).expect("a report");
    assert!(report.stopped.is_none(), "{:?}", report.stopped);
    scene.audit_holds();
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

#[test]
fn what_was_decided_elsewhere_while_the_question_stood_stands() {
    for answer in [Answer::Commit, Answer::Hold, Answer::Discard] {
        let scene = Scene::new();
        let victim = scene.at("outside");
        fs::write(&victim, "old\n").expect("write");
        let elsewhere = |id| {
            let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
            let outcome = scene.open().commit(id, Offer::default(), &mut nobody).expect("it is held");
            assert_eq!(outcome.record.state, State::Committed);
        };
        let mut person = Answers { asked: elsewhere, answer };
        let request = scene.request("echo run > ../outside; rm -f ../outside; echo new > ../outside");
        let run = scene.open().run(request, &RunOptions::default(), &mut person).expect("an outcome").record;
        assert_eq!(run.state, State::Committed, "{answer:?}");
        assert_eq!(scene.open().record(run.id).expect("a record").state, State::Committed);
        assert_eq!(read(&victim), "new\n");
        let which = Which::Runs(vec![run.id]);
        let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
        let report = scene.open().undo(&which, UndoOptions::default(), &mut nobody).expect("a report");
        assert!(report.stopped.is_none(), "{answer:?}: {:?}", report.stopped);
        assert_eq!(read(&victim), "old\n", "{answer:?}: what was kept is still there");
        scene.audit_holds();
    }
}

#[test]
fn what_was_given_up_elsewhere_while_the_question_stood_is_not_committed() {
    let scene = Scene::new();
    let victim = scene.at("outside");
    fs::write(&victim, "old\n").expect("write");
    let elsewhere = |id| drop(scene.open().discard(id).expect("it is held"));
    let mut person = Answers { asked: elsewhere, answer: Answer::Commit };
    let outcome = scene.open().run(scene.request("echo run > ../outside"), &RunOptions::default(), &mut person);
    assert_eq!(outcome.expect("an outcome").record.state, State::Discarded);
    assert_eq!(read(&victim), "old\n");
    scene.audit_holds();
}

#[test]
fn a_run_can_not_be_given_up_while_it_is_committed() {
    let scene = Scene::new();
    let file = scene.at("w/file");
    fs::write(&file, "old\n").expect("write");
    let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
    let held = RunOptions { hold: true, ..RunOptions::default() };
    let request = scene.request("rm file; echo new > other");
    let id = scene.open().run(request, &held, &mut nobody).expect("runs").record.id;
    let (mut one, mut two) = (scene.open(), scene.open());
    std::thread::scope(|scope| {
        let mut other = Some(move || two.discard(id));
        let mut discarding = None;
        let meanwhile = |_| {
            if let Some(discard) = other.take() {
                discarding = Some(scope.spawn(discard));
                std::thread::sleep(Duration::from_millis(200));
            }
        };
        let mut person = Meanwhile { asked: || {}, applied: meanwhile };
        assert_eq!(one.commit(id, Offer::default(), &mut person).expect("it is held").record.state, State::Committed);
        let refused = discarding.expect("begun").join().expect("no panic").expect_err("too late");
        assert!(refused.what.contains("has taken effect"), "{refused}");
    });
    assert_eq!(scene.open().record(id).expect("a record").state, State::Committed);
    let report = scene.open().undo(&Which::Runs(vec![id]), UndoOptions::default(), &mut nobody).expect("a report");
    assert!(report.stopped.is_none(), "{:?}", report.stopped);
    assert_eq!(read(&file), "old\n");
    scene.audit_holds();
}

#[test]
fn an_edit_made_while_copies_are_kept_or_steps_are_done_is_a_conflict() {
    for early in [true, false] {
        let scene = Scene::new();
        for name in ["a", "b", "c"] {
            fs::write(scene.at("w").join(name), format!("{name} before\n")).expect("write");
        }
        let (a, c) = (scene.at("w/a"), scene.at("w/c"));
        let mut edited = false;
        // A copy is kept of b and c, in this order, before a goes.
        let edit = |_| {
            if !edited && (early || !a.exists()) {
                fs::write(&c, "c, edited\n").expect("edited");
                edited = true;
            }
        };
        let mut person = Meanwhile { asked: || {}, applied: edit };
        let request = scene.request("rm a; echo by the run >> b; echo by the run >> c");
        let outcome = scene.open().run(request, &RunOptions::default(), &mut person).expect("a conflict is an outcome");
        assert_eq!(outcome.record.state, State::Held, "early: {early}");
        assert!(outcome.effects.conflicts.iter().any(|x| x.path == Bytes::from(c.clone())));
        assert_eq!(read(&c), "c, edited\n");
        assert_eq!((read(&a).as_str(), read(&scene.at("w/b")).as_str()), ("a before\n", "b before\n"));
        scene.audit_holds();
    }
}

#[test]
fn a_held_run_is_a_conflict_once_what_it_saw_was_taken_back() {
    let scene = Scene::new();
    let file = scene.at("w/file");
    fs::write(&file, "one\n").expect("write");
    let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
    let first = scene.open().run(scene.request("echo two >> file"), &RunOptions::default(), &mut nobody).expect("runs");
    let held = RunOptions { hold: true, ..RunOptions::default() };
    let second = scene.open().run(scene.request("echo three >> file"), &held, &mut nobody).expect("runs").record;
    let which = Which::Runs(vec![first.record.id]);
    assert!(scene.open().undo(&which, UndoOptions::default(), &mut nobody).expect("a report").stopped.is_none());
    let outcome = scene.open().commit(second.id, Offer::default(), &mut nobody).expect("a conflict is an outcome");
    assert_eq!(outcome.record.state, State::Held);
    assert_eq!(read(&file), "one\n", "what was taken back stays so");
    // Brought back, it is again what the second run saw.
    assert!(scene.open().redo(&which, &mut nobody).expect("a report").stopped.is_none());
    assert_eq!(
        scene.open().commit(second.id, Offer::default(), &mut nobody).expect("held").record.state,
        State::Committed
    );
    assert_eq!(read(&file), "one\ntwo\nthree\n");
    scene.audit_holds();
}

#[test]
fn an_edit_that_stopped_an_undo_stops_the_next_one_too() {
    let scene = Scene::new();
    for name in ["b", "c"] {
        fs::write(scene.at("w").join(name), format!("{name} before\n")).expect("write");
    }
    let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
    let request = scene.request("echo by the run >> b; echo by the run >> c");
    let run = scene.open().run(request, &RunOptions::default(), &mut nobody).expect("runs").record;
    let which = Which::Runs(vec![run.id]);
    let b = scene.at("w/b");
    for edit in [true, false] {
        // Backwards c comes first.
        let mut edited = !edit;
        let mut person = Meanwhile {
            asked: || {},
            applied: |_| {
                if !edited {
                    fs::write(&b, "b, edited\n").expect("edited");
                    edited = true;
                }
            },
        };
        let report = scene.open().undo(&which, UndoOptions::default(), &mut person).expect("a report");
        let (_, stopped) = report.stopped.unwrap_or_else(|| panic!("edit {edit}: b is {:?}", read(&b)));
        assert!(stopped.what.contains("somebody else changed it"), "{}", stopped.what);
        assert_eq!(read(&b), "b, edited\n");
        assert_eq!(read(&scene.at("w/c")), "c before\nby the run\n", "taken back as a whole");
    }
    scene.audit_holds();
}

#[test]
fn a_save_made_after_its_step_and_before_one_that_fails_stays() {
    // Between the step that writes the content and the one that sets the times, and after both.
    for when in [1, 2] {
        let scene = Scene::new();
        let at = |name: &str| scene.at("w").join(name);
        for name in ["a", "b"] {
            fs::write(at(name), format!("{name} before\n")).expect("write");
        }
        let mut steps = 0;
        let save = |_| {
            steps += u64::from(steps > 0 || read(&at("a")).ends_with("by the run\n"));
            if steps == when {
                fs::write(at("a"), "a before\na personal\n").expect("saved, as long as what the run wrote");
                fs::write(at("b"), "b, edited\n").expect("edited");
            }
        };
        let mut person = Meanwhile { asked: || {}, applied: save };
        let request = scene.request("echo by the run >> a; echo by the run >> b");
        let outcome = scene.open().run(request, &RunOptions::default(), &mut person).expect("a conflict is an outcome");
        assert_eq!(outcome.record.state, State::Held, "{when}");
        assert_eq!(read(&at("a")), "a before\na personal\n", "{when}");
        assert_eq!(read(&at("a.before-conflict")), "a before\n", "{when}");
        assert_eq!(read(&at("b")), "b, edited\n", "{when}");
        let told = outcome.record.notes.join("\n");
        let path = Bytes::from(at("a")).quoted().to_string();
        assert!(told.contains(&format!("what somebody else changed meanwhile was left as it is: {path}")), "{told}");
        assert!(told.contains("a.before-conflict"), "{told}");
        scene.open().discard(outcome.record.id).expect("it is held");
        assert_eq!(read(&at("a")), "a before\na personal\n", "{when}");
        scene.audit_holds();
    }
}

#[test]
fn a_save_made_during_an_undo_that_is_taken_back_stays_and_stops_the_next() {
    let scene = Scene::new();
    let at = |name: &str| scene.at("w").join(name);
    for name in ["a", "b"] {
        fs::write(at(name), format!("{name} before\n")).expect("write");
    }
    let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
    let request = scene.request("echo by the run >> a; echo by the run >> b");
    let run = scene.open().run(request, &RunOptions::default(), &mut nobody).expect("runs").record;
    let which = Which::Runs(vec![run.id]);
    let mut saved = false;
    // Backwards b comes first.
    let save = |_| {
        if !saved && read(&at("b")) == "b before\n" {
            fs::write(at("b"), "personal\n").expect("saved");
            fs::write(at("a"), "a, edited\n").expect("edited");
            saved = true;
        }
    };
    let mut person = Meanwhile { asked: || {}, applied: save };
    let report = scene.open().undo(&which, UndoOptions::default(), &mut person).expect("a report");
    let (_, stopped) = report.stopped.expect("it stopped");
    assert!(stopped.what.contains("b.before-conflict"), "{}", stopped.what);
    assert_eq!(read(&at("b.before-conflict")), "b before\nby the run\n");
    let report = scene.open().undo(&which, UndoOptions::default(), &mut nobody).expect("a report");
    assert!(report.stopped.is_some());
    assert_eq!(read(&at("b")), "personal\n");
    scene.audit_holds();
}

#[test]
fn a_save_made_after_its_step_of_a_commit_that_goes_on_stops_the_undo() {
    let scene = Scene::new();
    let at = |name: &str| scene.at("w").join(name);
    for name in ["a", "b"] {
        fs::write(at(name), format!("{name} before\n")).expect("write");
    }
    let mut saved = false;
    // The step that writes the other one into its file comes after all that is done to the first.
    let save = |_| {
        if !saved && read(&at("b")).ends_with("by the run\n") {
            fs::write(at("a"), "personal\n").expect("saved");
            saved = true;
        }
    };
    let mut person = Meanwhile { asked: || {}, applied: save };
    let request = scene.request("echo by the run >> a; echo by the run >> b");
    let run = scene.open().run(request, &RunOptions::default(), &mut person).expect("runs").record;
    assert_eq!(run.state, State::Committed);
    let mut nobody = Meanwhile { asked: || {}, applied: |_| {} };
    let which = Which::Runs(vec![run.id]);
    let report = scene.open().undo(&which, UndoOptions::default(), &mut nobody).expect("a report");
    assert!(report.stopped.is_some());
    assert_eq!(read(&at("a")), "personal\n");
    scene.audit_holds();
}

#[test]
fn what_is_done_but_not_recorded_is_not_said_to_be_taken_back() {
    let scene = Scene::new();
    let file = scene.at("w/file");
    fs::write(&file, "old\n").expect("write");
    let mut in_the_way = None;
    let block = |_| {
        if in_the_way.is_none() && read(&file) == "new\n" {
            let plan = find(&scene.at("state"), "plan.json").expect("a plan");
            let receipts = plan.with_file_name("receipts.jsonl");
            fs::create_dir(&receipts).expect("there are none yet");
            in_the_way = Some(receipts);
        }
    };
    let mut person = Meanwhile { asked: || {}, applied: block };
    let request = scene.request("echo new > file");
    let failure = scene.open().run(request, &RunOptions::default(), &mut person).expect_err("it can't be recorded");
    assert!(failure.what.starts_with("all steps were done"), "{failure}");
    assert!(!failure.what.contains("taken back"), "{failure}");
    assert!(failure.next.iter().any(|n| n.contains("backstop recover")), "{:?}", failure.next);
    assert_eq!(read(&file), "new\n");
    fs::remove_dir(in_the_way.expect("made")).expect("the cause is mended");
    let run = scene.open().recovered()[0].id;
    assert_eq!(scene.open().record(run).expect("a record").state, State::Committed);
    assert_eq!(read(&file), "new\n");
    scene.audit_holds();
}

/// The first file of that name beneath a directory.
fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).expect("listed").map(|e| e.expect("entry").path()).collect();
    entries.sort();
    let here = entries.iter().find(|p| p.ends_with(name)).cloned();
    here.or_else(|| entries.iter().filter(|p| p.is_dir()).find_map(|p| find(p, name)))
}

#[test]
fn a_new_file_that_was_worked_on_stays_when_a_later_step_fails() {
    let scene = Scene::new();
    let at = |name: &str| scene.at("w").join(name);
    fs::write(at("b"), "b before\n").expect("write");
    let mut saved = false;
    let save = |_| {
        if !saved && at("a").exists() {
            fs::write(at("a"), "personal\n").expect("saved");
            fs::write(at("b"), "b, edited\n").expect("edited");
            saved = true;
        }
    };
    let mut person = Meanwhile { asked: || {}, applied: save };
    let request = scene.request("echo by the run > a; echo by the run >> b");
    let outcome = scene.open().run(request, &RunOptions::default(), &mut person).expect("a conflict is an outcome");
    assert_eq!(outcome.record.state, State::Held);
    scene.open().discard(outcome.record.id).expect("it is held");
    assert_eq!(read(&at("a")), "personal\n");
    assert_eq!(read(&at("b")), "b, edited\n");
    scene.audit_holds();
}

#[test]
fn frozen_while_somebody_was_asked_it_stays_held() {
    let scene = Scene::new();
    fs::write(scene.at("outside"), "before").expect("written");
    let mut engine = scene.open();
    let mut person = Answers {
        asked: |_| {
            let frozen = scene.open().freeze(Button::default()).expect("frozen");
            assert!(frozen.stopped.is_empty() && !frozen.again, "{frozen:?}");
        },
        answer: Answer::Commit,
    };
    let outcome = engine.run(scene.request("echo after > ../outside"), &RunOptions::default(), &mut person);
    let failure = outcome.expect_err("it is frozen");
    assert!(failure.what.contains("everything is frozen"), "{failure:?}");
    assert_eq!(fs::read_to_string(scene.at("outside")).expect("there"), "before");
    let run = &engine.runs(&Filter::default()).expect("runs").runs[0];
    assert_eq!(run.state, State::Held);
    let id = run.id;
    assert!(engine.commit(id, Offer::default(), &mut person).is_err());
    let standing = engine.frozen().expect("known").expect("it is frozen");
    let Ok(Thaw::Done(thawed)) = engine.thaw(standing.digest()) else { panic!("one person is enough") };
    assert!(thawed.runs.is_empty());
    let mut yes = Answers { asked: |_| {}, answer: Answer::Commit };
    engine.commit(id, Offer::default(), &mut yes).expect("committed");
    assert_eq!(fs::read_to_string(scene.at("outside")).expect("there"), "after\n");
    scene.audit_holds();
}
