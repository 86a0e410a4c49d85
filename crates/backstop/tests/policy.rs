//! The corpus of the rules, and `backstop policy` as people type it: every case gets the tier it expects,
//! and every built-in rule speaks in one case and is silent in another. Reads the corpus; writes into
//! temporary directories only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use backstop_core::policy::law::{Law, Profile, Verdict};
use backstop_core::policy::trial::{Expected, Trial};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy")
}

fn trials() -> BTreeMap<String, Trial> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(corpus()).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "toml") {
            let text = fs::read_to_string(&path).expect("a case");
            let name = path.file_stem().and_then(|n| n.to_str()).expect("UTF-8").to_owned();
            let trial = Trial::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            all.insert(name, trial);
        }
    }
    all
}

#[test]
fn every_case_gets_its_tier_its_rules_and_its_words() {
    let trials = trials();
    assert!(trials.len() >= 60, "{}", trials.len());
    for profile in Profile::ALL {
        let law = Law::of(profile).unwrap_or_else(|r| panic!("{r:#?}"));
        let mut wrong = BTreeMap::new();
        for (name, trial) in &trials {
            let expected = trial.expect.get(profile.name()).unwrap_or_else(|| panic!("{name}: {}", profile.name()));
            let got = Expected::of(&trial.judged(&law, profile));
            if got != *expected {
                wrong.insert(name, (expected, got));
            }
        }
        assert!(wrong.is_empty(), "{}: {wrong:#?}", profile.name());
    }
}

#[test]
fn every_rule_speaks_in_a_case_and_is_silent_in_another() {
    let trials = trials();
    for profile in Profile::ALL {
        let law = Law::of(profile).unwrap_or_else(|r| panic!("{r:#?}"));
        let expected: Vec<_> = trials.values().filter_map(|t| t.expect.get(profile.name())).collect();
        let spoken: BTreeSet<&String> = expected.iter().flat_map(|e| &e.rules).collect();
        for rule in law.rules().filter(|r| r.verdict == Verdict::Forbid) {
            assert!(spoken.contains(&rule.id), "{} never speaks in {}", rule.id, profile.name());
            assert!(expected.iter().any(|e| !e.rules.contains(&rule.id)), "{} is never silent", rule.id);
        }
    }
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temp"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_backstop"))
            .arg("policy")
            .args(args)
            .current_dir(self.0.path())
            .env("XDG_STATE_HOME", self.0.path())
            .env("NO_COLOR", "1")
            .output()
            .expect("backstop starts")
    }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn check_says_place_cause_rule_and_next_step() {
    let scene = Scene::new();
    let good = scene.write("good.cedar", "@id(\"x\") @reason(\"r\") forbid (principal, action, resource);\n");
    let output = scene.run(&["check", good.to_str().expect("UTF-8")]);
    assert_eq!((output.status.code(), said(&output).contains("rules are sound")), (Some(0), true), "{}", said(&output));
    let bad = scene.write(
        "bad.cedar",
        "\n@id(\"x\") @reason(\"r\")\nforbid (principal, action, resource) when { context.clases.contains(\"a\") };\n",
    );
    let output = scene.run(&["check", bad.to_str().expect("UTF-8")]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["bad.cedar:2", "clases", "rule ", "next "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = scene.run(&["check", "--json", bad.to_str().expect("UTF-8")]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&document["ok"], &document["refusals"][0]["id"]), (&false.into(), &"x".into()));
}

#[test]
fn a_case_that_gets_another_tier_is_found() {
    let scene = Scene::new();
    let text = "why = 'w'\n[facts]\nclasses = ['outside']\n[expect.workstation]\ntier = 'allow'\n";
    let file = scene.write("case.toml", text);
    let output = scene.run(&["test", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("workstation ask  outside-workspace"), "{}", said(&output));
    let corpus = corpus();
    let output = scene.run(&["test", corpus.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn show_lists_each_rule_with_its_line() {
    let output = Scene::new().run(&["show", "--profile", "production"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("protected-without-proof") && text.contains("production.cedar:"), "{text}");
}

#[test]
fn simulating_without_runs_differs_in_nothing() {
    let output = Scene::new().run(&["simulate"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("0 runs judged anew, 0 would differ"), "{}", said(&output));
}
