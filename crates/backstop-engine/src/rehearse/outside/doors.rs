//! Keeps which places outside the command tried to connect to, each once. Judges nothing: the view
//! itself decides what a connection reaches; here it is only told.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Door;
use backstop_core::request::Net;
use backstop_sys::fs as sys;
use backstop_sys::notify::{Address, Attempt};

/// More different ones than this are not kept: a port scan is one finding, not a million.
const MOST: usize = 256;

#[derive(Debug)]
pub(super) struct Doors {
    net: Net,
    seen: BTreeMap<Bytes, Door>,
}

impl Doors {
    pub(super) fn new(net: Net) -> Self {
        Self { net, seen: BTreeMap::new() }
    }

    pub(super) fn seen(&mut self) -> Vec<Door> {
        std::mem::take(&mut self.seen).into_values().collect()
    }

    pub(super) fn note(&mut self, attempt: &Attempt) {
        let Some((to, shut)) = attempt.to.as_ref().and_then(|a| self.door(attempt.pid, a)) else { return };
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
                let path = absolute(pid, path)?;
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

fn absolute(pid: u32, path: &[u8]) -> Option<Bytes> {
    if path.starts_with(b"/") {
        return Some(Bytes::from(path));
    }
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(Bytes::from(cwd).join(path))
}

/// True when the first process' child that is the command is stopped right now.
pub(super) fn main_is_stopped(init: i32) -> bool {
    let children = fs::read(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    let Some(first) = children.split(|b| *b == b' ').next().and_then(|w| std::str::from_utf8(w).ok()) else {
        return false;
    };
    let stat = fs::read(format!("/proc/{first}/stat")).unwrap_or_default();
    let close = stat.iter().rposition(|b| *b == b')').unwrap_or(0);
    matches!(stat.get(close + 2), Some(b'T' | b't'))
}
