//! A webhook of CloudEvents in batches (`application/cloudevents-batch+json`), signed as in
//! <https://www.standardwebhooks.com>; the batch's own id is made of what is in it, and the same when it is sent again.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::{Fate, Limits, NAME, PATIENCE, Shaped, Sink, settled, taken};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, cloudevents};
use crate::export::record::Record;
use crate::http::{Answer, Http};
use crate::payload::Key;
use crate::secret::secret;
use crate::trust::Trust;

pub(super) struct Webhook {
    http: Http,
    key: Key,
}

impl Webhook {
    pub fn new(to: &config::Webhook) -> Result<Self, String> {
        let trust = Trust::read(&to.tls)?;
        let key =
            Key::parse(&secret(&to.secret_file)?).map_err(|why| format!("{}: {why}", to.secret_file.display()))?;
        Ok(Self { http: Http::new(&to.url, NAME, PATIENCE, &trust), key })
    }

    fn post(&self, id: &str, body: &[u8]) -> Result<Answer, Miss> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = self.key.sign(id, i64::try_from(now).unwrap_or_default(), body);
        let at = now.to_string();
        let headers = [("webhook-id", id), ("webhook-timestamp", &*at), ("webhook-signature", &*signature)];
        self.http.post(&headers, "application/cloudevents-batch+json", body)
    }
}

impl Sink for Webhook {
    fn limits(&self) -> Limits {
        // Those in between pass on no more than 64 KiB of an event.
        Limits { records: 100, bytes: 1 << 20, each: 64 << 10 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        cloudevents::event(record, room).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let all: Vec<&[u8]> = batch.iter().map(|one| one.bytes.as_slice()).collect();
        let body = [b"[", all.join(&b","[..]).as_slice(), b"]"].concat();
        let leaves: Sha256 = batch.iter().fold(Sha256::new(), |sum, one| sum.chain_update(&one.leaf));
        let digest = leaves.finalize().iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        taken(batch, fates, &self.post(&format!("batch-{digest}"), &body)?)
    }

    fn probe(&mut self) -> Result<(), Miss> {
        settled(&self.post("probe", b"[]")?)
    }
}
