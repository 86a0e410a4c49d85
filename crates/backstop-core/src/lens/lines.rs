//! Takes text before and after, gives which lines came and which went, as multisets: a line that only
//! moved is neither.

use std::collections::BTreeMap;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diff<T> {
    pub(crate) added: Vec<T>,
    pub(crate) removed: Vec<T>,
}

/// The differences of two multisets, each in the order of its side.
pub(crate) fn diff<T: Ord + Clone>(before: &[T], after: &[T]) -> Diff<T> {
    let mut counts: BTreeMap<&T, i64> = BTreeMap::new();
    for item in after {
        *counts.entry(item).or_default() += 1;
    }
    for item in before {
        *counts.entry(item).or_default() -= 1;
    }
    let mut take = |items: &[T], sign: i64| {
        let mut out = Vec::new();
        for item in items.iter().rev() {
            if let Some(n) = counts.get_mut(item).filter(|n| **n * sign > 0) {
                *n -= sign;
                out.push(item.clone());
            }
        }
        out.reverse();
        out
    };
    let added = take(after, 1);
    let removed = take(before, -1);
    Diff { added, removed }
}

/// The lines of a file without their ends, also where they end in `\r\n`.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l))
}

/// Lines with those that end in a backslash joined to the next, as sudo and systemd read them.
pub(crate) fn joined(text: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for line in lines(text) {
        let (body, goes_on) = match line.strip_suffix(b"\\") {
            Some(body) => (body, true),
            None => (line, false),
        };
        let mut whole = open.take().unwrap_or_default();
        whole.extend_from_slice(body);
        match goes_on {
            true => open = Some(whole),
            false => out.push(whole),
        }
    }
    out.extend(open);
    out
}

/// A line with runs of blanks as one space and none around it.
pub(crate) fn plain(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for word in line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_only_moves_is_no_difference() {
        assert_eq!(diff(&["a", "b"], &["b", "a"]), Diff::default());
        assert_eq!(diff(&["a", "a"], &["a"]), Diff { added: vec![], removed: vec!["a"] });
        assert_eq!(diff(&["a"], &["b", "a", "b"]), Diff { added: vec!["b", "b"], removed: vec![] });
    }

    #[test]
    fn continued_lines_are_one() {
        assert_eq!(joined(b"a \\\n b\nc\\"), [b"a  b".to_vec(), b"c".to_vec()]);
        assert_eq!(plain(b"\t a   b \r"), b"a b");
    }
}
