//! Takes `corpus/incident/`, replays every case in a throw-away root: by plain bash (which has to
//! lose data, or the case proves nothing), under Backstop as root and as an ordinary user (which
//! must not), and with the harmless command the agent's user meant (which must not be stopped).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use backstop_e2e::arena::{Arena, Plan, Who, beneath, inside, quote};
use backstop_e2e::benign::Tier;
use backstop_e2e::bounded::{Said, watchdog};
use backstop_e2e::corpus::{self, Expect, Incident};
use backstop_e2e::service::Service;
use backstop_e2e::tree::{DiffOpts, Kind, Tree};
use backstop_e2e::trial::trial;
use backstop_e2e::{Broken, guard};
use libtest_mimic::{Arguments, Failed};
use serde::Deserialize;

/// `mk DIR N [EXT]` makes N files whose content names their place; `g` is git with an identity.
const WORDS: &str = r#"
set -e
mk() { local d="$1" n="$2" e="${3:-dat}"; mkdir -p "$d"; for i in $(seq 1 "$n"); do yes "$PWD/$d/$i" | head -c $((200+i*7)) > "$d/f$i.$e"; done; }
g() { git -c user.name=t -c user.email=t@t -c init.defaultBranch=main -c advice.detachedHead=false "$@"; }
mkdir -p /w/daemon/sink
"#;
/// What the shell has set: an identity for git, and one date, so that its object names are the same twice.
const AGENT: &str = "export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t \
    GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z; ";
const STEP: Duration = Duration::from_secs(60);
const HELD: i32 = 75;
const DENIED: i32 = 77;
const FAILED: i32 = 125;

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing();
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(300));
    }
    let cases: Vec<(String, Incident)> = corpus::load("incident").unwrap_or_else(|e| panic!("{e}"));
    let mut trials = Vec::new();
    for (name, case) in cases {
        trials.push(trial(format!("plain::{name}"), &missing, &case, plain_bash_loses_data));
        for who in [Who::Root, Who::User] {
            trials.push(trial(format!("{}::{name}", who.name()), &missing, &case, move |c| expect_saved(c, who)));
            trials.push(trial(format!("control-{}::{name}", who.name()), &missing, &case, move |c| {
                expect_harmless(c, who)
            }));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

/// What `backstop show --json` says, as far as this test cares.
#[derive(Deserialize)]
struct Document {
    record: Record,
}

#[derive(Deserialize)]
struct Record {
    judgement: Option<Judgement>,
    meaning: Option<Meaning>,
}

#[derive(Deserialize)]
struct Meaning {
    #[serde(default)]
    told: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    lens: String,
    text: String,
}

#[derive(Deserialize)]
struct Judgement {
    decision: Tier,
}

/// One case set up in its own root, with the state its data had before the command.
struct Stage {
    // Declared first to go first: it lists the root's files.
    _service: Option<Service>,
    arena: Arena,
    kept: Kept,
    before: Tree,
}

/// The protected files: content and mode.
type Kept = BTreeMap<Vec<u8>, ([u8; 32], u32)>;

impl Stage {
    fn set(case: &Incident, who: Who, guarded: bool) -> Result<Self, Broken> {
        let arena = Arena::new(Plan { who, guard: guarded.then(guard::binary), borrowed: Vec::new() })?;
        let fixture = format!("{AGENT}{WORDS}\n{}\nmkdir -p {}", case.fixture, quote(&case.workspace));
        arena.sh(&fixture, &[], STEP)?.must("the fixture")?;
        let service =
            case.daemon.then(|| Service::start(&arena.at("/w/run/d.sock"), arena.at("/w/daemon"))).transpose()?;
        let before = tree(&arena, case);
        let kept = kept(case, &before);
        if case.protect.is_empty() == case.check.is_none() && kept.is_empty() {
            return Err(Broken::Case { file: case.id.clone(), what: "it protects nothing".to_owned() });
        }
        let stage = Self { _service: service, arena, kept, before };
        stage.sh(case, "true")?.must("the mounts")?;
        if !stage.check(case)? {
            return Err(Broken::Case { file: case.id.clone(), what: "its check fails before the command".to_owned() });
        }
        Ok(stage)
    }

    fn sh(&self, case: &Incident, script: &str) -> Result<Said, Broken> {
        self.arena.sh(script, &case.binds, STEP)
    }

    fn check(&self, case: &Incident) -> Result<bool, Broken> {
        match &case.check {
            None => Ok(true),
            Some(check) => Ok(self.sh(case, check)?.code == 0),
        }
    }

    fn intact(&self, case: &Incident) -> Result<bool, Broken> {
        Ok(kept(case, &tree(&self.arena, case)) == self.kept && self.check(case)?)
    }
}

/// What lies in the root, but for the directories that are mounted elsewhere as well: their own times
/// change with the vault that a mount's root may hold.
fn tree(arena: &Arena, case: &Incident) -> Tree {
    let mut tree = arena.tree();
    for (from, _) in &case.binds {
        tree.entries.remove(from.trim_start_matches('/').as_bytes());
    }
    tree
}

fn kept(case: &Incident, tree: &Tree) -> Kept {
    let protected = |path: &[u8]| case.protect.iter().any(|p| beneath(path, &inside(p)));
    let file = |(path, entry): (&Vec<u8>, &backstop_e2e::tree::Entry)| match entry.kind {
        Kind::File { digest, .. } if protected(path) => Some((path.clone(), (digest, entry.mode))),
        _ => None,
    };
    tree.entries.iter().filter_map(file).collect()
}

/// That the fixture bites: the command, unguarded, loses what it protects.
fn plain_bash_loses_data(case: &Incident) -> Result<(), Failed> {
    let stage = Stage::set(case, Who::Root, false)?;
    let said = stage.sh(case, &format!("{AGENT}{}", case.command))?;
    let after = tree(&stage.arena, case);
    let contents = after.contents();
    let now = kept(case, &after);
    let gone = stage.kept.values().any(|(digest, _)| !contents.contains(digest));
    let changed = stage.kept.iter().any(|(path, was)| now.get(path).is_some_and(|is| is != was));
    if gone || changed || !stage.check(case)? {
        return Ok(());
    }
    Err(format!("plain bash loses nothing, so the case proves nothing\n  {}", said.words()).into())
}

fn expect_saved(case: &Incident, who: Who) -> Result<(), Failed> {
    let (outcome, record) = saved(case, who)?;
    let tier = record.as_ref().and_then(|r| r.judgement.as_ref()).map(|j| j.decision);
    let told: Vec<String> = record
        .and_then(|r| r.meaning)
        .map(|m| m.told.into_iter().map(|t| format!("{}: {}", t.lens, t.text)).collect())
        .unwrap_or_default();
    let expected = case.expect_tier.map(|t| t.of(who));
    match (outcome, case.not_yet.reason(who)) {
        (Ok(how), None) => {
            tell(&case.id, who, &how, tier, &told);
            right_tier(tier, expected, case.not_yet.tier_reason(who))?;
            // A command that can't do what it should has other effects.
            if case.not_yet.control_reason(who).is_some() { Ok(()) } else { right_words(case, &told) }
        }
        (Err(_), Some(_)) => Ok(()),
        (Ok(how), Some(why)) => Err(format!("{how}, though its file says not yet ({why}): take that entry out").into()),
        (Err(lost), None) => Err(lost.into()),
    }
}

/// That policy said what its file says.
fn right_tier(tier: Option<Tier>, expected: Option<Tier>, gap: Option<&str>) -> Result<(), Failed> {
    let name = |t: Option<Tier>| t.map_or("nothing to judge", Tier::name);
    match (tier == expected, gap) {
        (true, None) | (false, Some(_)) => Ok(()),
        (false, None) => Err(format!("its tier is `{}` and not `{}`", name(tier), name(expected)).into()),
        (true, Some(why)) => {
            Err(format!("its tier is right, though its file says not yet ({why}): take that entry out").into())
        }
    }
}

/// That the lenses said what its file says.
fn right_words(case: &Incident, told: &[String]) -> Result<(), Failed> {
    let missing = |want: &&String| !told.iter().any(|t| t.contains(want.as_str()));
    match case.saw.iter().find(missing) {
        None => Ok(()),
        Some(want) => Err(format!("no lens says `{want}`, but:\n    {}", told.join("\n    ")).into()),
    }
}

/// How a case was saved, or how it was not, and what is on record.
fn saved(case: &Incident, who: Who) -> Result<(Result<String, String>, Option<Record>), Broken> {
    let stage = Stage::set(case, who, true)?;
    let run = match &case.guarded {
        Some(script) => script.clone(),
        None => {
            let (ws, line) = (quote(&case.workspace), quote(&case.command));
            format!("{AGENT}cd {ws} && backstop run --workspace {ws} --session replay -c {line}")
        }
    };
    let said = stage.sh(case, &run)?;
    let record = stage.record(case)?;
    Ok((become_of(case, &stage, &said)?, record))
}

/// What the command and then undo left of the data.
fn become_of(case: &Incident, stage: &Stage, said: &Said) -> Result<Result<String, String>, Broken> {
    let unasked = ![HELD, DENIED, FAILED].contains(&said.code);
    let intact = stage.intact(case)?;
    let mut words = said.words();
    if said.code == FAILED {
        return Ok(Err(format!("Backstop failed\n  {words}")));
    }
    if !intact && matches!(case.expect, Expect::Hold | Expect::Door) {
        return Ok(Err(format!("it took effect, and nobody was asked\n  {words}")));
    }
    if said.code == HELD && !mentions(&said.err, "held") || said.code == DENIED && !mentions(&said.err, "denied") {
        return Ok(Err(format!("stopped without saying so\n  {words}")));
    }
    if unasked && case.expect != Expect::Process && !stage.differences(case).is_empty() {
        let undo = stage.sh(case, "backstop undo --session replay")?;
        words = format!("{words}\n  undo: {}", undo.words());
    }
    if !stage.intact(case)? {
        return Ok(Err(format!("lost\n  {words}")));
    }
    let lines = stage.differences(case);
    if !lines.is_empty() {
        let shown = lines[..lines.len().min(12)].join("\n    ");
        return Ok(Err(format!("{} differences to the tree before:\n    {shown}\n  {words}", lines.len())));
    }
    Ok(Ok(match said.code {
        HELD => "held",
        DENIED => "denied",
        _ if intact => "nothing happened",
        _ => "undone",
    }
    .to_owned()))
}

impl Stage {
    /// What is on record of the last run; none where there is nothing to judge.
    fn record(&self, case: &Incident) -> Result<Option<Record>, Broken> {
        if case.expect_tier.is_none() {
            return Ok(None);
        }
        let said = self.sh(case, "backstop show --json @last")?.must("backstop show")?;
        let document: Document = serde_json::from_slice(&said.out)
            .map_err(|e| Broken::Case { file: case.id.clone(), what: format!("no document of its run: {e}") })?;
        Ok(Some(document.record))
    }

    /// What differs from the tree before, to the last attribute; for a case about processes, but for
    /// the counts that it writes itself.
    fn differences(&self, case: &Incident) -> Vec<String> {
        let (mut before, mut after) = (self.before.clone(), tree(&self.arena, case));
        if case.expect == Expect::Process {
            for tree in [&mut before, &mut after] {
                tree.entries.retain(|path, _| ![&b"w"[..], b"w/at_stop", b"w/after"].contains(&path.as_slice()));
            }
        }
        before.diff(&after, &DiffOpts::default())
    }
}

fn mentions(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}

fn expect_harmless(case: &Incident, who: Who) -> Result<(), Failed> {
    match (control(case, who), case.not_yet.control_reason(who)) {
        (outcome, None) => outcome,
        (Err(_), Some(_)) => Ok(()),
        (Ok(()), Some(why)) => {
            Err(format!("harmless, though its file says not yet ({why}): take that entry out").into())
        }
    }
}

/// The harmless command is not stopped, and leaves what it leaves under plain bash: the same tree,
/// output and exit code.
fn control(case: &Incident, who: Who) -> Result<(), Failed> {
    let since = SystemTime::now();
    let outcome = |guarded: bool| -> Result<(Said, Tree, bool), Broken> {
        let stage = Stage::set(case, who, guarded)?;
        let ws = quote(&case.workspace);
        let script = if guarded {
            let line = quote(&case.control);
            format!("{AGENT}cd {ws} && backstop run --workspace {ws} --session replay -c {line}")
        } else {
            format!("{AGENT}cd {ws} && bash -c {}", quote(&case.control))
        };
        let said = stage.sh(case, &script)?;
        let mut tree = tree(&stage.arena, case);
        // Its index holds inode numbers and times, packs are made when git thinks fit.
        tree.entries.retain(|path, _| !path.split(|b| *b == b'/').any(|name| name.ends_with(b".git")));
        Ok((said, tree, stage.check(case)?))
    };
    let (plain, expected, holds) = outcome(false)?;
    if plain.code != 0 || !holds {
        return Err(format!("the control is not harmless, or fails by itself\n  {}", plain.words()).into());
    }
    let (said, tree, holds) = outcome(true)?;
    if [HELD, DENIED, FAILED].contains(&said.code) {
        return Err(format!("false alarm\n  {}", said.words()).into());
    }
    let lines = expected.diff(&tree, &DiffOpts { mtime_since: Some(since), ..DiffOpts::default() });
    if !lines.is_empty() {
        let shown = lines[..lines.len().min(12)].join("\n    ");
        return Err(format!("{} differences to plain bash:\n    {shown}\n  {}", lines.len(), said.words()).into());
    }
    if (said.code, &said.out) != (plain.code, &plain.out) || !holds {
        return Err(
            format!("other output or exit code than plain bash\n  {}\n  {}", plain.words(), said.words()).into()
        );
    }
    Ok(())
}

/// One line a case, for whoever wants the list: `BACKSTOP_E2E_TELL=1`.
fn tell(id: &str, who: Who, how: &str, tier: Option<Tier>, told: &[String]) {
    if std::env::var_os("BACKSTOP_E2E_TELL").is_some() {
        let words: String = told.iter().map(|t| format!("\n        {t}")).collect();
        eprintln!("{id:5} {} {how}, tier {}{words}", who.name(), tier.map_or("none", Tier::name));
    }
}
