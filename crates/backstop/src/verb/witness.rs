//! `audit witness`: visits logs of other machines. What answers there may be anybody: it is bounded in length and time,
//! nothing of it reaches the terminal as it is, and none of it comes into a command line.

use std::process::{Command, Stdio};
use std::time::Duration;

use backstop_core::note::{Checkpoint, Verifier};
use backstop_core::time::Timestamp;
use backstop_core::witness::{LONGEST, Proposal, Refusal};
use backstop_engine::witness::{Looked, Memory, NotCosigned};
use backstop_engine::{Failure, FailureKind, child};

use super::audit::{standard_input, text};
use crate::args::WitnessArgs;
use crate::out::{self, Done, Trouble};
use crate::screen::message::{quoted, tame};
use crate::screen::size;
use crate::{clock, exit, inside};

/// How long an answer is waited for: a proof of millions of entries takes some seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it asks again, where somebody else was quicker.
const AGAIN: u32 = 3;
/// What the log's side says where the log is not what was written, first and on standard output.
pub const ALARM: &str = "backstop audit: the log is not what was written";
/// So many lines are shown of what is said there.
const SHOWN: usize = 20;
/// What a witness goes by.
const RULE: &str = "a witness cosigns a log only where it goes on from what was seen";

/// `backstop audit witness`.
pub fn witness(typed: &WitnessArgs) -> Done {
    inside::people_only("audit witness")?;
    // Before anything is made: a mistyped key must not leave half of it.
    let trusted = typed.trust.as_deref().map(log_key).transpose()?;
    let memory = match &typed.name {
        Some(name) => Memory::make(&typed.state, name)?,
        None => Memory::open(&typed.state)?,
    };
    if let Some(log) = &trusted {
        memory.look_at(log)?;
    }
    if typed.list {
        let (all, unreadable) = memory.logs()?;
        unreadable.iter().for_each(out::failure);
        let lines: String = all.iter().map(|log| format!("  {}\n", described(log))).collect();
        out::print(&format!("{}\n{lines}", quoted(&memory.witness().to_string())))?;
        return Ok(if unreadable.is_empty() { exit::OK } else { exit::FOUND });
    }
    if let Some(name) = &typed.forget {
        memory.forget(name)?;
        out::say("backstop: what was seen of it is put aside in the witness's directory\n");
        return Ok(exit::OK);
    }
    if let Some(name) = &typed.show {
        let note = memory.of(name)?.and_then(|log| log.note);
        let none = || Failure::usage("nothing was cosigned of such a log").next("the logs: --list");
        out::print(&note.ok_or_else(none)?)?;
        return Ok(exit::OK);
    }
    match &typed.from {
        Some(command) => visit(&memory, command),
        // Made, or told of a log: that is all that was asked for.
        None if typed.name.is_some() || trusted.is_some() => {
            out::say(&format!("backstop: the witness {}\n", quoted(&memory.witness().to_string())));
            Ok(exit::OK)
        }
        None => match cosigned(&memory, &standard_input()?) {
            Ok((_, note)) => {
                out::print(&note)?;
                Ok(exit::OK)
            }
            // Whoever gave it may be anybody: only what the log itself signed is an alarm.
            Err(NotCosigned::Refused(refusal)) if !refusal.alarms() => Err(refused(&refusal).into()),
            Err(other) => not_cosigned(other),
        },
    }
}

fn log_key(named: &str) -> Result<Verifier, Failure> {
    if let Ok(key) = Verifier::parse(named.trim()) {
        return Ok(key);
    }
    let wrong = |_| Failure::usage("--trust names no log's public key").next("ask the machine: backstop audit key");
    Verifier::parse(text(named.as_ref())?.trim()).map_err(wrong)
}

fn described(log: &Looked) -> String {
    let seen = log.seen.map_or_else(|| "nothing seen yet".to_owned(), |s| size::counted(s.size, "entry", "entries"));
    let grew = if log.grew == 0 { String::new() } else { format!(", the last of them {}", ago(log.grew)) };
    let from = log.from.as_ref().map_or_else(String::new, |from| format!("  ({})", quoted(from)));
    format!("{}  {seen}{grew}{from}", quoted(&log.name))
}

fn ago(at: u64) -> String {
    match size::ago(Timestamp::new(i64::try_from(at).unwrap_or(i64::MAX), 0), clock::now()) {
        now if now == "now" => now,
        ago => format!("{ago} ago"),
    }
}

fn cosigned(memory: &Memory, text: &str) -> Result<(Checkpoint, String), NotCosigned> {
    memory.cosign(&Proposal::parse(text)?)
}

/// Says that a log is not what it was.
fn alarm(what: &str) -> Done {
    let failure = Failure::new(FailureKind::Refused, format!("ALARM, nothing was cosigned: {what}"))
        .next("somebody who has root there, or its disk, may have written to its log: take it for taken over until it is found out")
        .next("keep this witness's directory as it is, and the machine's disk: they are the evidence")
        .by(RULE);
    out::failure(&failure);
    Ok(exit::FOUND)
}

/// What a witness that does not cosign says, and what it returns.
fn not_cosigned(why: NotCosigned) -> Done {
    match why {
        NotCosigned::Failed(failure) => Err(failure.into()),
        NotCosigned::Refused(refusal @ (Refusal::Shorter { .. } | Refusal::Changed { .. } | Refusal::Note(_))) => {
            alarm(&refusal.to_string())
        }
        NotCosigned::Refused(refusal) => Err(refused(&refusal).into()),
    }
}

fn refused(refusal: &Refusal) -> Failure {
    Failure::new(FailureKind::Refused, format!("not cosigned: {}", tame(refusal.to_string().as_bytes())))
        .next("see what it has seen: backstop audit witness --state DIR --list")
        .by(RULE)
}

/// Asks the log that `command` leads to, and brings it what was cosigned.
fn visit(memory: &Memory, command: &str) -> Done {
    let Some(answer) = ask(command, "audit key", None)? else { return alarm("the log's key there is damaged") };
    let Ok(key) = Verifier::parse(answer.trim()) else {
        return alarm("what answers there has no log's key");
    };
    let name = key.name();
    let shown = quoted(name);
    let (logs, unreadable) = memory.logs()?;
    // What can't be read may be of the log that was there before.
    if let Some(failure) = unreadable.into_iter().next() {
        return Err(failure.into());
    }
    // Each command leads to one log: else one machine could pass on the answers of another.
    if let Some(other) = logs.into_iter().find(|l| l.from.as_deref() == Some(command) && l.name != name) {
        let was = quoted(&other.name);
        return alarm(&format!(
            "another log answers there than before: {shown}, and it was {was} (where the machine was set up anew: \
             --forget {was})"
        ));
    }
    let Some(mut log) = memory.of(name)? else {
        return alarm(&format!(
            "this witness does not look at the log {shown} that answers there (where the machine is new, compare its key \
             at its own console: backstop audit key; then --trust KEY)"
        ));
    };
    if log.from.as_deref().is_some_and(|from| from != command) {
        return alarm(&format!(
            "the log {shown} was visited by another command before (where the way there has changed, name its key again: \
             --trust KEY --from COMMAND)"
        ));
    }
    for _ in 0..AGAIN {
        let seen = log.seen.map_or(0, |seen| seen.size);
        let Some(proposal) = ask(command, &format!("audit propose --since {seen}"), None)? else {
            return alarm("the log there is not what its own checkpoint says");
        };
        let Ok(read) = Proposal::parse(&proposal) else { return alarm("what answers there proposes nothing") };
        if read.old != seen || read.origin().ok().as_deref() != Some(name) {
            return alarm("what answers there proposes something else than it was asked");
        }
        match memory.cosign(&read) {
            Ok((checkpoint, note)) => return bring(memory, command, (&checkpoint, &note), seen, &log),
            // Somebody else visited it meanwhile.
            Err(NotCosigned::Refused(Refusal::Elsewhere { .. })) => {}
            Err(refused) => return not_cosigned(refused),
        }
        log = memory.of(name)?.unwrap_or(log);
    }
    Err(Failure::new(FailureKind::Refused, "others visit the same log all the time")
        .next("visit it again")
        .by(RULE)
        .into())
}

fn bring(memory: &Memory, command: &str, (checkpoint, note): (&Checkpoint, &str), seen: u64, before: &Looked) -> Done {
    memory.visited(&checkpoint.origin, command)?;
    let entries = size::counted(checkpoint.size, "entry", "entries");
    let new = checkpoint.size - seen;
    // A machine that shows the same old state again and again looks like one on which nothing happens.
    let quiet =
        if new == 0 && before.grew > 0 { format!(" (the last one {})", ago(before.grew)) } else { String::new() };
    out::say(&format!("backstop: cosigned {}: {entries}, {new} new{quiet}\n", quoted(&checkpoint.origin)));
    // Its alphabet is plain: no witness is made with another name.
    let kept = ask(command, &format!("audit keep --witness '{}'", memory.witness()), Some(note))?;
    kept.map_or_else(|| alarm("the log there did not keep what was cosigned"), |_| Ok(exit::OK))
}

/// Runs a verb there; none where it says that the log is not what was written.
fn ask(command: &str, verb: &str, input: Option<&str>) -> Result<Option<String>, Trouble> {
    let line = format!("{command} {verb}");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &line]).stderr(Stdio::piped());
    let input = input.unwrap_or_default().as_bytes().to_vec();
    let unreached = |why: String| {
        Failure::internal(format!("the log was not reached by `{}`: {why}", quoted(&line)))
            .next("try it by hand; a machine that is not reached any more has to be looked at")
            .by(RULE)
    };
    let answer = child::run(&mut shell, input, LONGEST, PATIENCE).map_err(|e| unreached(e.to_string()))?;
    let mut said = answer.stderr.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    said.by_ref().take(SHOWN).for_each(|line| out::say(&format!("  there: {}\n", tame(line.trim_ascii_end()))));
    if said.next().is_some() {
        out::say("  there: more, which is not shown\n");
    }
    let said = String::from_utf8(answer.stdout).ok().filter(|_| !answer.cut);
    match (answer.status, said) {
        (Some(status), Some(said)) if status.success() => Ok(Some(said)),
        (Some(status), None) if status.success() => {
            Err(unreached("its answer is too long, or no text".to_owned()).into())
        }
        // By its own word: sudo, ssh and others end with 1 as well.
        (Some(_), Some(said)) if said.lines().next() == Some(ALARM) => Ok(None),
        (Some(status), _) => Err(unreached(status.to_string()).into()),
        (None, _) => Err(unreached(format!("it took longer than {} s", PATIENCE.as_secs())).into()),
    }
}
