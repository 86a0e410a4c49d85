//! Takes a coding agent's settings before and after, gives whether its hooks, its permissions, its MCP
//! servers or its instructions change: what it is stopped by, what it may do, whom it calls, what it is
//! told. Values are compared, never understood.

mod glob;
mod parts;
mod read;
mod table;
#[cfg(test)]
mod tests;

use super::words;
use super::{Seen, lines};
use crate::bytes::Bytes;
use crate::facts::{AgentSettings, long};
use parts::Part;

pub use table::Row;

/// What a setting decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Programs the agent runs by itself, before and after what it does: guards among them.
    Hooks,
    /// What the agent may do without asking: permissions, sandbox, approval, trust.
    Permissions,
    /// Servers whose tools the agent calls.
    Mcp,
    /// What the agent reads at its start.
    Instructions,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, with comments and trailing commas where somebody wrote them.
    Json,
    /// TOML.
    Toml,
    /// YAML: compared as text by top-level key.
    Yaml,
    /// Anything: the file as a whole is one hook, rule or instruction.
    Whole,
}

/// How many entries are shown.
const NAMED: usize = 6;

/// The row of the table that a path belongs to.
pub fn place(path: &Bytes) -> Option<&'static Row> {
    table::find(path)
}

/// What the change means; none is no file. `ours` says that the file lies in the workspace: there,
/// instructions are part of the work.
pub fn compare(row: &Row, before: Option<&[u8]>, after: Option<&[u8]>, ours: bool) -> Seen<AgentSettings> {
    let mut seen = Seen::default();
    if before == after {
        return seen;
    }
    if row.format == Format::Whole {
        let kind = row.keys.first().map_or(Kind::Instructions, |(_, kind)| *kind);
        let how = match (before, after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        add(&mut seen, kind, ours, 1, &mut vec![format!("{} {how}", what(kind))]);
    } else {
        parts(row, before, after, ours, &mut seen);
    }
    if counted(&seen.facts) {
        seen.facts.agents.insert(row.agent.to_owned());
        seen.told.iter_mut().for_each(|text| *text = format!("{}: {text}", row.agent));
    } else {
        seen.told.clear();
    }
    seen
}

fn counted(f: &AgentSettings) -> bool {
    f.hooks_changed + f.permissions_changed + f.mcp_changed + f.instructions_changed > 0
}

const fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Hooks => "hook",
        Kind::Permissions => "permission",
        Kind::Mcp => "MCP server",
        Kind::Instructions => "instructions",
    }
}

fn add(seen: &mut Seen<AgentSettings>, kind: Kind, ours: bool, n: usize, told: &mut Vec<String>) {
    let n = long(n as u64);
    match kind {
        Kind::Hooks => seen.facts.hooks_changed += n,
        Kind::Permissions => seen.facts.permissions_changed += n,
        Kind::Mcp => seen.facts.mcp_changed += n,
        Kind::Instructions if ours => return,
        Kind::Instructions => seen.facts.instructions_changed += n,
    }
    seen.told.append(told);
}

fn parts(row: &Row, before: Option<&[u8]>, after: Option<&[u8]>, ours: bool, seen: &mut Seen<AgentSettings>) {
    let read = |side: Option<&[u8]>| side.map_or(Ok(Vec::new()), |bytes| parts::of(row, bytes));
    let (old, new) = (read(before), read(after));
    let mut kinds: Vec<Kind> = row.keys.iter().map(|(_, kind)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (side, parts) in [("before", &old), ("afterwards", &new)] {
        if let Err(why) = parts {
            seen.told.push(format!("can't be read {side}: {}", why.why));
        }
    }
    let unread = old.is_err() || new.is_err();
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    for kind in kinds {
        let of = |parts: &[Part]| -> Vec<Part> { parts.iter().filter(|p| p.kind == kind).cloned().collect() };
        let diff = lines::diff(&of(&old), &of(&new));
        // A server that goes away does nothing any more; everything else matters both ways.
        let one = match kind {
            Kind::Mcp => diff.added.len(),
            Kind::Hooks | Kind::Permissions | Kind::Instructions => diff.added.len().max(diff.removed.len()),
        };
        // What can't be read may mean anything: each kind it could hold counts.
        let n = if unread { one.max(1) } else { one };
        let mut told = Vec::new();
        for (parts, verb) in [(&diff.added, "added"), (&diff.removed, "removed")] {
            for part in parts.iter().take(NAMED) {
                told.push(format!("{} {verb}: {}", what(kind), words::shown(part.shown().as_bytes())));
            }
            if parts.len() > NAMED {
                told.push(format!("{} more {verb}", words::count((parts.len() - NAMED) as u64, "entry")));
            }
        }
        if n > 0 {
            add(seen, kind, ours, n, &mut told);
        }
    }
}
