//! Counts the names that files have in a vault, where earlier runs' deletions keep them. To the tree
//! those names are gone, but the kernel counts them as links. Reads directories only.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use backstop_sys::fs::{open_dir_read, read_dir};

/// How many names each of `wanted` (inode numbers) has in the vault; stops once it has found as many
/// as asked for. What can't be read has none, which only makes the judgement stricter.
pub(super) fn names(vault: BorrowedFd<'_>, wanted: &HashMap<u64, u32>) -> io::Result<HashMap<u64, u32>> {
    let mut found: HashMap<u64, u32> = HashMap::new();
    let mut missing: u64 = wanted.values().map(|n| u64::from(*n)).sum();
    let mut stack: Vec<Vec<u8>> = Vec::new();
    let top = open_dir_read(vault, b"")?;
    read_dir::<io::Error>(top.as_fd(), |run| {
        stack.push(run.name.to_vec());
        Ok(())
    })?;
    while let Some(path) = stack.pop() {
        if missing == 0 {
            break;
        }
        // A name of another kind, a run that keeps nothing, or another's closed directory.
        let Ok(dir) = open_dir_read(vault, &path) else { continue };
        read_dir::<io::Error>(dir.as_fd(), |entry| {
            // Work directories hold nothing of the tree. What was exchanged lies in an upper directory.
            let work = entry.name == b"work" && !path.contains(&b'/');
            if entry.is_dir != Some(false) && !work {
                stack.push([path.as_slice(), b"/", entry.name].concat());
            }
            if wanted.contains_key(&entry.ino) {
                *found.entry(entry.ino).or_default() += 1;
                missing = missing.saturating_sub(1);
            }
            Ok(())
        })?;
    }
    Ok(found)
}
