//! OTLP logs as JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>), by the data model of
//! <https://opentelemetry.io/docs/specs/otel/logs/data-model/>: 64-bit numbers are strings.

use backstop_core::audit::Severity;
use serde_json::{Map, Value, json};

use super::{Room, flat};
use crate::export::record::Record;

/// The request that carries these records, all of which are of one log.
pub fn request(host: &str, records: &[Value]) -> Value {
    json!({
        "resourceLogs": [{
            "resource": { "attributes": [
                pair("host.name", &json!(host)),
                pair("service.name", &json!("backstop")),
                pair("service.version", &json!(env!("CARGO_PKG_VERSION"))),
            ] },
            "scopeLogs": [{
                "scope": { "name": "backstop.audit", "version": env!("CARGO_PKG_VERSION") },
                "logRecords": records,
            }],
        }],
    })
}

/// One record.
pub fn record(record: &Record, room: Room) -> Value {
    let facts = record.facts();
    let program = facts.program.as_ref();
    let mut attributes = Map::new();
    let mut put = |key: &str, value: Value| {
        attributes.insert(key.to_owned(), value);
    };
    put("log.record.uid", json!(record.leaf.hex()));
    if room == Room::Whole {
        put("log.record.original", json!(record.line));
    }
    for (key, value) in [
        ("process.command_line", facts.command.as_deref().map(|t| json!(room.text(t)))),
        ("process.command_args", (!facts.argv.is_empty()).then(|| json!(room.words(&facts.argv)))),
        ("process.executable.path", program.and_then(|p| p.executable.as_deref()).map(|t| json!(room.text(t)))),
        ("process.exit.code", facts.exit.map(|n| json!(n))),
        ("process.parent_pid", program.map(|p| json!(p.parent))),
        ("process.pid", program.map(|p| json!(p.pid))),
        ("process.working_directory", facts.cwd.as_deref().map(|t| json!(room.text(t)))),
        ("user.id", facts.uid.map(|uid| json!(uid.to_string()))),
        ("user.name", facts.person.as_ref().map(|name| json!(name))),
    ] {
        if let Some(value) = value {
            put(key, value);
        }
    }
    flat(record, ".").into_iter().for_each(|(key, value)| put(&format!("backstop.{key}"), value));
    if room == Room::Cut {
        put("backstop.cut", json!(true));
    } else if !facts.rules.is_empty() {
        put("backstop.rules", json!(facts.rules));
    }
    let (number, text) = severity(record.severity());
    json!({
        "attributes": attributes.iter().map(|(key, value)| pair(key, value)).collect::<Vec<_>>(),
        "body": { "stringValue": room.text(&record.message()) },
        "eventName": format!("backstop.{}", record.kind()),
        "observedTimeUnixNano": record.nanos().to_string(),
        "severityNumber": number,
        "severityText": text,
        "timeUnixNano": record.nanos().to_string(),
    })
}

/// The data model's number for syslog's severities, and its short name.
const fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Alert => (19, "ERROR3"),
        Severity::Error => (17, "ERROR"),
        Severity::Warning => (13, "WARN"),
        Severity::Notice => (10, "INFO2"),
        Severity::Info => (9, "INFO"),
        Severity::Debug => (5, "DEBUG"),
    }
}

fn pair(key: &str, value: &Value) -> Value {
    json!({ "key": key, "value": any(value) })
}

fn any(value: &Value) -> Value {
    match value {
        Value::Bool(b) => json!({ "boolValue": b }),
        Value::Number(n) => json!({ "intValue": n.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(all) => json!({ "arrayValue": { "values": all.iter().map(any).collect::<Vec<_>>() } }),
        other => json!({ "stringValue": other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::several;
    use super::*;

    #[test]
    fn numbers_of_64_bits_are_strings_and_keys_are_there_once() {
        for one in several() {
            let record = record(&one, Room::Whole);
            assert!(record["timeUnixNano"].as_str().is_some_and(|n| n.parse::<u64>().is_ok()), "{record}");
            let attributes = record["attributes"].as_array().expect("a list");
            let mut keys: Vec<&str> = attributes.iter().filter_map(|a| a["key"].as_str()).collect();
            assert!(keys.contains(&"log.record.uid") && keys.contains(&"backstop.entry"));
            let all = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), all, "{record}");
            for attribute in attributes {
                let value = attribute["value"].as_object().expect("a value");
                assert_eq!(value.len(), 1);
                assert!(value.get("intValue").is_none_or(Value::is_string), "{attribute}");
            }
        }
    }
}
