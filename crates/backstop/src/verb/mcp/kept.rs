//! What is kept of a stream that may never end: its beginning, its end, and how much lay between.

use std::collections::VecDeque;

/// Bytes of the beginning. With as much of the end, both streams of a command fit what clients hand on.
pub const HEAD: usize = 16 << 10;
/// Bytes of the end, where errors and Backstop's own words stand.
const TAIL: usize = 16 << 10;

/// A bounded stream.
#[derive(Clone, Debug)]
pub struct Kept {
    head: Vec<u8>,
    /// Bytes that the beginning may have.
    room: usize,
    tail: VecDeque<u8>,
    /// All bytes that came.
    total: u64,
}

impl Kept {
    /// Nothing yet; of the beginning `room` bytes will be kept.
    pub const fn new(room: usize) -> Self {
        Self { head: Vec::new(), room, tail: VecDeque::new(), total: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.room - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(TAIL)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(TAIL);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// All bytes that came.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// How many bytes were let go of.
    pub fn left_out(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// The bytes, where none were left out.
    pub fn whole(mut self) -> Option<Vec<u8>> {
        let none = self.left_out() == 0;
        self.head.extend(self.tail);
        none.then_some(self.head)
    }

    /// What is kept as text; what is left out is counted where it was.
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.left_out() == 0 {
            return String::from_utf8_lossy(&[self.head.as_slice(), &tail].concat()).into_owned();
        }
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail));
        format!("{head}\n[… {} bytes left out …]\n{tail}", self.left_out())
    }

    /// The latest line that says something.
    pub fn latest(&self) -> Option<Vec<u8>> {
        let all: Vec<u8> = match self.tail.len() {
            0 => self.head.clone(),
            _ => self.tail.iter().copied().collect(),
        };
        let mut lines = all.rsplit(|b| matches!(b, b'\n' | b'\r'));
        lines.find(|line| !line.trim_ascii().is_empty()).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(parts: &[&[u8]]) -> Kept {
        let mut kept = Kept::new(HEAD);
        for part in parts {
            kept.push(part);
        }
        kept
    }

    #[test]
    fn what_fits_is_whole() {
        let bytes: Vec<u8> = (0..HEAD + TAIL).map(|n| b'a' + (n % 26) as u8).collect();
        for size in [1, 7, 4_096, bytes.len()] {
            let parts: Vec<&[u8]> = bytes.chunks(size).collect();
            let kept = kept(&parts);
            assert_eq!((kept.text().as_bytes(), kept.left_out()), (bytes.as_slice(), 0), "in parts of {size}");
        }
    }

    #[test]
    fn of_more_both_ends_are_kept_and_the_rest_is_counted() {
        let bytes: Vec<u8> = (0..1_000_000).map(|n: u32| b'a' + (n % 23) as u8).collect();
        for size in [3, 8_192, 700_000, bytes.len()] {
            let parts: Vec<&[u8]> = bytes.chunks(size).collect();
            let kept = kept(&parts);
            let text = kept.text();
            let out = bytes.len() - HEAD - TAIL;
            assert_eq!((kept.total(), kept.left_out()), (bytes.len() as u64, out as u64));
            let (head, rest) = text.split_once(&format!("\n[… {out} bytes left out …]\n")).expect("the count");
            assert_eq!((head.as_bytes(), rest.as_bytes()), (&bytes[..HEAD], &bytes[bytes.len() - TAIL..]));
        }
    }

    #[test]
    fn the_latest_line_is_the_one_that_says_something() {
        for (parts, expected) in [
            (&[b"one\ntwo\n".as_slice()][..], Some("two")),
            (&[b"one\ntw", b"o"], Some("two")),
            (&[b"10 %\r20 %\r"], Some("20 %")),
            (&[b"one\n \n\n"], Some("one")),
            (&[b"\n"], None),
            (&[], None),
        ] {
            assert_eq!(kept(parts).latest().map(|l| String::from_utf8(l).expect("text")).as_deref(), expected);
        }
    }
}
