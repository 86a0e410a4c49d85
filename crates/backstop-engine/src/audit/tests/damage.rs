//! One changed, missing or appended byte in the audit log is found.

use backstop_core::audit::{Clocks, Entry, Question};

use super::*;
use crate::audit::layout;

/// Calls `each` with every way to damage one byte of `bytes`.
fn one_byte(bytes: &[u8], mut each: impl FnMut(&[u8], String)) {
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        each(&changed, format!("byte {at} changed"));
        changed = bytes.to_vec();
        changed.remove(at);
        each(&changed, format!("byte {at} missing"));
        changed = bytes.to_vec();
        changed.insert(at, bytes[at]);
        each(&changed, format!("byte {at} twice"));
    }
    for appended in [b"\n", b" ", b"{", b"\0"] {
        each(&[bytes, appended].concat(), format!("{appended:?} appended"));
    }
}

#[test]
fn every_byte_of_log_checkpoint_and_key_counts() {
    let scratch = scratch(1);
    for name in [FIRST, "checkpoint", "key.pub"] {
        let whole = scratch.read(name);
        one_byte(&whole, |damaged, what| {
            scratch.write(name, damaged);
            let report = scratch.report();
            assert_eq!((report.exit(), report.integrity), (1, Answer::Broken), "{name}: {what}");
        });
        scratch.write(name, &whole);
    }
    assert_eq!(scratch.report().exit(), 0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_other_bytes_in_place_of_some_are_found(from in 0.0..1.0, to in 0.0..1.0, new: Vec<u8>) {
        let scratch = scratch(1);
        let whole = scratch.read(FIRST);
        let place = |part: f64| (part * whole.len() as f64) as usize;
        let (from, to) = (place(from).min(place(to)), place(from).max(place(to)));
        let damaged = [&whole[..from], &new, &whole[to..]].concat();
        scratch.write(FIRST, &damaged);
        proptest::prop_assert_eq!(scratch.report().exit(), u8::from(damaged != whole));
    }
}

#[test]
fn lines_gone_swapped_or_told_twice_are_found() {
    let scratch = scratch(2);
    let lines = scratch.lines();
    let n = lines.len();
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        scratch.write(FIRST, &lines.concat());
        let report = scratch.report();
        assert_eq!((report.exit(), report.integrity), (1, Answer::Broken));
        let of_the_log = report.findings.into_iter().filter(|f| f.question == Question::Integrity);
        of_the_log.map(|f| f.what).collect::<Vec<_>>()
    };
    assert_eq!(
        with(&|l| l.truncate(n - 2)),
        ["the signed checkpoint covers 17 entries, the log has 15: its end is missing"]
    );
    assert_eq!(with(&|l| drop(l.remove(5)))[0], "says it is entry 6, stands as entry 5");
    assert_eq!(
        with(&|l| l.swap(5, 6))[..2],
        ["says it is entry 6, stands as entry 5", "says it is entry 5, stands as entry 6"]
    );
    assert_eq!(with(&|l| l.insert(5, l[5].clone()))[0], "says it is entry 5, stands as entry 6");
    assert_eq!(with(&Vec::clear), ["the signed checkpoint covers 17 entries, the log has 0: its end is missing"]);
    // Every other field may be right: the root is not.
    let other = String::from_utf8(lines[1].clone()).expect("JSON").replace("temp/*", "tmp/*");
    assert_eq!(
        with(&|l| l[1] = other.clone().into_bytes()),
        ["the first 17 entries do not give the root of the signed checkpoint"]
    );
}

#[test]
fn a_forged_entry_without_a_signature_is_found() {
    let scratch = scratch(1);
    let forged = Entry { at: at(90), body: Body::VaultPruned { bytes: 1, runs: vec![run(0)] }, index: 9, version: 1 };
    let line = [&forged.line()[..], b"\n"].concat();
    scratch.write(FIRST, &[scratch.read(FIRST), line].concat());
    let report = scratch.report();
    assert_eq!(whats(&report), ["1 entry after the last checkpoint, not yet signed"]);
    assert_eq!((report.exit(), report.findings[0].index), (1, Some(9)));
}

#[test]
fn an_old_checkpoint_beside_the_full_log_is_found() {
    let mut scratch = scratch(1);
    let old = scratch.read("checkpoint");
    scratch.log.append(at(20), &story(1)).expect("append");
    scratch.write("checkpoint", &old);
    assert_eq!(whats(&scratch.report()), ["8 entries after the last checkpoint, not yet signed"]);
}

#[test]
fn a_log_rolled_back_with_its_checkpoint_is_found_by_a_kept_one() {
    let mut scratch = scratch(1);
    let (log, checkpoint, early) = (scratch.read(FIRST), scratch.read("checkpoint"), scratch.pinned());
    scratch.log.append(at(20), &story(1)).expect("append");
    let late = scratch.pinned();
    assert_eq!(verify(&scratch.dir, &kept(&early)).exit(), 0, "a log that grew still matches");
    scratch.write(FIRST, &log);
    scratch.write("checkpoint", &checkpoint);
    assert_eq!(scratch.report().exit(), 0, "from the inside it cannot be told");
    let report = verify(&scratch.dir, &kept(&late));
    assert_eq!(whats(&report), ["the kept checkpoint covers 17 entries, the log has 9: its end is missing"]);
    assert_eq!(report.exit(), 1);
    // Grown again, with other entries: as long, but not the same.
    scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open");
    scratch.log.append(at(31), &story(2)).expect("append");
    assert_eq!(scratch.report().exit(), 0);
    let report = verify(&scratch.dir, &kept(&late));
    assert_eq!(whats(&report), ["the first 17 entries do not give the root of the kept checkpoint"]);
}

#[test]
fn two_hosts_logs_and_keys_cannot_be_swapped() {
    let (a, b) = (scratch(1), scratch(1));
    a.write(FIRST, &b.read(FIRST));
    let report = a.report();
    assert_eq!(
        whats(&report),
        [
            "the log was begun with another key than key.pub",
            "the first 9 entries do not give the root of the signed checkpoint"
        ]
    );
    // The checkpoint along with the log: signed by somebody else.
    a.write("checkpoint", &b.read("checkpoint"));
    assert_eq!(whats(&a.report())[0], "the checkpoint: not signed by this log's key");
    assert!(matches!(AuditLog::open(&a.dir, at(60)), Err(AuditError::Checkpoint { .. })));
    // The key as well: a whole log of another host, which only a kept checkpoint tells.
    let pinned = scratch(1).pinned();
    a.write("key.pub", &b.read("key.pub"));
    assert_eq!(a.report().exit(), 0);
    assert!(whats(&verify(&a.dir, &kept(&pinned)))[0].starts_with("this is the log of backstop/"));
    assert!(matches!(AuditLog::open(&a.dir, at(60)), Err(AuditError::Key { .. })));
}

#[test]
fn a_key_swapped_and_everything_signed_anew_is_found() {
    let scratch = scratch(1);
    let other = Signer::of_host(&[9; 32]);
    let checkpoint = Checkpoint { origin: other.verifier().name().to_owned(), ..scratch.pinned() };
    scratch.write("key", format!("{}\n", other.secret()).as_bytes());
    scratch.write("key.pub", format!("{}\n", other.verifier()).as_bytes());
    scratch.write("checkpoint", &layout::padded(&checkpoint.signed(&other)));
    assert_eq!(whats(&scratch.report()), ["the log was begun with another key than key.pub"]);
}

#[test]
fn what_is_missing_is_found_and_no_new_log_takes_its_place() {
    for (name, expected) in [
        ("key.pub", "key.pub is missing or damaged"),
        ("checkpoint", "the checkpoint is missing"),
        (FIRST, "the signed checkpoint covers 9 entries, the log has 0: its end is missing"),
    ] {
        let scratch = scratch(1);
        fs::remove_file(scratch.dir.join(name)).expect("remove");
        let report = scratch.report();
        assert_eq!((report.exit(), whats(&report)[0]), (1, expected));
        assert!(AuditLog::open(&scratch.dir, at(60)).is_err(), "{name}");
    }
    let scratch = scratch(1);
    fs::remove_file(scratch.dir.join("key")).expect("remove");
    assert!(AuditLog::open(&scratch.dir, at(60)).is_err());
    fs::remove_dir_all(&scratch.dir).expect("remove");
    let report = scratch.report();
    assert_eq!((report.exit(), report.integrity), (2, Answer::Unknown));
}

#[test]
fn a_middle_segment_gone_is_found() {
    let mut scratch = scratch(1);
    scratch.log.segment_bytes = 1;
    scratch.log.append(at(20), &story(1)).expect("append");
    scratch.log.append(at(30), &story(2)).expect("append");
    let names: Vec<Segment> = segments(&scratch.dir).expect("list");
    assert_eq!(names.iter().map(|s| s.first).collect::<Vec<_>>(), [0, 9, 17]);
    fs::remove_file(segment_path(&scratch.dir, 9)).expect("remove");
    assert_eq!(whats(&scratch.report())[0], "the segment should begin with entry 17, here is entry 9");
}

#[test]
fn no_notes_take_the_room_of_what_is_broken() {
    let mut scratch = scratch(0);
    let clocks = |awake| Clocks { awake, boot: "b".to_owned(), up: awake };
    // Killed each time: a note each.
    let killed = |n| Body::GuardStarted { clocks: clocks(n), version: "1.0.0".to_owned() };
    scratch.log.append(at(1), &(0..1_002).map(killed).collect::<Vec<_>>()).expect("append");
    let honest = scratch.report();
    assert_eq!((honest.exit(), honest.findings.len(), honest.more), (0, 200, 802));
    let mut lines = scratch.lines();
    let last = lines.last_mut().expect("a line");
    let place = last.windows(5).position(|w| w == b"1.0.0").expect("the version");
    last[place] = b'2';
    scratch.write(FIRST, &lines.concat());
    let report = scratch.report();
    let broken: Vec<_> = report.findings.iter().filter(|f| f.weight == Weight::Broken).collect();
    assert!(report.exit() == 1 && !broken.is_empty() && report.more == honest.more, "{broken:?}");
}
