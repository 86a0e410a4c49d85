//! The messages between a caller and the daemon: a letter, a length, and JSON. The daemon believes nothing in them
//! that it can look up, reads no more than [`LONGEST_ASK`] of one, and refuses fields that it doesn't know.

use std::ffi::CString;
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use backstop_core::approval::people::Change;
use backstop_core::approval::statement::Word;
use backstop_core::authority::Deed;
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::export::Remark;
use backstop_core::id::RunId;
use backstop_core::notice::{Delivery, Mark};
use backstop_core::run::RunRecord;
use backstop_sys::socket;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::{Beneath, Filter, RunOptions, Side, Step, Unchanged, UndoOptions, Which};
use crate::failure::Failure;
use crate::porch::{Account, Wanted};
use crate::rehearse::Lane;

/// The version of these messages; others are refused.
pub(crate) const VERSION: u32 = 7;

/// The longest message that the daemon takes: as much as the kernel lets a command's arguments and environment be,
/// as JSON.
pub(crate) const LONGEST_ASK: usize = 4 << 20;

/// The longest of all other messages of a caller.
const LONGEST_WORD: usize = 4 << 10;

/// More variables no environment has.
const MOST_VARIABLES: usize = 16_384;

/// The longest message that a caller takes of the daemon.
pub(crate) const LONGEST_ANSWER: usize = 1 << 30;

/// Handles that a caller passes on get numbers below this; the worker's own are above.
pub(crate) const NUMBERS: i32 = 256;

/// How long a message may take to come or go, once it has begun.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first word of either side: a [`Hello`].
    Hello = b'H' as isize,
    /// A caller asks for something: an [`Ask`].
    Ask = b'Q' as isize,
    /// A caller answers a question: JSON of what the question's event says.
    Reply = b'R' as isize,
    /// A caller passes a signal on: its number.
    Signal = b'S' as isize,
    /// Meanwhile: an [`Event`].
    Event = b'E' as isize,
    /// What was asked for, as JSON.
    Answer = b'A' as isize,
    /// Why it was not done: a `Failure`.
    Failed = b'F' as isize,
}

impl Kind {
    const ALL: [Self; 7] = [Self::Hello, Self::Ask, Self::Reply, Self::Signal, Self::Event, Self::Answer, Self::Failed];

    fn of(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|k| *k as u8 == letter)
    }
}

/// Which messages somebody speaks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    pub version: u32,
    /// Of the program, for people.
    pub program: String,
}

impl Hello {
    pub fn ours() -> Self {
        Self { version: VERSION, program: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// What is around a command that somebody wants run: its standard streams come along as handles, then these.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Around {
    /// The environment: `NAME=value`, each with a NUL byte at its end, as `/proc/PID/environ` has it. In one piece:
    /// a list of a million empty words would take a hundred times the memory of its text.
    pub env: Bytes,
    /// Signals that it ignores, as after `nohup`.
    pub ignored: Vec<u8>,
    /// The numbers that further handles are to have: pipes beyond the standard streams.
    pub pass: Vec<i32>,
    /// The file mode creation mask.
    pub umask: u32,
}

impl Around {
    /// What is left of a caller's surroundings where the command runs as another: how he reads and writes, and nothing
    /// of what programs load or look for.
    pub fn of_another(self, account: &Account) -> Self {
        let kept = |entry: &&[u8]| {
            let name = entry.split(|b| *b == b'=').next().unwrap_or_default();
            [&b"TERM"[..], b"COLORTERM", b"NO_COLOR", b"LANG", b"LANGUAGE", b"TZ"].contains(&name)
                || name.starts_with(b"LC_")
        };
        let his = |name: &str, value: &Bytes| [name.as_bytes(), b"=", value.as_slice()].concat();
        let own = [
            his("HOME", &account.home),
            his("LOGNAME", &account.name),
            b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_vec(),
            his("SHELL", &account.shell),
            his("USER", &account.name),
        ];
        let all = self.entries().filter(kept).map(<[u8]>::to_vec).chain(own);
        let env = Bytes::new(all.flat_map(|entry| [entry, vec![0]].concat()).collect::<Vec<u8>>());
        Self { env, ..self }
    }

    /// The environment for a command.
    pub fn variables(&self) -> Result<Vec<CString>, Failure> {
        if self.entries().count() > MOST_VARIABLES {
            return Err(Failure::usage(format!("the environment has more than {MOST_VARIABLES} variables")));
        }
        let variable =
            |entry: &[u8]| CString::new(entry).map_err(|_| Failure::usage("a variable has a NUL byte in it"));
        self.entries().map(variable).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.env.as_slice().split(|b| *b == 0).filter(|entry| !entry.is_empty())
    }
}

/// What may be asked: one for each of the doors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    Run { wanted: Box<Wanted>, options: RunOptions, around: Around },
    RehearseEdit { wanted: Box<Wanted>, around: Around },
    AllowedEdit { session: Option<Bytes>, call: Bytes },
    SettleEdit { id: RunId, unchanged: Unchanged },
    SettleEdits { session: Bytes, unchanged: Unchanged },
    Retry { id: RunId, options: RunOptions, around: Around },
    Commit { id: RunId },
    Discard { id: RunId },
    Undo { which: Which, options: UndoOptions },
    Redo { which: Which },
    Find { text: String },
    Record { id: RunId },
    Effects { id: RunId },
    Runs { filter: Filter },
    Beneath { id: RunId, path: Bytes },
    Content { id: RunId, path: Bytes, side: Side, limit: u64 },
    Pending,
    Asked { name: String },
    Statement { request: Digest, word: Word, key: String },
    Decide { request: Digest, text: String, signature: String, reason: Option<Bytes> },
    People,
    ChangePeople { change: Change },
    Frozen,
    Freeze { reason: Option<Bytes> },
    Thaw { named: Digest },
    Jail,
    Clear { named: Digest },
    Notices { from: Option<Mark>, wait_ms: u64 },
    TestNotice,
    Delivered { delivery: Delivery },
    Lines { from: Option<Mark>, wait_ms: u64 },
    Exported { remark: Remark },
}

impl Ask {
    /// What it is, as far as it matters who asks.
    pub const fn deed(&self) -> Deed {
        match self {
            Self::Run { .. }
            | Self::RehearseEdit { .. }
            | Self::AllowedEdit { .. }
            | Self::SettleEdit { .. }
            | Self::SettleEdits { .. } => Deed::Run,
            // Judged whatever was denied before: a person wants it.
            Self::Retry { .. } | Self::Commit { .. } | Self::Redo { .. } | Self::Thaw { .. } | Self::Clear { .. } => {
                Deed::LetThrough
            }
            Self::Freeze { .. } => Deed::Stop,
            Self::Discard { .. } | Self::Undo { .. } => Deed::TakeBack,
            Self::Find { .. }
            | Self::Record { .. }
            | Self::Effects { .. }
            | Self::Runs { .. }
            | Self::Beneath { .. }
            | Self::Content { .. }
            | Self::Asked { .. }
            | Self::Frozen
            | Self::Jail
            | Self::People => Deed::Look,
            Self::Pending | Self::Statement { .. } | Self::Decide { .. } => Deed::Decide,
            Self::ChangePeople { .. } => Deed::Govern,
            Self::Notices { .. } | Self::TestNotice | Self::Delivered { .. } => Deed::Notify,
            Self::Lines { .. } | Self::Exported { .. } => Deed::Export,
        }
    }
}

/// What happens before the answer is there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Event {
    /// Another run has its turn.
    Waiting(Option<RunId>),
    /// A command that was to run in place is about to begin.
    Background(Lane),
    /// Something takes long.
    Progress(Step, u64),
    /// Policy asks; the reply is an `Answer`.
    Confirm(Box<RunRecord>, Box<EffectSet>),
    /// The words are to be typed; the reply is a truth value.
    Agrees(Vec<String>),
    /// The command has a terminal of its own now; its outer end comes along.
    Terminal,
    /// That terminal is no longer the command's.
    Over,
    /// The command stopped itself by this signal; going on is asked for by passing `SIGCONT`.
    Stopped(u8),
    /// Some of what lies beneath.
    Beneath(Vec<Beneath>),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: UnixStream,
    longest: usize,
    /// One message at a time, whoever sends.
    sending: Mutex<()>,
}

/// A message that came.
#[derive(Debug)]
pub(crate) struct Message {
    pub kind: Kind,
    body: Vec<u8>,
    pub handles: Vec<OwnedFd>,
}

impl Message {
    /// What it says.
    pub fn read<T: DeserializeOwned>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.body).map_err(io::Error::from)
    }
}

/// The letter and the length.
const HEAD: usize = 5;

fn encode<T: Serialize>(kind: Kind, value: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(value).map_err(io::Error::from)?;
    let length = u32::try_from(body.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

impl Wire {
    /// The end that takes messages of at most `longest` bytes.
    pub const fn new(stream: UnixStream, longest: usize) -> Self {
        Self { stream, longest, sending: Mutex::new(()) }
    }

    /// The connection itself.
    pub const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends one message, with handles.
    pub fn send<T: Serialize>(&self, kind: Kind, value: &T, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = encode(kind, value)?;
        let _one = self.sending.lock().map_err(|_| io::Error::other("a message was cut off"))?;
        let all = || {
            let mut sent = socket::send(self.stream.as_fd(), &bytes, handles)?;
            while sent < bytes.len() {
                sent += socket::send(self.stream.as_fd(), &bytes[sent..], &[])?;
            }
            Ok(())
        };
        all().inspect_err(|_| self.cut())
    }

    /// Sends a short message, or nothing where whoever is to hear it does not listen: nobody may be kept waiting
    /// by that.
    pub fn send_now<T: Serialize>(&self, kind: Kind, value: &T) {
        let Ok(bytes) = encode(kind, value) else { return };
        let Ok(_one) = self.sending.lock() else { return };
        if socket::send_now(self.stream.as_fd(), &bytes).is_ok_and(|sent| sent < bytes.len()) {
            self.cut();
        }
    }

    /// After half a message, what follows would be read as the rest of it.
    fn cut(&self) {
        let _closed = self.stream.shutdown(Shutdown::Both);
    }

    /// How long a message may take to go; none: as long as the other end takes to read it.
    pub fn patience(&self, limit: Option<Duration>) -> Result<(), Failure> {
        self.stream.set_write_timeout(limit).map_err(|e| Failure::because("cannot wait for the caller", &e))
    }

    /// Waits for one message, without an end; none once the other end is closed.
    ///
    /// # Errors
    /// What is no message, is cut off, or longer than this end takes.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        self.receive_by(None, None)
    }

    /// The same; it has to begin within `begins`, and once it has, all of it has to be there within `whole`.
    pub fn receive_within(&self, begins: Duration, whole: Duration) -> io::Result<Option<Message>> {
        self.receive_by(Some(begins), Some(whole))
    }

    fn receive_by(&self, begins: Option<Duration>, whole: Option<Duration>) -> io::Result<Option<Message>> {
        let mut head = [0; HEAD];
        let mut handles = Vec::new();
        let mut have = 0;
        self.stream.set_read_timeout(begins)?;
        let mut end = None;
        let wait = |end: Option<Instant>| match end {
            None => Ok(()),
            Some(end) => match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
                left => self.stream.set_read_timeout(Some(left)),
            },
        };
        while have < HEAD {
            wait(end)?;
            let (n, more) = socket::receive(self.stream.as_fd(), &mut head[have..])?;
            handles.extend(more);
            end = end.or_else(|| whole.map(|whole| Instant::now() + whole));
            match n {
                0 if have == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => have += n,
            }
        }
        let kind = Kind::of(head[0]).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no message"))?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let longest = match kind {
            Kind::Hello | Kind::Reply | Kind::Signal => LONGEST_WORD.min(self.longest),
            Kind::Ask | Kind::Event | Kind::Answer | Kind::Failed => self.longest,
        };
        if length > longest {
            let why = format!("it is longer than {longest} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        // Grows with what really comes: a length alone costs nothing.
        let mut body = Vec::new();
        let mut buffer = [0; 64 << 10];
        while body.len() < length {
            wait(end)?;
            let part = buffer.len().min(length - body.len());
            match (&self.stream).read(&mut buffer[..part])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => body.extend_from_slice(&buffer[..n]),
            }
        }
        Ok(Some(Message { kind, body, handles }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn pair() -> (Wire, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Wire::new(ours, 64), theirs)
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent_with_its_handles() {
        let (a, b) = UnixStream::pair().expect("a pair");
        let (a, b) = (Wire::new(a, 1 << 20), Wire::new(b, 1 << 20));
        let null = std::fs::File::open("/dev/null").expect("null");
        a.send(Kind::Ask, &Ask::Find { text: "@last".into() }, &[null.as_fd()]).expect("sent");
        a.send(Kind::Signal, &2u8, &[]).expect("sent");
        let first = b.receive().expect("received").expect("one");
        assert_eq!((first.kind, first.handles.len()), (Kind::Ask, 1));
        assert!(matches!(first.read().expect("an ask"), Ask::Find { text } if text == "@last"));
        let second = b.receive().expect("received").expect("one");
        assert_eq!((second.kind, second.read::<u8>().expect("a number")), (Kind::Signal, 2));
        drop(a);
        assert!(b.receive().expect("closed").is_none());
    }

    #[test]
    fn what_is_no_message_is_refused_and_costs_no_memory() {
        for (bytes, part) in [
            (&b"x\0\0\0\0"[..], "no message"),
            (b"Q\xff\xff\xff\xff", "longer than 64"),
            (b"Q\x05\0\0\0[1]", "unexpected end"),
            (b"Q\x05", "unexpected end"),
        ] {
            let (ours, mut theirs) = pair();
            theirs.write_all(bytes).expect("written");
            drop(theirs);
            let error = ours.receive().expect_err("refused");
            let said = error.to_string();
            assert!(said.contains(part), "{bytes:?}: {said}");
        }
        let (ours, mut theirs) = pair();
        theirs.write_all(b"Q\x11\0\0\0{\"find\":{\"no\":1}}").expect("written");
        let message = ours.receive().expect("received").expect("one");
        assert!(message.read::<Ask>().is_err(), "a field that nobody knows");
    }
}
