//! Any bytes before and after a change of a file that a lens of core reads. The claims are those of the
//! ordinary tests, in the same file.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/backstop-core/tests/lens/props.rs"]
mod props;

fuzz_target!(|data: &[u8]| props::holds(data));
