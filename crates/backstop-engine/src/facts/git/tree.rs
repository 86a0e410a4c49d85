//! Takes two trees, gives the files that are new or other in the second. Bounded in entries and depth.

use super::oid::Oid;
use super::pack::Sort;
use super::trouble::Trouble;
use super::walk::History;

/// Entries looked at.
const ENTRIES: usize = 20_000;
/// Longest tree.
const TREE: u64 = 8 << 20;
/// Directories beneath directories.
const DEPTH: usize = 128;

/// A file of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) oid: Oid,
    pub(super) path: Vec<u8>,
}

struct Item {
    mode: u32,
    name: Vec<u8>,
    oid: Oid,
}

/// The regular files of `new` that `old` has not, or has with other content.
pub(super) fn added(history: &mut History<'_>, old: Option<Oid>, new: Oid) -> Result<Vec<Leaf>, Trouble> {
    let mut found = Vec::new();
    let mut seen = 0;
    let mut todo = vec![(old, new, Vec::new(), 0)];
    while let Some((old, new, at, depth)) = todo.pop() {
        let before = match old {
            Some(oid) => read(history, &oid)?,
            None => Vec::new(),
        };
        for item in read(history, &new)? {
            seen += 1;
            if seen > ENTRIES || depth > DEPTH {
                return Err(Trouble::Budget("too big a tree"));
            }
            let same = before.iter().find(|b| b.name == item.name);
            if same.is_some_and(|b| b.oid == item.oid) {
                continue;
            }
            let path = [at.as_slice(), &item.name].concat();
            match item.mode & 0o170_000 {
                0o040_000 => {
                    let old = same.filter(|b| b.mode & 0o170_000 == 0o040_000).map(|b| b.oid);
                    todo.push((old, item.oid, [path.as_slice(), b"/"].concat(), depth + 1));
                }
                0o100_000 => found.push(Leaf { oid: item.oid, path }),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn read(history: &mut History<'_>, oid: &Oid) -> Result<Vec<Item>, Trouble> {
    let (sort, bytes) = history.object(oid, TREE)?;
    let bad = || Trouble::Unsupported("a damaged tree");
    if sort != Sort::Tree {
        return Err(bad());
    }
    let (mut rest, hash) = (bytes.as_slice(), oid.as_slice().len());
    let mut items = Vec::new();
    while !rest.is_empty() {
        let space = rest.iter().take(8).position(|&b| b == b' ').ok_or_else(bad)?;
        let end = rest.iter().position(|&b| b == 0).filter(|end| *end > space).ok_or_else(bad)?;
        let mode = std::str::from_utf8(&rest[..space]).ok().and_then(|m| u32::from_str_radix(m, 8).ok());
        let oid = rest.get(end + 1..end + 1 + hash).and_then(Oid::raw).ok_or_else(bad)?;
        items.push(Item { mode: mode.ok_or_else(bad)?, name: rest[space + 1..end].to_vec(), oid });
        rest = &rest[end + 1 + hash..];
    }
    Ok(items)
}
