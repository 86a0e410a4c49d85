//! Arguments of the verbs by which people decide, and say who may.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::Json;

/// What `show --statement` is to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ChoiceArg {
    /// Let this very effect through, once
    #[default]
    ApproveOnce,
    /// The same alone, in an emergency
    BreakGlass,
    /// Never this effect
    Deny,
    /// That somebody broke the glass was right
    Justified,
    /// Take one's approval back
    Revoke,
    /// That somebody broke the glass was wrong
    Unjustified,
}

impl ChoiceArg {
    /// The statement's own name for it.
    pub const fn choice(self) -> backstop_core::approval::statement::Choice {
        use backstop_core::approval::statement::Choice;
        match self {
            Self::ApproveOnce => Choice::ApproveOnce,
            Self::BreakGlass => Choice::BreakGlass,
            Self::Deny => Choice::Deny,
            Self::Justified => Choice::Justified,
            Self::Revoke => Choice::Revoke,
            Self::Unjustified => Choice::Unjustified,
        }
    }
}

/// Options of `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    pub decide: Decide,
    /// Alone, in an emergency, with a security key, where the machine's settings let one: all others hear of it, and one
    /// of them has to review it before the glass is broken again. The reason is signed as well
    #[arg(long, requires = "reason", requires = "ticket")]
    pub break_glass: bool,
    /// Where the emergency is dealt with
    #[arg(long, value_name = "ID", requires = "break_glass")]
    pub ticket: Option<String>,
}

/// Options of `approve`, `deny` and `revoke`.
#[derive(Debug, Args)]
pub struct Decide {
    /// What: a run, or the code of a request as `pending` lists it
    #[arg(value_name = "RUN")]
    pub name: String,
    /// Sign with this SSH key: the private key's file, or the public one of a key that ssh-agent or a
    /// security key has. Shows what is asked, and asks at the terminal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "signature")]
    pub key: Option<PathBuf>,
    /// Take this signature instead, made elsewhere with `ssh-keygen -Y sign -n approval@backstop`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key")]
    pub signature: Option<PathBuf>,
    /// The statement that was signed [default: the signature's file without `.sig`]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "signature")]
    pub statement: Option<PathBuf>,
    /// Why, kept in the audit log; not part of what is signed
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<OsString>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "key")]
    pub json: bool,
}

/// Options of `review`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// What somebody let through alone: a run, or the code of a request; without it a screen of all that waits
    #[arg(value_name = "RUN", requires = "verdict")]
    pub name: Option<String>,
    /// That the glass was broken was right
    #[arg(long, group = "verdict", requires = "name", requires = "reason", requires = "word")]
    pub justified: bool,
    /// That the glass was broken was wrong
    #[arg(long, group = "verdict", requires = "name", requires = "reason", requires = "word")]
    pub unjustified: bool,
    /// Why; part of what is signed
    #[arg(long, value_name = "TEXT", requires = "verdict")]
    pub reason: Option<OsString>,
    /// Sign with this SSH key: the private key's file, or the public one of a key that ssh-agent or a security
    /// key has
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "word")]
    pub key: Option<PathBuf>,
    /// Take this signature instead, made elsewhere with `ssh-keygen -Y sign -n approval@backstop`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "word", requires = "verdict")]
    pub signature: Option<PathBuf>,
    /// The statement that was signed [default: the signature's file without `.sig`]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "signature")]
    pub statement: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, requires = "signature")]
    pub json: bool,
}

/// A new key, and the word of whoever has it.
#[derive(Debug, Args)]
pub struct Enrolment {
    /// The person's id: letters, digits and . _ - @
    pub id: String,
    /// The SSH key: the private key's file, which signs at once, or the public one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: PathBuf,
    /// The owner's signature over what `--statement` prints, made with
    /// `ssh-keygen -Y sign -n enrolment@backstop`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub proof: Option<PathBuf>,
    /// Print what the key's owner has to sign, and change nothing
    #[arg(long, conflicts_with_all = ["proof", "json"])]
    pub statement: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A list of people to enrol.
#[derive(Debug, Args)]
pub struct Import {
    /// The list
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Write what each key's owner has to sign into this directory, and change nothing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["group", "no_account", "json"])]
    pub statements: Option<PathBuf>,
    /// The directory with the signatures: for ID.txt the file ID.txt.sig
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present = "statements", conflicts_with = "statements")]
    pub proofs: Option<PathBuf>,
    /// A group that all of them are in; may be given several times
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// This person has no user account here; all others have the one of their id. May be given several times
    #[arg(long, value_name = "ID")]
    pub no_account: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Verbs of `people`.
#[derive(Debug, Subcommand)]
pub enum People {
    /// List who may approve, by which keys, in which groups
    List(Json),
    /// Enrol somebody: the first two at once, everybody after them by two people's approval
    Add {
        /// Whom, and by which key
        #[command(flatten)]
        who: Enrolment,
        /// A group; may be given several times
        #[arg(long, value_name = "GROUP")]
        group: Vec<String>,
        /// A user account on this machine that is the person's: what it asks for, the person can't approve
        #[arg(long, value_name = "UID|NAME", required_unless_present_any = ["no_account", "statement"])]
        account: Vec<String>,
        /// The person has no user account on this machine
        #[arg(long, conflicts_with = "account")]
        no_account: bool,
    },
    /// Enrol everybody in a list of OpenSSH's: authorized_keys (with the id as comment) or allowed_signers
    ///
    /// Each key's owner signs a statement first: --statements writes them, one a key; with the signatures beside them,
    /// --proofs enrols everybody at once, by one request. Who is enrolled already is left out. The first two people of a
    /// machine come by `people add`.
    Import(Import),
    /// Take somebody out
    Remove {
        /// The person's id
        id: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Give somebody another key
    AddKey(Enrolment),
    /// Take a key away
    RemoveKey {
        /// The person's id
        id: String,
        /// The key's fingerprint, SHA256:…
        fingerprint: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Put somebody into a group
    Grant {
        /// The person's id
        id: String,
        /// The group
        group: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take somebody out of a group
    Withdraw {
        /// The person's id
        id: String,
        /// The group
        group: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Say which further user accounts are somebody's; none can be taken away but with the person
    Accounts {
        /// The person's id
        id: String,
        /// The further ones
        #[arg(value_name = "UID|NAME", required = true)]
        accounts: Vec<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

impl People {
    /// True when a JSON document is wanted.
    pub const fn wants_json(&self) -> bool {
        match self {
            Self::List(a) => a.json,
            Self::Add { who, .. } | Self::AddKey(who) => who.json,
            Self::Import(typed) => typed.json,
            Self::Remove { json, .. }
            | Self::RemoveKey { json, .. }
            | Self::Grant { json, .. }
            | Self::Withdraw { json, .. }
            | Self::Accounts { json, .. } => *json,
        }
    }
}
