//! Takes a command and a time limit, gives what it said and how it ended. Never waits longer than
//! the limit; a command over it is killed and says so.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Broken;

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit code; 128+N after signal N; -1 when it was over its time.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
}

impl Said {
    /// Its last words, for a report: the end of both streams, control characters escaped.
    pub fn words(&self) -> String {
        let end = |bytes: &[u8]| {
            let tail = &bytes[bytes.len().saturating_sub(1500)..];
            tail.escape_ascii().to_string().replace("\\n", "\n      ")
        };
        format!("exit {}\n  out {}\n  err {}", self.code, end(&self.out), end(&self.err))
    }

    /// An error naming `what`, unless it ended with 0.
    pub fn must(self, what: &str) -> Result<Said, Broken> {
        if self.code == 0 { Ok(self) } else { Err(Broken::Step { what: what.to_owned(), said: self.words() }) }
    }
}

/// Runs `command` with no standard input for at most `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<Said, Broken> {
    let what = format!("run {}", command.get_program().display());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Broken::io(what.clone()))?;
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let end = Instant::now() + limit;
    let mut nap = Duration::from_micros(500);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Broken::io(what.clone()))? {
            break Some(status);
        }
        if Instant::now() > end {
            // It may have ended this moment; then there is nothing to kill.
            child.kill().ok();
            child.wait().map_err(Broken::io(what.clone()))?;
            break None;
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(10));
    };
    let code = status.map_or(-1, |s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)));
    // A process left behind may hold the pipes open; what it says after that is nobody's business.
    let rest = Duration::from_secs(2);
    Ok(Said { code, out: out.recv_timeout(rest).unwrap_or_default(), err: err.recv_timeout(rest).unwrap_or_default() })
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What arrived before an error is what there is.
            pipe.read_to_end(&mut bytes).ok();
        }
        tell.send(bytes).ok();
    });
    told
}

/// Ends the whole test binary after `limit`, so that a hang is a failure and not a silence.
pub fn watchdog(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        eprintln!("over the time limit of {} s for this test binary", limit.as_secs());
        std::process::exit(101);
    });
}
