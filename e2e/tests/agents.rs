//! Takes the coding agents that people use, as their makers publish them, each led by a scripted model in a
//! throw-away root without a network. Without a hook their commands lose the files; with Backstop's, effects
//! can be taken back, the incident is held, and the model is told. What a client lets through when a hook
//! breaks stands in its table (`e2e/src/agents/client/table.rs`), and is asserted as well.

use std::fs;
use std::path::Path;
use std::time::Duration;

use backstop_e2e::agents::client::{Broke, CLIENTS, Client, steps};
use backstop_e2e::agents::script::{Script, Step};
use backstop_e2e::agents::stage::{Fault, Hook, Played, Stage, TOKEN};
use backstop_e2e::bounded::watchdog;
use backstop_e2e::tree::{DiffOpts, Tree};
use backstop_e2e::trial::claim;
use backstop_e2e::{Broken, guard};
use libtest_mimic::{Arguments, Failed};
use serde_json::Value;

/// For a client to end by itself.
const LIMIT: Duration = Duration::from_secs(60);
/// For one that may wait for a hook for ever.
const PATIENCE: Duration = Duration::from_secs(20);
const VICTIM: &str = "find victim -delete";
/// Set by `cargo xtask test` (those that are tried everywhere) and by its `--all-agents`. Else all are skipped:
/// to install them takes 1.1 GB.
const SOME: &str = "BACKSTOP_AGENTS";
const ALL: &str = "BACKSTOP_ALL_AGENTS";

type Test = fn(&'static Client) -> Result<(), Failed>;

/// What only clients with this name are tried on.
const OF_ONE: [(&str, &str, Test); 3] = [
    ("claude", "functions-and-aliases-of-its-person-are-there", functions),
    ("claude", "a-server-in-the-background-runs-in-place", server),
    ("claude", "over-mcp-a-command-is-taken-back-and-the-incident-held", over_mcp),
];

const SCENARIOS: [(&str, Test); 6] = [
    ("without-a-hook-the-files-are-lost", control),
    ("a-command-takes-effect-and-is-taken-back", guarded),
    ("the-incident-is-held-and-the-model-told", held),
    ("what-starts-programs-and-its-own-settings-stay", denied),
    ("a-file-tool-s-change-is-taken-back", edited),
    ("a-sub-agent-is-covered", delegated),
];

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing();
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(600));
    }
    let all = std::env::var_os(ALL).is_some();
    let some = all || std::env::var_os(SOME).is_some();
    let mut trials = Vec::new();
    for client in CLIENTS.iter().filter(|client| all || client.always) {
        let mut add = |name: String, test: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
            let trial = claim(format!("{}::{name}", client.name), &missing, test);
            trials.push(trial.with_ignored_flag(!some));
        };
        for (name, test) in SCENARIOS {
            if name != "a-sub-agent-is-covered" || !client.delegate.is_empty() {
                add(name.to_owned(), Box::new(move || test(client)));
            }
        }
        for (_, name, test) in OF_ONE.into_iter().filter(|(whose, ..)| *whose == client.name) {
            add(name.to_owned(), Box::new(move || test(client)));
        }
        for (fault, broke) in Fault::ALL.into_iter().zip(client.broken) {
            let then = if broke == Broke::Stopped { "stops-it" } else { "is-its-hole" };
            add(format!("a-hook-{}-{then}", fault.name()), Box::new(move || faulty(client, fault, broke)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn set(client: &'static Client, hook: Hook) -> Result<Stage, Broken> {
    Stage::set(client, hook, Path::new(env!("CARGO_BIN_EXE_scripted-model")))
}

fn play(stage: &Stage, name: &str, script: &Script, limit: Duration) -> Result<Played, Broken> {
    let played = stage.play(script, limit)?;
    if std::env::var_os("BACKSTOP_E2E_TELL").is_some() {
        eprintln!("{name}: {:.1} s\n{}", played.took.as_secs_f32(), played.words());
    }
    Ok(played)
}

/// What there is to lose.
fn data(stage: &Stage) -> [Tree; 2] {
    ["/w/work/victim", "/w/outside"].map(|place| stage.arena.tree_at(place))
}

fn same(before: &[Tree; 2], after: &[Tree; 2]) -> Result<(), String> {
    let lines: Vec<String> =
        before.iter().zip(after).flat_map(|(b, a)| b.diff(a, &DiffOpts::default())).take(12).collect();
    if lines.is_empty() { Ok(()) } else { Err(format!("what is not as before:\n    {}", lines.join("\n    "))) }
}

fn ensure(holds: bool, what: &str, played: &Played) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(format!("{what}\n  {}", played.words()).into()) }
}

fn control(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::None)?;
    let steps = [VICTIM, client.incident].map(|line| Step::Shell(line.to_owned()));
    let played = play(&stage, client.name, &Script { steps: steps.into(), ..Script::default() }, LIMIT)?;
    ensure(!stage.arena.at("/w/work/victim").exists(), "the folder is not lost, so the case proves nothing", &played)?;
    let left = fs::read_dir(stage.arena.at("/w/outside/data")).map_err(Broken::io("list the data"))?.count();
    ensure(left == 0, "the data behind the link is not lost, so the case proves nothing", &played)
}

fn guarded(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let before = data(&stage);
    let script = Script { steps: client.lines(&[VICTIM]), ..Script::default() };
    let played = play(&stage, client.name, &script, LIMIT)?;
    ensure(!stage.arena.at("/w/work/victim").exists(), "the command took no effect", &played)?;
    let runs = stage.runs()?;
    let [run] = runs.as_slice() else {
        return Err(format!("{} runs and not one\n  {}", runs.len(), played.words()).into());
    };
    let asker = &run["request"]["asker"];
    ensure(run["state"] == "committed" && asker["agent"] == client.name, &format!("the run is {run}"), &played)?;
    take_back(&stage, run)?;
    same(&before, &data(&stage))?;
    secrets_stay(client, &stage, &played)
}

/// Takes back the whole session of a run.
fn take_back(stage: &Stage, run: &Value) -> Result<(), Failed> {
    match run["request"]["session"].as_str() {
        Some(session) => stage.backstop(&format!("undo --session '{session}'"))?.must("backstop undo")?,
        None => return Err(format!("the run has no session: {run}").into()),
    };
    Ok(())
}

fn held(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let before = data(&stage);
    let mut steps = client.lines(&[client.incident]);
    // It is a person's word that would let it through.
    steps.push(Step::Shell("backstop commit @last".to_owned()));
    let played = play(&stage, client.name, &Script { steps, ..Script::default() }, LIMIT)?;
    same(&before, &data(&stage)).map_err(|e| format!("{e}\n  {}", played.words()))?;
    is_held(&stage, &played)?;
    let told = played.told().iter().any(|t| t.contains("is for people"));
    ensure(told == client.tells_denials, &format!("it was told who commits: {told}"), &played)?;
    secrets_stay(client, &stage, &played)
}

/// One run is held, and the model was told which.
fn is_held(stage: &Stage, played: &Played) -> Result<(), Failed> {
    let runs = stage.runs()?;
    let held: Vec<&Value> = runs.iter().filter(|r| r["state"] == "held").collect();
    let [run] = held.as_slice() else {
        return Err(format!("{} runs are held and not one\n  {}", held.len(), played.words()).into());
    };
    let id = run["id"].as_str().unwrap_or("no id");
    let told = played.told().iter().any(|t| t.to_ascii_lowercase().contains("held") && t.contains(id));
    ensure(told, &format!("the model was not told that run {id} is held"), played)
}

fn denied(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let places = ["/home/agent/.ssh/authorized_keys", client.settings];
    let content = || places.map(|place| fs::read(stage.arena.at(place)).ok());
    let before = content();
    let key = "echo 'ssh-ed25519 AAAAtheirs them' >> ~/.ssh/authorized_keys";
    let settings = format!("mkdir -p $(dirname {0}) && echo '{{}}' > {0}", client.settings);
    let script = Script { steps: client.lines(&[key, &settings]), ..Script::default() };
    let played = play(&stage, client.name, &script, LIMIT)?;
    // Clients write into their own settings themselves; a script's `{}` is what must not stand there.
    let after = content();
    ensure(after[0] == before[0], "the keys are changed", &played)?;
    ensure(after[1].as_deref() != Some(b"{}\n"), "the client's settings are replaced", &played)?;
    let stopped = stage.runs()?.iter().filter(|r| r["state"] == "held" || r["state"] == "denied").count();
    ensure(stopped == 2, &format!("{stopped} of 2 are held or denied"), &played)?;
    let told = played.told();
    let told = told.iter().filter(|t| ["held", "denied"].iter().any(|w| t.to_ascii_lowercase().contains(w)));
    ensure(told.count() >= 2, "the model was not told of both", &played)?;
    secrets_stay(client, &stage, &played)
}

fn edited(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let notes = || fs::read_to_string(stage.arena.at("/w/work/notes/today.txt")).unwrap_or_default();
    let before = stage.arena.tree_at("/w/work/notes");
    let played = play(&stage, client.name, &Script { steps: steps(client.edit), ..Script::default() }, LIMIT)?;
    ensure(notes() == "new words\n", &format!("the file says {:?}", notes()), &played)?;
    let runs = stage.runs()?;
    let [run] = runs.as_slice() else {
        return Err(format!("{} runs and not one\n  {}", runs.len(), played.words()).into());
    };
    ensure(run["state"] == "committed", &format!("the run is {run}"), &played)?;
    take_back(&stage, run)?;
    ensure(notes() == "old words\n", &format!("after undo the file says {:?}", notes()), &played)?;
    let lines = before.diff(&stage.arena.tree_at("/w/work/notes"), &DiffOpts::default());
    ensure(lines.is_empty(), &lines.join("\n"), &played)
}

fn functions(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let script = Script { steps: client.lines(&["greet you && again", "greet file > greeted"]), ..Script::default() };
    let played = play(&stage, client.name, &script, LIMIT)?;
    let told = played.told().iter().any(|t| t.contains("hi you") && t.contains("hi again"));
    ensure(told, "the functions are not there", &played)?;
    let written = fs::read_to_string(stage.arena.at("/w/work/greeted")).unwrap_or_default();
    ensure(written == "hi file\n", &format!("the file says {written:?}"), &played)?;
    ensure(stage.runs()?.len() == 2, "both were rehearsed", &played)
}

fn server(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let line = "echo up > up; sleep 30";
    let input = serde_json::json!({"command": line, "description": "a server", "run_in_background": true});
    let server = Step::Tool { names: vec!["Bash".to_owned()], input };
    // What it writes is on the disk while it runs, and nobody waits for its turn.
    let look = "for i in $(seq 50); do [ -s up ] && break; sleep 0.1; done; cat up; echo beside > beside";
    let steps = vec![server, Step::Shell(look.to_owned())];
    let played = play(&stage, client.name, &Script { steps, ..Script::default() }, LIMIT)?;
    ensure(stage.arena.at("/w/work/up").exists(), "the server wrote nothing", &played)?;
    ensure(stage.arena.at("/w/work/beside").exists(), "the command beside it took no effect", &played)?;
    ensure(played.told().iter().any(|t| t.contains("up")), "the command beside it saw nothing of the server", &played)?;
    let runs = stage.runs()?;
    let in_place = runs.iter().any(|r| r["request"]["command"]["line"] == line && r["request"]["in_place"] == true);
    ensure(in_place && runs.len() == 2, &format!("the runs are {runs:?}"), &played)
}

/// Without a hook, and with its own shell switched off.
fn over_mcp(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::None)?;
    stage.give(&[
        ("/w/work/.mcp.json", r#"{"mcpServers": {"backstop": {"command": "@BACKSTOP@", "args": ["mcp"]}}}"#),
        (
            "/home/agent/.claude/settings.json",
            r#"{"env": {"ENABLE_TOOL_SEARCH": "false"}, "enableAllProjectMcpServers": true, "permissions": {"allow": ["mcp__backstop"], "deny": ["Bash"]}}"#,
        ),
    ])?;
    let before = data(&stage);
    let step = |line: &str| Step::Tool {
        names: vec!["mcp__backstop__shell".to_owned()],
        input: serde_json::json!({"command": line, "reason": "to make room"}),
    };
    let script = Script { steps: vec![step(VICTIM), step(client.incident)], ..Script::default() };
    let played = play(&stage, client.name, &script, LIMIT)?;
    is_held(&stage, &played)?;
    ensure(!stage.arena.at("/w/work/victim").exists(), "the command took no effect", &played)?;
    let runs = stage.runs()?;
    let done: Vec<&Value> = runs.iter().filter(|r| r["state"] == "committed").collect();
    let [run] = done.as_slice() else {
        return Err(format!("{} runs and not one took effect\n  {}", done.len(), played.words()).into());
    };
    ensure(run["request"]["asker"]["agent"] == "claude-code", &format!("the run is {run}"), &played)?;
    take_back(&stage, run)?;
    same(&before, &data(&stage))?;
    secrets_stay(client, &stage, &played)
}

fn delegated(client: &'static Client) -> Result<(), Failed> {
    let stage = set(client, Hook::Backstop)?;
    let before = data(&stage);
    let script = Script { steps: steps(client.delegate), subagent: client.lines(&[client.incident]) };
    let played = play(&stage, client.name, &script, LIMIT)?;
    ensure(played.turns.iter().any(|t| t.subagent), "no sub-agent has asked anything", &played)?;
    same(&before, &data(&stage)).map_err(|e| format!("{e}\n  {}", played.words()))?;
    is_held(&stage, &played)
}

fn faulty(client: &'static Client, fault: Fault, broke: Broke) -> Result<(), Failed> {
    let stage = set(client, Hook::Faulty(fault))?;
    let script = Script { steps: vec![Step::Shell(VICTIM.to_owned())], ..Script::default() };
    let played = play(&stage, client.name, &script, PATIENCE)?;
    ensure(stage.calls() > 0, "the hook was not called", &played)?;
    match (broke, stage.arena.at("/w/work/victim/f").exists()) {
        (Broke::Stopped, false) => ensure(false, "the command ran", &played),
        (Broke::Runs(why), true) => ensure(false, &format!("stopped, though the table says it runs: {why}"), &played),
        (Broke::Stopped, true) | (Broke::Runs(_), false) => Ok(()),
    }
}

/// Nothing that the client's environment holds is in what Backstop keeps or says.
fn secrets_stay(client: &Client, stage: &Stage, played: &Played) -> Result<(), Failed> {
    let mut kept = Vec::new();
    collect(&stage.arena.at("/state"), &mut kept)?;
    let log = stage.backstop("log --json")?.must("backstop log")?;
    kept.push(("the audit log".to_owned(), log.out));
    kept.extend(played.told().into_iter().map(|t| ("what the model was told".to_owned(), t.as_bytes().to_vec())));
    let holds = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|w| w == word.as_bytes());
    // That something is found at all: the agent's name stands in every run's record.
    ensure(kept.iter().any(|(_, b)| holds(b, client.name)), "nothing is kept at all", played)?;
    for secret in [client.key().as_str(), TOKEN] {
        if let Some((place, _)) = kept.iter().find(|(_, bytes)| holds(bytes, secret)) {
            return Err(format!("a secret of the client's environment is in {place}").into());
        }
    }
    Ok(())
}

fn collect(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<(), Broken> {
    for entry in fs::read_dir(dir).map_err(Broken::io(format!("list {}", dir.display())))? {
        let entry = entry.map_err(Broken::io(format!("list {}", dir.display())))?;
        let kind = entry.file_type().map_err(Broken::io("look at an entry"))?;
        if kind.is_dir() {
            collect(&entry.path(), found)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).map_err(Broken::io(format!("read {}", entry.path().display())))?;
            found.push((entry.path().display().to_string(), bytes));
        }
    }
    Ok(())
}
