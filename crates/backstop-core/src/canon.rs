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

/// True for a number that is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// True when `bytes` are the canonical spelling of some value: sorted keys, no spaces, no
/// duplicates, integers only.
pub fn is_canonical(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|v| is_plain(&v) && serde_json::to_vec(&v).is_ok_and(|again| again == bytes))
}

/// No floats, and sorted keys: whether a map sorts by itself is a feature of `serde_json` that any
/// dependency may switch.
fn is_plain(v: &serde_json::Value) -> bool {
    match v {
        serde_json::Value::Number(n) => !n.is_f64(),
        serde_json::Value::Array(a) => a.iter().all(is_plain),
        serde_json::Value::Object(o) => o.keys().is_sorted() && o.values().all(is_plain),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_canonical;

    #[test]
    fn one_value_has_one_spelling() {
        assert!(is_canonical(br#"{"a":[{"b":1,"c":"x"}],"d":true}"#));
        for other in [
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"a":1.5}"#,
            r#"[{"z":1,"y":2}]"#,
            r#"{"a":1}
"#,
        ] {
            assert!(!is_canonical(other.as_bytes()), "{other}");
        }
    }
}
