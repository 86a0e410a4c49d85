//! The words in which a tree and its changes are written down: one operation a line, a verb, names
//! (percent-escaped bytes), numbers. Takes and gives text; touches no disk (`perform` does).

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What an operation does. Each is close to one system call, so that a failing case says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Opens with `O_CREAT|O_TRUNC` and writes: a new file, or an old one emptied in place.
    Create,
    /// As `Create`, but the name must be free.
    Excl,
    /// Writes at the end of an existing file.
    Append,
    /// Writes into the middle of an existing file (beyond its end: leaves a hole).
    Overwrite,
    /// Sets the length.
    Truncate,
    /// Frees blocks in the middle.
    Punch,
    /// Reserves blocks beyond the end.
    Allocate,
    /// What editors do: a temporary name, written, synced, renamed over.
    Save,
    /// Opens for writing, renames, then writes through the old handle.
    WriteMoved,
    /// Opens for writing, unlinks, writes through the handle.
    WriteGhost,
    /// Copies by reflink, or by bytes where that is not possible.
    Copy,
    /// Renames.
    Rename,
    /// Renames, but not over something.
    Move,
    /// Swaps two names.
    Exchange,
    /// Adds a hard link.
    Link,
    /// Makes a symbolic link: what it says, then its name.
    Symlink,
    /// Unlinks.
    Unlink,
    /// Makes a directory.
    Mkdir,
    /// Removes an empty directory.
    Rmdir,
    /// Removes a directory and all beneath.
    RmTree,
    /// Sets permission bits (decimal).
    Chmod,
    /// Sets owner and group, of a link itself.
    Chown,
    /// Sets an extended attribute: file, name; length and pattern of its value.
    SetXattr,
    /// Removes an extended attribute: file, name.
    RmXattr,
    /// Sets an access ACL with one named user: user, rights.
    Acl,
    /// Sets a default ACL with one named user: user, rights.
    DefaultAcl,
    /// Sets access and modification time: seconds, nanoseconds.
    Times,
    /// Makes a named pipe.
    Fifo,
    /// Binds a socket to a name and leaves it there.
    Socket,
    /// Makes a character device: major, minor. Only for setting up: a sandbox refuses it.
    Device,
    /// Opens `O_TMPFILE` in a directory, writes, links it to a name.
    Tmpfile,
    /// Prints what the program sees of a name: type, size, mode, owner, links, content's sum.
    Look,
    /// Prints the names in a directory, sorted.
    List,
    /// Syncs a file.
    Sync,
    /// Gives everything beneath a directory an old time of its own. Only for setting up.
    Age,
}

/// Every verb, how it is written, how many names and how many numbers follow.
pub const VERBS: &[(Verb, &str, usize, usize)] = &[
    (Verb::Create, "create", 1, 2),
    (Verb::Excl, "excl", 1, 2),
    (Verb::Append, "append", 1, 2),
    (Verb::Overwrite, "overwrite", 1, 3),
    (Verb::Truncate, "truncate", 1, 1),
    (Verb::Punch, "punch", 1, 2),
    (Verb::Allocate, "allocate", 1, 2),
    (Verb::Save, "save", 1, 2),
    (Verb::WriteMoved, "write-moved", 2, 2),
    (Verb::WriteGhost, "write-ghost", 1, 2),
    (Verb::Copy, "copy", 2, 0),
    (Verb::Rename, "rename", 2, 0),
    (Verb::Move, "move", 2, 0),
    (Verb::Exchange, "exchange", 2, 0),
    (Verb::Link, "link", 2, 0),
    (Verb::Symlink, "symlink", 2, 0),
    (Verb::Unlink, "unlink", 1, 0),
    (Verb::Mkdir, "mkdir", 1, 1),
    (Verb::Rmdir, "rmdir", 1, 0),
    (Verb::RmTree, "rm-tree", 1, 0),
    (Verb::Chmod, "chmod", 1, 1),
    (Verb::Chown, "chown", 1, 2),
    (Verb::SetXattr, "set-xattr", 2, 2),
    (Verb::RmXattr, "rm-xattr", 2, 0),
    (Verb::Acl, "acl", 1, 2),
    (Verb::DefaultAcl, "default-acl", 1, 2),
    (Verb::Times, "times", 1, 2),
    (Verb::Fifo, "fifo", 1, 1),
    (Verb::Socket, "socket", 1, 0),
    (Verb::Device, "device", 1, 2),
    (Verb::Tmpfile, "tmpfile", 2, 2),
    (Verb::Look, "look", 1, 0),
    (Verb::List, "list", 1, 0),
    (Verb::Sync, "sync", 1, 0),
    (Verb::Age, "age", 1, 1),
];

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// What it does.
    pub verb: Verb,
    /// The names it takes, as many as `VERBS` says.
    pub names: Vec<OsString>,
    /// The numbers it takes, as many as `VERBS` says.
    pub numbers: Vec<u64>,
}

/// A line that is no operation.
#[derive(Debug)]
pub struct OpError(String);

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an operation: {:?}", self.0)
    }
}

impl std::error::Error for OpError {}

impl Op {
    /// From one line.
    pub fn parse(line: &str) -> Result<Self, OpError> {
        let bad = || OpError(line.to_owned());
        let mut words = line.split_ascii_whitespace();
        let word = words.next().ok_or_else(bad)?;
        let &(verb, _, names, numbers) = VERBS.iter().find(|v| v.1 == word).ok_or_else(bad)?;
        let names = (0..names).map(|_| words.next().and_then(unescape).ok_or_else(bad)).collect::<Result<_, _>>()?;
        let numbers = (0..numbers)
            .map(|_| words.next().and_then(|w| w.parse().ok()).ok_or_else(bad))
            .collect::<Result<_, _>>()?;
        if words.next().is_some() {
            return Err(bad());
        }
        Ok(Self { verb, names, numbers })
    }

    /// From a whole file; empty lines and those that begin with `#` are skipped.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, OpError> {
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(Self::parse).collect()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = VERBS.iter().find(|v| v.0 == self.verb).map_or("?", |v| v.1);
        f.write_str(word)?;
        for name in &self.names {
            write!(f, " {}", escape(name.as_bytes()))?;
        }
        for number in &self.numbers {
            write!(f, " {number}")?;
        }
        Ok(())
    }
}

/// Names as words: bytes that are no plain ASCII character, and `%`, as `%XX`. An empty name is `%`.
pub fn escape(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::new();
    for &b in bytes {
        if b.is_ascii_graphic() && b != b'%' {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

fn unescape(word: &str) -> Option<OsString> {
    if word == "%" {
        return Some(OsString::new());
    }
    let mut out = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        if b == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            out.push(b);
            rest = tail;
        }
    }
    Some(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_reads_back_as_it_was_written() {
        for &(verb, _, names, numbers) in VERBS {
            let op = Op {
                verb,
                names: vec![OsString::from_vec(b"a b/\xff%\n".to_vec()); names],
                numbers: (0..numbers as u64).collect(),
            };
            assert_eq!(Op::parse(&op.to_string()).expect("own text"), op);
        }
    }
}
