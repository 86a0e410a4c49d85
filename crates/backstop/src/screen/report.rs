//! Takes reports of the engine (undo, vault, prune), gives what people read of them.

use backstop_core::time::Timestamp;
use backstop_engine::{FailureKind, Pruned, UndoReport, Unreachable, Unreadable, VaultStatus};

use super::message::{line, push, quoted, rule_of, tame};
use super::size;
use super::style::{Ink, Style, head};

/// Which way a report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Taken back.
    Undo,
    /// Brought back.
    Redo,
}

/// What an undo or redo did, and what stopped it.
pub fn undo(report: &UndoReport, way: Way, style: Style) -> String {
    const SHOWN: usize = 10;
    let mut out = String::new();
    let (word, opposite) = match way {
        Way::Undo => ("undone", "redo"),
        Way::Redo => ("redone", "undo"),
    };
    for record in report.done.iter().take(SHOWN) {
        let command = head(&tame(record.request.command.text().as_slice()), style.width.saturating_sub(28));
        push(
            &mut out,
            format_args!("backstop: {} {}: {command}\n", style.ink(Ink::Made, word), style.ink(Ink::Strong, record.id),),
        );
    }
    if report.done.len() > SHOWN {
        line(&mut out, style, "", &format!("… and {} more runs", size::count((report.done.len() - SHOWN) as u64)));
    }
    for path in report.beside.iter().take(SHOWN) {
        line(&mut out, style, "beside", &path.quoted().to_string());
    }
    if report.beside.len() > SHOWN {
        line(&mut out, style, "", &format!("… and {} more", size::count((report.beside.len() - SHOWN) as u64)));
    }
    for note in report.notes.iter().take(SHOWN) {
        line(&mut out, style, "note", &quoted(note));
    }
    match &report.stopped {
        Some((id, why)) => {
            let at = style.ink(Ink::Strong, id);
            let word = style.ink(Ink::Changed, "stopped before");
            let mut lines = why.what.lines();
            push(&mut out, format_args!("backstop: {word} {at}: {}\n", quoted(lines.next().unwrap_or_default())));
            for more in lines {
                line(&mut out, style, "", &quoted(more.trim_start()));
            }
            let rule = why.rule.as_deref().or(match why.kind {
                FailureKind::Conflict => {
                    Some("what changed since is never overwritten; nothing of this run was touched")
                }
                other => rule_of(other),
            });
            if let Some(rule) = rule {
                line(&mut out, style, "rule", rule);
            }
            for (n, step) in why.next.iter().enumerate() {
                line(&mut out, style, if n == 0 { "next" } else { "" }, &quoted(step));
            }
        }
        None if report.done.is_empty() => push(&mut out, format_args!("backstop: nothing to do\n")),
        None => {
            let ids: Vec<String> = report.done.iter().take(3).map(|r| r.id.to_string()).collect();
            let next = match report.done.len() {
                0..=3 => format!("backstop {opposite} {}", ids.join(" ")),
                n => format!("backstop {opposite} --last {n}"),
            };
            line(&mut out, style, "next", &format!("the other way again: {next}"));
        }
    }
    out
}

/// What the vaults hold.
pub fn vault(status: &VaultStatus, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    for v in &status.volumes {
        push(&mut out, format_args!("{} ({})\n", style.ink(Ink::Strong, v.path.quoted()), quoted(&v.fs)));
        let share = if v.limit == 0 { 0 } else { u128::from(v.used) * 100 / u128::from(v.limit) };
        line(&mut out, style, "kept", &format!("{} of {} ({share} %)", size::bytes(v.used), size::bytes(v.limit)));
        line(&mut out, style, "for", &size::counted(v.runs, "run", "runs"));
        line(&mut out, style, "free", &size::bytes(v.free));
        let reach = match v.oldest {
            Some((id, when)) => format!("back to {id}, {}", size::age(when, now)),
            None => "nothing to take back yet".to_owned(),
        };
        line(&mut out, style, "undo", &reach);
    }
    unreachable(&mut out, &status.unreachable, style);
    if status.volumes.is_empty() && status.unreachable.is_empty() {
        out.push_str("no vault yet: nothing has been committed\n");
    }
    out
}

fn unreachable(out: &mut String, all: &[Unreachable], style: Style) {
    for vault in all {
        push(out, format_args!("{}\n", style.ink(Ink::Strong, vault.path.quoted())));
        line(out, style, "closed", &quoted(&vault.why));
    }
    if !all.is_empty() {
        line(out, style, "next", "mount it again, or make it readable: what it keeps is needed to undo");
    }
}

/// Runs whose records can't be read, each by its name.
pub fn unreadable(all: &[Unreadable], style: Style) -> String {
    let mut out = String::new();
    for run in all {
        let id = style.ink(Ink::Strong, run.id);
        push(&mut out, format_args!("backstop: {id} is left out: {}\n", quoted(&run.what)));
        for (n, step) in run.next.iter().enumerate() {
            line(&mut out, style, if n == 0 { "next" } else { "" }, &quoted(step));
        }
    }
    out
}

/// What pruning let go.
pub fn pruned(pruned: &Pruned, style: Style) -> String {
    let mut out = String::new();
    if pruned.runs.is_empty() && pruned.bytes == 0 {
        out.push_str("backstop: nothing to let go, all is within the limits\n");
        unreachable(&mut out, &pruned.unreachable, style);
        return out;
    }
    let runs = size::counted(pruned.runs.len() as u64, "run", "runs");
    push(&mut out, format_args!("backstop: freed {}; {runs} can no longer be undone\n", size::bytes(pruned.bytes)));
    let ids: Vec<String> = pruned.runs.iter().take(8).map(ToString::to_string).collect();
    if !ids.is_empty() {
        let more = pruned.runs.len() - ids.len();
        let rest = if more > 0 { format!(" … and {more} more") } else { String::new() };
        line(&mut out, style, "runs", &format!("{}{rest}", ids.join(" ")));
    }
    unreachable(&mut out, &pruned.unreachable, style);
    out
}
