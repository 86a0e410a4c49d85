//! Takes a pattern and a text, says whether they match: `*` is any part of a component.

/// True where `text` matches; one or more `*` stand for anything.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|&b| b == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last: Option<&[u8]> = None;
    for part in parts {
        if let Some(middle) = last.replace(part)
            && !middle.is_empty()
        {
            let Some(at) = rest.windows(middle.len()).position(|w| w == middle) else { return false };
            rest = &rest[at + middle.len()..];
        }
    }
    match last {
        Some(end) => rest.ends_with(end),
        None => rest.is_empty(),
    }
}

/// True where the components of a path match those of a pattern; `**` is one or more components.
pub(super) fn path(pattern: &[&[u8]], text: &[&[u8]]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((&b"**", rest)), Some((_, more))) => path(rest, more) || path(pattern, more),
        (Some((p, rest)), Some((t, more))) => matches(p, t) && path(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*.json", "x.json", true),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("a*a", "a", false),
            ("settings*.json", "settings.local.json", true),
            ("*x*y", "axby", true),
            ("*x*y", "ayx", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
