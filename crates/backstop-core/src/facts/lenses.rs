//! What the lenses say: each a small reader of one kind of file, before and after. A lens that fails
//! says so in `Facts::incomplete`, never by a zero.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to git repositories, summed over all that are touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// Settings of a repository that run a program or reach elsewhere, added or changed.
    pub config_changed: i64,
    /// Tracked files with changes that no object has, lost: deleted, emptied, or put back to
    /// something that git has.
    pub dirty_lost: i64,
    /// Files of working trees whose uncommitted content gives way to other content that git has not:
    /// edits. They are not among the lost.
    pub edited: i64,
    /// Hooks added, changed or removed.
    pub hooks_changed: i64,
    /// Ignored files lost that no rule of the classes calls regenerable.
    pub ignored_lost: i64,
    /// Objects (commits, trees, contents of files) pruned from repositories that stay.
    pub objects_lost: i64,
    /// Repositories whose object store or `.git` goes away as a whole.
    pub repositories_lost: i64,
    /// Branches and tags deleted; one that has another name afterwards is not.
    pub refs_deleted: i64,
    /// Branches and tags that no longer contain what they pointed at.
    pub refs_moved: i64,
    /// Entries of the stash dropped; not those whose files all stand in the working tree
    /// afterwards (a pop).
    pub stash_dropped: i64,
    /// Commits that no ref reaches any more (reflogs are not refs, the stash is counted apart).
    pub unreachable: i64,
    /// Untracked files lost that are not ignored.
    pub untracked_lost: i64,
}

/// What happens to SQLite databases, summed over all that are touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// Databases that lose something, or go away.
    pub databases: i64,
    /// Rows that are fewer afterwards, summed over the tables that shrink or go away.
    pub rows_lost: i64,
    /// Tables, indexes, views and triggers that are gone.
    pub schema_dropped: i64,
    /// Tables that are gone.
    pub tables_dropped: i64,
    /// Tables that had rows and have none.
    pub tables_emptied: i64,
}

/// What happens to Terraform (and OpenTofu) state files, summed over all that are touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terraform {
    /// States that now have another lineage: a state of something else was swapped in.
    pub lineage_changed: i64,
    /// Resources that are in the state before and not after.
    pub resources_removed: i64,
    /// States whose serial is lower afterwards: an older state was swapped in.
    pub serial_lowered: i64,
    /// Of the removed ones, those that hold data (databases, disks, buckets, snapshots, …).
    pub stateful_removed: i64,
}

/// Who may log in or act with more rights, and what runs by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Lines added to or changed in crontabs and `cron.d`.
    pub cron_added: i64,
    /// Lines removed from them.
    pub cron_removed: i64,
    /// Keys added to `authorized_keys`.
    pub keys_added: i64,
    /// Keys removed from it.
    pub keys_removed: i64,
    /// Lines added to or changed in shell start-up files and login profiles.
    pub startup_added: i64,
    /// Lines removed from them.
    pub startup_removed: i64,
    /// Rules added to or changed in `sudoers`.
    pub sudo_added: i64,
    /// Rules removed from it.
    pub sudo_removed: i64,
    /// systemd units, timers and drop-ins added or changed, enabled ones too.
    pub units_changed: i64,
    /// systemd units removed, disabled or masked.
    pub units_removed: i64,
}

/// Settings of coding agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// The agents whose settings change.
    pub agents: BTreeSet<String>,
    /// Hooks added, changed or removed.
    pub hooks_changed: i64,
    /// Instructions the agent reads at its start (`CLAUDE.md`, `AGENTS.md`, …), changed outside the
    /// workspace.
    pub instructions_changed: i64,
    /// MCP servers added or changed.
    pub mcp_changed: i64,
    /// Permissions, sandbox and approval settings added, changed or removed.
    pub permissions_changed: i64,
}
