//! Reads what overlayfs noted about one object of an upper directory, in its extended attributes.
//! (Documentation/filesystems/overlayfs.rst; fs/overlayfs/overlayfs.h for the bytes of `origin`.)

use std::io;
use std::os::fd::BorrowedFd;

use backstop_core::bytes::Bytes;
use backstop_sys::fs::{FileHandle, xattr_at, xattr_names_at};

/// `version, magic, len, flags, type, uuid[16]` before the handle's own bytes (`struct ovl_fb`).
const FB_HEADER: usize = 21;
const FB_MAGIC: u8 = 0xfb;

/// Where an object was copied up from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Not copied up: it is new.
    None,
    /// Copied up, from the inode with this handle.
    Handle(FileHandle),
    /// Copied up, but the kernel could not say from where (unprivileged overlays).
    Unknown,
}

/// What overlayfs noted, and the object's own attributes.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    /// Where it came from.
    pub origin: Origin,
    /// A directory that hides what was under its name.
    pub opaque: bool,
    /// Its old path: absolute from the overlay's root, or a name in the same directory.
    pub redirect: Option<Vec<u8>>,
    /// Only the metadata is here; the content is still the lower file's.
    pub metacopy: bool,
    /// The overlay's attributes that are present, to be taken off before the object enters the tree.
    pub strip: Vec<Vec<u8>>,
    /// The object's own attributes.
    pub own: Vec<(Bytes, Bytes)>,
    /// True when the object carries overlay attributes of somebody else's overlay.
    pub foreign: bool,
}

/// Reads the notes on `name` in `dir`; `prefix` is `trusted.` or `user.`.
pub(super) fn read(dir: BorrowedFd<'_>, name: &[u8], prefix: &str) -> io::Result<Notes> {
    let mut notes = Notes {
        origin: Origin::None,
        opaque: false,
        redirect: None,
        metacopy: false,
        strip: Vec::new(),
        own: Vec::new(),
        foreign: false,
    };
    for attr in xattr_names_at(dir, name)? {
        let Some(value) = xattr_at(dir, name, &attr)? else { continue };
        let Some(key) = attr.strip_prefix(prefix.as_bytes()).and_then(|a| a.strip_prefix(b"overlay.")) else {
            notes.own.push((attr.into(), value.into()));
            continue;
        };
        match key {
            b"origin" => notes.origin = origin(&value),
            // `x` says that the directory holds whiteouts kept as attributes; we make none.
            b"opaque" => notes.opaque = value == b"y",
            b"redirect" => notes.redirect = Some(value),
            b"metacopy" => notes.metacopy = true,
            k if k.starts_with(b"overlay.") => notes.foreign = true,
            // nlink, impure, uuid, protattr: nothing we need.
            _ => {}
        }
        notes.strip.push(attr);
    }
    notes.own.sort();
    Ok(notes)
}

fn origin(value: &[u8]) -> Origin {
    match value {
        [_, FB_MAGIC, length, _, kind, ..] if value.len() > FB_HEADER && usize::from(*length) == value.len() => {
            Origin::Handle(FileHandle { kind: i32::from(*kind), bytes: value[FB_HEADER..].to_vec() })
        }
        _ => Origin::Unknown,
    }
}
