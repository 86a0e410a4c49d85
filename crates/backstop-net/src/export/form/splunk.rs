//! An event of Splunk's HTTP Event Collector
//! (<https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector>).

use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::Record;

/// The event.
pub fn event(record: &Record, index: Option<&str>, room: Room) -> Value {
    let facts = record.facts();
    object([
        (
            "event",
            object([
                ("backstop", own(record, room)),
                ("command", json!(facts.command.as_deref().map(|t| room.text(t)))),
                ("cwd", json!(facts.cwd.as_deref().map(|t| room.text(t)))),
                ("exit_code", json!(facts.exit)),
                ("message", json!(room.text(&record.message()))),
                ("outcome", json!(record.outcome().name())),
                ("severity", json!(record.severity().name())),
                ("uid", json!(facts.uid)),
            ]),
        ),
        ("host", json!(record.host)),
        ("index", json!(index)),
        ("source", json!(record.log)),
        ("sourcetype", json!("backstop:audit")),
        ("time", json!(record.seconds())),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::of;
    use super::*;

    #[test]
    fn an_event_says_when_where_and_what() {
        let record = of(r#"{"run.denied":{"run":"r-000000"}}"#);
        let event = event(&record, Some("main"), Room::Whole);
        assert_eq!(
            (&event["time"], &event["index"], &event["host"]),
            (&json!(1_795_364_404.5), &json!("main"), &json!("db-1"))
        );
        assert_eq!(
            (&event["event"]["outcome"], &event["event"]["backstop"]["run"]),
            (&json!("failure"), &json!("r-000000"))
        );
        assert!(super::event(&record, None, Room::Whole).get("index").is_none());
    }
}
