//! The command line as its callers see it: standard output, standard error and exit code. Every
//! test has a state directory of its own; what rehearses real effects is in `pipeline.rs`.

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
        let place = self.path().canonicalize().expect("real");
        let plain = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).expect("UTF-8").replace(place.to_str().expect("UTF-8"), "$DIR")
        };
        let mut text = format!("exit {}\n", output.status.code().map_or("signal".to_owned(), |c| c.to_string()));
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text.push_str(&format!("--- {name}\n{}", plain(bytes)));
            }
        }
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn help() {
    insta::assert_snapshot!(Place::new().run(&["--help"]), @r#"
    exit 0
    --- stdout
    Nothing a command does takes effect before its true effect is known, allowed, recorded and undoable

    Usage: backstop <COMMAND>

    Commands:
      run          Rehearse a command, judge its effect, commit or hold it
      show         Show what a run would change, or changed
      commit       Let a held run take effect (people only)
      discard      Give up a held run; nothing of it takes effect
      undo         Take committed runs back, newest first
      redo         Bring undone runs back, oldest first (people only)
      retry        Run a held run's command again on today's disk (people only)
      wait         Wait until a held run is decided, and end with its exit code
      runs         List runs, newest first
      log          Print the audit log
      audit        Check the records
      doctor       Show what this machine can and can't do, proven by doing it
      policy       Look at the rules, check them, try them
      vault        Look after what undo needs
      recover      Finish or take back what a crash left half done
      drill        Rehearse an accident on scratch data, and the way back
      hook         Answer a coding agent's hook: its JSON on standard input, the answer in its own
                   dialect
      install      Put Backstop's hook into the configuration of coding agents, and prove it (people
                   only)
      uninstall    Take Backstop's hook out of the configuration of coding agents (people only)
      completions  Print completions for a shell
      help         Explain a command or a topic: exit-codes, states, undo, policy, classes, settings

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Start here:
      backstop drill incident          lose a database on scratch data, and get it back
      backstop run -- make clean       rehearse, judge, then commit or hold
      backstop undo --last 1           take the last one back

    Topics: backstop help exit-codes | states | undo | policy | classes | settings
    "#);
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(Place::new().run(&["run", "--help"]), @r#"
    exit 0
    --- stdout
    Rehearse a command, judge its effect, commit or hold it

    Usage: backstop run [OPTIONS] [--] CMD [ARG]...
           backstop run [OPTIONS] -c LINE

    Arguments:
      [CMD]...
              The command and its arguments

    Options:
      -c <LINE>
              Run LINE with `bash -c`

          --workspace <DIR>
              The agent's own place [default: the nearest repository root, else the current directory;
              never `/`, a home, or a parent of one: then every change is outside]

          --dry-run
              Show the effect, never commit (exit 0 whatever the judgement)

          --hold
              Always hold, even when allowed

          --rehearse
              Rehearse even what is known to only read (`ls`, `git status`), which otherwise runs in
              place without any right to write

          --yes
              Confirm as the person at this terminal (refused without one, and inside a run)

          --wait[=<DUR>]
              When held, wait for a person to commit or discard it, at most DUR (90s, 10m, 2h, 1d)

          --reason <TEXT>
              Why, shown to approvers and kept in the audit log

          --session <ID>
              Groups runs: an agent's session id

          --agent <NAME>
              The coding agent that asks, as its hook says it

          --call <ID>
              Its tool call

          --subagent <ID>
              Its sub-agent, where one asks

          --cwd-to <FD>
              Say LINE's last directory to this pipe, so that the shell outside can go there as well

          --net <NET>
              What the command may reach, as far as the machine's settings allow [default: from the
              profile]

              Possible values:
              - none: Nothing but a loopback of its own
              - host: The machine's network

          --profile <PROFILE>
              Defaults to go by, as far as the machine's settings allow [default: from the settings,
              else workstation]

              Possible values:
              - workstation: Undoable changes in the workspace are allowed, the network is the machine's
              - production:  Changes outside scratch directories ask, losing protected data needs two
                people and a proven backup; no network

          --parallel
              Don't take turns with other runs in the same workspace

          --write-limit <SIZE>
              Stop the command when it has written more than this, in bytes (K, M, G, T: powers of 1000)

          --json
              Print one JSON document after the run; the command's own output goes to stderr

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn help_of_the_other_verbs() {
    let place = Place::new();
    let verbs: [&[&str]; 21] = [
        &["show"],
        &["commit"],
        &["discard"],
        &["undo"],
        &["redo"],
        &["retry"],
        &["wait"],
        &["runs"],
        &["log"],
        &["audit", "verify"],
        &["doctor"],
        &["policy", "check"],
        &["policy", "explain"],
        &["policy", "test"],
        &["policy", "simulate"],
        &["policy", "show"],
        &["vault", "prune"],
        &["recover"],
        &["drill", "incident"],
        &["install"],
        &["completions"],
    ];
    let all: Vec<String> = verbs.iter().map(|v| place.run(&[v, &["--help"][..]].concat())).collect();
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    exit 0
    --- stdout
    Show what a run would change, or changed

    Usage: backstop show [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --diff  Show text differences
          --tree  List every entry, those beneath deleted directories too
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Let a held run take effect (people only)

    Usage: backstop commit [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Give up a held run; nothing of it takes effect

    Usage: backstop discard [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Take committed runs back, newest first

    Usage: backstop undo [OPTIONS] [RUN]...

    Arguments:
      [RUN]...  The runs: ids, prefixes, @last, @-2

    Options:
          --last <N>      The last N
          --session <ID>  All of a session
          --json          Print one JSON document
          --beside        Put the old one beside what changed since, as `name.before-RUN`, instead of
                          stopping
      -h, --help          Print help

    exit 0
    --- stdout
    Bring undone runs back, oldest first (people only)

    Usage: backstop redo [OPTIONS] [RUN]...

    Arguments:
      [RUN]...  The runs: ids, prefixes, @last, @-2

    Options:
          --last <N>      The last N
          --session <ID>  All of a session
          --json          Print one JSON document
      -h, --help          Print help

    exit 0
    --- stdout
    Run a held run's command again on today's disk (people only)

    Usage: backstop retry [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Wait until a held run is decided, and end with its exit code

    Usage: backstop wait [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --at-most <DUR>  At most this long (90s, 10m, 2h, 1d); then it ends with 75, as the run is
                           still held
          --json           Print one JSON document
      -h, --help           Print help

    exit 0
    --- stdout
    List runs, newest first

    Usage: backstop runs [OPTIONS]

    Options:
          --state <STATE>  Only this state [possible values: rehearsing, no-effect, held, denied,
                           dry-run, allowed, committed, undone, discarded, failed]
          --session <ID>   Only this session
          --json           Print one JSON document
      -h, --help           Print help

    exit 0
    --- stdout
    Print the audit log

    Usage: backstop log [OPTIONS]

    Options:
          --follow        Wait for new entries and print them
          --session <ID>  Only this session
          --json          Print the entries as they stand in the log, one JSON document a line
      -h, --help          Print help

    exit 0
    --- stdout
    Check every byte of the audit log: exit 1 when something is changed, missing or appended

    Usage: backstop audit verify [OPTIONS]

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Show what this machine can and can't do, proven by doing it

    Usage: backstop doctor [OPTIONS]

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Check policy files, or without any those in force: exit 1 when one is refused (people only)

    Usage: backstop policy check [OPTIONS] [FILE]...

    Arguments:
      [FILE]...
              Policy files; each is checked on top of the profile's rules, as if root had installed it

    Options:
          --profile <PROFILE>
              The profile [default: the machine's]

              Possible values:
              - workstation: Undoable changes in the workspace are allowed, the network is the machine's
              - production:  Changes outside scratch directories ask, losing protected data needs two
                people and a proven backup; no network

          --json
              Print one JSON document

      -h, --help
              Print help (see a summary with '-h')

    exit 0
    --- stdout
    Explain a run: every rule that spoke, and the facts that it saw

    Usage: backstop policy explain [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Judge case files: exit 1 when one gets another tier than it expects (people only)

    Usage: backstop policy test [OPTIONS] <FILE>...

    Arguments:
      <FILE>...  Case files, or directories of them

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Judge the recorded runs by other rules, and print what would differ (people only)

    Usage: backstop policy simulate [OPTIONS]

    Options:
          --policy <PATH>  A policy file to add, or a directory in the place of the machine's [default:
                           the rules in force]
          --json           Print one JSON document
      -h, --help           Print help

    exit 0
    --- stdout
    Print the rules in force here, layer by layer

    Usage: backstop policy show [OPTIONS]

    Options:
          --profile <PROFILE>
              The profile [default: the machine's]

              Possible values:
              - workstation: Undoable changes in the workspace are allowed, the network is the machine's
              - production:  Changes outside scratch directories ask, losing protected data needs two
                people and a proven backup; no network

          --json
              Print one JSON document

      -h, --help
              Print help (see a summary with '-h')

    exit 0
    --- stdout
    Let go of what is beyond the limits (people only)

    Usage: backstop vault prune [OPTIONS]

    Options:
          --older-than <DUR>  Also let go of everything older than this (90s, 10m, 2h, 14d)
          --json              Print one JSON document
      -h, --help              Print help

    exit 0
    --- stdout
    Finish or take back what a crash left half done

    Usage: backstop recover [OPTIONS]

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    "Clean up the temp folder", where the folder is a link to a live database

    Usage: backstop drill incident [OPTIONS]

    Options:
          --commit     Commit the loss without asking, to see it undone
          --dir <DIR>  Where to make the scratch directory [default: the temporary directory]
          --files <N>  How many files the database directory gets [default: 5000]
      -h, --help       Print help

    exit 0
    --- stdout
    Put Backstop's hook into the configuration of coding agents, and prove it (people only)

    Usage: backstop install [OPTIONS] [AGENT]...

    Arguments:
      [AGENT]...  The agents [possible values: amp, claude, cline, codex, copilot, cursor, droid,
                  gemini, goose, kiro, opencode, pi, qwen, windsurf]

    Options:
          --all         All agents that Backstop knows
          --detect      The agents that are on this machine: their directory in the home, or their
                        program
          --system      For everybody on this machine, where agents take it from root: no user can
                        switch it off
          --root <DIR>  Take DIR for `/`, to prepare an image
          --dry-run     Show what would be written, and write nothing
          --json        Print one JSON document
      -h, --help        Print help

    exit 0
    --- stdout
    Print completions for a shell

    Usage: backstop completions <SHELL>

    Arguments:
      <SHELL>  The shell [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help  Print help
    "#);
}

#[test]
fn topics_are_printed_and_unknown_ones_refused() {
    let place = Place::new();
    for topic in ["exit-codes", "states", "undo", "policy", "classes", "settings", "run", "vault"] {
        let text = place.run(&["help", topic]);
        assert!(text.starts_with("exit 0\n--- stdout\n") && text.lines().count() > 5, "{topic}: {text}");
    }
    insta::assert_snapshot!(place.run(&["help", "nonsense"]), @r#"
    exit 2
    --- stderr
    backstop: no help about nonsense
      next     backstop help, or one of: exit-codes, states, undo, policy, classes, settings
    "#);
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
            asker: None,
            command: backstop_core::request::Command::Line("rm -rf /var/www/temp/*\u{1b}[2J".into()),
            cwd: "/var/www".into(),
            gid: 33,
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
