//! Hands records to one service, once. Knows its protocol and its limits; what to do with what is not taken is not decided
//! here.

mod bulk;
mod datadog;
mod files;
mod gelf;
mod journald;
mod otlp;
mod splunk;
mod stream;
mod syslog;
mod webhook;

use std::time::Duration;

use backstop_core::time::Timestamp;
use ureq::http::StatusCode;

use super::config::{self, To};
use super::form::Room;
use super::record::Record;
use crate::deliver::Miss;
use crate::http::{Answer, judge};

/// One attempt takes no longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The name that we go by.
const NAME: &str = "backstop-export";

/// What a service takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
    /// Bytes of one record.
    pub each: usize,
}

/// A record in the form that a service takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaped {
    /// When it happened.
    pub at: Timestamp,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The machine.
    pub host: String,
    /// Its index in the log.
    pub index: u64,
    /// The digest of its leaf, in hex.
    pub leaf: String,
    /// Of which log it is.
    pub log: String,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The service has it.
    Taken,
    /// It had it before.
    Known,
    /// It may take it later.
    Again(String),
    /// It will never take it.
    Refused(String),
}

/// A service.
pub trait Sink: Send {
    /// What it takes at once.
    fn limits(&self) -> Limits;

    /// A record in its form.
    fn shape(&self, record: &Record, room: Room) -> Vec<u8>;

    /// Hands records over, in order; puts the fate of each of the first ones into `fates`.
    ///
    /// # Errors
    /// What became of none of the others is known then. A permanent one says that it will not take them like that: all of
    /// them at once, or one of them.
    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss>;

    /// Tries whether it is there and would take something, without a record where its protocol has a way to.
    ///
    /// # Errors
    /// Why not.
    fn probe(&mut self) -> Result<(), Miss>;
}

/// Makes a sink ready: its secrets are read.
///
/// # Errors
/// A secret or certificate that can't be read or used, as a sentence fragment.
pub fn ready(config: &config::Sink) -> Result<Box<dyn Sink>, String> {
    Ok(match &config.to {
        To::Elasticsearch(to) | To::Opensearch(to) => Box::new(bulk::Bulk::new(to)?),
        To::Gelf(to) => Box::new(gelf::Gelf::new(to)?),
        To::Datadog(to) => Box::new(datadog::Datadog::new(to)?),
        To::Otlp(to) => Box::new(otlp::Otlp::new(to)?),
        To::Splunk(to) => Box::new(splunk::Splunk::new(to)?),
        To::Syslog(to) => Box::new(syslog::Syslog::new(to)?),
        To::Journald(to) => Box::new(journald::Journald::new(to)),
        To::Webhook(to) => Box::new(webhook::Webhook::new(to)?),
        To::Files(to) => Box::new(files::Files::new(to)),
    })
}

/// A record in the form of a sink: whole where it fits, else cut. One whose line alone is too long is not tried whole: all
/// sinks get it at the same time, and it may be megabytes.
pub fn shaped(sink: &dyn Sink, record: &Record) -> Shaped {
    let each = sink.limits().each;
    let whole = (record.line.len() <= each).then(|| sink.shape(record, Room::Whole));
    let bytes = whole.filter(|bytes| bytes.len() <= each).unwrap_or_else(|| sink.shape(record, Room::Cut));
    Shaped {
        at: record.entry.at,
        bytes,
        host: record.host.clone(),
        index: record.entry.index,
        leaf: record.leaf.hex(),
        log: record.log.clone(),
    }
}

/// How many of these go together.
pub fn fitting(batch: &[Shaped], limits: Limits, most: usize) -> usize {
    let mut bytes = 0;
    let fits = |one: &&Shaped| {
        bytes += one.bytes.len();
        bytes <= limits.bytes
    };
    batch.iter().take(limits.records.min(most)).take_while(fits).count().max(1)
}

/// All of a batch were taken, where the answer says so.
fn taken(batch: &[Shaped], fates: &mut Vec<Fate>, answer: &Answer) -> Result<(), Miss> {
    settled(answer)?;
    fates.extend(batch.iter().map(|_| Fate::Taken));
    Ok(())
}

/// Whether the answer is a good one; of a bad one, what the service says of it.
fn settled(answer: &Answer) -> Result<(), Miss> {
    judge(answer.status, &answer.headers).map_err(|miss| {
        // Who does not let us in might say who we said we are.
        let shown = if matches!(answer.status.as_u16(), 401 | 403 | 407) { 0 } else { answer.body.len().min(200) };
        let said = String::from_utf8_lossy(&answer.body[..shown]).into_owned();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let why = if said.is_empty() { miss.why } else { Miss::again(format!("{}: {said}", miss.why)).why };
        Miss { why, permanent: miss.permanent && answer.status != StatusCode::GONE, ..miss }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::record::tests::several;
    use super::*;

    /// A record of which nothing is known but its index.
    pub fn nothing(index: u64) -> Shaped {
        let (host, leaf, log) = (String::new(), String::new(), "backstop/34".to_owned());
        Shaped { at: Timestamp::new(0, 0), bytes: Vec::new(), host, index, leaf, log }
    }

    #[test]
    fn as_many_go_together_as_a_service_takes() {
        let one = |bytes: usize| Shaped { bytes: vec![0; bytes], ..tests::nothing(0) };
        let limits = Limits { records: 3, bytes: 10, each: 5 };
        for (sizes, most, fit) in [
            (vec![1, 1, 1, 1], 9, 3),
            (vec![1, 1, 1, 1], 2, 2),
            (vec![4, 4, 4], 9, 2),
            (vec![5, 5, 5], 9, 2),
            // One goes in any case, and the service says what it makes of it.
            (vec![99, 1], 9, 1),
            (vec![1, 99], 9, 1),
        ] {
            let batch: Vec<Shaped> = sizes.iter().map(|n| one(*n)).collect();
            assert_eq!(fitting(&batch, limits, most), fit, "{sizes:?}");
        }
    }

    #[test]
    fn what_does_not_fit_whole_is_cut() {
        struct Small(usize);
        impl Sink for Small {
            fn limits(&self) -> Limits {
                Limits { records: 1, bytes: 99, each: self.0 }
            }
            fn shape(&self, _: &Record, room: Room) -> Vec<u8> {
                if room == Room::Whole { vec![1; 10_000] } else { vec![2; 4] }
            }
            fn send(&mut self, _: &[Shaped], _: &mut Vec<Fate>) -> Result<(), Miss> {
                Ok(())
            }
            fn probe(&mut self) -> Result<(), Miss> {
                Ok(())
            }
        }
        let record = &several()[0];
        assert_eq!(shaped(&Small(10_000), record).bytes, [1; 10_000]);
        assert_eq!(shaped(&Small(9_999), record).bytes, [2; 4]);
        assert_eq!(shaped(&Small(record.line.len() - 1), record).bytes, [2; 4]);
    }
}
