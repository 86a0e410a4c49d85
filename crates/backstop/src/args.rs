//! The command line, declared once: parser, help, man pages and completions all come from here.
//! Holds what was typed and believes none of it; `porch` turns it into meaning.

mod jail;
mod people;
mod records;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use backstop_core::hook::Agent;
use clap::{Args, Parser, Subcommand, ValueHint};

pub use jail::{ClearArgs, Jail, JailRules};
pub use people::{Approve, ChoiceArg, Decide, Enrolment, Import, People, ReviewArgs};
pub use records::{Audit, Log, ReportArgs, Verify, WitnessArgs};
pub use values::{NetArg, Profile, StateArg, Wait};
use values::{agent, duration, size, wait};

const AFTER: &str = "\
Start here:
  backstop drill incident          lose a database on scratch data, and get it back
  backstop run -- make clean       rehearse, judge, then commit or hold
  backstop undo --last 1           take the last one back

Topics: backstop help exit-codes | states | undo | policy | classes | settings | approvals
        backstop help system | notify | alerts | export | freeze | jail | witness";

/// Rehearses a command on a copy-on-write view of this machine, shows what it would really change,
/// commits the rehearsed bytes or holds them for a person, and can undo what it committed.
#[derive(Debug, Parser)]
#[command(
    name = "backstop",
    version,
    about = "Nothing a command does takes effect before its true effect is known, allowed, recorded and undoable",
    after_help = AFTER,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Backstop {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Rehearse a command, judge its effect, commit or hold it
    Run(Run),
    /// Show what a run would change, or changed
    Show(Show),
    /// Let a held run take effect (people only)
    Commit(OneRun),
    /// Give up a held run; nothing of it takes effect
    Discard(Discard),
    /// Take committed runs back, newest first
    Undo(Undo),
    /// Bring undone runs back, oldest first (people only)
    Redo(Several),
    /// Run a held run's command again on today's disk (people only)
    Retry(OneRun),
    /// List what waits for people's approval
    Pending(Json),
    /// Look through what waits, at a screen of its own, and decide (people only)
    Review(ReviewArgs),
    /// Approve, as one of the people it takes, by a signature with an SSH key (people only)
    Approve(Approve),
    /// Deny, by a signature: then nobody can let it through (people only)
    Deny(Decide),
    /// Take one's own approval back, before it takes effect (people only)
    Revoke(Decide),
    /// Stop everything of every agent at once: nothing begins and nothing takes effect (people only)
    Freeze(Freeze),
    /// Let what is frozen go on, by a word at a terminal, or by two people's signatures (people only)
    Thaw(Json),
    /// Look who is banned for trying again and again, and end bans
    #[command(subcommand)]
    Jail(Jail),
    /// Say who may approve (people only)
    #[command(subcommand)]
    People(People),
    /// Wait until a held run is decided, and end with its exit code
    Wait(WaitFor),
    /// List runs, newest first
    Runs(Runs),
    /// Print the audit log
    Log(Log),
    /// Write an incident report: what happened, what it did, who decided what, what came back, and the proofs
    Report(ReportArgs),
    /// Check the records
    #[command(subcommand)]
    Audit(Audit),
    /// Copy the audit log to where others look at it: status, test, backfill, check, run
    #[command(disable_help_flag = true)]
    Export {
        /// What the exporter is to do: see `backstop export --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERB")]
        args: Vec<OsString>,
    },
    /// Show what this machine can and can't do, proven by doing it
    Doctor(Json),
    /// Look at the rules, check them, try them
    #[command(subcommand)]
    Policy(Policy),
    /// Look after what undo needs
    #[command(subcommand)]
    Vault(Vault),
    /// Finish or take back what a crash left half done
    Recover(Json),
    /// Rehearse an accident on scratch data, and the way back
    #[command(subcommand)]
    Drill(Drill),
    /// Answer a coding agent's hook: its JSON on standard input, the answer in its own dialect
    Hook {
        /// The agent
        #[arg(value_parser = agent())]
        agent: Agent,
    },
    /// Offer the guarded shell over MCP (stdin and stdout) to clients without a hook
    Mcp(Mcp),
    /// Put Backstop's hook into the configuration of coding agents, and prove it (people only)
    Install(Install),
    /// Take Backstop's hook out of the configuration of coding agents (people only)
    Uninstall(Install),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages
    #[command(hide = true)]
    Man {
        /// The directory to write to
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Explain a command or a topic: exit-codes, states, undo, policy, classes, settings, approvals, system, notify, alerts, export, freeze, jail, witness
    Help {
        /// A command or a topic
        topic: Option<String>,
    },
}

impl Verb {
    /// True when a JSON document is wanted, of a failure too.
    pub const fn wants_json(&self) -> bool {
        match self {
            Self::Run(a) => a.json,
            Self::Show(a) => a.json,
            Self::Commit(a) | Self::Retry(a) => a.json,
            Self::Discard(a) => a.one.json,
            Self::Wait(a) => a.json,
            Self::Approve(a) => a.decide.json,
            Self::Deny(a) | Self::Revoke(a) => a.json,
            Self::Freeze(a) => a.json,
            Self::Pending(a) | Self::Thaw(a) => a.json,
            Self::Jail(a) => a.wants_json(),
            Self::People(a) => a.wants_json(),
            Self::Undo(a) => a.which.json,
            Self::Redo(a) => a.json,
            Self::Runs(a) => a.json,
            Self::Audit(Audit::Verify(a)) => a.json,
            Self::Audit(_) => false,
            Self::Doctor(a) | Self::Recover(a) => a.json,
            Self::Policy(Policy::Check { json, .. } | Policy::Test { json, .. }) => *json,
            Self::Policy(Policy::Simulate { json, .. } | Policy::Show { json, .. }) => *json,
            Self::Policy(Policy::Explain(a)) => a.json,
            Self::Vault(Vault::Status(a)) => a.json,
            Self::Vault(Vault::Prune { json, .. }) => *json,
            Self::Log(a) => a.json,
            Self::Install(a) | Self::Uninstall(a) => match &a.machine {
                Some(Machine::System(to) | Machine::Auditd(to)) => to.json,
                None => a.json,
            },
            Self::Review(a) => a.json,
            Self::Drill(_) | Self::Export { .. } | Self::Hook { .. } | Self::Mcp(_) | Self::Report(_) => false,
            Self::Completions { .. } | Self::Man { .. } | Self::Help { .. } => false,
        }
    }
}

/// Options of `run`.
#[derive(Debug, Args)]
#[command(override_usage = "backstop run [OPTIONS] [--] CMD [ARG]...\n       backstop run [OPTIONS] -c LINE")]
pub struct Run {
    /// Run LINE with `bash -c`
    #[arg(short = 'c', value_name = "LINE", conflicts_with = "command")]
    pub line: Option<OsString>,
    /// The agent's own place [default: the nearest repository root, else the current directory;
    /// never `/`, a home, or a parent of one: then every change is outside]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub workspace: Option<PathBuf>,
    /// Show the effect, never commit (exit 0 whatever the judgement)
    #[arg(long, conflicts_with_all = ["hold", "yes", "wait"])]
    pub dry_run: bool,
    /// Always hold, even when allowed
    #[arg(long, conflicts_with = "yes")]
    pub hold: bool,
    /// Rehearse even what is known to only read (`ls`, `git status`), which otherwise runs in place
    /// without any right to write
    #[arg(long)]
    pub rehearse: bool,
    /// Run a server or a watcher in place, able to write only in the workspace, scratch directories and
    /// caches; undo doesn't cover what it changes there. Where the machine's settings keep undo, it is
    /// rehearsed all the same
    #[arg(long, conflicts_with_all = ["dry_run", "hold", "rehearse", "yes", "wait", "write_limit"])]
    pub background: bool,
    /// Confirm as the person at this terminal (refused without one, and inside a run)
    #[arg(long)]
    pub yes: bool,
    /// When held, wait for a person to commit or discard it, at most DUR (90s, 10m, 2h, 1d)
    #[arg(
        long,
        value_name = "DUR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = wait
    )]
    pub wait: Option<Wait>,
    /// Why, shown to approvers and kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<OsString>,
    /// Groups runs: an agent's session id
    #[arg(long, value_name = "ID")]
    pub session: Option<OsString>,
    /// The coding agent that asks, as its hook says it
    #[arg(long, value_name = "NAME")]
    pub agent: Option<OsString>,
    /// Its tool call
    #[arg(long, value_name = "ID", requires = "agent")]
    pub call: Option<OsString>,
    /// Its sub-agent, where one asks
    #[arg(long, value_name = "ID", requires = "agent")]
    pub subagent: Option<OsString>,
    /// Say LINE's last directory to this pipe, so that the shell outside can go there as well
    #[arg(long, value_name = "FD", requires = "line", value_parser = clap::value_parser!(u16).range(3..))]
    pub cwd_to: Option<u16>,
    /// End, as by SIGTERM, when this process, which has to be the parent, goes away: what `mcp` adds
    #[arg(long, value_name = "PID", hide = true)]
    pub tied_to: Option<u32>,
    /// Read functions and aliases from this pipe before LINE: those of the shell outside
    #[arg(long, value_name = "FD", requires = "line", value_parser = clap::value_parser!(u16).range(3..))]
    pub shell_from: Option<u16>,
    /// What the command may reach, as far as the machine's settings allow [default: from the profile]
    #[arg(long, value_enum)]
    pub net: Option<NetArg>,
    /// Defaults to go by, as far as the machine's settings allow [default: from the settings, else
    /// workstation]
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
    /// Run it as another user, root included, where the machine's settings let this account: behind the daemon, with
    /// that user's environment, and never in a workspace
    #[arg(long = "as", value_name = "USER", conflicts_with = "background")]
    pub as_user: Option<OsString>,
    /// Don't take turns with other runs in the same workspace
    #[arg(long)]
    pub parallel: bool,
    /// Stop the command when it has written more than this, in bytes (K, M, G, T: powers of 1000)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub write_limit: Option<u64>,
    /// Print one JSON document after the run; the command's own output goes to stderr
    #[arg(long)]
    pub json: bool,
    /// The command and its arguments
    #[arg(
        value_name = "CMD",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required_unless_present = "line",
        value_hint = ValueHint::CommandWithArguments
    )]
    pub command: Vec<OsString>,
}

/// Options of `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The run: an id, a prefix of one, @last, @-2
    pub run: String,
    /// Show text differences
    #[arg(long, group = "form")]
    pub diff: bool,
    /// List every entry, those beneath deleted directories too
    #[arg(long, group = "form")]
    pub tree: bool,
    /// Print the very text that approvers are shown, where two people are asked
    #[arg(long, group = "form")]
    pub approval: bool,
    /// Print the statement that an approver signs with --key, on whatever machine:
    /// `ssh-keygen -Y sign -n approval@backstop -f KEY FILE`
    #[arg(long, group = "form", requires = "key")]
    pub statement: bool,
    /// The SSH key that is to sign the statement: its public file, or the private one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "statement")]
    pub key: Option<PathBuf>,
    /// What the statement is to say
    #[arg(long, value_enum, default_value_t, requires = "statement")]
    pub decision: ChoiceArg,
    /// The ticket of the emergency, for break-glass
    #[arg(long, value_name = "ID", requires = "statement")]
    pub ticket: Option<String>,
    /// Why, for break-glass, justified and unjustified
    #[arg(long, value_name = "TEXT", requires = "statement")]
    pub reason: Option<String>,
    /// Print one JSON document
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print what `mcp` asks one person about it, or fail where it is not for one person to answer there
    #[arg(long, group = "form", hide = true)]
    pub question: bool,
}

/// Options of `freeze`.
#[derive(Debug, Args)]
pub struct Freeze {
    /// Why, kept in the audit log and said to whoever is refused
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<OsString>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// One run.
#[derive(Debug, Args)]
pub struct OneRun {
    /// The run: an id, a prefix of one, @last, @-2
    pub run: String,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Options of `discard`.
#[derive(Debug, Args)]
pub struct Discard {
    /// Which run
    #[command(flatten)]
    pub one: OneRun,
    /// Refuse runs of other sessions than this: what an agent's hook adds
    #[arg(long, value_name = "ID", hide = true)]
    pub only_of: Option<OsString>,
}

/// Options of `wait`.
#[derive(Debug, Args)]
pub struct WaitFor {
    /// The run: an id, a prefix of one, @last, @-2
    pub run: String,
    /// At most this long (90s, 10m, 2h, 1d); then it ends with 75, as the run is still held
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub at_most: Option<Duration>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Which runs, for `undo` and `redo`.
#[derive(Debug, Args)]
pub struct Several {
    /// The runs: ids, prefixes, @last, @-2
    #[arg(value_name = "RUN", required_unless_present_any = ["last", "session"])]
    pub runs: Vec<String>,
    /// The last N
    #[arg(long, value_name = "N", conflicts_with = "runs", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: Option<u32>,
    /// All of a session
    #[arg(long, value_name = "ID", conflicts_with_all = ["runs", "last"])]
    pub session: Option<OsString>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Options of `undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// Which runs
    #[command(flatten)]
    pub which: Several,
    /// Put the old one beside what changed since, as `name.before-RUN`, instead of stopping
    #[arg(long)]
    pub beside: bool,
    /// Refuse runs of other sessions than this: what an agent's hook adds
    #[arg(long, value_name = "ID", hide = true)]
    pub only_of: Option<OsString>,
}

/// Options of `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only this state
    #[arg(long, value_enum)]
    pub state: Option<StateArg>,
    /// Only this session
    #[arg(long, value_name = "ID")]
    pub session: Option<OsString>,
    /// Only the newest of this tool call: how `mcp` finds what became of its own
    #[arg(long, value_name = "ID", hide = true)]
    pub call: Option<OsString>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Verbs of `policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Check policy files, or without any those in force: exit 1 when one is refused (people only)
    Check {
        /// Policy files; each is checked on top of the profile's rules, as if root had installed it
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// The profile [default: the machine's]
        #[arg(long, value_enum)]
        profile: Option<Profile>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Explain a run: every rule that spoke, and the facts that it saw
    Explain(OneRun),
    /// Judge case files: exit 1 when one gets another tier than it expects (people only)
    Test {
        /// Case files, or directories of them
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::AnyPath)]
        files: Vec<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Judge the recorded runs by other rules, and print what would differ (people only)
    Simulate {
        /// A policy file to add, or a directory in the place of the machine's [default: the rules in force]
        #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
        policy: Option<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the rules in force here, layer by layer
    Show {
        /// The profile [default: the machine's]
        #[arg(long, value_enum)]
        profile: Option<Profile>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Verbs of `vault`.
#[derive(Debug, Subcommand)]
pub enum Vault {
    /// Show what is kept, and how far back undo reaches
    Status(Json),
    /// Let go of what is beyond the limits (people only)
    Prune {
        /// Also let go of everything older than this (90s, 10m, 2h, 14d)
        #[arg(long, value_name = "DUR", value_parser = duration)]
        older_than: Option<Duration>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Drills.
#[derive(Debug, Subcommand)]
pub enum Drill {
    /// "Clean up the temp folder", where the folder is a link to a live database
    Incident(Incident),
}

/// Options of `drill incident`.
#[derive(Debug, Args)]
pub struct Incident {
    /// Commit the loss without asking, to see it undone
    #[arg(long)]
    pub commit: bool,
    /// Where to make the scratch directory [default: the temporary directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// How many files the database directory gets
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub files: u32,
}

/// Options of `mcp`.
#[derive(Debug, Args)]
pub struct Mcp {
    /// Never ask through the client: what is held waits for `backstop commit` (in the profile production
    /// it always does)
    #[arg(long)]
    pub no_elicitation: bool,
}

/// Options of `install` and `uninstall`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Install {
    /// The machine itself
    #[command(subcommand)]
    pub machine: Option<Machine>,
    /// The agents
    #[arg(value_name = "AGENT", value_parser = agent(), required_unless_present_any = ["all", "detect"])]
    pub agents: Vec<Agent>,
    /// All agents that Backstop knows
    #[arg(long, conflicts_with_all = ["agents", "detect"])]
    pub all: bool,
    /// The agents that are on this machine: their directory in the home, or their program
    #[arg(long, conflicts_with = "agents")]
    pub detect: bool,
    /// For everybody on this machine, where agents take it from root: no user can switch it off
    #[arg(long)]
    pub system: bool,
    /// Take DIR for `/`, to prepare an image
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "system")]
    pub root: Option<PathBuf>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The machine as a whole.
#[derive(Debug, Subcommand)]
pub enum Machine {
    /// System mode: a daemon that root owns does the runs of all other accounts
    System(SetUp),
    /// Rules for auditd: the kernel writes down every program that agents' accounts start, and `audit verify --auditd`
    /// finds those that no run explains
    Auditd(SetUp),
}

/// Options of setting the machine up.
#[derive(Debug, Args)]
pub struct SetUp {
    /// Take DIR for `/`, to prepare an image
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Output as one JSON document.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Backstop::command().debug_assert();
    }

    #[test]
    fn everything_after_the_command_is_the_commands() {
        for argv in [
            &["backstop", "run", "--hold", "--", "rm", "-rf", "--", "--json"][..],
            &["backstop", "run", "--hold", "rm", "-rf", "--", "--json"],
        ] {
            let Verb::Run(run) = Backstop::try_parse_from(argv).expect("a good line").verb else { panic!("not run") };
            assert!(run.hold && !run.json);
            assert_eq!(run.command, ["rm", "-rf", "--", "--json"]);
        }
    }
}
