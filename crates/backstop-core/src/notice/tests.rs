use super::*;
use crate::approval::made_up::{NOON, enrol};
use crate::approval::statement::Statement;
use crate::audit::tests::approvals::approved;
use crate::audit::{Clocks, PolicyFile};
use crate::freeze::Freeze;
use crate::jail::{Ban, Class, Does, Key, Level};
use crate::policy::law::Refusal;

fn entry(index: u64, body: Body) -> Entry {
    Entry { at: NOON, body, index, version: Entry::VERSION }
}

fn all() -> Vec<Notice> {
    let bodies = approved();
    let Body::ApprovalAsked { question } = bodies[0].clone() else { panic!("a question") };
    let ended = Body::ApprovalEnded { how: "expired".to_owned(), request: question.request, run: None };
    let changed = Body::PeopleChanged {
        change: enrol("carl", 3, &["dba"], 1003),
        digest: Digest([1; 32]),
        host: "db-1".to_owned(),
        made_at: NOON,
        request: None,
        revision: 3,
        uid: 0,
    };
    let told = |(n, body)| Notice::of(&entry(n, body), Some(&question), "db-1").expect("it is told");
    (7..).zip(bodies.into_iter().chain([ended, changed])).map(told).collect()
}

#[test]
fn people_are_told_what_is_asked_and_how_it_goes_on() {
    let told: Vec<String> = all().iter().map(Notice::title).collect();
    assert_eq!(
        told,
        [
            "[db-1] approval needed: would delete a file",
            "[db-1] anna approves: would delete a file",
            "[db-1] approved by anna, ben: would delete a file",
            "[db-1] expired, nothing took effect: would delete a file",
            "[db-1] changed: who may approve: enrol carl with 1 key; groups: dba; user accounts: 1003",
        ]
    );
    let asked = all()[0].text(Some("https://console.example/r"));
    for part in ["needs    2 people", "expires  ", "backstop approve ", "see      https://", "by answering"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(!all()[3].text(None).contains("backstop approve"));
    assert!(Notice::of(&entry(1, Body::RunHeld { run: RunId::from_number(7) }), None, "db-1").is_none());
}

#[test]
fn that_everything_stands_is_told_by_every_channel() {
    let freeze = |quorum| Freeze { accounts: [].into(), at: NOON, by: 7, quorum, reason: Some("odd\u{1b}[2J".into()) };
    let frozen = |quorum| Body::HostFrozen {
        ended: vec![RunId::from_number(8)],
        freeze: freeze(quorum),
        host: "db-1".to_owned(),
        stopped: vec![RunId::from_number(7)],
    };
    let thawed = Body::HostThawed { freeze: Digest([1; 32]), host: "db-1".to_owned(), request: None, uid: 7 };
    let told = |body| Notice::of(&entry(7, body), None, "db-1").expect("it is told");
    let [alone, two, over] = [frozen(None), frozen(Some(Quorum::TWO)), thawed].map(told);
    assert!([&alone, &two, &over].iter().all(|notice| notice.what.kind().is_none()));
    assert_eq!(
        [alone.text(None), two.text(None), over.text(None)],
        [
            "[db-1] FROZEN: everything of every agent was stopped by user account 7\n  reason   odd\\x1b[2J\n  \
             stands   1 run; 1 had to be ended\n  thaw     on db-1, one person at a terminal: backstop thaw\n\
             Nothing can be approved by answering this message.\n",
            "[db-1] FROZEN: everything of every agent was stopped by user account 7\n  reason   odd\\x1b[2J\n  \
             stands   1 run; 1 had to be ended\n  thaw     on db-1, 2 people: backstop thaw\n\
             Nothing can be approved by answering this message.\n",
            "[db-1] thawed: what was frozen goes on, by user account 7\n\
             Nothing can be approved by answering this message.\n",
        ]
    );
}

#[test]
fn that_somebody_is_banned_is_told_by_every_channel() {
    let ban = |until: Option<Timestamp>| Ban {
        at: NOON,
        classes: [Class { does: Does::Loses, own: false, to: "database\u{1b}".to_owned() }].into(),
        key: Key::Session { session: "s\u{202e}1".into(), uid: 1000 },
        level: if until.is_none() { Level::Frozen } else { Level::Asks },
        quorum: None,
        times: 0,
        until,
    };
    let host = || "db-1".to_owned();
    let banned = |until| Body::JailBanned { ban: ban(until), host: host() };
    let cleared = Body::JailCleared { ban: ban(None).digest(), host: host(), request: None, uid: 7 };
    let told = |body| Notice::of(&entry(7, body), None, "db-1").expect("it is told");
    let [mild, strict, over] = [banned(Some(NOON)), banned(None), cleared].map(told);
    assert!([&mild, &strict, &over].iter().all(|notice| notice.what.kind().is_none()));
    let (of_mild, of_strict) = (ban(Some(NOON)).code(), ban(None).code());
    let look = |code: &str| format!("  look     on db-1: backstop jail list, backstop jail clear {code}\n");
    let end = "Nothing can be approved by answering this message.\n";
    let title = "[db-1] BANNED: the session s\\u{202e}1 of user 1000\n";
    assert_eq!(
        [mild.text(None), strict.text(None), over.text(None)],
        [
            format!(
                "{title}  ban      {of_mild}\n  level    asks: a person is asked about every change\n  \
                 tried    losing database\\x1b\n  until    {NOON}\n{}{end}",
                look(&of_mild)
            ),
            format!(
                "{title}  ban      {of_strict}\n  level    frozen: what it runs stands, and nothing of it begins\n  \
                 tried    losing database\\x1b\n  until    people end it\n{}{end}",
                look(&of_strict)
            ),
            format!("[db-1] unbanned: the ban {of_strict} ended, by user account 7\n{end}"),
        ]
    );
}

#[test]
fn what_should_wake_somebody_is_told_with_what_it_is_worth() {
    let file = |layer| PolicyFile { digest: Digest([1; 32]), layer, name: "site.cedar".to_owned() };
    let loaded = |layer| Body::PolicyLoaded { digest: Digest([1; 32]), rules: 3, sources: vec![file(layer)] };
    let refused = |machine| Body::PolicyRefused {
        digest: Digest([1; 32]),
        fallback: false,
        machine,
        refusals: vec![Refusal {
            at: "call-me.cedar:1".to_owned(),
            id: None,
            next: "n".to_owned(),
            rule: "r".to_owned(),
            why: "an agent's words".to_owned(),
        }],
    };
    let run = RunId::from_number(7);
    let clocks = Clocks { awake: 1, boot: "b".to_owned(), up: 1 };
    let stalled = Body::ExportStalled { entry: 3, sink: "siem".to_owned(), why: "a stranger's words".to_owned() };
    let told = |body: Body| Notice::of(&entry(7, body), None, "db-1").map(|n| (n.title(), n.severity, n.what.kind()));
    for (body, title, severity, kind) in [
        (
            loaded(Layer::System),
            "[db-1] rules changed: 3 rules in force (01010101): site.cedar",
            Severity::Notice,
            Some(Kind::Policy),
        ),
        (
            refused(true),
            "[db-1] RULES REFUSED: this machine's rules can't be loaded, everything is denied",
            Severity::Error,
            Some(Kind::Policy),
        ),
        (
            Body::RunDenied { run },
            "[db-1] denied: r-000007, nothing of it took effect",
            Severity::Warning,
            Some(Kind::Denied),
        ),
        (
            Body::GuardStopped { clocks },
            "[db-1] GUARD STOPPED: the guard was stopped",
            Severity::Warning,
            Some(Kind::Guard),
        ),
        (
            Body::AuditRecovered { adopted: 1, cut: None, cut_bytes: 0 },
            "[db-1] log put right: 1 entries adopted, 0 B cut off",
            Severity::Warning,
            Some(Kind::Guard),
        ),
        (
            stalled,
            "[db-1] EXPORT STALLED: the audit log does not arrive by siem, from entry 3 on",
            Severity::Error,
            None,
        ),
    ] {
        assert_eq!(told(body), Some((title.to_owned(), severity, kind)));
    }
    assert!(told(loaded(Layer::Project)).is_none() && told(loaded(Layer::User)).is_none());
    assert!(told(refused(false)).is_none(), "of files that agents write nobody is woken");
    assert!(!Kind::USUAL.contains(&Kind::Denied), "what agents meet with every day is told where it is asked for");
}

#[test]
fn what_ends_a_matter_names_it_as_what_began_it() {
    let of = |what: What| Notice { code: Some("0a1b2c3d".to_owned()), what, ..Notice::test("db-1", NOON) }.matter();
    let name = |text: &str, over| Some((text.to_owned(), over));
    let sink = || "siem".to_owned();
    let frozen = What::Frozen { ended: 0, reason: String::new(), stopped: 0, takes: String::new() };
    let banned = What::Banned { ban: "12ab".to_owned(), level: String::new(), tried: String::new(), until: None };
    for (what, matter) in [
        (What::Asked { needs: String::new() }, name("request 0a1b2c3d", false)),
        (What::Ended { how: "denied".to_owned() }, name("request 0a1b2c3d", true)),
        (What::Approved { by: Vec::new(), broke_glass: None }, name("request 0a1b2c3d", true)),
        (frozen, name("frozen", false)),
        (What::Thawed, name("frozen", true)),
        (banned, name("ban 12ab", false)),
        (What::Cleared { ban: "12ab".to_owned() }, name("ban 12ab", true)),
        (What::Stalled { sink: sink() }, name("export siem", false)),
        (What::Resumed { sink: sink() }, name("export siem", true)),
        (What::Stopped, name("guard stopped", false)),
        (What::Started, name("guard stopped", true)),
        (What::Away { back: false }, name("guard away", false)),
        (What::Away { back: true }, name("guard away", true)),
        (What::Denied, None),
        (What::Test, None),
    ] {
        assert_eq!(of(what.clone()), matter, "{what:?}");
    }
    // A request that is not kept any more is over where it began.
    let gone = Body::ApprovalEnded { how: "expired".to_owned(), request: Digest([1; 32]), run: None };
    let gone = Notice::of(&entry(7, gone), None, "db-1").expect("it is told");
    assert_eq!((gone.host.as_str(), gone.matter().map(|(_, over)| over)), ("db-1", Some(true)));
    // What people call a ban by is the same where it begins and where it ends.
    let ban = Ban {
        at: NOON,
        classes: [].into(),
        key: Key::Account { uid: 7 },
        level: Level::Asks,
        quorum: None,
        times: 0,
        until: None,
    };
    let cleared = Body::JailCleared { ban: ban.digest(), host: "db-1".to_owned(), request: None, uid: 7 };
    let banned = Body::JailBanned { ban, host: "db-1".to_owned() };
    let [began, ended] = [banned, cleared].map(|b| Notice::of(&entry(7, b), None, "").and_then(|n| n.matter()));
    assert_eq!(began.map(|(name, _)| name), ended.map(|(name, _)| name));
}

#[test]
fn a_broken_glass_is_told_with_the_words_that_were_signed() {
    let bodies = approved();
    let (Body::ApprovalAsked { question }, Body::ApprovalClaimed { request, run, votes }) =
        (bodies[0].clone(), bodies[2].clone())
    else {
        panic!("a question and a claim: {bodies:?}")
    };
    let alone = |choice: Choice, ticket: Option<&str>| {
        let signed = Statement::parse(&votes[0].text).expect("a statement");
        let (reason, ticket) = (Some("the disk is full".to_owned()), ticket.map(str::to_owned));
        Vote { choice, text: Statement { choice, reason, ticket, ..signed }.text(), ..votes[0].clone() }
    };
    let glass = alone(Choice::BreakGlass, Some("INC-7"));
    let voted = |vote: Vote| Body::ApprovalVoted { reason: None, request, run, vote };
    let told = |body| Notice::of(&entry(7, body), Some(&question), "db-1").expect("it is told");
    let broken = told(voted(glass.clone()));
    assert_eq!(broken.title(), "[db-1] BREAK GLASS by anna alone (INC-7): would delete a file");
    assert!(broken.text(None).contains("reason   the disk is full\n"), "{}", broken.text(None));
    let claimed = told(Body::ApprovalClaimed { request, run, votes: vec![votes[1].clone(), glass] });
    let (by, broke_glass) = (vec!["ben".to_owned(), "anna".to_owned()], Some("anna".to_owned()));
    assert_eq!(claimed.what, What::Approved { by, broke_glass }, "names, and nothing else");
    assert_eq!(claimed.title(), "[db-1] approved by ben, anna (anna broke the glass): would delete a file");
    let reviewed = told(voted(alone(Choice::Unjustified, None)));
    assert_eq!(reviewed.title(), "[db-1] break glass found UNJUSTIFIED by anna: would delete a file");
}

#[test]
fn one_entry_is_one_notice_and_another_is_another() {
    let ids: std::collections::BTreeSet<String> = all().into_iter().chain(all()).map(|n| n.id).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn nothing_in_it_is_more_than_a_line_of_plain_text() {
    for bad in ["a\nb", "\u{202e}x", "tab\there", "\u{1b}[2J", "n\u{e4}me"] {
        let notice = Notice { summary: calm(bad), host: calm(bad), ..Notice::test("x", NOON) };
        assert!(notice.title().bytes().all(|b| (b' '..=b'~').contains(&b)), "{:?}", notice.title());
        let why = Delivery::reason(&bad.repeat(200));
        assert!(Delivery { attempts: 1, channel: "x".into(), entry: 0, failed: Some(why), with: 0 }.is_sound());
        let why = Some(bad.to_owned());
        assert!(!Delivery { attempts: 1, channel: "x".into(), entry: 0, failed: why, with: 0 }.is_sound());
    }
}

#[test]
fn what_is_always_told_is_told_and_nothing_else_but_rules_of_the_machine() {
    for body in crate::audit::tests::one_of_each() {
        let told = Notice::of(&entry(7, body.clone()), None, "db-1").is_some();
        let name = body.name();
        assert!(name.starts_with("policy.") || told == Notice::ALWAYS.contains(&name), "{name}");
    }
    for name in Notice::ALWAYS {
        assert!(Body::NAMES.contains(&name), "{name}");
    }
}
