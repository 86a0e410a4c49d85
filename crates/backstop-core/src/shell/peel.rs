//! Takes simple commands as they stand, gives what they really start: wrappers taken away, scripts
//! within scripts read, their words kept. What can't be followed is noted as opaque.

use super::grammar::{Found, Reader};
use super::launch::{self, Inner, Launch, Wrapper};
use super::options::{Given, before_operands};
use super::word::{Assignment, Mode, Part, Span, Word};
use super::{DEEPEST, LONGEST, MOST_WORDS, Opaque, Script, Simple, Unread, code};
use crate::bytes::Bytes;

/// How offsets in an inner text become offsets in the text that a person typed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    /// It stands there byte for byte, from here on.
    From(usize),
    /// It was quoted in here.
    Whole(Span),
}

impl Base {
    pub(super) fn span(self, start: usize, end: usize) -> Span {
        match self {
            Self::From(offset) => Span::new(offset + start, offset + end),
            Self::Whole(span) => span,
        }
    }

    pub(super) fn within(self, start: usize) -> Self {
        match self {
            Self::From(offset) => Self::From(offset + start),
            whole @ Self::Whole(_) => whole,
        }
    }
}

/// More wrappers around one command than this are not followed.
const MOST_WRAPPERS: usize = 32;

/// The script as far as it has been read.
#[derive(Default)]
pub(super) struct Out {
    script: Script,
    functions: Vec<Bytes>,
    words: usize,
}

/// What a wrapper starts.
enum Starts {
    /// The command itself, which is no wrapper this time.
    Itself,
    /// What begins at this argument.
    Argv(usize),
    /// The same, with a word after it of which nothing is known.
    Fed(usize),
    /// A script, quoted in these words.
    Text(Bytes, Base),
    /// Nobody can say.
    Unknown(Unread),
}

impl Out {
    /// Marks what is the script's own, and gives it.
    pub(super) fn finish(mut self) -> Script {
        self.functions.sort();
        for command in &mut self.script.commands {
            command.own = command.program_text().is_some_and(|p| self.functions.binary_search(&p).is_ok());
        }
        self.script
    }

    fn note(&mut self, span: Span, why: Unread) {
        self.script.opaque.push(Opaque { span, why });
    }

    /// Reads a script.
    pub(super) fn text(&mut self, text: &[u8], base: Base, around: &[Wrapper], depth: usize) {
        let whole = base.span(0, text.len());
        if text.len() > LONGEST {
            return self.note(whole, Unread::TooLong);
        }
        if depth > DEEPEST {
            return self.note(whole, Unread::TooDeep);
        }
        // No argument of a program can hold one, so no shell was ever given this text.
        if text.contains(&0) {
            return self.note(whole, Unread::Syntax);
        }
        let mut found = Found { words: self.words, ..Found::default() };
        Reader::new(text, base, depth, &mut found).run();
        self.words = found.words;
        self.script.opaque.append(&mut found.opaque);
        self.script.loose.append(&mut found.loose);
        self.functions.append(&mut found.functions);
        for simple in found.commands {
            self.peel(simple, around.to_vec(), depth);
        }
    }

    /// Reads an argument vector.
    pub(super) fn argv(&mut self, argv: &[Bytes]) {
        let mut at = 0;
        let mut words = argv.iter().map(|a| {
            let span = Span::new(at, at + a.as_slice().len());
            at = span.end + 1;
            Word::literal(a.clone(), span)
        });
        let mut simple = Simple { program: words.next(), ..Simple::default() };
        simple.arguments = words.by_ref().take(MOST_WORDS).collect();
        let rest = words.next();
        let end = argv.iter().map(|a| a.as_slice().len() + 1).sum::<usize>().saturating_sub(1);
        simple.span = Span::new(0, end);
        if let Some(word) = rest {
            self.note(Span::new(word.span.start, end), Unread::TooMany);
        }
        if simple.program.is_some() {
            self.peel(simple, Vec::new(), 0);
        }
    }

    /// Takes the wrappers away from a command and keeps what is left.
    fn peel(&mut self, mut simple: Simple, mut around: Vec<Wrapper>, depth: usize) {
        loop {
            let launch = simple.program_name().and_then(|name| launch::of(name.as_slice()));
            let starts = match launch {
                Some(_) if around.len() >= MOST_WRAPPERS || depth >= DEEPEST => Starts::Unknown(Unread::TooDeep),
                Some(launch) => self.starts(&mut simple, launch, &around, depth),
                None => Starts::Itself,
            };
            let wrapper = launch.map(|l| l.wrapper);
            match starts {
                Starts::Itself => return self.keep(simple, around),
                Starts::Unknown(why) => {
                    self.note(simple.span, why);
                    return self.keep(simple, around);
                }
                Starts::Argv(from) | Starts::Fed(from) => {
                    let fed = matches!(starts, Starts::Fed(_));
                    around.extend(wrapper);
                    let mut rest = simple.arguments.split_off(from).into_iter();
                    simple.program = rest.next();
                    simple.arguments = rest.collect();
                    if fed {
                        simple.arguments.push(Word::unknown(simple.span));
                    }
                }
                Starts::Text(text, base) => {
                    around.extend(wrapper);
                    let first = self.script.commands.len();
                    let (fed, feeds) = (simple.fed, simple.feeds);
                    // What the shell itself is given: redirections, variables.
                    if !simple.redirects.is_empty() || !simple.assignments.is_empty() {
                        let rest = Simple { program: None, arguments: Vec::new(), ..simple };
                        self.keep(rest, around.clone());
                    }
                    self.text(text.as_slice(), base, &around, depth + 1);
                    for command in &mut self.script.commands[first..] {
                        command.fed |= fed;
                        command.feeds |= feeds;
                    }
                    return;
                }
            }
        }
    }

    fn keep(&mut self, mut simple: Simple, around: Vec<Wrapper>) {
        if simple.program.as_ref().is_some_and(|p| p.known().is_none()) {
            self.note(simple.span, Unread::Program);
        }
        let name = simple.program_name();
        if matches!(name.as_ref().map(Bytes::as_slice), Some(b"source" | b".")) {
            self.note(simple.span, Unread::Sourced);
        }
        simple.code = code::of(&simple);
        if let Some(code) = simple.code.iter().find(|c| c.language == code::Language::Shell) {
            self.note(code.span, Unread::Shell);
        }
        simple.wrappers = around;
        self.script.commands.push(simple);
    }

    fn starts(&mut self, simple: &mut Simple, launch: &Launch, around: &[Wrapper], depth: usize) -> Starts {
        match launch.inner {
            Inner::Shell => return shell(simple, launch),
            Inner::Su => return su(simple),
            Inner::Find => {
                self.find(simple, around, depth);
                return Starts::Itself;
            }
            Inner::Flock => return flock(simple),
            Inner::Container => return container(simple),
            Inner::Parallel => {
                // Its own grammar of templates decides; what comes first is what most templates start.
                self.note(simple.span, Unread::Option);
                return Starts::Itself;
            }
            Inner::Argv(_) | Inner::Assigned | Inner::Joined(_) | Inner::Fed | Inner::Trap | Inner::Alias => {}
        }
        let (first, given) = match before_operands(&simple.arguments, &launch.known) {
            Ok(found) => found,
            // What is joined to a script is text, whatever it begins with.
            Err(_) if matches!(launch.wrapper, Wrapper::Eval) => return Starts::Unknown(Unread::Text),
            Err(why) => return Starts::Unknown(why),
        };
        if given.iter().any(|g| launch.instead.contains(&g.name.as_str())) {
            return Starts::Itself;
        }
        let shell_asked = launch.wrapper.privilege() && asks_for_shell(&given);
        // `time -o FILE` and `strace -o FILE` write a file; so it stays in sight.
        self.outputs(simple, launch, &given, around);
        match launch.inner {
            Inner::Argv(own) => {
                if simple.arguments[first..].iter().take(own).any(Word::may_be_many) {
                    return Starts::Unknown(Unread::Option);
                }
                argv_from(simple, first + own)
            }
            Inner::Assigned => {
                let from = assigned(simple, first);
                if shell_asked && from < simple.arguments.len() {
                    return joined(&simple.arguments[from..]);
                }
                argv_from(simple, from)
            }
            Inner::Fed => match simple.arguments.get(first) {
                Some(_) => Starts::Fed(first),
                None => Starts::Itself,
            },
            Inner::Joined(own) if first + own < simple.arguments.len() => joined(&simple.arguments[first + own..]),
            Inner::Joined(_) => Starts::Itself,
            Inner::Trap => match &simple.arguments[first..] {
                [action, _, ..] if !action.is(b"-") && !action.is(b"") => joined(std::slice::from_ref(action)),
                _ => Starts::Itself,
            },
            Inner::Alias => self.alias(simple, first),
            Inner::Shell | Inner::Su | Inner::Find | Inner::Flock | Inner::Container | Inner::Parallel => {
                Starts::Itself
            }
        }
    }

    /// Keeps `time -o FILE` and its like as a redirection of a command without a program.
    fn outputs(&mut self, simple: &Simple, launch: &Launch, given: &[Given<'_>], around: &[Wrapper]) {
        if !matches!(launch.wrapper, Wrapper::Time | Wrapper::Strace) {
            return;
        }
        for option in given.iter().filter(|g| matches!(g.name.as_str(), "o" | "output")) {
            let target = option.value.cloned().unwrap_or_else(|| Word::unknown(simple.span));
            let span = target.span;
            let redirect = super::Redirect { span, descriptor: None, mode: Mode::Write, target, document: None };
            let write = Simple { span, redirects: vec![redirect], ..Simple::default() };
            self.keep(write, around.to_vec());
        }
    }

    fn alias(&mut self, simple: &Simple, first: usize) -> Starts {
        for word in &simple.arguments[first..] {
            let Some(text) = word.known() else {
                self.note(word.span, Unread::Alias);
                continue;
            };
            if let Some(cut) = text.as_slice().iter().position(|b| *b == b'=') {
                self.functions.push(Bytes::from(&text.as_slice()[..cut]));
                self.note(word.span, Unread::Alias);
            }
        }
        Starts::Itself
    }

    /// Keeps what `-exec` and its like start.
    fn find(&mut self, simple: &Simple, around: &[Wrapper], depth: usize) {
        let mut rest = simple.arguments.as_slice();
        while let Some(at) =
            rest.iter().position(|w| [&b"-exec"[..], b"-execdir", b"-ok", b"-okdir"].iter().any(|o| w.is(o)))
        {
            rest = &rest[at + 1..];
            let end =
                rest.iter().enumerate().position(|(i, w)| w.is(b";") || w.is(b"+") && i > 0 && rest[i - 1].is(b"{}"));
            let words = &rest[..end.unwrap_or(rest.len())];
            rest = &rest[words.len()..];
            let Some((program, arguments)) = words.split_first() else { continue };
            self.words += words.len();
            if self.words > MOST_WORDS {
                return self.note(program.span, Unread::TooMany);
            }
            let span = words.iter().fold(program.span, |all, w| all.around(w.span));
            let mut inner = Simple { span, program: Some(found_file(program)), fed: simple.fed, ..Simple::default() };
            inner.arguments = arguments.iter().map(found_file).collect();
            let mut wrappers = around.to_vec();
            wrappers.push(Wrapper::Find);
            self.peel(inner, wrappers, depth + 1);
        }
    }
}

/// `{}` is what was found.
fn found_file(word: &Word) -> Word {
    let Some(text) = word.known() else { return word.clone() };
    if !text.as_slice().windows(2).any(|w| w == b"{}") {
        return word.clone();
    }
    let parts = if text.as_slice().starts_with(b"{}") { Vec::new() } else { vec![Part::Literal(before(&text))] };
    let unknown = Part::Unknown { quoted: true };
    Word { span: word.span, typed: word.typed.clone(), parts: parts.into_iter().chain([unknown]).collect() }
}

fn before(text: &Bytes) -> Bytes {
    let cut = text.as_slice().windows(2).position(|w| w == b"{}").unwrap_or(0);
    Bytes::from(&text.as_slice()[..cut])
}

fn argv_from(simple: &Simple, from: usize) -> Starts {
    if from < simple.arguments.len() { Starts::Argv(from) } else { Starts::Itself }
}

fn asks_for_shell(given: &[Given<'_>]) -> bool {
    given.iter().any(|g| matches!(g.name.as_str(), "s" | "i" | "shell" | "login"))
}

/// Takes `NAME=value` words over as assignments, and gives where the program is.
fn assigned(simple: &mut Simple, first: usize) -> usize {
    let mut at = first;
    while let Some(word) = simple.arguments.get(at) {
        let prefix = word.prefix();
        let Some(cut) = prefix.iter().position(|b| *b == b'=') else { break };
        let name = Bytes::from(&prefix[..cut]);
        let mut value = word.clone();
        if let Some(Part::Literal(bytes)) = value.parts.first_mut() {
            *bytes = Bytes::from(&bytes.as_slice()[cut + 1..]);
        }
        value.parts.retain(|p| !matches!(p, Part::Literal(b) if b.is_empty()));
        simple.assignments.push(Assignment { name, values: vec![value], partial: false });
        at += 1;
    }
    at
}

/// Words that are joined with blanks and read as a script.
fn joined(words: &[Word]) -> Starts {
    let Some(first) = words.first() else { return Starts::Itself };
    let Some(known) = words.iter().map(Word::known).collect::<Option<Vec<_>>>() else {
        return Starts::Unknown(Unread::Text);
    };
    let span = words.iter().fold(first.span, |all, w| all.around(w.span));
    let base = match words {
        [word] => verbatim(word),
        _ => Base::Whole(span),
    };
    let texts: Vec<&[u8]> = known.iter().map(Bytes::as_slice).collect();
    Starts::Text(Bytes::from(texts.join(&b' ')), base)
}

/// Where the text of a word stands byte for byte, if it does.
fn verbatim(word: &Word) -> Base {
    let (typed, known) = (word.typed.as_slice(), word.known().unwrap_or_default());
    let length = word.span.end - word.span.start;
    match typed {
        _ if length != typed.len() => Base::Whole(word.span),
        typed if typed == known.as_slice() => Base::From(word.span.start),
        [b'\'' | b'"', inner @ .., b'\'' | b'"'] if inner == known.as_slice() => Base::From(word.span.start + 1),
        _ => Base::Whole(word.span),
    }
}

/// A shell: a script after `-c`, in a file, or on standard input.
fn shell(simple: &Simple, launch: &Launch) -> Starts {
    // `+e` and its like are options, too.
    let plus = |w: &&Word| w.prefix().starts_with(b"+");
    let skipped = simple.arguments.iter().take_while(plus).count();
    let words = &simple.arguments[skipped..];
    let (first, given) = match before_operands(words, &launch.known) {
        Ok(found) => found,
        Err(_) if words.iter().any(|w| w.known().is_none()) => return Starts::Unknown(Unread::Text),
        Err(why) => return Starts::Unknown(why),
    };
    let asked = |name: &str| given.iter().any(|g| g.name == name);
    let operand = words.get(first);
    if asked("c") {
        return match operand {
            Some(word) => match word.known() {
                Some(text) => Starts::Text(text, verbatim(word)),
                None => Starts::Unknown(Unread::Text),
            },
            None => Starts::Itself,
        };
    }
    // A script in a file is a program like any other.
    if operand.is_some_and(|w| !w.is(b"-")) && !asked("s") {
        return Starts::Itself;
    }
    let input = simple.redirects.iter().rev().find(|r| r.is_input());
    match input.filter(|r| r.mode != Mode::Read).map(|r| &r.target) {
        Some(target) => match target.known() {
            Some(text) => Starts::Text(text, verbatim(target)),
            None => Starts::Unknown(Unread::Text),
        },
        None => Starts::Unknown(Unread::Text),
    }
}

/// `su [options] [user] [-c TEXT]`, options in any place; `runuser -u USER PROGRAM`; `script -c TEXT`.
fn su(simple: &Simple) -> Starts {
    let words = &simple.arguments;
    let mut user = false;
    for (at, word) in words.iter().enumerate() {
        let Some(text) = word.known() else { continue };
        let script = match text.as_slice() {
            b"-c" | b"--command" | b"-lc" | b"-qc" | b"-qec" | b"--session-command" => words.get(at + 1).cloned(),
            b"-u" | b"--user" => {
                user = true;
                None
            }
            t if t.starts_with(b"--command=") => Some(Word::literal(Bytes::from(&t[b"--command=".len()..]), word.span)),
            _ => None,
        };
        if let Some(script) = script {
            return match script.known() {
                Some(text) => Starts::Text(text, verbatim(&script)),
                None => Starts::Unknown(Unread::Text),
            };
        }
    }
    if user {
        let known = super::options::Known {
            values: "ugG",
            flags: "lmpf",
            long_values: &["user", "group", "supp-group"],
            ..Default::default()
        };
        return match before_operands(words, &known) {
            Ok((first, _)) => argv_from(simple, first),
            Err(why) => Starts::Unknown(why),
        };
    }
    // A shell that reads what it is told from its input.
    Starts::Unknown(Unread::Text)
}

/// `flock [options] FILE PROGRAM …`, `flock [options] FILE -c TEXT`, `flock FD`.
fn flock(simple: &Simple) -> Starts {
    let known = super::options::Known {
        flags: "sxeunoFv",
        values: "wE",
        long: &["shared", "exclusive", "unlock", "nonblock", "nb", "close", "no-fork", "verbose"],
        long_values: &["timeout", "wait", "conflict-exit-code"],
        ..Default::default()
    };
    let (first, _) = match before_operands(&simple.arguments, &known) {
        Ok(found) => found,
        Err(why) => return Starts::Unknown(why),
    };
    match simple.arguments.get(first + 1) {
        Some(word) if word.is(b"-c") || word.is(b"--command") => match simple.arguments.get(first + 2) {
            Some(script) => match script.known() {
                Some(text) => Starts::Text(text, verbatim(script)),
                None => Starts::Unknown(Unread::Text),
            },
            None => Starts::Itself,
        },
        _ => argv_from(simple, first + 1),
    }
}

/// `docker exec`, `kubectl exec`, `lxc exec`: options, a name, perhaps `--`, the program.
fn container(simple: &Simple) -> Starts {
    let words = &simple.arguments;
    // Options of the tool itself, and `compose`, `container`, come before the verb.
    let Some(verb) = words.iter().take(16).position(|w| w.is(b"exec")) else { return Starts::Itself };
    if let Some(end) = words.iter().position(|w| w.is(b"--")).filter(|end| *end > verb) {
        return argv_from(simple, end + 1);
    }
    let known = super::options::Known {
        flags: "diqTt",
        values: "euwcnf",
        long: &["detach", "interactive", "tty", "privileged", "stdin", "quiet", "no-TTY", "latest"],
        long_values: &[
            "env",
            "env-file",
            "user",
            "workdir",
            "detach-keys",
            "index",
            "container",
            "namespace",
            "context",
            "filename",
            "cwd",
        ],
        ..Default::default()
    };
    match before_operands(&words[verb + 1..], &known) {
        Ok((first, _)) => argv_from(simple, verb + 1 + first + 1),
        Err(why) => Starts::Unknown(why),
    }
}
