//! Reads a file of classes. An unknown key, a wildcard in the middle, a relative place, or a layer that
//! would free a place it may not free is an error that names the class; nothing is guessed.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Who wrote a file of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Compiled in.
    BuiltIn,
    /// The machine's administrator: a file that only root can write.
    System,
    /// A user, or a project. May be written by an agent, so it only makes policy stricter.
    Below,
}

/// Why a file of classes is not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClassFileError {
    /// It is no such file.
    #[error("{0}")]
    Syntax(String),
    /// A key has a value that it can't have.
    #[error("class {class:?}: {what}")]
    Value {
        /// Which class.
        class: String,
        /// What is wrong.
        what: String,
    },
    /// It frees places, and its layer may not.
    #[error("class {class:?}: only the system's file may say which places are an agent's own or are made again")]
    Frees {
        /// Which class.
        class: String,
    },
}

/// How far a place is the agent's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Own {
    /// Everything there may change.
    All,
    /// These very files may be written, not deleted.
    Files,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    why: Option<String>,
    own: Option<Own>,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    system: Vec<String>,
    #[serde(default)]
    home: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    holds_all: Vec<Vec<String>>,
    #[serde(default)]
    magic: Vec<RawMagic>,
    #[serde(default)]
    beside: Vec<RawBeside>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMagic {
    #[serde(default)]
    at: usize,
    text: Option<String>,
    hex: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBeside {
    dirs: Vec<String>,
    files: Vec<String>,
}

/// One class of a file, checked.
pub(super) struct Entry {
    pub why: Option<String>,
    pub own: Option<Own>,
    pub protected: bool,
    pub system: Vec<String>,
    pub home: Vec<String>,
    pub names: Vec<String>,
    pub holds: Vec<String>,
    pub holds_all: Vec<Vec<String>>,
    pub magic: Vec<(usize, Vec<u8>)>,
    pub beside: Vec<(Vec<String>, Vec<String>)>,
}

/// Classes that tell of content which is made again; freeing, though not `own`.
const MADE_AGAIN: &str = "regenerable";

/// Names that rules and code give a meaning of their own; no file describes them.
const RESERVED: [&str; 8] =
    ["device", "mount", "other-repository", "outside", "rules", "scratch", "symlink-target", "workspace"];

pub(super) fn read(
    text: &str,
    layer: Layer,
    is_own: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Entry>, ClassFileError> {
    let raw: BTreeMap<String, Raw> =
        toml::from_str(text).map_err(|e| ClassFileError::Syntax(e.to_string().trim_end().to_owned()))?;
    raw.into_iter()
        .map(|(name, raw)| {
            if layer == Layer::Below && (raw.own.is_some() || is_own(&name) || name == MADE_AGAIN) {
                return Err(ClassFileError::Frees { class: name });
            }
            let entry = check(&name, raw)?;
            Ok((name, entry))
        })
        .collect()
}

fn check(class: &str, raw: Raw) -> Result<Entry, ClassFileError> {
    let wrong = |what: String| Err(ClassFileError::Value { class: class.to_owned(), what });
    let plain = class.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if class.is_empty() || !plain {
        return wrong("a name is lower-case letters, digits and `-`".into());
    }
    if RESERVED.contains(&class) {
        return wrong("this class is worked out from the run itself and has no places".into());
    }
    if let Some(place) = raw.system.iter().find(|p| !p.starts_with('/') || p.len() < 2 || p.ends_with('/')) {
        return wrong(format!("{place:?} is not an absolute place without a slash at its end"));
    }
    if let Some(place) = raw.home.iter().find(|p| p.starts_with('/') || p.is_empty() || p.ends_with('/')) {
        return wrong(format!("{place:?} is not a place below a home (`.ssh`, not `/home/…` or `~/.ssh`)"));
    }
    let dotted = |p: &&String| p.split('/').any(|part| matches!(part, "." | ".." | "~"));
    if let Some(place) = raw.system.iter().chain(&raw.home).find(dotted) {
        return wrong(format!("{place:?} has `.`, `..` or `~` in it"));
    }
    let bad = |n: &str| {
        let body = n.strip_prefix('*').or_else(|| n.strip_suffix('*')).unwrap_or(n);
        body.is_empty() || body.contains(['*', '/', '?', '['])
    };
    let beside = raw.beside.iter().flat_map(|b| b.files.iter());
    if let Some(name) = raw.names.iter().chain(beside).find(|n| bad(n)) {
        return wrong(format!("{name:?} is not a name with at most one `*`, at its start or its end"));
    }
    let dirs = raw.beside.iter().flat_map(|b| b.dirs.iter());
    if raw.holds_all.iter().any(|all| all.len() < 2) {
        return wrong("a list of `holds_all` has at least two names".into());
    }
    let held = raw.holds.iter().chain(raw.holds_all.iter().flatten());
    if let Some(name) = held.chain(dirs).find(|n| n.is_empty() || n.contains(['*', '/'])) {
        return wrong(format!("{name:?} is not a plain name"));
    }
    let magic = raw.magic.into_iter().map(|m| magic(class, m)).collect::<Result<_, _>>()?;
    Ok(Entry {
        why: raw.why,
        own: raw.own,
        protected: raw.protected,
        system: raw.system,
        home: raw.home,
        names: raw.names,
        holds: raw.holds,
        holds_all: raw.holds_all,
        magic,
        beside: raw.beside.into_iter().map(|b| (b.dirs, b.files)).collect(),
    })
}

fn magic(class: &str, raw: RawMagic) -> Result<(usize, Vec<u8>), ClassFileError> {
    let wrong = |what: &str| ClassFileError::Value { class: class.to_owned(), what: what.to_owned() };
    let bytes = match (raw.text, raw.hex) {
        // A character is a byte: `\u00DE` is 0xDE.
        (Some(text), None) => {
            let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            latin.ok_or_else(|| wrong("a magic text has characters up to \\u00FF only"))?
        }
        (None, Some(hex)) => {
            let pair = |i: usize| hex.get(i..i + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
            let all: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(pair).collect();
            all.ok_or_else(|| wrong("a magic in hex has two digits a byte"))?
        }
        _ => return Err(wrong("a magic has either `text` or `hex`")),
    };
    if bytes.len() < 2 || raw.at + bytes.len() > super::HEAD {
        return Err(wrong("a magic has at least 2 bytes and lies within the first 64"));
    }
    Ok((raw.at, bytes))
}
