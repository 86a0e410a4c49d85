//! OTLP over HTTP, as JSON. What the other side refuses it counts, and does not name (`partialSuccess`): a batch of which it
//! refuses some is sent again record by record, until the refused ones are known.

use serde::Deserialize;
use serde_json::Value;

use super::{Fate, Limits, NAME, PATIENCE, Shaped, Sink, settled};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, otlp};
use crate::export::record::Record;
use crate::http::Http;
use crate::secret::secret;
use crate::trust::Trust;

pub(super) struct Otlp {
    http: Http,
    headers: Vec<(String, String)>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answered {
    partial_success: Partial,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// A 64-bit number, which is a string in JSON; some write a number.
    rejected_log_records: Value,
    error_message: String,
}

impl Partial {
    /// How many it refused; what is no number of them is no answer.
    fn rejected(&self) -> Result<u64, Miss> {
        match &self.rejected_log_records {
            Value::Null => Ok(0),
            number => number
                .as_u64()
                .or_else(|| number.as_str()?.parse().ok())
                .ok_or_else(|| Miss::again("the answer does not say how many records it refuses")),
        }
    }
}

impl Otlp {
    pub fn new(to: &config::Otlp) -> Result<Self, String> {
        let trust = Trust::read(&to.tls)?;
        let headers = to.header_files.iter().map(|(name, file)| Ok((name.clone(), secret(file)?)));
        let headers = headers.collect::<Result<_, String>>()?;
        let url = format!("{}/v1/logs", to.url.trim_end_matches('/'));
        Ok(Self { http: Http::new(&url, NAME, PATIENCE, &trust), headers })
    }

    fn request(&self, host: &str, records: &[Value]) -> Result<Partial, Miss> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let body = otlp::request(host, records).to_string();
        let answer = self.http.post(&headers, "application/json", body.as_bytes())?;
        settled(&answer)?;
        // An empty answer says that all went well. What is no answer of the protocol's is a page in between.
        if answer.body.is_empty() {
            return Ok(Partial::default());
        }
        let said: Result<Answered, _> = serde_json::from_slice(&answer.body);
        said.map(|said| said.partial_success).map_err(|e| Miss::again(format!("the answer is none of OTLP's: {e}")))
    }
}

impl Sink for Otlp {
    fn limits(&self) -> Limits {
        // gRPC behind it takes 4 MiB where nobody said otherwise.
        Limits { records: 512, bytes: 3 << 20, each: 1 << 20 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        otlp::record(record, room).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let records: Result<Vec<Value>, _> = batch.iter().map(|one| serde_json::from_slice(&one.bytes)).collect();
        let records = records.map_err(|e| Miss::never(e.to_string()))?;
        let host = batch.first().map_or("", |one| one.host.as_str());
        let partial = self.request(host, &records)?;
        match (partial.rejected()?, batch.len()) {
            (0, _) => fates.extend(batch.iter().map(|_| Fate::Taken)),
            (_, 1) => fates.push(Fate::Refused(Miss::again(format!("refused: {}", partial.error_message)).why)),
            (refused, all) if refused >= all as u64 => {
                return Err(Miss::never(format!("all refused: {}", partial.error_message)));
            }
            _ => {
                for record in &records {
                    let partial = self.request(host, std::slice::from_ref(record))?;
                    let why = || Miss::again(format!("refused: {}", partial.error_message)).why;
                    fates.push(if partial.rejected()? == 0 { Fate::Known } else { Fate::Refused(why()) });
                }
            }
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Miss> {
        self.request("", &[]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_many_are_refused_or_is_none() {
        let partial = |text: &str| serde_json::from_str::<Answered>(text).expect("JSON").partial_success.rejected();
        for (text, rejected) in [
            ("{}", Some(0)),
            (r#"{"partialSuccess":{}}"#, Some(0)),
            (r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#, Some(3)),
            (r#"{"partialSuccess":{"rejectedLogRecords":3}}"#, Some(3)),
            (r#"{"partialSuccess":{"rejectedLogRecords":"some"}}"#, None),
        ] {
            assert_eq!(partial(text).ok(), rejected, "{text}");
        }
    }
}
