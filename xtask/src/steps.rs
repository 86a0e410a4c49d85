//! Takes named steps, runs each with its output in sight, and gives a table of what was done and
//! how long it took. Stops at nothing that fails: all failures show in one go.

use std::io::IsTerminal;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a step ended.
enum End {
    Passed,
    Failed(String),
    LeftOut,
}

/// The steps so far.
#[derive(Default)]
pub struct Steps {
    rows: Vec<(&'static str, Duration, End)>,
    without: Vec<String>,
}

impl Steps {
    /// Steps, of which those named in `without` are left out, visibly.
    pub fn new(without: &[String]) -> Self {
        Self { rows: Vec::new(), without: without.to_vec() }
    }

    /// Does one step.
    pub fn step(&mut self, name: &'static str, act: impl FnOnce() -> Result<(), String>) {
        if self.without.iter().any(|w| w == name) {
            println!("\n== {name}: LEFT OUT (--without {name})");
            self.rows.push((name, Duration::ZERO, End::LeftOut));
            return;
        }
        println!("\n== {name}");
        let started = Instant::now();
        let end = match act() {
            Ok(()) => End::Passed,
            Err(why) => {
                println!("== {name} FAILED: {why}");
                End::Failed(why)
            }
        };
        self.rows.push((name, started.elapsed(), end));
    }

    /// True when a step of that name failed, so that what needs its result can be left.
    pub fn failed(&self, name: &str) -> bool {
        self.rows.iter().any(|(n, _, end)| *n == name && matches!(end, End::Failed(_)))
    }

    /// Prints the table; an error where a step failed.
    pub fn finish(self) -> Result<(), String> {
        println!("\n{:<12} {:>9}  result", "step", "seconds");
        for (name, took, end) in &self.rows {
            let result = match end {
                End::Passed => "ok",
                End::Failed(why) => why.as_str(),
                End::LeftOut => "LEFT OUT by --without",
            };
            println!("{name:<12} {:>9.1}  {result}", took.as_secs_f64());
        }
        let total: Duration = self.rows.iter().map(|(_, t, _)| *t).sum();
        println!("{:<12} {:>9.1}", "all", total.as_secs_f64());
        let failed: Vec<&str> = self.rows.iter().filter(|r| matches!(r.2, End::Failed(_))).map(|r| r.0).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Result<(), String> {
    println!("$ {}", shown(command));
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(format!("cannot start: {error}")),
    }
}

/// Runs a command, passes its standard error on, and gives the last line there that `wanted` takes.
pub fn run_watching(command: &mut Command, wanted: impl Fn(&str) -> bool) -> (Result<(), String>, Option<String>) {
    println!("$ {}", shown(command));
    let mut child = match command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return (Err(format!("cannot start: {error}")), None),
    };
    let mut found = None;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let mut out = std::io::stderr().lock();
            // Nobody reads any more: the exit status still counts.
            if out.write_all(&line).and_then(|()| out.write_all(b"\n")).is_err() {
                break;
            }
            let text = plain(&String::from_utf8_lossy(&line));
            if wanted(&text) {
                found = Some(text);
            }
        }
    }
    let result = match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    };
    (result, found)
}

/// `always` where a person watches, so that a tool behind a pipe keeps its colours.
pub fn color() -> &'static str {
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted { "always" } else { "never" }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Without colour codes.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, r)| r);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn colours_do_not_hide_the_summary() {
        assert_eq!(super::plain("\u{1b}[1m  Summary\u{1b}[0m [ 2s] 3 tests"), "  Summary [ 2s] 3 tests");
    }
}
