//! `audit`: checks the log, and has it looked at from elsewhere. Opens no engine, which would write to the log.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstop_core::bytes::Bytes;
use backstop_core::note::{Checkpoint, Verifier};
use backstop_core::witness::{LONGEST, Proposal, Witness};
use backstop_engine::audit::{self, AuditError, AuditLog, Kept, verify};
use backstop_engine::witness::{Memory, NotCosigned};
use backstop_engine::{Failure, FailureKind};

use super::records::folder;
use crate::args::{Audit, OneLog, Verify, WitnessArgs};
use crate::document::AuditDocument;
use crate::out::{self, Done};
use crate::screen::records;
use crate::screen::size;
use crate::screen::style::Style;
use crate::{exit, inside};

/// `backstop audit`.
pub fn audit(what: &Audit) -> Done {
    match what {
        Audit::Verify(typed) => check(typed),
        Audit::Key(log) => {
            inside::records_needed("audit key")?;
            let key = audit::public_key(&place(log)?).map_err(|e| unreadable(&e))?;
            out::print(&format!("{key}\n"))?;
            Ok(exit::OK)
        }
        Audit::Propose { log, since } => {
            inside::records_needed("audit propose")?;
            let dir = place(log)?;
            if log.log.is_none() {
                // After a power cut the checkpoint may be older than what a witness has seen, until somebody signs the rest.
                AuditLog::settle(&dir).map_err(|e| unreadable(&e))?;
            }
            let proposal = audit::propose(&dir, *since).map_err(|e| unreadable(&e))?;
            out::print(&proposal.text())?;
            Ok(exit::OK)
        }
        Audit::Keep { log, witness } => {
            inside::records_needed("audit keep")?;
            let witness = one(witness)?;
            let kept = audit::keep(&place(log)?, &witness, &standard_input()?).map_err(|e| unreadable(&e))?;
            let entries = size::counted(kept.checkpoint.size, "entry", "entries");
            out::say(&format!("backstop: kept: {} has seen {entries}\n", witness.name()));
            Ok(exit::OK)
        }
        Audit::Witness(typed) => witness(typed),
    }
}

/// The log's directory: this machine's is root's, or the caller's; a copy is whoever's can read it.
fn place(log: &OneLog) -> Result<PathBuf, Failure> {
    match &log.log {
        Some(dir) => Ok(dir.clone()),
        None => folder(),
    }
}

fn check(typed: &Verify) -> Done {
    inside::records_needed("audit verify")?;
    let mut kept = Kept::default();
    if let Some(path) = &typed.checkpoint {
        let wrong = |_| Failure::usage(format!("{} is no checkpoint", path.display()));
        kept.checkpoint = Some(Checkpoint::of_note(&text(path)?).map_err(wrong)?);
    }
    for named in &typed.witness {
        kept.witnesses.extend(witnesses(named)?);
    }
    let dir = place(&typed.log)?;
    // A log that is gone where runs are recorded is a finding, not a fresh start.
    if !dir.exists() && (typed.log.log.is_some() || !dir.with_file_name("runs").exists()) {
        return Err(Failure::usage(format!("no audit log in {}", Bytes::from(dir).quoted()))
            .next("the first `backstop run` begins it")
            .into());
    }
    let report = verify(&dir, &kept);
    if typed.json {
        out::document(&AuditDocument::of(&report))?;
    } else {
        out::print(&records::report(&report, Style::of(&io::stdout())))?;
    }
    Ok(report.exit())
}

fn unreadable(error: &AuditError) -> Failure {
    Failure::because("the audit log", error).next("backstop audit verify")
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure {
        kind: FailureKind::Usage,
        ..Failure::because(format!("cannot read {}", path.display()), &e)
    })
}

/// The keys that were named: one, or a file of them.
fn witnesses(named: &str) -> Result<Vec<Witness>, Failure> {
    let lines = if Path::new(named).exists() { text(Path::new(named))? } else { named.to_owned() };
    let parse = |line: &str| {
        let wrong = || {
            Failure::usage(format!("{line:?} is no witness's public key"))
                .next("it is in key.pub of the witness's directory: name+hash+base64")
        };
        Witness::parse(line).map_err(|_| wrong())
    };
    lines.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(parse).collect()
}

fn one(named: &str) -> Result<Witness, Failure> {
    let all = witnesses(named)?;
    let [one] = &all[..] else { return Err(Failure::usage(format!("{} keys, and one is needed", all.len()))) };
    Ok(one.clone())
}

fn standard_input() -> Result<String, Failure> {
    let mut bytes = String::new();
    let read = io::stdin().lock().take(LONGEST as u64 + 1).read_to_string(&mut bytes);
    read.map_err(|e| Failure::because("cannot read standard input", &e))?;
    Ok(bytes)
}

fn witness(typed: &WitnessArgs) -> Done {
    inside::people_only("audit witness")?;
    let memory = match &typed.name {
        Some(name) => Memory::make(&typed.state, name)?,
        None => Memory::open(&typed.state)?,
    };
    if let Some(named) = &typed.trust {
        let line = if Path::new(named).exists() { text(Path::new(named))? } else { named.clone() };
        let wrong =
            |_| Failure::usage(format!("{named:?} is no log's public key")).next("ask the machine: backstop audit key");
        memory.look_at(&Verifier::parse(line.trim()).map_err(wrong)?)?;
    }
    if typed.list {
        let mut said = format!("{}\n", memory.witness());
        for (log, seen) in memory.logs()? {
            let seen =
                seen.map_or("nothing seen yet".to_owned(), |s| size::counted(s.size, "entry", "entries") + " seen");
            said.push_str(&format!("  {log}  {seen}\n"));
        }
        out::print(&said)?;
        return Ok(exit::OK);
    }
    match &typed.from {
        Some(command) => visit(&memory, command),
        // Made, or told of a log: that is all that was asked for.
        None if typed.name.is_some() || typed.trust.is_some() => {
            out::say(&format!("backstop: the witness {}\n", memory.witness()));
            Ok(exit::OK)
        }
        None => {
            let (_, note) = match cosigned(&memory, &standard_input()?) {
                Ok(cosigned) => cosigned,
                Err(refused) => return alarmed(refused),
            };
            out::print(&note)?;
            Ok(exit::OK)
        }
    }
}

fn cosigned(memory: &Memory, text: &str) -> Result<(Checkpoint, String), NotCosigned> {
    memory.cosign(&Proposal::parse(text)?)
}

/// What a witness that does not cosign says, and what it returns.
fn alarmed(refused: NotCosigned) -> Done {
    match refused {
        NotCosigned::Failed(failure) => Err(failure.into()),
        NotCosigned::Refused(refusal) => {
            let failure = Failure::new(FailureKind::Refused, format!("not cosigned: {refusal}"));
            let code = if refusal.alarms() { exit::FOUND } else { exit::DENIED };
            out::failure(&if refusal.alarms() {
                failure
                    .next("somebody with root's rights on that machine, or its disk, wrote to its log: take it for taken over")
                    .next("keep this witness's directory as it is, and the machine's disk: they are the evidence")
            } else {
                failure.next("see what it has seen: backstop audit witness --state DIR --list")
            });
            Ok(code)
        }
    }
}

/// Asks the log that `command` leads to, and brings it what was cosigned.
fn visit(memory: &Memory, command: &str) -> Done {
    let first = ask(command, "audit key", None)?;
    let log = Verifier::parse(first.trim()).map_err(|_| {
        Failure::new(FailureKind::Refused, format!("`{command} audit key` names no log's key")).next("try it by hand")
    })?;
    let logs = memory.logs()?;
    let Some((_, seen)) = logs.iter().find(|(name, _)| name == log.name()) else {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("this witness does not look at the log {}", log.name()),
        )
        .next("another log than before under that command is an alarm by itself: find out why")
        .next(format!("where it is a new machine: --trust '{log}'"))
        .into());
    };
    let seen = seen.map_or(0, |seen| seen.size);
    let proposal = ask(command, &format!("audit propose --since {seen}"), None)?;
    let (checkpoint, note) = match cosigned(memory, &proposal) {
        Ok(cosigned) => cosigned,
        Err(refused) => return alarmed(refused),
    };
    ask(command, &format!("audit keep --witness '{}'", memory.witness()), Some(&note))?;
    let entries = size::counted(checkpoint.size, "entry", "entries");
    out::say(&format!("backstop: cosigned {}: {entries}, {} new\n", checkpoint.origin, checkpoint.size - seen));
    Ok(exit::OK)
}

/// Runs a verb there; its standard error is shown.
fn ask(command: &str, verb: &str, input: Option<&str>) -> Result<String, Failure> {
    let line = format!("{command} {verb}");
    let failed = |e: io::Error| Failure::because(format!("cannot run {line}"), &e);
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let child = Command::new("/bin/sh").args(["-c", &line]).stdin(stdin).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(failed)?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        match stdin.write_all(text.as_bytes()) {
            // It has given up already, and says why.
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(failed(e)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8(output.stdout).ok().filter(|said| output.status.success() && said.len() <= LONGEST);
    said.ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("{line} did not answer ({})", output.status)).next("try it by hand")
    })
}
