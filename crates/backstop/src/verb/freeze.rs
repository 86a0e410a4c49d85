//! `freeze`, `thaw`: the red button, and the way back.

use std::io;

use backstop_core::bytes::Bytes;
use backstop_core::freeze::Freeze as Standing;
use backstop_engine::{Failure, FailureKind, Thaw, freeze_all};

use super::{self as verb};
use crate::args::{Freeze, Json};
use crate::document::{FreezeDocument, ThawDocument};
use crate::out::{self, Done};
use crate::person::Terminal;
use crate::screen::freeze;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// `backstop freeze`.
pub fn freeze(typed: &Freeze) -> Done {
    inside::people_only("freeze")?;
    let reason = typed.reason.as_deref().map(Bytes::from);
    let frozen = freeze_all(reason.as_ref(), verb::recovered)?;
    if typed.json {
        out::document(&FreezeDocument::of(&frozen))?;
    } else {
        out::say(&freeze::frozen(&frozen, Style::of(&io::stderr())));
    }
    Ok(if frozen.notes.is_empty() { exit::OK } else { exit::FOUND })
}

/// `backstop thaw`.
pub fn thaw(typed: &Json) -> Done {
    inside::people_only("thaw")?;
    let mut house = verb::doors()?;
    let thaw = match house.frozen()? {
        None => Thaw::Nothing,
        Some(standing) => {
            // Where it takes signatures, they are the word.
            if standing.quorum.is_none() {
                agrees(&standing, !typed.json)?;
            }
            house.thaw(standing.digest())?
        }
    };
    if typed.json {
        out::document(&ThawDocument::of(&thaw))?;
    } else {
        out::say(&freeze::thawed(&thaw, clock::now(), Style::of(&io::stderr())));
    }
    Ok(if matches!(thaw, Thaw::Asked(_)) { exit::HELD } else { exit::OK })
}

/// A person's word for it, about what is shown.
fn agrees(standing: &Standing, ask: bool) -> Result<(), Failure> {
    out::say(&freeze::standing(standing, Style::of(&io::stderr())));
    if Terminal::new(false, ask).types("to let everything go on", "thaw") {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Refused, "everything stays frozen")
        .next("at a terminal, type thaw")
        .by("a person lets it go on, not a program"))
}
