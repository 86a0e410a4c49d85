//! Knows whether this process is itself inside a run, by a file that the sandbox binds read-only
//! over its own `/run`; never by the environment, which the caller can change.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use backstop_core::bytes::Bytes;
use backstop_core::request;
use backstop_engine::{Failure, FailureKind};

use crate::exit;
use crate::out::Trouble;

const MARK: &str = "/run/backstop/inside";

/// True inside a run. When in doubt (the mark can't be looked at), it is inside: stricter.
pub fn is_inside() -> bool {
    match Path::new(MARK).symlink_metadata() {
        Ok(_) => true,
        Err(e) => !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory),
    }
}

/// Refuses `verb` inside a run: what lets something through is people's.
pub fn people_only(verb: &str) -> Result<(), Failure> {
    if is_inside() {
        return Err(Failure::new(FailureKind::Refused, format!("refused: `{verb}` inside a run"))
            .next("a command can't approve itself: a person does it from a terminal outside any run"));
    }
    Ok(())
}

/// Refuses `verb` inside a run: the records are masked there.
pub fn records_needed(verb: &str) -> Result<(), Trouble> {
    if is_inside() {
        let failure =
            Failure::new(FailureKind::Refused, format!("refused: `{verb}` inside a run can't see the records"))
                .next("ask again when this run has ended, outside of it");
        return Err(Trouble::Failed(failure, Some("a run can't reach Backstop's own files")));
    }
    Ok(())
}

/// Becomes the command, in the view of the run that is already going on; returns only a failure,
/// with the exit code it has.
pub fn become_command(command: &request::Command) -> (Failure, u8) {
    let argv = command.argv();
    let Some((program, args)) = argv.split_first() else {
        return (Failure::usage("no command"), exit::USAGE);
    };
    let error = Command::new(program.as_os()).args(args.iter().map(Bytes::as_os)).exec();
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => exit::NOT_FOUND,
        _ => exit::NOT_EXECUTABLE,
    };
    (Failure::because(format!("cannot run {}", program.quoted()), &error), code)
}
