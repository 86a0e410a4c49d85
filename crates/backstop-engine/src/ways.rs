//! Where a name really leads, whether anything is there or not.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const MOST: usize = 40;

/// Every link on the way, by its own real place, and last of all the place that it comes to. Whoever
/// changes one of them changes what the name stands for.
pub(crate) fn ways(path: &Path) -> Vec<PathBuf> {
    let parts = |path: &Path| path.components().map(|c| c.as_os_str().to_owned()).collect::<VecDeque<OsString>>();
    let (mut ways, mut real, mut rest) = (Vec::new(), PathBuf::from("/"), parts(path));
    while let Some(part) = rest.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => real = PathBuf::from("/"),
            Some(Component::ParentDir) => drop(real.pop()),
            Some(Component::Normal(name)) => {
                let next = real.join(name);
                match fs::read_link(&next) {
                    Ok(target) if ways.len() < MOST => {
                        ways.push(next);
                        let mut to = parts(&target);
                        to.append(&mut rest);
                        rest = to;
                    }
                    _ => real = next,
                }
            }
            _ => {}
        }
    }
    ways.push(real);
    ways
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_named() {
        let dir = tempfile::tempdir().expect("temp");
        let at = |path: &str| dir.path().canonicalize().expect("real").join(path);
        fs::create_dir_all(at("files/deep")).expect("made");
        symlink("files", at("dots")).expect("linked");
        symlink("../dots/deep/../rules", at("files/own")).expect("linked");
        symlink("round", at("round")).expect("linked");
        for (name, expected) in [
            ("files/deep", vec!["files/deep"]),
            ("dots/deep", vec!["dots", "files/deep"]),
            ("files/own", vec!["files/own", "dots", "files/rules"]),
            ("dots/none/at/all", vec!["dots", "files/none/at/all"]),
        ] {
            assert_eq!(ways(&at(name)), expected.iter().map(|e| at(e)).collect::<Vec<_>>(), "{name}");
        }
        assert_eq!(ways(&at("round")).len(), MOST + 1, "it ends");
    }
}
