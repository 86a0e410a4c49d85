//! Room 4, upper floor. Takes the effects of a rehearsal, gives what they mean: facts, the places
//! behind them, and what the lenses saw in words. Reads both sides, changes nothing, decides nothing.

mod after;
pub mod git;
mod near;
mod sides;

use std::io::Read;

use backstop_core::classes::{Classes, HEAD};
use backstop_core::effect::{Effect, EffectSet, FileType, Kind};
use backstop_core::facts::{self, Context, Findings, loses};

use crate::engine::Side;
pub(crate) use after::Rehearsed;
use near::Near;
pub use sides::Sides;

/// At most so many lost files have their first bytes read. A file beyond that lies outside the agent's
/// own places only where hundreds do, and then those are told by their names.
const HEADS: u64 = 512;

/// The facts of a measured rehearsal, and the places behind them.
pub(crate) fn gather(set: &EffectSet, sides: &dyn Sides, context: &Context<'_>) -> Findings {
    let mut disk =
        Disk { classes: &context.ground.classes, heads: HEADS, near: Near::new(&context.ground.classes), sides };
    facts::gather(set, context, &mut |effect, tags| disk.classes(effect, tags, context))
}

/// What the disk tells of an effect.
struct Disk<'a> {
    classes: &'a Classes,
    heads: u64,
    near: Near<'a>,
    sides: &'a dyn Sides,
}

impl Disk<'_> {
    fn classes(&mut self, effect: &Effect, tags: &mut Vec<String>, context: &Context<'_>) {
        let outside = tags.iter().any(|t| t == "outside");
        // What is new in the agent's own places has no past that its neighbours could tell of.
        if effect.before.is_none() && !outside {
            return;
        }
        if let Some(from) = effect.from.as_ref().filter(|_| effect.kind == Kind::Rename) {
            tags.extend(self.near.classes(from, effect));
        }
        tags.extend(self.near.classes(&effect.path, effect));
        tags.extend(self.by_content(effect));
        let other = |repository| Some(&repository) != context.ground.workspace.as_ref();
        if outside && self.near.repository(&effect.path).is_some_and(other) {
            tags.push("other-repository".to_owned());
        }
    }

    /// The class that a lost file's first bytes tell.
    fn by_content(&mut self, effect: &Effect) -> Option<String> {
        effect.before.as_ref().filter(|n| n.file_type == FileType::File && n.size > 1)?;
        if !loses(effect) || self.heads == 0 {
            return None;
        }
        self.heads -= 1;
        let mut head = Vec::with_capacity(HEAD);
        // Unreadable content is told by its place and name; that it could not be read changes no sum.
        let file = self.sides.open(&effect.path, Side::Before).ok().flatten()?;
        file.take(HEAD as u64).read_to_end(&mut head).ok()?;
        self.classes.of_content(&head).map(str::to_owned)
    }
}
