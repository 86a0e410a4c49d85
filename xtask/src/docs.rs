//! `cargo xtask docs`: takes the command line's own declaration and the types of the formats, gives
//! manual pages (`docs/man`) and JSON Schemas (`docs/format`). Never edits what a person wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{steps, workspace};

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// The folders, below `docs/`, that are wholly generated.
const GENERATED: [&str; 1] = ["man"];

/// Writes the generated folders anew.
pub fn run(_: &Args) -> Result<(), String> {
    let fresh = generate()?;
    for folder in GENERATED {
        let (from, to) = (fresh.join(folder), workspace::root().join("docs").join(folder));
        if to.exists() {
            fs::remove_dir_all(&to).map_err(|e| failed("remove", &to, &e))?;
        }
        for (name, text) in files(&from)? {
            let path = to.join(name);
            let parent = path.parent().expect("a joined path has a parent");
            fs::create_dir_all(parent).map_err(|e| failed("make", parent, &e))?;
            fs::write(&path, text).map_err(|e| failed("write", &path, &e))?;
        }
        println!("wrote {}", to.display());
    }
    // The schemas are written, and held, by a test beside the types they come from.
    let mut schemas = workspace::cargo();
    schemas.args(["test", "--quiet", "--package", "backstop", "schemas"]).env("BACKSTOP_BLESS", "1");
    steps::run(&mut schemas)
}

/// An error where the checked-in pages are not what the code gives.
pub fn check() -> Result<(), String> {
    let fresh = generate()?;
    for folder in GENERATED {
        let (now, then) = (files(&fresh.join(folder))?, files(&workspace::root().join("docs").join(folder))?);
        let names = now.keys().chain(then.keys());
        if let Some(name) = names.into_iter().find(|n| now.get(*n) != then.get(*n)) {
            return Err(format!("docs/{folder}/{} is out of date: cargo xtask docs", name.display()));
        }
        println!("docs/{folder}: {} files up to date", now.len());
    }
    Ok(())
}

fn generate() -> Result<PathBuf, String> {
    let dir = workspace::target().join("generated");
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(|e| failed("remove", &dir, &e))?;
    }
    for folder in GENERATED {
        fs::create_dir_all(dir.join(folder)).map_err(|e| failed("make", &dir, &e))?;
    }
    let mut man = workspace::cargo();
    man.args(["run", "--quiet", "--package", "backstop", "--profile", "ci", "--", "man"]).arg(dir.join("man"));
    steps::run(&mut man)?;
    Ok(dir)
}

/// Every file below `dir` with its content, by its path below it; empty where there is no `dir`.
fn files(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        let here = dir.join(&below);
        let entries = match fs::read_dir(&here) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed("read", &here, &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| failed("read", &here, &e))?;
            let name = below.join(entry.file_name());
            if entry.path().is_dir() {
                todo.push(name);
            } else {
                let text = fs::read(entry.path()).map_err(|e| failed("read", &entry.path(), &e))?;
                found.insert(name, text);
            }
        }
    }
    Ok(found)
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
