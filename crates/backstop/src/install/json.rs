//! JSON and JSON with comments, edited in place: comments, order, indents and line ends stay.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstContainerNode, CstNode, CstObject, CstRootNode};
use serde_json::Value;

use super::bytes::{MergeError, Ours, Piece, What, at, has_ours, is_merged, is_ours};

/// What clients may take beyond JSON; more than that none does.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn parse(text: &str) -> Result<CstRootNode, MergeError> {
    let root = CstRootNode::parse(text, &OPTIONS).map_err(|e| MergeError::Syntax {
        line: e.line_display(),
        column: e.column_display(),
        what: e.kind().to_string().to_lowercase(),
    })?;
    if root.to_string() == text { Ok(root) } else { Err(MergeError::NotKept) }
}

/// What the text says.
pub fn value(text: &str) -> Result<Value, MergeError> {
    let root = parse(text)?;
    match root.value() {
        None => Ok(Value::Object(serde_json::Map::new())),
        Some(node) => node.to_serde_value().ok_or(MergeError::NotKept),
    }
}

/// Nothing where all is there already.
pub fn merge(text: &str, pieces: &[Piece], ours: Ours<'_>) -> Result<Option<String>, MergeError> {
    let said = value(text)?;
    let root = parse(text)?;
    let Some(object) = root.object_value_or_create() else {
        return Err(MergeError::Shape("the whole file".to_owned(), "an object"));
    };
    for piece in pieces {
        once(&object, &piece.at)?;
    }
    if is_merged(&said, pieces, ours) {
        return Ok(None);
    }
    for piece in pieces {
        if matches!(piece.what, What::First(_) | What::Last(_))
            && let Some(list) = list(&object, &piece.at)?
        {
            weed(&list, ours);
        }
    }
    for piece in pieces {
        let Some((key, way)) = piece.at.split_last() else { continue };
        let parent = object_at(&object, way)?;
        match &piece.what {
            What::Missing(item) if parent.get(key).is_none() => {
                parent.append(key, item.cst());
            }
            What::Missing(_) => {}
            What::First(item) | What::Last(item) => {
                let list =
                    parent.array_value_or_create(key).ok_or_else(|| MergeError::Shape(piece.at.join("."), "a list"))?;
                list.ensure_multiline();
                if matches!(piece.what, What::First(_)) {
                    list.insert(0, item.cst());
                } else {
                    list.append(item.cst());
                }
            }
        }
    }
    checked(&root, pieces, ours)
}

/// The text, once more read: what can't be found in it again is not written.
fn checked(root: &CstRootNode, pieces: &[Piece], ours: Ours<'_>) -> Result<Option<String>, MergeError> {
    let text = root.to_string();
    if is_merged(&value(&text)?, pieces, ours) { Ok(Some(text)) } else { Err(MergeError::NotKept) }
}

/// Nothing where nothing is ours.
pub fn strip(
    text: &str,
    pieces: &[Piece],
    ours: Ours<'_>,
    before: Option<&Value>,
) -> Result<Option<String>, MergeError> {
    let root = parse(text)?;
    let Some(object) = root.object_value() else { return Ok(None) };
    for piece in pieces {
        once(&object, &piece.at)?;
    }
    for piece in pieces {
        let was = before.map(|b| at(b, &piece.at).is_some());
        match &piece.what {
            What::First(_) | What::Last(_) => {
                if let Some(list) = list(&object, &piece.at)?
                    && weed(&list, ours)
                {
                    prune(&object, &piece.at, before);
                }
            }
            // Without the old bytes nobody knows who wrote it.
            What::Missing(item) if was == Some(false) => {
                let Some((key, way)) = piece.at.split_last() else { continue };
                let here = existing(&object, way).and_then(|o| o.get(key));
                if let Some(prop) = here
                    && prop.value().and_then(|v| v.to_serde_value()) == Some(item.json())
                {
                    prop.remove();
                    prune(&object, way, before);
                }
            }
            What::Missing(_) => {}
        }
    }
    let stripped = root.to_string();
    value(&stripped)?;
    Ok((stripped != text).then_some(stripped))
}

/// Refuses a key on the way that stands there twice.
fn once(object: &CstObject, keys: &[&str]) -> Result<(), MergeError> {
    let Some((key, rest)) = keys.split_first() else { return Ok(()) };
    let named = object.properties().into_iter().filter(|p| p.decoded_name().as_deref() == Some(key));
    match named.count() {
        0 => Ok(()),
        1 => object.object_value(key).map_or(Ok(()), |inner| once(&inner, rest)),
        _ => Err(MergeError::Twice((*key).to_owned())),
    }
}

/// The object at a place, made where it is not there.
fn object_at(object: &CstObject, keys: &[&str]) -> Result<CstObject, MergeError> {
    keys.iter().try_fold(object.clone(), |object, key| {
        object.object_value_or_create(key).ok_or_else(|| MergeError::Shape((*key).to_owned(), "an object"))
    })
}

fn existing(object: &CstObject, keys: &[&str]) -> Option<CstObject> {
    keys.iter().try_fold(object.clone(), |object, key| object.object_value(key))
}

/// The list at a place, if there is one.
fn list(object: &CstObject, keys: &[&str]) -> Result<Option<CstArray>, MergeError> {
    let Some((key, way)) = keys.split_last() else { return Ok(None) };
    let Some(prop) = existing(object, way).and_then(|o| o.get(key)) else { return Ok(None) };
    prop.array_value().map(Some).ok_or_else(|| MergeError::Shape(keys.join("."), "a list"))
}

/// Takes what is ours out of a list. True where there was something.
fn weed(list: &CstArray, ours: Ours<'_>) -> bool {
    let mut found = false;
    for entry in list.elements() {
        let Some(said) = entry.to_serde_value() else { continue };
        if is_ours(&said, ours) {
            entry.remove();
            found = true;
        } else if has_ours(&said, ours)
            && let CstNode::Container(CstContainerNode::Object(group)) = &entry
            && let Some(hooks) = group.array_value("hooks")
        {
            found |= weed(&hooks, ours);
        }
    }
    found
}

/// Takes away what has become empty, from the inside out, where it was not there before.
fn prune(object: &CstObject, keys: &[&str], before: Option<&Value>) {
    for end in (1..=keys.len()).rev() {
        let (way, key) = (&keys[..end - 1], keys[end - 1]);
        if before.is_some_and(|b| at(b, &keys[..end]).is_some()) {
            return;
        }
        let Some(prop) = existing(object, way).and_then(|o| o.get(key)) else { return };
        let empty = prop.array_value().is_some_and(|a| a.elements().is_empty())
            || prop.object_value().is_some_and(|o| o.properties().is_empty());
        if !empty {
            return;
        }
        prop.remove();
    }
}
