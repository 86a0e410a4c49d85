//! Measures what Backstop adds to a coding agent's own time: `round-trips [--all] [CLIENT...]`. Each client is
//! led through a command that changes nothing, over and over, without a hook and with Backstop's; a round trip
//! is the time between two questions to the scripted model. Beside it, the hook by itself. No test: a busy
//! machine's numbers are no failure.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use backstop_e2e::agents::client::{CLIENTS, Client};
use backstop_e2e::agents::model::Turn;
use backstop_e2e::agents::script::{Script, Step};
use backstop_e2e::agents::stage::{Hook, Stage};
use backstop_e2e::guard;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

type Fault = Box<dyn std::error::Error>;

/// How often the command is given; the first two times warm up.
const TIMES: usize = 14;
const WARM: usize = 2;
/// How often the hook is called by itself.
const CALLS: u32 = 200;
const LIMIT: Duration = Duration::from_secs(120);

/// Changes nothing. Never the same twice: clients stop a model that goes round in circles.
fn line(n: usize) -> String {
    format!("true {n}")
}

fn main() -> ExitCode {
    if let Some(why) = guard::missing() {
        eprintln!("round-trips: {why}");
        return ExitCode::from(2);
    }
    guard::enter_own_mounts();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = wanted.iter().any(|w| w == "--all");
    let named = |client: &Client| wanted.iter().any(|w| w == client.name);
    let any = CLIENTS.iter().any(named);
    println!("client      own ms  guarded ms   added   x own   hook ms  hook cpu ms");
    let mut code = ExitCode::SUCCESS;
    for client in CLIENTS.iter().filter(|c| if any { named(c) } else { all || c.always }) {
        match row(client) {
            Ok(row) => println!("{row}"),
            Err(why) => {
                println!("{:<9} not measured: {why}", client.name);
                code = ExitCode::FAILURE;
            }
        }
    }
    println!("medians of {} round trips with `true`; the hook by itself: means of {CALLS} calls", TIMES - WARM);
    code
}

fn row(client: &'static Client) -> Result<String, Fault> {
    let own = round_trip(client, Hook::None)?;
    let guarded = round_trip(client, Hook::Backstop)?;
    let (wall, cpu) = alone(client)?;
    let added = guarded - own;
    let times = guarded / own;
    Ok(format!("{:<9} {own:>8.1} {guarded:>11.1} {added:>7.1} {times:>7.2} {wall:>9.1} {cpu:>12.1}", client.name))
}

/// Milliseconds from one command's question to the next one's.
fn round_trip(client: &'static Client, hook: Hook) -> Result<f64, Fault> {
    let model = std::env::current_exe()?.with_file_name("scripted-model");
    let stage = Stage::set(client, hook, &model)?;
    let one = |n| if hook == Hook::None { vec![Step::Shell(line(n))] } else { client.lines(&[&line(n)]) };
    let steps: Vec<Step> = (0..TIMES).flat_map(one).collect();
    // Where a line has to be told first, a command takes two questions.
    let each = steps.len() / TIMES;
    let played = stage.play(&Script { steps, ..Script::default() }, LIMIT)?;
    let asked = asked(&played.turns);
    let starts: Vec<u64> = asked.into_iter().step_by(each).collect();
    if starts.len() <= TIMES {
        return Err(format!("it was asked {} times and not {}", starts.len(), TIMES + 1).into());
    }
    if hook == Hook::Backstop && stage.runs()?.len() < TIMES {
        return Err("the commands did not all run under Backstop".into());
    }
    let mut taken: Vec<u64> = starts.windows(2).skip(WARM).map(|pair| pair[1] - pair[0]).collect();
    taken.sort_unstable();
    Ok(taken[taken.len() / 2] as f64 / 1000.0)
}

/// When the model was first asked with each number of results: clients ask for titles and the like beside.
fn asked(turns: &[Turn]) -> Vec<u64> {
    let mut times = Vec::new();
    for turn in turns.iter().filter(|t| !t.subagent && !t.offers.is_empty()) {
        if turn.told.len() == times.len() {
            times.push(turn.came_us);
        }
    }
    times
}

/// The hook by itself, on what the client really sent: wall and CPU time of a call, milliseconds.
fn alone(client: &Client) -> Result<(f64, f64), Fault> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/hook");
    let of = |what: &str| corpus.join(format!("{}-{what}.toml", client.name));
    let kinds = ["a-command-is-rehearsed", "is-told-the-line-to-use", "every-command-of-a-list-is-rehearsed"];
    let case = kinds.map(of).into_iter().find(|c| c.is_file()).ok_or("no recorded call")?;
    let case: toml::Table = std::fs::read_to_string(case)?.parse()?;
    let input = case.get("input").and_then(toml::Value::as_str).ok_or("a case without input")?;
    let home = tempfile::tempdir()?;
    let mut call = Command::new(guard::binary());
    call.args(["hook", client.name]).current_dir(home.path()).env("HOME", home.path());
    call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let before = used()?;
    let begun = Instant::now();
    for _ in 0..CALLS {
        let mut child = call.spawn()?;
        child.stdin.take().ok_or("no input")?.write_all(input.as_bytes())?;
        let said = child.wait_with_output()?;
        if !said.status.success() || said.stdout.is_empty() {
            return Err(format!("the hook gave no answer: {}", said.status).into());
        }
    }
    let wall = begun.elapsed().as_secs_f64() * 1000.0;
    Ok((wall / f64::from(CALLS), (used()? - before) / f64::from(CALLS)))
}

/// CPU time of all children so far, milliseconds.
fn used() -> Result<f64, Fault> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((used.user_time().num_microseconds() + used.system_time().num_microseconds()) as f64 / 1000.0)
}
