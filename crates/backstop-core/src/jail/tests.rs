use proptest::prelude::*;

use super::*;
use crate::audit::Body;
use crate::bytes::Bytes;
use crate::classes::Classes;
use crate::facts::Facts;

const NOW: i64 = 1_795_364_400;

fn at(secs: i64) -> Timestamp {
    Timestamp::new(NOW + secs, 0)
}

fn class(to: &str) -> Class {
    Class { does: Does::Loses, own: false, to: to.to_owned() }
}

fn session(name: &str) -> Key {
    Key::Session { session: Bytes::from(name), uid: 1000 }
}

/// A denied try of a session of one agent in one workspace.
fn tried(name: &str, to: &str, effect: u8) -> Offence {
    let keys = [
        session(name),
        Key::Agent { agent: "claude".into(), uid: 1000 },
        Key::Workspace { uid: 1000, workspace: "/w".into() },
    ];
    Offence {
        classes: [class(to)].into(),
        effect: Some(Digest([effect; 32])),
        how: How::Denied,
        keys: keys.into(),
        run: Some(RunId::from_number(7)),
    }
}

fn count(jail: &mut Jail, secs: i64, offence: Offence) -> Option<Ban> {
    jail.count(at(secs), offence, &Rules::default(), Some(&Quorum::TWO))
}

#[test]
fn so_many_of_one_class_in_time_are_a_ban_whatever_the_effect_and_not_before() {
    let mut jail = Jail::default();
    for n in 0..4 {
        assert_eq!(count(&mut jail, n, tried("s", "database", n as u8)), None);
    }
    // Of another class, and of one whose time is over by then.
    assert_eq!(count(&mut jail, 5, tried("s", "system", 9)), None);
    let ban = count(&mut jail, 6, tried("s", "database", 5)).expect("a ban");
    assert_eq!((&ban.key, ban.level, ban.until), (&session("s"), Level::Asks, Some(at(3_606))));
    assert_eq!(ban.classes, [class("database")].into());
    assert_eq!((ban.times, &ban.quorum), (0, &None));
    let mut slow = Jail::default();
    for n in 0..20 {
        assert_eq!(count(&mut slow, n * 151, tried("s", "database", n as u8)), None, "four in ten minutes");
    }
}

#[test]
fn a_question_counts_where_the_same_effect_comes_back() {
    let asked = |effect: u8| Offence { how: How::Asked, ..tried("s", "outside", effect) };
    let mut jail = Jail::default();
    for n in 0..40 {
        assert_eq!(count(&mut jail, n, asked(n as u8)), None, "forty different ones");
    }
    for _ in 0..4 {
        assert_eq!(count(&mut jail, 41, asked(3)), None);
    }
    assert!(count(&mut jail, 42, asked(3)).is_some(), "and five of them again");
    // Under a ban as well.
    assert_eq!(count(&mut jail, 43, asked(77)), None);
    assert_eq!(jail.bans[0].again, 0);
    assert_eq!(count(&mut jail, 44, asked(77)), None);
    assert_eq!(jail.bans[0].again, 1);
    let unknown = Offence { effect: None, ..asked(0) };
    assert_eq!(count(&mut jail, 45, unknown.clone()), None);
    assert_eq!(count(&mut jail, 46, unknown), None);
    assert_eq!(jail.bans[0].again, 1, "what has no name does not come back");
}

#[test]
fn under_a_ban_the_level_rises_and_what_nothing_ends_takes_its_quorum() {
    let mut jail = Jail::default();
    let bans: Vec<Ban> = (0..60).filter_map(|n| count(&mut jail, n, tried("s", "database", n as u8))).collect();
    let levels: Vec<Level> = bans.iter().map(|b| b.level).collect();
    assert_eq!(levels, [Level::Asks, Level::ReadOnly, Level::Frozen, Level::Locked]);
    let lasts: Vec<Option<i64>> = bans.iter().map(|b| b.until.map(|u| u.secs - b.at.secs)).collect();
    assert_eq!(lasts, [Some(3_600), Some(7_200), None, None]);
    let takes: Vec<bool> = bans.iter().map(|b| b.quorum.is_some()).collect();
    assert_eq!(takes, [false, false, true, true]);
    assert_eq!(jail.bans(at(90 * 86_400)).count(), 1, "people alone end it");
    assert_eq!(jail.on(&[session("s")].into(), at(60)).map(|b| b.level), Some(Level::Locked));
    assert_eq!(jail.on(&[session("t")].into(), at(60)), None);
}

#[test]
fn who_calls_its_session_another_name_is_known_by_something_wider() {
    let mut jail = Jail::default();
    let bans: Vec<Key> = (0..100)
        .filter_map(|n| count(&mut jail, n, tried(&format!("s{n}"), "database", n as u8)))
        .map(|ban| ban.key)
        .collect();
    let agent = Key::Agent { agent: "claude".into(), uid: 1000 };
    assert_eq!(bans, vec![agent; 4], "banned once, and raised to the end");
    let of_another = Offence { keys: [session("s1")].into(), ..tried("s1", "database", 0) };
    assert!(jail.on(&of_another.keys, at(100)).is_none(), "who only has the name is not it");
}

#[test]
fn one_wild_session_is_no_reason_to_ban_others_and_two_are() {
    let mut jail = Jail::default();
    let tries = |jail: &mut Jail, name: &str, n: i64| -> Vec<(Key, Level)> {
        let bans = (0..n).filter_map(|n| count(jail, n, tried(name, "database", n as u8)));
        bans.map(|ban| (ban.key, ban.level)).collect()
    };
    assert_eq!(tries(&mut jail, "wild", 40).len(), 4);
    assert_eq!(tries(&mut jail, "second", 4), []);
    assert_eq!(tries(&mut jail, "second", 1), [(session("second"), Level::Asks)]);
    let agent = Key::Agent { agent: "claude".into(), uid: 1000 };
    assert_eq!(tries(&mut jail, "third", 1), [(agent, Level::Asks)]);
}

#[test]
fn a_ban_that_ended_makes_the_next_one_longer_up_to_a_limit_and_a_week_forgets() {
    let rules = Rules { longest_minutes: 150, ..Rules::default() };
    let mut jail = Jail::default();
    let mut now = 0;
    let mut next = |pause: i64, jail: &mut Jail| {
        now += pause;
        let bans = (0..5).filter_map(|n| jail.count(at(now + n), tried("s", "database", n as u8), &rules, None));
        let ban = bans.last().expect("a ban");
        now += 5;
        (ban.times, ban.until.expect("an end").secs - ban.at.secs)
    };
    assert_eq!(next(0, &mut jail), (0, 3_600));
    assert_eq!(next(4_000, &mut jail), (1, 7_200));
    assert_eq!(next(8_000, &mut jail), (2, 9_000));
    assert_eq!(next(9_001 + 7 * 86_400, &mut jail), (0, 3_600));
    assert_eq!(Rules::default().span(u32::MAX), 7 * 86_400, "and no number is too large");
}

#[test]
fn people_end_a_ban_by_its_name_and_then_it_begins_anew() {
    let mut jail = Jail::default();
    let bans: Vec<Ban> = (0..10).filter_map(|n| count(&mut jail, n, tried("s", "database", n as u8))).collect();
    let [first, second] = &bans[..] else { panic!("{bans:?}") };
    assert_eq!(jail.unsaid(), std::slice::from_ref(second));
    jail.said(second.digest());
    assert_eq!(jail.unsaid(), []);
    assert!(!jail.clear(first.digest()), "it is another one by now");
    assert!(jail.clear(second.digest()));
    assert!(!jail.clear(second.digest()));
    for n in 20..24 {
        assert_eq!(count(&mut jail, n, tried("s", "database", n as u8)), None);
    }
    assert_eq!(count(&mut jail, 25, tried("s", "database", 25)).map(|b| (b.level, b.times)), Some((Level::Asks, 0)));
}

#[test]
fn each_level_has_its_answer_and_that_names_what_is_closed() {
    let ban = |level| Ban {
        at: at(0),
        classes: [class("database")].into(),
        key: session("s1"),
        level,
        quorum: None,
        times: 0,
        until: Some(at(60)),
    };
    let other: BTreeSet<Class> = [class("workspace")].into();
    let same: BTreeSet<Class> = [class("database"), class("system")].into();
    for (level, classes, decision, why) in [
        (
            Level::Asks,
            &same,
            Decision::Deny,
            "losing database is closed to the session s1 of user 1000, in whatever spelling \
             (until 2026-11-22T16:21:00Z)",
        ),
        (
            Level::ReadOnly,
            &same,
            Decision::Deny,
            "losing database is closed to the session s1 of user 1000, in whatever spelling, and so is every change \
             (until 2026-11-22T16:21:00Z)",
        ),
        (
            Level::Asks,
            &other,
            Decision::Ask,
            "the session s1 of user 1000 is banned for trying losing database too often: a person looks at each \
             change (until 2026-11-22T16:21:00Z)",
        ),
        (
            Level::ReadOnly,
            &other,
            Decision::Deny,
            "the session s1 of user 1000 is banned, and read-only: it tried losing database too often \
             (until 2026-11-22T16:21:00Z)",
        ),
    ] {
        let reason = ban(level).judge(classes);
        assert_eq!((reason.decision, reason.why.as_str()), (decision, why));
        assert!(reason.next.expect("a next step").contains(&ban(level).code()));
    }
}

#[test]
fn an_effect_is_of_protected_kinds_else_outside_else_what_there_is() {
    let classes = Classes::new(&[]);
    let of = |touched: &[&str], losing: &[&str]| {
        let set = |all: &[&str]| all.iter().map(|c| (*c).to_owned()).collect();
        let facts = Facts { classes: set(touched), losing: set(losing), ..Facts::default() };
        Class::of(&facts, &classes).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of(&["database", "outside", "workspace"], &["database", "outside"]), ["losing database"]);
    assert_eq!(of(&["outside", "workspace"], &["outside"]), ["losing what lies outside its workspace"]);
    assert_eq!(of(&["outside", "workspace"], &[]), ["changing what lies outside its workspace"]);
    assert_eq!(
        of(&["regenerable", "workspace"], &["workspace"]),
        ["changing regenerable", "losing what lies in its workspace"]
    );
    assert_eq!(of(&[], &[]), Vec::<String>::new());
    assert_eq!(of(&["rules", "workspace"], &[]), ["changing rules"]);
    assert_eq!(of(&["mount:nfs", "outside"], &["mount:nfs", "outside"]), ["losing mount:nfs"]);
}

/// It counts, and work goes on.
#[test]
fn an_agents_own_places_are_never_closed_to_it() {
    let own = Class { own: true, ..class("workspace") };
    let mut jail = Jail::default();
    let bans: Vec<Ban> = (0..5)
        .filter_map(|n| {
            let tried = Offence { classes: [own.clone()].into(), ..tried("s", "workspace", n as u8) };
            count(&mut jail, i64::from(n), tried)
        })
        .collect();
    assert_eq!(bans[0].judge(&[own.clone()].into()).decision, Decision::Ask);
    let stricter = Ban { level: Level::ReadOnly, ..bans[0].clone() };
    assert_eq!(stricter.judge(&[own].into()).rule, READ_ONLY);
}

#[test]
fn what_people_let_through_after_all_and_what_a_ban_was_made_of_counts_no_more() {
    let mut jail = Jail::default();
    let held = |n: u32| Offence { how: How::Held, run: Some(RunId::from_number(n)), ..tried("s", "database", n as u8) };
    for n in 0..8 {
        assert_eq!(count(&mut jail, n.into(), held(n)), None, "each is let through");
        assert!(jail.forgive(RunId::from_number(n)) && !jail.forgive(RunId::from_number(n)));
    }
    for n in 0..4 {
        assert_eq!(count(&mut jail, 9, Offence { effect: Some(Digest([99; 32])), ..held(n) }), None, "tried again");
    }
    assert!(jail.forgive(RunId::from_number(3)));
    assert_eq!(jail.counted.len(), 0, "the same, by the same");
    // A ban that is shorter than what is counted lasts: what it was made of is paid.
    let rules = Rules { find_minutes: 60, ban_minutes: 1, ..Rules::default() };
    let mut tries = |from: i64, n: i64| -> Vec<i64> {
        let made = |n: &i64| jail.count(at(from + n), tried("s", "database", 0), &rules, None).is_some();
        (0..n).filter(made).collect()
    };
    assert_eq!(tries(10, 5), [4]);
    assert_eq!(tries(100, 5), [4]);
}

#[test]
fn what_the_log_tells_is_what_was_counted() {
    let (mut kept, mut told) = (Jail::default(), Jail::default());
    for n in 0..13 {
        let ban = count(&mut kept, n, tried("s", "database", n as u8));
        told.tell(at(n), Body::JailCounted { offence: tried("s", "database", n as u8) });
        if let Some(ban) = ban {
            kept.said(ban.digest());
            told.tell(at(n), Body::JailBanned { ban, host: "db-1".to_owned() });
        }
    }
    assert_eq!(told, kept);
}

#[test]
fn how_a_run_counts_is_by_what_came_of_it_and_what_policy_alone_says() {
    use Decision::{Ask, Deny, TwoPerson};
    let law = |decision, rule: &str| Judgement::of(vec![Reason::new(decision, rule)]);
    let free = || Judgement::of(Vec::new());
    for (law, closed, came, expected) in [
        (law(Deny, "protected"), false, Came::Denied, Some(How::Denied)),
        (law(Deny, "repeats-denied"), false, Came::Denied, Some(How::Denied)),
        (law(Deny, "policy-error"), false, Came::Denied, None),
        (law(Deny, "policy-not-loaded"), false, Came::Denied, None),
        (law(Ask, "outside"), true, Came::Denied, Some(How::Denied)),
        (free(), true, Came::Denied, Some(How::Denied)),
        (law(Ask, "outside"), false, Came::Denied, None),
        (law(Ask, "outside"), false, Came::Waits, Some(How::Asked)),
        (law(Ask, "outside"), false, Came::GivenUp, Some(How::Denied)),
        (law(Ask, "outside"), false, Came::Through, None),
        (law(TwoPerson, "database"), false, Came::Waits, Some(How::Held)),
        (free(), false, Came::Waits, None),
        (free(), false, Came::GivenUp, None),
        (free(), false, Came::Through, None),
    ] {
        assert_eq!(How::of(&law, closed, came), expected, "{law:?} {closed} {came:?}");
    }
}

#[test]
fn every_part_of_a_ban_is_in_its_name() {
    let plain = Ban {
        at: at(0),
        classes: [class("database")].into(),
        key: session("s"),
        level: Level::Asks,
        quorum: None,
        times: 0,
        until: Some(at(60)),
    };
    let mut all = vec![
        plain.clone(),
        Ban { at: at(1), ..plain.clone() },
        Ban { classes: [class("system")].into(), ..plain.clone() },
        Ban { key: session("t"), ..plain.clone() },
        Ban { level: Level::ReadOnly, ..plain.clone() },
        Ban { quorum: Some(Quorum::TWO), ..plain.clone() },
        Ban { times: 1, ..plain.clone() },
        Ban { until: None, ..plain },
    ];
    assert!(all.iter().all(|b| canon::is_canonical(&canon::line(b))));
    let count = all.len();
    all.sort_by_key(Ban::digest);
    all.dedup_by_key(|b| b.digest());
    assert_eq!(all.len(), count);
}

#[test]
fn only_so_much_is_remembered() {
    let mut jail = Jail::default();
    for n in 0..5_000 {
        let keys = [session(&n.to_string())].into();
        assert_eq!(count(&mut jail, 0, Offence { keys, ..tried("s", "database", 0) }), None);
    }
    assert_eq!(jail.counted.len(), 1_024);
}

proptest! {
    /// Whatever is tried, in whatever order and at whatever times: nobody is banned for less than it takes, what stands
    /// only gets stricter until it ends, and a clock that is set back lets nothing out.
    #[test]
    fn bans_only_get_stricter_and_take_what_they_take(
        tries in prop::collection::vec((0_u8..3, 0_u8..3, 0_u8..4, -100_i64..400), 1..120)
    ) {
        let rules = Rules { most: 3, ..Rules::default() };
        let mut jail = Jail::default();
        let mut now = 0;
        let mut made = 0;
        for (name, to, how, step) in &tries {
            now += step;
            let how = [How::Asked, How::Denied, How::Held, How::Denied][usize::from(*how)];
            let before: Vec<Ban> = jail.bans(at(now)).cloned().collect();
            let offence = Offence { how, ..tried(&format!("s{name}"), ["a", "b", "c"][usize::from(*to)], *to) };
            let ban = jail.count(at(now), offence.clone(), &rules, None);
            for old in &before {
                let now_is = jail.bans(at(now)).find(|b| b.key == old.key);
                prop_assert!(now_is.is_some_and(|b| b.level >= old.level && b.classes.is_superset(&old.classes)));
            }
            if let Some(ban) = ban {
                made += 1;
                prop_assert!(offence.keys.contains(&ban.key) && !ban.classes.is_empty());
            }
        }
        prop_assert!(made * 3 <= tries.len(), "{made} of {}", tries.len());
    }
}
