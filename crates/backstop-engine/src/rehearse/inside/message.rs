//! What the first process tells Backstop outside (one letter and a text per message), and is told (a letter). The command
//! inside can't reach the channel, but nothing here is believed beyond how the run ended, and whether it stands.

use std::io;
use std::os::fd::BorrowedFd;

use backstop_core::bytes::Bytes;
use backstop_core::run::{Exit, LeftBehind};
use backstop_sys::channel::Channel;

#[derive(Debug, PartialEq, Eq)]
pub(in crate::rehearse) enum Message {
    /// The view could not be built.
    Trouble(String),
    /// The working directory is missing in the view.
    NoCwd(String),
    /// Standard input can't be given to the command.
    BadStdin(String),
    /// This part of the view can't carry an overlay; it is read-only instead.
    Fallback(u32, String),
    /// This part of the view is missing.
    Missing(u32, String),
    /// A remark for a person.
    Note(String),
    /// All is built; the listener for `connect` comes along where there is one.
    Ready,
    /// The command did not start: 126 or 127, and why.
    NotStarted(u8, String),
    /// Everything in the view stands, as it was told to.
    Stands,
    /// Something in it goes on all the same; it is tried again.
    Stirs,
    /// A signal stopped the command.
    Stopped(u8),
    /// What a Backstop inside noted of a nested run: a line of JSON, unchecked.
    Nested(Bytes),
    /// This one outlived the command and was stopped.
    Left(LeftBehind),
    /// The command ended; with where standard input stands, if it was opened again.
    Ended(Exit, Option<u64>),
}

/// What Backstop outside tells the first process: a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rehearse) enum Order {
    /// The command may begin.
    Begin = b'B' as isize,
    /// Everything stands.
    Stand = b'Z' as isize,
    /// It goes on.
    GoOn = b'G' as isize,
}

impl Order {
    pub(in crate::rehearse) fn send(self, channel: &Channel) -> io::Result<()> {
        channel.send(&[self as u8], &[])
    }

    /// Waits for one; none where nobody is there any more who could give it.
    pub(in crate::rehearse) fn receive(channel: &Channel) -> io::Result<Option<Self>> {
        let Some((letter, _)) = channel.receive()? else { return Ok(None) };
        let known = [Self::Begin, Self::Stand, Self::GoOn].into_iter().find(|order| [*order as u8] == letter[..]);
        known.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl Message {
    pub(in crate::rehearse) fn send(&self, channel: &Channel, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
        channel.send(&self.encode(), handles)
    }

    fn encode(&self) -> Vec<u8> {
        let with = |letter: u8, head: &[u8], text: &[u8]| [&[letter], head, text].concat();
        match self {
            Self::Trouble(text) => with(b'T', &[], text.as_bytes()),
            Self::NoCwd(text) => with(b'C', &[], text.as_bytes()),
            Self::BadStdin(text) => with(b'I', &[], text.as_bytes()),
            Self::Fallback(part, text) => with(b'F', &part.to_ne_bytes(), text.as_bytes()),
            Self::Missing(part, text) => with(b'M', &part.to_ne_bytes(), text.as_bytes()),
            Self::Note(text) => with(b'O', &[], text.as_bytes()),
            Self::Ready => with(b'R', &[], &[]),
            Self::NotStarted(code, text) => with(b'N', &[*code], text.as_bytes()),
            Self::Stands => with(b'Z', &[], &[]),
            Self::Stirs => with(b'Y', &[], &[]),
            Self::Stopped(signal) => with(b'S', &[*signal], &[]),
            Self::Nested(line) => with(b'W', &[], line.as_slice()),
            Self::Left(left) => with(b'L', &left.pid.to_ne_bytes(), left.name.as_slice()),
            Self::Ended(exit, stdin) => {
                let (how, code) = match exit {
                    Exit::Code(c) => (0, *c),
                    Exit::Signal(s) => (1, *s),
                };
                with(b'E', &[how, code], &stdin.map(u64::to_ne_bytes).map_or(Vec::new(), Vec::from))
            }
        }
    }

    pub(in crate::rehearse) fn decode(bytes: &[u8]) -> Option<Self> {
        let (letter, rest) = bytes.split_first()?;
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).ok();
        let number = |b: &[u8]| Some(u32::from_ne_bytes(b.get(..4)?.try_into().ok()?));
        Some(match letter {
            b'T' => Self::Trouble(text(rest)?),
            b'C' => Self::NoCwd(text(rest)?),
            b'I' => Self::BadStdin(text(rest)?),
            b'F' => Self::Fallback(number(rest)?, text(&rest[4..])?),
            b'M' => Self::Missing(number(rest)?, text(&rest[4..])?),
            b'O' => Self::Note(text(rest)?),
            b'R' => Self::Ready,
            b'N' => Self::NotStarted(*rest.first()?, text(&rest[1..])?),
            b'Z' => Self::Stands,
            b'Y' => Self::Stirs,
            b'S' => Self::Stopped(*rest.first()?),
            b'W' => Self::Nested(Bytes::from(rest)),
            b'L' => Self::Left(LeftBehind { pid: number(rest)?, name: Bytes::from(&rest[4..]) }),
            b'E' => {
                let (how, code) = (*rest.first()?, *rest.get(1)?);
                let exit = if how == 0 { Exit::Code(code) } else { Exit::Signal(code) };
                let stdin = rest.get(2..10).and_then(|b| b.try_into().ok()).map(u64::from_ne_bytes);
                Self::Ended(exit, stdin)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_back_as_it_was_sent() {
        for message in [
            Message::Trouble("mount /x: no".into()),
            Message::NoCwd("gone".into()),
            Message::BadStdin("hidden".into()),
            Message::Fallback(7, "nfs".into()),
            Message::Missing(8, "gone".into()),
            Message::Note("a remark".into()),
            Message::Ready,
            Message::Stands,
            Message::Stirs,
            Message::NotStarted(127, "not found".into()),
            Message::Stopped(20),
            Message::Nested(Bytes::from(&b"{\xff}"[..])),
            Message::Left(LeftBehind { pid: 9, name: Bytes::from(&b"\xffd"[..]) }),
            Message::Ended(Exit::Code(3), None),
            Message::Ended(Exit::Signal(9), Some(1 << 40)),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        assert_eq!(Message::decode(b""), None);
        assert_eq!(Message::decode(b"F\0"), None);
    }
}
