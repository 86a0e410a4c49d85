//! Takes `/proc/self/mountinfo`, gives its entries as values. Reads only.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// One line of `mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The mount's number.
    pub id: u64,
    /// The mount it sits on.
    pub parent: u64,
    /// The file system's device number, as `major:minor`.
    pub dev: (u32, u32),
    /// The directory (or file) of the file system that is mounted.
    pub root: Vec<u8>,
    /// Where.
    pub point: Vec<u8>,
    /// Per-mount options: `rw`, `nosuid`, `relatime`, ….
    pub options: Vec<String>,
    /// File system type.
    pub fs: String,
    /// What is mounted.
    pub source: Vec<u8>,
    /// The file system's own options.
    pub super_options: Vec<u8>,
}

impl Entry {
    /// True when the mount has this per-mount option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }

    /// True when nothing can be written through it: the mount or the file system is read-only.
    pub fn read_only(&self) -> bool {
        self.has("ro") || self.super_options.split(|&b| b == b',').any(|o| o == b"ro")
    }
}

/// Every mount of this process' mount namespace, in the kernel's order (a mount after the one it
/// sits on).
pub fn read() -> io::Result<Vec<Entry>> {
    fs::read("/proc/self/mountinfo").map(|text| parse(&text))
}

/// Reads the lines that are whole; the kernel writes no others.
pub fn parse(text: &[u8]) -> Vec<Entry> {
    text.split(|&b| b == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Entry> {
    let mut words = line.split(|&b| b == b' ');
    let id = number(words.next()?)?;
    let parent = number(words.next()?)?;
    let dev = std::str::from_utf8(words.next()?).ok()?;
    let (major, minor) = dev.split_once(':')?;
    let root = unescape(words.next()?);
    let point = unescape(words.next()?);
    let options = words.next()?.split(|&b| b == b',').filter_map(|o| String::from_utf8(o.to_vec()).ok()).collect();
    // Any number of optional fields (`shared:1`), ended by a lone dash.
    words.by_ref().find(|w| *w == b"-")?;
    let fs = String::from_utf8(words.next()?.to_vec()).ok()?;
    let source = unescape(words.next()?);
    let super_options = words.next().unwrap_or_default().to_vec();
    let dev = (major.parse().ok()?, minor.parse().ok()?);
    Some(Entry { id, parent, dev, root, point, options, fs, source, super_options })
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The kernel writes space, tab, newline, backslash and hash as `\` and three octal digits.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'\\'
            && let Some(digits) = tail.get(..3)
            && digits.iter().all(|d| (b'0'..=b'7').contains(d))
        {
            out.push(digits.iter().fold(0u8, |n, d| n.wrapping_shl(3) | (d - b'0')));
            rest = &tail[3..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

/// The number of the mount that `path` itself (no link followed, nothing automounted) lies on.
pub fn mount_id(path: &[u8]) -> io::Result<u64> {
    let path = Path::new(OsStr::from_bytes(path));
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = statx(CWD, path, flags, StatxFlags::MNT_ID)?;
    Ok(stat.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_escapes_and_optional_fields() {
        let text = b"36 35 98:0 /a\\040b /mnt\\134x rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n";
        let expected = Entry {
            id: 36,
            parent: 35,
            dev: (98, 0),
            root: b"/a b".to_vec(),
            point: b"/mnt\\x".to_vec(),
            options: vec!["rw".into(), "noatime".into()],
            fs: "ext3".into(),
            source: b"/dev/root".to_vec(),
            super_options: b"rw,errors=continue".to_vec(),
        };
        assert_eq!(parse(text), [expected]);
    }

    #[test]
    fn this_machine_has_a_root() {
        let mounts = read().expect("/proc is mounted");
        let id = mount_id(b"/").expect("statx");
        assert!(mounts.iter().any(|m| m.id == id && m.point == b"/"));
    }
}
