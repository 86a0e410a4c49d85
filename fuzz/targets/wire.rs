//! Any bytes that a caller sends to the daemon's socket. The claims are those of the ordinary tests, in the same file.
#![no_main]

use backstop_engine::daemon::heard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    heard::hear(data);
});
