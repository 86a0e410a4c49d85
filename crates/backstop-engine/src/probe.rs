//! What this machine can and can't do, found by doing it once on scratch. Takes nothing, gives
//! values for `doctor`; leaves nothing behind.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use backstop_sys::channel::Channel;
use backstop_sys::fs as sys;
use backstop_sys::mount::{self, Attr, Opt, OverlayKind};
use backstop_sys::ns::{self, Spaces};
use backstop_sys::{landlock, process, seccomp};

/// One ability, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// A fixed name: `overlay-root`, `overlay-user`, `metacopy`, ….
    pub name: &'static str,
    /// What it is for, in plain words.
    pub what: &'static str,
    /// True when it worked.
    pub ok: bool,
    /// How it failed, or a version.
    pub detail: String,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// What was tried, in the order of weight.
    pub abilities: Vec<Ability>,
}

/// Tries everything once. Takes some ten milliseconds.
pub fn probe() -> Machine {
    let user = Spaces { user: true, net: false };
    let root = Spaces::default();
    let abilities = vec![
        ability("overlay-root", "copy-on-write views as root, over every disk", trial(root, || overlay(false))),
        ability("overlay-user", "copy-on-write views without root", trial(user, || overlay(true))),
        ability("metacopy", "a changed mode or owner costs no copy of the file", trial(root, metacopy)),
        ability("proc-user", "a process list of its own without root", trial(user, proc)),
        ability(
            "no-network",
            "runs without a network (--net none)",
            trial(Spaces { net: true, ..by_caller() }, || ns::loopback_up().map(|()| String::new())),
        ),
        ability("seccomp-notify", "attempted connections are told", trial(by_caller(), listener)),
        ability("landlock-scope", "signals and abstract sockets stay inside", trial(by_caller(), scope)),
    ];
    Machine { abilities }
}

impl Machine {
    /// True when commands can be rehearsed at all.
    pub fn can_rehearse(&self) -> bool {
        self.abilities.iter().any(|a| a.ok && matches!(a.name, "overlay-root" | "overlay-user"))
    }
}

fn ability(name: &'static str, what: &'static str, result: io::Result<String>) -> Ability {
    match result {
        Ok(detail) => Ability { name, what, ok: true, detail },
        Err(e) => Ability { name, what, ok: false, detail: e.to_string() },
    }
}

/// The namespaces that this caller can get in the best case.
fn by_caller() -> Spaces {
    Spaces { user: !process::is_root(), net: false }
}

/// Does something in namespaces of its own, where nothing it does can stay.
fn trial(spaces: Spaces, act: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    let (ours, theirs) = Channel::pair()?;
    let (uid, gid) = process::own_ids();
    let body = || {
        let mapped = if spaces.user { ns::map_self(uid, gid) } else { Ok(()) };
        let message = match mapped.and_then(|()| act()) {
            Ok(text) => [b"+", text.as_bytes()].concat(),
            Err(e) => [b"-", e.to_string().as_bytes()].concat(),
        };
        u8::from(theirs.send(&message, &[]).is_err())
    };
    let init = ns::spawn(spaces, body)?;
    drop(theirs);
    let heard = ours.receive()?;
    init.reap()?;
    let (text, _) = heard.ok_or_else(|| io::Error::other("the trial died"))?;
    let said = String::from_utf8(text.get(1..).unwrap_or_default().to_vec()).map_err(io::Error::other)?;
    if text.first() == Some(&b'+') { Ok(said) } else { Err(io::Error::other(said)) }
}

/// A file system in memory, put where it hides nothing but for this process.
fn scratch() -> io::Result<OwnedFd> {
    mount::make_private("/")?;
    let memory = mount::fresh("tmpfs", "backstop", &[Opt::Value("size", "4m")], Attr::default())?;
    let place = sys::position(b"/tmp").or_else(|_| sys::position(b"/"))?;
    mount::attach(memory.as_fd(), place.as_fd(), b"")?;
    for name in [b"lower".as_slice(), b"upper", b"work", b"view"] {
        sys::make_dir(memory.as_fd(), name, 0o755)?;
    }
    Ok(memory)
}

fn view(memory: &OwnedFd, user: bool) -> io::Result<OwnedFd> {
    let open = |name: &[u8]| sys::open_dir(memory.as_fd(), name);
    let kind = if user { OverlayKind::User } else { OverlayKind::Privileged };
    let (lower, upper, work) = (open(b"lower")?, open(b"upper")?, open(b"work")?);
    mount::overlay(lower.as_fd(), upper.as_fd(), work.as_fd(), kind, Attr::default())
}

fn overlay(user: bool) -> io::Result<String> {
    let memory = scratch()?;
    sys::write_new(memory.as_fd(), b"lower/f", b"x", 0o644)?;
    let view = view(&memory, user)?;
    mount::attach(view.as_fd(), memory.as_fd(), b"view")?;
    sys::write_new(view.as_fd(), b"new", b"y", 0o644)?;
    sys::read_small(sys::open_dir_read(memory.as_fd(), b"upper")?.as_fd(), b"new")?;
    Ok(String::new())
}

fn metacopy() -> io::Result<String> {
    const SIZE: usize = 256 << 10;
    let memory = scratch()?;
    sys::write_new(memory.as_fd(), b"lower/f", &vec![7; SIZE], 0o644)?;
    let view = view(&memory, false)?;
    mount::attach(view.as_fd(), memory.as_fd(), b"view")?;
    sys::Pin::new(view.as_fd(), b"f")?.set_mode(0o600)?;
    match sys::tree_usage(memory.as_fd(), b"upper", u64::MAX)? {
        used if used < SIZE as u64 => Ok(String::new()),
        used => Err(io::Error::other(format!("a change of mode copied {used} bytes"))),
    }
}

fn proc() -> io::Result<String> {
    mount::fresh("proc", "proc", &[], Attr { no_suid: true, no_dev: true, no_exec: true, ..Attr::default() })
        .map(|_| String::new())
}

fn listener() -> io::Result<String> {
    process::no_new_privileges()?;
    match seccomp::install(seccomp::Tell::Connects, seccomp::Sockets::All)? {
        Some(_) => Ok(String::new()),
        None => Err(io::Error::other("this kernel has no listener, or another one listens")),
    }
}

fn scope() -> io::Result<String> {
    process::no_new_privileges()?;
    let version = landlock::version();
    if landlock::scope()? {
        Ok(format!("version {version}"))
    } else {
        Err(io::Error::other(format!("version {version}; signals and abstract sockets need 6 (Linux 6.12)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ability_is_tried_and_named_once() {
        let machine = probe();
        let mut names: Vec<_> = machine.abilities.iter().map(|a| a.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), machine.abilities.len());
        for ability in &machine.abilities {
            assert!(ability.ok || !ability.detail.is_empty(), "{ability:?} failed without a reason");
        }
    }
}
