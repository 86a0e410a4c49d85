//! Graylog: GELF by HTTP, a message a request; or by TCP or TLS, each message with a NUL byte at its end, uncompressed, as the
//! format has it there. By UDP nobody would know what is lost.

use super::stream::Stream;
use super::{Fate, Limits, NAME, PATIENCE, Shaped, Sink, settled};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, gelf};
use crate::export::record::Record;
use crate::http::Http;
use crate::trust::Trust;

pub(super) enum Gelf {
    Http(Box<Http>),
    Stream(Box<Stream>),
}

impl Gelf {
    pub fn new(to: &config::Gelf) -> Result<Self, String> {
        Ok(match (&to.url, &to.to) {
            (Some(url), _) => Self::Http(Box::new(Http::new(url, NAME, PATIENCE, &Trust::read(&to.tls)?))),
            (None, Some(server)) => Self::Stream(Box::new(Stream::new(server)?)),
            (None, None) => return Err("neither `url` nor `to`".to_owned()),
        })
    }
}

impl Sink for Gelf {
    fn limits(&self) -> Limits {
        // Graylog's inputs take 2 MiB (`max_message_size`) and 64 KiB (`max_chunk_size`, HTTP), where nobody said otherwise.
        let each = if matches!(self, Self::Http(_)) { 60 << 10 } else { 1 << 20 };
        Limits { records: 500, bytes: 4 << 20, each }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        gelf::message(record, room).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        match self {
            Self::Http(http) => {
                for one in batch {
                    settled(&http.post(&[], "application/json", &one.bytes)?)?;
                    fates.push(Fate::Taken);
                }
            }
            Self::Stream(stream) => {
                // JSON has no NUL byte in it: serde_json escapes it.
                stream.send(&batch.iter().flat_map(|one| one.bytes.iter().copied().chain([0])).collect::<Vec<u8>>())?;
                fates.extend(batch.iter().map(|_| Fate::Taken));
            }
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Miss> {
        match self {
            // Whatever is posted it takes for a message.
            Self::Http(http) => settled(&http.options()?),
            Self::Stream(stream) => stream.send(b""),
        }
    }
}
