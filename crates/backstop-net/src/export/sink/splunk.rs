//! Splunk's HTTP Event Collector.

use serde::Deserialize;

use super::{Fate, Limits, NAME, PATIENCE, Shaped, Sink, settled};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, splunk};
use crate::export::record::Record;
use crate::http::Http;
use crate::secret::secret;
use crate::trust::Trust;

/// "No data": what it says to nothing, where the token is good.
const NO_DATA: u64 = 5;

/// "Invalid data format", "Event field is required", "Event field cannot be blank", "Error in handling indexed fields": about one
/// of the events. Which one it says as well, but counts from 0 or from 1; so halves are tried. All else can be mended, an index that
/// is missing too.
const OF_AN_EVENT: [u64; 4] = [6, 12, 13, 15];

pub(super) struct Splunk {
    http: Http,
    authorization: String,
    index: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answered {
    code: Option<u64>,
    text: String,
}

impl Splunk {
    pub fn new(to: &config::Splunk) -> Result<Self, String> {
        let trust = Trust::read(&to.tls)?;
        let url = format!("{}/services/collector/event", to.url.trim_end_matches('/'));
        let authorization = format!("Splunk {}", secret(&to.token_file)?);
        Ok(Self { http: Http::new(&url, NAME, PATIENCE, &trust), authorization, index: to.index.clone() })
    }
}

impl Sink for Splunk {
    fn limits(&self) -> Limits {
        Limits { records: 500, bytes: 800_000, each: 400_000 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        splunk::event(record, self.index.as_deref(), room).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let body: Vec<u8> = batch.iter().flat_map(|one| one.bytes.iter().copied()).collect();
        let answer = self.http.post(&[("authorization", &self.authorization)], "application/json", &body)?;
        let said: Answered = serde_json::from_slice(&answer.body).unwrap_or_default();
        let why = || Miss::again(format!("the server answers {}: {}", answer.status, said.text)).why;
        match (answer.status.as_u16(), said.code) {
            (200, Some(0)) => {
                fates.extend(batch.iter().map(|_| Fate::Taken));
                Ok(())
            }
            (400, Some(code)) if OF_AN_EVENT.contains(&code) => Err(Miss::never(why())),
            (200 | 400, _) => Err(Miss::again(why())),
            _ => settled(&answer),
        }
    }

    fn probe(&mut self) -> Result<(), Miss> {
        let answer = self.http.post(&[("authorization", &self.authorization)], "application/json", b"")?;
        let said: Answered = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 400 && said.code == Some(NO_DATA) { Ok(()) } else { settled(&answer) }
    }
}
