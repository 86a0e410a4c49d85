//! Stories in which everything is frozen: honest ones, and each way to lie about one.

use super::approvals::{founding, let_go};
use super::*;
use crate::approval::matter::Matter;

fn frozen(quorum: Option<Quorum>) -> Body {
    let stopped = vec![run()];
    Body::HostFrozen { ended: Vec::new(), freeze: freeze(quorum), host: "db-1".to_owned(), stopped }
}

fn thawed(quorum: Option<Quorum>, request: Option<Digest>) -> Body {
    Body::HostThawed { freeze: freeze(quorum).digest(), host: "db-1".to_owned(), request, uid: 7 }
}

#[test]
fn what_nobody_let_go_on_takes_no_effect_meanwhile() {
    let begin = [requested(), rehearsed(1), judged(Decision::Allow)];
    let end = [committing(By::Rule), Body::RunCommitted { run: run() }];
    let whole = |middle: &[Body]| [&begin[..], middle, &end].concat();
    assert_eq!(complaints(&whole(&[])), Vec::<String>::new());
    // Pressed twice it is one freeze.
    assert_eq!(complaints(&whole(&[frozen(None), frozen(None), thawed(None, None)])), Vec::<String>::new());
    assert_eq!(complaints(&whole(&[frozen(None)])), ["Authorisation: run.committing while everything was frozen"]);
    let back = [Body::RunUndoing { by: PERSON, run: run() }, Body::RunUndone { run: run() }];
    let forth = [Body::RunRedoing { by: PERSON, run: run() }, Body::RunRedone { run: run() }];
    // What a crash had cut off is taken back meanwhile, and not brought to its end.
    let cut_off = |now| Body::Recovered { now, run: run(), what: "x".to_owned() };
    let crashed = |now| [&begin[..], &end[..1], &[frozen(None), cut_off(now)]].concat();
    assert_eq!(complaints(&crashed(Settled::Held)), Vec::<String>::new());
    assert_eq!(
        complaints(&crashed(Settled::Committed)),
        ["Authorisation: what a crash had cut off was brought to its end while everything was frozen"]
    );
    // Taking back goes on; bringing back does not.
    assert_eq!(
        complaints(&[&whole(&[]), &[frozen(None)][..], &back, &forth].concat()),
        ["Authorisation: run.redoing while everything was frozen"]
    );
}

fn thaw(freeze: Digest) -> (Vec<Body>, Digest) {
    let_go(|asked_at| Matter::Thaw { asked_at, asked_by: 1000, freeze })
}

#[test]
fn it_goes_on_by_the_word_of_those_who_were_said_to_have_to_agree() {
    let two = Some(Quorum::TWO);
    let (asked, request) = thaw(freeze(two.clone()).digest());
    let [other, elsewhere] = [[9; 32], [8; 32]].map(Digest);
    let story = |asked: &[Body], thawed: Body| [&founding()[..], &[frozen(two.clone())], asked, &[thawed]].concat();
    assert_eq!(complaints(&story(&asked, thawed(two.clone(), Some(request)))), Vec::<String>::new());
    let wrong_freeze = Body::HostThawed { freeze: other, host: "db-1".to_owned(), request: None, uid: 7 };
    let (of_another, by_another) = thaw(elsewhere);
    for (story, expected) in [
        (story(&[], thawed(two.clone(), None)), "Authorisation: thawed without 2 people, which it took"),
        (story(&[], thawed(two.clone(), Some(request))), "Authorisation: thawed without the approval that it names"),
        (
            story(&asked[..asked.len() - 1], thawed(two.clone(), Some(request))),
            "Authorisation: thawed without the approval that it names",
        ),
        (
            story(&of_another, thawed(two.clone(), Some(by_another))),
            "Authorisation: thawed by an approval of something else",
        ),
        (story(&asked, wrong_freeze), "Completeness: thawed, and the log does not show what was frozen"),
        (vec![thawed(None, None)], "Completeness: thawed, and the log does not show what was frozen"),
        (vec![frozen(None), frozen(Some(Quorum::TWO))], "Completeness: frozen anew, and nobody had thawed it"),
    ] {
        assert_eq!(complaints(&story), [expected]);
    }
}
