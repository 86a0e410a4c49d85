//! A file tool's call: its effect is rehearsed with the content that the input tells, and judged; then the
//! tool does it itself, or is stopped. What it did becomes a run when it has.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use backstop_core::bytes::Bytes;
use backstop_core::hook::{self, Call, Change, Reply, Tool, What, quote};
use backstop_core::run::State;
use backstop_engine::{Failure, FailureKind, Filter, Outcome, Unchanged};
use rustix::fs::MemfdFlags;

use crate::inside;
use crate::out;
use crate::person::Terminal;
use crate::porch;
use crate::screen::message;
use crate::screen::session::summary;
use crate::screen::style::Style;
use crate::verb;

/// Bigger files are not read to tell what a tool makes of them.
const LIMIT: u64 = 64 << 20;

/// Before the tool.
pub fn before(call: &Call, changes: &[Change]) -> Result<Reply, Failure> {
    // All that happens in here is rehearsed already.
    if inside::is_inside() {
        return Ok(hook::pass(call.agent));
    }
    let mut steps = Vec::new();
    for change in changes {
        match Step::of(change)? {
            Some(step) => steps.push(step),
            None => return Ok(hook::stop(call.agent, Some(call), &untold(&change.path))),
        }
    }
    let work = Work::of(&steps)?;
    let mut house = verb::doors()?;
    let wanted = porch::wanted_edit(call, named(call), &work.line)?;
    let outcome = {
        let _streams = Streams::lend(work.input)?;
        house.rehearse_edit(wanted, &mut Terminal::new(false, false))?
    };
    Ok(match outcome.record.state {
        State::Allowed | State::NoEffect => hook::pass(call.agent),
        _ => hook::stop(call.agent, Some(call), &told(&outcome)),
    })
}

/// After the tool, whether it did anything or not. Its run is there then; what can't be looked at now is
/// looked at before the next thing happens.
pub fn after(call: &Call, key: &Bytes) -> Result<Reply, Failure> {
    if !inside::is_inside() {
        let mut house = verb::doors()?;
        if let Some(run) = house.allowed_edit(call.session.as_ref(), key)? {
            house.settle_edit(run, Unchanged::GiveUp)?;
        }
    }
    Ok(hook::pass(call.agent))
}

/// At the end of a session: nothing of it is about to write any more. What came of it is told.
pub fn ended(call: &Call) -> Result<Reply, Failure> {
    let (false, Some(session)) = (inside::is_inside(), &call.session) else { return Ok(hook::pass(call.agent)) };
    let mut house = verb::doors()?;
    for remark in house.settle_edits(session, Unchanged::GiveUp)? {
        out::say(&format!("backstop: {remark}\n"));
    }
    let listed = house.runs(&Filter { session: Some(session.clone()), ..Filter::default() })?;
    let waits = listed.runs.iter().any(|run| run.state == State::Held);
    let summary = summary(session, &listed.runs);
    Ok(summary.map_or_else(|| hook::pass(call.agent), |text| hook::farewell(call, &text, waits)))
}

/// What the model is told: nothing was written, why, and what can be done.
fn told(outcome: &Outcome) -> String {
    let mut text = message::outcome(outcome, Style::PLAIN);
    if outcome.record.state == State::Held {
        text.push_str(&format!(
            "The tool was stopped; nothing was written. When a person lets {id} through, the files are written by \
             that: don't repeat the edit. Go on with other work, or wait: backstop wait {id}\n",
            id = outcome.record.id
        ));
    }
    text
}

/// The tool's name, and what its call is known by.
fn named(call: &Call) -> (&str, Bytes) {
    match &call.tool {
        Tool::Edit(edit) => (&edit.name, call.key(edit)),
        _ => ("", Bytes::default()),
    }
}

fn untold(path: &Bytes) -> String {
    format!(
        "Backstop can't tell what this would make of {}: the input doesn't say it, or the passage is not there to the \
         letter. Nothing was written. Write the whole file, name the passage exactly, or use a shell command, which is \
         rehearsed.",
        path.quoted()
    )
}

/// What becomes of one file.
struct Step {
    /// A name that goes.
    gone: Option<Bytes>,
    /// A file that is written, and what it has then.
    written: Option<(Bytes, Vec<u8>)>,
}

impl Step {
    /// None where it can't be told.
    fn of(change: &Change) -> Result<Option<Self>, Failure> {
        if change.what == What::Delete {
            return Ok(Some(Self { gone: Some(change.path.clone()), written: None }));
        }
        let Some(content) = change.what.content(content(&change.path)?.as_deref()) else { return Ok(None) };
        Ok(Some(match &change.what {
            What::Move(to, _) => Self { gone: Some(change.path.clone()), written: Some((to.clone(), content)) },
            _ => Self { gone: None, written: Some((change.path.clone(), content)) },
        }))
    }
}

/// The same change as a shell's work: a line, and what it reads.
struct Work {
    input: OwnedFd,
    line: String,
}

impl Work {
    fn of(steps: &[Step]) -> Result<Self, Failure> {
        let (mut words, mut input) = (Vec::new(), Vec::new());
        for Step { gone, written } in steps {
            if let Some((to, content)) = written {
                let parent = to.parent();
                if !parent.is_empty() && !parent.as_path().exists() {
                    words.push(format!("mkdir -p -- {}", word(&parent)?));
                }
                let (target, count) = (word(to)?, content.len());
                words.push(match count {
                    _ if steps.len() == 1 => format!("cat >{target}"),
                    0 => format!(": >{target}"),
                    // Each takes its own part of what is read.
                    _ => format!("dd bs=64K iflag=fullblock,count_bytes count={count} status=none of={target}"),
                });
                input.extend_from_slice(content);
            }
            if let Some(path) = gone {
                words.push(format!("rm -- {}", word(path)?));
            }
        }
        let input = memory(&input).map_err(|e| Failure::because("cannot hold the content", &e))?;
        Ok(Self { input, line: words.join(" && ") })
    }
}

fn word(path: &Bytes) -> Result<String, Failure> {
    let text = std::str::from_utf8(path.as_slice()).map_err(|_| Failure::usage("the file's name is not UTF-8"))?;
    Ok(quote(text))
}

/// What is at the path now; none where nothing is.
fn content(path: &Bytes) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |e: &io::Error| Failure::because(format!("cannot read {}", path.quoted()), e);
    match fs::metadata(path.as_path()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(&e)),
        Ok(meta) if !meta.is_file() => return Err(Failure::usage(format!("{} is no file", path.quoted()))),
        Ok(meta) if meta.len() > LIMIT => {
            return Err(Failure::new(FailureKind::Refused, format!("{} is bigger than 64 MiB", path.quoted()))
                .next("change it with a shell command, which is rehearsed"));
        }
        Ok(_) => {}
    }
    fs::read(path.as_path()).map(Some).map_err(|e| failed(&e))
}

fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("edit", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// While it lives, the rehearsed command reads `input`, and what it says goes nowhere: both streams of this
/// process are the client's.
struct Streams {
    err: OwnedFd,
}

impl Streams {
    fn lend(input: OwnedFd) -> Result<Self, Failure> {
        let lend = || -> io::Result<Self> {
            rustix::stdio::dup2_stdin(input)?;
            let err = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
            rustix::stdio::dup2_stderr(File::options().write(true).open("/dev/null")?)?;
            Ok(Self { err })
        };
        lend().map_err(|e| Failure::because("cannot lend the streams", &e))
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // Where that fails, the reason is lost, and the exit code stays.
        let _lost = rustix::stdio::dup2_stderr(&self.err);
    }
}
