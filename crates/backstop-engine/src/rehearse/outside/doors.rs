//! Keeps which places outside the command tried to connect to, each once; and in the read lane, what it
//! tried to write first. Judges nothing: the view itself decides what is reached; here it is only told.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Door;
use backstop_core::request::Net;
use backstop_sys::fs as sys;
use backstop_sys::notify::{Address, Aim, Attempt};
use backstop_sys::proc;

/// More different ones than this are not kept: a port scan is one finding, not a million.
const MOST: usize = 256;

#[derive(Debug)]
pub(super) struct Doors {
    net: Net,
    seen: BTreeMap<Bytes, Door>,
    refused: Option<Bytes>,
}

/// The view's own: what is made there vanishes with it, so it may be written to even while only reading.
const OWN: [&[u8]; 3] = [b"/dev", b"/proc", b"/run"];

/// True for what git would like to leave behind a `git status`, and does without.
pub(in crate::rehearse) fn is_luxury(path: &Bytes) -> bool {
    path.name() == b"index.lock"
}

impl Doors {
    pub(super) fn new(net: Net) -> Self {
        Self { net, seen: BTreeMap::new(), refused: None }
    }

    pub(super) fn seen(&mut self) -> Vec<Door> {
        std::mem::take(&mut self.seen).into_values().collect()
    }

    /// What the command tried to write first, of what was told.
    pub(super) fn refused(&mut self) -> Option<Bytes> {
        self.refused.take()
    }

    pub(super) fn note(&mut self, attempt: &Attempt) {
        match &attempt.to {
            Some(Aim::Connect(address)) => self.connect(attempt, address),
            // A luxury only until something else is refused as well.
            Some(Aim::Write(dir, path)) if self.refused.as_ref().is_none_or(is_luxury) => {
                self.refused = refused(attempt.pid, *dir, path).or(self.refused.take());
            }
            Some(Aim::Execute(_) | Aim::Write(..)) | None => {}
        }
    }

    fn connect(&mut self, attempt: &Attempt, address: &Address) {
        let Some((to, shut)) = self.door(attempt.pid, address) else { return };
        if self.seen.len() < MOST && !self.seen.contains_key(&to) {
            let mut who = fs::read(format!("/proc/{}/comm", attempt.pid)).unwrap_or_default();
            who.pop_if(|b| *b == b'\n');
            self.seen.insert(to.clone(), Door { shut, to, who: Bytes::from(who) });
        }
    }

    /// What to call it, and whether it is shut; none for what leads nowhere outside.
    fn door(&self, pid: u32, address: &Address) -> Option<(Bytes, bool)> {
        match address {
            Address::Path(path) => {
                let path = absolute(pid, None, path)?;
                // Only a socket of the machine: others were made by the run itself, or are not there.
                sys::stat_path(path.as_slice()).is_ok_and(|s| s.is_socket()).then_some((path, true))
            }
            // Cut by the network namespace, or by Landlock's scope; a name of the run's own is none.
            Address::Abstract(name) => self.outside_has(name).then(|| (Bytes::from([b"@", &name[..]].concat()), true)),
            Address::Inet(to) => {
                let inside = to.ip().is_loopback() && self.net == Net::None;
                // Port 0 is how resolvers ask the kernel for a route; nothing is sent.
                (!inside && to.port() != 0).then(|| (Bytes::from(text(to).as_str()), self.net == Net::None))
            }
        }
    }

    fn outside_has(&self, name: &[u8]) -> bool {
        let shown: Vec<u8> = name.iter().map(|b| if *b == 0 { b'@' } else { *b }).collect();
        let table = fs::read("/proc/net/unix").unwrap_or_default();
        table
            .split(|b| *b == b'\n')
            .any(|line| line.iter().position(|b| *b == b'@').is_some_and(|at| line[at + 1..] == shown[..]))
    }
}

fn text(to: &SocketAddr) -> String {
    to.to_string()
}

fn absolute(pid: u32, dir: Option<i32>, path: &[u8]) -> Option<Bytes> {
    if path.starts_with(b"/") {
        return Some(Bytes::from(path));
    }
    let from = dir.map_or_else(|| format!("/proc/{pid}/cwd"), |fd| format!("/proc/{pid}/fd/{fd}"));
    Some(Bytes::from(fs::read_link(from).ok()?).join(path))
}

/// The place, where writing to it is refused in the read lane.
fn refused(pid: u32, dir: Option<i32>, path: &[u8]) -> Option<Bytes> {
    let path = absolute(pid, dir, path)?;
    (!OWN.iter().any(|own| path.is_beneath(own))).then_some(path)
}

/// True when the first process' child that is the command is stopped right now.
pub(super) fn main_is_stopped(init: i32) -> bool {
    let children = fs::read(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    let first = children.split(|b| *b == b' ').next().and_then(|w| std::str::from_utf8(w).ok()?.parse().ok());
    first.is_some_and(|first| proc::stat(&proc::place(first)).is_ok_and(|now| matches!(now.state, b'T' | b't')))
}
