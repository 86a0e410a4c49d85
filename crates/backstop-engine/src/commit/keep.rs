//! Keeps the content that a plan will write over: a copy in the vault, by reflink where the file
//! system can, durable before the journal's intent.

use std::io;
use std::os::fd::AsFd;

use backstop_core::plan::Plan;
use backstop_sys::fs as sys;

use super::{CommitError, Sites, at_place, at_slot};
use crate::fault;

/// From so many copies on, one sync of the file system is cheaper than one per file.
const MANY: usize = 16;

/// Makes all copies.
pub(crate) fn keep(plan: &Plan, sites: &Sites, progress: &mut dyn FnMut(u64)) -> Result<(), CommitError> {
    let mut bytes = 0;
    for site in sites {
        site.make_keep()?;
    }
    let each = plan.keeps.len() < MANY;
    for keep in &plan.keeps {
        let (Some(from), Some(to)) = (at_place(sites, &keep.from)?, at_slot(sites, &keep.to)?) else {
            continue;
        };
        let source = sys::open_file(from.dir(), &from.name).map_err(from.step("read"))?;
        let stat = sys::stat_fd(source.as_fd()).map_err(from.step("look at"))?;
        if stat.ino != keep.ino {
            return Err(from.conflict("something else is there now"));
        }
        fault::point("keep.copy").map_err(to.step("keep a copy in"))?;
        // A copy that an earlier, interrupted attempt left is made anew.
        match sys::remove_file(to.dir(), &to.name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(to.step("remove")(e)),
            _ => {}
        }
        let copy = sys::create_file(to.dir(), &to.name).map_err(to.step("keep a copy in"))?;
        sys::clone_or_copy(source.as_fd(), copy.as_fd()).map_err(to.step("keep a copy in"))?;
        bytes += stat.size;
        progress(bytes);
        if each {
            sys::sync_file(copy.as_fd()).map_err(to.step("sync"))?;
        }
    }
    // The copies' names, or (many) all of it.
    for (index, site) in sites.iter().enumerate() {
        let used = plan.keeps.iter().any(|k| usize::from(k.to.vol) == index);
        if let (true, Some(run)) = (used, site.run_dir()) {
            let step = |source| CommitError::Step { what: "sync what was kept on", path: site.root.clone(), source };
            fault::point("keep.sync").map_err(step)?;
            if each {
                let keep = sys::open_dir(run, b"keep").map_err(step)?;
                sys::sync_dir(keep.as_fd()).and_then(|()| sys::sync_dir(run)).map_err(step)?;
            } else {
                sys::sync_fs(run).map_err(step)?;
            }
        }
    }
    Ok(())
}
