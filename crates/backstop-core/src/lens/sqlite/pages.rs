//! Takes the files of a database, gives its pages as a reader of the database would see them: the
//! last committed version of each in the write-ahead log, else the one in the file.

use super::wal::{self, Log};
use super::{Files, MAGIC};
use crate::lens::{Budget, Incomplete, ReadAt};

/// The first bytes of a rollback journal that is in use.
const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// A database whose pages can be read.
pub(super) struct Pages<'a> {
    main: &'a dyn ReadAt,
    log: Option<(&'a dyn ReadAt, Log)>,
    /// Bytes in a page, 512 to 65,536.
    pub(super) size: usize,
    /// Bytes of a page that b-trees use; the rest is reserved by extensions.
    pub(super) usable: usize,
    /// Pages in the database.
    pub(super) count: u32,
    /// How text is stored.
    pub(super) text: Text,
}

/// How a database stores text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// What the files of a side are.
pub(super) enum Opened<'a> {
    /// A database with at least one page.
    Database(Pages<'a>),
    /// A file of no bytes: a database without tables.
    Empty,
    /// Something else: another kind of file, encrypted, or overwritten.
    Other,
}

pub(super) fn be16(b: &[u8], at: usize) -> usize {
    b.get(at..at + 2).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])))
}

pub(super) fn be32(b: &[u8], at: usize) -> u32 {
    b.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// Looks at the headers. An error where it is a database whose state can't be told.
pub(super) fn open<'a>(files: &Files<'a>, budget: &mut Budget<'_>) -> Result<Opened<'a>, Incomplete> {
    budget.take(1)?;
    let size = files.main.size();
    if size == 0 {
        // SQLite throws away a log beside an empty file.
        return Ok(Opened::Empty);
    }
    let mut header = [0u8; 100];
    if size < 100 || files.main.read_at(0, &mut header).is_err() || !header.starts_with(MAGIC) {
        return Ok(Opened::Other);
    }
    if let Some(journal) = files.journal {
        let mut start = [0u8; 8];
        if journal.size() >= 28 && journal.read_at(0, &mut start).is_ok() && start == JOURNAL {
            return Err(Incomplete::new("a transaction is half done: its rollback journal stands beside it"));
        }
    }
    let log = match files.wal {
        Some(wal) => wal::read(wal, budget)?.map(|log| (wal, log)),
        None => None,
    };
    let page = match be16(&header, 16) {
        1 => 65_536,
        n => n,
    };
    if !(512..=65_536).contains(&page) || !page.is_power_of_two() {
        return Err(Incomplete::new("its header names an impossible page size"));
    }
    if let Some((_, log)) = &log {
        if log.page_size as usize != page {
            return Err(Incomplete::new("its write-ahead log has another page size"));
        }
        // The header may have its newest version in the log.
        if let Some(&at) = log.pages.get(&1) {
            files.wal.map_or(Ok(()), |wal| wal.read_at(at, &mut header))?;
        }
    }
    let usable = page - usize::from(header[20]);
    if usable < 480 {
        return Err(Incomplete::new("its header reserves more of a page than is allowed"));
    }
    let whole = u32::try_from(size / page as u64).unwrap_or(u32::MAX);
    let count = match &log {
        Some((_, log)) => log.count,
        // The header's count holds only if the same program wrote both (legacy writers leave it).
        None if be32(&header, 28) != 0 && be32(&header, 24) == be32(&header, 92) => be32(&header, 28),
        None => whole,
    };
    let text = match be32(&header, 56) {
        2 => Text::Utf16Le,
        3 => Text::Utf16Be,
        _ => Text::Utf8,
    };
    Ok(Opened::Database(Pages { main: files.main, log, size: page, usable, count, text }))
}

impl Pages<'_> {
    /// Fills `buf` with the start of page `number`, at most the whole of it; one step.
    pub(super) fn read(&self, number: u32, buf: &mut [u8], budget: &mut Budget<'_>) -> Result<(), Incomplete> {
        budget.take(1)?;
        if number == 0 || number > self.count {
            return Err(Incomplete::new(format!("damaged: page {number} is named, but there are {}", self.count)));
        }
        let buf = match buf.len() > self.size {
            true => &mut buf[..self.size],
            false => buf,
        };
        if let Some((wal, log)) = &self.log
            && let Some(&at) = log.pages.get(&number)
        {
            return wal.read_at(at, buf);
        }
        let at = u64::from(number - 1) * self.size as u64;
        self.main.read_at(at, buf).map_err(|e| Incomplete::new(format!("damaged: page {number}: {}", e.why)))
    }
}
