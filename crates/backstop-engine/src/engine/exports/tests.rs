use std::path::Path;

use backstop_core::audit::{Body, Entry};
use backstop_core::export::Span;

use super::super::tests::settings;
use super::*;

fn engine(state: &Path) -> Engine {
    Engine::open(settings(state)).expect("an engine")
}

/// Entries that mean nothing here.
fn fill(engine: &mut Engine, count: u64) {
    let body = |n| Body::VaultPruned { bytes: n, runs: Vec::new() };
    engine.records.write(&(0..count).map(body).collect::<Vec<_>>()).expect("written");
}

fn all(engine: &mut Engine) -> Vec<Entry> {
    let (mut from, mut all) = (engine.lines(None, Duration::ZERO).expect("read").next, Vec::new());
    loop {
        let Lines { lines, next, .. } = engine.lines(Some(&from), Duration::ZERO).expect("read");
        if lines.is_empty() {
            return all;
        }
        all.extend(lines.iter().map(|line| Entry::parse(line.as_bytes()).expect("an entry in its one spelling")));
        from = next;
    }
}

fn said(engine: &mut Engine, sink: &str, what: Said) -> Result<bool, Failure> {
    let log = engine.lines(None, Duration::ZERO).expect("read").next.log;
    engine.exported(&Remark { log, sink: sink.to_owned(), what })
}

fn skipped(first: u64) -> Said {
    Said::Skipped { entries: Span { first, last: first }, why: "400".to_owned() }
}

fn stalled(entry: u64) -> Said {
    Said::Stalled { entry, why: "no route".to_owned() }
}

const RESUMED: Said = Said::Resumed { entry: 1 };

#[test]
fn the_log_is_given_whole_in_order_and_in_pieces() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 2_300);
    let begin = engine.lines(None, Duration::ZERO).expect("read");
    assert_eq!((begin.lines.len(), begin.next.entry), (0, 0));
    let first = engine.lines(Some(&begin.next), Duration::ZERO).expect("read");
    assert_eq!((first.lines.len(), first.next.entry), (MOST, MOST as u64));
    let all = all(&mut engine);
    assert_eq!(all.len() as u64, first.end);
    assert!(all.iter().zip(0..).all(|(entry, index)| entry.index == index));
    let end = Mark { entry: first.end, ..first.next.clone() };
    let begin = Instant::now();
    assert_eq!(engine.lines(Some(&end), PAUSE).expect("read").lines.len(), 0, "nothing yet");
    assert!(begin.elapsed() >= PAUSE, "it was waited for");
    fill(&mut engine, 1);
    assert_eq!(engine.lines(Some(&end), LONGEST_WAIT).expect("read").lines.len(), 1);
    // Read again from anywhere, it is the same.
    for from in [7, 1_500, 3] {
        let mark = Mark { entry: from, ..end.clone() };
        let line = engine.lines(Some(&mark), Duration::ZERO).expect("read").lines.remove(0);
        assert_eq!(line.as_bytes(), all[from as usize].line());
    }
}

#[test]
fn fewer_entries_than_were_given_is_said_and_another_log_is_given_from_its_beginning() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 3);
    let Lines { end, next, .. } = engine.lines(None, Duration::ZERO).expect("read");
    let beyond = Mark { entry: end + 1, ..next.clone() };
    let failure = engine.lines(Some(&beyond), Duration::ZERO).expect_err("they are gone");
    assert!(failure.what.contains(&format!("entry {end} was there once")), "{}", failure.what);
    let other = Mark { entry: 7, log: "another".to_owned() };
    let whole = engine.lines(Some(&other), Duration::ZERO).expect("read");
    assert_eq!((whole.lines.len() as u64, whole.next.log), (end, next.log));
    let of_another = Remark { log: "another".to_owned(), sink: "siem".to_owned(), what: skipped(1) };
    assert!(!engine.exported(&of_another).expect("heard"), "its entries are others");
}

#[test]
fn what_is_said_of_a_sink_is_on_record_once_and_does_not_fill_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 400);
    let end = |engine: &mut Engine| engine.lines(None, Duration::ZERO).expect("read").end;
    for (sink, what, grows) in [
        ("siem", skipped(5), 1),
        ("siem", skipped(5), 0),
        // What is refused later may stand before what was.
        ("siem", skipped(3), 1),
        ("siem", skipped(5), 0),
        ("other", skipped(5), 1),
        ("siem", RESUMED, 0),
    ] {
        let before = end(&mut engine);
        assert!(said(&mut engine, sink, what.clone()).expect("taken"));
        assert_eq!(end(&mut engine) - before, grows, "{what:?}");
    }
    let before = end(&mut engine);
    assert!(
        said(&mut engine, "siem", stalled(1)).expect("taken"),
        "what it refuses keeps nobody from hearing of an outage"
    );
    assert!(said(&mut engine, "siem", stalled(1)).is_err(), "that was said a moment ago");
    assert_eq!(end(&mut engine) - before, 1);
    assert!(said(&mut engine, "siem", skipped(99_999)).is_err(), "no such entry");
    assert!(said(&mut engine, "no name", skipped(1)).is_err());
    let taken = (6..300).filter(|n| said(&mut engine, "siem", skipped(*n)).is_ok()).count();
    assert_eq!(taken as u32, SKIPS - 2, "what refuses more is not wrong about an entry");
    let sinks = (0..40).filter(|n| said(&mut engine, &format!("s{n}"), skipped(1)).is_ok()).count();
    assert_eq!(sinks, SINKS - 2);
    let names: Vec<&str> = all(&mut engine).iter().map(|e| e.body.name()).filter(|n| n.starts_with("export")).collect();
    assert_eq!(names.len(), SKIPS as usize + 2 + sinks);
}

#[test]
fn what_could_not_be_put_on_record_does_not_pass_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let mut engine = engine(&state);
    fill(&mut engine, 3);
    let log = engine.lines(None, Duration::ZERO).expect("read").next.log;
    // Counted, and cut off before it was on record.
    for what in [skipped(1), stalled(1)] {
        let remark = Remark { log: log.clone(), sink: "siem".to_owned(), what };
        let mut heard = Heard { sinks: BTreeMap::new(), log: log.clone(), version: Heard::NEWEST };
        assert!(heard.count(&remark, Timestamp::new(1_800_000, 0)).expect("counted"));
        engine.store.write_own(EXPORTED, &heard).expect("written");
        let before = all(&mut engine).len();
        assert!(engine.exported(&remark).expect("taken"));
        assert_eq!(all(&mut engine).len(), before + 1, "{remark:?}");
    }
}

#[test]
fn an_outage_is_two_entries_however_often_it_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 3);
    assert!(said(&mut engine, "siem", stalled(1)).expect("taken"));
    assert!(said(&mut engine, "siem", stalled(1)).is_err(), "something was said of it a moment ago");
    for what in [RESUMED, RESUMED] {
        assert!(said(&mut engine, "siem", what).expect("taken"));
    }
    assert!(said(&mut engine, "siem", stalled(2)).is_err(), "an outage a second is none");
    let all = all(&mut engine);
    let names: Vec<&str> = all.iter().map(|e| e.body.name()).filter(|n| n.starts_with("export")).collect();
    assert_eq!(names, ["export.stalled", "export.resumed"]);
}
