//! Numbers as people read them: SI sizes, grouped counts, ages.

use crate::time::Timestamp;

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// `812 B`, `4.1 kB`, `12.4 GB`, `512 MB`: decimal units, at most one digit after the point.
pub fn bytes(n: u64) -> String {
    if n < 1_000 {
        return format!("{n} B");
    }
    let mut unit = 1_000u128;
    for (at, name) in UNITS.iter().enumerate() {
        // Rounded to tenths below 100, to whole numbers above; what rounds up to 1,000 is one of the next.
        let tenths = (u128::from(n) * 10 + unit / 2) / unit;
        if tenths < 1_000 {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        let whole = (u128::from(n) + unit / 2) / unit;
        if whole < 1_000 || at + 1 == UNITS.len() {
            return format!("{whole} {name}");
        }
        unit *= 1_000;
    }
    format!("{n} B")
}

/// `41,210`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 file`, `41,210 files`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// `just now`, `4 minutes ago`, `3 days ago`; `in the future` where the clock went backwards.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let s = now.seconds_since(then);
    if s < -1 {
        return "in the future".to_owned();
    }
    let s = s.max(0).unsigned_abs();
    let (n, one, many) = match s {
        0..=4 => return "just now".to_owned(),
        5..=119 => (s, "second", "seconds"),
        120..=7_199 => (s / 60, "minute", "minutes"),
        7_200..=172_799 => (s / 3_600, "hour", "hours"),
        _ => (s / 86_400, "day", "days"),
    };
    format!("{} ago", counted(n, one, many))
}

/// `now`, `4 min`, `3 h`, `12 d`: an age for a column.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.seconds_since(then) {
        ..-1 => "future".to_owned(),
        -1..=4 => "now".to_owned(),
        s => lasted(s.unsigned_abs()),
    }
}

/// `42 s`, `4 min`, `3 h`, `12 d`: so many seconds, rounded down.
pub fn lasted(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        for (n, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (4_096, "4.1 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (12_412_345_678, "12.4 GB"),
            (512_000_000, "512 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(n), expected, "{n}");
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (n, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (41_210, "41,210"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), expected);
        }
    }

    #[test]
    fn ages_read_well() {
        let now = Timestamp::new(1_000_000, 0);
        for (back, expected) in [
            (0, "just now"),
            (60, "60 seconds ago"),
            (125, "2 minutes ago"),
            (7_200, "2 hours ago"),
            (183 * 86_400, "183 days ago"),
            (-60, "in the future"),
        ] {
            assert_eq!(age(Timestamp::new(now.secs - back, 0), now), expected);
        }
    }
}
