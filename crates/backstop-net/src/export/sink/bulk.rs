//! Elasticsearch and OpenSearch: `_bulk` with `create`, whose `_id` is the leaf's digest, so that what is sent again is known
//! (409) and not there twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::{Fate, Limits, NAME, PATIENCE, Shaped, Sink, settled};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, ecs};
use crate::export::record::Record;
use crate::http::Http;
use crate::secret::secret;
use crate::trust::Trust;

pub(super) struct Bulk {
    http: Http,
    probe: Http,
    authorization: Option<String>,
}

/// What of an answer is looked at.
#[derive(Deserialize)]
struct Answered {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    error: Option<Why>,
}

#[derive(Deserialize)]
struct Why {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    reason: String,
}

impl Why {
    /// Not what is wrong with the index, or the cluster: "maximum shards open" is a 400 as well.
    fn is_of_the_document(&self) -> bool {
        const TYPES: [&str; 3] =
            ["document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception"];
        TYPES.contains(&self.r#type.as_str()) || self.reason.contains("immense term")
    }
}

impl Bulk {
    pub fn new(to: &config::Bulk) -> Result<Self, String> {
        let trust = Trust::read(&to.tls)?;
        let basic = |user: &str, password: String| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let authorization = match (&to.api_key_file, &to.user, &to.password_file) {
            (Some(key), None, None) => Some(format!("ApiKey {}", secret(key)?)),
            (None, Some(user), Some(password)) => Some(basic(user, secret(password)?)),
            _ => None,
        };
        let url = to.url.trim_end_matches('/');
        let at = |path: &str| Http::new(&format!("{url}/{}/{path}", to.index), NAME, PATIENCE, &trust);
        // The answer in short: what is looked at of it, and no more.
        let http = at("_bulk?filter_path=items.create.status,items.create.error.type,items.create.error.reason");
        Ok(Self { http, probe: at("_bulk"), authorization })
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.authorization.iter().map(|value| ("authorization", value.as_str())).collect()
    }
}

impl Sink for Bulk {
    fn limits(&self) -> Limits {
        // Far below `http.max_content_length` (100 MB).
        Limits { records: 1_000, bytes: 8 << 20, each: 1 << 20 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        let action = json!({ "create": { "_id": record.leaf.hex() } });
        format!("{action}\n{}\n", ecs::document(record, room)).into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let body: Vec<u8> = batch.iter().flat_map(|one| one.bytes.iter().copied()).collect();
        let answer = self.http.post(&self.headers(), "application/x-ndjson", &body)?;
        settled(&answer)?;
        let said: Answered = serde_json::from_slice(&answer.body)
            .map_err(|e| Miss::again(format!("the server's answer is none of _bulk's: {e}")))?;
        if said.items.len() != batch.len() {
            let (sent, came) = (batch.len(), said.items.len());
            return Err(Miss::again(format!("the server answers for {came} of {sent} records")));
        }
        fates.extend(said.items.into_iter().map(|item| fate(&item.create)));
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Miss> {
        // Without a document it refuses, in its own words: so it is there, and knows who asks. Whether he may write, and whether
        // the stream is there, the first document shows.
        let answer = self.probe.post(&self.headers(), "application/x-ndjson", b"\n")?;
        let said = String::from_utf8_lossy(&answer.body);
        let own = ["no requests added", "request body is required"].iter().any(|words| said.contains(words));
        if answer.status == 400 && own { Ok(()) } else { settled(&answer) }
    }
}

fn fate(created: &Created) -> Fate {
    let why = |said: &str| {
        let what = created.error.as_ref().map_or_else(String::new, |e| format!(" {}: {}", e.r#type, e.reason));
        Miss::again(format!("{said}{what}")).why
    };
    match created.status {
        200..=299 => Fate::Taken,
        409 => Fate::Known,
        400 if created.error.as_ref().is_some_and(Why::is_of_the_document) => Fate::Refused(why("400")),
        413 => Fate::Refused(why("413")),
        other => Fate::Again(why(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_has_its_own_fate() {
        let text = r#"{"items":[{"create":{"status":201}},{"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}},
            {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"no date"}}},
            {"create":{"status":429,"error":{"type":"es_rejected_execution_exception"}}},{"create":{"status":403}},
            {"create":{"status":400,"error":{"type":"validation_exception","reason":"maximum shards open"}}}]}"#;
        let said: Answered = serde_json::from_str(text).expect("an answer");
        let fates: Vec<Fate> = said.items.iter().map(|item| fate(&item.create)).collect();
        assert_eq!(fates[..2], [Fate::Taken, Fate::Known]);
        assert_eq!(fates[2], Fate::Refused("400 document_parsing_exception: no date".to_owned()));
        assert!(matches!(&fates[3], Fate::Again(why) if why.starts_with("429")));
        // Rights can be given, and shards.
        assert!(matches!(&fates[4], Fate::Again(_)) && matches!(&fates[5], Fate::Again(_)));
    }
}
