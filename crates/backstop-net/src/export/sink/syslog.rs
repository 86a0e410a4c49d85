//! Syslog by TCP or TLS, each message with its length in front (RFC 5425, RFC 6587 3.4.1). Nothing says that a message was
//! stored: it is taken to be when the other side has read it.

use super::stream::Stream;
use super::{Fate, Limits, Shaped, Sink};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, syslog};
use crate::export::record::Record;

pub(super) struct Syslog {
    stream: Stream,
    facility: u8,
}

impl Syslog {
    pub fn new(to: &config::Syslog) -> Result<Self, String> {
        Ok(Self { stream: Stream::new(&to.to)?, facility: to.facility()? })
    }
}

impl Sink for Syslog {
    fn limits(&self) -> Limits {
        Limits { records: 500, bytes: 4 << 20, each: 8 << 10 }
    }

    fn shape(&self, record: &Record, _: Room) -> Vec<u8> {
        let message = syslog::message(record, self.facility);
        format!("{} {message}", message.len()).into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        self.stream.send(&batch.iter().flat_map(|one| one.bytes.iter().copied()).collect::<Vec<u8>>())?;
        fates.extend(batch.iter().map(|_| Fate::Taken));
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Miss> {
        self.stream.send(b"")
    }
}
