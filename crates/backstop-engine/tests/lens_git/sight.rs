//! Takes a played scene, gives what the git lens sees of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;

use backstop_core::bytes::Bytes;
use backstop_core::effect::FileType;
use backstop_engine::facts::git::{FileFate, GitSeen, Limits, Lost, Watch, look};

use crate::scene::Scene;

/// What the lens saw of it.
#[derive(Debug)]
pub struct Sight {
    pub fates: BTreeMap<FileFate, BTreeSet<String>>,
    pub seen: GitSeen,
}

impl Scene {
    /// Looks, taking directories of these names for regenerable.
    pub fn look(&self, limits: &Limits, regenerable: &[String]) -> Sight {
        let mut fates: BTreeMap<FileFate, BTreeSet<String>> = BTreeMap::new();
        let again = |p: &Bytes| {
            p.as_path()
                .components()
                .any(|c| regenerable.iter().any(|r| c.as_os_str().as_encoded_bytes() == r.as_bytes()))
        };
        let mut notes = Notes { fates: &mut fates, work: &self.trees.work };
        let seen = look(&self.effects, &self.trees, limits, &again, &mut notes);
        assert!(self.dir.path().exists());
        Sight { fates, seen }
    }
}

struct Notes<'a> {
    fates: &'a mut BTreeMap<FileFate, BTreeSet<String>>,
    work: &'a PathBuf,
}

impl Watch for Notes<'_> {
    fn dir(&mut self, _: &Bytes, _: &[(Bytes, FileType)]) {}

    fn file(&mut self, lost: &Lost, _: Option<&File>) {
        let path = lost.path.as_path();
        let rel = path.strip_prefix(self.work).expect("in the tree").to_str().expect("plain names");
        self.fates.entry(lost.fate).or_default().insert(rel.to_owned());
    }
}
