//! Shows text from outside so that it cannot repaint an approval screen: control characters,
//! bidirectional and zero-width marks, and bytes that are not UTF-8 are spelled out.

use std::fmt;

/// Bytes from outside, shown harmlessly on one line.
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    '\\' => f.write_str("\\\\")?,
                    c if (c as u32) < 0x80 && c.is_control() => write!(f, "\\x{:02x}", c as u32)?,
                    c if repaints(c) => write!(f, "\\u{{{:x}}}", c as u32)?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            for b in chunk.invalid() {
                write!(f, "\\x{b:02x}")?;
            }
        }
        Ok(())
    }
}

/// True for characters that are invisible or change how others are shown: C1 controls, bidi marks,
/// zero-width and other default-ignorable code points (Unicode 16, DerivedCoreProperties), odd
/// spaces, and private use.
pub fn repaints(c: char) -> bool {
    c.is_control()
        || matches!(c as u32,
            0x00a0 | 0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x1680 | 0x17b4..=0x17b5
            | 0x180b..=0x180f | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0x2800 | 0x3000 | 0x3164
            | 0xe000..=0xf8ff | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff | 0xf0000..=0x10ffff)
}

/// Bytes from outside that are not a place: a command, a reason, a line of a file. Harmless as well,
/// but with its own backslashes single, since nobody compares it with another by its spelling.
pub fn tame(text: &[u8]) -> String {
    let parts: Vec<String> = text.split(|b| *b == b'\\').map(|p| Quoted(p).to_string()).collect();
    parts.join("\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_repaints_gets_through() {
        for (bytes, expected) in [
            (&b"plain name.txt"[..], "plain name.txt"),
            (b"a\nb\x1b[31m", "a\\nb\\x1b[31m"),
            ("evil\u{202e}txt.exe".as_bytes(), "evil\\u{202e}txt.exe"),
            ("zero\u{200b}width".as_bytes(), "zero\\u{200b}width"),
            ("grüße/日本".as_bytes(), "grüße/日本"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"back\\slash", "back\\\\slash"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
        ] {
            assert_eq!(Quoted(bytes).to_string(), expected);
        }
    }
}
