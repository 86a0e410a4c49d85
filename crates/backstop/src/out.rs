//! Standard output and error that never panic: a reader that went away is no error of ours.

use std::io::{self, Write};

use backstop_engine::Failure;
use serde::Serialize;

use crate::screen::message;
use crate::screen::style::Style;

/// Why a verb ended early.
#[derive(Debug)]
pub enum Trouble {
    /// Something failed; it is shown with its next step, and the rule where its kind doesn't say it.
    Failed(Failure, Option<&'static str>),
    /// The output could not be written; a closed pipe is silent.
    Output(io::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure, None)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What a verb gives back: the exit code.
pub type Done = Result<u8, Trouble>;

/// Writes `text` to standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes `text` to standard error; that nobody reads it changes nothing.
pub fn say(text: &str) {
    let mut err = io::stderr().lock();
    if err.write_all(text.as_bytes()).is_err() {
        // Nobody listens; the exit code still tells.
    }
}

/// Writes one JSON document and a line end to standard output.
pub fn document<T: Serialize>(value: &T) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Says a failure on standard error.
pub fn failure(failure: &Failure, rule: Option<&str>) {
    say(&message::failure(failure, rule, Style::of(&io::stderr())));
}
