//! Takes files that say who may log in or act with more rights, or what runs by itself, before and
//! after; gives which keys, rules, jobs, units and lines came and which went. Reads text and the
//! targets of links; follows nothing.

mod keys;
mod place;
mod rules;
#[cfg(test)]
mod tests;
mod units;

use super::Seen;
use super::lines::Diff;
use super::words;
use crate::bytes::Bytes;
use crate::facts::{Access, long};

pub use place::{Place, in_home, place};

/// What stands at a path on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// Nothing.
    None,
    /// A file with these bytes.
    File(&'a [u8]),
    /// A link to there, which leads to these bytes where it could be followed.
    Link(&'a Bytes, Option<&'a [u8]>),
}

/// How many lines are shown.
const NAMED: usize = 6;

/// What the change at a place means.
pub fn compare(place: Place, path: &Bytes, before: Object<'_>, after: Object<'_>) -> Seen<Access> {
    let mut seen = Seen::default();
    if place == Place::Unit {
        units::compare(path, before, after, &mut seen);
        return seen;
    }
    let (old, new) = (text(before, "before", &mut seen), text(after, "after", &mut seen));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let (diff, what) = match place {
        Place::Keys => (keys::diff(old, new), "key"),
        Place::Sudo => (rules::sudo(old, new), "rule"),
        Place::Cron => (rules::cron(old, new), "line"),
        Place::Script => (rules::script(old, new), "line"),
        Place::Startup | Place::Unit => (rules::startup(old, new), "line"),
    };
    let (added, removed) = (long(diff.added.len() as u64), long(diff.removed.len() as u64));
    let facts = &mut seen.facts;
    let (plus, minus) = match place {
        Place::Keys => (&mut facts.keys_added, &mut facts.keys_removed),
        Place::Sudo => (&mut facts.sudo_added, &mut facts.sudo_removed),
        Place::Cron | Place::Script => (&mut facts.cron_added, &mut facts.cron_removed),
        Place::Startup | Place::Unit => (&mut facts.startup_added, &mut facts.startup_removed),
    };
    (*plus, *minus) = (added, removed);
    tell(&diff, what, &mut seen.told);
    seen
}

/// The text at a place; a link that can't be followed is not nothing.
fn text<'a>(object: Object<'a>, side: &str, seen: &mut Seen<Access>) -> Option<&'a [u8]> {
    match object {
        Object::None => None,
        Object::File(bytes) | Object::Link(_, Some(bytes)) => Some(bytes),
        Object::Link(target, None) => {
            let target = words::shown(target.as_slice());
            seen.incomplete.push(format!("{side}: it is a link to {target}, which was not followed"));
            None
        }
    }
}

fn tell(diff: &Diff<Vec<u8>>, what: &str, told: &mut Vec<String>) {
    for (lines, verb) in [(&diff.added, "added"), (&diff.removed, "removed")] {
        for line in lines.iter().take(NAMED) {
            told.push(format!("{what} {verb}: {}", words::shown(line)));
        }
        if lines.len() > NAMED {
            told.push(format!("{} more {verb}", words::count((lines.len() - NAMED) as u64, what)));
        }
    }
}
