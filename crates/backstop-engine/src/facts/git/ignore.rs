//! Takes the ignore files of a working tree before the run, says which paths git ignores. Reads
//! `.gitignore` of every directory and `info/exclude`; never a file that a configuration names.

use std::collections::HashMap;
use std::rc::Rc;

use backstop_core::bytes::Bytes;

use super::eyes::Eyes;
use super::trouble::Trouble;
use super::wild;
use crate::engine::Side;

/// Longest ignore file.
const FILE: u64 = 1 << 20;
/// Patterns of one file.
const PATTERNS: usize = 10_000;

struct Pattern {
    /// Has a slash: matched against the path from its file's directory, else against the name alone.
    anchored: bool,
    dirs_only: bool,
    not: bool,
    text: Vec<u8>,
}

/// The rules of one working tree.
pub(super) struct Ignore {
    by_dir: HashMap<Vec<u8>, Rc<Vec<Pattern>>>,
    dirs: HashMap<Vec<u8>, bool>,
    exclude: Rc<Vec<Pattern>>,
    root: Bytes,
}

impl Ignore {
    /// The rules of the tree at `root`, whose repository's common directory is `common`.
    pub(super) fn new(eyes: &Eyes<'_>, root: &Bytes, common: &Bytes) -> Self {
        let exclude = Rc::new(load(eyes, &common.join(b"info/exclude")));
        Self { by_dir: HashMap::new(), dirs: HashMap::new(), exclude, root: root.clone() }
    }

    /// True when git ignores the file or directory at `path` (from the root, no slash at its ends).
    pub(super) fn ignores(&mut self, eyes: &Eyes<'_>, path: &[u8], dir: bool) -> bool {
        if path.is_empty() {
            return false;
        }
        if dir && let Some(known) = self.dirs.get(path) {
            return *known;
        }
        // What lies in an ignored directory is ignored, whatever the rules say of it.
        let parent = path.iter().rposition(|&b| b == b'/').map_or([].as_slice(), |at| &path[..at]);
        let ignored = self.ignores(eyes, parent, true) || self.says(eyes, path, dir);
        if dir {
            if self.dirs.len() > 1 << 16 {
                self.dirs.clear();
                self.by_dir.clear();
            }
            self.dirs.insert(path.to_vec(), ignored);
        }
        ignored
    }

    /// What the last rule that matches says, the nearest file's first.
    fn says(&mut self, eyes: &Eyes<'_>, path: &[u8], dir: bool) -> bool {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let mut end = path.iter().rposition(|&b| b == b'/');
        loop {
            let (base, below) = match end {
                Some(at) => (&path[..at], &path[at + 1..]),
                None => ([].as_slice(), path),
            };
            let patterns = match self.by_dir.get(base) {
                Some(p) => Rc::clone(p),
                None => {
                    let file = self.root.join(base).join(b".gitignore");
                    let loaded = Rc::new(load(eyes, &file));
                    self.by_dir.insert(base.to_vec(), Rc::clone(&loaded));
                    loaded
                }
            };
            if let Some(said) = last(&patterns, below, name, dir) {
                return said;
            }
            match end {
                Some(at) => end = path[..at].iter().rposition(|&b| b == b'/'),
                None => break,
            }
        }
        last(&Rc::clone(&self.exclude), path, name, dir).unwrap_or(false)
    }
}

fn last(patterns: &[Pattern], below: &[u8], name: &[u8], dir: bool) -> Option<bool> {
    let hit = patterns
        .iter()
        .rev()
        .filter(|p| dir || !p.dirs_only)
        .find(|p| if p.anchored { wild::matches(&p.text, below) } else { wild::matches(&p.text, name) });
    hit.map(|p| !p.not)
}

fn load(eyes: &Eyes<'_>, path: &Bytes) -> Vec<Pattern> {
    match eyes.read(path, Side::Before, FILE) {
        Ok(text) => {
            let text = text.unwrap_or_default();
            let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
            let patterns: Vec<_> = text.split(|&b| b == b'\n').filter_map(parse).take(PATTERNS + 1).collect();
            if patterns.len() > PATTERNS {
                eyes.note(Trouble::Budget("too many ignore rules"));
            }
            patterns
        }
        Err(e) => {
            eyes.note(e);
            Vec::new()
        }
    }
}

fn parse(line: &[u8]) -> Option<Pattern> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line[0] == b'#' {
        return None;
    }
    let mut text = line.to_vec();
    // Blanks at the end don't count, unless the first of them is escaped.
    while text.last() == Some(&b' ') && text.iter().rev().nth(1) != Some(&b'\\') {
        text.pop();
    }
    let not = text.first() == Some(&b'!');
    if not {
        text.remove(0);
    }
    let dirs_only = text.last() == Some(&b'/');
    if dirs_only {
        text.pop();
    }
    let anchored = text.contains(&b'/');
    if text.first() == Some(&b'/') {
        text.remove(0);
    }
    (!text.is_empty()).then_some(Pattern { anchored, dirs_only, not, text })
}
