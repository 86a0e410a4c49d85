//! Takes line-wise files before and after (sudoers, crontabs, shell start-up files), gives the lines
//! with a meaning that came and went. Comments and blanks have none.

use crate::lens::lines::{self, Diff};

/// Rules of sudo and doas. Here `#` begins a comment except in `#include`, `#includedir` and before a
/// user's number; and the last rule that matches wins, so another order is a change too.
pub(super) fn sudo(before: &[u8], after: &[u8]) -> Diff<Vec<u8>> {
    let rules = |text: &[u8]| -> Vec<Vec<u8>> {
        let all = lines::joined(text).into_iter().map(|l| lines::plain(&l));
        all.filter(|l| !l.is_empty() && (l[0] != b'#' || speaks(&l[1..]))).collect()
    };
    let (old, new) = (rules(before), rules(after));
    let mut diff = lines::diff(&old, &new);
    if diff.added.is_empty() && diff.removed.is_empty() && old != new {
        diff.added.push(b"(the same rules in another order: the last that matches wins)".to_vec());
    }
    diff
}

fn speaks(after_hash: &[u8]) -> bool {
    after_hash.starts_with(b"include") || after_hash.first().is_some_and(u8::is_ascii_digit)
}

/// Jobs and settings of crontabs.
pub(super) fn cron(before: &[u8], after: &[u8]) -> Diff<Vec<u8>> {
    // Within a command blanks matter, so only those around the line go.
    lines::diff(&spoken(before), &spoken(after))
}

/// Scripts that cron or at runs as a whole.
pub(super) fn script(before: &[u8], after: &[u8]) -> Diff<Vec<u8>> {
    // `#!` names the program that reads the rest.
    let shebang = |text: &[u8]| lines::lines(text).next().filter(|l| l.starts_with(b"#!")).map(<[u8]>::to_vec);
    let with = |text: &[u8]| shebang(text).into_iter().chain(spoken(text)).collect::<Vec<_>>();
    lines::diff(&with(before), &with(after))
}

/// Lines of shell start-up files.
pub(super) fn startup(before: &[u8], after: &[u8]) -> Diff<Vec<u8>> {
    lines::diff(&spoken(before), &spoken(after))
}

fn spoken(text: &[u8]) -> Vec<Vec<u8>> {
    let all = lines::lines(text).map(<[u8]>::trim_ascii);
    all.filter(|l| !l.is_empty() && l[0] != b'#').map(<[u8]>::to_vec).collect()
}
