//! What the notifier has done, in figures.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use backstop_core::notice::{Notice, What};

use super::lasting::Now;
use crate::metrics::Page;
use crate::payload::kind;

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It arrived.
    Delivered,
    /// It was given up.
    Failed,
    /// It is the same as what was told lately, and told together with it.
    Counted,
    /// Somebody does not want to be told.
    Silenced,
}

impl Fate {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Counted => "counted",
            Self::Silenced => "silenced",
        }
    }
}

/// Of all channels, since the process began.
#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<BTreeMap<String, Channel>>);

#[derive(Debug, Default)]
struct Channel {
    /// True where the last attempt failed.
    failing: bool,
    /// How many entries of the log it has read.
    read: u64,
    /// By what was told.
    notices: BTreeMap<(&'static str, Fate), u64>,
    /// Alerts, by their rule; whatever became of them.
    alerts: BTreeMap<String, u64>,
}

impl Figures {
    fn of(&self, channel: &str, note: impl FnOnce(&mut Channel)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        note(all.entry(channel.to_owned()).or_default());
    }

    /// Counts what became of a notice.
    pub fn note(&self, channel: &str, notice: &Notice, fate: Fate) {
        self.of(channel, |one| *one.notices.entry((kind(&notice.what), fate)).or_default() += 1);
    }

    /// Counts that a rule spoke.
    pub fn heard(&self, channel: &str, notice: &Notice) {
        if let What::Alert { rule, .. } = &notice.what {
            self.of(channel, |one| *one.alerts.entry(rule.clone()).or_default() += 1);
        }
    }

    /// Whether an attempt failed.
    pub fn tried(&self, channel: &str, failing: bool) {
        self.of(channel, |one| one.failing = failing);
    }

    /// How far the log was read.
    pub fn read(&self, channel: &str, entries: u64) {
        self.of(channel, |one| one.read = entries);
    }

    /// All of them, with what lasts.
    pub fn page(&self, guard: bool, now: &Now) -> Page {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = Page::default();
        page.gauge("backstop_guard_up", "Whether the guard answers", [(Vec::new(), i64::from(guard))]);
        let of = |name: &String| ("channel", name.clone());
        let up = all.iter().map(|(name, one)| (vec![of(name)], i64::from(!one.failing)));
        page.gauge("backstop_channel_up", "Whether the last attempt to tell by this channel arrived", up);
        let read = all.iter().map(|(name, one)| (vec![of(name)], i64::try_from(one.read).unwrap_or(i64::MAX)));
        page.gauge("backstop_channel_read_entries", "Entries of the audit log that were read for this channel", read);
        let notices = all.iter().flat_map(|(name, one)| {
            let labels = move |kind: &'static str, fate: Fate| {
                vec![of(name), ("type", kind.to_owned()), ("outcome", fate.name().to_owned())]
            };
            one.notices.iter().map(move |((kind, fate), n)| (labels(kind, *fate), *n))
        });
        page.counter("backstop_notices", "Notices, by what became of them", notices);
        let alerts = all.iter().flat_map(|(name, one)| {
            one.alerts.iter().map(move |(rule, n)| (vec![of(name), ("rule", rule.clone())], *n))
        });
        page.counter("backstop_alerts", "What rules spoke of, whatever became of it", alerts);
        let lasting = now.lasts.keys().map(|name| (vec![("what", name.clone())], 1));
        page.gauge(
            "backstop_lasting",
            "What lasts at this moment: a disk that is nearly full, a guard that is away",
            lasting,
        );
        page
    }
}

#[cfg(test)]
mod tests {
    use backstop_core::time::Timestamp;

    use super::super::lasting::{away, named};
    use super::*;

    #[test]
    fn what_was_done_is_counted_by_channel() {
        let figures = Figures::default();
        let what = What::Alert { again: 60, rule: "deletes-trees".to_owned(), same: "s".to_owned() };
        let notice = Notice { what, ..Notice::test("db-1", Timestamp::default()) };
        for fate in [Fate::Delivered, Fate::Counted, Fate::Counted, Fate::Silenced, Fate::Failed] {
            figures.heard("team", &notice);
            figures.note("team", &notice, fate);
        }
        figures.tried("pager", true);
        figures.tried("team", false);
        figures.read("team", 7);
        let now = Now { lasts: named([away(Timestamp::default())]), ..Now::default() };
        let text = figures.page(false, &now).text();
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        has("backstop_guard_up 0");
        has("backstop_channel_up{channel=\"pager\"} 0");
        has("backstop_channel_up{channel=\"team\"} 1");
        has("backstop_channel_read_entries{channel=\"team\"} 7");
        has("backstop_notices_total{channel=\"team\",type=\"alert\",outcome=\"counted\"} 2");
        has("backstop_notices_total{channel=\"team\",type=\"alert\",outcome=\"failed\"} 1");
        has("backstop_alerts_total{channel=\"team\",rule=\"deletes-trees\"} 5");
        has("backstop_lasting{what=\"guard away\"} 1");
    }
}
