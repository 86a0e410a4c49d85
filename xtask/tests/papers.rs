//! Holds the papers to the code: types of the glossary, tests and files that promises name, links.
//! Reads only.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Every paper that people wrote, below the root.
fn papers() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut todo = vec![PathBuf::new(), "docs".into(), "changelog".into()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(root().join(&dir)).expect("a folder of papers") {
            let path = dir.join(entry.expect("an entry").file_name());
            if root().join(&path).is_dir() {
                if dir.starts_with("docs") || dir.starts_with("changelog") {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What stands between backticks, outside code blocks.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|p| p.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn a_word_of_the_glossary_is_a_type() {
    let text = read(Path::new("docs/glossary.md"));
    let mut seen = 0;
    for word in quoted(&text).into_iter().filter(|w| w.starts_with("core::") || w.starts_with("engine::")) {
        let mut parts: Vec<&str> = word.split("::").collect();
        let name = parts.pop().expect("a path has a last part");
        let file = format!("crates/backstop-{}/src/{}.rs", parts[0], parts[1..].join("/"));
        let source = read(Path::new(&file));
        let there = ["struct", "enum", "trait", "type"].iter().any(|kind| {
            source.match_indices(&format!("pub {kind} {name}")).any(|(at, hit)| {
                let next = source[at + hit.len()..].chars().next();
                next.is_some_and(|c| !c.is_alphanumeric())
            })
        }) || source.lines().any(|l| l.starts_with("pub use") && l.contains(name));
        assert!(there, "{word} is not in {file}");
        seen += 1;
    }
    assert!(seen > 10, "the glossary names types");
}

#[test]
fn a_named_test_is_there() {
    for paper in ["docs/promises.md", "docs/past-incidents.md"] {
        let text = read(Path::new(paper));
        for word in quoted(&text) {
            let Some((file, name)) = word.split_once(".rs::") else { continue };
            let file = format!("{file}.rs");
            let source = read(Path::new(&file));
            // Written out, or a line of a table of tests.
            let there = source.contains(&format!("fn {name}("))
                || source.lines().any(|l| l.trim_start().starts_with(&format!("{name}: ")));
            assert!(there, "{paper}: no test {name} in {file}");
        }
    }
}

#[test]
fn a_named_file_is_there() {
    for paper in papers() {
        let text = read(&paper);
        for word in quoted(&text).into_iter().filter(|w| !w.contains(' ')) {
            let word = word.split("::").next().unwrap_or(word).trim_end_matches('/');
            let ours =
                ["corpus/", "crates/", "docs/", "e2e/", "xtask/", "changelog/"].iter().any(|d| word.starts_with(d));
            if ours && !word.contains(['*', '<', 'N']) {
                assert!(root().join(word).exists(), "{}: there is no {word}", paper.display());
            }
        }
    }
}

#[test]
fn a_link_leads_somewhere() {
    for paper in papers() {
        let text = read(&paper);
        let here = paper.parent().unwrap_or(Path::new(""));
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(root().join(here).join(target).exists(), "{}: the link to {target} is dead", paper.display());
        }
    }
}
