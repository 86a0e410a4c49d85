//! Takes both sides and the limits, gives small bounded reads and one place to note what could not
//! be read. Never writes, never follows a link, never goes on past its time.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;

use super::Limits;
use super::trouble::Trouble;
use crate::engine::Side;
use crate::facts::Sides;
use crate::facts::spent::Spent;

/// Names with what they are.
pub(super) type Names = Vec<(Bytes, FileType)>;

/// What is read through, and what it has cost.
pub(super) struct Eyes<'a> {
    hashed: Cell<u64>,
    /// What one lens run may take.
    pub(super) limits: &'a Limits,
    sides: &'a dyn Sides,
    spent: Spent,
    troubles: RefCell<Vec<String>>,
}

impl<'a> Eyes<'a> {
    pub(super) fn new(sides: &'a dyn Sides, limits: &'a Limits) -> Self {
        Self { hashed: Cell::new(0), limits, sides, spent: Spent::start(), troubles: RefCell::default() }
    }

    /// Notes that something could not be measured.
    pub(super) fn note(&self, why: impl ToString) {
        let mut troubles = self.troubles.borrow_mut();
        let why = why.to_string();
        // The first few say enough; that there are some is what counts.
        if troubles.len() < 4 && !troubles.contains(&why) {
            troubles.push(why);
        }
    }

    /// Everything that was noted.
    pub(super) fn troubles(&self) -> Option<String> {
        let troubles = self.troubles.borrow();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// How long the lens has computed.
    pub(super) fn computed(&self) -> Duration {
        self.spent.computed()
    }

    /// True when the lens has taken all the time it may.
    pub(super) fn late(&self) -> bool {
        self.spent.late(self.limits.time)
    }

    /// Takes `size` bytes from what may be hashed; false when there is not so much left.
    pub(super) fn may_hash(&self, size: u64) -> bool {
        let all = self.hashed.get().saturating_add(size);
        let may = all <= self.limits.hashed_bytes && !self.late();
        if may {
            self.hashed.set(all);
        }
        may
    }

    /// The regular file at `path`, none where there is none.
    pub(super) fn open(&self, path: &Bytes, side: Side) -> Result<Option<File>, Trouble> {
        absent(self.sides.open(path, side)).map_err(|e| Trouble::read(path, e))
    }

    /// The names in a directory, none where there is none.
    pub(super) fn list(&self, path: &Bytes, side: Side) -> Result<Option<Names>, Trouble> {
        absent(self.sides.list(path, side)).map_err(|e| Trouble::read(path, e))
    }

    /// True where there is a directory.
    pub(super) fn is_dir(&self, path: &Bytes, side: Side) -> bool {
        match self.list(path, side) {
            Ok(names) => names.is_some(),
            Err(e) => {
                self.note(e);
                false
            }
        }
    }

    /// All bytes of a file that must not be longer than `cap`.
    pub(super) fn read(&self, path: &Bytes, side: Side, cap: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(file) = self.open(path, side)? else { return Ok(None) };
        let mut all = Vec::new();
        file.take(cap + 1).read_to_end(&mut all).map_err(|e| Trouble::read(path, e))?;
        if all.len() as u64 > cap {
            return Err(Trouble::Budget("a file of git's own is too long"));
        }
        Ok(Some(all))
    }
}

/// "Too many links", which is what a path without links says of one that is there.
const ELOOP: i32 = 40;

/// A name that is not there, or is something else, is no trouble.
fn absent<T>(found: io::Result<Option<T>>) -> io::Result<Option<T>> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    match found {
        Err(e) if matches!(e.kind(), NotFound | NotADirectory | IsADirectory) => Ok(None),
        // A link stands in the way, so nothing lies at this real place.
        Err(e) if e.raw_os_error() == Some(ELOOP) => Ok(None),
        other => other,
    }
}

/// `path` taken from `base`, with `.` and `..` resolved in the text. Git writes such paths itself;
/// where a link stands in them nothing is found, and that is noted by who asks.
pub(super) fn resolve(base: &Bytes, path: &[u8]) -> Bytes {
    let joined = if path.starts_with(b"/") { Bytes::from(path) } else { base.join(path) };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in joined.as_slice().split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let mut all = b"/".to_vec();
    all.extend_from_slice(&parts.join(&b'/'));
    Bytes::new(all)
}
