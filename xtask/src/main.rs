//! Takes the development commands that people and machines type (`cargo xtask …`), runs the
//! project's tools in the right order, gives their result as its exit code. Never part of what is
//! shipped.
#![forbid(unsafe_code)]

mod bench;
mod docs;
mod picture;
mod steps;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Backstop's development commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything that must hold before a change lands; installs what is missing.
    Test(test::Args),
    /// Ratios against native, a bare kernel overlay and bwrap, in one interleaved run.
    Bench(bench::Args),
    /// Regenerates manual pages, completions and JSON Schemas.
    Docs(docs::Args),
    /// A terminal's output (standard input, with its colours) as an SVG for the README.
    Picture(picture::Args),
    /// Format check and clippy only.
    Lint,
    /// The advisory database against Cargo.lock; needs the network beyond the crate registry.
    Advisories,
    #[command(hide = true)]
    Overlay(bench::overlay::Args),
    #[command(hide = true)]
    Measure(bench::measure::Args),
}

fn main() -> ExitCode {
    let done = match Args::parse().verb {
        Verb::Test(args) => test::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Docs(args) => docs::run(&args),
        Verb::Picture(args) => picture::run(&args),
        Verb::Lint => test::lint(),
        Verb::Advisories => test::advisories(),
        Verb::Overlay(args) => bench::overlay::run(&args),
        Verb::Measure(args) => bench::measure::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
