//! Takes a script, says whether every program in it is known to only read: then it may run in place,
//! behind walls that leave no right to write. A guess, never a right: if it is wrong the kernel says
//! `EACCES`. What is known stands in `lane.toml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::word::{Mode, Part, Redirect, Span, Word};
use super::{Script, Simple, Unread, Wrapper, readonly};
use crate::bytes::Bytes;

/// How a request is run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lane {
    /// In place, without any right to write.
    Read,
    /// On a view of the machine; its effect is judged.
    Rehearse(Because),
}

/// What keeps a script out of the read lane: the first thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub why: Why,
}

/// Why a script is not known to only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A part was not read.
    Unread(Unread),
    /// The program is not in the table.
    Program(Bytes),
    /// The program only reads unless it is told this.
    Told(Bytes, Bytes),
    /// The program's arguments are only known when it runs, and some would make it write.
    Arguments(Bytes),
    /// The program speaks to a network.
    Network(Bytes),
    /// A file is written.
    Redirect(Bytes),
    /// It is started with more rights, on another machine, or in a way that leaves something behind.
    Wrapper(Wrapper),
    /// A variable that changes what programs do.
    Variable(Bytes),
    /// A here-document for which the shell makes a file.
    Document,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(why) => write!(f, "{why}"),
            Self::Program(name) => write!(f, "{} is not known to only read", name.quoted()),
            Self::Told(name, what) => write!(f, "{} may write with {}", name.quoted(), what.quoted()),
            Self::Arguments(name) => {
                write!(f, "{} may write, and what it is told is only known when it runs", name.quoted())
            }
            Self::Network(name) => write!(f, "{} speaks to a network", name.quoted()),
            Self::Redirect(target) => write!(f, "writes {}", target.quoted()),
            Self::Wrapper(wrapper) => write!(f, "is started by {wrapper}"),
            Self::Variable(name) => write!(f, "sets {}", name.quoted()),
            Self::Document => f.write_str("needs a file for a long here-document"),
        }
    }
}

/// What is known of a program, or of one of its verbs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    /// Options with which it writes or starts something: `-o` (also within a cluster), `--output` (also
    /// shortened), or a word such as `-delete`.
    pub(super) stops: Vec<String>,
    /// It only reads when it is told exactly one of these, and nothing else.
    pub(super) only: Vec<String>,
    /// Options whose value is the next word, so that it is no operand.
    pub(super) values: Vec<String>,
    /// More operands than this make it write.
    pub(super) operands: Option<usize>,
    /// With one of these options, operands are only looked up.
    pub(super) lookup: Vec<String>,
    /// Its text is looked at by the check of this name.
    pub(super) check: Option<Check>,
    /// It speaks to a network.
    pub(super) network: bool,
    /// The first operand is a verb, and these only read. An empty name stands for none.
    pub(super) verbs: BTreeMap<String, Entry>,
    /// It is a word of the shell that sets variables.
    pub(super) sets: bool,
    /// It is a word of the shell that evaluates names: the index in `a[$(x)]` is run, however quoted.
    pub(super) evaluates: bool,
}

/// Programs whose options are not all there is to know.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// Commands of `sed` that write or start something.
    Sed,
    /// Whatever in `awk` may write or start something.
    Awk,
    /// The first word decides what `tar` does.
    Tar,
    /// A date without `+` sets the clock.
    Date,
}

const TABLE: &str = include_str!("lane.toml");

/// Set for the shell itself or for what it starts, these change what a program does. A `*` at the end
/// stands for any rest.
const VARIABLES: [&str; 27] = [
    "BASHOPTS",
    "BASH_*",
    "CDPATH",
    "DYLD_*",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GIT_*",
    "GLOBIGNORE",
    "HOME",
    "IFS",
    "LD_*",
    "LESS*",
    "LOCPATH",
    "MANPAGER",
    "NODE_*",
    "PAGER",
    "PATH",
    "PERL*",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHON*",
    "RIPGREP_*",
    "RUBY*",
    "SHELLOPTS",
    "TERMINFO*",
    "VISUAL",
];

/// The places programs of the system lie in.
const PROGRAMS: [&[u8]; 6] = [b"/bin", b"/usr/bin", b"/sbin", b"/usr/sbin", b"/usr/local/bin", b"/usr/local/sbin"];

/// A document up to this long goes through a pipe, whatever the shell's version; longer ones through a
/// file in `$TMPDIR`.
const LONGEST_DOCUMENT: usize = 4_096;

/// The lane that a script takes.
pub fn lane(script: &Script) -> Lane {
    if let Some(opaque) = script.opaque.first() {
        return Lane::Rehearse(Because { span: opaque.span, why: Why::Unread(opaque.why) });
    }
    let mut known = BTreeMap::new();
    for command in &script.commands {
        if let Err(because) = simple(command, &mut known) {
            return Lane::Rehearse(because);
        }
    }
    Lane::Read
}

type Known = BTreeMap<Bytes, Option<Entry>>;

fn simple(command: &Simple, known: &mut Known) -> Result<(), Because> {
    let at = |span: Span, why: Why| Because { span, why };
    for wrapper in &command.wrappers {
        match wrapper {
            Wrapper::Builtin
            | Wrapper::Command
            | Wrapper::Env
            | Wrapper::Eval
            | Wrapper::Exec
            | Wrapper::Find
            | Wrapper::Ionice
            | Wrapper::Nice
            | Wrapper::Shell
            | Wrapper::Stdbuf
            | Wrapper::Time
            | Wrapper::Timeout
            | Wrapper::Xargs => {}
            wrapper => return Err(at(command.span, Why::Wrapper(*wrapper))),
        }
    }
    for redirect in &command.redirects {
        redirection(redirect)?;
    }
    for assignment in &command.assignments {
        variable(&assignment.name).map_err(|why| at(command.span, why))?;
        // Arithmetic and `${x@P}` run what stands in a variable.
        if let Some(word) = assignment.values.iter().find(|w| substitutes(w)) {
            return Err(at(word.span, Why::Variable(assignment.name.clone())));
        }
    }
    let (Some(program), Some(text)) = (&command.program, command.program_text()) else { return Ok(()) };
    if command.own {
        return Ok(());
    }
    let name = Bytes::from(text.name());
    let system = !text.as_slice().contains(&b'/') || PROGRAMS.contains(&text.parent().as_slice());
    let entry = known.entry(name.clone()).or_insert_with(|| entry(name.as_slice()));
    let Some(entry) = entry.as_ref().filter(|_| system) else {
        return Err(at(program.span, Why::Program(text)));
    };
    judge(&name, &command.arguments, entry).map_err(|(span, why)| at(span.unwrap_or(command.span), why))
}

/// What the table says of a program. Only its own lines are parsed: a whole table would cost more
/// than a read lane saves.
fn entry(name: &[u8]) -> Option<Entry> {
    let name =
        std::str::from_utf8(name).ok().filter(|n| n.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\'".contains(&b)))?;
    let rest = &TABLE[TABLE.find(&format!("\n[\"{name}\"]\n"))? + 1..];
    // Entries are separated by an empty line.
    let end = rest.find("\n\n").unwrap_or(rest.len());
    let mut one: BTreeMap<String, Entry> = toml::from_str(&rest[..end]).ok()?;
    one.remove(name)
}

fn redirection(redirect: &Redirect) -> Result<(), Because> {
    let at = |why| Because { span: redirect.span, why };
    let target = redirect.target.known();
    let target = target.as_ref().map(Bytes::as_slice);
    match redirect.mode {
        Mode::Write | Mode::Append | Mode::ReadWrite => match target {
            Some(b"/dev/null" | b"/dev/stdout" | b"/dev/stderr") => Ok(()),
            _ => Err(at(Why::Redirect(redirect.target.typed.clone()))),
        },
        Mode::Read if target.is_some_and(|t| t.starts_with(b"/dev/tcp/") || t.starts_with(b"/dev/udp/")) => {
            Err(at(Why::Network(redirect.target.typed.clone())))
        }
        Mode::Document | Mode::Text if redirect.target.typed.as_slice().len() > LONGEST_DOCUMENT => {
            Err(at(Why::Document))
        }
        Mode::Read | Mode::Duplicate | Mode::Document | Mode::Text => Ok(()),
    }
}

fn variable(name: &Bytes) -> Result<(), Why> {
    let hit = VARIABLES.iter().any(|v| match v.strip_suffix('*') {
        Some(prefix) => name.as_slice().starts_with(prefix.as_bytes()),
        None => name.as_slice() == v.as_bytes(),
    });
    if hit { Err(Why::Variable(name.clone())) } else { Ok(()) }
}

/// True for a word with a substitution in it that quotes have kept from running, so far.
fn substitutes(word: &Word) -> bool {
    word.parts.iter().any(|p| match p {
        Part::Literal(bytes) => bytes.as_slice().windows(2).any(|w| w == b"$(") || bytes.as_slice().contains(&b'`'),
        _ => false,
    })
}

type Stopped = (Option<Span>, Why);

/// Whether a program with these arguments only reads.
fn judge(name: &Bytes, words: &[Word], entry: &Entry) -> Result<(), Stopped> {
    if entry.network {
        return Err((None, Why::Network(name.clone())));
    }
    if (entry.evaluates || entry.sets)
        && let Some(word) = words.iter().find(|w| substitutes(w))
    {
        return Err((Some(word.span), Why::Told(name.clone(), word.typed.clone())));
    }
    if entry.sets {
        return words.iter().try_for_each(|w| {
            let prefix = w.prefix();
            let end = prefix.iter().position(|b| matches!(b, b'=' | b'+' | b'[')).unwrap_or(prefix.len());
            variable(&Bytes::from(&prefix[..end])).map_err(|why| (Some(w.span), why))
        });
    }
    if !entry.only.is_empty() {
        return match words {
            [word] if entry.only.iter().any(|o| word.is(o.as_bytes())) => Ok(()),
            [] => Err((None, Why::Program(name.clone()))),
            [word, ..] => Err((Some(word.span), Why::Told(name.clone(), word.typed.clone()))),
        };
    }
    if entry.stops.is_empty() && entry.operands.is_none() && entry.check.is_none() && entry.verbs.is_empty() {
        return Ok(());
    }
    let told = |w: &Word| (Some(w.span), Why::Told(name.clone(), w.typed.clone()));
    let mut operands: Vec<&Word> = Vec::new();
    let mut looked_up = false;
    let mut at = 0;
    let mut ended = false;
    while let Some(word) = words.get(at) {
        at += 1;
        let Some(text) = word.known() else {
            // What it turns out to be might be one of the options that stop.
            let counted = entry.operands.is_some() || entry.check.is_some() || !entry.verbs.is_empty();
            if word.may_be_option() && !ended || counted && word.may_be_many() {
                return Err((Some(word.span), Why::Arguments(name.clone())));
            }
            operands.push(word);
            continue;
        };
        let bytes = text.as_slice();
        // Also after `--`: `find` doesn't know it.
        if entry.stops.iter().any(|s| stops(s.as_bytes(), bytes)) {
            return Err(told(word));
        }
        if ended || !bytes.starts_with(b"-") || bytes == b"-" {
            operands.push(word);
            if !entry.verbs.is_empty() {
                break;
            }
            continue;
        }
        if bytes == b"--" {
            ended = true;
            continue;
        }
        looked_up |= entry.lookup.iter().any(|l| stops(l.as_bytes(), bytes));
        if entry.values.iter().any(|v| v.as_bytes() == bytes) {
            at += 1;
        }
    }
    if !entry.verbs.is_empty() {
        let verb = operands.first().map_or(Some(Bytes::default()), |w| w.known());
        let verb = verb.as_ref().and_then(|v| std::str::from_utf8(v.as_slice()).ok());
        let Some(inner) = verb.and_then(|v| entry.verbs.get(v)) else {
            return Err(operands.first().map_or((None, Why::Arguments(name.clone())), |w| told(w)));
        };
        return judge(name, &words[at.min(words.len())..], inner);
    }
    if let Some(most) = entry.operands.filter(|_| !looked_up)
        && let Some(extra) = operands.get(most)
    {
        return Err(told(extra));
    }
    match entry.check {
        Some(check) => match readonly::check(check, words, &operands) {
            Ok(()) => Ok(()),
            Err(Some(word)) => Err(told(word)),
            Err(None) => Err((None, Why::Arguments(name.clone()))),
        },
        None => Ok(()),
    }
}

/// True when the option `given` is, or may be taken for, `stop`.
fn stops(stop: &[u8], given: &[u8]) -> bool {
    match stop {
        // A long one, also shortened or with a value.
        [b'-', b'-', ..] => {
            let name = given.iter().position(|b| *b == b'=').map_or(given, |cut| &given[..cut]);
            name.len() > 2 && name.starts_with(b"--") && stop.starts_with(name)
        }
        // A letter, anywhere in a cluster.
        [b'-', letter] => given.starts_with(b"-") && !given.starts_with(b"--") && given.contains(letter),
        // A word such as `-delete`; a `*` at its end stands for any rest.
        [prefix @ .., b'*'] => given.starts_with(prefix),
        word => given == word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_name() {
        let all: BTreeMap<String, Entry> = toml::from_str(TABLE).unwrap();
        assert!(all.len() > 100);
        for name in all.keys() {
            assert!(entry(name.as_bytes()).is_some(), "{name}: entries are separated by one empty line");
        }
    }
}
