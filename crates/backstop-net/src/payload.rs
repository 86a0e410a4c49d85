//! What programs are sent: one JSON document for webhooks and commands, and the signature over it.

use backstop_core::notice::{Notice, What};
use backstop_core::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde::Serialize;
use sha2::Sha256;

use crate::message::Item;

/// What a key begins with, by <https://www.standardwebhooks.com>.
const KEY: &str = "whsec_";

/// A key shorter than this could be found by trying; so many bytes at least.
const SHORTEST: usize = 24;

/// The document.
#[derive(Debug, Serialize)]
pub struct Payload<'a> {
    /// What it tells, with its fields.
    pub data: Data<'a>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Which kind, as `docs/format/json.md` lists them.
    pub r#type: &'static str,
}

/// What is told.
#[derive(Debug, Serialize)]
pub struct Data<'a> {
    /// Where it can be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<&'a str>,
    /// How many more, which were the same, it stands for, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<More>,
    /// The notice.
    pub notice: &'a Notice,
    /// The same in words.
    pub text: String,
    /// In one line.
    pub title: String,
}

/// What else a notice stands for.
#[derive(Debug, Serialize)]
pub struct More {
    /// How many more.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
}

/// The document as it is sent.
pub fn of(item: &Item) -> Vec<u8> {
    let (notice, link) = (&item.notice, item.link.as_deref());
    let more = (item.more > 0).then_some(More { count: item.more, since: item.since });
    let data = Data { link, more, notice, text: notice.text(link), title: item.title() };
    serde_json::to_vec(&Payload { data, timestamp: notice.at, r#type: kind(&notice.what) }).unwrap_or_default()
}

/// Which kind of document tells of it.
pub const fn kind(what: &What) -> &'static str {
    match what {
        What::Asked { .. } => "approval.asked",
        What::Decided { .. } => "approval.decided",
        What::BrokeGlass { .. } => "approval.broke-glass",
        What::Reviewed { .. } => "approval.reviewed",
        What::Approved { .. } => "approval.approved",
        What::Ended { .. } => "approval.ended",
        What::PeopleChanged { .. } => "people.changed",
        What::Frozen { .. } => "host.frozen",
        What::Thawed => "host.thawed",
        What::Banned { .. } => "jail.banned",
        What::Cleared { .. } => "jail.cleared",
        What::Rules { refused: true } => "policy.refused",
        What::Rules { .. } => "policy.loaded",
        What::Denied => "run.denied",
        What::Stopped => "guard.stopped",
        What::Started => "guard.started",
        What::Mended => "audit.recovered",
        What::Away { back: false } => "guard.away",
        What::Away { .. } => "guard.back",
        What::Alert { .. } => "alert",
        What::Disk { back: false, .. } => "disk.low",
        What::Disk { .. } => "disk.back",
        What::AlertRules { back: false } => "alert-rules.refused",
        What::AlertRules { .. } => "alert-rules.back",
        What::Silenced { back: false, .. } => "silence.began",
        What::Silenced { .. } => "silence.ended",
        What::Stalled { .. } => "export.stalled",
        What::Resumed { .. } => "export.resumed",
        What::Test => "test",
    }
}

/// A key for signing what is sent.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// Reads a key's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let base64 = text.trim().strip_prefix(KEY).ok_or_else(|| format!("the key does not begin with {KEY}"))?;
        let bytes = STANDARD.decode(base64).map_err(|e| format!("what follows {KEY} is no base64: {e}"))?;
        if bytes.len() < SHORTEST {
            return Err(format!("the key has {} bytes, and {SHORTEST} are the least", bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// The value of `webhook-signature` for a message of this id, sent at this second of Unix time.
    pub fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let said = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(said, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn no_weak_key_is_taken() {
        for (text, part) in [("MfKQ9r8G", "begin"), ("whsec_!", "base64"), ("whsec_MfKQ9r8G", "6 bytes")] {
            assert!(Key::parse(text).err().is_some_and(|why| why.contains(part)), "{text}");
        }
    }

    #[test]
    fn a_document_says_all_of_a_notice() {
        let notice = Notice::test("db-1", Timestamp::new(1_800_000_000, 0));
        let item = Item { more: 3, ..Item::one(notice, Some("https://c".to_owned())) };
        let value: serde_json::Value = serde_json::from_slice(&of(&item)).expect("JSON");
        assert_eq!(value["data"]["more"], serde_json::json!({ "count": 3, "since": "2027-01-15T08:00:00Z" }));
        assert_eq!(value["type"], "test");
        assert_eq!(value["data"]["notice"]["id"], "n-test-1800000000");
        assert_eq!(value["data"]["link"], "https://c");
        assert!(value["data"]["title"].as_str().is_some_and(|t| t.starts_with("[db-1] test")));
    }
}
