//! What `/proc` says of processes and their threads. Reads only; what it says may be over in the next moment.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is known of a process, or of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its name.
    pub name: Vec<u8>,
    /// When it was started, in ticks since the machine was: with its number it names it on this start of the machine.
    pub start: u64,
    /// Its state, by the kernel's letter.
    pub state: u8,
}

/// A process' directory.
pub fn place(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// What the directory of a process or a thread says.
pub fn stat(place: &Path) -> io::Result<Stat> {
    parse(&fs::read(place.join("stat"))?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `pid (name) state …`; the name may hold anything, so its end is the last parenthesis. The start is the 22nd field.
fn parse(stat: &[u8]) -> Option<Stat> {
    let (open, close) = (stat.iter().position(|b| *b == b'(')?, stat.iter().rposition(|b| *b == b')')?);
    let mut fields = stat.get(close + 2..)?.split(|b| *b == b' ');
    let state = *fields.next()?.first()?;
    let start = std::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
    Some(Stat { name: stat.get(open + 1..close)?.to_vec(), start, state })
}

/// The number of a process' parent.
pub fn parent(pid: i32) -> io::Result<i32> {
    let stat = fs::read(place(pid).join("stat"))?;
    let after = stat.iter().rposition(|b| *b == b')').and_then(|close| stat.get(close + 2..));
    let field = after.and_then(|rest| std::str::from_utf8(rest.split(|b| *b == b' ').nth(1)?).ok()?.parse().ok());
    field.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The processes there are, by their numbers.
pub fn processes() -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        found.extend(entry?.file_name().to_str().and_then(|n| n.parse::<i32>().ok()));
    }
    Ok(found)
}

/// The directories of a process' threads.
pub fn threads(pid: i32) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(place(pid).join("task"))?.map(|entry| Ok(entry?.path())).collect()
}

/// True where this signal waits for a thread, or for its process.
pub fn has_pending(place: &Path, signal: c_int) -> io::Result<bool> {
    let status = fs::read_to_string(place.join("status"))?;
    let mut pending = status.lines().filter_map(|l| l.strip_prefix("SigPnd:").or_else(|| l.strip_prefix("ShdPnd:")));
    Ok(pending.any(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 << (signal - 1) != 0)))
}

/// True where an error says that the process or the thread is gone.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_what_stands_behind_it() {
        let line = b"7 (a) S 1 (b) T 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10\n";
        let expected = Stat { name: b"a) S 1 (b".to_vec(), start: 4711, state: b'T' };
        assert_eq!(parse(line), Some(expected));
        for none in [&b""[..], b"7 (a", b"7 a) S", b"7 (a) ", b"7 (a) S 1 2"] {
            assert_eq!(parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn this_process_is_there_and_another_is_gone() {
        let own = crate::process::own_pid();
        assert!(processes().expect("a list").contains(&own) && !threads(own).expect("a list").is_empty());
        assert!(stat(&place(own)).expect("it lives").start > 0);
        assert_eq!(parent(own).expect("it lives").cast_unsigned(), std::os::unix::process::parent_id());
        assert!(!has_pending(&place(own), libc::SIGSTOP).expect("it lives"));
        assert!(is_gone(&stat(&place(i32::MAX)).expect_err("nobody has this number")));
    }
}
