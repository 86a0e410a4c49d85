//! The classes of an effect: what it does to which kind of place. `rm`, `find -delete`, `truncate` and a program that
//! overwrites all lose the same.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classes::Classes;
use crate::facts::Facts;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Something is made, moved, or gets other rights.
    Changes,
    /// Content goes: it is deleted, replaced or overwritten.
    Loses,
}

/// A class of effects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What is done.
    pub does: Does,
    /// True for an agent's own places: that counts, and is never closed, or no work would be left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// To what kind of place, as facts name them: `database`, `system`, `outside`.
    pub to: String,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = match self.does {
            Does::Changes => "changing",
            Does::Loses => "losing",
        };
        match self.to.as_str() {
            "outside" => write!(f, "{does} what lies outside its workspace"),
            "workspace" => write!(f, "{does} what lies in its workspace"),
            to => write!(f, "{does} {to}"),
        }
    }
}

/// Kinds that no file of classes describes, and that are more than a place: what they touch matters as much.
const MARKED: [&str; 5] = ["device", "mount", "other-repository", "rules", "symlink-target"];

impl Class {
    /// The classes of what these facts tell: those of protected kinds of places; without any, what lies outside of the
    /// agent's own; else its own. What is done beside it in an agent's own places makes no other of it.
    pub fn of(facts: &Facts, classes: &Classes) -> BTreeSet<Self> {
        let marked = |to: &str| MARKED.contains(&to.split(':').next().unwrap_or(to));
        let protected = |to: &&String| classes.protected(to) || marked(to);
        let outside = |to: &&String| *to == "outside";
        let filters: [&dyn Fn(&&String) -> bool; 3] = [&protected, &outside, &|_| true];
        let first = filters.iter().position(|f| facts.classes.iter().any(|to| f(&to)));
        let (some, own) = (first.map(|at| filters[at]), first == Some(2));
        let does = |to: &String| if facts.losing.contains(to) { Does::Loses } else { Does::Changes };
        let all = facts.classes.iter().filter(|to| some.is_some_and(|f| f(to)));
        all.map(|to| Self { does: does(to), own, to: to.clone() }).collect()
    }
}
