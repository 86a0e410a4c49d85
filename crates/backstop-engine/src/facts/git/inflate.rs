//! Takes what reads a file and a place where a zlib stream begins, gives its bytes in pieces. Reads by position
//! and never maps: a file that somebody shortens meanwhile gives an error, not a signal.

use std::io;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Bytes read at once; most commits and trees are shorter.
const PIECE: usize = 4096;

/// Buffers and state, used again from object to object.
pub(super) struct Inflater {
    input: Vec<u8>,
    output: Vec<u8>,
    state: Box<InflateState>,
}

impl Inflater {
    pub(super) fn new() -> Self {
        let state = InflateState::new_boxed(DataFormat::Zlib);
        Self { input: vec![0; 16 * PIECE], output: vec![0; 16 * PIECE], state }
    }

    /// Inflates from `offset`, hands out piece by piece until the stream ends or `sink` has enough
    /// (gives false). True when the stream ended, its checksum being right.
    pub(super) fn pour(
        &mut self,
        read: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
        mut offset: u64,
        sink: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<bool> {
        self.state.reset(DataFormat::Zlib);
        // Long streams deserve longer reads.
        let mut piece = PIECE;
        loop {
            let got = read(offset, &mut self.input[..piece])?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += got as u64;
            piece = self.input.len();
            let mut rest = &self.input[..got];
            loop {
                let step = inflate(&mut self.state, rest, &mut self.output, MZFlush::None);
                rest = &rest[step.bytes_consumed..];
                if step.bytes_written > 0 && !sink(&self.output[..step.bytes_written]) {
                    return Ok(false);
                }
                let moved = step.bytes_consumed + step.bytes_written > 0;
                match step.status {
                    Ok(MZStatus::StreamEnd) => return Ok(true),
                    Ok(_) | Err(MZError::Buf) if rest.is_empty() && step.bytes_written < self.output.len() => break,
                    Ok(_) | Err(MZError::Buf) if moved => {}
                    _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not a zlib stream")),
                }
            }
        }
    }

    /// Inflates exactly `size` bytes.
    pub(super) fn whole(
        &mut self,
        read: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>,
        offset: u64,
        size: usize,
    ) -> io::Result<Vec<u8>> {
        // Not reserved at once: the size is what a hostile file says.
        let mut all = Vec::with_capacity(size.min(1 << 16));
        let ended = self.pour(read, offset, &mut |piece| {
            all.extend_from_slice(piece);
            all.len() <= size
        })?;
        if ended && all.len() == size {
            return Ok(all);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "an object of another size than it says"))
    }
}
