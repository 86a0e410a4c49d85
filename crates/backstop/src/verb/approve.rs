//! `pending`, `approve`, `deny`, `revoke`: what two people decide, by signatures.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use backstop_core::approval::statement::{Choice, NAMESPACE, Statement, Word};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::run::State;
use backstop_engine::{Decided, Doors, Failure, FailureKind, Pending};

use super::{self as verb};
use crate::args::{Approve, Decide};
use crate::document::{DecidedDocument, PendingDocument};
use crate::out::{self, Done};
use crate::person::Terminal;
use crate::screen::style::Style;
use crate::screen::{approval, freeze, message};
use crate::{clock, exit, inside, signing};

/// `backstop pending`.
pub fn pending(json: bool) -> Done {
    inside::records_needed("pending")?;
    let house = verb::doors()?;
    let (frozen, all) = (house.frozen()?, house.pending()?);
    if json {
        out::document(&PendingDocument::of(frozen, &all))?;
    } else {
        let style = Style::of(&io::stdout());
        out::print(&frozen.map_or_else(String::new, |frozen| freeze::standing(&frozen, style)))?;
        out::print(&approval::reviews(&all.reviews, clock::now(), style))?;
        out::print(&approval::list(&all.requests, clock::now(), style))?;
        all.unreadable.iter().for_each(out::failure);
    }
    Ok(if all.unreadable.is_empty() { exit::OK } else { exit::FOUND })
}

/// `backstop approve`.
pub fn approve(typed: &Approve) -> Done {
    if !typed.break_glass {
        return decide(&typed.decide, &Choice::ApproveOnce.into());
    }
    let reason = signed_reason(typed.decide.reason.as_deref())?;
    decide(&typed.decide, &Word::with(Choice::BreakGlass, reason, typed.ticket.as_deref()))
}

/// A reason that is to be signed: what is no text is not signed as another.
pub fn signed_reason(typed: Option<&OsStr>) -> Result<Option<&str>, Failure> {
    let wrong = || Failure::usage("the reason is not UTF-8, and it is to be signed").next("give --reason as text");
    typed.map(|reason| reason.to_str().ok_or_else(wrong)).transpose()
}

/// `backstop approve`, `deny`, `revoke`, and `review` of what somebody let through alone.
pub fn decide(typed: &Decide, word: &Word) -> Done {
    let choice = word.choice;
    inside::people_only(verb(choice))?;
    let mut house = verb::doors()?;
    let asked = house.asked(&typed.name)?;
    let mut person = Terminal::new(false, !typed.json);
    let (text, signature) = match (&typed.key, &typed.signature) {
        (_, Some(signature)) => elsewhere(signature, typed.statement.as_deref(), word)?,
        (Some(key), None) => here(&mut *house, typed, &asked, key, word, &mut person)?,
        (None, None) => return Err(Failure::usage("neither a key nor a signature").into()),
    };
    // What is signed needs not be said twice.
    let reason = typed.reason.as_deref().filter(|_| word.reason.is_none()).map(Bytes::from);
    let decided = house.decide(asked.question.request, (&text, &signature), reason.as_ref(), &mut person)?;
    person.clear();
    let code = match &decided {
        Decided::Run(_, outcome) if outcome.record.state != State::Committed => exit::of_outcome(outcome),
        _ => exit::OK,
    };
    if typed.json {
        out::document(&DecidedDocument::of(&decided, code))?;
        return Ok(code);
    }
    let style = Style::of(&io::stderr());
    out::say(&approval::decided(&decided, choice, clock::now(), style));
    if let Decided::Run(_, outcome) = &decided {
        out::say(&message::outcome(outcome, style));
    }
    Ok(code)
}

const fn verb(choice: Choice) -> &'static str {
    match choice {
        Choice::ApproveOnce => "approve",
        Choice::BreakGlass => "approve --break-glass",
        Choice::Deny => "deny",
        Choice::Justified => "review --justified",
        Choice::Revoke => "revoke",
        Choice::Unjustified => "review --unjustified",
    }
}

/// A statement that was signed elsewhere; the verb that is typed has to be the one that was signed.
fn elsewhere(signature: &Path, statement: Option<&Path>, word: &Word) -> Result<(String, String), Failure> {
    let statement: PathBuf = match statement {
        Some(path) => path.to_owned(),
        None if signature.extension().is_some_and(|e| e == "sig") => signature.with_extension(""),
        None => {
            return Err(
                Failure::usage("nobody can tell which statement was signed").next("name it as well: --statement FILE")
            );
        }
    };
    let text = signing::text(&statement)?;
    if let Ok(signed) = Statement::parse(&text) {
        let (shown, said) = (statement.display(), signed.choice);
        if said != word.choice {
            let what = format!("the statement in {shown} says {}", said.name());
            return Err(Failure::usage(what).next(format!("say what was signed: backstop {}", verb(said))));
        }
        if (&signed.reason, &signed.ticket) != (&word.reason, &word.ticket) {
            return Err(Failure::usage(format!("the statement in {shown} has another reason or ticket"))
                .next("say what was signed, as it stands there"));
        }
    }
    Ok((text, signing::text(signature)?))
}

/// Shows what is asked, asks, and signs.
fn here(
    house: &mut dyn Doors,
    typed: &Decide,
    asked: &Pending,
    path: &Path,
    word: &Word,
    person: &mut Terminal,
) -> Result<(String, String), Failure> {
    let (choice, key) = (word.choice, signing::public_key(path)?);
    // Made of plain characters alone; whoever answers for Backstop may not know that.
    out::say(&asked.display.lines().map(|line| message::tame(line.as_bytes()) + "\n").collect::<String>());
    out::say(&approval::alone(word, asked, Style::of(&io::stderr())));
    if !person.signs(choice.name()) {
        return Err(Failure::new(FailureKind::Refused, "nothing was signed")
            .next(format!("at a terminal, type {}", choice.name()))
            .next(format!(
                "without one: backstop show {} --statement --decision {} --key FILE, sign it, --signature FILE",
                typed.name,
                choice.name()
            )));
    }
    let statement = house.statement(asked.question.request, word, &key)?;
    let q = &asked.question;
    let shown = q.is_sound() && Digest::of_content(asked.display.as_bytes()) == q.display;
    let theirs = (statement.choice, statement.request, statement.display, &*statement.host, &*statement.credential);
    let grounds = (&statement.reason, &statement.ticket) == (&word.reason, &word.ticket);
    if !shown || !grounds || theirs != (choice, q.request, q.display, &*q.host, &*key.fingerprint()) {
        return Err(Failure::internal("the statement is not about what was shown, so nothing was signed")
            .next("find out who answers for Backstop on this machine"));
    }
    let text = statement.text();
    let signature = signing::sign(&text, NAMESPACE, path)?;
    Ok((text, signature))
}
