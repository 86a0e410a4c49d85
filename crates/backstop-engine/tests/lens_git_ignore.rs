//! Compares what the git lens takes for ignored with what git itself ignores, over random rules and
//! names.

#[path = "lens_git/scene.rs"]
mod scene;
#[path = "lens_git/sight.rs"]
mod sight;
#[path = "lens_git/trees.rs"]
mod trees;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use backstop_engine::facts::git::{FileFate, Limits};

use scene::Scene;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

const PARTS: &[&str] = &["a", "b", "ab", "abc", "a.o", "b.c", "a b", "x-1", "[k]", "ba"];
const GLOBS: &[&str] = &[
    "a",
    "b",
    "*",
    "**",
    "a*",
    "*b",
    "*.o",
    "?",
    "a?",
    "[ab]",
    "[!a]*",
    "[a-c]b",
    "ab*",
    "*.c",
    "\\[k]",
    "x-[0-9]",
    "[[:alpha:]]",
    "***",
    "a**",
    "**b",
    "[]a]b",
    "\\a",
    "a b",
    "*a*b*",
    "?*",
    "[a",
    "x[^0]1",
];

fn rules(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.roll(6) {
        let not = if dice.roll(4) == 0 { "!" } else { "" };
        let root = if dice.roll(4) == 0 { "/" } else { "" };
        let mut glob = dice.of(GLOBS).to_owned();
        for _ in 0..dice.roll(3) {
            write!(glob, "/{}", dice.of(GLOBS)).expect("text");
        }
        let end = dice.of(&["", "", "", "/", " ", "\r"]);
        // A carriage return is part of a pattern in git, and never of these names.
        let end = if end == "\r" { "" } else { end };
        writeln!(text, "{not}{root}{glob}{end}").expect("text");
    }
    text
}

#[test]
fn the_lens_ignores_what_git_ignores() {
    let mut dice = Dice(1);
    let mut seen = (0, 0);
    let rounds = std::env::var("IGNORE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    for round in 0..rounds {
        let mut before = "git init -q app && cd app\n".to_owned();
        let mut dirs = vec![String::new()];
        for _ in 0..4 {
            let dir = format!("{}{}/", dirs[dice.roll(dirs.len())], dice.of(PARTS));
            dirs.push(dir);
        }
        let mut files = BTreeSet::new();
        for dir in &dirs {
            for part in PARTS {
                // A name is a directory or a file, not both.
                if !dirs.contains(&format!("{dir}{part}/")) {
                    files.insert(format!("{dir}{part}"));
                }
            }
        }
        for dir in &dirs {
            writeln!(before, "mkdir -p './{dir}'").expect("text");
            if dir.is_empty() || dice.roll(3) == 0 {
                writeln!(before, "cat > './{dir}.gitignore' <<'EOF'\n{}EOF", rules(&mut dice)).expect("text");
            }
        }
        writeln!(before, "cat >> .git/info/exclude <<'EOF'\n{}EOF", rules(&mut dice)).expect("text");
        for file in &files {
            writeln!(before, "echo x > './{file}'").expect("text");
        }
        let scene =
            Scene::play(&before, "cd app && find . -path ./.git -prune -o -type f ! -name .gitignore -exec rm {} +");
        let sight = scene.look(&Limits::default(), &[]);
        let paths = |fate| {
            let all = sight.fates.get(&fate).cloned().unwrap_or_default();
            all.iter().map(|p| p.trim_start_matches("app/").to_owned()).collect::<BTreeSet<String>>()
        };
        let app = scene.trees.before.join("app");
        let out = Command::new("git")
            .current_dir(&app)
            .args(["ls-files", "-z", "--others", "--ignored", "--exclude-standard"])
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git starts");
        assert!(out.status.success());
        let text = String::from_utf8(out.stdout).expect("plain names");
        let git: BTreeSet<String> =
            text.split('\0').filter(|p| !p.is_empty() && !p.ends_with(".gitignore")).map(str::to_owned).collect();
        assert_eq!(paths(FileFate::Ignored), git, "round {round}\n{before}");
        let rest: BTreeSet<String> = files.difference(&git).cloned().collect();
        assert_eq!(paths(FileFate::Untracked), rest, "round {round}\n{before}");
        assert_eq!(sight.seen.incomplete, None);
        seen = (seen.0 + git.len(), seen.1 + rest.len());
    }
    assert!(seen.0 > 100 && seen.1 > 100, "both kinds were there: {seen:?}");
}
