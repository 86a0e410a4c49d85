//! Finds the agent's own place. A place that is too big to be anybody's own (`/`, a home, what lies
//! above one, the system's directories) is never one; then every change is outside.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;

use super::passwd::Account;

/// Directories of the system as a whole. Below them, a current directory can be a workspace.
const SYSTEM: [&str; 12] =
    ["/dev", "/etc", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/usr", "/usr/local", "/var", "/var/lib"];

/// Directories of programs and libraries. Nothing in them is anybody's own either: without what lies
/// below `/usr/lib` not even an undo runs.
const PROGRAMS: [&str; 12] = [
    "/bin",
    "/boot",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
];

/// What can't be a workspace.
#[derive(Clone, Debug, Default)]
pub struct Forbidden {
    /// Homes of accounts, as written and as they resolve: neither they nor what lies above them.
    homes: Vec<Bytes>,
    /// `$HOME`, which may name any directory: only itself. Policy takes it out of a workspace that it
    /// lies in.
    named: Vec<Bytes>,
    /// The kinds of places.
    classes: Classes,
}

/// Kinds of places in which nothing is an agent's own, repository or not.
const NEVER: [&str; 5] = ["agent-config", "backup", "credentials", "database", "guard"];

impl Forbidden {
    /// From the accounts, and from `$HOME`, which can only add.
    pub fn new(accounts: &[Account], home: Option<OsString>, classes: Classes) -> Self {
        let homes = accounts.iter().filter(|a| a.person).map(|a| a.home.clone()).collect();
        let named = home.filter(|h| h.as_encoded_bytes().starts_with(b"/")).map(Bytes::from).into_iter().collect();
        Self { homes: with_real(homes), named: with_real(named), classes }
    }

    /// Why `dir` can't be a workspace; none when it can.
    pub fn why(&self, dir: &Path) -> Option<&'static str> {
        let place = Bytes::from(dir);
        if place.as_slice() == b"/" {
            return Some("it is the whole machine");
        }
        if self.homes.contains(&place) || self.named.contains(&place) {
            return Some("it is a whole home directory");
        }
        if self.homes.iter().any(|h| h.is_beneath(place.as_slice())) {
            return Some("whole home directories lie beneath it");
        }
        let programs = PROGRAMS.iter().any(|p| place.is_beneath(p.as_bytes()));
        if programs || SYSTEM.iter().any(|s| place.as_slice() == s.as_bytes()) {
            return Some("it belongs to the system as a whole");
        }
        let kinds: Vec<&str> = self.classes.of_place(&place).collect();
        if kinds.iter().any(|k| NEVER.contains(k)) {
            return Some("it is a place of credentials, databases, backups or agents' settings");
        }
        // What an agent set up here in a repository of its own was asked about when it was made.
        if kinds.contains(&"system") && dir.join(".git").symlink_metadata().is_err() {
            return Some("it belongs to the system");
        }
        None
    }

    /// True where what the directory, or one above it, directly holds tells that a database or a backup
    /// lives there.
    fn holds_data(&self, dir: &Path) -> bool {
        let holds = |d: &Path| {
            let there = |name: &[u8]| d.join(OsStr::from_bytes(name)).symlink_metadata().is_ok();
            self.classes.of_entries(there).any(|class| NEVER.contains(&class))
        };
        dir.ancestors().any(holds)
    }

    /// True where `dir` can be a workspace.
    fn fits(&self, dir: &Path) -> bool {
        self.why(dir).is_none() && !self.holds_data(dir)
    }
}

/// Each place, and where it really is.
fn with_real(mut places: Vec<Bytes>) -> Vec<Bytes> {
    let real: Vec<Bytes> = places.iter().filter_map(|h| h.as_path().canonicalize().ok()).map(Bytes::from).collect();
    places.extend(real);
    places
}

/// The workspace that was asked for by name, from `cwd`; none where it is too big to be anybody's own, so that
/// every change is outside.
pub fn given(cwd: &Path, dir: &Path, forbidden: &Forbidden) -> Result<Option<PathBuf>, Failure> {
    let shown = Bytes::from(dir);
    let real = cwd.join(dir).canonicalize().map_err(|e| {
        Failure::usage(format!("cannot use {} as the workspace: {e}", shown.quoted()))
            .next("--workspace DIR, a directory that exists; or leave it out")
    })?;
    if !real.is_dir() {
        return Err(Failure::usage(format!("cannot use {} as the workspace: not a directory", shown.quoted()))
            .next("--workspace DIR, a directory that exists; or leave it out"));
    }
    Ok(forbidden.fits(&real).then_some(real))
}

/// The nearest repository root of `cwd`, else `cwd`; none where that is too big a place.
pub fn found(cwd: &Path, uid: u32, forbidden: &Forbidden) -> Option<PathBuf> {
    let root = cwd.ancestors().find(|dir| {
        // A `.git` that somebody else planted (in /tmp, say) must not widen the workspace to all of
        // its directory, nor may dotfiles kept in a repository make a home one.
        forbidden.why(dir).is_none() && owned(dir, uid) && owned(&dir.join(".git"), uid)
    });
    let place = root.unwrap_or(cwd);
    forbidden.fits(place).then(|| place.to_path_buf())
}

/// True where `path` is there and belongs to the caller; root has no need of others' repositories.
fn owned(path: &Path, uid: u32) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.uid() == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(homes: &[&Path]) -> Forbidden {
        let accounts: Vec<Account> = homes
            .iter()
            .map(|h| Account {
                name: "ann".into(),
                uid: 1000,
                gid: 1000,
                shell: "/bin/sh".into(),
                home: Bytes::from(*h),
                person: true,
            })
            .collect();
        let homes: Vec<Bytes> = accounts.iter().map(|a| a.home.clone()).collect();
        Forbidden::new(&accounts, None, Classes::new(&homes))
    }

    fn me() -> u32 {
        backstop_sys::process::own_ids().0
    }

    #[test]
    fn what_is_too_big_is_no_workspace() {
        let f = forbidden(&[Path::new("/home/ann"), Path::new("/data/people/bob")]);
        for (dir, ok) in [
            ("/", false),
            ("/home", false),
            ("/home/ann", false),
            ("/home/ann/proj", true),
            ("/home/anna", true),
            ("/data", false),
            ("/data/people", false),
            ("/etc", false),
            ("/etc/nginx", false),
            ("/var/lib/mysql", false),
            ("/var/lib/mysql/shop", false),
            ("/home/ann/.ssh", false),
            ("/home/ann/.config/tool", true),
            ("/var/www", true),
            ("/usr/lib", false),
            ("/usr/lib/x86_64-linux-gnu", false),
            ("/usr/local", false),
            ("/usr/local/src/tool", true),
        ] {
            assert_eq!(f.why(Path::new(dir)).is_none(), ok, "{dir}");
        }
    }

    #[test]
    fn home_from_the_environment_only_adds() {
        let accounts = [Account {
            name: "ann".into(),
            uid: 1000,
            gid: 1000,
            shell: "/bin/sh".into(),
            home: "/home/ann".into(),
            person: true,
        }];
        let f = Forbidden::new(&accounts, Some("/srv/app".into()), Classes::new(&[]));
        assert!(f.why(Path::new("/srv/app")).is_some());
        assert!(f.why(Path::new("/home/ann")).is_some());
    }

    #[test]
    fn the_nearest_repository_root_counts() {
        let dir = tempfile::tempdir().expect("temp");
        let base = dir.path().canonicalize().expect("real");
        let deep = base.join("home/proj/src/deep");
        std::fs::create_dir_all(&deep).expect("dirs");
        let none = forbidden(&[&base.join("home")]);
        assert_eq!(found(&deep, me(), &none), Some(deep.clone()));
        std::fs::create_dir(base.join("home/proj/.git")).expect("git");
        assert_eq!(found(&deep, me(), &none), Some(base.join("home/proj")));
        assert_eq!(found(&base.join("home/proj"), me(), &none), Some(base.join("home/proj")));
        assert_eq!(found(&base.join("home"), me(), &none), None);
    }

    #[test]
    fn dotfiles_in_a_repository_do_not_make_a_home_a_workspace() {
        let dir = tempfile::tempdir().expect("temp");
        let home = dir.path().canonicalize().expect("real").join("ann");
        std::fs::create_dir_all(home.join("proj")).expect("dirs");
        std::fs::create_dir(home.join(".git")).expect("git");
        let f = forbidden(&[&home]);
        assert_eq!(found(&home.join("proj"), me(), &f), Some(home.join("proj")));
        assert_eq!(found(&home, me(), &f), None);
    }

    #[test]
    fn a_database_is_nobodys_workspace_wherever_it_lies() {
        let dir = tempfile::tempdir().expect("temp");
        let base = dir.path().canonicalize().expect("real");
        std::fs::create_dir_all(base.join("data/base/1")).expect("dirs");
        assert_eq!(found(&base.join("data"), me(), &forbidden(&[])), Some(base.join("data")));
        std::fs::write(base.join("data/PG_VERSION"), "15").expect("marker");
        for place in ["data", "data/base/1"] {
            assert_eq!(found(&base.join(place), me(), &forbidden(&[])), None, "{place}");
            assert_eq!(given(&base, Path::new(place), &forbidden(&[])).expect("a directory"), None, "{place}");
        }
    }

    #[test]
    fn a_repository_of_somebody_else_does_not_widen() {
        let dir = tempfile::tempdir().expect("temp");
        let base = dir.path().canonicalize().expect("real");
        std::fs::create_dir_all(base.join("sub")).expect("dirs");
        std::fs::create_dir(base.join(".git")).expect("git");
        assert_eq!(found(&base.join("sub"), me() + 1, &forbidden(&[])), Some(base.join("sub")));
    }

    #[test]
    fn a_given_workspace_gets_the_same_check() {
        let dir = tempfile::tempdir().expect("temp");
        let base = dir.path().canonicalize().expect("real");
        std::fs::write(base.join("file"), "x").expect("file");
        std::os::unix::fs::symlink(&base, base.join("link")).expect("link");
        let f = forbidden(&[&base]);
        for (path, part) in [(base.join("missing"), "No such file"), (base.join("file"), "not a directory")] {
            let failure = given(Path::new("/"), &path, &f).expect_err("no directory");
            assert!(failure.what.contains(part), "{}", failure.what);
        }
        for path in [base.join("link"), PathBuf::from("/")] {
            assert_eq!(given(Path::new("/"), &path, &f).expect("a directory"), None, "too big");
        }
    }
}
