//! What holds for any bytes before and after a change. Shared with the fuzzer (`fuzz/`), which calls
//! `holds`. The first byte picks the lens, two more say how long what was before is; the rest is after.

use backstop_core::bytes::Bytes;
use backstop_core::lens::sqlite::{self, Files};
use backstop_core::lens::{Budget, ReadAt, Seen, access, agent, terraform};

/// One place of each kind that the access lens knows.
const WAYS_IN: &[&str] = &[
    "/root/.ssh/authorized_keys",
    "/etc/sudoers",
    "/etc/sudoers.d/x",
    "/etc/doas.conf",
    "/etc/crontab",
    "/var/spool/cron/crontabs/a",
    "/etc/cron.daily/x",
    "/etc/systemd/system/x.service",
    "/home/a/.bashrc",
    "/etc/profile.d/x.sh",
];

/// Settings of agents, at least one of each format.
const SETTINGS: &[&str] = &[
    "/w/.claude/settings.json",
    "/w/.mcp.json",
    "/home/a/.claude.json",
    "/home/a/.codex/config.toml",
    "/home/a/.gemini/settings.json",
    "/w/.cursor/mcp.json",
    "/w/.vscode/settings.json",
    "/home/a/.config/goose/config.yaml",
    "/w/opencode.json",
    "/home/a/.aider.conf.yml",
    "/w/AGENTS.md",
];

/// Kinds before those of places: the ways to look at a database, and at a state.
const DATABASES: usize = 4;
const STATES: usize = 2;

/// Compares, and asks everything that can be asked of what was seen.
pub fn holds(data: &[u8]) {
    let [kind, high, low, rest @ ..] = data else { return };
    let at = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (before, after) = rest.split_at(at);
    let kind = usize::from(*kind) % (DATABASES + STATES + WAYS_IN.len() + SETTINGS.len());
    match kind {
        0..DATABASES => database(kind, before, after),
        DATABASES => {
            plain(&terraform::compare(Some(before), Some(after)));
            plain(&terraform::compare(Some(before), None));
            assert_eq!(terraform::compare(Some(before), Some(before)).facts, Default::default());
        }
        5 => plain(&terraform::compare_backup(Some(before), None, Some(after), Some(before))),
        _ => match kind - DATABASES - STATES {
            n if n < WAYS_IN.len() => way_in(WAYS_IN[n], before, after),
            n => settings(SETTINGS[n - WAYS_IN.len()], before, after),
        },
    }
}

/// Words for a person repaint nothing, and are no flood.
fn plain<F>(seen: &Seen<F>) {
    for text in seen.told.iter().chain(&seen.incomplete) {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(seen.told.len() < 2_000, "{}", seen.told.len());
}

fn database(kind: usize, before: &[u8], after: &[u8]) {
    let never = || false;
    let look = |one: &Files<'_>, two: Option<&Files<'_>>| {
        let seen = sqlite::compare(one, two, &mut Budget::new(5_000, &never));
        plain(&seen);
        assert!(seen.facts.rows_lost >= 0 && seen.facts.tables_dropped >= 0 && seen.facts.databases >= 0);
        seen
    };
    let (old, new) = (before.to_vec(), after.to_vec());
    let alone = |main| Files { main, wal: None, journal: None };
    let (old_alone, new_alone) = (alone(&old as &dyn ReadAt), alone(&new as &dyn ReadAt));
    match kind {
        0 => drop(look(&old_alone, Some(&new_alone))),
        1 => drop(look(&Files { wal: Some(&new), ..old_alone }, None)),
        2 => drop(look(&Files { journal: Some(&new), ..old_alone }, Some(&new_alone))),
        _ => {
            let same = look(&old_alone, Some(&old_alone));
            assert_eq!(same.facts, Default::default(), "nothing changed, so nothing is lost");
        }
    }
}

fn way_in(path: &str, before: &[u8], after: &[u8]) {
    let path = Bytes::from(path);
    let Some(place) = access::place(&path) else { panic!("{} is no way in", path.quoted()) };
    let (old, new) = (access::Object::File(before), access::Object::File(after));
    let target = Bytes::from(after);
    for after in
        [new, access::Object::None, access::Object::Link(&target, None), access::Object::Link(&target, Some(before))]
    {
        plain(&access::compare(place, &path, old, after));
        plain(&access::compare(place, &path, after, old));
    }
    assert_eq!(access::compare(place, &path, old, old).facts, Default::default());
}

fn settings(path: &str, before: &[u8], after: &[u8]) {
    let path = Bytes::from(path);
    let Some(row) = agent::place(&path) else { panic!("{} is nobody's", path.quoted()) };
    for ours in [true, false] {
        plain(&agent::compare(row, Some(before), Some(after), ours));
        plain(&agent::compare(row, None, Some(after), ours));
        plain(&agent::compare(row, Some(before), None, ours));
        assert_eq!(agent::compare(row, Some(before), Some(before), ours), Seen::default());
    }
}
