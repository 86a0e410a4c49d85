pub(crate) mod approvals;
mod frozen;
mod jailed;

use std::collections::BTreeSet;

use super::*;
use crate::approval::quorum::Quorum;
use crate::canon;
use crate::policy::law::{Layer, Refusal};
use crate::policy::{Decision, Reason};
use crate::program::{Program, Unlisted};

fn run() -> RunId {
    RunId::from_number(7)
}

fn at() -> Timestamp {
    Timestamp::new(1_795_364_400, 5)
}

fn digest() -> Digest {
    Digest::of_content(b"effects")
}

fn judged(decision: Decision) -> Body {
    let reason = Reason {
        count: 1,
        next: Some("n".to_owned()),
        paths: vec!["/srv/a".into()],
        source: Some("f:1".to_owned()),
        why: "w".to_owned(),
        words: Some("x".to_owned()),
        ..Reason::new(decision, "r")
    };
    Body::RunJudged { judgement: Judgement { decision, law: Some(digest()), reasons: vec![reason] }, run: run() }
}

fn requested() -> Body {
    requested_as(Command::Argv(vec!["rm".into(), Bytes::from(&b"\xff"[..])]), Some("clean up".into()))
}

/// The same of another command.
pub(crate) fn requested_as(command: Command, reason: Option<Bytes>) -> Body {
    let request = Request {
        asker: Some(Asker { agent: "claude".into(), call: Some("toolu_1".into()), subagent: None }),
        by: None,
        command,
        cwd: "/srv".into(),
        env_keys: vec!["PATH".into()],
        gid: 1000,
        in_place: false,
        net: Net::None,
        parallel: false,
        profile: "workstation".into(),
        reason,
        session: Some("s".into()),
        uid: 1000,
        workspace: Some("/srv".into()),
    };
    Body::requested(run(), &request)
}

fn rehearsed(effects: u64) -> Body {
    Body::RunRehearsed {
        digest: digest(),
        doors: vec!["/run/docker.sock".into()],
        effects,
        exit: Exit::Code(0),
        left_behind: vec![LeftBehind { name: "sleep".into(), pid: 3 }],
        run: run(),
        totals: Totals::default(),
    }
}

fn committing(by: By) -> Body {
    Body::RunCommitting { by, digest: digest(), plan: Digest::of_content(b"plan"), run: run() }
}

fn program() -> Program {
    Program {
        argv: vec!["rm".into(), "-rf".into(), Bytes::from(&b"/srv/\xff"[..])],
        as_asked: true,
        began: at(),
        cut: 12,
        cwd: Some("/srv".into()),
        exe: Some("/usr/bin/rm".into()),
        exit: Some(Exit::Signal(9)),
        parent: 4711,
        pid: 4712,
        sha256: Some(digest()),
    }
}

fn freeze(quorum: Option<Quorum>) -> Freeze {
    Freeze { accounts: [1003].into(), at: at(), by: 7, quorum, reason: Some("odd".into()) }
}

const PERSON: By = By::Person { uid: 1000 };

fn clocks() -> Clocks {
    Clocks { awake: 3_600, boot: "0b7c1d7e-5f0e-4c9e-8a51-1f2e3d4c5b6a".to_owned(), up: 7_200 }
}

pub(crate) fn one_of_each() -> Vec<Body> {
    let [asked, _, claimed, ..] = approvals::approved();
    let Body::ApprovalClaimed { votes, request, .. } = &claimed else { panic!("a claim") };
    let (voted, request) = (votes[0].clone(), *request);
    vec![
        asked,
        claimed,
        Body::ApprovalEnded { how: "expired".to_owned(), request, run: Some(run()) },
        Body::ApprovalVoted { reason: None, request, run: None, vote: voted },
        approvals::founding()[0].clone(),
        committing(By::Approved { request }),
        Body::AuditHeartbeat { clocks: clocks() },
        Body::HostFrozen { ended: vec![run()], freeze: freeze(None), host: "db-1".to_owned(), stopped: vec![run()] },
        Body::HostThawed { freeze: freeze(None).digest(), host: "db-1".to_owned(), request: Some(request), uid: 7 },
        Body::JailBanned { ban: jailed::ban(None), host: "db-1".to_owned() },
        Body::JailCleared { ban: digest(), host: "db-1".to_owned(), request: Some(request), uid: 7 },
        Body::JailCounted { offence: jailed::offence() },
        Body::AuditRecovered { adopted: 1, cut: Some(digest()), cut_bytes: 3 },
        Body::AuditRecovered { adopted: 1, cut: None, cut_bytes: 0 },
        Body::AuditStarted { key: "k".to_owned() },
        Body::ExecRan { program: program(), run: run() },
        Body::ExecRan { program: Program { cwd: None, exe: None, exit: None, sha256: None, ..program() }, run: run() },
        Body::ExecUnlisted { run: run(), unlisted: Unlisted { count: Some(7), why: "more than 4,096".to_owned() } },
        Body::ExportResumed { entry: 9, sink: "siem".to_owned() },
        Body::ExportSkipped { entries: Span { first: 4, last: 5 }, sink: "siem".to_owned(), why: "400".to_owned() },
        Body::ExportStalled { entry: 6, sink: "siem".to_owned(), why: "no route".to_owned() },
        Body::GuardStarted { clocks: clocks(), version: "1.0.0".to_owned() },
        Body::GuardStopped { clocks: clocks() },
        Body::Nested {
            command: Command::Line("ls".into()),
            cwd: "/".into(),
            reason: Some("why".into()),
            run: run(),
            session: Some("s".into()),
        },
        Body::NoticeDelivered { attempts: 2, channel: "team".to_owned(), entry: 5, with: 0 },
        Body::NoticeDelivered { attempts: 1, channel: "team".to_owned(), entry: 5, with: 7 },
        Body::NoticeFailed { attempts: 9, channel: "team".to_owned(), entry: 5, why: "no route".to_owned(), with: 0 },
        Body::NoticeFailed { attempts: 9, channel: "team".to_owned(), entry: 5, why: "no route".to_owned(), with: 7 },
        Body::PolicyLoaded {
            digest: digest(),
            rules: 23,
            sources: vec![PolicyFile { digest: digest(), layer: Layer::Project, name: ".backstop/p.cedar".to_owned() }],
        },
        Body::PolicyRefused {
            digest: digest(),
            fallback: true,
            machine: true,
            refusals: vec![Refusal {
                at: "site.cedar:3".to_owned(),
                id: Some("x".to_owned()),
                next: "n".to_owned(),
                rule: "r".to_owned(),
                why: "w".to_owned(),
            }],
        },
        Body::Recovered { now: Settled::Held, run: run(), what: "took its commit back".to_owned() },
        Body::RunCommitted { run: run() },
        committing(By::Rule),
        committing(PERSON),
        Body::RunConflict { count: 1, paths: vec!["/srv/a".into()], run: run() },
        Body::RunDenied { run: run() },
        Body::RunDiscarded { by: PERSON, run: run() },
        Body::RunDryRun { run: run() },
        Body::RunInPlace {
            doors: vec!["192.0.2.1:80".into()],
            exit: Some(Exit::Code(0)),
            left_behind: Vec::new(),
            run: run(),
            why: Some("cut off".into()),
        },
        Body::RunFailed { run: run(), why: "disk full".to_owned() },
        Body::RunHeld { run: run() },
        judged(Decision::Ask),
        Body::RunObserved { as_rehearsed: false, digest: digest(), run: run(), totals: Totals::default() },
        Body::RunRedone { run: run() },
        Body::RunRedoing { by: PERSON, run: run() },
        rehearsed(3),
        requested(),
        Body::RunUndone { run: run() },
        Body::RunUndoing { by: PERSON, run: run() },
        Body::VaultPruned { bytes: 4096, runs: vec![run()] },
    ]
}

#[test]
fn every_type_is_canonical_survives_and_carries_its_name() {
    for body in one_of_each() {
        let entry = Entry { at: at(), body, index: 9, version: Entry::VERSION };
        let line = entry.line();
        let text = std::str::from_utf8(&line).expect("JSON is UTF-8");
        assert!(canon::is_canonical(&line), "{text}");
        assert!(!line.contains(&b'\n'));
        assert!(text.contains(&format!("\"body\":{{\"{}\":", entry.body.name())), "{text}");
        assert_eq!(Entry::parse(&line), Some(entry));
    }
}

#[test]
fn every_type_is_among_the_names() {
    let named: BTreeSet<&str> = Body::NAMES.into_iter().collect();
    assert_eq!(one_of_each().iter().map(Body::name).collect::<BTreeSet<_>>(), named);
    assert_eq!(named.len(), Body::NAMES.len());
}

#[test]
fn another_spelling_of_an_entry_is_refused() {
    let entry = Entry { at: at(), body: Body::RunHeld { run: run() }, index: 9, version: Entry::VERSION };
    let text = String::from_utf8(entry.line()).expect("JSON is UTF-8");
    assert_eq!(
        text,
        r#"{"at":"2026-11-22T16:20:00.000000005Z","body":{"run.held":{"run":"r-000007"}},"index":9,"version":1}"#
    );
    for other in [
        text.replace(":9", ": 9"),
        text.replace(":9", ":09"),
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("run.held", "run.hel\\u0064"),
        text.replace("\"index\":9,\"version\":1", "\"version\":1,\"index\":9"),
        text.replace("\"index\":9", "\"index\":9,\"more\":1"),
        text.replace("000000005Z", "000000005z"),
        text.replace("11-22T", "11-022T"),
        format!("{text} "),
    ] {
        assert_eq!(Entry::parse(other.as_bytes()), None, "{other}");
    }
}

/// The complaints about each entry of a story, and how many runs it leaves open.
fn told(bodies: &[Body]) -> (Vec<(Question, String)>, usize) {
    let mut story = Story::default();
    let wrong = bodies.iter().flat_map(|b| story.tell(at(), b)).map(|c| (c.question, c.what)).collect();
    (wrong, story.open().len())
}

fn complaints(story: &[Body]) -> Vec<String> {
    told(story).0.into_iter().map(|(question, what)| format!("{question:?}: {what}")).collect()
}

#[test]
fn honest_stories_raise_no_complaint() {
    let run = run();
    let begin = [requested(), rehearsed(1), judged(Decision::Ask)];
    let held = [&begin[..], &[Body::RunHeld { run }]].concat();
    let committed = [&held[..], &[committing(PERSON), Body::RunCommitted { run }]].concat();
    let conflict = Body::RunConflict { count: 0, paths: Vec::new(), run };
    let ran = Body::ExecRan { program: program(), run };
    let unlisted = Body::ExecUnlisted { run, unlisted: Unlisted { count: None, why: String::new() } };
    let undone = [Body::RunUndoing { by: PERSON, run }, Body::RunUndone { run }];
    let redone = [Body::RunRedoing { by: PERSON, run }, Body::RunRedone { run }];
    for (story, open) in [
        (vec![requested()], 1),
        (vec![requested(), rehearsed(0)], 0),
        (begin.to_vec(), 1),
        (held.clone(), 0),
        ([&begin[..], &[Body::RunDryRun { run }]].concat(), 0),
        (vec![requested(), rehearsed(1), judged(Decision::Deny), Body::RunDenied { run }], 0),
        (vec![requested(), rehearsed(1), judged(Decision::Allow), committing(By::Rule)], 1),
        (vec![requested(), rehearsed(1), judged(Decision::Allow), committing(By::Rule), Body::RunCommitted { run }], 0),
        ([&held[..], &[conflict.clone(), committing(PERSON), conflict, committing(PERSON)]].concat(), 1),
        ([&held[..], &[Body::RunDiscarded { by: PERSON, run }]].concat(), 0),
        ([&committed[..], &undone, &redone, &undone].concat(), 0),
        (
            [
                &held[..],
                &[
                    committing(PERSON),
                    Body::Recovered { now: Settled::Held, run, what: String::new() },
                    committing(PERSON),
                    Body::Recovered { now: Settled::Committed, run, what: String::new() },
                    undone[0].clone(),
                    Body::RunFailed { run, why: String::new() },
                    undone[0].clone(),
                ],
            ]
            .concat(),
            1,
        ),
        (vec![requested(), ran.clone(), ran.clone(), unlisted, rehearsed(0)], 0),
        (vec![requested(), Body::RunFailed { run, why: String::new() }], 0),
    ] {
        assert_eq!(told(&story), (Vec::new(), open), "{story:?}");
    }
}

#[test]
fn a_missing_door_or_word_is_named() {
    use Question::{Authorisation as A, Completeness as C};
    let run = run();
    let ask = [requested(), rehearsed(1), judged(Decision::Ask)];
    let done = Body::RunCommitted { run };
    for (story, expected) in [
        (vec![done.clone()], vec![(C, "run.committed without its request"), (A, "run.committed without a judgement")]),
        (
            vec![requested(), rehearsed(0), Body::ExecRan { program: program(), run }],
            vec![(C, "exec.ran directly after its rehearsal")],
        ),
        (vec![requested(), requested()], vec![(C, "requested a second time under the same name")]),
        (
            vec![requested(), rehearsed(1), committing(By::Rule), done.clone()],
            vec![(C, "run.committing directly after its rehearsal"), (A, "let through without a judgement")],
        ),
        (
            [&ask[..], std::slice::from_ref(&done)].concat(),
            vec![
                (C, "run.committed directly after its judgement"),
                (A, "committed without an intent that says who let it through"),
            ],
        ),
        (
            [&ask[..], &[committing(By::Rule), done.clone()]].concat(),
            vec![(A, "let through without a person's word, which policy asked for")],
        ),
        (
            vec![requested(), rehearsed(1), judged(Decision::Deny), committing(PERSON), done.clone()],
            vec![(A, "let through although policy denied it")],
        ),
        (
            vec![requested(), rehearsed(1), judged(Decision::TwoPerson), committing(PERSON), done.clone()],
            vec![(A, "let through without two people's word")],
        ),
        (
            [
                &ask[..],
                &[
                    Body::RunCommitting { by: PERSON, digest: Digest::of_content(b"B"), plan: digest(), run },
                    done.clone(),
                ],
            ]
            .concat(),
            vec![(A, "what was committed is not what was rehearsed (the digests differ)")],
        ),
        (
            [&ask[..], &[Body::Recovered { now: Settled::Committed, run, what: String::new() }]].concat(),
            vec![(A, "recovery finished a commit that nobody began")],
        ),
        (
            [&ask[..], &[committing(PERSON), committing(PERSON)]].concat(),
            vec![(C, "run.committing directly after the begin of its commit")],
        ),
        (
            [&ask[..], &[Body::RunDiscarded { by: PERSON, run }, Body::RunHeld { run }]].concat(),
            vec![(C, "run.held directly after its end")],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(q, what)| (q, what.to_owned())).collect();
        assert_eq!(told(&story).0, expected, "{story:?}");
    }
}
