//! Both sides of a rehearsal as a lens reads them: the machine as it is, and as it would be.

use std::fs::File;
use std::io;

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;

use crate::engine::Side;

/// Reads the machine before and after a rehearsal. Paths are real places (absolute, no link in
/// them); no link is followed at any component.
pub trait Sides {
    /// The regular file at `path` on that side, open for reading; none where there is none.
    fn open(&self, path: &Bytes, side: Side) -> io::Result<Option<File>>;

    /// The names in the directory `path` on that side, in no order; none where there is none.
    fn list(&self, path: &Bytes, side: Side) -> io::Result<Option<Vec<(Bytes, FileType)>>>;
}
