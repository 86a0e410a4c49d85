//! Takes a program's arguments and what is known of its options, gives where its operands begin. A
//! guess is never made: an option that is not known is said to be so.

use super::Unread;
use super::word::Word;
use crate::bytes::Bytes;

/// What is known of a program's options.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// One letter, no value.
    pub(super) flags: &'static str,
    /// One letter, a value in the same word or the next.
    pub(super) values: &'static str,
    /// One letter, a value in the same word or none.
    pub(super) attached: &'static str,
    /// Long names without a value, or with one after `=` only.
    pub(super) long: &'static [&'static str],
    /// Long names with a value after `=` or in the next word.
    pub(super) long_values: &'static [&'static str],
}

/// An option that was given.
pub(super) struct Given<'a> {
    /// `c` or `command`.
    pub(super) name: String,
    /// Its value, where it is a word of its own.
    pub(super) value: Option<&'a Word>,
}

/// Where the operands begin, and the options before them. Ends at the first operand, as every program
/// that starts another does.
pub(super) fn before_operands<'a>(words: &'a [Word], known: &Known) -> Result<(usize, Vec<Given<'a>>), Unread> {
    let mut given = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let Some(text) = word.known() else {
            // What begins with something else than a dash is an operand, whatever follows.
            return if word.may_be_option() || word.may_be_many() { Err(Unread::Option) } else { Ok((at, given)) };
        };
        let text = text.as_slice();
        match text {
            b"-" => return Ok((at, given)),
            b"--" => return Ok((at + 1, given)),
            [b'-', b'-', long @ ..] => {
                let (name, value) = match long.iter().position(|b| *b == b'=') {
                    Some(cut) => (&long[..cut], true),
                    None => (long, false),
                };
                let is = |n: &&&str| n.as_bytes() == name;
                if let Some(name) = known.long_values.iter().find(is) {
                    at += usize::from(!value);
                    given.push(Given { name: (*name).to_owned(), value: words.get(at).filter(|_| !value) });
                } else if let Some(name) = known.long.iter().find(is) {
                    given.push(Given { name: (*name).to_owned(), value: None });
                } else {
                    return Err(Unread::Option);
                }
            }
            [b'-', letters @ ..] => {
                for (index, letter) in letters.iter().enumerate() {
                    let letter = char::from(*letter);
                    let name = letter.to_string();
                    if known.values.contains(letter) {
                        let last = index + 1 == letters.len();
                        at += usize::from(last);
                        given.push(Given { name, value: words.get(at).filter(|_| last) });
                        break;
                    }
                    if known.attached.contains(letter) {
                        given.push(Given { name, value: None });
                        break;
                    }
                    if !known.flags.contains(letter) {
                        return Err(Unread::Option);
                    }
                    given.push(Given { name, value: None });
                }
            }
            _ => return Ok((at, given)),
        }
        at += 1;
    }
    Ok((words.len(), given))
}

/// What a word is to a program that mixes options and operands.
pub(super) enum Split {
    Operand,
    /// An option with a value; in this very word, where `attached`.
    Value {
        name: &'static str,
        attached: Option<Bytes>,
    },
    Flag,
    /// `--`
    End,
}

/// Tells an option whose value is of interest from the rest. Names come with their dashes.
pub(super) fn split(word: &Word, text: &'static [&'static str], values: &'static [&'static str]) -> Split {
    let Some(known) = word.known() else { return Split::Operand };
    let bytes = known.as_slice();
    if bytes == b"--" {
        return Split::End;
    }
    if !bytes.starts_with(b"-") || bytes == b"-" {
        return Split::Operand;
    }
    for name in text.iter().chain(values) {
        if bytes == name.as_bytes() {
            return Split::Value { name, attached: None };
        }
        let Some(rest) = bytes.strip_prefix(name.as_bytes()) else { continue };
        let long = name.starts_with("--");
        match rest {
            [b'=', value @ ..] if long => return Split::Value { name, attached: Some(Bytes::from(value)) },
            rest if !long && name.len() == 2 => return Split::Value { name, attached: Some(Bytes::from(rest)) },
            _ => {}
        }
    }
    // `-ne 'CODE'`, `-lc 'CODE'`: the last letter of a cluster takes the next word.
    if !bytes.starts_with(b"--") {
        let last = [b'-', bytes[bytes.len() - 1]];
        if let Some(name) = text.iter().find(|n| n.as_bytes() == last) {
            return Split::Value { name, attached: None };
        }
    }
    Split::Flag
}
