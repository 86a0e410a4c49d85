//! The git lens over forged files of git's own: whatever they hold, it ends, says harmless words, and
//! counts no file that is not there. Also replays what the fuzzer found (`corpus/lens/seeds/git/`).

#[path = "lens_git/props.rs"]
mod props;
#[path = "lens_git/scene.rs"]
mod scene;
#[path = "lens_git/sight.rs"]
mod sight;
#[path = "lens_git/trees.rs"]
mod trees;

use std::fs;
use std::path::Path;

use props::{as_it_is, genuine, holds};

#[test]
fn what_is_genuine_is_read_whole() {
    for sight in as_it_is() {
        assert!(sight.seen.incomplete.is_none() && !sight.fates.is_empty(), "{sight:?}");
    }
}

#[test]
fn genuine_files_cut_and_flipped_hold() {
    let all = genuine();
    assert!(all.len() >= 20, "{}", all.len());
    // The second byte's second bit says on which side it is forged.
    let sides = all.iter().flat_map(|bytes| [0, 2].map(|side| [&[bytes[0], bytes[1] | side], &bytes[2..]].concat()));
    for bytes in &sides.collect::<Vec<_>>() {
        holds(bytes);
        let step = (bytes.len() / 12).max(1);
        for at in (2..bytes.len()).step_by(step) {
            holds(&bytes[..at]);
            for bits in [0x01, 0xff] {
                let mut forged = bytes.clone();
                forged[at] ^= bits;
                holds(&forged);
            }
        }
    }
    // For the fuzzer to begin with: BACKSTOP_SEEDS_TO=fuzz/corpus/git.
    if let Some(folder) = std::env::var_os("BACKSTOP_SEEDS_TO") {
        for (n, bytes) in all.iter().enumerate() {
            fs::write(Path::new(&folder).join(format!("genuine-{n}")), bytes).expect("written");
        }
    }
}

#[test]
fn every_seed_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/lens/seeds/git");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the seeds") {
        holds(&fs::read(entry.expect("an entry").path()).expect("a seed"));
        seen += 1;
    }
    assert!(seen > 0);
}
