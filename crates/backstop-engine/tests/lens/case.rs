//! Takes a case file, gives its steps. The format:
//!
//! ```text
//! # why this case is here
//! before PATH              a file with the indented lines as its content
//! before PATH sql          a database by the indented SQL; `sql killed`: by a program that then dies
//! before PATH -> TARGET    a link
//! after PATH …             the same on the other side, which begins as a copy
//! after PATH gone          removed with all beneath
//! move PATH PATH           renamed
//! expect                   what the lenses say
//! ```

use std::path::Path;

/// One step on one side.
pub enum Step {
    Write { path: String, content: String },
    Sql { path: String, script: String, killed: bool },
    Link { path: String, target: String },
    Gone { path: String },
    Move { from: String, to: String },
}

/// A case.
pub struct Case {
    pub before: Vec<Step>,
    pub after: Vec<Step>,
    /// The expected text, as indented as it is in the file.
    pub expect: String,
}

impl Case {
    pub fn parse(text: &str, file: &Path) -> Self {
        let mut case = Self { before: Vec::new(), after: Vec::new(), expect: String::new() };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut content = String::new();
            while let Some(next) = lines.next_if(|l| l.starts_with("  ")) {
                content.push_str(&next[2..]);
                content.push('\n');
            }
            let words: Vec<&str> = line.split(' ').collect();
            let path = words.get(1).map(|p| (*p).to_owned()).unwrap_or_default();
            let step = match words[..] {
                ["expect"] => {
                    case.expect = content.lines().map(|l| format!("  {l}\n")).collect();
                    continue;
                }
                ["move", _, to] => Step::Move { from: path, to: to.to_owned() },
                [_, _, "sql"] => Step::Sql { path, script: content, killed: false },
                [_, _, "sql", "killed"] => Step::Sql { path, script: content, killed: true },
                [_, _, "gone"] => Step::Gone { path },
                [_, _, "->", target] => Step::Link { path, target: target.to_owned() },
                [_, _] => Step::Write { path, content },
                _ => panic!("{}: what is {line:?}?", file.display()),
            };
            match words[0] {
                "before" => case.before.push(step),
                "after" | "move" => case.after.push(step),
                _ => panic!("{}: what is {line:?}?", file.display()),
            }
        }
        case
    }
}
