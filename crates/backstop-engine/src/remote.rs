//! The daemon as its callers see it: the same doors, behind a socket. Believes what it says, which is root's.

mod session;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use backstop_core::approval::key::Key;
use backstop_core::approval::people::{Change, People};
use backstop_core::approval::statement::{Statement, Word};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::export::Remark;
use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_core::notice::{Delivery, Mark, Notice};
use backstop_core::run::RunRecord;
use backstop_sys::{inherit, process, socket};
use serde::de::DeserializeOwned;

use self::session::Session;
use crate::daemon::wire::{Around, Ask, Event, Hello, Kind, LONGEST_ANSWER, Message, NUMBERS, VERSION, Wire};
use crate::doors::Doors;
use crate::engine::{
    Beneath, Cleared, Decided, Filter, Frozen, Jailed, Lines, Listed, Notices, Outcome, Pending, Person, RunOptions,
    Side, Thaw, Unchanged, UndoOptions, UndoReport, Waiting, Which, Wish,
};
use crate::failure::{Failure, FailureKind};
use crate::porch::Wanted;

/// A connection to the daemon.
#[derive(Debug)]
pub struct Remote {
    wire: Wire,
    /// The last command had a terminal of its own.
    own_terminal: Cell<bool>,
}

impl Remote {
    /// Connects to the daemon at `path`.
    ///
    /// # Errors
    /// Where nobody is there, it is not root who is, or he speaks another version.
    pub fn connect(path: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(path).map_err(|e| {
            Failure::because("the daemon can't be reached", &e)
                .next("have root start it: systemctl start backstop")
                .by("on this machine runs are the daemon's: nothing goes past it")
        })?;
        let peer = socket::peer(stream.as_fd()).map_err(lost)?;
        if peer.uid != 0 {
            let what = format!("refused: user {} listens in the daemon's place", peer.uid);
            return Err(Failure::new(FailureKind::Refused, what).next("have root look who: ss -xlp"));
        }
        let wire = Wire::new(stream, LONGEST_ANSWER);
        // Sent away at once, there is an answer all the same.
        let sent = wire.send(Kind::Hello, &Hello::ours(), &[]);
        let hello: Hello = match wire.receive().map_err(lost)? {
            Some(message) if message.kind == Kind::Hello => message.read().map_err(lost)?,
            Some(message) if message.kind == Kind::Failed => return Err(message.read().map_err(lost)?),
            _ => return Err(sent.err().map_or_else(gone, lost)),
        };
        if hello.version != VERSION {
            return Err(Failure::internal(format!("the daemon is Backstop {}, this is another", hello.program))
                .next("install the same version of both"));
        }
        Ok(Self { wire, own_terminal: Cell::new(false) })
    }

    /// Asks for what needs nobody.
    fn call<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Failure> {
        self.call_with(ask, &mut Nobody)
    }

    /// Asks for what may need a person.
    fn call_with<T: DeserializeOwned>(&self, ask: &Ask, person: &mut dyn Person) -> Result<T, Failure> {
        self.wire.send(Kind::Ask, ask, &[]).map_err(lost)?;
        loop {
            let message = self.wire.receive().map_err(lost)?.ok_or_else(gone)?;
            if let Some(answer) = self.heard(&message, person)? {
                return answer.read().map_err(lost);
            }
        }
    }

    /// Asks for a command: its streams are this process', and what happens to this process happens to it.
    fn call_running<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        pass: &[i32],
        person: &mut dyn Person,
    ) -> Result<T, Failure> {
        let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
        let beyond = inherit::borrow(pass);
        let handles: Vec<BorrowedFd<'_>> =
            [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].into_iter().chain(beyond).collect();
        let mut session = Session::begin(&self.wire).map_err(lost)?;
        self.wire.send(Kind::Ask, ask, &handles).map_err(lost)?;
        loop {
            let message = session.next().map_err(lost)?.ok_or_else(gone)?;
            if message.kind != Kind::Event {
                session.end().map_err(lost)?;
            }
            match message.kind {
                Kind::Event => match message.read::<Event>().map_err(lost)? {
                    Event::Terminal => {
                        self.own_terminal.set(true);
                        session.terminal(message).map_err(lost)?;
                    }
                    Event::Over => session.leave().map_err(lost)?,
                    Event::Stopped(signal) => session.stopped(i32::from(signal)).map_err(lost)?,
                    event => {
                        if matches!(event, Event::Confirm(..) | Event::Agrees(_)) {
                            // Ctrl-C is a person's own answer.
                            session.end().map_err(lost)?;
                        }
                        self.event(event, person)?;
                    }
                },
                Kind::Answer => return message.read().map_err(lost),
                Kind::Failed => return Err(message.read().map_err(lost)?),
                _ => return Err(gone()),
            }
        }
    }

    /// Takes what comes before an answer; gives the answer.
    fn heard<'a>(&self, message: &'a Message, person: &mut dyn Person) -> Result<Option<&'a Message>, Failure> {
        match message.kind {
            Kind::Answer => Ok(Some(message)),
            Kind::Failed => Err(message.read().map_err(lost)?),
            Kind::Event => self.event(message.read().map_err(lost)?, person).map(|()| None),
            _ => Err(gone()),
        }
    }

    fn event(&self, event: Event, person: &mut dyn Person) -> Result<(), Failure> {
        match event {
            Event::Waiting(holder) => person.waiting(holder),
            Event::Background(lane) => person.background(&lane),
            Event::Progress(step, done) => person.progress(step, done),
            Event::Confirm(record, effects) => {
                let answer = person.confirm(&record, &effects);
                self.wire.send(Kind::Reply, &answer, &[]).map_err(lost)?;
            }
            Event::Agrees(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.wire.send(Kind::Reply, &person.agrees(&words), &[]).map_err(lost)?;
            }
            Event::Terminal | Event::Over | Event::Stopped(_) | Event::Beneath(_) => {}
        }
        Ok(())
    }

    fn around() -> Result<Around, Failure> {
        let here = |e: io::Error| Failure::because("cannot look at what is around the command", &e);
        let umask = process::umask(0o077);
        process::umask(umask);
        Ok(Around {
            env: Bytes::new(std::env::vars_os().flat_map(variable).collect::<Vec<u8>>()),
            ignored: process::ignored(),
            pass: pass(inherit::beyond_standard().map_err(here)?)?,
            umask,
        })
    }
}

fn pass(numbers: Vec<i32>) -> Result<Vec<i32>, Failure> {
    let many = numbers.len() + 3 > socket::MOST_HANDLES;
    if many || numbers.iter().any(|n| *n >= NUMBERS) {
        let what =
            format!("this process has inherited {} pipes, the highest of them {:?}", numbers.len(), numbers.last());
        return Err(Failure::usage(what).next(format!(
            "close some before: behind the daemon a command inherits at most {}, with numbers below {NUMBERS}",
            socket::MOST_HANDLES - 3
        )));
    }
    Ok(numbers)
}

fn variable((name, value): (OsString, OsString)) -> Vec<u8> {
    [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat()
}

/// The connection broke: whatever was begun goes on, or is ended, there.
fn lost(error: io::Error) -> Failure {
    Failure::because("the connection to the daemon is lost", &error).next("see what became of it: backstop runs")
}

fn gone() -> Failure {
    Failure::internal("the daemon ended the connection").next("see what became of it: backstop runs")
}

/// Nobody to ask or to tell.
struct Nobody;

impl Person for Nobody {
    fn waiting(&mut self, _holder: Option<RunId>) {}
    fn progress(&mut self, _step: crate::engine::Step, _done: u64) {}
    fn confirm(&mut self, _record: &RunRecord, _effects: &EffectSet) -> crate::engine::Answer {
        crate::engine::Answer::Hold
    }
}

impl Doors for Remote {
    fn run(&mut self, wanted: Wanted, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let around = Self::around()?;
        let pass = around.pass.clone();
        let ask = Ask::Run { wanted: Box::new(wanted), options: options.clone(), around };
        self.call_running(&ask, &pass, person)
    }

    fn rehearse_edit(&mut self, wanted: Wanted, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let around = Around { pass: Vec::new(), ..Self::around()? };
        self.call_running(&Ask::RehearseEdit { wanted: Box::new(wanted), around }, &[], person)
    }

    fn allowed_edit(&self, session: Option<&Bytes>, call: &Bytes) -> Result<Option<RunId>, Failure> {
        self.call(&Ask::AllowedEdit { session: session.cloned(), call: call.clone() })
    }

    fn settle_edit(&mut self, id: RunId, unchanged: Unchanged) -> Result<Option<RunRecord>, Failure> {
        self.call(&Ask::SettleEdit { id, unchanged })
    }

    fn settle_edits(&mut self, session: &Bytes, unchanged: Unchanged) -> Result<Vec<String>, Failure> {
        self.call(&Ask::SettleEdits { session: session.clone(), unchanged })
    }

    fn retry(&mut self, id: RunId, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let around = Self::around()?;
        let pass = around.pass.clone();
        self.call_running(&Ask::Retry { id, options: options.clone(), around }, &pass, person)
    }

    fn commit(&mut self, id: RunId, person: &mut dyn Person) -> Result<Outcome, Failure> {
        self.call_with(&Ask::Commit { id }, person)
    }

    fn discard(&mut self, id: RunId) -> Result<RunRecord, Failure> {
        self.call(&Ask::Discard { id })
    }

    fn undo(&mut self, which: &Which, options: UndoOptions, person: &mut dyn Person) -> Result<UndoReport, Failure> {
        self.call_with(&Ask::Undo { which: which.clone(), options }, person)
    }

    fn redo(&mut self, which: &Which, person: &mut dyn Person) -> Result<UndoReport, Failure> {
        self.call_with(&Ask::Redo { which: which.clone() }, person)
    }

    fn find(&self, text: &str) -> Result<RunId, Failure> {
        self.call(&Ask::Find { text: text.to_owned() })
    }

    fn record(&self, id: RunId) -> Result<RunRecord, Failure> {
        self.call(&Ask::Record { id })
    }

    fn effects(&self, id: RunId) -> Result<EffectSet, Failure> {
        self.call(&Ask::Effects { id })
    }

    fn runs(&self, filter: &Filter) -> Result<Listed, Failure> {
        self.call(&Ask::Runs { filter: filter.clone() })
    }

    fn beneath(&self, id: RunId, path: &Bytes, each: &mut dyn FnMut(Beneath) -> bool) -> Result<(), Failure> {
        self.wire.send(Kind::Ask, &Ask::Beneath { id, path: path.clone() }, &[]).map_err(lost)?;
        let mut wants = true;
        loop {
            let message = self.wire.receive().map_err(lost)?.ok_or_else(gone)?;
            match message.kind {
                Kind::Event => {
                    if let Event::Beneath(batch) = message.read().map_err(lost)? {
                        wants = wants && batch.into_iter().all(&mut *each);
                    }
                }
                Kind::Answer => return Ok(()),
                Kind::Failed => return Err(message.read().map_err(lost)?),
                _ => return Err(gone()),
            }
        }
    }

    fn content(&self, id: RunId, path: &Bytes, side: Side, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let bytes: Option<Bytes> = self.call(&Ask::Content { id, path: path.clone(), side, limit })?;
        Ok(bytes.map(|b| b.as_slice().to_vec()))
    }

    fn pending(&self) -> Result<Waiting, Failure> {
        self.call(&Ask::Pending)
    }

    fn asked(&mut self, name: &str) -> Result<Pending, Failure> {
        self.call(&Ask::Asked { name: name.to_owned() })
    }

    fn statement(&mut self, request: Digest, word: &Word, key: &Key) -> Result<Statement, Failure> {
        let (word, key) = (word.clone(), key.line().to_owned());
        let text: String = self.call(&Ask::Statement { request, word, key })?;
        Statement::parse(&text).map_err(|e| Failure::because("the daemon's statement makes no sense", &e))
    }

    fn decide(
        &mut self,
        request: Digest,
        (text, signature): (&str, &str),
        reason: Option<&Bytes>,
        person: &mut dyn Person,
    ) -> Result<Decided, Failure> {
        let (text, signature) = (text.to_owned(), signature.to_owned());
        self.call_with(&Ask::Decide { request, text, signature, reason: reason.cloned() }, person)
    }

    fn people(&self) -> Result<People, Failure> {
        self.call(&Ask::People)
    }

    fn change_people(&mut self, change: &Change) -> Result<Wish<People>, Failure> {
        self.call(&Ask::ChangePeople { change: change.clone() })
    }

    fn frozen(&self) -> Result<Option<Freeze>, Failure> {
        self.call(&Ask::Frozen)
    }

    fn freeze(&mut self, reason: Option<&Bytes>) -> Result<Frozen, Failure> {
        self.call(&Ask::Freeze { reason: reason.cloned() })
    }

    fn thaw(&mut self, named: Digest) -> Result<Thaw, Failure> {
        self.call(&Ask::Thaw { named })
    }

    fn jail(&self) -> Result<Jailed, Failure> {
        self.call(&Ask::Jail)
    }

    fn clear(&mut self, named: Digest) -> Result<Wish<Cleared>, Failure> {
        self.call(&Ask::Clear { named })
    }

    fn notices(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Notices, Failure> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.call(&Ask::Notices { from: from.cloned(), wait_ms })
    }

    fn test_notice(&self) -> Result<Notice, Failure> {
        self.call(&Ask::TestNotice)
    }

    fn delivered(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        self.call(&Ask::Delivered { delivery: delivery.clone() })
    }

    fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, Failure> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.call(&Ask::Lines { from: from.cloned(), wait_ms })
    }

    fn exported(&mut self, remark: &Remark) -> Result<bool, Failure> {
        self.call(&Ask::Exported { remark: remark.clone() })
    }

    fn had_own_terminal(&self) -> bool {
        self.own_terminal.get()
    }
}
