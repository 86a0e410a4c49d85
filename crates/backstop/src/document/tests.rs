use std::fs;
use std::path::{Path, PathBuf};

use backstop_core::effect::EffectSet;
use backstop_core::facts::Findings;
use backstop_core::notice::Notice;
use backstop_core::policy::schema;
use backstop_core::run::RunRecord;
use schemars::{Schema, schema_for};
use serde_json::Value;

use super::*;
use crate::screen::rehearsal;

fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("audit", schema_for!(AuditDocument)),
        ("decided", schema_for!(DecidedDocument)),
        ("freeze", schema_for!(FreezeDocument)),
        ("jail", schema_for!(JailDocument)),
        ("jail-clear", schema_for!(ClearDocument)),
        ("jail-test", schema_for!(JailTestDocument)),
        ("thaw", schema_for!(ThawDocument)),
        ("doctor", schema_for!(DoctorDocument)),
        ("effect-set", schema_for!(EffectSet)),
        ("facts", schema::json()),
        ("failure", schema_for!(FailureDocument)),
        ("findings", schema_for!(Findings)),
        ("install", schema_for!(InstallDocument)),
        ("install-system", schema_for!(SetupDocument)),
        ("pending", schema_for!(PendingDocument)),
        ("notice", schema_for!(Notice)),
        ("people", schema_for!(PeopleDocument)),
        ("policy-check", schema_for!(PolicyCheckDocument)),
        ("policy-explain", schema_for!(PolicyExplainDocument)),
        ("policy-show", schema_for!(PolicyShowDocument)),
        ("policy-simulate", schema_for!(PolicySimulateDocument)),
        ("policy-test", schema_for!(PolicyTestDocument)),
        ("pruned", schema_for!(PrunedDocument)),
        ("record", schema_for!(RecordDocument)),
        ("recovered", schema_for!(RecoveredDocument)),
        ("run", schema_for!(RunDocument<'static>)),
        ("run-record", schema_for!(RunRecord)),
        ("runs", schema_for!(RunsDocument)),
        ("show", schema_for!(ShowDocument<'static>)),
        ("undo", schema_for!(UndoDocument)),
        ("vault", schema_for!(VaultDocument)),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format")
}

/// `BACKSTOP_BLESS=1 cargo test -p backstop` writes them anew.
#[test]
fn published_schemas_are_up_to_date() {
    for (name, schema) in schemas() {
        let schema = Schema::try_from(in_order(Value::from(schema))).expect("a schema");
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).expect("a schema is JSON"));
        published(&folder().join(format!("{name}.schema.json")), &text);
    }
}

/// The facts in Cedar's words, and the table of them for people, from the same types.
#[test]
fn published_schemas_of_the_facts_are_up_to_date() {
    published(&folder().join("facts.cedarschema"), &schema::cedar());
    let page = folder().join("../facts.md");
    let text = fs::read_to_string(&page).expect("docs/facts.md");
    let (before, rest) = text.split_once(FACTS_START).expect("the mark where the table begins");
    let (_, after) = rest.split_once(FACTS_END).expect("the mark where the table ends");
    published(&page, &format!("{before}{FACTS_START}{}{FACTS_END}{after}", schema::table()));
}

const FACTS_START: &str = "<!-- facts:start -->\n";
const FACTS_END: &str = "<!-- facts:end -->";

/// Holds the file at `path` to `text`; writes it where `BACKSTOP_BLESS` asks for it.
fn published(path: &Path, text: &str) {
    if std::env::var_os("BACKSTOP_BLESS").is_some_and(|v| v == "1") {
        fs::write(path, text).expect("docs can be written");
    }
    let published = fs::read_to_string(path).unwrap_or_default();
    assert!(published == text, "{} is out of date: BACKSTOP_BLESS=1 cargo test -p backstop", path.display());
}

/// Keys by name: which order a map keeps is a feature of `serde_json` that any dependency may switch.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut all: Vec<_> = map.into_iter().collect();
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            all.into_iter().map(|(key, v)| (key, in_order(v))).collect()
        }
        Value::Array(all) => all.into_iter().map(in_order).collect(),
        other => other,
    }
}

#[test]
fn no_schema_without_its_type_and_none_without_its_line() {
    let page = fs::read_to_string(folder().join("json.md")).expect("docs/format/json.md");
    let names: Vec<String> = schemas().into_iter().map(|(name, _)| format!("{name}.schema.json")).collect();
    for name in &names {
        assert!(page.contains(&format!("({name})")), "docs/format/json.md does not name {name}");
    }
    for entry in fs::read_dir(folder()).expect("docs/format") {
        let file = entry.expect("entry").file_name();
        let file = file.to_str().expect("UTF-8").to_owned();
        assert!(!file.ends_with(".schema.json") || names.contains(&file), "{file} has no type");
    }
}

/// A reader that goes by the schema accepts what we write: every required key is there, and no key
/// that the schema does not know, on every level.
#[test]
fn documents_keep_to_their_schemas() {
    let outcome = rehearsal::incident();
    let schema = serde_json::to_value(schema_for!(RunDocument<'static>)).expect("schema");
    let value = serde_json::to_value(RunDocument::of(&outcome, 75)).expect("document");
    let mut trouble = Vec::new();
    check(&schema, &schema, &value, "$", &mut trouble);
    assert_eq!(trouble, Vec::<String>::new());
    assert_eq!(value["record"]["state"], "held");
    assert_eq!(value["exit_code"], 75);
    assert_eq!(value["effects"]["crossings"][0]["typed"], "/var/www/temp");
}

fn check(
    root: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
    at: &str,
    bad: &mut Vec<String>,
) {
    let schema = match schema.get("$ref").and_then(|r| r.as_str()) {
        Some(r) => root.pointer(r.trim_start_matches('#')).expect("a reference within"),
        None => schema,
    };
    if let Some(items) = schema.get("items") {
        for (n, item) in value.as_array().into_iter().flatten().enumerate() {
            check(root, items, item, &format!("{at}[{n}]"), bad);
        }
    }
    let Some(properties) = schema.get("properties").and_then(|p| p.as_object()) else { return };
    let Some(object) = value.as_object() else { return };
    for key in schema.get("required").and_then(|r| r.as_array()).into_iter().flatten() {
        if !object.contains_key(key.as_str().expect("a name")) {
            bad.push(format!("{at}: {key} is missing"));
        }
    }
    for (key, below) in object {
        match properties.get(key) {
            Some(s) => check(root, s, below, &format!("{at}.{key}"), bad),
            None if schema.get("oneOf").is_some() => {}
            None => bad.push(format!("{at}: {key} is unknown")),
        }
    }
}
