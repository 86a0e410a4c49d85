//! `cargo xtask docs`: takes the command line's own declaration and the types of the formats, gives
//! manual pages (`docs/man`), JSON Schemas (`docs/format`) and the lists of the corpus. Never edits what a person wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{steps, workspace};

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// The folders, below `docs/`, that are wholly generated.
const GENERATED: [&str; 1] = ["man"];

/// The paper with the lists of the corpus, between marks.
const LISTED: &str = "docs/past-incidents.md";

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
    let path = workspace::root().join(LISTED);
    let text = fs::read_to_string(&path).map_err(|e| failed("read", &path, &e))?;
    fs::write(&path, listed(&text)?).map_err(|e| failed("write", &path, &e))?;
    println!("wrote {}", path.display());
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
    let path = workspace::root().join(LISTED);
    let text = fs::read_to_string(&path).map_err(|e| failed("read", &path, &e))?;
    if listed(&text)? != text {
        return Err(format!("{LISTED} is out of date: cargo xtask docs"));
    }
    println!("{LISTED} up to date");
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
    steps::run(&mut workspace::programs())?;
    let program = workspace::target().join(workspace::PROFILE).join("backstop");
    steps::run(Command::new(program).arg("man").arg(dir.join("man")))?;
    Ok(dir)
}

/// `text` with what stands between the marks of each corpus folder made anew from its cases.
fn listed(text: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for area in ["incident", "attack"] {
        let (start, end) = (format!("<!-- {area}:start -->\n"), format!("<!-- {area}:end -->"));
        let missing = || format!("{LISTED} has no marks for {area}");
        let (before, rest) = text.split_once(&start).ok_or_else(missing)?;
        let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
        let mut rows = String::from("| what happened, or was tried | here |\n|---|---|\n");
        let folder = workspace::root().join("corpus").join(area);
        let cases = files(&folder)?;
        if cases.is_empty() {
            return Err(format!("there are no cases in {}", folder.display()));
        }
        for (name, case) in cases {
            let case = String::from_utf8(case).map_err(|e| format!("{}: {e}", name.display()))?;
            // An incident has a title; what an attack tries stands in its reason.
            let told = string(&case, "title").or_else(|| string(&case, "why")).unwrap_or_default().replace('|', "\\|");
            rows.push_str(&format!("| {told} | `corpus/{area}/{}` |\n", name.display()));
        }
        text = format!("{before}{start}{rows}{end}{after}");
    }
    Ok(text)
}

/// The string that stands for `key` at a TOML file's top, on one line.
fn string(case: &str, key: &str) -> Option<String> {
    let value = format!("\n{case}").split_once(&format!("\n{key} = "))?.1.to_owned();
    let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|q| value.starts_with(q))?;
    let inner = value[quote.len()..].split_once(&format!("{quote}\n"))?.0;
    let inner =
        if quote.starts_with('"') { inner.replace("\\\"", "\"").replace("\\\\", "\\") } else { inner.to_owned() };
    Some(inner.split_whitespace().collect::<Vec<_>>().join(" "))
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

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn every_spelling_of_a_string_is_read() {
        let case = "id = \"x\"\ntitle = \"a \\\"b\\\" c\"\nwhy = '''\nit is\n'so'\n'''\nname = 'y'\n";
        let read = |key| string(case, key).unwrap_or_default();
        assert_eq!([read("title"), read("why"), read("name"), read("none")], ["a \"b\" c", "it is 'so'", "y", ""]);
    }
}
