//! Any bytes in one of git's own files, read by the git lens. The claims are those of the ordinary tests,
//! in the same file.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/backstop-engine/tests/lens_git/props.rs"]
mod props;
#[path = "../../crates/backstop-engine/tests/lens_git/scene.rs"]
mod scene;
#[path = "../../crates/backstop-engine/tests/lens_git/sight.rs"]
mod sight;
#[path = "../../crates/backstop-engine/tests/lens_git/trees.rs"]
mod trees;

fuzz_target!(|data: &[u8]| props::holds(data));
