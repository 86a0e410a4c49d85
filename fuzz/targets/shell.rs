//! Any bytes as a shell line: it is read, its spans lie within, every service answers. The claims are
//! those of the property tests, in the same file.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/backstop-core/tests/shell/props.rs"]
mod props;

fuzz_target!(|text: &[u8]| props::holds(text));
