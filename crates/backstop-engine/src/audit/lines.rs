//! Takes segments with the length each had at one moment, gives their lines one by one; holds one
//! line in memory. Judges nothing.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Take};
use std::path::{Path, PathBuf};

use super::AuditError;
use super::layout::{LINE_BYTES, Segment, segment_path};

/// The lines of some segments.
pub(super) struct Lines {
    dir: PathBuf,
    segments: std::vec::IntoIter<Segment>,
    reader: Option<BufReader<Take<File>>>,
    segment: u64,
    offset: u64,
    buffer: Vec<u8>,
}

/// One line.
pub(super) struct Line<'a> {
    /// The segment it is in, by its first index.
    pub segment: u64,
    /// Where in the segment it begins.
    pub offset: u64,
    /// Its bytes without the line end.
    pub bytes: &'a [u8],
    /// False when the line end is missing.
    pub whole: bool,
}

impl Lines {
    /// All lines.
    pub(super) fn all(dir: &Path, segments: Vec<Segment>) -> Self {
        let segments = segments.into_iter();
        Self { dir: dir.to_owned(), segments, reader: None, segment: 0, offset: 0, buffer: Vec::new() }
    }

    /// The lines from byte `offset` of segment `first` on.
    pub(super) fn from(dir: &Path, segments: &[Segment], first: u64, offset: u64) -> Result<Self, AuditError> {
        let rest: Vec<_> = segments.iter().copied().filter(|s| s.first >= first).collect();
        let mut lines = Self::all(dir, rest);
        if lines.segments.as_slice().first().is_some_and(|s| s.first == first) {
            lines.open_next(offset)?;
        }
        Ok(lines)
    }

    fn open_next(&mut self, offset: u64) -> Result<bool, AuditError> {
        let Some(segment) = self.segments.next() else { return Ok(false) };
        let path = segment_path(&self.dir, segment.first);
        let open = || -> io::Result<File> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        };
        let file = open().map_err(AuditError::io("read", &path))?;
        let left = segment.bytes.saturating_sub(offset);
        self.reader = Some(BufReader::with_capacity(256 << 10, file.take(left)));
        self.segment = segment.first;
        self.offset = offset;
        Ok(true)
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, AuditError> {
        loop {
            self.buffer.clear();
            if let Some(reader) = &mut self.reader {
                let limit = LINE_BYTES as u64 + 1;
                let read = reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer);
                let read = read.map_err(AuditError::io("read", &segment_path(&self.dir, self.segment)))?;
                if read > 0 {
                    let offset = self.offset;
                    self.offset += read as u64;
                    let whole = self.buffer.last() == Some(&b'\n');
                    let bytes = &self.buffer[..read - usize::from(whole)];
                    return Ok(Some(Line { segment: self.segment, offset, bytes, whole }));
                }
            }
            if !self.open_next(0)? {
                return Ok(None);
            }
        }
    }

    /// Where the last line given ends: its segment and byte.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.segment, self.offset)
    }
}
