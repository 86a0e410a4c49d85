//! Takes a package of npm and its version, gives the directory it is installed in: once, whoever comes first,
//! and again only when the version is another. Never runs a package's own install scripts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::arena::PATH;
use crate::{Broken, bounded, guard};

/// The largest client takes a minute on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Says that the installation was not cut short, and of what.
const WHOLE: &str = "installed";

/// The directory that holds a package's `node_modules`, below `place`.
///
/// `once` is run there with an environment and a home of its own.
pub fn install(place: &Path, name: &str, package: &str, once: Option<&str>) -> Result<PathBuf, Broken> {
    let dir = place.join(name);
    let io = |what: &str| Broken::io(format!("{what} {}", dir.display()));
    fs::create_dir_all(place).map_err(io("make the place of"))?;
    let lock = File::create(place.join(format!("{name}.lock"))).map_err(io("open the lock of"))?;
    lock.lock().map_err(io("lock"))?;
    let made = format!("{package}\n{}\n", once.unwrap_or_default());
    if fs::read_to_string(dir.join(WHOLE)).is_ok_and(|whole| whole == made) {
        return Ok(dir);
    }
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove the old")(error)),
        _ => {}
    }
    fs::create_dir(&dir).map_err(io("make"))?;
    fs::write(dir.join("package.json"), "{\"private\": true}\n").map_err(io("write into"))?;
    npm(&dir, package)?;
    if let Some(line) = once {
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).current_dir(&dir).env_clear();
        bash.env("PATH", PATH).env("HOME", dir.join("home"));
        bounded::run(&mut bash, LIMIT)?.must(&format!("making {package} ready"))?;
    }
    fs::write(dir.join(WHOLE), made).map_err(io("write into"))?;
    Ok(dir)
}

fn npm(dir: &Path, package: &str) -> Result<(), Broken> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]);
    npm.args(["--loglevel", "error", package]).current_dir(dir);
    match bounded::run(&mut npm, LIMIT) {
        Err(Broken::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(Broken::Step {
            what: format!("installing {package}"),
            said: "npm is missing; `cargo xtask test` brings it (Debian: nodejs and npm)".to_owned(),
        }),
        said => said?.must(&format!("installing {package} with npm")).map(|_| ()),
    }
}

/// `target/agents`, beside the profile that this program was built with.
pub fn place() -> Result<PathBuf, Broken> {
    let profile = guard::profile().map_err(Broken::io("find this program"))?;
    Ok(profile.parent().unwrap_or(Path::new("target")).join("agents"))
}
