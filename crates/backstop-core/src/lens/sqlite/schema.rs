//! Takes a database's pages, gives its schema: which tables, indexes, views and triggers there are
//! and where their trees begin. Of the SQL only its kind of virtual table and its columns' text are
//! looked at; it is not parsed.

use std::collections::BTreeMap;

use super::pages::{Pages, Text, be32};
use super::tree;
use crate::lens::{Budget, Incomplete};
use crate::quoted::Quoted;

/// Bytes of one entry that are read; what lies behind is the end of a long SQL text.
const ENTRY: usize = 64 << 10;
/// Entries of a schema that are read.
const ENTRIES: usize = 50_000;
/// Bytes of all entries that are kept.
const BYTES: usize = 16 << 20;

/// What an entry of the schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Table,
    Index,
    View,
    Trigger,
}

impl What {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
            Self::Trigger => "trigger",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name as written, spelled harmlessly.
    pub(super) name: String,
    /// The table it belongs to, in lower case as the keys are.
    pub(super) table: String,
    /// The root of its tree; 0 for what has none.
    pub(super) root: u32,
    /// The SQL from the first bracket on: columns and options.
    pub(super) body: Vec<u8>,
    /// For a virtual table, its module in lower case.
    pub(super) module: Option<String>,
}

/// All entries by kind and lower-case name, without those SQLite keeps for itself.
pub(super) type Schema = BTreeMap<Key, Entry>;

/// What, and its name in lower case.
pub(super) type Key = (What, String);

/// Reads the schema.
pub(super) fn read(pages: &Pages<'_>, budget: &mut Budget<'_>) -> Result<Schema, Incomplete> {
    let mut schema = Schema::new();
    let mut bytes = 0;
    let mut entries = 0;
    tree::schema_cells(pages, budget, &mut |page, at, budget| {
        entries += 1;
        let payload = payload(pages, page, at, budget)?;
        bytes += payload.len();
        if entries > ENTRIES || bytes > BYTES {
            return Err(Incomplete::new("its schema is too big to read"));
        }
        if let Some((key, entry)) = entry(&payload, pages.text)? {
            schema.insert(key, entry);
        }
        Ok(())
    })?;
    Ok(schema)
}

/// A cell's payload up to [`ENTRY`], its overflow pages followed.
fn payload(pages: &Pages<'_>, page: &[u8], at: usize, budget: &mut Budget<'_>) -> Result<Vec<u8>, Incomplete> {
    let damaged = || Incomplete::new("damaged: an entry of its schema lies outside its page");
    let (length, at) = varint(page, at).ok_or_else(damaged)?;
    let (_, at) = varint(page, at).ok_or_else(damaged)?;
    let (usable, length) = (pages.usable, usize::try_from(length).map_err(|_| damaged())?);
    let most = usable - 35;
    let local = match length <= most {
        true => length,
        false => {
            let least = (usable - 12) * 32 / 255 - 23;
            let fit = least + (length - least) % (usable - 4);
            if fit <= most { fit } else { least }
        }
    };
    let wanted = length.min(ENTRY);
    let mut payload = page.get(at..at + local).ok_or_else(damaged)?.to_vec();
    if local < length {
        let mut next = be32(page.get(at + local..at + local + 4).ok_or_else(damaged)?, 0);
        let mut whole = vec![0u8; pages.size];
        while payload.len() < wanted {
            pages.read(next, &mut whole, budget)?;
            let part = (usable - 4).min(length - payload.len());
            payload.extend_from_slice(&whole[4..4 + part]);
            next = be32(&whole, 0);
        }
    }
    payload.truncate(wanted);
    Ok(payload)
}

/// A big-endian number of one to nine bytes, and where the next thing begins.
fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for _ in 0..8 {
        let byte = *bytes.get(at)?;
        at += 1;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    Some((value << 8 | u64::from(*bytes.get(at)?), at + 1))
}

/// The five columns `type, name, tbl_name, rootpage, sql`; none for what SQLite keeps for itself.
fn entry(payload: &[u8], text: Text) -> Result<Option<(Key, Entry)>, Incomplete> {
    let damaged = || Incomplete::new("damaged: an entry of its schema can't be read");
    let (head, mut at) = varint(payload, 0).ok_or_else(damaged)?;
    let mut body = usize::try_from(head).map_err(|_| damaged())?;
    let mut columns: [(u64, &[u8]); 5] = [(0, &[]); 5];
    for (i, column) in columns.iter_mut().enumerate() {
        let (kind, next) = varint(payload, at).ok_or_else(damaged)?;
        at = next;
        let length = usize::try_from(length_of(kind)).map_err(|_| damaged())?;
        let end = body.checked_add(length).ok_or_else(damaged)?;
        // Only the SQL may reach beyond what was read.
        let value = if i == 4 { payload.get(body..end.min(payload.len())) } else { payload.get(body..end) };
        *column = (kind, value.ok_or_else(damaged)?);
        body = end;
    }
    let what = match decode(columns[0].1, text).as_slice() {
        b"table" => What::Table,
        b"index" => What::Index,
        b"view" => What::View,
        b"trigger" => What::Trigger,
        _ => return Err(damaged()),
    };
    let name = decode(columns[1].1, text);
    // Names that begin so are SQLite's own: sequences, statistics, indexes made for constraints.
    if name.len() >= 7 && name[..7].eq_ignore_ascii_case(b"sqlite_") {
        return Ok(None);
    }
    let sql = decode(columns[4].1, text);
    let entry = Entry {
        root: u32::try_from(integer(columns[3].0, columns[3].1)).unwrap_or(0),
        table: Quoted(&decode(columns[2].1, text)).to_string().to_ascii_lowercase(),
        body: sql.iter().position(|&b| b == b'(').map_or_else(Vec::new, |at| sql[at..].to_vec()),
        module: module(&sql),
        name: Quoted(&name).to_string(),
    };
    Ok(Some(((what, entry.name.to_ascii_lowercase()), entry)))
}

const fn length_of(kind: u64) -> u64 {
    match kind {
        0 | 8 | 9 | 10 | 11 => 0,
        1..=4 => kind,
        5 => 6,
        6 | 7 => 8,
        _ => (kind - 12) / 2,
    }
}

fn integer(kind: u64, bytes: &[u8]) -> u64 {
    match kind {
        9 => 1,
        1..=6 => bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
        _ => 0,
    }
}

/// Text as UTF-8 where it is any; a half surrogate stays as its own escape, so that two names never
/// become one.
fn decode(bytes: &[u8], text: Text) -> Vec<u8> {
    let unit = |pair: &[u8]| match text {
        Text::Utf16Be => u16::from_be_bytes([pair[0], pair[1]]),
        Text::Utf8 | Text::Utf16Le => u16::from_le_bytes([pair[0], pair[1]]),
    };
    if text == Text::Utf8 {
        return bytes.to_vec();
    }
    let mut out = String::new();
    for c in char::decode_utf16(bytes.chunks_exact(2).map(unit)) {
        match c {
            Ok(c) => out.push(c),
            Err(half) => out.push_str(&format!("\\u{{{:x}}}", half.unpaired_surrogate())),
        }
    }
    out.into_bytes()
}

/// The module of `CREATE VIRTUAL TABLE name USING module(…)`. The stored text begins exactly so,
/// whatever was typed; the name may hold anything, so the module is looked for behind it.
fn module(sql: &[u8]) -> Option<String> {
    const START: &[u8] = b"create virtual table ";
    let rest = sql.get(START.len()..).filter(|_| sql[..START.len()].eq_ignore_ascii_case(START))?;
    let rest = skip_name(rest)?;
    let using = rest.iter().position(|b| !b.is_ascii_whitespace()).map(|at| &rest[at..])?;
    let after = using.get(5..).filter(|_| using[..5].eq_ignore_ascii_case(b"using"))?;
    let after = after.trim_ascii_start();
    let end = after.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(after.len());
    Some(String::from_utf8(after[..end].to_ascii_lowercase()).unwrap_or_default())
}

fn skip_name(sql: &[u8]) -> Option<&[u8]> {
    let sql = sql.trim_ascii_start();
    let close = match sql.first()? {
        b'"' => b'"',
        b'`' => b'`',
        b'\'' => b'\'',
        b'[' => b']',
        _ => {
            let end = sql.iter().position(u8::is_ascii_whitespace)?;
            return Some(&sql[end..]);
        }
    };
    let mut at = 1;
    loop {
        at += sql.get(at..)?.iter().position(|&b| b == close)? + 1;
        // A doubled mark is one in the name.
        if close == b']' || sql.get(at) != Some(&close) {
            return Some(&sql[at..]);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_behind_any_name() {
        for (sql, expected) in [
            ("CREATE VIRTUAL TABLE notes USING fts5(body)", Some("fts5")),
            ("CREATE VIRTUAL TABLE \"a \"\"using\"\" b\" using FTS4(x)", Some("fts4")),
            ("CREATE VIRTUAL TABLE [x y] USING rtree(id,a,b)", Some("rtree")),
            ("CREATE VIRTUAL TABLE", None),
            ("CREATE VIRTUAL TABLE \"x", None),
            ("CREATE TABLE x(a)", None),
        ] {
            assert_eq!(module(sql.as_bytes()).as_deref(), expected, "{sql}");
        }
    }

    #[test]
    fn varints_end() {
        assert_eq!(varint(&[0x81, 0x00], 0), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9], 0), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0xff; 8], 0), None);
        assert_eq!(varint(&[], 0), None);
    }
}
