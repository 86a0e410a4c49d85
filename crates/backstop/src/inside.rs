//! Knows whether this process is itself inside a run, by a file that the sandbox binds read-only
//! over its own `/run`; never by the environment, which the caller can change.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use backstop_core::bytes::Bytes;
use backstop_core::request;
use backstop_engine::{Failure, FailureKind};

use crate::exit;
use crate::out::Trouble;

/// Never hang on a pipe that the command put in the note's place (`O_NONBLOCK` on Linux, all
/// architectures that Backstop runs on).
const O_NONBLOCK: i32 = 0o4000;

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
        return Err(failure.by("a run can't reach Backstop's own files").into());
    }
    Ok(())
}

/// Where a nested run is noted, for the outer run's records.
const NESTED: &str = "/run/backstop.nested";

/// Notes a nested run. It is the outer run that is answered for, so a note that can't be made (the
/// command may have removed the file) stops nothing.
pub fn note(request: &request::NestedRequest) {
    let mut line = backstop_core::canon::line(request);
    line.push(b'\n');
    // No `create`: only where the sandbox made it. One write, so that lines of several don't mix.
    let file = std::fs::OpenOptions::new().append(true).custom_flags(O_NONBLOCK).open(NESTED);
    if let Ok(mut file) = file
        && let Err(error) = file.write_all(&line)
    {
        crate::out::failure(&Failure::because("the nested run can't be noted", &error));
    }
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
