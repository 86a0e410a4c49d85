//! Room 1, behind the command line and behind the daemon's socket: turns what is wanted, for whom the kernel says
//! it is, into a [`Request`] and settings, once. Believes nothing else; what a caller says of himself only ever
//! makes it stricter.

mod machine;
mod passwd;
mod settings;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::identity::Identity;
use backstop_core::machine::Machine;
use backstop_core::policy::law::Profile;
use backstop_core::request::{Asker, Command, Net, Request};
use serde::{Deserialize, Serialize};

pub use machine::{FILE, is_set, keeps_undo, machine, settle, still};
pub use passwd::Account;
pub use settings::{login, settings, settings_for};
pub use workspace::Forbidden;

use crate::failure::{Failure, FailureKind};
use crate::law::Reader;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Caller {
    /// The effective user: the one whose rights the kernel goes by.
    pub fn of_this_process() -> Self {
        let (uid, gid) = backstop_sys::process::own_ids();
        Self { uid, gid }
    }
}

/// A run as it is wanted, before anything of it is looked up or checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// As whom, by name or number; none: as whoever asks.
    pub as_user: Option<Bytes>,
    /// The coding agent that asks, as it says.
    pub asker: Option<Asker>,
    /// The command.
    pub command: Command,
    /// Where: an absolute path.
    pub cwd: Bytes,
    /// To go on in the background, in place.
    pub in_place: bool,
    /// The network that was named.
    pub net: Option<Net>,
    /// Without taking turns.
    pub parallel: bool,
    /// The profile that was named.
    pub profile: Option<Profile>,
    /// Why.
    pub reason: Option<Bytes>,
    /// The session it belongs to.
    pub session: Option<Bytes>,
    /// The workspace that was named, as a path from `cwd`; none to find the one there.
    pub workspace: Option<Bytes>,
}

impl Wanted {
    /// This command, here.
    pub fn here(command: Command) -> Result<Self, Failure> {
        Ok(Self {
            as_user: None,
            asker: None,
            command,
            cwd: current_dir()?.into(),
            in_place: false,
            net: None,
            parallel: false,
            profile: None,
            reason: None,
            session: None,
            workspace: None,
        })
    }
}

/// Who calls, on what machine: what requests are made of besides what is wanted.
#[derive(Debug)]
pub struct Here<'a> {
    /// The accounts of the machine.
    pub accounts: &'a [Account],
    /// Who calls.
    pub caller: Caller,
    /// The kinds of places.
    pub classes: &'a Classes,
    /// The names of the environment's variables, sorted; values may be secrets.
    pub env_keys: Vec<Bytes>,
    /// `$HOME`: it can only add to what is nobody's workspace.
    pub home: Option<OsString>,
    /// The machine's settings.
    pub machine: &'a Machine,
    /// With whose rights places are looked at.
    pub reader: &'a Reader,
    /// As whom commands run, where that is another.
    pub runs_as: Option<&'a Identity>,
}

/// The request that `wanted` stands for.
///
/// # Errors
/// More than the machine's settings allow; a workspace that is none.
pub fn request(wanted: Wanted, here: Here<'_>) -> Result<Request, Failure> {
    let (profile, net) = settle(here.machine, wanted.profile, wanted.net)?;
    let forbidden = Forbidden::new(here.accounts, here.home, here.classes.clone());
    let (uid, gid) = match (&wanted.as_user, here.runs_as) {
        (None, None) => (here.caller.uid, here.caller.gid),
        (Some(_), Some(other)) => (other.uid, other.gid),
        (Some(name), None) => return Err(nobody_else(name)),
        (None, Some(_)) => return Err(Failure::internal("it would run as another than was asked for")),
    };
    let by = (uid != here.caller.uid).then_some(here.caller.uid);
    let look = || {
        let cwd = match here.reader {
            // The kernel's own word.
            Reader::Own => wanted.cwd.clone(),
            // Somebody's claim, which may be written so that it looks like another place.
            Reader::Of(_) => really(&wanted.cwd)?,
        };
        let workspace = match &wanted.workspace {
            Some(dir) => workspace::given(cwd.as_path(), dir.as_path(), &forbidden)?,
            None => workspace::found(cwd.as_path(), here.caller.uid, &forbidden),
        };
        // With another's rights nothing is the caller's own place.
        Ok::<_, Failure>((cwd, workspace.filter(|_| by.is_none())))
    };
    let (cwd, workspace) =
        here.reader.read(look).map_err(|e| Failure::because("cannot look at the directory", &e))??;
    Ok(Request {
        asker: wanted.asker,
        by,
        command: wanted.command,
        cwd,
        env_keys: here.env_keys,
        gid,
        // In place it would write with rights that nobody judges.
        in_place: wanted.in_place && by.is_none(),
        net,
        parallel: wanted.parallel,
        profile: profile.name().to_owned(),
        reason: wanted.reason,
        session: wanted.session,
        uid,
        workspace: workspace.map(Bytes::from),
    })
}

fn nobody_else(name: &Bytes) -> Failure {
    Failure::new(FailureKind::Refused, format!("refused: a command as {} without the daemon", name.quoted()))
        .next("have root set up system mode: backstop help system")
        .by("nobody runs a command with rights that are not his, but by a daemon that has them")
}

/// Somebody as whom a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The account.
    pub account: Account,
    /// With whose rights.
    pub who: Identity,
}

/// As whom `wanted` is to run, where that is another than the caller and the machine's settings let him.
///
/// # Errors
/// An account that is not there, or that the caller may not name.
pub fn whom(wanted: &Wanted, caller: Caller, accounts: &[Account]) -> Result<Option<Whom>, Failure> {
    let Some(name) = &wanted.as_user else { return Ok(None) };
    let number = std::str::from_utf8(name.as_slice()).ok().and_then(|t| t.parse::<u32>().ok());
    let is_it = |a: &&Account| a.name == *name || Some(a.uid) == number;
    let account = accounts.iter().find(is_it).ok_or_else(|| {
        Failure::usage(format!("there is no user account {}", name.quoted()))
            .next("name one of this machine: --as NAME, as in /etc/passwd")
    })?;
    if account.uid == caller.uid {
        return Ok(None);
    }
    machine::may_as(&machine()?, (caller.uid, account.uid), accounts)?;
    let groups =
        passwd::groups(&account.name).map_err(|e| Failure::because("cannot tell whose groups are which", &e))?;
    let groups = [account.gid].into_iter().chain(groups).collect();
    let who = Identity { uid: account.uid, gid: account.gid, groups };
    Ok(Some(Whom { account: account.clone(), who }))
}

fn really(cwd: &Bytes) -> Result<Bytes, Failure> {
    let failed = |e| {
        Failure::because(format!("the working directory {} is not to be had", cwd.quoted()), &e)
            .next("change to a directory that you can enter")
    };
    if !cwd.as_slice().starts_with(b"/") {
        return Err(Failure::usage(format!("the working directory {} is no whole path", cwd.quoted())));
    }
    cwd.as_path().canonicalize().map(Bytes::from).map_err(failed)
}

/// The workspace that a run from here would have without options.
pub fn workspace_here(caller: Caller, accounts: &[Account], classes: &Classes) -> Result<Option<PathBuf>, Failure> {
    let forbidden = Forbidden::new(accounts, std::env::var_os("HOME"), classes.clone());
    Ok(workspace::found(&current_dir()?, caller.uid, &forbidden))
}

/// The current directory of this process.
pub fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|e| {
        Failure::because("cannot tell the current directory", &e).next("change to a directory that exists")
    })
}

/// The accounts of this machine.
pub fn accounts() -> Vec<Account> {
    passwd::read()
}

/// The accounts in the text of a passwd file, of an image perhaps.
pub fn accounts_in(passwd: &[u8]) -> Vec<Account> {
    passwd::parse(passwd)
}

/// The names of this process' environment; values may be secrets.
pub fn env_keys() -> Vec<Bytes> {
    let mut keys: Vec<Bytes> = std::env::vars_os().map(|(key, _)| key.into()).collect();
    keys.sort();
    keys
}
