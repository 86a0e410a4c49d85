use backstop_core::approval::ballot::Excluded;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::quorum::{Quorum, Terms};
use backstop_core::approval::statement::Choice;
use backstop_core::id::RunId;

use super::*;

const FINGERPRINT: &str = "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SHOWN: &str = "backstop asks for approval\n";

struct Scratch {
    _dir: tempfile::TempDir,
    store: Store,
    now: Timestamp,
}

fn scratch() -> Scratch {
    let dir = tempfile::tempdir().expect("a temp dir");
    let store = Store::open(&dir.path().join("state")).expect("opens");
    Scratch { _dir: dir, store, now: crate::clock::now() }
}

fn question(now: Timestamp) -> Question {
    let any = Digest([5; 32]);
    let run = RunId::from_number(7);
    let matter = Matter::Run { asked: any, effects: any, facts: any, law: None, plan: any, run };
    Question {
        display: Digest::of_content(SHOWN.as_bytes()),
        excluded: Excluded::default(),
        expires: Timestamp::new(now.secs + 1_800, 0),
        host: "db-1".to_owned(),
        request: matter.request("db-1", (&Quorum::TWO, Terms::default()), &Excluded::default()),
        matter,
        quorum: Quorum::TWO,
        summary: "would delete a file".to_owned(),
        terms: Terms::default(),
    }
}

impl Scratch {
    fn asked(&self) -> Request {
        let request = Request::make(&self.store, question(self.now), SHOWN, self.now).expect("made");
        request.publish().expect("asked");
        request
    }

    fn again(&self) -> Result<Request, Failure> {
        Request::load(&self.store, question(self.now).request).map(|r| r.expect("it is there"))
    }
}

#[test]
fn what_was_asked_and_prepared_is_there_again() {
    let scratch = scratch();
    assert!(Request::load(&scratch.store, question(scratch.now).request).expect("readable").is_none());
    assert!(all(&scratch.store).expect("listable").is_empty());
    let mut request = scratch.asked();
    let statement = request.prepare(Choice::ApproveOnce, "anna", FINGERPRINT, scratch.now).expect("prepared");
    let other = request.prepare(Choice::ApproveOnce, "anna", FINGERPRINT, scratch.now).expect("prepared");
    assert_ne!(statement.nonce, other.nonce);
    request.enter(Phase::Denied).expect("written");
    let again = scratch.again().expect("readable");
    assert_eq!((again.ballot, again.phase), (request.ballot, Phase::Denied));
    assert_eq!(again.issued, [statement.text(), other.text()]);
    assert_eq!(all(&scratch.store).expect("listable"), [question(scratch.now).request]);
    assert!(!Request::waits(&scratch.store, question(scratch.now).request).expect("known"));
    assert!(Request::make(&scratch.store, question(scratch.now), SHOWN, scratch.now).is_err(), "asked once");
}

#[test]
fn what_was_not_published_was_not_asked() {
    let scratch = scratch();
    Request::make(&scratch.store, question(scratch.now), SHOWN, scratch.now).expect("made");
    assert!(Request::load(&scratch.store, question(scratch.now).request).expect("readable").is_none());
}

#[test]
fn a_line_that_power_cut_off_is_none_and_swallows_none() {
    let scratch = scratch();
    let mut request = scratch.asked();
    let first = request.prepare(Choice::Deny, "anna", FINGERPRINT, scratch.now).expect("prepared");
    let path = request.path.join(ISSUED);
    let whole = fs::read(&path).expect("readable");
    fs::write(&path, [&whole[..], &whole[..whole.len() / 2]].concat()).expect("written");
    let mut again = scratch.again().expect("readable");
    assert_eq!(again.issued, [first.text()]);
    let second = again.prepare(Choice::Deny, "anna", FINGERPRINT, scratch.now).expect("prepared");
    assert_eq!(scratch.again().expect("readable").issued, [first.text(), second.text()]);
}

#[test]
fn what_was_changed_is_not_read() {
    for (what, name, from, to) in [
        ("another machine", ASKED, "db-1", "db-2"),
        ("fewer people", ASKED, "\"people\":2", "\"people\":1"),
        ("another effect", ASKED, "05050505", "06050505"),
        ("a newer version", ASKED, "\"version\":1", "\"version\":3"),
        ("no phase", PHASE, "pending", "perhaps"),
    ] {
        let scratch = scratch();
        let path = scratch.asked().path.join(name);
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).expect("written");
        assert!(scratch.again().is_err(), "{what}");
    }
    let scratch = scratch();
    let request = scratch.asked();
    assert_eq!(request.display().expect("its own"), SHOWN);
    fs::write(request.path.join(DISPLAY), "backstop asks for nothing\n").expect("written");
    assert!(request.display().expect_err("another text").what.contains("not the text"));
}

#[test]
fn a_clock_that_jumps_and_a_machine_that_starts_anew_are_told() {
    let scratch = scratch();
    let request = scratch.asked();
    let at = |seconds: i64| Timestamp::new(scratch.now.secs + seconds, 0);
    assert!(request.time_holds(crate::clock::now()).expect("known"));
    // The machine has not been running that much longer.
    assert!(!request.time_holds(at(120)).expect("known") && !request.time_holds(at(-120)).expect("known"));
    let path = request.path.join(ASKED);
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, text.replace(&request.asked.anchor.boot, "another")).expect("written");
    assert!(!scratch.again().expect("readable").time_holds(scratch.now).expect("known"));
}
