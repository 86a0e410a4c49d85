//! Takes counts and names, gives the words lenses speak in. Names from outside come out harmless and
//! short.

use crate::quoted::Quoted;

/// How many bytes of a name or line from outside are shown.
pub(crate) const SHOWN: usize = 96;

/// `1234567` as `1,234,567`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2,000 rows`.
pub(crate) fn count(n: u64, thing: &str) -> String {
    let plural = match thing.strip_suffix('y') {
        _ if n == 1 => thing.to_owned(),
        Some(stem) if !stem.ends_with('e') => format!("{stem}ies"),
        _ if thing.ends_with('x') => format!("{thing}es"),
        _ => format!("{thing}s"),
    };
    format!("{} {plural}", number(n))
}

/// Bytes from outside, harmless and short.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => {
            // Not within a character, or a harmless name would end in escapes.
            let whole = start.utf8_chunks().next().map_or(0, |c| c.valid().len());
            let end = if SHOWN - whole < 4 { whole } else { SHOWN };
            format!("{}…", Quoted(&bytes[..end]))
        }
        _ => Quoted(bytes).to_string(),
    }
}

/// At most `most` items with commas between, then how many more there are.
pub(crate) fn list<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let mut out = items.iter().take(most).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if items.len() > most {
        out.push_str(&format!(" and {} more", number((items.len() - most) as u64)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        for (n, thing, expected) in [
            (1, "row", "1 row"),
            (0, "table", "0 tables"),
            (2000, "row", "2,000 rows"),
            (1_234_567, "key", "1,234,567 keys"),
            (2, "entry", "2 entries"),
            (3, "index", "3 indexes"),
        ] {
            assert_eq!(count(n, thing), expected);
        }
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        assert_eq!(shown(b"a\x1b[31m"), "a\\x1b[31m");
        assert_eq!(shown(&[b'x'; 200]), format!("{}…", "x".repeat(SHOWN)));
        let long = "ä".repeat(100);
        assert_eq!(shown(long.as_bytes()), format!("{}…", "ä".repeat(SHOWN / 2)));
        let odd = format!("x{}", "ä".repeat(100));
        assert_eq!(shown(odd.as_bytes()), format!("x{}…", "ä".repeat(SHOWN / 2 - 1)));
        assert_eq!(list(&["a", "b", "c"], 2), "a, b and 1 more");
    }
}
