//! `audit`: checks the log, and gives witnesses what they ask for. Opens no engine.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::note::Checkpoint;
use backstop_core::witness::{LONGEST, Witness};
use backstop_engine::audit::{self, AuditError, AuditLog, Expected, Kept, Seen, verify};
use backstop_engine::porch::{self, Caller};
use backstop_engine::{Failure, FailureKind};

use super::records::folder;
use super::witness;
use crate::args::{Audit, Verify};
use crate::document::AuditDocument;
use crate::install::auditd;
use crate::out::{self, Done};
use crate::screen::style::Style;
use crate::screen::{message, records, size};
use crate::{exit, inside};

/// `backstop audit`.
pub fn audit(what: &Audit) -> Done {
    match what {
        Audit::Verify(typed) => check(typed),
        Audit::Key => {
            inside::records_needed("audit key")?;
            match audit::public_key(&folder()?) {
                Ok(key) => out::print(&format!("{key}\n")).map(|()| exit::OK).map_err(Into::into),
                Err(error) => told(&error),
            }
        }
        Audit::Commitment => {
            inside::records_needed("audit commitment")?;
            let secret = secret()?;
            match AuditLog::redactor(&own(folder()?)?) {
                Ok(redactor) => out::print(&format!("{}\n", redactor.commitment(secret.as_bytes())))
                    .map(|()| exit::OK)
                    .map_err(Into::into),
                Err(error) => told(&error),
            }
        }
        Audit::Propose { since } => {
            inside::records_needed("audit propose")?;
            let dir = own(folder()?)?;
            // After a power cut the checkpoint may be older than what a witness has seen, until somebody signs the rest.
            match AuditLog::settle(&dir).and_then(|()| audit::propose(&dir, *since)) {
                Ok(proposal) => out::print(&proposal.text()).map(|()| exit::OK).map_err(Into::into),
                Err(error) => told(&error),
            }
        }
        Audit::Keep { witness } => {
            inside::records_needed("audit keep")?;
            // By its key alone: what would be read for it here is root's.
            let wrong = |_| {
                Failure::usage("that is no witness's public key")
                    .next("name+hash+base64, as in key.pub of the witness's directory")
            };
            let witness = Witness::parse(witness).map_err(wrong)?;
            match audit::keep(&own(folder()?)?, &witness, &standard_input()?) {
                Ok(kept) => {
                    let entries = size::counted(kept.checkpoint.size, "entry", "entries");
                    out::say(&format!("backstop: kept: {} has seen {entries}\n", message::quoted(witness.name())));
                    Ok(exit::OK)
                }
                Err(error) => told(&error),
            }
        }
        Audit::Witness(typed) => witness::witness(typed),
    }
}

/// The log's directory, where it is the caller's: what root wrote into somebody's log he could not go on with.
fn own(dir: PathBuf) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(&dir).map(|m| m.uid()).map_err(|e| {
        Failure::because(format!("there is no audit log in {}", Bytes::from(&*dir).quoted()), &e)
            .next("the first `backstop run` begins it")
    })?;
    if owner != Caller::of_this_process().uid {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("the audit log in {} is user {owner}'s", Bytes::from(&*dir).quoted()),
        )
        .next("ask by that user's account")
        .by("nobody writes beside another's log"));
    }
    Ok(dir)
}

/// Why it can't be done; with a code of its own where the log is not what was written, for whoever asks from elsewhere.
fn told(error: &AuditError) -> Done {
    let failure = Failure::because("refused", error).by("who looks at a log from elsewhere is told what it is");
    if error.alarms() {
        out::print(&format!("{}\n", witness::ALARM))?;
        out::failure(&failure.next("see where it is not what was written: backstop audit verify"));
        return Ok(exit::FOUND);
    }
    Err(failure.next("see what is there: backstop audit verify").into())
}

fn check(typed: &Verify) -> Done {
    inside::records_needed("audit verify")?;
    let dir = match &typed.log {
        Some(dir) => dir.clone(),
        None => folder()?,
    };
    // A log that is gone where runs are recorded is a finding, not a fresh start.
    if !dir.exists() && (typed.log.is_some() || !dir.with_file_name("runs").exists()) {
        return Err(Failure::usage(format!("no audit log in {}", Bytes::from(dir).quoted()))
            .next("the first `backstop run` begins it")
            .into());
    }
    let mut kept = Kept::default();
    if let Some(path) = &typed.checkpoint {
        kept.checkpoint = Some(checkpoint(path, &dir)?);
    }
    for named in &typed.witness {
        let all = witnesses(named)?;
        if all.is_empty() {
            return Err(Failure::usage("--witness names no witness")
                .next("give a public key, or a file with one a line: key.pub of the witness's directory")
                .into());
        }
        kept.witnesses.extend(all);
    }
    if let Some(log) = &typed.auditd {
        kept.auditd = Some(seen(log, typed)?);
    }
    let report = verify(&dir, &kept);
    if typed.json {
        out::document(&AuditDocument::of(&report))?;
    } else {
        out::print(&records::report(&report, Style::of(&io::stdout())))?;
    }
    Ok(report.exit())
}

/// What auditd is to be asked.
fn seen(log: &Path, typed: &Verify) -> Result<Seen, Failure> {
    let accounts = match &typed.account[..] {
        [] => auditd::agents_here()?,
        named => {
            let all = porch::accounts();
            named.iter().map(|name| auditd::number(name, &all)).collect::<Result<_, _>>()?
        }
    };
    let own = std::env::current_exe().map_err(|e| Failure::because("cannot tell where this program is", &e))?;
    let named = typed.expected.iter().map(|path| {
        Expected::at(path).map_err(|e| {
            let what = format!("cannot find {}", Bytes::from(&**path).quoted());
            Failure { kind: FailureKind::Usage, ..Failure::because(what, &e) }
        })
    });
    let mut expected = named.collect::<Result<Vec<_>, _>>()?;
    expected.extend(auditd::own_programs(&own).filter_map(|path| Expected::at(&path).ok()));
    let subordinate = auditd::subordinate_here(&accounts)?;
    Ok(Seen { log: log.to_owned(), accounts, subordinate, expected })
}

/// A checkpoint that was kept. One that says that it is of this log, and was not signed by its key, was changed since.
fn checkpoint(path: &Path, log: &Path) -> Result<Checkpoint, Failure> {
    let note = text(path)?;
    let shown = Bytes::from(path);
    let wrong = |why: &str| Failure::usage(format!("{} is no checkpoint{why}", shown.quoted()));
    // The log's own file is filled up with line ends.
    let note = format!("{}\n", note.trim_end_matches('\n'));
    let read = Checkpoint::of_note(&note).map_err(|_| wrong(""))?;
    match audit::public_key(log) {
        Ok(key) if key.name() == read.origin && Checkpoint::open(&note, &key).is_err() => {
            Err(wrong(" of this log: its signature does not hold").next("take another copy of it"))
        }
        _ => Ok(read),
    }
}

/// A file that somebody named.
pub fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| {
        let what = format!("cannot read {}", Bytes::from(path).quoted());
        Failure { kind: FailureKind::Usage, ..Failure::because(what, &e) }
    })
}

/// The keys that were named: one, or a file of them. A key first, or a file that is called like it would be taken for it.
fn witnesses(named: &str) -> Result<Vec<Witness>, Failure> {
    if let Ok(one) = Witness::parse(named.trim()) {
        return Ok(vec![one]);
    }
    let path = Path::new(named);
    let lines = text(path)?;
    let keys = lines.lines().map(str::trim).enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    let parse = |(at, line): (usize, &str)| {
        let wrong = |_| {
            Failure::usage(format!("{}, line {}: no witness's public key", Bytes::from(path).quoted(), at + 1))
                .next("name+hash+base64, as in key.pub of the witness's directory")
        };
        Witness::parse(line).map_err(wrong)
    };
    keys.map(parse).collect()
}

/// A secret on standard input: never an argument, which others can see. Without the line's end, as `echo` writes it; of a
/// private key that which is between its first line and its last.
fn secret() -> Result<String, Failure> {
    let typed = standard_input()?;
    let of_key = typed.split_once("PRIVATE KEY-----").and_then(|(_, rest)| rest.split_once("-----END"));
    let secret = of_key.map_or_else(|| typed.strip_suffix('\n').unwrap_or(&typed), |(body, _)| body.trim());
    if secret.is_empty() {
        return Err(Failure::usage("there is nothing on standard input").next("backstop audit commitment < FILE"));
    }
    Ok(secret.to_owned())
}

/// A note or a proposal.
pub fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST as u64 + 1).read_to_string(&mut text);
    match read {
        Ok(n) if n <= LONGEST => Ok(text),
        Ok(_) => Err(Failure::usage(format!("standard input has more than {LONGEST} bytes, which no such text has"))
            .next("give it what it asks for: backstop help audit")),
        Err(e) => Err(Failure::because("cannot read standard input", &e).next("give it what it asks for, as text")),
    }
}
