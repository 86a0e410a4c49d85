//! The trust store: who may approve on this machine, by which keys, and since when that counts. Takes
//! changes, gives the next revision or says what is wrong with the change. But for the first two people, a
//! change needs the right to this very change of this very revision.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ballot::Right;
use super::is_name;
use super::key::{Key, KeyError, SignatureError};
use super::matter::Matter;
use crate::canon;
use crate::digest::Digest;
use crate::time::Timestamp;

/// A key or a membership counts this many seconds after it was given: whoever gets hold of the power to enrol
/// can't approve at once, and the others have a day to see it.
pub const SETTLING: i64 = 24 * 3_600;
/// With so many people enrolled the store is founded: from then on every change needs two of them.
pub const FOUNDERS: usize = 2;
/// The SSHSIG namespace of an enrolment: `ssh-keygen -Y sign -n enrolment@backstop`.
pub const ENROLMENT: &str = "enrolment@backstop";
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

/// A key that is to be given to somebody, and the word of whoever has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The OpenSSH public key.
    pub key: String,
    /// Its signature over [`People::enrolment`], armoured: nobody is enrolled by a key that nobody has.
    pub proof: String,
}

/// Somebody who is to be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Newcomer {
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The id.
    pub id: String,
    /// The keys; at least one.
    pub keys: Vec<NewKey>,
    /// The user accounts that are this person's.
    pub uids: BTreeSet<u32>,
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
        /// The keys; at least one.
        keys: Vec<NewKey>,
        /// The user accounts that are this person's.
        uids: BTreeSet<u32>,
    },
    /// Takes several people in, at once or not at all.
    EnrolAll {
        /// Whom.
        people: Vec<Newcomer>,
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
        /// The key.
        key: NewKey,
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
    /// Says which further user accounts are somebody's. None is taken away: whoever owned the account that asks
    /// could approve it the moment after.
    Accounts {
        /// Whose.
        id: String,
        /// The further ones.
        uids: BTreeSet<u32>,
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
    /// Whoever has the key did not agree, or to something else.
    #[error("{whose} has not agreed to be enrolled by the key {key}: {why}")]
    Proof {
        /// Its fingerprint.
        key: String,
        /// Who was to be enrolled.
        whose: String,
        /// What is wrong with the signature.
        why: SignatureError,
    },
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
    /// An empty list.
    #[error("there is nobody to enrol")]
    Nobody,
    /// Beyond all reason.
    #[error("more than {MOST} of them")]
    TooMany,
}

impl Change {
    /// Whom it is about; several people have no id of their own.
    fn id(&self) -> Option<&str> {
        match self {
            Self::EnrolAll { .. } => None,
            Self::Enrol { id, .. }
            | Self::Remove { id }
            | Self::AddKey { id, .. }
            | Self::RemoveKey { id, .. }
            | Self::Grant { id, .. }
            | Self::Withdraw { id, .. }
            | Self::Accounts { id, .. } => Some(id),
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

    /// Reads what is kept, and believes none of it: a store that a change could not have made is refused.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence fragment.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let people: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        people.check()?;
        Ok(people)
    }

    fn check(&self) -> Result<(), String> {
        let known = self.version == Self::VERSION;
        known.then_some(()).ok_or_else(|| format!("it is of version {}", self.version))?;
        named(&self.host).map_err(|e| e.to_string())?;
        if !self.members.is_sorted_by(|a, b| a.id < b.id) {
            return Err("its people are out of order, or one is there twice".to_owned());
        }
        if self.founded != (self.members.len() >= FOUNDERS) {
            return Err("it says that it is founded, and the people are not there, or the other way round".to_owned());
        }
        let (mut points, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        for member in &self.members {
            let id = &member.id;
            let names = std::iter::once(id).chain(member.groups.keys());
            names.into_iter().try_for_each(|name| named(name)).map_err(|e| e.to_string())?;
            if member.credentials.is_empty() {
                return Err(format!("{id} has no key"));
            }
            if !member.credentials.is_sorted_by(|a, b| a.id < b.id) {
                return Err(format!("the keys of {id} are out of order, or one is there twice"));
            }
            for credential in &member.credentials {
                let key = Key::parse(&credential.key).map_err(|e| format!("a key of {id}: {e}"))?;
                if key.fingerprint() != credential.id || key.line() != credential.key {
                    return Err(format!("a key of {id} stands under another name than its own"));
                }
                if !points.insert(key.point()) {
                    return Err(format!("the key {} is there twice", credential.id));
                }
            }
            if let Some(uid) = member.uids.iter().find(|uid| !accounts.insert(**uid)) {
                return Err(format!("the user account {uid} is two people's"));
            }
        }
        Ok(())
    }

    /// A change of this revision as a matter to be approved.
    pub fn matter(&self, change: &Change, asked_by: u32, asked_at: Timestamp) -> Matter {
        Matter::People { asked_at, asked_by, change: change.clone(), revision: self.revision }
    }

    /// What whoever has a key signs, to be enrolled by it on this machine as this person.
    pub fn enrolment(&self, id: &str, key: &Key) -> String {
        format!("backstop enrolment v1\nhost {}\nperson {id}\nkey {}\n", self.host, key.fingerprint())
    }

    /// The person who has this key, by its fingerprint.
    pub fn of_key(&self, print: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.credentials.iter().any(|c| c.id == print))
    }

    /// The person whose user account it is.
    pub fn of_account(&self, uid: u32) -> Option<&Member> {
        self.members.iter().find(|m| m.uids.contains(&uid))
    }

    /// How many may approve: none before two people are enrolled, for one alone can be no quorum.
    pub fn enrolled(&self) -> usize {
        if self.founded { self.members.len() } else { 0 }
    }

    /// Names this very store.
    pub fn digest(&self) -> Digest {
        Digest::of("backstop/people/1", &[&canon::line(self)])
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
                if !right.is_to(&self.host, change, self.revision) {
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

    /// Whether a change could be made if it were approved: what is wrong with it, said before anybody is asked.
    ///
    /// # Errors
    /// What is wrong with the change.
    pub fn would(&self, change: &Change, now: Timestamp) -> Result<(), PeopleError> {
        self.clone().make(change, now)
    }

    fn make(&mut self, change: &Change, from: Timestamp) -> Result<(), PeopleError> {
        change.id().map_or(Ok(()), named)?;
        match change {
            Change::Enrol { groups, id, keys, uids } => {
                groups.iter().try_for_each(|group| named(group))?;
                if self.member(id).is_some() {
                    return Err(PeopleError::Taken(id.clone()));
                }
                self.free(uids, id)?;
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
            Change::EnrolAll { people } => {
                if people.is_empty() {
                    return Err(PeopleError::Nobody);
                }
                people.iter().cloned().try_for_each(|Newcomer { groups, id, keys, uids }| {
                    self.make(&Change::Enrol { groups, id, keys, uids }, from)
                })
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
            Change::Accounts { id, uids } => {
                self.free(uids, id)?;
                self.mutable(id)?.uids.extend(uids);
                Ok(())
            }
            Change::Withdraw { group, id } => {
                named(group)?;
                let left = self.mutable(id)?.groups.remove(group);
                left.map(|_| ()).ok_or_else(|| PeopleError::NotIn { group: group.clone(), id: id.clone() })
            }
        }
    }

    /// Refuses accounts that are somebody else's.
    fn free(&self, uids: &BTreeSet<u32>, id: &str) -> Result<(), PeopleError> {
        let taken = uids.iter().find_map(|u| Some((*u, self.of_account(*u).filter(|m| m.id != id)?)));
        taken.map_or(Ok(()), |(uid, owner)| Err(PeopleError::Account { uid, whose: owner.id.clone() }))
    }

    fn give(&mut self, id: &str, new: &NewKey, from: Timestamp) -> Result<(), PeopleError> {
        let key = Key::parse(&new.key)?;
        let print = key.fingerprint();
        let same = |c: &Credential| Key::parse(&c.key).is_ok_and(|k| k.point() == key.point());
        if let Some(owner) = self.members.iter().find(|m| m.credentials.iter().any(same)) {
            return Err(PeopleError::Shared { key: print, whose: owner.id.clone() });
        }
        let agreed = key.verify(ENROLMENT, self.enrolment(id, &key).as_bytes(), &new.proof);
        agreed.map_err(|why| PeopleError::Proof { key: print.clone(), whose: id.to_owned(), why })?;
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
}

fn named(text: &str) -> Result<(), PeopleError> {
    if is_name(text) { Ok(()) } else { Err(PeopleError::Name(text.to_owned())) }
}

#[cfg(test)]
mod tests;
