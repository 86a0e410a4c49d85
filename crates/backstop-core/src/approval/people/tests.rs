use super::super::made_up::{NOON, approved, enrol, key, three, token};
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
        Change::AddKey { id: "anna".to_owned(), key: key(9) },
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
    let add = Change::AddKey { id: "anna".to_owned(), key: key(9) };
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
        (Change::AddKey { id: id(), key: key(2) }, PeopleError::Shared { key: print.clone(), whose: "ben".to_owned() }),
        (
            Change::AddKey { id: id(), key: key(1) },
            PeopleError::Shared { key: people.member("anna").expect("there").credentials[0].id.clone(), whose: id() },
        ),
        (Change::AddKey { id: id(), key: "x".to_owned() }, PeopleError::Key(KeyError::Unreadable)),
        (Change::Remove { id: "dora".to_owned() }, PeopleError::Unknown("dora".to_owned())),
        (
            Change::RemoveKey { id: id(), key: print.clone() },
            PeopleError::NoSuchKey { key: print.clone(), whose: id() },
        ),
        (
            Change::AddKey { id: id(), key: token(2) },
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
fn a_change_is_named_by_what_it_is_where_and_when() {
    let people = three();
    let change = enrol("dora", 4, &["dba"], 4);
    let elsewhere = People { host: "db-2".to_owned(), ..three() };
    let later = People { revision: 4, ..three() };
    let named = [people.request(&enrol("dora", 5, &["dba"], 4)), elsewhere.request(&change), later.request(&change)];
    assert!(!named.contains(&people.request(&change)));
}

#[test]
fn the_store_is_canonical() {
    let bytes = canon::line(&three());
    assert!(canon::is_canonical(&bytes), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(serde_json::from_slice::<People>(&bytes).expect("read"), three());
}
