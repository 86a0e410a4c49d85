//! What the daemon's end makes of any bytes that a caller may send, for the fuzz target `wire` and for damaged messages
//! of the ordinary tests: it ends, takes no more than it may, and what it understands it says again.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;

use super::wire::{Ask, Hello, Kind, LONGEST_ASK, Wire};

/// Sends `bytes` to the daemon's end, and gives how many messages of them it understood.
///
/// # Panics
/// Where a claim does not hold.
pub fn hear(bytes: &[u8]) -> usize {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let wire = Wire::new(ours, LONGEST_ASK);
    thread::scope(|scope| {
        scope.spawn(move || {
            // It may have stopped listening.
            let _refused = (&theirs).write_all(bytes);
            theirs.shutdown(Shutdown::Write)
        });
        let mut understood = 0;
        while let Ok(Some(message)) = wire.receive() {
            assert!(message.handles.is_empty());
            understood += usize::from(match message.kind {
                Kind::Ask => message.read::<Ask>().is_ok_and(|ask| is_said_again(&ask)),
                Kind::Hello => message.read::<Hello>().is_ok(),
                Kind::Signal => message.read::<u8>().is_ok(),
                Kind::Reply | Kind::Event | Kind::Answer | Kind::Failed => false,
            });
        }
        // Whoever writes on is told.
        let _closed = wire.stream().shutdown(Shutdown::Both);
        understood
    })
}

fn is_said_again(ask: &Ask) -> bool {
    let text = serde_json::to_vec(ask).expect("our types are written");
    let again: Ask = serde_json::from_slice(&text).expect("what was written is read");
    assert_eq!(serde_json::to_vec(&again).expect("our types are written"), text);
    // Whatever is asked has a deed that somebody may or may not.
    assert_eq!(again.deed(), ask.deed());
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A few that are sound, as callers send them.
    fn sound() -> Vec<u8> {
        let asks = [
            Ask::Find { text: "@last".into() },
            Ask::Pending,
            Ask::Notices { from: None, wait_ms: 20_000 },
            Ask::Lines { from: None, wait_ms: 20_000 },
            Ask::Content {
                id: backstop_core::id::RunId::from_number(7),
                path: "/srv/\u{202e}x".into(),
                side: crate::engine::Side::Before,
                limit: 9,
            },
        ];
        let message = |kind: Kind, body: Vec<u8>| {
            let length = u32::try_from(body.len()).expect("short").to_le_bytes();
            [&[kind as u8][..], &length, &body].concat()
        };
        let hello = message(Kind::Hello, serde_json::to_vec(&Hello::ours()).expect("written"));
        let asks = asks.iter().flat_map(|ask| message(Kind::Ask, serde_json::to_vec(ask).expect("written")));
        hello.into_iter().chain(asks).chain(message(Kind::Signal, b"2".to_vec())).collect()
    }

    #[test]
    fn sound_messages_are_understood() {
        assert_eq!(hear(&sound()), 7);
        if let Some(dir) = std::env::var_os("BACKSTOP_SEEDS_TO") {
            std::fs::write(std::path::Path::new(&dir).join("sound"), sound()).expect("written");
        }
    }

    proptest! {
        #[test]
        fn damaged_messages_harm_nobody(at in 0usize..400, byte: u8, cut in 0usize..400, junk in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = sound();
            let at = at % bytes.len();
            bytes[at] = byte;
            let cut = bytes.len() - cut % bytes.len();
            bytes.truncate(cut);
            bytes.splice(at.min(cut)..at.min(cut), junk);
            prop_assert!(hear(&bytes) <= 7 + 40);
        }
    }
}
