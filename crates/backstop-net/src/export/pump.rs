//! Hands records to a sink until each is taken or refused: in order, with longer pauses while nothing is taken, with smaller
//! batches where a batch as a whole is refused, until the record that it is for is alone.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use backstop_core::export::Span;

use super::sink::{Fate, Shaped, Sink, fitting};
use crate::deliver::{ASKED, FIRST, LONGEST, Miss, Pace};

/// So long is waited at a time.
const SLICE: Duration = Duration::from_secs(20);

/// What became of some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The first that was taken.
    pub first: Option<u64>,
    /// The sink had them before.
    pub known: u64,
    /// It refused them for good.
    pub skipped: u64,
    /// It took them.
    pub taken: u64,
}

/// Hears how it goes.
pub trait Book {
    /// All before `next` is done with.
    ///
    /// # Errors
    /// Where that can't be kept, as a sentence fragment; nothing more is sent then.
    fn settled(&mut self, next: u64, counts: Counts) -> Result<(), String>;
    /// These are refused for good.
    ///
    /// # Errors
    /// Where that can't be put on record, as a sentence fragment: then they are tried again.
    fn skips(&mut self, entries: Span, why: &str) -> Result<(), String>;
    /// It takes none from this one on, and is tried again after so long; `now` is the time since whenever.
    fn fails(&mut self, entry: u64, why: &str, wait: Duration, now: Duration);
    /// It is waited still.
    fn waits(&mut self, now: Duration);
}

/// A sink with its pauses.
pub struct Pump<'a> {
    sink: &'a mut dyn Sink,
    pace: &'a mut dyn Pace,
    /// How many go together at most.
    most: usize,
    pause: Duration,
}

impl<'a> Pump<'a> {
    /// One that has not failed yet.
    pub fn new(sink: &'a mut dyn Sink, pace: &'a mut dyn Pace) -> Self {
        Self { sink, pace, most: usize::MAX, pause: FIRST }
    }

    /// The sink.
    pub fn sink(&self) -> &dyn Sink {
        self.sink
    }

    /// The clock.
    pub fn pace(&mut self) -> &mut dyn Pace {
        self.pace
    }

    /// Returns when each is taken, or refused and on record as that.
    ///
    /// # Errors
    /// Where it can't be kept how far it is.
    pub fn deliver(&mut self, batch: Vec<Shaped>, book: &mut dyn Book) -> Result<(), String> {
        let mut todo: VecDeque<Shaped> = batch.into();
        // What is refused, or taken later, stands in front alone when all behind it was taken.
        let end = todo.back().map_or(0, |one| one.index + 1);
        while !todo.is_empty() {
            let limits = self.sink.limits();
            let count = fitting(todo.make_contiguous(), limits, self.most);
            let mut fates = Vec::new();
            let mut sent = self.sink.send(&todo.make_contiguous()[..count], &mut fates);
            if sent.is_ok() && fates.len() < count {
                // What became of the rest it does not say; that is no reason to ask without end.
                sent = Err(Miss::again("it does not say what became of all that it was sent"));
            }
            let (mut counts, mut left, mut wrong) = (Counts::default(), Vec::new(), None);
            let mut skips = Vec::new();
            for (one, fate) in todo.drain(..fates.len().min(count)).zip(fates) {
                match fate {
                    Fate::Taken => {
                        counts.taken += 1;
                        counts.first = counts.first.or(Some(one.index));
                    }
                    Fate::Known => counts.known += 1,
                    Fate::Again(why) => {
                        wrong = wrong.or(Some((why, None)));
                        left.push(one);
                    }
                    Fate::Refused(why) => skips.push((one, why)),
                }
            }
            let moved = counts.taken + counts.known > 0;
            // All of them, or one of them: the half is tried.
            match sent {
                Err(miss) if miss.permanent && count > 1 => self.most = count.div_ceil(2),
                Err(miss) if miss.permanent => skips.extend(todo.pop_front().map(|one| (one, miss.why))),
                Err(miss) => wrong = wrong.or(Some((miss.why, miss.after))),
                Ok(()) => self.most = self.most.saturating_mul(2),
            }
            for (one, why) in skips {
                let span = Span { first: one.index, last: one.index };
                match book.skips(span, &why) {
                    Ok(()) => {
                        counts.skipped += 1;
                        self.most = self.most.saturating_mul(2);
                        continue;
                    }
                    Err(e) => wrong = wrong.or(Some((format!("{e}, and it refuses entry {}: {why}", one.index), None))),
                }
                left.push(one);
            }
            left.sort_by_key(|one| one.index);
            left.into_iter().rev().for_each(|one| todo.push_front(one));
            let next = todo.front().map_or(end, |one| one.index);
            if counts != Counts::default() {
                book.settled(next, counts)?;
            }
            if moved {
                self.pause = FIRST;
            }
            if let Some((why, after)) = wrong {
                let wait = after.map_or(self.pause, |after| after.clamp(self.pause, ASKED));
                let wait = jittered(wait);
                book.fails(next, &why, wait, self.pace.now());
                // In slices, so that whoever waits for the end of patience does not wait for that of a pause.
                let over = self.pace.now() + wait;
                while let left @ 1.. = over.saturating_sub(self.pace.now()).as_millis() {
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX));
                    self.pace.wait(left.min(SLICE));
                    book.waits(self.pace.now());
                }
                self.pause = (self.pause * 2).min(LONGEST);
            }
        }
        Ok(())
    }
}

/// So long, more or less: those that failed together must not all come back together.
fn jittered(pause: Duration) -> Duration {
    let dice = u32::try_from(RandomState::new().build_hasher().finish() % 500).unwrap_or_default();
    pause * (750 + dice) / 1_000
}

#[cfg(test)]
pub(crate) mod tests;
