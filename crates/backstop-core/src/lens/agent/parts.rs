//! Takes a settings file and its row, gives the parts that matter one by one: each hook, each
//! permission, each server.

use std::collections::BTreeMap;

use serde_json::Value;

use super::glob;
use super::read;
use super::{Format, Kind, Row};
use crate::lens::Incomplete;

/// One hook, permission, server or instruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Where it stands: `hooks/PreToolUse`.
    at: String,
    /// What it says, as JSON (its keys in order).
    says: String,
}

impl Part {
    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{}: {}", self.at, self.says)
    }
}

/// The parts of a file that its row names.
pub(super) fn of(row: &Row, bytes: &[u8]) -> Result<Vec<Part>, Incomplete> {
    let tree = read::read(row.format, bytes)?;
    let Value::Object(top) = &tree else {
        return Err(Incomplete::new("it holds no settings"));
    };
    let mut parts = Vec::new();
    for (pattern, kind) in row.keys.iter().filter(|(p, _)| *p != "*") {
        let keys: Vec<&[u8]> = pattern.as_bytes().split(|&b| b == b'/').collect();
        pick(&tree, &keys, &mut String::new(), &mut |at, value| {
            one(*kind, at, value, row.format == Format::Yaml, &mut parts);
        });
    }
    // `*` is every key at the top that no other pattern names.
    if let Some((_, kind)) = row.keys.iter().find(|(p, _)| *p == "*") {
        let first = |p: &str| p.split('/').next().unwrap_or_default().as_bytes().to_vec();
        let named: Vec<Vec<u8>> = row.keys.iter().filter(|(p, _)| *p != "*").map(|(p, _)| first(p)).collect();
        for (key, value) in top {
            if !named.iter().any(|p| glob::matches(p, key.as_bytes())) {
                one(*kind, key, value, row.format == Format::Yaml, &mut parts);
            }
        }
    }
    Ok(parts)
}

/// Calls `found` with everything the keys lead to.
fn pick(value: &Value, keys: &[&[u8]], at: &mut String, found: &mut dyn FnMut(&str, &Value)) {
    let Some((key, rest)) = keys.split_first() else {
        found(at, value);
        return;
    };
    let Value::Object(map) = value else { return };
    for (name, value) in map.iter().filter(|(name, _)| glob::matches(key, name.as_bytes())) {
        let length = at.len();
        if !at.is_empty() {
            at.push('/');
        }
        at.push_str(name);
        pick(value, rest, at, found);
        at.truncate(length);
    }
}

/// Takes a section apart.
fn one(kind: Kind, at: &str, value: &Value, text: bool, parts: &mut Vec<Part>) {
    let mut push = |at: &str, says: String| parts.push(Part { kind, at: at.to_owned(), says });
    match (kind, value) {
        (_, Value::String(says)) if text => push(at, says.trim().to_owned()),
        // A server is a whole: its name with all it holds.
        (Kind::Mcp, Value::Object(servers)) => {
            servers.iter().for_each(|(name, server)| push(&format!("{at}/{name}"), says(server)));
        }
        (Kind::Hooks, _) => hooks(at, value, &mut push),
        _ => leaves(at, value, &mut push),
    }
}

/// A value as JSON with the keys of its objects in order, however the file has them.
fn says(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let keys: BTreeMap<_, _> = map.iter().collect();
                keys.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
            }
            Value::Array(list) => list.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

/// Each hook: the elements of lists, with a group's matcher in front of each of its hooks.
fn hooks(at: &str, value: &Value, push: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| hooks(&format!("{at}/{key}"), value, push)),
        Value::Array(list) => {
            for item in list {
                match item.get("hooks") {
                    Some(Value::Array(inner)) => {
                        let matcher = item.get("matcher").map_or_else(String::new, |m| format!("({m})"));
                        inner.iter().for_each(|hook| push(&format!("{at}{matcher}"), says(hook)));
                    }
                    _ => push(at, says(item)),
                }
            }
        }
        other => push(at, says(other)),
    }
}

/// Each value that holds no others; list elements without their number, so that a new one in front
/// changes none.
fn leaves(at: &str, value: &Value, push: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(&format!("{at}/{key}"), value, push)),
        Value::Array(list) => list.iter().for_each(|item| push(at, says(item))),
        other => push(at, says(other)),
    }
}
