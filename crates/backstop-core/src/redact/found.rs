//! Where in what somebody typed secrets are. A line is read into the words of its commands first, as a shell does, so that
//! neither a quote nor a name makes more of it a secret than one word: what an agent ran has to stay readable.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::lex;
use super::{BEGIN, BYTES};
use crate::bytes::Bytes;
use crate::shell;

/// A value that is longer, or has more than one line, is no secret; with spaces in it, not even a short text is. Or whole
/// scripts could be hidden as one.
const LONGEST: usize = 4_096;

/// The same with spaces: a passphrase, a header.
const LONGEST_WORDS: usize = 512;

/// Names of which the value is a password, whatever it looks like.
const STRICT: &str = r"(?:[a-z0-9_.-]*(?:passw(?:or)?d|passphrase)|(?:[a-z0-9]+[_.-])?pass|[a-z0-9]+[_.-]pwd)";

/// Names of which a short or plain value is something else.
const SOFT: &str =
    r"(?:[a-z0-9_.-]*(?:token|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|credentials?))";

/// What a name that ends like one of these begins with where it says that there is none.
const NONE: [&[u8]; 5] = [b"no-", b"disable", b"without-", b"ask-", b"show-"];

/// None of what follows without one of these; most commands have none, and making the patterns takes longer than all else.
const HINTS: [&[u8]; 20] = [
    b"pass",
    b"pwd",
    b"token",
    b"secret",
    b"key",
    b"credential",
    b"auth",
    b"bearer",
    b"://",
    b"gh",
    b"glpat-",
    b"xox",
    b"sk-",
    b"aiza",
    b"npm_",
    b"hf_",
    b"eyj",
    b"sg.",
    b"hooks.slack",
    b"signature",
];

/// A program that is given a password in a way of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    /// `-u user:password`.
    Client,
    /// After `login`: `-p password`.
    Container,
    /// `-w password`.
    Ldap,
    /// `-a password`.
    Redis,
    /// `-ppassword`.
    Sql,
    /// `-p password` or `-ppassword`, before what it starts.
    Sshpass,
}

impl Tool {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"curl" | b"wget" | b"http" | b"https" | b"xh" => Some(Self::Client),
            b"docker" | b"podman" => Some(Self::Container),
            b"redis-cli" => Some(Self::Redis),
            b"sshpass" => Some(Self::Sshpass),
            // Of one family: mysqldump, mariadb-admin, ldapsearch.
            _ if name.starts_with(b"mysql") || name.starts_with(b"mariadb") => Some(Self::Sql),
            _ if name.starts_with(b"ldap") => Some(Self::Ldap),
            _ => None,
        }
    }
}

struct Shape {
    pattern: Regex,
    soft: bool,
    /// After a colon stand words as well, in any text.
    words: bool,
}

/// Inside of one word, or in a text that is no command.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    // In quotes, which may be escaped, or up to what ends a value in JSON, YAML, a query and a header.
    let value = r#"(?:\\?"(?P<d>[^"\\\n]*)\\?"|'(?P<q>[^'\n]*)'|(?P<v>[^\s"'\\,;&|}<>()]+))"#;
    let begin = r"(?i-u)(?:^|[^a-z0-9_.-])";
    let mut all = Vec::new();
    let mut add = |text: &str, soft, words| {
        all.push(Shape { pattern: Regex::new(text).expect("a test reads it"), soft, words });
    };
    for (name, soft) in [(STRICT, false), (SOFT, true)] {
        add(&format!(r"{begin}-{{0,2}}(?P<n>{name})[ \t]*=[ \t]*{value}"), soft, false);
        add(&format!(r#"{begin}(?P<n>{name})\\?["']?[ \t]*:[ \t]*{value}"#), soft, soft);
    }
    for text in [
        r#"(?i-u)authorization\\?["']?[ \t]*[:=][ \t]*\\?["']?(?:[a-z][a-z0-9-]*[ \t]+)?(?P<v>[^\s"'\\]+[^"'\\\n]*)"#,
        r"(?i-u)\bbearer[ \t]+(?P<v>[A-Za-z0-9._~+/-]{8,}=*)",
        r"(?i-u)\bsignature=(?P<v>[a-z0-9%+/=]{16,})",
        r#"(?i-u)://[^/\s:@'"]*:(?P<v>[^/\s'"]+)@"#,
        r#"(?-u)\bpass:(?P<v>[^\s'"]+)"#,
        r"(?-u)hooks\.slack\.com/services/(?P<v>[\w/]+)",
        r"(?-u)\b(?P<v>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,})",
        r"(?-u)\b(?P<v>sk-[\w-]{20,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,})",
        r"(?-u)\b(?P<v>SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|AGE-SECRET-KEY-1[0-9A-Z]{40,})",
    ] {
        add(text, false, false);
    }
    all
});

/// A private key may have many lines, and each of them is nothing but base64.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let line = r"(?:\s|\\n)*[A-Za-z0-9+/=]";
    let pattern =
        format!(r"(?-u)PRIVATE KEY-----(?:\s|\\n)*(?P<v>[A-Za-z0-9+/=]{{16,}}(?:{line}{{16,}})*(?:{line}{{1,76}})?)");
    Regex::new(&pattern).expect("a test reads it")
});

static STRICT_NAME: LazyLock<Regex> = LazyLock::new(|| name(STRICT));
static SOFT_NAME: LazyLock<Regex> = LazyLock::new(|| name(SOFT));

fn name(names: &str) -> Regex {
    Regex::new(&format!(r"(?i-u)^-{{0,2}}{names}$")).expect("a test reads it")
}

fn hints(text: &[u8]) -> bool {
    let begins = |at: usize| HINTS.iter().any(|h| text[at..].get(..h.len()).is_some_and(|t| t.eq_ignore_ascii_case(h)));
    (0..text.len()).any(begins)
}

/// True for a name that says that there is none.
fn denies(name: &[u8]) -> bool {
    let bare = name.iter().position(|b| *b != b'-').map_or(&name[..0], |at| &name[at..]);
    NONE.iter().any(|n| bare.get(..n.len()).is_some_and(|b| b.eq_ignore_ascii_case(n)))
}

/// Whether a name says that its value is a secret, and whether the value may be something else.
fn says(name: &[u8]) -> Option<bool> {
    if !hints(name) || denies(name) {
        return None;
    }
    if STRICT_NAME.is_match(name) {
        return Some(false);
    }
    SOFT_NAME.is_match(name).then_some(true)
}

/// The words of one command, and what of it is known.
struct Typed<'t> {
    words: Vec<&'t [u8]>,
    /// Where a program is that is given a password in a way of its own.
    tools: Vec<(usize, Tool)>,
    /// From here on an argument may be a line for a shell.
    shell: Option<usize>,
}

impl<'t> Typed<'t> {
    fn new(words: Vec<&'t [u8]>) -> Self {
        let (mut tools, mut shell) = (Vec::new(), None);
        let (mut first, mut started) = (true, false);
        for (at, word) in words.iter().enumerate() {
            let name = word.rsplit(|b| *b == b'/').next().unwrap_or_default();
            // The program itself, or what a program that starts others may start; other paths are what it works on.
            let program = !word.contains(&b'/') || word.windows(4).any(|w| w == b"bin/");
            if first || started && program {
                tools.extend(Tool::of(name).map(|tool| (at, tool)));
                shell = shell.or(Some(at).filter(|_| shell::is_a_shell(name)));
                started |= first && shell::starts_another(name);
            }
            first &= word.contains(&b'=') && !word.starts_with(b"-");
        }
        Self { words, tools, shell }
    }

    fn runs(&self, tool: Tool, before: usize) -> bool {
        self.tools.iter().any(|(at, known)| *at < before && *known == tool)
    }

    /// True where a shell gets the word as a line.
    fn is_a_line(&self, at: usize) -> bool {
        let option = at.checked_sub(1).map(|at| self.words[at]).unwrap_or_default();
        let c = option.starts_with(b"-") && !option.starts_with(b"--") && option.ends_with(b"c");
        c && self.shell.is_some_and(|shell| shell < at)
    }

    /// In one word. `value` gives the range of what follows a place in it, without quotes around, and whether a shell leaves
    /// it as it is.
    fn in_word(&self, at: usize, value: &dyn Fn(usize) -> (Range<usize>, bool)) -> Vec<Range<usize>> {
        let (word, before) = (self.words[at], at.checked_sub(1).map(|at| self.words[at]).unwrap_or_default());
        if self.is_a_line(at) {
            return in_line(word);
        }
        let mut all = shapes(word);
        let mut take = |from: usize, soft: bool| {
            let (range, literal) = value(from);
            if is_one(&word[range.clone()], soft, literal) {
                all.push(range);
            }
        };
        if let Some(soft) = says(before).filter(|_| before.starts_with(b"-") && !word.starts_with(b"-")) {
            take(0, soft);
        }
        if let Some(is) = word.iter().position(|b| *b == b'=')
            && let Some(soft) = says(&word[..is])
        {
            take(is + 1, soft);
        }
        if let Some(from) = self.own_way(at, before, word) {
            take(from, false);
        }
        all
    }

    /// From where on the word is a password, in a way of the program's own.
    fn own_way(&self, at: usize, before: &[u8], word: &[u8]) -> Option<usize> {
        let port = |b: &u8| b.is_ascii_digit() || matches!(b, b':' | b'.');
        let glued = word.starts_with(b"-p") && word.len() > 2 && !word[2..].iter().all(port);
        if glued && (self.runs(Tool::Sql, at) || self.runs(Tool::Sshpass, at)) {
            return Some(2);
        }
        let whole = match before {
            b"-a" => self.runs(Tool::Redis, at),
            b"-w" => self.runs(Tool::Ldap, at),
            // What sshpass starts may have such an option as well.
            b"-p" => {
                let options = self.words[..at].iter().rev().take_while(|w| w.starts_with(b"-")).count();
                let own = options < at && self.tools.contains(&(at - 1 - options, Tool::Sshpass));
                own || self.runs(Tool::Container, at) && self.words[..at].contains(&&b"login"[..])
            }
            _ => false,
        };
        if whole {
            return Some(0);
        }
        let short = before.starts_with(b"-") && !before.starts_with(b"--") && before.ends_with(b"u");
        let user = match before {
            b"--user" | b"--proxy-user" | b"-U" => Some(0),
            _ if short => Some(0),
            _ => (word.starts_with(b"-u") && word.len() > 2).then_some(2),
        };
        let from = user.filter(|_| !word.starts_with(b"http") && self.runs(Tool::Client, at))?;
        word[from..].iter().position(|b| *b == b':').map(|colon| from + colon + 1)
    }
}

/// In a line for a shell: in order and apart.
pub(super) fn in_line(line: &[u8]) -> Vec<Range<usize>> {
    let mut all = keys(line);
    for command in lex::commands(line) {
        let typed = Typed::new(command.iter().map(|word| word.bare(line)).collect());
        for (at, word) in command.iter().enumerate() {
            all.extend(typed.in_word(at, &|from| word.value(line, from)).iter().map(|range| word.place(range)));
        }
    }
    apart(line, all)
}

/// In each of a program's arguments. No shell reads them.
pub(super) fn in_arguments(argv: &[Bytes]) -> Vec<Vec<Range<usize>>> {
    let typed = Typed::new(argv.iter().map(Bytes::as_slice).collect());
    let of = |(at, word): (usize, &Bytes)| {
        let word = word.as_slice();
        apart(word, [keys(word), typed.in_word(at, &|from| (from..word.len(), true))].concat())
    };
    argv.iter().enumerate().map(of).collect()
}

/// In a text that is no command.
pub(super) fn in_text(text: &[u8]) -> Vec<Range<usize>> {
    apart(text, [keys(text), shapes(text)].concat())
}

fn keys(text: &[u8]) -> Vec<Range<usize>> {
    if !text.windows(7).any(|w| w == b"PRIVATE") {
        return Vec::new();
    }
    PRIVATE_KEY.captures_iter(text).filter_map(|c| c.name("v")).map(|m| m.range()).collect()
}

fn shapes(text: &[u8]) -> Vec<Range<usize>> {
    if !hints(text) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for Shape { pattern, soft, words } in SHAPES.iter() {
        for found in pattern.captures_iter(text) {
            let quoted = found.name("q");
            let Some(value) = found.name("d").or(quoted).or(found.name("v")) else { continue };
            // A word with nothing that a generated one has, after a name that may mean anything.
            let plain = |b: &u8| b.is_ascii_lowercase() || *b == b'-';
            let word = *words && found.name("v").is_some_and(|v| v.as_bytes().iter().all(plain));
            let none = word || found.name("n").is_some_and(|name| denies(name.as_bytes()));
            if !none && is_one(value.as_bytes(), *soft, quoted.is_some()) {
                all.push(value.range());
            }
        }
    }
    all
}

/// What stands for a secret already.
pub(super) fn commitments(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let end = BEGIN.len() + 2 * BYTES;
    let digits = |w: &[u8]| w.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let is_one = move |w: &[u8]| w.starts_with(BEGIN) && w[end] == b']' && digits(&w[BEGIN.len()..end]);
    text.windows(end + 1).enumerate().filter(move |(_, w)| is_one(w)).map(|(at, w)| at..at + w.len())
}

/// False for what stands for a value (a variable that a shell fills in, a commitment, stars), for what is too long or has
/// several lines, and, where the name may mean something else, for what is short, plain or a path.
fn is_one(value: &[u8], soft: bool, literal: bool) -> bool {
    let whole = commitments(value).next().is_some_and(|c| c == (0..value.len()));
    let variable = value.strip_prefix(b"$").is_some_and(|rest| {
        let name = rest.strip_prefix(b"{").and_then(|r| r.strip_suffix(b"}")).unwrap_or(rest);
        rest.starts_with(b"(") || rest.starts_with(b"{") || name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    });
    let stands_for = whole || !literal && (variable || value.starts_with(b"`"));
    let nothing = value.iter().all(|b| matches!(b, b'*' | b'.' | b'<' | b'>'));
    let longest = if value.contains(&b' ') { LONGEST_WORDS } else { LONGEST };
    let several = value.len() > longest || value.contains(&b'\n');
    let is = |words: &[&[u8]]| words.iter().any(|w| value.eq_ignore_ascii_case(w));
    let word =
        is(&[b"true", b"false", b"none", b"null", b"yes", b"no", b"required", b"optional", b"string", b"str", b"text"]);
    let path = [&b"/"[..], b"./", b"../", b"~", b"@", b"id=", b"type="].iter().any(|begin| value.starts_with(begin));
    let plain = value.len() < 6 && value.iter().all(u8::is_ascii_digit);
    // A key of AWS has 40, and may begin like a path.
    let path = path && !(value.len() == 40 && value.iter().any(u8::is_ascii_uppercase));
    !(nothing || stands_for || several || word) && !(soft && (path || plain || value.len() < 4))
}

/// In order, those that meet made one, and without what is a commitment already.
fn apart(text: &[u8], mut all: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if all.is_empty() {
        return all;
    }
    let known: Vec<Range<usize>> = commitments(text).collect();
    // What has a whole one in it may have more; what begins or ends within one is a part of it.
    let parts =
        |r: &Range<usize>, k: &Range<usize>| r.start < k.end && k.start < r.end && (k.start < r.start || r.end < k.end);
    all.retain(|range| !range.is_empty() && !known.iter().any(|k| parts(range, k)));
    all.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in all {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
