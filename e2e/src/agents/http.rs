//! As much of HTTP/1.1 as the clients speak with a model: one request a connection, answered whole or as a
//! stream of events. Never listens anywhere but where its caller does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::wire::Answer;

/// A conversation with a model, as clients send it.
const LIMIT: u64 = 32 << 20;

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// True where the client would rather speak another protocol.
    pub upgrades: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads a request; none where the client has gone without one.
pub fn read(stream: &TcpStream) -> io::Result<Option<Request>> {
    let mut from = BufReader::new(stream).take(LIMIT);
    let first = line(&mut from)?;
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut request = Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(&mut from)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "transfer-encoding" => chunked = value.to_ascii_lowercase().contains("chunked"),
            "upgrade" => request.upgrades = true,
            _ => {}
        }
    }
    if chunked {
        loop {
            let size = line(&mut from)?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.map_err(io::Error::other)?;
            from.by_ref().take(size).read_to_end(&mut request.body)?;
            line(&mut from)?;
            if size == 0 {
                break;
            }
        }
    } else {
        from.take(length).read_to_end(&mut request.body)?;
    }
    Ok(Some(request))
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Writes an answer and ends the connection.
pub fn write(mut stream: &TcpStream, code: u16, answer: &Answer) -> io::Result<()> {
    let (kind, body) = match answer {
        Answer::Whole(document) => ("application/json", document.to_string()),
        Answer::Events(events) => {
            let event = |(name, data): &(Option<String>, String)| {
                let name = name.iter().map(|n| format!("event: {n}\n")).collect::<String>();
                format!("{name}data: {data}\n\n")
            };
            ("text/event-stream", events.iter().map(event).collect())
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {code} scripted\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    stream.flush()
}
