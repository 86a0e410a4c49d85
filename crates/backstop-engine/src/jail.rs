//! What the state directory remembers of the jail: who is banned, and what was counted. Decides nothing; who is counted, and
//! what is refused, is `engine/jail.rs`.

use std::os::unix::fs::MetadataExt as _;

use backstop_core::approval::quorum::Quorum;
use backstop_core::jail::{Jail, Rules};
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError, Versioned};

/// The file, in the state directory.
const STATE: &str = "jail.json";

/// What the machine's settings say of the jail, and of whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// True where agents alone use the account that asks: nobody of it is a person.
    pub alone: bool,
    /// Who has to agree that a ban ends which nothing else ends.
    pub quorum: Option<Quorum>,
    /// How many, in what time, and how long.
    pub rules: Rules,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    jail: Jail,
    version: u32,
}

impl Versioned for Kept {
    const NEWEST: u32 = 1;
}

/// What is remembered; none where there is no file.
pub(crate) fn load(store: &Store) -> Result<Option<Jail>, StoreError> {
    Ok(store.read_own::<Kept>(STATE)?.map(|kept| kept.jail))
}

/// Remembers it durably.
pub(crate) fn keep(store: &Store, jail: &Jail) -> Result<(), StoreError> {
    store.write_own(STATE, &Kept { jail: jail.clone(), version: Kept::NEWEST })
}

/// The file's number and when it was written.
pub(crate) type Stamp = (u64, i64, i64);

/// Changes with each [`keep`]; none where there is no file.
pub(crate) fn stamp(store: &Store) -> Option<Stamp> {
    let m = store.path().join(STATE).metadata().ok()?;
    Some((m.ino(), m.mtime(), m.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use backstop_core::jail::{Class, Does, How, Key, Offence};
    use backstop_core::time::Timestamp;

    use super::*;

    #[test]
    fn it_is_as_it_was_kept_and_what_can_not_be_read_is_not_taken_for_nothing() {
        let place = tempfile::tempdir().expect("a temp dir");
        let store = Store::open(&place.path().join("state")).expect("a state directory");
        assert_eq!(load(&store).expect("nothing"), None);
        assert_eq!(stamp(&store), None);
        let mut jail = Jail::default();
        let offence = Offence {
            classes: [Class { does: Does::Loses, own: false, to: "system".to_owned() }].into(),
            effect: None,
            how: How::Denied,
            keys: [Key::Session { session: (&b"\xff"[..]).into(), uid: 7 }].into(),
            run: None,
        };
        for n in 0..9 {
            let ban = jail.count(Timestamp::new(n, 0), offence.clone(), &Rules::default(), None);
            assert_eq!(ban.is_some(), n == 4);
        }
        keep(&store, &jail).expect("kept");
        let first = stamp(&store);
        assert_eq!(load(&store).expect("read"), Some(jail.clone()));
        keep(&store, &jail).expect("kept");
        assert_ne!(stamp(&store), first);
        for text in ["", "{", "{\"version\":2}"] {
            fs::write(store.path().join(STATE), text).expect("written");
            assert!(load(&store).is_err(), "{text:?}");
        }
    }
}
