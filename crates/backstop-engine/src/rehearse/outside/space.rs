//! Watches how full the disks get while a command runs. Looks at two numbers per file system; where these say so,
//! and with a limit also now and then, at what the run itself has written. Stops nothing itself.

use std::os::fd::{AsFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::fs as sys;

use super::super::plan::Opened;
use super::super::{RehearseError, RehearseInput};
use crate::volume::OpenVolume;

/// Below this, a file system counts as full: the journal and the ledger need room as well.
const FLOOR: u64 = 16 << 20;

/// With a limit, what a run has written is counted at least at every so many looks.
const COUNT_EVERY: u32 = 8;

pub(super) struct Space<'a> {
    input: &'a RehearseInput<'a>,
    volumes: &'a [OpenVolume],
    free: Vec<u64>,
    /// How often it was looked.
    looks: u32,
    /// In place: the directories that can be written to, and what was free there.
    open: Vec<(Bytes, OwnedFd, u64)>,
}

impl<'a> Space<'a> {
    pub(super) fn start(
        volumes: &'a [OpenVolume],
        opened: &[Opened],
        input: &'a RehearseInput<'a>,
    ) -> Result<Self, RehearseError> {
        let free = volumes
            .iter()
            .map(|v| sys::space(v.vault()).map(|s| s.free))
            .collect::<Result<_, _>>()
            .map_err(RehearseError::io("see how much room there is"))?;
        let look = |place: &Opened| {
            let held = sys::real_position(place.at.as_slice())?;
            let free = sys::space(held.as_fd())?.free;
            Ok((place.at.clone(), held, free))
        };
        // A private one takes memory, not the machine's disk.
        let open = opened.iter().filter(|place| !place.private).map(look).collect::<Result<_, _>>();
        let open = open.map_err(RehearseError::io("see how much room there is"))?;
        Ok(Self { input, volumes, free, looks: 0, open })
    }

    pub(super) fn cwd(&self) -> &Bytes {
        &self.input.request.cwd
    }

    pub(super) fn check(&mut self) -> Result<(), RehearseError> {
        self.looks = self.looks.wrapping_add(1);
        for (root, place, before) in &self.open {
            let free = sys::space(place.as_fd()).map_err(RehearseError::io("see how much room there is"))?.free;
            if free < FLOOR.min(before / 2) {
                return Err(RehearseError::NoSpace { root: root.clone(), free });
            }
        }
        for (volume, before) in self.volumes.iter().zip(&self.free) {
            let free = sys::space(volume.vault()).map_err(RehearseError::io("see how much room there is"))?.free;
            // A disk that was as full before is not this run's doing.
            if free < FLOOR.min(before / 2) {
                return Err(RehearseError::NoSpace { root: volume.root_path().clone(), free });
            }
            if let Some(limit) = self.input.upper_limit
                && (before.saturating_sub(free) > limit || self.looks.is_multiple_of(COUNT_EVERY))
            {
                // Others write as well, so it is counted; and what others free hides what this run writes, so it is
                // counted now and then all the same.
                let run =
                    volume.run_dir(self.input.id, false).map_err(RehearseError::io("open the run's directory"))?;
                let used = sys::tree_usage(run.as_fd(), b"upper", limit)
                    .map_err(RehearseError::io("count what was written"))?;
                if used > limit {
                    return Err(RehearseError::TooBig { limit });
                }
            }
        }
        Ok(())
    }
}
