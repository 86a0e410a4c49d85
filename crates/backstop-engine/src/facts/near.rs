//! What stands near a place on the real disk and tells what it is: a database's marker in a directory
//! above it, a build file beside a build's output, the repository around it. Looks at names only,
//! remembers each directory, follows no link.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::classes::{Classes, Pattern};

/// At most so many neighbours are looked at for the file that a tool makes a directory again by.
const NEIGHBOURS: usize = 10_000;

/// Remembers what was looked at.
pub(super) struct Near<'a> {
    /// By directory: its classes for what stands beside it.
    again: RefCell<HashMap<Bytes, Vec<String>>>,
    classes: &'a Classes,
    /// By directory: the classes it is of for what it directly holds.
    held: RefCell<HashMap<Bytes, Vec<String>>>,
    /// By directory: the repository it lies in.
    repositories: RefCell<HashMap<Bytes, Option<Bytes>>>,
}

impl<'a> Near<'a> {
    pub fn new(classes: &'a Classes) -> Self {
        Self { again: RefCell::default(), classes, held: RefCell::default(), repositories: RefCell::default() }
    }

    /// The classes of `path` for what the directories above it hold, for what it holds itself where it
    /// is a directory, and for its neighbours.
    pub fn classes(&self, path: &Bytes, dir: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut here = if dir { path.clone() } else { path.parent() };
        loop {
            self.held(&here, &mut found);
            found.extend(self.made_again(&here));
            let above = here.parent();
            if above == here || here.is_empty() {
                return found;
            }
            here = above;
        }
    }

    /// Adds the classes of a directory for its own entries.
    fn held(&self, dir: &Bytes, found: &mut Vec<String>) {
        let mut held = self.held.borrow_mut();
        let known = held.entry(dir.clone()).or_insert_with(|| {
            let base = dir.as_path();
            let there = |name: &[u8]| fs::symlink_metadata(base.join(OsStr::from_bytes(name))).is_ok();
            self.classes.of_entries(there).map(str::to_owned).collect()
        });
        found.extend(known.iter().cloned());
    }

    /// The class of a directory that a tool makes again: by its name, and what stands beside it.
    pub fn made_again(&self, dir: &Bytes) -> Vec<String> {
        let named = self.classes.of_name(dir.name()).filter(|c| *c == "regenerable").map(str::to_owned);
        let mut found: Vec<String> = named.collect();
        let mut wanted = self.classes.beside(dir.name()).peekable();
        if wanted.peek().is_none() {
            return found;
        }
        // A build directory is above thousands of effects, and its neighbours are many.
        let mut again = self.again.borrow_mut();
        let known = again.entry(dir.clone()).or_insert_with(|| {
            let beside = |files: &[Pattern]| {
                let Ok(entries) = fs::read_dir(dir.parent().as_path()) else { return false };
                let names = entries.filter_map(Result::ok).map(|e| e.file_name());
                names.take(NEIGHBOURS).any(|n| files.iter().any(|f| f.matches(n.as_bytes())))
            };
            wanted.filter(|(files, _)| beside(files)).map(|(_, class)| class.to_owned()).collect()
        });
        found.extend(known.iter().cloned());
        found
    }

    /// The root of the git repository that `path` is, where it is a directory, or lies in: the nearest
    /// with a `.git`.
    pub fn repository(&self, path: &Bytes, dir: bool) -> Option<Bytes> {
        let dir = if dir { path.clone() } else { path.parent() };
        let has_git = |d: &&Path| fs::symlink_metadata(d.join(".git")).is_ok();
        let mut repositories = self.repositories.borrow_mut();
        let known =
            repositories.entry(dir.clone()).or_insert_with(|| dir.as_path().ancestors().find(has_git).map(Bytes::from));
        known.clone()
    }
}
