//! Takes one command, runs it as one user in one place, gives wall time, user and system time of its
//! whole tree and its peak memory. A process of its own each time, because the kernel adds up what
//! all children so far have used.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// What to measure; for the bench's own use.
#[derive(clap::Args)]
pub struct Args {
    /// Where the result goes, as JSON; standard error goes beside it, as `OUT.err`.
    #[arg(long)]
    out: PathBuf,
    /// As whom.
    #[arg(long)]
    uid: Option<u32>,
    /// Where.
    #[arg(long)]
    cwd: PathBuf,
    /// What.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    argv: Vec<std::ffi::OsString>,
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Wall time, microseconds.
    pub wall_us: i64,
    /// User and system time of the command and everything it started, microseconds.
    pub cpu_us: i64,
    /// Peak resident memory of the biggest process, KiB.
    pub rss_kib: i64,
    /// Exit code, or 128 + signal.
    pub code: i32,
}

/// Runs the command and writes the sample.
pub fn run(args: &Args) -> Result<(), String> {
    let err = args.out.with_extension("err");
    let stderr = File::create(&err).map_err(|e| format!("cannot write {}: {e}", err.display()))?;
    let (program, rest) = args.argv.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(rest).current_dir(&args.cwd).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    if let Some(uid) = args.uid {
        command.uid(uid).gid(uid);
    }
    let started = Instant::now();
    let status = command.status().map_err(|e| format!("cannot start {}: {e}", program.display()))?;
    let wall = started.elapsed();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| format!("getrusage: {e}"))?;
    let sample = Sample {
        wall_us: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX),
        cpu_us: used.user_time().num_microseconds() + used.system_time().num_microseconds(),
        rss_kib: used.max_rss(),
        code: exit_code(status),
    };
    let text = serde_json::to_string(&sample).map_err(|e| e.to_string())?;
    std::fs::write(&args.out, text).map_err(|e| format!("cannot write {}: {e}", args.out.display()))
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Measures `argv` in a process of its own.
pub fn once(
    out: &Path,
    uid: Option<u32>,
    cwd: &Path,
    env: &[(String, String)],
    argv: &[String],
) -> Result<Sample, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let mut command = Command::new(own);
    command.arg("measure").arg("--out").arg(out).arg("--cwd").arg(cwd);
    // Only root can be somebody else, and then a user is its own group.
    if let Some(uid) = uid.filter(|_| nix::unistd::geteuid().is_root()) {
        command.arg("--uid").arg(uid.to_string());
    }
    command.arg("--").args(argv).envs(env.iter().map(|(k, v)| (k, v)));
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("measuring {argv:?} ended with {status}")),
        Err(error) => return Err(format!("cannot start the measurement: {error}")),
    }
    let text = std::fs::read_to_string(out).map_err(|e| format!("cannot read {}: {e}", out.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", out.display()))
}
