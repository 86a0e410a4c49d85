use super::super::ballot::Right;
use super::super::made_up::{NOON, approved, enrol, new_key, sign, three, token};
use super::*;

fn none() -> People {
    People::new("db-1").expect("a name")
}

#[test]
fn the_first_two_need_nobody_and_that_only_once() {
    let nobody = none();
    assert_eq!(approved(&nobody, &enrol("anna", 1, &[], 1), NOON), Err(PeopleError::Founded));
    let one = nobody.with(&enrol("anna", 1, &[], 1), Footing::Founding, NOON).expect("the first");
    assert!(!one.founded);
    let two = one.with(&enrol("ben", 2, &[], 2), Footing::Founding, NOON).expect("the second");
    assert!(two.founded);
    assert_eq!(two.with(&enrol("carl", 3, &[], 3), Footing::Founding, NOON), Err(PeopleError::Founded));
    // Nor can they become so few that it would begin anew.
    let fewer = approved(&two, &Change::Remove { id: "anna".to_owned() }, NOON);
    assert_eq!(fewer, Err(PeopleError::TooFew));
    assert_eq!(two.revision, 2);
    let none = one.with(&Change::Remove { id: "anna".to_owned() }, Footing::Founding, NOON).expect("taken back");
    assert!(none.members.is_empty() && !none.founded);
}

#[test]
fn before_they_are_two_keys_and_groups_are_not_given() {
    let one = none().with(&enrol("anna", 1, &[], 1), Footing::Founding, NOON).expect("the first");
    for change in [
        Change::AddKey { id: "anna".to_owned(), key: new_key("anna", 9) },
        Change::Grant { group: "dba".to_owned(), id: "anna".to_owned() },
    ] {
        assert_eq!(one.with(&change, Footing::Founding, NOON), Err(PeopleError::Founded), "{change:?}");
    }
}

#[test]
fn founders_count_at_once_and_later_gifts_after_a_day() {
    let people = three();
    let from = |people: &People, id: &str, at: usize| people.member(id).expect("there").credentials[at].from;
    assert!(from(&people, "anna", 0) < NOON);
    let add = Change::AddKey { id: "anna".to_owned(), key: new_key("anna", 9) };
    let next = approved(&people, &add, NOON).expect("a key");
    let later: Vec<_> = next.member("anna").expect("there").credentials.iter().map(|c| c.from).collect();
    assert!(later.contains(&Timestamp::new(NOON.secs + SETTLING, 0)), "{later:?}");
    let grant = Change::Grant { group: "net".to_owned(), id: "ben".to_owned() };
    let next = approved(&people, &grant, NOON).expect("a group");
    assert_eq!(next.member("ben").expect("there").groups["net"], Timestamp::new(NOON.secs + SETTLING, 0));
}

#[test]
fn what_is_wrong_with_a_change_is_said_and_nothing_is_done() {
    let people = three();
    let id = || "anna".to_owned();
    let group = || "dba".to_owned();
    let shared = enrol("dora", 2, &[], 9);
    let print = people.member("ben").expect("there").credentials[0].id.clone();
    for (change, why) in [
        (enrol("anna", 9, &[], 9), PeopleError::Taken(id())),
        (enrol("аnna", 9, &[], 9), PeopleError::Name("аnna".to_owned())),
        (enrol("dora", 9, &["d b a"], 9), PeopleError::Name("d b a".to_owned())),
        (enrol("dora", 9, &[], 1002), PeopleError::Account { uid: 1002, whose: "ben".to_owned() }),
        (shared, PeopleError::Shared { key: print.clone(), whose: "ben".to_owned() }),
        (
            Change::AddKey { id: id(), key: new_key("anna", 2) },
            PeopleError::Shared { key: print.clone(), whose: "ben".to_owned() },
        ),
        (
            Change::AddKey { id: id(), key: new_key("anna", 1) },
            PeopleError::Shared { key: people.member("anna").expect("there").credentials[0].id.clone(), whose: id() },
        ),
        (
            Change::AddKey { id: id(), key: NewKey { key: "x".to_owned(), proof: String::new() } },
            PeopleError::Key(KeyError::Unreadable),
        ),
        (Change::Remove { id: "dora".to_owned() }, PeopleError::Unknown("dora".to_owned())),
        (
            Change::RemoveKey { id: id(), key: print.clone() },
            PeopleError::NoSuchKey { key: print.clone(), whose: id() },
        ),
        (
            Change::AddKey { id: id(), key: NewKey { key: token(2), proof: String::new() } },
            PeopleError::Shared { key: Key::parse(&token(2)).expect("a key").fingerprint(), whose: "ben".to_owned() },
        ),
        (Change::Remove { id: "\u{1b}[2J".to_owned() }, PeopleError::Name("\u{1b}[2J".to_owned())),
        (Change::Withdraw { group: "\n".to_owned(), id: id() }, PeopleError::Name("\n".to_owned())),
        (Change::RemoveKey { id: "ben".to_owned(), key: print }, PeopleError::Keyless("ben".to_owned())),
        (Change::Grant { group: group(), id: id() }, PeopleError::In { group: group(), id: id() }),
        (
            Change::Withdraw { group: "net".to_owned(), id: id() },
            PeopleError::NotIn { group: "net".to_owned(), id: id() },
        ),
        (
            Change::Enrol { groups: BTreeSet::new(), id: "dora".to_owned(), keys: Vec::new(), uids: BTreeSet::new() },
            PeopleError::Keyless("dora".to_owned()),
        ),
    ] {
        assert_eq!(approved(&people, &change, NOON), Err(why), "{change:?}");
    }
}

#[test]
fn a_right_is_to_one_change_of_one_revision_on_one_machine() {
    let people = three();
    let change = enrol("dora", 4, &["dba"], 4);
    let other = |host: &str, matter| people.with(&change, Footing::Approved(&Right::made_up(host, matter)), NOON);
    let this = people.matter(&change, 0, NOON);
    assert!(other("db-1", this.clone()).is_ok());
    let later = People { revision: 4, ..three() };
    for (host, matter) in [
        ("db-2", this),
        ("db-1", people.matter(&enrol("dora", 5, &["dba"], 4), 0, NOON)),
        ("db-1", later.matter(&change, 0, NOON)),
    ] {
        assert_eq!(other(host, matter), Err(PeopleError::OtherRight));
    }
}

#[test]
fn the_store_is_canonical() {
    let bytes = canon::line(&three());
    assert!(canon::is_canonical(&bytes), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(serde_json::from_slice::<People>(&bytes).expect("read"), three());
}

#[test]
fn whoever_has_the_new_key_has_to_agree_and_to_this() {
    let people = three();
    let key = new_key("dora", 4);
    for (proof, why) in [
        (new_key("dora", 5).proof, SignatureError::OtherKey(print_of(5))),
        (new_key("eve", 4).proof, SignatureError::Forged),
        (
            sign(4, "approval@backstop", b"x"),
            SignatureError::Namespace { ours: ENROLMENT, theirs: "approval@backstop".to_owned() },
        ),
        (String::new(), SignatureError::Unreadable),
    ] {
        let keys = vec![NewKey { proof, ..key.clone() }];
        let change = Change::Enrol { groups: BTreeSet::new(), id: "dora".to_owned(), keys, uids: BTreeSet::new() };
        let refused = PeopleError::Proof { key: print_of(4), whose: "dora".to_owned(), why };
        assert_eq!(approved(&people, &change, NOON), Err(refused));
    }
    let elsewhere = People { host: "db-2".to_owned(), ..three() };
    let change = enrol("dora", 4, &[], 4);
    assert!(matches!(approved(&elsewhere, &change, NOON), Err(PeopleError::Proof { .. })), "for another machine");
    assert!(approved(&people, &change, NOON).is_ok());
}

fn print_of(n: u8) -> String {
    Key::parse(&super::super::made_up::key(n)).expect("a key").fingerprint()
}

#[test]
fn accounts_are_added_never_taken_away_and_one_persons() {
    let people = three();
    let say = |uids: &[u32]| Change::Accounts { id: "anna".to_owned(), uids: uids.iter().copied().collect() };
    let next = approved(&people, &say(&[7]), NOON).expect("a change");
    for uid in [7, 1001] {
        assert_eq!(next.of_account(uid).map(|m| m.id.as_str()), Some("anna"));
    }
    assert_eq!(approved(&next, &say(&[]), NOON).expect("a change").members, next.members);
    let taken = PeopleError::Account { uid: 1002, whose: "ben".to_owned() };
    assert_eq!(approved(&people, &say(&[1002]), NOON), Err(taken));
}

#[test]
fn a_store_that_no_change_could_have_made_is_not_read() {
    let good = three();
    assert_eq!(People::parse(&canon::line(&good)), Ok(good.clone()));
    assert_eq!(People::parse(&canon::line(&none())), Ok(none()));
    type Spoil = fn(&mut People);
    let cases: [(&str, Spoil); 12] = [
        ("version", |p| p.version = 2),
        ("name", |p| p.host = "a b".to_owned()),
        ("out of order", |p| p.members.reverse()),
        ("there twice", |p| p.members.insert(0, p.members[0].clone())),
        ("founded", |p| p.founded = false),
        ("founded", |p| p.members.truncate(1)),
        ("no key", |p| p.members[0].credentials.clear()),
        ("there twice", |p| {
            let twice = p.members[0].credentials[0].clone();
            p.members[0].credentials.push(twice);
        }),
        ("another name", |p| p.members[0].credentials[0].id = p.members[1].credentials[0].id.clone()),
        ("is there twice", |p| p.members[1].credentials = p.members[0].credentials.clone()),
        ("a key of anna", |p| p.members[0].credentials[0].key = "x".to_owned()),
        ("two people's", |p| p.members[1].uids = p.members[0].uids.clone()),
    ];
    for (part, spoil) in cases {
        let mut bad = good.clone();
        spoil(&mut bad);
        let why = People::parse(&canon::line(&bad)).expect_err(part);
        assert!(why.contains(part), "{part}: {why}");
    }
    let name = |p: &mut People, group: &str| p.members[0].groups.insert(group.to_owned(), NOON);
    let mut bad = good;
    name(&mut bad, "d b a");
    assert!(People::parse(&canon::line(&bad)).is_err());
    assert!(People::parse(b"{}").is_err() && People::parse(b"").is_err());
}
