//! Takes the effects and both sides of a rehearsal, shows the lenses of core every file that they can
//! read, gives what they saw. Picks by name first, so that it costs nothing where nothing matches;
//! reads within limits, and says what it left out.

mod databases;
mod files;
mod pick;
mod settle;

use std::collections::BTreeSet;
use std::time::Duration;

use backstop_core::effect::EffectSet;
use backstop_core::facts::{Access, AgentSettings, Sqlite, Terraform, Told};
use backstop_core::lens::{Budget, LensKind};
use backstop_core::policy::Ground;

use super::Sides;
use super::spent::Spent;
use files::Files;
use settle::Book;

/// How much a look may cost. What lies beyond is said to be incomplete.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one file of settings, rules or lines.
    pub file_bytes: u64,
    /// Files that a lens reads by their path.
    pub files: u64,
    /// Names listed beneath directories that go away, move or are linked to.
    pub names: u64,
    /// Pages of all databases together (kilobytes of write-ahead logs count as pages).
    pub pages: u64,
    /// Files of unusual names whose first bytes are looked at for a database. Beyond that a database is
    /// known to this lens by its name only; that it is one is told by its class (`Heads`), so that is no gap
    /// that is told, or every big deletion would have one.
    pub sniffs: u64,
    /// Bytes of one Terraform state.
    pub state_bytes: u64,
    /// Computing, everything together. Waiting (for a disk, for other processes) may take a few times as long.
    pub time: Duration,
    /// Bytes of all files together, databases apart.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 8 << 20,
            files: 4_000,
            names: 1_000_000,
            pages: 4_000_000,
            sniffs: 2_000,
            state_bytes: 64 << 20,
            time: Duration::from_secs(3),
            total_bytes: 256 << 20,
        }
    }
}

/// What the lenses saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Who may log in, and what runs by itself.
    pub access: Access,
    /// Settings of coding agents.
    pub agent: AgentSettings,
    /// The lenses that could not tell everything, for `Facts::incomplete`; `told` says why. `lens` is
    /// all of them: names that were not looked at.
    pub incomplete: BTreeSet<String>,
    /// SQLite databases.
    pub sqlite: Sqlite,
    /// Terraform state.
    pub terraform: Terraform,
    /// In words, the weightiest first.
    pub told: Vec<Told>,
}

/// Looks at everything a lens can read among the effects. Instructions to agents count where they lie
/// outside the workspace; in it and in scratch, files of a home only where a home reads them.
pub fn look(effects: &EffectSet, sides: &dyn Sides, ground: &Ground, limits: &Limits) -> Seen {
    let workspace = ground.workspace.as_ref();
    let spent = Spent::start();
    let late = || spent.late(limits.time);
    let picked = pick::pick(effects, sides, ground, limits, &late);
    let mut book = Book::new();
    for (dir, why) in &picked.left_out {
        book.left_out(dir, why);
    }
    let mut files = Files::new(sides, limits, &late);
    settle::by_path(&picked, &mut files, workspace, &mut book);
    databases::look(&picked, sides, &mut Budget::new(limits.pages, &late), &mut book);
    book.close()
}

/// The order of what is told: what can be lost for good first.
const fn order(kind: LensKind) -> u8 {
    match kind {
        LensKind::Sqlite => 0,
        LensKind::Terraform => 1,
        LensKind::Access => 2,
        LensKind::Agent => 3,
    }
}
