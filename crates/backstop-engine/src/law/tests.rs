use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use backstop_core::facts::Findings;
use backstop_core::policy::Decision;
use backstop_core::policy::case::Case;

use super::*;

const FORBID: &str =
    "@id(\"mine\") @reason(\"r\") forbid (principal, action, resource) when { context.created.files > 5 };\n";

struct Scene {
    dir: tempfile::TempDir,
    places: Places,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temp");
        let at = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("dir");
            path
        };
        let places =
            Places { system: at("system"), user: Some(at("user")), project: Some(at("project")), reader: Reader::Own };
        at("state");
        Self { dir, places }
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.dir.path().join(path), text).expect("file");
    }

    fn standing(&self) -> Standing {
        stand(Profile::Workstation, &self.places, &Kinds::default(), &self.dir.path().join("state"), &|_| true)
    }
}

fn decide(standing: &Standing, case: &str) -> (Decision, String) {
    let found = Findings { facts: Case::parse(case).expect("case"), ..Findings::default() };
    let j = standing.judge(&found, Vec::new());
    (
        j.decision,
        j.reasons.first().map_or(String::new(), |r| format!("{} {}", r.rule, r.source.clone().unwrap_or_default())),
    )
}

#[test]
fn without_files_the_profile_holds() {
    let standing = Scene::new().standing();
    assert_eq!(decide(&standing, "classes: workspace; created.files: 9").0, Decision::Allow);
    assert!(matches!(standing.entry(), Some(Body::PolicyLoaded { rules, .. }) if *rules > 20));
}

#[test]
fn every_layer_tightens() {
    for layer in ["system", "user", "project"] {
        let scene = Scene::new();
        scene.write(&format!("{layer}/x.cedar"), FORBID);
        scene.write(&format!("{layer}/notes.txt"), "no policy");
        let standing = scene.standing();
        assert_eq!(decide(&standing, "classes: workspace; created.files: 9").0, Decision::Deny, "{layer}");
        assert_eq!(decide(&standing, "classes: workspace; created.files: 5").0, Decision::Allow, "{layer}");
    }
}

#[test]
fn the_machines_base_takes_the_place_of_the_built_in_one_and_of_its_own_only() {
    let scene = Scene::new();
    scene.write("system/workstation.cedar", "@id(\"all\") @reason(\"r\") permit (principal, action, resource);");
    scene.write("system/production.cedar", "not read for this profile");
    assert_eq!(decide(&scene.standing(), "classes: outside; created.files: 9").0, Decision::Allow);
}

#[test]
fn what_is_broken_denies_and_names_the_file() {
    let permit = "@id(\"p\") @reason(\"r\") permit (principal, action, resource);";
    for (file, text, why) in [
        ("user/x.cedar", permit, "permits"),
        ("project/x.cedar", permit, "permits"),
        ("project/x.cedar", "forbid", "never ends"),
        ("system/x.cedar", "forbid", "never ends"),
        ("system/workstation.cedar", "forbid (principal, action, resource);", "no name"),
    ] {
        let scene = Scene::new();
        scene.write(file, text);
        let standing = scene.standing();
        let (decision, rule) = decide(&standing, "classes: workspace");
        assert_eq!(decision, Decision::Deny, "{file}");
        assert!(rule.starts_with("policy-not-loaded") && rule.ends_with(&format!("{file}:1")), "{rule}");
        assert!(standing.refusals()[0].why.contains(why), "{file}: {:?}", standing.refusals());
        let Some(Body::PolicyRefused { fallback, machine, .. }) = standing.entry() else { panic!("refused") };
        assert_eq!((*fallback, *machine), (false, file.starts_with("system/")), "{file}");
    }
}

#[test]
fn what_is_no_file_of_rules_is_refused_without_a_hang() {
    let long = "/".repeat(300 * 1024);
    for make in [
        &(|p: &Path| fs::create_dir(p).expect("dir")) as &dyn Fn(&Path),
        &|p| symlink("/dev/zero", p).expect("link"),
        &|p| symlink("/nowhere/at/all", p).expect("link"),
        &|p| fs::write(p, &long).expect("file"),
        &|p| fs::write(p, b"\xff\xfe").expect("file"),
        &|p| backstop_pipe(p),
    ] {
        let scene = Scene::new();
        make(&scene.dir.path().join("project/x.cedar"));
        let standing = scene.standing();
        assert_eq!(decide(&standing, "classes: workspace").0, Decision::Deny);
        assert!(standing.refusals()[0].at.ends_with("project/x.cedar"), "{:?}", standing.refusals());
    }
}

/// A pipe at `path`; a bound socket where no pipe can be made is as good: neither is a file.
fn backstop_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().is_ok_and(|s| s.success());
    if !made {
        drop(std::os::unix::net::UnixListener::bind(path).expect("socket"));
    }
}

#[test]
fn only_files_that_root_alone_can_write_are_the_machines() {
    let scene = Scene::new();
    scene.write("system/x.cedar", FORBID);
    // The temporary directory is everybody's.
    let standing = standing(Profile::Workstation, &scene.places, &Kinds::default(), &scene.dir.path().join("state"));
    assert_eq!(decide(&standing, "classes: workspace").0, Decision::Deny);
    assert!(standing.refusals()[0].why.contains("others than root"), "{:?}", standing.refusals());
    assert!(only_roots(Path::new("/usr")) && only_roots(Path::new("/")));
    let open = scene.dir.path().join("open");
    fs::create_dir(&open).expect("dir");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("mode");
    assert!(!only_roots(&open) && !only_roots(Path::new("/nowhere/at/all")));
}

#[test]
fn a_torn_rule_of_the_machine_holds_in_its_earlier_form() {
    let scene = Scene::new();
    scene.write("system/x.cedar", FORBID);
    assert_eq!(decide(&scene.standing(), "classes: workspace; created.files: 9").0, Decision::Deny);
    scene.write("system/x.cedar", &FORBID.replace("> 5", ">"));
    let standing = scene.standing();
    assert_eq!(decide(&standing, "classes: workspace; created.files: 9").0, Decision::Deny);
    assert_eq!(decide(&standing, "classes: workspace; created.files: 5").0, Decision::Allow);
    assert!(standing.note().is_some_and(|n| n.contains("x.cedar:1")));
    assert!(matches!(standing.entry(), Some(Body::PolicyRefused { fallback: true, .. })));
    // A rule that never loaded has no earlier form.
    scene.write("system/y.cedar", &FORBID.replace("mine", "new").replace("> 5", ">"));
    assert_eq!(decide(&scene.standing(), "classes: workspace; created.files: 5").0, Decision::Deny);
}

#[test]
fn what_an_agent_writes_brings_no_older_rules_back() {
    let scene = Scene::new();
    scene.write("system/x.cedar", FORBID);
    scene.write("project/p.cedar", &FORBID.replace("mine", "theirs"));
    assert_eq!(decide(&scene.standing(), "classes: workspace; created.files: 9").0, Decision::Deny);
    scene.write("project/p.cedar", "torn");
    assert_eq!(decide(&scene.standing(), "classes: workspace; created.files: 1").0, Decision::Deny);
}

#[test]
fn a_set_is_recorded_once_and_checked_once() {
    let scene = Scene::new();
    scene.write("user/x.cedar", FORBID);
    let first = scene.standing();
    assert!(first.entry().is_some());
    first.recorded().expect("kept");
    let second = scene.standing();
    assert!(second.entry().is_none());
    assert!(second.keep.is_checked(second.digest) && first.digest == second.digest);
    scene.write("user/x.cedar", &FORBID.replace("> 5", "> 6"));
    assert!(scene.standing().entry().is_some());
}

#[test]
fn what_held_last_is_what_a_fall_back_stands_on() {
    let scene = Scene::new();
    // Strict, looser, strict again: the last is known from the first time.
    for limit in ["> 5", "> 50", "> 5"] {
        scene.write("system/x.cedar", &FORBID.replace("> 5", limit));
        assert_eq!(decide(&scene.standing(), "classes: workspace; created.files: 99").0, Decision::Deny);
    }
    scene.write("system/x.cedar", &FORBID.replace("> 5", ">"));
    assert_eq!(decide(&scene.standing(), "classes: workspace; created.files: 9").0, Decision::Deny);
}

#[test]
fn a_change_of_classes_is_another_set_and_a_broken_file_of_them_denies() {
    let scene = Scene::new();
    let source = Source { layer: Layer::User, name: "classes.toml".to_owned(), text: "[x]\n".to_owned() };
    let by =
        |kinds: &Kinds| stand(Profile::Workstation, &scene.places, kinds, &scene.dir.path().join("state"), &|_| true);
    let (without, with) = (by(&Kinds::default()), by(&Kinds { sources: vec![source.clone()], ..Kinds::default() }));
    assert_ne!(without.digest(), with.digest());
    let names: Vec<String> = with.files().into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["workstation.cedar", "classes.toml"]);
    assert!(matches!(with.entry(), Some(Body::PolicyLoaded { sources, .. }) if sources.len() == 2));
    let refusal = Refusal {
        at: "classes.toml".to_owned(),
        id: None,
        next: "n".to_owned(),
        rule: "r".to_owned(),
        why: "w".to_owned(),
    };
    let broken = by(&Kinds { sources: vec![source], refusals: vec![refusal], ..Kinds::default() });
    assert_eq!(decide(&broken, "classes: workspace"), (Decision::Deny, "policy-not-loaded classes.toml".to_owned()));
    assert!(matches!(broken.entry(), Some(Body::PolicyRefused { fallback: false, .. })));
}

#[test]
fn the_places_of_rules_are_all_that_leads_to_them() {
    let dir = tempfile::tempdir().expect("temp");
    let at = |path: &str| dir.path().canonicalize().expect("real").join(path);
    fs::create_dir_all(at("files")).expect("made");
    fs::create_dir_all(at("home/backstop")).expect("made");
    symlink("files", at("dots")).expect("linked");
    fs::write(at("files/x.cedar"), "").expect("written");
    symlink(at("dots"), at("home/backstop/policy")).expect("linked");
    symlink("../../dots/classes.toml", at("home/backstop/classes.toml")).expect("linked");
    let places =
        Places { system: at("none"), user: Some(at("home/backstop/policy")), project: None, reader: Reader::Own };
    let expected =
        ["dots", "files", "files/classes.toml", "files/x.cedar", "home/backstop/classes.toml", "home/backstop/policy"];
    assert_eq!(places.below(), expected.map(|e| Bytes::from(at(e))));
}
