//! Takes the text of a command (`bash -c TEXT`, or an argument vector), gives what it says: programs,
//! words, redirections, wrappers, inline code. Never fails: what can't be read is an `Opaque` part.
//! Allows nothing by itself; it serves explanations, the read lane and privilege words.
//!
//! The grammar is bash's, read in one pass over bytes with a bounded depth, so that no text can cost
//! more than a small multiple of its length (`docs/design/0002-shell-reader.md`).

mod code;
mod compound;
mod expand;
mod grammar;
pub mod lane;
mod launch;
mod marks;
mod options;
mod paths;
mod peel;
mod readonly;
mod word;

pub use code::{Inline, Language};
pub use launch::Wrapper;
pub use paths::{How, TypedPath};
pub use word::{Assignment, Mode, Part, Redirect, Span, Word};

use std::fmt;

use crate::bytes::Bytes;

/// Longer texts are not read. The kernel takes no single argument over 128 KiB, so a `bash -c` can't
/// be longer; eight times that leaves room for texts that come from elsewhere.
pub const LONGEST: usize = 1 << 20;

/// Deeper nesting (brackets, blocks, quoted scripts within scripts) is not read. A bound on the stack.
pub const DEEPEST: usize = 40;

/// More words than this in a whole script are not kept. A bound on memory.
pub const MOST_WORDS: usize = 1 << 16;

/// What a command says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Every simple command, in the order of the text; also those in blocks, functions and
    /// substitutions, and those that wrappers start. Whether one is reached is not known.
    pub commands: Vec<Simple>,
    /// What could not be read. Not empty means: this may do anything.
    pub opaque: Vec<Opaque>,
    /// Words that are no command's: what a `for` goes through, what a `case` looks at.
    pub loose: Vec<Word>,
}

/// One program with what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    /// Where it stands.
    pub span: Span,
    /// What is started; none for assignments or redirections alone.
    pub program: Option<Word>,
    /// Options and operands, in order.
    pub arguments: Vec<Word>,
    /// Of this command and of the blocks around it that have any: `{ a; b; } > f` is a redirection of
    /// a command without a program.
    pub redirects: Vec<Redirect>,
    /// `NAME=value` before the program, or alone.
    pub assignments: Vec<Assignment>,
    /// What starts it, outermost first: `sudo env rm x` is `rm` in two wrappers.
    pub wrappers: Vec<Wrapper>,
    /// Program text in another language among its arguments or on its standard input.
    pub code: Vec<Inline>,
    /// Its input is another command's output.
    pub fed: bool,
    /// Its output is another command's input.
    pub feeds: bool,
    /// Its name is a function or alias of this very script, not a program.
    pub own: bool,
}

/// A part that can't be known by reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// Where.
    pub span: Span,
    /// Why.
    pub why: Unread,
}

/// Why a part can't be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// Longer than [`LONGEST`].
    TooLong,
    /// Nested deeper than [`DEEPEST`].
    TooDeep,
    /// More than [`MOST_WORDS`] words.
    TooMany,
    /// Not bash; a quote or bracket without its end.
    Syntax,
    /// The program's name is the result of an expansion.
    Program,
    /// Text that is run as a script is the result of an expansion, or comes from a pipe or a file.
    Text,
    /// A wrapper's option that is not known, so what it starts isn't either.
    Option,
    /// A script read into this shell may redefine every name.
    Sourced,
    /// An alias may stand for anything.
    Alias,
    /// A shell whose grammar isn't bash's.
    Shell,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "too long to read",
            Self::TooDeep => "nested too deep to read",
            Self::TooMany => "more words than are read",
            Self::Syntax => "not readable as bash",
            Self::Program => "the program's name is only known when it runs",
            Self::Text => "the script's text is only known when it runs",
            Self::Option => "an option that is not known decides what is started",
            Self::Sourced => "reads another script into this shell",
            Self::Alias => "gives names another meaning",
            Self::Shell => "a script for another shell",
        })
    }
}

impl Simple {
    /// The program's name as it was typed, where it is fully known.
    pub fn program_text(&self) -> Option<Bytes> {
        self.program.as_ref().and_then(Word::known)
    }

    /// The last component of the program's name, where it is fully known.
    pub fn program_name(&self) -> Option<Bytes> {
        self.program_text().map(|p| Bytes::from(p.name()))
    }

    /// The program and its arguments, where every one of them is fully known.
    pub fn argv(&self) -> Option<Vec<Bytes>> {
        self.program.iter().chain(&self.arguments).map(Word::known).collect()
    }

    /// True when it runs on another machine or in a container, so that its paths are not this one's.
    pub fn elsewhere(&self) -> bool {
        self.wrappers.iter().any(|w| w.elsewhere())
    }
}

impl Script {
    /// True when nothing in it was left unread.
    pub fn is_clear(&self) -> bool {
        self.opaque.is_empty()
    }

    /// The words that ask for another user's rights, each once, in order.
    pub fn privilege_words(&self) -> Vec<Wrapper> {
        let mut found = Vec::new();
        for wrapper in self.commands.iter().flat_map(|c| &c.wrappers) {
            if wrapper.privilege() && !found.contains(wrapper) {
                found.push(*wrapper);
            }
        }
        found
    }

    /// The places it names, as typed; see [`TypedPath`].
    pub fn paths(&self) -> Vec<TypedPath> {
        paths::of(self)
    }
}

/// True for the name of a program that starts what it is given: `sudo`, `env`, `docker`, `ssh`, a shell.
pub fn starts_another(name: &[u8]) -> bool {
    launch::of(name).is_some()
}

/// True for the name of a shell.
pub fn is_a_shell(name: &[u8]) -> bool {
    launch::of(name).is_some_and(|launch| launch.wrapper == Wrapper::Shell)
}

/// Reads the text of a `bash -c`.
pub fn read(line: &[u8]) -> Script {
    let mut out = peel::Out::default();
    out.text(line, peel::Base::From(0), &[], 0);
    out.finish()
}

/// Reads an argument vector: no shell looks at it, so every word is what it is. Spans are offsets into
/// the arguments joined by one byte.
pub fn read_argv(argv: &[Bytes]) -> Script {
    let mut out = peel::Out::default();
    out.argv(argv);
    out.finish()
}
