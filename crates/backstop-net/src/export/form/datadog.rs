//! Datadog's log intake, v2 (<https://docs.datadoghq.com/api/latest/logs/#send-logs>). What is older than 18 hours is thrown
//! away there without a word: such a record is sent without its moment, so that it is taken as of now, and says its own.

use backstop_core::audit::Severity;
use backstop_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::Record;

/// Which ages, in seconds, it takes for what they say: an hour less than it says (18 hours, and two in the future), which may
/// be what the way takes.
const TAKEN: std::ops::Range<i64> = -3_600..17 * 3_600;

/// When a record was, in milliseconds since 1970, as long as that is taken.
pub fn moment(at: Timestamp, now: Timestamp) -> Option<i64> {
    TAKEN.contains(&now.seconds_since(at)).then(|| at.secs * 1_000 + i64::from(at.nanos / 1_000_000))
}

/// The log, without `timestamp`: that is added when it is sent.
pub fn log(record: &Record, room: Room) -> Value {
    let facts = record.facts();
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
    fn a_log_says_what_it_is() {
        let log = log(&of(r#"{"run.denied":{"run":"r-000000"}}"#), Room::Whole);
        assert_eq!(
            (&log["status"], &log["service"], &log["evt"]["name"]),
            (&json!("warning"), &json!("backstop"), &json!("run.denied"))
        );
        assert!(log.get("timestamp").is_none() && log["occurred_at"] == "2026-11-22T16:20:04.500000000Z");
    }
}
