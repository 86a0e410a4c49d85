//! `undo --beside`: what was there comes back next to what somebody has made of it since, as it was, and
//! nothing else is touched. On the real pipeline, in a scratch directory.

mod place;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use place::Place;

/// The one name in the workspace that begins like this and goes on with `.before-`.
fn before(place: &Place, name: &str) -> PathBuf {
    let begins = format!("{name}.before-r-");
    let all = fs::read_dir(place.at("w")).expect("listed").map(|e| e.expect("entry").path());
    let found: Vec<PathBuf> =
        all.filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&begins))).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn what_was_there_comes_back_beside_as_it_was() {
    let place = Place::new();
    let at = |name: &str| place.at("w").join(name);
    for name in ["written", "replaced", "deleted", "alone"] {
        fs::write(at(name), format!("{name}, old\n")).expect("write");
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o640)).expect("ours");
    }
    let mine = Command::new("setfattr").args(["-n", "user.mark", "-v", "mine"]).arg(at("written")).status();
    let old = fs::metadata(at("written")).expect("there");
    place.say(
        &["run", "-c", "echo x >> written; echo x > n; mv n replaced; rm deleted; echo x >> alone; chmod 600 written"],
        0,
    );
    for name in ["written", "replaced", "deleted"] {
        fs::write(at(name), format!("{name}, a person's\n")).expect("write");
    }
    let text = place.say(&["undo", "@last"], 74);
    assert!(text.contains("--beside"), "{text}");
    place.say(&["undo", "--beside", "@last"], 0);
    for name in ["written", "replaced", "deleted"] {
        assert_eq!(place.read(name), format!("{name}, a person's\n"));
        let before = before(&place, name);
        assert_eq!(fs::read_to_string(&before).expect("there"), format!("{name}, old\n"));
        assert_eq!(fs::metadata(&before).expect("there").mode() & 0o7777, 0o640, "{name}");
    }
    assert_eq!(place.read("alone"), "alone, old\n", "nobody was in the way");
    let before = before(&place, "written");
    assert_eq!(fs::metadata(&before).expect("there").mtime_nsec(), old.mtime_nsec());
    if mine.is_ok_and(|s| s.success()) {
        let read = Command::new("getfattr").args(["--only-values", "-n", "user.mark"]).arg(&before).output();
        assert_eq!(read.expect("getfattr").stdout, b"mine");
    }
    let text = place.say(&["redo", "@last"], 2);
    assert!(text.contains("has let its copies go"), "{text}");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn the_longest_name_has_room_beside_it() {
    let place = Place::new();
    let name = "n".repeat(255);
    fs::write(place.at("w").join(&name), "old\n").expect("write");
    place.say(&["run", "-c", "rm n*"], 0);
    fs::write(place.at("w").join(&name), "a person's\n").expect("write");
    place.say(&["undo", "--beside", "@last"], 0);
    assert_eq!(place.read(&name), "a person's\n");
    let other = fs::read_dir(place.at("w")).expect("listed").map(|e| e.expect("entry").path());
    let other: Vec<PathBuf> = other.filter(|p| !p.ends_with(&name)).collect();
    assert_eq!(other.len(), 1);
    assert_eq!(fs::read_to_string(&other[0]).expect("there"), "old\n");
}

#[test]
fn what_was_renamed_and_edited_stays_and_the_replaced_one_comes_beside() {
    let place = Place::new();
    fs::write(place.at("w/a"), "a\n").expect("write");
    fs::write(place.at("w/b"), "b\n").expect("write");
    place.say(&["run", "-c", "mv a b"], 0);
    fs::write(place.at("w/new"), "a person's\n").expect("write");
    fs::rename(place.at("w/new"), place.at("w/b")).expect("replaced");
    place.say(&["undo", "--beside", "@last"], 0);
    assert_eq!(place.read("b"), "a person's\n");
    assert_eq!(fs::read_to_string(before(&place, "b")).expect("there"), "b\n");
    place.say(&["audit", "verify"], 0);
}

#[test]
fn where_it_cannot_be_put_beside_nothing_is_done() {
    let place = Place::new();
    fs::create_dir(place.at("w/d")).expect("a directory");
    fs::write(place.at("w/d/x"), "x, old\n").expect("write");
    fs::write(place.at("w/y"), "y, old\n").expect("write");
    place.say(&["run", "-c", "rm d/x; echo x >> y"], 0);
    fs::remove_dir(place.at("w/d")).expect("empty");
    fs::write(place.at("w/y"), "a person's\n").expect("write");
    let text = place.say(&["undo", "--beside", "@last"], 74);
    assert!(text.contains("its directory is gone"), "{text}");
    assert_eq!(fs::read_dir(place.at("w")).expect("listed").count(), 1, "only what the person has written");
    fs::create_dir(place.at("w/d")).expect("a directory");
    place.say(&["undo", "--beside", "@last"], 0);
    assert_eq!(place.read("d/x"), "x, old\n");
    assert_eq!(fs::read_to_string(before(&place, "y")).expect("there"), "y, old\n");
}

#[test]
fn what_only_its_content_was_changed_of_keeps_owner_and_mode_beside() {
    let place = Place::new();
    let file = place.at("w/file");
    fs::write(&file, "old\n").expect("write");
    let owner = (fs::metadata(&file).expect("there").uid() == 0).then_some(65_534);
    std::os::unix::fs::chown(&file, owner, owner).expect("root's to give, else as it is");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    let old = fs::metadata(&file).expect("there");
    // The time is put back, so that nothing but the content differs.
    place.say(&["run", "-c", "touch -r file t; echo x >> file; touch -r t file; rm t"], 0);
    fs::write(&file, "a person's\n").expect("write");
    place.say(&["undo", "--beside", "@last"], 0);
    let kept = before(&place, "file");
    assert_eq!(fs::read_to_string(&kept).expect("there"), "old\n");
    let kept = fs::metadata(&kept).expect("there");
    assert_eq!((kept.uid(), kept.gid(), kept.mode()), (old.uid(), old.gid(), old.mode()));
}
