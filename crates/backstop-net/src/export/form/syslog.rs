//! Syslog messages (RFC 5424): the facts as structured data, what is said as the message. The entry itself is not in it: many
//! receivers cut at 8 KiB, and say nothing.

use backstop_core::quoted::repaints;
use backstop_core::time::Timestamp;

use super::{Room, flat};
use crate::export::record::Record;

/// The name of the structured data. 32473 is the number for examples (RFC 5612): Backstop has none of its own.
const DATA: &str = "backstop@32473";

/// The longest value in it, in characters.
const LONGEST: usize = 256;

/// The message, with the facility by its number.
pub fn message(record: &Record, facility: u8) -> String {
    let facts = record.facts();
    let (mut data, mut cut) = (String::new(), false);
    let mut put = |key: &str, value: &str| {
        let (value, short) = escaped(value);
        cut |= short;
        data.push_str(&format!(" {key}=\"{value}\""));
    };
    put("outcome", record.outcome().name());
    if let Some(uid) = facts.uid {
        put("uid", &uid.to_string());
    }
    for (key, value) in flat(record, "_") {
        put(&key, value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str());
    }
    let message = record.message();
    let said = Room::Cut.text(&message);
    if cut || said != message {
        data.push_str(" cut=\"true\"");
    }
    let (priority, at) = (u16::from(facility) * 8 + record.severity() as u16, moment(record.entry.at));
    // A BOM says that it is UTF-8 (6.4).
    format!("<{priority}>1 {at} {} backstop - {} [{DATA}{data}] \u{feff}{said}", name(&record.host), record.kind())
}

/// A moment with as many digits as the RFC has: six (6.2.3).
fn moment(at: Timestamp) -> String {
    let whole = at.whole().to_string();
    format!("{}.{:06}Z", whole.trim_end_matches('Z'), at.nanos / 1_000)
}

/// A header's name: printable ASCII without spaces, at most 255, or nothing.
fn name(text: &str) -> String {
    let name: String = text.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// A value of structured data (6.3.3), and whether it was cut: three characters are escaped. What could repaint a screen is
/// replaced.
fn escaped(value: &str) -> (String, bool) {
    let mut out = String::new();
    for c in value.chars().take(LONGEST) {
        match c {
            '"' | '\\' | ']' => out.extend(['\\', c]),
            c if repaints(c) => out.push('?'),
            c => out.push(c),
        }
    }
    let cut = value.chars().nth(LONGEST).is_some();
    if cut {
        out.push('…');
    }
    (out, cut)
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::of;
    use super::*;

    #[test]
    fn a_message_is_the_one_of_the_rfc() {
        let record = of(concat!(
            r#"{"run.requested":{"command":{"line":"rm\nx"},"cwd":"/","gid":1,"net":"none","#,
            r#""reason":"tidy \"up\\] \u0007","run":"r-000000","uid":1000}}"#
        ));
        let leaf = record.leaf.hex();
        assert_eq!(
            message(&record, 10),
            format!(
                "<86>1 2026-11-22T16:20:04.500000Z db-1 backstop - run.requested [backstop@32473 outcome=\"unknown\" \
                 uid=\"1000\" entry=\"7\" leaf=\"{leaf}\" log=\"backstop/34\" reason=\"tidy \\\"up\\\\\\] ?\" \
                 run=\"r-000000\" type=\"run.requested\"] \u{feff}run.requested r-000000: rm\\nx  (user 1000)"
            )
        );
        assert_eq!((name("a b\u{e9}c"), name("\u{e9}")), ("abc".to_owned(), "-".to_owned()));
    }
}
