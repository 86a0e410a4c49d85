//! Paths and other text from outside, kept as the bytes the kernel gave. In JSON a string where
//! they are UTF-8, else `{"b64": "…"}`; nothing is ever made lossy.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quoted::Quoted;

/// Bytes that came from outside: a path, an argument, a link's target. Ordered bytewise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// Takes the bytes as they are.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as the kernel's text.
    pub fn as_os(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The bytes as a path.
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_os())
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds bytes at the end.
    pub fn extend(&mut self, more: &[u8]) {
        self.0.extend_from_slice(more);
    }

    /// `self/name`, with one slash between; an empty `self` gives `name`.
    pub fn join(&self, name: &[u8]) -> Self {
        let mut all = Vec::with_capacity(self.0.len() + 1 + name.len());
        all.extend_from_slice(&self.0);
        if !all.is_empty() && !all.ends_with(b"/") && !name.is_empty() {
            all.push(b'/');
        }
        all.extend_from_slice(name);
        Self(all)
    }

    /// Everything before the last slash (`/` for `/a`, empty for a bare name).
    pub fn parent(&self) -> Self {
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(0) => Self(b"/".to_vec()),
            Some(at) => Self(self.0[..at].to_vec()),
            None => Self(Vec::new()),
        }
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(at) => &self.0[at + 1..],
            None => &self.0,
        }
    }

    /// True when `self` is `dir` or lies beneath it; component-wise, so `/ab` is not beneath `/a`.
    pub fn is_beneath(&self, dir: &[u8]) -> bool {
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        self.0.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Shown so that it cannot repaint a screen.
    pub fn quoted(&self) -> Quoted<'_> {
        Quoted(&self.0)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.quoted())
    }
}

impl From<&[u8]> for Bytes {
    fn from(b: &[u8]) -> Self {
        Self(b.to_vec())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(b: Vec<u8>) -> Self {
        Self(b)
    }
}

impl From<&str> for Bytes {
    fn from(b: &str) -> Self {
        Self(b.as_bytes().to_vec())
    }
}

impl From<&OsStr> for Bytes {
    fn from(b: &OsStr) -> Self {
        Self(b.as_bytes().to_vec())
    }
}

impl From<OsString> for Bytes {
    fn from(b: OsString) -> Self {
        Self(b.into_vec())
    }
}

impl From<&Path> for Bytes {
    fn from(b: &Path) -> Self {
        Self(b.as_os_str().as_bytes().to_vec())
    }
}

impl From<PathBuf> for Bytes {
    fn from(b: PathBuf) -> Self {
        Self(b.into_os_string().into_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => s.serialize_str(text),
            Err(_) => {
                let mut map = s.serialize_map(Some(1))?;
                map.serialize_entry("b64", &STANDARD.encode(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Both;
        impl<'de> Visitor<'de> for Both {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or {\"b64\": …} for bytes that are not UTF-8")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Bytes, E> {
                Ok(Bytes::from(v))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
                let Some(key) = map.next_key::<String>()? else {
                    return Err(de::Error::missing_field("b64"));
                };
                if key != "b64" {
                    return Err(de::Error::unknown_field(&key, &["b64"]));
                }
                let text: String = map.next_value()?;
                let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
                // One spelling per value: UTF-8 must come as a string, or a digest would have two.
                if std::str::from_utf8(&bytes).is_ok() {
                    return Err(de::Error::custom("UTF-8 bytes must be a plain string, not b64"));
                }
                if map.next_key::<String>()?.is_some() {
                    return Err(de::Error::custom("one key only"));
                }
                Ok(Bytes(bytes))
            }
        }
        d.deserialize_any(Both)
    }
}

impl schemars::JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Bytes from outside: a string where they are UTF-8, else base64 under `b64`",
            "oneOf": [
                {"type": "string"},
                {"type": "object", "required": ["b64"], "additionalProperties": false,
                 "properties": {"b64": {"type": "string", "contentEncoding": "base64"}}}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_json() {
        for b in [&b"/srv/a"[..], b"\xff\xfe", b"", "\u{202e}x".as_bytes()] {
            let json = serde_json::to_string(&Bytes::from(b)).expect("bytes always serialise");
            assert_eq!(serde_json::from_str::<Bytes>(&json).expect("what we wrote"), Bytes::from(b));
        }
    }

    #[test]
    fn a_second_spelling_of_the_same_bytes_is_refused() {
        assert!(serde_json::from_str::<Bytes>(r#"{"b64":"YQ=="}"#).is_err());
    }

    #[test]
    fn beneath_goes_by_components() {
        for (path, dir, expected) in [
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/ab", "/a", false),
            ("/a", "/", true),
            ("/a/b", "/a/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(Bytes::from(path).is_beneath(dir.as_bytes()), expected, "{path} {dir}");
        }
    }
}
