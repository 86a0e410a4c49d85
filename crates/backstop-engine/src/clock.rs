//! The wall clock, and those that setting it does not move. Conflicts go by the file systems' own clocks.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use backstop_core::audit::Clocks;
use backstop_core::time::Timestamp;
use backstop_sys::process;

use crate::failure::Failure;

/// Now.
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(d) => Timestamp::new(i64::try_from(d.as_secs()).unwrap_or(i64::MAX), d.subsec_nanos()),
        Err(_) => Timestamp::default(),
    }
}

/// What this machine's own clocks say.
pub fn clocks() -> Result<Clocks, Failure> {
    let read = |path: &str| fs::read_to_string(path).map_err(|e| Failure::because(format!("cannot read {path}"), &e));
    let up = read("/proc/uptime")?;
    let up = up.split('.').next().and_then(|s| s.parse().ok());
    let up = up.ok_or_else(|| Failure::internal("/proc/uptime makes no sense"))?;
    let boot = read("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(Clocks { awake: process::awake().as_secs(), boot, up })
}
