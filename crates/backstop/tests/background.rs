//! Servers and watchers: what `run --background` promises, what it leaves on record, and how it ends.

mod place;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use place::{Place, text, until};
use rustix::process::{Pid, Signal, kill_process};

fn has(file: &Path, content: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text == content)
}

/// A server that goes on until it is ended, whatever becomes of the test.
struct Server(Child);

impl Server {
    /// One that has begun: it wrote `up` into the workspace.
    fn start(place: &Place) -> Self {
        let line = "echo up > status; while sleep 0.1; do :; done";
        let mut command = place.command(&["run", "--background", "--session", "s", "-c", line]);
        let server = Self(command.stderr(Stdio::piped()).spawn().expect("starts"));
        until("what it writes is there at once", || has(&place.at("w/status"), "up\n"));
        server
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.0), signal).expect("a signal");
        self.0.wait().expect("wait")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already can't be killed, which is as well.
        let _ended = self.0.kill();
    }
}

#[test]
fn it_runs_in_place_says_so_and_is_not_undone() {
    let place = Place::new();
    let said = place.say(&["run", "--background", "-c", "echo a > a; echo served; exit 3"], 3);
    assert!(said.contains("undo does not cover what it changes") && said.contains("served\n"), "{said}");
    assert_eq!(place.read("a"), "a\n");
    let run = &place.json(&["runs", "--json"], 0)["runs"][0];
    assert_eq!((&run["state"], &run["request"]["in_place"]), (&"in-place".into(), &true.into()), "{run}");
    assert!(run["notes"].to_string().contains("undo does not cover"), "{run}");
    let id = run["id"].as_str().expect("an id");
    for verb in ["undo", "commit", "discard"] {
        let refused = place.output(&[verb, id]);
        assert_ne!(refused.status.code(), Some(0), "{verb}: {}", text(&refused));
        assert!(text(&refused).contains("in place") || text(&refused).contains("in-place"), "{}", text(&refused));
    }
    assert_eq!(place.read("a"), "a\n");
    let log = place.say(&["log"], 0);
    assert!(log.contains("in place, without undo, exit 3"), "{log}");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn nobody_waits_for_it_and_what_ends_it_is_on_record() {
    let place = Place::new();
    let mut server = Server::start(&place);
    // Its turn in the workspace is nobody's loss.
    place.say(&["run", "-c", "echo b > b"], 0);
    assert_eq!(place.read("b"), "b\n");
    let ended = server.end(Signal::TERM);
    assert_eq!(ended.code(), Some(143), "{:?}", ended.signal());
    let run = place.json(&["runs", "--session", "s", "--json"], 0)["runs"][0].clone();
    assert_eq!(run["state"], "in-place", "{run}");
    assert!(run["notes"].to_string().contains("signal 15"), "{run}");
    // What came before and after is taken back without it.
    place.say(&["undo", "--last", "1"], 0);
    assert!(!place.at("w/b").exists());
    assert_eq!(place.read("status"), "up\n");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn cut_off_it_is_never_said_to_have_done_nothing() {
    let place = Place::new();
    Server::start(&place).end(Signal::KILL);
    let said = place.say(&["runs", "--session", "s"], 0);
    assert!(said.contains("what it changed stays"), "{said}");
    let run = place.json(&["runs", "--session", "s", "--json"], 0)["runs"][0].clone();
    assert_eq!(run["state"], "in-place", "{run}");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn where_undo_is_kept_it_is_rehearsed() {
    let place = Place::new();
    let line = ["run", "--background", "--profile", "production", "--session", "s", "-c", "echo a > a"];
    let output = place.output(&line);
    assert!(text(&output).contains("this machine keeps undo"), "{}", text(&output));
    let run = place.json(&["runs", "--session", "s", "--json"], 0)["runs"][0].clone();
    assert_ne!(run["state"], "in-place", "{run}");
    assert!(run["request"]["in_place"].is_null(), "{run}");
}

#[test]
fn where_rules_of_its_own_hold_it_is_rehearsed() {
    let place = Place::new();
    fs::create_dir_all(place.at("w/.backstop")).expect("mkdir");
    let rule = "@id(\"no-logs\") forbid (principal, action, resource);";
    fs::write(place.at("w/.backstop/own.cedar"), rule).expect("written");
    let said = place.say(&["run", "--background", "--session", "s", "-c", "echo a > a"], 77);
    assert!(said.contains("this machine keeps undo") && said.contains("denied"), "{said}");
    assert!(!place.at("w/a").exists());
}

#[test]
fn what_it_plants_ends_it() {
    let place = Place::new();
    let line = "mkdir .codex; echo '{}' > .codex/hooks.json; sleep 60";
    let began = Instant::now();
    let said = place.say(&["run", "--background", "-c", line], 143);
    assert!(said.contains("made or replaced") && said.contains(".codex"), "{said}");
    assert!(!said.contains("nothing"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(30), "it was stopped");
    assert_eq!(place.json(&["runs", "--json"], 0)["runs"][0]["state"], "in-place");
}
