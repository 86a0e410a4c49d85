//! Takes hex or raw bytes, gives the name of a git object; hashes content the way git names it.
//! Knows SHA-1 and SHA-256 repositories; never reads a file.

use std::fmt;

use sha1::Digest as _;

/// How a repository names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Twenty bytes.
    Sha1,
    /// Thirty-two bytes.
    Sha256,
}

impl Format {
    /// Bytes of a name.
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// The name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Oid {
    bytes: [u8; 32],
    len: u8,
}

impl Oid {
    /// From 20 or 32 raw bytes.
    pub(super) fn raw(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok().filter(|l| matches!(l, 20 | 32))?;
        let mut all = [0; 32];
        all[..bytes.len()].copy_from_slice(bytes);
        Some(Self { bytes: all, len })
    }

    /// From 40 or 64 hex digits.
    pub(super) fn hex(text: &[u8]) -> Option<Self> {
        if !matches!(text.len(), 40 | 64) {
            return None;
        }
        let mut all = [0; 32];
        for (byte, pair) in all.iter_mut().zip(text.chunks(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Self::raw(&all[..text.len() / 2])
    }

    /// The raw bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The first byte, by which stores are cut into 256 parts.
    pub(super) fn first(&self) -> u8 {
        self.bytes[0]
    }

    /// Every hex digit.
    pub(super) fn to_hex(self) -> String {
        self.as_slice().iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Display for Oid {
    /// As git shortens it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// Hashes one object.
pub(super) enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// Begins an object of this kind (`blob`) and size.
    pub(super) fn new(format: Format, kind: &str, size: u64) -> Self {
        let mut h = match format {
            Format::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Format::Sha256 => Self::Sha256(sha2::Sha256::new()),
        };
        h.update(format!("{kind} {size}\0").as_bytes());
        h
    }

    /// Takes more content.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(h) => h.update(bytes),
            Self::Sha256(h) => h.update(bytes),
        }
    }

    /// The object's name.
    pub(super) fn finish(self) -> Oid {
        let mut bytes = [0; 32];
        let len = match self {
            Self::Sha1(h) => {
                bytes[..20].copy_from_slice(&h.finalize());
                20
            }
            Self::Sha256(h) => {
                bytes.copy_from_slice(&h.finalize());
                32
            }
        };
        Oid { bytes, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_named_as_git_names_it() {
        let mut h = Hasher::new(Format::Sha1, "blob", 6);
        h.update(b"hello\n");
        assert_eq!(h.finish().to_hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let mut h = Hasher::new(Format::Sha256, "blob", 6);
        h.update(b"hello\n");
        assert_eq!(h.finish().to_hex(), "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4");
    }

    #[test]
    fn hex_that_is_none_is_refused() {
        for bad in ["", "ce01", "CE013625030ba8dba906f756967f9e9ca394464a", "ge013625030ba8dba906f756967f9e9ca394464a"]
        {
            assert_eq!(Oid::hex(bad.as_bytes()), None, "{bad}");
        }
    }
}
