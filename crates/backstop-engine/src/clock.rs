//! The wall clock. Conflicts go by the file systems' own clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use backstop_core::time::Timestamp;

/// Now.
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(d) => Timestamp::new(i64::try_from(d.as_secs()).unwrap_or(i64::MAX), d.subsec_nanos()),
        Err(_) => Timestamp::default(),
    }
}
