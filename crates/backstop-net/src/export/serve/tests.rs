use std::sync::{Arc, Mutex};

use super::super::pump::tests::{Still, Told, told};
use super::super::record::tests::whole;
use super::super::sink::Fate;
use super::*;
use crate::deliver::Miss;

const LOG: &str = "backstop/34";

/// A log, with what was said of sinks.
#[derive(Default)]
struct Shelf {
    said: Vec<Said>,
    /// How often getting at it fails from now on.
    away: u32,
    opened: u32,
    /// Another log than the one that the tests begin with.
    log: Option<&'static str>,
}

struct Page(Arc<Mutex<Shelf>>);

impl Log for Page {
    fn lines(&mut self, from: Option<&Mark>, _: Duration) -> Result<Lines, String> {
        let log = self.0.lock().expect("a shelf").log.unwrap_or(LOG);
        let all: Vec<String> = whole().into_iter().map(|record| record.line).collect();
        let end = all.len() as u64;
        let Some(from) = from else {
            let next = Mark { entry: 0, log: log.to_owned() };
            return Ok(Lines { end, host: "db-1".to_owned(), lines: Vec::new(), next });
        };
        let entry = if from.log == log { from.entry } else { 0 };
        if entry == end {
            return Err("done".to_owned());
        }
        let lines = all.into_iter().skip(entry as usize).collect();
        Ok(Lines { end, host: "db-1".to_owned(), lines, next: Mark { entry: end, log: log.to_owned() } })
    }
    fn exported(&mut self, remark: &Remark) -> Result<Heard, String> {
        assert!(remark.is_sound(), "{remark:?}");
        let mut shelf = self.0.lock().expect("a shelf");
        if remark.log != shelf.log.unwrap_or(LOG) {
            return Ok(Heard::Other);
        }
        shelf.said.push(remark.what.clone());
        Ok(Heard::Taken)
    }
}

/// The log that the tests begin with.
pub(crate) fn page() -> Box<dyn Log> {
    Box::new(Page(Arc::default()))
}

struct Played {
    cursor: Option<Cursor>,
    still: Still,
    shelf: Shelf,
    sink: Told,
}

fn settings(from: &str) -> config::Sink {
    let text = format!("[[sink]]\nname = 'siem'\nfrom = '{from}'\njournald = {{}}\n");
    config::Config::parse(&text).expect("settings").sinks.remove(0)
}

/// Feeds a sink until the log has no more.
fn plays(mut sink: Told, shelf: Shelf, kept: Option<Cursor>, from: &str) -> Played {
    let dir = tempfile::tempdir().expect("a directory");
    let cursors = Cursors::open(dir.path()).expect("cursors");
    let (config, shelf, mut still) = (settings(from), Arc::new(Mutex::new(shelf)), Still::default());
    let open = || -> Result<Box<dyn Log>, String> {
        let mut at = shelf.lock().expect("a shelf");
        at.opened += 1;
        if at.away > 0 {
            at.away -= 1;
            return Err("the guard is away".to_owned());
        }
        Ok(Box::new(Page(Arc::clone(&shelf))))
    };
    let feed = Feed { config: &config, cursors: &cursors, open: &open, say: &|_| () };
    let (mut pump, mut pause) = (Pump::new(&mut sink, &mut still), PAUSES.0);
    let mut state = State { cursor: kept, fresh: false, changed: false };
    loop {
        match feed.go_on(&mut pump, &mut state, &mut pause).err().as_deref() {
            Some("done") => break,
            Some(why) if why.contains("not what was copied") => break,
            _ => pump.pace().wait(pause),
        }
    }
    let cursor: Option<Cursor> = cursors.read("siem").expect("read");
    assert_eq!(cursor, state.cursor, "what is kept is what is known");
    Played { cursor, still, shelf: std::mem::take(&mut *shelf.lock().expect("a shelf")), sink }
}

fn all() -> Vec<u64> {
    (0..whole().len() as u64).collect()
}

fn takes(batch: &[u64], fates: &mut Vec<Fate>) -> Result<(), Miss> {
    fates.extend(batch.iter().map(|_| Fate::Taken));
    Ok(())
}

#[test]
fn a_new_sink_gets_all_of_the_log_or_what_comes_from_now_on() {
    let played = plays(told(takes), Shelf::default(), None, "beginning");
    assert_eq!(played.sink.took, all());
    let cursor = played.cursor.expect("kept");
    assert_eq!((cursor.sent, cursor.next.entry), (all().len() as u64, all().len() as u64));
    let played = plays(told(takes), Shelf::default(), None, "now");
    assert!(played.sink.took.is_empty());
}

#[test]
fn what_a_sink_has_is_not_sent_again_and_another_log_is_from_its_beginning() {
    let kept = Cursor::new(Mark { entry: 4, log: LOG.to_owned() });
    let played = plays(told(takes), Shelf::default(), Some(kept.clone()), "beginning");
    assert_eq!(played.sink.took, all()[4..]);
    let shelf = Shelf { log: Some("backstop/35"), ..Shelf::default() };
    let played = plays(told(takes), shelf, Some(kept), "now");
    assert_eq!(played.sink.took, all());
    assert_eq!(played.cursor.expect("kept").next.log, "backstop/35");
}

#[test]
fn a_log_that_was_changed_where_it_was_copied_is_copied_no_further() {
    let leaf = whole()[3].leaf;
    let at = |entry: u64| Cursor { leaf: Some(leaf), ..Cursor::new(Mark { entry, log: LOG.to_owned() }) };
    let played = plays(told(takes), Shelf::default(), Some(at(4)), "beginning");
    assert_eq!(played.sink.took, all()[4..], "it is as it was");
    assert_eq!(played.cursor.and_then(|c| c.leaf), whole().last().map(|record| record.leaf));
    let played = plays(told(takes), Shelf::default(), Some(at(5)), "beginning");
    assert!(played.sink.took.is_empty());
    let why = "entry 4 of the audit log is not what was copied".to_owned();
    assert_eq!(played.shelf.said, [Said::Stalled { entry: 5, why: why.clone() }]);
    assert_eq!(played.cursor.and_then(|c| c.failing).map(|failing| failing.why), Some(why));
}

#[test]
fn an_outage_is_on_record_once_it_is_long_and_so_is_its_end() {
    let mut tries = 0;
    let sink = told(move |batch: &[u64], fates: &mut Vec<Fate>| {
        tries += 1;
        if tries < 14 { Err(Miss::again("no \u{1b}[2J route")) } else { takes(batch, fates) }
    });
    let played = plays(sink, Shelf::default(), None, "beginning");
    let why = "no ?[2J route".to_owned();
    assert_eq!(played.shelf.said, [Said::Stalled { entry: 0, why }, Said::Resumed { entry: 0 }]);
    assert!(played.still.0 > Duration::from_secs(PATIENCE));
    let cursor = played.cursor.expect("kept");
    assert_eq!((cursor.stalled, cursor.failing), (false, None));
    assert_eq!(played.sink.took, all());
    // A short one is nobody's business.
    let mut tries = 0;
    let sink = told(move |batch: &[u64], fates: &mut Vec<Fate>| {
        tries += 1;
        if tries < 5 { Err(Miss::again("busy")) } else { takes(batch, fates) }
    });
    assert!(plays(sink, Shelf::default(), None, "beginning").shelf.said.is_empty());
}

#[test]
fn where_the_guard_is_away_nothing_is_skipped_and_all_goes_on_with_it() {
    let refuse = |batch: &[u64], fates: &mut Vec<Fate>| {
        let fate = |index: &u64| if *index == 2 { Fate::Refused("no date".to_owned()) } else { Fate::Taken };
        fates.extend(batch.iter().map(fate));
        Ok(())
    };
    let played = plays(told(refuse), Shelf { away: 3, ..Shelf::default() }, None, "beginning");
    let skipped = Said::Skipped { entries: Span { first: 2, last: 2 }, why: "no date".to_owned() };
    assert_eq!(played.shelf.said, [skipped]);
    let cursor = played.cursor.expect("kept");
    assert_eq!((cursor.skipped, cursor.sent, cursor.next.entry), (1, all().len() as u64 - 1, all().len() as u64));
}
