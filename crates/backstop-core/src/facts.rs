//! What an effect means: the closed, versioned set of counts, flags and tags that policy sees. Policy
//! never sees a path; the places behind each fact are [`Evidence`], for people. The JSON Schema and
//! Cedar's schema are both made from these types, so they can't differ. Numbers are `i64`, because
//! Cedar's are; what does not fit saturates.

mod evidence;
mod gather;
mod key;
mod lenses;
mod meaning;
mod proven;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effect::{Count, Totals};

pub use evidence::{Evidence, Findings, Places, Told};
pub use gather::{Context, Disk, gather, loses};
pub use lenses::{Access, AgentSettings, Git, Sqlite, Terraform};
pub use meaning::{Kind as LostKind, Meaning};
pub use proven::{Level, Proven};

/// The version of the fact set. A fact that is added raises it; one that is renamed or means something
/// else raises it as well, and old policies are refused by validation, not reinterpreted.
pub const VERSION: i64 = 1;

/// As Cedar counts: what does not fit is the greatest number.
pub fn long(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Everything policy can know of a run. Fields stand in alphabetical order (canonical JSON).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Who may log in, and what runs by itself.
    pub access: Access,
    /// Settings of coding agents.
    pub agent: AgentSettings,
    /// What kinds of places and contents were touched, those beneath deleted directories too: names of
    /// classes, `outside` among them where a place is none of the agent's own.
    pub classes: BTreeSet<String>,
    /// True when somebody else changed the same places since the rehearsal began.
    pub conflict: bool,
    /// New objects (new bytes).
    pub created: Sum,
    /// Names that go away and all beneath them, replaced ones too (old bytes). A move is no deletion.
    pub deleted: Sum,
    /// What the program reached for outside the sandbox.
    pub doors: Doors,
    /// Files that are set-user-id, set-group-id or have capabilities afterwards and had not before.
    pub gives_rights: i64,
    /// What happens to git repositories.
    pub git: Git,
    /// The machine.
    pub host: Host,
    /// What could not be measured or read, by part: `ledger`, `git`, `sqlite`, …. Empty is complete.
    pub incomplete: BTreeSet<String>,
    /// What would exist nowhere else.
    pub irreplaceable: Irreplaceable,
    /// Further names for objects that stay.
    pub linked: Sum,
    /// Further names (hard links) elsewhere of files that are changed in place.
    pub linked_elsewhere: i64,
    /// The classes that lose content: of [`Facts::classes`], those where something is deleted,
    /// replaced or overwritten.
    pub losing: BTreeSet<String>,
    /// Same content, other mode, owner or attributes.
    pub metadata: Sum,
    /// Files that processes outside the run have open.
    pub open_elsewhere: OpenElsewhere,
    /// Content changed under the same name and identity (old bytes).
    pub overwritten: Sum,
    /// Who can approve.
    pub people: People,
    /// Who asks.
    pub principal: Principal,
    /// The newest restore-tested backup of what would be lost.
    pub proof: Proof,
    /// What reading the command's text gave. It explains and tightens; nothing is allowed for it.
    pub reading: Reading,
    /// Same object, other name.
    pub renamed: Sum,
    /// The agent's session.
    pub session: Session,
    /// What happens to SQLite databases.
    pub sqlite: Sqlite,
    /// How far what is hit lies from what the command names.
    pub surprise: Surprise,
    /// What happens to Terraform state.
    pub terraform: Terraform,
    /// When, by the machine's clock in UTC.
    pub time: Time,
    /// True when a copy of everything that was there can be kept.
    pub undoable: bool,
    /// The version of this set: [`VERSION`].
    pub version: i64,
    /// Changes to a whole place that the agent works in: the workspace directory itself goes away.
    pub workspace_lost: bool,
}

/// Files, directories and bytes of one kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Bytes in regular files.
    pub bytes: i64,
    /// Directories.
    pub dirs: i64,
    /// Regular files.
    pub files: i64,
    /// Links, pipes, sockets, devices.
    pub others: i64,
}

impl From<Count> for Sum {
    fn from(c: Count) -> Self {
        Self { bytes: long(c.bytes), dirs: long(c.dirs), files: long(c.files), others: long(c.others) }
    }
}

/// Attempts to reach something outside the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Doors {
    /// Reached: socket paths, `@abstract` names, `address:port`.
    pub open: BTreeSet<String>,
    /// Shut by the sandbox.
    pub shut: BTreeSet<String>,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The profile's name: `workstation`, `production`.
    pub role: String,
}

/// Content that would exist nowhere else: not moved, not in a git object that survives, not in a
/// proven backup. Files that a tool makes again count only where git says that they are somebody's work
/// (tracked, or untracked and not ignored), those in scratch directories only within a repository. What
/// the vault keeps does not count here; `undoable` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Irreplaceable {
    /// Bytes in them.
    pub bytes: i64,
    /// The classes they are of.
    pub classes: BTreeSet<String>,
    /// Files.
    pub files: i64,
}

/// Files that processes outside the run have open and the run would delete, replace or overwrite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenElsewhere {
    /// Files, counted once a process.
    pub files: i64,
    /// Names of the programs.
    pub programs: BTreeSet<String>,
    /// Processes that have one of them open for writing.
    pub writing: i64,
}

/// Who can approve on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// People enrolled as approvers.
    pub enrolled: i64,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// The agent's name where a hook told it, else empty.
    pub agent: String,
    /// The user.
    pub uid: i64,
}

/// The newest backup of what would be lost that was restored and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Its age in hours; [`Proof::NEVER`] where there is none, so that "younger than" is false.
    pub age_hours: i64,
    /// How it was tested: `none`, `checksum`, `restore`, `application`.
    pub level: String,
    /// In how many places it is.
    pub locations: i64,
}

impl Proof {
    /// The age of what does not exist: about a thousand years.
    pub const NEVER: i64 = 9_000_000;
}

impl Default for Proof {
    fn default() -> Self {
        Self { age_hours: Self::NEVER, level: "none".to_owned(), locations: 0 }
    }
}

/// What the shell reader found in the command's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Parts whose meaning can't be known before it runs.
    pub opaque: i64,
    /// Words that ask for more rights: `sudo`, `doas`, `setpriv`, ….
    pub privilege: BTreeSet<String>,
    /// The programs it names.
    pub programs: BTreeSet<String>,
}

/// The agent's session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Runs of this session that were denied.
    pub denials: i64,
    /// True when it named itself.
    pub named: bool,
    /// True when the same effect was denied before, in whatever spelling.
    pub repeats_denied: bool,
}

/// How far what is hit lies from what the command names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Surprise {
    /// Symbolic links between a named path and a place that is hit.
    pub links_crossed: i64,
    /// Mounts between a named path and a place that is hit.
    pub mounts_crossed: i64,
    /// Effects that lie beneath no path the command names, once links are followed, nor beneath its
    /// current directory.
    pub unnamed: i64,
}

/// When, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Hour of the day, 0 to 23.
    pub hour: i64,
    /// Day of the week, 1 (Monday) to 7.
    pub weekday: i64,
}

impl Facts {
    /// Facts with the sums filled in, complete and undoable, nothing else known.
    pub fn of(totals: &Totals) -> Self {
        Self {
            created: totals.created.into(),
            deleted: totals.deleted.into(),
            linked: totals.linked.into(),
            metadata: totals.metadata.into(),
            overwritten: totals.changed.into(),
            renamed: totals.renamed.into(),
            undoable: true,
            version: VERSION,
            ..Self::default()
        }
    }
}
