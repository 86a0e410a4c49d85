//! Takes the places that a command in place may write to, gives how each is opened: the directory itself,
//! and what beneath it stays shut because it is another mount, or has to stay as it is.

use std::fs;

use backstop_core::bytes::Bytes;
use backstop_core::policy::InPlace;

/// A directory of the machine that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rehearse) struct Opened {
    /// Its real path.
    pub at: Bytes,
    /// What is there beneath it and stays read-only, the outer before the inner.
    pub shut: Vec<Bytes>,
}

/// Those that are there, the outer before the inner.
pub(super) fn opened(places: &InPlace, points: &[Bytes]) -> Vec<Opened> {
    let mut open: Vec<&Bytes> = places.open.iter().filter(|place| is_real_directory(place)).collect();
    open.sort();
    open.dedup();
    let one = |at: &&Bytes| {
        let beneath = |path: &&Bytes| path != at && path.is_beneath(at.as_slice());
        // A link that leads out of the place leads to what is shut anyway.
        let there = |path: &&Bytes| path.as_path().symlink_metadata().is_ok_and(|m| !m.is_symlink());
        let kept = places.shut.iter().filter(there);
        let mut shut: Vec<Bytes> = points.iter().chain(kept).filter(beneath).cloned().collect();
        shut.sort();
        shut.dedup();
        Opened { at: (*at).clone(), shut }
    };
    open.iter().map(one).collect()
}

/// No link on the way: an agent could have put one there, and would choose what is opened.
fn is_real_directory(path: &Bytes) -> bool {
    path.as_slice() != b"/"
        && path.as_path().is_dir()
        && fs::canonicalize(path.as_path()).is_ok_and(|real| Bytes::from(real) == *path)
}

/// What has to stay away and is there: something to stop a command for that made it.
pub(in crate::rehearse) fn planted(absent: &[Bytes]) -> Option<Bytes> {
    absent.iter().find(|path| path.as_path().symlink_metadata().is_ok()).cloned()
}

/// Of what has to stay as it is, what is not there, so that nothing can be put over it.
pub(in crate::rehearse) fn absent(places: &InPlace) -> Vec<Bytes> {
    places.shut.iter().filter(|path| path.as_path().symlink_metadata().is_err()).cloned().collect()
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
        for name in ["ws", "ws/.git", "ws/mnt", "keys"] {
            fs::create_dir(at(name).as_path()).expect("dir");
        }
        symlink(at("keys").as_path(), at("cache").as_path()).expect("link");
        symlink(at("keys").as_path(), at("ws/.claude").as_path()).expect("link");
        let places = InPlace {
            open: vec![at("ws"), at("cache"), at("gone"), Bytes::from("/"), at("ws/.git")],
            shut: vec![at("ws/.git"), at("ws/.claude"), at("ws/.codex")],
        };
        let points = [at("ws/mnt"), at("other"), at("ws")];
        let expected = [(at("ws"), vec![at("ws/.git"), at("ws/mnt")]), (at("ws/.git"), Vec::new())]
            .map(|(at, shut)| Opened { at, shut });
        assert_eq!(opened(&places, &points), expected);
        assert_eq!(absent(&places), [at("ws/.codex")]);
        assert_eq!(planted(&absent(&places)), None);
        fs::write(at("ws/.codex").as_path(), "").expect("planted");
        assert_eq!(planted(&[at("ws/.codex")]), Some(at("ws/.codex")));
    }
}
