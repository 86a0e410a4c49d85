//! Stories in which somebody is banned: honest ones, and each way to lie about one.

use super::approvals::{founding, let_go};
use super::*;
use crate::approval::matter::Matter;
use crate::jail::{Class, Does, How, Key, Level};

fn lost() -> Class {
    Class { does: Does::Loses, own: false, to: "database".to_owned() }
}

fn session() -> Key {
    Key::Session { session: "s".into(), uid: 1000 }
}

/// Of the session that asks in these tests.
pub fn ban(quorum: Option<Quorum>) -> Ban {
    let until = quorum.is_none().then(|| Timestamp::new(at().secs + 3_600, 0));
    let level = if quorum.is_some() { Level::Frozen } else { Level::Asks };
    Ban { at: at(), classes: [lost()].into(), key: session(), level, quorum, times: 0, until }
}

pub fn offence() -> Offence {
    let keys = [session(), Key::Starter { uid: 1001 }];
    let run = Some(run());
    Offence { classes: [lost()].into(), effect: Some(digest()), how: How::Denied, keys: keys.into(), run }
}

fn banned(ban: Ban) -> Body {
    Body::JailBanned { ban, host: "db-1".to_owned() }
}

fn cleared(ban: &Ban, request: Option<Digest>) -> Body {
    Body::JailCleared { ban: ban.digest(), host: "db-1".to_owned(), request, uid: 7 }
}

#[test]
fn what_is_banned_lets_nothing_take_effect_by_rules_alone() {
    let rest = |decision, by| [rehearsed(1), judged(decision), committing(by), Body::RunCommitted { run: run() }];
    let (asked, allowed) = (rest(Decision::Ask, PERSON), rest(Decision::Allow, By::Rule));
    let (stands, ask) = ([banned(ban(None))], [requested()]);
    let none = Vec::<String>::new();
    let wrong = ["Authorisation: took effect by rules alone, and whoever asked was banned".to_owned()].to_vec();
    for (key, expected) in [
        (session(), &wrong),
        (Key::Agent { agent: "claude".into(), uid: 1000 }, &wrong),
        (Key::Workspace { uid: 1000, workspace: "/srv".into() }, &wrong),
        (Key::Account { uid: 1000 }, &wrong),
        (Key::Session { session: "s".into(), uid: 1001 }, &none),
        (Key::Session { session: "t".into(), uid: 1000 }, &none),
        (Key::Agent { agent: "codex".into(), uid: 1000 }, &none),
        (Key::Workspace { uid: 1000, workspace: "/srv/other".into() }, &none),
        (Key::Account { uid: 1001 }, &none),
    ] {
        let stands = [banned(Ban { key, ..ban(None) })];
        assert_eq!(&complaints(&[&stands[..], &ask, &allowed].concat()), expected, "{stands:?}");
    }
    assert_eq!(complaints(&[&stands[..], &ask, &asked].concat()), none, "by a person's word");
    assert_eq!(complaints(&[&ask[..], &stands, &allowed].concat()), none, "asked for before it");
    // Made anew meanwhile, it is another ban.
    let (ends, again) = ([cleared(&ban(None), None)], [banned(Ban { times: 1, ..ban(None) })]);
    let anew = [&stands[..], &ask, &allowed[..2], &ends, &again, &allowed[2..]].concat();
    assert_eq!(complaints(&anew), none, "judged between two bans");
    let raised = [banned(Ban { level: Level::ReadOnly, ..ban(None) })];
    assert_eq!(complaints(&[&stands[..], &ask, &raised, &allowed].concat()), wrong, "raised meanwhile");
    assert_eq!(complaints(&[&stands[..], &ends, &ask, &allowed].concat()), none, "after its end");
    let over = Ban { until: Some(at()), ..ban(None) };
    assert_eq!(complaints(&[&[banned(over)][..], &ask, &allowed].concat()), none, "ended by itself");
    // A clock that was ahead, and was set back, brings none back; nor does it make the next one milder.
    let (ahead, back) = (Timestamp::new(at().secs + 3_601, 0), at());
    let late = [(at(), banned(Ban { level: Level::ReadOnly, ..ban(None) })), (ahead, Body::RunHeld { run: run() })];
    let after = [banned(ban(None)), cleared(&ban(None), None)].into_iter().chain(ask.clone()).chain(allowed.clone());
    let mut story = Story::default();
    let all = late.into_iter().chain(after.map(|body| (back, body)));
    let wrong: Vec<String> = all.flat_map(|(at, body)| story.tell(at, &body)).map(|c| c.what).collect();
    assert_eq!(wrong, ["run.held without its request"]);
    // A person at a terminal names neither session nor agent.
    let Body::RunRequested { by, command, cwd, gid, net, run, uid, workspace, .. } = requested() else { panic!() };
    let (asker, session, reason, in_place) = (None, None, None, false);
    let bare = Body::RunRequested { asker, by, command, cwd, gid, in_place, net, reason, run, session, uid, workspace };
    let workspace = Ban { key: Key::Workspace { uid: 1000, workspace: "/srv".into() }, ..ban(None) };
    assert_eq!(complaints(&[&[banned(workspace), bare][..], &allowed].concat()), none);
}

#[test]
fn a_ban_ends_by_the_word_of_those_who_were_said_to_have_to_agree() {
    let clear = |ban: &Ban| {
        let ban = ban.digest();
        let_go(|asked_at| Matter::Clear { asked_at, asked_by: 1000, ban })
    };
    let (mild, strict) = (ban(None), ban(Some(Quorum::TWO)));
    let (asked, request) = clear(&strict);
    let (of_another, by_another) = clear(&mild);
    let story = |asked: &[Body], end: Body| [&founding()[..], &[banned(strict.clone())], asked, &[end]].concat();
    let none = Vec::<String>::new();
    assert_eq!(complaints(&story(&asked, cleared(&strict, Some(request)))), none);
    assert_eq!(complaints(&[banned(mild.clone()), banned(mild.clone()), cleared(&mild, None)]), none, "said twice");
    assert_eq!(complaints(&[banned(mild.clone()), banned(strict.clone())]), none, "raised");
    let other = Ban { classes: [Class { to: "system".to_owned(), ..lost() }].into(), ..mild.clone() };
    for (story, expected) in [
        (story(&[], cleared(&strict, None)), "Authorisation: a ban was ended without 2 people, which it took"),
        (
            story(&[], cleared(&strict, Some(request))),
            "Authorisation: a ban was ended without the approval that it names",
        ),
        (
            story(&of_another, cleared(&strict, Some(by_another))),
            "Authorisation: a ban was ended by an approval of something else",
        ),
        (vec![cleared(&mild, None)], "Completeness: a ban was ended that the log does not show"),
        (
            vec![banned(strict.clone()), banned(mild.clone())],
            "Authorisation: a ban was made milder, and nobody had ended it",
        ),
        (vec![banned(mild), banned(other)], "Authorisation: a ban was made milder, and nobody had ended it"),
    ] {
        assert_eq!(complaints(&story), [expected]);
    }
}
