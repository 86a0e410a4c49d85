//! What a file tool would make of a file, told from its input alone: so that its effect is known, and
//! judged, before the tool runs.

use crate::bytes::Bytes;

/// One file that a tool would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, as named.
    pub path: Bytes,
    /// What becomes of it.
    pub what: What,
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It has this content then, whatever it had.
    Whole(String),
    /// Passages are replaced, one after the other.
    Parts(Vec<Part>),
    /// Lines are replaced.
    Lines(Vec<Hunk>),
    /// It is removed.
    Delete,
    /// It gets another name, after its lines were replaced.
    Move(Bytes, Vec<Hunk>),
    /// The input doesn't tell.
    Unknown,
}

/// A passage and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// True where every occurrence is meant.
    pub all: bool,
    /// What stands there instead.
    pub new: String,
    /// The passage; empty where the file is new.
    pub old: String,
}

/// Lines and what stands there instead, in the `*** Begin Patch` form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunk {
    /// A line that stands before them; empty where none is named.
    pub after: String,
    /// What stands there instead.
    pub new: Vec<String>,
    /// The lines.
    pub old: Vec<String>,
}

impl What {
    /// The content afterwards, from the content before; none where the file is gone then, or where that
    /// can't be told ([`What::Unknown`], or a passage that is not there to the letter).
    pub fn content(&self, before: Option<&[u8]>) -> Option<Vec<u8>> {
        match self {
            Self::Whole(text) => Some(text.clone().into_bytes()),
            Self::Parts(parts) => {
                let begin = before.unwrap_or_default().to_vec();
                parts.iter().try_fold(begin, |content, part| part.put(&content))
            }
            Self::Lines(hunks) | Self::Move(_, hunks) => lines(hunks, before?),
            Self::Delete | Self::Unknown => None,
        }
    }
}

impl Part {
    fn put(&self, content: &[u8]) -> Option<Vec<u8>> {
        let (old, new) = (self.old.as_bytes(), self.new.as_bytes());
        if old.is_empty() {
            return content.is_empty().then(|| new.to_vec());
        }
        let mut out = Vec::with_capacity(content.len() + new.len());
        let (mut rest, mut found) = (content, false);
        while let Some(at) = rest.windows(old.len()).position(|w| w == old) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(new);
            rest = &rest[at + old.len()..];
            found = true;
            if !self.all {
                break;
            }
        }
        out.extend_from_slice(rest);
        found.then_some(out)
    }
}

/// The content with each hunk's lines replaced, in their order.
fn lines(hunks: &[Hunk], before: &[u8]) -> Option<Vec<u8>> {
    let ended = before.last().is_none_or(|b| *b == b'\n');
    let mut have: Vec<&[u8]> = before.split(|b| *b == b'\n').collect();
    if ended {
        have.pop();
    }
    let (mut out, mut at): (Vec<&[u8]>, usize) = (Vec::new(), 0);
    for hunk in hunks {
        let anchor = hunk.after.as_bytes();
        let from = match anchor {
            [] => at,
            _ => at + have[at..].iter().position(|l| l.trim_ascii() == anchor.trim_ascii())? + 1,
        };
        let is_here = |start: &usize| {
            let here = &have[*start..];
            here.len() >= hunk.old.len() && here.iter().zip(&hunk.old).all(|(have, old)| *have == old.as_bytes())
        };
        // Lines that are only added stand behind their anchor, or at the end.
        let start = match hunk.old.as_slice() {
            [] if anchor.is_empty() => have.len(),
            [] => from,
            _ => (from..have.len()).find(is_here)?,
        };
        out.extend(&have[at..start]);
        out.extend(hunk.new.iter().map(|l| l.as_bytes()));
        at = start + hunk.old.len();
    }
    out.extend(&have[at..]);
    let mut content = out.join(&b'\n');
    if !out.is_empty() {
        content.push(b'\n');
    }
    Some(content)
}

/// The files of a patch in the `*** Begin Patch` form (OpenAI's `apply_patch`), and what becomes of each.
/// A line that belongs nowhere makes its file unknown, and one that looks like a heading makes all of it
/// untold: the tool reads headings with spaces around them, and a file must not be missed.
pub fn patch(text: &str) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for line in text.lines() {
        let file = |what| move |path: &str| Change { path: Bytes::from(path.trim()), what };
        let head = |prefix, what| line.strip_prefix(prefix).map(file(what));
        let begins = head("*** Add File: ", What::Whole(String::new()))
            .or_else(|| head("*** Update File: ", What::Lines(Vec::new())))
            .or_else(|| head("*** Delete File: ", What::Delete));
        if let Some(change) = begins {
            changes.push(change);
            continue;
        }
        let known = ["*** Begin Patch", "*** End Patch", "*** End of File"].contains(&line.trim_end())
            || line.starts_with("*** Move to: ");
        if line.trim_start().starts_with("***") && !known {
            return Vec::new();
        }
        let Some(last) = changes.last_mut() else {
            if line.trim_end() == "*** Begin Patch" || line.trim().is_empty() {
                continue;
            }
            return Vec::new();
        };
        last.what = step(std::mem::replace(&mut last.what, What::Unknown), line);
    }
    changes
}

/// One further line of a file's part.
fn step(what: What, line: &str) -> What {
    if let Some(to) = line.strip_prefix("*** Move to: ") {
        return match what {
            What::Lines(hunks) => What::Move(Bytes::from(to.trim()), hunks),
            _ => What::Unknown,
        };
    }
    if line.starts_with("*** End") {
        return what;
    }
    match what {
        What::Whole(mut text) => match line.strip_prefix('+') {
            Some(line) => {
                text.push_str(line);
                text.push('\n');
                What::Whole(text)
            }
            None => What::Unknown,
        },
        What::Lines(hunks) => hunk(hunks, line).map_or(What::Unknown, What::Lines),
        What::Move(to, hunks) => hunk(hunks, line).map_or(What::Unknown, |hunks| What::Move(to, hunks)),
        other => other,
    }
}

fn hunk(mut hunks: Vec<Hunk>, line: &str) -> Option<Vec<Hunk>> {
    if let Some(after) = line.strip_prefix("@@") {
        hunks.push(Hunk { after: after.trim().to_owned(), ..Hunk::default() });
        return Some(hunks);
    }
    if hunks.is_empty() {
        hunks.push(Hunk::default());
    }
    let last = hunks.last_mut()?;
    let (old, new) = match (line.as_bytes().first(), line.get(1..)) {
        (Some(b'+'), Some(rest)) => (None, Some(rest)),
        (Some(b'-'), Some(rest)) => (Some(rest), None),
        (Some(b' '), Some(rest)) => (Some(rest), Some(rest)),
        (None, _) => (Some(""), Some("")),
        _ => return None,
    };
    last.old.extend(old.map(str::to_owned));
    last.new.extend(new.map(str::to_owned));
    Some(hunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(old: &str, new: &str, all: bool) -> What {
        What::Parts(vec![Part { all, new: new.into(), old: old.into() }])
    }

    #[test]
    fn passages_are_replaced() {
        for (what, before, after) in [
            (part("b", "x", false), Some("abab"), Some("axab")),
            (part("b", "x", true), Some("abab"), Some("axax")),
            (part("z", "x", true), Some("abab"), None),
            (part("", "new", false), None, Some("new")),
            (part("", "new", false), Some("full"), None),
            (What::Whole("w".into()), Some("abab"), Some("w")),
            (What::Delete, Some("abab"), None),
            (What::Unknown, Some("abab"), None),
        ] {
            let got = what.content(before.map(str::as_bytes));
            assert_eq!(got.as_deref(), after.map(str::as_bytes), "{what:?} on {before:?}");
        }
    }

    #[test]
    fn a_patch_says_what_becomes_of_each_file() {
        let text = "*** Begin Patch\n*** Add File: a\n+one\n+two\n*** Delete File: b\n*** Update File: c\n*** Move to: d\n\
                    @@ fn main()\n keep\n-old\n+new\n*** End of File\n*** Update File: e\nno such line\n*** End Patch\n";
        let got = patch(text);
        let hunk = Hunk {
            after: "fn main()".into(),
            new: vec!["keep".into(), "new".into()],
            old: vec!["keep".into(), "old".into()],
        };
        let of = |path: &str, what| Change { path: path.into(), what };
        assert_eq!(
            got,
            [
                of("a", What::Whole("one\ntwo\n".into())),
                of("b", What::Delete),
                of("c", What::Move("d".into(), vec![hunk.clone()])),
                of("e", What::Unknown),
            ]
        );
        let before = b"x\n  fn main()\nkeep\nold\nend";
        assert_eq!(got[2].what.content(Some(before)).as_deref(), Some(&b"x\n  fn main()\nkeep\nnew\nend\n"[..]));
        assert_eq!(got[2].what.content(Some(b"fn main()\nother\n")), None, "the lines are not there");
    }

    #[test]
    fn a_heading_that_is_not_read_hides_no_file() {
        for text in [
            "*** Begin Patch\n *** Add File: .git/hooks/x\n+evil\n*** Update File: ok\n@@\n+a\n*** End Patch\n",
            "*** Begin Patch\n*** Add File: a\n+x\n  *** Delete File: b\n*** End Patch\n",
            "*** Rename File: a\n",
            "something before\n*** Delete File: a\n",
        ] {
            assert_eq!(patch(text), [], "{text}");
        }
    }

    #[test]
    fn lines_that_are_only_added_stand_at_the_end() {
        let what = patch("*** Update File: f\n@@\n+last\n").remove(0).what;
        assert_eq!(what.content(Some(b"first\n")).as_deref(), Some(&b"first\nlast\n"[..]));
    }
}
