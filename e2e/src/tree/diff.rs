//! Takes two captured trees, gives a line for every difference.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Entry, Kind, Tree, shown};

/// Which differences are expected.
#[derive(Clone, Debug, Default)]
pub struct DiffOpts {
    /// Two modification times that both lie at or after this moment count as the same ("now", twice).
    pub mtime_since: Option<SystemTime>,
    /// Compare no modification times at all.
    pub no_mtime: bool,
    /// Compare no holes.
    pub no_holes: bool,
    /// Compare no content of regular files (size and digest).
    pub no_content: bool,
}

impl Tree {
    /// One line for each difference from `self` to `other`; none where they are the same.
    pub fn diff(&self, other: &Tree, opts: &DiffOpts) -> Vec<String> {
        let mut lines = Vec::new();
        let paths: BTreeSet<&Vec<u8>> = self.entries.keys().chain(other.entries.keys()).collect();
        for path in paths {
            match (self.entries.get(path), other.entries.get(path)) {
                (Some(a), None) => lines.push(format!("{}: {} is gone", shown(path), a.kind.name())),
                (None, Some(b)) => lines.push(format!("{}: {} is new", shown(path), b.kind.name())),
                (Some(a), Some(b)) => {
                    for line in entry(a, b, opts) {
                        lines.push(format!("{}: {line}", shown(path)));
                    }
                }
                (None, None) => {}
            }
        }
        lines
    }
}

fn entry(a: &Entry, b: &Entry, opts: &DiffOpts) -> Vec<String> {
    if std::mem::discriminant(&a.kind) != std::mem::discriminant(&b.kind) {
        return vec![format!("{} -> {}", a.kind.name(), b.kind.name())];
    }
    let mut lines = Vec::new();
    match (&a.kind, &b.kind) {
        (Kind::File { size: sa, digest: da, data: ha }, Kind::File { size: sb, digest: db, data: hb }) => {
            if !opts.no_content && (sa, da) != (sb, db) {
                lines.push(format!("content: {sa} bytes {} -> {sb} bytes {}", hex(&da[..4]), hex(&db[..4])));
            }
            if !opts.no_holes && sa == sb && ha != hb {
                lines.push(format!("data segments: {ha:?} -> {hb:?}"));
            }
        }
        (Kind::Symlink(a), Kind::Symlink(b)) if a != b => {
            lines.push(format!("points to: {} -> {}", a.escape_ascii(), b.escape_ascii()));
        }
        (Kind::CharDevice(a), Kind::CharDevice(b)) | (Kind::BlockDevice(a), Kind::BlockDevice(b)) if a != b => {
            lines.push(format!("device: {a:#x} -> {b:#x}"));
        }
        _ => {}
    }
    let mut field = |name: &str, a: String, b: String| {
        if a != b {
            lines.push(format!("{name}: {a} -> {b}"));
        }
    };
    field("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode));
    field("owner", format!("{}:{}", a.uid, a.gid), format!("{}:{}", b.uid, b.gid));
    field("links", a.links.to_string(), b.links.to_string());
    field("same file as", shown(&a.link_group), shown(&b.link_group));
    field("unreadable", a.unreadable.to_string(), b.unreadable.to_string());
    if !opts.no_mtime && !both_since(a, b, opts.mtime_since) {
        field("mtime", format!("{}.{:09}", a.mtime.0, a.mtime.1), format!("{}.{:09}", b.mtime.0, b.mtime.1));
    }
    for key in a.xattrs.keys().chain(b.xattrs.keys()).collect::<BTreeSet<_>>() {
        let value = |e: &Entry| e.xattrs.get(key).map_or("none".to_owned(), |v| format!("\"{}\"", v.escape_ascii()));
        field(&format!("xattr {}", key.escape_ascii()), value(a), value(b));
    }
    lines
}

fn both_since(a: &Entry, b: &Entry, since: Option<SystemTime>) -> bool {
    let Some(since) = since.and_then(|t| t.duration_since(UNIX_EPOCH).ok()) else { return false };
    let since = (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos());
    a.mtime >= since && b.mtime >= since
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
