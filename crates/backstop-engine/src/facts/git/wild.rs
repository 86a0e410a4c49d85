//! Takes a pattern and a path, says whether they match as git's wildmatch does: `*` stops at a
//! slash, `**` between slashes does not. Never recurses, never takes more than its steps.

/// Steps of one comparison; what takes more is taken for no match.
const STEPS: usize = 100_000;

/// True when `pattern` matches the whole of `text`.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on when a star has to take more: place in the pattern, place in the text, and
    // whether it may take slashes. A later star replaces an earlier one, except that one without
    // slashes must not hide one with.
    let mut narrow: Option<(usize, usize)> = None;
    let mut wide: Option<(usize, usize)> = None;
    let (mut p, mut t) = (0, 0);
    for _ in 0..STEPS {
        let step = match pattern.get(p) {
            Some(b'*') => {
                let stars = pattern[p..].iter().take_while(|&&b| b == b'*').count();
                let after = p + stars;
                let begins = p == 0 || pattern[p - 1] == b'/';
                let ends = after == pattern.len() || pattern[after] == b'/';
                if stars >= 2 && begins && ends {
                    // `**/` also stands for no directory at all.
                    let next = if after < pattern.len() { after + 1 } else { after };
                    if after == pattern.len() {
                        return true;
                    }
                    wide = Some((next, t));
                    narrow = None;
                    p = next;
                } else {
                    narrow = Some((after, t));
                    p = after;
                }
                true
            }
            None => {
                if t == text.len() {
                    return true;
                }
                false
            }
            Some(_) => match text.get(t) {
                Some(&c) => match one(&pattern[p..], c) {
                    Some(taken) => {
                        p += taken;
                        t += 1;
                        true
                    }
                    None => false,
                },
                None => false,
            },
        };
        if step {
            continue;
        }
        if let Some((after, from)) = narrow.filter(|(_, from)| text.get(*from).is_some_and(|&c| c != b'/')) {
            narrow = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else if let Some((after, from)) = wide {
            // The next place behind a slash.
            let Some(slash) = text[from..].iter().position(|&c| c == b'/') else { return false };
            let next = from + slash + 1;
            wide = Some((after, next));
            narrow = None;
            (p, t) = (after, next);
        } else {
            return false;
        }
    }
    false
}

/// How many bytes of the pattern match the one byte `c`; none where they don't.
fn one(pattern: &[u8], c: u8) -> Option<usize> {
    match pattern[0] {
        b'?' => (c != b'/').then_some(1),
        b'\\' => (pattern.get(1) == Some(&c)).then_some(2),
        b'[' => class(pattern, c),
        literal => (literal == c).then_some(1),
    }
}

fn class(pattern: &[u8], c: u8) -> Option<usize> {
    let mut at = 1;
    let not = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(not);
    let (mut hit, first) = (false, at);
    loop {
        let mut low = *pattern.get(at)?;
        if low == b']' && at > first {
            break;
        }
        if low == b'[' && pattern.get(at + 1) == Some(&b':') {
            let end = at + 2 + pattern[at + 2..].windows(2).position(|w| w == b":]")?;
            hit |= named(&pattern[at + 2..end], c)?;
            at = end + 2;
            continue;
        }
        if low == b'\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|b| *b != b']') {
            at += 1;
            high = *pattern.get(at)?;
            if high == b'\\' {
                at += 1;
                high = *pattern.get(at)?;
            }
            at += 1;
        }
        hit |= (low..=high).contains(&c);
    }
    (hit != not && c != b'/').then_some(at + 1)
}

fn named(name: &[u8], c: u8) -> Option<bool> {
    Some(match name {
        b"alnum" => c.is_ascii_alphanumeric(),
        b"alpha" => c.is_ascii_alphabetic(),
        b"blank" => matches!(c, b' ' | b'\t'),
        b"cntrl" => c.is_ascii_control(),
        b"digit" => c.is_ascii_digit(),
        b"graph" => c.is_ascii_graphic(),
        b"lower" => c.is_ascii_lowercase(),
        b"print" => c.is_ascii_graphic() || c == b' ',
        b"punct" => c.is_ascii_punctuation(),
        b"space" => c.is_ascii_whitespace() || c == 0x0b,
        b"upper" => c.is_ascii_uppercase(),
        b"xdigit" => c.is_ascii_hexdigit(),
        _ => return None,
    })
}
