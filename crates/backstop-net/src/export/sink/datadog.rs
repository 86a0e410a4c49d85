//! Datadog's intake: at most 1,000 logs, 5 MB, and 1 MB each, above which it cuts without a word.

use backstop_engine::clock;

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

impl Sink for Datadog {
    fn limits(&self) -> Limits {
        Limits { records: 1_000, bytes: 4_500_000, each: 900_000 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        datadog::log(record, room, clock::now()).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let all: Vec<&[u8]> = batch.iter().map(|one| one.bytes.as_slice()).collect();
        let body = [b"[", all.join(&b","[..]).as_slice(), b"]"].concat();
        taken(batch, fates, &self.http.post(&[("dd-api-key", &self.key)], "application/json", &body)?)
    }

    fn probe(&mut self) -> Result<(), Miss> {
        settled(&self.http.post(&[("dd-api-key", &self.key)], "application/json", b"[]")?)
    }
}
