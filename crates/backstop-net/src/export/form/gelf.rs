//! GELF 1.1 (<https://go2docs.graylog.org/current/getting_in_log_data/gelf.html>): additional fields begin with `_`, and are
//! strings or numbers; there is no `_id`.

use serde_json::{Map, Value, json};

use super::{Room, flat};
use crate::export::record::Record;

/// So many characters at most of an additional field: the server indexes it as one term, and loses the whole message, without a
/// word, where that has more than 32,766 bytes.
const TERM: usize = 8_000;

fn term(text: &str) -> String {
    if text.chars().nth(TERM).is_some() { text.chars().take(TERM).chain(['…']).collect() } else { text.to_owned() }
}

/// The message. The entry's own line is its `full_message`, where there is room.
pub fn message(record: &Record, room: Room) -> Value {
    let facts = record.facts();
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    put("version", json!("1.1"));
    // Mandatory, and not empty, for a server that checks it.
    put("host", json!(if record.host.is_empty() { "unknown" } else { &record.host }));
    put("short_message", json!(room.text(&record.message())));
    put("timestamp", json!(record.seconds()));
    put("level", json!(record.severity() as u8));
    if room == Room::Whole {
        put("full_message", json!(record.line));
    }
    for (key, value) in [
        ("_command", facts.command.as_deref().map(|t| json!(term(&room.text(t))))),
        ("_cwd", facts.cwd.as_deref().map(|t| json!(term(&room.text(t))))),
        ("_exit_code", facts.exit.map(|n| json!(n))),
        ("_gid", facts.gid.map(|n| json!(n))),
        ("_outcome", Some(json!(record.outcome().name()))),
        ("_uid", facts.uid.map(|n| json!(n))),
    ] {
        if let Some(value) = value {
            put(key, value);
        }
    }
    flat(record, "_").into_iter().for_each(|(key, value)| put(&format!("_backstop_{key}"), value));
    if room == Room::Cut {
        put("_backstop_cut", json!(1));
    } else if !facts.rules.is_empty() {
        put("_backstop_rules", json!(term(&facts.rules.join(","))));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::{of, several};
    use super::*;

    #[test]
    fn every_message_is_what_the_format_allows() {
        let long = of(&format!(
            r#"{{"run.nested":{{"command":{{"line":"{0}"}},"cwd":"/{0}","run":"r-000000","session":"{0}"}}}}"#,
            "é".repeat(40_000)
        ));
        for record in several().into_iter().chain([long]) {
            for room in [Room::Whole, Room::Cut] {
                let Value::Object(fields) = message(&record, room) else { panic!("an object") };
                assert_eq!(fields["version"], "1.1");
                assert!(fields["short_message"].as_str().is_some_and(|text| !text.is_empty()));
                assert!(fields["level"].as_u64().is_some_and(|level| level < 8));
                for (key, value) in &fields {
                    assert!(value.is_string() || value.is_number(), "{key}: {value}");
                    assert!(value.as_str().is_none_or(|text| text.len() <= 32_766 || !key.starts_with('_')), "{key}");
                    let known = ["version", "host", "short_message", "full_message", "timestamp", "level"];
                    let own = key.starts_with('_') && key[1..].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                    assert!(known.contains(&key.as_str()) || own && key != "_id", "{key}");
                }
            }
        }
    }

    #[test]
    fn a_command_has_its_fields() {
        let records = several();
        let requested = records.iter().rfind(|r| r.kind() == "run.requested").expect("one");
        let message = message(requested, Room::Whole);
        assert_eq!(message["_uid"], 1_000);
        assert_eq!(message["_backstop_run"], "r-000000");
        assert_eq!(message["_backstop_session"], "s-1");
        assert_eq!(message["timestamp"], 1_795_364_404.5);
        assert_eq!(message["full_message"], requested.line.as_str());
    }
}
