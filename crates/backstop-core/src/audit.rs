//! What the audit log records: one entry for each door that something passed. Gives the values and
//! their one spelling as a line (`docs/format/audit.md`); never writes a file.
//!
//! Fields stand in alphabetical order, so that the JSON is canonical; a test holds that for every type.

mod entry;
mod kinds;
mod severity;
mod story;
mod watch;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval;
use crate::approval::ballot::Vote;
use crate::approval::people::Change;
use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::effect::Totals;
use crate::export::Span;
use crate::freeze::Freeze;
use crate::id::RunId;
use crate::jail::{Ban, Offence};
use crate::policy::Judgement;
use crate::policy::law::{Layer, Refusal};
use crate::program::{Program, Unlisted};
use crate::request::{Asker, Command, Net, Request};
use crate::run::{Exit, LeftBehind};
use crate::time::Timestamp;

pub use entry::Entry;
pub use severity::Severity;
pub use story::{Complaint, Question, Story};
pub use watch::{Clocks, Watch};

/// Who let something through, or took it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum By {
    /// A quorum of people, each by a signature; the entry `approval.claimed` before it carries them.
    Approved {
        /// The digest of the request that they approved.
        request: Digest,
    },
    /// A person, by word at a terminal or by a verb of people.
    Person {
        /// The user that spoke, as the kernel says.
        uid: u32,
    },
    /// Nobody was asked: policy's own answer.
    Rule,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Body {
    /// Two people are asked for.
    #[serde(rename = "approval.asked")]
    ApprovalAsked {
        /// What they are asked, as it was frozen.
        question: approval::ballot::Question,
    },
    /// A quorum was there, and what it agreed to begins; durable before the first byte moves.
    #[serde(rename = "approval.claimed")]
    ApprovalClaimed {
        /// The digest of the request.
        request: Digest,
        /// The run, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The signed decisions that it stands on.
        votes: Vec<Vote>,
    },
    /// A request has ended without taking effect.
    #[serde(rename = "approval.ended")]
    ApprovalEnded {
        /// How: `denied`, `expired`, `revoked`, `drifted`, `superseded`, `cancelled`, `failed`.
        how: String,
        /// The digest of the request.
        request: Digest,
        /// The run, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
    },
    /// Somebody decided.
    #[serde(rename = "approval.voted")]
    ApprovalVoted {
        /// Why, in the words of who decided; not part of what is signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Bytes>,
        /// The digest of the request.
        request: Digest,
        /// The run, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The signed decision.
        vote: Vote,
    },
    /// The guard lives; once a minute, also where nothing happens.
    #[serde(rename = "audit.heartbeat")]
    AuditHeartbeat {
        /// What the machine's own clocks say.
        clocks: Clocks,
    },
    /// Opening the log after a crash put something right.
    #[serde(rename = "audit.recovered")]
    AuditRecovered {
        /// How many entries were whole but not yet signed; they stand directly before this one.
        adopted: u64,
        /// The SHA-256 of what was cut off the end, kept in the log's `cut` directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut: Option<Digest>,
        /// How many bytes that was.
        cut_bytes: u64,
    },
    /// The first entry: whose log this is.
    #[serde(rename = "audit.started")]
    AuditStarted {
        /// The public key that signs its checkpoints, in the format of signed notes.
        key: String,
    },
    /// A program that ran inside a run, or was asked for where nobody could look; written when the run is over.
    #[serde(rename = "exec.ran")]
    ExecRan {
        /// Which.
        program: Program,
        /// The run.
        run: RunId,
    },
    /// Programs that ran inside a run, and have no entry of their own.
    #[serde(rename = "exec.unlisted")]
    ExecUnlisted {
        /// The run.
        run: RunId,
        /// How many, and why.
        unlisted: Unlisted,
    },
    /// Entries arrive by an exporter's sink again.
    #[serde(rename = "export.resumed")]
    ExportResumed {
        /// The index of the first that did.
        entry: u64,
        /// Which sink.
        sink: String,
    },
    /// A sink refuses entries for good, and they are not tried any more.
    #[serde(rename = "export.skipped")]
    ExportSkipped {
        /// Which, by their indices.
        entries: Span,
        /// Which sink.
        sink: String,
        /// Why.
        why: String,
    },
    /// Entries wait, and have not arrived for long.
    #[serde(rename = "export.stalled")]
    ExportStalled {
        /// The index of the first that waits.
        entry: u64,
        /// Which sink.
        sink: String,
        /// Why.
        why: String,
    },
    /// The daemon watches from here on.
    #[serde(rename = "guard.started")]
    GuardStarted {
        /// What the machine's own clocks say.
        clocks: Clocks,
        /// Backstop's version.
        version: String,
    },
    /// The daemon was told to end, and watches no longer.
    #[serde(rename = "guard.stopped")]
    GuardStopped {
        /// What the machine's own clocks say.
        clocks: Clocks,
    },
    /// Everything of every agent stands: nothing begins and nothing takes effect from here on.
    #[serde(rename = "host.frozen")]
    HostFrozen {
        /// Runs that could not be stopped in time, and were ended.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ended: Vec<RunId>,
        /// Who wanted it, and who has to agree that it ends.
        freeze: Freeze,
        /// The machine's name in statements.
        host: String,
        /// Runs whose command stands.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stopped: Vec<RunId>,
    },
    /// It goes on.
    #[serde(rename = "host.thawed")]
    HostThawed {
        /// The digest of what ends.
        freeze: Digest,
        /// The machine's name in statements.
        host: String,
        /// The request that a quorum approved; none where one person's word is enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Digest>,
        /// The user who typed it, or brought the last signature.
        uid: u32,
    },
    /// An agent is banned, or its ban was raised: this takes the place of what stood for the same.
    #[serde(rename = "jail.banned")]
    JailBanned {
        /// Who, for what, how far and how long, and who has to agree that it ends.
        ban: Ban,
        /// The machine's name in statements.
        host: String,
    },
    /// People ended a ban.
    #[serde(rename = "jail.cleared")]
    JailCleared {
        /// The digest of what ends.
        ban: Digest,
        /// The machine's name in statements.
        host: String,
        /// The request that a quorum approved; none where one person's word is enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Digest>,
        /// The user who typed it, or brought the last signature.
        uid: u32,
    },
    /// Something counts against whoever tried it.
    #[serde(rename = "jail.counted")]
    JailCounted {
        /// What, and by what whoever tried it is known.
        offence: Offence,
    },
    /// A command inside a run called Backstop; the outer run covers it.
    #[serde(rename = "run.nested")]
    Nested {
        /// What it asked to run.
        command: Command,
        /// Where.
        cwd: Bytes,
        /// Why, in its own words; unchecked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Bytes>,
        /// The outer run.
        run: RunId,
        /// The session it named; unchecked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Bytes>,
    },
    /// People were told what an entry says, by one of the ways to do so.
    #[serde(rename = "notice.delivered")]
    NoticeDelivered {
        /// How often it was tried.
        attempts: u32,
        /// The way.
        channel: String,
        /// The index of the entry.
        entry: u64,
        /// How many more entries, which were the same, that stands for.
        #[serde(default, skip_serializing_if = "crate::canon::is_zero")]
        with: u64,
    },
    /// They could not be told by this way, and it is not tried any more.
    #[serde(rename = "notice.failed")]
    NoticeFailed {
        /// How often it was tried.
        attempts: u32,
        /// The way.
        channel: String,
        /// The index of the entry.
        entry: u64,
        /// Why.
        why: String,
        /// How many more entries, which were the same, that stands for.
        #[serde(default, skip_serializing_if = "crate::canon::is_zero")]
        with: u64,
    },
    /// Who may approve was changed.
    #[serde(rename = "people.changed")]
    PeopleChanged {
        /// The change, with what the new keys' owners signed.
        change: Change,
        /// The digest of the trust store afterwards.
        digest: Digest,
        /// The machine's name in statements.
        host: String,
        /// The moment from which what is given settles.
        made_at: Timestamp,
        /// The request that a quorum approved; none for the first two people, who have nobody to ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Digest>,
        /// The trust store's revision afterwards.
        revision: u64,
        /// The user who typed it, or brought the last signature.
        uid: u32,
    },
    /// Other rules are in force than at the last entry of this kind.
    #[serde(rename = "policy.loaded")]
    PolicyLoaded {
        /// Names the set: the digest over its files.
        digest: Digest,
        /// How many rules.
        rules: u64,
        /// The files, in order.
        sources: Vec<PolicyFile>,
    },
    /// Rules could not be loaded: everything is denied, or an earlier set that is not looser holds.
    #[serde(rename = "policy.refused")]
    PolicyRefused {
        /// Names the set that was refused.
        digest: Digest,
        /// True where the last good set holds, with what of today's tightens it.
        fallback: bool,
        /// True where something is wrong with the files of this machine, which root alone writes.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        machine: bool,
        /// What is wrong with it.
        refusals: Vec<Refusal>,
    },
    /// A run that a crash cut off was finished or taken back.
    #[serde(rename = "run.recovered")]
    Recovered {
        /// How it stands now.
        now: Settled,
        /// The run.
        run: RunId,
        /// What was done, as a sentence fragment.
        what: String,
    },
    /// The effects are on the disk.
    #[serde(rename = "run.committed")]
    RunCommitted {
        /// The run.
        run: RunId,
    },
    /// The intent to let the effects through; durable before the first byte moves.
    #[serde(rename = "run.committing")]
    RunCommitting {
        /// Who let it through.
        by: By,
        /// The effects' digest.
        digest: Digest,
        /// The plan's digest.
        plan: Digest,
        /// The run.
        run: RunId,
    },
    /// The disk changed meanwhile: nothing was done, the run stays where it was.
    #[serde(rename = "run.conflict")]
    RunConflict {
        /// How many places differ.
        count: u64,
        /// Some of them.
        paths: Vec<Bytes>,
        /// The run.
        run: RunId,
    },
    /// Policy refused; nothing took effect.
    #[serde(rename = "run.denied")]
    RunDenied {
        /// The run.
        run: RunId,
    },
    /// Given up; nothing took effect.
    #[serde(rename = "run.discarded")]
    RunDiscarded {
        /// Who gave it up.
        by: By,
        /// The run.
        run: RunId,
    },
    /// Only to be shown; nothing took effect.
    #[serde(rename = "run.dry-run")]
    RunDryRun {
        /// The run.
        run: RunId,
    },
    /// Backstop failed; what was under way was not done.
    #[serde(rename = "run.failed")]
    RunFailed {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// It waits for a person; nothing took effect.
    #[serde(rename = "run.held")]
    RunHeld {
        /// The run.
        run: RunId,
    },
    /// What policy said about the effects.
    #[serde(rename = "run.judged")]
    RunJudged {
        /// Decision and reasons.
        judgement: Judgement,
        /// The run.
        run: RunId,
    },
    /// It ran in place and has ended, or was ended: what it changed in the agent's own places is not known.
    #[serde(rename = "run.in-place")]
    RunInPlace {
        /// Ways out that were open.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        doors: Vec<Bytes>,
        /// How the command ended, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        /// Processes that outlived it and were stopped.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_behind: Vec<LeftBehind>,
        /// The run.
        run: RunId,
        /// Why it was ended, where it did not end by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Its effects were brought back.
    #[serde(rename = "run.redone")]
    RunRedone {
        /// The run.
        run: RunId,
    },
    /// The intent to bring its effects back.
    #[serde(rename = "run.redoing")]
    RunRedoing {
        /// Who wants it.
        by: By,
        /// The run.
        run: RunId,
    },
    /// The command ended; this is what it would change.
    #[serde(rename = "run.rehearsed")]
    RunRehearsed {
        /// The effects' digest.
        digest: Digest,
        /// Declared ways out of the sandbox that were open.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        doors: Vec<Bytes>,
        /// How many effects; a run with none ends here.
        effects: u64,
        /// How the command ended.
        exit: Exit,
        /// Processes that outlived it and were stopped.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_behind: Vec<LeftBehind>,
        /// The run.
        run: RunId,
        /// Sums.
        totals: Totals,
    },
    /// The intent to run a command; durable before it starts.
    #[serde(rename = "run.requested")]
    RunRequested {
        /// The coding agent, where one asks; unchecked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asker: Option<Asker>,
        /// The user who asked, where it runs with another's rights.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<u32>,
        /// What.
        command: Command,
        /// Where.
        cwd: Bytes,
        /// The group that it runs with.
        gid: u32,
        /// True where it runs in place, confined to the agent's own places.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_place: bool,
        /// What it may reach.
        net: Net,
        /// Why, in the words of who asked; unchecked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Bytes>,
        /// The run.
        run: RunId,
        /// The agent's session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Bytes>,
        /// The user that it runs as.
        uid: u32,
        /// The agent's own place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<Bytes>,
    },
    /// A client's own tool did what it was allowed to: this is what was found on the disk.
    #[serde(rename = "run.observed")]
    RunObserved {
        /// False where the content is not what the tool had said.
        as_rehearsed: bool,
        /// The digest of the effects.
        digest: Digest,
        /// The run.
        run: RunId,
        /// Sums of the effects.
        totals: Totals,
    },
    /// Its effects were taken back.
    #[serde(rename = "run.undone")]
    RunUndone {
        /// The run.
        run: RunId,
    },
    /// The intent to take its effects back.
    #[serde(rename = "run.undoing")]
    RunUndoing {
        /// Who wants it.
        by: By,
        /// The run.
        run: RunId,
    },
    /// Preimages were let go: these runs can no longer be undone.
    #[serde(rename = "vault.pruned")]
    VaultPruned {
        /// Bytes freed.
        bytes: u64,
        /// The runs.
        runs: Vec<RunId>,
    },
}

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// The digest of its text.
    pub digest: Digest,
    /// Where it stands.
    pub layer: Layer,
    /// The file, as it is shown.
    pub name: String,
}

/// How a run stands after recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// Its effects are on the disk.
    Committed,
    /// It waits for a person, as before.
    Held,
    /// Nothing of it is on the disk, and it is given up.
    Discarded,
    /// Its effects were taken back.
    Undone,
}

impl Body {
    /// The entry of a request.
    pub fn requested(run: RunId, request: &Request) -> Self {
        // Destructured, so that a new field of the request has to be thought about here. The
        // environment's names are left out (a hundred per entry); turns don't matter to the record.
        let Request {
            asker,
            by,
            command,
            cwd,
            env_keys: _,
            gid,
            in_place,
            net,
            parallel: _,
            profile: _,
            reason,
            session,
            uid,
            workspace,
        } = request;
        Self::RunRequested {
            asker: asker.clone(),
            by: *by,
            command: command.clone(),
            cwd: cwd.clone(),
            gid: *gid,
            in_place: *in_place,
            net: *net,
            reason: reason.clone(),
            run,
            session: session.clone(),
            uid: *uid,
            workspace: workspace.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
