//! Watches how full the disks get while a command runs. Looks at two numbers per file system, and
//! only when those say so, at what the run itself has written. Stops nothing itself.

use std::os::fd::{AsFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_sys::fs as sys;

use super::super::plan::Opened;
use super::super::{RehearseError, RehearseInput};
use crate::volume::OpenVolume;

/// Below this, a file system counts as full: the journal and the ledger need room as well.
const FLOOR: u64 = 16 << 20;

pub(super) struct Space<'a> {
    input: &'a RehearseInput<'a>,
    volumes: &'a [OpenVolume],
    free: Vec<u64>,
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
        Ok(Self { input, volumes, free, open })
    }

    pub(super) fn cwd(&self) -> &Bytes {
        &self.input.request.cwd
    }

    pub(super) fn check(&self) -> Result<(), RehearseError> {
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
                && before.saturating_sub(free) > limit
            {
                // Others write as well; so it is counted.
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
