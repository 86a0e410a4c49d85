use backstop_core::approval::people::{Change, ENROLMENT, NewKey};
use backstop_core::approval::statement::{Choice, NAMESPACE};

use super::super::approve::tests::{Voter, founded};
use super::super::tests::{Nobody, settings};
use super::super::{Decided, Offer};
use super::*;
use crate::audit::{Kept, verify};

fn engine(dir: &tempfile::TempDir) -> Engine {
    Engine::open(settings(&dir.path().join("state"))).expect("an engine")
}

fn frozen(engine: &mut Engine, quorum: Option<Quorum>) -> Frozen {
    engine.freeze(Button { quorum, reason: Some("odd".into()), ..Button::default() }).expect("frozen")
}

fn thaw(engine: &mut Engine) -> Result<Thaw, Failure> {
    let named = engine.frozen()?.map_or(Digest([0; 32]), |freeze| freeze.digest());
    engine.thaw(named)
}

fn holds(engine: &Engine) {
    let report = verify(&engine.audit_dir(), &Kept::default());
    assert!(report.exit() == 0 && report.findings.is_empty(), "{report:?}");
}

#[test]
fn what_takes_two_goes_on_by_two_and_by_nothing_else() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    frozen(&mut engine, Some(Quorum::TWO));
    let refused = thaw(&mut engine).expect_err("nobody is enrolled");
    assert!(refused.what.contains("they are not enrolled"), "{refused:?}");
    founded(&mut engine);
    let Ok(Thaw::Asked(asked)) = thaw(&mut engine) else { panic!("two are asked") };
    // Asked again it is the same request.
    let Ok(Thaw::Asked(again)) = thaw(&mut engine) else { panic!("two are asked") };
    assert_eq!(asked.question.request, again.question.request);
    assert!(asked.display.contains("odd") && asked.display.contains("frozen"), "{}", asked.display);
    let digest = asked.question.request;
    let mut decided = Vec::new();
    for voter in [Voter::new(1), Voter::new(2)] {
        assert!(engine.frozen().expect("known").is_some());
        let (text, signature) = voter.vote(&mut engine, digest);
        let done = engine.decide(digest, (&text, &signature), None, Offer::default(), &mut Nobody::default());
        decided.push(done.expect("decided"));
    }
    assert!(matches!(decided[..], [Decided::Waits(_), Decided::Thawed(..)]), "{decided:?}");
    assert!(engine.frozen().expect("known").is_none() && engine.pending().expect("pending").requests.is_empty());
    holds(&engine);
    // Their word was good for that freeze, and once.
    frozen(&mut engine, Some(Quorum::TWO));
    let Ok(Thaw::Asked(other)) = thaw(&mut engine) else { panic!("two are asked") };
    assert_ne!(other.question.request, digest);
    // One of them says no: it stays, and can be asked for anew.
    let text = engine.statement(other.question.request, &Choice::Deny.into(), &Voter::new(1).key()).expect("prepared");
    let (text, request) = (text.text(), other.question.request);
    let no = Voter::new(1).sign(NAMESPACE, &text);
    let over = engine.decide(request, (&text, &no), None, Offer::default(), &mut Nobody::default()).expect("decided");
    assert!(matches!(over, Decided::Over(_)), "{over:?}");
    assert!(engine.frozen().expect("known").is_some());
    let Ok(Thaw::Asked(anew)) = thaw(&mut engine) else { panic!("two are asked") };
    assert_ne!(anew.question.request, request);
    holds(&engine);
}

/// Cut off between the log and the state, it is thawed by whoever looks next; frozen once more in between, it takes what it
/// takes.
#[test]
fn a_thaw_that_was_cut_off_is_ended_but_not_that_of_a_later_freeze() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    founded(&mut engine);
    let freeze = frozen(&mut engine, Some(Quorum::TWO)).freeze;
    let cut_off = |engine: &mut Engine| {
        let entry = Body::HostThawed { freeze: freeze.digest(), host: "db-1".to_owned(), request: None, uid: 0 };
        engine.records.write(&[entry]).expect("written");
    };
    cut_off(&mut engine);
    let Ok(Thaw::Done(_)) = thaw(&mut engine) else { panic!("it was on record") };
    assert!(engine.frozen().expect("known").is_none());
    freeze::begin(&engine.store, &freeze).expect("frozen");
    cut_off(&mut engine);
    assert!(frozen(&mut engine, None).again);
    let Ok(Thaw::Asked(_)) = thaw(&mut engine) else { panic!("two are asked") };
}

/// Frozen and cut off before the log: the state holds, and what it was is on record before it goes on.
#[test]
fn a_freeze_that_was_cut_off_is_on_record_before_it_ends() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let freeze = Freeze { accounts: [].into(), at: clock::now(), by: 7, quorum: None, reason: None };
    freeze::begin(&engine.store, &freeze).expect("frozen");
    assert!(engine.not_frozen().is_err());
    let Ok(Thaw::Done(_)) = thaw(&mut engine) else { panic!("one person is enough") };
    holds(&engine);
    let frozen = |b: &Body| matches!(b, Body::HostFrozen { freeze, .. } if freeze.by == 7);
    assert!(engine.records.says(frozen).expect("read"));
}

/// Nothing begins, and nobody lets it go on as it is; pressed again, it takes the most that any takes.
#[test]
fn a_state_that_makes_no_sense_is_frozen() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    std::fs::write(dir.path().join("state/frozen.json"), "{").expect("written");
    assert!(engine.not_frozen().is_err() && thaw(&mut engine).is_err());
    let frozen = frozen(&mut engine, None);
    assert!(!frozen.again && frozen.freeze.quorum == Some(Quorum::TWO), "{frozen:?}");
}

/// One thaw ends one freeze, of whom it was said to be.
#[test]
fn what_was_frozen_anew_is_another_matter() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let first = frozen(&mut engine, None).freeze;
    let Ok(Thaw::Done(_)) = engine.thaw(first.digest()) else { panic!("one person is enough") };
    let second = frozen(&mut engine, None).freeze;
    assert_eq!(engine.thaw(first.digest()).expect_err("another").kind, FailureKind::Conflict);
    assert_eq!(engine.frozen().expect("known"), Some(second));
    holds(&engine);
}

/// Many press at once, and somebody lets it go on in between: whoever says that it is frozen is right, and the log holds.
#[test]
fn of_many_who_press_at_once_all_mean_the_same() {
    let dir = tempfile::tempdir().expect("a temp dir");
    drop(engine(&dir));
    for _ in 0..20 {
        let all: Vec<_> = std::thread::scope(|scope| {
            let press = |_| scope.spawn(|| frozen(&mut engine(&dir), None));
            let all: Vec<_> = (0..4).map(press).collect();
            all.into_iter().map(|t| t.join().expect("ended")).collect()
        });
        assert!(all.iter().all(|f| f.freeze == all[0].freeze && f.ended.is_empty()), "{all:?}");
        assert_eq!(all.iter().filter(|f| !f.again).count(), 1, "{all:?}");
        let Ok(Thaw::Done(_)) = thaw(&mut engine(&dir)) else { panic!("one person is enough") };
    }
    holds(&engine(&dir));
}

/// Whoever is to let it go on keeps his account; nor is root's ever stopped.
#[test]
fn the_accounts_of_people_are_never_stopped() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let carl = Voter::new(3);
    let people = engine.people().expect("people");
    let key = NewKey {
        key: carl.key().line().to_owned(),
        proof: carl.sign(ENROLMENT, &people.enrolment("carl", &carl.key())),
    };
    let change = Change::Enrol { groups: [].into(), id: "carl".to_owned(), keys: vec![key], uids: [54_322].into() };
    engine.change_people(&change).expect("a founder");
    Voter::new(1).enrol(&mut engine, "anna");
    let mut notes = Vec::new();
    let accounts = agents_alone(&engine.store, [0, 54_321, 54_322].into(), &mut notes);
    if process::is_root() {
        assert_eq!(accounts, BTreeSet::from([54_321]));
        assert!(notes.len() == 2 && notes[1].contains("that of carl, who may approve"), "{notes:?}");
    } else {
        // Nobody else's account is his to stop.
        assert_eq!((accounts, notes.len()), (BTreeSet::new(), 0), "{notes:?}");
    }
}
