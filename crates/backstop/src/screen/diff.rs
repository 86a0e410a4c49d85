//! Takes a file's content before and after, gives a unified difference that can't repaint a screen.

use backstop_core::bytes::Bytes;
use similar::{ChangeTag, TextDiff};

use super::message::tame;
use super::size;
use super::style::{Ink, Style};

/// Files bigger than this are only named.
pub const LIMIT: u64 = 1 << 20;

/// One side of a file; none where it is not there.
pub type Content<'a> = Option<&'a [u8]>;

/// The difference between two versions of `path`.
pub fn file(path: &Bytes, before: Content<'_>, after: Content<'_>, style: Style) -> String {
    let mut out = String::new();
    let name = path.quoted();
    let (old, new) = (
        if before.is_some() { name.to_string() } else { "/dev/null".to_owned() },
        if after.is_some() { path.quoted().to_string() } else { "/dev/null".to_owned() },
    );
    out.push_str(&format!("{}\n", style.ink(Ink::Strong, format!("--- {old}"))));
    out.push_str(&format!("{}\n", style.ink(Ink::Strong, format!("+++ {new}"))));
    let (a, b) = (before.unwrap_or_default(), after.unwrap_or_default());
    if a.len() as u64 > LIMIT || b.len() as u64 > LIMIT {
        out.push_str(&format!("more than {}: not compared line by line\n", size::bytes(LIMIT)));
        return out;
    }
    if binary(a) || binary(b) {
        let (a, b) = (size::bytes(a.len() as u64), size::bytes(b.len() as u64));
        out.push_str(&format!("binary: {a} before, {b} after\n"));
        return out;
    }
    let diff = TextDiff::configure().timeout(std::time::Duration::from_secs(2)).diff_lines(a, b);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.push_str(&format!("{}\n", style.ink(Ink::Place, hunk.header().to_string().trim_end())));
        for change in hunk.iter_changes() {
            let (sign, ink) = match change.tag() {
                ChangeTag::Delete => ("-", Some(Ink::Lost)),
                ChangeTag::Insert => ("+", Some(Ink::Made)),
                ChangeTag::Equal => (" ", None),
            };
            let value: &[u8] = change.value();
            let (text, ended) = match value.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (value, false),
            };
            let shown = format!("{sign}{}", shown(text));
            match ink {
                Some(ink) => out.push_str(&style.ink(ink, shown).to_string()),
                None => out.push_str(&shown),
            }
            out.push('\n');
            if !ended {
                out.push_str("\\ no line end at the end of the file\n");
            }
        }
    }
    out
}

/// As git tells: a zero byte early on.
fn binary(content: &[u8]) -> bool {
    content[..content.len().min(8_000)].contains(&0)
}

/// A line of a file: tabs stay, everything else that could repaint is spelled out.
fn shown(text: &[u8]) -> String {
    let parts: Vec<String> = text.split(|b| *b == b'\t').map(tame).collect();
    parts.join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_compared_and_cannot_repaint() {
        let got = file(
            &"/w/a\x1b.txt".into(),
            Some(b"one\ntwo\nthree\n"),
            Some(b"one\n2\x1b[31m\nthree\n\tfour\\n"),
            Style::PLAIN,
        );
        insta::assert_snapshot!(got, @r#"
    --- /w/a\x1b.txt
    +++ /w/a\x1b.txt
    @@ -1,3 +1,4 @@
     one
    -two
    +2\x1b[31m
     three
    +	four\n
    \ no line end at the end of the file
    "#);
    }

    #[test]
    fn binary_files_are_only_said() {
        let got = file(&"/w/a".into(), Some(b"\0\x01"), None, Style::PLAIN);
        insta::assert_snapshot!(got, @r#"
    --- /w/a
    +++ /dev/null
    binary: 2 B before, 0 B after
    "#);
    }
}
