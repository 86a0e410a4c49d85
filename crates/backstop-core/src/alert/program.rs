//! A program that was started, as a rule spells it: `rm -r`, `dd of=*`, `git push --force`.

use crate::bytes::Bytes;
use crate::classes::Pattern;
use crate::program::Program;

/// Programs that are many: which of them runs is their first argument.
const MANY: [&[u8]; 4] = [b"busybox", b"toybox", b"coreutils", b"lvm"];

/// How one of these is told which it is to be.
const PROG: &[u8] = b"--coreutils-prog=";

/// Programs that run another, which is a text: their first argument that is no flag. Whatever that was called, the kernel says
/// that these run.
const SHELLS: [&[u8]; 5] = [b"sh", b"bash", b"dash", b"zsh", b"ksh"];
/// The same, to which a text is given by `-e` as well; and `python…`.
const LANGUAGES: [&[u8]; 7] = [b"perl", b"ruby", b"node", b"nodejs", b"php", b"deno", b"bun"];

/// A program, and what has to be among its arguments, in whatever order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// As it was written.
    pub spelling: String,
    name: Pattern,
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    /// `-r`: a letter of a word that begins with one dash.
    Flag(u8),
    /// A whole word.
    Word(Pattern),
}

impl Call {
    /// From its spelling: words with blanks between them, each with at most one `*`, at its start or its end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(spelling: &str) -> Result<Self, String> {
        let mut words = spelling.split_whitespace();
        let name = words.next().ok_or("a program without a name")?;
        if name.contains('/') {
            return Err(format!("{name:?}: a program's name, not its path"));
        }
        let argument = |word: &str| match word.as_bytes() {
            [b'-', flag] if flag.is_ascii_alphanumeric() => Ok(Argument::Flag(*flag)),
            _ => Pattern::parse(word).map(Argument::Word),
        };
        Ok(Self {
            spelling: spelling.to_owned(),
            name: Pattern::parse(name)?,
            arguments: words.map(argument).collect::<Result<_, _>>()?,
        })
    }

    /// True where it is this one: by its executable's name, or by the name that it was called by. Of what is cut off nobody
    /// knows what flags there were.
    pub fn is(&self, program: &Program) -> bool {
        let exe = program.exe.as_ref().map(last);
        let (called, rest) = match program.argv.split_first() {
            Some((called, rest)) => (Some(last(called)), rest),
            None => (None, &program.argv[..]),
        };
        let names: Vec<&[u8]> = exe.into_iter().chain(called).collect();
        let cut = program.cut > 0;
        let is = |names: &[&[u8]], rest: &[Bytes]| {
            names.iter().any(|name| self.name.covers(name))
                && self.arguments.iter().all(|a| a.is_among(rest) || (cut && a.may_be_anywhere()))
        };
        is(&names, rest) || names.iter().any(|name| another(name, rest).is_some_and(|(name, rest)| is(&[name], rest)))
    }
}

/// What a program of these arguments runs: which of the many it is, or which text; with the arguments of that.
fn another<'p>(name: &[u8], words: &'p [Bytes]) -> Option<(&'p [u8], &'p [Bytes])> {
    let shell = SHELLS.contains(&name);
    let language = LANGUAGES.contains(&name) || name.starts_with(b"python");
    if !(shell || language || MANY.contains(&name)) {
        return None;
    }
    let mut at = 0;
    while let Some(word) = words.get(at).map(Bytes::as_slice) {
        match word {
            // A text on the command line: what it runs is told by itself.
            [b'-', flags @ ..] if flags.first() != Some(&b'-') && flags.contains(&b'c') => return None,
            [b'-', flags @ ..] if !shell && flags.first() != Some(&b'-') && flags.contains(&b'e') => return None,
            _ if word.starts_with(PROG) => return Some((last_of(&word[PROG.len()..]), &words[at + 1..])),
            b"-o" | b"-O" | b"-W" | b"-X" | b"-I" => at += 2,
            [b'-', ..] => at += 1,
            _ => return Some((last_of(word), &words[at + 1..])),
        }
    }
    None
}

impl Argument {
    /// True for what people write behind all else as well: a flag, `of=FILE`. What a program is to do comes first.
    const fn may_be_anywhere(&self) -> bool {
        match self {
            Self::Flag(_) => true,
            Self::Word(pattern) => pattern.is_option(),
        }
    }

    fn is_among(&self, words: &[Bytes]) -> bool {
        match self {
            Self::Word(pattern) => words.iter().any(|word| pattern.covers(word.as_slice())),
            Self::Flag(flag) => words
                .iter()
                // What comes after `--` is no flag.
                .take_while(|word| word.as_slice() != b"--")
                .any(|word| matches!(word.as_slice(), [b'-', first, ..] if *first != b'-' && word.as_slice()[1..].contains(flag))),
        }
    }
}

/// The last part of a path. A shell that logs in is called with a dash before its name.
fn last(path: &Bytes) -> &[u8] {
    last_of(path.as_slice())
}

fn last_of(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.strip_prefix(b"-").unwrap_or(name)
}
