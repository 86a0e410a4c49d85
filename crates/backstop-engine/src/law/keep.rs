//! What is remembered of rules between runs, below the state directory, where no command reaches: which
//! sets passed every check, the last good set of the machine's, which sets are in the audit log.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use backstop_core::digest::Digest;
use backstop_core::policy::law::{self, Profile, Source};
use backstop_sys::fs as sys;

/// Sets beyond this are forgotten, the oldest first: they are checked, or recorded, once more.
const MOST: usize = 256;

#[derive(Debug)]
pub(super) struct Keep {
    dir: PathBuf,
    profile: Profile,
}

impl Keep {
    /// The memory below `state`; made when first written.
    pub fn new(state: &Path, profile: Profile) -> Self {
        Self { dir: state.join("law"), profile }
    }

    /// True where this very set passed the full check by this version of the program.
    pub fn is_checked(&self, digest: Digest) -> bool {
        self.has(&checked(), &digest.hex())
    }

    /// Remembers that it did.
    pub fn checked(&self, digest: Digest) -> io::Result<()> {
        self.add(&checked(), &digest.hex())
    }

    /// True where the audit log has this set already.
    pub fn is_recorded(&self, how: &str, digest: Digest) -> bool {
        self.has("recorded", &format!("{how} {}", digest.hex()))
    }

    /// Remembers that it does.
    pub fn recorded(&self, how: &str, digest: Digest) -> io::Result<()> {
        self.add("recorded", &format!("{how} {}", digest.hex()))
    }

    /// The machine's files as they were when they last passed.
    pub fn last_good(&self) -> Option<Vec<Source>> {
        serde_json::from_slice(&fs::read(self.dir.join(self.good_name())).ok()?).ok()
    }

    /// Keeps them, at each run: what held before the last change is what a fall-back stands on.
    pub fn good(&self, sources: &[Source]) -> io::Result<()> {
        let name = format!("good-{}.id", self.profile.name());
        let id = law::digest(sources).hex();
        if fs::read_to_string(self.dir.join(&name)).is_ok_and(|kept| kept == id) {
            return Ok(());
        }
        let text = serde_json::to_vec(sources).map_err(io::Error::from)?;
        self.write(&self.good_name(), &text)?;
        // After them: cut off in between, they are written once more.
        self.write(&name, id.as_bytes())
    }

    fn good_name(&self) -> String {
        format!("good-{}.json", self.profile.name())
    }

    fn has(&self, name: &str, line: &str) -> bool {
        self.lines(name).iter().any(|l| l == line)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn add(&self, name: &str, line: &str) -> io::Result<()> {
        let mut lines = self.lines(name);
        lines.retain(|l| l != line);
        lines.push(line.to_owned());
        let from = lines.len().saturating_sub(MOST);
        self.write(name, format!("{}\n", lines[from..].join("\n")).as_bytes())
    }

    fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let dir = sys::open_root(&self.dir)?;
        sys::write_replace(dir.as_fd(), name.as_bytes(), text)
    }
}

/// Another version may know other facts, so it checks anew.
fn checked() -> String {
    format!("checked-{}-{}", env!("CARGO_PKG_VERSION"), backstop_core::facts::VERSION)
}
