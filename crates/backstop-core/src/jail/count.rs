//! Counts, bans, raises and forgets.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ban, Class, How, Key, Level, Offence, Rules};
use crate::approval::quorum::Quorum;
use crate::audit::{Body, By};
use crate::digest::Digest;
use crate::id::RunId;
use crate::time::Timestamp;

/// Beyond so many the oldest are forgotten: whoever has so many within minutes was banned long before.
const MOST: usize = 1_024;

/// How long an ended ban makes the next one longer, in seconds.
const REMEMBERED: i64 = 7 * 86_400;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jail {
    pub(super) bans: Vec<Standing>,
    pub(super) counted: Vec<Counted>,
    past: Vec<Past>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    /// What counted since it has this level.
    pub(super) again: u32,
    ban: Ban,
    /// False until the log is known to say it.
    said: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    at: Timestamp,
    /// A ban on something of it stood already. It raises that, and is no reason to ban what is wider.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    covered: bool,
    offence: Offence,
}

/// A ban that ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Past {
    ended: Timestamp,
    key: Key,
    times: u32,
}

/// How often a class was counted for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// What.
    pub class: Class,
    /// Who.
    pub key: Key,
    /// From how many on it is a ban.
    pub most: u32,
    /// How often.
    pub times: u32,
}

impl Jail {
    /// Counts one, and gives the ban that it makes, or the one that it raises to the next level. `quorum` is who has to end
    /// one that nothing else ends.
    pub fn count(&mut self, at: Timestamp, offence: Offence, rules: &Rules, quorum: Option<&Quorum>) -> Option<Ban> {
        self.tidy(at, rules);
        let keys = offence.keys.clone();
        let weighs = self.weighs(&offence);
        let covered = self.remember(at, offence);
        // The keys are in order: what is narrow goes first, and as long as that holds nothing wider is needed.
        match covered {
            true if !weighs => None,
            true => self.raise(at, &keys, rules, quorum),
            false => self.trip(at, &keys, rules),
        }
    }

    /// False for a question that was not asked before.
    fn weighs(&self, offence: &Offence) -> bool {
        offence.how != How::Asked || {
            let same = |c: &Counted| c.offence.effect == offence.effect && !c.offence.keys.is_disjoint(&offence.keys);
            offence.effect.is_some() && self.counted.iter().any(same)
        }
    }

    fn raise(&mut self, at: Timestamp, keys: &BTreeSet<Key>, rules: &Rules, quorum: Option<&Quorum>) -> Option<Ban> {
        let standing = narrowest(&mut self.bans, keys, at)?;
        standing.again = standing.again.saturating_add(1);
        let level = standing.ban.level.next().filter(|_| standing.again >= rules.most_of(&standing.ban.key))?;
        let since = standing.ban.at;
        let its = |c: &&Counted| c.at >= since && c.offence.keys.contains(&standing.ban.key);
        // A question that came once was none too many.
        let tried = self.counted.iter().filter(its).filter(|c| c.offence.how != How::Asked);
        standing.ban.classes.extend(tried.flat_map(|c| c.offence.classes.iter().cloned()));
        let until = (!level.shuts()).then(|| after(at, rules.span(standing.ban.times.saturating_add(1))));
        let quorum = quorum.filter(|_| level.shuts()).cloned();
        standing.ban = Ban { at, level, quorum, until, ..standing.ban.clone() };
        standing.again = 0;
        standing.said = false;
        Some(standing.ban.clone())
    }

    fn trip(&mut self, at: Timestamp, keys: &BTreeSet<Key>, rules: &Rules) -> Option<Ban> {
        let tallies = keys.iter().map(|key| (key, self.tally(key)));
        let (key, classes) = tallies
            .map(|(key, tally)| {
                let over = tally.into_iter().filter(|(_, n)| *n >= rules.most_of(key));
                (key, over.map(|(class, _)| class).collect::<BTreeSet<Class>>())
            })
            .find(|(_, classes)| !classes.is_empty())?;
        let times = self.past.iter().filter(|p| p.key == *key).map(|p| p.times.saturating_add(1)).max().unwrap_or(0);
        let until = Some(after(at, rules.span(times)));
        let ban = Ban { at, classes, key: key.clone(), level: Level::Asks, quorum: None, times, until };
        self.bans.push(Standing { again: 0, ban: ban.clone(), said: false });
        Some(ban)
    }

    /// How often each class was counted for a key. A question that a person did not say yes to counts where it comes back.
    fn tally(&self, key: &Key) -> BTreeMap<Class, u32> {
        let mut tally: BTreeMap<Class, u32> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        // What a ban was made of that has ended makes no other.
        let paid = self.past.iter().filter(|p| p.key == *key).map(|p| p.ended).max();
        let counts = |c: &&Counted| !c.covered && paid.is_none_or(|ended| c.at >= ended);
        let its = self.counted.iter().filter(counts).filter(|c| c.offence.keys.contains(key));
        for Counted { offence, .. } in its {
            if offence.how == How::Asked && offence.effect.is_none_or(|effect| asked.insert(effect)) {
                continue;
            }
            for class in &offence.classes {
                *tally.entry(class.clone()).or_default() += 1;
            }
        }
        tally
    }

    /// Forgets what is over.
    pub fn tidy(&mut self, now: Timestamp, rules: &Rules) {
        let find = i64::from(rules.find_minutes) * 60;
        // By distance, so that a clock that was set back forgets nothing at once.
        self.counted.retain(|c| now.seconds_since(c.at).abs() < find);
        self.past.retain(|p| now.seconds_since(p.ended).abs() < REMEMBERED);
        let (stand, over): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.bans).into_iter().partition(|s| s.ban.stands(now));
        self.bans = stand;
        for Standing { ban, .. } in over {
            self.past.retain(|p| p.key != ban.key);
            self.past.push(Past { ended: ban.until.unwrap_or(now), key: ban.key, times: ban.times });
        }
    }

    /// The bans that stand.
    pub fn bans(&self, now: Timestamp) -> impl Iterator<Item = &Ban> {
        self.bans.iter().map(|s| &s.ban).filter(move |ban| ban.stands(now))
    }

    /// The strictest ban on any of these.
    pub fn on(&self, keys: &BTreeSet<Key>, now: Timestamp) -> Option<&Ban> {
        self.bans(now).filter(|ban| keys.contains(&ban.key)).max_by_key(|ban| ban.level)
    }

    /// What a ban makes of a run of whoever these are: the reasons of all that stand.
    pub fn judge<'a>(
        &'a self,
        keys: &'a BTreeSet<Key>,
        classes: &'a BTreeSet<Class>,
        now: Timestamp,
    ) -> impl Iterator<Item = crate::policy::Reason> {
        self.bans(now).filter(|ban| keys.contains(&ban.key)).map(|ban| ban.judge(classes))
    }

    /// What is counted now.
    pub fn counts(&self, now: Timestamp, rules: &Rules) -> Vec<Count> {
        let mut fresh = self.clone();
        fresh.tidy(now, rules);
        let keys: BTreeSet<Key> = fresh.counted.iter().flat_map(|c| c.offence.keys.iter().cloned()).collect();
        let of = |key: Key| {
            let most = rules.most_of(&key);
            fresh.tally(&key).into_iter().map(move |(class, times)| Count { class, key: key.clone(), most, times })
        };
        keys.into_iter().flat_map(of).collect()
    }

    /// Ends a ban; false where none has this name. What was counted for it is forgotten: people looked at it.
    pub fn clear(&mut self, named: Digest) -> bool {
        let Some(at) = self.bans.iter().position(|s| s.ban.digest() == named) else { return false };
        let key = self.bans.remove(at).ban.key;
        self.past.retain(|p| p.key != key);
        self.counted.retain(|c| !c.offence.keys.contains(&key));
        true
    }

    /// Bans of which it is not known that the log has them.
    pub fn unsaid(&self) -> Vec<Ban> {
        self.bans.iter().filter(|s| !s.said).map(|s| s.ban.clone()).collect()
    }

    /// The log has it.
    pub fn said(&mut self, named: Digest) {
        for standing in self.bans.iter_mut().filter(|s| s.ban.digest() == named) {
            standing.said = true;
        }
    }

    /// True where a ban on something of it stands.
    fn remember(&mut self, at: Timestamp, offence: Offence) -> bool {
        let covered = self.bans(at).any(|ban| offence.keys.contains(&ban.key));
        self.counted.push(Counted { at, covered, offence });
        self.counted.drain(..self.counted.len().saturating_sub(MOST));
        covered
    }

    /// Takes the next entry of a log: makes the jail anew from all of them.
    pub fn tell(&mut self, at: Timestamp, body: Body) {
        match body {
            Body::JailBanned { ban, .. } => self.told(ban),
            Body::JailCleared { ban, .. } => _ = self.clear(ban),
            Body::JailCounted { offence } => self.counted(at, offence),
            Body::RunCommitting { by: By::Approved { .. } | By::Person { .. }, run, .. } => _ = self.forgive(run),
            _ => {}
        }
    }

    /// One that was counted; what it made of a ban the log tells as well.
    fn counted(&mut self, at: Timestamp, offence: Offence) {
        let (keys, weighs) = (offence.keys.clone(), self.weighs(&offence));
        if self.remember(at, offence)
            && weighs
            && let Some(standing) = narrowest(&mut self.bans, &keys, at)
        {
            standing.again = standing.again.saturating_add(1);
        }
    }

    /// What people let through after all does not count, nor that it was tried before by the same; true where it did.
    pub fn forgive(&mut self, run: RunId) -> bool {
        let Some(through) = self.counted.iter().find(|c| c.offence.run == Some(run)).map(|c| c.offence.clone()) else {
            return false;
        };
        let same = |o: &Offence| o.effect.is_some() && o.effect == through.effect && !o.keys.is_disjoint(&through.keys);
        self.counted.retain(|c| c.offence.run != Some(run) && !same(&c.offence));
        true
    }

    /// A ban takes the place of what stood for the same.
    fn told(&mut self, ban: Ban) {
        self.bans.retain(|s| s.ban.key != ban.key);
        self.bans.push(Standing { again: 0, ban, said: true });
    }
}

/// The ban on the narrowest of these that stands.
fn narrowest<'a>(bans: &'a mut [Standing], keys: &BTreeSet<Key>, now: Timestamp) -> Option<&'a mut Standing> {
    let its = bans.iter_mut().filter(|s| s.ban.stands(now) && keys.contains(&s.ban.key));
    its.min_by(|a, b| a.ban.key.cmp(&b.ban.key))
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::new(at.secs.saturating_add(seconds), 0)
}
