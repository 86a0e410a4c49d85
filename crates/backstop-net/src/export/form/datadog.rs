//! Datadog's log intake, v2 (<https://docs.datadoghq.com/api/latest/logs/#send-logs>). What is older than 18 hours is thrown
//! away there without a word: such a record is sent without its moment, so that it is taken as of now, and says its own.

use backstop_core::audit::Severity;
use backstop_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::Record;

/// From so many seconds on a record is old; an hour before Datadog says so, which may be what the way takes.
const OLD: i64 = 17 * 3_600;

/// The log.
pub fn log(record: &Record, room: Room, now: Timestamp) -> Value {
    let facts = record.facts();
    let old = now.seconds_since(record.entry.at) > OLD;
    object([
        ("backstop", own(record, room)),
        ("ddsource", json!("backstop")),
        ("ddtags", json!(format!("type:{},outcome:{}", record.kind(), record.outcome().name()))),
        ("evt", json!({ "id": record.leaf.hex(), "name": record.kind(), "outcome": record.outcome().name() })),
        ("hostname", json!(record.host)),
        ("message", json!(room.text(&record.message()))),
        ("occurred_at", json!(record.entry.at)),
        (
            "process",
            object([
                ("command_line", json!(facts.command.as_deref().map(|t| room.text(t)))),
                ("working_directory", json!(facts.cwd.as_deref().map(|t| room.text(t)))),
            ]),
        ),
        ("service", json!("backstop")),
        ("status", json!(status(record.severity()))),
        ("timestamp", json!((!old).then(|| (record.nanos() / 1_000_000).to_string()))),
        ("usr", object([("id", json!(facts.uid.map(|uid| uid.to_string()))), ("name", json!(facts.person))])),
    ])
}

const fn status(severity: Severity) -> &'static str {
    match severity {
        Severity::Alert => "alert",
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
        Severity::Info => "info",
        Severity::Debug => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::of;
    use super::*;

    #[test]
    fn what_would_be_thrown_away_for_its_age_is_sent_as_of_now() {
        let record = of(r#"{"run.denied":{"run":"r-000000"}}"#);
        let after = |hours: i64| Timestamp::new(record.entry.at.secs + hours * 3_600, 0);
        let fresh = log(&record, Room::Whole, after(16));
        assert_eq!(fresh["timestamp"], "1795364404500");
        let old = log(&record, Room::Whole, after(18));
        assert!(old.get("timestamp").is_none());
        assert_eq!(old["occurred_at"], fresh["occurred_at"]);
        assert_eq!(
            (&old["status"], &old["service"], &old["evt"]["name"]),
            (&json!("warning"), &json!("backstop"), &json!("run.denied"))
        );
    }
}
