//! The red button as a value: who stopped everything, when and why, and who has to agree that it goes on. Decided when
//! it is pressed, so that nothing that is changed afterwards makes it easier to end.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::quorum::Quorum;
use crate::bytes::Bytes;
use crate::canon;
use crate::digest::Digest;
use crate::policy::law::Profile;
use crate::time::Timestamp;

/// That everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The accounts that agents alone use: all of theirs stands, also outside of runs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<u32>,
    /// When.
    pub at: Timestamp,
    /// The user account that wanted it.
    pub by: u32,
    /// Whose signatures end it; none where one person's word does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Bytes>,
}

impl Freeze {
    /// Names it.
    pub fn digest(&self) -> Digest {
        Digest::of("backstop/freeze/1", &[&canon::line(self)])
    }

    /// Who has to agree that it ends, on a machine whose runs go by `profile`; none of them known means the strictest.
    pub fn quorum_by(profile: Option<Profile>) -> Option<Quorum> {
        match profile {
            Some(Profile::Workstation) => None,
            Some(Profile::Production) | None => Some(Quorum::TWO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_freeze_is_in_its_name() {
        let plain = Freeze { accounts: BTreeSet::new(), at: Timestamp::new(1, 0), by: 7, quorum: None, reason: None };
        let mut all = vec![
            plain.clone(),
            Freeze { accounts: [9].into(), ..plain.clone() },
            Freeze { at: Timestamp::new(2, 0), ..plain.clone() },
            Freeze { by: 8, ..plain.clone() },
            Freeze { quorum: Some(Quorum::TWO), ..plain.clone() },
            Freeze { reason: Some(Bytes::from("odd")), ..plain },
        ];
        assert!(all.iter().all(|f| canon::is_canonical(&canon::line(f))));
        all.sort_by_key(Freeze::digest);
        all.dedup_by_key(|f| f.digest());
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn a_server_and_whatever_is_not_known_takes_two() {
        let terms = [Some(Profile::Workstation), Some(Profile::Production), None].map(Freeze::quorum_by);
        assert_eq!(terms, [None, Some(Quorum::TWO), Some(Quorum::TWO)]);
    }
}
