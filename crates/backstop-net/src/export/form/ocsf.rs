//! OCSF 1.3.0 (<https://schema.ocsf.io/1.3.0/>): a command is a Process Activity, what was denied or banned a Detection Finding, a
//! change of who may approve an Entity Management event; all else is a Base Event. The entry is in `unmapped`.

use backstop_core::audit::Severity;
use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::{Outcome, Record};

/// The version of the schema.
const VERSION: &str = "1.3.0";

/// A class with its category and the activity in it.
struct Class {
    category: u32,
    class: u32,
    activity: u32,
}

/// The event.
pub fn event(record: &Record, room: Room) -> Value {
    let facts = record.facts();
    let Class { category, class, activity } = sorted(record.kind());
    let user = |uid: Option<u32>| object([("uid", json!(uid.map(|uid| uid.to_string())))]);
    let mut event = object([
        ("activity_id", json!(activity)),
        ("category_uid", json!(category)),
        ("class_uid", json!(class)),
        ("message", json!(room.text(&record.message()))),
        (
            "metadata",
            json!({
                "event_code": record.kind(),
                "log_name": record.log,
                "product": { "name": "Backstop", "vendor_name": "Backstop", "version": env!("CARGO_PKG_VERSION") },
                "profiles": ["host"],
                "sequence": record.entry.index,
                "uid": record.leaf.hex(),
                "version": VERSION,
            }),
        ),
        ("severity_id", json!(severity(record.severity()))),
        (
            "status_id",
            json!(match record.outcome() {
                Outcome::Unknown => 0,
                Outcome::Success => 1,
                Outcome::Failure => 2,
            }),
        ),
        ("time", json!(i64::try_from(record.nanos() / 1_000_000).unwrap_or_default())),
        ("type_uid", json!(class * 100 + activity)),
        ("unmapped", own(record, room)),
        // 99: none of the kinds that the schema knows.
        ("device", json!({ "hostname": record.host, "type_id": 99, "type": "guarded host" })),
    ]);
    let mut put = |key: &str, value: Value| {
        event[key] = value;
    };
    let session = facts.session.as_deref().map(|t| json!({ "uid": room.text(t) }));
    match class {
        1_007 => {
            let command = facts.command.as_deref().map(|t| room.text(t));
            let process = object([
                ("cmd_line", json!(command)),
                ("uid", json!(facts.run)),
                ("user", user(facts.uid)),
                ("working_directory", json!(facts.cwd.as_deref().map(|t| room.text(t)))),
            ]);
            put("process", process);
            let asked = facts.by.or(facts.uid);
            let actor = object([
                ("app_name", json!(facts.agent.as_deref().map(|t| room.text(t)))),
                ("session", json!(session)),
                ("user", user(asked)),
            ]);
            // Mandatory, and never empty.
            put("actor", if actor == json!({}) { json!({ "app_name": "backstop" }) } else { actor });
            if let Some(code) = facts.exit {
                put("exit_code", json!(code));
            }
        }
        2_004 => put("finding_info", json!({ "title": record.kind(), "uid": record.leaf.hex() })),
        3_004 => put("entity", json!({ "name": "people who may approve", "type": "People" })),
        _ => {}
    }
    event
}

fn sorted(kind: &str) -> Class {
    let of = |category, class, activity| Class { category, class, activity };
    match kind {
        "run.requested" | "run.nested" => of(1, 1_007, 1),
        "run.rehearsed" | "run.in-place" => of(1, 1_007, 2),
        "run.denied" | "jail.banned" | "host.frozen" => of(2, 2_004, 1),
        "jail.cleared" | "host.thawed" => of(2, 2_004, 3),
        "people.changed" => of(3, 3_004, 3),
        _ => of(0, 0, 99),
    }
}

const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Debug | Severity::Info => 1,
        Severity::Notice => 2,
        Severity::Warning => 3,
        Severity::Error => 4,
        Severity::Alert => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::several;
    use super::*;

    #[test]
    fn what_a_class_requires_is_there() {
        for record in several() {
            let event = event(&record, Room::Whole);
            for key in ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"] {
                assert!(event.get(key).is_some(), "{key}: {event}");
            }
            assert_eq!(event["metadata"]["product"]["vendor_name"], "Backstop");
            let required: &[&str] = match event["class_uid"].as_u64() {
                Some(1_007) => &["actor", "device", "process"],
                Some(2_004) => &["finding_info"],
                Some(3_004) => &["entity"],
                _ => &[],
            };
            assert!(required.iter().all(|key| event.get(*key).is_some_and(|v| *v != json!({}))), "{event}");
            assert!(
                event["type_uid"].as_u64()
                    == Some(
                        event["class_uid"].as_u64().unwrap_or(7) * 100 + event["activity_id"].as_u64().unwrap_or(7)
                    )
            );
        }
    }
}
