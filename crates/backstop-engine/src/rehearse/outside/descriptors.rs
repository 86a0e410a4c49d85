//! Looks at what the command would inherit. Gives which pipes pass and whether standard input is a
//! file on a disk; refuses what would be a way out of the view. Opens and closes nothing.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::fs::{self as sys, Stat};
use backstop_sys::inherit::{self, Access};

use super::super::RehearseError;

/// What passes on.
#[derive(Debug)]
pub(in crate::rehearse) struct Descriptors {
    /// Standard input as a file on a disk: path, facts, where it stands.
    pub stdin: Option<(Bytes, Stat, u64)>,
    /// Pipes beyond the standard streams (make's job server).
    pub pass: Vec<i32>,
}

pub(in crate::rehearse) fn check() -> Result<Descriptors, RehearseError> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut file = None;
    for (fd, handle) in [(0, stdin.as_fd()), (1, stdout.as_fd()), (2, stderr.as_fd())] {
        let facts = sys::stat_fd(handle).map_err(RehearseError::io("look at the standard streams"))?;
        let access = inherit::access(handle).map_err(RehearseError::io("look at the standard streams"))?;
        if facts.is_dir() {
            return Err(RehearseError::Descriptor { fd, what: "a directory" });
        }
        if access == Access::Position {
            return Err(RehearseError::Descriptor { fd, what: "a mere position in the file system" });
        }
        // Through `/proc/self/fd` it can be opened anew, and the view's mounts are not in the way then.
        if facts.is_block_device() {
            return Err(RehearseError::Descriptor { fd, what: "a disk" });
        }
        if fd != 0 && facts.is_file() && access == Access::Read {
            return Err(RehearseError::Descriptor { fd, what: "a file that is open for reading only" });
        }
        if fd == 0 && facts.is_file() && access == Access::Read {
            file = on_disk(handle, facts)?;
        }
    }
    let pass = inherit::beyond_standard().map_err(RehearseError::io("list what is inherited"))?;
    Ok(Descriptors { stdin: file, pass })
}

/// A file without a name any more (a shell's here-document) belongs to nobody but its holders.
fn on_disk(handle: BorrowedFd<'_>, facts: Stat) -> Result<Option<(Bytes, Stat, u64)>, RehearseError> {
    let path = fs::read_link("/proc/self/fd/0").map_err(RehearseError::io("look at standard input"))?;
    let named = sys::stat_path(Bytes::from(path.as_path()).as_slice()).is_ok_and(|s| s.is_same(&facts));
    if !named && facts.nlink > 0 {
        // Opened by a name that is gone, or by another root's; it has names all the same.
        return Err(RehearseError::Descriptor {
            fd: 0,
            what: "a file that has another name than the one it was opened by",
        });
    }
    let at = sys::offset(handle).map_err(RehearseError::io("look at standard input"))?;
    Ok(named.then(|| (Bytes::from(path), facts, at)))
}
