//! What a few bytes of shell text are, without knowing where they stand: blanks and operators, names,
//! descriptors, indices.

use super::Unread;
use super::grammar::Result;

/// An index longer than this is not read.
const LONGEST_INDEX: usize = 1_024;

pub(super) fn is_meta(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

pub(super) fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

pub(super) fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// The text, without the tabs that lines begin with where `strip` says so.
pub(super) fn stripped(text: &[u8], strip: bool) -> Vec<u8> {
    if !strip {
        return text.to_vec();
    }
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let tabs = line.iter().take_while(|b| **b == b'\t').count();
        out.extend_from_slice(&line[tabs..]);
    }
    out
}

/// `{name}` before a redirection's operator: its length.
pub(super) fn named_descriptor(rest: &[u8]) -> usize {
    let [b'{', inner @ ..] = rest else { return 0 };
    let length = inner.iter().take(256).take_while(|b| is_name(**b)).count();
    match inner.get(length..) {
        Some([b'}', b'<' | b'>', ..]) if length > 0 => length + 2,
        _ => 0,
    }
}

/// What `>&` takes for a descriptor: a number, `-`, or a number to be moved.
pub(super) fn is_descriptor(word: &[u8]) -> bool {
    let digits = word.strip_suffix(b"-").unwrap_or(word);
    !word.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// The length of `[…]` at the start of `rest`, or nothing where there is none. Where it ends is only
/// certain without quotes; with them, or without an end nearby, nothing is.
pub(super) fn index_length(rest: &[u8]) -> Result<usize> {
    if rest.first() != Some(&b'[') {
        return Ok(0);
    }
    let mut open = 0usize;
    for (at, b) in rest.iter().enumerate().take(LONGEST_INDEX) {
        match b {
            b'[' => open += 1,
            b']' => {
                open -= 1;
                if open == 0 {
                    return Ok(at + 1);
                }
            }
            b'\n' | b'\'' | b'"' | b'`' | b'\\' => break,
            _ => {}
        }
    }
    Err(Unread::Syntax)
}
