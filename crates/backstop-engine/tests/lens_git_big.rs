//! A repository of 200,000 objects: the git lens stays within its time and memory. Prints what each case took.

#[path = "lens_git/scene.rs"]
mod scene;
#[path = "lens_git/sight.rs"]
mod sight;
#[path = "lens_git/trees.rs"]
mod trees;

use std::time::{Duration, Instant};

use backstop_engine::facts::git::Limits;
use backstop_sys::process::thread_cpu;

use scene::Scene;

/// 66,000 commits on one branch, each with a tree and a file of its own; the last 1,000 also on `topic`,
/// and 300 files in the tree.
const BEFORE: &str = r#"
git init -q app && cd app
awk 'BEGIN {
  for (i = 1; i <= 66000; i++) {
    printf "commit refs/heads/main\nmark :%d\ncommitter A <a@example.org> %d +0000\ndata 2\nc\n", i, 1600000000 + i * 60;
    if (i > 1) printf "from :%d\n", i - 1;
    t = "content of " i;
    printf "M 100644 inline d%d/f%d\ndata %d\n%s\n\n", i % 20, i % 300, length(t), t;
  }
}' | git fast-import --quiet
git reset -q --hard
git branch old HEAD~30000
"#;

#[test]
fn two_hundred_thousand_objects_fit_the_time() {
    let cases = [
        ("a commit", "cd app && echo x > n && git add n && git commit -q -m n"),
        ("reset --hard HEAD~1000", "cd app && git reset -q --hard HEAD~1000"),
        ("branch -D of a merged one", "cd app && git branch -q -D old"),
        ("rm of the working tree", "cd app && rm -rf d*"),
        ("repack -ad", "cd app && git repack -q -a -d -f --depth=10 --window=2"),
        ("commit-graph and gc", "cd app && git gc -q"),
        ("rm -rf .git", "rm -rf app/.git"),
        ("rm -rf of the project", "rm -rf app"),
        (
            "all objects loose",
            "cd app && mv .git/objects/pack/*.pack ../p && git unpack-objects -q < ../p && rm .git/objects/pack/* ../p",
        ),
    ];
    let limits = Limits::default();
    let only = std::env::var("LENS_CASE").unwrap_or_default();
    for (name, command) in cases.into_iter().filter(|(n, _)| n.contains(&only)) {
        // Unpacking 200,000 files takes longer than all others together.
        if name == "all objects loose" && only.is_empty() {
            continue;
        }
        let scene = Scene::play(BEFORE, command);
        std::fs::write("/proc/self/clear_refs", "5").expect("the peak is forgotten");
        let (began, cpu, had) = (Instant::now(), thread_cpu(), peak());
        let sight = scene.look(&limits, &[]);
        let (wall, took, more) = (began.elapsed(), thread_cpu() - cpu, peak().saturating_sub(had));
        let told: Vec<&str> = sight.seen.told.iter().map(|t| t.text.as_str()).collect();
        let fates: Vec<_> = sight.fates.iter().map(|(f, paths)| (f, paths.len())).collect();
        println!(
            "{name}: {took:?} computing, {wall:?} in all, {more} KiB, files {fates:?}, incomplete {:?}, told {told:?}",
            sight.seen.incomplete
        );
        assert!(took < limits.time + Duration::from_secs(1), "{name} took {took:?}");
        assert!(more < 128 << 10, "{name} took {more} KiB");
    }
}

/// The most memory this process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|l| l.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}
