//! Takes everything that goes away, directory by directory and file by file as the git lens passes by,
//! gives what would exist nowhere else, and the classes that names, markers and first bytes beneath a
//! deleted directory speak of. Keeps no list of files; changes nothing.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use backstop_core::bytes::Bytes;
use backstop_core::classes::{Classes, HEAD};
use backstop_core::effect::FileType;
use backstop_core::facts::{Evidence, Irreplaceable, Proven, long};

use super::git::{FileFate, Lost, Watch};

/// How many lost files have their first bytes read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    /// In the agent's own places: beyond it files are known by their names. No gap that is told, or each
    /// clean-up of a build would have one.
    pub own: u64,
    /// Elsewhere; beyond it the classes are incomplete.
    pub outside: u64,
}

impl Default for Heads {
    fn default() -> Self {
        Self { own: 512, outside: 50_000 }
    }
}

/// What went by.
#[derive(Default)]
pub(super) struct Sum {
    /// What would exist nowhere else.
    pub irreplaceable: Irreplaceable,
    /// Where that is, with its bytes: effects, not single files.
    pub places: Vec<(Bytes, u64)>,
    /// True where files elsewhere were not looked into.
    pub unread: bool,
    /// By effect: the classes of what is lost there beyond those of the effect, with their places.
    pub within: HashMap<Bytes, Evidence>,
}

/// A class, and the place for which a file is of it.
type Mark = (String, Bytes);

/// Looks at what goes by.
pub(super) struct Gone<'a> {
    classes: &'a Classes,
    heads: Heads,
    /// By class: the place that was noted last.
    last: HashMap<String, Bytes>,
    /// The classes of the effects that lose something, by place.
    losing: &'a HashMap<Bytes, Vec<String>>,
    /// Directories beneath the present effect that are of a class, or lie in one that is.
    marks: HashMap<Bytes, Vec<Mark>>,
    proven: &'a [Proven],
    /// Git's objects, the last seen: nothing there has a telling name or beginning.
    store: Option<Bytes>,
    sum: Sum,
    /// The present effect: its place and its classes.
    top: (Bytes, &'a [String]),
    workspace: Option<&'a Bytes>,
}

impl<'a> Gone<'a> {
    pub fn new(
        classes: &'a Classes,
        losing: &'a HashMap<Bytes, Vec<String>>,
        proven: &'a [Proven],
        workspace: Option<&'a Bytes>,
        heads: Heads,
    ) -> Self {
        Self {
            classes,
            heads,
            last: HashMap::new(),
            losing,
            marks: HashMap::new(),
            proven,
            store: None,
            sum: Sum::default(),
            top: (Bytes::default(), &[]),
            workspace,
        }
    }

    pub fn finish(self) -> Sum {
        self.sum
    }

    /// Goes on to the effect that `path` belongs to. What lies beneath one effect goes by at a stretch.
    fn go_to(&mut self, path: &Bytes) {
        if !self.top.0.is_empty() && path.is_beneath(self.top.0.as_slice()) {
            return;
        }
        let effect = path.as_path().ancestors().find_map(|a| self.losing.get_key_value(&Bytes::from(a)));
        self.top = effect.map_or_else(|| (path.clone(), &[][..]), |(top, tags)| (top.clone(), tags.as_slice()));
        self.marks.clear();
        self.last.clear();
    }

    fn tagged(&self, tag: &str) -> bool {
        self.top.1.iter().any(|t| t == tag)
    }

    fn mark(&mut self, dir: &Bytes, class: &str, place: &Bytes) {
        let marks = self.marks.entry(dir.clone()).or_default();
        if !marks.iter().any(|(c, _)| c == class) {
            marks.push((class.to_owned(), place.clone()));
        }
    }

    /// The classes of a file beyond those of its effect, each with the place that tells.
    fn told(&mut self, lost: &Lost, file: Option<&File>) -> Vec<Mark> {
        let own_name = lost.path != self.top.0;
        let mut marks: Vec<Mark> = match own_name {
            true => self.marks.get(&lost.path.parent()).cloned().unwrap_or_default(),
            false => Vec::new(),
        };
        if self.store.as_ref().is_some_and(|s| lost.path.is_beneath(s.as_slice())) {
            return marks;
        }
        let named = self.classes.of_name(lost.path.name()).filter(|_| own_name);
        marks.extend(named.map(|c| (c.to_owned(), lost.path.clone())));
        if let Some(head) = self.head(lost, file) {
            marks.extend(self.classes.of_content(&head).map(|c| (c.to_owned(), lost.path.clone())));
        }
        marks
    }

    /// The first bytes of a file, while as many may be read.
    fn head(&mut self, lost: &Lost, file: Option<&File>) -> Option<Vec<u8>> {
        let file = file.filter(|_| lost.size > 1)?;
        let outside = self.tagged("outside");
        let left = if outside { &mut self.heads.outside } else { &mut self.heads.own };
        if *left == 0 {
            self.sum.unread |= outside;
            return None;
        }
        *left -= 1;
        let mut head = vec![0; HEAD];
        // Unreadable content is told by its place and name; the git lens notes what can't be opened.
        let read = file.read_at(&mut head, 0).ok()?;
        head.truncate(read);
        Some(head)
    }

    /// True where a tool makes the file again: by its effect's classes, by its own, and only where git
    /// does not know better.
    fn made_again(&self, lost: &Lost, marks: &[Mark]) -> bool {
        let made = |class: &str| ["regenerable", "cache", "history"].contains(&class);
        let nobodys = matches!(lost.fate, FileFate::Ignored | FileFate::NotInRepository) || lost.fate.survives();
        nobodys && (self.top.1.iter().any(|t| made(t)) || marks.iter().any(|(class, _)| made(class)))
    }

    fn note(&mut self, marks: &[Mark], size: u64) {
        for (class, place) in marks {
            if self.tagged(class) {
                continue;
            }
            let within = self.sum.within.entry(self.top.0.clone()).or_default();
            // Files of one place come one after another.
            let same = self.last.get(class) == Some(place);
            match within.0.get_mut(class).filter(|_| same) {
                Some(places) => places.bytes += size,
                None => {
                    within.note(class, place, size);
                    self.last.insert(class.clone(), place.clone());
                }
            }
        }
    }
}

impl Watch for Gone<'_> {
    fn dir(&mut self, path: &Bytes, names: &[(Bytes, FileType)]) {
        self.go_to(path);
        let all: HashSet<&[u8]> = names.iter().map(|(name, _)| name.as_slice()).collect();
        // Two names alone would let anything hide beneath.
        let refs = [&b"refs"[..], b"packed-refs", b"commondir"].iter().any(|name| all.contains(name));
        if refs && all.contains(&b"HEAD"[..]) && all.contains(&b"objects"[..]) {
            self.store = Some(path.join(b"objects"));
        }
        if *path != self.top.0 {
            for (class, place) in self.marks.get(&path.parent()).cloned().unwrap_or_default() {
                self.mark(path, &class, &place);
            }
        }
        let classes = self.classes;
        for class in classes.of_entries(|name| all.contains(name)) {
            self.mark(path, class, path);
        }
        let workspaces = self.workspace == Some(path);
        if all.contains(&b".git"[..]) && self.tagged("outside") && !workspaces {
            self.mark(path, "other-repository", path);
        }
        for (name, _) in names.iter().filter(|(_, kind)| *kind == FileType::Dir) {
            let below = || path.join(name.as_slice());
            for class in classes.of_name(name.as_slice()) {
                self.mark(&below(), class, &below());
            }
            for (files, class) in classes.beside(name.as_slice()) {
                if all.iter().any(|n| files.iter().any(|f| f.matches(n))) {
                    self.mark(&below(), class, &below());
                }
            }
        }
    }

    fn file(&mut self, lost: &Lost, file: Option<&File>) {
        self.go_to(&lost.path);
        let marks = self.told(lost, file);
        if self.made_again(lost, &marks) {
            return;
        }
        self.note(&marks, lost.size);
        let backed = |p: &Proven| lost.changed.is_some_and(|changed| p.keeps(&lost.path, changed));
        // A scratch file is there to go; in a repository it may be somebody's work nevertheless.
        let scratch = lost.fate == FileFate::NotInRepository && self.tagged("scratch");
        if lost.fate.survives() || scratch || self.proven.iter().any(backed) {
            return;
        }
        let sum = &mut self.sum.irreplaceable;
        sum.files += long(lost.files);
        sum.bytes += long(lost.size);
        for class in self.top.1.iter().chain(marks.iter().map(|(class, _)| class)) {
            if !sum.classes.contains(class) {
                sum.classes.insert(class.clone());
            }
        }
        // Files beneath one effect come one after another.
        match self.sum.places.last_mut().filter(|(path, _)| *path == self.top.0) {
            Some((_, bytes)) => *bytes += lost.size,
            None => self.sum.places.push((self.top.0.clone(), lost.size)),
        }
    }
}
