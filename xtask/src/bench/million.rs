//! Deletes a directory of very many files under Backstop: how long the ledger takes beside `find`, how
//! long commit and undo take, and how much memory it needs.

use std::path::Path;

use super::jobs::{environment, phases, said, script};
use super::measure::{self, Sample};
use super::scratch::Scratch;
use super::systems::{System, Way};

/// What was found.
pub struct Found {
    /// How many files.
    pub files: u32,
    /// By whom.
    pub uid: u32,
    /// Samples by what was done, in the order done.
    pub rows: Vec<(&'static str, Vec<Sample>)>,
    /// Phases of the held run.
    pub phases: Vec<(String, i64, i64)>,
}

/// Sparse files: a length, but no blocks, so that a million of them fit a small disk.
const MAKE: &str = r#"python3 - <<'PY'
import os
for i in range(COUNT):
    d = "many/%03d" % (i // 1000)
    if i % 1000 == 0:
        os.makedirs(d)
    fd = os.open("%s/%06d" % (d, i), os.O_CREAT | os.O_WRONLY, 0o644)
    os.ftruncate(fd, i % 5000)
    os.close(fd)
PY"#;

/// Measures, `rounds` times.
pub fn run(scratch: &Scratch, uid: u32, files: u32, rounds: u32) -> Result<Found, String> {
    let own = scratch.own(uid)?;
    let place = own.join("ws/many");
    script(scratch, uid, &own, &format!("mkdir -p '{}'", place.display()))?;
    eprintln!("making {files} files");
    script(scratch, uid, &place, &MAKE.replace("COUNT", &files.to_string()))?;
    let mut found = Found { files, uid, rows: Vec::new(), phases: Vec::new() };
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let bin = scratch.bin.display().to_string();
        let trace = own.join("out/trace");
        for (name, line) in [
            ("find", "find many"),
            ("find -printf size", "find many -printf %s\\n"),
            ("du", "du -s many"),
            ("bare overlay rm", "rm -rf many"),
            ("run --hold rm", "BIN run --hold --workspace WS -- rm -rf many"),
            ("show", "BIN show @last"),
            ("commit", "BIN commit @last"),
            ("undo", "BIN undo @last"),
        ] {
            let ws = place.display().to_string();
            let argv: Vec<String> = line.split(' ').map(|w| w.replace("BIN", &bin).replace("WS", &ws)).collect();
            let (argv, wanted) = match name {
                "bare overlay rm" => {
                    let overlay = System { way: Way::Overlay, uid };
                    (overlay.command(scratch, &place, &own.join("layer"), &argv), 0)
                }
                "run --hold rm" => (argv, 75),
                _ => (argv, 0),
            };
            let sample = one(scratch, uid, &place, &trace, &argv, wanted)?;
            let proof = match name {
                "run --hold rm" | "undo" => "test -d many/000",
                "commit" => "test ! -e many",
                _ => "",
            };
            script(scratch, uid, &place, proof).map_err(|e| format!("after {name}: not so: {proof}: {e}"))?;
            if name == "run --hold rm" {
                found.phases.extend(phases(&trace));
            }
            match found.rows.iter_mut().find(|(n, _)| *n == name) {
                Some((_, samples)) => samples.push(sample),
                None => found.rows.push((name, vec![sample])),
            }
        }
        script(scratch, uid, &own, "chmod -R u+rwx layer/work; rm -rf layer out/trace")?;
    }
    Ok(found)
}

fn one(scratch: &Scratch, uid: u32, cwd: &Path, trace: &Path, argv: &[String], wanted: i32) -> Result<Sample, String> {
    let out = scratch.dir.join("sample.json");
    let mut env = environment(&scratch.own(uid)?, uid);
    env.push(("BACKSTOP_TRACE".into(), trace.display().to_string()));
    let sample = measure::once(&out, Some(uid), cwd, &env, argv)?;
    if sample.code == wanted {
        return Ok(sample);
    }
    Err(format!("{argv:?} ended with {}, not {wanted}: {}", sample.code, said(&out)))
}
