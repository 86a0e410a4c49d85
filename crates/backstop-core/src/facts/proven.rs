//! Backups that were restored and compared, as far as a judgement needs them: which places, as of when,
//! how well tested. Making and testing them is another room's work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Proof, long};
use crate::bytes::Bytes;
use crate::time::Timestamp;

/// How a backup was tested. Ordered: the best proof is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Its pieces hash to what they should. Nothing was restored.
    Checksum,
    /// It was restored, and the files were compared.
    Restore,
    /// It was restored, and the application that owns the files could work with them.
    Application,
}

impl Level {
    /// The name in facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Restore => "restore",
            Self::Application => "application",
        }
    }
}

/// A snapshot that was tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    /// When the snapshot began: what changed later is not in it.
    pub at: Timestamp,
    /// How it was tested.
    pub level: Level,
    /// In how many places it is.
    pub locations: u64,
    /// The directories and files that are in it, whole.
    pub roots: Vec<Bytes>,
}

impl Proven {
    /// True where all of `path` is in it.
    pub fn covers(&self, path: &Bytes) -> bool {
        self.roots.iter().any(|r| path.is_beneath(r.as_slice()))
    }

    /// True where a file whose inode last changed at `changed` can be had back from it as it is now. The
    /// change time counts, since no program can set it back.
    pub fn keeps(&self, path: &Bytes, changed: Timestamp) -> bool {
        self.level >= Level::Restore && changed < self.at && self.covers(path)
    }
}

/// The weakest of the best proofs of several places: a run is as well secured as its worst place.
#[derive(Default)]
pub(super) struct Weakest<'a> {
    bare: bool,
    proofs: Vec<&'a Proven>,
}

impl<'a> Weakest<'a> {
    /// Takes a place that would lose something.
    pub fn note(&mut self, path: &Bytes, proven: &'a [Proven]) {
        // A restored one, however old, is worth more than the newest that nobody restored.
        let covering = proven.iter().filter(|p| p.covers(path));
        match covering.max_by_key(|p| (p.level >= Level::Restore, p.at, p.level)) {
            Some(best) if self.proofs.contains(&best) => {}
            Some(best) => self.proofs.push(best),
            None => self.bare = true,
        }
    }

    /// The proof of all of them, as old as it is at `now`.
    pub fn finish(&self, now: Timestamp) -> Proof {
        let level = self.proofs.iter().map(|p| p.level).min();
        let at = self.proofs.iter().map(|p| p.at).min();
        match (level, at) {
            (Some(level), Some(at)) if !self.bare => Proof {
                // A snapshot from the future proves that a clock is wrong, not that it is fresh.
                age_hours: if now < at { Proof::NEVER } else { long(now.seconds_since(at).unsigned_abs() / 3_600) },
                level: level.name().to_owned(),
                locations: long(self.proofs.iter().map(|p| p.locations).min().unwrap_or(0)),
            },
            _ => Proof::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven(at: i64, level: Level, locations: u64, root: &str) -> Proven {
        Proven { at: Timestamp::new(at, 0), level, locations, roots: vec![Bytes::from(root)] }
    }

    fn weakest(places: &[&str], proven: &[Proven]) -> (String, i64, i64) {
        let mut weakest = Weakest::default();
        for place in places {
            weakest.note(&Bytes::from(*place), proven);
        }
        let proof = weakest.finish(Timestamp::new(100 * 3_600, 0));
        (proof.level, proof.age_hours, proof.locations)
    }

    #[test]
    fn a_run_is_as_well_secured_as_its_worst_place() {
        let all = [
            proven(98 * 3_600, Level::Application, 3, "/var/lib/pg"),
            proven(40 * 3_600, Level::Restore, 2, "/srv"),
            proven(99 * 3_600, Level::Checksum, 1, "/srv/new"),
            proven(101 * 3_600, Level::Restore, 1, "/later"),
        ];
        let none = ("none".to_owned(), Proof::NEVER, 0);
        for (places, expected) in [
            (&["/var/lib/pg/base"][..], ("application".to_owned(), 2, 3)),
            (&["/var/lib/pg"], ("application".to_owned(), 2, 3)),
            // What lies above is more than what is in it.
            (&["/var/lib"], none.clone()),
            (&["/var/lib/pgx"], none.clone()),
            (&["/var/lib/pg/base", "/srv/a"], ("restore".to_owned(), 60, 2)),
            // Restored and old before new and only hashed.
            (&["/srv/new/a"], ("restore".to_owned(), 60, 2)),
            (&["/var/lib/pg/base", "/opt/a"], none.clone()),
            (&["/later/a"], ("restore".to_owned(), Proof::NEVER, 1)),
            (&[], none),
        ] {
            assert_eq!(weakest(places, &all), expected, "{places:?}");
        }
    }

    #[test]
    fn only_what_was_restored_and_did_not_change_since_is_kept() {
        let at = |secs| Timestamp::new(secs, 0);
        let path = Bytes::from("/srv/a");
        for (level, changed, kept) in [
            (Level::Restore, 99, true),
            (Level::Application, 99, true),
            (Level::Restore, 100, false),
            (Level::Restore, 101, false),
            (Level::Checksum, 99, false),
        ] {
            assert_eq!(proven(100, level, 1, "/srv").keeps(&path, at(changed)), kept, "{level:?} {changed}");
        }
    }
}
