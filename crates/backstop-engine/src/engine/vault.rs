//! The vaults: which there are, what they hold, and letting go of what is too old or too much. Never
//! lets go of what a held run needs.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use backstop_core::audit::Body;
use backstop_core::id::RunId;
use backstop_core::plan::Volume;
use backstop_core::run::State;
use backstop_sys::fs as sys;

use super::{Engine, Pruned, VaultStatus, VolumeStatus};
use crate::clock;
use crate::failure::Failure;
use crate::volume::{Leftover, OpenVolume, owner, reopen, tidy};

/// The file that lists the vaults, so that they are found again.
const VAULTS: &str = "vaults.json";
/// The file whose time says when the vaults were last looked after.
const STAMP: &str = "tended";

impl Engine {
    /// Adds vaults that are not listed yet.
    pub(super) fn note_vaults(&self, volumes: &[Volume]) -> Result<(), Failure> {
        let mut known = self.known_vaults();
        let before = known.len();
        for volume in volumes {
            if !known.iter().any(|k| k.vault_id == volume.vault_id && k.root == volume.root) {
                known.push(volume.clone());
            }
        }
        if known.len() == before {
            return Ok(());
        }
        let _lock = self.store.lock("vaults")?;
        let failed = |e: &dyn std::error::Error| Failure::because("cannot list the vaults", e);
        let bytes = serde_json::to_vec(&known).map_err(|e| failed(&e))?;
        let dir = sys::open_root(self.store.path()).map_err(|e| failed(&e))?;
        sys::write_replace(dir.as_fd(), VAULTS.as_bytes(), &bytes).map_err(|e| failed(&e))
    }

    /// The list; a damaged or missing one is made anew as runs come.
    fn known_vaults(&self) -> Vec<Volume> {
        let bytes = fs::read(self.store.path().join(VAULTS)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The vaults that are there now.
    fn vaults(&self) -> Vec<OpenVolume> {
        // A file system that is not mounted, or another one in its place, has nothing to show.
        self.known_vaults().iter().filter_map(|v| reopen(v).ok()).collect()
    }

    /// Removes what a run left in any vault. What can't be removed stays for `vault prune`.
    pub(super) fn sweep(&self, id: RunId, what: Leftover) {
        for volume in self.vaults() {
            let others = volume.is_others(id, owner(&self.settings.state).as_slice());
            if others || tidy(&volume, id, what).is_err() {
                continue;
            }
        }
    }

    /// What the vaults hold.
    pub fn vault_status(&self) -> Result<VaultStatus, Failure> {
        let mut volumes = Vec::new();
        for volume in self.vaults() {
            let space = space(&volume)?;
            let runs = runs_in(&volume, owner(&self.settings.state).as_slice())?;
            let mut oldest = None;
            let mut used = 0;
            for (id, bytes) in &runs {
                used += bytes;
                if oldest.is_none()
                    && let Ok(record) = self.record(*id)
                    && record.state == State::Committed
                    && !record.let_go
                {
                    oldest = Some((*id, record.started));
                }
            }
            volumes.push(VolumeStatus {
                path: volume.vault_path(),
                fs: volume.spec().fs.clone(),
                used,
                limit: space.total / 100 * u64::from(self.settings.vault_percent),
                free: space.free,
                runs: runs.len() as u64,
                oldest,
            });
        }
        Ok(VaultStatus { volumes })
    }

    /// Lets go of preimages beyond the limits of age, size and free space, or all older than
    /// `older_than`; oldest runs first.
    pub fn prune(&mut self, older_than: Option<Duration>) -> Result<Pruned, Failure> {
        let _lock = self.store.lock("apply")?;
        let age = older_than.unwrap_or(self.settings.vault_age);
        let mut gone: BTreeMap<RunId, u64> = BTreeMap::new();
        for volume in self.vaults() {
            let mut space = space(&volume)?;
            let runs = runs_in(&volume, owner(&self.settings.state).as_slice())?;
            let mut used: u64 = runs.iter().map(|(_, bytes)| bytes).sum();
            let limit = space.total / 100 * u64::from(self.settings.vault_percent);
            let floor = space.total / 100 * u64::from(self.settings.free_percent);
            for (id, bytes) in runs {
                // One preimage that is gone makes the whole run impossible to take back.
                let due = self.is_old(id, age) || used > limit || space.free < floor || gone.contains_key(&id);
                if !due || self.is_needed(id) {
                    continue;
                }
                tidy(&volume, id, Leftover::All).map_err(|e| Failure::because("cannot let go of preimages", &e))?;
                used -= bytes;
                space.free += bytes;
                *gone.entry(id).or_default() += bytes;
            }
        }
        self.let_go(gone)
    }

    /// Lets go of what is due, at most once an hour unless a file system runs short of space. By age
    /// alone, which takes no look at every kept file.
    pub(super) fn tend(&mut self) -> Result<(), Failure> {
        let stamp = self.store.path().join(STAMP);
        let hour = Duration::from_secs(3_600);
        let tended = fs::metadata(&stamp).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if tended.is_some_and(|ago| ago < hour) {
            return Ok(());
        }
        fs::write(&stamp, "").map_err(|e| Failure::because("cannot write into the state directory", &e))?;
        let short =
            |v: &OpenVolume| space(v).is_ok_and(|s| s.free < s.total / 100 * u64::from(self.settings.free_percent));
        if self.vaults().iter().any(short) {
            return self.prune(None).map(|_| ());
        }
        let _lock = self.store.lock("apply")?;
        let mut gone = BTreeMap::new();
        for volume in self.vaults() {
            for id in ids_in(&volume, owner(&self.settings.state).as_slice())? {
                if self.is_old(id, self.settings.vault_age) && !self.is_needed(id) {
                    tidy(&volume, id, Leftover::All).map_err(|e| Failure::because("cannot let go of preimages", &e))?;
                    gone.insert(id, 0);
                }
            }
        }
        self.let_go(gone).map(|_| ())
    }

    /// A held run's bytes are not a copy of anything; a running one's are in use.
    fn is_needed(&self, id: RunId) -> bool {
        self.record(id).is_ok_and(|r| matches!(r.state, State::Held | State::Rehearsing))
    }

    fn is_old(&self, id: RunId, age: Duration) -> bool {
        // What has no record any more nobody can take back.
        self.record(id)
            .ok()
            .is_none_or(|r| u64::try_from(clock::now().seconds_since(r.updated)).is_ok_and(|s| s >= age.as_secs()))
    }

    /// Notes that these runs can no longer be taken back.
    fn let_go(&mut self, gone: BTreeMap<RunId, u64>) -> Result<Pruned, Failure> {
        for id in gone.keys() {
            if let Ok(mut record) = self.record(*id) {
                record.let_go = true;
                self.save(&mut record, false)?;
            }
        }
        let pruned = Pruned { bytes: gone.values().sum(), runs: gone.into_keys().collect() };
        if !pruned.runs.is_empty() {
            self.records.write(&[Body::VaultPruned { bytes: pruned.bytes, runs: pruned.runs.clone() }])?;
        }
        Ok(pruned)
    }
}

fn space(volume: &OpenVolume) -> Result<sys::Space, Failure> {
    sys::space(volume.vault())
        .map_err(|e| Failure::because(format!("cannot measure {}", volume.root_path().quoted()), &e))
}

/// The runs of the state directory at `owner` that have something in a vault, oldest first; also those
/// whose state directory nobody knows.
fn ids_in(volume: &OpenVolume, owner: &[u8]) -> Result<Vec<RunId>, Failure> {
    let path = volume.vault_path();
    let failed = |e: std::io::Error| Failure::because(format!("cannot list {}", path.quoted()), &e);
    let dir = sys::open_dir_read(volume.vault(), b"").map_err(failed)?;
    let mut ids = Vec::new();
    sys::read_dir::<std::io::Error>(dir.as_fd(), |e| {
        ids.extend(std::str::from_utf8(e.name).ok().and_then(RunId::parse));
        Ok(())
    })
    .map_err(failed)?;
    ids.retain(|id| !volume.is_others(*id, owner));
    ids.sort_unstable();
    Ok(ids)
}

/// The same, with the allocated size of each.
fn runs_in(volume: &OpenVolume, owner: &[u8]) -> Result<Vec<(RunId, u64)>, Failure> {
    let path = volume.vault_path();
    let failed = |e: std::io::Error| Failure::because(format!("cannot measure {}", path.quoted()), &e);
    let usage =
        |id: RunId| Ok((id, sys::tree_usage(volume.vault(), id.to_string().as_bytes(), u64::MAX).map_err(failed)?));
    ids_in(volume, owner)?.into_iter().map(usage).collect()
}
