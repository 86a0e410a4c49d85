//! Gives the places of this checkout, and `cargo` as it was called. Never guesses from the current
//! directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where builds go.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// `cargo`, started at the repository's root.
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The profile that all test binaries are built with: see `Cargo.toml`.
pub const PROFILE: &str = "ci";

/// The command that builds the programs. With an example among them cargo chooses the features that the tests' build has;
/// otherwise every dependency would be built twice.
pub fn programs() -> Command {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins", "--example", "arena", "--profile", PROFILE]);
    command
}
