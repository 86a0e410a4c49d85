//! This machine's journal, by its socket. It has no answer, but a full queue makes the sender wait, and a message that is too
//! large an error.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::{Fate, Limits, PATIENCE, Shaped, Sink};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, journal};
use crate::export::record::Record;

/// Where it listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) struct Journald {
    socket: PathBuf,
}

impl Journald {
    pub fn new(to: &config::Journald) -> Self {
        Self { socket: to.socket.clone().unwrap_or_else(|| SOCKET.into()) }
    }

    fn connect(&self) -> Result<UnixDatagram, Miss> {
        let open = || -> io::Result<UnixDatagram> {
            let socket = UnixDatagram::unbound()?;
            socket.connect(&self.socket)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        open().map_err(|e| Miss::again(format!("{}: {e}", self.socket.display())))
    }
}

impl Sink for Journald {
    fn limits(&self) -> Limits {
        // Below what a socket's buffer takes everywhere (212,992), with the kernel's own share.
        Limits { records: 500, bytes: 64 << 20, each: 96 << 10 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        journal::fields(record, room)
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        let socket = self.connect()?;
        for one in batch {
            match socket.send(&one.bytes) {
                Ok(_) => fates.push(Fate::Taken),
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {
                    fates.push(Fate::Refused("it is too large for the journal's socket".to_owned()));
                }
                Err(e) => return Err(Miss::again(format!("{}: {e}", self.socket.display()))),
            }
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Miss> {
        self.connect().map(drop)
    }
}
