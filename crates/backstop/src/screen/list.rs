//! Takes run records, gives the list that `runs` prints: newest first, one line a run.

use backstop_core::run::RunRecord;
use backstop_core::summary::brief;
use backstop_core::time::Timestamp;

use super::message;
use super::size;
use super::style::{Ink, Style, fit, head, pad};

/// One line a run.
pub fn runs(all: &[RunRecord], now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    for record in all {
        let (word, ink) = message::word(record);
        let effect = record.totals.as_ref().map(brief).unwrap_or_default();
        let command = message::tame(record.request.command.text().as_slice());
        let fixed = 9 + 11 + 6 + 22 + 4;
        let line = format!(
            "{} {} {} {} {}",
            style.ink(Ink::Strong, pad(&record.id.to_string(), 9)),
            style.ink(ink, pad(word, 11)),
            style.ink(Ink::Faint, pad(&size::ago(record.started, now), 6)),
            pad(&fit(&effect, 22), 22),
            head(&command, style.width.saturating_sub(fixed).max(16))
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
