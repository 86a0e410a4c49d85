//! Canonical JSON (RFC 8785, integers only): one value, one spelling. Types that are hashed or
//! logged declare their fields in alphabetical order, so that writing them is already canonical;
//! `assert_canonical` holds a type to it in tests.

use serde::Serialize;

/// The canonical bytes of `value`, without a line end.
///
/// # Panics
/// Never for types of this crate: their maps have string keys and they hold no floats.
pub fn line<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our types have string keys and no failing serialiser")
}

/// True when `bytes` are the canonical spelling of some value: sorted keys, no spaces, no
/// duplicates, integers only.
pub fn is_canonical(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|v| !has_float(&v) && serde_json::to_vec(&v).is_ok_and(|again| again == bytes))
}

fn has_float(v: &serde_json::Value) -> bool {
    match v {
        serde_json::Value::Number(n) => n.is_f64(),
        serde_json::Value::Array(a) => a.iter().any(has_float),
        serde_json::Value::Object(o) => o.values().any(has_float),
        _ => false,
    }
}
