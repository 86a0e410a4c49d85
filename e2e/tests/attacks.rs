//! Takes `corpus/attack/`, tries every attack in a throw-away root: by plain bash (which it has to
//! get past, where the case says so), and under Backstop as root and as an ordinary user. Nothing
//! may reach what lies outside the workspace, and no name may repaint a screen.

use std::time::Duration;

use backstop_e2e::arena::{Arena, Plan, Who, beneath, quote};
use backstop_e2e::bounded::{Said, watchdog};
use backstop_e2e::corpus::{self, Attack, Bites};
use backstop_e2e::tree::{DiffOpts, Tree};
use backstop_e2e::trial::trial;
use backstop_e2e::{Broken, guard, screen};
use libtest_mimic::{Arguments, Failed};

const STEP: Duration = Duration::from_secs(60);
const FAILED: i32 = 125;
/// Every attack finds these outside its workspace.
const OUTSIDE: &str =
    "set -e; mkdir -p /w/outside/d; echo precious > /w/outside/f; echo deep > /w/outside/d/g; cd /w/work\n";
/// Switches of the whole machine; an attack that gets to them has left every namespace.
const SWITCHES: [&str; 5] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/fs/binfmt_misc/status",
];

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing();
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(300));
    }
    let cases: Vec<(String, Attack)> = corpus::load("attack").unwrap_or_else(|e| panic!("{e}"));
    let mut trials = Vec::new();
    for (name, case) in cases {
        for (who, bites) in [(Who::Root, Bites::Root), (Who::User, Bites::User)] {
            if case.bites.contains(&bites) {
                trials.push(trial(format!("plain-{}::{name}", who.name()), &missing, &case, move |c| {
                    gets_past_bash(c, who)
                }));
            } else {
                assert!(case.bites_not.is_some(), "{name}: say in bites_not why plain bash as {} stops it", who.name());
            }
            trials.push(trial(format!("{}::{name}", who.name()), &missing, &case, move |c| expect_stopped(c, who)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

/// One attack, tried.
struct Tried {
    arena: Arena,
    before: Tree,
    said: Said,
}

fn attempt(case: &Attack, who: Who, guarded: bool) -> Result<Tried, Broken> {
    let arena = Arena::new(Plan { who, guard: guarded.then(guard::binary), borrowed: Vec::new() })?;
    let mut fixture = OUTSIDE.to_owned();
    // The trap shows that the attack ran at all: a run that never starts stops everything.
    let mut put = |name: &str, text: &str| {
        fixture.push_str(&format!("printf %s {} > /w/work/{name}\n", quote(text)));
    };
    put("attack.sh", &format!("trap 'echo TRIED' EXIT\n{}\n", case.attack));
    if let Some(python) = &case.python {
        put("attack.py", python);
    }
    if let Some(c) = &case.c {
        put("attack.c", c);
        fixture.push_str("gcc -w -O1 -o attack attack.c\n");
    }
    fixture.push_str(&case.fixture);
    arena.sh(&fixture, &[], STEP)?.must("the fixture")?;
    let before = arena.tree();
    let run = if guarded {
        let options: Vec<String> = case.options.iter().map(|o| quote(o)).collect();
        format!("backstop run --workspace /w/work --session attack {} -c 'bash ./attack.sh'", options.join(" "))
    } else {
        "bash ./attack.sh".to_owned()
    };
    let outer = case.outer.as_deref().unwrap_or("eval \"$RUN\"");
    let script = format!(
        "cd /w/work; export RUN={}\n{}\n{outer}\ncode=$?\n{{ true; {}\n}} || echo VERIFY-FAILED\nexit $code",
        quote(&run),
        case.beside,
        case.verify
    );
    let said = arena.sh(&script, &[], STEP)?;
    Ok(Tried { arena, before, said })
}

impl Tried {
    /// How the attack got through; empty where it did not.
    fn reached(&self, case: &Attack) -> Vec<String> {
        let mut found = Vec::new();
        for word in ["REACHED", "VERIFY-FAILED"] {
            for line in [&self.said.out, &self.said.err].into_iter().flat_map(|s| s.split(|b| *b == b'\n')) {
                if line.windows(word.len()).any(|w| w == word.as_bytes()) {
                    found.push(line.escape_ascii().to_string());
                }
            }
        }
        let mut now = self.arena.tree();
        let mut before = self.before.clone();
        let own = |path: &[u8]| {
            // Its own times go with what is made in it.
            path == b"w/work"
                || ["/w/work"].into_iter().chain(case.may_change.iter().map(String::as_str)).any(|p| beneath(path, p))
        };
        for tree in [&mut before, &mut now] {
            tree.entries.retain(|path, _| !own(path));
        }
        found.extend(before.diff(&now, &DiffOpts::default()));
        found
    }
}

/// That the attack is one: nothing but Backstop stops it.
fn gets_past_bash(case: &Attack, who: Who) -> Result<(), Failed> {
    let tried = attempt(case, who, false)?;
    if tried.reached(case).is_empty() {
        return Err(format!("plain bash stops it too, so the case proves nothing\n  {}", tried.said.words()).into());
    }
    Ok(())
}

fn expect_stopped(case: &Attack, who: Who) -> Result<(), Failed> {
    match (stopped(case, who)?, case.not_yet.reason(who)) {
        (Ok(()), None) | (Err(_), Some(_)) => Ok(()),
        (Ok(()), Some(why)) => {
            Err(format!("stopped, though its file says not yet ({why}): take that entry out").into())
        }
        (Err(how), None) => Err(how.into()),
    }
}

fn stopped(case: &Attack, who: Who) -> Result<Result<(), String>, Broken> {
    let machine = switches();
    let tried = attempt(case, who, true)?;
    let words = tried.said.words();
    let reached = tried.reached(case);
    if !reached.is_empty() {
        return Ok(Err(format!("it got through:\n    {}\n  {words}", reached[..reached.len().min(10)].join("\n    "))));
    }
    if switches() != machine {
        return Ok(Err(format!("a switch of the machine was turned\n  {words}")));
    }
    let code = tried.said.code;
    if case.exit.is_empty() && (code == FAILED || code < 0) || !case.exit.is_empty() && !case.exit.contains(&code) {
        return Ok(Err(format!("unexpected exit code\n  {words}")));
    }
    let started = !case.may_not_start || tried.said.code == 0 && case.outer.is_none();
    if started && !tried.said.out.windows(5).any(|w| w == b"TRIED") {
        return Ok(Err(format!("the attack was never tried\n  {words}")));
    }
    if let Some(pattern) = &case.said {
        let pattern = regex::bytes::Regex::new(pattern)
            .map_err(|e| Broken::Case { file: "said".to_owned(), what: e.to_string() })?;
        if !pattern.is_match(&tried.said.err) {
            return Ok(Err(format!("it does not say {pattern}\n  {words}")));
        }
    }
    if !case.noisy
        && let Some(lines) = repainted("the run", &tried.said.err)
    {
        return Ok(Err(format!("{lines}\n  {words}")));
    }
    afterwards(case, &tried, started)
}

/// What people look at after an attack, and that it can be taken back without a trace.
fn afterwards(case: &Attack, tried: &Tried, started: bool) -> Result<Result<(), String>, Broken> {
    let look = "for verb in 'show @last' 'show --tree @last' 'show --diff @last' 'show --json @last' runs 'runs --json' log; do
            backstop $verb 2>&1 || echo \"SCREEN-FAILED $verb: $?\"
            script -qec \"stty -onlcr; backstop $verb\" /dev/null </dev/null 2>&1
        done";
    let screens = tried.arena.sh(look, &[], STEP)?;
    if let Some(lines) = repainted("show, runs or log", &screens.out) {
        return Ok(Err(lines));
    }
    if !started {
        return Ok(Ok(()));
    }
    let failed = screens.out.split(|b| *b == b'\n').find(|l| l.starts_with(b"SCREEN-FAILED"));
    if let Some(line) = failed {
        let at = screens.out.windows(13).position(|w| w == b"SCREEN-FAILED").unwrap_or(0);
        let before = screens.out[at.saturating_sub(400)..at].escape_ascii();
        return Ok(Err(format!("{}\n  after: {before}", line.escape_ascii())));
    }
    let verified = tried.arena.sh("backstop audit verify", &[], STEP)?;
    if verified.code != 0 {
        return Ok(Err(format!("the audit log does not verify\n  {}", verified.words())));
    }
    // Where people took part, what they did stays.
    if case.outer.is_none() && case.may_change.is_empty() {
        let undo = tried.arena.sh("backstop undo --session attack", &[], STEP)?;
        let lines = tried.before.diff(&tried.arena.tree(), &DiffOpts::default());
        if !lines.is_empty() {
            let shown = lines[..lines.len().min(10)].join("\n    ");
            return Ok(Err(format!("{} differences after undo:\n    {shown}\n  {}", lines.len(), undo.words())));
        }
    }
    Ok(Ok(()))
}

fn repainted(what: &str, bytes: &[u8]) -> Option<String> {
    let found = screen::repaints(bytes);
    let (at, first) = found.first()?;
    let around = bytes[at.saturating_sub(60)..bytes.len().min(at + 60)].escape_ascii();
    Some(format!("{what} would repaint the screen, {} times; first {first}: {around}", found.len()))
}

fn switches() -> Vec<Option<Vec<u8>>> {
    SWITCHES.iter().map(|s| std::fs::read(s).ok()).collect()
}
