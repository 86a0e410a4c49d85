//! A kill or power cut at any write leaves a log that goes on, and says what happened.

use super::*;
use crate::audit::recover::Cached;

/// The entry that opening the log added, if it did.
fn recovered(scratch: &Scratch, entries_before: u64) -> Option<Body> {
    entries(&scratch.dir, entries_before).next().map(|e| e.expect("an entry").body)
}

#[test]
fn killed_between_the_write_and_the_checkpoint_the_entries_are_signed_at_the_next_start() {
    let mut scratch = scratch(1);
    let (checkpoint, frontier) = (scratch.read("checkpoint"), scratch.read("frontier"));
    scratch.log.append(at(20), &story(1)).expect("append");
    scratch.write("checkpoint", &checkpoint);
    scratch.write("frontier", &frontier);
    scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open");
    assert_eq!(recovered(&scratch, 17), Some(Body::AuditRecovered { adopted: 8, cut: None, cut_bytes: 0 }));
    let report = scratch.report();
    assert_eq!((report.exit(), report.entries), (0, 18));
    assert_eq!(whats(&report), ["put right after a crash: 8 entries before this signed late, 0 bytes cut off"]);
    // Recovering twice is recovering once.
    AuditLog::open(&scratch.dir, at(31)).expect("open");
    assert_eq!(scratch.report().entries, 18);
}

#[test]
fn killed_between_checkpoint_and_cache_nothing_needs_to_be_said() {
    for cache in ["behind", "damaged", "gone", "ahead", "lying", "beyond"] {
        let mut scratch = scratch(1);
        let before = scratch.read("frontier");
        scratch.log.append(at(20), &story(1)).expect("append");
        match cache {
            "behind" => scratch.write("frontier", &before),
            "damaged" => scratch.write("frontier", b"{\"end\":1"),
            "gone" => fs::remove_file(scratch.dir.join("frontier")).expect("remove"),
            // The right peaks, but another byte: no signed entry may be cut off for that.
            "lying" => scratch.write("frontier", &Cached::new(&scratch.log.tail.frontier, 0, 7).bytes()),
            "beyond" => scratch.write("frontier", &Cached::new(&scratch.log.tail.frontier, 0, 1 << 40).bytes()),
            _ => scratch.write("frontier", &Cached::new(&Default::default(), 0, 0).bytes()),
        }
        scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open");
        scratch.log.append(at(31), &story(2)).expect("append");
        let report = scratch.report();
        assert_eq!((report.exit(), report.entries, whats(&report).len()), (0, 25, 0), "{cache}");
    }
}

#[test]
fn a_torn_end_is_cut_off_kept_and_recorded_wherever_it_tore() {
    let mut scratch = scratch(1);
    let (log, checkpoint, frontier) = (scratch.read(FIRST), scratch.read("checkpoint"), scratch.read("frontier"));
    scratch.log.append(at(20), &story(1)[..1]).expect("append");
    let longer = scratch.read(FIRST);
    for end in log.len()..longer.len() {
        scratch.write(FIRST, &longer[..end]);
        scratch.write("checkpoint", &checkpoint);
        scratch.write("frontier", &frontier);
        scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open");
        let torn = &longer[log.len()..end];
        let expected = (!torn.is_empty()).then(|| Body::AuditRecovered {
            adopted: 0,
            cut: Some(Digest::of_content(torn)),
            cut_bytes: torn.len() as u64,
        });
        assert_eq!(recovered(&scratch, 9), expected, "{end}");
        assert_eq!(scratch.report().exit(), 0);
        if !torn.is_empty() {
            assert_eq!(scratch.read(&format!("cut/{}", Digest::of_content(torn).hex())), torn);
        }
    }
}

#[test]
fn blocks_of_zeros_in_a_torn_end_are_cut_with_all_that_follows() {
    let mut scratch = scratch(1);
    let (log, checkpoint) = (scratch.read(FIRST), scratch.read("checkpoint"));
    scratch.log.append(at(20), &story(1)).expect("append");
    let mut longer = scratch.read(FIRST);
    let lines = scratch.lines();
    let second = log.len() + lines[9].len();
    longer[second..second + 20].fill(0);
    scratch.write(FIRST, &longer);
    scratch.write("checkpoint", &checkpoint);
    scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open");
    let cut = &longer[second..];
    let expected = Body::AuditRecovered { adopted: 1, cut: Some(Digest::of_content(cut)), cut_bytes: cut.len() as u64 };
    assert_eq!(recovered(&scratch, 10), Some(expected));
    assert_eq!(scratch.report().integrity, Answer::Holds);
}

#[test]
fn signed_entries_gone_or_a_forged_checkpoint_stop_everything() {
    let short = scratch(1);
    let lines = short.lines();
    short.write(FIRST, &lines[..7].concat());
    let error = AuditLog::open(&short.dir, at(30)).expect_err("the end is missing");
    assert!(matches!(error, AuditError::Short { found: 7, signed: 9, .. }), "{error}");

    let forged = scratch(1);
    let mut note = forged.read("checkpoint");
    note[60] ^= 1;
    for bad in [&note[..], b"", &[0; 200]] {
        forged.write("checkpoint", bad);
        let error = AuditLog::open(&forged.dir, at(30)).expect_err("the checkpoint was changed");
        assert!(matches!(error, AuditError::Checkpoint { .. }), "{error}");
    }

    // A changed past is found when the log is read, which opening does only without its cache.
    let altered = scratch(1);
    let text = String::from_utf8(altered.read(FIRST)).expect("JSON").replace("temp/*", "tamp/*");
    altered.write(FIRST, text.as_bytes());
    fs::remove_file(altered.dir.join("frontier")).expect("remove");
    let error = AuditLog::open(&altered.dir, at(30)).expect_err("the past was changed");
    assert!(matches!(error, AuditError::Altered { signed: 9, .. }), "{error}");
}

#[test]
fn killed_right_after_a_new_segment_was_begun_it_is_used() {
    let mut scratch = scratch(1);
    scratch.write("000000000009.jsonl", b"");
    scratch.log = AuditLog::open(&scratch.dir, at(30)).expect("open");
    scratch.log.append(at(31), &story(1)).expect("append");
    let report = scratch.report();
    assert_eq!((report.exit(), report.entries, whats(&report).len()), (0, 17, 0), "{:?}", report.findings);
    assert_eq!(segments(&scratch.dir).expect("list").len(), 2);
}

#[test]
fn the_cache_is_caught_up_with_from_any_distance() {
    let mut scratch = scratch(0);
    for n in 0..12 {
        for body in story(n) {
            scratch.log.append(at(1), &[body]).expect("append");
            let known = scratch.log.checkpoint();
            scratch.log = AuditLog::open(&scratch.dir, at(1)).expect("open");
            assert_eq!(scratch.log.checkpoint(), known);
        }
    }
    let report = scratch.report();
    assert_eq!((report.exit(), report.entries, whats(&report).len()), (0, 97, 0));
}
