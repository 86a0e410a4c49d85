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

/// "Invalid data format", "Event field is required", "Event field cannot be blank", "Incorrect index", "Error in handling
/// indexed fields": about one event.
const OF_AN_EVENT: [u64; 5] = [6, 12, 13, 7, 15];

pub(super) struct Splunk {
    http: Http,
    authorization: String,
    index: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Answered {
    code: u64,
    text: String,
    invalid_event_number: Option<usize>,
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
        match (answer.status.as_u16(), said.invalid_event_number) {
            // What stands before the bad one is taken, what stands after it is not.
            (400, Some(bad)) if bad < batch.len() && OF_AN_EVENT.contains(&said.code) => {
                fates.extend(batch[..bad].iter().map(|_| Fate::Taken));
                let Answered { code, text, .. } = said;
                fates.push(Fate::Refused(Miss::again(format!("{code} {text}")).why));
                let rest = batch.len() - bad - 1;
                fates.extend((0..rest).map(|_| Fate::Again("it stands behind one that was refused".to_owned())));
                Ok(())
            }
            _ => {
                settled(&answer)?;
                fates.extend(batch.iter().map(|_| Fate::Taken));
                Ok(())
            }
        }
    }

    fn probe(&mut self) -> Result<(), Miss> {
        let answer = self.http.post(&[("authorization", &self.authorization)], "application/json", b"")?;
        let said: Answered = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 400 && said.code == NO_DATA { Ok(()) } else { settled(&answer) }
    }
}
