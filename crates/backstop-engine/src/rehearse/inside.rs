//! The sandbox's first process: builds the view from the recipe, gives up its rights, starts the
//! command, waits, and tells what happened. Runs in a copy of Backstop; comes back only as a code.

mod init;
mod message;
mod others;
mod view;

pub(super) use message::{Message, Order};

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_core::request::Net;
use backstop_sys::caps::{self, Caps};
use backstop_sys::channel::Channel;
use backstop_sys::first::First;
use backstop_sys::fs as sys;
use backstop_sys::inherit::{self, Access};
use backstop_sys::landlock::{self, Confined};
use backstop_sys::ns;
use backstop_sys::process::{self, Signals};
use backstop_sys::rights;
use backstop_sys::seccomp::{self, Sockets, Tell};

use self::view::View;

use super::plan::Recipe;

/// What a command may keep of root's rights: those that act on files and processes of the view.
/// Not among them: everything that mounts, loads, traces other users, reads files by number, sets
/// the clock or the machine; nor any that a later kernel adds. Nor `SYS_NICE`: who holds the command must be served before it. `SYS_PTRACE` is gone as well: with it
/// the command could reach this process' program file, which is one of the real tree.
const KEPT: Caps = Caps::CHOWN
    .with(Caps::DAC_OVERRIDE)
    .with(Caps::FOWNER)
    .with(Caps::FSETID)
    .with(Caps::KILL)
    .with(Caps::SETGID)
    .with(Caps::SETUID)
    .with(Caps::SETPCAP)
    .with(Caps::NET_BIND_SERVICE)
    .with(Caps::NET_RAW)
    .with(Caps::IPC_LOCK)
    .with(Caps::IPC_OWNER)
    .with(Caps::SYS_CHROOT)
    .with(Caps::SYS_RESOURCE)
    .with(Caps::LEASE)
    .with(Caps::SETFCAP);

/// Why the command could not be started in the view.
pub(super) enum Trouble {
    /// A step of building it failed.
    View(String),
    /// The working directory is missing.
    Cwd(String),
    /// Standard input is not to be had inside.
    Stdin(&'static str),
}

impl Trouble {
    fn at<E: std::fmt::Display>(step: impl Into<String>) -> impl FnOnce(E) -> Self {
        let step = step.into();
        move |e| Self::View(format!("{step}: {e}"))
    }
}

/// The first process' life.
pub(super) fn live(recipe: &Recipe, channel: &Channel, caller_mask: &Signals) -> u8 {
    // What everybody in the view does must not keep it from letting them stand.
    let first = First::now();
    match prepare(recipe, channel) {
        Ok(ready) => init::live(recipe, channel, caller_mask, &first, ready),
        Err(trouble) => {
            let message = match trouble {
                Trouble::View(text) => Message::Trouble(text),
                Trouble::Cwd(why) => Message::NoCwd(why),
                Trouble::Stdin(what) => Message::BadStdin(what.into()),
            };
            u8::from(message.send(channel, &[]).is_err())
        }
    }
}

/// What the first process holds when all is built.
pub(super) struct Ready {
    /// Keeps the caller's terminal number taken in the view.
    pub terminal: Option<OwnedFd>,
    /// Standard input, opened again in the view.
    pub stdin: Option<OwnedFd>,
}

fn prepare(recipe: &Recipe, channel: &Channel) -> Result<Ready, Trouble> {
    if let Some((uid, gid)) = recipe.user {
        ns::map_self(uid, gid).map_err(Trouble::at("map the user"))?;
    }
    if recipe.net == Net::None {
        ns::loopback_up().map_err(Trouble::at("bring up the loopback device"))?;
    }
    process::umask(0);
    let view = view::build(recipe, channel)?;
    process::umask(recipe.umask);
    let net = if recipe.net == Net::None { Caps::NET_ADMIN.with(Caps::NET_BROADCAST) } else { Caps::NONE };
    caps::keep_only(KEPT.with(net)).map_err(Trouble::at("give up capabilities"))?;
    if let Some(him) = &recipe.rights {
        rights::become_user(him.who.uid, him.who.gid, &him.who.groups)
            .map_err(Trouble::at("become the user it runs for"))?;
    }
    // From here on with the rights of whoever it is for. What he has open he may have opened by another name.
    let stdin = match &recipe.stdin {
        None => None,
        Some((path, facts, at)) => Some(view::reopen_stdin(path, *facts, *at)?),
    };
    // Where he can't go, he could use what lies there by relative names.
    std::env::set_current_dir(recipe.cwd.as_path()).map_err(|e| Trouble::Cwd(e.to_string()))?;
    let listener = give_up_rights(recipe, &view, channel)?;
    let handles: Vec<_> = listener.iter().map(AsFd::as_fd).collect();
    // Fails where nobody listens any more: the parent was killed before we asked to die with it.
    Message::Ready.send(channel, &handles).map_err(Trouble::at("tell that all is ready"))?;
    drop(listener);
    Ok(Ready { terminal: view.terminal, stdin })
}

fn give_up_rights(recipe: &Recipe, view: &View, channel: &Channel) -> Result<Option<OwnedFd>, Trouble> {
    process::no_new_privileges().map_err(Trouble::at("give up gaining rights"))?;
    let confined = confine(recipe, view).map_err(Trouble::at("confine signals, abstract sockets and writing"))?;
    if !confined.scoped && recipe.net == Net::Host {
        let text = "this kernel can't keep abstract sockets shut (Linux 6.12 can): with the host's network the \
                    command could reach them; --net none shuts them";
        Message::Note(text.into()).send(channel, &[]).map_err(Trouble::at("tell"))?;
    }
    if !confined.writing {
        let text = "this kernel can't confine writing (Linux 5.19 can, with Landlock): where the view is bare, pipes \
                    that are made in a read-only place while the command runs could be written to";
        Message::Note(text.into()).send(channel, &[]).map_err(Trouble::at("tell"))?;
    }
    process::seal().map_err(Trouble::at("seal the first process"))?;
    // After everything that changes rights, which would undo it.
    process::die_with_parent().map_err(Trouble::at("tie the run to its parent"))?;
    let (tell, sockets) = match (recipe.reads, recipe.net) {
        (true, _) => (Tell::Writes, Sockets::Nameless),
        (false, Net::None) => (Tell::Connects, Sockets::Held),
        (false, Net::Host) => (Tell::Connects, Sockets::All),
    };
    seccomp::install(tell, sockets).map_err(Trouble::at("install the system call filter"))
}

/// Where the ground is a copy, also writing: a pipe on a read-only mount can be written to, as far as mounts go. As
/// root all is an overlay or behind a glass.
fn confine(recipe: &Recipe, view: &View) -> io::Result<Confined> {
    if !recipe.copies() {
        return landlock::confine(None);
    }
    let places: Vec<_> = view.writable.iter().filter_map(|p| sys::position(p.as_slice()).ok()).collect();
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    // What the caller opened for writing can be opened anew through `/dev/stdout`, as ever.
    let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]
        .into_iter()
        .filter(|fd| inherit::access(*fd).is_ok_and(|a| a == Access::Write));
    let writable: Vec<_> = places.iter().map(AsFd::as_fd).chain(streams).collect();
    landlock::confine(Some(&writable))
}

/// The descriptors that stay open in the first process, sorted.
fn kept(channel: &Channel, ready: &Ready) -> Vec<i32> {
    let mut keep = vec![channel.as_fd().as_raw_fd()];
    keep.extend(ready.terminal.iter().map(AsRawFd::as_raw_fd));
    keep.extend(ready.stdin.iter().map(AsRawFd::as_raw_fd));
    keep.sort_unstable();
    keep
}

/// A path below the root, as the kernel's relative calls want it.
fn below_root(path: &Bytes) -> &[u8] {
    path.as_slice().strip_prefix(b"/").unwrap_or(path.as_slice())
}
