//! Takes nothing, gives the values that a script's words are made of: what is certainly meant, and
//! what only the running shell will know. Never expands anything.

use crate::bytes::Bytes;

/// From, to (exclusive): byte offsets into the text that was read. What a quoted script within the
/// text says has the span of the words it was quoted in, unless it stands there byte for byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The smallest span around both.
    pub fn around(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes, quotes and escapes taken away.
    Literal(Bytes),
    /// Wildcards or braces as typed: stands for any number of words.
    Pattern(Bytes),
    /// `~`: the home of whoever runs it.
    Home,
    /// `~name`: that user's home.
    HomeOf(Bytes),
    /// `$NAME`, `${NAME}`, `${NAME:?}`. Not quoted, it may become any number of words.
    Variable {
        /// Without the dollar.
        name: Bytes,
        /// Within double quotes.
        quoted: bool,
    },
    /// Any other expansion: a substitution, arithmetic, an operator on a variable, what `xargs` reads.
    Unknown {
        /// Within double quotes.
        quoted: bool,
    },
}

/// One word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Where.
    pub span: Span,
    /// As typed, with its quotes.
    pub typed: Bytes,
    /// What it is made of; empty for `''`.
    pub parts: Vec<Part>,
}

impl Word {
    /// A word that is exactly these bytes.
    pub fn literal(bytes: impl Into<Bytes>, span: Span) -> Self {
        let typed: Bytes = bytes.into();
        let parts = if typed.is_empty() { Vec::new() } else { vec![Part::Literal(typed.clone())] };
        Self { span, typed, parts }
    }

    /// A word of which nothing is known.
    pub fn unknown(span: Span) -> Self {
        Self { span, typed: Bytes::default(), parts: vec![Part::Unknown { quoted: false }] }
    }

    /// Its bytes, where they are fully known.
    pub fn known(&self) -> Option<Bytes> {
        match self.parts.as_slice() {
            [] => Some(Bytes::default()),
            [Part::Literal(bytes)] => Some(bytes.clone()),
            _ => None,
        }
    }

    /// True when it is exactly these bytes.
    pub fn is(&self, text: &[u8]) -> bool {
        match self.parts.as_slice() {
            [] => text.is_empty(),
            [Part::Literal(bytes)] => bytes.as_slice() == text,
            _ => false,
        }
    }

    /// The bytes it certainly begins with.
    pub fn prefix(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Literal(bytes)) => bytes.as_slice(),
            _ => b"",
        }
    }

    /// True when it may turn out to begin with `-`, or with anything at all.
    pub fn may_be_option(&self) -> bool {
        match self.parts.first() {
            None => false,
            Some(Part::Literal(bytes)) => bytes.as_slice().starts_with(b"-"),
            Some(Part::Home | Part::HomeOf(_)) => false,
            // These are absolute wherever a shell runs; whoever changes them is in the way of the lane.
            Some(Part::Variable { name, .. }) => !matches!(name.as_slice(), b"HOME" | b"PWD" | b"OLDPWD"),
            Some(Part::Pattern(_) | Part::Unknown { .. }) => true,
        }
    }

    /// True when it may turn out to be several words, or none.
    pub fn may_be_many(&self) -> bool {
        self.parts.iter().any(|p| match p {
            Part::Pattern(_) | Part::Unknown { quoted: false } => true,
            // `$@` is many words even within quotes.
            Part::Variable { name, quoted } => !quoted || name.as_slice() == b"@",
            Part::Literal(_) | Part::Home | Part::HomeOf(_) | Part::Unknown { quoted: true } => false,
        })
    }

    /// Adds bytes to the last literal part, or begins one.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Literal(last)) => last.extend(bytes),
            _ => self.parts.push(Part::Literal(Bytes::from(bytes))),
        }
    }

    /// Adds typed wildcards to the last pattern part, or begins one.
    pub(super) fn push_pattern(&mut self, bytes: &[u8]) {
        match self.parts.last_mut() {
            Some(Part::Pattern(last)) => last.extend(bytes),
            _ => self.parts.push(Part::Pattern(Bytes::from(bytes))),
        }
    }
}

/// `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Without index and `+`.
    pub name: Bytes,
    /// One word, or those of an array.
    pub values: Vec<Word>,
    /// `+=`, an index or an array: the value isn't the whole of the variable.
    pub partial: bool,
}

/// What a redirection does with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// `<`
    Read,
    /// `>`, `>|`, `&>`
    Write,
    /// `>>`, `&>>`
    Append,
    /// `<>`
    ReadWrite,
    /// `<&`, `>&` with a descriptor or `-`: opens nothing.
    Duplicate,
    /// `<<`, `<<-`: the target is the document.
    Document,
    /// `<<<`: the target is the text.
    Text,
}

impl Mode {
    /// True where the target may be created, emptied or written.
    pub fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Append | Self::ReadWrite)
    }
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Operator and target.
    pub span: Span,
    /// The descriptor, where one is typed.
    pub descriptor: Option<u32>,
    /// What is done with the target.
    pub mode: Mode,
    /// A path, a descriptor, or text, by `mode`.
    pub target: Word,
    /// Which document, counted over a text; filled in and forgotten while reading.
    pub(super) document: Option<usize>,
}

impl Redirect {
    /// True when it is where the command's standard input comes from.
    pub fn is_input(&self) -> bool {
        self.descriptor.unwrap_or(0) == 0 && matches!(self.mode, Mode::Read | Mode::Document | Mode::Text)
    }
}
