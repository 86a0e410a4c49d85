//! Takes a Terraform (or OpenTofu) state before and after, gives which resources are no longer in it,
//! which of those hold data, and whether a state of something else or an older one was put there.
//! Reads the JSON of versions 3 and 4; of the values only each instance's `id` is kept.

mod state;
mod stateful;

use std::collections::BTreeSet;

use super::words;
use super::{Incomplete, Seen};
use crate::bytes::Bytes;
use crate::facts::{Terraform, long};
use state::{Read, State};

pub use stateful::is_stateful;

/// What a state file is in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The state itself.
    State,
    /// A copy that terraform keeps of the state before; the path is the state's.
    Backup(Bytes),
}

/// How many addresses are named.
const NAMED: usize = 8;

/// What the file of this path is, by its name: `*.tfstate`, `*.tfstate.backup`,
/// `*.tfstate.1700000000.backup`. What lies in `.terraform` only remembers where the state is.
pub fn place(path: &Bytes) -> Option<Place> {
    let (name, dir) = (path.name(), path.parent());
    if dir.name() == b".terraform" {
        return None;
    }
    if name.ends_with(b".tfstate") {
        return Some(Place::State);
    }
    let end = b".tfstate";
    let at = name.windows(end.len()).position(|w| w == end)? + end.len();
    let rest = &name[at..];
    let stamp = rest.strip_suffix(b".backup")?;
    let number = stamp.strip_prefix(b".").is_none_or(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit));
    (number && (stamp.is_empty() || stamp[0] == b'.')).then(|| Place::Backup(dir.join(&name[..at])))
}

/// What the change means; `None` is no file.
pub fn compare(before: Option<&[u8]>, after: Option<&[u8]>) -> Seen<Terraform> {
    compare_but(before, after, &BTreeSet::new())
}

/// As [`compare`], for a backup: what the state itself had before or has afterwards is in no way lost
/// with the copy, or is counted there.
pub fn compare_backup(
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    state_before: Option<&[u8]>,
    state_after: Option<&[u8]>,
) -> Seen<Terraform> {
    let Some(Read::State(copy)) = before.map(state::read) else { return compare(before, after) };
    let mut known = BTreeSet::new();
    for side in [state_before, state_after].into_iter().flatten() {
        if let Read::State(state) = state::read(side)
            && state.lineage == copy.lineage
        {
            known.extend(state.instances.into_keys());
        }
    }
    let mut seen = compare_but(before, after, &known);
    // An older copy behind a newer one is what backups are.
    seen.facts.serial_lowered = 0;
    seen
}

fn compare_but(before: Option<&[u8]>, after: Option<&[u8]>, known: &BTreeSet<String>) -> Seen<Terraform> {
    let Some(bytes) = before else { return Seen::default() };
    let old = match state::read(bytes) {
        Read::State(state) => state,
        Read::Empty => return Seen::default(),
        Read::Other(why) => {
            let what = format!("before: {}", why.why);
            return Seen::untold(&Incomplete::new(what));
        }
    };
    let mut seen = Seen::default();
    let (new, how) = match after.map(state::read) {
        None => (State::default(), Some("deleted")),
        Some(Read::Empty) => (State::default(), Some("emptied")),
        Some(Read::State(state)) => (state, None),
        Some(Read::Other(why)) => {
            seen.incomplete.push(format!("after: {}", why.why));
            seen.told.push(format!("can't be read afterwards: {}", why.why));
            (State::default(), Some("replaced by something that is no state"))
        }
    };
    match how {
        Some(how) => {
            let sum = words::count(old.instances.len() as u64, "resource");
            seen.told.push(format!("state {how}: {sum} no longer tracked"));
        }
        None => identity(&old, &new, &mut seen),
    }
    if old.sealed || new.sealed {
        seen.incomplete.push("the state is encrypted: its resources can't be read".to_owned());
        return seen;
    }
    removed(&old, &new, known, &mut seen);
    seen
}

/// Another lineage or an older serial.
fn identity(old: &State, new: &State, seen: &mut Seen<Terraform>) {
    let known = !old.lineage.is_empty() && !new.lineage.is_empty();
    if known && old.lineage != new.lineage {
        seen.facts.lineage_changed = 1;
        let (was, is) = (words::shown(old.lineage.as_bytes()), words::shown(new.lineage.as_bytes()));
        seen.told.push(format!("another state was put in its place: lineage {was} -> {is}"));
    } else if new.serial < old.serial {
        seen.facts.serial_lowered = 1;
        let (was, is) = (words::number(old.serial), words::number(new.serial));
        seen.told.push(format!("an older state was put in its place: serial {was} -> {is}"));
    }
}

fn removed(old: &State, new: &State, known: &BTreeSet<String>, seen: &mut Seen<Terraform>) {
    // `terraform state mv` and `moved` blocks give the same object another address.
    let objects: BTreeSet<_> = new.instances.values().filter(|i| !i.id.is_empty()).map(|i| (&i.kind, &i.id)).collect();
    let gone = old.instances.iter().filter(|(address, i)| {
        !new.instances.contains_key(*address) && !known.contains(*address) && !objects.contains(&(&i.kind, &i.id))
    });
    let (stateful, others): (Vec<_>, Vec<_>) = gone.partition(|(_, i)| is_stateful(&i.kind));
    seen.facts.resources_removed = long((stateful.len() + others.len()) as u64);
    seen.facts.stateful_removed = long(stateful.len() as u64);
    for (list, what) in [(stateful, "resource that holds data"), (others, "other resource")] {
        if !list.is_empty() {
            let names: Vec<_> = list.iter().map(|(address, _)| words::shown(address.as_bytes())).collect();
            let n = words::number(names.len() as u64);
            let what = match (names.len(), what) {
                (1, what) => what.to_owned(),
                (_, "other resource") => "other resources".to_owned(),
                _ => "resources that hold data".to_owned(),
            };
            seen.told.push(format!("{n} {what} removed: {}", words::list(&names, NAMED)));
        }
    }
}

#[cfg(test)]
mod tests;
