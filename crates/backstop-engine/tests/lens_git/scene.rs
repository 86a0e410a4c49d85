//! Takes a fixture and a command as shell scripts, plays both in a throw-away directory, gives both
//! sides. The git program runs here, in tests, and nowhere else.

use std::path::Path;
use std::process::Command;

use backstop_core::effect::EffectSet;
use tempfile::TempDir;

use crate::trees::{Inodes, Trees, effects};

/// Both sides of a played command.
pub struct Scene {
    pub effects: EffectSet,
    pub trees: Trees,
    pub dir: TempDir,
}

/// Words of the fixtures: a commit with a time of its own, so that histories are the same each time.
const WORDS: &str = r#"
tick() { N=$((${N:-0} + 1)); export GIT_AUTHOR_DATE="@$((1700000000 + N * 60)) +0000" GIT_COMMITTER_DATE="@$((1700000000 + N * 60)) +0000"; }
save() { tick; git add -A && git commit -q -m "$1"; }
commits() { i=1; while [ $i -le "$1" ]; do echo "line $i of $2" >> "$2"; save "$2 $i"; i=$((i + 1)); done; }
"#;

fn shell(dir: &Path, script: &str) {
    let home = dir.join("home");
    let out = Command::new("sh")
        .args(["-eu", "-c", &format!("{WORDS}\n{script}")])
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a PATH"))
        .env("HOME", &home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "4")
        .envs([("GIT_CONFIG_KEY_0", "init.defaultBranch"), ("GIT_CONFIG_VALUE_0", "main")])
        .envs([("GIT_CONFIG_KEY_1", "gc.auto"), ("GIT_CONFIG_VALUE_1", "0")])
        .envs([("GIT_CONFIG_KEY_2", "protocol.file.allow"), ("GIT_CONFIG_VALUE_2", "always")])
        .envs([("GIT_CONFIG_KEY_3", "advice.detachedHead"), ("GIT_CONFIG_VALUE_3", "false")])
        .env("FILTER_BRANCH_SQUELCH_WARNING", "1")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .envs([("GIT_AUTHOR_DATE", "@1700100000 +0000"), ("GIT_COMMITTER_DATE", "@1700100000 +0000")])
        .env("LC_ALL", "C")
        .output()
        .expect("sh starts");
    assert!(out.status.success(), "{script}\n{}", String::from_utf8_lossy(&out.stderr));
}

impl Scene {
    /// Plays `before`, keeps a copy, plays `command`.
    pub fn play(before: &str, command: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let real = dir.path().canonicalize().expect("its real place");
        let work = real.join("work");
        let trees = Trees { after: work.clone(), before: real.join("before"), work };
        std::fs::create_dir_all(trees.work.join("home")).expect("made");
        shell(&trees.work, before);
        // The copy is what changes, so that what was has the times and inodes that its index knows.
        std::fs::rename(&trees.work, &trees.before).expect("renamed");
        let copied = Command::new("cp").arg("-a").args([&trees.before, &trees.work]).status().expect("cp starts");
        assert!(copied.success());
        let inodes = Inodes::of(&trees.work);
        shell(&trees.work, command);
        let effects = effects(&trees, &inodes);
        Self { effects, trees, dir }
    }
}
