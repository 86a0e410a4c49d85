//! Takes the corpus folders, gives their cases. Refuses a file with an unknown or missing field: a
//! case that tests nothing must not look like one that does.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Broken;
use crate::benign::Tier;

/// What has to become of an incident's command under Backstop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// It must not take effect before a person says so.
    Hold,
    /// It may take effect; undo must bring back the tree before.
    Undo,
    /// The loss happens in another process or machine: it must be held, denied or cut off.
    Door,
    /// It is about processes, not files.
    Process,
}

/// A tier for each user.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// For the superuser.
    pub root: Tier,
    /// For an ordinary user.
    pub user: Tier,
}

impl Tiers {
    /// The tier for `who`.
    pub const fn of(self, who: crate::arena::Who) -> Tier {
        match who {
            crate::arena::Who::Root => self.root,
            crate::arena::Who::User => self.user,
        }
    }
}

/// A real incident, rebuilt with harmless data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Short and stable.
    pub id: String,
    /// What happened, in a line.
    pub title: String,
    /// Why Backstop has to do what `expect` says.
    pub why: String,
    /// The public threads that report it.
    pub threads: Vec<String>,
    /// What stands in for what; none where nothing does.
    pub emulates: Option<String>,
    /// What has to become of it.
    pub expect: Expect,
    /// What policy says to it on a workstation; missing where there is nothing to judge in the end.
    pub expect_tier: Option<Tiers>,
    /// What the lenses have to say of the run, each as the lens, a colon, and words of its sentence.
    #[serde(default)]
    pub saw: Vec<String>,
    /// The agent's workspace.
    pub workspace: String,
    /// Bash, run at `/w`, that makes the data; `mk DIR N [EXT]` makes files, `g` is git with an identity.
    pub fixture: String,
    /// What the agent ran.
    pub command: String,
    /// What the agent's user meant: a harmless command of the same kind, which must not be stopped.
    pub control: String,
    /// Paths (below `/w`, or absolute) whose files must survive byte for byte and with their mode.
    #[serde(default)]
    pub protect: Vec<String>,
    /// A command that has to succeed while nothing is lost.
    pub check: Option<String>,
    /// Mounts made before the command, as [from, to].
    #[serde(default)]
    pub binds: Vec<(String, String)>,
    /// True to have a stand-in service on `/w/run/d.sock` that works below `/w/daemon`.
    #[serde(default)]
    pub daemon: bool,
    /// Replaces the wrapped command where something has to happen outside the run, too.
    pub guarded: Option<String>,
    /// Where it is not saved yet, and why.
    #[serde(default)]
    pub not_yet: NotYet,
}

/// Known gaps; each is checked to be still there, so that no entry outlives its reason.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotYet {
    /// Why it fails as root.
    pub root: Option<String>,
    /// Why it fails as an ordinary user.
    pub user: Option<String>,
    /// Why it gets another tier than expected, as root.
    pub tier_root: Option<String>,
    /// Why it gets another tier than expected, as an ordinary user.
    pub tier_user: Option<String>,
    /// Why the control fails as root.
    pub control_root: Option<String>,
    /// Why the control fails as an ordinary user.
    pub control_user: Option<String>,
}

impl NotYet {
    /// Why it fails for `who`; none where it must not.
    pub fn reason(&self, who: crate::arena::Who) -> Option<&str> {
        match who {
            crate::arena::Who::Root => self.root.as_deref(),
            crate::arena::Who::User => self.user.as_deref(),
        }
    }

    /// Why it gets another tier for `who`; none where it must not.
    pub fn tier_reason(&self, who: crate::arena::Who) -> Option<&str> {
        match who {
            crate::arena::Who::Root => self.tier_root.as_deref(),
            crate::arena::Who::User => self.tier_user.as_deref(),
        }
    }

    /// Why the control fails for `who`; none where it must not.
    pub fn control_reason(&self, who: crate::arena::Who) -> Option<&str> {
        match who {
            crate::arena::Who::Root => self.control_root.as_deref(),
            crate::arena::Who::User => self.control_user.as_deref(),
        }
    }
}

/// Something hostile that a command may try.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// How it would harm and what stops it.
    pub why: String,
    /// Bash, run at `/w` before everything else, as the arena's user; may call `backstop`.
    #[serde(default)]
    pub fixture: String,
    /// A C program, compiled to `/w/work/attack` before the run.
    pub c: Option<String>,
    /// A Python program, put at `/w/work/attack.py`.
    pub python: Option<String>,
    /// What is run under Backstop, by bash at `/w/work`. It prints `REACHED` where it got through.
    pub attack: String,
    /// Further options of `backstop run`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Bash, run outside and before the attack in the same process namespace: victims and accomplices.
    #[serde(default)]
    pub beside: String,
    /// Replaces `backstop run ... -c ATTACK`, which it finds in `$RUN`; for attacks that need more than one step.
    pub outer: Option<String>,
    /// Bash, run outside afterwards; must succeed.
    #[serde(default)]
    pub verify: String,
    /// Paths outside `/w/work` that may change as well.
    #[serde(default)]
    pub may_change: Vec<String>,
    /// Pattern that Backstop's words must contain.
    pub said: Option<String>,
    /// Exit codes that are fine; any where empty.
    #[serde(default)]
    pub exit: Vec<i32>,
    /// True where the attack itself writes control characters, so that only Backstop's later words are checked.
    #[serde(default)]
    pub noisy: bool,
    /// True where Backstop may refuse before anything runs.
    #[serde(default)]
    pub may_not_start: bool,
    /// For whom plain bash lets the attack through, which is checked.
    pub bites: Vec<Bites>,
    /// Why plain bash does not let it through, or why that must not be tried.
    pub bites_not: Option<String>,
    /// Where it is not stopped yet, and why.
    #[serde(default)]
    pub not_yet: NotYet,
}

/// For whom an attack works where nothing guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bites {
    /// The superuser.
    Root,
    /// An ordinary user.
    User,
}

/// All cases of a corpus folder, by file name without `.toml`, in order.
pub fn load<T: DeserializeOwned>(folder: &str) -> Result<Vec<(String, T)>, Broken> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(folder);
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(Broken::io(format!("list corpus/{folder}")))? {
        let path = entry.map_err(Broken::io(format!("list corpus/{folder}")))?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            cases.push((name(&path), read(&path)?));
        }
    }
    cases.sort_by(|a: &(String, T), b| a.0.cmp(&b.0));
    Ok(cases)
}

fn name(path: &Path) -> String {
    path.file_stem().and_then(|s| s.to_str()).unwrap_or("unnamed").to_owned()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Broken> {
    let text = std::fs::read_to_string(path).map_err(Broken::io(format!("read {}", path.display())))?;
    toml::from_str(&text).map_err(|e| Broken::Case { file: name(path), what: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_corpus_is_a_case_and_every_id_is_one_of_a_kind() {
        let incidents = load::<Incident>("incident").unwrap();
        let attacks = load::<Attack>("attack").unwrap();
        assert!(incidents.len() >= 38 && attacks.len() >= 69, "{} and {}", incidents.len(), attacks.len());
        let ids: std::collections::BTreeSet<_> = incidents.iter().map(|(_, c)| &c.id).collect();
        assert_eq!(ids.len(), incidents.len());
        for (name, case) in &incidents {
            assert!(!case.threads.is_empty(), "{name} names no public report");
            assert!(!case.protect.is_empty() || case.check.is_some(), "{name} protects nothing");
            assert_eq!(case.expect_tier.is_none(), case.expect == Expect::Process, "{name} does not say its tier");
            let least = case.expect_tier.map(|t| t.root.min(t.user));
            assert!(case.expect != Expect::Hold || least >= Some(Tier::Ask), "{name} has to be held, and is allowed");
        }
        for (name, case) in &attacks {
            assert!(case.bites.len() == 2 || case.bites_not.is_some(), "{name} does not say why plain bash stops it");
        }
    }

    #[test]
    fn a_field_that_nobody_reads_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.toml");
        std::fs::write(&path, "why = 'x'\nattack = 'true'\nbites = []\nbite = []\n").unwrap();
        assert!(read::<Attack>(&path).unwrap_err().to_string().contains("unknown field `bite`"));
    }
}
