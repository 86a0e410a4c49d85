//! The lenses against anything at all: texts that a fuzzer found worth keeping, and damage made by rule.
//! What they have to see of whole changes is tested where files are (`crates/backstop-engine/tests/lens.rs`).
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read the corpus; core itself reads no file")]

mod props;

use std::fs;
use std::path::Path;

use props::holds;

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/lens/seeds/lens");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|f| fs::read(f).unwrap()).collect()
}

#[test]
fn every_seed_holds() {
    let seeds = seeds();
    assert!(seeds.len() >= 20, "{}", seeds.len());
    seeds.iter().for_each(|s| holds(s));
}

/// What a cut or a flipped byte makes of each.
#[test]
fn damaged_seeds_hold() {
    for seed in seeds() {
        let step = (seed.len() / 300).max(1);
        for at in (0..seed.len()).step_by(step) {
            holds(&seed[..at]);
            for bits in [0x01, 0x80, 0xff] {
                let mut damaged = seed.clone();
                damaged[at] ^= bits;
                holds(&damaged);
            }
        }
    }
}
