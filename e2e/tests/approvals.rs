//! Claim: wherever Backstop is killed while the last of two people approves, or while who may approve is changed,
//! what was approved takes effect once or not at all, the log and what is kept agree on which, no signature
//! counts twice, and nothing is lost that people can't ask for again.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use backstop_e2e::faults::faults_bin;
use serde_json::Value;

const KILL: i32 = 9;
/// More points than there are.
const MOST: usize = 500;
/// What takes two people, whoever runs this.
const RULE: &str = r#"
@id("rows-need-two")
@reason("rows would be lost")
@next("ask for a copy")
forbid (principal, action == Action::"commit", resource)
when { context.losing.contains("database") }
unless { context.approvals.people >= 2 };
"#;

/// A place of its own, with a state directory and keys.
struct Desk {
    dir: tempfile::TempDir,
    program: PathBuf,
    keys: PathBuf,
}

impl Desk {
    /// anna and ben may approve; a run waits for them that loses a database.
    fn ready(program: &Path, keys: &Path) -> (Self, String) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let desk = Self { dir, program: program.to_owned(), keys: keys.to_owned() };
        for made in ["w/pg/base", "w/.backstop", "home"] {
            fs::create_dir_all(desk.at(made)).expect("made");
        }
        fs::write(desk.at("w/pg/PG_VERSION"), "15\n").expect("written");
        fs::write(desk.at("w/pg/base/1"), "rows\n").expect("written");
        fs::write(desk.at("w/.backstop/rows.cedar"), RULE).expect("written");
        desk.founded();
        desk.say(&["run", "-c", "rm -rf pg/base"], 75);
        let runs: Value = serde_json::from_str(&desk.say(&["runs", "--json"], 0)).expect("JSON");
        let run = runs["runs"][0]["id"].as_str().expect("an id").to_owned();
        (desk, run)
    }

    fn founded(&self) {
        for name in ["anna", "ben"] {
            let key = self.keys.join(name);
            self.say(&["people", "add", name, "--no-account", "--key", key.to_str().expect("UTF-8")], 0);
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("real").join(path)
    }

    fn command(&self, args: &[&str], fault: Option<&str>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(self.at("w"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.at("home"))
            .env("XDG_STATE_HOME", self.at("state"))
            .stdin(Stdio::null());
        if let Some(fault) = fault {
            command.env("BACKSTOP_FAULT", fault);
        }
        command
    }

    fn output(&self, args: &[&str], fault: Option<&str>) -> Output {
        self.command(args, fault).output().expect("backstop starts")
    }

    fn say(&self, args: &[&str], code: i32) -> String {
        let output = self.output(args, None);
        let text = String::from_utf8([&output.stdout[..], &output.stderr].concat()).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        text
    }

    /// What `name` signed about a request; the file of the signature.
    fn signed(&self, asked: &str, name: &str) -> String {
        self.signed_as(asked, name, "approve-once")
    }

    fn signed_as(&self, asked: &str, name: &str, decision: &str) -> String {
        let key = self.keys.join(name);
        let public = format!("{}.pub", key.display());
        let output = self.output(&["show", asked, "--statement", "--decision", decision, "--key", &public], None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = self.at(&format!("home/{asked}-{name}-{decision}"));
        fs::write(&path, &output.stdout).expect("written");
        let path = path.to_str().expect("UTF-8").to_owned();
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-Y", "sign", "-n", "approval@backstop", "-f"]).arg(&key).arg(&path);
        assert!(keygen.stdin(Stdio::null()).status().expect("ssh-keygen").success());
        format!("{path}.sig")
    }

    fn rows(&self) -> bool {
        self.at("w/pg/base/1").exists()
    }

    fn bodies(&self, name: &str) -> Vec<Value> {
        let log = self.say(&["log", "--json"], 0);
        let entries = log.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
        entries.filter_map(|e| e["body"].get(name).cloned()).collect()
    }

    fn entries(&self, name: &str) -> usize {
        self.bodies(name).len()
    }

    /// How often the log says that something took effect.
    fn commits(&self) -> usize {
        let finished = self.bodies("run.recovered").into_iter().filter(|r| r["now"] == "committed").count();
        self.entries("run.committed") + finished
    }

    fn verified(&self) {
        let said = self.say(&["audit", "verify"], 0);
        assert_eq!(said.matches("holds").count(), 3, "{said}");
    }
}

fn keys() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temp dir");
    for name in ["anna", "ben", "carl"] {
        let path = dir.path().join(name);
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
        assert!(made.expect("ssh-keygen").success());
    }
    dir
}

/// Kills what is typed at every point, one scene each, until it ends with `code`; `check` looks at what is left,
/// after a recovery.
fn at_every_point(
    ready: impl Fn() -> (Desk, Vec<String>),
    code: i32,
    check: impl Fn(&Desk, &[String], usize),
) -> usize {
    for point in 0..MOST {
        let (desk, args) = ready();
        let typed: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = desk.output(&typed, Some(&format!("kill:{point}")));
        if output.status.code() == Some(code) {
            return point;
        }
        assert_eq!(output.status.signal(), Some(KILL), "{}", String::from_utf8_lossy(&output.stderr));
        desk.say(&["recover"], 0);
        check(&desk, &args, point);
        desk.verified();
    }
    panic!("it never ends");
}

#[test]
fn an_approval_that_is_cut_off_takes_effect_once_or_not_at_all() {
    let keys = keys();
    let program = faults_bin();
    let ready = || {
        let (desk, run) = Desk::ready(&program, keys.path());
        let anna = desk.signed(&run, "anna");
        desk.say(&["approve", &run, "--signature", &anna], 0);
        let ben = desk.signed(&run, "ben");
        (desk, ["approve", &run, "--signature", &ben].map(str::to_owned).to_vec())
    };
    let points = at_every_point(ready, 0, |desk, args, point| {
        let run = args[1].as_str();
        let typed: Vec<&str> = args.iter().map(String::as_str).collect();
        if desk.rows() {
            // Brought again: counted once, and it takes effect; or the request was void, and is asked anew.
            let again = desk.output(&typed, None);
            if desk.rows() {
                let said = String::from_utf8_lossy(&again.stderr).into_owned();
                let committed = desk.output(&["commit", run], None).status.success();
                assert!(committed || said.contains("is failed"), "point {point}: {said}");
                if !committed {
                    desk.say(&["retry", run], 75);
                }
            }
        }
        assert!(desk.entries("approval.claimed") <= 1, "point {point}");
        assert_eq!(desk.commits(), usize::from(!desk.rows()), "point {point}");
        // Whatever it came to, this signature is good for nothing more.
        assert!(!desk.output(&typed, None).status.success(), "point {point}");
    });
    assert!(points > 20, "only {points} points");
}

#[test]
fn a_change_of_people_that_is_cut_off_is_made_or_not_made() {
    let keys = keys();
    let program = faults_bin();
    let carl = keys.path().join("carl").to_str().expect("UTF-8").to_owned();
    let ready = || {
        let (desk, _) = Desk::ready(&program, keys.path());
        desk.say(&["people", "add", "carl", "--no-account", "--key", &carl], 75);
        let pending: Value = serde_json::from_str(&desk.say(&["pending", "--json"], 0)).expect("JSON");
        let all = pending["requests"].as_array().expect("a list");
        let code = all.last().expect("one")["code"].as_str().expect("a code").to_owned();
        let anna = desk.signed(&code, "anna");
        desk.say(&["approve", &code, "--signature", &anna], 0);
        let ben = desk.signed(&code, "ben");
        (desk, ["approve", &code, "--signature", &ben].map(str::to_owned).to_vec())
    };
    let points = at_every_point(ready, 0, |desk, args, point| {
        let made = |desk: &Desk| desk.say(&["people", "list"], 0).contains("carl");
        let typed: Vec<&str> = args.iter().map(String::as_str).collect();
        let before = made(desk);
        assert_eq!(before, desk.entries("people.changed") == 3, "point {point}");
        let again = desk.output(&typed, None);
        assert!(!(before && again.status.success()), "point {point}: made twice");
        assert!(desk.entries("people.changed") <= 3, "point {point}");
    });
    assert!(points > 10, "only {points} points");
}

#[test]
fn a_question_and_a_no_that_are_cut_off_leave_nothing_half() {
    let keys = keys();
    let program = faults_bin();
    let carl = keys.path().join("carl").to_str().expect("UTF-8").to_owned();
    let asks = || {
        let (desk, _) = Desk::ready(&program, keys.path());
        let add = ["people", "add", "carl", "--no-account", "--key", &carl].map(str::to_owned).to_vec();
        (desk, add)
    };
    at_every_point(asks, 75, |desk, args, _| {
        // Asked again it is one question, and what they decide on it holds by the log as well.
        desk.say(&args.iter().map(String::as_str).collect::<Vec<_>>(), 75);
        let pending: Value = serde_json::from_str(&desk.say(&["pending", "--json"], 0)).expect("JSON");
        let all = pending["requests"].as_array().expect("a list");
        assert_eq!(all.len(), 2, "{pending}");
        let code = all[1]["code"].as_str().expect("a code");
        for name in ["anna", "ben"] {
            desk.say(&["approve", code, "--signature", &desk.signed(code, name)], 0);
        }
        assert!(desk.say(&["people", "list"], 0).contains("carl"));
    });
    let revokes = || {
        let (desk, run) = Desk::ready(&program, keys.path());
        desk.say(&["approve", &run, "--signature", &desk.signed(&run, "anna")], 0);
        let back = desk.signed_as(&run, "anna", "revoke");
        (desk, ["revoke", &run, "--signature", &back].map(str::to_owned).to_vec())
    };
    at_every_point(revokes, 0, |desk, args, point| {
        let run = args[1].as_str();
        desk.output(&args.iter().map(String::as_str).collect::<Vec<_>>(), None);
        assert!(desk.say(&["show", run], 0).contains("revoked by anna") && desk.rows(), "point {point}");
        desk.say(&["commit", run], 77);
    });
    let denies = || {
        let (desk, run) = Desk::ready(&program, keys.path());
        let no = desk.signed_as(&run, "anna", "deny");
        (desk, ["deny", &run, "--signature", &no].map(str::to_owned).to_vec())
    };
    at_every_point(denies, 0, |desk, args, point| {
        let typed: Vec<&str> = args.iter().map(String::as_str).collect();
        let again = desk.output(&typed, None);
        let run: Value = serde_json::from_str(&desk.say(&["show", &args[1], "--json"], 0)).expect("JSON");
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        assert_eq!(run["record"]["state"], "denied", "point {point}: {said}");
        assert!(desk.rows());
        desk.say(&["run", "-c", "find pg/base -delete"], 77);
    });
}

#[test]
fn a_founding_that_is_cut_off_can_be_done_again() {
    let keys = keys();
    let program = faults_bin();
    let anna = keys.path().join("anna").to_str().expect("UTF-8").to_owned();
    let ready = || {
        let dir = tempfile::tempdir().expect("a temp dir");
        let desk = Desk { dir, program: program.clone(), keys: keys.path().to_owned() };
        fs::create_dir_all(desk.at("w")).expect("made");
        fs::create_dir_all(desk.at("home")).expect("made");
        let add = ["people", "add", "anna", "--no-account", "--key", &anna].map(str::to_owned).to_vec();
        (desk, add)
    };
    at_every_point(ready, 0, |desk, args, point| {
        let typed: Vec<&str> = args.iter().map(String::as_str).collect();
        let there = desk.say(&["people", "list"], 0).contains("anna");
        assert_eq!(desk.output(&typed, None).status.success(), !there, "point {point}");
        assert_eq!(desk.entries("people.changed"), 1, "point {point}");
    });
}
