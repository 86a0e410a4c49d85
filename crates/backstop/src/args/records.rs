//! Arguments of the verbs about records: the log, reports of it, and who looks at it from elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;

use backstop_core::id::RunId;
use clap::{Args, Subcommand, ValueHint};

use super::values::{When, run_id, when};

/// Options of `log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Wait for new entries and print them
    #[arg(long)]
    pub follow: bool,
    /// Only this session
    #[arg(long, value_name = "ID")]
    pub session: Option<OsString>,
    /// Only this run; may be given several times
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub run: Vec<RunId>,
    /// Only entries of this kind: a name (`run.committed`) or what names begin with (`approval`); may be given several
    /// times. The daemon's heartbeats, and the programs that runs start (exec.ran), are left out unless they are asked for
    /// so, or with --json
    #[arg(long, value_name = "NAME")]
    pub event: Vec<String>,
    /// Only from this moment on: 2h (ago), 2026-11-29, 2026-11-29T14:05 (UTC)
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<When>,
    /// Only before this moment
    #[arg(long, value_name = "WHEN", value_parser = when, conflicts_with = "follow")]
    pub until: Option<When>,
    /// Print the entries as they stand in the log, one JSON document a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The runs: ids, prefixes, @last, @-2
    #[arg(value_name = "RUN", required_unless_present_any = ["session", "since"])]
    pub runs: Vec<String>,
    /// All runs of this session
    #[arg(long, value_name = "ID", conflicts_with = "runs")]
    pub session: Option<OsString>,
    /// All runs from this moment on: 2h (ago), 2026-11-29, 2026-11-29T14:05 (UTC)
    #[arg(long, value_name = "WHEN", value_parser = when, conflicts_with = "runs")]
    pub since: Option<When>,
    /// One page of HTML that needs nothing else, instead of Markdown
    #[arg(long)]
    pub html: bool,
}

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check every byte of the audit log: exit 1 when something is changed, missing or appended
    ///
    /// From the inside a log that was replaced as a whole can't be told: name what was kept elsewhere.
    Verify(Verify),
    /// Print the log's public key, by which witnesses know it
    Key,
    /// Print what stands in the log for the secret on standard input, to find where it was used
    Commitment,
    /// Print what a witness is asked to cosign (C2SP tlog-witness): exit 1 when the log is not what was written
    Propose {
        /// How many entries the witness has seen
        #[arg(long, value_name = "N", default_value_t)]
        since: u64,
    },
    /// Keep the note on standard input, which a witness cosigned, beside the log
    Keep {
        /// The witness's public key
        #[arg(long, value_name = "KEY")]
        witness: String,
    },
    /// Be a witness: remember how far logs of other machines are, and cosign only what goes on from there
    ///
    /// Needs nothing of Backstop's but this program, on any machine. With --from it visits a log; without, it reads a
    /// proposal from standard input and prints the cosigned note. Exit 1 when a log is not what it was; anything but 0 has
    /// to be looked into.
    Witness(WitnessArgs),
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The log's directory, or a copy of it [default: this machine's]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub log: Option<PathBuf>,
    /// A checkpoint of the log that was kept elsewhere
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub checkpoint: Option<PathBuf>,
    /// A witness who has to have cosigned it: the public key, or a file with one a line
    #[arg(long, value_name = "KEY")]
    pub witness: Vec<String>,
    /// Find programs that agents' accounts started and no run explains, in auditd's log: its file or directory, or `-`
    /// [without a value: /var/log/audit]
    #[arg(
        long,
        value_name = "LOG",
        value_hint = ValueHint::AnyPath,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/var/log/audit"
    )]
    pub auditd: Option<PathBuf>,
    /// An account that agents alone use, by its name or number [default: `agents` of the machine's settings]; may be given
    /// several times
    #[arg(long, value_name = "USER", requires = "auditd")]
    pub account: Vec<String>,
    /// An executable of this machine that such an account may start outside of runs, as what people start agents by; may be
    /// given several times. An interpreter excuses all that it runs
    #[arg(long, value_name = "FILE", requires = "auditd", value_hint = ValueHint::FilePath)]
    pub expected: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Options of `audit witness`.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// The directory with the witness's key and all that it has seen. Never use two copies of it: a copy of before has
    /// seen less
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub state: PathBuf,
    /// Make a new witness of this name, like laptop.example/anna
    #[arg(long)]
    pub name: Option<String>,
    /// Look at this log from now on: its public key as `audit key` prints it there, or a file with it
    #[arg(long, value_name = "KEY")]
    pub trust: Option<String>,
    /// Visit a log by this command in front of `audit …`, like 'ssh db-1 sudo backstop'
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["list", "show"])]
    pub from: Option<String>,
    /// Look at this log no more; what was seen of it is put aside
    #[arg(long, value_name = "LOG", conflicts_with_all = ["list", "show", "from", "trust"])]
    pub forget: Option<String>,
    /// Print the note of this log that was cosigned last, which `audit verify --checkpoint` takes
    #[arg(long, value_name = "LOG", conflicts_with = "list")]
    pub show: Option<String>,
    /// List the witness's key, and what it has seen of which logs
    #[arg(long)]
    pub list: bool,
}
