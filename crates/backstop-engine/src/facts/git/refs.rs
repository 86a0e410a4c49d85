//! Takes a repository's directories on one side, gives what its branches, tags, heads and stash point
//! at. Reads loose and packed refs as plain text; follows a symbolic ref once.

use std::collections::BTreeMap;

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;

use super::eyes::Eyes;
use super::oid::Oid;
use super::trouble::Trouble;
use crate::engine::Side;

/// Longest `packed-refs` and reflog of the stash.
const TEXT: u64 = 64 << 20;
/// Directories beneath directories of refs.
const DEPTH: usize = 32;

/// An entry of the stash, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) oid: Oid,
    pub(super) message: Vec<u8>,
}

/// What points at objects.
#[derive(Debug, Default)]
pub(super) struct Refs {
    /// Heads of working trees that are not on a branch, by the directory they stand in.
    pub(super) detached: BTreeMap<Bytes, Oid>,
    /// By full name.
    pub(super) named: BTreeMap<Vec<u8>, Oid>,
    /// The stash.
    pub(super) stash: Vec<Entry>,
}

impl Refs {
    /// Everything that keeps commits reachable, the stash left out.
    pub(super) fn tips(&self) -> impl Iterator<Item = Oid> {
        let named = self.named.iter().filter(|(name, _)| *name != b"refs/stash").map(|(_, oid)| *oid);
        named.chain(self.detached.values().copied())
    }

    /// Reads all of a repository's refs.
    pub(super) fn read(eyes: &Eyes<'_>, common: &Bytes, side: Side) -> Result<Self, Trouble> {
        if eyes.list(&common.join(b"reftable"), side)?.is_some() {
            return Err(Trouble::Unsupported("refs kept as reftable"));
        }
        let mut refs = Self::default();
        let packed = common.join(b"packed-refs");
        for line in eyes.read(&packed, side, TEXT)?.unwrap_or_default().split(|&b| b == b'\n') {
            if line.is_empty() || matches!(line[0], b'#' | b'^') {
                continue;
            }
            let space = line.iter().position(|&b| b == b' ');
            let read = space.and_then(|at| Some((Oid::hex(&line[..at])?, line[at + 1..].to_vec())));
            let (oid, name) = read.ok_or_else(|| Trouble::damaged(&packed, "not a list of refs"))?;
            refs.named.insert(name, oid);
        }
        let mut symbolic = Vec::new();
        refs.loose(eyes, common, side, &mut symbolic)?;
        let mut heads = vec![common.clone()];
        let trees = common.join(b"worktrees");
        for (name, _) in eyes.list(&trees, side)?.unwrap_or_default() {
            let dir = trees.join(name.as_slice());
            // `refs/bisect` and `refs/worktree` of a linked working tree.
            let mut own = Self::default();
            own.loose(eyes, &dir, side, &mut symbolic)?;
            refs.named.extend(own.named.into_iter().map(|(n, oid)| ([name.as_slice(), b":", &n].concat(), oid)));
            heads.push(dir);
        }
        for dir in heads {
            let head = dir.join(b"HEAD");
            match eyes.read(&head, side, 4096)?.as_deref().map(value) {
                None | Some(Some(Value::Link(_))) => {}
                Some(Some(Value::At(oid))) => {
                    refs.detached.insert(dir, oid);
                }
                Some(None) => return Err(Trouble::damaged(&head, "not a head")),
            }
        }
        for (name, to) in symbolic {
            if let Some(oid) = refs.named.get(&to).copied() {
                refs.named.insert(name, oid);
            }
        }
        refs.stash = stash(eyes, common, side, refs.named.get(b"refs/stash".as_slice()))?;
        Ok(refs)
    }

    fn loose(
        &mut self,
        eyes: &Eyes<'_>,
        base: &Bytes,
        side: Side,
        symbolic: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), Trouble> {
        let mut todo = vec![(b"refs".to_vec(), 0)];
        while let Some((dir, depth)) = todo.pop() {
            for (name, kind) in eyes.list(&base.join(&dir), side)?.unwrap_or_default() {
                let full = [dir.as_slice(), b"/", name.as_slice()].concat();
                match kind {
                    FileType::Dir if depth < DEPTH => todo.push((full, depth + 1)),
                    FileType::File if !full.ends_with(b".lock") => {
                        if self.named.len() >= eyes.limits.refs || eyes.late() {
                            return Err(Trouble::Budget("too many refs"));
                        }
                        let path = base.join(&full);
                        let Some(text) = eyes.read(&path, side, 4096)? else { continue };
                        match value(&text) {
                            Some(Value::At(oid)) => {
                                self.named.insert(full, oid);
                            }
                            Some(Value::Link(to)) => symbolic.push((full, to)),
                            None => return Err(Trouble::damaged(&path, "not a ref")),
                        }
                    }
                    // Git reads nothing else here.
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The text of a ref.
enum Value {
    At(Oid),
    Link(Vec<u8>),
}

fn value(text: &[u8]) -> Option<Value> {
    let text = text.trim_ascii();
    match text.strip_prefix(b"ref:") {
        Some(to) => Some(Value::Link(to.trim_ascii().to_vec())),
        None => Oid::hex(text).map(Value::At),
    }
}

/// The entries of the stash: the lines of its reflog, or the ref alone.
fn stash(eyes: &Eyes<'_>, common: &Bytes, side: Side, tip: Option<&Oid>) -> Result<Vec<Entry>, Trouble> {
    // Without the ref there is no stash, whatever its log says.
    let Some(tip) = tip else { return Ok(Vec::new()) };
    let log = eyes.read(&common.join(b"logs/refs/stash"), side, TEXT)?.unwrap_or_default();
    let mut entries: Vec<Entry> = log
        .split(|&b| b == b'\n')
        .filter_map(|line| {
            let (head, message) = match line.iter().position(|&b| b == b'\t') {
                Some(at) => (&line[..at], &line[at + 1..]),
                None => (line, [].as_slice()),
            };
            let oid = head.split(|&b| b == b' ').nth(1).and_then(Oid::hex)?;
            Some(Entry { oid, message: message.to_vec() })
        })
        .collect();
    entries.reverse();
    if !entries.iter().any(|e| e.oid == *tip) {
        entries.insert(0, Entry { oid: *tip, message: Vec::new() });
    }
    Ok(entries)
}
