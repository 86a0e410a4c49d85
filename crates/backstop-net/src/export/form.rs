//! A record as each kind of sink takes it: pure, from a record to bytes. Each says in its own file by which document.

pub mod cloudevents;
pub mod datadog;
pub mod ecs;
pub mod gelf;
pub mod journal;
pub mod ocsf;
pub mod otlp;
pub mod splunk;
pub mod syslog;

use serde_json::{Map, Value, json};

use super::record::Record;

/// How much of a record there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// All of it.
    Whole,
    /// Its facts, with long texts cut; the log has the rest.
    Cut,
}

/// So many characters are left of a text where there is no room.
const SHORT: usize = 512;

/// So many words are left of a command.
const WORDS: usize = 16;

impl Room {
    /// A text, cut where there is no room; then it ends in `…`.
    pub fn text(self, text: &str) -> String {
        match self {
            Self::Cut if text.chars().nth(SHORT).is_some() => text.chars().take(SHORT).chain(['…']).collect(),
            _ => text.to_owned(),
        }
    }

    /// Words, and few where there is no room.
    pub fn words(self, words: &[String]) -> Vec<String> {
        let most = if self == Self::Cut { WORDS } else { usize::MAX };
        words.iter().take(most).map(|word| if self == Self::Cut { head(word) } else { word.clone() }).collect()
    }
}

fn head(word: &str) -> String {
    word.chars().take(SHORT / WORDS).collect()
}

/// An object of those values that are there: no null, no empty text, list or object.
pub fn object<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    };
    Value::Object(pairs.into_iter().filter(|(_, v)| !empty(v)).map(|(k, v)| (k.to_owned(), v)).collect())
}

/// What Backstop alone has, in forms without nested fields: names joined by `between`, and texts and numbers. The entry itself is
/// not among it.
pub fn flat(record: &Record, between: &str) -> Vec<(String, Value)> {
    let Value::Object(own) = own(record, Room::Cut) else { return Vec::new() };
    let mut all = Vec::new();
    for (key, value) in own.into_iter().filter(|(key, _)| key != "cut") {
        match value {
            Value::Object(under) => {
                all.extend(under.into_iter().map(|(name, value)| (format!("{key}{between}{name}"), value)))
            }
            value => all.push((key, value)),
        }
    }
    all
}

/// What Backstop alone has, under its own name: the same in every form that has nested fields.
pub fn own(record: &Record, room: Room) -> Value {
    let facts = record.facts();
    let effect: Map<String, Value> = facts.effect.iter().flatten().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let body = match room {
        Room::Whole => json!(record.entry.body),
        Room::Cut => Value::Null,
    };
    object([
        ("agent", json!(facts.agent.as_deref().map(|t| room.text(t)))),
        ("asked_by", json!(facts.by)),
        ("body", body),
        ("cut", json!((room == Room::Cut).then_some(true))),
        ("decision", json!(facts.decision.map(backstop_core::policy::Decision::name))),
        ("effect", Value::Object(effect)),
        ("entry", json!(record.entry.index)),
        ("leaf", json!(record.leaf.hex())),
        ("log", json!(record.log)),
        ("person", json!(facts.person)),
        ("reason", json!(facts.reason.as_deref().map(|t| room.text(t)))),
        ("request", json!(facts.request.map(|r| r.hex()))),
        ("rules", json!(if room == Room::Cut { Vec::new() } else { facts.rules })),
        ("run", json!(facts.run)),
        ("session", json!(facts.session.as_deref().map(|t| room.text(t)))),
        ("type", json!(record.kind())),
        ("workspace", json!(facts.workspace.as_deref().map(|t| room.text(t)))),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{of, several};
    use super::*;

    type Form = fn(&Record, Room) -> Vec<u8>;

    #[test]
    fn what_is_cut_is_short_and_says_so() {
        let long = "é".repeat(400_000);
        let record = of(&format!(
            r#"{{"run.requested":{{"command":{{"line":"{long}"}},"cwd":"/{long}","gid":1,"net":"none","reason":"{long}","run":"r-000000","session":"{long}","uid":1}}}}"#
        ));
        let forms: [(&str, Form); 9] = [
            ("cloudevents", |r, room| cloudevents::event(r, room).to_string().into_bytes()),
            ("datadog", |r, room| datadog::log(r, room).to_string().into_bytes()),
            ("ecs", |r, room| ecs::document(r, room).to_string().into_bytes()),
            ("gelf", |r, room| gelf::message(r, room).to_string().into_bytes()),
            ("journal", journal::fields),
            ("ocsf", |r, room| ocsf::event(r, room).to_string().into_bytes()),
            ("otlp", |r, room| otlp::record(r, room).to_string().into_bytes()),
            ("splunk", |r, room| splunk::event(r, None, room).to_string().into_bytes()),
            ("syslog", |r, _| syslog::message(r, 10).into_bytes()),
        ];
        for (name, form) in forms {
            let (whole, cut) = (form(&record, Room::Whole).len(), form(&record, Room::Cut));
            assert!(whole > 700_000 || name == "syslog", "{name}: {whole}");
            assert!(
                String::from_utf8_lossy(&cut).to_ascii_lowercase().contains("cut"),
                "{name} does not say that it is cut"
            );
            // Nothing that is sent anywhere may be longer than the least of the limits.
            let most = if name == "syslog" { 7_500 } else { 32_000 };
            assert!(cut.len() < most, "{name}: {}", cut.len());
            for record in several() {
                let cut = form(&record, Room::Cut);
                assert!(cut.len() < most && !cut.is_empty(), "{name} {}: {}", record.kind(), cut.len());
                let leaf = record.leaf.hex();
                assert!(String::from_utf8_lossy(&cut).contains(&leaf), "{name} {}: the leaf", record.kind());
            }
        }
        assert_eq!(own(&record, Room::Cut)["cut"], true);
        assert_eq!(own(&record, Room::Whole).get("cut"), None);
    }
}
