//! Compares and copies file content: by reflink where the file system can, else only the bytes that
//! differ, holes kept.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

/// How content came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// By sharing blocks; nothing was read or written.
    Shared,
    /// Byte by byte; so many were written.
    Written(u64),
}

const CHUNK: usize = 1 << 17;
/// What is compared at once: the block of most file systems.
const BLOCK: usize = 1 << 12;

/// The next stretch of data at or after `at`: its start and end; none past the last.
fn data_after(file: BorrowedFd<'_>, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // No support for holes: all is data.
        Err(Errno::INVAL) => return Ok((at < size).then_some((at, size))),
        Err(e) => return Err(e.into()),
    };
    if start >= size {
        return Ok(None);
    }
    let end = rustix::fs::seek(file, SeekFrom::Hole(start))?.min(size);
    Ok(Some((start, end)))
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(file, &mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(done)
}

fn write_full(file: BorrowedFd<'_>, mut buffer: &[u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match rustix::io::pwrite(file, buffer, at) {
            Ok(n) => {
                buffer = &buffer[n..];
                at += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// True when both files have the same bytes. `seen` gets the bytes of `a` in order.
pub fn compare(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = 0;
    loop {
        let n = read_full(a, &mut left, at)?;
        let m = read_full(b, &mut right, at)?;
        if left[..n] != right[..m] {
            return Ok(false);
        }
        if n < CHUNK {
            return Ok(true);
        }
        at += n as u64;
    }
}

/// True when `file` is what an [`overwrite`] from one of `ends` to the other leaves where it is cut off:
/// every piece is that of one of them, or zeros, and its length is that of one or in between. Then
/// nothing is in it that is not in those two.
pub fn is_between(file: BorrowedFd<'_>, ends: [BorrowedFd<'_>; 2]) -> io::Result<bool> {
    /// What disks write at once.
    const PIECE: usize = 512;
    let size = |fd: BorrowedFd<'_>| -> io::Result<u64> { Ok(rustix::fs::fstat(fd)?.st_size as u64) };
    let (own, a, b) = (size(file)?, size(ends[0])?, size(ends[1])?);
    if own != a && own != b && !(a.min(b)..a.max(b)).contains(&own) {
        return Ok(false);
    }
    let mut buffers = [vec![0; CHUNK], vec![0; CHUNK], vec![0; CHUNK]];
    let mut at = 0;
    while at < own {
        let mut read = [0; 3];
        for (which, fd) in [file, ends[0], ends[1]].into_iter().enumerate() {
            read[which] = read_full(fd, &mut buffers[which], at)?;
        }
        let cut = |which: usize, from: usize, to: usize| &buffers[which][from.min(read[which])..to.min(read[which])];
        for from in (0..read[0]).step_by(PIECE) {
            let to = read[0].min(from + PIECE);
            let (here, a, b) = (cut(0, from, to), cut(1, from, to), cut(2, from, to));
            if !(begins(here, a, b) || begins(here, b, a) || here.iter().all(|&byte| byte == 0)) {
                return Ok(false);
            }
        }
        if read[0] == 0 {
            break;
        }
        at += read[0] as u64;
    }
    Ok(true)
}

/// True when `here` begins with all of `first` and goes on like `second`.
fn begins(here: &[u8], first: &[u8], second: &[u8]) -> bool {
    let (head, tail) = here.split_at(first.len().min(here.len()));
    let rest = || second.get(head.len()..here.len()).is_some_and(|rest| rest == tail);
    head == &first[..head.len()] && (tail.is_empty() || rest())
}

/// Fills the empty file `to` with the content of `from`, holes kept.
pub fn clone_or_copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<Copied> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(Copied::Shared);
    }
    let size = rustix::fs::fstat(from)?.st_size as u64;
    let mut buffer = vec![0; CHUNK];
    let (mut at, mut written) = (0, 0);
    while let Some((start, end)) = data_after(from, at, size)? {
        let mut pos = start;
        while pos < end {
            let want = CHUNK.min((end - pos) as usize);
            let n = read_full(from, &mut buffer[..want], pos)?;
            if n == 0 {
                break;
            }
            write_full(to, &buffer[..n], pos)?;
            pos += n as u64;
            written += n as u64;
        }
        at = end;
    }
    rustix::fs::ftruncate(to, size)?;
    Ok(Copied::Written(written))
}

/// Makes the content of `to` that of `from`, in place: only bytes that differ are written, stretches
/// that became holes are punched, and holes that read as the same zeros stay holes. `to` is never
/// shorter in between than both, so a reader never sees it empty.
pub fn overwrite(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<Copied> {
    let size = rustix::fs::fstat(from)?.st_size as u64;
    let old_size = rustix::fs::fstat(to)?.st_size as u64;
    let (mut new, mut old) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut at, mut written) = (0, 0);
    loop {
        let stretch = data_after(from, at, size)?;
        let hole_end = stretch.map_or(size, |(start, _)| start);
        if hole_end > at {
            punch(to, at, hole_end.min(old_size))?;
        }
        let Some((mut pos, end)) = stretch else { break };
        while pos < end {
            let want = CHUNK.min((end - pos) as usize);
            let n = read_full(from, &mut new[..want], pos)?;
            if n == 0 {
                break;
            }
            let m = read_full(to, &mut old[..n], pos)?;
            // Block by block: copying up fills holes with zeros, and writing those would fill ours.
            let mut same_until = 0;
            for block in (0..n).step_by(BLOCK) {
                let end = n.min(block + BLOCK);
                if end <= m && new[block..end] == old[block..end] {
                    write_full(to, &new[same_until..block], pos + same_until as u64)?;
                    written += (block - same_until) as u64;
                    same_until = end;
                }
            }
            write_full(to, &new[same_until..n], pos + same_until as u64)?;
            written += (n - same_until) as u64;
            pos += n as u64;
        }
        at = end;
    }
    if size != old_size {
        rustix::fs::ftruncate(to, size)?;
    }
    Ok(Copied::Written(written))
}

/// Makes the data between `start` and `end` a hole, where there is any.
fn punch(file: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
    // The last block is only let go when all of it is asked for, also what lies beyond the end.
    const LARGEST_BLOCK: u64 = 1 << 16;
    let size = rustix::fs::fstat(file)?.st_size as u64;
    let mut at = start;
    while let Some((from, to)) = data_after(file, at, end)? {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let upto = if to == size { to.next_multiple_of(LARGEST_BLOCK) } else { to };
        match rustix::fs::fallocate(file, flags, from, upto - from) {
            Ok(()) => {}
            // No holes on this file system: zeros read the same.
            Err(Errno::OPNOTSUPP) => write_zeros(file, from, to)?,
            Err(e) => return Err(e.into()),
        }
        at = to;
    }
    Ok(())
}

fn write_zeros(file: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    let mut at = start;
    while at < end {
        let n = CHUNK.min((end - at) as usize);
        write_full(file, &zeros[..n], at)?;
        at += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    fn file(content: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file
    }

    #[test]
    fn a_file_is_between_two_only_if_it_has_nothing_of_its_own() {
        let (old, new) = ([b'o'; 2_000], [b'n'; 3_100]);
        let (a, b) = (file(&old), file(&new));
        let cut = [&new[..1_024], &old[1_024..]].concat();
        let mut torn = new;
        torn[1_536..2_048].fill(0);
        let mut edited = old;
        edited[7] = b'e';
        for (what, content, expected) in [
            ("old", &old[..], true),
            ("new", &new[..], true),
            ("cut off", &cut[..], true),
            ("growing", &new[..2_560], true),
            ("torn by a power cut", &torn[..], true),
            ("edited", &edited[..], false),
            ("added to", &[&old[..], b"more"].concat(), false),
            ("emptied", b"", false),
            ("cut shorter than both", &old[..512], false),
        ] {
            let here = file(content);
            for ends in [[a.as_fd(), b.as_fd()], [b.as_fd(), a.as_fd()]] {
                assert_eq!(is_between(here.as_fd(), ends).expect("readable"), expected, "{what}");
            }
        }
    }
}
