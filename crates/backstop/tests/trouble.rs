//! What the verbs say and do where something is damaged, too new, out of reach or cut short: each
//! test on the real pipeline, in a scratch directory with a state directory of its own.

mod place;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use place::{Place, text, until};

#[test]
fn one_damaged_record_hides_no_other_run() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        assert_eq!(place.output(&["run", "--", "touch", name]).status.code(), Some(0));
    }
    let ids = place.ids();
    fs::write(place.record(&ids[1]), "{\"half\":").expect("damaged");
    let output = place.output(&["runs"]);
    let listed = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(listed.contains(&ids[0]) && listed.contains(&ids[2]) && !listed.contains(&ids[1]), "{listed}");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains(&ids[1]) && said.contains("run.json is damaged") && said.contains("next"), "{said}");
    let document = place.json(&["runs", "--json"], 1);
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["unreadable"][0]["id"], ids[1].as_str());
    // By its name any other run can still be taken back; `--last` can't know what it would pass over.
    assert_eq!(place.output(&["undo", "--last", "1"]).status.code(), Some(125));
    assert_eq!(place.output(&["undo", &ids[0]]).status.code(), Some(0));
    assert!(!place.at("w/c").exists() && place.at("w/b").exists());
}

#[test]
fn what_a_newer_backstop_wrote_is_refused_and_left_alone() {
    let place = Place::new();
    assert_eq!(place.output(&["run", "--", "touch", "a"]).status.code(), Some(0));
    let record = place.record(&place.ids()[0]);
    let newer = fs::read_to_string(&record).expect("a record").replace("\"version\":1", "\"version\":2,\"what\":\"?\"");
    fs::write(&record, &newer).expect("written");
    for verb in [&["show", "@last"][..], &["undo", "@last"], &["retry", "@last"]] {
        let output = place.output(verb);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(125), "{verb:?}: {said}");
        assert!(said.contains("is of version 2") && said.contains("rule") && said.contains("next"), "{said}");
    }
    assert_eq!(fs::read_to_string(&record).expect("a record"), newer);
    assert!(place.at("w/a").exists());
    fs::write(place.at("state/backstop/version"), "2\n").expect("written");
    let output = place.output(&["run", "--", "touch", "b"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output).contains("version is of version 2") && !place.at("w/b").exists(), "{}", text(&output));
}

#[test]
fn a_vault_that_cannot_be_opened_is_named() {
    let place = Place::new();
    assert_eq!(place.output(&["run", "--", "touch", "a"]).status.code(), Some(0));
    let list = place.at("state/backstop/vaults.json");
    let known: serde_json::Value = serde_json::from_slice(&fs::read(&list).expect("a list")).expect("JSON");
    let id = known[0]["vault_id"].as_str().expect("an id").to_owned();
    let mut other = known[0].clone();
    other["vault_id"] = "0".repeat(32).into();
    let both = serde_json::json!([known[0], other]);
    fs::write(&list, both.to_string()).expect("written");
    let output = place.output(&["vault", "status"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("closed") && text(&output).contains("can't be opened"), "{}", text(&output));
    let document = place.json(&["vault", "status", "--json"], 0);
    assert_eq!(
        (document["volumes"].as_array().map(Vec::len), document["unreachable"].as_array().map(Vec::len)),
        (Some(1), Some(1)),
        "{id}"
    );
}

#[test]
fn a_dry_run_of_what_is_denied_shows_it_and_ends_well() {
    let place = Place::new();
    fs::write(place.at("home/thesis"), "years\n").expect("written");
    let home = place.at("home");
    let line = ["rm", "-rf", home.to_str().expect("UTF-8")];
    let denied = place.output(&[&["run", "--"], &line[..]].concat());
    assert_eq!(denied.status.code(), Some(77), "{}", text(&denied));
    let shown = place.json(&[&["run", "--dry-run", "--json", "--"], &line[..]].concat(), 0);
    assert_eq!(shown["record"]["state"], "dry-run");
    assert_eq!(shown["record"]["judgement"]["decision"], "deny");
    assert!(place.at("home/thesis").exists());
}

#[test]
fn what_was_only_shown_can_be_given_up_and_the_log_holds() {
    let place = Place::new();
    assert_eq!(place.output(&["run", "--dry-run", "--", "touch", "a"]).status.code(), Some(0));
    assert_eq!(place.output(&["discard", "@last"]).status.code(), Some(0));
    let verified = place.output(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
}

#[test]
fn retry_recover_and_prune_speak_json() {
    let place = Place::new();
    let held = place.json(&["run", "--hold", "--json", "--", "touch", "a"], 75);
    let id = held["record"]["id"].as_str().expect("an id");
    let again = place.json(&["retry", id, "--json"], 0);
    assert_eq!((again["record"]["state"].as_str(), again["exit_code"].as_u64()), (Some("committed"), Some(0)));
    assert_ne!(again["record"]["id"], id);
    assert!(place.at("w/a").exists());
    assert_eq!(place.json(&["recover", "--json"], 0), serde_json::json!({"recovered": [], "version": 1}));
    let pruned = place.json(&["vault", "prune", "--older-than", "0s", "--json"], 0);
    assert!(pruned["runs"].as_array().expect("a list").contains(&again["record"]["id"]), "{pruned}");
    assert!(pruned["bytes"].is_u64() && pruned["unreachable"] == serde_json::json!([]), "{pruned}");
}

#[test]
fn a_wait_that_runs_out_leaves_the_run_held() {
    let place = Place::new();
    let start = Instant::now();
    let output = place.output(&["run", "--hold", "--wait=2s", "--", "touch", "a"]);
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
    assert!(start.elapsed() >= Duration::from_secs(2), "it waited {:?}", start.elapsed());
    assert_eq!(place.output(&["commit", "@last"]).status.code(), Some(0), "held as before");
    assert!(place.at("w/a").exists());
}

#[test]
fn ctrl_c_while_it_rehearses_leaves_nothing() {
    let place = Place::new();
    let mut child =
        place.command(&["run", "-c", "touch a; touch ../ready; sleep 30; touch b"]).spawn().expect("starts");
    let uppers = || text(&Command::new("find").arg(place.at("")).args(["-name", "ready"]).output().expect("find"));
    until("it has begun", || !uppers().is_empty());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().expect("kill").success());
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(!place.at("w/a").exists() && !place.at("ready").exists());
    assert_eq!(place.output(&["run", "--", "touch", "c"]).status.code(), Some(0), "nothing is in the way");
}

/// Where rules and start-up files are reached by links, the links and what they lead to count as well.
#[test]
fn a_home_s_files_are_known_behind_links() {
    let place = Place::new();
    fs::create_dir_all(place.at("w/dots/.config")).expect("made");
    std::os::unix::fs::symlink("../w/dots/.config", place.at("home/.config")).expect("linked");
    std::os::unix::fs::symlink(place.at("w/dots/.bashrc"), place.at("home/.bashrc")).expect("linked");
    std::os::unix::fs::symlink("dots", place.at("w/way")).expect("linked");
    fs::create_dir(place.at("w/.backstop")).expect("made");
    fs::write(place.at("w/dots/own.cedar"), "").expect("written");
    std::os::unix::fs::symlink("../way/own.cedar", place.at("w/.backstop/own.cedar")).expect("linked");
    for (line, why) in [
        ("mkdir -p dots/.config/systemd/user && echo x > dots/.config/systemd/user/x.service", "what runs by itself"),
        ("echo evil > dots/.bashrc", "every new shell runs"),
        ("mkdir empty && ln -sfn empty way", "rules"),
        ("rm way", "rules"),
    ] {
        let output = place.output(&["run", "-c", line]);
        assert_ne!(output.status.code(), Some(0), "{line}: {}", text(&output));
        assert!(text(&output).contains(why), "{line}: {}", text(&output));
    }
    assert_eq!(place.output(&["run", "-c", "echo x > dots/notes"]).status.code(), Some(0));
}
