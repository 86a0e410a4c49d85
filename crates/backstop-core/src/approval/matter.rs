//! What is asked to be let through, as one value whose digest people sign: everything that a decision stands on,
//! by name or by digest, so that nothing of it can be another once it was approved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ballot::Excluded;
use super::people::Change;
use super::quorum::{Quorum, Terms};
use crate::canon;
use crate::digest::Digest;
use crate::id::RunId;
use crate::time::Timestamp;

/// What is asked to be let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Matter {
    /// That a ban ends.
    Clear {
        /// When it was asked for: the same can be asked for again.
        asked_at: Timestamp,
        /// The user account that asked for it.
        asked_by: u32,
        /// The digest of the ban.
        ban: Digest,
    },
    /// A change of who may approve.
    People {
        /// When it was asked for: the same can be asked for again.
        asked_at: Timestamp,
        /// The user account that asked for it.
        asked_by: u32,
        /// The change.
        change: Change,
        /// Of this revision of the trust store.
        revision: u64,
    },
    /// What a held run would do.
    Run {
        /// The digest of its request: command, place, environment, account, session.
        asked: Digest,
        /// The digest of its effects.
        effects: Digest,
        /// The digest of what they mean.
        facts: Digest,
        /// Names the rules that judged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        law: Option<Digest>,
        /// The digest of the steps that would be taken.
        plan: Digest,
        /// The run.
        run: RunId,
    },
    /// That what is frozen goes on.
    Thaw {
        /// When it was asked for: the same can be asked for again.
        asked_at: Timestamp,
        /// The user account that asked for it.
        asked_by: u32,
        /// The digest of what is frozen.
        freeze: Digest,
    },
}

impl Matter {
    /// What people sign in the line `request`: this matter, on this machine, by this quorum on these terms, without
    /// these people.
    pub fn request(&self, host: &str, (quorum, terms): (&Quorum, Terms), excluded: &Excluded) -> Digest {
        let mut parts = vec![canon::line(&host), canon::line(self), canon::line(quorum), canon::line(excluded)];
        if terms != Terms::default() {
            parts.push(canon::line(&terms));
        }
        Digest::of("backstop/approval-request/1", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// True where it would take the person out, or this key away from the person.
    pub fn takes_from(&self, person: &str, credential: &str) -> bool {
        match self {
            Self::People { change: Change::Remove { id }, .. } => id == person,
            Self::People { change: Change::RemoveKey { id, key }, .. } => id == person && key == credential,
            _ => false,
        }
    }

    /// The run, where it is one.
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::Run { run, .. } => Some(*run),
            Self::Clear { .. } | Self::People { .. } | Self::Thaw { .. } => None,
        }
    }
}

/// What people call a request by: the first eight hex digits of its digest.
pub fn code(request: Digest) -> String {
    request.hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Matter {
        let [asked, effects, facts, law, plan] = [1, 2, 3, 4, 5].map(|n| Digest([n; 32]));
        Matter::Run { asked, effects, facts, law: Some(law), plan, run: RunId::from_number(7) }
    }

    #[test]
    fn every_part_of_a_matter_is_in_its_request() {
        let Matter::Run { asked, effects, facts, law, plan, run: id } = run() else { panic!("a run") };
        let other = Digest([9; 32]);
        let nobody = Excluded::default();
        let two = (&Quorum::TWO, Terms::default());
        let of = |m: &Matter| m.request("db-1", (&Quorum::TWO, Terms::default()), &nobody);
        let parts = [
            Matter::Run { asked: other, effects, facts, law, plan, run: id },
            Matter::Run { asked, effects: other, facts, law, plan, run: id },
            Matter::Run { asked, effects, facts: other, law, plan, run: id },
            Matter::Run { asked, effects, facts, law: None, plan, run: id },
            Matter::Run { asked, effects, facts, law, plan: other, run: id },
            Matter::Run { asked, effects, facts, law, plan, run: RunId::from_number(8) },
        ];
        // As it was before there were terms: what was asked then is still what it was.
        assert_eq!(of(&run()).hex(), "825406b60c9e1236c5d7f76656554c34ac487bcf2a3a829a39c60009e90e3d8e");
        let mut all: Vec<Digest> = parts.iter().map(of).collect();
        all.push(of(&run()));
        all.push(run().request("db-2", two, &nobody));
        let three = Quorum { people: 3, ..Quorum::TWO };
        let dba = Quorum { groups: [("dba".to_owned(), 1)].into(), ..Quorum::TWO };
        for quorum in [three, dba, Quorum::LONE] {
            all.push(run().request("db-1", (&quorum, Terms::default()), &nobody));
        }
        let (early, late) = (Timestamp::new(1, 0), Timestamp::new(2, 0));
        for (glass, opens) in [(true, None), (false, Some(early)), (false, Some(late)), (true, Some(late))] {
            all.push(run().request("db-1", (&Quorum::TWO, Terms { glass, opens }), &nobody));
        }
        let person = Excluded { people: ["anna".to_owned()].into(), ..Excluded::default() };
        all.push(run().request("db-1", two, &person));
        all.push(run().request("db-1", two, &Excluded { uids: [7].into(), ..Excluded::default() }));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(canon::is_canonical(&canon::line(&run())));
    }
}
