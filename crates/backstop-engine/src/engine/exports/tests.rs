use std::path::Path;

use backstop_core::audit::Entry;
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
    let (mut from, mut all) = (None, Vec::new());
    loop {
        let Lines { lines, next, .. } = engine.lines(from.as_ref(), Duration::ZERO).expect("read");
        if lines.is_empty() {
            return all;
        }
        all.extend(lines.iter().map(|line| Entry::parse(line.as_bytes()).expect("an entry in its one spelling")));
        from = Some(next);
    }
}

fn skipped(sink: &str, first: u64) -> Remark {
    let what = Said::Skipped { entries: Span { first, last: first }, why: "400".to_owned() };
    Remark { sink: sink.to_owned(), what }
}

fn stalled(entry: u64) -> Remark {
    Remark { sink: "siem".to_owned(), what: Said::Stalled { entry, why: "no route".to_owned() } }
}

const RESUMED: fn() -> Remark = || Remark { sink: "siem".to_owned(), what: Said::Resumed { entry: 1 } };

#[test]
fn the_log_is_given_whole_in_order_and_in_pieces() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 2_300);
    let first = engine.lines(None, Duration::ZERO).expect("read");
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
}

#[test]
fn what_is_said_of_a_sink_is_on_record_once_and_does_not_fill_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 400);
    let end = |engine: &mut Engine| engine.lines(None, Duration::ZERO).expect("read").end;
    for (remark, grows) in [
        (skipped("siem", 3), 1),
        (skipped("siem", 3), 0),
        (skipped("siem", 2), 0),
        (skipped("other", 2), 1),
        (RESUMED(), 0),
    ] {
        let before = end(&mut engine);
        engine.exported(remark.clone()).expect("taken");
        assert_eq!(end(&mut engine) - before, grows, "{remark:?}");
    }
    assert!(engine.exported(stalled(1)).is_err(), "something was said of it a moment ago");
    assert!(engine.exported(skipped("siem", 99_999)).is_err(), "no such entry");
    assert!(engine.exported(skipped("no name", 1)).is_err());
    let taken = (4..300).filter(|n| engine.exported(skipped("siem", *n)).is_ok()).count();
    assert_eq!(taken as u32, SKIPS - 1, "what refuses more is not wrong about an entry");
    let sinks = (0..40).filter(|n| engine.exported(skipped(&format!("s{n}"), 1)).is_ok()).count();
    assert_eq!(sinks, SINKS - 2);
    let names: Vec<&str> = all(&mut engine).iter().map(|e| e.body.name()).filter(|n| n.starts_with("export")).collect();
    assert_eq!(names.len(), SKIPS as usize + 1 + sinks);
}

#[test]
fn an_outage_is_two_entries_however_often_it_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    fill(&mut engine, 3);
    for remark in [stalled(1), stalled(1), stalled(2), RESUMED(), RESUMED()] {
        engine.exported(remark).expect("taken");
    }
    assert!(engine.exported(stalled(2)).is_err(), "an outage a second is none");
    let all = all(&mut engine);
    let names: Vec<&str> = all.iter().map(|e| e.body.name()).filter(|n| n.starts_with("export")).collect();
    assert_eq!(names, ["export.stalled", "export.resumed"]);
}
