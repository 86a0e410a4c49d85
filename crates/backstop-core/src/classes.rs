//! Kinds of places and contents: which class a path, a name, a directory's entry or a file's first
//! bytes speak of. Made from a commented TOML file that is compiled in, and from files of the machine
//! that add to it. Reads nothing itself.

mod file;
mod pattern;

use crate::bytes::Bytes;

use file::Entry;
pub(crate) use file::Own;
pub use file::{ClassFileError, Layer};
pub use pattern::Pattern;

const DEFAULT: &str = include_str!("classes/default.toml");

/// How many bytes of a file [`Classes::of_content`] looks at.
pub const HEAD: usize = 64;

/// Every class, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    classes: Vec<Class>,
    homes: Vec<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Class {
    name: String,
    why: String,
    own: Option<Own>,
    protected: bool,
    places: Vec<Bytes>,
    home: Vec<Bytes>,
    names: Vec<Pattern>,
    holds: Vec<Bytes>,
    holds_all: Vec<Vec<Bytes>>,
    magic: Vec<(usize, Vec<u8>)>,
    beside: Vec<(Vec<Bytes>, Vec<Pattern>)>,
}

impl Classes {
    /// The compiled-in classes, for these home directories.
    pub fn new(homes: &[Bytes]) -> Self {
        let mut all = Self { classes: Vec::new(), homes: homes.to_vec() };
        all.add(DEFAULT, Layer::BuiltIn).expect("a test reads the compiled-in file");
        all
    }

    /// Adds what a file of the machine says; nothing of it is taken where one line is wrong, or where
    /// a layer below the system's would free a place.
    pub fn add(&mut self, text: &str, layer: Layer) -> Result<(), ClassFileError> {
        for (name, entry) in file::read(text, layer, |name| self.find(name).is_some_and(|c| c.own.is_some()))? {
            self.merge(name, entry, layer);
        }
        Ok(())
    }

    fn merge(&mut self, name: String, entry: Entry, layer: Layer) {
        let at = self.classes.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.classes.push(Class {
                name,
                why: String::new(),
                own: None,
                protected: false,
                places: Vec::new(),
                home: Vec::new(),
                names: Vec::new(),
                holds: Vec::new(),
                holds_all: Vec::new(),
                magic: Vec::new(),
                beside: Vec::new(),
            });
            self.classes.len() - 1
        });
        let class = &mut self.classes[at];
        // It is what an approver reads: a file that an agent may write adds words, it replaces none.
        if let Some(why) = entry.why.filter(|_| layer != Layer::Below || class.why.is_empty()) {
            class.why = why;
        }
        class.own = entry.own.or(class.own);
        class.protected |= entry.protected;
        class.places.extend(entry.system.into_iter().map(Bytes::new));
        class.home.extend(entry.home.into_iter().map(Bytes::new));
        class.names.extend(entry.names.iter().map(|n| Pattern::new(n)));
        class.holds.extend(entry.holds.into_iter().map(Bytes::new));
        class.holds_all.extend(entry.holds_all.into_iter().map(|all| all.into_iter().map(Bytes::new).collect()));
        class.magic.extend(entry.magic);
        for (dirs, files) in entry.beside {
            let dirs = dirs.into_iter().map(Bytes::new).collect();
            class.beside.push((dirs, files.iter().map(|f| Pattern::new(f)).collect()));
        }
    }

    fn find(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|c| c.name == name)
    }

    /// Why a class matters, as a sentence fragment; empty for one that no file describes.
    pub fn why(&self, name: &str) -> &str {
        self.find(name).map_or("", |c| &c.why)
    }

    /// True where losing or changing data of the class needs more than a yes.
    pub fn protected(&self, name: &str) -> bool {
        self.find(name).is_some_and(|c| c.protected)
    }

    /// The classes of a place by where it lies, `home-config` among them.
    pub fn of_place<'a>(&'a self, path: &'a Bytes) -> impl Iterator<Item = &'a str> {
        let listed = self.classes.iter().filter(|c| self.lies_in(c, path)).map(|c| c.name.as_str());
        let dotted = self.homes.iter().any(|h| dot_below(path, h));
        let own = self.classes.iter().any(|c| c.own.is_some() && self.lies_in(c, path));
        listed.chain((dotted && !own).then_some("home-config"))
    }

    fn lies_in(&self, class: &Class, path: &Bytes) -> bool {
        class.places.iter().any(|p| path.is_beneath(p.as_slice()))
            || (!class.home.is_empty()
                && self.homes.iter().any(|home| below(path, home).is_some_and(|rest| begins(rest, &class.home))))
    }

    /// The class whose places the agent may change: `all` of them, or `files` that may be written.
    pub(crate) fn own(&self, path: &Bytes, home: &Bytes) -> Option<(&str, Own)> {
        let rest = below(path, home)?;
        self.classes.iter().find_map(|c| {
            let listed = match c.own? {
                Own::All => begins(rest, &c.home),
                Own::Files => c.home.iter().any(|p| p.as_slice() == rest),
            };
            listed.then_some((c.name.as_str(), c.own?))
        })
    }

    /// The places below `home` in which an agent may change everything.
    pub(crate) fn own_below<'a>(&'a self, home: &'a Bytes) -> impl Iterator<Item = Bytes> {
        let free = self.classes.iter().filter(|c| c.own == Some(Own::All));
        free.flat_map(|c| &c.home).map(|place| home.join(place.as_slice()))
    }

    /// The places of a class below a home, relative to it.
    pub(crate) fn home_places<'a>(&'a self, class: &str) -> impl Iterator<Item = &'a [u8]> {
        self.find(class).into_iter().flat_map(|c| &c.home).map(Bytes::as_slice)
    }

    /// True where the class says that places are an agent's own.
    pub(crate) fn frees(&self, name: &str) -> bool {
        self.find(name).is_some_and(|c| c.own.is_some())
    }

    /// The protected classes that have a place beneath the directory `dir`.
    pub(crate) fn beneath<'a>(&'a self, dir: &'a Bytes) -> impl Iterator<Item = &'a str> {
        let over = move |place: &Bytes| place.is_beneath(dir.as_slice());
        let hit = move |c: &&Class| {
            let homes = || self.homes.iter().flat_map(|h| c.home.iter().map(|p| h.join(p.as_slice())));
            c.protected && (c.places.iter().any(over) || homes().any(|p| over(&p)))
        };
        self.classes.iter().filter(hit).map(|c| c.name.as_str())
    }

    /// The classes that a name (of a file or directory, at any place) speaks of.
    pub fn of_name<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a str> {
        self.classes.iter().filter(move |c| c.names.iter().any(|p| p.matches(name))).map(|c| c.name.as_str())
    }

    /// The classes of a directory for what it directly holds; `holds` tells whether an entry of a name is
    /// in it.
    pub fn of_entries(&self, holds: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &str> {
        let is = move |c: &&Class| {
            let holds = |name: &Bytes| holds(name.as_slice());
            c.holds.iter().any(holds) || c.holds_all.iter().any(|all| all.iter().all(holds))
        };
        self.classes.iter().filter(is).map(|c| c.name.as_str())
    }

    /// The classes that the first [`HEAD`] bytes of a file speak of.
    pub fn of_content<'a>(&'a self, head: &'a [u8]) -> impl Iterator<Item = &'a str> {
        let begins = |(at, text): &(usize, Vec<u8>)| head.get(*at..).is_some_and(|h| h.starts_with(text));
        self.classes.iter().filter(move |c| c.magic.iter().any(begins)).map(|c| c.name.as_str())
    }

    /// The files of which one has to stand beside a directory of this name, that a tool makes it again;
    /// with the class. The caller looks whether one is there.
    pub fn beside<'a>(&'a self, dir: &'a [u8]) -> impl Iterator<Item = (&'a [Pattern], &'a str)> {
        self.classes.iter().flat_map(move |c| {
            let dirs = c.beside.iter().filter(move |(dirs, _)| dirs.iter().any(|d| d.as_slice() == dir));
            dirs.map(|(_, files)| (files.as_slice(), c.name.as_str()))
        })
    }
}

/// The rest of `path` below `dir`; none where it is not strictly beneath it.
fn below<'a>(path: &'a Bytes, dir: &Bytes) -> Option<&'a [u8]> {
    (path != dir && path.is_beneath(dir.as_slice())).then(|| {
        let rest = &path.as_slice()[dir.as_slice().len()..];
        rest.strip_prefix(b"/").unwrap_or(rest)
    })
}

fn begins(rest: &[u8], places: &[Bytes]) -> bool {
    places.iter().any(|p| {
        let p = p.as_slice();
        rest.strip_prefix(p).is_some_and(|more| more.is_empty() || more[0] == b'/')
    })
}

fn dot_below(path: &Bytes, home: &Bytes) -> bool {
    below(path, home).is_some_and(|rest| rest.starts_with(b"."))
}

#[cfg(test)]
mod tests;
