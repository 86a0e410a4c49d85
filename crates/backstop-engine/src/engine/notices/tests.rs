use std::path::Path;

use backstop_core::approval::life::Phase;
use backstop_core::approval::people::Change;
use backstop_core::notice::What;

use super::super::tests::settings;
use super::super::{Pending, Wish};
use super::*;

fn engine(state: &Path) -> Engine {
    Engine::open(settings(state)).expect("an engine")
}

fn begin(engine: &mut Engine) -> Mark {
    engine.notices(None, Duration::ZERO).expect("told").next
}

fn on(mark: &Mark, by: u64) -> Mark {
    Mark { entry: mark.entry + by, ..mark.clone() }
}

fn asked(engine: &mut Engine) -> Pending {
    super::super::approve::tests::founded(engine);
    let change = Change::Grant { group: "dba".to_owned(), id: "anna".to_owned() };
    let Ok(Wish::Asked(asked)) = engine.change_people(&change) else { panic!("nobody was asked") };
    *asked
}

#[test]
fn what_people_are_told_comes_from_the_log_and_what_became_of_it_goes_there_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let mut engine = engine(&state);
    let first = begin(&mut engine);
    assert!(engine.notices(Some(&first), Duration::ZERO).expect("told").notices.is_empty());
    super::super::approve::tests::founded(&mut engine);
    let told = engine.notices(Some(&first), LONGEST_WAIT).expect("told");
    assert_eq!((told.notices.len(), told.next.clone()), (2, on(&first, 2)));
    assert_eq!(engine.notices(Some(&on(&first, 1)), LONGEST_WAIT).expect("told").notices, told.notices[1..]);
    let delivery =
        |entry: u64, channel: &str| Delivery { attempts: 2, channel: channel.into(), entry, failed: None, with: 0 };
    let end = |engine: &mut Engine| begin(engine).entry;
    for (entry, grows) in [(first.entry, 1), (first.entry, 0), (first.entry + 1, 1), (first.entry, 0)] {
        let before = end(&mut engine);
        engine.delivered(&delivery(entry, "oncall")).expect("taken");
        assert_eq!(end(&mut engine) - before, grows, "said again it is no news");
    }
    let e = first.entry;
    for (entry, channel) in [(e + 1, "on call"), (e + 2, "oncall"), (e + 99, "oncall"), (0, "oncall")] {
        assert!(engine.delivered(&delivery(entry, channel)).is_err(), "{entry} {channel}");
    }
    let last = entries(&state.join("audit"), e + 2).next().expect("an entry").expect("readable");
    assert_eq!(last.body.name(), "notice.delivered");
    assert!(engine.notices(Some(&told.next), Duration::ZERO).expect("told").notices.is_empty(), "no notice of notices");
    // Whoever makes names up gets no further than this.
    let taken = (0..40).filter(|n| engine.delivered(&delivery(e, &format!("c{n}"))).is_ok()).count();
    assert_eq!(taken, CHANNELS - 1);
}

#[test]
fn what_stands_for_several_comes_late_and_is_taken_once() {
    let mut told = Told { channels: BTreeMap::new(), log: "l".to_owned(), version: Told::NEWEST };
    let mut take = |entry| told.take("phone", entry, Timestamp::default()).expect("there is room");
    assert_eq!([9, 5, 5, 9, 7].map(&mut take), [true, true, false, false, true]);
    // Not for ever: nobody is to fill the log with what was long ago.
    let many = AFTER as u64;
    assert!((100..100 + many).all(&mut take));
    assert_eq!([8, 9, 99].map(&mut take), [false, false, true]);
}

#[test]
fn a_mark_of_another_log_or_beyond_the_end_hides_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    let first = begin(&mut engine);
    super::super::approve::tests::founded(&mut engine);
    let other = Mark { log: "another".to_owned(), entry: 1_000 };
    assert_eq!(engine.notices(Some(&other), LONGEST_WAIT).expect("told").notices.len(), 2, "all of it is new");
    let beyond = on(&first, 1_000);
    assert_eq!(engine.notices(Some(&beyond), Duration::ZERO).expect("told").next, on(&first, 2));
}

#[test]
fn what_nobody_looks_at_expires_and_people_hear_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let mut engine = engine(&state);
    let asked = asked(&mut engine);
    let from = begin(&mut engine);
    // The machine was started anew since.
    let path = state.join("approvals").join(asked.question.request.hex()).join("asked.json");
    let text = std::fs::read_to_string(&path).expect("readable");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("readable");
    assert!(text.contains(boot.trim()));
    std::fs::write(&path, text.replace(boot.trim(), "another")).expect("written");
    let told = engine.notices(Some(&from), LONGEST_WAIT).expect("told").notices;
    assert_eq!(told.iter().map(|n| n.what.clone()).collect::<Vec<_>>(), [What::Ended { how: "expired".to_owned() }]);
    assert!(told[0].title().contains("expired, nothing took effect: who may approve"), "{}", told[0].title());
    assert!(engine.pending().expect("listed").requests.is_empty());
}

#[test]
fn an_end_that_was_cut_off_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut engine = engine(&dir.path().join("state"));
    let asked = asked(&mut engine);
    let from = begin(&mut engine);
    // Written down, and cut off before it was on record.
    let mut request = Request::load(&engine.store, asked.question.request).expect("readable").expect("there");
    request.enter(Phase::Expired).expect("written");
    let told = engine.notices(Some(&from), LONGEST_WAIT).expect("told").notices;
    assert_eq!(told.iter().map(|n| n.what.clone()).collect::<Vec<_>>(), [What::Ended { how: "expired".to_owned() }]);
    assert!(approvals::open(&engine.store).expect("listed").is_empty());
}
