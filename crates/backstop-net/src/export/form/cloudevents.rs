//! CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>), for webhooks: the entry, as it is
//! in the log, is the data. `sequence` is the extension of that name.

use serde_json::{Value, json};

use super::{Room, object, own};
use crate::export::record::Record;

/// The event.
pub fn event(record: &Record, room: Room) -> Value {
    let data = match room {
        Room::Whole => json!(record.entry),
        Room::Cut => {
            json!({ "at": record.entry.at, "backstop": own(record, room), "message": room.text(&record.message()) })
        }
    };
    object([
        ("data", data),
        ("datacontenttype", json!("application/json")),
        ("id", json!(record.leaf.hex())),
        ("sequence", json!(record.entry.index.to_string())),
        ("source", json!(format!("/{}", record.log))),
        ("specversion", json!("1.0")),
        ("subject", json!(record.facts().run)),
        ("time", json!(record.entry.at)),
        ("type", json!(format!("backstop.{}", record.kind()))),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::several;
    use super::*;

    #[test]
    fn attributes_are_what_the_specification_says() {
        for record in several() {
            let Value::Object(event) = event(&record, Room::Whole) else { panic!("an object") };
            for key in ["id", "source", "specversion", "type"] {
                assert!(event[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
            }
            assert!(event.keys().all(|key| key.bytes().all(|b| b.is_ascii_lowercase())));
            let line = serde_json::to_string(&event["data"]).expect("JSON");
            assert_eq!(line, record.line, "the data is the entry in its one spelling");
        }
    }
}
