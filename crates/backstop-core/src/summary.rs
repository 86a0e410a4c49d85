//! Takes an effect set, gives the sentence a message opens with: what, how much, where.

use std::collections::BTreeMap;

use crate::bytes::Bytes;
use crate::effect::{Aspect, Count, Effect, EffectSet, FileType, Kind, Opener, Totals};
use crate::facts::{Meaning, Proof};
use crate::size;

/// `delete 41,210 files (12.4 GB) in /var/lib/postgresql/15/main`, with `verbs` in the wanted tense.
pub fn sentence(set: &EffectSet, tense: Tense) -> String {
    if let [only] = telling(set).as_slice()
        && only.beneath.as_ref().is_none_or(|b| b.entries() == 0)
    {
        return single(only, tense);
    }
    let counts = counts(set, tense);
    match place(set) {
        Some(place) => format!("{counts} in {}", place.quoted()),
        None => counts,
    }
}

/// `-41,210 +3 ~1 12.4 GB`.
pub fn brief(t: &Totals) -> String {
    let mut parts = Vec::new();
    for (n, sign) in [
        (t.deleted.entries(), "-"),
        (t.created.entries(), "+"),
        (t.changed.entries(), "~"),
        (t.renamed.entries(), "»"),
        (t.linked.entries(), "="),
    ] {
        if n > 0 {
            parts.push(format!("{sign}{}", size::count(n)));
        }
    }
    if parts.is_empty() && t.metadata.entries() > 0 {
        parts.push(format!("·{}", size::count(t.metadata.entries())));
    }
    let bytes = t.deleted.bytes + t.created.bytes + t.changed.bytes;
    if bytes > 0 {
        parts.push(size::bytes(bytes));
    }
    parts.join(" ")
}

/// Kinds of change that a sentence spells out.
const KINDS: usize = 3;

/// How the verbs are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tense {
    /// `would delete …`
    Would,
    /// `deleted …`
    Did,
}

/// Verbs of a kind of change: (would, did).
const fn verb(kind: Kind, tense: Tense) -> &'static str {
    match (kind, tense) {
        (Kind::Create, Tense::Would) => "create",
        (Kind::Create, Tense::Did) => "created",
        (Kind::Change, Tense::Would) => "change",
        (Kind::Change, Tense::Did) => "changed",
        (Kind::Replace, Tense::Would) => "replace",
        (Kind::Replace, Tense::Did) => "replaced",
        (Kind::Delete, Tense::Would) => "delete",
        (Kind::Delete, Tense::Did) => "deleted",
        (Kind::Rename, Tense::Would) => "rename",
        (Kind::Rename, Tense::Did) => "renamed",
        (Kind::Metadata, Tense::Would) => "change the metadata of",
        (Kind::Metadata, Tense::Did) => "changed the metadata of",
        (Kind::Link, Tense::Would) => "link",
        (Kind::Link, Tense::Did) => "linked",
    }
}

fn single(e: &Effect, tense: Tense) -> String {
    let prefix = if tense == Tense::Would { "would " } else { "" };
    let node = e.before.as_ref().or(e.after.as_ref());
    let what = match node.map(|n| n.file_type) {
        Some(FileType::Dir) => "the directory ",
        Some(FileType::Symlink) => "the link ",
        Some(FileType::Fifo) => "the pipe ",
        Some(FileType::Socket) => "the socket ",
        Some(FileType::CharDevice | FileType::BlockDevice) => "the device ",
        Some(FileType::File) | None => "",
    };
    let bytes = node.filter(|n| n.file_type == FileType::File).map(|n| format!(" ({})", size::bytes(n.size)));
    let from = e.from.as_ref().map(|f| match e.kind {
        Kind::Rename => format!("{} to ", f.quoted()),
        _ => format!("{} as ", f.quoted()),
    });
    format!(
        "{prefix}{} {what}{}{}{}",
        verb(e.kind, tense),
        from.unwrap_or_default(),
        e.path.quoted(),
        bytes.unwrap_or_default()
    )
}

/// `delete 41,210 files (12.4 GB), create 3 files (1 kB)`.
fn counts(set: &EffectSet, tense: Tense) -> String {
    let (t, replaced) = split(set);
    let kinds = [
        (Kind::Delete, &t.deleted),
        (Kind::Replace, &replaced),
        (Kind::Change, &t.changed),
        (Kind::Create, &t.created),
        (Kind::Rename, &t.renamed),
        (Kind::Link, &t.linked),
        (Kind::Metadata, &t.metadata),
    ];
    let present: Vec<(Kind, &Count)> = kinds.into_iter().filter(|(_, c)| c.entries() > 0).collect();
    // Other metadata comes along with nearly everything (a directory's times): alone it is news.
    let only_dirs = t.metadata.files + t.metadata.others == 0;
    let telling: Vec<_> =
        present.iter().filter(|(kind, _)| *kind != Kind::Metadata || present.len() == 1 || !only_dirs).collect();
    let mut parts: Vec<String> =
        telling.iter().take(KINDS).map(|(kind, c)| format!("{} {}", verb(*kind, tense), things(c, *kind))).collect();
    let rest: u64 = telling.iter().skip(KINDS).map(|(_, c)| c.entries()).sum();
    if rest > 0 {
        parts.push(size::counted(rest, "other change", "other changes"));
    }
    let prefix = if tense == Tense::Would { "would " } else { "" };
    format!("{prefix}{}", parts.join(", "))
}

/// The totals, and apart from them the files that another file takes the place of: editors save that
/// way, and "deleted one, created one" would alarm for nothing.
fn split(set: &EffectSet) -> (Totals, Count) {
    let (mut t, mut replaced) = (set.totals(), Count::default());
    for e in set.effects.iter().filter(|e| e.kind == Kind::Replace) {
        if let (Some(b), Some(a)) = (&e.before, &e.after)
            && b.file_type == FileType::File
            && a.file_type == FileType::File
        {
            replaced.files += 1;
            replaced.bytes += b.size;
            t.deleted.files -= 1;
            t.deleted.bytes -= b.size;
            t.created.files -= 1;
            t.created.bytes -= a.size;
        }
    }
    (t, replaced)
}

/// `41,210 files (12.4 GB)`; directories and others only where there are no files, or beside them.
fn things(c: &Count, kind: Kind) -> String {
    let mut parts = Vec::new();
    if c.files > 0 {
        parts.push(size::counted(c.files, "file", "files"));
    }
    if c.others > 0 {
        parts.push(size::counted(c.others, "link or other", "links and others"));
    }
    if c.dirs > 0 && (parts.is_empty() || kind == Kind::Rename) {
        parts.push(size::counted(c.dirs, "directory", "directories"));
    }
    let bytes = match kind {
        Kind::Delete | Kind::Change | Kind::Create | Kind::Replace if c.files > 0 => {
            format!(" ({})", size::bytes(c.bytes))
        }
        _ => String::new(),
    };
    format!("{}{bytes}", parts.join(" and "))
}

/// The effects worth a sentence: not the new times of a directory whose entries changed.
fn telling(set: &EffectSet) -> Vec<&Effect> {
    let mut all: Vec<&Effect> = set.effects.iter().filter(|e| !is_dir_times(e)).take(2).collect();
    if all.is_empty() {
        all = set.effects.iter().take(2).collect();
    }
    all
}

/// True for a directory that only got another time.
pub fn is_dir_times(e: &Effect) -> bool {
    e.kind == Kind::Metadata
        && e.aspects.iter().all(|a| *a == Aspect::Times)
        && e.after.as_ref().is_some_and(|n| n.file_type == FileType::Dir)
}

/// The deepest directory that all telling effects lie in; none where that is `/`.
pub fn place(set: &EffectSet) -> Option<Bytes> {
    let mut common: Option<Bytes> = None;
    let any_telling = set.effects.iter().any(|e| !is_dir_times(e));
    for e in set.effects.iter().filter(|e| !any_telling || !is_dir_times(e)) {
        // A directory that goes away with all in it is itself the place.
        let whole = e.beneath.as_ref().is_some_and(|b| b.entries() > 0);
        let here = if whole && common.is_none() { e.path.clone() } else { e.path.parent() };
        common = Some(match common {
            None => here,
            Some(c) => shared(&c, &e.path),
        });
    }
    common.filter(|c| c.as_slice() != b"/" && !c.is_empty())
}

/// The deepest directory above both: `dir` itself, or one above it.
fn shared(dir: &Bytes, path: &Bytes) -> Bytes {
    let mut dir = dir.clone();
    while !dir.is_empty() && dir.as_slice() != b"/" && !(path != &dir && path.is_beneath(dir.as_slice())) {
        dir = dir.parent();
    }
    dir
}

/// What would be lost for good, and how old the newest proof of a backup is: the key and the text of a line.
pub fn loss(meaning: &Meaning) -> Option<(&'static str, String)> {
    let proof = match (meaning.proof.level.as_str(), meaning.proof.age_hours) {
        ("none", _) => None,
        (level, hours @ ..48) => Some(format!("{hours} hours old, {level}")),
        (level, Proof::NEVER) => Some(format!("from the future, {level}")),
        (level, hours) => Some(format!("{} days old, {level}", hours / 24)),
    };
    if let (Ok(files @ 1..), Ok(bytes)) = (u64::try_from(meaning.files), u64::try_from(meaning.bytes)) {
        let proof = proof.map_or("no proven backup".to_owned(), |p| format!("newest proven backup: {p}"));
        let what = size::counted(files, "file", "files");
        let verb = if files == 1 { "exists" } else { "exist" };
        return Some(("lost", format!("{what} ({}) that {verb} nowhere else ({proof})", size::bytes(bytes))));
    }
    proof.map(|p| ("backup", format!("all that would be lost is in a proven backup: {p}")))
}

/// Who has something open that changes: one line each, those who write first, then the most files.
pub fn openers(set: &EffectSet) -> Vec<Opener> {
    let mut all: BTreeMap<u32, Opener> = BTreeMap::new();
    for opener in set.effects.iter().flat_map(|e| &e.open_by) {
        all.entry(opener.pid)
            .and_modify(|o| {
                o.files += opener.files;
                o.writing |= opener.writing;
            })
            .or_insert_with(|| opener.clone());
    }
    let mut all: Vec<Opener> = all.into_values().collect();
    all.sort_by_key(|o| (!o.writing, std::cmp::Reverse(o.files), o.pid));
    all
}
