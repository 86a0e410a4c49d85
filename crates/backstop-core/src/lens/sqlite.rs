//! Takes an SQLite database before and after (file, write-ahead log, rollback journal), gives which
//! tables and rows are gone. An own reader of <https://sqlite.org/fileformat2.html>, for counting
//! only: rows are cells of leaf pages, contents are never looked at. It never runs SQL, never writes,
//! and never asks SQLite itself, which would take locks and recover journals.

mod compare;
mod pages;
mod schema;
#[cfg(test)]
mod tests;
mod tree;
mod wal;

use super::{Budget, ReadAt, Seen};
use crate::facts::Sqlite;

/// The first sixteen bytes of every SQLite database.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Names that stand beside a database and belong to it: write-ahead log, its index, rollback journal.
pub const BESIDE: [&[u8]; 3] = [b"-wal", b"-shm", b"-journal"];

/// The files of one database on one side.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The database itself.
    pub main: &'a dyn ReadAt,
    /// `NAME-wal`, where there is one.
    pub wal: Option<&'a dyn ReadAt>,
    /// `NAME-journal`, where there is one.
    pub journal: Option<&'a dyn ReadAt>,
}

/// What the change does to the database; `after` is none where the file goes away. A file that was no
/// database before has nothing to lose.
pub fn compare(before: &Files<'_>, after: Option<&Files<'_>>, budget: &mut Budget<'_>) -> Seen<Sqlite> {
    compare::compare(before, after, budget)
}

/// The database that `name` belongs to, where it is the name of something beside one.
pub fn main_of(name: &[u8]) -> Option<&[u8]> {
    BESIDE.iter().find_map(|end| name.strip_suffix(*end)).filter(|main| !main.is_empty() && !main.ends_with(b"/"))
}

/// True for the endings that databases have by custom.
pub fn is_database_name(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|&b| b == b'.') else { return false };
    let end = name[dot + 1..].to_ascii_lowercase();
    matches!(end.as_slice(), b"db" | b"db3" | b"sqlite" | b"sqlite3" | b"sqlitedb" | b"s3db" | b"gpkg" | b"mbtiles")
}
