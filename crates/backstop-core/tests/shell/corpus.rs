//! `corpus/shell/*.toml`: one claim a file. What the reader gives is compared as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::shell::{self, Script};
use serde::Deserialize;

use crate::show;

/// One case. Nothing that it doesn't name is left unchecked: what is absent must be empty.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Case {
    /// What is read: the text of a `bash -c`; `\xNN` and `\0` written as such stand for bytes when `escaped`.
    line: String,
    escaped: bool,
    /// Read instead of a line.
    argv: Vec<String>,
    /// Every command, one a line: see `show`.
    commands: Vec<String>,
    /// What could not be read, with its text.
    opaque: Vec<String>,
    /// Words that are no command's.
    loose: Vec<String>,
    /// The places it names; checked where given.
    paths: Option<Vec<String>>,
    /// Words that ask for another user's rights.
    privilege: Vec<String>,
}

pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus").join(name)
}

/// The text with `\xNN` made bytes.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [b, after @ ..] = rest {
        match rest {
            [b'\\', b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = after;
            }
            _ => {
                out.push(*b);
                rest = after;
            }
        }
    }
    out
}

fn got(case: &Case) -> (Script, Case) {
    let argv: Vec<Bytes> = case.argv.iter().map(|a| Bytes::from(a.as_str())).collect();
    let text = match argv.is_empty() {
        false => show::joined(&argv),
        true if case.escaped => unescaped(&case.line),
        true => case.line.clone().into_bytes(),
    };
    let script = if argv.is_empty() { shell::read(&text) } else { shell::read_argv(&argv) };
    let result = Case {
        line: case.line.clone(),
        escaped: case.escaped,
        argv: case.argv.clone(),
        commands: script.commands.iter().map(show::simple).collect(),
        opaque: show::opaque(&script, &text),
        loose: script.loose.iter().map(show::word).collect(),
        paths: case.paths.as_ref().map(|_| script.paths().iter().map(show::path).collect()),
        privilege: script.privilege_words().iter().map(ToString::to_string).collect(),
    };
    (script, result)
}

#[test]
fn every_claim_holds() {
    let mut files: Vec<PathBuf> = fs::read_dir(folder("shell"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 120, "{} cases", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let case: Case =
            toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let (_, result) = got(&case);
        if result != case {
            wrong.push(format!("{}\n   expected {case:#?}\n   got {result:#?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
