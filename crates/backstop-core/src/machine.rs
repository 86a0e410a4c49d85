//! What an administrator settles for all runs of a machine: which profile they go by, which others they
//! may name, how far the network may be open. Takes the text of a settings file and what was typed, gives
//! what a run goes by, or why not. Reads nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::jail::Rules;
use crate::policy::law::Profile;
use crate::request::Net;

/// The machine's settings; without a file, those of a person's own machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The profile of a run that names none.
    pub profile: Profile,
    /// The profiles that a run may name.
    pub may: Vec<Profile>,
    /// The widest network that a run may have; none stands for what its profile begins with.
    pub net: Option<Net>,
    /// What becomes of commands in the background; none stands for what the profile begins with.
    pub background: Option<Background>,
    /// Whose runs are.
    pub mode: Mode,
    /// The account of the notifier, which hears what people are asked, and may do nothing else.
    pub notifier: Option<String>,
    /// The account of the exporter, which reads the audit log, and may do nothing else.
    pub exporter: Option<String>,
    /// The accounts that agents alone use: all of theirs is stopped where everything is.
    pub agents: BTreeSet<String>,
    /// True where one person alone may let through what takes two, in an emergency.
    pub break_glass: bool,
    /// What becomes of what takes two people where only one is enrolled.
    pub alone: Alone,
    /// When whoever keeps trying is banned, and for how long.
    pub jail: Rules,
    /// Which accounts may have commands run as which others, by their names.
    pub r#as: BTreeMap<String, BTreeSet<String>>,
}

/// Who owns state, rules and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everybody his own.
    #[default]
    Personal,
    /// The daemon: nobody but root gets past it.
    System,
}

/// What becomes of what takes two people where only one is enrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alone {
    /// Nobody lets it through.
    #[default]
    Refuse,
    /// That one may, a day after it was asked.
    Wait,
}

/// What becomes of commands that an agent leaves to go on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Background {
    /// They run in place, confined to the agent's own places, without undo.
    InPlace,
    /// They are rehearsed like any other: judged when they end, and undone.
    Rehearsed,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            may: Profile::ALL.to_vec(),
            net: None,
            background: None,
            mode: Mode::Personal,
            notifier: None,
            exporter: None,
            agents: BTreeSet::new(),
            break_glass: false,
            alone: Alone::Refuse,
            jail: Rules::default(),
            r#as: BTreeMap::new(),
        }
    }
}

/// Why settings, or what was typed, are not gone by.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MachineError {
    /// The file is no such file.
    #[error("line {line}: {what}")]
    Syntax {
        /// Which line of it.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// A profile was named that runs of this machine may not go by.
    #[error("this machine does not allow the profile {}; it allows {}", named.name(), names(may))]
    Profile {
        /// The one that was named.
        named: Profile,
        /// Those that may be.
        may: Vec<Profile>,
    },
    /// A command was to run as somebody whom the caller may not name.
    #[error("this machine does not let {who} have commands run as {whom}")]
    As {
        /// Who asks.
        who: String,
        /// As whom.
        whom: String,
    },
    /// The network was to be wider than it may be.
    #[error("this machine does not allow --net host in the profile {}", profile.name())]
    Net {
        /// The profile of the run.
        profile: Profile,
    },
}

impl MachineError {
    /// What to do.
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "have root mend it; what it may hold: backstop help settings",
            Self::Profile { .. } => "leave --profile out, or have root add it to `may` in /etc/backstop/settings.toml",
            Self::As { .. } => {
                "have root write into /etc/backstop/settings.toml: [as], and below it: NAME = [\"OTHER\"]"
            }
            Self::Net { .. } => "leave --net out, or have root write net = \"host\" into /etc/backstop/settings.toml",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    profile: Option<Profile>,
    may: Option<Vec<Profile>>,
    net: Option<Net>,
    background: Option<Background>,
    #[serde(default)]
    mode: Mode,
    notifier: Option<String>,
    exporter: Option<String>,
    #[serde(default)]
    agents: BTreeSet<String>,
    #[serde(default)]
    break_glass: bool,
    #[serde(default)]
    alone: Alone,
    #[serde(default)]
    jail: Rules,
    #[serde(default)]
    r#as: BTreeMap<String, BTreeSet<String>>,
}

impl Machine {
    /// Reads a settings file.
    ///
    /// # Errors
    /// An unknown key or a value that it can't have; nothing of the file is taken then.
    pub fn parse(text: &str) -> Result<Self, MachineError> {
        let raw: Raw = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|s| text.get(..s.start)).unwrap_or_default();
            MachineError::Syntax { line: before.matches('\n').count() + 1, what: e.message().replace('\n', " ") }
        })?;
        if let Some(what) = raw.jail.trouble() {
            let says = |line: &str| line.trim_start().trim_start_matches('[').trim_start().starts_with("jail");
            let table = text.lines().position(says);
            return Err(MachineError::Syntax { line: table.unwrap_or(0) + 1, what: what.to_owned() });
        }
        // Who says only what may be named means that a run which names nothing goes by that as well.
        let default = Profile::default();
        let first = raw.may.iter().flatten().next().copied();
        let profile = match (raw.profile, &raw.may) {
            (Some(profile), _) => profile,
            (None, Some(may)) if !may.contains(&default) => first.unwrap_or(default),
            _ => default,
        };
        // Who names a profile means it: no other can be named then, unless the file says so.
        let mut may = match (raw.may, raw.profile) {
            (Some(may), _) => may,
            (None, Some(_)) => Vec::new(),
            (None, None) => Profile::ALL.to_vec(),
        };
        if !may.contains(&profile) {
            may.insert(0, profile);
        }
        Ok(Self {
            profile,
            may,
            net: raw.net,
            background: raw.background,
            mode: raw.mode,
            notifier: raw.notifier,
            exporter: raw.exporter,
            agents: raw.agents,
            break_glass: raw.break_glass,
            alone: raw.alone,
            jail: raw.jail,
            r#as: raw.r#as,
        })
    }

    /// What a run goes by, of what was typed for it.
    ///
    /// # Errors
    /// Where that is more than this machine allows.
    pub fn settle(&self, profile: Option<Profile>, net: Option<Net>) -> Result<(Profile, Net), MachineError> {
        let profile = profile.unwrap_or(self.profile);
        if !self.may.contains(&profile) {
            return Err(MachineError::Profile { named: profile, may: self.may.clone() });
        }
        match (net, self.widest(profile)) {
            (Some(Net::Host), Net::None) => Err(MachineError::Net { profile }),
            (Some(net), _) => Ok((profile, net)),
            (None, Net::None) => Ok((profile, Net::None)),
            (None, Net::Host) => Ok((profile, profile.net())),
        }
    }

    /// Whether `who` may have commands run as `whom`.
    ///
    /// # Errors
    /// Where nobody with the machine's rights has said so.
    pub fn may_as(&self, who: &str, whom: &str) -> Result<(), MachineError> {
        let said = self.r#as.get(who).is_some_and(|may| may.contains(whom));
        if said { Ok(()) } else { Err(MachineError::As { who: who.to_owned(), whom: whom.to_owned() }) }
    }

    /// What becomes of a command in the background by `profile`. A server keeps undo.
    pub fn background(&self, profile: Profile) -> Background {
        self.background.unwrap_or(match profile {
            Profile::Workstation => Background::InPlace,
            Profile::Production => Background::Rehearsed,
        })
    }

    /// The widest network that a run by `profile` may have.
    pub fn widest(&self, profile: Profile) -> Net {
        self.net.unwrap_or(profile.net())
    }
}

fn names(profiles: &[Profile]) -> String {
    profiles.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Profile::{Production, Workstation};

    /// The commented file that people copy.
    const SHIPPED: &str = include_str!("../../../docs/settings.toml");

    #[test]
    fn the_shipped_file_says_what_holds_without_it() {
        assert_eq!(Machine::parse(SHIPPED), Ok(Machine::default()));
        assert_eq!(Machine::parse(""), Ok(Machine::default()));
        let lines: Vec<&str> =
            SHIPPED.lines().filter_map(|l| l.strip_prefix("# ").filter(|l| l.contains(" = "))).collect();
        for line in &lines {
            assert!(Machine::parse(line).is_ok(), "{line}");
        }
        assert!(lines.len() >= 4, "each key has its line");
    }

    #[test]
    fn what_was_typed_is_taken_as_far_as_the_machine_allows() {
        let server = "profile = 'production'";
        let both = "profile = 'production'\nmay = ['workstation']";
        let open = "profile = 'production'\nnet = 'host'";
        for (file, profile, net, expected) in [
            ("", None, None, Some((Workstation, Net::Host))),
            ("", Some(Production), None, Some((Production, Net::None))),
            ("", Some(Production), Some(Net::Host), None),
            ("", None, Some(Net::None), Some((Workstation, Net::None))),
            ("net = 'none'", None, None, Some((Workstation, Net::None))),
            ("net = 'none'", None, Some(Net::Host), None),
            ("may = ['production']", None, None, Some((Production, Net::None))),
            ("may = ['production']", Some(Workstation), None, None),
            ("may = ['production', 'workstation']", None, None, Some((Workstation, Net::Host))),
            (server, None, None, Some((Production, Net::None))),
            (server, Some(Production), None, Some((Production, Net::None))),
            (server, Some(Workstation), None, None),
            (server, None, Some(Net::Host), None),
            (both, None, None, Some((Production, Net::None))),
            (both, Some(Workstation), Some(Net::Host), Some((Workstation, Net::Host))),
            (open, None, None, Some((Production, Net::None))),
            (open, None, Some(Net::Host), Some((Production, Net::Host))),
            ("profile = 'workstation'", Some(Production), None, None),
        ] {
            let machine = Machine::parse(file).expect(file);
            assert_eq!(machine.settle(profile, net).ok(), expected, "{file:?} {profile:?} {net:?}");
        }
    }

    #[test]
    fn a_server_runs_nothing_in_place_unless_its_settings_say_so() {
        use Background::{InPlace, Rehearsed};
        for (file, profile, expected) in [
            ("", Workstation, InPlace),
            ("", Production, Rehearsed),
            ("background = 'in-place'", Production, InPlace),
            ("background = 'rehearsed'", Workstation, Rehearsed),
        ] {
            let machine = Machine::parse(file).expect(file);
            assert_eq!(machine.background(profile), expected, "{file:?} {profile:?}");
        }
    }

    #[test]
    fn a_file_is_taken_whole_or_not_at_all() {
        for (text, line) in [
            ("profil = 'production'", 1),
            ("net = 'none'\nprofile = 'prod'", 2),
            ("\n\nmay = 'production'", 3),
            ("net = 'lan'", 1),
            ("background = 'yes'", 1),
            ("profile =", 1),
            ("[jail]\nmost = -1", 2),
            ("profile = 'production'\n[jail]\nmost = 0", 2),
            ("[jail]\nlongest-minutes = 59", 1),
            ("[jail]\nmost-minutes = 5", 2),
        ] {
            let error = Machine::parse(text).expect_err(text);
            assert!(matches!(&error, MachineError::Syntax { line: at, .. } if *at == line), "{text}: {error}");
            assert!(!error.to_string().contains('\n') && !error.next().is_empty());
        }
    }
}
