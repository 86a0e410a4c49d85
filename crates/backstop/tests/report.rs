//! What happened, for people who were not there: the log's own filters, and the report of an incident.

mod place;

use std::fs;

use place::Place;

/// A file is lost, in a session, and taken back; another run goes on.
fn incident() -> Place {
    let place = Place::new();
    fs::write(place.at("w/rows"), "rows\n".repeat(1000)).expect("written");
    place.say(&["run", "--session", "s1", "--reason", "clean up", "-c", "rm rows"], 0);
    place.say(&["undo", "@last"], 0);
    place.say(&["run", "--session", "s2", "-c", "echo other > other"], 0);
    place
}

#[test]
fn a_report_tells_it_from_the_records() {
    let place = incident();
    let first = place.ids().pop().expect("a run");
    let text = place.say(&["report", &first], 0);
    for part in [
        "# Incident report: one run",
        "verified by its own key: as it was written",
        "| command | rm rows |",
        "| said why | clean up (unchecked, in the caller's words) |",
        "| came back | all of it, at 2",
        "took it back",
        "`run.committed`",
        "| delete | ",
        "/w/rows` |",
        "| integrity | holds |",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("other"), "another's runs are not in it: {text}");
    let page = place.say(&["report", "--session", "s1", "--html"], 0);
    for part in ["<!doctype html>", "default-src 'none'", "<div style=\"width:100%\">", "<td>delete</td>", "session s1"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    let both = place.say(&["report", "--since", "1h"], 0);
    assert!(both.contains("rm rows") && both.contains("echo other"), "{both}");
    let twice = place.say(&["report", &first, &first], 0);
    assert_eq!(twice.matches("## ").count(), place.say(&["report", &first], 0).matches("## ").count());
    assert!(place.say(&["report", "--session", "nobody"], 2).contains("no such runs"));
    // What is kept of a run is believed only where the log says the same.
    let record = place.record(&first);
    let kept = fs::read_to_string(&record).expect("a record");
    fs::write(&record, kept.replace("\"undone\"", "\"denied\"")).expect("written");
    let text = place.say(&["report", &first], 1);
    assert!(text.contains("its record says denied, the log undone"), "{text}");
    fs::write(&record, kept).expect("written");
    // A log that was changed is what such a report begins with.
    let log = place.at("state/backstop/audit/000000000000.jsonl");
    let changed = fs::read_to_string(&log).expect("a log").replace("clean up", "clean UP");
    fs::write(&log, changed).expect("written");
    let text = place.say(&["report", &first], 1);
    assert!(text.contains("NOT AS IT SHOULD BE") && text.contains("| integrity | BROKEN |"), "{text}");
    assert!(text.contains("another command, place, account or session") || text.contains("run.committed"), "{text}");
}

#[test]
fn the_log_is_shown_by_run_kind_and_time() {
    let place = incident();
    let first = place.ids().pop().expect("a run");
    let names = |args: &[&str]| {
        let said = place.say(&[&["log", "--json"], args].concat(), 0);
        let name = |line: &str| {
            let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
            entry["body"].as_object().expect("a body").keys().next().expect("a name").clone()
        };
        said.lines().map(name).collect::<Vec<_>>()
    };
    let of_it = names(&["--run", &first]);
    assert_eq!(of_it.first().map(String::as_str), Some("run.requested"));
    assert_eq!(of_it.last().map(String::as_str), Some("run.undone"));
    assert_eq!(names(&["--run", &first, "--event", "run.committed"]), ["run.committed"]);
    assert!(place.say(&["log", "--event", "run.undo"], 2).contains("no entry of the log is called run.undo"));
    assert_eq!(names(&["--event", "run.undone", "--event", "audit"]), ["audit.started", "run.undone"]);
    assert!(names(&["--since", "1h"]).len() > 10);
    assert!(names(&["--since", "2000-01-01", "--until", "2000-01-02"]).is_empty());
    assert!(names(&["--until", "1h"]).is_empty());
    assert!(place.say(&["log", "--since", "yesterday"], 2).contains("not a moment like 2h"));
}
