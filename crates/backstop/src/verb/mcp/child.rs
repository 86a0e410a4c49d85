//! Starts this very program for one call, reads what it says, and ends it when nobody waits any more. The
//! engine forks, so it never runs in the server's own process, which has threads.

use std::ffi::OsString;
use std::future::pending;
use std::io::{ErrorKind, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Call;
use super::kept::{HEAD, Kept};
use crate::verb::hook;

/// How long a program has to end after SIGTERM: a commit under way is finished first.
pub const GRACE: Duration = Duration::from_secs(10);
/// How long output is waited for when the program itself has ended.
const DRAIN: Duration = Duration::from_secs(1);
/// How often the client hears of progress at most.
const PULSE: Duration = Duration::from_millis(250);

/// What to start.
#[derive(Debug)]
pub struct Order {
    /// The arguments.
    pub args: Vec<OsString>,
    /// Where; none is where the server is.
    pub cwd: Option<PathBuf>,
    /// How long it may take.
    pub limit: Option<Duration>,
    /// How much of the beginning of each stream is kept.
    pub room: usize,
}

impl Order {
    /// This program with `args`.
    pub fn new(args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), cwd: None, limit: None, room: HEAD }
    }
}

/// Why a program was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The client took the call back.
    Cancelled,
    /// The client is gone.
    Gone,
    /// It took longer than it was given.
    Late,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, 128+N for signal N.
    pub code: u8,
    /// Why it was ended early, where it was.
    pub cut: Option<Cut>,
    /// Standard error.
    pub stderr: Kept,
    /// Standard output.
    pub stdout: Kept,
}

/// Starts the program and waits for its end.
///
/// # Errors
/// Where it can't be started; nothing was run then.
pub async fn run(order: Order, call: &Call) -> Result<Ended, String> {
    let _turn = call.server.turns.acquire().await.map_err(|_| "the server is about to end".to_owned())?;
    if *call.server.gone.borrow() {
        return Err("nothing was run: the client is gone".to_owned());
    }
    let mut started = Started::new(&order, call.server.inside)?;
    let out = Stream::of(started.child.stdout.take(), order.room);
    let err = Stream::of(started.child.stderr.take(), HEAD);
    let pid = started.pid;
    // Left to be reaped, so that its id stays its own until no signal can be sent any more.
    let mut ended = spawn_blocking(move || {
        while rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .is_err_and(|e| e == rustix::io::Errno::INTR)
        {}
    });
    let late = order.limit.map(|limit| Instant::now() + limit);
    let mut cut = None;
    let mut kill_at = None;
    let mut told = 0;
    loop {
        tokio::select! {
            _ = &mut ended => break,
            why = call.unwanted(late), if cut.is_none() => {
                cut = Some(why);
                kill_at = Some(Instant::now() + GRACE);
                started.signal(Signal::TERM);
            }
            () = at(kill_at) => {
                kill_at = None;
                started.signal(Signal::KILL);
            }
            () = sleep(PULSE), if call.wants_progress() && cut.is_none() => {
                let total = out.kept().total() + err.kept().total();
                if total > told {
                    told = total;
                    let line = out.kept().latest().or_else(|| err.kept().latest());
                    call.progress(total, line).await;
                }
            }
        }
    }
    let code = started.reap()?;
    let drained = Instant::now() + DRAIN;
    Ok(Ended { code, cut, stderr: err.end(drained).await, stdout: out.end(drained).await })
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}

/// A running program; ended at once where it is let go of without having been reaped.
struct Started {
    child: Child,
    group: bool,
    pid: Pid,
    reaped: bool,
}

impl Started {
    fn new(order: &Order, inside: bool) -> Result<Self, String> {
        let program = hook::program().map_err(|why| format!("nothing was run: {why}"))?;
        let mut command = Command::new(program);
        command.args(&order.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(cwd) = &order.cwd {
            command.current_dir(cwd);
        }
        if inside {
            // It becomes the command itself; what that starts is ended along.
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|e| format!("nothing was run: Backstop can't be started: {e}"))?;
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            let _ended = child.kill().and_then(|()| child.wait());
            return Err("nothing was run: Backstop can't be waited for".to_owned());
        };
        Ok(Self { child, group: inside, pid, reaped: false })
    }

    /// Only before it is reaped: the id is another's after that.
    fn signal(&self, signal: Signal) {
        let sent = if self.group {
            rustix::process::kill_process_group(self.pid, signal)
        } else {
            rustix::process::kill_process(self.pid, signal)
        };
        // It has ended meanwhile.
        let _gone = sent;
    }

    fn reap(&mut self) -> Result<u8, String> {
        let status = self.child.wait().map_err(|e| format!("what became of it is not known: {e}"))?;
        self.reaped = true;
        let code = status.code().or_else(|| status.signal().map(|n| 128 + n)).unwrap_or_default();
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
            let _status = self.child.wait();
        }
    }
}

/// One of its streams, read by a thread of its own.
struct Stream {
    kept: Arc<Mutex<Kept>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn of(from: Option<impl Read + Send + 'static>, room: usize) -> Self {
        let kept = Arc::new(Mutex::new(Kept::new(room)));
        let to = kept.clone();
        let reader = spawn_blocking(move || {
            let mut buffer = [0; 8 << 10];
            let Some(mut from) = from else { return };
            loop {
                match from.read(&mut buffer) {
                    Ok(n @ 1..) => to.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..n]),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => return,
                }
            }
        });
        Self { kept, reader }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it said until its end, or until `by`: something that outlives the program may hold it open.
    async fn end(mut self, by: Instant) -> Kept {
        let _open = timeout_at(by, &mut self.reader).await;
        self.kept().clone()
    }
}
