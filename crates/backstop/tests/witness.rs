//! A witness elsewhere, by the real program on both sides: what it visits, what it cosigns (checked by OpenSSL, after
//! the specification), what it refuses.

mod place;

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use place::{Place, text};

/// A machine with a log, and the command by which an auditor reaches it.
fn machine() -> (Place, String) {
    let place = Place::new();
    place.say(&["run", "-c", "echo one > one"], 0);
    let (home, state) = (place.at("home"), place.at("state"));
    let program = env!("CARGO_BIN_EXE_backstop");
    let from = format!("env HOME='{}' XDG_STATE_HOME='{}' {program}", home.display(), state.display());
    (place, from)
}

/// An auditor's own machine, with a witness that looks at that log.
fn laptop(machine: &Place) -> Place {
    let laptop = Place::new();
    let key = machine.say(&["audit", "key"], 0);
    let made =
        laptop.say(&["audit", "witness", "--state", "seen", "--name", "laptop.example/anna", "--trust", key.trim()], 0);
    assert!(made.contains("the witness laptop.example/anna+"), "{made}");
    laptop
}

fn visit(laptop: &Place, from: &str, code: i32) -> String {
    laptop.say(&["audit", "witness", "--state", "seen", "--from", from], code)
}

#[test]
fn a_log_is_visited_and_what_was_seen_is_told_on_the_machine() {
    let (machine, from) = machine();
    let laptop = laptop(&machine);
    let key = laptop.at("w/seen/key.pub").display().to_string();
    let before = machine.say(&["audit", "verify", "--witness", &key], 1);
    assert!(before.contains("laptop.example/anna has cosigned nothing that is kept here"), "{before}");
    let first = visit(&laptop, &from, 0);
    assert!(first.contains("cosigned backstop/") && first.contains("has seen"), "{first}");
    assert!(visit(&laptop, &from, 0).contains("0 new"));
    machine.say(&["run", "-c", "echo two > two"], 0);
    assert!(!visit(&laptop, &from, 0).contains("0 new"));
    let after = machine.say(&["audit", "verify", "--witness", &key], 0);
    assert!(after.contains("laptop.example/anna has seen") && after.matches("holds").count() == 3, "{after}");
    let listed = laptop.say(&["audit", "witness", "--state", "seen", "--list"], 0);
    assert!(listed.contains("laptop.example/anna+") && listed.contains("entries, the last of them "), "{listed}");
}

#[test]
fn another_log_in_its_place_is_refused_and_a_shorter_one_alarms() {
    let (machine, from) = machine();
    let laptop = laptop(&machine);
    machine.say(&["run", "-c", "echo two > two"], 0);
    // As somebody who can write there would do it: an early copy of the log, key, checkpoint and all.
    let copy = |from: &str, to: &str| {
        let status = Command::new("cp").arg("-a").arg(machine.at(from)).arg(machine.at(to)).status();
        assert!(status.expect("cp").success());
    };
    copy("state/backstop/audit", "early");
    machine.say(&["run", "-c", "echo three > three"], 0);
    visit(&laptop, &from, 0);
    fs::rename(machine.at("state/backstop/audit"), machine.at("late")).expect("moved");
    copy("early", "state/backstop/audit");
    assert!(machine.say(&["audit", "verify"], 0).matches("holds").count() == 3, "from the inside it can't be told");
    let alarm = visit(&laptop, &from, 1);
    assert!(alarm.contains("THE LOG IS SHORTER") && alarm.contains("take it for taken over"), "{alarm}");
    // As long again, by other entries.
    for n in 0..3 {
        machine.say(&["run", "-c", &format!("echo {n} > four")], 0);
    }
    let alarm = visit(&laptop, &from, 1);
    assert!(alarm.contains("THE LOG WAS CHANGED"), "{alarm}");
    fs::rename(machine.at("state/backstop/audit"), machine.at("changed")).expect("moved");
    machine.say(&["run", "-c", "echo five > five"], 0);
    let other = visit(&laptop, &from, 1);
    assert!(other.contains("another log answers there than before: backstop/"), "{other}");
    assert!(other.contains("(where the machine was set up anew: --forget backstop/"), "{other}");
    fs::rename(machine.at("state/backstop/audit"), machine.at("another")).expect("moved");
    fs::rename(machine.at("late"), machine.at("state/backstop/audit")).expect("moved");
    assert!(visit(&laptop, &from, 0).contains("0 new"), "the real one goes on");
}

/// At the other end may be anybody.
#[test]
fn what_answers_elsewhere_reaches_neither_memory_nor_terminal_nor_a_shell() {
    let (machine, from) = machine();
    let laptop = laptop(&machine);
    let answers = |script: &str| {
        let path = laptop.at("w/there");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        format!("sh {}", path.display())
    };
    for (script, code, part) in [
        ("yes | head -c 100000", 125, "too long, or no text"),
        ("exit 255", 125, "was not reached"),
        ("printf '\\033[2J\\033[31mcosigned'>&2; exit 255", 125, "there: \\x1b[2J"),
        ("seq 100 >&2; exit 255", 125, "there: 20\n  there: more, which is not shown\n"),
        ("echo nonsense", 1, "no log's key"),
        ("echo \"x';touch${IFS}made;'+00000000+AAAA\"", 1, "no log's key"),
        // As sudo ends where it may not.
        ("exit 1", 125, "was not reached"),
        ("echo 'backstop audit: the log is not what was written'; exit 1", 1, "key there is damaged"),
    ] {
        let said = visit(&laptop, &answers(script), code);
        assert!(said.contains(part) && !said.contains('\u{1b}'), "{script}: {said}");
    }
    assert!(!laptop.at("w/made").exists());
    // The right key, and then nothing of what was asked.
    let key = machine.say(&["audit", "key"], 0);
    let other = "case $2 in key) echo 'KEY';; propose) PROPOSE;; *) cat >/dev/null;; esac";
    let other = |propose: &str| answers(&other.replace("KEY", key.trim()).replace("PROPOSE", propose));
    assert!(visit(&laptop, &other("echo old 7"), 1).contains("proposes nothing"));
    assert!(
        visit(&laptop, &other("echo 'backstop audit: the log is not what was written'; exit 1"), 1)
            .contains("not what its own checkpoint")
    );
    visit(&laptop, &from, 0);
    let moved = visit(&laptop, &other("exit 1"), 1);
    assert!(moved.contains("was visited by another command before"), "{moved}");
    // What was remembered of another log, and can't be read: it may be the one that this command led to.
    let damaged = laptop.at("w/seen").join(format!("{}.json", "0".repeat(64)));
    fs::write(&damaged, "{").expect("written");
    assert!(visit(&laptop, &from, 125).contains("makes no sense"));
    fs::remove_file(&damaged).expect("removed");
    // A person names the key again, and the way may be another.
    let again = format!("{from} ");
    let trust = ["audit", "witness", "--state", "seen", "--trust", key.trim(), "--from", &again];
    assert!(laptop.say(&trust, 0).contains("0 new"));
    visit(&laptop, &from, 1);
    visit(&laptop, &again, 0);
    let shown =
        laptop.say(&["audit", "witness", "--state", "seen", "--show", key.split('+').next().expect("a name")], 0);
    fs::write(laptop.at("w/note"), &shown).expect("written");
    let log = machine.at("state/backstop/audit").display().to_string();
    laptop.say(&["audit", "verify", "--log", &log, "--checkpoint", "note"], 0);
    let name = key.split('+').next().expect("a name").to_owned();
    laptop.say(&["audit", "witness", "--state", "seen", "--forget", &name], 0);
    assert!(visit(&laptop, &from, 1).contains("does not look at the log"));
}

/// Written after the specification, and checked by OpenSSL: nothing of ours.
#[test]
fn a_cosignature_is_the_one_of_the_specification() {
    let (machine, _) = machine();
    let laptop = laptop(&machine);
    let proposal = machine.say(&["audit", "propose"], 0);
    let answer = laptop.fed(&["audit", "witness", "--state", "seen"], proposal.as_bytes());
    assert_eq!(answer.status.code(), Some(0), "{}", text(&answer));
    let note = String::from_utf8(answer.stdout).expect("UTF-8");
    let (body, signatures) = note.split_once("\n\n").expect("a signed note");
    let line = signatures.lines().find_map(|l| l.strip_prefix("\u{2014} laptop.example/anna ")).expect("a cosignature");
    let code = STANDARD.decode(line).expect("base64");
    let public = fs::read_to_string(laptop.at("w/seen/key.pub")).expect("a key");
    let mut parts = public.trim().splitn(3, '+');
    let (name, hash, key) = (parts.next().expect("name"), parts.next().expect("hash"), parts.next().expect("key"));
    let key = STANDARD.decode(key).expect("base64");
    assert_eq!((name, key[0]), ("laptop.example/anna", 4));
    let id: String = code[..4].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(id, hash);
    let at = u64::from_be_bytes(code[4..12].try_into().expect("eight bytes"));
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410) is these bytes and the key.
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &key[1..]].concat();
    let file = |name: &str, bytes: &[u8]| {
        let path = laptop.at("w").join(name);
        fs::write(&path, bytes).expect("written");
        path
    };
    let (pem, sig) = (file("key.der", &der), file("sig", &code[12..]));
    let verifies = |message: &str| {
        let message = file("message", message.as_bytes());
        let mut openssl = Command::new("openssl");
        openssl.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey"]).arg(&pem);
        openssl.arg("-sigfile").arg(&sig).arg("-in").arg(message).output().expect("openssl").status.success()
    };
    assert!(verifies(&format!("cosignature/v1\ntime {at}\n{body}\n")));
    assert!(!verifies(&format!("cosignature/v1\ntime {}\n{body}\n", at + 1)));
    // Brought to the machine by hand.
    let kept = machine.fed(&["audit", "keep", "--witness", public.trim()], note.as_bytes());
    assert!(kept.status.success(), "{}", text(&kept));
    machine.say(&["audit", "verify", "--witness", public.trim()], 0);
    let again = laptop.fed(&["audit", "witness", "--state", "seen"], proposal.as_bytes());
    assert_eq!(again.status.code(), Some(77), "asked from nothing, it says from where: {}", text(&again));
    assert!(text(&again).contains("prove it from there"), "{}", text(&again));
}

#[test]
fn a_copy_of_a_log_is_verified_by_a_checkpoint_that_was_kept() {
    let (machine, _) = machine();
    let log = machine.at("state/backstop/audit");
    let kept = machine.at("w/kept");
    fs::copy(log.join("checkpoint"), &kept).expect("copied");
    machine.say(&["run", "-c", "echo two > two"], 0);
    let (log, kept) = (log.display().to_string(), kept.display().to_string());
    let elsewhere = Place::new();
    elsewhere.say(&["audit", "verify", "--log", &log, "--checkpoint", &kept], 0);
    let (other, _) = self::machine();
    let said = other.say(&["audit", "verify", "--checkpoint", &kept], 1);
    assert!(said.contains("the kept checkpoint is of backstop/"), "{said}");
    for (named, part) in [("nonsense", "cannot read nonsense"), ("", "cannot read"), ("empty", "names no witness")] {
        fs::write(elsewhere.at("w/empty"), "# none\n").expect("written");
        let said = elsewhere.say(&["audit", "verify", "--log", &log, "--witness", named], 2);
        assert!(said.contains(part), "{named}: {said}");
    }
    // Changed since: it is that file, and not the log, that is wrong.
    let note = fs::read_to_string(&kept).expect("read");
    let size = note.lines().nth(1).expect("a size");
    let note = note.replacen(&format!("\n{size}\n"), "\n1\n", 1);
    fs::write(elsewhere.at("w/changed"), note).expect("written");
    let said = elsewhere.say(&["audit", "verify", "--log", &log, "--checkpoint", "changed"], 2);
    assert!(said.contains("its signature does not hold"), "{said}");
    assert!(elsewhere.say(&["audit", "verify", "--log", "nowhere"], 2).contains("no audit log in"));
}

#[test]
fn nothing_of_it_is_for_a_command_inside_a_run() {
    let (machine, _) = machine();
    let program = env!("CARGO_BIN_EXE_backstop");
    let verbs = ["audit key", "audit propose", "audit keep --witness x", "audit witness --state /tmp/x --name y"];
    for verb in verbs {
        let said = machine.say(&["run", "-c", &format!("{program} {verb}")], 77);
        let name = verb.split(" -").next().expect("a name");
        assert!(said.contains(&format!("refused: `{name}` inside a run")), "{verb}: {said}");
    }
}
