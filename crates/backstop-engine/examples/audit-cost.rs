//! `cargo xtask bench audit`. What the audit log costs: durable appends, one by one and in groups, beside the same bytes
//! in SQLite (WAL, `synchronous=FULL`) in the same rounds and on the same file system; and what it takes to verify a long
//! log, beside `sha256sum` of the same files. SQLite is called from Python, whose share (some microseconds a call) is in
//! its time.
#![expect(clippy::print_stdout, reason = "a measurement prints")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use backstop_core::audit::{Body, Entry};
use backstop_core::time::Timestamp;
use backstop_engine::audit::{AuditLog, Kept, verify};

#[path = "../src/audit/tests/told.rs"]
mod told;

/// One by one in each round.
const SINGLE: usize = 1_000;
/// Groups in each round, and entries in each of them.
const GROUPS: usize = 50;
const GROUP: usize = 100;
/// Entries that are written at once where nothing is measured.
const BULK: usize = 5_000;

/// Inserts the lines of a file, so many a transaction; prints what each transaction took, in nanoseconds.
const SQLITE: &str = r#"
import sqlite3, sys, time
db, lines, group = sys.argv[1], open(sys.argv[2], "rb").read().splitlines(), int(sys.argv[3])
db = sqlite3.connect(db, isolation_level=None)
assert db.execute("pragma journal_mode=wal").fetchone() == ("wal",)
db.execute("pragma synchronous=full")
db.execute("create table if not exists log (i integer primary key, line blob)")
for n in range(0, len(lines), group):
    rows = [(line,) for line in lines[n:n + group]]
    begun = time.perf_counter_ns()
    db.execute("begin immediate")
    db.executemany("insert into log (line) values (?)", rows)
    db.execute("commit")
    print(time.perf_counter_ns() - begun)
"#;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(dir), Some(rounds), Some(entries)) = (words.next(), words.next(), words.next()) else {
        eprintln!("audit-cost DIR ROUNDS ENTRIES");
        return ExitCode::from(2);
    };
    let measured = || -> Result<()> {
        let dir = PathBuf::from(dir);
        appends(&dir, rounds.parse()?)?;
        long(&dir, entries.parse()?)
    };
    match measured() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("audit-cost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One story after the other.
fn bodies() -> impl Iterator<Item = Body> {
    (0..).flat_map(told::story)
}

fn now() -> Timestamp {
    backstop_engine::clock::now()
}

/// Appends of ours and SQLite's, in turn.
fn appends(dir: &Path, rounds: usize) -> Result<()> {
    let mut log = AuditLog::open(&dir.join("log"), now())?;
    let mut bodies = bodies();
    let mut found = [(1, SINGLE, Vec::new(), Vec::new()), (GROUP, GROUPS, Vec::new(), Vec::new())];
    for _ in 0..rounds {
        for (group, times, ours, theirs) in &mut found {
            let mut lines = Vec::new();
            let mut took = Vec::new();
            for _ in 0..*times {
                let some: Vec<Body> = bodies.by_ref().take(*group).collect();
                let begun = Instant::now();
                log.append(now(), &some)?;
                took.push(begun.elapsed());
                for body in some {
                    lines.extend(Entry { at: now(), body, index: 0, version: Entry::VERSION }.line());
                    lines.push(b'\n');
                }
            }
            ours.push(took);
            theirs.push(sqlite(dir, &lines, *group)?);
        }
    }
    println!("{:<22} {:>12} {:>12} {:>7} {:>10} {:>10}", "append", "entries/s", "SQLite", "ratio", "p50", "p99");
    for (group, _, ours, theirs) in &found {
        let rate = |round: &Vec<Duration>| (round.len() * group) as f64 / round.iter().sum::<Duration>().as_secs_f64();
        let (own, their) = (median(ours.iter().map(rate)), median(theirs.iter().map(rate)));
        let ratio = median(ours.iter().zip(theirs).map(|(own, their)| rate(own) / rate(their)));
        let mut all: Vec<Duration> = ours.iter().flatten().copied().collect();
        all.sort();
        let (half, most) = (all[all.len() / 2], all[all.len() * 99 / 100]);
        let name = if *group == 1 { "one by one".to_owned() } else { format!("{group} at once") };
        println!("{name:<22} {own:>12.0} {their:>12.0} {ratio:>7.2} {half:>10.1?} {most:>10.1?}");
    }
    Ok(())
}

/// What each transaction took.
fn sqlite(dir: &Path, lines: &[u8], group: usize) -> Result<Vec<Duration>> {
    let path = dir.join("lines");
    fs::write(&path, lines)?;
    let mut command = Command::new("python3");
    command.args(["-c", SQLITE]).arg(dir.join("sqlite")).arg(&path).arg(group.to_string());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("python3 with sqlite3: {}", output.status).into());
    }
    let nanos = |line: &str| line.parse().map(Duration::from_nanos);
    Ok(String::from_utf8(output.stdout)?.lines().map(nanos).collect::<std::result::Result<_, _>>()?)
}

/// A long log, verified.
fn long(dir: &Path, entries: usize) -> Result<()> {
    let dir = dir.join("long");
    let mut log = AuditLog::open(&dir, now())?;
    let mut bodies = bodies();
    // The log begins with an entry of its own.
    for first in (1..entries).step_by(BULK) {
        let some: Vec<Body> = bodies.by_ref().take(BULK.min(entries - first)).collect();
        log.append(now(), &some)?;
    }
    let mut files: Vec<PathBuf> = Vec::new();
    let mut bytes = 0;
    for file in fs::read_dir(&dir)? {
        let file = file?;
        if file.path().extension().is_some_and(|e| e == "jsonl") {
            bytes += file.metadata()?.len();
            files.push(file.path());
        }
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let begun = Instant::now();
        let report = verify(&dir, &Kept::default());
        ours.push(begun.elapsed().as_secs_f64());
        if report.exit() != 0 || report.entries != entries as u64 {
            return Err(format!("the log does not verify: {:?}", report.findings.first()).into());
        }
        let begun = Instant::now();
        let summed = Command::new("sha256sum").args(&files).stdout(Stdio::null()).status()?;
        theirs.push(begun.elapsed().as_secs_f64());
        if !summed.success() {
            return Err(format!("sha256sum: {summed}").into());
        }
    }
    let ratio = median(ours.iter().zip(&theirs).map(|(own, their)| own / their));
    let (own, their) = (median(ours.into_iter()), median(theirs.into_iter()));
    println!(
        "\nverify {entries} entries ({} MiB): {own:.2} s; sha256sum of the same: {their:.2} s; ratio {ratio:.1}",
        bytes >> 20
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
