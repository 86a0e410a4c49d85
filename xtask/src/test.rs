//! `cargo xtask test`: takes a checkout, installs what is missing, runs every check in order and
//! gives one table and one closing line. Never passes over a check silently: what is left out was
//! named with `--without`, and the table says so.

use std::fmt;
use std::fs;
use std::io;
use std::process::Command;

use crate::steps::{self, Steps};
use crate::workspace::PROFILE;
use crate::{tools, workspace};

/// What to test.
#[derive(clap::Args)]
pub struct Args {
    /// Only format, clippy, and the tests that need no machine of their own.
    #[arg(long)]
    fast: bool,
    /// All coding agents that can be had by npm, and not only Codex, Claude Code, Gemini and Copilot.
    #[arg(long, conflicts_with = "fast")]
    all_agents: bool,
    /// Leave a step out; may be repeated.
    #[arg(long, value_name = "STEP", value_parser = STEPS)]
    without: Vec<String>,
}

const STEPS: [&str; 11] =
    ["packages", "fmt", "clippy", "deny", "docs", "faults", "build", "generated", "doctests", "agents", "tests"];

/// Runs every step.
pub fn run(args: &Args) -> Result<(), String> {
    let mut steps = Steps::new(&args.without);
    let mut closing = Vec::new();
    if !args.fast {
        steps.step("packages", || tools::packages().map(|found| println!("{found}")));
    }
    lint_steps(&mut steps);
    if !args.fast {
        steps.step("deny", deny);
        steps.step("docs", docs);
    }
    steps.step("faults", faults);
    steps.step("build", || {
        steps::run(workspace::cargo().args(["build", "--workspace", "--all-targets", "--profile", PROFILE]))
    });
    if !args.fast {
        // After the build, which has made nearly all that they take.
        steps.step("generated", crate::docs::check);
        steps.step("doctests", || {
            steps::run(workspace::cargo().args(["test", "--doc", "--workspace", "--profile", PROFILE, "--quiet"]))
        });
    }
    if !steps.failed("build") && !steps.failed("faults") {
        let mut tests = |which: &[&str], agents: Option<&str>| {
            tools::cargo_tool("nextest", &[])?;
            let mut command = nextest(which);
            command.envs(agents.map(|name| (name, "1")));
            let (result, summary) = steps::run_watching(&mut command, |l| l.trim_start().starts_with("Summary"));
            closing.extend(summary.as_deref().and_then(Counts::of));
            result
        };
        if args.fast {
            steps.step("tests", || tests(&["-E", "not package(backstop-e2e)"], None));
        } else {
            // Those that people use most, of every kind: each speaks another protocol with its model and another
            // dialect with a hook. By npm, 1.1 GB.
            let which = if args.all_agents { "BACKSTOP_ALL_AGENTS" } else { "BACKSTOP_AGENTS" };
            steps.step("agents", || tests(&["-E", AGENTS], Some(which)));
            // Last, so that its summary is what stands at the end.
            steps.step("tests", || tests(&["-E", &format!("not ({AGENTS})")], None));
        }
    }
    let result = steps.finish();
    if let Some(counts) = closing.into_iter().reduce(Counts::and) {
        println!("\n{counts}");
    }
    result
}

/// Format and clippy.
pub fn lint() -> Result<(), String> {
    let mut steps = Steps::default();
    lint_steps(&mut steps);
    steps.finish()
}

/// Known vulnerabilities. Not a part of `test`: the database is fetched from outside, and a check
/// that fails when the network does would soon be ignored.
pub fn advisories() -> Result<(), String> {
    tools::cargo_tool("deny", &DENY_INSTALL)?;
    steps::run(workspace::cargo().args(["deny", "check", "advisories"]))
}

fn lint_steps(steps: &mut Steps) {
    steps.step("fmt", || steps::run(workspace::cargo().args(["fmt", "--all", "--", "--check"])));
    steps.step("clippy", || {
        steps::run(workspace::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-Dwarnings",
        ]))
    });
}

/// A debug build of cargo-deny is as right as a release build and takes a third of the time.
const DENY_INSTALL: [&str; 1] = ["--debug"];

fn deny() -> Result<(), String> {
    tools::cargo_tool("deny", &DENY_INSTALL)?;
    // Crates for other systems too, which no build here has brought: offline, their licences can't be read.
    steps::run(workspace::cargo().args(["fetch", "--locked"]))?;
    steps::run(workspace::cargo().args([
        "deny",
        "--offline",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn docs() -> Result<(), String> {
    steps::run(
        workspace::cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-Dwarnings"),
    )
}

/// Programs with fault points, in a folder apart from the ordinary ones: a run must never pass through them.
fn faults() -> Result<(), String> {
    let built = workspace::target().join(PROFILE);
    let apart = workspace::target().join("faults").join(PROFILE);
    steps::run(workspace::programs().args(["--features", "backstop/faults,backstop-engine/faults"]))?;
    fs::create_dir_all(&apart).map_err(|e| format!("{}: {e}", apart.display()))?;
    for program in PROGRAMS {
        let (from, to) = (built.join(program), apart.join(program));
        // Two names of one file, which cargo makes where nothing has changed, `rename` leaves as they are.
        match fs::remove_file(&to) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(format!("{}: {e}", to.display())),
            _ => {}
        }
        fs::rename(&from, &to).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))?;
    }
    Ok(())
}

/// What a machine has installed of Backstop.
const PROGRAMS: [&str; 4] = ["backstop", "backstopd", "backstop-export", "backstop-notify"];

/// The tests that lead real coding agents.
const AGENTS: &str = "package(backstop-e2e) & binary(agents)";

fn nextest(which: &[&str]) -> Command {
    let target = workspace::target();
    let mut command = workspace::cargo();
    command.args(["nextest", "run", "--workspace", "--profile", "ci", "--cargo-profile", PROFILE]);
    command.args(["--color", steps::color()]);
    command.args(which);
    command.env("BACKSTOP_BIN", target.join(PROFILE).join("backstop"));
    command.env("BACKSTOP_FAULTS_BIN", target.join("faults").join(PROFILE).join("backstop"));
    if std::env::var_os("CI").is_some() {
        command.env("INSTA_UPDATE", "no");
    }
    command
}

/// What nextest's summary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    fn of(summary: &str) -> Option<Self> {
        let words: Vec<&str> = summary.split_whitespace().collect();
        let count = |what: &str| -> u64 {
            words
                .windows(2)
                .filter(|w| w[1].trim_end_matches([',', ':']) == what)
                .find_map(|w| w[0].trim_start_matches('(').parse().ok())
                .unwrap_or(0)
        };
        words.contains(&"run:").then(|| Self {
            passed: count("passed"),
            failed: count("failed") + count("timed"),
            skipped: count("skipped"),
        })
    }

    fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Counts {
    /// One plain line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_counts_of_all_steps_are_one_line() {
        let counts = |passed, failed, skipped| Counts { passed, failed, skipped };
        assert_eq!(counts(1, 2, 3).and(counts(10, 20, 30)), counts(11, 22, 33));
    }

    #[test]
    fn the_closing_line_says_what_nextest_said() {
        for (summary, line) in [
            ("Summary [ 0.1s] 12 tests run: 12 passed, 0 skipped", "12 passed, 0 failed, 0 skipped"),
            (
                "Summary [ 0.1s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped",
                "9 passed, 3 failed, 3 skipped",
            ),
            ("Summary [ 0.1s] 4/12 tests run: 3 passed, 1 failed, 0 skipped", "3 passed, 1 failed, 0 skipped"),
        ] {
            assert_eq!(Counts::of(summary).map(|c| c.to_string()).as_deref(), Some(line), "{summary}");
        }
    }
}
