//! Takes `corpus/benign/`, runs every line in a throw-away root: under plain bash, under Backstop on a
//! workstation and in production, as root and as an ordinary user. Each gets the tier its file says,
//! and what is allowed ends as under plain bash. Prints who was asked how often; hides no line.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use backstop_e2e::arena::{Arena, Plan, Who, beneath, quote};
use backstop_e2e::benign::{Case, Table, Tier};
use backstop_e2e::bounded::{Said, run, watchdog};
use backstop_e2e::tree::{DiffOpts, Tree};
use backstop_e2e::{Broken, corpus, guard};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde::Deserialize;

/// Of a thousand everyday commands, so many may need a person on a workstation.
const ASKED_PER_MILLE: usize = 20;
/// Programs that not every distribution packages: their cases may be left out, visibly.
const MAY_BE_MISSING: [&str; 2] = ["kubectl", "terraform"];
/// The toolchain, inside.
const TOOLCHAIN: &str = "/opt/rust";
/// What an agent's shell has set; one date, so that git's object names are the same twice.
const SHELL: &str = "export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z \
    GIT_EDITOR=true CARGO_NET_OFFLINE=true npm_config_update_notifier=false npm_config_audit=false \
    npm_config_fund=false PIP_DISABLE_PIP_VERSION_CHECK=1 CHECKPOINT_DISABLE=1 PATH=\"$HOME/.local/bin:$PATH\"; \
    cd /w/work\n";
/// Before every fixture: who the agent is to git. Repositories beside the workspace stand for servers.
const HOME: &str = "set -e; git config --global user.name Agent; git config --global user.email agent@example.org\n\
    git config --global init.defaultBranch main; git config --global advice.detachedHead false\n\
    git config --global protocol.file.allow always; git config --global gc.auto 0\n";
/// Copying the fixture gave every file another inode, and git would write its index anew for that.
const FRESH: &str = "test ! -d .git || git update-index -q --refresh > /dev/null 2>&1\n";
/// What programs write a time or a number into, whatever the command.
const NEVER_THE_SAME: [&str; 3] =
    ["/home/agent/.npm/_logs", "/home/agent/.npm/_cacache/index-v5", "/home/agent/.npm/_update-notifier-last-checked"];
const STEP: Duration = Duration::from_secs(90);

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing();
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(900));
    }
    let name = "everyday-commands-are-not-stopped-and-end-as-under-plain-bash";
    let trial = Trial::ignorable_test(name, move || match missing {
        Some(why) => {
            eprintln!("SKIPPED {name}: {why}");
            Ok(Completion::ignored_with(why))
        }
        None => everyday().map(|()| Completion::Completed),
    });
    libtest_mimic::run(&args, vec![trial]).exit();
}

/// What became of one line.
struct Outcome<'a> {
    name: &'a str,
    case: &'a Case,
    tiers: [Tier; 2],
    /// The rules that spoke on a workstation.
    rules: Vec<String>,
    /// Where it wasn't as it should be.
    wrong: Vec<String>,
}

/// What became of all lines of one user.
struct Report {
    text: String,
    failures: Vec<String>,
}

fn everyday() -> Result<(), Failed> {
    let mut cases: Vec<(String, Case)> = corpus::load("benign")?;
    // To look at a few: BACKSTOP_BENIGN=git-stash,npm runs those whose names begin so, and checks no share.
    let only = std::env::var("BACKSTOP_BENIGN").ok();
    if let Some(few) = &only {
        cases.retain(|(name, _)| few.split(',').any(|begin| name.starts_with(begin)));
    }
    let toolchain = toolchain();
    let (cases, left_out): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|(_, case)| absent(case, toolchain.as_deref()).is_none());
    let begun = Instant::now();
    let mut failures: Vec<String> = left_out
        .iter()
        .filter_map(|(name, case)| Some((name, absent(case, toolchain.as_deref())?)))
        .inspect(|(name, program)| println!("NOT RUN {name}: {program} is not installed"))
        .filter(|(_, program)| !MAY_BE_MISSING.contains(program))
        .map(|(name, program)| format!("{name} was not run: {program} is not installed (`cargo xtask test` brings it)"))
        .collect();
    let (cases, toolchain, check_share) = (cases.as_slice(), toolchain.as_deref(), only.is_none());
    let reports = std::thread::scope(|scope| {
        let threads =
            [Who::Root, Who::User].map(|who| scope.spawn(move || as_user(who, cases, toolchain, check_share)));
        threads.map(|t| t.join().unwrap_or_else(|_| Err(Failed::from("a thread of this test panicked"))))
    });
    for report in reports {
        let report = report?;
        println!("{}", report.text);
        failures.extend(report.failures);
    }
    println!("{} lines, {} not run, {:.0} s", cases.len(), left_out.len(), begun.elapsed().as_secs_f64());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The first program that a case needs and this machine lacks.
fn absent<'a>(case: &'a Case, toolchain: Option<&Path>) -> Option<&'a str> {
    let there =
        |program: &str| guard::installed(program) || toolchain.is_some_and(|t| t.join("bin").join(program).is_file());
    case.needs.iter().map(String::as_str).find(|p| !there(p))
}

fn toolchain() -> Option<PathBuf> {
    let said = run(Command::new("rustc").args(["--print", "sysroot"]), Duration::from_secs(10)).ok()?;
    let path = PathBuf::from(String::from_utf8(said.out).ok()?.trim());
    path.join("bin/cargo").is_file().then_some(path)
}

/// Every line as one user, in one root that is put back before each.
fn as_user(who: Who, cases: &[(String, Case)], toolchain: Option<&Path>, check_share: bool) -> Result<Report, Failed> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/benign/fixtures");
    let fixtures = fixtures.canonicalize().map_err(Broken::io("find corpus/benign/fixtures"))?;
    let mut borrowed = vec![(fixtures, "/fixtures".to_owned())];
    borrowed.extend(toolchain.map(|t| (t.to_owned(), TOOLCHAIN.to_owned())));
    let room = Room {
        arena: Arena::new(Plan { who, guard: Some(guard::binary()), borrowed })?,
        untouched: RefCell::default(),
    };
    // Nothing here outlives a power cut: what takes the time otherwise is waiting for the disk.
    let image = room.arena.root();
    let said = run(Command::new("mount").args(["-o", "remount,barrier=0"]).arg(image), STEP)?;
    said.must("turning the image's write barriers off")?;
    for fixture in cases.iter().map(|(_, c)| c.fixture.as_str()).collect::<BTreeSet<_>>() {
        room.build(fixture)?;
    }
    let mut outcomes = Vec::new();
    for (name, case) in cases {
        outcomes.push(room.line(name, case)?);
    }
    Ok(report(who, &outcomes, check_share))
}

fn report(who: Who, outcomes: &[Outcome<'_>], check_share: bool) -> Report {
    let mut tables = [Table::default(), Table::default()];
    let (mut asked, mut failures) = (String::new(), Vec::new());
    for outcome in outcomes {
        for (table, tier) in tables.iter_mut().zip(outcome.tiers) {
            table.add(&outcome.case.group, tier);
        }
        if outcome.tiers[0] != Tier::Allow {
            asked.push_str(&format!("  {} {}: {}\n", outcome.tiers[0].name(), outcome.name, outcome.rules.join(", ")));
        }
        match (outcome.wrong.is_empty(), outcome.case.not_yet.reason(who)) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => {
                failures.push(format!(
                    "{} as {}: {}\n  {}",
                    outcome.name,
                    who.name(),
                    outcome.case.line,
                    outcome.wrong.join("\n  ")
                ));
            }
            (true, Some(why)) => failures.push(format!(
                "{} as {}: it is as it should be, though its file says not yet ({why}): take that entry out",
                outcome.name,
                who.name()
            )),
        }
    }
    let [workstation, production] = &tables;
    let total = workstation.total();
    if check_share && total.asked_per_mille() > ASKED_PER_MILLE {
        failures.push(format!(
            "as {}, {} of {} everyday commands ask:\n{asked}",
            who.name(),
            total.all() - total.of(Tier::Allow),
            total.all()
        ));
    }
    if total.of(Tier::Deny) > 0 {
        failures.push(format!("as {}, {} everyday commands are denied:\n{asked}", who.name(), total.of(Tier::Deny)));
    }
    let text = format!(
        "{}{}not allowed on a workstation:\n{}",
        workstation.drawn(&format!("workstation, as {}", who.name())),
        production.drawn(&format!("production, as {}", who.name())),
        if asked.is_empty() { "  none\n" } else { &asked }
    );
    Report { text, failures }
}

/// The throw-away root of one user.
struct Room {
    arena: Arena,
    /// The fixture that lies there as it was built; none where something has run since.
    untouched: RefCell<Option<String>>,
}

/// How a line ended: the words of both streams, the disk.
struct End {
    said: Said,
    tree: Tree,
}

/// What `backstop run --json` says, as far as this test cares.
#[derive(Deserialize)]
struct Document {
    exit_code: i32,
    record: Record,
}

#[derive(Deserialize)]
struct Record {
    state: String,
    judgement: Option<Judgement>,
}

#[derive(Deserialize)]
struct Judgement {
    decision: Tier,
    #[serde(default)]
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    rule: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    paths: Vec<serde_json::Value>,
}

impl Room {
    /// Builds a fixture once and keeps a copy of it.
    fn build(&self, fixture: &str) -> Result<(), Broken> {
        const BLANK: &str =
            "set -e; mkdir -p -m 700 /pristine/blank; cd /pristine/blank; test -e w || cp -a /w /home/agent .\n";
        self.arena.sh_as(Who::Root, BLANK, &[], STEP)?.must("keeping the blank root")?;
        self.reset("blank")?;
        let script = format!("{SHELL}{HOME}. /fixtures/{fixture}.sh");
        self.arena.sh(&script, &[], STEP)?.must(&format!("the fixture {fixture}"))?;
        let keep = format!("set -e; mkdir /pristine/{fixture}; cd /pristine/{fixture}; cp -a /w /home/agent .");
        self.arena.sh_as(Who::Root, &keep, &[], STEP)?.must("keeping the fixture")?;
        Ok(())
    }

    /// Puts the root back to where `fixture` left it. Everything named here lies in the image.
    fn reset(&self, fixture: &str) -> Result<(), Broken> {
        let script = format!(
            "set -e; find /w /home/agent /tmp /state -mindepth 1 -delete\n\
             cd /pristine/{fixture}; cp -a w/. /w/; cp -a agent/. /home/agent/"
        );
        self.arena.sh_as(Who::Root, &script, &[], STEP)?.must("putting the root back")?;
        *self.untouched.borrow_mut() = Some(fixture.to_owned());
        Ok(())
    }

    /// Runs a command where the fixture left everything. That a run which was held, or had no effect,
    /// leaves nothing behind is another test's claim; here it saves a third of the copies.
    fn run(&self, case: &Case, command: &str) -> Result<Said, Broken> {
        if self.untouched.borrow().as_ref() != Some(&case.fixture) {
            self.reset(&case.fixture)?;
        }
        self.untouched.borrow_mut().take();
        self.arena.sh(&format!("{SHELL}{FRESH}{command}"), &[], STEP)
    }

    fn guarded(&self, case: &Case, profile: &str) -> Result<Said, Broken> {
        let said = self.run(case, &format!("backstop run --profile {profile} --json -c {}", quote(&case.line)))?;
        let state = serde_json::from_slice(&said.out).map(|d: Document| d.record.state);
        if state.is_ok_and(|s| ["held", "no-effect"].contains(&s.as_str())) {
            *self.untouched.borrow_mut() = Some(case.fixture.clone());
        }
        Ok(said)
    }

    /// The workspace, what lies beside it, and the home, but for what is never twice the same.
    fn tree(&self, case: &Case) -> Tree {
        let mut all = BTreeMap::new();
        for place in ["w", "home/agent"] {
            for (path, entry) in self.arena.tree_at(place).entries {
                let full = if path.is_empty() { place.into() } else { [place.as_bytes(), b"/", &path].concat() };
                all.insert(full, entry);
            }
        }
        let varies: Vec<String> = case
            .varies
            .iter()
            .map(|p| if p.starts_with('/') { p.clone() } else { format!("/w/work/{p}") })
            .chain(NEVER_THE_SAME.map(str::to_owned))
            .collect();
        all.retain(|path, _| !varies.iter().any(|p| beneath(path, p)) && !of_git_itself(path));
        Tree { entries: all }
    }

    fn line<'a>(&self, name: &'a str, case: &'a Case) -> Result<Outcome<'a>, Broken> {
        let mut wrong = Vec::new();
        let (production, _) = tier(&self.guarded(case, "production")?, case.production, "production", &mut wrong);
        let since = SystemTime::now();
        // With --json the command's own output goes to standard error.
        let said = self.run(case, &format!("bash -c {} 1>&2", quote(&case.line)))?;
        if said.code != 0 {
            wrong.push(format!("it fails by itself: {}", words(&said)));
        }
        let plain = End { said, tree: self.tree(case) };
        let said = self.guarded(case, "workstation")?;
        let (workstation, rules) = tier(&said, case.workstation, "workstation", &mut wrong);
        if workstation == Tier::Allow {
            wrong.extend(unlike(case, &plain, &End { said, tree: self.tree(case) }, since));
        }
        Ok(Outcome { name, case, tiers: [workstation, production], rules, wrong })
    }
}

/// The tier of a run, with the rules that spoke; what is wrong with it goes to `wrong`.
fn tier(said: &Said, expected: Tier, profile: &str, wrong: &mut Vec<String>) -> (Tier, Vec<String>) {
    match judged(said) {
        Ok((tier, rules)) => {
            if tier != expected {
                wrong.push(format!("{profile}: {} and not {}: {}", tier.name(), expected.name(), rules.join("; ")));
            }
            (tier, rules)
        }
        Err(why) => {
            wrong.push(format!("{profile}: {why}\n  {}", words(said)));
            (Tier::Deny, vec![why])
        }
    }
}

/// git's index holds inode numbers and times; what it packs holds what the loose objects held.
fn of_git_itself(path: &[u8]) -> bool {
    let mut parts = path.split(|b| *b == b'/').skip_while(|p| *p != b".git").skip(1).peekable();
    parts.peek().is_some() && (path.ends_with(b"/index") || parts.any(|p| p == b"pack"))
}

/// The tier that a run got, and the rules that spoke.
fn judged(said: &Said) -> Result<(Tier, Vec<String>), String> {
    let document: Document =
        serde_json::from_slice(&said.out).map_err(|e| format!("no document on standard output ({e})"))?;
    let by_state = match (document.record.state.as_str(), document.exit_code) {
        ("failed", _) | (_, 125) => return Err("Backstop failed".to_owned()),
        ("held", 75) => Some(Tier::Ask),
        ("denied", 77) => Some(Tier::Deny),
        ("held" | "denied", code) => return Err(format!("{} with exit code {code}", document.record.state)),
        _ => None,
    };
    let Some(judgement) = document.record.judgement else { return Ok((by_state.unwrap_or(Tier::Allow), Vec::new())) };
    let fits = match judgement.decision {
        Tier::Allow => by_state.is_none(),
        Tier::Ask | Tier::TwoPerson => by_state == Some(Tier::Ask),
        Tier::Deny => by_state == Some(Tier::Deny),
    };
    if !fits {
        return Err(format!("judged {}, but {}", judgement.decision.name(), document.record.state));
    }
    let shown = |r: &Reason| {
        let at = r.paths.first().map(|p| format!(" at {p}")).unwrap_or_default();
        format!("{} ({}{at})", r.rule, r.why)
    };
    Ok((judgement.decision, judgement.reasons.iter().map(shown).collect()))
}

/// What the command said: the document beside it is for machines.
fn words(said: &Said) -> String {
    Said { out: Vec::new(), ..said.clone() }.words()
}

/// How an allowed run differs from plain bash.
fn unlike(case: &Case, plain: &End, guarded: &End, since: SystemTime) -> Vec<String> {
    let mut wrong = Vec::new();
    if plain.said.code != guarded.said.code {
        wrong.push(format!("exit code {} and not {}\n  {}", guarded.said.code, plain.said.code, words(&guarded.said)));
    }
    if !case.prints_varying && plain.said.err != guarded.said.err {
        wrong.push(format!(
            "other output than plain bash\n  plain {}\n  guarded {}",
            words(&plain.said),
            words(&guarded.said)
        ));
    }
    let lines = plain.tree.diff(&guarded.tree, &DiffOpts { mtime_since: Some(since), ..DiffOpts::default() });
    if !lines.is_empty() {
        wrong.push(format!(
            "{} differences to plain bash:\n    {}",
            lines.len(),
            lines[..lines.len().min(8)].join("\n    ")
        ));
    }
    wrong
}
