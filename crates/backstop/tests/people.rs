//! Who may approve: the first two, changes by two people, lists of OpenSSH's, and a store that somebody wrote to.

mod place;

use std::fs;
use std::path::Path;

use place::scene::{LOSES, Scene};

#[test]
fn who_may_approve_is_changed_by_two_people() {
    let scene = Scene::unfounded();
    assert!(scene.say(&["people", "list"], 0).contains("0 people"));
    scene.say(&["people", "add", "anna", "--key", &scene.key("anna"), "--account", "60001"], 0);
    // With none or one, nobody can be asked.
    assert!(scene.say(&["run", "-c", LOSES], 75).contains("nobody could be asked: backstop help approvals"));
    assert!(scene.say(&["commit", "@last"], 77).contains("nobody is enrolled who could approve it"));
    let public = format!("{}.pub", scene.key("ben"));
    let statement = scene.place.at("keys/ben.txt");
    let output = scene.place.output(&["people", "add", "ben", "--key", &public, "--statement"]);
    fs::write(&statement, &output.stdout).expect("written");
    let wrong = scene.signed(&statement, "mallory", "enrolment@backstop");
    let add = |proof: &str, code| {
        scene.say(&["people", "add", "ben", "--key", &public, "--proof", proof, "--account", "60002"], code)
    };
    assert!(add(&wrong, 2).contains("ben has not agreed"));
    add(&scene.signed(&statement, "ben", "enrolment@backstop"), 0);
    assert!(scene.say(&["people", "remove", "ben"], 2).contains("two people have to stay enrolled"));
    // From now on it takes both.
    let asked = scene.say(&["people", "add", "carl", "--key", &scene.key("carl"), "--no-account"], 75);
    let pending = scene.place.json(&["pending", "--json"], 0);
    let code = pending["requests"][0]["code"].as_str().expect("a code").to_owned();
    assert!(asked.contains(&code), "{asked}");
    scene.decides("approve", &code, "anna", 0);
    assert!(!scene.say(&["people", "list"], 0).contains("carl"));
    assert!(scene.decides("approve", &code, "ben", 0).contains("revision 3"));
    assert!(scene.say(&["people", "list"], 0).contains("counts from"));
    let run = scene.held();
    assert!(scene.decides("approve", &run, "carl", 77).contains("keys settle for a day"));
    scene.say(&["people", "add", "carl", "--key", &scene.key("x"), "--no-account"], 2);
    // The same wish again is the same request, as long as that waits.
    scene.say(&["people", "grant", "ben", "net"], 75);
    scene.say(&["people", "grant", "ben", "net"], 75);
    let pending = scene.place.json(&["pending", "--json"], 0);
    let nets = pending["requests"].to_string().matches("\"group\":\"net\"").count();
    assert_eq!(nets, 1, "{pending}");
    // Two changes at once: the second is of a revision that is gone.
    scene.say(&["people", "grant", "anna", "dba"], 75);
    scene.say(&["people", "grant", "ben", "dba"], 75);
    let pending = scene.place.json(&["pending", "--json"], 0);
    let codes: Vec<&str> =
        pending["requests"].as_array().expect("a list").iter().filter_map(|r| r["code"].as_str()).collect();
    let changes: Vec<&str> = codes.into_iter().rev().take(2).collect();
    scene.decides("approve", changes[0], "anna", 0);
    scene.decides("approve", changes[0], "ben", 0);
    let statement = ["show", changes[1], "--statement", "--key", &public];
    assert!(scene.say(&statement, 77).contains("is cancelled"));
    scene.verified();
}

#[test]
fn a_list_of_people_is_enrolled_at_once_each_with_his_own_word() {
    let scene = Scene::new();
    let public = |name: &str| {
        let line = fs::read_to_string(format!("{}.pub", scene.key(name))).expect("readable");
        line.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
    };
    let path = |name: &str| scene.place.at(name).to_str().expect("UTF-8").to_owned();
    let (list, dir) = (path("keys/list"), path("keys/statements"));
    let text = format!(
        "# the team\n{} anna\ncarl {} laptop\n{} dora\n{} dora\n",
        public("anna"),
        public("carl"),
        public("dora"),
        public("dora-too")
    );
    fs::write(&list, &text).expect("written");
    let said = scene.say(&["people", "import", &list, "--statements", &dir], 0);
    assert!(said.contains("anna is enrolled already") && said.contains("dora+2.txt"), "{said}");
    scene.say(&["people", "import", &list, "--statements", &dir], 125);
    let proofs = ["people", "import", &list, "--proofs", &dir, "--group", "dba", "--no-account", "carl"];
    let all = [&proofs[..], &["--no-account", "dora"]].concat();
    assert!(scene.say(&all, 2).contains("carl.txt.sig"), "nobody has signed");
    for (file, name) in [("carl.txt", "carl"), ("dora.txt", "dora"), ("dora+2.txt", "dora")] {
        scene.signed(&Path::new(&dir).join(file), name, "enrolment@backstop");
    }
    assert!(scene.say(&proofs, 2).contains("no user account dora"));
    assert!(scene.say(&all, 2).contains("dora has not agreed"), "one key can't speak for the other");
    scene.signed(&Path::new(&dir).join("dora+2.txt"), "dora-too", "enrolment@backstop");
    let asked = scene.say(&all, 75);
    assert!(asked.contains("enrol 2 people: carl, dora"), "{asked}");
    let pending = scene.place.json(&["pending", "--json"], 0);
    let code = pending["requests"][0]["code"].as_str().expect("a code").to_owned();
    let shown = scene.say(&["show", &code, "--approval"], 0);
    assert_eq!(shown.matches("(ssh-ed25519)").count(), 3, "{shown}");
    scene.decides("approve", &code, "anna", 0);
    scene.decides("approve", &code, "ben", 0);
    let people = scene.say(&["people", "list"], 0);
    assert!(people.contains("4 people") && people.matches("dba (counts from").count() == 2, "{people}");
    assert!(scene.say(&["people", "import", &list, "--proofs", &dir], 0).contains("dora is enrolled already"));
    let all = scene.place.json(&["people", "import", &list, "--proofs", &dir, "--json"], 0);
    assert_eq!(all["people"]["members"].as_array().map(Vec::len), Some(4), "{all}");
    fs::write(&list, text.replace("carl ssh", "carl from=x ssh")).expect("written");
    assert!(scene.say(&["people", "import", &list, "--proofs", &dir], 2).contains("line 3"));
    scene.verified();
}

#[test]
fn a_trust_store_that_was_written_to_lets_nothing_through() {
    let scene = Scene::new();
    let path = scene.place.at("state/backstop/people.json");
    let good = fs::read_to_string(&path).expect("readable");
    for bad in [
        good.replace("\"founded\":true", "\"founded\":false"),
        good.replace("ed25519 AAAA", "ed25519 BBBB"),
        String::new(),
    ] {
        fs::write(&path, bad).expect("written");
        let said = scene.say(&["run", "-c", LOSES], 125);
        assert!(said.contains("who may approve can't be told") && scene.rows(), "{said}");
        scene.say(&["people", "list"], 125);
    }
    fs::create_dir(scene.place.at("state/backstop/approvals")).expect("made");
    fs::remove_file(&path).expect("removed");
    assert!(scene.say(&["run", "-c", LOSES], 125).contains("is missing") && scene.rows());
    // What makes sense and is another's is found in the log.
    fs::write(&path, good.replace("\"uids\":[60001]", "\"uids\":[]")).expect("written");
    let said = scene.say(&["audit", "verify"], 1);
    assert!(said.contains("people.json"), "{said}");
    fs::write(&path, good).expect("written");
    scene.verified();
}
