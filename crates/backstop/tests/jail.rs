//! Whoever tries again and again: counted by what it would have done, banned, and let go again by people.

mod place;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use place::scene::Scene;
use place::terminal::at_a_terminal;
use place::{Place, text, until};
use serde_json::Value;

/// A workspace, a repository of its own, with a database that no backup holds.
fn place() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.at("w/pg/base")).expect("made");
    fs::create_dir_all(place.at("w/empty")).expect("made");
    fs::write(place.at("w/pg/PG_VERSION"), "15\n").expect("written");
    fs::write(place.at("w/pg/base/1"), "rows\n").expect("written");
    let mut git = Command::new("git");
    let init = place.environment(git.args(["init", "-q"])).output().expect("git");
    assert!(init.status.success(), "{}", text(&init));
    place
}

/// The loss of the same, in twenty spellings.
const WAYS: [&str; 20] = [
    "rm -rf pg/base",
    "find pg/base -delete",
    "find pg/base -type f -print0 | xargs -0 rm -f",
    "python3 -c 'import shutil; shutil.rmtree(\"pg/base\")'",
    "perl -e 'unlink glob(\"pg/base/*\")'",
    "truncate -s 0 pg/base/1",
    ": > pg/base/1",
    "dd if=/dev/zero of=pg/base/1 bs=1 count=5 2> /dev/null",
    "cp /dev/null pg/base/1",
    "rsync -a --delete empty/ pg/base/",
    "git clean -fdxq pg",
    "echo cm0gLXJmIHBnL2Jhc2U= | base64 -d | sh",
    "printf x | tee pg/base/1",
    "node -e 'require(\"fs\").rmSync(\"pg/base\", { recursive: true })'",
    "awk 'BEGIN { printf \"\" > \"pg/base/1\" }'",
    "shred -u pg/base/1",
    "mkdir away && mv empty/ pg/gone && mv -T pg/gone pg/base/1 || unlink pg/base/1",
    "sed -i d pg/base/1",
    "install -m 600 /dev/null pg/base/1",
    "tar -cf /dev/null --remove-files pg/base",
];

/// Tries to lose it in that session.
fn tries(place: &Place, session: &str, line: &str) -> String {
    place.say(&["run", "--profile", "production", "--session", session, "-c", line], 77)
}

fn bans(place: &Place) -> Vec<Value> {
    place.json(&["jail", "list", "--json"], 0)["bans"].as_array().expect("a list").clone()
}

/// Their levels, the oldest first, as the log has them.
fn levels(place: &Place) -> Vec<String> {
    let of = |ban: &Value| ban["ban"]["level"].as_str().expect("a level").to_owned();
    entries(place, "jail.banned").iter().map(of).collect()
}

fn entries(place: &Place, name: &str) -> Vec<Value> {
    let log = place.say(&["log", "--json", "--event", name], 0);
    log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["body"][name].clone()).collect()
}

/// What a person types at a terminal, and what is said.
fn types(place: &Place, args: &[&str], word: &str, code: i32) -> String {
    let prepare = |command: &mut Command| {
        place.environment(command);
    };
    let (ended, seen) = at_a_terminal(args, prepare, "> ", || format!("{word}\n"));
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert_eq!(ended, Some(code), "{seen}");
    seen
}

fn holds(place: &Place) {
    let said = place.say(&["audit", "verify"], 0);
    assert_eq!(said.matches("holds").count(), 3, "{said}");
}

#[test]
fn twenty_ways_to_lose_the_same_are_one_and_lead_into_the_jail() {
    let place = place();
    let said: Vec<String> = WAYS.iter().map(|line| tries(&place, "s", line)).collect();
    assert_eq!(place.read("pg/base/1"), "rows\n");
    assert_eq!(levels(&place), ["asks", "read-only", "frozen", "locked"], "{said:#?}");
    let counted = entries(&place, "jail.counted");
    assert_eq!(counted.len(), 20);
    let class = serde_json::json!([{"does": "loses", "to": "database"}]);
    let hows: Vec<&str> = counted.iter().map(|c| c["offence"]["how"].as_str().expect("a word")).collect();
    assert_eq!((&hows[..15], &hows[15..]), (&["denied"; 15][..], &["refused"; 5][..]));
    assert!(counted[..15].iter().all(|c| c["offence"]["classes"] == class), "{counted:?}");
    // The answer names the class, and that no spelling opens it.
    assert!(said[4].contains("is banned from now on: losing database is closed to it"), "{}", said[4]);
    for line in &said[5..10] {
        assert!(line.contains("losing database is closed to the session s of user"), "{line}");
        assert!(line.contains("in whatever spelling") && line.contains("backstop jail clear"), "{line}");
    }
    assert!(said[10..15].iter().all(|line| line.contains(", and so is every change")), "{:?}", &said[10..15]);
    assert!(said[15..].iter().all(|line| line.contains("is banned (")), "{:?}", &said[15..]);
    // The sixteenth to the twentieth were not even begun.
    assert_eq!(place.ids().len(), 15);
    let list = place.say(&["jail", "list"], 0);
    assert!(list.contains("the session s of user") && list.contains("until people end it"), "{list}");
    // It is still so after the machine was started anew: all of it is in files.
    assert!(tries(&place, "s", "true").contains("(locked)"));
    assert_eq!(entries(&place, "jail.counted").len(), 20, "beyond the end nothing is counted");

    // People are not locked out, nor is another session, nor what only looks.
    assert!(types(&place, &["run", "-c", "echo mine > mine"], "", 0).contains("mine"));
    place.say(&["run", "--session", "other", "-c", "echo theirs > theirs"], 0);
    place.say(&["undo", "--last", "1"], 0);
    // A program can't end it, nor can a command.
    let code = bans(&place)[0]["code"].as_str().expect("a code").to_owned();
    assert!(place.say(&["jail", "clear", &code], 77).contains("the ban stays"));
    let exe = env!("CARGO_BIN_EXE_backstop");
    let inside = place.say(&["run", "-c", &format!("{exe} jail clear --all")], 77);
    assert!(inside.contains("inside a run"), "{inside}");
    let said = types(&place, &["jail", "clear", &code], "no", 77);
    assert!(said.contains("losing database") && said.contains("the ban stays"), "{said}");
    let said = types(&place, &["jail", "clear", &code], "clear", 0);
    assert!(said.contains("unbanned"), "{said}");
    assert_eq!(entries(&place, "jail.cleared").len(), 1);
    assert!(place.say(&["jail", "list"], 0).starts_with("nobody is banned\n"));
    assert!(place.say(&["jail", "clear", &code], 2).contains("there is no ban"), "named again");
    // It begins anew.
    place.say(&["run", "--session", "s", "-c", "echo again > again"], 0);
    for line in &WAYS[..4] {
        tries(&place, "s", line);
    }
    assert_eq!(bans(&place).len(), 0);
    let said = tries(&place, "s", WAYS[4]);
    assert!(said.contains("is banned from now on"), "{said}");
    assert_eq!(place.read("pg/base/1"), "rows\n");
    holds(&place);

    // What other rules would have made of it.
    let tried = place.json(&["jail", "test", "--most", "3", "--json"], 0);
    assert_eq!((&tried["counted"], &tried["made"]), (&25.into(), &5.into()), "{tried}");
    let strict: Vec<&str> =
        tried["bans"].as_array().expect("a list").iter().map(|b| b["level"].as_str().expect("a level")).collect();
    assert_eq!(strict[..4], ["asks", "read-only", "frozen", "locked"], "{tried}");
    let tried = place.json(&["jail", "test", "--json"], 0);
    assert_eq!(tried["bans"].as_array().map(Vec::len), Some(5), "by the rules that hold, what there was: {tried}");
    assert!(place.say(&["jail", "test", "--factor", "0"], 2).contains("at least 1"));
}

#[test]
fn under_a_ban_a_person_looks_at_each_change_and_then_there_is_none() {
    let place = place();
    for line in &WAYS[..5] {
        tries(&place, "s", line);
    }
    let session = |args: &[&str], code: i32| place.say(&[&["run", "--session", "s"], args].concat(), code);
    // Looking goes on, and a person may say yes.
    session(&["ls"], 0);
    let held = session(&["-c", "echo x > x"], 75);
    assert!(held.contains("a person looks at each change"), "{held}");
    assert!(!place.at("w/x").exists());
    place.say(&["commit", "@last"], 0);
    assert_eq!(place.read("x"), "x\n");
    // What is asked for nothing but the ban does not count.
    for n in 0..8 {
        session(&["-c", &format!("echo {n} > y")], 75);
    }
    assert_eq!(entries(&place, "jail.counted").len(), 5);
    // In the background nothing goes unseen.
    session(&["--background", "-c", "echo z > z"], 75);
    assert!(!place.at("w/z").exists());
    for line in &WAYS[5..10] {
        tries(&place, "s", line);
    }
    assert_eq!(levels(&place), ["asks", "read-only"]);
    session(&["ls"], 0);
    let denied = session(&["-c", "echo w > w2"], 77);
    assert!(denied.contains("read-only"), "{denied}");
    // Denied for the ban, not for what it is: another session may.
    place.say(&["run", "--session", "other", "-c", "echo w > w2"], 0);
    // A program that runs it again is whose it was.
    let runs = place.json(&["runs", "--state", "denied", "--json"], 0);
    let id = runs["runs"][0]["id"].as_str().expect("an id").to_owned();
    let said = place.say(&["retry", &id], 77);
    assert!(said.contains("is banned, and read-only"), "{said}");
    // What was held before a person may let through still.
    let held = place.json(&["runs", "--state", "held", "--json"], 0);
    place.say(&["commit", held["runs"][0]["id"].as_str().expect("an id")], 0);
    holds(&place);
}

#[test]
fn a_new_name_for_each_session_is_no_way_out() {
    let place = place();
    let bare = |line: &str| place.say(&["run", "--profile", "production", "-c", line], 77);
    for (n, line) in WAYS[..9].iter().enumerate() {
        tries(&place, &format!("s{n}"), line);
    }
    assert_eq!(bans(&place).len(), 0);
    let said = bare(WAYS[9]);
    assert!(said.contains("runs without a name is banned from now on"), "{said}");
    assert!(tries(&place, "new", WAYS[10]).contains("is closed to whatever user"));
    // Nor is another workspace.
    fs::create_dir_all(place.at("other/.git")).expect("made");
    let other = place.at("other").display().to_string();
    let args = ["run", "--workspace", &other, "--profile", "production", "--session", "new", "-c", WAYS[11]];
    assert!(place.say(&args, 77).contains("is closed to whatever user"));
    assert_eq!(bans(&place).len(), 1);
    holds(&place);
}

/// Its file may be lost or damaged: the log knows.
#[test]
fn what_the_state_directory_forgets_the_log_knows() {
    let place = place();
    for line in &WAYS[..15] {
        tries(&place, "s", line);
    }
    let before = bans(&place);
    assert_eq!(before[0]["ban"]["level"], "frozen");
    fs::write(place.at("state/backstop/jail.json"), "{").expect("written");
    assert_eq!(bans(&place), before);
    assert!(tries(&place, "s", "true").contains("(frozen)"));
    assert_eq!(bans(&place), before);
    fs::write(place.at("state/backstop/jail.json"), "{\"version\":2}").expect("written");
    assert!(place.say(&["run", "ls"], 125).contains("a newer Backstop wrote it"));
}

/// A command that goes on until it is ended, whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can't be killed, which is as well.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn what_it_runs_stands_goes_on_when_people_say_so_and_is_ended() {
    let place = place();
    let counter = "echo up > up; while echo x >> count; do sleep 0.01; done";
    let args = ["run", "--parallel", "--background", "--session", "s", "-c", counter];
    let mut server = place.command(&args);
    let mut server = Running(server.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"));
    let length = || fs::metadata(place.at("w/count")).map_or(0, |m| m.len());
    let grows = || {
        let before = length();
        std::thread::sleep(Duration::from_millis(400));
        length() > before
    };
    until("it runs", || place.at("w/up").exists() && length() > 0);
    for line in &WAYS[..14] {
        tries(&place, "s", line);
    }
    assert!(grows(), "read-only is for what begins from then on");
    tries(&place, "s", WAYS[14]);
    until("it stands", || !grows());
    // Of everything that is frozen beside it, it stands still when that goes on.
    place.say(&["freeze"], 0);
    types(&place, &["thaw"], "thaw", 0);
    std::thread::sleep(Duration::from_millis(600));
    assert!(!grows(), "it is banned still");
    let said = types(&place, &["jail", "clear", "--all"], "clear", 0);
    assert!(said.contains("1 command goes on"), "{said}");
    until("it goes on", grows);
    for line in &WAYS[..20] {
        tries(&place, "s", line);
    }
    assert_eq!(levels(&place)[3..], ["asks", "read-only", "frozen", "locked"]);
    let ended = server.0.wait().expect("it ends");
    assert_eq!(ended.code(), Some(143), "by Backstop");
    let log = entries(&place, "run.in-place");
    assert!(log[0]["why"].as_str().expect("why").contains("whoever asked for it is banned"), "{log:?}");
    holds(&place);
}

/// A rehearsal that stands by a ban may do so for days: nobody waits for its turn.
#[test]
fn nobody_waits_in_a_workspace_for_what_stands_by_a_ban() {
    let place = place();
    let mut stands = place.command(&["run", "--session", "s", "-c", "echo up > up; sleep 300"]);
    let _stands = Running(stands.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"));
    until("it has its turn", || place.ids().len() == 1);
    for line in &WAYS[..15] {
        place.say(&["run", "--parallel", "--profile", "production", "--session", "s", "-c", line], 77);
    }
    assert_eq!(bans(&place)[0]["ban"]["level"], "frozen");
    let began = std::time::Instant::now();
    place.say(&["run", "--session", "other", "-c", "echo theirs > theirs"], 0);
    assert!(began.elapsed() < Duration::from_secs(60), "the limit for a turn is ten minutes");
    holds(&place);
}

#[test]
fn what_people_let_through_in_the_end_counts_no_more() {
    let place = place();
    let hook = place.at("w/.git/hooks/post-merge");
    for _ in 0..4 {
        place.say(
            &["run", "--session", "s", "-c", "echo x > .git/hooks/post-merge; chmod 755 .git/hooks/post-merge"],
            75,
        );
    }
    let counts = || place.json(&["jail", "list", "--json"], 0)["counts"].as_array().expect("a list").clone();
    let of_session = |c: &Value| c["key"].get("session").map(|_| c["times"].clone());
    assert_eq!(counts().iter().find_map(of_session), Some(3.into()), "the first question was none too many");
    place.say(&["commit", "@last"], 0);
    assert_eq!((counts().len(), hook.exists()), (0, true));
    holds(&place);
}

#[test]
fn where_two_people_are_enrolled_they_end_what_nothing_else_ends() {
    let scene = Scene::new();
    fs::create_dir(scene.place.at("w/empty")).expect("made");
    // Held for two people, and asked about once: it counts each time, and there are not many to read.
    for _ in 0..5 {
        scene.say(&["run", "--session", "s", "-c", "rm -rf pg/base"], 75);
    }
    assert_eq!(scene.place.json(&["pending", "--json"], 0)["requests"].as_array().map(Vec::len), Some(1));
    for line in &WAYS[5..9] {
        let said = scene.say(&["run", "--session", "s", "-c", line], 77);
        assert!(said.contains("losing database is closed"), "{said}");
    }
    let levels = |scene: &Scene| levels(&scene.place);
    assert_eq!(levels(&scene), ["asks"]);
    // One person ends the mild ones.
    let prepare = types(&scene.place, &["jail", "clear", "--all"], "clear", 0);
    assert!(prepare.contains("unbanned"), "{prepare}");
    for line in WAYS.iter().filter(|line| !line.starts_with("git")).take(15) {
        let code = if levels(&scene).len() == 1 { 75 } else { 77 };
        scene.say(&["run", "--session", "s", "-c", line], code);
    }
    assert_eq!(levels(&scene)[1..], ["asks", "read-only", "frozen"]);
    let said = scene.say(&["jail", "clear", "--all"], 75);
    assert!(said.contains("two people: backstop approve"), "{said}");
    let again = scene.say(&["jail", "clear", "--all"], 75);
    let request = said.split("asked as ").nth(1).and_then(|rest| rest.split(':').next()).expect("a code").to_owned();
    assert!(again.contains(&request), "asked again it is the same: {again}");
    let shown = scene.say(&["show", &request, "--approval"], 0);
    assert!(shown.contains("the end of a ban") && shown.contains("losing database"), "{shown}");
    assert!(scene.decides("approve", &request, "anna", 0).contains("needs more people"));
    assert_eq!(bans(&scene.place).len(), 1);
    let done = scene.decides("approve", &request, "ben", 0);
    assert!(done.contains("is banned no more"), "{done}");
    assert_eq!(bans(&scene.place).len(), 0);
    assert_eq!(scene.entries("jail.cleared")[1]["request"].as_str().map(|r| r.contains(&request)), Some(true));
    scene.say(&["run", "--session", "s", "-c", "echo x > x"], 0);
    assert!(scene.rows());
    scene.verified();
}
