//! The daemon's own process: accepts, asks the kernel who it is, counts, forks, and records that it watches. Reads not
//! one byte of what callers send, and keeps nothing that a restart would lose.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop_core::identity::Identity;
use backstop_sys::process::{self, SIGCHLD, SIGINT, SIGTERM, Signals};
use backstop_sys::socket;
use backstop_sys::wait;

use super::pulse::Pulse;
use super::wire::{Kind, Wire};
use super::{SOCKET, STATE, work};
use crate::engine::{Engine, Recovered};
use crate::failure::{Failure, FailureKind};
use crate::porch;

/// How many connections one user may have at once.
pub const MOST_OF_ONE: usize = 256;

/// How many connections there may be at once: one user can't take them all.
pub const MOST: usize = 1024;

/// How long nothing is accepted where this process has no descriptor or memory left.
const RESPITE: Duration = Duration::from_millis(100);

/// A daemon that is ready.
#[derive(Debug)]
pub struct Daemon {
    listener: UnixListener,
    path: PathBuf,
    /// Held while it lives: there is one.
    _one: File,
    signals: OwnedFd,
    recovered: Vec<Recovered>,
    workers: Workers,
    pulse: Pulse,
}

/// Opens the state, puts right what a crash left, and listens.
pub fn serve() -> Result<Daemon, Failure> {
    if !process::is_root() {
        return Err(Failure::new(FailureKind::Refused, "the daemon runs as root")
            .next("without root Backstop needs no daemon: backstop run -- CMD"));
    }
    process::umask(0o077);
    let path = PathBuf::from(SOCKET);
    let failed = |what: &str| {
        let text = format!("cannot {what} {}", path.display());
        move |e: io::Error| Failure::because(text, &e)
    };
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(failed("make the directory of"))?;
    fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(failed("open the directory of"))?;
    let one = only_one(dir)?;
    // Before anybody is let in.
    let root = Identity { uid: 0, gid: 0, groups: Vec::new() };
    let (settings, _) = porch::settings_for(&root, None, STATE.as_ref());
    let engine = Engine::open(settings)?;
    if let Some(stuck) = engine.stuck() {
        // It serves nevertheless: looking is possible, and whoever asks for more is told.
        eprintln!("backstopd: {}", stuck.what);
    }
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove the old")(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed("listen on"))?;
    listener.set_nonblocking(true).map_err(failed("listen on"))?;
    // Everybody may ask; who may what is decided for each.
    fs::set_permissions(&path, Permissions::from_mode(0o666)).map_err(failed("open"))?;
    let heard = Signals::of(&[SIGCHLD, SIGTERM, SIGINT]);
    heard.block().map_err(failed("wait at"))?;
    let signals = heard.descriptor().map_err(failed("wait at"))?;
    let recovered = engine.recovered().to_vec();
    let pulse = Pulse::begin(engine.audit_dir());
    Ok(Daemon { listener, path, _one: one, signals, recovered, workers: Workers::default(), pulse })
}

fn only_one(dir: &Path) -> Result<File, Failure> {
    let path = dir.join("lock");
    let failed = |e: io::Error| Failure::because(format!("cannot lock {}", path.display()), &e);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match backstop_sys::fs::try_lock_exclusive(file.as_fd()).map_err(failed)? {
        true => Ok(file),
        false => Err(Failure::new(FailureKind::Conflict, "a daemon is running already")
            .next("stop it first: systemctl stop backstop")),
    }
}

impl Daemon {
    /// What it had to put right when it began.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// Serves until it is told to end. Workers go on: what they have begun is theirs.
    pub fn run(mut self) -> Result<(), Failure> {
        ready();
        loop {
            let ready = wait::readable(&[Some(self.listener.as_fd()), Some(self.signals.as_fd())], self.pulse.due())
                .map_err(|e| Failure::because("cannot wait for callers", &e))?;
            if ready[1].any() {
                match process::taken(&self.signals) {
                    Some((SIGTERM | SIGINT, _)) => {
                        // Those who come later find nobody, and are told so.
                        let _gone = fs::remove_file(&self.path);
                        self.pulse.end();
                        return Ok(());
                    }
                    _ => self.reap(),
                }
            }
            self.pulse.beat();
            if ready[0].any() {
                self.accept();
            }
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, change))) = process::wait_any(false) {
            if !matches!(change, process::Change::Ended(_) | process::Change::Killed(_)) {
                continue;
            }
            if !self.pulse.take_ended(pid, change) {
                self.workers.ended(pid);
            }
        }
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok((stream, _)) => self.welcome(stream),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {}
            Err(e) => {
                eprintln!("backstopd: cannot accept: {e}");
                std::thread::sleep(RESPITE);
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream) {
        let peer = match socket::peer(stream.as_fd()) {
            Ok(peer) => peer,
            Err(e) => {
                let failure = Failure::because("the daemon can't tell who calls", &e);
                return Wire::new(stream, 0).send_now(Kind::Failed, &failure);
            }
        };
        if let Err(failure) = self.workers.room_for(peer.uid) {
            Wire::new(stream, 0).send_now(Kind::Failed, &failure);
            return;
        }
        let ours = stream.as_raw_fd();
        let made = process::fork(|| {
            process::close_all_but(&[0, 1, 2, ours]);
            if Signals::of(&[]).set().is_err() {
                return 1;
            }
            work::work(stream, &peer)
        });
        match made {
            Ok(pid) => self.workers.add(pid, peer.uid),
            Err(e) => eprintln!("backstopd: cannot make a worker: {e}"),
        }
    }
}

/// The workers that live, and whose they are.
#[derive(Debug, Default)]
struct Workers {
    of: BTreeMap<i32, u32>,
    count: BTreeMap<u32, usize>,
}

impl Workers {
    fn room_for(&self, uid: u32) -> Result<(), Failure> {
        let full = |what: String| {
            Failure::new(FailureKind::Conflict, what).next("wait until some of what is running has ended")
        };
        // Root mends what is wrong, also while others ask for all that they can.
        if uid != 0 && self.of.len() >= MOST {
            return Err(full(format!("{MOST} callers are being served, which is all that may be at once")));
        }
        if uid != 0 && self.count.get(&uid).copied().unwrap_or(0) >= MOST_OF_ONE {
            return Err(full(format!(
                "{MOST_OF_ONE} calls of user {uid} are being served, which is all that may be at once"
            )));
        }
        Ok(())
    }

    fn add(&mut self, pid: i32, uid: u32) {
        self.of.insert(pid, uid);
        *self.count.entry(uid).or_default() += 1;
    }

    fn ended(&mut self, pid: i32) {
        let Some(uid) = self.of.remove(&pid) else { return };
        if let Some(n) = self.count.get_mut(&uid) {
            *n -= 1;
            if *n == 0 {
                self.count.remove(&uid);
            }
        }
    }
}

/// Tells the service manager, where there is one (`sd_notify`).
fn ready() {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Ok(own) = UnixDatagram::unbound() {
        // Nobody to hear it is no reason not to serve.
        let _told = own.send_to(b"READY=1", Path::new(&socket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_the_room_and_root_always_has_some() {
        let mut workers = Workers::default();
        for pid in 0..MOST_OF_ONE as i32 {
            assert!(workers.room_for(1000).is_ok());
            workers.add(pid, 1000);
        }
        assert!(workers.room_for(1000).is_err() && workers.room_for(1001).is_ok() && workers.room_for(0).is_ok());
        for pid in MOST_OF_ONE as i32..MOST as i32 {
            workers.add(pid, 2000 + pid as u32);
        }
        assert!(workers.room_for(1001).is_err() && workers.room_for(0).is_ok());
    }
}
