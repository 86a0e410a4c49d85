//! OCSF 1.3.0 (<https://schema.ocsf.io/1.3.0/>): a command is a Process Activity, what was denied or banned a Detection Finding, a
//! change of who may approve an Entity Management event; all else is a Base Event. The entry is in `unmapped`.

use backstop_core::audit::{Body, Severity};
use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::{Outcome, Record};

/// The version of the schema.
const VERSION: &str = "1.3.0";

/// Detection Finding.
const FINDING: u32 = 2_004;

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
    let mut unmapped = own(record, room);
    if let Some(cwd) = &facts.cwd {
        unmapped["cwd"] = json!(room.text(cwd));
    }
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
            // Of a finding it is how far people are with it: new, or resolved.
            json!(match (class, activity, record.outcome()) {
                (FINDING, 1, _) => 1,
                (FINDING, ..) => 4,
                (_, _, Outcome::Unknown) => 0,
                (_, _, Outcome::Success) => 1,
                (_, _, Outcome::Failure) => 2,
            }),
        ),
        ("time", json!(i64::try_from(record.nanos() / 1_000_000).unwrap_or_default())),
        ("type_uid", json!(class * 100 + activity)),
        ("unmapped", unmapped),
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
            let program = facts.program.as_ref();
            // 1: a regular file; 3: SHA-256.
            let file = program.and_then(|p| p.executable.as_deref()).map(|path| {
                let hashes = program.and_then(|p| p.sha256.as_ref());
                let hashes = hashes.map(|digits| json!([{ "algorithm_id": 3, "value": digits }]));
                let name = path.rsplit('/').next().unwrap_or(path);
                object([
                    ("hashes", json!(hashes)),
                    ("name", json!(room.text(name))),
                    ("path", json!(room.text(path))),
                    ("type_id", json!(1)),
                ])
            });
            let process = object([
                ("cmd_line", json!(command)),
                ("file", json!(file)),
                ("parent_process", json!(program.map(|p| json!({ "pid": p.parent })))),
                ("pid", json!(program.map(|p| p.pid))),
                ("uid", json!(facts.run)),
                ("user", user(facts.uid)),
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
        FINDING => put("finding_info", json!({ "title": record.kind(), "uid": finding(record) })),
        3_004 => put("entity", json!({ "name": "people who may approve", "type": "People" })),
        _ => put("activity_name", json!(record.kind())),
    }
    event
}

/// What a finding is called: what closes one calls it as what opened it did.
fn finding(record: &Record) -> String {
    match &record.entry.body {
        Body::JailBanned { ban, .. } => ban.digest().hex(),
        Body::JailCleared { ban, .. } => ban.hex(),
        Body::HostFrozen { freeze, .. } => freeze.digest().hex(),
        Body::HostThawed { freeze, .. } => freeze.hex(),
        _ => record.leaf.hex(),
    }
}

fn sorted(kind: &str) -> Class {
    let of = |category, class, activity| Class { category, class, activity };
    match kind {
        "exec.ran" | "run.requested" | "run.nested" => of(1, 1_007, 1),
        "run.rehearsed" | "run.in-place" => of(1, 1_007, 2),
        "run.denied" | "jail.banned" | "host.frozen" => of(2, FINDING, 1),
        "jail.cleared" | "host.thawed" => of(2, FINDING, 3),
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
    use super::super::super::record::tests::{of, program, several};
    use super::*;

    #[test]
    fn what_a_class_requires_is_there() {
        for record in several().into_iter().chain([program()]) {
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

    #[test]
    fn a_program_is_a_process_with_its_file() {
        let event = event(&program(), Room::Whole);
        assert_eq!((&event["class_uid"], &event["exit_code"]), (&json!(1_007), &json!(137)));
        let process = &event["process"];
        assert_eq!((&process["pid"], &process["parent_process"]["pid"]), (&json!(41), &json!(40)));
        let hashes = json!([{ "algorithm_id": 3, "value": "ab".repeat(32) }]);
        assert_eq!(process["file"], json!({ "hashes": hashes, "name": "rm", "path": "/usr/bin/rm", "type_id": 1 }));
    }

    #[test]
    fn what_closes_a_finding_calls_it_by_its_name() {
        let frozen = r#"{"host.frozen":{"freeze":{"at":"2026-11-22T16:20:04Z","by":7},"host":"db-1"}}"#;
        let opened = event(&of(frozen), Room::Whole);
        let uid = opened["finding_info"]["uid"].as_str().expect("a name").to_owned();
        let Body::HostFrozen { freeze, .. } = of(frozen).entry.body else { panic!("a freeze") };
        let thawed = json!({ "host.thawed": { "freeze": freeze.digest(), "host": "db-1", "uid": 7 } }).to_string();
        let closed = event(&of(&thawed), Room::Whole);
        assert_eq!(closed["finding_info"]["uid"], uid.as_str());
        assert_eq!([&opened, &closed].map(|e| e["status_id"].as_u64()), [Some(1), Some(4)]);
    }
}
