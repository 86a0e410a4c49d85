//! This process while a command of its runs elsewhere: what it is told by signals is passed on, and its terminal
//! shows and types what the command's own does.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use backstop_sys::process::{self, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGWINCH, Signals};
use backstop_sys::{inherit, terminal, wait};

use crate::daemon::wire::{Kind, Message, Wire};

/// How often it is seen whether there is room again.
const SOON: Duration = Duration::from_millis(20);

/// A wait without an end, in parts.
const LONG: Duration = Duration::from_secs(3_600);

pub(super) struct Session<'a> {
    wire: &'a Wire,
    /// The signals that were blocked before; none once it has ended.
    before: Option<Signals>,
    signals: OwnedFd,
    terminal: Option<Proxy>,
}

/// The command's terminal, and ours.
struct Proxy {
    outer: File,
    /// What is typed comes from here.
    keys: File,
    /// Where it is shown, and set.
    own: OwnedFd,
    set: terminal::Set,
    /// False where what is typed is not for the command: it reads from elsewhere.
    types: bool,
    /// What was typed and the command's terminal has no room for yet.
    held: Vec<u8>,
}

impl Proxy {
    /// What is typed is for the command, where it is not for another job of the same terminal, or nobody's: then it
    /// comes as it is.
    fn take_keys(&mut self) -> io::Result<()> {
        self.types = terminal::is(io::stdin().as_fd()) && terminal::in_front();
        if self.types { self.set.raw(self.own.as_fd()) } else { Ok(()) }
    }

    /// Types as much as there is room for.
    fn type_held(&mut self) {
        while !self.held.is_empty() {
            match (&self.outer).write(&self.held) {
                Ok(n @ 1..) => drop(self.held.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // No room, or nobody who reads any more: the end of it comes by the other way.
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn give_keys_back(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.types) { self.set.restore(self.own.as_fd()) } else { Ok(()) }
    }
}

impl<'a> Session<'a> {
    pub fn begin(wire: &'a Wire) -> io::Result<Self> {
        let heard = Signals::of(&[SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH]);
        let before = heard.block()?;
        Ok(Self { wire, before: Some(before), signals: heard.descriptor()?, terminal: None })
    }

    /// The next message; meanwhile passes everything on.
    pub fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            let proxy = self.terminal.as_ref();
            // No more is taken than goes on: whoever waits for room would not show what is shown meanwhile.
            let typed = proxy.filter(|p| p.types && p.held.is_empty()).map(|p| p.keys.as_fd());
            let limit = if proxy.is_some_and(|p| !p.held.is_empty()) { SOON } else { LONG };
            let handles = [
                Some(self.wire.stream().as_fd()),
                self.before.is_some().then(|| self.signals.as_fd()),
                proxy.map(|p| p.outer.as_fd()),
                typed,
            ];
            let ready = wait::readable(&handles, limit)?;
            if let Some(proxy) = &mut self.terminal {
                proxy.type_held();
            }
            // First what it shows: the end of it comes by the other way.
            if ready[2].any() && !self.show()? && ready[2].closed {
                self.leave()?;
            }
            if ready[3].any() {
                self.type_on()?;
            }
            if ready[1].any() {
                self.pass_on()?;
            }
            if ready[0].any() {
                return self.wire.receive();
            }
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        match (process::taken(&self.signals), &mut self.terminal) {
            // It may have the foreground now.
            (Some((SIGCONT, _)), Some(proxy)) if !proxy.types => proxy.take_keys(),
            (Some((SIGCONT, _)), _) => Ok(()),
            (Some((SIGWINCH, _)), Some(proxy)) => terminal::same_size(proxy.own.as_fd(), proxy.outer.as_fd()),
            (Some((SIGWINCH, _)), None) | (None, _) => Ok(()),
            (Some((signal, _)), _) => self.wire.send(Kind::Signal, &(signal as u8), &[]),
        }
    }

    /// The command has this terminal now.
    pub fn terminal(&mut self, mut message: Message) -> io::Result<()> {
        let outer = message.handles.pop().ok_or(io::ErrorKind::InvalidData)?;
        inherit::never_wait(outer.as_fd())?;
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let ours = [stdout.as_fd(), stderr.as_fd(), stdin.as_fd()].into_iter().find(|fd| terminal::is(*fd));
        let own = ours.ok_or(io::ErrorKind::InvalidData)?.try_clone_to_owned()?;
        let set = terminal::Set::of(own.as_fd())?;
        let keys = stdin.as_fd().try_clone_to_owned()?.into();
        let mut proxy = Proxy { outer: outer.into(), keys, own, set, types: false, held: Vec::new() };
        proxy.take_keys()?;
        self.terminal = Some(proxy);
        Ok(())
    }

    /// Shows what the command has shown; false where nothing more was there.
    fn show(&self) -> io::Result<bool> {
        let Some(proxy) = &self.terminal else { return Ok(false) };
        let mut buffer = [0; 16 << 10];
        match (&proxy.outer).read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(true),
            // So says a terminal whose other end is closed.
            Ok(0) | Err(_) => Ok(false),
            Ok(n) => inherit::write_all(proxy.own.as_fd(), &buffer[..n]).map(|()| true),
        }
    }

    fn type_on(&mut self) -> io::Result<()> {
        let Some(proxy) = &mut self.terminal else { return Ok(()) };
        let mut buffer = [0; 4 << 10];
        match (&proxy.keys).read(&mut buffer)? {
            // Nothing more will be typed.
            0 => proxy.give_keys_back()?,
            n => {
                proxy.held.extend_from_slice(&buffer[..n]);
                proxy.type_held();
            }
        }
        Ok(())
    }

    /// Shows the rest, and has the terminal as before.
    pub fn leave(&mut self) -> io::Result<()> {
        while self.show()? {}
        self.terminal.take().map_or(Ok(()), |mut proxy| proxy.give_keys_back())
    }

    /// The command stopped: so does this process, for the shell that waits for it; then both go on.
    pub fn stopped(&mut self, signal: i32) -> io::Result<()> {
        if let Some(proxy) = &mut self.terminal {
            proxy.give_keys_back()?;
        }
        // From the keyboard it would have reached all of our group.
        if signal == SIGTSTP {
            process::send(0, signal)?
        } else {
            process::send(process::own_pid(), SIGSTOP)?
        }
        if let Some(proxy) = &mut self.terminal {
            proxy.take_keys()?;
            terminal::same_size(proxy.own.as_fd(), proxy.outer.as_fd())?;
        }
        self.wire.send(Kind::Signal, &(SIGCONT as u8), &[])
    }

    /// Nothing is passed on any more.
    pub fn end(&mut self) -> io::Result<()> {
        self.leave()?;
        self.before.take().map_or(Ok(()), |before| before.set())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // What broke the connection must not leave the terminal as it was for the command.
        let _restored = self.end();
    }
}
