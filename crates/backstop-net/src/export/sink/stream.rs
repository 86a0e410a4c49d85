//! A connection for protocols that answer nothing, by TCP or TLS. What is written is known to have come through when the
//! other side, told that nothing follows, ends the connection without a complaint: it has read all of it, or the kernel would
//! have reset it. By TLS that end is a message of the protocol (`close_notify`, which RFC 5425 4.4 demands), that nobody in between
//! can say. So each batch has a connection of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::PATIENCE;
use crate::deliver::Miss;
use crate::export::config::Server;
use crate::trust::Trust;

/// How long a server may take until it takes a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// An address, and how to speak to it.
pub(super) struct Stream {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Stream {
    pub fn new(to: &Server) -> Result<Self, String> {
        let (host, port) = to.address()?;
        let tls = if to.plain { None } else { Some(Arc::new(Trust::read(&to.tls)?.client()?)) };
        Ok(Self { host: host.to_owned(), port, tls })
    }

    /// Hands these bytes over.
    ///
    /// # Errors
    /// Where it is not known that they came through.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Miss> {
        self.deliver(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Miss::again(format!("{}:{} does not say that it has read it", self.host, self.port))
            }
            _ => Miss::again(format!("{}:{}: {e}", self.host, self.port)),
        })
    }

    fn connect(&self, until: Instant) -> io::Result<Timed> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such host");
        for address in (self.host.trim_matches(['[', ']']), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return Ok(Timed { stream, until }),
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    fn deliver(&self, bytes: &[u8]) -> io::Result<()> {
        let mut tcp = self.connect(Instant::now() + PATIENCE)?;
        let Some(config) = &self.tls else {
            tcp.write_all(bytes)?;
            tcp.stream.shutdown(Shutdown::Write)?;
            return drain(&mut tcp);
        };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut tls = rustls::Stream::new(&mut session, &mut tcp);
        tls.write_all(bytes)?;
        tls.flush()?;
        tls.conn.send_close_notify();
        // Its own word that it ends: whoever stands between could end the connection as well. And in TLS 1.3 only here
        // it says what it makes of our certificate.
        drain(&mut tls)
    }
}

/// What the other side still says is read, and means nothing; that it has ended does. An end that is none is an error.
fn drain(from: &mut impl Read) -> io::Result<()> {
    let mut buffer = [0; 4_096];
    while from.read(&mut buffer)? > 0 {}
    Ok(())
}

/// A connection that is over at a moment, however slowly the other side goes on.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn sends(server: impl FnOnce(TcpStream) + Send + 'static) -> Result<(), Miss> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server_at = listener.local_addr().expect("an address").to_string();
        let served = thread::spawn(move || server(listener.accept().expect("a caller").0));
        let to = Server { server: server_at, plain: true, ..Server::default() };
        let sent = Stream::new(&to).expect("ready").send(&[b'x'; 100_000]);
        served.join().expect("served");
        sent
    }

    #[test]
    fn only_what_was_read_to_its_end_has_come_through() {
        let read_all = |mut stream: TcpStream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("read");
            assert_eq!(all.len(), 100_000);
        };
        assert_eq!(sends(read_all), Ok(()));
        // Ended before all was read: the kernel says so.
        let read_some = |mut stream: TcpStream| {
            let mut some = [0; 10];
            stream.read_exact(&mut some).expect("read");
        };
        assert!(sends(read_some).is_err_and(|miss| !miss.permanent));
    }

    #[test]
    fn where_nobody_listens_it_says_so() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let to = Server { server: free.to_string(), plain: true, ..Server::default() };
        let miss = Stream::new(&to).expect("ready").send(b"x").expect_err("nobody");
        assert!(miss.why.contains("refused") && !miss.permanent, "{}", miss.why);
    }
}
