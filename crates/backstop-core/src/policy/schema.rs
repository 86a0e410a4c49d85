//! Takes the JSON Schema of the facts (made from their types by schemars), gives Cedar's schema, the
//! published JSON Schema and the table for people. One source, so the three can't differ.

use schemars::{Schema, schema_for};
use serde_json::{Map, Value};

use crate::facts::Facts;

/// The entity type of who asks; its id is the user's number.
pub const REQUESTER: &str = "Requester";
/// The entity type of the machine; its id is the profile.
pub const HOST: &str = "Machine";
/// What is asked for.
pub const COMMIT: &str = "commit";

/// The JSON Schema of the facts, as published.
pub fn json() -> Schema {
    schema_for!(Facts)
}

/// Cedar's schema of a request: who, what, where, and the facts with the approvals as its context.
///
/// # Panics
/// Never: a test holds that every fact is of a kind that Cedar has.
pub fn cedar() -> String {
    let root = Value::from(json());
    let mut out = String::from(
        "// Made from the fact types by `cargo xtask docs`; a test holds that it is current.\n\
         // What each fact means: docs/facts.md.\n\n",
    );
    for (name, schema) in sorted(&root, "/$defs") {
        out.push_str(&format!("type {name} = {};\n\n", record(schema, 0, &[])));
    }
    out.push_str(&format!("entity {REQUESTER};\n\nentity {HOST};\n\n"));
    out.push_str(&format!(
        "action \"{COMMIT}\" appliesTo {{\n  principal: [{REQUESTER}],\n  resource: [{HOST}],\n  context: {}\n}};\n",
        record(&root, 1, &[("approvals", "{ \"people\": Long }")])
    ));
    out
}

/// The rows of `docs/facts.md`: path, type and meaning of every fact.
pub fn table() -> String {
    let root = Value::from(json());
    let mut out = String::from("| fact | type | meaning |\n|---|---|---|\n");
    rows(&root, &root, "", &mut out);
    out
}

/// True where `path` (dots between its names) is a fact or a group of facts.
pub fn is_fact(path: &str) -> bool {
    let root = Value::from(json());
    let mut here = &root;
    for name in path.split('.') {
        match here.pointer("/properties").and_then(|p| p.get(name)) {
            Some(below) => here = resolved(&root, below),
            None => return false,
        }
    }
    true
}

fn rows(root: &Value, schema: &Value, path: &str, out: &mut String) {
    for (name, below) in sorted(schema, "/properties") {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let told = meaning(below).or_else(|| meaning(resolved(root, below))).unwrap_or_default();
        let below = resolved(root, below);
        if below.get("properties").is_some() {
            out.push_str(&format!("| `{path}.*` | | {told} |\n"));
            rows(root, below, &path, out);
        } else {
            out.push_str(&format!("| `{path}` | {} | {told} |\n", kind(below)));
        }
    }
}

/// A doc comment on one line, without rustdoc's links, fit for a table.
fn meaning(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(words.join(" ").replace("[`", "`").replace("`]", "`").replace('|', "\\|"))
}

/// The record of an object's properties, and `further` ones.
fn record(schema: &Value, depth: usize, further: &[(&str, &str)]) -> String {
    let indent = "  ".repeat(depth + 1);
    let mut fields: Vec<(String, String)> =
        sorted(schema, "/properties").into_iter().map(|(name, s)| (name.clone(), kind(s))).collect();
    fields.extend(further.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())));
    fields.sort();
    let lines: Vec<String> = fields.iter().map(|(name, kind)| format!("{indent}\"{name}\": {kind}")).collect();
    format!("{{\n{}\n{}}}", lines.join(",\n"), "  ".repeat(depth))
}

/// Cedar's name for a kind of fact.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/")) {
        return name.to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => "Long".to_owned(),
        Some("boolean") => "Bool".to_owned(),
        Some("string") => "String".to_owned(),
        Some("array") => format!("Set<{}>", schema.get("items").map(kind).unwrap_or_default()),
        // Cedar refuses the name, and with it the whole schema; a test sees it first.
        other => format!("unknown {other:?}"),
    }
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    reference.and_then(|r| root.pointer(r)).unwrap_or(schema)
}

/// The entries of the object at `pointer`, by name: the order in which a map happens to hold them is
/// a feature of a library that any dependency may switch.
fn sorted<'a>(schema: &'a Value, pointer: &str) -> Vec<(&'a String, &'a Value)> {
    let mut all: Vec<_> = schema.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter).collect();
    all.sort_by_key(|(name, _)| *name);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cedar_takes_the_schema() {
        let (schema, warnings) = cedar_policy::Schema::from_cedarschema_str(&cedar()).expect("a schema");
        assert_eq!(warnings.map(|w| w.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(schema.actions().map(ToString::to_string).collect::<Vec<_>>(), ["Action::\"commit\""]);
    }

    #[test]
    fn every_fact_is_known_by_its_path() {
        for path in ["classes", "deleted.files", "git", "irreplaceable.classes", "open_elsewhere.writing"] {
            assert!(is_fact(path), "{path}");
        }
        for path in ["", "deleted.file", "class", "classes.x", "approvals.people"] {
            assert!(!is_fact(path), "{path}");
        }
    }
}
