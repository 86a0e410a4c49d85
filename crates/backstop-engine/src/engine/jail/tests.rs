use backstop_core::approval::statement::Choice;
use backstop_core::jail::Does;
use backstop_core::policy::Reason;
use backstop_core::request::{Asker, Command, Net};

use super::super::approve::tests::{Voter, founded};
use super::super::tests::{Nobody, settings};
use super::super::{Decided, Offer};
use super::*;
use crate::audit::{Kept, verify};

fn engine(dir: &tempfile::TempDir) -> Engine {
    Engine::open(settings(&dir.path().join("state"))).expect("an engine")
}

fn request(session: Option<&str>) -> Request {
    Request {
        asker: None,
        by: None,
        command: Command::Argv(vec!["true".into()]),
        cwd: "/srv/a".into(),
        env_keys: Vec::new(),
        gid: 7,
        in_place: false,
        net: Net::None,
        parallel: false,
        profile: "workstation".into(),
        reason: None,
        session: session.map(Into::into),
        uid: 7,
        workspace: Some("/srv/a".into()),
    }
}

fn offence() -> Offence {
    let key = Key::Session { session: "s".into(), uid: 7 };
    let class = Class { does: Does::Loses, to: "database".to_owned() };
    Offence { classes: [class].into(), effect: None, how: How::Denied, keys: [key].into(), run: None }
}

/// Tries so often; gives the last ban that this made.
fn tries(engine: &mut Engine, n: usize) -> Ban {
    let made = (0..n).filter_map(|_| engine.offend(offence(), &Terms::default(), &mut Vec::new()).expect("counted"));
    made.last().expect("a ban")
}

fn holds(engine: &Engine) {
    let report = verify(&engine.audit_dir(), &Kept::default());
    assert!(report.exit() == 0 && report.findings.is_empty(), "{report:?}");
}

#[test]
fn who_asks_is_known_by_all_that_he_can_not_be_rid_of_and_a_person_is_nobody() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    engine.settings.login = Some(1001);
    let options =
        |person, alone| RunOptions { person, jail: Terms { alone, ..Terms::default() }, ..RunOptions::default() };
    let (agent, workspace) =
        (|name: &str| Key::Agent { agent: name.into(), uid: 7 }, Key::Workspace { uid: 7, workspace: "/srv/a".into() });
    let session = Key::Session { session: "s".into(), uid: 7 };
    let (starter, account) = (Key::Starter { uid: 1001 }, Key::Account { uid: 7 });
    let named =
        Request { asker: Some(Asker { agent: "claude".into(), call: None, subagent: None }), ..request(Some("s")) };
    let bare: BTreeSet<Key> = [agent(""), workspace.clone(), starter.clone()].into();
    let whole: BTreeSet<Key> = [session.clone(), agent("claude"), workspace.clone(), starter.clone()].into();
    for (request, options, expected) in [
        (request(None), options(false, false), bare.clone()),
        (request(None), options(true, false), BTreeSet::new()),
        (request(None), options(true, true), bare.into_iter().chain([account.clone()]).collect()),
        (named.clone(), options(true, false), whole.clone()),
        (named.clone(), options(false, true), whole.into_iter().chain([account]).collect()),
        (
            Request { workspace: None, ..request(Some("s")) },
            options(false, false),
            [session, agent(""), Key::Workspace { uid: 7, workspace: "".into() }, starter].into(),
        ),
    ] {
        assert_eq!(engine.subject(&request, &options).keys, expected, "{request:?}");
    }
    // Of his own login somebody is no other.
    engine.settings.login = Some(7);
    let keys = engine.subject(&request(None), &options(false, false)).keys;
    assert_eq!(keys, [agent(""), workspace].into());
    let retried = engine.subject(&named, &RunOptions { anew: true, ..options(true, false) });
    assert!(retried.person && retried.stands_by().is_empty() && !retried.keys.is_empty());
}

#[test]
fn what_takes_effect_or_could_not_be_judged_does_not_count() {
    let law = |decision, rule: &str| Judgement::of(vec![Reason::new(decision, rule)]);
    let (deny, ask, two) = (Decision::Deny, Decision::Ask, Decision::TwoPerson);
    let (commit, hold, discard) = (Some(Answer::Commit), Some(Answer::Hold), Some(Answer::Discard));
    for (law, closed, answer, expected) in [
        (law(deny, "protected"), false, None, Some(How::Denied)),
        (law(deny, "repeats-denied"), false, None, Some(How::Denied)),
        (law(deny, "policy-error"), false, None, None),
        (law(deny, "policy-not-loaded"), false, None, None),
        (law(ask, "outside"), true, None, Some(How::Denied)),
        (Judgement::of(Vec::new()), true, None, Some(How::Denied)),
        (law(ask, "outside"), false, None, None),
        (law(ask, "outside"), false, hold, Some(How::Asked)),
        (law(ask, "outside"), false, discard, Some(How::Denied)),
        (law(ask, "outside"), false, commit, None),
        (law(two, "database"), false, hold, Some(How::Held)),
        (Judgement::of(Vec::new()), false, hold, None),
        (Judgement::of(Vec::new()), false, discard, None),
        (Judgement::of(Vec::new()), false, commit, None),
    ] {
        assert_eq!(how(&law, closed, answer), expected, "{law:?} {closed} {answer:?}");
    }
}

#[test]
fn a_ban_that_was_cut_off_from_the_log_gets_there_with_the_next_look() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let mut jail = Jail::default();
    let bans: Vec<Ban> = (0..5).filter_map(|_| jail.count(clock::now(), offence(), &Rules::default(), None)).collect();
    jail::keep(&engine.store, &jail).expect("kept");
    let on_record = |engine: &mut Engine| engine.ban_on_record(bans[0].digest()).expect("readable");
    assert_eq!(on_record(&mut engine), None);
    let subject = engine.subject(&request(Some("other")), &RunOptions::default());
    engine.not_shut(&subject, &Terms::default()).expect("whoever it is that looks");
    assert_eq!(on_record(&mut engine), Some(true));
    assert!(engine.remembered().expect("readable").unsaid().is_empty());
    // Cut off once more, before that was noted: the log says it once.
    jail::keep(&engine.store, &jail).expect("kept");
    engine.not_shut(&subject, &Terms::default()).expect("whoever it is that looks");
    let said = entries(&engine.audit_dir(), 0).filter(|e| matches!(e, Ok(e) if e.body.name() == "jail.banned"));
    assert_eq!(said.count(), 1);
    holds(&engine);
}

#[test]
fn an_end_that_was_cut_off_is_brought_about_and_not_said_twice() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let ban = tries(&mut engine, 5);
    let named = ban.digest();
    let end = Body::JailCleared { ban: named, host: "db-1".to_owned(), request: None, uid: 7 };
    engine.records.write(&[end]).expect("written");
    assert!(engine.is_banned_by(named).expect("readable"));
    assert!(matches!(engine.clear(named), Ok(Clear::Done(_))));
    assert!(!engine.is_banned_by(named).expect("readable"));
    let gone = engine.clear(named).expect_err("it is over");
    assert_eq!(gone.kind, FailureKind::Conflict);
    let said = entries(&engine.audit_dir(), 0).filter(|e| matches!(e, Ok(e) if e.body.name() == "jail.cleared"));
    assert_eq!(said.count(), 1);
    holds(&engine);
}

#[test]
fn what_takes_two_is_ended_by_two_and_by_nothing_else() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let mild = tries(&mut engine, 5);
    assert_eq!(mild.quorum, None);
    let production = Terms { quorum: Some(Quorum::TWO), ..Terms::default() };
    let raised = (0..10).filter_map(|_| engine.offend(offence(), &production, &mut Vec::new()).expect("counted"));
    let ban = raised.last().expect("a ban");
    assert_eq!((ban.level, ban.quorum.clone()), (Level::Frozen, Some(Quorum::TWO)));
    assert!(engine.clear(mild.digest()).is_err(), "it is another one by now");
    let refused = engine.clear(ban.digest()).expect_err("nobody is enrolled");
    assert!(refused.what.contains("they are not enrolled"), "{refused:?}");
    founded(&mut engine);
    let Ok(Clear::Asked(asked)) = engine.clear(ban.digest()) else { panic!("two are asked") };
    let digest = asked.question.request;
    let mut decided = Vec::new();
    for voter in [Voter::new(1), Voter::new(2)] {
        assert!(engine.is_banned_by(ban.digest()).expect("known"));
        let (text, signature) = voter.vote(&mut engine, digest);
        let done = engine.decide(digest, (&text, &signature), None, Offer::default(), &mut Nobody::default());
        decided.push(done.expect("decided"));
    }
    assert!(matches!(decided[..], [Decided::Waits(_), Decided::Cleared(..)]), "{decided:?}");
    assert!(!engine.is_banned_by(ban.digest()).expect("known"));
    holds(&engine);
    // Raised while people are asked about it, it is another one, and their word is good for nothing.
    let ban = tries(&mut engine, 15);
    let Ok(Clear::Asked(asked)) = engine.clear(ban.digest()) else { panic!("two are asked") };
    tries(&mut engine, 5);
    let late = engine.statement(asked.question.request, &Choice::ApproveOnce.into(), &Voter::new(1).key());
    let late = late.expect_err("nobody is asked any more");
    assert!(late.what.contains("cancelled"), "{late:?}");
    holds(&engine);
}

/// A clock that was set back does not end a ban, and what is counted at once by many is counted.
#[test]
fn of_many_who_count_at_once_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a temp dir");
    drop(engine(&dir));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut engine = engine(&dir);
                for _ in 0..5 {
                    engine.offend(offence(), &Terms::default(), &mut Vec::new()).expect("counted");
                }
            });
        }
    });
    let engine = engine(&dir);
    let jail = engine.remembered().expect("readable");
    let bans: Vec<Level> = jail.bans(clock::now()).map(|ban| ban.level).collect();
    assert_eq!(bans, [Level::Locked]);
    let counted = entries(&engine.audit_dir(), 0).filter(|e| matches!(e, Ok(e) if e.body.name() == "jail.counted"));
    assert_eq!(counted.count(), 20);
    holds(&engine);
}
