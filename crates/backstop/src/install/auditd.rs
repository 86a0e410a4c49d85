//! Rules for auditd, by which the kernel itself writes down every program that agents' accounts start: what was started past
//! Backstop is in no log of ours. `backstop audit verify --auditd` compares the two.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use backstop_core::auditd::KEY;
use backstop_core::bytes::Bytes;
use backstop_core::machine::Machine;
use backstop_engine::porch::{Account, accounts_in};
use backstop_engine::{Failure, porch};

use super::system::{Done, Ground, SETTINGS};

/// The first line.
const MARK: &str = "# Made by `backstop install auditd`, and taken away by `backstop uninstall auditd`.\n";

/// Where auditd takes rules from (augenrules(8)).
const RULES_AT: &str = "etc/audit/rules.d/50-backstop.rules";

/// What puts them together and tells the kernel.
const LOADERS: [&str; 2] = ["/usr/sbin/augenrules", "/sbin/augenrules"];

/// Writes the rules and has them loaded.
pub fn install(ground: &Ground, tell: &mut dyn FnMut(Done)) -> Result<(), Failure> {
    let machine = Machine::parse(&String::from_utf8_lossy(&read(&ground.at(SETTINGS))?)).map_err(|why| {
        Failure::usage(format!("the machine's settings can't be used: {why}")).next("mend them: backstop help settings")
    })?;
    let accounts = accounts_in(&read(&ground.at("etc/passwd"))?);
    let ranges = String::from_utf8_lossy(&read(&ground.at("etc/subuid"))?).into_owned();
    let uids = agents(&machine, &accounts)?;
    let mut rules =
        ground.own_file(MARK, RULES_AT, &rules(&uids, &subordinate(&ranges, &uids, &accounts), &ground.daemon))?;
    let loader = loader(ground);
    if loader.is_none() {
        let why = "nothing loads them here: install auditd, then augenrules --load";
        rules.note = Some(why.to_owned());
    }
    tell(rules);
    if let Some(loader) = loader {
        tell(ground.told(loader, &["--load"])?);
    }
    Ok(())
}

/// What a file says; nothing where there is none.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    match std::fs::read(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::because(format!("cannot read {}", Bytes::from(path).quoted()), &e))
        }
        other => Ok(other.unwrap_or_default()),
    }
}

/// Takes them away again, and has auditd go on with what is left.
pub fn uninstall(ground: &Ground, tell: &mut dyn FnMut(Done)) -> Result<(), Failure> {
    let Some(done) = ground.take_own_away(MARK, RULES_AT)? else { return Ok(()) };
    tell(done);
    if let Some(loader) = loader(ground) {
        tell(ground.told(loader, &["--load"])?);
    }
    Ok(())
}

fn loader(ground: &Ground) -> Option<&'static str> {
    let here = ground.root == Path::new("/");
    LOADERS.into_iter().find(|path| here && Path::new(path).is_file())
}

/// The accounts that agents alone use, by their numbers.
pub fn agents(machine: &Machine, accounts: &[Account]) -> Result<BTreeSet<u32>, Failure> {
    if machine.agents.is_empty() {
        return Err(Failure::usage("no account is named that agents alone use")
            .next(format!("write it into /{SETTINGS}: agents = [\"NAME\"] (backstop help settings)")));
    }
    machine.agents.iter().map(|name| number(name, accounts)).collect()
}

/// An account by its name or its number.
pub fn number(name: &str, accounts: &[Account]) -> Result<u32, Failure> {
    let named = accounts.iter().find(|account| account.name.as_slice() == name.as_bytes()).map(|account| account.uid);
    named.or_else(|| name.parse().ok()).ok_or_else(|| {
        Failure::usage(format!("there is no account {}", backstop_core::quoted::Quoted(name.as_bytes())))
            .next("see which there are: getent passwd")
    })
}

/// The programs of Backstop's that lie beside one of them.
pub fn own_programs(beside: &Path) -> impl Iterator<Item = PathBuf> {
    let all = ["backstop", "backstopd", "backstop-notify", "backstop-export"];
    all.map(|name| beside.with_file_name(name)).into_iter()
}

/// The machine's own settings and accounts.
pub fn agents_here() -> Result<BTreeSet<u32>, Failure> {
    agents(&porch::machine()?, &porch::accounts())
}

/// Numbers that these accounts may become in user namespaces (subuid(5)): the first, and how many.
fn subordinate(text: &str, uids: &BTreeSet<u32>, accounts: &[Account]) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.split(':');
        let (name, first, count) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        number(name, accounts).ok().filter(|uid| uids.contains(uid)).map(|_| (first, count))
    };
    text.lines().filter_map(range).filter(|(_, count)| *count > 0).collect()
}

/// The same on this machine.
pub fn subordinate_here(uids: &BTreeSet<u32>) -> Result<Vec<(u32, u32)>, Failure> {
    let text = read(Path::new("/etc/subuid"))?;
    Ok(subordinate(&String::from_utf8_lossy(&text), uids, &porch::accounts()))
}

fn rules(uids: &BTreeSet<u32>, ranges: &[(u32, u32)], daemon: &Path) -> String {
    // The other way to ask the same machine for a program; its numbers are others.
    let archs: &[&str] = if cfg!(target_arch = "x86_64") { &["b64", "b32"] } else { &["b64"] };
    let mut whose: Vec<String> =
        uids.iter().flat_map(|uid| [format!("-F uid={uid}"), format!("-F auid={uid}")]).collect();
    whose.extend(
        ranges.iter().map(|(first, count)| format!("-F uid>={first} -F uid<={}", first.saturating_add(count - 1))),
    );
    let mut text = "## Programs that these accounts start, or whoever logged in by them.\n".to_owned();
    for whose in whose {
        for arch in archs {
            let line = format!("-a always,exit -F arch={arch} -S execve,execveat {whose} -F success=1 -F key={KEY}\n");
            text.push_str(&line);
        }
    }
    text.push_str(
        "## Whoever changes what Backstop goes by, or its programs.\n-w /etc/backstop/ -p wa -k backstop-config\n",
    );
    for program in own_programs(daemon).filter(|program| program.is_file()) {
        // A rule is split at blanks, and has no way to write one.
        if let Some(path) = program.to_str().filter(|path| !path.contains(char::is_whitespace)) {
            text.push_str(&format!("-w {path} -p wa -k backstop-program\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::install::Act;
    use crate::install::system::Did;

    type Steps = fn(&Ground, &mut dyn FnMut(Done)) -> Result<(), Failure>;

    #[test]
    fn rules_are_made_for_the_accounts_of_the_settings_and_taken_away_again() {
        let dir = tempfile::tempdir().expect("temp");
        let root = dir.path().canonicalize().expect("real");
        let daemon = root.join("backstopd");
        let ground = Ground { root: root.clone(), daemon: daemon.clone(), dry_run: false };
        let acts = |step: Steps| {
            let mut all = Vec::new();
            step(&ground, &mut |done| all.push(done.did)).map(|()| all)
        };
        fs::create_dir_all(root.join("etc/backstop")).expect("made");
        assert!(acts(install).expect_err("for whom").what.contains("no account"));
        fs::write(root.join(SETTINGS), "agents = [\"bot\", \"other\"]\n").expect("written");
        fs::write(root.join("etc/passwd"), "bot:x:1003:1003::/home/bot:/bin/sh\n").expect("written");
        assert!(acts(install).expect_err("nobody").what.contains("there is no account"));
        fs::write(root.join(SETTINGS), "agents = [\"bot\"]\n").expect("written");
        fs::write(&daemon, "").expect("written");
        fs::write(root.join("etc/subuid"), "root:1:5\nbot:100000:65536\n1003:7:0\nbot:x\n").expect("written");
        assert_eq!(acts(install).expect("made"), [Did::Place(Act::Create)]);
        assert_eq!(acts(install).expect("the same"), [Did::Place(Act::Same)]);
        let text = fs::read_to_string(root.join(RULES_AT)).expect("there");
        let line = "-a always,exit -F arch=b64 -S execve,execveat -F uid=1003 -F success=1 -F key=backstop-exec\n";
        assert!(text.starts_with(MARK) && text.contains(line) && text.contains(&line.replace("uid", "auid")), "{text}");
        assert!(
            text.contains(" -F uid>=100000 -F uid<=165535 -F success=1")
                && text.matches("uid>=").count() == text.matches("uid=1003").count() / 2,
            "{text}"
        );
        assert!(text.contains(&format!("-w {} -p wa", daemon.display())), "{text}");
        assert_eq!(acts(uninstall).expect("gone"), [Did::Place(Act::Remove)]);
        assert!(acts(uninstall).expect("nothing to do").is_empty() && !root.join(RULES_AT).exists());
        fs::create_dir_all(root.join("etc/audit/rules.d")).expect("made");
        fs::write(root.join(RULES_AT), "-D\n").expect("written");
        assert!(acts(install).is_err(), "somebody else's");
        assert_eq!(acts(uninstall).expect("left"), [Did::Place(Act::Foreign)]);
    }
}
