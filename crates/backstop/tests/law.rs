//! Rules, classes and settings of the machine, through whole runs: each test has an `/etc` of its own in a
//! mount namespace, a state directory and a workspace. Changes nothing of the machine's. Only root can make
//! that `/etc`; elsewhere these tests fail, unless told that this is known.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

struct Scene(tempfile::TempDir);

impl Scene {
    /// None where it can't be made.
    fn new() -> Option<Self> {
        if std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("proc")) != 0 {
            let known = std::env::var_os("BACKSTOP_WITHOUT_ROOT").is_some_and(|v| v == "1");
            assert!(known, "an /etc of its own takes root; leave these tests out with BACKSTOP_WITHOUT_ROOT=1");
            return None;
        }
        let scene = Self(tempfile::tempdir().expect("temp"));
        fs::create_dir(scene.at("w")).expect("workspace");
        fs::create_dir(scene.at("home")).expect("home");
        let copied = Command::new("cp").args(["-a", "/etc"]).arg(scene.at("etc")).status().expect("cp");
        assert!(copied.success());
        fs::create_dir_all(scene.at("etc/backstop/policy")).expect("directories");
        Some(scene)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().expect("real").join(path)
    }

    /// Writes a file below `/etc/backstop`.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.at("etc/backstop").join(name), text).expect("a file");
    }

    fn output(&self, args: &[&str]) -> Output {
        Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", "mount --bind \"$ETC\" /etc && exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_backstop"))
            .args(args)
            .current_dir(self.at("w"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("ETC", self.at("etc"))
            .env("HOME", self.at("home"))
            .env("XDG_STATE_HOME", self.at("state"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .expect("unshare starts")
    }

    /// The exit code, and all that was said.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let output = self.output(args);
        let text = String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).expect("UTF-8");
        (output.status.code().expect("a code"), text)
    }

    /// The same, and it has to end with `code` and to say each of `parts`.
    fn says(&self, args: &[&str], code: i32, parts: &[&str]) -> String {
        let (got, text) = self.run(args);
        assert_eq!(got, code, "{args:?}: {text}");
        for part in parts {
            assert!(text.contains(part), "{args:?} does not say {part:?}: {text}");
        }
        text
    }

    /// The newest run.
    fn last(&self) -> String {
        let (_, text) = self.run(&["runs"]);
        text.split_whitespace().find(|w| w.starts_with("r-")).unwrap_or_else(|| panic!("no run: {text}")).to_owned()
    }
}

const SITE: &str = "@id(\"no-many\") @reason(\"more than 3 files at once\") @next(\"make fewer at once\")\n\
                    forbid (principal, action, resource) when { context.created.files > 3 };\n";

#[test]
fn broken_rules_of_the_machine_hold_in_their_last_good_form_or_deny() {
    let Some(scene) = Scene::new() else { return };
    scene.write("policy/site.cedar", SITE);
    scene.says(&["run", "-c", "touch a b"], 0, &[]);
    let small = scene.last();
    scene.says(
        &["run", "-c", "touch c d e f"],
        77,
        &["no-many", "/etc/backstop/policy/site.cedar:1", "denies", "next     make fewer at once"],
    );
    let big = scene.last();

    // Torn: the last good form holds, and it is said.
    scene.write("policy/site.cedar", &SITE.replace("> 3", ">"));
    scene.says(&["run", "-c", "touch g"], 0, &[]);
    scene.says(&["show", "@last"], 0, &["the last good rules hold", "site.cedar:1"]);
    scene.says(&["run", "-c", "touch h i j k"], 77, &["no-many"]);

    // A rule that nobody has an earlier form of.
    scene.write("policy/new.cedar", "@id(\"new\") @reason(\"r\") forbid (principal");
    scene.says(&["run", "-c", "touch l"], 77, &["policy-not-loaded", "/etc/backstop/policy/new.cedar:1"]);
    assert!(!scene.at("w/l").exists() && !scene.at("w/h").exists() && scene.at("w/g").exists());
    scene.says(&["policy", "check"], 1, &["new.cedar:1", "rule ", "next "]);

    // Each set is on record once, before what it let through.
    let log = scene.says(&["log"], 0, &[]);
    let count = |part: &str| log.lines().filter(|l| l.contains(part)).count();
    assert_eq!((count("policy.loaded"), count("policy.refused")), (1, 2), "{log}");
    assert_eq!((count("the last good ones hold"), count("everything is denied")), (1, 1), "{log}");
    scene.says(&["audit", "verify"], 0, &[]);

    fs::remove_file(scene.at("etc/backstop/policy/new.cedar")).expect("removed");
    scene.write("policy/site.cedar", SITE);
    scene.says(
        &["policy", "explain", &big],
        0,
        &["deny", "no-many", "/etc/backstop/policy/site.cedar:1", "created.files", "4"],
    );
    let stricter = scene.at("stricter.cedar");
    fs::write(&stricter, SITE.replace("no-many", "no-two").replace("> 3", "> 1")).expect("a file");
    let text = scene.says(&["policy", "simulate", "--policy", stricter.to_str().expect("UTF-8")], 0, &["+no-two"]);
    let line = text.lines().find(|l| l.starts_with(&small)).unwrap_or_else(|| panic!("{small}: {text}"));
    assert!(line.contains("allow -> deny"), "{text}");
    scene.says(&["policy", "simulate"], 0, &["5 runs judged anew"]);
}

#[test]
fn a_broken_class_file_denies_and_every_verb_of_policy_sees_it() {
    let Some(scene) = Scene::new() else { return };
    scene.write("classes.toml", "[payroll]\nwhy = 'what people earn'\nprotected = true\nsystem = ['/srv/payroll']\n");
    scene.says(&["run", "-c", "touch a"], 0, &[]);
    scene.says(&["log"], 0, &["workstation.cedar, /etc/backstop/classes.toml"]);
    scene.says(&["policy", "show"], 0, &["classes  /etc/backstop/classes.toml  (system)"]);
    scene.write("classes.toml", "[payroll]\nwhi = 'x'\n");
    scene.says(
        &["run", "-c", "touch b"],
        77,
        &["policy-not-loaded", "/etc/backstop/classes.toml", "unknown field `whi`", "next     mend the file"],
    );
    assert!(!scene.at("w/b").exists());
    // What changes nothing, and what only looks, goes on.
    scene.says(&["run", "-c", "true"], 0, &[]);
    scene.says(&["policy", "check"], 1, &["/etc/backstop/classes.toml", "backstop help classes"]);
    scene.says(&["policy", "show"], 0, &["everything is denied"]);
    scene.says(&["log"], 0, &["policy.refused"]);
    scene.says(&["undo", "--last", "1"], 0, &[]);
}

#[test]
fn the_machine_says_what_a_run_may_ask_for() {
    let Some(scene) = Scene::new() else { return };
    scene.says(&["run", "--hold", "-c", "touch a"], 75, &[]);
    let held = scene.last();
    scene.says(
        &["run", "--profile", "production", "--net", "host", "--", "true"],
        77,
        &["--net host", "rule ", "next "],
    );
    scene.write("settings.toml", "profile = 'production'\n");
    let rule = "the machine's settings bind every run";
    scene.says(
        &["run", "--profile", "workstation", "-c", "touch b"],
        77,
        &["does not allow the profile workstation; it allows production", rule, "next     leave --profile out"],
    );
    scene.says(&["run", "--net", "host", "-c", "touch b"], 77, &["does not allow --net host", rule]);
    assert!(!scene.at("w/b").exists());
    scene.says(&["run", "--dry-run", "-c", "touch b"], 0, &[]);
    scene.says(&["show", "--json", "@last"], 0, &["\"profile\": \"production\"", "\"net\": \"none\""]);
    scene.says(&["retry", &held], 77, &["does not allow the profile workstation", rule, "backstop run -- CMD"]);
    scene.says(&["commit", &held], 77, &["does not allow the profile workstation", rule, "backstop run -- CMD"]);
    scene.says(&["policy", "show"], 0, &["production.cedar"]);
    scene.says(&["doctor"], 0, &["profile  production; a run may name production", "/etc/backstop/settings.toml"]);
    for text in ["profil = 'production'", "may = 'x", "net = 'lan'"] {
        scene.write("settings.toml", text);
        scene.says(&["run", "-c", "touch b"], 77, &["settings.toml, line 1", rule, "backstop help settings"]);
        scene.says(&["doctor"], 1, &["settings.toml, line 1", "no run goes"]);
    }
    // Who else can write it could let himself do anything.
    scene.write("settings.toml", "");
    let others = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    fs::set_permissions(scene.at("etc/backstop/settings.toml"), others).expect("mode");
    scene.says(&["run", "-c", "touch b"], 77, &["others than root", rule]);
    assert!(!scene.at("w/b").exists() && !scene.at("w/a").exists());
}

#[test]
fn what_was_denied_for_broken_rules_is_judged_anew_when_they_are_mended() {
    let Some(scene) = Scene::new() else { return };
    scene.write("classes.toml", "[payroll]\nwhi = 'x'\n");
    scene.says(&["run", "-c", "touch a"], 77, &["policy-not-loaded"]);
    scene.write("classes.toml", "");
    scene.says(&["run", "-c", "touch a"], 0, &[]);
}

#[test]
fn facts_of_another_version_are_not_judged() {
    let Some(scene) = Scene::new() else { return };
    scene.says(&["run", "--hold", "-c", "touch a"], 75, &[]);
    let held = scene.last();
    let path = scene.at("state/backstop/runs").join(&held).join("findings.json");
    let mut found: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("kept")).expect("JSON");
    found["facts"]["version"] = 0.into();
    found["facts"]["forgotten"] = true.into();
    fs::write(&path, found.to_string()).expect("written");
    let next = format!("next     run it again: backstop retry {held}");
    scene.says(&["commit", &held], 2, &["another version of Backstop", "(version 0)", &next]);
    scene.says(&["policy", "explain", &held], 0, &["another version"]);
    scene.says(&["policy", "simulate"], 0, &["0 runs judged anew", "1 run has no facts kept"]);
    assert!(!scene.at("w/a").exists());
    scene.says(&["retry", &held], 0, &[]);
    assert!(scene.at("w/a").exists());
}
