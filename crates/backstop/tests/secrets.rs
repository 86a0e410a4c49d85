//! Secrets that agents type: not in the log, and still to be found by whoever knows one.

mod place;

use std::fs;

use place::{Place, text};

const SECRET: &str = "hunter2-correct-horse";

/// True where a file of the log has it.
fn in_the_log(place: &Place, what: &str) -> bool {
    let audit = place.at("state/backstop/audit");
    let files = fs::read_dir(audit).expect("a log").map(|e| e.expect("an entry").path()).filter(|p| p.is_file());
    files.into_iter().any(|p| {
        let bytes = fs::read(p).expect("read");
        bytes.windows(what.len()).any(|w| w == what.as_bytes())
    })
}

#[test]
fn what_is_secret_in_a_command_is_not_in_the_log_and_whoever_knows_it_finds_it() {
    let place = Place::new();
    let inner = format!("{} run --reason 'token={SECRET}' -- true --password {SECRET}", env!("CARGO_BIN_EXE_backstop"));
    for args in [
        &["run", "--session", "s", "-c", &format!("PGPASSWORD={SECRET} true; echo a > a")][..],
        &["run", "--session", "s", "--reason", &format!("password: {SECRET}"), "--", "true", "--password", SECRET],
        &["run", "--session", "s", "-c", &inner],
        &["run", "--session", "s", "-c", &format!("true https://me:{SECRET}@example.org/; echo b > b")],
    ] {
        place.say(args, 0);
    }
    assert_eq!((place.read("a"), place.read("b")), ("a\n".to_owned(), "b\n".to_owned()), "what runs is what was typed");
    assert!(!in_the_log(&place, SECRET));
    let found = place.fed(&["audit", "commitment"], format!("{SECRET}\n").as_bytes());
    let commitment = text(&found).trim().to_owned();
    assert!(commitment.starts_with("[secret:") && commitment.len() == 41, "{commitment}");
    let log = place.say(&["log", "--json", "--event", "run"], 0);
    assert_eq!(log.matches(&commitment).count(), 8, "{log}");
    // And as often as a program was given it.
    let log = place.say(&["log", "--json", "--event", "exec.ran"], 0);
    assert_eq!(log.matches(&commitment).count(), 8, "{log}");
    let shown = place.say(&["log", "--session", "s"], 0);
    assert!(shown.contains(&format!("PGPASSWORD={commitment} true; echo a > a")), "{shown}");
    // A record is its owner's, and what is run again is the command as it was.
    assert!(place.say(&["show", "@last", "--json"], 0).contains(SECRET));
    // A report is for others.
    let report = place.say(&["report", "--session", "s"], 0);
    assert!(!report.contains(SECRET) && report.contains(&commitment), "{report}");
    let html = place.say(&["report", "--session", "s", "--html"], 0);
    assert!(!html.contains(SECRET), "{html}");
    assert_eq!(place.say(&["audit", "verify"], 0).matches("holds").count(), 3);
    // Another log has another key, and nobody tells from one what is in the other.
    let other = Place::new();
    other.say(&["run", "--", "true"], 0);
    assert_ne!(text(&other.fed(&["audit", "commitment"], SECRET.as_bytes())).trim(), commitment);
    assert_eq!(place.fed(&["audit", "commitment"], b"\n").status.code(), Some(2));
}
