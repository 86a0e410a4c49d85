//! How a screen may look: colours or none, how wide, how high. Asks the terminal once; never
//! writes colours to anything else.

use std::fmt;
use std::io::IsTerminal;

use rustix::fd::AsFd;
use unicode_width::UnicodeWidthStr;

/// What the reader's side can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours may be used.
    pub colour: bool,
    /// Rows of the terminal.
    pub height: usize,
    /// Somebody looks at it right now.
    pub terminal: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// What a piece of text means; the colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Goes away.
    Lost,
    /// Comes new.
    Made,
    /// Becomes other.
    Changed,
    /// Stands out.
    Strong,
    /// Steps back.
    Faint,
    /// A place.
    Place,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Lost => "31",
            Self::Made => "32",
            Self::Changed => "33",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Place => "36",
        }
    }
}

impl Style {
    /// No colours, 80 columns: for pipes and files.
    pub const PLAIN: Self = Self { colour: false, height: 40, terminal: false, width: 80 };

    /// What `stream` can show. `NO_COLOR` (any value but the empty one) and `TERM=dumb` mean none.
    pub fn of(stream: &(impl AsFd + IsTerminal)) -> Self {
        if !stream.is_terminal() {
            return Self::PLAIN;
        }
        let set = |key: &str| std::env::var_os(key).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb" || t.is_empty());
        let size = rustix::termios::tcgetwinsize(stream).ok();
        let or = |n: Option<u16>, default: usize| n.map(usize::from).filter(|n| *n > 0).unwrap_or(default);
        Self {
            colour: !set("NO_COLOR") && !dumb,
            height: or(size.map(|s| s.ws_row), 40),
            terminal: true,
            width: or(size.map(|s| s.ws_col), 80).max(40),
        }
    }

    /// `text` in its colour.
    pub fn ink<T: fmt::Display>(self, ink: Ink, text: T) -> Inked<T> {
        Inked { code: self.colour.then(|| ink.code()), text }
    }
}

/// Text with its colour.
pub struct Inked<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Inked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

/// Columns that `text` takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `text` in at most `room` columns; what is cut is marked with `…` in the middle, because both
/// ends of a path say more than its middle.
pub fn fit(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let room = room.max(3) - 1;
    let head = take(text.chars(), room / 3);
    let tail: String = take(text.chars().rev(), room - columns(&head)).chars().rev().collect();
    format!("{head}…{tail}")
}

/// The beginning of `text` in at most `room` columns; what is cut is marked with `…`.
pub fn head(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    format!("{}…", take(text.chars(), room.max(2) - 1))
}

fn take(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for c in chars {
        used += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used > room {
            break;
        }
        out.push(c);
    }
    out
}

/// `text` and the spaces that fill it up to `room` columns.
pub fn pad(text: &str, room: usize) -> String {
    let missing = room.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_keeps_both_ends_and_its_room() {
        for (text, room, expected) in [
            ("short", 10, "short"),
            ("/var/lib/postgresql/15/main", 16, "/var/…ql/15/main"),
            ("日本日本日本日本", 9, "日…本日本"),
        ] {
            let got = fit(text, room);
            assert!(columns(&got) <= room, "{got}");
            assert_eq!(got, expected);
        }
    }
}
