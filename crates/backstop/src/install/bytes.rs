//! Merging over bytes: the mark at a file's start and its line ends are kept, the rest is text of a format.

use std::fmt;

use super::item::Item;
use super::{json, toml};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, by a client that takes no comments.
    Json,
    /// JSON with comments and commas at the end.
    Jsonc,
    Toml,
}

/// One thing that is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The keys that lead to its place.
    pub at: Vec<&'static str>,
    pub what: What,
}

/// What is merged at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// One more in a list.
    Last(Item),
    /// One more at the head of a list, where the first that fits counts.
    First(Item),
    /// A value, where there is none yet.
    Missing(Item),
}

/// Tells a line or a path of ours from other people's.
pub type Ours<'a> = &'a dyn Fn(&str) -> bool;

/// Why a file can't be merged into. Nothing has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeError {
    NotText(usize),
    Syntax { line: usize, column: usize, what: String },
    Twice(String),
    Shape(String, &'static str),
    NotKept,
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText(at) => write!(f, "it is not UTF-8 from byte {at} on"),
            Self::Syntax { line, column, what } => write!(f, "line {line}, column {column}: {what}"),
            Self::Twice(key) => write!(f, "`{key}` stands there more than once, and clients differ in which they take"),
            Self::Shape(place, shape) => write!(f, "`{place}` is not {shape}"),
            Self::NotKept => f.write_str("it is written in a way that can't be kept to the byte"),
        }
    }
}

impl std::error::Error for MergeError {}

const BOM: &[u8] = b"\xef\xbb\xbf";

struct Outer<'a> {
    bom: bool,
    /// Every line ends like on Windows.
    crlf: bool,
    text: std::borrow::Cow<'a, str>,
}

fn open(format: Format, bytes: &[u8]) -> Result<Outer<'_>, MergeError> {
    let (bom, rest) = bytes.strip_prefix(BOM).map_or((false, bytes), |rest| (true, rest));
    let text = std::str::from_utf8(rest).map_err(|e| MergeError::NotText(e.valid_up_to()))?;
    let ends = text.matches('\n').count();
    let crlf = format == Format::Toml && ends > 0 && text.matches("\r\n").count() == ends;
    // The editor of TOML ends its own lines in one way; JSON's tells them apart by itself.
    let text = if crlf { text.replace("\r\n", "\n").into() } else { text.into() };
    Ok(Outer { bom, crlf, text })
}

impl Outer<'_> {
    fn close(&self, text: &str) -> Vec<u8> {
        let mut out = if self.bom { BOM.to_vec() } else { Vec::new() };
        if self.crlf {
            out.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        out
    }
}

/// The same file with all pieces in it, each once; to the byte the same where they are there already.
///
/// # Errors
/// Where the file can't be read as its format, or a place of it is taken by something else.
pub fn merge(format: Format, bytes: &[u8], pieces: &[Piece], ours: Ours<'_>) -> Result<Vec<u8>, MergeError> {
    let outer = open(format, bytes)?;
    let merged = match format {
        Format::Json | Format::Jsonc => json::merge(&outer.text, pieces, ours)?,
        Format::Toml => toml::merge(&outer.text, pieces, ours)?,
    };
    Ok(merged.map_or_else(|| bytes.to_vec(), |text| outer.close(&text)))
}

/// The same file without what is ours. Places that become empty go where `before`, the file as it was
/// before us, did not have them; without it all that become empty do.
///
/// # Errors
/// Where the file can't be read as its format.
pub fn strip(
    format: Format,
    bytes: &[u8],
    pieces: &[Piece],
    ours: Ours<'_>,
    before: Option<&[u8]>,
) -> Result<Vec<u8>, MergeError> {
    let outer = open(format, bytes)?;
    let old = before;
    let before = before.and_then(|b| value(format, b).ok());
    let stripped = match format {
        Format::Json | Format::Jsonc => json::strip(&outer.text, pieces, ours, before.as_ref())?,
        Format::Toml => toml::strip(&outer.text, pieces, ours, before.as_ref())?,
    };
    let stripped = stripped.map_or_else(|| bytes.to_vec(), |text| outer.close(&text));
    // Where only the end of the last line differs, it was we who ended it.
    let same = old.filter(|old| old.trim_ascii_end() == stripped.trim_ascii_end());
    Ok(same.map_or(stripped, <[u8]>::to_vec))
}

/// What the file says; an empty one says nothing.
///
/// # Errors
/// Where it can't be read as its format.
pub fn value(format: Format, bytes: &[u8]) -> Result<serde_json::Value, MergeError> {
    let outer = open(format, bytes)?;
    match format {
        Format::Json | Format::Jsonc => json::value(&outer.text),
        Format::Toml => toml::value(&outer.text),
    }
}

/// True where a client that reads nothing but JSON could not read this.
pub fn has_more_than_json(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(BOM).unwrap_or(bytes);
    !rest.trim_ascii().is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(rest).is_err()
}

/// The value at a place.
pub fn at<'a>(value: &'a serde_json::Value, keys: &[&str]) -> Option<&'a serde_json::Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

/// True where this entry of a list is ours: by itself, or by all the hooks that it groups.
pub fn is_ours(entry: &serde_json::Value, ours: Ours<'_>) -> bool {
    let direct = match entry {
        serde_json::Value::String(text) => ours(text),
        serde_json::Value::Object(fields) => {
            fields.values().any(|v| v.as_str().is_some_and(ours))
                || fields.get("action").is_some_and(|a| is_ours(a, ours))
        }
        _ => false,
    };
    direct || inner(entry).is_some_and(|hooks| !hooks.is_empty() && hooks.iter().all(|h| is_ours(h, ours)))
}

/// True where this entry of a list has something of ours in it.
pub fn has_ours(entry: &serde_json::Value, ours: Ours<'_>) -> bool {
    is_ours(entry, ours) || inner(entry).is_some_and(|hooks| hooks.iter().any(|h| is_ours(h, ours)))
}

/// The hooks that an entry groups.
fn inner(entry: &serde_json::Value) -> Option<&Vec<serde_json::Value>> {
    entry.get("hooks")?.as_array()
}

/// True where nothing is left to be merged: each piece is there, once and as it should be.
pub fn is_merged(value: &serde_json::Value, pieces: &[Piece], ours: Ours<'_>) -> bool {
    pieces.iter().all(|piece| {
        let here = at(value, &piece.at);
        let (entry, first) = match &piece.what {
            What::Missing(_) => return here.is_some(),
            What::Last(item) => (item.json(), false),
            What::First(item) => (item.json(), true),
        };
        let Some(list) = here.and_then(|l| l.as_array()) else { return false };
        let wanted = pieces.iter().filter(|p| p.at == piece.at && !matches!(p.what, What::Missing(_))).count();
        list.iter().filter(|e| has_ours(e, ours)).count() == wanted
            && if first { list.first() == Some(&entry) } else { list.contains(&entry) }
    })
}
