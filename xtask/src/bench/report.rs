//! Takes samples, prints medians, ratios within this one run, and what is short of its aim.

use std::process::Command;

use super::jobs::{Job, Samples};
use super::measure::Sample;
use super::million::Found;
use super::scratch::Scratch;
use super::systems::{System, Way};

/// `backstop run --rehearse -- true`: CPU milliseconds as root and as a user.
const START: [(bool, f64); 2] = [(true, 6.0), (false, 12.0)];
/// What is known to only read, beside doing it natively, where it has something to do.
const READ: f64 = 1.1;
/// Facts and policy of a small effect: CPU milliseconds.
const JUDGE_MS: f64 = 3.0;
/// The phases of a run that are facts and policy.
const JUDGING: [&str; 3] = ["facts", "law", "judge"];
/// CPU of a job beside the bare kernel overlay.
const OVERLAY: f64 = 1.15;
/// Ledger beside `find`; commit and undo in milliseconds; peak memory in MiB.
const LEDGER: f64 = 1.5;
const ATOMIC_MS: f64 = 50.0;
const MEMORY_MIB: f64 = 64.0;

/// What was measured on.
pub fn machine(scratch: &Scratch, systems: &[System]) {
    let said = |program: &str, args: &[&str]| {
        let out = Command::new(program).args(args).output();
        out.map(|o| o.stdout.trim_ascii().escape_ascii().to_string()).unwrap_or_default()
    };
    let dir = scratch.dir.join("on").display().to_string();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("kernel {} · {} cores · load {}", said("uname", &["-r"]), said("nproc", &[]), load.trim());
    println!("scratch {dir} on {}", said("stat", &["-f", "-c", "%T", &dir]));
    println!("systems: {}", systems.iter().map(System::name).collect::<Vec<_>>().join(" · "));
}

/// One table for all jobs.
pub fn ratios(jobs: &[Job], systems: &[System], samples: &Samples) {
    if jobs.is_empty() {
        return;
    }
    println!(
        "\n{:<11} {:<24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "job", "system", "wall ms", "min", "cpu ms", "x native", "x overlay", "rss MiB"
    );
    let names = jobs.iter().map(|j| j.name).chain(["undo of rm"]);
    let mut verdicts = Vec::new();
    for name in names {
        let of = |way: Way, uid: u32| samples.done.get(&(name, System { way, uid })).map(|s| median(s, |s| s.cpu_us));
        for system in systems {
            let Some(done) = samples.done.get(&(name, *system)) else { continue };
            let cpu = median(done, |s| s.cpu_us);
            let native = of(Way::Native, system.uid);
            let overlay = of(Way::Overlay, system.uid);
            println!(
                "{name:<11} {:<24} {:>9.1} {:>9.1} {:>9.1} {:>9} {:>9} {:>9.1}",
                system.name(),
                ms(median(done, |s| s.wall_us)),
                ms(done.iter().map(|s| s.wall_us).min().unwrap_or_default()),
                ms(cpu),
                ratio(cpu, native),
                ratio(cpu, overlay),
                median(done, |s| s.rss_kib) as f64 / 1024.0,
            );
            if system.guards() {
                verdicts.extend(verdict(name, *system, cpu, (native, overlay)));
            }
        }
    }
    println!(
        "\nratios are of CPU (user and system, whole tree), medians of this run; `bare overlay` commits and records nothing"
    );
    for line in &samples.left_out {
        println!("not measured: {line}");
    }
    for ((_, system), phases) in samples.phases.iter().filter(|((job, _), _)| *job == "edit") {
        let cpu = JUDGING.iter().filter_map(|p| phases.get(*p)).map(|v| middle(v.iter().map(|x| x.1))).sum();
        verdicts.push(line(&format!("facts and policy of edit, {}", system.name()), ms(cpu), JUDGE_MS, "ms CPU"));
    }
    for line in verdicts {
        println!("{line}");
    }
    for ((job, system), phases) in &samples.phases {
        let mut line: Vec<_> =
            phases.iter().map(|(p, v)| (p, middle(v.iter().map(|x| x.0)), middle(v.iter().map(|x| x.1)))).collect();
        line.sort_by_key(|(_, wall, _)| std::cmp::Reverse(*wall));
        let text =
            line.iter().map(|(p, wall, cpu)| format!("{p} {:.1}/{:.1}", ms(*wall), ms(*cpu))).collect::<Vec<_>>();
        println!("phases of {job}, {} (wall/cpu ms): {}", system.name(), text.join(" · "));
    }
}

fn verdict(job: &str, system: System, cpu: i64, (native, overlay): (Option<i64>, Option<i64>)) -> Option<String> {
    let beside = |base: i64| cpu as f64 / base.max(1) as f64;
    let (found, aim, what) = match (job, system.way) {
        ("true", Way::Rehearsed) => {
            let aim = START.iter().find(|(root, _)| *root == (system.uid == 0)).map(|(_, aim)| *aim)?;
            (ms(cpu), aim, "ms CPU")
        }
        ("git", Way::Backstop) => (beside(native?), READ, "times native"),
        // Its aim is that of the start and of judging; what the edit itself costs is nothing.
        ("undo of rm" | "true" | "edit", _) => return None,
        _ => (beside(overlay?), OVERLAY, "times the bare overlay"),
    };
    Some(line(&format!("{job}, {}", system.name()), found, aim, what))
}

fn line(name: &str, found: f64, aim: f64, what: &str) -> String {
    let verdict =
        if found <= aim { "met".to_owned() } else { format!("SHORT by {:.0} %", (found / aim - 1.0) * 100.0) };
    format!("aim {aim} {what}: {name} {found:.2}: {verdict}")
}

/// The table of the big delete.
pub fn million(found: &Found) {
    println!("\n{} files deleted by uid {}", found.files, found.uid);
    println!("{:<20} {:>9} {:>9} {:>9} {:>9}", "step", "wall ms", "min", "cpu ms", "rss MiB");
    for (name, done) in &found.rows {
        println!(
            "{name:<20} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            ms(median(done, |s| s.wall_us)),
            ms(done.iter().map(|s| s.wall_us).min().unwrap_or_default()),
            ms(median(done, |s| s.cpu_us)),
            median(done, |s| s.rss_kib) as f64 / 1024.0
        );
    }
    let wall = |name: &str| found.rows.iter().find(|(n, _)| *n == name).map(|(_, s)| ms(median(s, |s| s.wall_us)));
    let mut names: Vec<&str> = found.phases.iter().map(|p| p.0.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |pick: fn(&(String, i64, i64)) -> i64| middle(found.phases.iter().filter(|p| p.0 == name).map(pick));
        println!("phase {name:<14} {:>9.1} {:>9} {:>9.1}", ms(of(|p| p.1)), "", ms(of(|p| p.2)));
    }
    let traced = found.phases.iter().filter(|p| p.0 == "ledger").map(|p| p.1);
    let ledger = if traced.clone().next().is_some() {
        Some(ms(middle(traced)))
    } else {
        // Without phases: the held run less the same delete on a bare overlay, which is too much.
        wall("run --hold rm").zip(wall("bare overlay rm")).map(|(run, rm)| run - rm)
    };
    for (find, text) in [("find", "times find"), ("find -printf size", "times find -printf size")] {
        if let Some((ledger, find)) = ledger.zip(wall(find)) {
            println!("{}", line("ledger", ledger / find.max(0.001), LEDGER, text));
        }
    }
    for name in ["commit", "undo"] {
        if let Some(found) = wall(name) {
            println!("{}", line(name, found, ATOMIC_MS, "ms wall"));
        }
    }
    if let Some((_, done)) = found.rows.iter().find(|(n, _)| *n == "run --hold rm") {
        let mib = done.iter().map(|s| s.rss_kib).max().unwrap_or_default() as f64 / 1024.0;
        println!("{}", line("peak memory of the run", mib, MEMORY_MIB, "MiB"));
    }
}

fn median(samples: &[Sample], pick: impl Fn(&Sample) -> i64) -> i64 {
    middle(samples.iter().map(pick))
}

fn middle(values: impl Iterator<Item = i64>) -> i64 {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn ms(us: i64) -> f64 {
    us as f64 / 1000.0
}

fn ratio(value: i64, base: Option<i64>) -> String {
    base.map_or_else(|| "-".to_owned(), |base| format!("{:.2}", value as f64 / base.max(1) as f64))
}
