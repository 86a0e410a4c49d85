//! Takes the arguments of the few programs whose options are not all there is to know, says whether
//! they only read. In doubt they don't.

use super::lane::Check;
use super::word::Word;

/// The word that makes it write; none where that isn't known.
pub(super) fn check<'a>(check: Check, words: &'a [Word], operands: &[&'a Word]) -> Result<(), Option<&'a Word>> {
    match check {
        Check::Sed => scripts(words, operands, &[b"-e", b"--expression"]).and_then(|s| each(&s, sed_reads)),
        Check::Awk => scripts(words, operands, &[]).and_then(|s| each(&s, awk_reads)),
        Check::Tar => tar(words),
        Check::Date => match words.iter().find(|w| sets_date(w)) {
            Some(word) => Err(Some(word)),
            None => Ok(()),
        }
        .and_then(|()| match operands.iter().find(|w| !w.prefix().starts_with(b"+")) {
            Some(word) => Err(Some(word)),
            None => Ok(()),
        }),
    }
}

/// `-s`, also within a cluster, but not in the value of another option: `-Iseconds`.
fn sets_date(word: &Word) -> bool {
    let text = word.known().unwrap_or_default();
    match text.as_slice() {
        [b'-', letters @ ..] => letters.iter().take_while(|b| !b"-Idfr".contains(b)).any(|b| *b == b's'),
        _ => false,
    }
}

fn each<'a>(scripts: &[&'a Word], reads: fn(&[u8]) -> bool) -> Result<(), Option<&'a Word>> {
    for script in scripts {
        if !script.known().is_some_and(|text| reads(text.as_slice())) {
            return Err(Some(script));
        }
    }
    Ok(())
}

/// The program texts: the values of `options`, or the first operand.
fn scripts<'a>(words: &'a [Word], operands: &[&'a Word], options: &[&[u8]]) -> Result<Vec<&'a Word>, Option<&'a Word>> {
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        // Only as words of their own; `-es/a/b/` and clusters with an `e` are left to the view.
        if options.iter().any(|o| word.is(o)) {
            found.push(words.get(at + 1).ok_or(None)?);
        } else if !options.is_empty() {
            let text = word.known().unwrap_or_default();
            let odd = match text.as_slice() {
                [b'-', b'-', rest @ ..] => rest.starts_with(b"e"),
                [b'-', rest @ ..] => rest.contains(&b'e'),
                _ => false,
            };
            if odd {
                return Err(Some(word));
            }
        }
    }
    if found.is_empty() {
        found.extend(operands.first());
    }
    if found.is_empty() { Err(None) } else { Ok(found) }
}

/// True for scripts of a few harmless commands: addresses, `p`, `d`, `q`, `=`, `s` without `e` and `w`.
fn sed_reads(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b';' | b'}')).count();
        rest = &rest[blank..];
        let Some(after) = addresses(rest) else { return false };
        rest = after;
        match rest {
            [] => return true,
            [b'#', ..] => {
                let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                rest = &rest[end..];
            }
            [b's', delimiter, inner @ ..] => {
                let Some(after) = past(inner, *delimiter).and_then(|r| past(r, *delimiter)) else { return false };
                let flags = after.iter().take_while(|b| b.is_ascii_digit() || b"gpiIM".contains(b)).count();
                rest = &after[flags..];
                if !ends(rest) {
                    return false;
                }
            }
            [b'y', delimiter, inner @ ..] => {
                let Some(after) = past(inner, *delimiter).and_then(|r| past(r, *delimiter)) else { return false };
                rest = after;
            }
            [b'{', inner @ ..] => rest = inner,
            [
                b'p' | b'P' | b'd' | b'D' | b'=' | b'n' | b'N' | b'g' | b'G' | b'h' | b'H' | b'x' | b'z' | b'l',
                inner @ ..,
            ] if ends(inner) => {
                rest = inner;
            }
            [b'q' | b'Q', inner @ ..] => {
                let digits = inner.iter().take_while(|b| b.is_ascii_digit() || **b == b' ').count();
                rest = &inner[digits..];
                if !ends(rest) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// True where a command of `sed` is over.
fn ends(rest: &[u8]) -> bool {
    rest.first().is_none_or(|b| matches!(b, b' ' | b'\t' | b'\n' | b';' | b'}' | b'#'))
}

/// What comes after `ADDRESS[,ADDRESS][!]`.
fn addresses(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        match rest {
            [b'/', inner @ ..] => rest = past(inner, b'/')?,
            [b'\\', delimiter, inner @ ..] => rest = past(inner, *delimiter)?,
            [b, inner @ ..] if b.is_ascii_digit() || b"$,~+! IM".contains(b) => rest = inner,
            _ => return Some(rest),
        }
    }
}

/// What comes after the next `delimiter` that isn't escaped. A bracket may hide one, so brackets with
/// a delimiter in them are not followed.
fn past(text: &[u8], delimiter: u8) -> Option<&[u8]> {
    if delimiter == b'\\' || delimiter == b'\n' {
        return None;
    }
    let mut at = 0;
    let mut bracket = false;
    loop {
        match *text.get(at)? {
            b'\\' => at += 1,
            b'\n' => return None,
            b if b == delimiter => return (!bracket).then(|| &text[at + 1..]),
            b'[' => bracket = true,
            b']' => bracket = false,
            _ => {}
        }
        at += 1;
    }
}

/// True for programs of `awk` without anything that could write or start something: no redirection, no
/// pipe, no calls of functions but these.
fn awk_reads(text: &[u8]) -> bool {
    const CALLS: [&[u8]; 16] = [
        b"length", b"substr", b"split", b"index", b"tolower", b"toupper", b"sprintf", b"gsub", b"sub", b"match",
        b"int", b"sqrt", b"if", b"for", b"while", b"in",
    ];
    if text.iter().any(|b| matches!(b, b'>' | b'|' | b'@' | b'`')) {
        return false;
    }
    let mut word = 0..0;
    for (at, b) in text.iter().enumerate() {
        if b.is_ascii_alphanumeric() || *b == b'_' {
            word = if word.end == at { word.start..at + 1 } else { at..at + 1 };
            continue;
        }
        let name = &text[word.clone()];
        let called = *b == b'(' && word.end == at && !name.is_empty();
        if called && !CALLS.contains(&name) && name != b"printf" && name != b"print" {
            return false;
        }
    }
    // However it is spelled.
    let holds = |what: &[u8]| text.windows(what.len()).any(|w| w == what);
    !holds(b"system") && !holds(b"getline") && !holds(b"close")
}

/// `tar t…` and `tar -t…`, `tar --list`: the first word says what is done, and nothing else may.
fn tar(words: &[Word]) -> Result<(), Option<&Word>> {
    let first = words.first().ok_or(None)?;
    let text = first.known().ok_or(Some(first))?;
    let letters = text.as_slice().strip_prefix(b"-").unwrap_or(text.as_slice());
    let lists =
        text.as_slice() == b"--list" || letters.contains(&b't') && letters.iter().all(|b| b"tvzjJaf".contains(b));
    if !lists {
        return Err(Some(first));
    }
    let odd = |w: &&Word| {
        w.known().is_none_or(|t| t.as_slice().starts_with(b"-") && t.as_slice() != b"-") && w.may_be_option()
    };
    match words[1..].iter().find(odd) {
        Some(word) => Err(Some(word)),
        None => Ok(()),
    }
}
