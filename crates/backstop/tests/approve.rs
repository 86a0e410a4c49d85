//! Two people's word, with real keys and OpenSSH's own `ssh-keygen`: what is enough, what is not and why, and
//! that it can all be verified again without Backstop.

mod place;

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use place::scene::{LOSES, RULE, Scene};
use place::{terminal, text};

#[test]
fn two_people_let_it_through_and_it_can_be_taken_back() {
    let scene = Scene::new();
    let run = scene.held();
    assert!(scene.say(&["pending"], 0).contains("0 of 2"));
    let one = scene.decides("approve", &run, "anna", 0);
    assert!(one.contains("1 of 2 (anna)") && scene.rows(), "{one}");
    assert!(scene.say(&["show", &run], 0).contains("needs 2 people, has 1"));
    assert!(scene.say(&["commit", &run], 77).contains("needs 2 people, has 1"));
    let again = scene.decides("approve", &run, "anna", 77);
    assert!(again.contains("anna has decided already") && scene.rows(), "{again}");
    let two = scene.decides("approve", &run, "ben", 0);
    assert!(two.contains("committed") && !scene.rows(), "{two}");
    assert!(!scene.say(&["pending"], 0).contains(&run));
    scene.verified();
    scene.say(&["undo", &run], 0);
    assert!(scene.rows());
    assert!(scene.say(&["redo", &run], 77).contains("good for one time") && scene.rows());
    scene.verified();
}

#[test]
fn a_rule_says_of_which_group_somebody_has_to_be() {
    let rule = |quorum: &str| RULE.replace("@next", &format!("@quorum(\"{quorum}\") @next"));
    let scene = Scene::unfounded();
    scene.say(&["people", "add", "anna", "--key", &scene.key("anna"), "--account", "60001", "--group", "dba"], 0);
    scene.say(&["people", "add", "ben", "--key", &scene.key("ben"), "--account", "60002"], 0);
    let file = scene.place.at("w/.backstop/rows.cedar");
    fs::write(&file, rule("1 dba")).expect("written");
    let run = scene.held();
    assert!(scene.say(&["show", &run], 0).contains("needs 2 people (1 of dba), has 0"));
    let one = scene.decides("approve", &run, "ben", 0);
    assert!(one.contains("1 of 2 (ben), lacks 1 of dba"), "{one}");
    // Meanwhile the rules ask for more than they were asked for.
    fs::write(&file, rule("2 dba")).expect("written");
    let two = scene.decides("approve", &run, "anna", 77);
    assert!(two.contains("needs 2 people (2 of dba) by today's rules") && scene.rows(), "{two}");
    assert!(scene.say(&["pending"], 0).is_empty());
    let run = scene.held();
    assert!(scene.say(&["show", &run], 0).contains("it takes 2 of the group dba, in which 1 may approve"));
    scene.decides("approve", &run, "anna", 0);
    let two = scene.decides("approve", &run, "ben", 0);
    assert!(two.contains("2 of 2 (anna, ben), lacks 1 of dba") && scene.rows(), "{two}");
    fs::write(&file, rule("1 dba")).expect("written");
    let run = scene.held();
    scene.decides("approve", &run, "ben", 0);
    assert!(scene.decides("approve", &run, "anna", 0).contains("committed") && !scene.rows());
    scene.verified();
}

#[test]
fn what_a_session_tries_again_is_asked_once() {
    let scene = Scene::new();
    let waits = || scene.place.json(&["pending", "--json"], 0)["requests"].as_array().expect("a list").len();
    let run = |session: &str, line: &str| scene.say(&["run", "--session", session, "-c", line], 75);
    run("s", LOSES);
    let first = scene.place.ids().remove(0);
    // In another spelling it is the same.
    let again = run("s", "rm -f -- pg/base/1; rmdir pg/base");
    assert!(again.contains(&format!("held {first}")) && again.contains("tried again as r-"), "{again}");
    assert_eq!(waits(), 1);
    let second = scene.place.ids().remove(0);
    assert_ne!(second, first);
    assert_eq!(scene.state(&second), "discarded");
    run("t", LOSES);
    assert_eq!(waits(), 2, "another session's is another's");
    fs::write(scene.place.at("w/pg/base/1"), "other rows\n").expect("written");
    run("s", LOSES);
    assert_eq!(waits(), 3, "what is lost is not the same any more");
    fs::write(scene.place.at("w/pg/base/1"), "rows\n").expect("written");
    let run = scene.place.ids().remove(0);
    scene.decides("deny", &run, "anna", 0);
    // Nor is it asked again what was denied.
    scene.say(&["run", "--session", "s", "-c", LOSES], 77);
    scene.verified();
}

#[test]
fn what_they_decided_can_be_verified_from_the_log_by_openssh_alone() {
    let scene = Scene::new();
    let run = scene.held();
    scene.decides("approve", &run, "anna", 0);
    scene.decides("approve", &run, "ben", 0);
    let mut signers = String::new();
    for change in scene.entries("people.changed") {
        let enrol = &change["change"]["enrol"];
        let (id, key) = (enrol["id"].as_str().expect("an id"), enrol["keys"][0]["key"].as_str().expect("a key"));
        signers.push_str(&format!("{id} namespaces=\"approval@backstop\" {key}\n"));
    }
    let allowed = scene.place.at("keys/allowed");
    fs::write(&allowed, signers).expect("written");
    let claimed = scene.entries("approval.claimed").remove(0);
    let votes = claimed["votes"].as_array().expect("a list");
    assert_eq!(votes.len(), 2);
    for vote in votes {
        let (person, signed) = (vote["person"].as_str().expect("a name"), vote["text"].as_str().expect("a text"));
        assert!(signed.contains(&format!("request {}", claimed["request"].as_str().expect("a digest"))), "{signed}");
        let signature = scene.place.at("keys/vote.sig");
        fs::write(&signature, vote["signature"].as_str().expect("a signature")).expect("written");
        for (text, good) in [(signed.to_owned(), true), (signed.replace("approve-once", "deny"), false)] {
            let path = scene.place.at("keys/vote");
            fs::write(&path, text).expect("written");
            let output = Command::new("ssh-keygen")
                .args(["-Y", "verify", "-n", "approval@backstop", "-I", person, "-f"])
                .args([allowed.as_path().as_os_str(), "-s".as_ref(), signature.as_path().as_os_str()])
                .stdin(fs::File::open(&path).expect("there"))
                .output()
                .expect("ssh-keygen");
            assert_eq!(output.status.success(), good, "{}", place::text(&output));
        }
    }
}

#[test]
fn each_statement_that_is_no_vote_is_refused_by_its_own_reason() {
    let scene = Scene::new();
    let other = scene.held();
    let run = scene.held();
    let stranger = scene.key("mallory");
    let refused = scene.say(&["show", &run, "--statement", "--key", &stranger], 77);
    assert!(refused.contains("is nobody's who is enrolled"), "{refused}");
    type Change = (&'static str, fn(String) -> String, &'static str);
    let line = |text: &str, key: &str| {
        let line = text.lines().find(|l| l.starts_with(key)).expect("a line");
        line.to_owned()
    };
    let theirs = fs::read_to_string(scene.statement(&other, "anna", "approve-once")).expect("readable");
    let changes: [Change; 8] = [
        ("host", |t| t.replace("\nhost ", "\nhost x"), "is a statement for the machine"),
        ("display", |t| t.replace("\ndisplay sha256:", "\ndisplay sha256:0000"), "spelled"),
        ("summary", |t| t.replace("would delete", "would create"), "summary is not the request's"),
        ("nonce", |t| t.replacen("\nnonce ", "\nnonce 00", 1), "spelled"),
        ("expires", |t| t.replacen("\nexpires 2", "\nexpires 3", 1), "expired at"),
        ("decision", |t| t.replace("approve-once", "approve-always"), "spelled"),
        ("person", |t| t.replace("\nperson anna", "\nperson ben"), "is not the statement that this machine prepared"),
        ("more", |t| format!("{t}more\n"), "beside its lines"),
    ];
    let answer = |text: String, name: &str, namespace: &str| {
        let path = scene.place.at("keys/altered");
        fs::write(&path, text).expect("written");
        let signature = scene.signed(&path, name, namespace);
        scene.say(&["approve", &run, "--signature", &signature], 77)
    };
    let fresh = || fs::read_to_string(scene.statement(&run, "anna", "approve-once")).expect("readable");
    for (what, change, why) in changes {
        let text = change(fresh());
        let said = answer(text, "anna", "approval@backstop");
        assert!(said.contains(why), "{what}: {said}");
    }
    // Whole values of another request: its digest, what was shown for it, its nonce.
    for (key, why) in [
        ("request ", "about another request"),
        ("display ", "was shown another text"),
        ("nonce ", "nonce was not drawn by this machine for this request"),
    ] {
        let text = fresh();
        let said = answer(text.replace(&line(&text, key), &line(&theirs, key)), "anna", "approval@backstop");
        assert!(said.contains(why), "{key}: {said}");
    }
    assert!(answer(theirs, "anna", "approval@backstop").contains("about another request"));
    assert!(answer(fresh(), "anna", "file").contains("signed for file, not for approval@backstop"));
    assert!(answer(fresh(), "ben", "approval@backstop").contains("was signed by the key"));
    assert!(answer(fresh(), "mallory", "approval@backstop").contains("was signed by the key"));
    // A good signature under another text.
    let signature = scene.signed(&scene.statement(&run, "anna", "approve-once"), "anna", "approval@backstop");
    let second = scene.statement(&other, "anna", "approve-once");
    let said =
        scene.say(&["approve", &run, "--signature", &signature, "--statement", second.to_str().expect("UTF-8")], 77);
    assert!(said.contains("about another request"), "{said}");
    // Used, and used again.
    scene.say(&["approve", &run, "--signature", &signature], 0);
    assert!(scene.say(&["approve", &run, "--signature", &signature], 77).contains("used already"));
    // Said by another verb than was signed.
    let denial = scene.signed(&scene.statement(&run, "ben", "deny"), "ben", "approval@backstop");
    assert!(scene.say(&["approve", &run, "--signature", &denial], 2).contains("backstop deny"));
    assert!(scene.rows());
    scene.verified();
}

#[test]
fn whoever_asked_or_owns_the_account_that_did_may_only_say_no() {
    let scene = Scene::unfounded();
    let own = rustix::process::getuid().as_raw().to_string();
    scene.say(&["people", "add", "anna", "--key", &scene.key("anna"), "--account", &own], 0);
    scene.say(&["people", "add", "ben", "--key", &scene.key("ben"), "--no-account"], 0);
    let run = scene.held();
    assert!(scene.say(&["show", &run], 0).contains("only 1 of the people enrolled may approve it"));
    assert!(scene.decides("approve", &run, "anna", 77).contains("others have to approve it"));
    assert!(scene.decides("deny", &run, "anna", 0).contains("nothing of it takes effect"));
    assert_eq!(scene.state(&run), "denied");
    scene.verified();
}

#[test]
fn a_no_ends_it_for_good_and_whoever_waits_is_told() {
    let scene = Scene::new();
    let run = scene.held();
    let mut waits = scene.place.command(&["wait", &run]).stderr(Stdio::null()).spawn().expect("it starts");
    scene.decides("approve", &run, "anna", 0);
    let signature = scene.signed(&scene.statement(&run, "anna", "revoke"), "anna", "approval@backstop");
    let no = scene.decides("deny", &run, "ben", 0);
    assert!(no.contains("denied by ben"), "{no}");
    assert_eq!(waits.wait().expect("it ends").code(), Some(77));
    assert_eq!(scene.state(&run), "denied");
    assert!(scene.say(&["revoke", &run, "--signature", &signature], 77).contains("is denied"));
    scene.say(&["commit", &run], 2);
    assert!(scene.rows());
    // In another spelling it is the same, and nobody is asked again; a person may have it judged anew.
    assert!(scene.say(&["run", "-c", "find pg/base -delete"], 77).contains("repeats-denied") && scene.rows());
    scene.say(&["retry", "@last"], 75);
    // Taken back before the second came.
    let run = scene.place.ids().remove(0);
    scene.decides("approve", &run, "anna", 0);
    assert!(scene.decides("revoke", &run, "anna", 0).contains("revoked by anna"));
    assert!(scene.say(&["show", &run, "--statement", "--key", &scene.key("ben")], 77).contains("backstop retry"));
    // Given up.
    scene.say(&["retry", &run], 75);
    scene.say(&["discard", "@last"], 0);
    assert_eq!(scene.say(&["pending"], 0), "");
    assert_eq!(scene.entries("approval.ended").len(), 3);
    scene.verified();
}

#[test]
fn what_changed_meanwhile_voids_what_was_approved() {
    let scene = Scene::new();
    let run = scene.held();
    scene.decides("approve", &run, "anna", 0);
    // The file systems' clock ticks in steps of some milliseconds: within one, a change has no later time.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(scene.place.at("w/pg/base/1"), "other rows\n").expect("written");
    let said = scene.decides("approve", &run, "ben", 74);
    assert!(said.contains("drifted") && scene.rows(), "{said}");
    assert_eq!(scene.state(&run), "held");
    assert!(scene.say(&["commit", &run], 77).contains("is drifted"));
    scene.say(&["retry", &run], 75);
    let anew = scene.place.ids().remove(0);
    scene.decides("approve", &anew, "anna", 0);
    scene.decides("approve", &anew, "ben", 0);
    assert!(!scene.rows());
    scene.verified();
}

#[test]
fn what_one_rule_let_through_is_not_brought_back_against_another() {
    let scene = Scene::new();
    let rule = scene.place.at("w/.backstop/rows.cedar");
    fs::remove_file(&rule).expect("removed");
    scene.say(&["run", "-c", LOSES], 0);
    scene.say(&["undo", "@last"], 0);
    fs::write(&rule, RULE).expect("written");
    let said = scene.say(&["redo", "@last"], 77);
    assert!(said.contains("two people by today's rules") && scene.rows(), "{said}");
    fs::write(&rule, RULE.replace("context.approvals.people >= 2", "false")).expect("written");
    assert!(scene.say(&["redo", "@last"], 77).contains("may not be brought back") && scene.rows());
    fs::remove_file(&rule).expect("removed");
    scene.say(&["redo", "@last"], 0);
    assert!(!scene.rows());
}

#[test]
fn a_clock_that_jumped_expires_what_was_asked() {
    let scene = Scene::new();
    let run = scene.held();
    scene.decides("approve", &run, "anna", 0);
    let signature = scene.signed(&scene.statement(&run, "ben", "approve-once"), "ben", "approval@backstop");
    // A clock of one's own changes nothing; one that has jumped since the question looks like this.
    let request = scene.place.json(&["show", &run, "--json"], 0)["record"]["approval"].clone();
    let request = request.as_str().and_then(|r| r.strip_prefix("sha256:")).expect("a digest").to_owned();
    let path = scene.place.at("state/backstop/approvals").join(request).join("asked.json");
    let mut asked: Value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
    let start = asked["anchor"]["start"].as_i64().expect("seconds");
    asked["anchor"]["start"] = (start - 60).into();
    fs::write(&path, asked.to_string()).expect("written");
    let said = scene.say(&["approve", &run, "--signature", &signature], 77);
    assert!(said.contains("is expired") && scene.rows(), "{said}");
    // Whoever waits is told, and what to do.
    assert!(scene.say(&["wait", &run], 75).contains("backstop retry"));
    assert!(scene.say(&["show", &run], 0).contains("backstop retry"));
    // It stays so, whatever the clock says afterwards.
    assert!(scene.say(&["approve", &run, "--signature", &signature], 77).contains("is expired"));
    assert_eq!(scene.state(&run), "held");
}

#[test]
fn at_a_terminal_the_very_text_is_shown_and_a_word_is_typed() {
    let scene = Scene::new();
    let run = scene.held();
    let shown = scene.say(&["show", &run, "--approval"], 0);
    let prepare = |command: &mut Command| {
        scene.place.environment(command).env("TERM", "xterm");
    };
    let approve = |name: &str, word: &str| {
        let args = ["approve", &run, "--key", &scene.key(name)];
        let (code, seen) = terminal::at_a_terminal(&args, prepare, "> ", || word.to_owned());
        (code, String::from_utf8(seen).expect("UTF-8").replace('\r', ""))
    };
    let (code, seen) = approve("anna", "yes\n");
    assert!(code == Some(77) && seen.contains("nothing was signed"), "{code:?}: {seen}");
    let (code, seen) = approve("anna", "approve-once\n");
    assert!(code == Some(0) && seen.contains(&shown) && seen.contains("1 of 2 (anna)"), "{code:?}: {seen}");
    let (code, seen) = approve("ben", "approve-once\n");
    assert!(code == Some(0) && !scene.rows(), "{code:?}: {seen}");
    // Without one nothing is signed at all.
    let run = scene.held_again();
    assert!(scene.say(&["approve", &run, "--key", &scene.key("anna")], 77).contains("--signature FILE"));
}

/// What is no text is refused, and not signed as another.
#[test]
fn a_reason_that_is_signed_is_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let scene = Scene::new();
    let reason = std::ffi::OsStr::from_bytes(b"the disk \xff is full");
    let key = scene.key("anna");
    for verb in
        [&["approve", "r-000001", "--break-glass", "--ticket", "INC-7"][..], &["review", "r-000001", "--justified"]]
    {
        let mut command = scene.place.command(verb);
        let said = command.args(["--key", &key, "--reason"]).arg(reason).output().expect("run");
        assert!(said.status.code() == Some(2) && text(&said).contains("the reason is not UTF-8"), "{}", text(&said));
    }
}

impl Scene {
    fn held_again(&self) -> String {
        self.say(&["undo", "@last"], 0);
        self.held()
    }
}

#[test]
fn of_eight_who_bring_the_last_signature_one_commits() {
    let scene = Scene::new();
    for round in 0..5 {
        let run = if round == 0 { scene.held() } else { scene.held_again() };
        scene.decides("approve", &run, "anna", 0);
        let signature = scene.signed(&scene.statement(&run, "ben", "approve-once"), "ben", "approval@backstop");
        let mut all: Vec<_> = (0..8)
            .map(|n| {
                let args: &[&str] =
                    if n % 2 == 0 { &["approve", &run, "--signature", &signature] } else { &["commit", &run] };
                scene.place.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
            })
            .collect();
        for child in &mut all {
            child.wait().expect("it ends");
        }
        assert_eq!(scene.state(&run), "committed", "round {round}");
        assert!(!scene.rows());
    }
    assert_eq!(scene.entries("run.committing").len(), 5);
    assert_eq!(scene.entries("approval.claimed").len(), 5);
    scene.verified();
}

#[test]
fn nothing_of_it_is_for_a_command_inside_a_run() {
    let scene = Scene::new();
    let run = scene.held();
    let program = env!("CARGO_BIN_EXE_backstop");
    let (key, own) = (scene.key("anna"), "inside a run");
    for (line, why) in [
        (format!("{program} approve {run} --key {key}"), own),
        (format!("{program} people remove anna"), own),
        (format!("{program} show {run} --statement --key {key}"), own),
        (format!("{program} pending"), own),
        (format!("cat {}", scene.place.at("state/backstop/people.json").display()), "No such file"),
        (format!("ls {}/*", scene.place.at("state/backstop/approvals").display()), "No such file"),
    ] {
        let output = scene.place.output(&["run", "-c", &line]);
        let said = text(&output);
        assert!(!output.status.success() && said.contains(why), "{line}: {said}");
    }
}
