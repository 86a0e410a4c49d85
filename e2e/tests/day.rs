//! Takes `day/session.sh`, works through it command by command under Backstop in a throw-away root,
//! then takes the whole day back and brings it back again. Undo must give the tree before and redo
//! the tree after, to the last attribute; and the day must end as it does under plain bash.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use backstop_e2e::arena::{Arena, Plan, Who, quote};
use backstop_e2e::bounded::{Said, run, watchdog};
use backstop_e2e::tree::{DiffOpts, Tree};
use backstop_e2e::{Broken, guard};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

const SESSION: &str = include_str!("../day/session.sh");
const FIXTURE: &str = include_str!("../day/fixture.sh");
/// The toolchain, inside.
const TOOLCHAIN: &str = "/opt/rust";
const ENVIRONMENT: &str = "export GIT_AUTHOR_NAME=Day GIT_AUTHOR_EMAIL=day@example.org GIT_COMMITTER_NAME=Day \
    GIT_COMMITTER_EMAIL=day@example.org GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z \
    CARGO_NET_OFFLINE=true NO_UPDATE_NOTIFIER=1 npm_config_update_notifier=false; cd /w/day\n";
/// What the day leaves otherwise than under plain bash, so far, and why; checked to be still so.
const NOT_YET: [(&str, Option<Who>, &str); 3] = [
    ("w/day/data/zeros: data segments", None, "a hole dug into content that stays the same is no effect"),
    ("w/day/data/old1", Some(Who::User), LINKS),
    ("w/day/data/rows", Some(Who::User), LINKS),
];
const LINKS: &str = "without root the names of one file part when one of them is changed";
/// Why some commands of an ordinary user's day need a person's word, so far.
const HELD_AS_USER: &str = "without root nobody can tell whether a file with several names is changed or replaced";
const DAY: Duration = Duration::from_secs(240);
const STEP: Duration = Duration::from_secs(120);

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing().or_else(no_tools);
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(540));
    }
    let trials = [Who::Root, Who::User].map(|who| {
        let (name, missing) = (format!("a-day-s-session-is-undone-and-redone-as-{}", who.name()), missing.clone());
        Trial::ignorable_test(name.clone(), move || match missing {
            Some(why) => {
                eprintln!("SKIPPED {name}: {why}");
                Ok(Completion::ignored_with(why))
            }
            None => day(who).map(|()| Completion::Completed),
        })
    });
    libtest_mimic::run(&args, trials.into()).exit();
}

/// The tools that a day needs beyond the arena's.
fn no_tools() -> Option<String> {
    let programs = ["cargo", "make", "node", "npm", "tar", "rsync", "xz", "perl", "sqlite3", "setfattr", "setfacl"];
    let absent: Vec<_> = programs.into_iter().filter(|p| *p != "cargo" && !guard::installed(p)).collect();
    if !absent.is_empty() {
        return Some(format!("these programs are missing: {}", absent.join(", ")));
    }
    toolchain().is_none().then(|| "there is no Rust toolchain".to_owned())
}

fn toolchain() -> Option<PathBuf> {
    let said = run(Command::new("rustc").args(["--print", "sysroot"]), Duration::from_secs(10)).ok()?;
    let path = PathBuf::from(String::from_utf8(said.out).ok()?.trim());
    path.join("bin/cargo").is_file().then_some(path)
}

/// The session's commands.
fn commands() -> Vec<&'static str> {
    SESSION.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect()
}

/// A root in which the day begins.
fn morning(who: Who, guarded: bool) -> Result<Arena, Broken> {
    let borrowed = toolchain().map(|t| (t, TOOLCHAIN.to_owned())).into_iter().collect();
    let arena = Arena::new(Plan { who, guard: guarded.then(guard::binary), borrowed })?;
    arena.sh(&format!("set -e; mkdir -p /w/day; {ENVIRONMENT}{FIXTURE}"), &[], STEP)?.must("the fixture")?;
    Ok(arena)
}

/// Works through the session; `prefix` stands before each command, quoted as one word.
fn work(arena: &Arena, prefix: &str) -> Result<(Said, Duration), Broken> {
    let mut script = format!(
        "{ENVIRONMENT}failed=0
        one() {{
            {prefix} \"$1\" > /tmp/day.out 2>&1; code=$?
            if [ $code = 75 ]; then
                echo \"$1\" >> /tmp/day.held
                backstop commit @last >> /tmp/day.out 2>&1; code=$?
            fi
            if [ $code != 0 ]; then echo \"exit $code: $1\"; tail -n 12 /tmp/day.out; failed=$((failed+1)); fi
        }}\n"
    );
    for command in commands() {
        script.push_str(&format!("one {}\n", quote(command)));
    }
    script.push_str("exit $((failed > 99 ? 99 : failed))\n");
    // More than one argument of a program may hold; the shell reads it from a file.
    std::fs::write(arena.at("/tmp/day.sh"), script).map_err(Broken::io("write the day's script"))?;
    let begun = Instant::now();
    let said = arena.sh("exec bash /tmp/day.sh", &[], DAY)?;
    Ok((said, begun.elapsed()))
}

/// The one command of the day that a person is asked about: a whole repository goes away.
const ASKED: &str = "rm -rf fromb app.bundle";

fn day(who: Who) -> Result<(), Failed> {
    let plain = morning(who, false)?;
    let (said, plain_time) = work(&plain, "bash -c")?;
    if said.code != 0 {
        return Err(format!("{} commands of the day fail under plain bash\n  {}", said.code, said.words()).into());
    }
    let plain_evening = plain.tree();
    drop(plain);

    let arena = morning(who, true)?;
    let before = arena.tree();
    let (said, time) = work(&arena, "backstop run --workspace /w/day --session day -c")?;
    if said.code != 0 {
        return Err(format!("{} commands of the day fail under Backstop\n  {}", said.code, said.words()).into());
    }
    let held = std::fs::read_to_string(arena.at("/tmp/day.held")).unwrap_or_default();
    let asked: Vec<&str> = held.lines().map(str::trim).filter(|l| !l.is_empty() && *l != ASKED).collect();
    match (asked.len(), who) {
        (0, Who::Root) | (1.., Who::User) => {}
        (_, Who::Root) => return Err(format!("these were held, and need not have been:\n{held}").into()),
        (_, Who::User) => return Err(format!("nothing was held: it is no longer true that {HELD_AS_USER}").into()),
    }
    let after = arena.tree();
    let vault = arena.sh("du -sk /state | cut -f1", &[], STEP)?;
    like_bash(&made(&plain_evening), &made(&after), who)?;

    let undo = timed(&arena, "backstop undo --session day")?;
    same("the tree before the day and after undo", &before, &arena.tree())?;
    let redo = timed(&arena, "backstop redo --session day")?;
    same("the tree after the day and after redo", &after, &arena.tree())?;
    timed(&arena, "backstop audit verify")?;

    let count = commands().len();
    eprintln!(
        "day as {}: {count} commands, {} of them held and then committed by a person, plain bash {:.1} s, under Backstop {:.1} s ({:+.0} ms a command); {} entries after; \
         state and vault {} KiB; undo {:.2} s, redo {:.2} s; 0 differences before and after",
        who.name(),
        held.lines().count(),
        plain_time.as_secs_f64(),
        time.as_secs_f64(),
        (time.as_secs_f64() - plain_time.as_secs_f64()) * 1000.0 / count as f64,
        after.entries.len(),
        vault.out.trim_ascii().escape_ascii(),
        undo.as_secs_f64(),
        redo.as_secs_f64(),
    );
    Ok(())
}

fn timed(arena: &Arena, command: &str) -> Result<Duration, Broken> {
    let begun = Instant::now();
    arena.sh(&format!("{ENVIRONMENT}{command}"), &[], STEP)?.must(command)?;
    Ok(begun.elapsed())
}

/// What the day made, without what is different each time it is made: git's index holds inode
/// numbers, caches hold times.
fn made(tree: &Tree) -> Tree {
    let noise = |name: &[u8]| name.ends_with(b".git") || [&b"target"[..], b"__pycache__", b"home"].contains(&name);
    let mut tree = tree.clone();
    tree.entries.retain(|path, _| !path.split(|b| *b == b'/').any(noise));
    tree
}

/// The same but for the moment at which things were made, and for what is known.
fn like_bash(plain: &Tree, guarded: &Tree, who: Who) -> Result<(), Failed> {
    let mut lines = plain.diff(guarded, &DiffOpts { no_mtime: true, ..DiffOpts::default() });
    for (known, only, why) in NOT_YET {
        let before = lines.len();
        if only.is_none_or(|o| o == who) {
            lines.retain(|l| !l.starts_with(known));
            if lines.len() == before {
                return Err(format!("{known} is the same now: take it out of NOT_YET ({why})").into());
            }
        }
    }
    told("the evening under plain bash and under Backstop", &lines)
}

fn same(what: &str, a: &Tree, b: &Tree) -> Result<(), Failed> {
    told(what, &a.diff(b, &DiffOpts::default()))
}

fn told(what: &str, lines: &[String]) -> Result<(), Failed> {
    if lines.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {} differences\n    {}", what, lines.len(), lines[..lines.len().min(25)].join("\n    ")).into())
}
