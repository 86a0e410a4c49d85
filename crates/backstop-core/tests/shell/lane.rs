//! `corpus/lane/`: which lines the read lane takes, and which it must not. Runs none of them.

use std::fs;

use backstop_core::shell::lane::{Lane, lane};
use backstop_core::shell::read;
use serde::Deserialize;

use crate::corpus::folder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reads {
    lines: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Writes {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    line: String,
    note: String,
    /// False where it can't be run anywhere.
    #[serde(default = "yes")]
    runs: bool,
}

fn yes() -> bool {
    true
}

fn table<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    toml::from_str(&fs::read_to_string(folder("lane").join(name)).unwrap()).unwrap()
}

#[test]
fn what_only_reads_is_taken() {
    let reads: Reads = table("reads.toml");
    assert!(reads.lines.len() >= 60);
    let wrong: Vec<_> = reads
        .lines
        .iter()
        .filter_map(|line| match lane(&read(line.as_bytes())) {
            Lane::Read => None,
            Lane::Rehearse(because) => Some(format!("{line}: {}", because.why)),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_writes_is_not_taken() {
    let writes: Writes = table("writes.toml");
    assert!(writes.case.iter().filter(|c| c.runs).count() >= 60);
    let mut wrong = Vec::new();
    for case in writes.case {
        match lane(&read(case.line.as_bytes())) {
            Lane::Read => wrong.push(format!("{} ({})", case.line, case.note)),
            Lane::Rehearse(because) => {
                assert!(because.span.end <= case.line.len(), "{}", case.line);
                assert!(!because.why.to_string().is_empty());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
