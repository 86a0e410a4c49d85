//! Takes jobs and ways to do them, gives samples: in every round each way does each job once, from
//! the same state of the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::measure::{self, Sample};
use super::scratch::Scratch;
use super::systems::{System, Way};

/// One piece of everyday work.
pub struct Job {
    /// For tables and the command line.
    pub name: &'static str,
    /// Where below the workspace it is done.
    folder: &'static str,
    /// What makes the state it starts from, as a script; done once.
    make: String,
    /// What brings that state back, as a script; done before every sample.
    reset: &'static str,
    /// The work.
    argv: Vec<String>,
    /// What is true afterwards, as a script, wherever the work was not to be thrown away.
    proof: &'static str,
    /// True for what is known to only read: it has a lane of its own, so it is rehearsed apart.
    pub reads: bool,
}

/// Wall and CPU time of each phase, in microseconds.
type Phases = BTreeMap<String, Vec<(i64, i64)>>;

/// Samples of a system at a job, and the phases that Backstop itself reported.
#[derive(Default)]
pub struct Samples {
    /// By job and system.
    pub done: BTreeMap<(&'static str, System), Vec<Sample>>,
    /// By job, system and phase: wall and CPU time in microseconds.
    pub phases: BTreeMap<(&'static str, System), Phases>,
    /// What could not be measured, and why.
    pub left_out: Vec<String>,
}

/// Makes a tree of `$1` small files in `tree`, 200 to a folder.
const TREE: &str = r#"python3 - "$1" <<'PY'
import os, sys
n = int(sys.argv[1])
for i in range(n):
    d = "tree/%03d/%02d" % (i // 2000, i // 200 % 10)
    if i % 200 == 0:
        os.makedirs(d)
    with open("%s/file-%06d.txt" % (d, i), "w") as f:
        f.write("line %d\n" % i * (i % 97))
PY"#;

/// The jobs, on a tree of `files` files.
pub fn all(files: u32) -> Vec<Job> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let tree = TREE.replace("\"$1\"", &files.to_string());
    vec![
        Job { name: "true", folder: "true", make: String::new(), reset: "", argv: words("true"), proof: "", reads: true },
        Job {
            name: "edit",
            folder: "edit",
            make: "git init -q && printf 'pub fn f() {}\n' >lib.rs && git add -A && git -c user.name=b -c user.email=b@b commit -qm all".to_owned(),
            reset: "printf 'pub fn f() {}\n' >lib.rs",
            argv: words("sed -i s/f/g/ lib.rs"),
            proof: "grep -q g lib.rs",
            reads: false,
        },
        Job {
            name: "untar",
            folder: "untar",
            make: format!("{tree}\ntar cf tree.tar tree && rm -rf tree"),
            reset: "rm -rf tree",
            argv: words("tar xf tree.tar"),
            proof: "test -d tree",
            reads: false,
        },
        Job {
            name: "rm",
            folder: "rm",
            make: format!("{tree}\ntar cf tree.tar tree"),
            reset: "test -d tree || tar xf tree.tar",
            argv: words("rm -rf tree"),
            proof: "test ! -e tree",
            reads: false,
        },
        Job {
            name: "git",
            folder: "git",
            make: format!("{tree}\ngit init -q && git add -A && git -c user.name=b -c user.email=b@b commit -qm all"),
            reset: "",
            argv: words("git status --short"),
            proof: "",
            reads: true,
        },
        Job {
            name: "spawn",
            folder: "spawn",
            make: String::new(),
            reset: "rm -f done",
            argv: [words("sh -c"), vec![SPAWN.to_owned()]].concat(),
            proof: "test -e done",
            reads: false,
        },
        Job {
            name: "cargo",
            folder: "cargo",
            make: CRATE.to_owned(),
            reset: "rm -rf target",
            argv: words("cargo build --offline --quiet"),
            proof: "test -x target/debug/small",
            reads: false,
        },
    ]
}

/// A thousand programs one after the other: each is caught before its first step.
const SPAWN: &str = "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done; touch done";

/// A crate without dependencies, big enough that the compiler has something to do.
const CRATE: &str = r#"mkdir -p src && printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' >Cargo.toml
for i in $(seq 40); do
  printf 'pub fn f%d(v: &[u64]) -> u64 { v.iter().filter(|x| *x %% %d == 0).map(|x| x * 3).sum() }\n' $i $((i + 1))
done >src/lib.rs
printf 'fn main() { println!("{}", small::f7(&[1, 8, 16])); }\n' >src/main.rs"#;

/// Measures.
pub fn run(scratch: &Scratch, systems: &[System], jobs: &[Job], rounds: u32) -> Result<Samples, String> {
    let mut samples = Samples::default();
    let mut able: Vec<(&Job, System)> = Vec::new();
    for job in jobs {
        for system in systems.iter().filter(|s| job.reads || s.way != Way::Rehearsed) {
            match prepare(scratch, *system, job) {
                Ok(()) => able.push((job, *system)),
                Err(why) => samples.left_out.push(format!("{} by {}: {why}", job.name, system.name())),
            }
        }
    }
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Another one begins each time, so that none always runs in another's wake.
        let shift = round as usize % able.len().max(1);
        let mut failed = Vec::new();
        for (job, system) in able.iter().cycle().skip(shift).take(able.len()) {
            match one(scratch, *system, job, &mut samples) {
                Ok(sample) => samples.done.entry((job.name, *system)).or_default().push(sample),
                Err(why) => failed.push(((job.name, *system), why)),
            }
        }
        for (key, why) in failed {
            // Not again, and no number for it: half its samples would be another measurement.
            able.retain(|(job, system)| (job.name, *system) != key);
            samples.done.remove(&key);
            samples.left_out.push(why);
        }
    }
    Ok(samples)
}

fn place(scratch: &Scratch, system: System, job: &Job) -> Result<PathBuf, String> {
    let own = scratch.own(system.uid)?;
    Ok(own.join("ws").join(format!("{:?}", system.way)).join(job.folder))
}

fn prepare(scratch: &Scratch, system: System, job: &Job) -> Result<(), String> {
    let place = place(scratch, system, job)?;
    script(scratch, system.uid, &scratch.own(system.uid)?, &format!("mkdir -p '{}'", place.display()))?;
    script(scratch, system.uid, &place, &job.make)?;
    if job.name == "cargo" {
        // The toolchain may lie in a home that another user can't enter.
        script(scratch, system.uid, &place, "cargo --version >/dev/null")?;
    }
    Ok(())
}

fn one(scratch: &Scratch, system: System, job: &Job, samples: &mut Samples) -> Result<Sample, String> {
    let own = scratch.own(system.uid)?;
    let place = place(scratch, system, job)?;
    script(scratch, system.uid, &place, job.reset)?;
    let layer = own.join("layer");
    let trace = own.join("out/trace");
    let mut env = environment(&own, system.uid);
    if system.guards() {
        // Also takes away what a run that failed has left.
        drop(phases(&trace));
        env.push(("BACKSTOP_TRACE".into(), trace.display().to_string()));
    }
    let line = system.command(scratch, &place, &layer, &job.argv);
    let out = scratch.dir.join("sample.json");
    let sample = measure::once(&out, Some(system.uid), &place, &env, &line)?;
    if sample.code != 0 {
        return Err(format!("{} by {} ended with {}: {}", job.name, system.name(), sample.code, said(&out)));
    }
    if system.way != Way::Overlay && system.way != Way::BwrapOverlay {
        let proof = script(scratch, system.uid, &place, job.proof);
        proof.map_err(|e| format!("{} by {} did not do its work: {e}", job.name, system.name()))?;
    }
    if layer.exists() {
        // overlayfs leaves its work directory with mode 000.
        script(scratch, system.uid, &own, "chmod -R u+rwx layer/work && rm -rf layer")?;
    }
    if system.guards() {
        let told = samples.phases.entry((job.name, system)).or_default();
        for (phase, wall, cpu) in phases(&trace) {
            told.entry(phase).or_default().push((wall, cpu));
        }
    }
    if system.way == Way::Backstop && job.name == "rm" {
        let undo = vec![scratch.bin.display().to_string(), "undo".into(), "@last".into()];
        let sample = measure::once(&out, Some(system.uid), &place, &environment(&own, system.uid), &undo)?;
        if sample.code != 0 {
            return Err(format!("undo by {} ended with {}: {}", system.name(), sample.code, said(&out)));
        }
        samples.done.entry(("undo of rm", system)).or_default().push(sample);
    }
    Ok(sample)
}

/// Runs a script, unmeasured.
pub fn script(scratch: &Scratch, uid: u32, cwd: &Path, script: &str) -> Result<(), String> {
    if script.is_empty() {
        return Ok(());
    }
    let line = ["sh", "-euc", script].map(str::to_owned);
    let out = scratch.dir.join("script.json");
    let sample = measure::once(&out, Some(uid), cwd, &environment(&scratch.own(uid)?, uid), &line)?;
    if sample.code == 0 {
        return Ok(());
    }
    Err(format!("ended with {}: {}", sample.code, said(&out)))
}

/// The end of what a measured command said on standard error, on one line.
pub fn said(out: &Path) -> String {
    let text = fs::read(out.with_extension("err")).unwrap_or_default();
    let end = text.len().saturating_sub(400);
    text[end..].escape_ascii().to_string().replace("\\n", " / ")
}

/// A home and a state directory of the bench's own; nothing of the caller's is touched.
pub fn environment(own: &Path, uid: u32) -> Vec<(String, String)> {
    let at = |name: &str| own.join(name).display().to_string();
    let mut env = vec![
        ("HOME".into(), at("home")),
        ("XDG_STATE_HOME".into(), at("state")),
        ("XDG_CACHE_HOME".into(), at("home")),
        ("CARGO_HOME".into(), at("home")),
        ("USER".into(), uid.to_string()),
    ];
    // `rustup`'s front of cargo looks for its toolchains in the home it no longer has.
    let rustup = std::env::var("RUSTUP_HOME").or_else(|_| std::env::var("HOME").map(|h| format!("{h}/.rustup")));
    if let Ok(rustup) = rustup {
        env.push(("RUSTUP_HOME".into(), rustup));
    }
    env
}

/// The phases that Backstop wrote to its trace, which is removed.
pub fn phases(trace: &Path) -> Vec<(String, i64, i64)> {
    let Ok(text) = fs::read_to_string(trace) else { return Vec::new() };
    if fs::remove_file(trace).is_err() {
        return Vec::new();
    }
    let number = |v: &serde_json::Value, key: &str| v[key].as_i64().unwrap_or_default();
    text.lines()
        .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
        .map(|v| (v["phase"].as_str().unwrap_or("?").to_owned(), number(&v, "wall_us"), number(&v, "cpu_us")))
        .collect()
}
