//! Takes the scenarios of `terminal/`, plays each in a real terminal (tmux) by plain bash and under
//! Backstop, and compares what a person would see: colours, sizes, keys, job control, editors.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use backstop_e2e::arena::{Arena, Plan, Who, quote};
use backstop_e2e::bounded::watchdog;
use backstop_e2e::trial::claim;
use backstop_e2e::{Broken, guard};
use libtest_mimic::{Arguments, Failed};

const STEP: Duration = Duration::from_secs(60);
const WORDS: &str = include_str!("../terminal/words.sh");

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing().or_else(|| {
        let absent: Vec<_> = ["tmux", "less"].into_iter().filter(|p| !guard::installed(p)).collect();
        (!absent.is_empty()).then(|| format!("these programs are missing: {}", absent.join(", ")))
    });
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(300));
    }
    let mut trials = Vec::new();
    for (name, script) in scenarios() {
        for (mode, who, daemon) in [("root", Who::Root, false), ("user", Who::User, false), ("daemon", Who::User, true)]
        {
            // Behind a daemon a command has a terminal of its own, with a name of its own.
            if daemon && name == "terminal-name" {
                continue;
            }
            let script = script.clone();
            let claimed = move || feels_like_bash(&script, who, daemon);
            trials.push(claim(format!("{mode}::{name}"), &missing, claimed));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn scenarios() -> Vec<(String, String)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("terminal");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("list {}: {e}", dir.display())) {
        let path = entry.unwrap_or_else(|e| panic!("list {}: {e}", dir.display())).path();
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("unnamed").to_owned();
        if name != "words" {
            found.push((name, std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))));
        }
    }
    found.sort();
    found
}

/// The scenario tells the same under Backstop as under plain bash; it tells only what it saw on the
/// screen, so what it waits for in vain fails it.
fn feels_like_bash(script: &str, who: Who, daemon: bool) -> Result<(), Failed> {
    let arena = Arena::new(Plan { who, guard: Some(guard::binary()), borrowed: Vec::new() })?;
    // A short name: a typed line that wraps would look like output.
    let short = "#!/bin/sh\nexec backstop run --workspace /w/work --session terminal -- \"$@\"\n";
    std::fs::write(arena.at("/tmp/b"), short).map_err(Broken::io("write the short name"))?;
    std::fs::set_permissions(arena.at("/tmp/b"), PermissionsExt::from_mode(0o755))
        .map_err(Broken::io("make it run"))?;
    let play = |name: &str, wrap: &str| {
        let head = format!("cd /w/work; export NAME={name} WRAP={} TERM=xterm-256color\n", quote(wrap));
        let script = format!("{head}{WORDS}\n{script}");
        if daemon { arena.sh_as(Who::Root, &by_a_daemon(&script), &[], STEP) } else { arena.sh(&script, &[], STEP) }
    };
    let plain = play("plain", "")?;
    if plain.code != 0 || plain.out.is_empty() {
        return Err(format!("the scenario fails under plain bash\n  {}", plain.words()).into());
    }
    let guarded = play("guarded", "/tmp/b")?;
    if (guarded.code, &guarded.out) != (plain.code, &plain.out) {
        return Err(format!("plain bash:\n  {}\nunder Backstop:\n  {}", plain.words(), guarded.words()).into());
    }
    Ok(())
}

/// The same as the user's own, where a daemon serves him.
fn by_a_daemon(script: &str) -> String {
    format!(
        "backstopd 2> /tmp/daemon.log & while [ ! -S /run/backstop/socket ]; do sleep 0.02; done\n\
         exec setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all bash -c {}",
        quote(script)
    )
}
