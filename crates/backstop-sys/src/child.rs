//! Runs a program that is not trusted with time or memory: with a deadline, in a process group that goes as a whole, and
//! with no more of its answer than is wanted.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the rest of its answer is waited for once it has ended.
const REST: Duration = Duration::from_secs(2);

/// What became of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How it ended; none where it took longer.
    pub status: Option<ExitStatus>,
    /// The beginning of what it said.
    pub stdout: Vec<u8>,
    /// The same of its errors, where `command` pipes them.
    pub stderr: Vec<u8>,
    /// True where `stdout` is not the whole of it.
    pub cut: bool,
}

/// Runs `command` with `input`, at most so long, and keeps at most `longest` bytes of each of its streams.
///
/// # Errors
/// Where it can't be started or waited for.
pub fn run(command: &mut Command, input: Vec<u8>, longest: usize, patience: Duration) -> io::Result<Answer> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn()?;
    // In threads that nobody waits for: a program that reads nothing must not keep us, nor may one that goes on saying,
    // or leaves its end of the pipe to another.
    let stdin = child.stdin.take();
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let stdout = child.stdout.take().map(|from| listen(from, longest));
    let stderr = child.stderr.take().map(|from| listen(from, longest));
    let status = wait(&mut child, patience)?;
    let (stdout, cut) = heard(stdout);
    let (stderr, _) = heard(stderr);
    Ok(Answer { status, stdout, stderr, cut })
}

/// Parts of what is said; none where there is more than is kept.
type Said = mpsc::Receiver<Option<Vec<u8>>>;

fn listen(mut from: impl Read + Send + 'static, longest: usize) -> Said {
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut left = longest;
        let mut told = false;
        // To its end, or the program would be told that nobody listens, and might fail by that.
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // What can't be read to its end is not the whole of it.
                Err(_) => {
                    let _gone = say.send(None);
                    break;
                }
            };
            let kept = n.min(left);
            left -= kept;
            // Whoever listened may have gone.
            if kept > 0 {
                let _gone = say.send(Some(buffer[..kept].to_vec()));
            }
            if kept < n && !std::mem::replace(&mut told, true) {
                let _gone = say.send(None);
            }
        }
    });
    said
}

fn heard(said: Option<Said>) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let Some(said) = said else { return (all, false) };
    let until = Instant::now() + REST;
    loop {
        match said.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Some(part)) => all.extend(part),
            // Somebody who was started by it may still have the other end, and go on saying for ever.
            Ok(None) | Err(mpsc::RecvTimeoutError::Timeout) => return (all, true),
            Err(mpsc::RecvTimeoutError::Disconnected) => return (all, false),
        }
    }
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
