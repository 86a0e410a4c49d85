//! Takes `authorized_keys` before and after, gives the keys that came and went. A key is its kind and
//! blob together with its options: other options are another right, so they count as a change.

use crate::lens::lines::{self, Diff};

/// Keys added or changed, and keys removed, as lines to show.
pub(super) fn diff(before: &[u8], after: &[u8]) -> Diff<Vec<u8>> {
    let (old, new) = (keys(before), keys(after));
    let raw = lines::diff(&old, &new);
    // A key whose options change is one that came, not one that went as well.
    let gone = raw.removed.into_iter().filter(|k| !raw.added.iter().any(|n| n.blob == k.blob));
    let removed = gone.map(Key::shown).collect();
    let added = raw.added.into_iter().map(Key::shown).collect();
    Diff { added, removed }
}

/// Ordered and compared by what gives rights; the comment at the end gives none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    options: Vec<u8>,
    blob: Vec<u8>,
    /// The blob's end, the options and the comment: keys begin alike.
    short: Comment,
}

/// Carried along, never compared.
#[derive(Clone, Debug)]
struct Comment(Vec<u8>);

impl PartialEq for Comment {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Comment {}

impl PartialOrd for Comment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Comment {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Key {
    fn shown(self) -> Vec<u8> {
        self.short.0
    }
}

fn keys(text: &[u8]) -> Vec<Key> {
    lines::lines(text).map(<[u8]>::trim_ascii).filter(|l| !l.is_empty() && l[0] != b'#').map(key).collect()
}

/// `[options] kind blob [comment]`; options may hold blanks within quotes.
fn key(line: &[u8]) -> Key {
    let first = end_of_word(line);
    let (options, rest) = match is_kind(&line[..first]) {
        true => (&line[..0], line),
        false => (&line[..first], line[first..].trim_ascii_start()),
    };
    let mut words = rest.splitn(3, u8::is_ascii_whitespace);
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let comment = words.next().unwrap_or_default().trim_ascii();
    if !is_kind(kind) || blob.is_empty() {
        // Not a key as we know them: the line as a whole stands for itself.
        return Key { options: Vec::new(), blob: line.to_vec(), short: Comment(line.to_vec()) };
    }
    let mut short = kind.to_vec();
    short.extend_from_slice(" …".as_bytes());
    short.extend_from_slice(&blob[blob.len().saturating_sub(12)..]);
    for part in [comment, options] {
        if !part.is_empty() {
            short.push(b' ');
            short.extend_from_slice(part);
        }
    }
    let mut whole = kind.to_vec();
    whole.push(b' ');
    whole.extend_from_slice(blob);
    Key { options: options.to_vec(), blob: whole, short: Comment(short) }
}

fn is_kind(word: &[u8]) -> bool {
    [&b"ssh-"[..], b"ecdsa-", b"sk-ssh-", b"sk-ecdsa-"].iter().any(|start| word.starts_with(start))
}

fn end_of_word(line: &[u8]) -> usize {
    let mut quoted = false;
    let mut before = 0;
    for (i, &b) in line.iter().enumerate() {
        match b {
            b'"' if before != b'\\' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return i,
            _ => {}
        }
        before = b;
    }
    line.len()
}
