//! Values of options: what their texts mean, and nothing about what they are for.

use std::time::Duration;

use backstop_core::hook::Agent;
use backstop_core::id::RunId;
use backstop_core::time::Timestamp;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// How long `--wait` waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// As long as it takes.
    Forever,
    /// At most this long.
    AtMost(Duration),
}

/// Values of `--net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetArg {
    /// Nothing but a loopback of its own
    None,
    /// The machine's network
    Host,
}

impl NetArg {
    /// The request's own name for it.
    pub const fn asked(self) -> backstop_core::request::Net {
        match self {
            Self::None => backstop_core::request::Net::None,
            Self::Host => backstop_core::request::Net::Host,
        }
    }
}

/// Values of `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Undoable changes in the workspace are allowed, the network is the machine's
    Workstation,
    /// Changes outside scratch directories ask, losing protected data needs two people and a proven
    /// backup; no network
    Production,
}

impl Profile {
    /// The law's own name for it.
    pub const fn law(self) -> backstop_core::policy::law::Profile {
        match self {
            Self::Workstation => backstop_core::policy::law::Profile::Workstation,
            Self::Production => backstop_core::policy::law::Profile::Production,
        }
    }
}

/// A run's state, by its name in files and on screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateArg(pub backstop_core::run::State);

impl ValueEnum for StateArg {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [StateArg; backstop_core::run::State::ALL.len()] = {
            let mut all = [StateArg(backstop_core::run::State::Held); backstop_core::run::State::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = StateArg(backstop_core::run::State::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

/// Reads what `--wait` has behind it, which may be nothing.
pub(super) fn wait(text: &str) -> Result<Wait, String> {
    if text.is_empty() { Ok(Wait::Forever) } else { duration(text).map(Wait::AtMost) }
}

/// A moment, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before now.
    Ago(Duration),
    /// By the clock, in UTC.
    At(Timestamp),
}

impl When {
    /// The moment that it is.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                Timestamp::new(now.secs.saturating_sub(i64::try_from(ago.as_secs()).unwrap_or(i64::MAX)), now.nanos)
            }
        }
    }
}

/// Reads a run's whole name.
pub(super) fn run_id(text: &str) -> Result<RunId, String> {
    RunId::parse(text).ok_or_else(|| "not a run like r-7k3f9q".to_owned())
}

/// Reads `2h`, `2026-11-29`, `2026-11-29T14:05`, `2026-11-29T14:05:00Z`.
pub(super) fn when(text: &str) -> Result<When, String> {
    if let Ok(ago) = duration(text) {
        return Ok(When::Ago(ago));
    }
    let plain = text.trim_end_matches('Z').replace(' ', "T");
    let whole = match plain.len() {
        10 => format!("{plain}T00:00:00Z"),
        16 => format!("{plain}:00Z"),
        _ => format!("{plain}Z"),
    };
    let at = Timestamp::parse(&whole).map(When::At);
    at.ok_or_else(|| "not a moment like 2h (ago), 2026-11-29 or 2026-11-29T14:05 (UTC)".to_owned())
}

/// Reads `90s`, `10m`, `2h`, `14d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration like 90s, 10m, 2h or 14d".to_owned();
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let n: u64 = digits.parse().map_err(|_| wrong())?;
    n.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

/// One of the agents, by its name.
pub(super) fn agent() -> impl TypedValueParser<Value = Agent> {
    PossibleValuesParser::new(Agent::ALL.map(Agent::name))
        .try_map(|name| Agent::parse(&name).ok_or("there is no such agent"))
}

/// Reads a size: a whole number of bytes, or of a unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "K" | "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return Err("a whole number, with K, M, G or T behind it where wanted".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a whole number, such as 500M".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too big".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_by_the_clock_or_ago() {
        let noon = Timestamp::parse("2026-11-29T12:00:00Z").expect("a moment");
        for (text, expected) in [
            ("2h", Some("2026-11-29T10:00:00Z")),
            ("2026-11-29", Some("2026-11-29T00:00:00Z")),
            ("2026-11-29T14:05", Some("2026-11-29T14:05:00Z")),
            ("2026-11-29 14:05:09", Some("2026-11-29T14:05:09Z")),
            ("2026-11-29T14:05:09Z", Some("2026-11-29T14:05:09Z")),
            ("yesterday", None),
            ("2026-13-01", None),
            ("", None),
        ] {
            let moment = when(text).ok().map(|w| w.moment(noon).to_string());
            assert_eq!(moment.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("2h", Some(7_200)),
            ("14d", Some(1_209_600)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("+5s", None),
            ("99999999999999999999d", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }
}
