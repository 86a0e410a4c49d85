//! Plays every case of `corpus/facts`: a fixture, a command, the facts and places that are found. The
//! name of a file is its claim. `ws` is the workspace, `home` a home, `tmp` scratch, all else outside.

#[path = "lens_git/scene.rs"]
mod scene;
#[path = "lens_git/trees.rs"]
mod trees;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::facts::{Context, Findings, Level, People, Proven, Reading};
use backstop_core::policy::Ground;
use backstop_core::request::{Command, Net, Request};
use backstop_core::time::Timestamp;
use backstop_engine::facts::gather;
use serde::Deserialize;
use serde_json::Value;

use scene::Scene;
use trees::Trees;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Makes what is there, in a directory with `ws`, `home`, `tmp` and `srv`.
    before: String,
    /// What is judged.
    command: String,
    /// Facts by their names; those that are not named may be anything, except that none is incomplete.
    facts: Value,
    /// Places by class or fact, the first few.
    #[serde(default)]
    places: BTreeMap<String, Vec<String>>,
    /// What was restored from a backup a moment ago and compared.
    #[serde(default)]
    proven: Vec<String>,
    /// Why it matters.
    why: String,
}

fn found(case: &Case) -> (Findings, Bytes) {
    let Scene { effects, trees: Trees { before, work, .. }, dir } =
        Scene::play(&format!("mkdir -p ws tmp srv\n{}", case.before), &case.command);
    // The real machine is as it was: nothing took effect so far.
    let after = work.with_file_name("after");
    fs::rename(&work, &after).expect("renamed");
    fs::rename(&before, &work).expect("renamed");
    let trees = Trees { after, before: work.clone(), work };
    let meta = trees.work.metadata().expect("it is there");
    let (uid, gid) = (meta.uid(), meta.gid());
    let top = Bytes::from(trees.work.as_path());
    let at = |name: &str| top.join(name.as_bytes());
    let ground = Ground {
        classes: Classes::new(&[at("home")]),
        home: Some(at("home")),
        homes: vec![at("home")],
        scratch: vec![at("tmp")],
        uid,
        workspace: Some(at("ws")),
        ..Ground::default()
    };
    let request = Request {
        asker: None,
        by: None,
        command: Command::Line(case.command.as_str().into()),
        cwd: at("ws"),
        env_keys: Vec::new(),
        gid,
        in_place: false,
        net: Net::None,
        parallel: false,
        profile: "workstation".into(),
        reason: None,
        session: None,
        uid,
        workspace: Some(at("ws")),
    };
    let now = Timestamp::new(meta.ctime() + 3_600, 0);
    let roots: Vec<Bytes> = case.proven.iter().map(|p| at(p)).collect();
    let proven = Proven { at: now, level: Level::Restore, locations: 1, roots };
    let context = Context {
        denials: 0,
        denied: &[],
        ground: &ground,
        named: &[],
        now,
        people: People::default(),
        proven: &[proven],
        reading: Reading::default(),
        request: &request,
    };
    let findings = gather(&effects, &trees, &context);
    drop(dir);
    (findings, top)
}

/// Every difference between what is and what a case names.
fn differs(at: &str, expected: &Value, given: &Value, wrong: &mut Vec<String>) {
    match (expected, given) {
        (Value::Object(all), Value::Object(given)) => {
            for (key, value) in all {
                let at = format!("{at}.{key}");
                match given.get(key) {
                    Some(given) => differs(&at, value, given, wrong),
                    None => wrong.push(format!("there is no fact {at}")),
                }
            }
        }
        _ if expected == given => {}
        _ => wrong.push(format!("{at} is {given}, expected {expected}")),
    }
}

#[test]
fn every_case_of_the_corpus_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/facts");
    let mut files: Vec<_> = fs::read_dir(dir).expect("the corpus").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let only = std::env::var("FACTS_CASE").unwrap_or_default();
    let (mut broken, mut played) = (Vec::new(), 0);
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "toml")) {
        let title = file.file_stem().and_then(|n| n.to_str()).expect("a plain name");
        if !title.contains(&only) {
            continue;
        }
        let text = fs::read_to_string(file).expect("a case");
        let case: Case = toml::from_str(&text).unwrap_or_else(|e| panic!("{title}: {e}"));
        assert!(!case.why.is_empty(), "{title} says why");
        let (findings, top) = found(&case);
        played += 1;
        let mut facts = serde_json::to_value(&findings.facts).expect("plain values");
        let mut wrong = Vec::new();
        differs("facts", &case.facts, &facts, &mut wrong);
        if case.facts.get("incomplete").is_none() && facts["incomplete"] != Value::Array(Vec::new()) {
            wrong.push(format!("incomplete: {}", facts["incomplete"].take()));
        }
        for (key, expected) in &case.places {
            let places = findings.evidence.get(key).map(|p| p.paths.clone()).unwrap_or_default();
            let below = |p: &Bytes| p.quoted().to_string().replace(&format!("{}/", top.quoted()), "");
            let places: Vec<String> = places.iter().map(below).collect();
            if places != *expected {
                wrong.push(format!("places of {key}: {places:?}, expected {expected:?}"));
            }
        }
        broken.extend(wrong.iter().map(|what| format!("{title}: {what}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(played >= 25 || !only.is_empty(), "only {played} cases");
}
