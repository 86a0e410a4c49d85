//! Takes `corpus/benign/`, gives its cases and counts what became of them. Runs nothing itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::arena::Who;

/// What policy may say to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// It takes effect.
    Allow,
    /// One person confirms.
    Ask,
    /// Two people approve.
    TwoPerson,
    /// Never.
    Deny,
}

impl Tier {
    /// The word in cases and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::TwoPerson => "two-person",
            Self::Deny => "deny",
        }
    }
}

/// One everyday command line, as an agent types it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What kind of work it is; the tables count by it.
    pub group: String,
    /// The script of `corpus/benign/fixtures/` that builds the project at `/w/work`.
    pub fixture: String,
    /// What bash runs there.
    pub line: String,
    /// Programs without which it can't run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What it gets on a workstation.
    pub workstation: Tier,
    /// What it gets in production.
    pub production: Tier,
    /// Why a person is asked; missing where nobody is.
    pub why: Option<String>,
    /// Paths (below `/w/work`, or absolute) that are never twice the same, so that they aren't compared.
    #[serde(default)]
    pub varies: Vec<String>,
    /// True where what it prints is never twice the same (times, process ids).
    #[serde(default)]
    pub prints_varying: bool,
    /// For whom it isn't as it should be so far, and why.
    #[serde(default)]
    pub not_yet: Gap,
}

/// Known gaps; each is checked to be still there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// For the superuser.
    pub root: Option<String>,
    /// For an ordinary user.
    pub user: Option<String>,
}

impl Gap {
    /// The gap for `who`; none where there must be none.
    pub fn reason(&self, who: Who) -> Option<&str> {
        match who {
            Who::Root => self.root.as_deref(),
            Who::User => self.user.as_deref(),
        }
    }
}

/// How many commands got which tier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    tiers: [usize; 4],
}

impl Count {
    /// Counts one command.
    pub fn add(&mut self, tier: Tier) {
        self.tiers[tier as usize] += 1;
    }

    /// How many got `tier`.
    pub fn of(&self, tier: Tier) -> usize {
        self.tiers[tier as usize]
    }

    /// How many there were.
    pub fn all(&self) -> usize {
        self.tiers.iter().sum()
    }

    /// How many of a thousand a person was asked about, by one or by two.
    pub fn asked_per_mille(&self) -> usize {
        (self.of(Tier::Ask) + self.of(Tier::TwoPerson)) * 1000 / self.all().max(1)
    }

    fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.tiers.iter_mut().zip(other.tiers) {
            *mine += theirs;
        }
    }
}

/// The counts of every group.
#[derive(Clone, Debug, Default)]
pub struct Table {
    groups: BTreeMap<String, Count>,
}

impl Table {
    /// Counts one command of `group`.
    pub fn add(&mut self, group: &str, tier: Tier) {
        self.groups.entry(group.to_owned()).or_default().add(tier);
    }

    /// Over all groups.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        self.groups.values().for_each(|c| total.join(c));
        total
    }

    /// The table under its title, with a line for each group and one for all.
    pub fn drawn(&self, title: &str) -> String {
        let mut text = format!(
            "{title}\n  {:<12}{:>5}{:>7}{:>5}{:>11}{:>6}{:>9}\n",
            "group", "n", "allow", "ask", "two-person", "deny", "asked"
        );
        let total = self.total();
        let rows = self.groups.iter().map(|(name, count)| (name.as_str(), count));
        for (name, count) in rows.chain([("all", &total)]) {
            let mille = count.asked_per_mille();
            let row = writeln!(
                text,
                "  {name:<12}{:>5}{:>7}{:>5}{:>11}{:>6}{:>7}.{}%",
                count.all(),
                count.of(Tier::Allow),
                count.of(Tier::Ask),
                count.of(Tier::TwoPerson),
                count.of(Tier::Deny),
                mille / 10,
                mille % 10
            );
            row.expect("a string takes everything");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::corpus;

    #[test]
    fn the_corpus_is_large_and_says_why_where_somebody_is_asked() {
        let cases: Vec<(String, Case)> = corpus::load("benign").unwrap();
        assert!(cases.len() >= 150, "{}", cases.len());
        let lines: BTreeSet<_> = cases.iter().map(|(_, c)| (&c.fixture, &c.line)).collect();
        assert_eq!(lines.len(), cases.len(), "a line stands there twice");
        for (name, case) in &cases {
            let asked = case.workstation.max(case.production) > Tier::Allow;
            assert_eq!(case.why.is_some(), asked, "{name}: `why` says why somebody is asked, and only that");
            assert!(case.production >= case.workstation, "{name}: production is no looser than a workstation");
        }
    }

    #[test]
    fn shares_count_everybody_who_was_asked() {
        let mut table = Table::default();
        for tier in [Tier::Allow, Tier::Allow, Tier::Ask, Tier::TwoPerson] {
            table.add("git", tier);
        }
        assert_eq!((table.total().all(), table.total().asked_per_mille()), (4, 500));
        assert!(table.drawn("as root").ends_with("  all             4      2    1          1     0     50.0%\n"));
    }
}
