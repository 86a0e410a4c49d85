//! Damages a repository in every way that bytes allow: the git lens must neither panic nor hang, and
//! what it can't read it must not take for nothing.

#[path = "lens_git/scene.rs"]
mod scene;
#[path = "lens_git/sight.rs"]
mod sight;
#[path = "lens_git/trees.rs"]
mod trees;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstop_engine::facts::git::Limits;

use scene::Scene;
use sight::Sight;

const BEFORE: &str = r#"
git init -q app && cd app && commits 12 t.txt
seq 1 400 > big.txt && save big && sed -i s/7/x/ big.txt && save big2 && git tag -a v1 -m v1
git gc -q && git switch -qc topic && commits 3 u.txt && git switch -q main && commits 2 t.txt
echo w >> t.txt && git stash push -q && echo dirty >> big.txt && echo n > new.txt
"#;

const COMMAND: &str =
    "cd app && git branch -q -D topic && git stash drop -q && git reset -q --hard HEAD~2 && rm -f u.txt new.txt";

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides.max(1)
    }
}

fn damage(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match dice.roll(6) {
        0 => bytes.truncate(dice.roll(bytes.len() + 1)),
        1 => bytes.clear(),
        2 => bytes.extend(std::iter::repeat_n(0xff, 1 + dice.roll(64))),
        3 => {
            let at = dice.roll(bytes.len().max(1));
            bytes[at..].iter_mut().take(8).for_each(|b| *b = 0xff);
        }
        _ => {
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(bytes.len());
                if let Some(b) = bytes.get_mut(at) {
                    *b ^= 1 << dice.roll(8);
                }
            }
        }
    }
    bytes
}

fn look(scene: &Scene) -> Sight {
    let began = Instant::now();
    let sight = scene.look(&Limits::default(), &[]);
    assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
    sight
}

/// Files whose content is gone, as far as the lens knows.
fn gone(sight: &Sight) -> usize {
    sight.fates.iter().filter(|(f, _)| !f.survives()).map(|(_, paths)| paths.len()).sum()
}

#[test]
fn damage_is_said_and_never_hides_a_loss() {
    let scene = Scene::play(BEFORE, COMMAND);
    let whole = look(&scene);
    let facts = whole.seen.facts;
    assert_eq!(whole.seen.incomplete, None);
    assert_eq!((facts.refs_deleted, facts.refs_moved, facts.stash_dropped), (1, 1, 1), "{:?}", whole.seen);
    assert_eq!((facts.unreachable, facts.dirty_lost, facts.untracked_lost), (5, 1, 1), "{:?}", whole.seen);
    let mut found = Vec::new();
    files(&scene.trees.before.join("app/.git"), &mut found);
    files(&scene.trees.work.join("app/.git"), &mut found);
    found.retain(|f| !f.to_string_lossy().contains("/hooks/"));
    found.sort();
    let mut dice = Dice(20_240_601);
    let rounds = std::env::var("DAMAGE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    for round in 0..rounds {
        let file = &found[dice.roll(found.len())];
        let bytes = fs::read(file).expect("a file");
        let mut permissions = fs::metadata(file).expect("a file").permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "objects are read-only, and this is a test's copy")]
        permissions.set_readonly(false);
        fs::set_permissions(file, permissions).expect("changed");
        fs::write(file, damage(&bytes, &mut dice)).expect("written");
        let sight = look(&scene);
        let same = sight.seen.facts.unreachable >= facts.unreachable && gone(&sight) >= gone(&whole);
        // Which refs and stash entries there are is plain text: damage can make another valid text of it.
        assert!(
            same || sight.seen.incomplete.is_some() || is_text(file),
            "round {round}: {}: {sight:?}",
            file.display()
        );
        fs::write(file, bytes).expect("written back");
    }
    assert_eq!(look(&scene).seen, whole.seen);
}

fn is_text(file: &Path) -> bool {
    let path = file.to_string_lossy();
    ["/refs/", "/logs/", "HEAD", "packed-refs", "/info/", "config"].iter().any(|t| path.contains(t))
}

#[test]
fn a_repository_cut_short_anywhere_is_no_reason_to_panic() {
    let scene = Scene::play(BEFORE, "rm -rf app");
    let mut found = Vec::new();
    files(&scene.trees.before.join("app/.git"), &mut found);
    let mut dice = Dice(7);
    for file in found.iter().filter(|f| !f.to_string_lossy().contains("/hooks/")) {
        for _ in 0..3 {
            let bytes = fs::read(file).expect("a file");
            fs::remove_file(file).expect("removed");
            let cut = dice.roll(bytes.len() + 1);
            fs::write(file, &bytes[..cut]).expect("written");
            let sight = look(&scene);
            let facts = sight.seen.facts;
            assert!(facts.repositories_lost == 1 || sight.seen.incomplete.is_some(), "{}: {sight:?}", file.display());
            assert!(gone(&sight) > 10, "{}: {sight:?}", file.display());
            fs::write(file, bytes).expect("written back");
        }
    }
}
