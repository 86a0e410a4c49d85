//! Walks one upper directory beside its lower one, O(changes): gives every object of the upper with
//! what stands at the same place in the lower tree. Reads only.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::fs::{Stat, open_dir, open_dir_read, read_dir, stat_at, stat_fd};

use super::overlay::{self, Notes};

/// An object of the lower tree.
#[derive(Clone, Debug)]
pub(super) struct Lower {
    /// Its path below the volume's root.
    pub place: Bytes,
    /// The object.
    pub stat: Stat,
}

/// One object of an upper directory.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Which layer.
    pub layer: usize,
    /// Path below the layer's upper directory; empty for that directory itself.
    pub up: Bytes,
    /// The object.
    pub stat: Stat,
    /// What overlayfs noted.
    pub notes: Notes,
    /// What stands at the same place of the lower tree.
    pub lower: Option<Lower>,
    /// For a directory: the lower directory that shows through, by its path below the volume's root.
    pub base: Option<Bytes>,
    /// The lower directory that shows through in the parent.
    pub parent_base: Option<Bytes>,
    /// True for an object that has no name in the upper, only one in the overlay's index: it was
    /// changed by way of a name that is gone since, and the lower object's other names show it.
    pub stray: bool,
}

/// One layer as the walk needs it.
pub(super) struct Walk<'a> {
    /// Index of the layer.
    pub layer: usize,
    /// The upper directory.
    pub upper: BorrowedFd<'a>,
    /// The volume's root.
    pub root: BorrowedFd<'a>,
    /// The lower directory below the volume's root.
    pub lower: &'a Bytes,
    /// `trusted.` or `user.`.
    pub prefix: &'a str,
}

impl Walk<'_> {
    /// Everything in the upper directory, parents before children.
    pub fn run(&self) -> io::Result<Vec<Found>> {
        let mut all = vec![self.top()?];
        let mut next = 0;
        while next < all.len() {
            if all[next].stat.is_dir() {
                let (up, base) = (all[next].up.clone(), all[next].base.clone());
                self.list(&up, base.as_ref(), &mut all)?;
            }
            next += 1;
        }
        Ok(all)
    }

    /// The upper directory itself stands for the layer's lower directory.
    fn top(&self) -> io::Result<Found> {
        let lower = open_dir(self.root, self.lower.as_slice())?;
        Ok(Found {
            layer: self.layer,
            up: Bytes::default(),
            stat: stat_fd(self.upper)?,
            notes: overlay::read(self.upper, b"", self.prefix)?,
            lower: Some(Lower { place: self.lower.clone(), stat: stat_fd(lower.as_fd())? }),
            base: Some(self.lower.clone()),
            parent_base: None,
            stray: false,
        })
    }

    fn list(&self, up: &Bytes, base: Option<&Bytes>, all: &mut Vec<Found>) -> io::Result<()> {
        let dir = open_dir_read(self.upper, up.as_slice())?;
        let below = base.map(|b| open_dir(self.root, b.as_slice())).transpose()?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        read_dir::<io::Error>(dir.as_fd(), |e| {
            names.push(e.name.to_vec());
            Ok(())
        })?;
        names.sort_unstable();
        for name in names {
            let Some(stat) = stat_at(dir.as_fd(), &name)? else { continue };
            let lower = match (&below, base) {
                (Some(fd), Some(base)) => {
                    stat_at(fd.as_fd(), &name)?.map(|stat| Lower { place: base.join(&name), stat })
                }
                _ => None,
            };
            let notes = overlay::read(dir.as_fd(), &name, self.prefix)?;
            let base_here = if stat.is_dir() { self.base(&notes, lower.as_ref(), base)? } else { None };
            all.push(Found {
                layer: self.layer,
                up: up.join(&name),
                stat,
                notes,
                lower,
                base: base_here,
                parent_base: base.cloned(),
                stray: false,
            });
        }
        Ok(())
    }

    /// The lower directory that shows through an upper one.
    fn base(&self, notes: &Notes, lower: Option<&Lower>, parent: Option<&Bytes>) -> io::Result<Option<Bytes>> {
        if let Some(redirect) = &notes.redirect {
            return self.redirected(redirect, parent).map(Some);
        }
        if notes.opaque {
            return Ok(None);
        }
        Ok(lower.filter(|l| l.stat.is_dir()).map(|l| l.place.clone()))
    }

    /// A redirect as a path below the volume's root.
    pub fn redirected(&self, redirect: &[u8], parent: Option<&Bytes>) -> io::Result<Bytes> {
        match (redirect.strip_prefix(b"/"), parent) {
            (Some(absolute), _) => Ok(self.lower.join(absolute)),
            (None, Some(parent)) => Ok(parent.join(redirect)),
            (None, None) => Err(io::Error::other("a relative redirect in a directory with nothing below")),
        }
    }
}
