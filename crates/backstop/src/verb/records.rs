//! `log`: the audit log, read without opening the engine, which would write to it.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use backstop_core::audit::{Body, Entry};
use backstop_core::bytes::Bytes;
use backstop_core::id::RunId;
use backstop_engine::Failure;
use backstop_engine::audit::{AuditError, entries};
use backstop_engine::porch::{self, Caller};

use crate::args::Log;
use crate::out::{Done, Trouble};
use crate::screen::message::quoted;
use crate::screen::records;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// How often `--follow` looks for new entries.
const LOOK: Duration = Duration::from_millis(250);

/// The log's directory.
pub fn folder() -> Result<PathBuf, Failure> {
    super::roots()?;
    let (settings, _) = porch::settings(Caller::of_this_process())?;
    Ok(settings.state.join("audit"))
}

/// `backstop log`.
pub fn log(typed: &Log) -> Done {
    inside::records_needed("log")?;
    if let Some(kind) = typed.event.iter().find(|kind| Body::NAMES.iter().all(|name| !is_kind(name, kind))) {
        return Err(no_such(kind).into());
    }
    let dir = folder()?;
    let style = Style::of(&io::stdout());
    let mut session = typed.session.as_deref().map(|s| Session { name: s.into(), runs: HashSet::new() });
    let now = clock::now();
    let (since, until) = (typed.since.map(|w| w.moment(now)), typed.until.map(|w| w.moment(now)));
    let mut wanted = |entry: &Entry| {
        // First: it has to hear of all of them.
        session.as_mut().is_none_or(|s| s.takes(entry))
            && (typed.run.is_empty() || entry.body.run().is_some_and(|run| typed.run.contains(&run)))
            && (typed.event.is_empty() || typed.event.iter().any(|kind| is_kind(entry.body.name(), kind)))
            // Once a minute, and as many as a command starts: people who did not ask for them would see nothing else.
            && (typed.json
                || !typed.event.is_empty()
                || !matches!(entry.body, Body::AuditHeartbeat { .. } | Body::ExecRan { .. }))
            && since.is_none_or(|since| entry.at >= since)
            && until.is_none_or(|until| entry.at < until)
    };
    if !dir.exists() && !typed.follow {
        return Ok(exit::OK);
    }
    let mut reader = entries(&dir, 0);
    loop {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for entry in &mut reader {
            let entry = entry.map_err(unreadable)?;
            if wanted(&entry) {
                let line = if typed.json { canonical(&entry) } else { records::entry(&entry, style).into_bytes() };
                out.write_all(&line)?;
            }
        }
        out.flush()?;
        drop(out);
        if !typed.follow {
            return Ok(exit::OK);
        }
        std::thread::sleep(LOOK);
        if closed() {
            return Ok(exit::OK);
        }
    }
}

/// True where an entry's name is this one, or begins with it up to a dot.
fn is_kind(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || kind.ends_with('.'))
}

/// Nothing has this name: else a slip of the hand looks like a log in which that never happened.
fn no_such(kind: &str) -> Failure {
    let all: BTreeSet<&str> = Body::NAMES.iter().filter_map(|name| name.split('.').next()).collect();
    let all: Vec<&str> = all.into_iter().collect();
    Failure::usage(format!("no entry of the log is called {}", quoted(kind)))
        .next(format!("one of {}, or a whole name, like run.committed", all.join(", ")))
}

/// True when nobody reads standard output any more: a follower must not outlive its reader.
fn closed() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::NVAL)
}

/// A line as it stands in the log.
fn canonical(entry: &Entry) -> Vec<u8> {
    let mut line = entry.line();
    line.push(b'\n');
    line
}

fn unreadable(error: AuditError) -> Trouble {
    Failure::because("cannot read the audit log", &error).next("backstop audit verify").into()
}

/// The entries of one session: those of its runs.
struct Session {
    name: Bytes,
    runs: HashSet<RunId>,
}

impl Session {
    fn takes(&mut self, entry: &Entry) -> bool {
        if let Body::RunRequested { run, session: Some(session), .. } = &entry.body
            && *session == self.name
        {
            self.runs.insert(*run);
        }
        entry.body.run().is_some_and(|run| self.runs.contains(&run))
    }
}
