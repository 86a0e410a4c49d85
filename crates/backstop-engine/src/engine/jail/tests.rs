use backstop_core::approval::statement::Choice;
use backstop_core::jail::Does;
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
    let class = Class { does: Does::Loses, own: false, to: "database".to_owned() };
    Offence { classes: [class].into(), effect: None, how: How::Denied, keys: [key].into(), run: None }
}

fn count(engine: &mut Engine, terms: &Terms) -> Option<Ban> {
    engine.offend(offence(), terms, &mut Vec::new()).expect("on record").expect("counted")
}

/// Tries so often; gives the last ban that this made.
fn tries(engine: &mut Engine, n: usize) -> Ban {
    (0..n).filter_map(|_| count(engine, &Terms::default())).last().expect("a ban")
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
    let bare: BTreeSet<Key> = [agent(""), workspace.clone(), starter.clone(), account.clone()].into();
    let whole: BTreeSet<Key> =
        [session.clone(), agent("claude"), workspace.clone(), starter.clone(), account.clone()].into();
    for (request, options, expected) in [
        (request(None), options(false, false), bare.clone()),
        (request(None), options(true, false), BTreeSet::new()),
        // Of an account that agents alone use nobody is a person.
        (request(None), options(true, true), bare),
        (named.clone(), options(true, false), whole),
        (
            Request { workspace: None, ..request(Some("s")) },
            options(false, false),
            [session, agent(""), Key::Workspace { uid: 7, workspace: "".into() }, starter, account.clone()].into(),
        ),
    ] {
        assert_eq!(engine.subject(&request, &options).keys, expected, "{request:?}");
    }
    // Of his own login somebody is no other.
    engine.settings.login = Some(7);
    let keys = engine.subject(&request(None), &options(false, false)).keys;
    assert_eq!(keys, [agent(""), workspace, account].into());
    // Run again by a person, it is his; by a program, it is whose it was.
    let again = |person| engine.subject(&named, &RunOptions { anew: true, ..options(person, false) });
    assert!(again(true).person && again(true).stands_by().is_empty() && !again(true).keys.is_empty());
    assert!(!again(false).person && !again(false).stands_by().is_empty());
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
    let other = request(Some("other"));
    let subject = engine.subject(&other, &RunOptions::default());
    engine.not_shut(&other, &subject, &Terms::default()).expect("whoever it is that looks");
    assert_eq!(on_record(&mut engine), Some(true));
    assert!(engine.remembered().expect("readable").unsaid().is_empty());
    // Cut off once more, before that was noted: the log says it once.
    jail::keep(&engine.store, &jail).expect("kept");
    engine.not_shut(&other, &subject, &Terms::default()).expect("whoever it is that looks");
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
    assert!(matches!(engine.clear(named), Ok(Wish::Done(_))));
    assert!(!engine.is_banned_by(named).expect("readable"));
    let gone = engine.clear(named).expect_err("it is over");
    assert_eq!(gone.kind, FailureKind::Conflict);
    let said = entries(&engine.audit_dir(), 0).filter(|e| matches!(e, Ok(e) if e.body.name() == "jail.cleared"));
    assert_eq!(said.count(), 1);
    holds(&engine);
}

/// Its file is gone or damaged: the log knows, down to how far the next level is.
#[test]
fn what_is_made_anew_from_the_log_is_what_was_kept() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    tries(&mut engine, 8);
    let standing = |jail: &Jail| jail.bans(clock::now()).cloned().collect::<Vec<_>>();
    let kept = standing(&engine.remembered().expect("readable"));
    let file = dir.path().join("state/jail.json");
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(standing(&engine.remembered().expect("by the log")), kept);
    assert!(!file.exists());
    assert_eq!(standing(&engine.mended().expect("by the log")), kept);
    assert!(file.exists());
    std::fs::write(&file, "{").expect("written");
    assert_eq!(tries(&mut engine, 2).level, Level::ReadOnly, "two more of five");
    holds(&engine);
}

/// Raised while a person looks at it, it is not ended by what he said of it, and the log does not say so.
#[test]
fn a_ban_that_is_raised_while_it_is_being_ended_is_another() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let ban = tries(&mut engine, 5);
    tries(&mut engine, 5);
    let late = engine.clear_now(ban, None).expect_err("it was raised");
    assert_eq!(late.kind, FailureKind::Conflict);
    let said = entries(&engine.audit_dir(), 0).filter(|e| matches!(e, Ok(e) if e.body.name() == "jail.cleared"));
    assert_eq!(said.count(), 0);
    assert_eq!(engine.remembered().expect("readable").bans(clock::now()).count(), 1);
    holds(&engine);
}

#[test]
fn what_takes_two_is_ended_by_two_and_by_nothing_else() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut engine = engine(&dir);
    let mild = tries(&mut engine, 5);
    assert_eq!(mild.quorum, None);
    let production = Terms { quorum: Some(Quorum::TWO), ..Terms::default() };
    let ban = (0..10).filter_map(|_| count(&mut engine, &production)).last().expect("a ban");
    assert_eq!((ban.level, ban.quorum.clone()), (Level::Frozen, Some(Quorum::TWO)));
    assert!(engine.clear(mild.digest()).is_err(), "it is another one by now");
    let refused = engine.clear(ban.digest()).expect_err("nobody is enrolled");
    assert!(refused.what.contains("they are not enrolled"), "{refused:?}");
    founded(&mut engine);
    let Ok(Wish::Asked(asked)) = engine.clear(ban.digest()) else { panic!("two are asked") };
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
    let Ok(Wish::Asked(asked)) = engine.clear(ban.digest()) else { panic!("two are asked") };
    tries(&mut engine, 5);
    let late = engine.statement(asked.question.request, &Choice::ApproveOnce.into(), &Voter::new(1).key());
    let late = late.expect_err("nobody is asked any more");
    assert!(late.what.contains("cancelled"), "{late:?}");
    holds(&engine);
}

#[test]
fn of_many_who_count_at_once_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a temp dir");
    drop(engine(&dir));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut engine = engine(&dir);
                for _ in 0..5 {
                    count(&mut engine, &Terms::default());
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
