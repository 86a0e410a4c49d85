//! Takes a directory to work in, gives a private one below it with a workspace, a state directory and
//! a home for each user that is measured, and removes exactly that again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps;

/// The bench's own directory.
pub struct Scratch {
    /// Where everything lies.
    pub dir: PathBuf,
    /// A copy of the measured binary that every user can execute.
    pub bin: PathBuf,
    /// A copy of this program, for `overlay`.
    pub xtask: PathBuf,
    mounted: bool,
}

impl Scratch {
    /// Makes it, on an ext4 image where `image` says how many MiB.
    pub fn make(parent: &Path, image: Option<u32>, bin: &Path) -> Result<Self, String> {
        let dir = parent.join(format!("backstop-bench-{}", std::process::id()));
        fs::create_dir(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        let mut scratch = Self { bin: dir.join("on/backstop"), xtask: dir.join("on/xtask"), dir, mounted: false };
        let on = scratch.dir.join("on");
        make(&on)?;
        if let Some(mib) = image {
            let file = scratch.dir.join("image");
            steps::run(Command::new("truncate").arg(format!("--size={mib}M")).arg(&file))?;
            steps::run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&file))?;
            steps::run(Command::new("mount").args(["-o", "loop"]).arg(&file).arg(&on))?;
            scratch.mounted = true;
            open(&on)?;
        }
        fs::copy(bin, &scratch.bin).map_err(|e| format!("cannot copy {}: {e}", bin.display()))?;
        let own = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
        fs::copy(&own, &scratch.xtask).map_err(|e| format!("cannot copy {}: {e}", own.display()))?;
        Ok(scratch)
    }

    /// A user's own directory: `home`, `state` and `ws` lie in it.
    pub fn own(&self, uid: u32) -> Result<PathBuf, String> {
        let dir = self.own_path(uid);
        if !dir.exists() {
            for name in ["", "home", "state", "ws", "out"] {
                let path = dir.join(name);
                make(&path)?;
                chown(&path, Some(uid), Some(uid)).map_err(|e| format!("cannot give away {}: {e}", path.display()))?;
            }
        }
        Ok(dir)
    }

    /// Beside the bench's directory and not in it: an overlay of a user namespace can't copy up a
    /// directory that another user owns (EOVERFLOW), and the bench's may be root's.
    fn own_path(&self, uid: u32) -> PathBuf {
        if self.mounted {
            return self.dir.join("on").join(format!("user-{uid}"));
        }
        let mut name = self.dir.clone().into_os_string();
        name.push(format!("-user-{uid}"));
        PathBuf::from(name)
    }

    /// Removes it.
    pub fn remove(self, users: &[u32]) -> Result<(), String> {
        if self.mounted {
            steps::run(Command::new("umount").arg(self.dir.join("on")))?;
        }
        // `rm` and not the library: a work directory of an overlay has mode 000, and a tree of a
        // million files is nothing to recurse over twice.
        let own = users.iter().map(|uid| self.own_path(*uid));
        steps::run(Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(&self.dir).args(own))
    }
}

/// Makes a directory that everybody may enter.
pub fn make(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
    open(path)
}

fn open(path: &Path) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|e| format!("cannot open {}: {e}", path.display()))
}
