//! What stands near a place on the real disk and tells what it is: a database's marker in a directory
//! above it, a build file beside a build's output, the repository around it. Looks at names only,
//! remembers each directory, follows no link.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::effect::{Effect, FileType};

/// Remembers what was looked at.
pub(super) struct Near<'a> {
    classes: &'a Classes,
    /// By directory: the classes it is of for what it directly holds.
    held: HashMap<Bytes, Vec<String>>,
    /// By directory: the repository it lies in.
    repositories: HashMap<Bytes, Option<Bytes>>,
}

impl<'a> Near<'a> {
    pub fn new(classes: &'a Classes) -> Self {
        Self { classes, held: HashMap::new(), repositories: HashMap::new() }
    }

    /// The classes of `path` for what the directories above it hold, for what it holds itself where it
    /// is a directory, and for its neighbours.
    pub fn classes(&mut self, path: &Bytes, effect: &Effect) -> Vec<String> {
        let dir = effect.before.as_ref().is_some_and(|n| n.file_type == FileType::Dir);
        let mut found = Vec::new();
        let mut here = if dir { path.clone() } else { path.parent() };
        loop {
            found.extend(self.held(&here).iter().cloned());
            found.extend(self.made_again(&here));
            let above = here.parent();
            if above == here || here.is_empty() {
                return found;
            }
            here = above;
        }
    }

    /// The classes of a directory for its own entries.
    fn held(&mut self, dir: &Bytes) -> &[String] {
        if !self.held.contains_key(dir) {
            let base = dir.as_path();
            let mut found: Vec<String> = Vec::new();
            for (name, class) in self.classes.entries() {
                let there = fs::symlink_metadata(base.join(OsStr::from_bytes(name.as_slice()))).is_ok();
                if there && !found.iter().any(|c| c == class) {
                    found.push(class.to_owned());
                }
            }
            self.held.insert(dir.clone(), found);
        }
        &self.held[dir]
    }

    /// The class of a directory that a tool makes again: by its name, and what stands beside it.
    pub fn made_again(&self, dir: &Bytes) -> Vec<String> {
        let named = self.classes.of_name(dir.name()).filter(|c| *c == "regenerable").map(str::to_owned);
        let mut found: Vec<String> = named.collect();
        for (files, class) in self.classes.beside(dir.name()) {
            let Ok(entries) = fs::read_dir(dir.parent().as_path()) else { continue };
            let names = entries.filter_map(Result::ok).map(|e| e.file_name());
            if names.take(10_000).any(|n| files.iter().any(|f| f.matches(n.as_bytes()))) {
                found.push(class.to_owned());
            }
        }
        found
    }

    /// The root of the git repository that `path` lies in: the nearest directory with a `.git`.
    pub fn repository(&mut self, path: &Bytes) -> Option<Bytes> {
        let dir = path.parent();
        if let Some(known) = self.repositories.get(&dir) {
            return known.clone();
        }
        let has_git = |d: &&Path| fs::symlink_metadata(d.join(".git")).is_ok();
        let found = dir.as_path().ancestors().find(has_git).map(Bytes::from);
        self.repositories.insert(dir, found.clone());
        found
    }
}
