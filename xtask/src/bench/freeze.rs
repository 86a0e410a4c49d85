//! How long it takes until everything of every agent stands after `backstop freeze`: many that compute, one that forks as
//! fast as it can, one that lets everybody go on again and again. Beside `pkill -STOP` of the same processes in the same
//! round, which walks them one by one. That they stand is looked at from outside.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::jobs::environment;
use super::scratch::Scratch;

/// Some work that is stopped.
struct Work {
    name: &'static str,
    /// How many runs.
    runs: u32,
    /// What each does, once all have begun.
    line: &'static str,
}

const WORKS: [Work; 4] = [
    Work { name: "one that sleeps", runs: 1, line: "while :; do sleep 1; done" },
    Work { name: "200 that compute", runs: 200, line: "while :; do :; done" },
    Work {
        name: "100 chains of forks",
        runs: 1,
        line: "r() { r & }; for ((i = 0; i < 100; i++)); do r & done; while :; do sleep 1; done",
    },
    Work {
        name: "8 that wake all others",
        runs: 1,
        line: "trap '' TERM INT HUP CONT; for i in 1 2 3 4 5 6 7; do while :; do kill -CONT -1; done & done 2>/dev/null; \
               while :; do kill -CONT -1; done",
    },
];

/// How long one run may take to begin, and all of them beside that.
const BEGIN: Duration = Duration::from_millis(150);
const BEGIN_ALL: Duration = Duration::from_secs(3);

/// What came of one round.
struct Round {
    /// From the word until the last stood, by the program's own clock.
    stood: Duration,
    /// The command as a whole.
    whole: Duration,
    /// The baseline; none where nothing could be ended that way.
    pkill: Option<Duration>,
    ended: usize,
}

/// Measures, and prints a table.
pub fn run(scratch: &Scratch, users: &[u32], rounds: u32) -> Result<(), String> {
    println!("\nfreeze, until the last process stands      median      most   the command   pkill -STOP   ended");
    for uid in users {
        for work in &WORKS {
            let all: Vec<Round> = (0..rounds).map(|n| round(scratch, *uid, work, n)).collect::<Result<_, _>>()?;
            let mut stood: Vec<Duration> = all.iter().map(|r| r.stood).collect();
            let mut whole: Vec<Duration> = all.iter().map(|r| r.whole).collect();
            let mut pkill: Vec<Duration> = all.iter().filter_map(|r| r.pkill).collect();
            [&mut stood, &mut whole, &mut pkill].into_iter().for_each(|times| times.sort());
            let middle = |times: &[Duration]| times.get(times.len() / 2).map_or("-".to_owned(), |t| ms(*t));
            println!(
                "{:<36}{:>13}{:>10}{:>14}{:>14}{:>8}",
                format!("{}, {}", work.name, if *uid == 0 { "root" } else { "user" }),
                middle(&stood),
                stood.last().map_or("-".to_owned(), |t| ms(*t)),
                middle(&whole),
                middle(&pkill),
                all.iter().map(|r| r.ended).sum::<usize>(),
            );
        }
    }
    Ok(())
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

/// Ends its runs, whatever becomes of the measurement.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended already can't be killed, which is as well.
            let _ended = child.kill();
        }
        for child in &mut self.0 {
            let _ended = child.wait();
        }
    }
}

fn round(scratch: &Scratch, uid: u32, work: &Work, number: u32) -> Result<Round, String> {
    let own = scratch.own(uid)?;
    let ws = own.join("ws");
    let state = own.join(format!("state/freeze-{number}-{}", work.runs + work.line.len() as u32));
    let marker = format!("frz{uid}x{number}x{}", std::process::id());
    let command = |args: &[&str]| {
        let mut command = Command::new(&scratch.bin);
        command.args(args).current_dir(&ws).env_clear().envs(environment(&own, uid));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("XDG_STATE_HOME", &state);
        command.uid(uid).gid(uid).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        command
    };
    let baseline = if work.runs > 1 { Some(native(work, uid, &ws)?) } else { None };
    // All begin at the same moment: those that are first must not keep the others from it.
    let wait = BEGIN * work.runs + BEGIN_ALL;
    let at = now() + wait.as_secs();
    let line = format!(": {marker}; while ((EPOCHSECONDS < {at})); do sleep 0.5; done; {}", work.line);
    let mut running = Running(Vec::new());
    for _ in 0..work.runs {
        let mut command = command(&["run", "--parallel", "-c", &line]);
        let child = command.stdout(Stdio::null()).spawn().map_err(|e| format!("cannot start a run: {e}"))?;
        running.0.push(child);
    }
    let began = Instant::now();
    while shells(&marker).len() < work.runs as usize {
        if began.elapsed() > wait * 4 {
            return Err(format!("{}: only {} of {} runs begin", work.name, shells(&marker).len(), work.runs));
        }
        thread::sleep(Duration::from_millis(50));
    }
    if now() >= at {
        return Err(format!("{}: they took too long to begin", work.name));
    }
    thread::sleep(Duration::from_secs(at - now()) + Duration::from_secs(2));
    let began = Instant::now();
    let output = command(&["freeze", "--json"]).output().map_err(|e| format!("cannot freeze: {e}"))?;
    let whole = began.elapsed();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|e| format!("freeze said: {e}"))?;
    for _ in 0..5 {
        if let Some((pid, state)) = shells(&marker).into_iter().find(|(_, s)| !"TtZXD".contains(*s)) {
            return Err(format!("{}: {pid} is {state} after freeze", work.name));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let stood = Duration::from_micros(said["took_us"].as_u64().ok_or("freeze does not say how long it took")?);
    let ended = said["ended"].as_array().map_or(0, Vec::len);
    let stopped = said["stopped"].as_array().map_or(0, Vec::len);
    drop(running);
    // What did not stand in time is ended by whoever watches it.
    Ok(Round { stood, whole, pkill: baseline, ended: (work.runs as usize - stopped).max(ended) })
}

/// The same work without Backstop, stopped by `pkill`. Only what it can catch, and end, is left to it.
fn native(work: &Work, uid: u32, ws: &Path) -> Result<Duration, String> {
    let marker = format!("ntv{uid}x{}", std::process::id());
    let mut running = Running(Vec::new());
    for _ in 0..work.runs {
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!(": {marker}; {}", work.line)).current_dir(ws).uid(uid).gid(uid);
        running.0.push(command.stdin(Stdio::null()).spawn().map_err(|e| format!("cannot start a shell: {e}"))?);
    }
    thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    let done = Command::new("pkill").args(["-STOP", "-f", &marker]).status();
    done.map_err(|e| format!("cannot run pkill: {e}"))?;
    while shells(&marker).iter().any(|(_, state)| *state != 'T') {
        if began.elapsed() > Duration::from_secs(30) {
            return Err(format!("{}: pkill does not stop it", work.name));
        }
    }
    Ok(began.elapsed())
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The shells whose command line holds this, each with its state.
fn shells(marker: &str) -> Vec<(i32, char)> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let of = |pid: i32| {
        let place = Path::new("/proc").join(pid.to_string());
        let line = fs::read(place.join("cmdline")).ok()?;
        let stat = fs::read_to_string(place.join("stat")).ok()?;
        let is = line.starts_with(b"bash\0") && line.windows(marker.len()).any(|w| w == marker.as_bytes());
        is.then(|| stat.rsplit(") ").next().and_then(|rest| rest.chars().next()))?.map(|state| (pid, state))
    };
    let pids = all.flatten().filter_map(|e| e.file_name().to_str().and_then(|n| n.parse().ok()));
    pids.filter_map(of).collect()
}
