//! How the sinks stand, for people and as a document: from what the exporter keeps, and where the log ends.

use std::io;
use std::path::Path;
use std::time::Duration;

use backstop_core::audit::Entry;
use backstop_core::size;
use backstop_core::time::Timestamp;
use backstop_engine::Lines;
use serde::Serialize;

use super::config::{self, Config};
use super::cursor::{Cursor, Failing};
use super::serve::Log;
use crate::metrics::Page;
use crate::place;

/// How they stand.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Whether an exporter is at work.
    pub at_work: bool,
    /// How many entries the log has; none where it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// The sinks.
    pub sinks: Vec<One>,
    /// What keeps whoever asks from reading the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The format's version: 1.
    pub version: u32,
}

/// How one stands.
#[derive(Debug, Serialize)]
pub struct One {
    /// How many entries it does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// What it is.
    pub kind: &'static str,
    /// How many entries it had before: they were sent again.
    pub known: u64,
    /// When it took something last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Its name.
    pub name: String,
    /// From where on it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// For how many seconds the oldest entry that it does not have has been there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_s: Option<i64>,
    /// How many it took.
    pub sent: u64,
    /// How many it refused.
    pub skipped: u64,
}

impl One {
    /// Of what is kept of a sink, and the log with its end where it can be read.
    fn of(
        sink: &config::Sink,
        kept: io::Result<Option<Cursor>>,
        log: Option<(&Lines, &mut Box<dyn Log>)>,
        now: Timestamp,
    ) -> Self {
        let fails = |why: String| Some(Failing { since: now, why });
        let unread = kept.as_ref().err().and_then(|e| fails(format!("how it stands can't be read: {e}")));
        let cursor = kept.ok().flatten();
        let mut one = Self {
            behind: None,
            failing: unread.or_else(|| cursor.as_ref()?.failing.clone()),
            kind: sink.to.kind(),
            known: cursor.as_ref().map_or(0, |c| c.known),
            last: cursor.as_ref().and_then(|c| c.last),
            name: sink.name.clone(),
            next: cursor.as_ref().map(|c| c.next.entry),
            oldest_s: None,
            sent: cursor.as_ref().map_or(0, |c| c.sent),
            skipped: cursor.as_ref().map_or(0, |c| c.skipped),
        };
        let Some((Lines { end, next: begin, .. }, log)) = log else { return one };
        // Of another log it has nothing.
        let next =
            cursor.map_or_else(|| begin.clone(), |c| if c.next.log == begin.log { c.next } else { begin.clone() });
        one.behind = Some(end.saturating_sub(next.entry));
        one.next = one.next.map(|_| next.entry);
        if next.entry > *end {
            let has = next.entry;
            one.failing =
                fails(format!("the audit log has {end} entries, and it has {has} of them: backstop audit verify"));
        } else if next.entry < *end {
            // How old that is nobody needs to know where it can't be told.
            let first = log.lines(Some(&next), Duration::ZERO).ok().and_then(|lines| lines.lines.into_iter().next());
            let at = first.and_then(|line| Entry::parse(line.as_bytes())).map(|entry| entry.at);
            one.oldest_s = at.map(|at| now.seconds_since(at).max(0));
        }
        one
    }
}

impl Status {
    /// Looks.
    pub fn look(
        config: &Config,
        state: &Path,
        open: &mut dyn FnMut() -> Result<Box<dyn Log>, String>,
        now: Timestamp,
    ) -> Self {
        let mut log = open();
        let whole = log.as_mut().map_err(|why| why.clone()).and_then(|log| log.lines(None, Duration::ZERO));
        let mut sinks = Vec::new();
        for sink in &config.sinks {
            let readable = match (&whole, &mut log) {
                (Ok(whole), Ok(log)) => Some((whole, log)),
                _ => None,
            };
            sinks.push(One::of(sink, place::read(state, &sink.name), readable, now));
        }
        let (end, trouble) = (whole.as_ref().ok().map(|lines| lines.end), whole.as_ref().err().cloned());
        Self { at_work: place::is_at_work(state), end, sinks, trouble, version: 1 }
    }

    /// Whether all is well: an exporter is at work, the log can be read, and each sink takes what comes.
    pub fn is_well(&self) -> bool {
        self.at_work && self.trouble.is_none() && self.sinks.iter().all(|one| one.failing.is_none())
    }

    /// In figures.
    pub fn page(&self) -> Page {
        let mut page = Page::default();
        let figure = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let end = self.end.map(|end| (Vec::new(), figure(end)));
        page.gauge("backstop_log_entries", "Entries of the audit log; none where it can't be read", end);
        let rows = |of: fn(&One) -> Option<u64>| {
            let labels = |one: &One| vec![("sink", one.name.clone()), ("kind", one.kind.to_owned())];
            self.sinks.iter().filter_map(move |one| Some((labels(one), of(one)?))).collect::<Vec<_>>()
        };
        for (name, help, of) in [
            (
                "backstop_export_up",
                "Whether the sink takes what comes",
                (|o| Some(u64::from(o.failing.is_none()))) as fn(&One) -> _,
            ),
            ("backstop_export_behind_entries", "Entries that the sink does not have", |o| o.behind),
            ("backstop_export_behind_seconds", "For how long the oldest of them has been there", |o| {
                o.oldest_s.map_or(o.behind.filter(|n| *n == 0), |seconds| u64::try_from(seconds).ok())
            }),
        ] {
            page.gauge(name, help, rows(of).into_iter().map(|(labels, n)| (labels, figure(n))));
        }
        for (name, help, of) in [
            ("backstop_export_sent", "Entries that the sink took", (|o| Some(o.sent)) as fn(&One) -> _),
            ("backstop_export_skipped", "Entries that the sink refused for good", |o| Some(o.skipped)),
            ("backstop_export_known", "Entries that the sink had before", |o| Some(o.known)),
        ] {
            page.counter(name, help, rows(of));
        }
        page
    }

    /// As a document.
    pub fn document(&self) -> String {
        serde_json::to_string_pretty(self).expect("our types have string keys and no failing serialiser")
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        let width = self.sinks.iter().map(|one| one.name.chars().count()).max().unwrap_or(0);
        for one in &self.sinks {
            let state = match (one.behind, one.oldest_s) {
                (None, _) => "how far is not known".to_owned(),
                (Some(0), _) => "has all of the log".to_owned(),
                (Some(behind), None) => format!("{} behind", size::count(behind)),
                (Some(behind), Some(oldest)) => {
                    format!("{} behind, the oldest for {}", size::count(behind), span(oldest))
                }
            };
            let mut line = format!("{:width$}  {:13}  {state}; {} sent", one.name, one.kind, size::count(one.sent));
            for (count, word) in [(one.known, "sent again"), (one.skipped, "refused")] {
                if count > 0 {
                    line.push_str(&format!(", {} {word}", size::count(count)));
                }
            }
            if let Some(last) = one.last {
                line.push_str(&format!(", last {}", last.whole()));
            }
            out.push(line);
            if let Some(Failing { since, why }) = &one.failing {
                out.push(format!("{:width$}  fails since {}: {why}", "", since.whole()));
            }
        }
        if let Some(trouble) = &self.trouble {
            out.push(format!("the log can't be read: {trouble}"));
        }
        if !self.at_work {
            out.push("no exporter is at work: backstop-export run, or systemctl start backstop-export".to_owned());
        }
        out.join("\n")
    }
}

/// `40 s`, `3 min`, `2 h`, `5 days`.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use backstop_core::notice::Mark;

    use super::super::record::tests::whole;
    use super::super::serve::tests::page;
    use super::*;
    use crate::place::Cursors;

    #[test]
    fn a_person_sees_how_far_each_sink_is_and_what_is_wrong() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "[[sink]]\nname = 'siem'\nsplunk = { url = 'https://x', token_file = '/k' }\n\
                    [[sink]]\nname = 'j'\njournald = {}\n[[sink]]\nname = 'new'\njournald = {}\n";
        let config = Config::parse(text).expect("settings");
        let end = whole().len() as u64;
        let mark = |entry| Mark { entry, log: "backstop/34".to_owned() };
        let now = Timestamp::new(whole()[5].entry.at.secs + 300, 0);
        let cursors = Cursors::open(dir.path()).expect("cursors");
        let failing = Some(Failing { since: Timestamp::new(1_800_000_000, 5), why: "429".to_owned() });
        cursors.write("siem", &Cursor { failing, sent: 1_234, skipped: 2, ..Cursor::new(mark(5)) }).expect("written");
        cursors.write("j", &Cursor { sent: end, known: 3, ..Cursor::new(mark(end)) }).expect("written");
        let look =
            |open: &mut dyn FnMut() -> Result<Box<dyn Log>, String>| Status::look(&config, dir.path(), open, now);
        let status = look(&mut || Ok(page()));
        let behind = end - 5;
        assert_eq!(
            status.text(),
            format!(
                "siem  splunk         {behind} behind, the oldest for 5 min; 1,234 sent, 2 refused\n      \
                 fails since 2027-01-15T08:00:00Z: 429\n\
                 j     journald       has all of the log; {end} sent, 3 sent again\n\
                 new   journald       {end} behind, the oldest for 5 min; 0 sent"
            )
        );
        assert!(!status.is_well());
        cursors.write("siem", &Cursor::new(mark(end))).expect("written");
        assert!(look(&mut || Ok(page())).is_well());
        let away = look(&mut || Err("the daemon is away".to_owned()));
        assert!(!away.is_well());
        assert_eq!(away.sinks[1].next, Some(end), "what it has is known, wherever the log ends");
        assert!(away.document().contains("\"trouble\": \"the daemon is away\""));
        assert!(away.text().contains("how far is not known") && away.text().ends_with("the daemon is away"));
        cursors.write("j", &Cursor::new(mark(end + 1))).expect("written");
        let cut = look(&mut || Ok(page()));
        assert!(!cut.is_well() && cut.text().contains(&format!("the audit log has {end} entries")), "{}", cut.text());
        drop(cursors);
        let stopped = look(&mut || Ok(page()));
        assert!(stopped.text().contains("no exporter is at work") && !stopped.is_well());
        assert_eq!([40, 300, 8_000, 200_000].map(span), ["40 s", "5 min", "2 h", "2 days"]);
    }
}
