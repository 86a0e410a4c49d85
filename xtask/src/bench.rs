//! `cargo xtask bench`: takes a release build, runs the same work natively, in a bare kernel overlay,
//! in bwrap and under Backstop, one after the other in every round, and gives ratios of one run.
//! Never a test: numbers of a busy machine would fail for no reason.

mod freeze;
mod jobs;
pub mod measure;
mod million;
pub mod overlay;
mod report;
mod scratch;
mod systems;

use std::process::Command;

use crate::steps;
use crate::{tools, workspace};
use scratch::Scratch;

/// What to measure.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds; in each, every system does every job once.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Files in the tree that is untarred, removed and looked at by git.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..))]
    files: u32,
    /// Files in the tree of the job `million`.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..))]
    million: u32,
    /// Entries of the log that the job `audit` verifies.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..))]
    entries: u32,
    /// The user for what is measured without root, when called as root.
    #[arg(long, default_value_t = 1000)]
    user: u32,
    /// Where to work; a new directory is made in it, and removed at the end.
    #[arg(long, default_value = "/var/tmp")]
    scratch: std::path::PathBuf,
    /// Work on a fresh ext4 image of this many MiB instead (root only).
    #[arg(long, value_name = "MIB")]
    image: Option<u32>,
    /// The binary to measure, instead of a new release build.
    #[arg(long)]
    bin: Option<std::path::PathBuf>,
    /// For the job `agents`: all clients, and not only those that every test run installs.
    #[arg(long)]
    all_agents: bool,
    /// Jobs [default: all but `agents`, which installs clients].
    #[arg(value_parser = ["true", "edit", "untar", "rm", "git", "spawn", "cargo", "million", "shell", "audit", "freeze", "agents"])]
    names: Vec<String>,
}

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), String> {
    tools::packages()?;
    let bin = match &args.bin {
        Some(bin) => bin.clone(),
        None => {
            steps::run(workspace::cargo().args(["build", "--release", "--package", "backstop"]))?;
            workspace::target().join("release/backstop")
        }
    };
    let scratch = Scratch::make(&args.scratch, args.image, &bin)?;
    let result = measure_all(args, &scratch);
    // Also after a failure: a million files are not to be left lying about.
    scratch.remove(&systems::actors(args.user))?;
    result
}

fn measure_all(args: &Args, scratch: &Scratch) -> Result<(), String> {
    let systems = systems::available(args.user);
    report::machine(scratch, &systems);
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|n| n == name);
    let jobs: Vec<_> = jobs::all(args.files).into_iter().filter(|j| wanted(j.name)).collect();
    let samples = jobs::run(scratch, &systems, &jobs, args.rounds)?;
    report::ratios(&jobs, &systems, &samples);
    if wanted("million") {
        for user in systems::actors(args.user) {
            match million::run(scratch, user, args.million, args.rounds.min(5)) {
                Ok(found) => report::million(&found),
                Err(why) => println!("not measured: million by uid {user}: {why}"),
            }
        }
    }
    if wanted("shell") {
        steps::run(&mut example("backstop-core", "shell-cost"))?;
    }
    if wanted("audit") {
        // On the disk that all else is measured on.
        let dir = scratch.dir.join("on/audit");
        scratch::make(&dir)?;
        let numbers = [args.rounds.to_string(), args.entries.to_string()];
        steps::run(example("backstop-engine", "audit-cost").arg(&dir).args(numbers))?;
    }
    if wanted("freeze") {
        freeze::run(scratch, &systems::actors(args.user), args.rounds.min(5))?;
    }
    if args.names.iter().any(|n| n == "agents") {
        agents(scratch, args.all_agents)?;
    }
    Ok(())
}

/// A room's own measurement.
fn example(package: &str, name: &str) -> Command {
    let mut command = workspace::cargo();
    command.args(["run", "--release", "--quiet", "--package", package, "--example", name, "--"]);
    command
}

/// What is added to coding agents' own time.
fn agents(scratch: &Scratch, all: bool) -> Result<(), String> {
    steps::run(workspace::cargo().args(["build", "--release", "--package", "backstop-e2e", "--bins"]))?;
    let mut command = Command::new(workspace::target().join("release/round-trips"));
    command.env("BACKSTOP_BIN", &scratch.bin).args(all.then_some("--all"));
    steps::run(&mut command)
}
