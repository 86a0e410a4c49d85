//! Runs a program that is not trusted with time or memory: with a deadline, in a process group that goes as a whole, and
//! with no more of its answer than is wanted.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::deliver::Miss;

/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Of what it answers no more is read.
const LONGEST: u64 = 4 << 10;

/// Runs `command` with `input`, at most so long; gives how it ended and the beginning of what it said.
///
/// # Errors
/// Where it can't be started, or takes too long.
pub fn run(command: &mut Command, input: Vec<u8>, patience: Duration) -> Result<(ExitStatus, String), Miss> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn();
    let mut child = child.map_err(|e| Miss::again(format!("{name} can't be started: {e}")))?;
    // In threads that nobody waits for: a program that reads nothing must not keep us, nor may one that goes on saying.
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let said = thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.map(|stdout| stdout.take(LONGEST).read_to_end(&mut text));
        if read.is_some_and(|read| read.is_ok()) { String::from_utf8_lossy(&text).into_owned() } else { String::new() }
    });
    let ended = wait(&mut child, patience);
    // With everything that it started: that may hold our pipe open, and would pile up.
    kill(&child);
    let status = ended?;
    Ok((status, said.join().unwrap_or_default()))
}

fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus, Miss> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait().map_err(|e| Miss::again(e.to_string()))? {
            Some(status) => return Ok(status),
            None if Instant::now() >= until => {
                kill(child);
                let _reaped = child.wait();
                return Err(Miss::again(format!("it took longer than {} s", patience.as_secs_f32())));
            }
            None => thread::sleep(PAUSE),
        }
    }
}

fn kill(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // The group may be gone, which is what is wanted.
        let _gone = kill_process_group(group, Signal::KILL);
    }
}
