//! The verbs on the real pipeline: each test rehearses real commands in a scratch directory with a
//! state directory of its own. What a run may do is decided by the kernel here, not by a mock.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[path = "place/terminal.rs"]
mod terminal;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("temp") };
        fs::create_dir_all(place.at("w")).expect("workspace");
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("real").join(path)
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.at("w"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .env("XDG_STATE_HOME", self.at("state"))
    }

    fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        self.environment(command.args(args)).stdin(Stdio::null()).output().expect("backstop starts")
    }

    /// Exit code, standard output and error, with what differs from time to time replaced.
    fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let mut text = format!("exit {:?}\n", output.status.code().expect("a code"));
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text.push_str(&format!("--- {name}\n{}", self.plain(bytes)));
            }
        }
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    fn plain(&self, bytes: &[u8]) -> String {
        let text =
            String::from_utf8(bytes.to_vec()).expect("UTF-8").replace(self.at("").to_str().expect("UTF-8"), "$DIR/");
        let mut ids: Vec<String> = Vec::new();
        for (at, _) in text.match_indices("r-") {
            let id = text.get(at..at + 8).unwrap_or_default();
            if backstop_core::id::RunId::parse(id).is_some() && !ids.contains(&id.to_owned()) {
                ids.push(id.to_owned());
            }
        }
        let mut text = ids.iter().fold(text, |t, id| t.replace(id, "r-RUN"));
        for line in text.clone().lines().filter(|l| l.trim_start().starts_with("digest")) {
            text = text.replace(line, "  digest   DIGEST");
        }
        text.replace(&format!("[{}]", std::process::id()), "[PID]")
    }

    fn id(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        let at = text.find("r-").unwrap_or_else(|| panic!("no id in {text}"));
        text[at..at + 8].to_owned()
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("write");
}

#[test]
fn an_allowed_command_speaks_for_itself() {
    let place = Place::new();
    let text = place.run(&["run", "--", "sh", "-c", "echo out; echo err >&2; echo new > file; exit 3"]);
    insta::assert_snapshot!(text, @r#"
    exit 3
    --- stdout
    out
    --- stderr
    err
    "#);
    assert_eq!(fs::read_to_string(place.at("w/file")).expect("committed"), "new\n");
}

#[test]
fn a_held_run_is_committed_undone_and_redone_by_people() {
    let place = Place::new();
    write(&place.at("w/a"), "one\ntwo\n");
    let id = place.id(&["run", "--hold", "-c", "sed -i s/two/2/ a; echo b > b"]);
    assert!(!place.at("w/b").exists());
    insta::assert_snapshot!(place.run(&["show", &id]), @r#"
    exit 0
    --- stdout
    r-RUN  held  just now
      command  sed -i s/two/2/ a; echo b > b
      in       $DIR/w (the workspace)
      effect   would replace 1 file (8 B), create 1 file (2 B) in $DIR/w

      $DIR/w/                         16 B  -1 +2            ██████████
    ├─ ± a                                       14 B                   ████████▊
    └─ + b                                        2 B                   █▎

      lost     1 file (8 B) that exists nowhere else (no proven backup)
      rule     held on request; policy would allow it
      digest   DIGEST
      next     people: backstop commit r-RUN · give up: backstop discard r-RUN
    "#);
    insta::assert_snapshot!(place.run(&["show", &id, "--diff"]), @r#"
    exit 0
    --- stdout
    --- $DIR/w/a
    +++ $DIR/w/a
    @@ -1,2 +1,2 @@
     one
    -two
    +2
    --- /dev/null
    +++ $DIR/w/b
    @@ -0,0 +1 @@
    +b
    "#);
    insta::assert_snapshot!(place.run(&["show", &id, "--tree"]), @r#"
    exit 0
    --- stdout
          8 B  ± $DIR/w/a
          2 B  + $DIR/w/b
    "#);
    insta::assert_snapshot!(place.run(&["commit", &id]), @r#"
    exit 0
    --- stderr
    backstop: committed r-RUN: replaced 1 file (8 B), created 1 file (2 B) in $DIR/w
      next     take it back: backstop undo r-RUN
    "#);
    assert_eq!(fs::read_to_string(place.at("w/a")).expect("a"), "one\n2\n");
    insta::assert_snapshot!(place.run(&["undo", &id]), @r#"
    exit 0
    --- stderr
    backstop: undone r-RUN: sed -i s/two/2/ a; echo b > b
      next     the other way again: backstop redo r-RUN
    "#);
    assert_eq!(fs::read_to_string(place.at("w/a")).expect("a"), "one\ntwo\n");
    assert!(!place.at("w/b").exists());
    insta::assert_snapshot!(place.run(&["redo", &id]), @r#"
    exit 0
    --- stderr
    backstop: redone r-RUN: sed -i s/two/2/ a; echo b > b
      next     the other way again: backstop undo r-RUN
    "#);
    assert_eq!(fs::read_to_string(place.at("w/b")).expect("b"), "b\n");
    assert!(place.run(&["audit", "verify"]).starts_with("exit 0"));
}

#[test]
fn a_failing_command_that_leaves_only_times_says_no_more_than_without_backstop() {
    let place = Place::new();
    assert_eq!(place.run(&["run", "-c", "touch a && rm a; exit 3"]), "exit 3");
    assert_eq!(place.run(&["run", "-c", "true"]), "exit 0");
}

/// What a run deleted has a name in the vault; nobody sees that one change along.
#[test]
fn a_name_in_the_vault_is_no_further_name() {
    let place = Place::new();
    write(&place.at("w/a"), "one");
    fs::hard_link(place.at("w/a"), place.at("w/b")).expect("link");
    fs::create_dir(place.at("w/d")).expect("mkdir");
    fs::hard_link(place.at("w/a"), place.at("w/d/c")).expect("link");
    assert_eq!(place.run(&["run", "-c", "rm -r b d"]), "exit 0");
    assert_eq!(place.run(&["run", "-c", "echo two > a"]), "exit 0");
    place.run(&["undo", "--last", "2"]);
    assert_eq!(fs::read_to_string(place.at("w/d/c")).expect("c"), "one");
    // Replaced, not deleted: what was there is kept in another place.
    assert_eq!(place.run(&["run", "-c", "sed -i s/one/1/ b; rm -r d"]), "exit 0");
    assert_eq!(place.run(&["run", "-c", "echo two > a"]), "exit 0");
    place.run(&["undo", "--last", "2"]);
    // A name that is no deletion's still counts.
    assert!(place.run(&["run", "-c", "rm b; echo two > a"]).starts_with("exit 75"));
}

#[test]
fn a_run_that_was_cut_off_before_its_record_is_not_the_last() {
    let place = Place::new();
    place.run(&["run", "-c", "echo one > a"]);
    fs::create_dir(place.at("state/backstop/runs/r-zzzzzz")).expect("mkdir");
    assert!(place.run(&["undo", "@last"]).starts_with("exit 0"));
    assert!(!place.at("w/a").exists());
}

#[test]
fn undo_stops_before_what_changed_since() {
    let place = Place::new();
    write(&place.at("w/a"), "one");
    place.run(&["run", "-c", "echo two > a"]);
    write(&place.at("w/a"), "by a person");
    let text = place.run(&["undo", "@last"]);
    assert!(text.starts_with("exit 74\n--- stderr\nbackstop: stopped before r-RUN: "), "{text}");
    assert_eq!(text.matches("somebody else changed it").count(), 1, "{text}");
    assert!(text.contains("in 1 place\n") && !text.contains("\\n"), "{text}");
    assert_eq!(fs::read_to_string(place.at("w/a")).expect("a"), "by a person");
}

/// Other people work in the directories above and in the workspace meanwhile: that is no effect of
/// the run, and what they did stays.
#[test]
fn a_conflict_keeps_both_and_retry_goes_by_todays_disk() {
    let place = Place::new();
    let (file, code) = (place.at("w/a"), |output: Output| output.status.code());
    write(&file, "one\n");
    let id = place.id(&["run", "--hold", "-c", "echo two >> a"]);
    write(&file, "a person's\n");
    assert_eq!(code(place.output(&["commit", &id])), Some(74));
    assert_eq!(fs::read_to_string(&file).expect("there"), "a person's\n");
    assert_eq!(code(place.output(&["retry", &id])), Some(0));
    assert_eq!(fs::read_to_string(&file).expect("there"), "a person's\ntwo\n");
    assert_eq!(code(place.output(&["commit", &id])), Some(2), "the old one is given up");
}

#[test]
fn a_session_is_taken_back_and_brought_back_as_a_whole() {
    let place = Place::new();
    let file = place.at("w/a");
    let read = || fs::read_to_string(&file).expect("there");
    write(&file, "0");
    for (session, n) in [("mine", "1"), ("mine", "2"), ("other", "x")] {
        let target = if session == "mine" { "a" } else { "b" };
        let line = format!("printf {n} >> {target}");
        assert_eq!(place.output(&["run", "--session", session, "-c", &line]).status.code(), Some(0));
    }
    assert_eq!(place.output(&["undo", "--session", "mine"]).status.code(), Some(0));
    assert_eq!((read().as_str(), place.at("w/b").exists()), ("0", true));
    assert_eq!(place.output(&["redo", "--session", "mine"]).status.code(), Some(0));
    assert_eq!(read(), "012");
    assert_eq!(place.output(&["undo", "--session", "nobody's"]).status.code(), Some(2));
}

#[test]
fn what_the_vault_let_go_cannot_be_taken_back_and_says_so() {
    let place = Place::new();
    write(&place.at("w/a"), "one\n");
    assert_eq!(place.output(&["run", "--", "rm", "a"]).status.code(), Some(0));
    let held = place.id(&["run", "--hold", "-c", "echo b > b"]);
    assert_eq!(place.output(&["vault", "prune", "--older-than", "0s"]).status.code(), Some(0));
    let output = place.output(&["undo", "@-2"]);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("has let its copies go") && text.contains("backstop vault status"), "{text}");
    assert_eq!(place.output(&["commit", &held]).status.code(), Some(0), "what is held is no copy and stays");
}

#[test]
fn a_commit_that_cannot_be_receipted_is_finished_by_recover() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    let line = ["run", "--", "sh", "-c", "sleep 1; echo b > b"];
    place.environment(command.args(line)).stdin(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("backstop starts");
    let runs = place.at("state/backstop/runs");
    let run = loop {
        if let Some(Ok(run)) = fs::read_dir(&runs).ok().and_then(|mut d| d.next()) {
            break run.path();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    // Reads as no receipts yet, and can't be written to.
    let receipts = run.join("receipts.jsonl");
    std::os::unix::fs::symlink("/nonexistent/receipts", &receipts).expect("planted");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(125), "{text}");
    assert!(text.contains("backstop recover"), "{text}");
    fs::remove_file(&receipts).expect("mended");
    assert_eq!(place.output(&["recover"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(place.at("w/b")).expect("committed"), "b\n");
    assert_eq!(place.output(&["undo", "@last"]).status.code(), Some(0), "committed, with a receipt");
    assert!(!place.at("w/b").exists());
}

#[test]
fn what_others_do_meanwhile_in_the_same_directories_is_not_the_runs_effect() {
    let place = Place::new();
    write(&place.at("w/mine"), "old\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    // Its own process says when the command has written; until then nobody else may.
    let line = "echo new > mine; echo written; sleep 1";
    place.environment(command.args(["run", "--json", "-c", line])).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("backstop starts");
    let mut said = [0; 8];
    child.stderr.as_mut().expect("piped").read_exact(&mut said).expect("the command's output goes aside");
    write(&place.at("w/theirs"), "x");
    write(&place.at("beside"), "x");
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let effects = document["effects"]["effects"].as_array().expect("effects");
    assert_eq!(effects.len(), 1, "{text}");
    assert_eq!(fs::read_to_string(place.at("w/mine")).expect("committed"), "new\n");
    assert!(place.at("w/theirs").exists() && place.at("beside").exists());
}

#[test]
fn a_run_inside_a_run_is_in_the_log_with_its_session_and_reason() {
    let place = Place::new();
    let inner = format!("{} run --session inner --reason because -- touch x", env!("CARGO_BIN_EXE_backstop"));
    let output =
        place.output(&["run", "--session", "outer", "-c", &format!("{inner}; echo junk >> /run/backstop.nested")]);
    assert_eq!(output.status.code(), Some(0), "{}", place.plain(&output.stderr));
    assert!(place.at("w/x").exists());
    let log = place.output(&["log", "--json"]);
    let text = String::from_utf8(log.stdout).expect("UTF-8");
    let nested: Vec<&str> = text.lines().filter(|l| l.contains("run.nested")).collect();
    assert_eq!(nested.len(), 1, "{text}");
    assert!(nested[0].contains(r#""session":"inner""#) && nested[0].contains(r#""reason":"because""#), "{text}");
    assert_eq!(place.output(&["audit", "verify"]).status.code(), Some(0));
}

/// The reader of a pipeline must not wait for its writer's turn to end: the writer waits for it.
#[test]
fn two_runs_in_one_pipeline_do_not_wait_for_each_other() {
    let place = Place::new();
    let bs = env!("CARGO_BIN_EXE_backstop");
    let line =
        format!("timeout 30 {bs} run -- head -c 1000000 /dev/zero | {{ sleep 0.5; timeout 30 {bs} run -- wc -c; }}");
    let mut command = Command::new("sh");
    let output = place.environment(command.args(["-c", &line])).stdin(Stdio::null()).output().expect("sh");
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8").trim(), "1000000", "{}", place.plain(&output.stderr));
}

#[test]
fn a_command_that_writes_too_much_is_stopped_and_nothing_takes_effect() {
    let place = Place::new();
    let output =
        place.output(&["run", "--write-limit", "1M", "-c", "while :; do head -c 1000000 /dev/zero >> big; done"]);
    let said = place.plain(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("wrote more than 1000000 bytes") && said.contains("next "), "{said}");
    assert!(!place.at("w/big").exists());
    assert_eq!(place.output(&["run", "--write-limit", "1X", "--", "true"]).status.code(), Some(2));
}

#[test]
fn dry_runs_change_nothing_and_end_well() {
    let place = Place::new();
    write(&place.at("w/a"), "12345");
    insta::assert_snapshot!(place.run(&["run", "--dry-run", "--", "rm", "a"]), @r#"
    exit 0
    --- stderr
    backstop: dry run r-RUN: would delete $DIR/w/a (5 B)
      lost     1 file (5 B) that exists nowhere else (no proven backup)
      next     nothing was changed; the same line without --dry-run does it
      $DIR/w/                          5 B  -1               ██████████
    └─ - a                                        5 B                   ██████████
    "#);
    assert!(place.at("w/a").exists());
}

#[test]
fn prefixes_that_name_several_runs_are_refused() {
    let place = Place::new();
    let first = place.id(&["run", "--hold", "--", "touch", "a"]);
    place.id(&["run", "--hold", "--", "touch", "b"]);
    let text = place.run(&["show", &first[..5]]);
    assert!(text.starts_with("exit 2") && text.contains("may be any of 2 runs"), "{text}");
    let before = String::from_utf8(place.output(&["show", "@-2", "--json"]).stdout).expect("UTF-8");
    assert!(before.contains(&first), "@-2 is the one before");
}

#[test]
fn json_is_one_document_and_the_commands_output_goes_aside() {
    let place = Place::new();
    let output = place.output(&["run", "--json", "--", "sh", "-c", "echo out; touch a"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((document["exit_code"].as_u64(), document["record"]["state"].as_str()), (Some(0), Some("committed")));
    assert_eq!(output.stderr, b"out\n");
    let runs: serde_json::Value = serde_json::from_slice(&place.output(&["runs", "--json"]).stdout).expect("JSON");
    assert_eq!(runs["runs"][0]["state"], "committed");
}

#[test]
fn a_wait_ends_when_a_person_discards() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    let mut child = place
        .environment(command.args(["run", "--hold", "--wait=60s", "--", "touch", "a"]))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("backstop");
    let mut first = [0; 26];
    child.stderr.as_mut().expect("piped").read_exact(&mut first).expect("the held message");
    let id = String::from_utf8(first[15..23].to_vec()).expect("UTF-8");
    assert!(place.run(&["discard", &id]).starts_with("exit 0"));
    assert_eq!(child.wait().expect("ends").code(), Some(77));
    assert_eq!(place.output(&["run", "--hold", "--wait=1s", "--", "touch", "a"]).status.code(), Some(75));
}

#[test]
fn an_agent_can_wait_for_a_persons_decision() {
    let place = Place::new();
    write(&place.at("w/a"), "x\n");
    for (verb, code) in [("commit", 3), ("discard", 77)] {
        let id = place.id(&["run", "--hold", "-c", &format!("echo {verb} > a; exit 3")]);
        let text = place.run(&["wait", "--at-most", "1s", &id]);
        assert!(text.starts_with("exit 75\n--- stderr\nbackstop: held r-RUN"), "{text}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        let mut waits = place
            .environment(command.args(["wait", "--json", &id]))
            .stdout(Stdio::piped())
            .spawn()
            .expect("backstop starts");
        assert_eq!(place.output(&[verb, &id]).status.code(), Some(0));
        assert_eq!(waits.wait().expect("it ends").code(), Some(code), "{verb}");
        let mut text = String::new();
        waits.stdout.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["exit_code"], code, "{text}");
    }
    assert!(place.run(&["wait", "@-9"]).starts_with("exit 2"));
}

/// The same at a terminal, where somebody answers the question.
fn at_a_terminal(place: &Place, args: &[&str], answer: &str) -> (Option<i32>, String) {
    meanwhile(place, args, || answer.to_owned())
}

/// The same, where something happens before the answer.
fn meanwhile(place: &Place, args: &[&str], answer: impl FnOnce() -> String) -> (Option<i32>, String) {
    let prepare = |command: &mut Command| {
        place.environment(command);
    };
    let (code, seen) = terminal::at_a_terminal(args, prepare, "(hold) > ", answer);
    (code, place.plain(&seen).replace('\r', ""))
}

#[test]
fn a_person_at_a_terminal_is_asked_and_obeyed() {
    for (answer, code, there) in [("c\n", 0, false), ("h\n", 75, true), ("d\n", 77, true), ("\n", 75, true)] {
        let place = Place::new();
        write(&place.at("w/db"), "data");
        let _open = File::options().append(true).open(place.at("w/db")).expect("open for writing");
        let (got, text) = at_a_terminal(&place, &["run", "--", "rm", "db"], answer);
        assert_eq!((got, place.at("w/db").exists()), (Some(code), there), "{answer:?}: {text}");
        assert!(text.contains("open for writing") && text.contains("let it take effect?"), "{text}");
    }
}

#[test]
fn an_answer_to_an_older_question_is_judged_by_the_rules_of_then() {
    let place = Place::new();
    write(&place.at("w/db"), "data");
    let _open = File::options().append(true).open(place.at("w/db")).expect("open for writing");
    let rule = "@id(\"two\") @reason(\"a file would go\") @next(\"keep it\")\n\
        forbid (principal, action == Action::\"commit\", resource)\n\
        when { context.deleted.files > 0 } unless { context.approvals.people >= 2 };\n";
    let (code, text) = meanwhile(&place, &["run", "--", "rm", "db"], || {
        fs::create_dir(place.at("w/.backstop")).expect("made");
        write(&place.at("w/.backstop/two.cedar"), rule);
        "c\n".to_owned()
    });
    assert_eq!((code, place.at("w/db").exists()), (Some(75), true), "{text}");
    assert!(text.contains("while the question stood"), "{text}");
}

#[test]
fn yes_answers_for_the_person_at_the_terminal() {
    let place = Place::new();
    write(&place.at("w/db"), "data");
    let _open = File::options().append(true).open(place.at("w/db")).expect("open for writing");
    let (code, text) = at_a_terminal(&place, &["run", "--yes", "--", "rm", "db"], "");
    assert_eq!((code, place.at("w/db").exists()), (Some(0), false), "{text}");
    assert!(text.contains("committed r-RUN"), "{text}");
}

#[test]
fn the_drill_passes() {
    let place = Place::new();
    let output = place.output(&["drill", "incident", "--files", "300", "--dir", place.at("").to_str().expect("UTF-8")]);
    let text = place.plain(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}{}", place.plain(&output.stderr));
    assert!(text.contains("nothing was lost") && !text.contains('✗'), "{text}");
    let left: Vec<_> = fs::read_dir(place.at("")).expect("dir").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(left, ["w"], "it takes its scratch data away and leaves no state");
}

/// The rules that spoke to the last run.
fn rules(place: &Place) -> Vec<String> {
    let shown = place.output(&["show", "--json", "@last"]);
    let document: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("a document");
    let reasons = document["record"]["judgement"]["reasons"].as_array().cloned().unwrap_or_default();
    reasons.iter().filter_map(|r| r["rule"].as_str()).map(str::to_owned).collect()
}

#[test]
fn a_denial_holds_for_the_same_effect_however_it_is_spelt_until_a_person_has_it_judged_anew() {
    let place = Place::new();
    fs::create_dir_all(place.at("w/pg/base")).expect("a directory");
    write(&place.at("w/pg/PG_VERSION"), "15\n");
    write(&place.at("w/pg/base/1"), "rows\n");
    let code = |line: &str| {
        let output = place.output(&["run", "--profile", "production", "-c", line]);
        output.status.code().expect("a code")
    };
    assert_eq!(code("rm -rf pg"), 77);
    assert!(rules(&place).contains(&"protected-without-proof".to_owned()), "{:?}", rules(&place));
    assert!(!rules(&place).contains(&"repeats-denied".to_owned()), "{:?}", rules(&place));
    assert_eq!(code("find pg -delete; touch note"), 77);
    assert!(rules(&place).contains(&"repeats-denied".to_owned()), "{:?}", rules(&place));

    // A backup that was restored takes the reason away, but not what was said.
    let now = backstop_core::time::Timestamp::from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map(|d| (d.as_secs() as i64, 0))
            .expect("now"),
    );
    let proven = serde_json::json!({"version": 1, "proven": [
        {"at": now.to_string(), "level": "application", "locations": 2, "roots": [place.at("w/pg").to_str()]}
    ]});
    fs::write(place.at("state/backstop/proven.json"), proven.to_string()).expect("planted");
    assert_eq!(code("python3 -c 'import shutil; shutil.rmtree(\"pg\")'"), 77);
    assert_eq!(rules(&place)[0], "repeats-denied", "{:?}", rules(&place));
    assert!(!rules(&place).contains(&"protected-without-proof".to_owned()), "{:?}", rules(&place));
    // Another effect is another matter.
    assert_eq!(code("rm pg/base/1"), 75);
    assert_eq!(place.output(&["discard", "@last"]).status.code(), Some(0));

    let runs = place.output(&["runs", "--json", "--state", "denied"]);
    let listed: serde_json::Value = serde_json::from_slice(&runs.stdout).expect("a document");
    let id = listed["runs"][0]["id"].as_str().expect("a run").to_owned();
    assert_eq!(place.output(&["retry", &id]).status.code(), Some(75));
    assert!(!rules(&place).contains(&"repeats-denied".to_owned()), "{:?}", rules(&place));
    assert!(place.at("w/pg/base/1").exists());
}
