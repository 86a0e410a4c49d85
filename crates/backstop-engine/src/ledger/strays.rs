//! Finds what only the overlay's index still has: a file with several names, changed by way of one
//! that was deleted afterwards. In the view its other names show the change, but they were never
//! looked at, so the upper directory has none of them. Gives them a name in the run's directory, since the
//! index goes with the overlay; touches nothing else.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::fs::{
    ensure_dir, file_handle, hard_link, open_dir, open_dir_read, open_parent, read_dir, remove_file, split, stat_at,
};

use super::fate::place_by_kernel;
use super::overlay::{self, Origin};
use super::upper::{Found, Lower};
use super::{LayerIn, LedgerError, VolumeIn};

/// What the index of one layer has and its upper directory (`found`) has not. The second value says
/// how many of them have no known name any more.
pub(super) fn strays(
    index: usize,
    layer: &LayerIn,
    volume: &VolumeIn<'_>,
    found: &[Found],
) -> Result<(Vec<Found>, u64), LedgerError> {
    let Some(directory) = index_of(layer) else { return Ok((Vec::new(), 0)) };
    let failed = |source| LedgerError::Upper { point: layer.point.clone(), source };
    let dir = match open_dir_read(volume.run_dir, directory.as_slice()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        other => other.map_err(failed)?,
    };
    let named: HashSet<u64> = found.iter().filter(|f| f.layer == index).map(|f| f.stat.ino).collect();
    let mut names: Vec<Vec<u8>> = Vec::new();
    read_dir::<io::Error>(dir.as_fd(), |e| {
        names.push(e.name.to_vec());
        Ok(())
    })
    .map_err(failed)?;
    names.sort_unstable();
    let (mut strays, mut lost) = (Vec::new(), 0);
    for name in names {
        let Some(stat) = stat_at(dir.as_fd(), &name).map_err(failed)? else { continue };
        if stat.is_dir() || stat.is_whiteout() || named.contains(&stat.ino) {
            continue;
        }
        let notes = overlay::read(dir.as_fd(), &name, layer.prefix).map_err(failed)?;
        let Origin::Handle(handle) = &notes.origin else { continue };
        match lower(volume.root, handle).map_err(failed)? {
            Some(lower) => {
                let own = format!("{index}-{}", strays.len());
                name_it(volume.run_dir, (dir.as_fd(), &name), own.as_bytes()).map_err(failed)?;
                strays.push(Found {
                    layer: index,
                    // By way of the upper directory, where every path of a layer begins.
                    up: Bytes::new(format!("../../strays/{own}")),
                    stat,
                    notes,
                    lower: Some(lower),
                    base: None,
                    parent_base: None,
                    stray: true,
                });
            }
            // With metacopy and no name the content at least is as it was.
            None if notes.metacopy => {}
            None => lost += 1,
        }
    }
    Ok((strays, lost))
}

/// `upper/N` -> `work/N/index`: the place overlayfs has it.
fn index_of(layer: &LayerIn) -> Option<Bytes> {
    let number = layer.upper.as_slice().strip_prefix(b"upper/")?;
    Some(Bytes::new([b"work/", number, b"/index"].concat()))
}

/// Links an object of the index into the run's directory.
fn name_it(run: BorrowedFd<'_>, from: (BorrowedFd<'_>, &[u8]), to: &[u8]) -> io::Result<()> {
    ensure_dir(run, b"strays", 0o700)?;
    let strays = open_dir(run, b"strays")?;
    match hard_link(from.0, from.1, strays.as_fd(), to) {
        // Measured before, and cut off.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            remove_file(strays.as_fd(), to)?;
            hard_link(from.0, from.1, strays.as_fd(), to)
        }
        other => other,
    }
}

fn lower(root: BorrowedFd<'_>, handle: &backstop_sys::fs::FileHandle) -> io::Result<Option<Lower>> {
    let Some(place) = place_by_kernel(root, handle) else { return Ok(None) };
    let parent = match open_parent(root, place.as_slice()) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        other => other?,
    };
    let name = split(place.as_slice()).1;
    if file_handle(parent.as_fd(), name)?.as_ref() != Some(handle) {
        return Ok(None);
    }
    Ok(stat_at(parent.as_fd(), name)?.map(|stat| Lower { place, stat }))
}
