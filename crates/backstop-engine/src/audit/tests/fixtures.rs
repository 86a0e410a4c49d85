//! `fixtures/audit/`: one damaged log a directory, its name says what was done to it, `expected` what
//! verification says. With `BACKSTOP_BLESS=1` they are made anew.

use std::fmt::Write as _;

use backstop_core::audit::Body;

use super::*;
use crate::audit::{create, layout};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/audit")
}

fn described(report: &Report) -> String {
    let answer = |a: Answer| format!("{a:?}").to_lowercase();
    let mut out = format!(
        "exit {}\nintegrity {}\ncompleteness {}\nauthorisation {}\nentries {} signed {} runs {} open {}\n",
        report.exit(),
        answer(report.integrity),
        answer(report.completeness),
        answer(report.authorisation),
        report.entries,
        report.signed,
        report.runs,
        report.open.len(),
    );
    for f in &report.findings {
        let place = f.index.map_or(String::new(), |i| format!(" entry {i}"));
        let place = f.offset.map_or(place.clone(), |o| format!("{place} at byte {o}"));
        let text = format!("{:?} {:?}{place}: {}", f.weight, f.question, f.what);
        writeln!(out, "{text}").expect("a string takes all");
    }
    out
}

/// A log whose key is known, so that the same bytes come out each time.
fn fixed(dir: &Path, bodies: &[Body]) -> AuditLog {
    fs::create_dir_all(dir).expect("create");
    create::fill(dir, &Signer::of_host(&[1; 32]), at(0)).expect("a log");
    let mut log = AuditLog::open(dir, at(0)).expect("open");
    for (second, body) in (1..).zip(bodies) {
        log.append(at(second), std::slice::from_ref(body)).expect("append");
    }
    log
}

type Damage = fn(&Path, &mut AuditLog);

fn lines(dir: &Path) -> Vec<Vec<u8>> {
    fs::read(dir.join(FIRST)).expect("read").split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

fn put(dir: &Path, lines: &[Vec<u8>]) {
    fs::write(dir.join(FIRST), lines.concat()).expect("write");
}

/// What is done to a log that holds one run's story.
const DAMAGES: &[(&str, Damage)] = &[
    ("whole", |_, _| {}),
    ("byte-changed", |dir, _| {
        let text = String::from_utf8(fs::read(dir.join(FIRST)).expect("read")).expect("JSON");
        fs::write(dir.join(FIRST), text.replace("temp/*", "tamp/*")).expect("write");
    }),
    ("byte-appended", |dir, _| put(dir, &[lines(dir), vec![b"x".to_vec()]].concat())),
    ("tail-deleted", |dir, _| put(dir, &lines(dir)[..7])),
    ("middle-line-deleted", |dir, _| put(dir, &[&lines(dir)[..4], &lines(dir)[5..]].concat())),
    ("lines-swapped", |dir, _| {
        let mut lines = lines(dir);
        lines.swap(4, 5);
        put(dir, &lines);
    }),
    ("all-deleted", |dir, _| put(dir, &[])),
    ("other-spelling", |dir, _| {
        let mut lines = lines(dir);
        lines[3].insert(1, b' ');
        put(dir, &lines);
    }),
    ("old-checkpoint", |dir, log| {
        let old = fs::read(dir.join("checkpoint")).expect("read");
        log.append(at(20), &story(1)).expect("append");
        fs::write(dir.join("checkpoint"), old).expect("write");
    }),
    ("checkpoint-missing", |dir, _| fs::remove_file(dir.join("checkpoint")).expect("remove")),
    ("checkpoint-of-another-host", |dir, log| {
        let other = Signer::of_host(&[2; 32]);
        let origin = other.verifier().name().to_owned();
        let note = Checkpoint { origin, ..log.checkpoint() }.signed(&other);
        fs::write(dir.join("checkpoint"), layout::padded(&note)).expect("write");
    }),
    ("key-swapped", |dir, log| {
        let other = Signer::of_host(&[2; 32]);
        let origin = other.verifier().name().to_owned();
        let note = Checkpoint { origin, ..log.checkpoint() }.signed(&other);
        fs::write(dir.join("checkpoint"), layout::padded(&note)).expect("write");
        fs::write(dir.join("key.pub"), format!("{}\n", other.verifier())).expect("write");
    }),
    ("clock-went-back", |_, log| log.append(at(-3_600), &story(1)).expect("append")),
    ("commit-without-judgement", |_, log| {
        let told: Vec<_> = story(1).into_iter().filter(|b| b.name() != "run.judged").collect();
        log.append(at(20), &told).expect("append");
    }),
    ("commit-without-a-person", |_, log| {
        let mut told = story(1);
        if let Body::RunCommitting { by, .. } = &mut told[4] {
            *by = By::Rule;
        }
        log.append(at(20), &told).expect("append");
    }),
    ("commit-of-something-else", |_, log| {
        let mut told = story(1);
        if let Body::RunCommitting { digest, .. } = &mut told[4] {
            *digest = Digest::of_content(b"other effects");
        }
        log.append(at(20), &told).expect("append");
    }),
    ("commit-without-end", |_, log| log.append(at(20), &story(1)[..5]).expect("append")),
];

#[test]
fn each_damaged_log_is_reported_as_it_says() {
    let bless = std::env::var_os("BACKSTOP_BLESS").is_some();
    for (name, damage) in DAMAGES {
        let stored = fixtures().join(name);
        if bless {
            let temp = tempfile::tempdir().expect("a temporary directory");
            let dir = temp.path().join("audit");
            damage(&dir, &mut fixed(&dir, &story(0)));
            // As an auditor gets it: without secret, lock and cache.
            for not_given in ["key", "lock", "frontier"] {
                fs::remove_file(dir.join(not_given)).expect("remove");
            }
            if stored.exists() {
                fs::remove_dir_all(&stored).expect("remove");
            }
            copy_dir(&dir, &stored);
            fs::write(stored.join("expected"), described(&verify(&dir, &Kept::default()))).expect("write");
        }
        let expected = fs::read_to_string(stored.join("expected")).expect("expected");
        assert_eq!(described(&verify(&stored, &Kept::default())), expected, "{name}");
    }
    let mut stored: Vec<_> = fs::read_dir(fixtures()).expect("list").map(|i| i.expect("list").file_name()).collect();
    let mut named: Vec<_> = DAMAGES.iter().map(|(name, _)| std::ffi::OsString::from(name)).collect();
    stored.sort();
    named.sort();
    assert_eq!(stored, named, "every fixture has its damage here");
}

#[test]
fn today_the_same_story_gives_the_stored_bytes() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path().join("audit");
    fixed(&dir, &story(0));
    for name in [FIRST, "checkpoint", "key.pub"] {
        let (made, stored) = (fs::read(dir.join(name)), fs::read(fixtures().join("whole").join(name)));
        assert_eq!(made.expect("read"), stored.expect("read"), "{name}: the format changed");
    }
}
