//! Names of runs: short, speakable, sortable by time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// Crockford's base 32 in lower case: no i, l, o, u, so that an id can be read out aloud.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 2024-01-01T00:00:00Z: ids count seconds from here, 30 bits, so they last until 2058.
const EPOCH: i64 = 1_704_067_200;

/// A run's name, `r-` and six base-32 digits of its second. Later runs sort later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u32);

impl RunId {
    /// The id for a run that starts at `now`: its second, or the one after `last` where that second
    /// is taken or the clock went backwards; so ids always grow.
    pub fn next(now: Timestamp, last: Option<RunId>) -> Self {
        let second = (now.secs - EPOCH).clamp(0, (1 << 30) - 1) as u32;
        Self(last.map_or(second, |l| second.max(l.0 + 1)))
    }

    /// Reads `r-7k3f9q`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("r-")?.as_bytes();
        if digits.len() != 6 {
            return None;
        }
        digits.iter().try_fold(0, |n, c| Some(n << 5 | DIGITS.iter().position(|d| d == c)? as u32)).map(Self)
    }

    /// The number behind the digits.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// An id from its number.
    pub const fn from_number(n: u32) -> Self {
        Self(n & ((1 << 30) - 1))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("r-")?;
        for shift in (0..6).rev() {
            fmt::Write::write_char(f, char::from(DIGITS[(self.0 >> (5 * shift) & 31) as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a run id like r-7k3f9q"))
    }
}

impl schemars::JsonSchema for RunId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RunId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^r-[0-9a-hjkmnp-tv-z]{6}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_as_their_text_does_and_never_repeat() {
        let now = Timestamp::new(1_795_364_400, 0);
        let a = RunId::next(now, None);
        let b = RunId::next(now, Some(a));
        let back = RunId::next(Timestamp::new(now.secs - 100, 0), Some(b));
        assert!(a < b && b < back);
        assert!(a.to_string() < b.to_string() && b.to_string() < back.to_string());
        assert_eq!(RunId::parse(&a.to_string()), Some(a));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "r-", "7k3f9q", "r-7k3f9", "r-7k3f9qq", "r-7k3f9u", "R-7K3F9Q"] {
            assert_eq!(RunId::parse(text), None, "{text}");
        }
    }
}
