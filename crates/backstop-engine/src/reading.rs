//! The typed path beside the hit path: which words of the command name a place that leads elsewhere,
//! to where effects lie. Serves explanation only; what is lost is measured by the effects, and a
//! word that the reader missed makes them a surprise, never less of one.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::effect::{Crossing, CrossingKind, EffectSet, Kind, Mount};
use backstop_core::facts::{Reading, long};
use backstop_core::request::{Command, Request};
use backstop_core::shell::{self, How, Script, Simple};

/// The links and mounts between what the command names and what it hits.
pub(crate) fn crossings(request: &Request, script: &Script, home: Option<&Bytes>, set: &EffectSet) -> Vec<Crossing> {
    let hits: Vec<&Bytes> = set.effects.iter().filter(|e| e.kind != Kind::Create).map(|e| &e.path).collect();
    if hits.is_empty() {
        return Vec::new();
    }
    // By where they are and lead to; bounded by the words of one command line and the machine's mounts.
    let (mut found, mut told) = (Vec::new(), HashSet::new());
    // The longest way to name it is the most telling one.
    let mut typed: Vec<PathBuf> = typed_paths(request, script, home).into_iter().collect();
    typed.sort_by_key(|p| std::cmp::Reverse(p.as_os_str().len()));
    for typed in typed {
        for crossing in follow(&typed, set) {
            let key = (crossing.via.clone(), crossing.hit.clone());
            if told.contains(&key) {
                continue;
            }
            let hit = hits.iter().any(|h| h.is_beneath(crossing.hit.as_slice()));
            told.insert(key);
            if hit {
                found.push(crossing);
            }
        }
    }
    found
}

/// The real places that the command names, its current directory among them: links followed as far
/// as the path is there.
pub(crate) fn named(request: &Request, script: &Script, home: Option<&Bytes>) -> Vec<Bytes> {
    let mut all: Vec<Bytes> = typed_paths(request, script, home).iter().map(|p| real(p)).collect();
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

/// What the command says, by its text alone.
pub(crate) fn script(request: &Request) -> Script {
    match &request.command {
        Command::Argv(argv) => shell::read_argv(argv),
        Command::Line(line) => shell::read(line.as_slice()),
    }
}

/// The facts of the text.
pub(crate) fn facts(script: &Script) -> Reading {
    // A function of the script's own is no program.
    let programs = script.commands.iter().filter(|c| !c.own).filter_map(Simple::program_name);
    Reading {
        opaque: long(script.opaque.len() as u64),
        privilege: script.privilege_words().iter().map(|w| w.name().to_owned()).collect(),
        programs: programs.map(|p| p.quoted().to_string()).collect(),
    }
}

/// The places that the command names, made absolute.
fn typed_paths(request: &Request, script: &Script, home: Option<&Bytes>) -> BTreeSet<PathBuf> {
    let cwd = request.cwd.as_path();
    let mut paths: BTreeSet<PathBuf> = script
        .paths()
        .iter()
        .filter_map(|typed| match typed.how {
            How::Plain => Some(cwd.join(typed.path.as_path())),
            How::Home => home.map(|home| home.as_path().join(typed.path.as_path())),
        })
        .collect();
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
