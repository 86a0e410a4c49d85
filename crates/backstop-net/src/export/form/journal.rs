//! Fields for systemd-journald, by its native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use super::{Room, flat};
use crate::export::record::Record;

/// The fields of one message. The entry's line is `BACKSTOP_LINE`, where there is room.
pub fn fields(record: &Record, room: Room) -> Vec<u8> {
    let facts = record.facts();
    let mut out = Vec::new();
    let mut put = |key: &str, value: &str| field(&mut out, key, value.as_bytes());
    put("MESSAGE", &room.text(&record.message()));
    put("PRIORITY", &(record.severity() as u8).to_string());
    put("SYSLOG_IDENTIFIER", "backstop");
    // authpriv
    put("SYSLOG_FACILITY", "10");
    put("BACKSTOP_OUTCOME", record.outcome().name());
    for (key, value) in [("BACKSTOP_COMMAND", &facts.command), ("BACKSTOP_CWD", &facts.cwd)] {
        if let Some(value) = value {
            put(key, &room.text(value));
        }
    }
    if let Some(uid) = facts.uid {
        put("BACKSTOP_UID", &uid.to_string());
    }
    for (key, value) in flat(record, "_") {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        put(&format!("BACKSTOP_{}", key.to_ascii_uppercase()), &text);
    }
    match room {
        Room::Whole => put("BACKSTOP_LINE", &record.line),
        Room::Cut => put("BACKSTOP_CUT", "1"),
    }
    out
}

/// One field; where its value has a line end, with its length in front.
fn field(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    out.extend_from_slice(key.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::several;
    use super::*;

    /// Reads what `fields` writes, as the protocol says.
    fn read(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|b| *b == b'\n' || *b == b'=').expect("a field");
            let key = String::from_utf8(bytes[..end].to_vec()).expect("a name");
            let (value, rest) = if bytes[end] == b'=' {
                let rest = &bytes[end + 1..];
                rest.split_at(rest.iter().position(|b| *b == b'\n').expect("its end"))
            } else {
                let (length, rest) = bytes[end + 1..].split_at(8);
                rest.split_at(u64::from_le_bytes(length.try_into().expect("eight")) as usize)
            };
            all.push((key, value.to_vec()));
            bytes = &rest[1..];
        }
        all
    }

    #[test]
    fn every_field_is_one_that_the_journal_takes() {
        for record in several() {
            let all = read(&fields(&record, Room::Whole));
            for (key, _) in &all {
                let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                assert!(key.len() <= 64 && key.bytes().all(plain) && !key.starts_with('_'), "{key}");
                assert_eq!(all.iter().filter(|(other, _)| other == key).count(), 1, "{key}");
            }
            let line = all.iter().find(|(key, _)| key == "BACKSTOP_LINE").expect("the line");
            assert_eq!(line.1, record.line.as_bytes());
        }
        let mut out = Vec::new();
        field(&mut out, "MESSAGE", b"a\nb");
        assert_eq!(read(&out), [("MESSAGE".to_owned(), b"a\nb".to_vec())]);
    }
}
