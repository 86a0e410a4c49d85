//! The documented differences of the unprivileged mode. Takes what a program printed plainly and
//! under Backstop, says which documented difference explains all of it, if one does.

use crate::ground::{Ran, User};

/// The name of the difference that explains every line that differs, or of the first of several.
pub fn difference(user: User, plain: &Ran, ours: &Ran) -> Option<&'static str> {
    if plain.stdout.lines().count() != ours.stdout.lines().count() {
        return None;
    }
    let mut found = None;
    for (a, b) in plain.stdout.lines().zip(ours.stdout.lines()).filter(|(a, b)| a != b) {
        let why = explain(user, a, b, found.is_some())?;
        found = found.or(Some(why));
    }
    found
}

/// Shorter than redirect_max, since the path of the tree itself counts too.
const LONG: usize = 200;

fn explain(user: User, plain: &str, ours: &str, after_another: bool) -> Option<&'static str> {
    let moves = ["rename ", "move ", "exchange ", "write-moved "].iter().any(|v| plain.starts_with(v));
    // overlayfs notes an old path of at most 256 bytes (its parameter redirect_max).
    if (moves || plain.starts_with("link ")) && ours.ends_with(": errno 18") && plain.len() > LONG {
        return Some("what has a path of more than 256 bytes cannot be renamed or linked (EXDEV)");
    }
    if user == User::Root {
        return after_another.then_some("follows from another difference");
    }
    if moves && ours.ends_with(": errno 18") {
        return Some("a directory of the disk cannot be renamed (EXDEV)");
    }
    if ["acl ", "default-acl "].iter().any(|v| plain.starts_with(v)) && ours.ends_with(": errno 22") {
        return Some("an ACL cannot name users that the namespace does not know (EINVAL)");
    }
    if plain.starts_with("look ") && without_links(plain) == without_links(ours) {
        return Some("hard links are not seen as such");
    }
    // What follows one difference may follow from it.
    after_another.then_some("follows from another difference")
}

fn without_links(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    if let Some(at) = words.iter().position(|w| *w == "links") {
        words.drain(at..(at + 2).min(words.len()));
    }
    words.join(" ")
}

/// Why a run was held, from what Backstop said: the line with the rule, and the one that says why.
pub fn reason(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).collect();
    let at = lines.iter().position(|l| l.starts_with("rule"));
    let said = at.map_or_else(
        || lines.iter().take(1).copied().collect(),
        |at| lines[at..].iter().take(2).copied().collect::<Vec<_>>(),
    );
    // Counted by rule, so without the place of this one case.
    said.iter().flat_map(|l| l.split_whitespace()).filter(|w| !w.contains('/')).collect::<Vec<_>>().join(" ")
}

/// True when a run was held for a reason that a person decides in any mode: further names of a file
/// may lie outside the workspace, a file gives more rights to whoever runs it, or what is named as a
/// repository's directory is none that can be read.
pub fn asks(stderr: &str) -> bool {
    let reason = reason(stderr);
    ["linked-elsewhere", "gives-rights", "could not be measured: git"].iter().any(|why| reason.contains(why))
}

/// True when a run was denied because a device node was among its effects: policy's floor.
pub fn denies(stderr: &str) -> bool {
    reason(stderr).contains("floor-device")
}
