//! Standard output and error that never panic: a reader that went away is no error of ours.

use std::io::{self, Write};

use backstop_core::quoted::repaints;
use backstop_engine::Failure;
use serde::Serialize;

use crate::screen::message;
use crate::screen::style::Style;

/// Why a verb ended early.
#[derive(Debug)]
pub enum Trouble {
    /// Something failed; it is shown with its next step, and the rule where its kind doesn't say it.
    Failed(Failure),
    /// The output could not be written; a closed pipe is silent.
    Output(io::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
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
    let mut text = calm(&serde_json::to_string_pretty(value).map_err(io::Error::from)?);
    text.push('\n');
    print(&text)
}

/// The same JSON, with every character that could repaint or reorder a screen as `\u` escapes: a
/// document is read by people as well. Such characters stand only inside strings.
fn calm(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !repaints(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Says a failure on standard error.
pub fn failure(failure: &Failure) {
    say(&message::failure(failure, Style::of(&io::stderr())));
}

/// Ends this process by the signal of Ctrl-C or Ctrl-\ that ended the command, without a core dump of
/// its own; comes back only where that signal is blocked or ignored. With `all` to the whole group, as a terminal's
/// key does it.
pub fn end_by(signal: rustix::process::Signal, all: bool) {
    let own = rustix::process::getpid();
    let no_core = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let limited = rustix::process::setrlimit(rustix::process::Resource::Core, no_core);
    if let Err(error) = limited.and_then(|()| {
        if all {
            rustix::process::kill_current_process_group(signal)
        } else {
            rustix::process::kill_process(own, signal)
        }
    }) {
        failure(&Failure::because("cannot end by the signal that ended the command", &error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_document_says_the_same() {
        let name = "bidi\u{202e}gpj\u{9b}2J\u{e0041}\u{1b}[2J größe";
        let calm = calm(&serde_json::to_string_pretty(&[name]).expect("JSON"));
        assert!(calm.chars().all(|c| c == '\n' || !repaints(c)), "{calm}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&calm).expect("JSON"), [name]);
    }
}
