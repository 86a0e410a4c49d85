//! The wall clock, and those that setting it does not move. Conflicts go by the file systems' own clocks.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use backstop_core::audit::Clocks;
use backstop_core::time::Timestamp;
use backstop_sys::process;

/// Now.
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(d) => Timestamp::new(i64::try_from(d.as_secs()).unwrap_or(i64::MAX), d.subsec_nanos()),
        Err(_) => Timestamp::default(),
    }
}

/// What this machine's own clocks say.
pub fn clocks() -> io::Result<Clocks> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(Clocks { awake: process::awake().as_secs(), boot: boot.trim().to_owned(), up: process::up().as_secs() })
}
