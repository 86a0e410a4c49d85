//! `show` and `runs`: look, change nothing.

use std::io::{self, Write};

use backstop_core::approval::statement::Word;
use backstop_core::bytes::Bytes;
use backstop_core::effect::{Aspect, Effect, EffectSet, FileType, Kind, Node};
use backstop_core::id::RunId;
use backstop_engine::porch;
use backstop_engine::{Doors, Failure, Filter, Outcome, Side};

use super::{self as verb, question};
use crate::args::{Runs, Show};
use crate::document::{RunsDocument, ShowDocument};
use crate::out::{self, Done, Trouble};
use crate::screen::style::{Ink, Style};
use crate::screen::{diff, list, page, report, tree};
use crate::{clock, exit, inside, signing};

/// `backstop show`.
pub fn show(typed: &Show) -> Done {
    inside::records_needed("show")?;
    let mut house = verb::doors()?;
    if typed.approval {
        out::print(&house.asked(&typed.run)?.display)?;
        return Ok(exit::OK);
    }
    if let Some(key) = typed.key.as_ref().filter(|_| typed.statement) {
        // What a person signs; an agent gets none to pass on.
        inside::people_only("show --statement")?;
        let key = signing::public_key(key)?;
        let request = house.asked(&typed.run)?.question.request;
        let word = Word::with(typed.decision.choice(), typed.reason.as_deref(), typed.ticket.as_deref());
        let statement = house.statement(request, &word, &key)?;
        out::print(&statement.text())?;
        return Ok(exit::OK);
    }
    let id = house.find(&typed.run)?;
    let shown = Outcome { record: house.record(id)?, effects: house.effects(id)? };
    let style = Style::of(&io::stdout());
    if typed.json {
        out::document(&ShowDocument::of(&shown))?;
    } else if typed.question {
        let machine = porch::machine()?;
        out::print(&question::text(&shown, machine.profile)?)?;
    } else if typed.tree {
        every_entry(&*house, id, &shown.effects, style)?;
    } else if typed.diff {
        let mut out = io::BufWriter::new(io::stdout().lock());
        differences(&*house, id, &shown.effects, style, &mut out)?;
    } else {
        let asked = shown.record.approval.map(|_| house.asked(&id.to_string()));
        let (asked, unreadable) =
            asked.map_or((None, None), |a| a.map_or_else(|e| (None, Some(e)), |a| (Some(a), None)));
        out::print(&page::run(&shown, asked.as_ref(), clock::now(), style))?;
        if let Some(failure) = unreadable {
            out::failure(&failure);
        }
    }
    Ok(exit::OK)
}

/// Every entry on its own line, those beneath deleted directories too; nothing is cut.
fn every_entry(doors: &dyn Doors, id: RunId, set: &EffectSet, style: Style) -> Result<(), Trouble> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for e in &set.effects {
        out.write_all(tree::entry(e, style).as_bytes())?;
        if e.beneath.as_ref().is_some_and(|b| b.entries() > 0) {
            let mut trouble = None;
            doors.beneath(id, &e.path, &mut |b| {
                trouble = out.write_all(tree::below(&b, style).as_bytes()).err();
                trouble.is_none()
            })?;
            if let Some(error) = trouble {
                return Err(error.into());
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// The text differences of every file whose content changes.
pub fn differences(
    doors: &dyn Doors,
    id: RunId,
    set: &EffectSet,
    style: Style,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    for e in set.effects.iter().filter(|e| has_difference(e)) {
        let old_path = e.from.as_ref().filter(|_| e.kind == Kind::Rename).unwrap_or(&e.path);
        let before = side(doors, id, old_path, Side::Before, e.before.as_ref())?;
        let after = side(doors, id, &e.path, Side::After, e.after.as_ref())?;
        // Shown as `/dev/null` it would look as if the file had not been there.
        if before.is_none() && file(e.before.as_ref()) || after.is_none() && file(e.after.as_ref()) {
            let gone = format!(
                "{}: one side of it is not kept, or not yours to read, so they can't be compared\n",
                e.path.quoted()
            );
            out.write_all(style.ink(Ink::Faint, gone).to_string().as_bytes())?;
            continue;
        }
        out.write_all(diff::file(&e.path, before.as_deref(), after.as_deref(), style).as_bytes())?;
    }
    for e in set.effects.iter().filter(|e| e.beneath.as_ref().is_some_and(|b| b.files > 0)) {
        let note = format!("{}: deleted with all beneath; see --tree\n", e.path.quoted());
        out.write_all(style.ink(Ink::Faint, note).to_string().as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

fn side(
    doors: &dyn Doors,
    id: RunId,
    path: &Bytes,
    side: Side,
    node: Option<&Node>,
) -> Result<Option<Vec<u8>>, Failure> {
    if file(node) { doors.content(id, path, side, diff::LIMIT + 1) } else { Ok(None) }
}

fn file(node: Option<&Node>) -> bool {
    node.is_some_and(|n| n.file_type == FileType::File)
}

fn has_difference(e: &Effect) -> bool {
    let content = match e.kind {
        Kind::Create | Kind::Replace | Kind::Delete => true,
        Kind::Change | Kind::Rename => e.aspects.contains(&Aspect::Content),
        Kind::Metadata | Kind::Link => false,
    };
    content && (file(e.before.as_ref()) || file(e.after.as_ref()))
}

/// `backstop runs`.
pub fn runs(typed: &Runs) -> Done {
    inside::records_needed("runs")?;
    let house = verb::doors()?;
    let bytes = |text: &Option<std::ffi::OsString>| text.as_deref().map(Bytes::from);
    let filter = Filter { state: typed.state.map(|s| s.0), session: bytes(&typed.session), call: bytes(&typed.call) };
    let all = house.runs(&filter)?;
    let code = if all.unreadable.is_empty() { exit::OK } else { exit::FOUND };
    if typed.json {
        out::document(&RunsDocument::of(all))?;
    } else {
        out::print(&list::runs(&all.runs, clock::now(), Style::of(&io::stdout())))?;
        out::say(&report::unreadable(&all.unreadable, Style::of(&io::stderr())));
    }
    Ok(code)
}
