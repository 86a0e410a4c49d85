//! Fields of what a hook is handed.

use serde_json::Value;

use crate::bytes::Bytes;

/// The first of `names` that is a text and not empty.
pub fn text<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().filter_map(|n| value.get(n)?.as_str()).find(|t| !t.is_empty())
}

/// The one of `names` that is there, a text that may be empty. None where none is, or more than one: the
/// client reads one of them, and nobody here knows which.
pub fn only<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    let mut there = names.iter().filter_map(|n| value.get(n));
    let first = there.next()?;
    there.next().is_none().then(|| first.as_str()).flatten()
}

/// True where any of `names` is there.
pub fn any(value: &Value, names: &[&str]) -> bool {
    names.iter().any(|n| value.get(n).is_some())
}

/// The same as bytes.
pub fn bytes(value: &Value, names: &[&str]) -> Option<Bytes> {
    text(value, names).map(Bytes::from)
}

/// An object, or the object that a text holds: clients differ, and so do their versions.
pub fn object(value: Option<&Value>) -> Option<Value> {
    match value? {
        Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
        Value::Object(_) => value.cloned(),
        _ => None,
    }
}
