//! The engine's settings from the machine and the environment. Nothing an agent can write makes
//! them weaker: `$HOME` and `$TMPDIR` can only narrow.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::Failure;
use crate::law::{Kinds, Reader};
use crate::settings::{Durability, Settings, Viewer};
use backstop_core::bytes::Bytes;
use backstop_core::identity::Identity;

use super::Caller;
use super::passwd::{self, Account};

/// What the environment says, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    home: Option<OsString>,
    state_home: Option<OsString>,
    tmpdir: Option<OsString>,
    durability: Durability,
}

impl Environment {
    fn of_this_process() -> Self {
        Self {
            home: std::env::var_os("HOME"),
            state_home: std::env::var_os("XDG_STATE_HOME"),
            tmpdir: std::env::var_os("TMPDIR"),
            // Only ever stricter than the default, so it is no matter who sets it.
            durability: match std::env::var_os("BACKSTOP_DURABILITY") {
                Some(value) if value == "full" => Durability::Full,
                _ => Durability::Ordered,
            },
        }
    }
}

/// The settings for `caller`, with the accounts they were made from.
pub fn settings(caller: Caller) -> Result<(Settings, Vec<Account>), Failure> {
    let accounts = passwd::read();
    let env = Environment::of_this_process();
    let home = home_of(caller, &accounts);
    let state = state(caller, home.as_ref(), &env)?;
    Ok((from(caller, &accounts, &env, (state, &Reader::Own)), accounts))
}

/// The settings of a daemon that keeps its state in `state`, for whoever is at the other end: his environment has no
/// say in them.
pub fn settings_for(who: &Identity, login: Option<u32>, state: &Path) -> (Settings, Vec<Account>) {
    let accounts = passwd::read();
    let caller = Caller { uid: who.uid, gid: who.gid };
    let reader = Reader::of(who);
    let settings = from(caller, &accounts, &Environment::default(), (state.to_owned(), &reader));
    // Root looks after the machine, and sees all of it.
    let viewer = (who.uid != 0).then(|| Viewer { who: who.clone(), sees_all: false });
    (Settings { login, viewer, ..settings }, accounts)
}

/// The caller's own home frees caches below it, so it comes from the account, never from $HOME.
fn home_of(caller: Caller, accounts: &[Account]) -> Option<Bytes> {
    accounts.iter().find(|a| a.uid == caller.uid).map(|a| real(&a.home))
}

fn from(caller: Caller, accounts: &[Account], env: &Environment, (state, reader): (PathBuf, &Reader)) -> Settings {
    let home = home_of(caller, accounts);
    let mut homes: Vec<Bytes> = accounts.iter().filter(|a| a.person).map(|a| a.home.clone()).collect();
    homes.extend(absolute(env.home.as_ref()));
    homes.extend(home.clone());
    let resolved: Vec<Bytes> = homes.iter().map(real).collect();
    homes.extend(resolved);
    homes.sort();
    homes.dedup();
    Settings {
        uid: caller.uid,
        viewer: None,
        stand_in: None,
        login: login(),
        kinds: Kinds::of(&homes, home.as_ref(), reader),
        homes_of: accounts.iter().map(|a| (a.uid, real(&a.home))).collect(),
        hide: hidden(home.as_ref(), &state),
        state,
        force_user: false,
        home: home.filter(|h| h.as_slice() != b"/"),
        homes,
        scratch: scratch(env.tmpdir.as_ref()),
        durability: env.durability,
        vault_percent: 20,
        vault_age: Duration::from_secs(14 * 86_400),
        free_percent: 10,
        grace: Duration::from_millis(500),
        turn_limit: Duration::from_secs(600),
    }
}

/// The account that logged in, as the kernel keeps it (`loginuid`): `su` and `sudo` leave it as it is.
pub fn login() -> Option<u32> {
    let uid = std::fs::read_to_string("/proc/self/loginuid").ok()?.trim().parse().ok()?;
    (uid != u32::MAX).then_some(uid)
}

/// Backstop's own places that a command must neither see nor change, whatever the environment says
/// that they are: the usual state directories stay hidden also when `$XDG_STATE_HOME` names another.
fn hidden(home: Option<&Bytes>, state: &std::path::Path) -> Vec<Bytes> {
    let mut all: Vec<Bytes> = vec!["/etc/backstop".into(), "/var/lib/backstop".into()];
    if let Some(home) = home {
        all.push(home.join(b".config/backstop"));
        all.push(home.join(b".local/state/backstop"));
    }
    all.retain(|place| place.as_path() != state);
    all
}

/// `$XDG_STATE_HOME/backstop`, else `~/.local/state/backstop`; for root without it `/var/lib/backstop`.
fn state(caller: Caller, home: Option<&Bytes>, env: &Environment) -> Result<PathBuf, Failure> {
    if let Some(base) = absolute(env.state_home.as_ref()) {
        return Ok(base.as_path().join("backstop"));
    }
    if caller.uid == 0 {
        return Ok(PathBuf::from("/var/lib/backstop"));
    }
    match home.cloned().or_else(|| absolute(env.home.as_ref())) {
        Some(home) => Ok(home.as_path().join(".local/state/backstop")),
        None => Err(Failure::internal(format!("user {} has no home to keep state in", caller.uid))
            .next("set XDG_STATE_HOME to a directory of yours")),
    }
}

/// `/tmp`, `/var/tmp`, and `$TMPDIR` where it lies beneath one of them: elsewhere it would let an
/// agent call any directory scratch.
fn scratch(tmpdir: Option<&OsString>) -> Vec<Bytes> {
    let mut all: Vec<Bytes> = ["/tmp", "/var/tmp"].map(|d| real(&d.into())).into();
    let resolved = absolute(tmpdir).and_then(|d| d.as_path().canonicalize().ok()).map(Bytes::from);
    if let Some(dir) = resolved.filter(|d| all.iter().any(|s| d.is_beneath(s.as_slice()))) {
        all.push(dir);
    }
    all.sort();
    all.dedup();
    all
}

fn absolute(value: Option<&OsString>) -> Option<Bytes> {
    value.filter(|v| v.as_encoded_bytes().starts_with(b"/")).map(|v| Bytes::from(v.clone()))
}

/// Where `place` really is; as written where it can't be told.
fn real(place: &Bytes) -> Bytes {
    place.as_path().canonicalize().map_or_else(|_| place.clone(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Caller = Caller { uid: 1000, gid: 1000 };
    const ROOT: Caller = Caller { uid: 0, gid: 0 };

    fn accounts() -> Vec<Account> {
        passwd::parse(b"root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/nowhere/ann:/bin/bash\n")
    }

    fn env(home: &str, state: &str, tmp: &str) -> Environment {
        let some = |t: &str| (!t.is_empty()).then(|| OsString::from(t));
        Environment { home: some(home), state_home: some(state), tmpdir: some(tmp), durability: Durability::Ordered }
    }

    fn ann(env: &Environment) -> Settings {
        from(ANN, &accounts(), env, (PathBuf::from("/state"), &Reader::Own))
    }

    #[test]
    fn the_state_directory_has_one_place() {
        for (caller, e, expected) in [
            (ANN, env("/else", "", ""), "/nowhere/ann/.local/state/backstop"),
            (ANN, env("", "/state", ""), "/state/backstop"),
            (ANN, env("", "relative", ""), "/nowhere/ann/.local/state/backstop"),
            (ROOT, env("/root", "", ""), "/var/lib/backstop"),
            (ROOT, env("/root", "/state", ""), "/state/backstop"),
            (Caller { uid: 7, gid: 7 }, env("/h", "", ""), "/h/.local/state/backstop"),
        ] {
            let home = home_of(caller, &accounts());
            assert_eq!(state(caller, home.as_ref(), &e).expect("a place"), PathBuf::from(expected));
        }
        assert!(state(Caller { uid: 7, gid: 7 }, None, &env("", "", "")).is_err());
    }

    #[test]
    fn the_environment_cannot_free_a_place() {
        let s = ann(&env("/srv/victim", "", "/srv/victim"));
        assert_eq!(s.home, Some("/nowhere/ann".into()));
        assert!(s.homes.contains(&"/srv/victim".into()) && s.homes.contains(&"/nowhere/ann".into()));
        assert!(!s.scratch.contains(&"/srv/victim".into()));
        let t = ann(&env("", "", "/tmp/mine/../../etc"));
        assert_eq!(t.scratch.iter().filter(|s| s.as_slice().ends_with(b"etc")).count(), 0);
    }

    #[test]
    fn the_limits_are_the_promised_ones() {
        let s = ann(&env("", "", ""));
        assert_eq!((s.vault_percent, s.free_percent, s.vault_age.as_secs()), (20, 10, 14 * 86_400));
        assert_eq!((s.turn_limit, s.grace), (Duration::from_secs(600), Duration::from_millis(500)));
    }
}
