//! System mode on this machine: directories, settings, the daemon's unit, completions. Each step says what it finds
//! and what it makes of that; what is not Backstop's is left alone, and what is as it should be as well.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use backstop_core::bytes::Bytes;
use backstop_engine::{Failure, FailureKind};
use clap::CommandFactory as _;
use toml_edit::DocumentMut;

use super::{Act, disk};
use crate::args::Backstop;

/// The first line of the files that are Backstop's alone.
const MARK: &str = "# Made by `backstop install system`, and taken away by `backstop uninstall system`.\n";

const UNIT: &str = include_str!("backstop.service");

/// Where the unit goes.
const UNIT_AT: &str = "etc/systemd/system/backstop.service";

/// A program that speaks to networks, with an account of its own, by which it has no other right than it needs.
struct Service {
    /// The account; its program and its unit have that name as well.
    account: &'static str,
    /// What it is, for whoever reads the list of accounts.
    about: &'static str,
    /// Where its unit goes.
    at: &'static str,
    /// The key in the machine's settings that names its account.
    key: &'static str,
    unit: &'static str,
}

/// System mode works without them. What they say to whom is the administrator's to write.
const SERVICES: [Service; 2] = [
    Service {
        account: "backstop-notify",
        about: "Backstop notifier",
        at: "etc/systemd/system/backstop-notify.service",
        key: "notifier",
        unit: include_str!("backstop-notify.service"),
    },
    Service {
        account: "backstop-export",
        about: "Backstop exporter",
        at: "etc/systemd/system/backstop-export.service",
        key: "exporter",
        unit: include_str!("backstop-export.service"),
    },
];

/// How the service manager makes their accounts (sysusers.d(5)).
const ACCOUNT_AT: &str = "etc/sysusers.d/backstop.conf";

/// What does so.
const SYSUSERS: &str = "/usr/bin/systemd-sysusers";

/// Directories, with their modes; the last ones hold what nobody but root reads.
const DIRS: [(&str, u32); 3] = [("etc/backstop", 0o755), ("etc/backstop/policy", 0o700), ("var/lib/backstop", 0o700)];

/// Where each shell looks for completions; only where it does so on this machine.
const COMPLETIONS: [(clap_complete::Shell, &str, &str); 3] = [
    (clap_complete::Shell::Bash, "usr/share/bash-completion/completions", "backstop"),
    (clap_complete::Shell::Zsh, "usr/share/zsh/vendor-completions", "_backstop"),
    (clap_complete::Shell::Fish, "usr/share/fish/vendor_completions.d", "backstop.fish"),
];

/// The settings that bind every run.
pub const SETTINGS: &str = "etc/backstop/settings.toml";

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// As of a file of an agent.
    Place(Act),
    /// It stays, on purpose.
    Kept,
    /// The service manager is told.
    Told,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Done {
    /// What becomes of it.
    pub did: Did,
    /// Of what.
    pub what: String,
    /// What a person should know.
    pub note: Option<String>,
}

impl Done {
    const fn place(act: Act, what: String) -> Self {
        Self { did: Did::Place(act), what, note: None }
    }
}

/// Where, and whether really.
pub struct Ground {
    /// What stands for `/`.
    pub root: PathBuf,
    /// The daemon's program.
    pub daemon: PathBuf,
    /// Write nothing.
    pub dry_run: bool,
}

impl Ground {
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A service's program, which stands beside the daemon.
    fn program(&self, service: &Service) -> PathBuf {
        self.daemon.with_file_name(service.account)
    }

    /// The services whose programs are there.
    fn services(&self) -> impl Iterator<Item = &'static Service> {
        SERVICES.iter().filter(|service| self.program(service).is_file())
    }

    /// True where a service manager runs the machine that is meant.
    fn is_managed(&self) -> bool {
        self.root == Path::new("/") && Path::new("/run/systemd/system").is_dir()
    }

    fn dir(&self, path: &str, mode: u32) -> Result<Done, Failure> {
        let at = self.at(path);
        let act = match at.symlink_metadata() {
            Ok(meta) if !meta.is_dir() => return Err(in_the_way(&at, "is no directory")),
            Ok(meta) if meta.uid() != own() => return Err(in_the_way(&at, "is not root's")),
            Ok(meta) if meta.mode() & 0o7777 == mode => Act::Same,
            Ok(_) => Act::Change,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Act::Create,
            Err(e) => return Err(failed("look at", &at, &e)),
        };
        if !self.dry_run && act != Act::Same {
            DirBuilder::new().recursive(true).mode(mode).create(&at).map_err(|e| failed("make", &at, &e))?;
            fs::set_permissions(&at, Permissions::from_mode(mode)).map_err(|e| failed("set the mode of", &at, &e))?;
        }
        Ok(Done::place(act, format!("{} (mode {mode:04o})", shown(&at))))
    }

    /// A file that is Backstop's alone.
    fn file(&self, path: &str, text: &str) -> Result<Done, Failure> {
        self.own_file(MARK, path, text)
    }

    /// The same with this as its first line, by which it is known again.
    pub(super) fn own_file(&self, mark: &str, path: &str, text: &str) -> Result<Done, Failure> {
        let (at, text) = (self.at(path), marked(mark, text));
        let found = disk::find(&at)?;
        let act = match &found.bytes {
            None => Act::Create,
            Some(bytes) if bytes == text.as_bytes() => Act::Same,
            Some(bytes) if is_marked(mark, bytes) => Act::Change,
            Some(_) => return Err(in_the_way(&at, "is there, and not Backstop's")),
        };
        if act != Act::Same {
            self.write(&at, &found, Some(text.as_bytes()))?;
        }
        Ok(Done::place(act, shown(&at)))
    }

    fn take_away(&self, path: &str) -> Result<Option<Done>, Failure> {
        self.take_own_away(MARK, path)
    }

    pub(super) fn take_own_away(&self, mark: &str, path: &str) -> Result<Option<Done>, Failure> {
        let at = self.at(path);
        let found = disk::find(&at)?;
        match &found.bytes {
            None => Ok(None),
            Some(bytes) if is_marked(mark, bytes) => {
                self.write(&at, &found, None)?;
                Ok(Some(Done::place(Act::Remove, shown(&at))))
            }
            Some(_) => Ok(Some(Done::place(Act::Foreign, shown(&at)))),
        }
    }

    /// Sets or takes out mode and services, and leaves all else in the settings as it is, comments too.
    fn settings(&self, system: bool) -> Result<Done, Failure> {
        let at = self.at(SETTINGS);
        let found = disk::find(&at)?;
        let text =
            String::from_utf8(found.bytes.clone().unwrap_or_default()).map_err(|_| in_the_way(&at, "is no text"))?;
        let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
            Failure::because(format!("{} can't be used", shown(&at)), &e).next("mend it: backstop help settings")
        })?;
        if system {
            document["mode"] = toml_edit::value("system");
        } else {
            document.remove("mode");
        }
        for service in &SERVICES {
            // Another account than ours is the administrator's own choice.
            if document.get(service.key).is_some_and(|item| item.as_str() != Some(service.account)) {
                continue;
            }
            if !system {
                document.remove(service.key);
            } else if self.program(service).is_file() {
                document[service.key] = toml_edit::value(service.account);
            }
        }
        let after = document.to_string();
        let act = match &found.bytes {
            None if !system => Act::Same,
            None => Act::Create,
            Some(_) if after == text => Act::Same,
            Some(_) if !system && after.trim().is_empty() => Act::Remove,
            Some(_) => Act::Change,
        };
        match act {
            Act::Same => {}
            Act::Remove => self.write(&at, &found, None)?,
            _ => self.write(&at, &found, Some(after.as_bytes()))?,
        }
        let what = if system { "mode = \"system\"" } else { "no mode" };
        Ok(Done::place(act, format!("{} ({what})", shown(&at))))
    }

    fn write(&self, at: &Path, found: &disk::Found, text: Option<&[u8]>) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        let Some(text) = text else { return disk::remove(&found.real) };
        disk::make(&disk::way(at), true)?;
        // Readable by all: what is secret stands in none of them.
        disk::replace(found, text, disk::Mode { bits: 0o644, shared: true })
    }

    fn manager(&self, args: &[&str]) -> Result<Done, Failure> {
        self.told("/usr/bin/systemctl", args)
    }

    pub(super) fn told(&self, program: &str, args: &[&str]) -> Result<Done, Failure> {
        let name = program.rsplit('/').next().unwrap_or(program);
        let what = format!("{name} {}", args.join(" "));
        if !self.dry_run {
            let ran = Command::new(program).args(args).output();
            let out = ran.map_err(|e| Failure::because(format!("cannot run {what}"), &e))?;
            if !out.status.success() {
                let why = String::from_utf8_lossy(&out.stderr).trim().to_owned();
                return Err(Failure::internal(format!("{what}: {why}")).next("look why: journalctl -u 'backstop*'"));
            }
        }
        Ok(Done { did: Did::Told, what, note: None })
    }

    /// The services' accounts and units.
    fn accounts(&self, tell: &mut dyn FnMut(Done)) -> Result<(), Failure> {
        let all: Vec<&Service> = self.services().collect();
        if all.is_empty() {
            return Ok(());
        }
        let managed = self.is_managed() && Path::new(SYSUSERS).is_file();
        let lines: String = all.iter().map(|s| format!("u {} - \"{}\"\n", s.account, s.about)).collect();
        let mut accounts = self.file(ACCOUNT_AT, &lines)?;
        if !managed {
            let adds: Vec<String> = all.iter().map(|s| format!("useradd --system {}", s.account)).collect();
            accounts.note = Some(format!("nobody makes the accounts here: {}", adds.join("; ")));
        }
        tell(accounts);
        if managed {
            tell(self.told(SYSUSERS, &[&format!("/{ACCOUNT_AT}")])?);
        }
        if self.at("etc/systemd").is_dir() {
            for service in all {
                let program = self.program(service);
                let program = program.to_str().ok_or_else(|| Failure::usage("a program's path is no text"))?;
                tell(self.file(service.at, &service.unit.replace("@PROGRAM@", program))?);
            }
        }
        Ok(())
    }
}

/// Installs, step by step; each is told as soon as it is done.
pub fn install(ground: &Ground, tell: &mut dyn FnMut(Done)) -> Result<(), Failure> {
    if !ground.daemon.is_file() {
        return Err(Failure::internal(format!("the daemon is not beside this program: {}", shown(&ground.daemon)))
            .next("install both programs in one directory: backstop and backstopd"));
    }
    for (path, mode) in DIRS {
        tell(ground.dir(path, mode)?);
    }
    let daemon = ground.daemon.to_str().ok_or_else(|| Failure::usage("the daemon's path is no text"))?;
    if ground.at("etc/systemd").is_dir() {
        tell(ground.file(UNIT_AT, &UNIT.replace("@DAEMON@", daemon))?);
    }
    ground.accounts(tell)?;
    for (shell, dir, name) in COMPLETIONS {
        if ground.at(dir).is_dir() {
            tell(ground.file(&format!("{dir}/{name}"), &completions(shell))?);
        }
    }
    if ground.is_managed() {
        tell(ground.manager(&["daemon-reload"])?);
        tell(ground.manager(&["enable", "--now", "backstop.service"])?);
        for service in ground.services() {
            tell(ground.manager(&["enable", "--now", &format!("{}.service", service.account)])?);
        }
    }
    // Last: from then on nobody but root gets past the daemon.
    let mut last = ground.settings(true)?;
    if !ground.is_managed() {
        last.note = Some(format!("no service manager runs here: have the daemon started by what does: {daemon}"));
    }
    tell(last);
    if ground.is_managed() {
        // Also where they run: by the programs and settings of now. What a run's own process has begun it finishes.
        tell(ground.manager(&["restart", "backstop.service"])?);
        for service in ground.services() {
            tell(ground.manager(&["restart", &format!("{}.service", service.account)])?);
        }
    }
    Ok(())
}

/// Takes it out again. Records, rules and what undo needs stay.
pub fn uninstall(ground: &Ground, tell: &mut dyn FnMut(Done)) -> Result<(), Failure> {
    tell(ground.settings(false)?);
    let services = SERVICES.iter().map(|service| (format!("{}.service", service.account), service.at));
    for (unit, at) in services.chain([("backstop.service".to_owned(), UNIT_AT)]) {
        if ground.is_managed() && ground.at(at).is_file() {
            tell(ground.manager(&["disable", "--now", &unit])?);
        }
        if let Some(done) = ground.take_away(at)? {
            tell(done);
            if ground.is_managed() {
                tell(ground.manager(&["daemon-reload"])?);
            }
        }
    }
    // The account itself stays: what it owns must not become somebody else's.
    if let Some(done) = ground.take_away(ACCOUNT_AT)? {
        tell(done);
    }
    for (_, dir, name) in COMPLETIONS {
        if let Some(done) = ground.take_away(&format!("{dir}/{name}"))? {
            tell(done);
        }
    }
    for (path, _) in DIRS {
        let at = ground.at(path);
        if at.is_dir() {
            let note = Some("records, rules and what undo needs are not thrown away".to_owned());
            tell(Done { did: Did::Kept, what: shown(&at), note });
        }
    }
    Ok(())
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Backstop::command(), "backstop", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// With our mark in the first line; or in the second, where a shell reads a mark of its own in the first alone.
fn marked(mark: &str, text: &str) -> String {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#compdef") => format!("{first}\n{mark}{rest}"),
        _ => format!("{mark}{text}"),
    }
}

fn is_marked(mark: &str, bytes: &[u8]) -> bool {
    let second = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
    [0, second].into_iter().any(|at| bytes[at..].starts_with(mark.as_bytes()))
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn shown(path: &Path) -> String {
    Bytes::from(path).quoted().to_string()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::because(format!("cannot {what} {}", shown(path)), error)
        .next("say it as root: sudo backstop install system")
}

fn in_the_way(path: &Path, why: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("refused: {} {why}", shown(path)))
        .next("take it out of the way, then say it again; what was done until here stays, and is no harm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> (tempfile::TempDir, Ground) {
        let dir = tempfile::tempdir().expect("temp");
        for path in
            ["etc/systemd", "usr/share/bash-completion/completions", "usr/share/zsh/vendor-completions", "usr/bin"]
        {
            fs::create_dir_all(dir.path().join(path)).expect("made");
        }
        let daemon = dir.path().join("usr/bin/backstopd");
        fs::write(&daemon, "").expect("written");
        for service in &SERVICES {
            fs::write(daemon.with_file_name(service.account), "").expect("written");
        }
        let root = dir.path().canonicalize().expect("real");
        (dir, Ground { root, daemon, dry_run: false })
    }

    type Steps = fn(&Ground, &mut dyn FnMut(Done)) -> Result<(), Failure>;

    fn acts(ground: &Ground, step: Steps) -> Vec<Did> {
        let mut all = Vec::new();
        step(ground, &mut |done| all.push(done.did)).expect("done");
        all
    }

    #[test]
    fn installing_twice_is_installing_once_and_nothing_is_left_but_records() {
        let (_dir, mut ground) = ground();
        ground.dry_run = true;
        assert!(acts(&ground, install).iter().all(|d| *d == Did::Place(Act::Create)));
        assert!(!ground.at("etc/backstop").exists(), "a dry run");
        ground.dry_run = false;
        assert!(acts(&ground, install).iter().all(|d| *d == Did::Place(Act::Create)));
        for (path, mode) in DIRS {
            assert_eq!(fs::metadata(ground.at(path)).expect("there").mode() & 0o7777, mode, "{path}");
        }
        let unit = fs::read_to_string(ground.at(UNIT_AT)).expect("a unit");
        assert!(unit.contains(&format!("ExecStart={}", ground.daemon.display())) && !unit.contains('@'), "{unit}");
        assert!(acts(&ground, install).iter().all(|d| *d == Did::Place(Act::Same)));
        let settings = ground.at(SETTINGS);
        let text = fs::read_to_string(&settings).expect("settings");
        let machine = backstop_core::machine::Machine::parse(&text).expect("settings that can be used");
        assert_eq!(machine.mode, backstop_core::machine::Mode::System);
        assert_eq!([machine.notifier.as_deref(), machine.exporter.as_deref()], SERVICES.map(|s| Some(s.account)));
        for service in &SERVICES {
            let unit = fs::read_to_string(ground.at(service.at)).expect("a unit");
            assert!(unit.contains(&format!("ExecStart={} run", ground.program(service).display())), "{unit}");
            assert!(unit.contains(&format!("User={}\n", service.account)) && !unit.contains("@PROGRAM@"), "{unit}");
        }
        fs::write(ground.at("var/lib/backstop/record"), "kept").expect("written");
        let gone = acts(&ground, uninstall);
        assert_eq!(gone[..6], [Did::Place(Act::Remove); 6], "{gone:?}");
        assert!(!settings.exists() && !ground.at(UNIT_AT).exists());
        assert!(ground.at("var/lib/backstop/record").exists());
    }

    #[test]
    fn what_a_shell_reads_in_the_first_line_stands_there_and_it_is_ours_all_the_same() {
        let (_dir, ground) = ground();
        install(&ground, &mut |_| ()).expect("installed");
        let at = ground.at("usr/share/zsh/vendor-completions/_backstop");
        let text = fs::read_to_string(&at).expect("there");
        let lines: Vec<&str> = text.lines().take(2).collect();
        assert_eq!(lines, ["#compdef backstop", MARK.trim_end()]);
        // As earlier versions wrote it.
        fs::write(&at, format!("{MARK}{}", text.replacen(MARK, "", 1))).expect("written");
        install(&ground, &mut |_| ()).expect("installed");
        assert_eq!(fs::read_to_string(&at).expect("there"), text);
        uninstall(&ground, &mut |_| ()).expect("taken out");
        assert!(!at.exists());
    }

    #[test]
    fn what_is_somebody_elses_stays_and_settings_keep_their_words() {
        let (_dir, ground) = ground();
        fs::create_dir_all(ground.at("etc/systemd/system")).expect("made");
        fs::write(ground.at(UNIT_AT), "[Service]\n").expect("written");
        let failure = install(&ground, &mut |_| ()).expect_err("refused");
        assert!(failure.what.contains("not Backstop's"), "{}", failure.what);
        fs::remove_file(ground.at(UNIT_AT)).expect("removed");
        let words = "# ours\nprofile = 'production' # a server\nnotifier = 'bell'\n";
        fs::write(ground.at(SETTINGS), words).expect("written");
        install(&ground, &mut |_| ()).expect("installed");
        let text = fs::read_to_string(ground.at(SETTINGS)).expect("settings");
        assert!(text.starts_with(words) && text.contains("mode = \"system\""), "{text}");
        uninstall(&ground, &mut |_| ()).expect("taken out");
        assert_eq!(fs::read_to_string(ground.at(SETTINGS)).expect("settings"), words);
        fs::write(ground.at(SETTINGS), "profile = ").expect("written");
        assert!(install(&ground, &mut |_| ()).expect_err("refused").what.contains("can't be used"));
    }
}
