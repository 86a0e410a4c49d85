//! A line's commands and their words, by quotes and operators alone. Not the shell's meaning, which is `shell`'s business:
//! only where a word begins and ends, in any line, also in one that a shell refuses.

use std::ops::Range;

/// A word, by its place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes around the whole of it.
    bare: Range<usize>,
    /// A shell leaves it as it is.
    literal: bool,
}

impl Word {
    fn new(line: &[u8], raw: Range<usize>) -> Self {
        let (bare, literal) = unquoted(line, raw);
        Self { bare, literal }
    }

    /// Its text, without quotes around the whole of it.
    pub fn bare<'t>(&self, line: &'t [u8]) -> &'t [u8] {
        &line[self.bare.clone()]
    }

    /// Where a range of its bare text is in the line.
    pub const fn place(&self, range: &Range<usize>) -> Range<usize> {
        self.bare.start + range.start..self.bare.start + range.end
    }

    /// What follows a place in its bare text, without quotes around that; true where a shell leaves it as it is.
    pub fn value(&self, line: &[u8], from: usize) -> (Range<usize>, bool) {
        let (range, literal) = unquoted(self.bare(line), from..self.bare.len());
        (range, literal || self.literal)
    }
}

/// A range without quotes around the whole of it, and whether a shell would leave what is between them as it is.
fn unquoted(text: &[u8], range: Range<usize>) -> (Range<usize>, bool) {
    let within = &text[range.clone()];
    let quotes = |begin: &[u8], end: u8| {
        let long = within.len() > begin.len() && within.starts_with(begin) && within.ends_with(&[end]);
        long && !within[begin.len()..within.len() - 1].contains(&end)
    };
    if quotes(b"$'", b'\'') {
        (range.start + 2..range.end - 1, true)
    } else if quotes(b"'", b'\'') {
        (range.start + 1..range.end - 1, true)
    } else if within.starts_with(b"\"") && ends_open(within) {
        (range.start + 1..range.end - 1, false)
    } else {
        (range, false)
    }
}

/// True where the quote that begins it is closed by its last byte alone; those within are escaped.
fn ends_open(text: &[u8]) -> bool {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at == text.len() - 1,
            _ => at += 1,
        }
    }
    false
}

/// The words of each simple command.
pub(super) fn commands(line: &[u8]) -> Vec<Vec<Word>> {
    let (mut all, mut words) = (Vec::new(), Vec::new());
    let (mut start, mut at, mut quote) = (None, 0, None);
    while at < line.len() {
        let byte = line[at];
        match (quote, byte) {
            (Some(q), b) if b == q => quote = None,
            // What is escaped neither begins nor ends anything.
            (None | Some(b'"'), b'\\') => {
                start = start.or(Some(at));
                at += 1;
            }
            (Some(_), _) => {}
            (None, b'\'' | b'"') => {
                start = start.or(Some(at));
                quote = Some(byte);
            }
            (None, b) if b.is_ascii_whitespace() || matches!(b, b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>') => {
                words.extend(start.take().map(|from| Word::new(line, from..at)));
                if matches!(b, b';' | b'&' | b'|' | b'\n' | b'(' | b')') {
                    all.push(std::mem::take(&mut words));
                }
            }
            (None, _) => start = start.or(Some(at)),
        }
        at += 1;
    }
    words.extend(start.map(|from| Word::new(line, from..line.len())));
    all.push(words);
    all.retain(|words| !words.is_empty());
    all
}
