//! A moment of the wall clock, given from outside; RFC 3339 in UTC in JSON and on screens.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub secs: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Timestamp {
    /// A moment.
    pub const fn new(secs: i64, nanos: u32) -> Self {
        Self { secs, nanos }
    }

    /// The second it is in, for people to read.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self { nanos: 0, ..self }
    }

    /// Whole seconds from `earlier` to here; negative when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.secs - earlier.secs
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z')?;
        let (date, clock) = text.split_once('T')?;
        let (date_sign, date) = match date.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, date),
        };
        let mut ymd = date.split('-').map(|n| n.parse::<i64>().ok());
        let (y, m, d) = (date_sign * ymd.next()??, ymd.next()??, ymd.next()??);
        let (clock, frac) = clock.split_once('.').unwrap_or((clock, ""));
        let mut hms = clock.split(':').map(|n| n.parse::<i64>().ok());
        let (h, min, s) = (hms.next()??, hms.next()??, hms.next()??);
        if ymd.next().is_some() || hms.next().is_some() || frac.len() > 9 {
            return None;
        }
        // A year beyond any calendar would overflow the seconds; text from a damaged log may hold one.
        if !(-9_999..=999_999).contains(&y)
            || !(1..=12).contains(&m)
            || !(1..=31).contains(&d)
            || !(0..24).contains(&h)
            || !(0..60).contains(&min)
            || !(0..61).contains(&s)
        {
            return None;
        }
        let nanos = if frac.is_empty() { 0 } else { frac.parse::<u32>().ok()? * 10u32.pow(9 - frac.len() as u32) };
        Some(Self { secs: days_from_civil(y, m, d) * 86_400 + h * 3_600 + min * 60 + s, nanos })
    }
}

impl From<(i64, u32)> for Timestamp {
    fn from((secs, nanos): (i64, u32)) -> Self {
        Self { secs, nanos }
    }
}

impl From<Timestamp> for (i64, u32) {
    fn from(t: Timestamp) -> Self {
        (t.secs, t.nanos)
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// The date of a day number; the inverse of `days_from_civil`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m, doy - (153 * mp + 2) / 5 + 1)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = civil_from_days(self.secs.div_euclid(86_400));
        let s = self.secs.rem_euclid(86_400);
        write!(f, "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)?;
        if self.nanos != 0 {
            write!(f, ".{:09}", self.nanos)?;
        }
        f.write_str("Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a moment like 2026-11-22T16:20:00Z"))
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (secs, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_795_364_400, 5, "2026-11-22T16:20:00.000000005Z"),
            (951_782_399, 0, "2000-02-28T23:59:59Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
        ] {
            let t = Timestamp::new(secs, nanos);
            assert_eq!(t.to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(t), "{text}");
        }
    }

    #[test]
    fn a_year_beyond_any_calendar_is_refused() {
        assert_eq!(Timestamp::parse("9223372036854775807-01-01T00:00:00Z"), None);
    }
}
