//! Where in what somebody typed secrets are. A line is read into the words of its commands first, as a shell does, so that
//! neither a quote nor a name makes more of it a secret than one word: what an agent ran has to stay readable.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::lex;
use super::{BEGIN, BYTES};
use crate::bytes::Bytes;

/// A value that is longer, or has more than one line, is no password.
const LONGEST: usize = 256;

/// A value in a header, which may be a signed token.
const LONGEST_TOKEN: usize = 4_096;

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

/// Programs of which an option is followed by a password.
const TOOLS: [(&[u8], &[u8]); 5] =
    [(b"sshpass", b"-p"), (b"redis-cli", b"-a"), (b"ldap", b"-w"), (b"docker", b"-p"), (b"podman", b"-p")];

/// Programs that take `-u user:password`.
const CLIENTS: [&[u8]; 5] = [b"curl", b"wget", b"http", b"https", b"xh"];

/// Programs that run the one that follows them.
const WRAPPERS: [&[u8]; 14] = [
    b"sudo", b"doas", b"env", b"exec", b"time", b"timeout", b"nice", b"nohup", b"xargs", b"watch", b"docker",
    b"podman", b"kubectl", b"ssh",
];

/// Shells, of which an argument is a line.
const SHELLS: [&[u8]; 6] = [b"sh", b"bash", b"dash", b"zsh", b"ksh", b"ash"];

struct Shape {
    pattern: Regex,
    soft: bool,
    longest: usize,
    /// After a colon stand words as well, in any text.
    words: bool,
}

/// Inside of one word, or in a text that is no command.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    // In quotes, which may be escaped, or up to what ends a value in JSON, YAML, a query and a header.
    let value = r#"(?:\\?"(?P<d>[^"\\\n]*)\\?"|'(?P<q>[^'\n]*)'|(?P<v>[^\s"'\\,;&|}<>()]+))"#;
    let named = |name: &str| {
        [
            format!(r"(?i-u)(?:^|[^a-z0-9_.-])-{{0,2}}{name}[ \t]*=[ \t]*{value}"),
            format!(r#"(?i-u)(?:^|[^a-z0-9_.-]){name}\\?["']?[ \t]*:[ \t]*{value}"#),
        ]
    };
    let shape = |soft, longest| {
        move |text: String| {
            let words = soft && text.contains(":[ ");
            Shape { pattern: Regex::new(&text).expect("a test reads it"), soft, longest, words }
        }
    };
    let header =
        r#"(?i-u)authorization\\?["']?[ \t]*[:=][ \t]*\\?["']?(?:[a-z][a-z0-9-]*[ \t]+)?(?P<v>[^\s"'\\]+[^"'\\\n]*)"#;
    let token = r"(?-u)\b(?P<v>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|sk-[\w-]{20,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|AGE-SECRET-KEY-1[0-9A-Z]{40,})";
    let tokens = [
        header,
        r"(?i-u)\bbearer[ \t]+(?P<v>[A-Za-z0-9._~+/-]{8,}=*)",
        token,
        r"(?-u)hooks\.slack\.com/services/(?P<v>[\w/]+)",
        r"(?i-u)\bsignature=(?P<v>[a-z0-9%+/=]{16,})",
    ];
    let others = [r#"(?i-u)://[^/\s:@'"]*:(?P<v>[^/\s'"]+)@"#, r#"(?-u)\bpass:(?P<v>[^\s'"]+)"#];
    let strict = named(STRICT).into_iter().map(shape(false, LONGEST));
    let soft = named(SOFT).into_iter().map(shape(true, LONGEST));
    let tokens = tokens.map(str::to_owned).into_iter().map(shape(false, LONGEST_TOKEN));
    strict.chain(soft).chain(tokens).chain(others.map(str::to_owned).into_iter().map(shape(false, LONGEST))).collect()
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

/// Whether a name says that its value is a secret, and whether the value may be something else.
fn says(name: &[u8]) -> Option<bool> {
    let bare = name.iter().position(|b| *b != b'-').map_or(&name[..0], |at| &name[at..]);
    let none = NONE.iter().any(|n| bare.get(..n.len()).is_some_and(|b| b.eq_ignore_ascii_case(n)));
    if none || !hints(name) {
        return None;
    }
    if STRICT_NAME.is_match(name) {
        return Some(false);
    }
    SOFT_NAME.is_match(name).then_some(true)
}

/// In a line for a shell: in order and apart.
pub(super) fn in_line(line: &[u8]) -> Vec<Range<usize>> {
    let mut all = keys(line);
    for command in lex::commands(line) {
        let words: Vec<&[u8]> = command.iter().map(|word| word.bare(line)).collect();
        for (at, word) in command.iter().enumerate() {
            let value = |from: usize| word.value(line, from);
            all.extend(in_word(&words, at, &value).iter().map(|range| word.place(range)));
        }
    }
    apart(line, all)
}

/// In one of a program's arguments, by those before it.
pub(super) fn in_argument(argv: &[Bytes], at: usize) -> Vec<Range<usize>> {
    let words: Vec<&[u8]> = argv.iter().map(Bytes::as_slice).collect();
    let mut all = keys(words[at]);
    // No shell reads it.
    all.extend(in_word(&words, at, &|from| (from..words[at].len(), true)));
    apart(words[at], all)
}

/// In a text that is no command.
pub(super) fn in_text(text: &[u8]) -> Vec<Range<usize>> {
    let mut all = keys(text);
    all.extend(shapes(text));
    apart(text, all)
}

/// In one word of a command. `value` gives the range of what follows a place in it, without quotes around, and whether a
/// shell leaves it as it is.
fn in_word(words: &[&[u8]], at: usize, value: &dyn Fn(usize) -> (Range<usize>, bool)) -> Vec<Range<usize>> {
    let (word, before) = (words[at], at.checked_sub(1).map(|at| words[at]).unwrap_or_default());
    if is_a_line(words, at) {
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
    let tool = |name: &[u8]| words[..at].iter().enumerate().any(|(n, w)| runs(words, n, w, name));
    let port = |b: &u8| b.is_ascii_digit() || matches!(b, b':' | b'.');
    let glued = word.starts_with(b"-p") && word.len() > 2 && !word[2..].iter().all(port);
    if glued && (tool(b"mysql") || tool(b"mariadb") || tool(b"sshpass")) {
        take(2, false);
    }
    let logs_in = |name: &[u8]| !matches!(name, b"docker" | b"podman") || words[..at].contains(&&b"login"[..]);
    // What follows it may have such an option as well.
    let own = |name: &[u8]| {
        name != b"sshpass" || words[..at].iter().rev().take_while(|w| w.starts_with(b"-")).count() + 1 >= at
    };
    if TOOLS.iter().any(|(name, option)| before == *option && tool(name) && logs_in(name) && own(name)) {
        take(0, false);
    }
    if CLIENTS.iter().any(|name| tool(name)) {
        let short = before.starts_with(b"-") && !before.starts_with(b"--") && before.ends_with(b"u");
        let user = if short || matches!(before, b"--user" | b"--proxy-user" | b"-U") {
            Some(0)
        } else {
            (word.starts_with(b"-u") && word.len() > 2).then_some(2)
        };
        let colon = user.and_then(|from| word[from..].iter().position(|b| *b == b':').map(|colon| from + colon));
        if let Some(colon) = colon.filter(|_| !word.starts_with(b"http")) {
            take(colon + 1, false);
        }
    }
    all
}

/// True where this word is the program that runs, or one that another runs.
fn runs(words: &[&[u8]], at: usize, word: &[u8], name: &[u8]) -> bool {
    let base = |w: &[u8]| w.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    let own = base(word);
    // Of one family: mysqldump, mariadb-admin, ldapsearch.
    let is_it = if matches!(name, b"mysql" | b"mariadb" | b"ldap") { own.starts_with(name) } else { own == name };
    let assigns = |w: &[u8]| w.contains(&b'=') && !w.starts_with(b"-");
    is_it && (words[..at].iter().all(|w| assigns(w)) || words[..at].iter().any(|w| WRAPPERS.contains(&&base(w)[..])))
}

/// True where a shell gets it as a line.
fn is_a_line(words: &[&[u8]], at: usize) -> bool {
    let option = at.checked_sub(1).map(|at| words[at]).unwrap_or_default();
    let c = option.starts_with(b"-") && !option.starts_with(b"--") && option.ends_with(b"c");
    c && words[..at].iter().any(|w| SHELLS.contains(&w.rsplit(|b| *b == b'/').next().unwrap_or_default()))
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
    for Shape { pattern, soft, longest, words } in SHAPES.iter() {
        for found in pattern.captures_iter(text) {
            let Some((group, value)) = ["d", "q", "v"].iter().find_map(|g| found.name(g).map(|m| (*g, m))) else {
                continue;
            };
            let named = found.get(0).map_or(&text[..0], |m| &text[m.start()..value.start()]);
            let says_none = NONE.iter().any(|n| named.windows(n.len()).any(|w| w.eq_ignore_ascii_case(n)));
            // A word with nothing that a generated one has, after a name that may mean anything.
            let word = group == "v" && *words && value.as_bytes().iter().all(|b| b.is_ascii_lowercase() || *b == b'-');
            let fits = value.as_bytes().len() <= *longest && !says_none && !word;
            if fits && is_one(&text[value.range()], *soft, group == "q") {
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
    let several = value.len() > LONGEST_TOKEN || value.contains(&b'\n');
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
