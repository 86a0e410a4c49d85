//! Plays every case of `corpus/lens/git`: a fixture, a command, what the git lens has to see. The
//! name of a file is its claim.

#[path = "lens_git/scene.rs"]
mod scene;
#[path = "lens_git/sight.rs"]
mod sight;
#[path = "lens_git/trees.rs"]
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use backstop_engine::facts::git::{FileFate, Limits};
use serde::Deserialize;

use scene::Scene;
use sight::Sight;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Makes what is there, in an empty directory.
    before: String,
    /// What is judged.
    command: String,
    /// The numbers that are not zero.
    #[serde(default)]
    facts: BTreeMap<String, i64>,
    /// What can't be measured, as part of the text; empty is complete.
    #[serde(default)]
    incomplete: String,
    /// Files whose content does not survive, by their fate; git directories themselves are left out.
    #[serde(default)]
    lost: BTreeMap<String, BTreeSet<String>>,
    /// Names of directories that a tool makes again.
    #[serde(default)]
    regenerable: Vec<String>,
    /// Parts of sentences, each in one of them, in this order.
    #[serde(default)]
    told: Vec<String>,
    /// Why it matters.
    why: String,
}

fn name(fate: FileFate) -> String {
    format!("{fate:?}").chars().fold(String::new(), |mut all, c| {
        if c.is_ascii_uppercase() && !all.is_empty() {
            all.push('-');
        }
        all.push(c.to_ascii_lowercase());
        all
    })
}

fn wrong(case: &Case, sight: &Sight) -> Vec<String> {
    let mut wrong = Vec::new();
    let facts = serde_json::to_value(sight.seen.facts).expect("numbers");
    let facts: BTreeMap<String, i64> = serde_json::from_value(facts).expect("numbers");
    let facts: BTreeMap<String, i64> = facts.into_iter().filter(|(_, n)| *n != 0).collect();
    if facts != case.facts {
        wrong.push(format!("facts {facts:?}, expected {:?}", case.facts));
    }
    let mut lost: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (fate, paths) in sight.fates.iter().filter(|(f, _)| !f.survives()) {
        let outside = paths.iter().filter(|p| !p.split('/').any(|c| c.ends_with(".git"))).cloned();
        let outside: BTreeSet<String> = outside.collect();
        if !outside.is_empty() {
            lost.insert(name(*fate), outside);
        }
    }
    if lost != case.lost {
        wrong.push(format!("lost {lost:?}, expected {:?}", case.lost));
    }
    let incomplete = sight.seen.incomplete.clone().unwrap_or_default();
    if incomplete.is_empty() != case.incomplete.is_empty() || !incomplete.contains(&case.incomplete) {
        wrong.push(format!("incomplete {incomplete:?}, expected {:?}", case.incomplete));
    }
    let mut told = sight.seen.told.iter();
    for part in &case.told {
        if !told.any(|t| t.text.contains(part)) {
            wrong.push(format!("not told (in this order): {part}"));
        }
    }
    wrong
}

#[test]
fn every_case_of_the_corpus_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/lens/git");
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("the corpus").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let only = std::env::var("LENS_CASE").unwrap_or_default();
    let mut broken = Vec::new();
    let mut played = 0;
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "toml")) {
        let title = file.file_stem().and_then(|n| n.to_str()).expect("a plain name");
        if !title.contains(&only) {
            continue;
        }
        let text = std::fs::read_to_string(file).expect("a case");
        let case: Case = toml::from_str(&text).unwrap_or_else(|e| panic!("{title}: {e}"));
        assert!(!case.why.is_empty(), "{title} says why");
        let sight = Scene::play(&case.before, &case.command).look(&Limits::default(), &case.regenerable);
        played += 1;
        let sentences: Vec<&str> = sight.seen.told.iter().map(|t| t.text.as_str()).collect();
        println!("{title}\n    {}", sentences.join("\n    "));
        for what in wrong(&case, &sight) {
            broken.push(format!("{title}: {what}\n    told {sentences:?}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(played >= 30 || !only.is_empty(), "only {played} cases");
}
