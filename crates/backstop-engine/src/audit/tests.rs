//! Claims about the log, on real files.

mod crash;
mod damage;
mod faults;
mod fixtures;
mod processes;
mod told;
mod witnessed;

use std::fs;
use std::path::{Path, PathBuf};

use backstop_core::audit::{Body, By};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::note::{Checkpoint, Signer};
use backstop_core::time::Timestamp;

use super::layout::{Segment, segment_path, segments};
use super::*;
use told::{run, story};

/// A clock that stands still unless told otherwise.
fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_795_364_400 + seconds, 0)
}

/// A directory with a log in which `runs` stories are told, one append a door.
struct Scratch {
    _temp: tempfile::TempDir,
    dir: PathBuf,
    log: AuditLog,
}

fn scratch(runs: u32) -> Scratch {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path().join("audit");
    let mut log = AuditLog::open(&dir, at(0)).expect("a new log");
    for n in 0..runs {
        for (second, body) in (1..).zip(story(n)) {
            log.append(at(i64::from(n) * 10 + second), &[body]).expect("append");
        }
    }
    Scratch { _temp: temp, dir, log }
}

impl Scratch {
    fn report(&self) -> Report {
        verify(&self.dir, &Kept::default())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).expect("a file of the log")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.join(name), bytes).expect("a file of the log");
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        self.read(FIRST).split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    }

    fn pinned(&self) -> Checkpoint {
        let note = String::from_utf8(self.read("checkpoint")).expect("a note is UTF-8");
        Checkpoint::of_note(&note).expect("a checkpoint")
    }
}

fn kept(checkpoint: &Checkpoint) -> Kept {
    Kept { checkpoint: Some(checkpoint.clone()), ..Kept::default() }
}

/// The name of the first segment.
const FIRST: &str = "000000000000.jsonl";

/// What was found, shortly.
fn whats(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|f| f.what.as_str()).collect()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for item in fs::read_dir(from).expect("list") {
        let item = item.expect("list");
        if item.path().is_file() {
            fs::copy(item.path(), to.join(item.file_name())).expect("copy");
        }
    }
}

#[test]
fn an_honest_log_verifies_and_says_what_it_holds() {
    let scratch = scratch(3);
    let report = verify(&scratch.dir, &kept(&scratch.pinned()));
    assert_eq!(whats(&report), [""; 0]);
    assert_eq!((report.exit(), report.entries, report.signed, report.runs), (0, 25, 25, 3));
    assert_eq!([report.integrity, report.completeness, report.authorisation], [Answer::Holds; 3]);
    assert_eq!(report.root, scratch.log.checkpoint().root);
    assert_eq!(report.origin.as_deref(), Some(scratch.log.verifier().name()));
}

#[test]
fn a_log_opened_again_goes_on_where_it_ended() {
    let mut scratch = scratch(1);
    let before = scratch.log.checkpoint();
    scratch.log = AuditLog::open(&scratch.dir, at(50)).expect("open again");
    assert_eq!(scratch.log.checkpoint(), before);
    scratch.log.append(at(51), &story(1)).expect("append");
    let report = scratch.report();
    assert_eq!((report.exit(), report.entries), (0, 17), "{:?}", report.findings);
}

#[test]
fn entries_are_read_back_from_any_index_and_followed() {
    let mut scratch = scratch(1);
    let all: Vec<_> = entries(&scratch.dir, 0).map(|e| e.expect("an entry")).collect();
    assert_eq!(all.len(), 9);
    let bodies: Vec<_> = all.iter().skip(1).map(|e| e.body.clone()).collect();
    assert_eq!(bodies, story(0));
    let mut from = entries(&scratch.dir, 7);
    assert_eq!(from.by_ref().map(|e| e.expect("an entry").index).collect::<Vec<_>>(), [7, 8]);
    // Small segments: the reader must find its way into the next one.
    scratch.log.segment_bytes = 1;
    for body in story(1) {
        scratch.log.append(at(20), &[body]).expect("append");
        assert_eq!(from.by_ref().filter(Result::is_ok).count(), 1);
    }
    assert_eq!(segments(&scratch.dir).expect("list").len(), 9);
    assert_eq!(entries(&scratch.dir, 12).map(|e| e.expect("an entry").index).collect::<Vec<_>>(), [12, 13, 14, 15, 16]);
    assert_eq!(scratch.report().exit(), 0);
    scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open again");
    scratch.log.append(at(31), &story(2)).expect("append");
    let report = scratch.report();
    assert_eq!((report.exit(), report.entries), (0, 25), "{:?}", report.findings);
}

#[test]
fn only_the_owner_can_read_the_log_and_its_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = scratch(1);
    let mode = |path: &Path| fs::metadata(path).expect("look").permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.dir), 0o700);
    for item in fs::read_dir(&scratch.dir).expect("list") {
        let path = item.expect("list").path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
}

#[test]
fn what_cannot_be_written_is_an_error_and_the_log_stays_whole() {
    let mut scratch = scratch(1);
    let long = Body::RunFailed { run: run(0), why: "x".repeat(layout::LINE_BYTES) };
    assert!(matches!(scratch.log.append(at(20), &[long]), Err(AuditError::Long { .. })));
    // The checkpoint can't be written: the entry is there, the caller is told no.
    let (checkpoint, away) = (scratch.dir.join("checkpoint"), scratch.dir.join("away"));
    fs::rename(&checkpoint, &away).expect("move");
    fs::create_dir(&checkpoint).expect("create");
    let failed = Body::RunFailed { run: run(1), why: String::new() };
    assert!(matches!(scratch.log.append(at(20), std::slice::from_ref(&failed)), Err(AuditError::Io { .. })));
    fs::remove_dir(&checkpoint).expect("remove");
    fs::rename(&away, &checkpoint).expect("move");
    let report = scratch.report();
    assert_eq!(whats(&report), ["run.failed without its request", "1 entry after the last checkpoint, not yet signed"]);
    // The next append puts it right and says so.
    scratch.log.append(at(21), &story(2)).expect("append");
    let report = scratch.report();
    assert_eq!(report.integrity, Answer::Holds, "{:?}", report.findings);
    assert_eq!(report.entries, 9 + 1 + 1 + 8);
}

#[test]
fn a_log_moved_away_is_not_written_behind_ones_back() {
    let mut scratch = scratch(1);
    fs::rename(&scratch.dir, scratch.dir.with_extension("away")).expect("move");
    assert!(scratch.log.append(at(20), &story(1)).is_err());
}
