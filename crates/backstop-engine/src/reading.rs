//! The typed path beside the hit path: which words of the command name a place that leads elsewhere,
//! to where effects lie. Serves explanation only; judgement goes by the effects. Words are found by a
//! simple split, since a missed one costs a line of explanation and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Crossing, CrossingKind, EffectSet, Kind, Mount};
use backstop_core::request::{Command, Request};

/// More crossings than this explain nothing; the effects list has every place.
const MOST: usize = 16;

/// The links and mounts between what the command names and what it hits.
pub(crate) fn crossings(request: &Request, set: &EffectSet) -> Vec<Crossing> {
    let hits: Vec<&Bytes> = set.effects.iter().filter(|e| e.kind != Kind::Create).map(|e| &e.path).collect();
    if hits.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    // The longest way to name it is the most telling one.
    let mut typed: Vec<PathBuf> = typed_paths(request).into_iter().collect();
    typed.sort_by_key(|p| std::cmp::Reverse(p.as_os_str().len()));
    for typed in typed {
        for crossing in follow(&typed, set) {
            let hit = hits.iter().any(|h| h.is_beneath(crossing.hit.as_slice()));
            let told = found.iter().any(|f: &Crossing| f.via == crossing.via && f.hit == crossing.hit);
            if hit && !told && found.len() < MOST {
                found.push(crossing);
            }
        }
    }
    found
}

/// The real places that the command names, its current directory among them: links followed as far
/// as the path is there.
pub(crate) fn named(request: &Request) -> Vec<Bytes> {
    let mut all: Vec<Bytes> = typed_paths(request).iter().map(|p| real(p)).collect();
    all.sort();
    all.dedup();
    all
}

fn real(path: &Path) -> Bytes {
    let there = path.ancestors().find_map(|a| Some((a, fs::canonicalize(a).ok()?)));
    let Some((ancestor, real)) = there else { return Bytes::from(path) };
    let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
    Bytes::from(real.join(rest).as_path())
}

/// The words of the command that may be paths, made absolute.
fn typed_paths(request: &Request) -> BTreeSet<PathBuf> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    match &request.command {
        Command::Argv(argv) => words.extend(argv.iter().skip(1).map(|a| a.as_slice().to_vec())),
        Command::Line(_) => {}
    }
    // The words of a line, and of an inline script of an interpreter.
    let line = request.command.text();
    let ends = |b: &u8| b.is_ascii_whitespace() || b";|&<>()'\"`,=[]{}".contains(b);
    words.extend(line.as_slice().split(ends).map(<[u8]>::to_vec));
    let cwd = request.cwd.as_path();
    let mut paths = BTreeSet::new();
    for word in words {
        let fixed = word.iter().position(|b| b"*?[$".contains(b)).map_or(&word[..], |at| {
            // Up to the last slash before a wildcard: the directory that is certainly meant.
            let cut = word[..at].iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
            &word[..cut]
        });
        if fixed.is_empty() || fixed.starts_with(b"-") || fixed.len() > 4_096 {
            continue;
        }
        paths.insert(cwd.join(Bytes::from(fixed).as_path()));
    }
    // What is not typed is where the command stands.
    paths.insert(cwd.to_owned());
    paths
}

/// The links on the way of a path, and the mount its end lies on, each with where it really leads.
fn follow(typed: &Path, set: &EffectSet) -> Vec<Crossing> {
    let mut crossings = Vec::new();
    let mut here = PathBuf::from("/");
    for component in typed.components() {
        match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
            Component::ParentDir => {
                here.pop();
                continue;
            }
            Component::Normal(name) => here.push(name),
        }
        let Ok(meta) = fs::symlink_metadata(&here) else { break };
        if meta.file_type().is_symlink() {
            let Ok(real) = fs::canonicalize(&here) else { break };
            crossings.push(Crossing {
                hit: Bytes::from(real.as_path()),
                how: CrossingKind::Link,
                typed: Bytes::from(typed),
                via: Bytes::from(here.as_path()),
            });
            here = real;
        }
    }
    // A mount strictly beneath the named directory: what lies there is another place.
    let end = Bytes::from(here.as_path());
    for mount in &set.mounts {
        if mount.point != end && mount.point.is_beneath(end.as_slice()) && end.as_slice() != b"/" {
            let other = bound(mount, &set.mounts);
            for hit in other.into_iter().chain([mount.point.clone()]) {
                let via = mount.point.clone();
                crossings.push(Crossing { hit, how: CrossingKind::Mount, typed: Bytes::from(typed), via });
            }
        }
    }
    crossings
}

/// The place that a bind mount shows, by another mount of the same file system; that is where its
/// changes are counted.
fn bound(mount: &Mount, all: &[Mount]) -> Option<Bytes> {
    let outer = all.iter().find(|o| {
        o.point != mount.point
            && o.source == mount.source
            && o.fs == mount.fs
            && mount.root.is_beneath(o.root.as_slice())
    })?;
    let rest =
        &mount.root.as_slice()[outer.root.as_slice().strip_suffix(b"/").unwrap_or(outer.root.as_slice()).len()..];
    Some(outer.point.join(rest.strip_prefix(b"/").unwrap_or(rest)))
}
