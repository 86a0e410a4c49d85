//! Takes a file or link among systemd's units before and after, says whether a unit was added,
//! changed, enabled, disabled, masked or removed.

use super::Object;
use crate::bytes::Bytes;
use crate::facts::Access;
use crate::lens::Seen;
use crate::lens::lines;
use crate::lens::words;

/// What an object among the units does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unit {
    Absent,
    /// An empty file or a link to `/dev/null`: the unit can't be started.
    Masked,
    /// A link that enables it or gives it another name.
    Link(Bytes),
    /// Its lines without comments and blanks.
    Lines(Vec<Vec<u8>>),
}

fn unit(object: Object<'_>) -> Unit {
    match object {
        Object::None => Unit::Absent,
        Object::Link(target, _) if target.as_slice() == b"/dev/null" => Unit::Masked,
        Object::Link(target, _) => Unit::Link(target.clone()),
        Object::File([]) => Unit::Masked,
        Object::File(bytes) => {
            let all = lines::lines(bytes).map(<[u8]>::trim_ascii);
            Unit::Lines(all.filter(|l| !l.is_empty() && !matches!(l[0], b'#' | b';')).map(<[u8]>::to_vec).collect())
        }
    }
}

pub(super) fn compare(path: &Bytes, before: Object<'_>, after: Object<'_>, seen: &mut Seen<Access>) {
    let dir = path.parent();
    let in_dir = |end: &[u8]| dir.name().ends_with(end);
    let enables = in_dir(b".wants") || in_dir(b".requires") || in_dir(b".upholds");
    let name = match in_dir(b".d") {
        true => format!("{} ({})", words::shown(&dir.name()[..dir.name().len() - 2]), words::shown(path.name())),
        false => words::shown(path.name()),
    };
    let (old, new) = (unit(before), unit(after));
    if old == new {
        return;
    }
    let (removed, what) = match (&old, &new) {
        (_, Unit::Masked) => (true, "masked"),
        (Unit::Absent, Unit::Link(_)) if enables => (false, "enabled"),
        (Unit::Link(_) | Unit::Lines(_), Unit::Absent) if enables => (true, "disabled"),
        (Unit::Absent, _) => (false, "added"),
        (Unit::Masked, Unit::Absent) => (false, "no longer masked"),
        // Without its drop-in the unit stays, and does something else.
        (_, Unit::Absent) if in_dir(b".d") => (false, "loses a drop-in"),
        (_, Unit::Absent) => (true, "removed"),
        _ => (false, "changed"),
    };
    match removed {
        true => seen.facts.units_removed += 1,
        false => seen.facts.units_changed += 1,
    }
    seen.told.push(format!("unit {name}: {what}{}", detail(&old, &new)));
}

/// What it would run, or where it leads.
fn detail(old: &Unit, new: &Unit) -> String {
    match (old, new) {
        (_, Unit::Link(target)) => format!(" -> {}", words::shown(target.as_slice())),
        (old, Unit::Lines(lines)) => {
            let known: &[Vec<u8>] = if let Unit::Lines(known) = old { known } else { &[] };
            let added = lines::diff(known, lines).added;
            // What it runs says most.
            let first = added.iter().find(|l| l.starts_with(b"Exec") || l.starts_with(b"On")).or(added.first());
            first.map_or_else(String::new, |line| format!(": {}", words::shown(line)))
        }
        _ => String::new(),
    }
}
