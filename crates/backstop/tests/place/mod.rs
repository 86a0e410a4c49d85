//! A scratch directory with a workspace, a home and a state directory of its own, and the real program in it.

#![allow(dead_code, reason = "each test program uses its own part of it")]

pub mod scene;
pub mod terminal;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("temp") };
        fs::create_dir_all(place.at("w")).expect("workspace");
        fs::create_dir_all(place.at("home")).expect("home");
        place
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("real").join(path)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        self.environment(command.args(args)).stdin(Stdio::null());
        command
    }

    pub fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .current_dir(self.at("w"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NO_COLOR", "1")
            .env("HOME", self.at("home"))
            .env("XDG_STATE_HOME", self.at("state"))
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("backstop starts")
    }

    /// Exit code and both streams, as a snapshot has them.
    pub fn run(&self, args: &[&str]) -> String {
        transcript(&self.output(args), self.dir.path())
    }

    /// What it prints on both streams, where it ends with that code.
    pub fn say(&self, args: &[&str], code: i32) -> String {
        let output = self.output(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        text(&output)
    }

    pub fn json(&self, args: &[&str], code: i32) -> serde_json::Value {
        let output = self.output(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", text(&output)))
    }

    /// The same with something on standard input.
    pub fn fed(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("backstop starts");
        // It may have answered before it has read all of it: a hook has a deadline.
        match child.stdin.take().expect("piped").write_all(input) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("it doesn't read: {error}"),
            _ => {}
        }
        child.wait_with_output().expect("it ends")
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at("w").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The ids of all runs, newest first.
    pub fn ids(&self) -> Vec<String> {
        let runs = self.json(&["runs", "--json"], 0);
        let runs = runs["runs"].as_array().expect("a list").iter();
        runs.map(|r| r["id"].as_str().expect("an id").to_owned()).collect()
    }

    pub fn record(&self, id: &str) -> PathBuf {
        self.at("state/backstop/runs").join(id).join("run.json")
    }
}

pub fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).expect("UTF-8")
}

/// Exit code and both streams, the place's own path as `$DIR`.
pub fn transcript(output: &Output, place: &Path) -> String {
    let place = place.canonicalize().expect("real");
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

/// Waits until it holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
