//! Datadog's intake: at most 1,000 logs, 5 MB, and 1 MB each, above which it cuts without a word.

use backstop_core::time::Timestamp;
use backstop_engine::clock;
use ureq::http::StatusCode;

use super::{Fate, Limits, NAME, PATIENCE, Shaped, Sink, settled, taken};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, datadog};
use crate::export::record::Record;
use crate::http::Http;
use crate::secret::secret;
use crate::trust::Trust;

pub(super) struct Datadog {
    http: Http,
    key: String,
}

impl Datadog {
    pub fn new(to: &config::Datadog) -> Result<Self, String> {
        let trust = Trust::read(&to.tls)?;
        let url = format!("{}/api/v2/logs", to.address().trim_end_matches('/'));
        Ok(Self { http: Http::new(&url, NAME, PATIENCE, &trust), key: secret(&to.api_key_file)? })
    }
}

/// What is sent at this moment. Only now it is known which of them are young enough to say when they were: a batch may have
/// waited for days.
fn body(batch: &[Shaped], now: Timestamp) -> Vec<u8> {
    let log = |one: &Shaped| match datadog::moment(one.at, now) {
        Some(moment) => [format!("{{\"timestamp\":\"{moment}\",").as_bytes(), &one.bytes[1..]].concat(),
        None => one.bytes.clone(),
    };
    [b"[", batch.iter().map(log).collect::<Vec<_>>().join(&b","[..]).as_slice(), b"]"].concat()
}

impl Sink for Datadog {
    fn limits(&self) -> Limits {
        Limits { records: 1_000, bytes: 4_500_000, each: 900_000 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        datadog::log(record, room).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let answer = self.http.post(&[("dd-api-key", &self.key)], "application/json", &body(batch, clock::now()))?;
        settled(&answer)?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(Miss::again(format!("{} is no answer of Datadog's", answer.status)));
        }
        taken(batch, fates, &answer)
    }

    fn probe(&mut self) -> Result<(), Miss> {
        settled(&self.http.post(&[("dd-api-key", &self.key)], "application/json", b"[]")?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::of;
    use super::*;

    #[test]
    fn a_batch_that_waited_says_when_it_was_only_while_that_is_taken() {
        let record = of(r#"{"run.denied":{"run":"r-000000"}}"#);
        let bytes = datadog::log(&record, Room::Whole).to_string().into_bytes();
        let one = Shaped { at: record.entry.at, bytes, ..super::super::tests::nothing(7) };
        for (hours, moment) in [(-3, None), (0, Some("1795364404500")), (16, Some("1795364404500")), (18, None)] {
            let now = Timestamp::new(record.entry.at.secs + hours * 3_600, 0);
            let sent: serde_json::Value =
                serde_json::from_slice(&body(&[one.clone(), one.clone()], now)).expect("JSON");
            assert_eq!(sent.as_array().map(Vec::len), Some(2));
            assert_eq!(sent[1]["timestamp"].as_str(), moment, "{hours} h");
            assert_eq!(sent[1]["occurred_at"], "2026-11-22T16:20:04.500000000Z");
        }
    }
}
