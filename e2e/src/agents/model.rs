//! Takes a script and a listening socket, plays the model to whoever connects, and writes down what it was
//! asked and told. Never thinks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http;
use super::script::{Reply, Script};
use super::wire::{Answer, Wire};

/// Where the model listens: in a network of its own.
pub const ADDRESS: &str = "127.0.0.1:8080";

/// One request, as written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Turn {
    /// Where it was asked.
    pub path: String,
    /// When: microseconds since the model began to serve.
    pub came_us: u64,
    /// The tools offered, with their schemas.
    pub offers: BTreeMap<String, Value>,
    /// True where a sub-agent asked.
    pub subagent: bool,
    /// What the tools had given so far.
    pub told: Vec<String>,
    /// What it answered.
    pub said: String,
}

/// Serves for ever.
pub fn serve(listener: &TcpListener, script: Script, log: File) -> io::Result<()> {
    let shared = Arc::new((script, Mutex::new(log)));
    let begun = Instant::now();
    loop {
        let (stream, _) = listener.accept()?;
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            if let Err(error) = answer(&stream, &shared.0, &shared.1, begun) {
                eprintln!("model: {error}");
            }
        });
    }
}

fn answer(stream: &TcpStream, script: &Script, log: &Mutex<File>, begun: Instant) -> io::Result<()> {
    let Some(request) = http::read(stream)? else { return Ok(()) };
    let came_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let path = request.path.as_str();
    let Some(wire) = Wire::at(path).filter(|_| request.method == "POST") else {
        write_down(log, &Turn { path: format!("{} {path}", request.method), came_us, ..Turn::default() })?;
        let (code, document) = aside(path, request.upgrades);
        return http::write(stream, code, &Answer::Whole(document));
    };
    let body: Value = serde_json::from_slice(&request.body)?;
    let asked = wire.read(&body);
    let reply = script.reply(&asked);
    let turn = Turn {
        path: path.to_owned(),
        came_us,
        offers: asked.offers.iter().map(|(name, offer)| (name.clone(), offer.schema.clone())).collect(),
        subagent: asked.by_subagent(),
        told: asked.told.clone(),
        said: match &reply {
            Reply::Say(words) => words.clone(),
            Reply::Call { name, input } => format!("{name} {input}"),
        },
    };
    write_down(log, &turn)?;
    http::write(stream, 200, &wire.write(path, &body, &asked, &reply))
}

/// What clients ask beside a conversation.
fn aside(path: &str, upgrades: bool) -> (u16, Value) {
    let path = path.split('?').next().unwrap_or_default();
    if upgrades {
        return (426, json!({"error": {"message": "only HTTP here"}}));
    }
    match path {
        "/" => (200, json!({})),
        _ if path.ends_with("/count_tokens") => (200, json!({"input_tokens": 10})),
        _ if path.ends_with(":countTokens") => (200, json!({"totalTokens": 10})),
        _ if path.ends_with("/models") => (200, json!({"object": "list", "data": [], "models": []})),
        _ => (404, json!({"error": {"message": "nothing is scripted here"}})),
    }
}

fn write_down(log: &Mutex<File>, turn: &Turn) -> io::Result<()> {
    let line = format!("{}\n", serde_json::to_string(turn)?);
    log.lock().map_err(|_| io::Error::other("another thread has failed"))?.write_all(line.as_bytes())
}
