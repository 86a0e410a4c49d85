//! Takes a write-ahead log, gives where the last committed version of each page lies in it. Frames
//! count up to the last commit whose salts and checksums hold, as SQLite itself recovers them.

use std::collections::BTreeMap;

use super::pages::be32;
use crate::lens::{Budget, Incomplete, ReadAt};

const HEADER: u64 = 32;
const FRAME: usize = 24;

/// What a log adds to its database.
pub(super) struct Log {
    /// Where each page's newest committed bytes begin, by page number.
    pub(super) pages: BTreeMap<u32, u64>,
    /// Pages in the database after the last commit.
    pub(super) count: u32,
    /// Bytes in a page.
    pub(super) page_size: u32,
}

/// Reads all frames; none where the log commits nothing. A step is a kilobyte, since checksums run
/// over everything.
pub(super) fn read(wal: &dyn ReadAt, budget: &mut Budget<'_>) -> Result<Option<Log>, Incomplete> {
    let mut header = [0u8; HEADER as usize];
    if wal.size() < HEADER {
        return Ok(None);
    }
    wal.read_at(0, &mut header)?;
    let big = match be32(&header, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        // Not a log, or one that was taken back to its start: SQLite reads past it as well.
        _ => return Ok(None),
    };
    let page_size = be32(&header, 8);
    if !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() || be32(&header, 4) != 3_007_000 {
        return Ok(None);
    }
    let mut sum = Sum { big, s: (0, 0) };
    sum.add(&header[..24]);
    if sum.s != (be32(&header, 24), be32(&header, 28)) {
        return Ok(None);
    }
    let mut log = Log { pages: BTreeMap::new(), count: 0, page_size };
    let mut pending = Vec::new();
    let step = u64::from(page_size) + FRAME as u64;
    let mut frame = vec![0u8; FRAME + page_size as usize];
    let mut at = HEADER;
    while at + step <= wal.size() {
        budget.take(1 + u64::from(page_size) / 1024)?;
        wal.read_at(at, &mut frame)?;
        let number = be32(&frame, 0);
        if number == 0 || frame[8..16] != header[16..24] {
            break;
        }
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME..]);
        if sum.s != (be32(&frame, 16), be32(&frame, 20)) {
            break;
        }
        pending.push((number, at + FRAME as u64));
        let committed = be32(&frame, 4);
        if committed != 0 {
            log.pages.extend(pending.drain(..));
            log.count = committed;
        }
        at += step;
    }
    Ok((log.count != 0).then_some(log))
}

/// The log's running checksum, over pairs of words in the byte order of the machine that wrote it.
struct Sum {
    big: bool,
    s: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let word = |at: usize| {
                let w = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
                if self.big { u32::from_be_bytes(w) } else { u32::from_le_bytes(w) }
            };
            let (one, two) = (word(0), word(4));
            self.s.0 = self.s.0.wrapping_add(one).wrapping_add(self.s.1);
            self.s.1 = self.s.1.wrapping_add(two).wrapping_add(self.s.0);
        }
    }
}
