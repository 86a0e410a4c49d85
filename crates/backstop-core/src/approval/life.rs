//! The life of a request for approval, as a pure function: a phase and an event give the next phase, or the
//! reason why the event changes nothing. The store that drives it holds one lock and writes before it acts; so
//! whatever order events come in, an effect takes place at most once, and only on a quorum. The tests walk
//! through every order of events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ballot::Tally;
use crate::time::Timestamp;

/// Clocks may differ by so many seconds before time is taken for lost.
pub const JUMP: i64 = 30;

/// A request waits for people this long, in seconds.
pub const PENDING: i64 = 30 * 60;

/// Where nobody else is enrolled, a request opens this long after it was asked, and waits as long again; in seconds.
pub const ALONE: i64 = 24 * 3_600;

/// What a quorum agreed to has to begin within so many seconds.
pub const EXECUTE: i64 = 600;

/// Where a request is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It waits for people.
    Pending,
    /// The quorum is there; it waits to be executed.
    Approved {
        /// From then on it is too late.
        until: Timestamp,
    },
    /// One executor has it, and looks whether the disk is still as it was. Nothing has moved.
    Claimed {
        /// Which: its number.
        by: u64,
        /// From then on it is too late.
        until: Timestamp,
    },
    /// The effects go to the disk.
    Committing {
        /// By which executor.
        by: u64,
    },
    /// They are there.
    Committed,
    /// Somebody said no.
    Denied,
    /// Its time was over, a clock jumped, or the machine was started anew.
    Expired,
    /// Whoever asked gave it up.
    Cancelled,
    /// An approval was taken back.
    Revoked,
    /// Today's rules ask for more than those it was approved under.
    Superseded,
    /// The disk changed meanwhile: what was approved is not what would happen.
    Drifted,
    /// It could not be executed, and nothing of it is on the disk.
    Failed,
    /// Cut off while it was executed: what became of it has to be found out, and is never tried again by itself.
    Unknown,
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A vote was taken, or the trust store changed; the ballot stands like this.
    Voted(Tally),
    /// Whoever asked gives it up.
    Cancelled,
    /// An executor wants it.
    Claimed {
        /// Which.
        by: u64,
        /// How the ballot stands now, with every signature verified again.
        tally: Tally,
    },
    /// The executor has looked again.
    Checked {
        /// Which.
        by: u64,
        /// True where everything is as it was when people looked.
        same: bool,
    },
    /// The executor is done.
    Executed {
        /// Which.
        by: u64,
        /// True where the effects are on the disk; else nothing is.
        done: bool,
    },
    /// The rules have become stricter.
    Superseded,
    /// Time passed.
    Ticked,
    /// The wall clock jumped, or the machine was started anew: no time that was set before can be trusted.
    TimeLost,
    /// The program that executes was cut off, and is back.
    Restarted,
    /// After it was cut off, the journal says what became of it.
    Settled {
        /// True where the effects are on the disk; else nothing is.
        done: bool,
    },
}

/// Why an event changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has ended.
    #[error("this request has ended")]
    Ended,
    /// It has ended by its time.
    #[error("this request has expired")]
    Expired,
    /// The quorum is not there.
    #[error("this request is not approved")]
    NotApproved,
    /// Somebody else has it.
    #[error("this request is being executed already")]
    Taken,
    /// Nobody has it, or it is in another step.
    #[error("this request is not in the step that this belongs to")]
    OutOfTurn,
    /// It is on its way to the disk: undo is the way back.
    #[error("this request is being executed: it can't be stopped any more, but it can be undone")]
    TooLate,
}

impl Phase {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved { .. } => "approved",
            Self::Claimed { .. } => "claimed",
            Self::Committing { .. } => "committing",
            Self::Committed => "committed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// True where nothing can happen to it any more.
    pub const fn is_over(self) -> bool {
        !self.waits() && !matches!(self, Self::Claimed { .. } | Self::Committing { .. } | Self::Unknown)
    }

    /// True where something may still come of it: people can decide, or what they decided is being executed.
    pub const fn waits_or_runs(self) -> bool {
        self.waits() || matches!(self, Self::Claimed { .. } | Self::Committing { .. })
    }

    /// True where somebody has it, or had it when the program was cut off.
    pub const fn is_claimed(self) -> bool {
        matches!(self, Self::Claimed { .. } | Self::Committing { .. } | Self::Unknown)
    }

    /// True where people can still decide.
    pub const fn waits(self) -> bool {
        matches!(self, Self::Pending | Self::Approved { .. })
    }

    /// What time alone makes of it. The store writes this down before it looks at an event.
    pub fn at(self, now: Timestamp, expires: Timestamp) -> Self {
        let end = match self {
            Self::Pending => expires,
            Self::Approved { until } | Self::Claimed { until, .. } => until.min(expires),
            _ => return self,
        };
        if now >= end { Self::Expired } else { self }
    }

    /// What the event makes of it, at `now`, for a request that expires at `expires`.
    ///
    /// # Errors
    /// Why the event changes nothing. Time may have: see [`Phase::at`].
    pub fn step(self, event: &Event, now: Timestamp, expires: Timestamp) -> Result<Self, Refused> {
        if self.at(now, expires) != self {
            return match event {
                Event::Ticked | Event::TimeLost | Event::Restarted => Ok(Self::Expired),
                _ => Err(Refused::Expired),
            };
        }
        match (self, event) {
            (Self::Pending | Self::Approved { .. }, Event::Voted(Tally::Denied(_))) => Ok(Self::Denied),
            (Self::Pending | Self::Approved { .. }, Event::Voted(Tally::Revoked(_))) => Ok(Self::Revoked),
            // Somebody whose yes counted was taken out of the trust store.
            (Self::Pending | Self::Approved { .. }, Event::Voted(Tally::Open { .. })) => Ok(Self::Pending),
            (Self::Pending, Event::Voted(Tally::Met)) => {
                let until = Timestamp::new(now.secs.saturating_add(EXECUTE), now.nanos);
                Ok(Self::Approved { until: until.min(expires) })
            }
            (Self::Approved { .. }, Event::Voted(Tally::Met)) => Ok(self),
            (Self::Pending | Self::Approved { .. }, Event::Ticked | Event::Restarted) => Ok(self),
            (Self::Pending | Self::Approved { .. }, Event::Cancelled) => Ok(Self::Cancelled),
            // No time that was set before can be trusted, and nothing has moved.
            (Self::Pending | Self::Approved { .. } | Self::Claimed { .. }, Event::TimeLost) => Ok(Self::Expired),
            (Self::Pending | Self::Approved { .. } | Self::Claimed { .. }, Event::Superseded) => Ok(Self::Superseded),
            (Self::Approved { until }, Event::Claimed { by, tally: Tally::Met }) => {
                Ok(Self::Claimed { by: *by, until })
            }
            (Self::Pending | Self::Approved { .. }, Event::Claimed { .. }) => Err(Refused::NotApproved),
            (Self::Claimed { by, .. }, Event::Checked { by: who, same }) if by == *who => {
                Ok(if *same { Self::Committing { by } } else { Self::Drifted })
            }
            (Self::Claimed { by, .. }, Event::Executed { by: who, done: false }) if by == *who => Ok(Self::Failed),
            (Self::Committing { by }, Event::Executed { by: who, done }) if by == *who => Ok(settled(*done)),
            (Self::Claimed { .. } | Self::Committing { .. } | Self::Unknown, Event::Claimed { .. }) => {
                Err(Refused::Taken)
            }
            // It stays whose it was until somebody knows what became of it.
            (Self::Claimed { .. } | Self::Committing { .. }, Event::Restarted) => Ok(Self::Unknown),
            (
                Self::Claimed { .. } | Self::Committing { .. },
                Event::Voted(_) | Event::Cancelled | Event::Superseded,
            ) => Err(Refused::TooLate),
            (Self::Claimed { .. } | Self::Committing { .. }, Event::Ticked) => Ok(self),
            (Self::Committing { .. }, Event::TimeLost) => Ok(self),
            (Self::Unknown, Event::Settled { done }) => Ok(settled(*done)),
            (Self::Unknown, Event::Ticked | Event::TimeLost | Event::Restarted) => Ok(self),
            (
                Self::Pending | Self::Approved { .. } | Self::Claimed { .. } | Self::Committing { .. } | Self::Unknown,
                _,
            ) => Err(Refused::OutOfTurn),
            (_, Event::Ticked | Event::TimeLost | Event::Restarted) => Ok(self),
            _ => Err(Refused::Ended),
        }
    }
}

const fn settled(done: bool) -> Phase {
    if done { Phase::Committed } else { Phase::Failed }
}

#[cfg(test)]
mod tests;
