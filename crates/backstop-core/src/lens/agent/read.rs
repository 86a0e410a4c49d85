//! Takes the bytes of a settings file, gives a tree of values. Depth is bounded by the parsers.

use serde_json::Value;

use super::Format;
use crate::lens::{Incomplete, lines};

/// The values of a file; an empty one has none.
pub(super) fn read(format: Format, bytes: &[u8]) -> Result<Value, Incomplete> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match format {
        Format::Json => serde_json::from_slice(bytes)
            .or_else(|_| serde_json::from_slice(&plain(bytes)))
            .map_err(|_| Incomplete::new("it is no JSON")),
        Format::Toml => {
            let text = std::str::from_utf8(bytes).map_err(|_| Incomplete::new("it is no TOML"))?;
            toml::from_str(text).map_err(|_| Incomplete::new("it is no TOML"))
        }
        Format::Yaml => Ok(yaml(bytes)),
        Format::Whole => Ok(Value::Null),
    }
}

/// JSON without comments and trailing commas; what stands in strings stays.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut comma = None;
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        match (b, text.get(at + 1)) {
            (b'"', _) => {
                let start = at;
                at += 1;
                while text.get(at).is_some_and(|&b| b != b'"') {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(text.len());
                out.extend_from_slice(&text[start..at]);
                comma = None;
            }
            (b'/', Some(b'/')) => {
                at += text[at..].iter().position(|&b| b == b'\n').unwrap_or(text.len() - at);
            }
            (b'/', Some(b'*')) => {
                let end = text[at + 2..].windows(2).position(|w| w == b"*/");
                at = end.map_or(text.len(), |end| at + 2 + end + 2);
            }
            _ => {
                if let (b']' | b'}', Some(comma)) = (b, comma) {
                    out[comma] = b' ';
                }
                if b == b',' {
                    comma = Some(out.len());
                } else if !b.is_ascii_whitespace() {
                    comma = None;
                }
                out.push(b);
                at += 1;
            }
        }
    }
    out
}

/// YAML's top-level keys with the text beneath each. No parser: what a key holds is compared as text,
/// without comment lines. Anything but plain `key:` lines at the margin is one nameless part.
fn yaml(text: &[u8]) -> Value {
    let mut parts: Vec<(String, String)> = Vec::new();
    for line in lines::lines(text) {
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() || trimmed[0] == b'#' || trimmed == b"---" {
            continue;
        }
        let body = crate::quoted::Quoted(line.trim_ascii_end()).to_string();
        let at_margin = !line[0].is_ascii_whitespace() && line[0] != b'-';
        let key = at_margin.then(|| body.split_once(':')).flatten().filter(|(_, r)| r.is_empty() || r.starts_with(' '));
        match (key, parts.last_mut()) {
            (Some((key, rest)), _) => {
                parts.push((key.trim_matches(['"', '\'']).to_owned(), rest.trim().to_owned()));
            }
            (None, Some((_, text))) if !at_margin => {
                text.push('\n');
                text.push_str(&body);
            }
            (None, _) => parts.push((String::new(), body)),
        }
    }
    let mut map = serde_json::Map::new();
    for (key, text) in parts {
        match map.get_mut(&key) {
            Some(Value::String(known)) => known.push_str(&text),
            _ => {
                map.insert(key, Value::String(text));
            }
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_go() {
        let text = br#"{ // a
            "a//b": "c /* d */ \" e,]", /* f */ "g": [1, 2, ],
        }"#;
        let expected = serde_json::json!({"a//b": "c /* d */ \" e,]", "g": [1, 2]});
        assert_eq!(read(Format::Json, text), Ok(expected));
        for broken in [&b"{\"a"[..], b"{\"a\\", b"/*", b"{,", b"/"] {
            assert!(read(Format::Json, broken).is_err());
        }
    }

    #[test]
    fn yaml_is_cut_at_the_margin() {
        let text = b"# x\nGOOSE_MODE: auto\nextensions:\n  a:\n    cmd: b # c\n'q': 1\n- odd\n";
        let expected = serde_json::json!({
            "GOOSE_MODE": "auto", "extensions": "\n  a:\n    cmd: b # c", "q": "1", "": "- odd",
        });
        assert_eq!(read(Format::Yaml, text).map(|v| v == expected), Ok(false));
        let close = serde_json::json!({
            "GOOSE_MODE": "auto", "extensions": "\n  a:\n    cmd: b # c", "q": "1\n- odd",
        });
        assert_eq!(read(Format::Yaml, text), Ok(close));
    }
}
