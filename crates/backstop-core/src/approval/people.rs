//! The trust store: who may approve on this machine, by which keys, and since when that counts. Takes
//! changes, gives the next revision or says what is wrong with the change. But for the first two people, a
//! change needs the right to this very change of this very revision.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ballot::Right;
use super::is_name;
use super::key::{Key, KeyError};
use crate::canon;
use crate::digest::Digest;
use crate::time::Timestamp;

/// A key or a membership counts this many seconds after it was given: whoever gets hold of the power to enrol
/// can't approve at once, and the others have a day to see it.
pub const SETTLING: i64 = 24 * 3_600;
/// With so many people enrolled the store is founded: from then on every change needs two of them.
pub const FOUNDERS: usize = 2;
/// More people, or keys of one person, than this are refused: nobody looks after so many.
const MOST: usize = 1_000;

/// One of a person's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// From when its signatures count.
    pub from: Timestamp,
    /// Its fingerprint, `SHA256:…`.
    pub id: String,
    /// The OpenSSH public key, without a comment.
    pub key: String,
}

/// Somebody who may approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The keys, in the order of their fingerprints.
    pub credentials: Vec<Credential>,
    /// The groups, and from when each counts.
    pub groups: BTreeMap<String, Timestamp>,
    /// The id: what statements name.
    pub id: String,
    /// The user accounts on this machine that are this person's: what these ask for, the person may not approve.
    pub uids: BTreeSet<u32>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// True once two people have been enrolled, for ever.
    pub founded: bool,
    /// The machine.
    pub host: String,
    /// The people, in the order of their ids.
    pub members: Vec<Member>,
    /// Counts the changes.
    pub revision: u64,
    /// The format's version: 1.
    pub version: u32,
}

/// A change to the trust store, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// Takes somebody in.
    Enrol {
        /// The groups.
        groups: BTreeSet<String>,
        /// The id.
        id: String,
        /// OpenSSH public keys; at least one.
        keys: Vec<String>,
        /// The user accounts that are this person's.
        uids: BTreeSet<u32>,
    },
    /// Takes somebody out.
    Remove {
        /// The id.
        id: String,
    },
    /// Gives a key.
    AddKey {
        /// Whose.
        id: String,
        /// The OpenSSH public key.
        key: String,
    },
    /// Takes a key away.
    RemoveKey {
        /// Whose.
        id: String,
        /// Its fingerprint.
        key: String,
    },
    /// Puts somebody into a group.
    Grant {
        /// The group.
        group: String,
        /// Whom.
        id: String,
    },
    /// Takes somebody out of a group.
    Withdraw {
        /// The group.
        group: String,
        /// Whom.
        id: String,
    },
}

/// What a change stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footing<'r> {
    /// Nobody could approve yet: one of the first two. Their keys count at once.
    Founding,
    /// A quorum agreed to it.
    Approved(&'r Right),
}

/// Why a change can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// An id or a group that is no plain name.
    #[error("{0:?} is no name: letters, digits and . _ - @, at most 64, the first a letter or digit")]
    Name(String),
    /// There is somebody of this id.
    #[error("{0} is enrolled already")]
    Taken(String),
    /// There is nobody of this id.
    #[error("nobody is enrolled as {0}")]
    Unknown(String),
    /// A key that is none, or of a kind that is not taken.
    #[error("the key can't be taken: {0}")]
    Key(#[from] KeyError),
    /// One key, two people: then one of them could be two.
    #[error("the key {key} is {whose}'s already: two people with one key would be one")]
    Shared {
        /// Its fingerprint.
        key: String,
        /// Whose it is.
        whose: String,
    },
    /// Not one of the person's keys.
    #[error("{key:?} is the fingerprint of none of {whose}'s keys")]
    NoSuchKey {
        /// What was named.
        key: String,
        /// Whose it should be.
        whose: String,
    },
    /// Two have to be left.
    #[error("two people have to stay enrolled, or nobody could approve a change any more: enrol another first")]
    TooFew,
    /// One account, two people.
    #[error("the user account {uid} is {whose}'s already")]
    Account {
        /// The account.
        uid: u32,
        /// Whose it is.
        whose: String,
    },
    /// Nobody without a key.
    #[error("{0} would have no key left: take the person out instead")]
    Keyless(String),
    /// Not in it.
    #[error("{id} is not in the group {group}")]
    NotIn {
        /// The group.
        group: String,
        /// Who.
        id: String,
    },
    /// In it already.
    #[error("{id} is in the group {group} already")]
    In {
        /// The group.
        group: String,
        /// Who.
        id: String,
    },
    /// Founding is over, or what is asked is no founding.
    #[error("the first two people are enrolled without anybody's approval, once; every other change needs two people")]
    Founded,
    /// The right to something else.
    #[error("what was approved is another change, or a change of another revision of who may approve")]
    OtherRight,
    /// Beyond all reason.
    #[error("more than {MOST} of them")]
    TooMany,
}

impl Change {
    /// Whom it is about.
    pub fn id(&self) -> &str {
        match self {
            Self::Enrol { id, .. }
            | Self::Remove { id }
            | Self::AddKey { id, .. }
            | Self::RemoveKey { id, .. }
            | Self::Grant { id, .. }
            | Self::Withdraw { id, .. } => id,
        }
    }
}

impl People {
    /// The version this code writes.
    pub const VERSION: u32 = 1;

    /// A machine on which nobody is enrolled.
    ///
    /// # Errors
    /// Where the machine's name is none.
    pub fn new(host: &str) -> Result<Self, PeopleError> {
        named(host)?;
        Ok(Self { founded: false, host: host.to_owned(), members: Vec::new(), revision: 0, version: Self::VERSION })
    }

    /// Names this very change of this very revision on this machine: what people approve.
    pub fn request(&self, change: &Change) -> Digest {
        let place = canon::line(&(&self.host, self.revision));
        Digest::of("backstop/people-change/1", &[&place, &canon::line(change)])
    }

    /// Somebody, by id.
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.id == id)
    }

    /// The next revision, in which the change is made.
    ///
    /// # Errors
    /// What is wrong with the change; then nothing is.
    pub fn with(&self, change: &Change, footing: Footing<'_>, now: Timestamp) -> Result<Self, PeopleError> {
        // The first of the two can be taken out again: a mistyped key would stay for ever.
        let founding = matches!(change, Change::Enrol { .. } | Change::Remove { .. }) && !self.founded;
        match footing {
            Footing::Founding if founding => {}
            Footing::Approved(right) if !founding => {
                if !right.is_to(self.request(change)) {
                    return Err(PeopleError::OtherRight);
                }
            }
            _ => return Err(PeopleError::Founded),
        }
        // Founders have nobody to wait for.
        let from = if founding { now } else { Timestamp::new(now.secs.saturating_add(SETTLING), now.nanos) };
        let mut next = self.clone();
        next.make(change, from)?;
        next.founded |= next.members.len() >= FOUNDERS;
        next.revision += 1;
        Ok(next)
    }

    fn make(&mut self, change: &Change, from: Timestamp) -> Result<(), PeopleError> {
        named(change.id())?;
        match change {
            Change::Enrol { groups, id, keys, uids } => {
                groups.iter().try_for_each(|group| named(group))?;
                if self.member(id).is_some() {
                    return Err(PeopleError::Taken(id.clone()));
                }
                if let Some((uid, owner)) = uids.iter().find_map(|u| Some((*u, self.of_account(*u)?))) {
                    return Err(PeopleError::Account { uid, whose: owner.id.clone() });
                }
                if keys.is_empty() {
                    return Err(PeopleError::Keyless(id.clone()));
                }
                if self.members.len() >= MOST {
                    return Err(PeopleError::TooMany);
                }
                let groups = groups.iter().map(|g| (g.clone(), from)).collect();
                self.members.push(Member { credentials: Vec::new(), groups, id: id.clone(), uids: uids.clone() });
                self.members.sort_by(|a, b| a.id.cmp(&b.id));
                keys.iter().try_for_each(|key| self.give(id, key, from))
            }
            Change::AddKey { id, key } => self.give(id, key, from),
            Change::Remove { id } => {
                self.mutable(id)?;
                if self.founded && self.members.len() <= FOUNDERS {
                    return Err(PeopleError::TooFew);
                }
                self.members.retain(|m| m.id != *id);
                Ok(())
            }
            Change::RemoveKey { id, key } => {
                let member = self.mutable(id)?;
                if !member.credentials.iter().any(|c| c.id == *key) {
                    return Err(PeopleError::NoSuchKey { key: key.clone(), whose: id.clone() });
                }
                if member.credentials.len() == 1 {
                    return Err(PeopleError::Keyless(id.clone()));
                }
                member.credentials.retain(|c| c.id != *key);
                Ok(())
            }
            Change::Grant { group, id } => {
                named(group)?;
                let groups = &mut self.mutable(id)?.groups;
                if groups.contains_key(group) {
                    return Err(PeopleError::In { group: group.clone(), id: id.clone() });
                }
                groups.insert(group.clone(), from);
                Ok(())
            }
            Change::Withdraw { group, id } => {
                named(group)?;
                let left = self.mutable(id)?.groups.remove(group);
                left.map(|_| ()).ok_or_else(|| PeopleError::NotIn { group: group.clone(), id: id.clone() })
            }
        }
    }

    fn give(&mut self, id: &str, line: &str, from: Timestamp) -> Result<(), PeopleError> {
        let key = Key::parse(line)?;
        let print = key.fingerprint();
        let same = |c: &Credential| Key::parse(&c.key).is_ok_and(|k| k.point() == key.point());
        if let Some(owner) = self.members.iter().find(|m| m.credentials.iter().any(same)) {
            return Err(PeopleError::Shared { key: print, whose: owner.id.clone() });
        }
        let credentials = &mut self.mutable(id)?.credentials;
        if credentials.len() >= MOST {
            return Err(PeopleError::TooMany);
        }
        credentials.push(Credential { from, id: print, key: key.line().to_owned() });
        credentials.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(())
    }

    fn mutable(&mut self, id: &str) -> Result<&mut Member, PeopleError> {
        self.members.iter_mut().find(|m| m.id == id).ok_or_else(|| PeopleError::Unknown(id.to_owned()))
    }

    fn of_account(&self, uid: u32) -> Option<&Member> {
        self.members.iter().find(|m| m.uids.contains(&uid))
    }
}

fn named(text: &str) -> Result<(), PeopleError> {
    if is_name(text) { Ok(()) } else { Err(PeopleError::Name(text.to_owned())) }
}

#[cfg(test)]
mod tests;
