//! Elastic Common Schema 8.17 (<https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html>), for Elasticsearch and
//! OpenSearch. What it has no field for stands under `backstop`; the entry itself there as well, as `body`.

use backstop_core::audit::Severity;
use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::Record;

/// The version of the schema.
const VERSION: &str = "8.17.0";

/// The document.
pub fn document(record: &Record, room: Room) -> Value {
    let facts = record.facts();
    let program = facts.program.as_ref();
    let (category, kinds) = sorted(record.kind());
    let kind = if record.severity() <= Severity::Warning { "alert" } else { "event" };
    object([
        ("@timestamp", json!(record.entry.at)),
        ("backstop", own(record, room)),
        ("ecs", json!({ "version": VERSION })),
        (
            "event",
            json!({
                "action": record.kind(),
                "category": category,
                "dataset": "backstop.audit",
                "id": record.leaf.hex(),
                "kind": kind,
                "module": "backstop",
                "outcome": record.outcome().name(),
                "sequence": record.entry.index,
                "severity": record.severity() as u8,
                "type": kinds,
            }),
        ),
        ("group", object([("id", json!(facts.gid.map(|gid| gid.to_string())))])),
        ("host", json!({ "name": record.host })),
        ("log", json!({ "level": record.severity().name() })),
        ("message", json!(room.text(&record.message()))),
        ("observer", json!({ "product": "Backstop", "type": "agent-guard", "version": env!("CARGO_PKG_VERSION") })),
        (
            "process",
            object([
                ("args", json!(room.words(&facts.argv))),
                ("command_line", json!(facts.command.as_deref().map(|t| room.text(t)))),
                ("executable", json!(program.and_then(|p| p.executable.as_deref()).map(|t| room.text(t)))),
                ("exit_code", json!(facts.exit)),
                ("hash", object([("sha256", json!(program.and_then(|p| p.sha256.as_ref())))])),
                ("parent", object([("pid", json!(program.map(|p| p.parent)))])),
                ("pid", json!(program.map(|p| p.pid))),
                ("working_directory", json!(facts.cwd.as_deref().map(|t| room.text(t)))),
            ]),
        ),
        ("rule", object([("name", json!(if room == Room::Cut { Vec::new() } else { facts.rules }))])),
        ("user", object([("id", json!(facts.uid.map(|uid| uid.to_string()))), ("name", json!(facts.person))])),
    ])
}

/// Categories and types of the schema's own lists.
fn sorted(kind: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        "exec.ran" => (&["process"], &["start", "end"]),
        "exec.unlisted" => (&["process"], &["info"]),
        "run.requested" | "run.nested" => (&["process"], &["start"]),
        "run.rehearsed" | "run.in-place" => (&["process"], &["end"]),
        "run.denied" => (&["process", "intrusion_detection"], &["denied"]),
        "run.judged" | "run.held" | "run.dry-run" => (&["process"], &["info"]),
        "run.committed" | "run.redone" | "run.undone" | "run.observed" => (&["file"], &["change"]),
        _ if kind.starts_with("run.") => (&["file"], &["info"]),
        "jail.banned" | "host.frozen" => (&["intrusion_detection"], &["denied"]),
        "jail.cleared" | "host.thawed" => (&["intrusion_detection"], &["allowed"]),
        "jail.counted" => (&["intrusion_detection"], &["info"]),
        "people.changed" => (&["iam", "configuration"], &["change"]),
        _ if kind.starts_with("approval.") => (&["iam"], &["info"]),
        "policy.loaded" => (&["configuration"], &["change"]),
        "policy.refused" => (&["configuration"], &["error"]),
        _ => (&["host"], &["info"]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::{program, several};
    use super::*;

    /// The lists of allowed values of the schema.
    const CATEGORIES: [&str; 6] = ["process", "file", "intrusion_detection", "iam", "configuration", "host"];
    const TYPES: [&str; 7] = ["start", "end", "info", "change", "denied", "allowed", "error"];

    #[test]
    fn every_type_of_entry_is_sorted_by_the_schemas_own_words() {
        for name in backstop_core::audit::Body::NAMES {
            let (categories, types) = sorted(name);
            assert!(categories.iter().all(|c| CATEGORIES.contains(c)) && !categories.is_empty(), "{name}");
            assert!(types.iter().all(|t| TYPES.contains(t)) && !types.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_program_is_a_process() {
        let document = document(&program(), Room::Whole);
        assert_eq!(document["process"]["executable"], "/usr/bin/rm");
        assert_eq!(document["process"]["hash"]["sha256"], "ab".repeat(32));
        assert_eq!((&document["process"]["pid"], &document["process"]["parent"]["pid"]), (&json!(41), &json!(40)));
        assert_eq!(
            (&document["process"]["command_line"], &document["process"]["exit_code"]),
            (&json!("rm -r 'a b'"), &json!(137))
        );
        assert_eq!(document["event"]["category"], json!(["process"]));
    }

    #[test]
    fn a_command_is_found_by_the_schemas_fields() {
        let records = several();
        let requested = records.iter().rfind(|r| r.kind() == "run.requested").expect("one");
        let document = document(requested, Room::Whole);
        assert_eq!(document["@timestamp"], "2026-11-22T16:20:04.500000000Z");
        assert_eq!(document["process"]["command_line"], "rm -rf \"/srv/a b\" \u{7}é");
        assert_eq!(document["process"]["working_directory"], "/srv");
        assert_eq!(document["user"]["id"], "1000");
        assert_eq!(document["event"]["sequence"], 7);
        assert_eq!(document["event"]["kind"], "event");
        assert_eq!(document["backstop"]["body"]["run.requested"]["session"], "s-1");
        let denied = records.iter().rfind(|r| r.kind() == "run.denied").expect("one");
        let document = super::document(denied, Room::Whole);
        assert_eq!((&document["event"]["kind"], &document["event"]["outcome"]), (&json!("alert"), &json!("failure")));
        assert!(document.get("process").is_none() && document.get("user").is_none(), "{document}");
    }
}
