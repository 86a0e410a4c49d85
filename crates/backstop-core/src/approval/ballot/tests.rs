use super::super::made_up::{NOON, approved, enrol, key, new_key, new_token, sign, sign_by_token, three, token};
use super::super::matter::Matter;
use super::super::people::{Change, Footing, PeopleError, SETTLING};
use super::super::statement::NAMESPACE;
use super::*;

fn question(people: u32, groups: &[(&str, u32)]) -> Question {
    let quorum = Quorum { groups: groups.iter().map(|(g, n)| ((*g).to_owned(), *n)).collect(), people };
    let digest = Digest([5; 32]);
    let run = crate::id::RunId::from_number(7);
    let matter = Matter::Run { asked: digest, effects: digest, facts: digest, law: None, plan: digest, run };
    Question {
        display: Digest([2; 32]),
        excluded: Excluded::default(),
        expires: after(1_800),
        host: "db-1".to_owned(),
        request: matter.request("db-1", (&quorum, Terms::default()), &Excluded::default()),
        matter,
        quorum,
        summary: "deletes 5 files".to_owned(),
        terms: Terms::default(),
    }
}

/// The same on other terms.
fn on(terms: Terms, question: Question) -> Question {
    let request = question.matter.request("db-1", (&question.quorum, terms), &question.excluded);
    Question { request, terms, ..question }
}

fn uids<const N: usize>(uids: [u32; N]) -> Excluded {
    Excluded { uids: uids.into(), ..Excluded::default() }
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::new(NOON.secs + seconds, 0)
}

fn print_of(n: u8) -> String {
    Key::parse(&key(n)).expect("a key").fingerprint()
}

/// What `person` signs with the key of a number, prepared by the ballot.
fn prepared(ballot: &mut Ballot, choice: Choice, person: &str, n: u8) -> Statement {
    let nonce = Nonce([ballot.issued.len() as u8; 32]);
    ballot.prepare(choice, person, &print_of(n), nonce, NOON)
}

/// The same, signed and cast a minute later.
fn cast(ballot: &mut Ballot, people: &People, choice: Choice, person: &str, n: u8) -> Result<(), Refusal> {
    let text = prepared(ballot, choice, person, n).text();
    ballot.cast(&text, &sign(n, NAMESPACE, text.as_bytes()), people, after(60)).map(|_| ())
}

fn open(have: &[&str], people: u32, groups: &[(&str, u32)]) -> Tally {
    Tally::Open {
        have: have.iter().map(|n| (*n).to_owned()).collect(),
        people,
        groups: groups.iter().map(|(g, n)| ((*g).to_owned(), *n)).collect(),
    }
}

#[test]
fn two_people_are_a_quorum_and_one_is_not() {
    let people = three();
    let mut ballot = Ballot::new(question(2, &[]));
    assert_eq!(ballot.tally(&people), open(&[], 2, &[]));
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    assert_eq!(ballot.tally(&people), open(&["anna"], 1, &[]));
    cast(&mut ballot, &people, Choice::ApproveOnce, "ben", 2).expect("a vote");
    assert_eq!(ballot.tally(&people), Tally::Met);
}

#[test]
fn a_person_with_two_keys_is_one_person() {
    let add = Change::AddKey { id: "anna".to_owned(), key: new_key("anna", 9) };
    let people = approved(&three(), &add, after(-2 * SETTLING)).expect("a key");
    let mut ballot = Ballot::new(question(2, &[]));
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    let again = cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 9);
    assert_eq!(again, Err(Refusal::Twice("anna".to_owned())));
    assert_eq!(ballot.tally(&people), open(&["anna"], 1, &[]));
}

#[test]
fn groups_have_to_be_there_as_well() {
    let people = three();
    let mut ballot = Ballot::new(question(2, &[("dba", 2)]));
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    cast(&mut ballot, &people, Choice::ApproveOnce, "ben", 2).expect("a vote");
    assert_eq!(ballot.tally(&people), open(&["anna", "ben"], 0, &[("dba", 1)]));
    cast(&mut ballot, &people, Choice::ApproveOnce, "carl", 3).expect("a vote");
    assert_eq!(ballot.tally(&people), Tally::Met);
}

#[test]
fn a_group_that_was_granted_today_does_not_count() {
    let grant = Change::Grant { group: "net".to_owned(), id: "ben".to_owned() };
    let mut ballot = Ballot::new(question(1, &[("net", 1)]));
    let people = approved(&three(), &grant, NOON).expect("a group");
    cast(&mut ballot, &people, Choice::ApproveOnce, "ben", 2).expect("a vote");
    assert_eq!(ballot.tally(&people), open(&["ben"], 0, &[("net", 1)]));
}

#[test]
fn a_no_wins_whenever_it_comes() {
    let people = three();
    for (first, second) in [(Choice::Deny, Choice::ApproveOnce), (Choice::ApproveOnce, Choice::Deny)] {
        let mut ballot = Ballot::new(question(1, &[]));
        cast(&mut ballot, &people, first, "anna", 1).expect("a vote");
        cast(&mut ballot, &people, second, "ben", 2).expect("a vote");
        let no = if first == Choice::Deny { "anna" } else { "ben" };
        assert_eq!(ballot.tally(&people), Tally::Denied(no.to_owned()));
    }
    let mut ballot = Ballot::new(question(2, &[]));
    let nothing = cast(&mut ballot, &people, Choice::Revoke, "anna", 1);
    assert_eq!(nothing, Err(Refusal::NothingToRevoke("anna".to_owned())));
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    cast(&mut ballot, &people, Choice::Revoke, "anna", 1).expect("taken back");
    assert_eq!(ballot.tally(&people), Tally::Revoked("anna".to_owned()));
    assert_eq!(cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1), Err(Refusal::Twice("anna".to_owned())));
}

#[test]
fn who_asked_may_say_no_and_not_yes() {
    let people = three();
    for by_id in [true, false] {
        let mut question = question(1, &[]);
        if by_id {
            question.excluded.people.insert("anna".to_owned());
        } else {
            question.excluded.uids.insert(1001);
        }
        let mut ballot = Ballot::new(question);
        let own = cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1);
        assert_eq!(own, Err(Refusal::Own("anna".to_owned())));
        cast(&mut ballot, &people, Choice::Deny, "anna", 1).expect("a no");
    }
}

/// Every statement that is none for this question: its one difference, and the one reason.
#[test]
fn each_statement_that_does_not_fit_is_refused_by_its_own_reason() {
    type Edit = fn(&mut Statement);
    let people = three();
    let edits: [(Edit, Refusal); 10] = [
        (|s| s.host = "db-2".to_owned(), Refusal::Host { theirs: "db-2".to_owned(), ours: "db-1".to_owned() }),
        (|s| s.request = Digest([9; 32]), Refusal::Request),
        (|s| s.display = Digest([9; 32]), Refusal::Display),
        (|s| s.summary = "deletes nothing".to_owned(), Refusal::Summary),
        (|s| s.nonce = Nonce([99; 32]), Refusal::Nonce),
        (|s| s.expires = after(9_000), Refusal::Expired(after(1_800))),
        (|s| s.choice = Choice::Deny, Refusal::Altered),
        (|s| s.prepared_at = after(59), Refusal::Altered),
        (|s| s.person = "ben".to_owned(), Refusal::Altered),
        (|s| s.credential = print_of(2), Refusal::Altered),
    ];
    for (edit, why) in edits {
        let mut ballot = Ballot::new(question(2, &[]));
        let mut statement = prepared(&mut ballot, Choice::ApproveOnce, "anna", 1);
        edit(&mut statement);
        let text = statement.text();
        let signature = sign(1, NAMESPACE, text.as_bytes());
        let before = ballot.clone();
        assert_eq!(ballot.cast(&text, &signature, &people, after(60)).cloned(), Err(why), "{text}");
        assert_eq!(ballot, before);
    }
}

#[test]
fn a_statement_for_nobody_or_by_another_persons_key_is_refused() {
    let people = three();
    let wrong = |key: u8, person: &str| Refusal::Credential { key: print_of(key), person: person.to_owned() };
    for (person, n, why) in [
        ("dora", 1, Refusal::Stranger("dora".to_owned())),
        ("anna", 2, wrong(2, "anna")),
        ("ben", 1, wrong(1, "ben")),
        ("anna", 8, wrong(8, "anna")),
    ] {
        let mut ballot = Ballot::new(question(2, &[]));
        assert_eq!(cast(&mut ballot, &people, Choice::ApproveOnce, person, n), Err(why), "{person} {n}");
    }
}

#[test]
fn what_was_taken_away_counts_no_more() {
    let people = three();
    let mut ballot = Ballot::new(question(2, &[("dba", 1)]));
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    cast(&mut ballot, &people, Choice::ApproveOnce, "ben", 2).expect("a vote");
    assert_eq!(ballot.tally(&people), Tally::Met);
    let id = || "anna".to_owned();
    let without = |change: Change| approved(&people, &change, NOON).expect("a change");
    let gone = without(Change::Remove { id: id() });
    assert_eq!(ballot.tally(&gone), open(&["ben"], 1, &[("dba", 1)]));
    let ungrouped = without(Change::Withdraw { group: "dba".to_owned(), id: id() });
    assert_eq!(ballot.tally(&ungrouped), open(&["anna", "ben"], 0, &[("dba", 1)]));
    let rekeyed = without(Change::AddKey { id: id(), key: new_key("anna", 9) });
    let rekeyed = approved(&rekeyed, &Change::RemoveKey { id: id(), key: print_of(1) }, NOON);
    assert_eq!(ballot.tally(&rekeyed.expect("a change")), open(&["ben"], 1, &[("dba", 1)]));
    // A no stays, also that of somebody who left.
    let mut ballot = Ballot::new(question(1, &[]));
    cast(&mut ballot, &people, Choice::Deny, "anna", 1).expect("a no");
    assert_eq!(ballot.tally(&gone), Tally::Denied("anna".to_owned()));
}

#[test]
fn each_signature_that_does_not_hold_is_refused_by_its_own_reason() {
    let people = three();
    let mut ballot = Ballot::new(question(2, &[]));
    let text = prepared(&mut ballot, Choice::ApproveOnce, "anna", 1).text();
    let denial = prepared(&mut ballot, Choice::Deny, "anna", 1).text();
    for (signature, why) in [
        (sign(2, NAMESPACE, text.as_bytes()), SignatureError::OtherKey(print_of(2))),
        (sign(1, "file", text.as_bytes()), SignatureError::Namespace { ours: NAMESPACE, theirs: "file".to_owned() }),
        (sign(1, NAMESPACE, denial.as_bytes()), SignatureError::Forged),
        (String::new(), SignatureError::Unreadable),
    ] {
        let cast = ballot.cast(&text, &signature, &people, after(60)).cloned();
        assert_eq!(cast, Err(Refusal::Signature(why)), "{signature}");
    }
}

#[test]
fn time_and_a_second_use_are_seen() {
    let people = three();
    let mut ballot = Ballot::new(question(3, &[]));
    let text = prepared(&mut ballot, Choice::ApproveOnce, "anna", 1).text();
    let signature = sign(1, NAMESPACE, text.as_bytes());
    let at = |ballot: &mut Ballot, s| ballot.cast(&text, &signature, &people, after(s)).map(|_| ());
    assert_eq!(at(&mut ballot, 601), Err(Refusal::Stale(NOON)));
    assert_eq!(at(&mut ballot, 1_800), Err(Refusal::Expired(after(1_800))));
    assert_eq!(at(&mut ballot, 600), Ok(()));
    assert_eq!(at(&mut ballot, 600), Err(Refusal::Replayed));
}

#[test]
fn a_key_of_today_approves_nothing_and_a_stranger_says_nothing() {
    let people = three();
    let fresh = approved(&people, &enrol("dora", 4, &[], 4), NOON).expect("a person");
    let mut ballot = Ballot::new(question(2, &[]));
    let early = cast(&mut ballot, &fresh, Choice::ApproveOnce, "dora", 4);
    assert_eq!(early, Err(Refusal::Unsettled { key: print_of(4), from: after(SETTLING) }));
    cast(&mut ballot.clone(), &fresh, Choice::Deny, "dora", 4).expect("a no counts at once");
    let gone = approved(&people, &Change::Remove { id: "anna".to_owned() }, NOON).expect("taken out");
    assert_eq!(cast(&mut ballot, &gone, Choice::ApproveOnce, "anna", 1), Err(Refusal::Stranger("anna".to_owned())));
}

#[test]
fn a_store_with_another_key_under_the_fingerprint_is_not_believed() {
    let mut people = three();
    let anna = people.members.iter_mut().find(|m| m.id == "anna").expect("there");
    anna.credentials[0].key = key(9);
    let mut ballot = Ballot::new(question(2, &[]));
    let text = prepared(&mut ballot, Choice::ApproveOnce, "anna", 1).text();
    let theirs = ballot.cast(&text, &sign(9, NAMESPACE, text.as_bytes()), &people, after(60)).cloned();
    assert_eq!(theirs, Err(Refusal::Credential { key: print_of(1), person: "anna".to_owned() }));
}

#[test]
fn a_right_comes_from_a_quorum_in_time_and_is_to_one_change() {
    let people = three();
    let change = enrol("dora", 4, &[], 4);
    let matter = people.matter(&change, 0, NOON);
    let request = matter.request("db-1", (&Quorum::TWO, Terms::default()), &Excluded::default());
    let mut ballot = Ballot::new(Question { matter, request, ..question(2, &[]) });
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    assert_eq!(ballot.right(&people, after(60)), None);
    cast(&mut ballot, &people, Choice::ApproveOnce, "ben", 2).expect("a vote");
    assert_eq!(ballot.right(&people, after(1_800)), None, "too late");
    let right = ballot.right(&people, after(60)).expect("a right");
    let next = people.with(&change, Footing::Approved(&right), after(60)).expect("this very change");
    for (people, change) in [(&people, enrol("dora", 5, &[], 4)), (&next, enrol("dora", 4, &[], 4))] {
        let other = people.with(&change, Footing::Approved(&right), after(60));
        assert_eq!(other, Err(PeopleError::OtherRight));
    }
}

#[test]
fn what_was_kept_counts_as_before_and_what_was_altered_is_refused() {
    let people = three();
    let mut ballot = Ballot::new(question(2, &[]));
    let mut issued = Vec::new();
    for (person, n) in [("anna", 1), ("ben", 2)] {
        let text = prepared(&mut ballot, Choice::ApproveOnce, person, n).text();
        ballot.cast(&text, &sign(n, NAMESPACE, text.as_bytes()), &people, after(60)).expect("a vote");
        issued.push(text);
    }
    let restore = |votes: Vec<Vote>| Ballot::restore(question(2, &[]), &issued, votes);
    assert_eq!(restore(ballot.votes().to_vec()), Ok(ballot.clone()));
    let recounted = Ballot::recount(question(2, &[]), ballot.votes(), &people).expect("they hold");
    assert_eq!(recounted.right(&people, after(90)), ballot.right(&people, after(90)));
    type Alter = fn(&mut Vote);
    let cases: [Alter; 5] = [
        |v| v.person = "carl".to_owned(),
        |v| v.choice = Choice::Deny,
        |v| v.credential = print_of(3),
        |v| v.nonce = Nonce([9; 32]),
        |v| v.text = v.text.replace("anna", "carl"),
    ];
    for alter in cases {
        let mut votes = ballot.votes().to_vec();
        alter(&mut votes[0]);
        assert!(restore(votes).is_err());
    }
    let mut forged = ballot.votes().to_vec();
    forged[0].signature = forged[1].signature.clone();
    let kept = restore(forged.clone()).expect("its fields are its text's");
    assert_eq!(kept.tally(&people), open(&["ben"], 1, &[]), "the signature is checked whenever it is counted");
    let (who, why) = Ballot::recount(question(2, &[]), &forged, &people).expect_err("it doesn't hold");
    assert!(who == "anna" && matches!(why, Refusal::Signature(_)), "{why}");
    assert_eq!(kept.standing(&people).len(), 1);
    assert!(Ballot::restore(question(2, &[]), &[], ballot.votes().to_vec()).is_err(), "nothing was prepared");
    let other = Question { request: Digest([1; 32]), ..question(2, &[]) };
    assert!(Ballot::restore(other, &[], Vec::new()).is_err(), "the digest is not the question's");
}

#[test]
fn what_was_given_anew_since_does_not_count_for_an_older_vote() {
    let people = three();
    let mut ballot = Ballot::new(Question { excluded: uids([7]), ..question(2, &[("dba", 1)]) });
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    cast(&mut ballot, &people, Choice::ApproveOnce, "ben", 2).expect("a vote");
    assert_eq!(ballot.tally(&people), Tally::Met);
    let given =
        |changes: &[Change]| changes.iter().fold(people.clone(), |p, c| approved(&p, c, after(90)).expect("a change"));
    let id = || "anna".to_owned();
    let gone = given(&[Change::Remove { id: id() }, enrol("anna", 1, &["dba"], 1001)]);
    assert_eq!(ballot.tally(&gone), open(&["ben"], 1, &[("dba", 1)]), "a person who was enrolled anew");
    let dba = || "dba".to_owned();
    let regrouped = given(&[Change::Withdraw { group: dba(), id: id() }, Change::Grant { group: dba(), id: id() }]);
    assert_eq!(ballot.tally(&regrouped), open(&["anna", "ben"], 0, &[("dba", 1)]), "a group that was granted anew");
    let own = given(&[Change::Accounts { id: "ben".to_owned(), uids: [1002, 7].into() }]);
    assert_eq!(ballot.tally(&own), open(&["anna"], 1, &[]), "the account that asked turned out to be ben's");
    assert_eq!(ballot.standing(&own).len(), 1);
}

#[test]
fn whoever_something_is_taken_from_has_no_say_in_it() {
    let people = three();
    let of = |change: &Change| {
        let matter = people.matter(change, 0, NOON);
        let request = matter.request("db-1", (&Quorum::TWO, Terms::default()), &Excluded::default());
        Ballot::new(Question { matter, request, ..question(2, &[]) })
    };
    let id = || "anna".to_owned();
    let unheard = Err(Refusal::Unheard(id()));
    let mut removed = of(&Change::Remove { id: id() });
    for choice in [Choice::ApproveOnce, Choice::Deny] {
        assert_eq!(cast(&mut removed, &people, choice, "anna", 1), unheard);
    }
    for (person, n) in [("ben", 2), ("carl", 3)] {
        cast(&mut removed, &people, Choice::ApproveOnce, person, n).expect("a vote");
    }
    assert_eq!(removed.tally(&people), Tally::Met);
    // A key that was stolen has none; its owner has, by another.
    let add = Change::AddKey { id: id(), key: new_key("anna", 9) };
    let people = approved(&people, &add, after(-2 * SETTLING)).expect("a key");
    let mut rekeyed = of(&Change::RemoveKey { id: id(), key: print_of(1) });
    assert_eq!(cast(&mut rekeyed, &people, Choice::Deny, "anna", 1), unheard);
    cast(&mut rekeyed, &people, Choice::ApproveOnce, "anna", 9).expect("a vote");
}

/// What is said of a deed that was done alone, signed by a key of the number, a security key where `touched`.
fn said(
    ballot: &mut Ballot,
    people: &People,
    choice: Choice,
    (person, n, touched): (&str, u8, bool),
    at: i64,
) -> Result<(), Refusal> {
    let line = if touched { token(n) } else { key(n) };
    let print = Key::parse(&line).expect("a key").fingerprint();
    let nonce = Nonce([ballot.issued.len() as u8; 32]);
    let said = |key: &'static str, text: &'static str| Some(text).filter(|_| choice.grounds().contains(&key));
    let word = Word::with(choice, said("reason", "the disk is full"), said("ticket", "INC-7"));
    let text = ballot.prepare(word, person, &print, nonce, after(at)).text();
    let bytes = text.as_bytes();
    let signature = if touched { sign_by_token(n, NAMESPACE, bytes, 1) } else { sign(n, NAMESPACE, bytes) };
    ballot.cast(&text, &signature, people, after(at + 60)).map(|_| ())
}

#[test]
fn the_glass_is_broken_by_one_with_a_security_key_and_reviewed_by_another() {
    let add = Change::AddKey { id: "anna".to_owned(), key: new_token("anna", 9) };
    let people = approved(&three(), &add, after(-2 * SETTLING)).expect("a key");
    let glass = Terms { glass: true, ..Terms::default() };
    let (hard, soft) = (("anna", 9, true), ("anna", 1, false));
    let mut plain = Ballot::new(question(2, &[]));
    assert_eq!(said(&mut plain, &people, Choice::BreakGlass, hard, 0), Err(Refusal::NoGlass));
    let mut own = Ballot::new(on(glass, Question { excluded: uids([1001]), ..question(2, &[]) }));
    assert_eq!(said(&mut own, &people, Choice::BreakGlass, hard, 0), Err(Refusal::Own("anna".to_owned())));
    let mut ballot = Ballot::new(on(glass, question(3, &[("net", 2)])));
    let refused = said(&mut ballot, &people, Choice::BreakGlass, soft, 0);
    assert_eq!(refused, Err(Refusal::Software(print_of(1))));
    let early = said(&mut ballot, &people, Choice::Justified, ("ben", 2, false), 0);
    assert_eq!(early, Err(Refusal::NothingToReview));
    cast(&mut ballot, &people, Choice::ApproveOnce, "anna", 1).expect("a vote");
    let waits = ballot.clone();
    said(&mut ballot, &people, Choice::BreakGlass, hard, 0).expect("broken");
    assert_eq!(ballot.tally(&people), Tally::Met);
    assert!(ballot.right(&people, after(90)).is_some() && ballot.standing(&people).len() == 2);
    let twice = said(&mut ballot.clone(), &people, Choice::BreakGlass, hard, 0);
    assert_eq!(twice, Err(Refusal::Broken("anna".to_owned())));
    assert!(ballot.stands_on_glass(&people) && !waits.stands_on_glass(&people));
    // A no still wins, a key that was taken away counts no more, and it can be taken back.
    let mut denied = ballot.clone();
    cast(&mut denied, &people, Choice::Deny, "ben", 2).expect("a no");
    assert_eq!(denied.tally(&people), Tally::Denied("ben".to_owned()));
    let print = Key::parse(&token(9)).expect("a key").fingerprint();
    let without = approved(&people, &Change::RemoveKey { id: "anna".to_owned(), key: print }, NOON).expect("gone");
    assert_eq!(ballot.tally(&without), waits.tally(&without));
    let mut revoked = ballot.clone();
    cast(&mut revoked, &people, Choice::Revoke, "anna", 1).expect("taken back");
    assert_eq!(revoked.tally(&people), Tally::Revoked("anna".to_owned()));
    // Reviewed by another, once, also long after the request's time; and that changes nothing of what was done.
    let late = 9_000;
    let own = said(&mut ballot, &people, Choice::Justified, hard, late);
    assert_eq!(own, Err(Refusal::OwnReview("anna".to_owned())));
    said(&mut ballot, &people, Choice::Unjustified, ("ben", 2, false), late).expect("a review");
    let again = said(&mut ballot, &people, Choice::Justified, ("carl", 3, false), late);
    assert_eq!(again, Err(Refusal::Reviewed("ben".to_owned())));
    assert_eq!(ballot.tally(&people), Tally::Met);
    let kept = Ballot::recount(ballot.question().clone(), ballot.votes(), &people).expect("it holds");
    assert!(kept.broken().is_some_and(|v| v.person == "anna") && kept.reviewed().is_some_and(|v| v.person == "ben"));
    // Also by whoever owns the account that asked: nobody else may be there.
    let mut bens = Ballot::new(on(glass, Question { excluded: uids([1002]), ..question(2, &[]) }));
    said(&mut bens, &people, Choice::BreakGlass, hard, 0).expect("broken");
    said(&mut bens, &people, Choice::Justified, ("ben", 2, false), late).expect("a review");
    let late = said(&mut Ballot::new(on(glass, question(2, &[]))), &people, Choice::BreakGlass, hard, 1_800);
    assert_eq!(late, Err(Refusal::Expired(after(1_800))));
}

#[test]
fn whoever_is_alone_approves_after_a_day_and_denies_at_once() {
    let one = People::new("db-1").expect("a name");
    let one = one.with(&enrol("anna", 1, &[], 1001), Footing::Founding, NOON).expect("a founder");
    let opens = Some(after(86_400));
    let asked = on(Terms { glass: false, opens }, Question { expires: after(2 * 86_400), ..question(1, &[]) });
    assert!(asked.is_sound());
    let mut ballot = Ballot::new(asked.clone());
    let anna = ("anna", 1, false);
    let early = said(&mut ballot, &one, Choice::ApproveOnce, anna, 86_300);
    assert_eq!(early, Err(Refusal::Early(after(86_400))));
    said(&mut ballot.clone(), &one, Choice::Deny, anna, 0).expect("a no");
    said(&mut ballot, &one, Choice::ApproveOnce, anna, 86_400).expect("a vote");
    assert!(ballot.right(&one, after(86_500)).is_some());
    for unsound in [
        on(Terms::default(), asked.clone()),
        on(Terms { glass: true, opens }, asked.clone()),
        on(Terms { glass: false, opens }, Question { quorum: Quorum::TWO, ..asked.clone() }),
        Question { terms: Terms::default(), ..asked },
    ] {
        assert!(!unsound.is_sound(), "{unsound:?}");
    }
    let change = one.matter(&enrol("ben", 2, &[], 1002), 0, NOON);
    let glass = Terms { glass: true, ..Terms::default() };
    assert!(!on(glass, Question { matter: change, ..question(2, &[]) }).is_sound(), "not for who may approve");
}
