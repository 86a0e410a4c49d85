//! The machine's settings: reads `/etc/backstop/settings.toml`, which root alone may be able to write, and
//! holds what was typed to it. A file that can't be used stops every run; it is never taken for none.

use std::io::ErrorKind;
use std::path::Path;

use super::passwd::Account;
use crate::failure::{Failure, FailureKind};
use crate::law::{only_roots, read};
use backstop_core::bytes::Bytes;
use backstop_core::machine::{Background, Machine, MachineError};
use backstop_core::policy::law::Profile;
use backstop_core::request::{Net, Request};

/// The administrator's file.
pub const FILE: &str = "/etc/backstop/settings.toml";

/// The rule behind what is refused for the settings.
const RULE: &str = "the machine's settings bind every run, and they are root's alone";

/// The settings that are in force; those of a person's own machine where there is no file.
///
/// # Errors
/// A file that can't be read, trusted or understood.
pub fn machine() -> Result<Machine, Failure> {
    from(Path::new(FILE), &only_roots)
}

/// True where there is such a file.
pub fn is_set() -> bool {
    Path::new(FILE).symlink_metadata().is_ok()
}

fn from(file: &Path, trusted: &dyn Fn(&Path) -> bool) -> Result<Machine, Failure> {
    let shown = Bytes::from(file).quoted().to_string();
    match file.symlink_metadata() {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Machine::default()),
        Ok(_) if !trusted(file) => {
            let next =
                format!("have root own it and all directories above it: chown root: {shown} && chmod go-w {shown}");
            return Err(refused(&format!("{shown}: others than root can write it, or put another in its place"), next));
        }
        Ok(_) | Err(_) => {}
    }
    let text = read(file).map_err(|e| {
        refused(&format!("{shown} can't be read: {e}"), "have root mend it, or take it away".to_owned())
    })?;
    Machine::parse(&text).map_err(|e| refused(&format!("{shown}, {e}"), e.next().to_owned()))
}

/// What a run goes by, of what was typed for it.
///
/// # Errors
/// Where that is more than the machine allows.
pub fn settle(machine: &Machine, profile: Option<Profile>, net: Option<Net>) -> Result<(Profile, Net), Failure> {
    machine.settle(profile, net).map_err(|e: MachineError| refused(&e.to_string(), e.next().to_owned()))
}

/// Refuses where one user may not have commands run as another.
///
/// # Errors
/// Unless the settings say that he may, by the names of both.
pub fn may_as(machine: &Machine, (who, whom): (u32, u32), accounts: &[Account]) -> Result<(), Failure> {
    let name = |uid: u32| {
        let account = accounts.iter().find(|a| a.uid == uid);
        account.map_or_else(|| uid.to_string(), |a| a.name.quoted().to_string())
    };
    machine.may_as(&name(who), &name(whom)).map_err(|e| refused(&e.to_string(), e.next().to_owned()))
}

/// Refuses to go by an earlier request that today's settings don't allow any more.
///
/// # Errors
/// Where it is more than the machine allows.
pub fn still(machine: &Machine, request: &Request, accounts: &[Account]) -> Result<(), Failure> {
    if let Some(by) = request.by {
        may_as(machine, (by, request.uid), accounts)?;
    }
    // A profile that is not known is the law's to deny.
    let Some(profile) = Profile::ALL.into_iter().find(|p| p.name() == request.profile) else { return Ok(()) };
    settle(machine, Some(profile), Some(request.net)).map(drop).map_err(|failure| {
        let again = "type the command anew, with what is allowed today: backstop run -- CMD [ARG]...";
        Failure { next: vec![again.to_owned()], ..failure }
    })
}

/// True where the settings let nothing run in place by the profile of a request.
pub fn keeps_undo(machine: &Machine, request: &Request) -> bool {
    let profile = Profile::ALL.into_iter().find(|p| p.name() == request.profile);
    profile.is_none_or(|p| machine.background(p) == Background::Rehearsed)
}

fn refused(what: &str, next: String) -> Failure {
    Failure::new(FailureKind::Refused, format!("refused: {what}")).next(next).by(RULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<Machine, Failure>) -> String {
        let failure = result.expect_err("refused");
        assert!(failure.kind == FailureKind::Refused && failure.rule.is_some() && !failure.next.is_empty());
        failure.what
    }

    #[test]
    fn a_settings_file_is_roots_alone_and_never_taken_for_none() {
        let dir = tempfile::tempdir().expect("temp");
        let file = dir.path().join("settings.toml");
        let load = || from(&file, &|_| true);
        assert_eq!(load().expect("no file"), Machine::default());
        std::fs::write(&file, "profile = 'production'").expect("file");
        assert_eq!(load().expect("read").profile, Profile::Production);
        // The temporary directory is everybody's.
        assert!(said(from(&file, &only_roots)).contains("others than root"));
        for (text, part) in [("profil = 'x'", "line 1: unknown field"), ("may = 'production'", "line 1: ")] {
            std::fs::write(&file, text).expect("file");
            assert!(said(load()).contains(part), "{text}");
        }
        std::fs::write(&file, "#".repeat(300 * 1024)).expect("file");
        assert!(said(load()).contains("longer than"));
        std::fs::remove_file(&file).expect("removed");
        std::os::unix::fs::symlink("/nowhere/at/all", &file).expect("link");
        assert!(said(load()).contains("can't be read"), "a link to nothing is no missing file");
    }
}
