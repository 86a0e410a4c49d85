//! Takes a script, gives the places it names, as typed and as they would be meant: for telling people
//! that what they typed leads elsewhere, and whether what was hit was named at all. Nothing that isn't
//! typed, or put together from what is typed, is ever a place.

use std::collections::{BTreeMap, BTreeSet};

use super::word::{Part, Span, Word};
use super::{Script, Simple};
use crate::bytes::Bytes;

/// More than this many explain nothing.
const MOST: usize = 512;

/// Longer than the kernel takes.
const LONGEST: usize = 4_096;

/// Where a named place begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// At the root, or where the command stands.
    Plain,
    /// In the home of whoever runs it: `~/x`, `$HOME/x`.
    Home,
}

/// A place that a script names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedPath {
    /// Where it is typed.
    pub span: Span,
    /// As typed, quotes and all.
    pub typed: Bytes,
    /// What is certainly meant: bytes up to the last slash before the first wildcard. Relative to what
    /// `how` says unless it is absolute; empty for just that place.
    pub path: Bytes,
    /// Where it begins.
    pub how: How,
    /// True where more follows that only the running shell knows.
    pub open: bool,
}

/// What variables were set to, where that is known and said once.
type Set = BTreeMap<Bytes, Option<Word>>;

/// Every place the script names, each once.
pub(super) fn of(script: &Script) -> Vec<TypedPath> {
    let set = set(script);
    let mut found = Found { seen: BTreeSet::new(), paths: Vec::new(), entered: Vec::new() };
    for word in &script.loose {
        found.word(word, &set);
    }
    for command in &script.commands {
        if command.elsewhere() {
            continue;
        }
        for redirect in &command.redirects {
            if matches!(
                redirect.mode,
                super::Mode::Read | super::Mode::Write | super::Mode::Append | super::Mode::ReadWrite
            ) {
                found.word(&redirect.target, &set);
            }
        }
        for value in command.assignments.iter().flat_map(|a| &a.values) {
            found.word(value, &set);
        }
        if let Some(program) = &command.program
            && program.prefix().contains(&b'/')
        {
            found.word(program, &set);
        }
        for argument in &command.arguments {
            found.word(argument, &set);
        }
        for code in &command.code {
            found.code(code);
        }
        found.enter(command, &set);
    }
    found.paths
}

fn set(script: &Script) -> Set {
    let mut set = Set::new();
    for assignment in script.commands.iter().flat_map(|c| &c.assignments) {
        let value = match assignment.values.as_slice() {
            [value] if !assignment.partial => Some(value.clone()),
            _ => None,
        };
        // Said twice: which one holds isn't known.
        set.entry(assignment.name.clone()).and_modify(|v| *v = None).or_insert(value);
    }
    set
}

struct Found {
    seen: BTreeSet<(Bytes, How)>,
    paths: Vec<TypedPath>,
    /// Where `cd` went, the last few.
    entered: Vec<(Bytes, How)>,
}

impl Found {
    fn word(&mut self, word: &Word, set: &Set) {
        if word.span.end - word.span.start > LONGEST || self.paths.len() >= MOST {
            return;
        }
        let (path, how, open) = certain(word, set);
        let bytes = path.as_slice();
        self.push(word, bytes, how, open);
        if how == How::Plain {
            // `--into=/x`, `of=/x`, `host:/x`, `-C/x`: the part that may be a place of its own.
            for (at, b) in bytes.iter().enumerate().take(64) {
                if matches!(b, b'=' | b':' | b',') {
                    self.push(word, &bytes[at + 1..], how, open);
                }
            }
            if let [b'-', letter, rest @ ..] = bytes
                && letter.is_ascii_alphabetic()
                && rest.contains(&b'/')
            {
                self.push(word, rest, how, open);
            }
        }
    }

    fn push(&mut self, word: &Word, path: &[u8], how: How, open: bool) {
        let nothing = path.is_empty() && (how == How::Plain);
        if nothing || path.starts_with(b"-") || path.len() > LONGEST {
            return;
        }
        self.one(word.span, &word.typed, path, how, open);
        if how == How::Plain && !path.starts_with(b"/") {
            for (dir, how) in self.entered.clone() {
                self.one(word.span, &word.typed, dir.join(path).as_slice(), how, open);
            }
        }
    }

    fn one(&mut self, span: Span, typed: &Bytes, path: &[u8], how: How, open: bool) {
        if self.paths.len() < MOST && self.seen.insert((Bytes::from(path), how)) {
            self.paths.push(TypedPath { span, typed: typed.clone(), path: Bytes::from(path), how, open });
        }
    }

    /// Remembers where `cd` goes: what follows may be meant from there.
    fn enter(&mut self, command: &Simple, set: &Set) {
        let Some(name) = command.program_name() else { return };
        if !matches!(name.as_slice(), b"cd" | b"pushd") {
            return;
        }
        let Some(word) = command.arguments.iter().find(|w| !w.prefix().starts_with(b"-")) else { return };
        let (path, how, open) = certain(word, set);
        if open || path.as_slice().len() > LONGEST {
            return;
        }
        let mut here = (path, how);
        if how == How::Plain
            && !here.0.as_slice().starts_with(b"/")
            && let Some((dir, how)) = self.entered.last()
        {
            here = (dir.join(here.0.as_slice()), *how);
        }
        if self.entered.len() >= 4 {
            self.entered.remove(0);
        }
        self.entered.push(here);
    }

    /// Quoted strings within another language's text that look like places.
    fn code(&mut self, code: &super::Inline) {
        let Some(text) = &code.text else { return };
        let ends = |b: &u8| b.is_ascii_whitespace() || b";|&<>()'\"`,=[]{}".contains(b);
        for piece in text.as_slice().split(ends).filter(|p| p.contains(&b'/') && p.len() <= LONGEST) {
            let (path, how) = match piece {
                [b'~', b'/', rest @ ..] => (rest, How::Home),
                piece => (piece, How::Plain),
            };
            let cut = path.iter().position(|b| b"*?[$".contains(b));
            let path = cut.map_or(path, |at| up_to_slash(&path[..at]));
            if !path.is_empty() || how == How::Home {
                self.one(code.span, &Bytes::from(piece), path, how, cut.is_some());
            }
        }
    }
}

fn up_to_slash(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1)]
}

/// What a word certainly means, where it begins, and whether more follows.
fn certain(word: &Word, set: &Set) -> (Bytes, How, bool) {
    let mut path: Vec<u8> = Vec::new();
    let mut how = How::Plain;
    for (at, part) in word.parts.iter().enumerate() {
        match part {
            Part::Literal(bytes) => path.extend_from_slice(bytes.as_slice()),
            Part::Home if at == 0 => how = How::Home,
            Part::Variable { name, .. } if at == 0 && name.as_slice() == b"HOME" => how = How::Home,
            Part::Variable { name, .. } if name.as_slice() == b"PWD" && at == 0 => path.push(b'.'),
            Part::Variable { name, .. } if at == 0 => {
                let Some(Some(value)) = set.get(name) else { return (Bytes::default(), how, true) };
                // One step only: what the value leans on may be set by itself.
                let (known, begins, open) = certain(value, &Set::new());
                if open {
                    return (known, begins, true);
                }
                how = begins;
                path.extend_from_slice(known.as_slice());
            }
            _ => {
                let kept = up_to_slash(&path).len();
                path.truncate(kept);
                return (strip(path, how), how, true);
            }
        }
    }
    (strip(path, how), how, false)
}

/// Relative to the home, without the slash.
fn strip(path: Vec<u8>, how: How) -> Bytes {
    match (how, path.as_slice()) {
        (How::Home, [b'/', rest @ ..]) => Bytes::from(rest),
        _ => Bytes::from(path),
    }
}
