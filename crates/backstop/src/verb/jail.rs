//! `jail`: who is banned, the way out, and what other rules would have made of it.

use std::io;

use backstop_core::jail::{Ban, Rules};
use backstop_engine::{Cleared, Failure, FailureKind, Wish, porch};

use super::{self as verb};
use crate::args::{ClearArgs, Jail, JailRules};
use crate::document::{ClearDocument, JailDocument, JailTestDocument};
use crate::out::{self, Done};
use crate::person::Terminal;
use crate::screen::jail;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// `backstop jail`.
pub fn dispatch(what: &Jail) -> Done {
    match what {
        Jail::List(json) => list(json.json),
        Jail::Clear(typed) => clear(typed),
        Jail::Test(typed) => test(typed),
    }
}

fn list(json: bool) -> Done {
    inside::records_needed("jail list")?;
    let jailed = verb::doors()?.jail()?;
    if json {
        out::document(&JailDocument::of(&jailed))?;
    } else {
        out::print(&jail::list(&jailed, clock::now(), Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}

fn clear(typed: &ClearArgs) -> Done {
    inside::people_only("jail clear")?;
    let mut house = verb::doors()?;
    let bans = named(&house.jail()?.bans, typed)?;
    let style = Style::of(&io::stderr());
    // Where it takes signatures, they are the word.
    let alone: Vec<&Ban> = bans.iter().filter(|ban| ban.quorum.is_none()).collect();
    if !alone.is_empty() {
        agrees(&alone, !typed.json)?;
    }
    let (mut done, mut failed): (Vec<Wish<Cleared>>, Vec<Failure>) = (Vec::new(), Vec::new());
    for ban in &bans {
        // One that does not end is no reason to leave the others.
        match house.clear(ban.digest()) {
            Ok(clear) => done.push(clear),
            Err(failure) => failed.push(failure),
        }
    }
    if done.is_empty()
        && let Some(last) = failed.pop()
    {
        failed.iter().for_each(out::failure);
        return Err(last.into());
    }
    if typed.json {
        out::document(&ClearDocument::of(&done, &failed))?;
    } else {
        done.iter().for_each(|clear| out::say(&jail::cleared(clear, clock::now(), style)));
        failed.iter().for_each(out::failure);
        if bans.is_empty() {
            out::say("backstop: nobody is banned\n");
        }
    }
    let asked = done.iter().any(|clear| matches!(clear, Wish::Asked(_)));
    Ok(if !failed.is_empty() {
        exit::FOUND
    } else if asked {
        exit::HELD
    } else {
        exit::OK
    })
}

/// The bans that were named, each once.
fn named(bans: &[Ban], typed: &ClearArgs) -> Result<Vec<Ban>, Failure> {
    if typed.all {
        return Ok(bans.to_vec());
    }
    let mut named: Vec<Ban> = Vec::new();
    for code in &typed.bans {
        let begins: Vec<&Ban> = bans.iter().filter(|b| b.digest().hex().starts_with(code.as_str())).collect();
        let [ban] = begins[..] else {
            let what = if begins.is_empty() { "there is no ban" } else { "there are several bans" };
            return Err(Failure::usage(format!("{what} {}", backstop_core::quoted::Quoted(code.as_bytes())))
                .next("name one by the letters and digits that it is listed with: backstop jail list"));
        };
        if !named.contains(ban) {
            named.push(ban.clone());
        }
    }
    Ok(named)
}

/// A person's word for it, about what is shown.
fn agrees(bans: &[&Ban], ask: bool) -> Result<(), Failure> {
    let style = Style::of(&io::stderr());
    bans.iter().for_each(|ban| out::say(&jail::standing(ban, style)));
    if Terminal::new(false, ask).types("to end this", "clear") {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Refused, "the ban stays")
        .next("at a terminal, type clear")
        .by("a person ends a ban, not a program"))
}

fn test(typed: &JailRules) -> Done {
    inside::records_needed("jail test")?;
    let settled = porch::machine()?.jail;
    let rules = Rules {
        ban_minutes: typed.ban_minutes.unwrap_or(settled.ban_minutes),
        factor: typed.factor.unwrap_or(settled.factor),
        find_minutes: typed.find_minutes.unwrap_or(settled.find_minutes),
        longest_minutes: typed.longest_minutes.unwrap_or(settled.longest_minutes),
        most: typed.most.unwrap_or(settled.most),
    };
    if let Some(what) = rules.trouble() {
        return Err(Failure::usage(what).next("see what they mean: backstop help jail").into());
    }
    let tried = verb::house()?.engine.try_rules(&rules)?;
    if typed.json {
        out::document(&JailTestDocument::of(&tried, rules))?;
    } else {
        out::print(&jail::tried(&tried, &rules, Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}
