//! The vaults: which there are, what they hold, and letting go of what is too old or too much. Never
//! lets go of what a held run needs.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use backstop_core::audit::Body;
use backstop_core::id::RunId;
use backstop_core::plan::{Plan, Volume};
use backstop_core::run::{RunRecord, State};
use backstop_sys::fs as sys;

use super::{Engine, Pruned, Unreachable, VaultStatus, VolumeStatus};
use crate::clock;
use crate::failure::Failure;
use crate::transaction::PLAN;
use crate::volume::{Leftover, OpenVolume, VolumeError, leftovers, reopen, tidy};

/// The file that lists the vaults, so that they are found again.
const VAULTS: &str = "vaults.json";
/// The file whose time says when the vaults were last looked after.
const STAMP: &str = "tended";
/// A run that keeps this much is reason to look after the vaults at once.
const BURST: u64 = 64 << 20;

impl Engine {
    /// Adds vaults that are not listed yet.
    pub(super) fn note_vaults(&self, volumes: &[Volume]) -> Result<(), Failure> {
        let is_in = |known: &[Volume], v: &Volume| known.iter().any(|k| k.vault_id == v.vault_id && k.root == v.root);
        let known = self.known_vaults()?;
        if volumes.iter().all(|v| is_in(&known, v)) {
            return Ok(());
        }
        let _lock = self.store.lock("vaults")?;
        // Once more, with the lock: another run may have added its own meanwhile.
        let mut known = self.known_vaults()?;
        let missing: Vec<&Volume> = volumes.iter().filter(|v| !is_in(&known, v)).collect();
        known.extend(missing.into_iter().cloned());
        let failed = |e: &dyn std::error::Error| Failure::because("cannot list the vaults", e);
        let bytes = serde_json::to_vec(&known).map_err(|e| failed(&e))?;
        let dir = sys::open_root(self.store.path()).map_err(|e| failed(&e))?;
        sys::write_replace(dir.as_fd(), VAULTS.as_bytes(), &bytes).map_err(|e| failed(&e))
    }

    /// The list; where it is missing or damaged, what the runs' plans name.
    fn known_vaults(&self) -> Result<Vec<Volume>, Failure> {
        let listed = match fs::read(self.store.path().join(VAULTS)) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Failure::because("cannot read the list of vaults", &e)),
        };
        if let Some(listed) = listed {
            return Ok(listed);
        }
        let mut found: Vec<Volume> = Vec::new();
        for id in self.store.ids()? {
            let plan: Option<Plan> = self.store.read_json(id, PLAN)?;
            for volume in plan.into_iter().flat_map(|p| p.volumes) {
                if !found.contains(&volume) {
                    found.push(volume);
                }
            }
        }
        Ok(found)
    }

    /// The vaults that are there now, and those that can't be opened.
    fn vaults(&self) -> Result<(Vec<OpenVolume>, Vec<Unreachable>), Failure> {
        let (mut open, mut unreachable) = (Vec::new(), Vec::new());
        for spec in self.known_vaults()? {
            match reopen(&spec) {
                Ok(volume) => open.push(volume),
                // A file system in memory took its vault along; there is nothing to come back to.
                Err(VolumeError::Gone { volatile: true, .. }) => {}
                Err(error) => {
                    let path = spec.root.join(spec.vault.as_slice());
                    let why = Failure::because("it can't be opened", &error).what;
                    unreachable.push(Unreachable { path, why });
                }
            }
        }
        Ok((open, unreachable))
    }

    /// Removes what a run left in any vault. Gives what could not be removed, as remarks.
    pub(super) fn sweep(&self, id: RunId, what: Leftover) -> Vec<String> {
        match self.vaults() {
            Ok((vaults, _)) => leftovers(&vaults, id, what),
            Err(failure) => vec![failure.what],
        }
    }

    /// What the vaults hold.
    pub fn vault_status(&self) -> Result<VaultStatus, Failure> {
        let mut volumes = Vec::new();
        let (vaults, unreachable) = self.vaults()?;
        for volume in vaults {
            let space = space(&volume)?;
            let runs = runs_in(&volume)?;
            let mut oldest = None;
            let mut used = 0;
            for (id, bytes) in &runs {
                used += bytes;
                if oldest.is_none()
                    && let Ok(record) = self.known(*id)
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
        Ok(VaultStatus { unreachable, volumes })
    }

    /// Lets go of preimages beyond the limits of age, size and free space, or all older than
    /// `older_than`; oldest runs first.
    pub fn prune(&mut self, older_than: Option<Duration>) -> Result<Pruned, Failure> {
        self.sound()?;
        let _lock = self.store.lock("apply")?;
        let age = older_than.unwrap_or(self.settings.vault_age);
        let mut gone: BTreeMap<RunId, u64> = BTreeMap::new();
        let (vaults, unreachable) = self.vaults()?;
        for volume in vaults {
            let mut space = space(&volume)?;
            let runs = runs_in(&volume)?;
            let mut used: u64 = runs.iter().map(|(_, bytes)| bytes).sum();
            let limit = space.total / 100 * u64::from(self.settings.vault_percent);
            let floor = space.total / 100 * u64::from(self.settings.free_percent);
            for (id, bytes) in runs {
                // One preimage that is gone makes the whole run impossible to take back.
                let due = used > limit || space.free < floor || gone.contains_key(&id);
                if !self.may_go(id, if due { Duration::ZERO } else { age }) {
                    continue;
                }
                tidy(&volume, id, Leftover::All).map_err(|e| Failure::because("cannot let go of preimages", &e))?;
                used -= bytes;
                space.free += bytes;
                *gone.entry(id).or_default() += bytes;
            }
        }
        Ok(Pruned { unreachable, ..self.let_go(gone)? })
    }

    /// Lets go of what is due, at most once an hour unless `last` may have filled a vault. What a vault
    /// holds is reckoned from the runs' records; every kept file is looked at only where that is too much.
    pub(super) fn tend(&mut self, last: &RunRecord) -> Result<(), Failure> {
        let stamp = self.store.path().join(STAMP);
        let hour = Duration::from_secs(3_600);
        let tended = fs::metadata(&stamp).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if tended.is_some_and(|ago| ago < hour) && kept(last) < BURST {
            return Ok(());
        }
        fs::write(&stamp, "").map_err(|e| Failure::because("cannot write into the state directory", &e))?;
        let (vaults, _) = self.vaults()?;
        for volume in &vaults {
            let space = space(volume)?;
            let records = ids_in(volume)?.into_iter().filter_map(|id| self.known(id).ok());
            let reckoned: u64 = records.map(|r| kept(&r)).sum();
            if space.free < space.total / 100 * u64::from(self.settings.free_percent)
                || reckoned > space.total / 100 * u64::from(self.settings.vault_percent)
            {
                return self.prune(None).map(|_| ());
            }
        }
        let _lock = self.store.lock("apply")?;
        let mut gone = BTreeMap::new();
        for volume in vaults {
            for id in ids_in(&volume)? {
                if self.may_go(id, self.settings.vault_age) {
                    tidy(&volume, id, Leftover::All).map_err(|e| Failure::because("cannot let go of preimages", &e))?;
                    gone.insert(id, 0);
                }
            }
        }
        self.let_go(gone).map(|_| ())
    }

    /// True when nobody needs what the vaults keep of a run, and it is as old as that.
    fn may_go(&self, id: RunId, age: Duration) -> bool {
        // Begun and not ended, its record may say anything; what it kept is what ends it.
        if !self.is_settled(id) {
            return false;
        }
        match self.record_if_any(id) {
            // A held run's bytes are not a copy of anything; a running one's are in use.
            Ok(Some(record)) if matches!(record.state, State::Held | State::Rehearsing | State::Allowed) => false,
            // A record from the future (the clock went back) is as young as can be.
            Ok(Some(record)) => {
                let seconds = clock::now().seconds_since(record.updated);
                age.is_zero() || u64::try_from(seconds).is_ok_and(|s| s >= age.as_secs())
            }
            // Without a record nobody can take the run back.
            Ok(None) => true,
            // One that can't be read may be mended.
            Err(_) => false,
        }
    }

    /// Notes that these runs can no longer be taken back.
    fn let_go(&mut self, gone: BTreeMap<RunId, u64>) -> Result<Pruned, Failure> {
        for id in gone.keys() {
            if let Ok(mut record) = self.known(*id) {
                record.let_go = true;
                self.save(&mut record, false)?;
            }
        }
        let pruned = Pruned { unreachable: Vec::new(), bytes: gone.values().sum(), runs: gone.into_keys().collect() };
        if !pruned.runs.is_empty() {
            self.records.write(&[Body::VaultPruned { bytes: pruned.bytes, runs: pruned.runs.clone() }])?;
        }
        Ok(pruned)
    }
}

/// What the vaults keep for a run at the most: what it took away or wrote over, and while it is held all
/// that it wrote.
fn kept(record: &RunRecord) -> u64 {
    let Some(totals) = &record.totals else { return 0 };
    let written = if record.state == State::Held { totals.created.bytes } else { 0 };
    totals.deleted.bytes.saturating_add(totals.changed.bytes).saturating_add(written)
}

fn space(volume: &OpenVolume) -> Result<sys::Space, Failure> {
    sys::space(volume.vault())
        .map_err(|e| Failure::because(format!("cannot measure {}", volume.root_path().quoted()), &e))
}

/// The runs that have something in a vault, oldest first.
fn ids_in(volume: &OpenVolume) -> Result<Vec<RunId>, Failure> {
    let path = volume.vault_path();
    let failed = |e: std::io::Error| Failure::because(format!("cannot list {}", path.quoted()), &e);
    let dir = sys::open_dir_read(volume.vault(), b"").map_err(failed)?;
    let mut ids = Vec::new();
    sys::read_dir::<std::io::Error>(dir.as_fd(), |e| {
        ids.extend(std::str::from_utf8(e.name).ok().and_then(RunId::parse));
        Ok(())
    })
    .map_err(failed)?;
    ids.sort_unstable();
    Ok(ids)
}

/// The same, with the allocated size of each.
fn runs_in(volume: &OpenVolume) -> Result<Vec<(RunId, u64)>, Failure> {
    let path = volume.vault_path();
    let failed = |e: std::io::Error| Failure::because(format!("cannot measure {}", path.quoted()), &e);
    let usage =
        |id: RunId| Ok((id, sys::tree_usage(volume.vault(), id.to_string().as_bytes(), u64::MAX).map_err(failed)?));
    ids_in(volume)?.into_iter().map(usage).collect()
}

#[cfg(test)]
mod tests;
