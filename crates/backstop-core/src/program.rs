//! Programs that a command starts inside a run: what is kept of each, and of those that are too many.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::canon;
use crate::digest::Digest;
use crate::run::Exit;
use crate::time::Timestamp;

/// One program: what a process became by one successful `execve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its arguments, from its name on; of many, the first.
    pub argv: Vec<Bytes>,
    /// True where nobody could look at the program itself (one of several threads asked, a debugger had its process, too
    /// many waited, or this machine does not let us): this is what was asked for. It may have come to nothing, and
    /// whoever asked may have meant to deceive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_asked: bool,
    /// When it began.
    pub began: Timestamp,
    /// How many bytes of its arguments are left out, at least.
    #[serde(default, skip_serializing_if = "canon::is_zero")]
    pub cut: u64,
    /// Where, if not where the command was to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Bytes>,
    /// Its executable, as the view shows it: of a script its interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<Bytes>,
    /// How its process ended, where the kernel tells and it did not become another program before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The process that it was started from, by its number outside the view.
    pub parent: u32,
    /// Its process, by its number outside the view.
    pub pid: u32,
    /// The SHA-256 of the executable's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// Programs of a run that nothing more is known of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlisted {
    /// How many; none where that is not known either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why.
    pub why: String,
}

/// So many bytes of a program's arguments are kept.
pub const ARGUMENTS: usize = 4096;

/// A program's arguments as they are kept, and how many bytes of them are left out. What is cut is cut at a blank, or goes
/// whole: of half a password nobody can tell that it is one.
pub fn shortened(arguments: Vec<Bytes>) -> (Vec<Bytes>, u64) {
    let (mut kept, mut room, mut cut) = (Vec::new(), ARGUMENTS, 0);
    for word in arguments {
        let length = word.as_slice().len();
        // One byte for its end: a million empty ones are no less a text.
        if cut == 0 && length < room {
            room -= length + 1;
            kept.push(word);
            continue;
        }
        let fits = &word.as_slice()[..length.min(room.saturating_sub(1))];
        let blank = fits.iter().rposition(u8::is_ascii_whitespace).filter(|_| cut == 0);
        cut += match blank {
            Some(end) => {
                kept.push(Bytes::from(&fits[..end]));
                (length - end) as u64
            }
            None => length as u64 + 1,
        };
    }
    (kept, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_arguments_are_cut_and_it_is_said_by_how_much() {
        let word = |n: usize| Bytes::from("x".repeat(n).as_str());
        for (lengths, kept, cut) in [
            (vec![], vec![], 0),
            (vec![3, 0, 5], vec![3, 0, 5], 0),
            (vec![ARGUMENTS - 1], vec![ARGUMENTS - 1], 0),
            (vec![ARGUMENTS], vec![], ARGUMENTS as u64 + 1),
            (vec![ARGUMENTS - 1, 7], vec![ARGUMENTS - 1], 8),
            (vec![10, 2 * ARGUMENTS, 3], vec![10], 2 * ARGUMENTS as u64 + 1 + 4),
        ] {
            let (words, left) = shortened(lengths.iter().copied().map(word).collect());
            let got: Vec<usize> = words.iter().map(|w| w.as_slice().len()).collect();
            assert_eq!((got, left), (kept, cut), "{lengths:?}");
        }
        let line = format!("echo {}; password={}", "y".repeat(10), "z".repeat(ARGUMENTS));
        let (words, left) = shortened(vec!["bash".into(), "-c".into(), Bytes::from(line.as_str()), "x".into()]);
        assert_eq!(words, ["bash".into(), "-c".into(), Bytes::from("echo yyyyyyyyyy;")]);
        assert_eq!(left, (line.len() - 16) as u64 + 2);
        let (many, left) = shortened(vec![word(0); 2 * ARGUMENTS]);
        assert!(many.len() <= ARGUMENTS && many.len() as u64 + left == 2 * ARGUMENTS as u64);
    }
}
