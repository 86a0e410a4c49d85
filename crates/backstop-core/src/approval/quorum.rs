//! Who has to agree: so many different people, and of each of these groups so many. Rules may say so
//! (`@quorum("2 people, 1 dba")`); the strictest of all that spoke is frozen in the request.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_name;
use crate::time::Timestamp;

/// More people nobody waits for.
const MOST: u32 = 100;

/// More groups nobody reads: a project's file may ask for them.
const GROUPS: usize = 8;

/// Who has to agree; frozen in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// At least so many of them from each of these groups; who is in two counts for both.
    pub groups: BTreeMap<String, u32>,
    /// So many different people in all; never 0.
    pub people: u32,
}

/// What holds beside the quorum; frozen in the request with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// True where one person may let it through alone in an emergency, with a security key, and be reviewed afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub glass: bool,
    /// Before this moment nobody approves it: of somebody who is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
}

impl Quorum {
    /// Any two people.
    pub const TWO: Self = Self { groups: BTreeMap::new(), people: 2 };

    /// One, where nobody else is enrolled; never without the wait of [`Terms::opens`].
    pub const LONE: Self = Self { groups: BTreeMap::new(), people: 1 };

    /// Reads what a rule asks for: `3 people`, `1 dba`, several with commas between them. Where it names no number
    /// of people, two are enough.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut quorum = Self { people: 0, ..Self::TWO };
        for part in text.split(',').map(str::trim) {
            let (count, name) = part.split_once(' ').ok_or_else(|| format!("{part:?} is not of the form `1 dba`"))?;
            let name = name.trim();
            let digits = count.bytes().all(|b| b.is_ascii_digit());
            let count = count.parse::<u32>().ok().filter(|n| digits && (1..=MOST).contains(n));
            let count = count.ok_or_else(|| format!("{part:?} does not begin with a number from 1 to {MOST}"))?;
            let twice = || format!("{name} is there twice");
            match name {
                "people" if quorum.people > 0 => return Err(twice()),
                "people" if count < Self::TWO.people => return Err("fewer than two people are no quorum".to_owned()),
                "people" => quorum.people = count,
                _ if ["person", "people"].contains(&&*name.to_ascii_lowercase()) => {
                    return Err(format!("{name:?}: say `2 people`"));
                }
                _ if !is_name(name) => return Err(format!("{name:?} is no name of a group")),
                _ if quorum.groups.insert(name.to_owned(), count).is_some() => return Err(twice()),
                _ => {}
            }
        }
        let largest = quorum.groups.values().copied().max().unwrap_or(0);
        quorum.people = quorum.people.max(Self::TWO.people).max(largest);
        if quorum.groups.len() > GROUPS {
            return Err(format!("more than {GROUPS} groups"));
        }
        Ok(quorum)
    }

    /// True where it can be somebody's: at least two people, of not too many groups with plain names.
    pub fn is_sound(&self) -> bool {
        let groups = self.groups.len() <= GROUPS && self.groups.keys().all(|g| is_name(g));
        groups && self.people >= Self::TWO.people
    }

    /// The one that both are met by.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.people = self.people.max(other.people);
        for (group, n) in &other.groups {
            let have = self.groups.entry(group.clone()).or_default();
            *have = (*have).max(*n);
        }
        self
    }

    /// True where whoever meets this one meets the other.
    pub fn covers(&self, other: &Self) -> bool {
        self.clone().and(other) == *self
    }

    /// `2 people`, `2 people (1 of dba)`.
    pub fn in_words(&self) -> String {
        if *self == Self::LONE {
            return "1 person, after a day".to_owned();
        }
        let groups: Vec<String> = self.groups.iter().map(|(g, n)| format!("{n} of {g}")).collect();
        let groups = if groups.is_empty() { String::new() } else { format!(" ({})", groups.join(", ")) };
        format!("{} people{groups}", self.people)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Quorum {
        Quorum::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn what_rules_ask_for_is_read_or_refused() {
        for (text, words) in [
            ("2 people", "2 people"),
            ("1 dba", "2 people (1 of dba)"),
            ("3 people, 1 dba,2 ops", "3 people (1 of dba, 2 of ops)"),
        ] {
            assert_eq!(of(text).in_words(), words);
            assert!(of(text).is_sound() && of(text).covers(&Quorum::TWO));
        }
        assert_eq!(of("3 dba").in_words(), "3 people (3 of dba)");
        let many: Vec<String> = (0..9).map(|n| format!("1 g{n}")).collect();
        assert!(Quorum::parse(&many.join(", ")).is_err());
        for text in [
            "+3 dba",
            "3 person",
            "2 People",
            "",
            "dba",
            "0 dba",
            "1 people",
            "101 people",
            "-1 dba",
            "1 d b",
            "1 dba, 2 dba",
            "2 people, 3 people",
            "1 dba,",
        ] {
            assert!(Quorum::parse(text).is_err(), "{text}");
        }
    }

    fn any() -> impl Strategy<Value = Quorum> {
        (2..6u32, proptest::collection::btree_map("[a-c]", 1..4u32, 0..3))
            .prop_map(|(people, groups)| Quorum { groups, people })
    }

    proptest! {
        #[test]
        fn what_two_rules_ask_for_is_the_least_that_covers_both(a in any(), b in any(), c in any()) {
            let both = a.clone().and(&b);
            prop_assert!(both.covers(&a) && both.covers(&b));
            prop_assert_eq!(&both, &b.clone().and(&a));
            prop_assert_eq!(c.covers(&a) && c.covers(&b), c.covers(&both));
        }
    }
}
