//! The command line of Backstop: what people and agents type.
#![forbid(unsafe_code)]

mod args;
mod clock;
mod document;
mod drill;
mod exit;
mod inside;
mod install;
mod out;
mod person;
mod porch;
mod report;
mod review;
mod screen;
mod signing;
mod verb;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use args::Backstop;
use out::Trouble;

fn main() -> ExitCode {
    let typed = match Backstop::try_parse() {
        Ok(typed) => typed,
        Err(error) => {
            // Help and version are errors to clap; a reader that went away is none to us.
            if error.print().is_err() {
                return ExitCode::from(exit::OK);
            }
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let json = typed.verb.wants_json();
    let code = match verb::dispatch(typed.verb) {
        Ok(code) => code,
        Err(Trouble::Failed(failure)) => {
            let code = exit::of_failure(failure.kind);
            out::failure(&failure);
            if json {
                match out::document(&document::FailureDocument::of(&failure, code)) {
                    Ok(()) | Err(_) => code,
                }
            } else {
                code
            }
        }
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(Trouble::Output(error)) => {
            out::say(&format!("backstop: cannot write the output: {error}\n"));
            exit::FAILED
        }
    };
    ExitCode::from(code)
}
