//! Takes paths and sides, gives bytes: whole files within limits, and databases page by page. Follows
//! a link once, by its text, and never leaves what `Sides` shows.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use backstop_core::bytes::Bytes;
use backstop_core::lens::{Incomplete, ReadAt};
use backstop_core::quoted::Quoted;

use super::Limits;
use crate::engine::Side;
use crate::facts::Sides;

/// Reads whole files and keeps count of what that costs.
pub(super) struct Files<'a> {
    pub(super) sides: &'a dyn Sides,
    pub(super) limits: &'a Limits,
    late: &'a dyn Fn() -> bool,
    files: u64,
    bytes: u64,
}

impl<'a> Files<'a> {
    pub(super) fn new(sides: &'a dyn Sides, limits: &'a Limits, late: &'a dyn Fn() -> bool) -> Self {
        Self { sides, limits, late, files: 0, bytes: 0 }
    }

    /// The bytes of the regular file there, at most `most`; none where there is no regular file.
    pub(super) fn read(&mut self, path: &Bytes, side: Side, most: u64) -> Result<Option<Vec<u8>>, Incomplete> {
        if self.files >= self.limits.files || (self.late)() {
            return Err(Incomplete::new("not read: there are too many files to read"));
        }
        let file = self.sides.open(path, side).map_err(|e| unreadable(side, &e))?;
        let Some(file) = file else { return Ok(None) };
        self.files += 1;
        let most = most.min(self.limits.total_bytes.saturating_sub(self.bytes));
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too big from one that just fits.
        file.take(most + 1).read_to_end(&mut bytes).map_err(|e| unreadable(side, &e))?;
        self.bytes += bytes.len() as u64;
        match bytes.len() as u64 > most {
            true => Err(Incomplete::new(format!("{}: too big to read", name(side)))),
            false => Ok(Some(bytes)),
        }
    }
}

/// The side as people call it.
pub(super) const fn name(side: Side) -> &'static str {
    match side {
        Side::Before => "before",
        Side::After => "after",
    }
}

fn unreadable(side: Side, error: &std::io::Error) -> Incomplete {
    Incomplete::new(format!("{}: can't be read: {}", name(side), Quoted(error.to_string().as_bytes())))
}

/// Where a link at `path` leads, `.` and `..` taken out by text.
pub(super) fn leads_to(path: &Bytes, target: &Bytes) -> Bytes {
    let whole = match target.as_slice().starts_with(b"/") {
        true => target.clone(),
        false => path.parent().join(target.as_slice()),
    };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in whole.as_slice().split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Bytes::from([b"/", parts.join(&b'/').as_slice()].concat())
}

/// An open file as core reads it.
pub(super) struct Opened {
    file: File,
    size: u64,
}

impl Opened {
    pub(super) fn open(sides: &dyn Sides, path: &Bytes, side: Side) -> Result<Option<Self>, Incomplete> {
        let file = sides.open(path, side).map_err(|e| unreadable(side, &e))?;
        let Some(file) = file else { return Ok(None) };
        let size = file.metadata().map_err(|e| unreadable(side, &e))?.len();
        Ok(Some(Self { file, size }))
    }
}

impl ReadAt for Opened {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<(), Incomplete> {
        self.file.read_exact_at(buf, at).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => Incomplete::new("it ends too early"),
            _ => Incomplete::new(format!("can't be read: {}", Quoted(e.to_string().as_bytes()))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_by_their_text() {
        for (path, target, expected) in
            [("/a/b", "c", "/a/c"), ("/a/b", "../c/./d", "/c/d"), ("/a/b", "/x//y", "/x/y"), ("/b", "../../..", "/")]
        {
            assert_eq!(leads_to(&path.into(), &target.into()), Bytes::from(expected));
        }
    }
}
