//! Runs a program that is not trusted with time or memory: with a deadline, in a process group that goes as a whole, and
//! with no more of its answer than is wanted.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::deliver::Miss;

/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Of what it answers no more is kept.
const LONGEST: usize = 16 << 10;

/// How long the rest of its answer is waited for once it has ended.
const REST: Duration = Duration::from_millis(100);

/// Runs `command` with `input`, at most so long; gives how it ended, none where it took longer, and the beginning of what
/// it said until then.
///
/// # Errors
/// Where it can't be started.
pub fn run(command: &mut Command, input: Vec<u8>, patience: Duration) -> Result<(Option<ExitStatus>, String), Miss> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn();
    let mut child = child.map_err(|e| Miss::again(format!("{name} can't be started: {e}")))?;
    // In threads that nobody waits for: a program that reads nothing must not keep us, nor may one that goes on saying,
    // or leaves its end of the pipe to another.
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = stdout?;
        let mut buffer = [0; 4096];
        let mut left = LONGEST;
        // To its end, or the program would be told that nobody listens, and might fail by that.
        while let Ok(n @ 1..) = stdout.read(&mut buffer) {
            let kept = n.min(left);
            left -= kept;
            if kept > 0 {
                // Whoever listened may have gone.
                let _gone = say.send(buffer[..kept].to_vec());
            }
        }
        Some(())
    });
    let status = wait(&mut child, patience).map_err(|e| Miss::again(format!("{name} can't be waited for: {e}")))?;
    let mut text = Vec::new();
    while let Ok(part) = said.recv_timeout(REST) {
        text.extend(part);
    }
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + patience;
    let pid = Pid::from_child(child);
    loop {
        // Looked at and left: as long as it is not taken, its number is nobody else's.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let ended = retry_on_intr(|| waitid(WaitId::Pid(pid), look));
        if !matches!(ended, Ok(None)) || Instant::now() >= until {
            // With everything that it started and that stayed with it. The group may be gone, which is what is wanted.
            let _gone = kill_process_group(pid, Signal::KILL);
            let status = child.wait()?;
            return Ok(ended?.is_some().then_some(status));
        }
        thread::sleep(PAUSE);
    }
}
