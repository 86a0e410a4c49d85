//! Where in a text secrets are.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::{BEGIN, BYTES};
use crate::bytes::Bytes;

/// A name that says it: what it has is a password, whatever that looks like.
const STRICT: &str = r"[A-Za-z0-9_.-]*(?:passw(?:or)?d|passphrase)|[A-Za-z0-9]+[_.-]pwd|[A-Z]*PWD_SECRET";

/// One of which a short or plain value is something else.
const SOFT: &str = r"[A-Za-z0-9_.-]*(?:token|secret|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|auth[_-]?key|credentials?)";

/// A value as a shell reads it, in its simplest form.
const VALUE: &str = r#"(?:"(?P<d>[^"\x00]*)"|'(?P<q>[^'\x00]*)'|(?P<v>[^\s'"\x00;&|<>(),]+))"#;

/// None of these without one of the patterns; most commands have none, and making the patterns takes longer than all else.
const HINTS: [&[u8]; 31] = [
    b"pass",
    b"pwd",
    b"token",
    b"secret",
    b"key",
    b"credential",
    b"authorization",
    b"bearer",
    b"://",
    b"-user",
    b"curl",
    b"mysql",
    b"mariadb",
    b"redis-cli",
    b"login",
    b"ldap",
    b"ghp_",
    b"gho_",
    b"ghu_",
    b"ghs_",
    b"ghr_",
    b"github_pat_",
    b"glpat-",
    b"xox",
    b"sk-",
    b"aiza",
    b"npm_",
    b"hf_",
    b"eyj",
    b"sg.",
    b"hooks.slack",
];

/// A pattern, and whether what it finds may be something else where it is short or plain.
struct Shape {
    pattern: Regex,
    soft: bool,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let begin = r"(?:^|[^A-Za-z0-9_.-])";
    let strict = format!("(?:{STRICT})");
    let soft = format!("(?:{SOFT})");
    let named = |name: &str| {
        [
            // NAME=value, --name=value, ?name=value
            format!(r"(?i-u){begin}-{{0,2}}{name}={VALUE}"),
            // --name value
            format!(r"(?i-u)(?:^|\s)--?{name}\s+{VALUE}"),
            // "name": "value", name: value
            format!(r#"(?i-u){begin}{name}["']?\s*:\s*{VALUE}"#),
        ]
    };
    let strict = named(&strict).map(|pattern| (pattern, false));
    let soft = named(&soft).map(|pattern| (pattern, true));
    let other = [
        (r#"(?i-u)://[^/\s:@'"]*:(?P<v>[^/\s@'"]+)@"#.to_owned(), false),
        (
            r#"(?i-u)authorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|digest|apikey)?\s*(?P<v>[^\s'",;]+)"#.to_owned(),
            false,
        ),
        (r"(?i-u)\bbearer\s+(?P<v>[A-Za-z0-9._~+/-]{8,}=*)".to_owned(), true),
        (r#"(?-u)(?:^|\s)(?:-u|-U|--user|--proxy-user)[\s=]?\s*["']?[^\s:'"]+:(?P<v>[^\s'"]+)"#.to_owned(), true),
        (format!(r"(?-u)\b(?:mysql|mariadb)[a-z-]*\b[^;&|\n]*?\s-p{VALUE}"), false),
        (
            format!(r"(?-u)\b(?:sshpass|redis-cli|docker\s+login|podman\s+login|ldap[a-z]+)\b[^;&|\n]*?\s-[paw]\s*{VALUE}"),
            false,
        ),
        (r#"(?-u)\bpass:(?P<v>[^\s'"]+)"#.to_owned(), false),
        (
            r"(?-u)\b(?P<v>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|sk-[\w-]{20,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|AGE-SECRET-KEY-1[0-9A-Z]{40,})".to_owned(),
            false,
        ),
        (r"(?-u)hooks\.slack\.com/services/(?P<v>[\w/]+)".to_owned(), false),
        (
            r"(?s-u)-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<v>.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)".to_owned(),
            false,
        ),
    ];
    let shape =
        |(pattern, soft): (String, bool)| Shape { pattern: Regex::new(&pattern).expect("a test reads it"), soft };
    strict.into_iter().chain(soft).chain(other).map(shape).collect()
});

static STRICT_OPTION: LazyLock<Regex> = LazyLock::new(|| option(STRICT));
static SOFT_OPTION: LazyLock<Regex> = LazyLock::new(|| option(SOFT));

fn option(name: &str) -> Regex {
    Regex::new(&format!(r"(?i-u)^--?(?:{name})(?P<is>=|$)")).expect("a test reads it")
}

fn hints(text: &[u8]) -> bool {
    let has = |hint: &&[u8]| text.windows(hint.len()).any(|w| w.eq_ignore_ascii_case(hint));
    HINTS.iter().any(has)
}

/// In a line for a shell, or other text: in order and apart.
pub(super) fn in_text(text: &[u8]) -> Vec<Range<usize>> {
    if !hints(text) {
        return Vec::new();
    }
    let mut all = Vec::new();
    let known = commitments(text);
    for Shape { pattern, soft } in SHAPES.iter() {
        let value = |found: Captures<'_>| ["d", "q", "v"].iter().find_map(|g| found.name(g)).map(|m| m.range());
        let values = pattern.captures_iter(text).filter_map(value);
        let new = |range: &Range<usize>| known.iter().all(|k| range.end <= k.start || k.end <= range.start);
        all.extend(values.filter(new).filter(|range| is_one(&text[range.clone()], *soft)));
    }
    apart(all)
}

/// What stands for a secret already.
fn commitments(text: &[u8]) -> Vec<Range<usize>> {
    let end = BEGIN.len() + 2 * BYTES;
    let is_one =
        |w: &[u8]| w.starts_with(BEGIN) && w[BEGIN.len()..end].iter().all(u8::is_ascii_hexdigit) && w[end] == b']';
    let places = text.windows(end + 1).enumerate().filter(|(_, w)| is_one(w));
    places.map(|(at, w)| at..at + w.len()).collect()
}

/// In one of a program's arguments, by those before it.
pub(super) fn in_word(argv: &[Bytes], at: usize) -> Vec<Range<usize>> {
    let word = argv[at].as_slice();
    let before = at.checked_sub(1).map(|at| argv[at].as_slice()).unwrap_or_default();
    let program = argv[0].as_slice().rsplit(|b| *b == b'/').next().unwrap_or_default();
    let mut all = in_text(word);
    for (option, soft) in [(&STRICT_OPTION, false), (&SOFT_OPTION, true)] {
        if !hints(before) && !hints(word) {
            break;
        }
        // The whole of a value that is a word of its own, spaces and all.
        let whole = match (option.captures(before), option.captures(word)) {
            (Some(found), _) if found["is"].is_empty() && !word.starts_with(b"-") => Some(0..word.len()),
            (_, Some(found)) if &found["is"] == b"=" => found.name("is").map(|m| m.end()..word.len()),
            _ => None,
        };
        all.extend(whole.filter(|range| is_one(&word[range.clone()], soft)));
    }
    let glued = |option: &[u8]| word.starts_with(option) && word.len() > option.len();
    let sql = program.starts_with(b"mysql") || program.starts_with(b"mariadb");
    let login = matches!(program, b"docker" | b"podman") && argv.get(1).is_some_and(|w| w.as_slice() == b"login");
    if sql && glued(b"-p") || program == b"sshpass" && glued(b"-p") {
        all.push(2..word.len());
    }
    if program == b"sshpass" && before == b"-p"
        || program == b"redis-cli" && before == b"-a"
        || login && before == b"-p"
    {
        all.push(0..word.len());
    }
    if matches!(before, b"-u" | b"-U" | b"--user" | b"--proxy-user")
        && let Some(colon) = word.iter().position(|b| *b == b':')
        && is_one(&word[colon + 1..], true)
    {
        all.push(colon + 1..word.len());
    }
    apart(all)
}

/// False for what stands for a value (a variable, a commitment, stars), and, where the name may mean something else, for what
/// is short, plain or a path.
fn is_one(value: &[u8], soft: bool) -> bool {
    let whole = commitments(value).first().is_some_and(|c| *c == (0..value.len()));
    let stands_for = value.starts_with(b"$") || value.starts_with(b"`") || whole;
    let stars = value.iter().all(|b| matches!(b, b'*' | b'.'));
    let path = [&b"/"[..], b"./", b"../", b"~", b"@", b"id=", b"type="].iter().any(|begin| value.starts_with(begin));
    let plain = value.len() < 6 && value.iter().all(u8::is_ascii_digit)
        || [&b"true"[..], b"false", b"none", b"null", b"required", b"optional"]
            .iter()
            .any(|w| value.eq_ignore_ascii_case(w));
    !(value.is_empty() || stands_for || stars) && !(soft && (path || plain || value.len() < 4))
}

fn apart(mut all: Vec<Range<usize>>) -> Vec<Range<usize>> {
    all.retain(|range| !range.is_empty());
    all.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in all {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
