//! Finds the `backstop` program under test and tells whether this machine can run the tests.
//! Never builds and never installs anything.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::Broken;

const INSIDE: &str = "BACKSTOP_E2E_NAMESPACE";

/// Where the programs of this build are: `target/PROFILE`. A test's own lies one deeper, in `deps`.
pub fn profile() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own.parent().unwrap_or(&own);
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir }.to_path_buf())
}

/// The program under test: `$BACKSTOP_BIN`, else the one in the target directory of this build.
///
/// # Panics
/// Where there is none, with what to do.
pub fn binary() -> PathBuf {
    let found = match std::env::var_os("BACKSTOP_BIN") {
        Some(path) => Some(PathBuf::from(path)),
        None => profile().ok().map(|dir| dir.join("backstop")),
    };
    match found.as_ref().and_then(|p| p.canonicalize().ok()) {
        Some(path) if path.is_file() => path,
        _ => panic!("no backstop program at {found:?}: run `cargo build -p backstop`, or set BACKSTOP_BIN"),
    }
}

/// A package of the distribution's that was unpacked and not installed, since its service would begin.
///
/// # Errors
/// Where it is not there, with what to do.
pub fn unpacked(package: &str) -> Result<PathBuf, Broken> {
    let place = profile().map_err(Broken::io("find what was built"))?.join("../unpacked").join(package);
    let found = place.canonicalize();
    found.map_err(Broken::io(format!("find {package} unpacked (`cargo xtask test` does it, in its first step)")))
}

/// Why this machine cannot run tests in throw-away roots; none where it can.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("throw-away roots need root (mount, loop devices)".to_owned());
    }
    if !std::path::Path::new("/dev/loop-control").exists() {
        return Some("this machine has no loop devices".to_owned());
    }
    let programs = ["unshare", "mount", "umount", "pivot_root", "setpriv", "mkfs.ext4", "python3", "git", "gcc"];
    let absent: Vec<_> = programs.into_iter().filter(|p| !installed(p)).collect();
    (!absent.is_empty()).then(|| format!("these programs are missing: {}", absent.join(", ")))
}

/// True when `program` is on the path the tests use.
pub fn installed(program: &str) -> bool {
    crate::arena::PATH.split(':').any(|d| std::path::Path::new(d).join(program).is_file())
}

/// Starts this test binary anew in a mount namespace of its own, so that nothing it mounts is seen
/// by, or outlives it in, the machine. Returns in the new one, or at once where root is missing.
pub fn enter_own_mounts() {
    if !rustix::process::geteuid().is_root() || std::env::var_os(INSIDE).is_some() {
        return;
    }
    let own = std::env::current_exe().unwrap_or_else(|e| panic!("cannot find this test binary: {e}"));
    let error = Command::new("unshare")
        .args(["-m", "--propagation", "private"])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    panic!("cannot run unshare: {error}");
}
