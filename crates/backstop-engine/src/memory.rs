//! What the state directory remembers beside runs and a judgement goes by: which effects were denied, and
//! which backups were proven. No command reaches it. Remembers; decides nothing.

use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::facts::Proven;
use backstop_core::id::RunId;
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError, Versioned};

/// How long a denial holds for the same effect. After that it is judged anew.
const HOLDS: Duration = Duration::from_secs(86_400);

/// Beyond so many denials the oldest are forgotten: whoever has that many denied in a day is told so by
/// the count alone.
const MOST: usize = 4_096;

const DENIALS: &str = "denials.json";
const PROVEN: &str = "proven.json";

/// An effect that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Denial {
    /// When.
    pub at: Timestamp,
    /// Which effect, by its key.
    pub key: Digest,
    /// The run that was denied.
    pub run: RunId,
    /// The session that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Denials {
    version: u32,
    denials: Vec<Denial>,
}

impl Versioned for Denials {
    const NEWEST: u32 = 1;
}

/// Written by whoever tests backups; a door that stands open for that room.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllProven {
    version: u32,
    proven: Vec<Proven>,
}

impl Versioned for AllProven {
    const NEWEST: u32 = 1;
}

impl Store {
    /// The denials that hold at `now`.
    pub(crate) fn denials(&self, now: Timestamp) -> Result<Vec<Denial>, StoreError> {
        let all = self.read_own::<Denials>(DENIALS)?.map(|d| d.denials).unwrap_or_default();
        // By distance, so that a clock that was set back forgets nothing at once.
        let holds = |d: &Denial| now.seconds_since(d.at).unsigned_abs() < HOLDS.as_secs();
        Ok(all.into_iter().filter(holds).collect())
    }

    /// Remembers one more.
    pub(crate) fn deny(&self, denial: Denial) -> Result<(), StoreError> {
        let _lock = self.lock("denials")?;
        let mut denials = self.denials(denial.at)?;
        denials.push(denial);
        denials.drain(..denials.len().saturating_sub(MOST));
        self.write_own(DENIALS, &Denials { version: Denials::NEWEST, denials })
    }

    /// The backups that were tested.
    pub(crate) fn proven(&self) -> Result<Vec<Proven>, StoreError> {
        Ok(self.read_own::<AllProven>(PROVEN)?.map(|p| p.proven).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::open(&dir.path().join("state")).expect("opens")
    }

    fn denial(at: i64, what: &str) -> Denial {
        let run = RunId::next(Timestamp::new(at, 0), None);
        Denial { at: Timestamp::new(at, 0), key: Digest::of_content(what.as_bytes()), run, session: None }
    }

    #[test]
    fn a_denial_holds_for_a_day_whichever_way_the_clock_goes() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let store = store(&dir);
        let day = 86_400;
        let at = 1_795_364_400;
        store.deny(denial(at, "a")).expect("remembered");
        store.deny(denial(at + 10, "b")).expect("remembered");
        for (now, expected) in [
            (at + 20, 2),
            (at + day - 1, 2),
            (at + day, 1),
            (at + day + 10, 0),
            // The clock was set back.
            (at - day + 1, 1),
            (at - day, 0),
        ] {
            assert_eq!(store.denials(Timestamp::new(now, 0)).expect("readable").len(), expected, "{now}");
        }
    }

    #[test]
    fn only_so_many_are_remembered_and_the_newest_stay() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let store = store(&dir);
        let at = 1_795_364_400;
        let many = (0..MOST as i64).map(|n| denial(at + n / 1_000, &n.to_string())).collect();
        store.write_own(DENIALS, &Denials { version: 1, denials: many }).expect("written");
        store.deny(denial(at + 5, "last")).expect("remembered");
        let kept = store.denials(Timestamp::new(at + 6, 0)).expect("readable");
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept.last().expect("not empty").key, Digest::of_content(b"last"));
        assert_eq!(kept[0].key, Digest::of_content(b"1"));
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let store = store(&dir);
        for (file, text) in [(DENIALS, "{"), (PROVEN, "{\"version\":2}"), (PROVEN, "{\"version\":1,\"proven\":3}")] {
            let path = store.path().join(file);
            std::fs::write(&path, text).expect("written");
            let refused = store.denials(Timestamp::default()).is_err() || store.proven().is_err();
            assert!(refused, "{file} {text}");
            std::fs::remove_file(&path).expect("there");
        }
    }
}
