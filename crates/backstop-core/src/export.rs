//! What an exporter of the audit log says of its sinks, as it is put on record: that one refuses entries for good, takes
//! none for long, or takes them again. Says nothing of what arrives, which would be an entry for each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::is_name;
use crate::audit::Body;
use crate::notice::Delivery;

/// So long, in seconds, entries may wait for a sink before that is put on record.
pub const PATIENCE: u64 = 300;

/// So many spans of entries may be skipped for one sink in an hour: what refuses more is not wrong about an entry.
pub const SKIPS: u32 = 100;

/// Entries by their indices, both ends among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Span {
    /// `entry 7`, or `entries 7 to 9`.
    pub fn in_words(self) -> String {
        let Self { first, last } = self;
        if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") }
    }
}

/// What is said of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    /// Of which log the entries are: the name in its checkpoints.
    pub log: String,
    /// Which sink, by its name.
    pub sink: String,
    /// What.
    pub what: Said,
}

/// See [`Remark`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Said {
    /// It takes entries again, this one first.
    Resumed {
        /// The index.
        entry: u64,
    },
    /// It refuses these for good.
    Skipped {
        /// Which.
        entries: Span,
        /// Why.
        why: String,
    },
    /// It has taken none for long, from this one on.
    Stalled {
        /// The index.
        entry: u64,
        /// Why.
        why: String,
    },
}

impl Remark {
    /// Whether it can be put on record: names and reasons are plain and short, spans begin before they end.
    pub fn is_sound(&self) -> bool {
        let plain = |why: &str| !why.is_empty() && Delivery::reason(why) == *why;
        is_name(&self.sink)
            && match &self.what {
                Said::Resumed { .. } => true,
                Said::Skipped { entries, why } => entries.first <= entries.last && plain(why),
                Said::Stalled { why, .. } => plain(why),
            }
    }

    /// The last entry that it speaks of.
    pub const fn entry(&self) -> u64 {
        match &self.what {
            Said::Resumed { entry } | Said::Stalled { entry, .. } => *entry,
            Said::Skipped { entries, .. } => entries.last,
        }
    }

    /// What is put on record.
    pub fn body(self) -> Body {
        let Self { sink, what, .. } = self;
        match what {
            Said::Resumed { entry } => Body::ExportResumed { entry, sink },
            Said::Skipped { entries, why } => Body::ExportSkipped { entries, sink, why },
            Said::Stalled { entry, why } => Body::ExportStalled { entry, sink, why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_on_record_is_plain_short_and_in_order() {
        let skipped = |first, last, why: &str| Said::Skipped { entries: Span { first, last }, why: why.to_owned() };
        let stalled = |why: &str| Said::Stalled { entry: 7, why: why.to_owned() };
        for (sink, what, sound) in [
            ("siem", skipped(3, 3, "400"), true),
            ("siem", skipped(3, 9, "400"), true),
            ("siem", skipped(4, 3, "400"), false),
            ("siem", skipped(3, 3, ""), false),
            ("siem", skipped(3, 3, "a\nb"), false),
            ("siem", stalled("no route"), true),
            ("siem", stalled(&"x".repeat(301)), false),
            ("siem", stalled("\u{202e}"), false),
            ("", Said::Resumed { entry: 1 }, false),
            ("a b", Said::Resumed { entry: 1 }, false),
            ("a", Said::Resumed { entry: 1 }, true),
        ] {
            let remark = Remark { log: "l".to_owned(), sink: sink.to_owned(), what };
            assert_eq!(remark.is_sound(), sound, "{remark:?}");
        }
    }

    #[test]
    fn a_span_is_said_as_people_say_it() {
        let said = [(3, 3), (3, 9)].map(|(first, last)| Span { first, last }.in_words());
        assert_eq!(said, ["entry 3", "entries 3 to 9"]);
    }
}
