//! Stories in which people are asked: honest ones, and each way to lie about one.

use super::*;
use crate::approval::ballot::{Ballot, Excluded, Question as Asked, Right};
use crate::approval::key::Key;
use crate::approval::made_up::{enrol, key, new_token, sign, sign_by_token, token};
use crate::approval::matter::Matter;
use crate::approval::people::{Footing, People};
use crate::approval::quorum::{Quorum, Terms};
use crate::approval::statement::{Choice, NAMESPACE, Nonce, Word};

fn later(seconds: i64) -> Timestamp {
    Timestamp::new(at().secs + seconds, 0)
}

fn people_changed(before: &People, change: &Change, right: Option<&Right>, at: Timestamp) -> (Body, People) {
    let footing = right.map_or(Footing::Founding, Footing::Approved);
    let after = before.with(change, footing, at).expect("a change");
    let body = Body::PeopleChanged {
        change: change.clone(),
        digest: after.digest(),
        host: after.host.clone(),
        made_at: at,
        request: right.map(|_| by_two(&before.matter(change, 0, later(0)))),
        revision: after.revision,
        uid: 0,
    };
    (body, after)
}

fn founded() -> (Vec<Body>, People) {
    let none = People::new("db-1").expect("a name");
    let (first, one) = people_changed(&none, &enrol("anna", 1, &[], 1001), None, later(0));
    let (second, two) = people_changed(&one, &enrol("ben", 2, &[], 1002), None, later(0));
    (vec![first, second], two)
}

/// The entries by which anna and ben are enrolled.
pub fn founding() -> Vec<Body> {
    founded().0
}

fn without() -> Excluded {
    Excluded { uids: [1000].into(), ..Excluded::default() }
}

fn question(matter: Matter) -> Asked {
    Asked {
        display: Digest([2; 32]),
        excluded: without(),
        expires: later(1_800),
        host: "db-1".to_owned(),
        request: by_two(&matter),
        matter,
        quorum: Quorum::TWO,
        summary: "would delete a file".to_owned(),
        terms: Terms::default(),
    }
}

/// What two people sign of a matter.
fn by_two(matter: &Matter) -> Digest {
    matter.request("db-1", (&Quorum::TWO, Terms::default()), &without())
}

fn about_the_run() -> Asked {
    let (effects, any, plan) = (digest(), Digest([5; 32]), Digest::of_content(b"plan"));
    question(Matter::Run { asked: any, effects, facts: any, law: None, plan, run: run() })
}

fn vote(ballot: &mut Ballot, people: &People, person: &str, n: u8, choice: Choice) -> Vote {
    let print = Key::parse(&key(n)).expect("a key").fingerprint();
    let nonce = Nonce([n; 32]);
    let text = ballot.prepare(choice, person, &print, nonce, at()).text();
    ballot.cast(&text, &sign(n, NAMESPACE, text.as_bytes()), people, later(0)).expect("a vote").clone()
}

/// The question about the run, anna's vote, and the claim on hers and ben's.
pub fn approved() -> [Body; 3] {
    let people = founded().1;
    let question = about_the_run();
    let (request, run) = (question.request, Some(run()));
    let mut ballot = Ballot::new(question.clone());
    let votes = [("anna", 1), ("ben", 2)].map(|(p, n)| vote(&mut ballot, &people, p, n, Choice::ApproveOnce));
    [
        Body::ApprovalAsked { question },
        Body::ApprovalVoted { reason: None, request, run, vote: votes[0].clone() },
        Body::ApprovalClaimed { request, run, votes: votes.to_vec() },
    ]
}

/// What is asked and claimed where two people agree to what is no run; and the digest of the request.
pub fn let_go(matter: impl Fn(Timestamp) -> Matter) -> (Vec<Body>, Digest) {
    let people = founded().1;
    let question = question(matter(later(0)));
    let request = question.request;
    let mut ballot = Ballot::new(question.clone());
    let votes = [("anna", 1), ("ben", 2)].map(|(p, n)| vote(&mut ballot, &people, p, n, Choice::ApproveOnce));
    let claimed = Body::ApprovalClaimed { request, run: None, votes: votes.to_vec() };
    (vec![Body::ApprovalAsked { question }, claimed], request)
}

/// A whole story: founded, asked, held, approved, committed.
fn story() -> Vec<Body> {
    let [asked, voted, claimed] = approved();
    let request = about_the_run().request;
    let run = run();
    let begin = [requested(), rehearsed(1), judged(Decision::TwoPerson), Body::RunHeld { run }];
    let end = [committing(By::Approved { request }), Body::RunCommitted { run }];
    [&founding()[..], &begin, &[asked, voted, claimed], &end].concat()
}

#[test]
fn what_two_people_approved_raises_no_complaint() {
    assert_eq!(told(&story()), (Vec::new(), 0));
    // One of them was written while power went: the claim carries all that is needed.
    let without: Vec<Body> = story().into_iter().filter(|b| !matches!(b, Body::ApprovalVoted { .. })).collect();
    assert_eq!(told(&without), (Vec::new(), 0));
}

#[test]
fn every_lie_about_an_approval_is_found() {
    type Lie = fn(&mut Vec<Body>);
    fn claim(story: &mut [Body]) -> &mut Vec<Vote> {
        let votes = story.iter_mut().find_map(|b| match b {
            Body::ApprovalClaimed { votes, .. } => Some(votes),
            _ => None,
        });
        votes.expect("a claim")
    }
    fn asked(story: &mut [Body]) -> &mut Asked {
        let asked = story.iter_mut().find_map(|b| match b {
            Body::ApprovalAsked { question } => Some(question),
            _ => None,
        });
        asked.expect("a question")
    }
    let lies: [(&str, Lie); 19] = [
        ("by fewer people than policy asked for: 2 people (1 of dba)", |s| {
            let judgement = s.iter_mut().find_map(|b| match b {
                Body::RunJudged { judgement, .. } => Some(judgement),
                _ => None,
            });
            let reason = Reason::new(Decision::TwoPerson, "dba");
            let quorum = Quorum::parse("1 dba").ok();
            judgement.expect("a judgement").reasons.push(Reason { quorum, ..reason });
        }),
        ("an approval that the log does not show", |s| s.retain(|b| !matches!(b, Body::ApprovalClaimed { .. }))),
        ("without the people that it needs", |s| {
            claim(s).pop();
        }),
        ("anna doesn't hold", |s| {
            let twice = claim(s)[0].clone();
            claim(s)[1] = twice;
        }),
        ("ben doesn't hold", |s| claim(s)[1].signature = claim(s)[0].signature.clone()),
        ("on what nobody asked", |s| s.retain(|b| !matches!(b, Body::ApprovalAsked { .. }))),
        ("that can't have been asked", |s| asked(s).quorum.people = 1),
        ("that can't have been asked", |s| {
            let asked = asked(s);
            asked.quorum.people = 1;
            asked.request = asked.matter.request("db-1", (&asked.quorum, asked.terms), &asked.excluded);
        }),
        ("was let approve it", |s| {
            let asked = asked(s);
            asked.excluded = Excluded::default();
            asked.request = asked.matter.request("db-1", (&asked.quorum, asked.terms), &asked.excluded);
        }),
        ("said of another run", |s| {
            let Some(Body::ApprovalClaimed { run, .. }) =
                s.iter_mut().find(|b| matches!(b, Body::ApprovalClaimed { .. }))
            else {
                panic!("a claim")
            };
            *run = None;
        }),
        ("is not what people approved", |s| {
            let Some(Body::RunCommitting { plan, .. }) = s.iter_mut().find(|b| matches!(b, Body::RunCommitting { .. }))
            else {
                panic!("a commit")
            };
            *plan = Digest([1; 32]);
        }),
        ("an approval that the log does not show", |s| {
            let at = s.iter().position(|b| matches!(b, Body::RunCommitting { .. })).expect("a commit");
            s.insert(at, Body::RunConflict { count: 1, paths: Vec::new(), run: run() });
        }),
        ("doesn't hold", |s| asked(s).expires = later(3_600)),
        ("doesn't hold", |s| asked(s).display = Digest([3; 32])),
        ("at another time", |s| claim(s)[0].at = later(-600)),
        ("nobody is enrolled", |s| drop(s.drain(..2))),
        ("the first two people", |s| {
            let Body::PeopleChanged { change, .. } = &mut s[1] else { panic!("a change") };
            *change = Change::AddKey { id: "anna".to_owned(), key: crate::approval::made_up::new_key("anna", 9) };
        }),
        ("not what the change makes of it", |s| {
            let Body::PeopleChanged { digest, .. } = &mut s[1] else { panic!("a change") };
            *digest = Digest([0; 32]);
        }),
        ("that had ended", |s| {
            let request = about_the_run().request;
            s.insert(8, Body::ApprovalEnded { how: "expired".to_owned(), request, run: Some(run()) });
        }),
    ];
    for (part, lie) in lies {
        let mut story = story();
        lie(&mut story);
        let wrong = told(&story).0;
        let found = wrong.iter().any(|(q, w)| *q == Question::Authorisation && (w.contains(part)));
        assert!(found, "{part}: {wrong:?}");
    }
}

#[test]
fn a_no_is_the_last_word() {
    let people = founded().1;
    let (mut ballot, mut no) = (Ballot::new(about_the_run()), story());
    let denied = vote(&mut ballot, &people, "ben", 2, Choice::Deny);
    let request = about_the_run().request;
    let at = no.iter().position(|b| matches!(b, Body::ApprovalClaimed { .. })).expect("a claim");
    no.insert(at, Body::ApprovalVoted { reason: None, request, run: Some(run()), vote: denied });
    let wrong = told(&no).0;
    assert!(wrong.iter().any(|(_, w)| w.contains("that had ended")), "{wrong:?}");
    let end = Body::RunDenied { run: run() };
    no.truncate(at + 1);
    no.push(end);
    assert_eq!(told(&no), (Vec::new(), 0));
}

#[test]
fn what_was_approved_is_what_was_rehearsed_and_once() {
    let mut other = story();
    for body in &mut other {
        if let Body::RunRehearsed { digest, .. } | Body::RunCommitting { digest, .. } = body {
            *digest = Digest([8; 32]);
        }
    }
    let wrong = told(&other).0;
    assert!(wrong.iter().any(|(_, w)| w.contains("is not what was rehearsed")), "{wrong:?}");
    // Taken back, and brought back without anybody having been asked again.
    let run = run();
    let again = [Body::RunUndoing { by: PERSON, run }, Body::RunUndone { run }, Body::RunRedoing { by: PERSON, run }];
    let wrong = told(&[&story()[..], &again].concat()).0;
    assert!(wrong.iter().any(|(_, w)| w.contains("without two people's word")), "{wrong:?}");
    let claim = story().into_iter().find(|b| matches!(b, Body::ApprovalClaimed { .. })).expect("a claim");
    let twice = [Body::RunConflict { count: 1, paths: Vec::new(), run }, claim];
    let first = &story()[..10];
    let wrong = told(&[first, &twice].concat()).0;
    assert!(wrong.iter().any(|(_, w)| w.contains("that had ended")), "{wrong:?}");
}

#[test]
fn an_approval_can_be_taken_back_with_another_key_than_it_was_given_with() {
    let people = founded().1;
    let mut ballot = Ballot::new(about_the_run());
    let yes = vote(&mut ballot, &people, "anna", 1, Choice::ApproveOnce);
    let print = yes.credential.clone();
    let right = |change: &Change| Right::made_up("db-1", people.matter(change, 0, later(0)));
    let add = Change::AddKey { id: "anna".to_owned(), key: crate::approval::made_up::new_key("anna", 9) };
    let two = people.with(&add, Footing::Approved(&right(&add)), later(-90_000)).expect("a key");
    let change = Change::RemoveKey { id: "anna".to_owned(), key: print };
    let taken = Right::made_up("db-1", two.matter(&change, 0, later(0)));
    let two = two.with(&change, Footing::Approved(&taken), later(0)).expect("a change");
    let no = vote(&mut ballot, &two, "anna", 9, Choice::Revoke);
    assert_eq!(ballot.tally(&two), crate::approval::ballot::Tally::Revoked("anna".to_owned()));
    let mut approvals = super::super::story::Story::default();
    let begin = [requested(), rehearsed(1), judged(Decision::TwoPerson), Body::RunHeld { run: run() }];
    for body in founding().iter().chain(&begin) {
        approvals.tell(at(), body);
    }
    let (question, request, run) = (about_the_run(), about_the_run().request, Some(run()));
    approvals.tell(at(), &Body::ApprovalAsked { question });
    assert!(approvals.tell(at(), &Body::ApprovalVoted { reason: None, request, run, vote: yes }).is_empty());
    // The log's own way to the changed store is in another test; here it only has to be in force.
    approvals.in_force(two);
    assert_eq!(approvals.tell(at(), &Body::ApprovalVoted { reason: None, request, run, vote: no }), []);
}

#[test]
fn later_changes_of_people_need_people() {
    let (mut bodies, people) = founded();
    let change = enrol("carl", 3, &[], 1003);
    let asked = question(people.matter(&change, 0, later(0)));
    let request = asked.request;
    let mut ballot = Ballot::new(asked.clone());
    let votes = [("anna", 1), ("ben", 2)].map(|(p, n)| vote(&mut ballot, &people, p, n, Choice::ApproveOnce)).to_vec();
    let right = ballot.right(&people, later(1)).expect("a quorum");
    let (changed, after) = people_changed(&people, &change, Some(&right), later(1));
    bodies.push(Body::ApprovalAsked { question: asked });
    bodies.push(Body::ApprovalClaimed { request, run: None, votes });
    bodies.push(changed);
    assert_eq!(told(&bodies), (Vec::new(), 0));
    let mut story = Story::default();
    bodies.iter().for_each(|b| drop(story.tell(at(), b)));
    assert_eq!(story.people(), Some(after.digest()));
    bodies.remove(3);
    let wrong = told(&bodies).0;
    assert!(wrong.iter().any(|(_, w)| w.contains("without an approval")), "{wrong:?}");
}

/// anna with a security key and ben are enrolled, two runs wait, and anna breaks the glass for the first; as entries,
/// with the ballot.
fn broken() -> (Vec<Body>, Ballot, People) {
    let none = People::new("db-1").expect("a name");
    let keys = vec![new_token("anna", 9)];
    let anna = Change::Enrol { groups: [].into(), id: "anna".to_owned(), keys, uids: [1001].into() };
    let (first, one) = people_changed(&none, &anna, None, later(0));
    let (second, people) = people_changed(&one, &enrol("ben", 2, &[], 1002), None, later(0));
    let terms = Terms { glass: true, ..Terms::default() };
    let question = about_the_run();
    let request = question.matter.request("db-1", (&Quorum::TWO, terms), &question.excluded);
    let question = Asked { request, terms, ..question };
    let mut ballot = Ballot::new(question.clone());
    let vote = alone(&mut ballot, &people, Choice::BreakGlass, "anna");
    let run = run();
    let bodies = vec![
        first,
        second,
        requested(),
        rehearsed(1),
        judged(Decision::TwoPerson),
        Body::RunHeld { run },
        Body::ApprovalAsked { question },
        Body::ApprovalVoted { reason: None, request, run: Some(run), vote: vote.clone() },
        Body::ApprovalClaimed { request, run: Some(run), votes: vec![vote] },
        committing(By::Approved { request }),
        Body::RunCommitted { run },
    ];
    (bodies, ballot, people)
}

fn alone(ballot: &mut Ballot, people: &People, choice: Choice, person: &str) -> Vote {
    let line = if person == "anna" { token(9) } else { key(2) };
    let print = Key::parse(&line).expect("a key").fingerprint();
    let word = Word::with(choice, Some("the disk is full"), Some("INC-7").filter(|_| choice == Choice::BreakGlass));
    let nonce = Nonce([ballot.votes().len() as u8; 32]);
    let text = ballot.prepare(word, person, &print, nonce, at()).text();
    let bytes = text.as_bytes();
    let signature = if person == "anna" { sign_by_token(9, NAMESPACE, bytes, 1) } else { sign(2, NAMESPACE, bytes) };
    ballot.cast(&text, &signature, people, later(0)).expect("a vote").clone()
}

#[test]
fn a_glass_that_was_broken_is_reviewed_before_the_next() {
    let (bodies, mut ballot, people) = broken();
    assert_eq!(told(&bodies), (Vec::new(), 0));
    let without: Vec<Body> = bodies.iter().filter(|b| !matches!(b, Body::ApprovalVoted { .. })).cloned().collect();
    assert_eq!(told(&without), (Vec::new(), 0), "the claim carries the vote that a crash took");
    let request = ballot.question().request;
    let vote = alone(&mut ballot, &people, Choice::Unjustified, "ben");
    let review = Body::ApprovalVoted { reason: None, request, run: Some(run()), vote };
    for story in [&bodies, &without] {
        assert_eq!(told(&[story, &[review.clone()][..]].concat()), (Vec::new(), 0));
    }
    // Put on record late: after the claim that carried it, or after the run was given up.
    let late = bodies[7].clone();
    assert_eq!(told(&[&without[..], &[late.clone(), review.clone()]].concat()), (Vec::new(), 0));
    let ended = Body::RunDiscarded { by: PERSON, run: run() };
    assert_eq!(told(&[&bodies[..7], &[ended, late, review.clone()]].concat()), (Vec::new(), 0));
    // The same once more, of another run.
    let other = RunId::from_number(8);
    let again = |review: &[Body]| {
        let question = ballot.question().clone();
        let Matter::Run { asked, effects, facts, law, plan, .. } = question.matter.clone() else { panic!("a run") };
        let matter = Matter::Run { asked, effects, facts, law, plan, run: other };
        let request = matter.request("db-1", (&question.quorum, question.terms), &question.excluded);
        let question = Asked { matter, request, ..question };
        let mut second = Ballot::new(question.clone());
        let vote = alone(&mut second, &people, Choice::BreakGlass, "anna");
        let begin = [requested(), rehearsed(1), judged(Decision::TwoPerson), Body::RunHeld { run: run() }];
        let mut begin = serde_json::to_string(&begin).expect("JSON").replace(&run().to_string(), &other.to_string());
        let begin: Vec<Body> = serde_json::from_str(&std::mem::take(&mut begin)).expect("entries");
        let end =
            [Body::ApprovalAsked { question }, Body::ApprovalVoted { reason: None, request, run: Some(other), vote }];
        told(&[&bodies[..], review, &begin, &end].concat()).0
    };
    assert_eq!(again(std::slice::from_ref(&review)), Vec::new());
    assert!(again(&[]).iter().any(|(_, w)| w.contains("before another person had reviewed")));
    let Body::ApprovalVoted { vote: mut forged, .. } = review.clone() else { panic!("a vote") };
    forged.signature = sign(1, NAMESPACE, forged.text.as_bytes());
    let forged = Body::ApprovalVoted { reason: None, request, run: Some(run()), vote: forged };
    let wrong = again(&[forged]);
    assert!(wrong.iter().any(|(_, w)| w.contains("before another person had reviewed")), "{wrong:?}");
    // Nor is it a broken glass where the request did not offer it.
    let mut plain = bodies.clone();
    for body in &mut plain {
        if let Body::ApprovalAsked { question } = body {
            question.terms = Terms::default();
            question.request = by_two(&question.matter);
        }
    }
    assert!(!told(&plain).0.is_empty());
}

#[test]
fn one_alone_is_enough_after_a_day_where_there_is_nobody_else() {
    let none = People::new("db-1").expect("a name");
    let (first, one) = people_changed(&none, &enrol("anna", 1, &[], 1000), None, later(0));
    let story = |wait: i64, second: bool| {
        let terms = Terms { glass: false, opens: Some(later(wait)) };
        let (effects, any, plan) = (digest(), Digest([5; 32]), Digest::of_content(b"plan"));
        let matter = Matter::Run { asked: any, effects, facts: any, law: None, plan, run: run() };
        let excluded = Excluded::default();
        let request = matter.request("db-1", (&Quorum::LONE, terms), &excluded);
        let question = Asked {
            excluded,
            expires: later(2 * 86_400),
            matter,
            quorum: Quorum::LONE,
            request,
            terms,
            ..about_the_run()
        };
        let mut ballot = Ballot::new(question.clone());
        let print = Key::parse(&key(1)).expect("a key").fingerprint();
        let text = ballot.prepare(Choice::ApproveOnce, "anna", &print, Nonce([1; 32]), later(wait)).text();
        let vote = ballot.cast(&text, &sign(1, NAMESPACE, text.as_bytes()), &one, later(wait)).expect("a vote").clone();
        let run = run();
        let mut bodies = vec![
            (0, first.clone()),
            (0, requested()),
            (0, rehearsed(1)),
            (0, judged(Decision::TwoPerson)),
            (0, Body::RunHeld { run }),
            (0, Body::ApprovalAsked { question }),
            (wait, Body::ApprovalClaimed { request, run: Some(run), votes: vec![vote] }),
            (wait, committing(By::Approved { request })),
            (wait, Body::RunCommitted { run }),
        ];
        if second {
            let (ben, _) = people_changed(&one, &enrol("ben", 2, &[], 1002), None, later(0));
            bodies.insert(6, (0, ben));
        }
        let mut story = Story::default();
        bodies.iter().flat_map(|(at, b)| story.tell(later(*at), b)).map(|c| c.what).collect::<Vec<_>>()
    };
    assert_eq!(story(86_400, false), Vec::<String>::new());
    assert!(story(80_000, false).iter().any(|w| w.contains("without a day's wait")));
    assert!(story(86_400, true).iter().any(|w| w.contains("where there are two")));
}
