//! Whoever is at the other end of a worker's connection: told what happens, asked what needs a person, heard while
//! his command runs.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstop_core::effect::EffectSet;
use backstop_core::id::RunId;
use backstop_core::run::RunRecord;
use backstop_sys::{process, terminal};
use serde::de::DeserializeOwned;

use super::wire::{Event, Kind, Wire};
use crate::engine::{Answer, Person, Step};
use crate::rehearse::Lane;
use crate::settings::Line;

/// How long a word may take that is passed on while a command runs.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A caller, as the engine has to do with him.
pub(super) struct Caller {
    wire: Arc<Wire>,
    /// False for whom nothing is asked: he could let nothing through.
    asks: bool,
    streams: Arc<Streams>,
}

impl Caller {
    pub fn new(wire: Arc<Wire>, asks: bool, streams: Arc<Streams>) -> Self {
        Self { wire, asks, streams }
    }

    /// That nobody hears it changes nothing; locks may be held.
    fn tell(&self, event: &Event) {
        self.wire.send_now(Kind::Event, event);
    }

    fn reply<T: DeserializeOwned>(&self) -> Option<T> {
        loop {
            let message = self.wire.receive().ok()??;
            match message.kind {
                Kind::Reply => return message.read().ok(),
                // Passed on before he saw that the command had ended.
                Kind::Signal => {}
                _ => return None,
            }
        }
    }

    /// Asks, and waits for as long as a person takes.
    fn question<T: DeserializeOwned>(&self, event: &Event) -> Option<T> {
        // The terminal is the caller's own again while he thinks.
        self.streams.give_back(&self.wire);
        if !self.asks {
            return None;
        }
        self.wire.send(Kind::Event, event, &[]).ok()?;
        self.reply()
    }
}

impl Person for Caller {
    fn waiting(&mut self, holder: Option<RunId>) {
        self.tell(&Event::Waiting(holder));
    }

    fn background(&mut self, lane: &Lane) {
        self.tell(&Event::Background(lane.clone()));
    }

    fn progress(&mut self, step: Step, done: u64) {
        self.tell(&Event::Progress(step, done));
    }

    fn watching(&self) -> bool {
        true
    }

    fn confirm(&mut self, record: &RunRecord, effects: &EffectSet) -> Answer {
        let event = Event::Confirm(Box::new(record.clone()), Box::new(effects.clone()));
        self.question(&event).unwrap_or(Answer::Hold)
    }

    fn agrees(&mut self, words: &[&str]) -> bool {
        self.question(&Event::Agrees(words.iter().map(|w| (*w).to_owned()).collect())).unwrap_or(false)
    }
}

/// The same connection, while a command runs.
pub(super) struct Heard {
    pub wire: Arc<Wire>,
    pub streams: Arc<Streams>,
}

impl Line for Heard {
    fn handle(&self) -> BorrowedFd<'_> {
        self.wire.stream().as_fd()
    }

    fn signal(&self) -> io::Result<Option<u8>> {
        // It is there, or he sends it byte by byte: then nobody looks after his command meanwhile.
        match self.wire.receive_within(AT_ONCE, AT_ONCE)? {
            Some(message) if message.kind == Kind::Signal => message.read().map(Some),
            // Nothing else can be meant while a command runs.
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn stopped(&self, signal: u8) {
        self.wire.send_now(Kind::Event, &Event::Stopped(signal));
    }

    fn over(&self) {
        self.streams.give_back(&self.wire);
    }
}

/// The standard streams of this process while it stands in for a caller: his, and a terminal in the place of his.
pub(super) struct Streams(Mutex<Option<Lent>>);

/// What is a caller's.
struct Lent {
    /// One was made for the command.
    terminal: bool,
    /// The numbers beyond the standard streams.
    passed: Vec<i32>,
}

impl Streams {
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes his streams, and pipes that are to have these numbers. A terminal of his stays his: the command gets
    /// another, which is set like it, and he the end that shows and types.
    pub fn lend(&self, wire: &Wire, uid: u32, handles: Vec<OwnedFd>, pass: &[i32]) -> io::Result<()> {
        let mut handles = handles.into_iter();
        let mut three: Vec<OwnedFd> = handles.by_ref().take(3).collect();
        let his = three.iter().find(|fd| terminal::is(fd.as_fd()));
        let terminal = his.is_some();
        if let Some(his) = his {
            let set = terminal::Set::of(his.as_fd())?;
            let pair = terminal::make(uid)?;
            set.give(pair.inner.as_fd())?;
            terminal::control(pair.inner.as_fd())?;
            wire.send(Kind::Event, &Event::Terminal, &[pair.outer.as_fd()])?;
            for fd in &mut three {
                if terminal::is(fd.as_fd()) {
                    *fd = pair.inner.try_clone()?;
                }
            }
        }
        // Before any is taken: where one can't be, those before are given back.
        if let Ok(mut lent) = self.0.lock() {
            *lent = Some(Lent { terminal, passed: pass.to_vec() });
        }
        let numbers = (0..3).chain(pass.iter().copied());
        for (number, fd) in numbers.zip(three.into_iter().chain(handles)) {
            process::place(fd.as_fd(), number)?;
        }
        Ok(())
    }

    /// Lets go of what is his, also of the terminal that was made for the command.
    pub fn give_back(&self, wire: &Wire) {
        let Some(lent) = self.0.lock().ok().and_then(|mut lent| lent.take()) else { return };
        if lent.terminal {
            terminal::leave();
        }
        void(&lent.passed);
        if lent.terminal {
            wire.send_now(Kind::Event, &Event::Over);
        }
    }
}

/// Nobody's streams, also by these numbers.
pub(super) fn void(further: &[i32]) {
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else { return };
    for number in (0..3).chain(further.iter().copied()) {
        // Without a new one the old one stays, which is the caller's own.
        let _open = process::place(null.as_fd(), number);
    }
}
