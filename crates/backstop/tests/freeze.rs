//! The red button: what `freeze` stops and refuses, whom it can't be outrun by, and how it goes on.

mod place;

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use place::terminal::at_a_terminal;
use place::{Place, text, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A command that goes on until it is ended, whatever becomes of the test.
struct Running(Child);

impl Running {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = place.command(&[&["run", "--parallel"], args].concat());
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"))
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.0.wait().expect("it ends").code();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().expect("piped"), &mut said).expect("UTF-8");
        (code, said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can't be killed, which is as well.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Writes a line after the other into the workspace, in place.
const COUNTER: &str = "echo up > up; while echo x >> count; do sleep 0.01; done";

fn length(place: &Place, name: &str) -> u64 {
    fs::metadata(place.at("w").join(name)).map_or(0, |m| m.len())
}

fn grows(place: &Place) -> bool {
    let before = length(place, "count");
    std::thread::sleep(Duration::from_millis(400));
    length(place, "count") > before
}

/// The shells whose command line holds this, each with its state.
fn processes(marker: &str) -> Vec<(i32, u8)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let Ok(stat) = fs::read(entry.path().join("stat")) else { continue };
        let state = stat.iter().rposition(|b| *b == b')').and_then(|at| stat.get(at + 2)).copied().unwrap_or(b'?');
        let of_a_shell = line.starts_with(b"bash\0-c\0");
        if of_a_shell && line.windows(marker.len()).any(|w| w == marker.as_bytes()) {
            found.push((pid, state));
        }
    }
    found
}

fn thaw(place: &Place) -> String {
    let prepare = |command: &mut std::process::Command| {
        place.environment(command);
    };
    let (code, seen) = at_a_terminal(&["thaw"], prepare, "> ", || "thaw\n".to_owned());
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert_eq!(code, Some(0), "{seen}");
    seen
}

fn entries(place: &Place, name: &str) -> Vec<Value> {
    let log = place.say(&["log", "--json", "--event", name], 0);
    log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["body"][name].clone()).collect()
}

#[test]
fn everything_stands_until_a_person_lets_it_go_on() {
    let place = Place::new();
    place.say(&["run", "--hold", "-c", "echo held > given-up"], 75);
    let given_up = place.ids()[0].clone();
    place.say(&["run", "--hold", "-c", "echo held > held"], 75);
    place.say(&["run", "-c", "echo a > a"], 0);
    place.say(&["run", "-c", "echo b > b"], 0);
    place.say(&["undo", "--last", "1"], 0);
    let server = Running::start(&place, &["--background", "--session", "s", "-c", COUNTER]);
    let rehearsed = Running::start(&place, &["--session", "r", "-c", "echo begun > w; sleep 6; echo done > w"]);
    // Its command is about when the other writes.
    until("both run", || grows(&place) && place.ids().len() == 6);
    std::thread::sleep(Duration::from_millis(200));
    let frozen = place.json(&["freeze", "--reason", "odd\u{1b}", "--json"], 0);
    let stands = (&frozen["again"], &frozen["ended"], &frozen["stopped"].as_array().expect("a list").len());
    assert_eq!(stands, (&false.into(), &serde_json::json!([]), &2), "{frozen}");
    assert!(!grows(&place), "it stands");
    // Pressed again it is the same one.
    let said = place.say(&["freeze"], 0);
    assert!(said.contains("frozen already: 2 commands stand") && said.contains("a person, at a terminal"), "{said}");
    assert_eq!(entries(&place, "host.frozen").len(), 2);
    // Nothing begins, nothing takes effect; looking and taking back go on.
    for verb in [&["run", "-c", "echo c > c"][..], &["run", "ls"], &["run", "--dry-run", "-c", "echo c > c"]] {
        let said = place.say(verb, 77);
        assert!(said.contains("everything is frozen since") && said.contains(r"odd\x1b"), "{said}");
        assert!(said.contains("backstop thaw"), "{said}");
    }
    let held =
        place.json(&["runs", "--state", "held", "--json"], 0)["runs"][0]["id"].as_str().expect("an id").to_owned();
    assert!(place.say(&["commit", &held], 77).contains("everything is frozen"));
    assert!(place.say(&["redo", "--last", "1"], 77).contains("everything is frozen"));
    place.say(&["undo", "--last", "1"], 0);
    place.say(&["show", &held], 0);
    place.say(&["discard", &given_up], 0);
    assert!(place.say(&["pending"], 0).contains("frozen since"));
    assert!(!place.at("w/held").exists() && !place.at("w/a").exists() && !place.at("w/b").exists());
    // A program can't let it go on.
    let said = place.say(&["thaw"], 77);
    assert!(said.contains("everything stays frozen") && !grows(&place), "{said}");
    let said = thaw(&place);
    assert!(said.contains("thawed") && said.contains("2 commands go on"), "{said}");
    assert!(grows(&place), "it goes on");
    assert_eq!(rehearsed.ended().0, Some(0));
    assert_eq!(place.read("w"), "done\n");
    place.say(&["commit", &held], 0);
    assert!(place.say(&["thaw"], 0).contains("nothing is frozen"));
    drop(server);
    place.say(&["audit", "verify"], 0);
}

#[test]
fn nobody_outruns_it() {
    // A shell that lets everybody go on, again and again, and hears no signal; and chains of processes of which each makes
    // the next and ends.
    let evader =
        "trap '' TERM INT HUP CONT; for i in 1 2 3; do while :; do kill -CONT -1; done & done 2>/dev/null; wait";
    let chains = "r() { r & }; for i in 1 2 3 4 5 6 7 8; do r & done; while :; do sleep 1; done";
    for (what, line) in [("evader", evader), ("chains", chains)] {
        let place = Place::new();
        let line = format!(": {what}-{}; {line}", std::process::id());
        let marker = format!("{what}-{}", std::process::id());
        let running = Running::start(&place, &["-c", &line]);
        until("it runs", || !processes(&marker).is_empty());
        std::thread::sleep(Duration::from_millis(300));
        place.say(&["freeze"], 0);
        // They stand, or are gone with their run: nothing of it moves, now or later.
        for _ in 0..20 {
            let moves: Vec<_> = processes(&marker)
                .into_iter()
                .filter(|(_, s)| !matches!(s, b'T' | b't' | b'Z' | b'X' | b'D'))
                .collect();
            assert_eq!(moves, [], "{what}");
            std::thread::sleep(Duration::from_millis(25));
        }
        kill_process(Pid::from_child(&running.0), Signal::TERM).expect("a signal");
        let (code, said) = running.ended();
        assert!(matches!(code, Some(143 | 77)), "{what}: {code:?}: {said}");
        until("nothing is left", || processes(&marker).is_empty());
        place.say(&["audit", "verify"], 0);
    }
}

/// A command that computes, and by what its shell is found.
fn computing(place: &Place, name: &str) -> (Running, String) {
    let marker = format!("{name}-{}", std::process::id());
    let running = Running::start(place, &["-c", &format!(": {marker}; while :; do :; done")]);
    until("it runs", || processes(&marker).iter().any(|(_, state)| *state == b'R'));
    (running, marker)
}

/// Lets it go on from outside of its view, as a timer of its own would, until it is ended.
fn ended_although_let_go_on(name: &str, pause: Duration) {
    let place = Place::new();
    let (running, marker) = computing(&place, name);
    place.say(&["freeze"], 0);
    let began = Instant::now();
    while !processes(&marker).is_empty() {
        for (pid, _) in processes(&marker) {
            // It may be gone meanwhile.
            let _sent = kill_process(Pid::from_raw(pid).expect("a number"), Signal::CONT);
        }
        std::thread::sleep(pause);
        assert!(began.elapsed() < Duration::from_secs(30), "it is ended");
    }
    let (code, said) = running.ended();
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("it did not stand in time; nothing of it took effect"), "{said}");
    let run = &place.json(&["runs", "--json"], 0)["runs"][0];
    assert_eq!(run["state"], "failed", "{run}");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn whatever_goes_on_all_the_same_is_ended() {
    ended_although_let_go_on("defies", Duration::ZERO);
}

#[test]
fn whatever_goes_on_now_and_then_is_ended_as_well() {
    ended_although_let_go_on("relapses", Duration::from_millis(170));
}

#[test]
fn whoever_keeps_a_run_from_standing_is_ended_with_it() {
    let place = Place::new();
    let (running, marker) = computing(&place, "kept");
    // Backstop's own process beside it: stopped, it hears nothing.
    let beside = Pid::from_child(&running.0);
    kill_process(beside, Signal::STOP).expect("a signal");
    let frozen = place.json(&["freeze", "--json"], 0);
    assert_eq!(frozen["ended"].as_array().map(Vec::len), Some(1), "{frozen}");
    // The kernel kills the command with it, a moment later.
    until("its command is gone", || processes(&marker).is_empty());
    assert_eq!(running.ended().0, None, "killed");
    let run = &place.json(&["runs", "--json"], 0)["runs"][0];
    assert_eq!(run["state"], "failed", "{run}");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn inside_a_run_nobody_freezes_or_thaws() {
    let place = Place::new();
    for verb in ["freeze", "thaw"] {
        let output = place.output(&["run", "--", env!("CARGO_BIN_EXE_backstop"), verb]);
        assert!(text(&output).contains(&format!("refused: `{verb}` inside a run")), "{}", text(&output));
    }
    assert!(place.say(&["thaw"], 0).contains("nothing is frozen"));
}

/// Whoever holds a command is served before it, and cannot be overtaken; the command itself is served as ever.
#[test]
fn a_command_is_served_as_ever() {
    let place = Place::new();
    let said = |args: &[&str]| {
        let mut command = std::process::Command::new("nice");
        command.args(["-n", "5", env!("CARGO_BIN_EXE_backstop"), "run"]).args(args);
        let output = place.environment(&mut command).stdin(Stdio::null()).output().expect("nice");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let own: i64 = fs::read_to_string("/proc/self/stat")
        .expect("stat")
        .rsplit(") ")
        .next()
        .expect("fields")
        .split(' ')
        .nth(16)
        .and_then(|nice| nice.parse().ok())
        .expect("a nice value");
    for lane in [&["--rehearse"][..], &["--parallel"]] {
        let stat = said(&[lane, &["--", "cat", "/proc/self/stat"]].concat());
        let fields: Vec<&str> = stat.trim_end().rsplit(") ").next().expect("fields").split(' ').collect();
        // Nice value, real-time priority, scheduling class: fields 19, 40 and 41 of `proc_pid_stat(5)`.
        assert_eq!(
            (fields[16], fields[37], fields[38]),
            (&*(own + 5).min(19).to_string(), "0", "0"),
            "{lane:?}: {stat}"
        );
        let status = said(&[lane, &["--", "cat", "/proc/self/status"]].concat());
        let rights = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).expect("a bounding set");
        // CAP_SYS_NICE.
        assert_eq!(u64::from_str_radix(rights.trim(), 16).expect("a mask") & 1 << 23, 0, "{lane:?}: {status}");
    }
}
