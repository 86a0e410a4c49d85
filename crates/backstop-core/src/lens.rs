//! Lenses: each takes one kind of file before and after, gives what the change means and says it in
//! words. They read what hostile programs wrote: bounded in time and memory, never trusting a length,
//! a count or a pointer. What a lens can't tell it says in `incomplete`; it never guesses a zero.

pub mod access;
pub mod agent;
mod lines;
pub mod sqlite;
pub mod terraform;
mod words;

use crate::bytes::Bytes;

/// Which lens reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LensKind {
    /// Who may log in, and what runs by itself.
    Access,
    /// Settings of coding agents.
    Agent,
    /// SQLite databases.
    Sqlite,
    /// Terraform and OpenTofu state.
    Terraform,
}

impl LensKind {
    /// The name in `Facts::incomplete` and `Told::lens`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Agent => "agent",
            Self::Sqlite => "sqlite",
            Self::Terraform => "terraform",
        }
    }
}

/// The lens that reads a file of this path (absolute, no link in it). SQLite databases may have any
/// name: those without one of the usual endings are known by [`sqlite::MAGIC`].
pub fn which(path: &Bytes) -> Option<LensKind> {
    if terraform::place(path).is_some() {
        Some(LensKind::Terraform)
    } else if access::place(path).is_some() {
        Some(LensKind::Access)
    } else if agent::place(path).is_some() {
        Some(LensKind::Agent)
    } else {
        let name = path.name();
        sqlite::is_database_name(sqlite::main_of(name).unwrap_or(name)).then_some(LensKind::Sqlite)
    }
}

/// Why a lens can't tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Incomplete {
    /// As a sentence fragment.
    pub why: String,
}

impl Incomplete {
    /// With its reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// What a lens saw in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen<F> {
    /// The counts, lower bounds where something is incomplete.
    pub facts: F,
    /// What could not be told; empty is complete.
    pub incomplete: Vec<String>,
    /// Sentence fragments, the weightiest first. Names from outside in them are spelled harmlessly.
    pub told: Vec<String>,
}

impl<F: Default> Seen<F> {
    /// Nothing seen, because it can't be told.
    pub fn untold(why: &Incomplete) -> Self {
        Self { facts: F::default(), incomplete: vec![why.why.clone()], told: Vec::new() }
    }
}

/// Random access to a file's bytes, without a position. The engine gives files, tests give slices.
pub trait ReadAt {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Fills `buf` with the bytes from `at` on; an error where they are not all there.
    fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<(), Incomplete>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<(), Incomplete> {
        let part = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..buf.len()));
        buf.copy_from_slice(part.ok_or_else(|| Incomplete::new("it ends too early"))?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<(), Incomplete> {
        self.as_slice().read_at(at, buf)
    }
}

/// How much work is left, shared by everything one look does. Used up is `Incomplete`, never a zero.
pub struct Budget<'a> {
    steps: u64,
    since: u64,
    late: &'a dyn Fn() -> bool,
}

impl<'a> Budget<'a> {
    /// How many steps go by between two looks at the clock.
    const BETWEEN: u64 = 256;

    /// `steps` units of work (a page, a kilobyte); `late` is asked now and then and ends it too.
    pub fn new(steps: u64, late: &'a dyn Fn() -> bool) -> Self {
        Self { steps, since: 0, late }
    }

    /// Takes some steps, or says that there are none left.
    pub fn take(&mut self, steps: u64) -> Result<(), Incomplete> {
        self.since += steps;
        if self.since >= Self::BETWEEN {
            self.since = 0;
            if (self.late)() {
                self.steps = 0;
                return Err(Incomplete::new("too big to read in time"));
            }
        }
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(Incomplete::new("too big to read within the limit"))
            }
        }
    }

    /// Steps left.
    pub fn left(&self) -> u64 {
        self.steps
    }

    /// A part of it for one task: at most `steps`; give it back with [`Budget::join`].
    pub fn split(&mut self, steps: u64) -> Budget<'a> {
        let part = steps.min(self.steps);
        self.steps -= part;
        Budget { steps: part, since: self.since, late: self.late }
    }

    /// Takes back what a part left.
    pub fn join(&mut self, part: Budget<'a>) {
        self.steps += part.steps;
        self.since = part.since;
    }
}
