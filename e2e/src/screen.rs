//! Takes what a program wrote to a screen, gives what in it could mislead the person before it.
//! Colours are fine; moving the cursor, clearing, hiding and reordering text are not.

/// Every control sequence or invisible character in `bytes` that could repaint or reorder a screen,
/// as (offset, what).
pub fn repaints(bytes: &[u8]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(len) = colour(&bytes[at..]) {
            at += len;
            continue;
        }
        let len = match bytes[at] {
            b'\n' | b'\t' | 0x20..=0x7e => 1,
            // A line end as terminals write it.
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
            0x00..=0x1f | 0x7f => {
                found.push((at, format!("control byte {:#04x}", bytes[at])));
                1
            }
            0x80.. => {
                let (len, problem) = beyond_ascii(&bytes[at..]);
                found.extend(problem.map(|p| (at, p)));
                len
            }
        };
        at += len;
    }
    found
}

/// The length of a colour sequence (`ESC [ digits and semicolons m`) at the start of `bytes`.
fn colour(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"\x1b[")?;
    let end = rest.iter().position(|b| !(b.is_ascii_digit() || *b == b';'))?;
    (rest[end] == b'm').then_some(2 + end + 1)
}

fn beyond_ascii(bytes: &[u8]) -> (usize, Option<String>) {
    let chunk = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(chunk) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&chunk[..e.valid_up_to()]).unwrap_or(""),
    };
    let Some(c) = valid.chars().next() else { return (1, Some(format!("byte {:#04x}, not UTF-8", bytes[0]))) };
    let bad = matches!(
        c,
        '\u{80}'..='\u{9f}'            // C1 controls: 0x9b is another ESC [
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'      // zero width, direction marks
        | '\u{2028}'..='\u{202e}'      // line separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'      // joiners, isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' // tags
    );
    (c.len_utf8(), bad.then(|| format!("invisible or reordering character U+{:04X}", u32::from(c))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_ordinary_text_pass_and_everything_else_is_named() {
        for (text, count) in [
            (&b"plain\n\ttext \x1b[1;31mred\x1b[0m\r\n"[..], 0),
            ("größe → 12 ✓ 文件".as_bytes(), 0),
            (b"\x1b[2J", 1),
            (b"\x1b]0;title\x07", 2),
            (b"over\rwritten", 1),
            ("a\u{202e}b\u{200b}c".as_bytes(), 2),
            ("\u{9b}2J".as_bytes(), 1),
            (b"\xff\xfe", 2),
            (b"\x08", 1),
        ] {
            assert_eq!(repaints(text).len(), count, "{}: {:?}", text.escape_ascii(), repaints(text));
        }
    }
}
