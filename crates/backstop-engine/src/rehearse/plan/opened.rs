//! Takes the places that a command in place may write to, gives how each is opened: the directory itself, and
//! what beneath it stays shut because it is another mount, or has to stay as it is.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use backstop_core::bytes::Bytes;
use backstop_core::policy::InPlace;
use backstop_sys::fs as sys;

/// A directory that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rehearse) struct Opened {
    /// Its real path.
    pub at: Bytes,
    /// True where the command gets an empty one of its own instead of the machine's.
    pub private: bool,
    /// What is there beneath it and stays read-only, the outer before the inner.
    pub shut: Vec<Bytes>,
}

/// Those that are there, the outer before the inner.
pub(super) fn opened(places: &InPlace, points: &[Bytes]) -> Vec<Opened> {
    let both = [(&places.open, false), (&places.private, true)];
    let all = both.into_iter().flat_map(|(list, private)| list.iter().map(move |at| (at, private)));
    let mut open: Vec<(&Bytes, bool)> = all.filter(|(at, _)| is_real_directory(at)).collect();
    open.sort();
    open.dedup_by(|a, b| a.0 == b.0);
    let one = |(at, private): &(&Bytes, bool)| {
        let beneath = |path: &Bytes| path != *at && path.is_beneath(at.as_slice());
        let shut = if *private { Vec::new() } else { shut(places, points, &beneath) };
        Opened { at: (*at).clone(), private: *private, shut }
    };
    open.iter().map(one).collect()
}

/// What is there of mounts and of what has to stay as it is; of a link, where it leads.
fn shut(places: &InPlace, points: &[Bytes], beneath: &dyn Fn(&Bytes) -> bool) -> Vec<Bytes> {
    let real = |path: &Bytes| fs::canonicalize(path.as_path()).ok().map(Bytes::from);
    let kept = places.shut.iter().filter_map(real);
    // What nobody can get to can't be written either: mounts in others' directories, and those that are gone.
    let there = |path: &Bytes| sys::stat_path(path.as_slice()).is_ok();
    let mut shut: Vec<Bytes> = points.iter().filter(|p| there(p)).cloned().chain(kept).filter(beneath).collect();
    shut.sort();
    shut.dedup();
    shut
}

/// No link on the way: an agent could have put one there, and would choose what is opened.
fn is_real_directory(path: &Bytes) -> bool {
    path.as_slice() != b"/" && sys::real_position(path.as_slice()).is_ok()
}

/// What has to stay as it is, as it was when the command began: a mount over it keeps the command out only
/// as long as nobody puts another file, or another directory above, in its place.
#[derive(Debug)]
pub(in crate::rehearse) struct Watch(Vec<(Bytes, Option<OwnedFd>)>);

impl Watch {
    /// Remembers what is there.
    pub fn start(places: &InPlace) -> Self {
        Self(places.shut.iter().map(|path| (path.clone(), sys::hold(path.as_slice()).ok())).collect())
    }

    /// The first place that is another now.
    pub fn other(&self) -> Option<&Bytes> {
        let same = |(path, was): &&(Bytes, Option<OwnedFd>)| {
            let now = sys::stat_path(path.as_slice()).ok();
            match (now, was.as_ref().map(|held| sys::stat_fd(held.as_fd()))) {
                (Some(now), Some(Ok(was))) => now.is_same(&was),
                (None, None) => true,
                _ => false,
            }
        };
        self.0.iter().find(|place| !same(place)).map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_open_nothing_and_mounts_and_guarded_places_stay_shut() {
        let dir = tempfile::tempdir().expect("temp");
        let base = Bytes::from(fs::canonicalize(dir.path()).expect("real"));
        let at = |name: &str| base.join(name.as_bytes());
        for name in ["ws", "ws/.git", "ws/mnt", "ws/dot", "keys", "tmp"] {
            fs::create_dir(at(name).as_path()).expect("dir");
        }
        symlink(at("keys").as_path(), at("cache").as_path()).expect("link");
        symlink(at("ws/dot").as_path(), at("ws/.claude").as_path()).expect("link");
        let places = InPlace {
            open: vec![at("ws"), at("cache"), at("cache/x"), at("gone"), Bytes::from("/")],
            private: vec![at("tmp")],
            shut: vec![at("ws/.git"), at("ws/.claude"), at("ws/.codex")],
        };
        let points = [at("ws/mnt"), at("ws/gone//deleted"), at("other"), at("ws")];
        let shut = vec![at("ws/.git"), at("ws/dot"), at("ws/mnt")];
        let expected =
            [Opened { at: at("tmp"), private: true, shut: Vec::new() }, Opened { at: at("ws"), private: false, shut }];
        assert_eq!(opened(&places, &points), expected);
    }

    #[test]
    fn whatever_takes_another_s_place_is_seen() {
        let dir = tempfile::tempdir().expect("temp");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("tools/rules")).expect("dir");
        fs::write(at("CLAUDE.md"), "old").expect("file");
        symlink("CLAUDE.md", at("AGENTS.md")).expect("link");
        let shut = ["tools/rules", "CLAUDE.md", "AGENTS.md", ".codex"].map(|name| Bytes::from(at(name)));
        let watch = || Watch::start(&InPlace { shut: shut.clone().into(), ..InPlace::default() });
        let quiet = watch();
        fs::write(at("CLAUDE.md"), "written in place, by a person: the command can't").expect("write");
        assert_eq!(quiet.other(), None);
        let acts: [(&dyn Fn(), usize); 4] = [
            (&|| fs::rename(at("tools"), at("t2")).expect("rename"), 0),
            (
                &|| {
                    fs::write(at("new"), "x").expect("write");
                    fs::rename(at("new"), at("CLAUDE.md")).expect("rename")
                },
                1,
            ),
            (
                &|| {
                    fs::remove_file(at("AGENTS.md")).expect("rm");
                    fs::write(at("AGENTS.md"), "x").expect("write")
                },
                2,
            ),
            (&|| fs::create_dir(at(".codex")).expect("mkdir"), 3),
        ];
        for (act, hit) in acts {
            let watch = watch();
            act();
            assert_eq!(watch.other(), Some(&shut[hit]));
        }
    }
}
