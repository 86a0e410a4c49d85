//! TOML, edited in place: comments and order stay.

use serde_json::Value as Json;
use toml_edit::{ArrayOfTables, DocumentMut, Item as Node, Table, TableLike, Value};

use super::bytes::{MergeError, Ours, Piece, What, at, has_ours, is_merged, is_ours};
use super::item::{Item, table};

fn parse(text: &str) -> Result<DocumentMut, MergeError> {
    let document = text.parse::<DocumentMut>().map_err(|e| {
        let upto = e.span().map_or("", |s| text.get(..s.start).unwrap_or(text));
        let line = upto.matches('\n').count() + 1;
        let column = upto.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        MergeError::Syntax { line, column, what: e.message().lines().collect::<Vec<_>>().join(", ") }
    })?;
    let written = document.to_string();
    // A last line without an end gets one.
    if written == text || written.strip_suffix('\n') == Some(text) { Ok(document) } else { Err(MergeError::NotKept) }
}

/// What the text says. Dates become texts.
pub fn value(text: &str) -> Result<Json, MergeError> {
    Ok(node(parse(text)?.as_item()))
}

fn node(item: &Node) -> Json {
    match item {
        Node::None => Json::Null,
        Node::Value(v) => plain(v),
        Node::Table(t) => map(t),
        Node::ArrayOfTables(all) => all.iter().map(|t| map(t)).collect(),
    }
}

fn map(table: &dyn TableLike) -> Json {
    Json::Object(table.iter().map(|(k, v)| (k.to_owned(), node(v))).collect())
}

fn plain(value: &Value) -> Json {
    match value {
        Value::String(s) => Json::from(s.value().as_str()),
        Value::Integer(n) => Json::from(*n.value()),
        Value::Float(f) => Json::from(*f.value()),
        Value::Boolean(b) => Json::from(*b.value()),
        Value::Datetime(d) => Json::from(d.value().to_string()),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::InlineTable(t) => map(t),
    }
}

/// Nothing where all is there already.
pub fn merge(text: &str, pieces: &[Piece], ours: Ours<'_>) -> Result<Option<String>, MergeError> {
    let mut document = parse(text)?;
    if is_merged(&node(document.as_item()), pieces, ours) {
        return Ok(None);
    }
    for piece in pieces {
        if matches!(piece.what, What::First(_) | What::Last(_))
            && let Some(list) = list(&mut document, &piece.at)?
        {
            weed(list, ours);
        }
    }
    for piece in pieces {
        let Some((key, way)) = piece.at.split_last() else { continue };
        let parent = way.iter().try_fold(document.as_table_mut() as &mut dyn TableLike, |table, key| {
            if table.get(key).is_none() {
                let mut made = Table::new();
                // Its header is written only where it has values of its own.
                made.set_implicit(true);
                table.insert(key, Node::Table(made));
            }
            table
                .get_mut(key)
                .and_then(Node::as_table_like_mut)
                .ok_or_else(|| MergeError::Shape((*key).to_owned(), "a table"))
        })?;
        match &piece.what {
            What::Missing(item) => {
                if parent.get(key).is_none() {
                    parent.insert(key, Node::Value(item.inline()));
                }
            }
            What::First(item) | What::Last(item) => {
                let first = matches!(piece.what, What::First(_));
                add(parent, key, item, first).ok_or_else(|| MergeError::Shape(piece.at.join("."), "a list"))?;
            }
        }
    }
    let merged = document.to_string();
    if is_merged(&value(&merged)?, pieces, ours) { Ok(Some(merged)) } else { Err(MergeError::NotKept) }
}

/// One more in the list beneath `key`, in the way that the list is written.
fn add(parent: &mut dyn TableLike, key: &str, item: &Item, first: bool) -> Option<()> {
    let gone = parent.get(key).is_none_or(|n| n.as_array_of_tables().is_some_and(ArrayOfTables::is_empty));
    // Inline tables hold no headers.
    let inline = parent.get(key).is_some_and(Node::is_value);
    if gone && !inline {
        parent.insert(key, Item::List(vec![item.clone()]).under());
        return Some(());
    }
    match parent.get_mut(key)? {
        Node::Value(Value::Array(list)) => {
            let at = if first { 0 } else { list.len() };
            list.insert(at, item.inline());
        }
        Node::ArrayOfTables(all) => {
            let Item::Map(pairs) = item else { return None };
            let at = if first { 0 } else { all.len() };
            all.insert(at, table(pairs));
        }
        _ => return None,
    }
    Some(())
}

/// Nothing where nothing is ours.
pub fn strip(
    text: &str,
    pieces: &[Piece],
    ours: Ours<'_>,
    before: Option<&Json>,
) -> Result<Option<String>, MergeError> {
    let mut document = parse(text)?;
    for piece in pieces {
        match &piece.what {
            What::First(_) | What::Last(_) => {
                if let Some(list) = list(&mut document, &piece.at)?
                    && weed(list, ours)
                {
                    prune(&mut document, &piece.at, before);
                }
            }
            // Without the old bytes nobody knows who wrote it.
            What::Missing(item) if before.is_some_and(|b| at(b, &piece.at).is_none()) => {
                let Some((key, way)) = piece.at.split_last() else { continue };
                if let Some(parent) = existing(&mut document, way)
                    && parent.get(key).map(node) == Some(item.json())
                {
                    parent.remove(key);
                    prune(&mut document, way, before);
                }
            }
            What::Missing(_) => {}
        }
    }
    let stripped = document.to_string();
    parse(&stripped)?;
    let same = stripped == text || stripped.strip_suffix('\n') == Some(text);
    Ok((!same).then_some(stripped))
}

fn existing<'a>(document: &'a mut DocumentMut, keys: &[&str]) -> Option<&'a mut dyn TableLike> {
    keys.iter().try_fold(document.as_table_mut() as &mut dyn TableLike, |table, key| {
        table.get_mut(key).and_then(Node::as_table_like_mut)
    })
}

/// The list at a place, if there is one.
fn list<'a>(document: &'a mut DocumentMut, keys: &[&str]) -> Result<Option<&'a mut Node>, MergeError> {
    let Some((key, way)) = keys.split_last() else { return Ok(None) };
    let Some(found) = existing(document, way).and_then(|t| t.get_mut(key)) else { return Ok(None) };
    match found {
        Node::ArrayOfTables(_) | Node::Value(Value::Array(_)) => Ok(Some(found)),
        _ => Err(MergeError::Shape(keys.join("."), "a list")),
    }
}

/// Takes what is ours out of a list. True where there was something.
fn weed(list: &mut Node, ours: Ours<'_>) -> bool {
    let mut found = false;
    match list {
        Node::ArrayOfTables(all) => {
            for at in (0..all.len()).rev() {
                let Some(entry) = all.get_mut(at) else { continue };
                let said = map(entry);
                if is_ours(&said, ours) {
                    all.remove(at);
                    found = true;
                } else if has_ours(&said, ours)
                    && let Some(hooks) = entry.get_mut("hooks")
                {
                    found |= weed(hooks, ours);
                }
            }
        }
        Node::Value(Value::Array(all)) => {
            for at in (0..all.len()).rev() {
                let Some(entry) = all.get_mut(at) else { continue };
                let said = plain(entry);
                if is_ours(&said, ours) {
                    all.remove(at);
                    found = true;
                } else if has_ours(&said, ours)
                    && let Some(hooks) = entry.as_inline_table_mut().and_then(|t| t.get_mut("hooks"))
                    && let Some(hooks) = hooks.as_array_mut()
                {
                    let before = hooks.len();
                    hooks.retain(|h| !is_ours(&plain(h), ours));
                    found |= hooks.len() != before;
                }
            }
        }
        _ => {}
    }
    found
}

/// Takes away what has become empty, from the inside out, where it was not there before.
fn prune(document: &mut DocumentMut, keys: &[&str], before: Option<&Json>) {
    for end in (1..=keys.len()).rev() {
        let (way, key) = (&keys[..end - 1], keys[end - 1]);
        if before.is_some_and(|b| at(b, &keys[..end]).is_some()) {
            return;
        }
        let Some(parent) = existing(document, way) else { return };
        let empty = parent.get(key).is_some_and(|n| match node(n) {
            Json::Array(list) => list.is_empty(),
            Json::Object(map) => map.is_empty(),
            _ => false,
        });
        if !empty {
            return;
        }
        parent.remove(key);
    }
}
