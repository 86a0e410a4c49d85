//! Takes a simple command, gives the program text in other languages that it carries: `python -c`,
//! `awk`, `sed`, a script on standard input. Reads none of these languages.

use super::word::{Mode, Span, Word};
use super::{Simple, options};
use crate::bytes::Bytes;

/// What a program text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// `awk` and its like.
    Awk,
    /// `lua`.
    Lua,
    /// `node`, `bun`, `deno`.
    JavaScript,
    /// `perl`.
    Perl,
    /// `php`.
    Php,
    /// `python`.
    Python,
    /// `R`.
    R,
    /// `ruby`.
    Ruby,
    /// `sed`.
    Sed,
    /// A shell whose grammar isn't bash's.
    Shell,
    /// `psql`, `mysql`, `sqlite3`.
    Sql,
}

/// Program text within a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// Where.
    pub span: Span,
    /// What it is written in.
    pub language: Language,
    /// The text, where it is fully known.
    pub text: Option<Bytes>,
}

/// How a program is given text.
struct Carrier {
    names: &'static [&'static str],
    language: Language,
    /// Options whose value is program text.
    text: &'static [&'static str],
    /// Options whose value is not.
    values: &'static [&'static str],
    /// The first operand is program text, unless an option gave some or names a file with it.
    operand: Option<&'static [&'static str]>,
    /// Without operands, or with `-`, it reads its program from standard input.
    stdin: bool,
}

const CARRIERS: &[Carrier] = &[
    Carrier {
        names: &["python", "pypy", "ipython"],
        language: Language::Python,
        text: &["-c"],
        values: &["-W", "-X", "-m", "--check-hash-based-pycs"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["perl"],
        language: Language::Perl,
        text: &["-e", "-E"],
        values: &["-I", "-M", "-m"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["ruby"],
        language: Language::Ruby,
        text: &["-e"],
        values: &["-r", "-I"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["node", "nodejs", "bun", "deno"],
        language: Language::JavaScript,
        text: &["-e", "--eval", "-p", "--print", "-pe"],
        values: &["-r", "--require", "--import"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["php"],
        language: Language::Php,
        text: &["-r"],
        values: &["-d", "-c"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["lua", "luajit"],
        language: Language::Lua,
        text: &["-e"],
        values: &["-l"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["R", "Rscript"],
        language: Language::R,
        text: &["-e"],
        values: &[],
        operand: None,
        stdin: false,
    },
    Carrier {
        names: &["awk", "gawk", "mawk", "nawk"],
        language: Language::Awk,
        text: &["-e", "--source"],
        values: &["-F", "-v", "-f", "--file", "-i", "-l", "-E"],
        operand: Some(&["-f", "--file", "-E", "-e", "--source"]),
        stdin: false,
    },
    Carrier {
        names: &["sed", "gsed"],
        language: Language::Sed,
        text: &["-e", "--expression"],
        values: &["-f", "--file", "-l", "--line-length"],
        operand: Some(&["-f", "--file", "-e", "--expression"]),
        stdin: false,
    },
    Carrier {
        names: &["psql"],
        language: Language::Sql,
        text: &["-c", "--command"],
        values: &["-d", "-f", "-h", "-p", "-U", "-v", "-o", "-L", "-F", "-P", "-R", "-T"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["mysql", "mariadb"],
        language: Language::Sql,
        text: &["-e", "--execute"],
        values: &["-u", "-h", "-P", "-S", "-D"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["sqlite3"],
        language: Language::Sql,
        text: &["-cmd"],
        values: &["-init"],
        operand: None,
        stdin: true,
    },
    Carrier {
        names: &["fish", "csh", "tcsh", "pwsh"],
        language: Language::Shell,
        text: &["-c"],
        values: &[],
        operand: None,
        stdin: true,
    },
];

/// `python3.12` is `python`.
fn base(name: &[u8]) -> &[u8] {
    let digits = name.iter().rev().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let base = &name[..name.len() - digits];
    if base.is_empty() || name == b"sqlite3" { name } else { base }
}

/// The program texts that a command carries, in order.
pub(super) fn of(simple: &Simple) -> Vec<Inline> {
    let Some(name) = simple.program_name() else { return Vec::new() };
    let is = |n: &&str| n.as_bytes() == base(name.as_slice());
    let Some(carrier) = CARRIERS.iter().find(|c| c.names.iter().any(&is)) else { return Vec::new() };
    let mut found = Vec::new();
    let mut operands = 0usize;
    let mut filed = false;
    let mut at = 0;
    while let Some(word) = simple.arguments.get(at) {
        at += 1;
        let option = options::split(word, carrier.text, carrier.values);
        match option {
            options::Split::Operand => {
                operands += 1;
                let sqlite = carrier.language == Language::Sql && name.as_slice() == b"sqlite3";
                let first = carrier.operand.is_some_and(|_| operands == 1 && !filed);
                if first || sqlite && operands > 1 {
                    found.push(inline(carrier.language, word, word.known()));
                    filed |= first;
                }
            }
            options::Split::Value { name, attached } => {
                let value = match attached {
                    Some(text) => Some((word, Some(text))),
                    None => {
                        at += 1;
                        simple.arguments.get(at - 1).map(|w| (w, w.known()))
                    }
                };
                filed |= carrier.operand.is_some_and(|o| o.contains(&name));
                if let (true, Some((word, text))) = (carrier.text.contains(&name), value) {
                    found.push(inline(carrier.language, word, text));
                    // What follows is the program's own.
                    if carrier.stdin && carrier.language != Language::Sql && carrier.language != Language::Perl {
                        return found;
                    }
                }
            }
            options::Split::Flag => {}
            options::Split::End => break,
        }
    }
    let rest = simple.arguments.get(at..).unwrap_or_default();
    let bare = operands == 0 && rest.is_empty() || simple.arguments.last().is_some_and(|w| w.is(b"-"));
    let fed_sql = carrier.language == Language::Sql;
    if carrier.stdin && found.is_empty() && (bare || fed_sql) {
        let input = simple.redirects.iter().rev().find(|r| r.is_input());
        if let Some(input) = input.filter(|r| r.mode != Mode::Read) {
            found.push(inline(carrier.language, &input.target, input.target.known()));
        } else if simple.fed || input.is_some() {
            found.push(Inline { span: simple.span, language: carrier.language, text: None });
        }
    }
    found
}

fn inline(language: Language, word: &Word, text: Option<Bytes>) -> Inline {
    Inline { span: word.span, language, text }
}
