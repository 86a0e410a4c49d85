//! The command line as its callers see it: standard output, standard error and exit code. Every
//! test has a state directory of its own; what rehearses real effects is in `pipeline.rs`.

mod place;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use backstop_core::audit::{Body, By};
use backstop_core::digest::Digest;
use backstop_core::effect::{Count, Totals};
use backstop_core::id::RunId;
use backstop_core::policy::{Decision, Judgement, Reason};
use backstop_core::request::Net;
use backstop_core::run::Exit;
use backstop_core::time::Timestamp;
use backstop_engine::audit::AuditLog;
use place::transcript;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temp") }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> String {
        self.text(&self.command(args).output().expect("backstop starts"))
    }

    fn text(&self, output: &Output) -> String {
        transcript(output, self.path())
    }
}

#[test]
fn a_line_without_a_verb_or_a_command() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["run"]), @r#"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <CMD>...

    Usage: backstop run [OPTIONS] [--] CMD [ARG]...
           backstop run [OPTIONS] -c LINE

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(place.run(&["run", "--", ""]), @r#"
    exit 2
    --- stderr
    backstop: the command is an empty word
      next     backstop run -- CMD [ARG...]
    "#);
    insta::assert_snapshot!(place.run(&["run", "-c", "true", "--", "false"]), @r#"
    exit 2
    --- stderr
    error: the argument '-c <LINE>' cannot be used with '[CMD]...'

    Usage: backstop run [OPTIONS] [--] CMD [ARG]...
           backstop run [OPTIONS] -c LINE

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(place.run(&["frobnicate"]), @r#"
    exit 2
    --- stderr
    error: unrecognized subcommand 'frobnicate'

    Usage: backstop <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn unknown_and_ambiguous_runs() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["show", "r-zzzzzz"]), @r#"
    exit 2
    --- stderr
    backstop: there is no run r-zzzzzz
      next     list them: backstop runs
    "#);
    insta::assert_snapshot!(place.run(&["undo", "nonsense"]), @r#"
    exit 2
    --- stderr
    backstop: there is no run nonsense
      next     list them: backstop runs
    "#);
    insta::assert_snapshot!(place.run(&["commit", "@last"]), @r#"
    exit 2
    --- stderr
    backstop: there are only 0 runs
      next     list them: backstop runs
    "#);
}

#[test]
fn a_failure_with_json_is_a_document_too() {
    insta::assert_snapshot!(Place::new().run(&["show", "r-zzzzzz", "--json"]), @r#"
    exit 2
    --- stdout
    {
      "exit_code": 2,
      "failure": "usage",
      "next": [
        "list them: backstop runs"
      ],
      "version": 1,
      "what": "there is no run r-zzzzzz"
    }
    --- stderr
    backstop: there is no run r-zzzzzz
      next     list them: backstop runs
    "#);
}

#[test]
fn a_workspace_that_is_missing_a_file_or_too_big() {
    let place = Place::new();
    std::fs::write(place.path().join("file"), "").expect("file");
    insta::assert_snapshot!(place.run(&["run", "--workspace", "missing", "--", "true"]), @r#"
    exit 2
    --- stderr
    backstop: cannot use missing as the workspace: No such file or directory (os error 2)
      next     --workspace DIR, a directory that exists; or leave it out
    "#);
    insta::assert_snapshot!(place.run(&["run", "--workspace", "file", "--", "true"]), @r#"
    exit 2
    --- stderr
    backstop: cannot use file as the workspace: not a directory
      next     --workspace DIR, a directory that exists; or leave it out
    "#);
    insta::assert_snapshot!(place.run(&["run", "--workspace", "/", "--", "true"]), @r#"
    exit 0
    "#);
    insta::assert_snapshot!(place.run(&["run", "--workspace", ".", "--", "true"]), @r#"
    exit 0
    "#);
    insta::assert_snapshot!(place.run(&["run", "--profile", "production", "--workspace", "/srv", "--", "true"]), @r#"
    exit 0
    "#);
}

#[test]
fn yes_is_refused_without_a_terminal() {
    insta::assert_snapshot!(Place::new().run(&["run", "--yes", "--", "true"]), @r#"
    exit 77
    --- stderr
    backstop: refused: --yes without a terminal
      rule     what lets something through, or changes the rules, is people's
      next     a person confirms at a terminal; without one the run is held: leave --yes out
    "#);
}

#[test]
fn a_current_directory_that_is_gone() {
    let place = Place::new();
    let gone = place.path().join("gone");
    std::fs::create_dir(&gone).expect("dir");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "cd gone && rmdir ../gone && exec \"$0\" run -- true", env!("CARGO_BIN_EXE_backstop")])
        .current_dir(place.path())
        .env("XDG_STATE_HOME", place.path().join("state"))
        .stdin(Stdio::null());
    insta::assert_snapshot!(place.text(&command.output().expect("sh")), @r#"
    exit 125
    --- stderr
    backstop: cannot tell the current directory: No such file or directory (os error 2)
      rule     when Backstop fails, nothing is changed
      next     change to a directory that exists
    "#);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for args in [&["--help"][..], &["completions", "bash"], &["help", "policy"], &["help"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("backstop");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ends");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
    }
}

#[test]
fn completions_and_man_pages_come_from_the_declaration() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.run(&["completions", shell]);
        assert!(text.starts_with("exit 0") && text.contains("workspace") && text.contains("discard"), "{shell}");
    }
    assert_eq!(place.run(&["man", "pages"]), "exit 0");
    let run = std::fs::read_to_string(place.path().join("pages/backstop-run.1")).expect("man page");
    assert!(run.contains("dry\\-run") && run.contains("Rehearse"), "{run}");
    assert!(
        place.path().join("pages/backstop.1").exists() && place.path().join("pages/backstop-vault-prune.1").exists()
    );
}

#[test]
fn the_name_it_is_called_by_changes_nothing() {
    let place = Place::new();
    let mut command = place.command(&["--version"]);
    command.arg0("something-else");
    insta::assert_snapshot!(place.text(&command.output().expect("starts")), @r#"
    exit 0
    --- stdout
    backstop 0.1.0
    "#);
}

/// What a process inside a run gets: a `/run` of its own with the mark in it.
fn inside(place: &Place, line: &str) -> String {
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc")) == 0;
    let script = format!(
        "mount -t tmpfs tmpfs /run && mkdir /run/backstop && echo '{{}}' > /run/backstop/inside && \
         B={} && {line}",
        env!("CARGO_BIN_EXE_backstop")
    );
    let mut command = Command::new("unshare");
    command
        .args([if root { "-m" } else { "-rm" }, "sh", "-c", &script])
        .current_dir(place.path())
        .env("XDG_STATE_HOME", place.path().join("state"))
        .stdin(Stdio::null());
    place.text(&command.output().expect("unshare"))
}

#[test]
fn inside_a_run_nothing_is_let_through() {
    let place = Place::new();
    for verb in ["commit r-zzzzzz", "redo r-zzzzzz", "retry r-zzzzzz", "vault prune", "run --yes -- true"] {
        let text = inside(&place, &format!("$B {verb}"));
        assert!(text.starts_with("exit 77\n--- stderr\nbackstop: refused: `"), "{verb}: {text}");
    }
    insta::assert_snapshot!(inside(&place, "$B commit r-zzzzzz"), @r#"
    exit 77
    --- stderr
    backstop: refused: `commit` inside a run
      rule     what lets something through, or changes the rules, is people's
      next     a command can't approve itself: a person does it from a terminal outside any run
    "#);
    insta::assert_snapshot!(inside(&place, "$B runs"), @r#"
    exit 77
    --- stderr
    backstop: refused: `runs` inside a run can't see the records
      rule     a run can't reach Backstop's own files
      next     ask again when this run has ended, outside of it
    "#);
    insta::assert_snapshot!(inside(&place, "$B wait r-zzzzzz"), @r#"
    exit 77
    --- stderr
    backstop: refused: `wait` inside a run can't see the records
      rule     a run can't reach Backstop's own files
      next     ask again when this run has ended, outside of it
    "#);
    assert!(!place.path().join("state").exists(), "a refusal writes nothing");
}

#[test]
fn a_run_inside_a_run_is_the_command_itself() {
    let place = Place::new();
    insta::assert_snapshot!(inside(&place, "$B run --session s -- sh -c 'echo out; echo err >&2; exit 3'"), @r#"
    exit 3
    --- stdout
    out
    --- stderr
    err
    "#);
    insta::assert_snapshot!(inside(&place, "exec $B run -c 'kill -9 $$'"), @r#"
    exit signal
    "#);
    insta::assert_snapshot!(inside(&place, "$B run -- no-such-command"), @r#"
    exit 127
    --- stderr
    backstop: cannot run no-such-command: No such file or directory (os error 2)
      rule     when Backstop fails, nothing is changed
    "#);
    insta::assert_snapshot!(inside(&place, "$B run -- ./"), @r#"
    exit 126
    --- stderr
    backstop: cannot run ./: Permission denied (os error 13)
      rule     when Backstop fails, nothing is changed
    "#);
    assert!(!place.path().join("state").exists(), "a plain exec writes nothing");
}

#[test]
fn the_environment_does_not_decide_what_is_inside() {
    let place = Place::new();
    let mut command = place.command(&["commit", "r-zzzzzz"]);
    command.env("BACKSTOP_INSIDE", "1").env("BACKSTOP_RUN", "r-zzzzzz");
    assert!(place.text(&command.output().expect("starts")).starts_with("exit 2"));
}

/// A log with one held run of session `s`, one of nobody's.
fn audit_log(place: &Place) -> std::path::PathBuf {
    let dir = place.path().join("state/backstop/audit");
    std::fs::create_dir_all(&dir).expect("dir");
    let at = |n| Timestamp::new(1_795_364_400 + n, 0);
    let mut log = AuditLog::open(&dir, at(0)).expect("log");
    for (n, (id, session)) in [("r-2x7k3f", Some("s")), ("r-2x7k3g", None)].into_iter().enumerate() {
        let run = RunId::parse(id).expect("id");
        let requested = Body::RunRequested {
            by: None,
            asker: None,
            command: backstop_core::request::Command::Line("rm -rf /var/www/temp/*\u{1b}[2J".into()),
            cwd: "/var/www".into(),
            gid: 33,
            in_place: false,
            net: Net::Host,
            reason: None,
            run,
            session: session.map(Into::into),
            uid: 33,
            workspace: None,
        };
        let rehearsed = Body::RunRehearsed {
            digest: Digest::of_content(b""),
            doors: Vec::new(),
            effects: 1,
            exit: Exit::Code(0),
            left_behind: Vec::new(),
            run,
            totals: Totals {
                deleted: Count { bytes: 12_400_000_000, files: 41_210, ..Count::default() },
                ..Totals::default()
            },
        };
        let judged = Body::RunJudged {
            judgement: Judgement {
                decision: Decision::Ask,
                law: None,
                reasons: vec![Reason {
                    count: 1,
                    why: "the place is outside the workspace".into(),
                    ..Reason::new(Decision::Ask, "outside-workspace")
                }],
            },
            run,
        };
        log.append(at(1 + n as i64), &[requested, rehearsed, judged, Body::RunHeld { run }]).expect("append");
    }
    dir
}

#[test]
fn the_log_is_read_by_people_and_by_session() {
    let place = Place::new();
    assert_eq!(place.run(&["log"]), "exit 0");
    audit_log(&place);
    insta::assert_snapshot!(place.run(&["log"]), @r#"
    exit 0
    --- stdout
    2026-11-22 16:20:00            audit.started   the log begins
    2026-11-22 16:20:01  r-2x7k3f  run.requested   rm -rf /var/www/temp/*\x1b[2J  (user 33)
    2026-11-22 16:20:01  r-2x7k3f  run.rehearsed   -41,210 12.4 GB
    2026-11-22 16:20:01  r-2x7k3f  run.judged      ask outside-workspace
    2026-11-22 16:20:01  r-2x7k3f  run.held        waits for a person
    2026-11-22 16:20:02  r-2x7k3g  run.requested   rm -rf /var/www/temp/*\x1b[2J  (user 33)
    2026-11-22 16:20:02  r-2x7k3g  run.rehearsed   -41,210 12.4 GB
    2026-11-22 16:20:02  r-2x7k3g  run.judged      ask outside-workspace
    2026-11-22 16:20:02  r-2x7k3g  run.held        waits for a person
    "#);
    let one = place.run(&["log", "--session", "s"]);
    assert_eq!(one.lines().count(), 6, "{one}");
    let json = place.run(&["log", "--session", "s", "--json"]);
    assert!(json.lines().skip(2).all(|l| l.starts_with("{\"at\":") && l.ends_with('}')), "{json}");
    assert_eq!(place.run(&["log", "--session", "nobody"]), "exit 0");
}

#[test]
fn a_follower_sees_new_entries_and_ends_with_its_reader() {
    use std::io::BufRead;
    let place = Place::new();
    let dir = audit_log(&place);
    let mut child = place.command(&["log", "--follow"]).stdout(Stdio::piped()).spawn().expect("backstop");
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    for _ in 0..9 {
        line.clear();
        lines.read_line(&mut line).expect("line");
    }
    let mut log = AuditLog::open(&dir, Timestamp::new(1_795_364_500, 0)).expect("log");
    let run = RunId::parse("r-2x7k3g").expect("id");
    log.append(Timestamp::new(1_795_364_500, 0), &[Body::RunDiscarded { by: By::Person { uid: 33 }, run }])
        .expect("append");
    line.clear();
    lines.read_line(&mut line).expect("line");
    assert!(line.contains("run.discarded") && line.contains("by a person, user 33"), "{line}");
    drop(lines);
    assert_eq!(child.wait().expect("ends by itself").code(), Some(0));
}

#[test]
fn one_changed_byte_in_the_log_is_found() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["audit", "verify"]), @r#"
    exit 2
    --- stderr
    backstop: no audit log in $DIR/state/backstop/audit
      next     the first `backstop run` begins it
    "#);
    let dir = audit_log(&place);
    let hide = |text: String| {
        let root = text.lines().find_map(|l| l.trim().strip_prefix("root")).map(|l| l.trim().to_owned());
        root.map_or(text.clone(), |r| text.replace(&r, "ROOT"))
    };
    insta::assert_snapshot!(hide(place.run(&["audit", "verify"])), @r#"
    exit 0
    --- stdout
    integrity      holds    is it as it was written?
    completeness   holds    has every run each of its doors?
    authorisation  holds    had all that took effect its word?
      log      9 entries, 9 signed, 2 runs
      root     ROOT
    "#);
    let segment = std::fs::read_dir(&dir)
        .expect("log")
        .map(|e| e.expect("entry").path())
        .find(|p| std::fs::read(p).is_ok_and(|b| b.windows(11).any(|w| w == b"run.request")))
        .expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("segment");
    let at = bytes.windows(8).position(|w| w == b"r-2x7k3g").expect("the run");
    bytes[at + 7] = b'h';
    std::fs::write(&segment, bytes).expect("tampered");
    let text = place.run(&["audit", "verify"]);
    assert!(text.starts_with("exit 1\n--- stdout\nintegrity      broken"), "{text}");
    let json = place.run(&["audit", "verify", "--json"]);
    assert!(json.contains("\"integrity\": \"broken\"") && json.starts_with("exit 1"), "{json}");
}
