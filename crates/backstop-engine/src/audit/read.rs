//! Gives the entries from an index on, as they stand in the log; checks their spelling, not the tree.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use backstop_core::audit::Entry;
use backstop_core::note::{Checkpoint, NoteError};

use super::AuditError;
use super::layout::{CHECKPOINT, segment_path, segments, unpadded};

/// The entries of the log in `dir` from index `from` on. After it has given `None` it may be asked
/// again: entries that came since follow.
pub fn entries(dir: &Path, from: u64) -> Entries {
    Entries { dir: dir.to_owned(), from, index: 0, reader: None, line: Vec::new() }
}

/// See [`entries`].
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    from: u64,
    /// The index of the line that is read next.
    index: u64,
    reader: Option<(PathBuf, BufReader<File>)>,
    line: Vec<u8>,
}

impl Entries {
    fn open(&mut self, first: u64) -> Result<(), AuditError> {
        let path = segment_path(&self.dir, first);
        let file = File::open(&path).map_err(AuditError::io("read", &path))?;
        self.reader = Some((path, BufReader::new(file)));
        self.index = first;
        Ok(())
    }

    /// Forgets what was read ahead: the next line is read from the disk.
    ///
    /// # Errors
    /// Where that can't be told from what was given.
    pub fn forget(&mut self) -> Result<(), AuditError> {
        if let Some((path, reader)) = &mut self.reader {
            let begun = i64::try_from(self.line.len()).unwrap_or(i64::MAX);
            // A seek throws the buffer away.
            reader.seek(SeekFrom::Current(-begun)).map_err(AuditError::io("read", path))?;
        }
        self.line.clear();
        Ok(())
    }

    /// Reads one whole line into `line`; false at the end of what is there.
    fn read_line(&mut self) -> Result<bool, AuditError> {
        if self.reader.is_none() {
            let all = segments(&self.dir)?;
            let Some(holds) = all.iter().rfind(|s| s.first <= self.from) else { return Ok(false) };
            self.open(holds.first)?;
        }
        loop {
            let Some((path, reader)) = &mut self.reader else { return Ok(false) };
            // A line without its end is being written; the rest is taken up when asked again.
            reader.read_until(b'\n', &mut self.line).map_err(AuditError::io("read", path))?;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
                return Ok(true);
            }
            let next = segment_path(&self.dir, self.index);
            if !self.line.is_empty() || next == *path || !next.exists() {
                return Ok(false);
            }
            self.open(self.index)?;
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Err(e) => return Some(Err(e)),
                Ok(false) => return None,
                Ok(true) => {}
            }
            let index = self.index;
            self.index += 1;
            let entry = (index >= self.from).then(|| Entry::parse(&self.line));
            self.line.clear();
            match entry {
                None => {}
                Some(Some(entry)) if entry.index == index => return Some(Ok(entry)),
                Some(_) => return Some(Err(AuditError::Damaged { index })),
            }
        }
    }
}

/// Which log is in `dir`, and how many of its entries are signed: what comes after these can still be taken back.
pub fn signed_end(dir: &Path) -> Result<(String, u64), AuditError> {
    let path = dir.join(CHECKPOINT);
    let bytes = std::fs::read(&path).map_err(AuditError::io("read", &path))?;
    let note = unpadded(&bytes).ok_or(NoteError::Shape).and_then(Checkpoint::of_note);
    let Checkpoint { origin, size, .. } = note.map_err(|source| AuditError::Checkpoint { path, source })?;
    Ok((origin, size))
}
