//! `vault status`, `vault prune`, `recover`.

use std::io;
use std::time::Duration;

use crate::document::{PrunedDocument, RecoveredDocument, VaultDocument};
use crate::out::{self, Done};
use crate::screen::report;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// `backstop vault status`.
pub fn status(json: bool) -> Done {
    inside::records_needed("vault status")?;
    let house = super::house()?;
    let status = house.engine.vault_status()?;
    if json {
        out::document(&VaultDocument::of(&status))?;
    } else {
        out::print(&report::vault(&status, clock::now(), Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}

/// `backstop vault prune`.
pub fn prune(older_than: Option<Duration>, json: bool) -> Done {
    inside::people_only("vault prune")?;
    let mut house = super::house()?;
    let pruned = house.engine.prune(older_than)?;
    if json {
        out::document(&PrunedDocument::of(&pruned))?;
    } else {
        out::say(&report::pruned(&pruned, Style::of(&io::stderr())));
    }
    Ok(exit::OK)
}

/// `backstop recover`: opening the engine recovers, and says so; this only has the audit log's end
/// put right as well.
pub fn recover(json: bool) -> Done {
    inside::records_needed("recover")?;
    let mut house = super::house()?;
    if let Some(stuck) = house.engine.stuck() {
        return Err(stuck.clone().into());
    }
    house.engine.mend_records()?;
    if json {
        out::document(&RecoveredDocument::of(house.engine.recovered()))?;
    } else if house.engine.recovered().is_empty() {
        out::say("backstop: nothing was left half done\n");
    }
    Ok(exit::OK)
}
