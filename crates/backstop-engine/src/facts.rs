//! Room 4, upper floor. Takes the effects of a rehearsal, gives what they mean: facts, the places
//! behind them, and what the lenses saw in words. Reads both sides, changes nothing, decides nothing.

pub mod git;
mod sides;

pub use sides::Sides;
