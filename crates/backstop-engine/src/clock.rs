//! The wall clock. `BACKSTOP_CLOCK` (seconds since 1970) holds it still for exact-output tests; it
//! only dates records and names runs: conflicts go by the file systems' own clocks, approvals by the real one.

use std::time::{SystemTime, UNIX_EPOCH};

use backstop_core::time::Timestamp;

/// Now, or as the tests have it.
pub fn now() -> Timestamp {
    if let Some(fixed) = std::env::var("BACKSTOP_CLOCK").ok().and_then(|t| t.parse().ok()) {
        return Timestamp::new(fixed, 0);
    }
    real()
}

/// Now, whatever the environment says: what people may do goes by it.
pub fn real() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(d) => Timestamp::new(i64::try_from(d.as_secs()).unwrap_or(i64::MAX), d.subsec_nanos()),
        Err(_) => Timestamp::default(),
    }
}
