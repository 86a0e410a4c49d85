//! The scratch data of the drill: a web folder whose `temp` is a link to a live database's
//! directory. All of it lies in one new temporary directory.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_engine::Failure;
use tempfile::TempDir;

use super::failure;
use super::live::Live;

/// The shop.
pub struct Scene {
    /// What the agent runs.
    pub command: Bytes,
    /// The database's directory.
    pub database: Bytes,
    /// `temp` in the web folder.
    pub link: Bytes,
    /// The database in use.
    pub live: Live,
    /// Everything that must come back: web folder and database.
    pub shop: PathBuf,
    /// Backstop's state for this drill.
    pub state: PathBuf,
    /// The web folder, the agent's workspace.
    pub web: Bytes,
    dir: TempDir,
}

impl Scene {
    /// Makes the shop with `files` files beneath the database's directory.
    pub fn make(parent: Option<&Path>, files: u32) -> Result<Self, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("backstop-drill-");
        let dir = match parent {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        }
        .map_err(|e| failure("make its scratch directory", &e).next("backstop drill incident --dir DIR"))?;
        // The real place: what is compared with effects has no link in it.
        let base = dir.path().canonicalize().map_err(|e| failure("find its scratch directory", &e))?;
        let (web, database) = (base.join("shop/www"), base.join("shop/db"));
        fill(&web, &database, files).map_err(|e| failure("make its scratch data", &e))?;
        let live = Live::make(database.join("shop.sqlite"))?;
        // The answer comes when all statements before are done.
        live.count()?;
        let link = web.join("temp");
        Ok(Self {
            command: Bytes::new([b"rm -rf ", Bytes::from(link.as_path()).as_slice(), b"/*"].concat()),
            database: database.into(),
            link: link.into(),
            live,
            shop: base.join("shop"),
            state: base.join("state"),
            web: web.into(),
            dir,
        })
    }

    /// Stops the database and takes the scratch directory away.
    pub fn clear(self) -> Result<(), Failure> {
        let Self { live, dir, .. } = self;
        drop(live);
        // The kernel leaves an overlay's work directory without any right, which only root gets past.
        open_up(dir.path());
        dir.close().map_err(|e| failure("take its scratch directory away", &e))
    }
}

/// Gives the owner every right on the directories beneath `root`; what can't be changed shows when
/// it can't be removed.
fn open_up(root: &Path) {
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        if fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).is_err() {
            continue;
        }
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        todo.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
}

fn fill(web: &Path, database: &Path, files: u32) -> std::io::Result<()> {
    fs::create_dir_all(web.join("css"))?;
    fs::create_dir_all(database)?;
    fs::write(web.join("index.html"), "<!doctype html><title>Shop</title><h1>Shop</h1>\n")?;
    fs::write(web.join("css/shop.css"), "h1 { color: teal }\n")?;
    symlink(database, web.join("temp"))?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for n in 0..files {
        let folder = database.join(format!("invoices/{:02x}", n % 64));
        if n < 64 {
            fs::create_dir_all(&folder)?;
        }
        let length = 200 + random.next() as usize % 8_000;
        fs::write(folder.join(format!("{:06}.pdf", 100_000 + n)), random.bytes(length))?;
    }
    // Modes and an own link group that undo must give back as well.
    fs::set_permissions(database, fs::Permissions::from_mode(0o700))?;
    fs::write(database.join("server.key"), random.bytes(1_700))?;
    fs::set_permissions(database.join("server.key"), fs::Permissions::from_mode(0o600))?;
    fs::hard_link(database.join("server.key"), database.join("server.key.current"))
}

/// xorshift64*: the same scratch data every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::with_capacity(length + 8);
        while all.len() < length {
            all.extend_from_slice(&self.next().to_le_bytes());
        }
        all.truncate(length);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::manifest::Manifest;

    #[test]
    fn the_scene_is_as_told_and_goes_away() {
        let scene = Scene::make(None, 100).expect("scene");
        let before = Manifest::of(&scene.shop).expect("manifest");
        assert!(before.files() >= 104, "{}", before.files());
        assert_eq!(scene.link.as_path().canonicalize().expect("link"), scene.database.as_path());
        if let Some(orders) = scene.live.count().expect("count") {
            assert!(orders.starts_with("24000 orders"), "{orders}");
            assert_eq!(scene.live.check().expect("check"), "ok");
        }
        // Looking at the database changes nothing of it.
        assert_eq!(before.differences(&Manifest::of(&scene.shop).expect("again")), Vec::<String>::new());
        let dir = scene.dir.path().to_path_buf();
        scene.clear().expect("cleared");
        assert!(!dir.exists());
    }
}
