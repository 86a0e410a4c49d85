//! Walks through every order of events that a small world has: three people, two executors, a clock that runs
//! and jumps, crashes at every moment. What must hold is said of each step, and is told by this file's own
//! book-keeping and not by the phase.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::approval::ballot;
use crate::approval::quorum::Quorum;
use crate::approval::statement::Choice;

const PEOPLE: [&str; 3] = ["anna", "ben", "carl"];
const QUORUM: usize = 2;
const EXPIRES: Timestamp = Timestamp::new(1_800, 0);
/// The moments that tell something apart: the first, within the time to execute, after that, and after all.
const MOMENTS: [i64; 4] = [0, 300, 900, 1_800];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    phase: Phase,
    /// What each has said; the last word stands.
    votes: [Option<Choice>; 3],
    moment: usize,
    /// When the quorum was there first.
    met: Option<i64>,
    /// How often effects began to move, and how often they arrived.
    begun: u8,
    arrived: u8,
    /// A no, a revocation, a giving-up, stricter rules or a lost clock came before anything moved.
    stopped: bool,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Vote(usize, Choice),
    Later,
    Happens(Happening),
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Cancel,
    Claim(u64),
    Check(u64, bool),
    Execute(u64, bool),
    Supersede,
    TimeLost,
    Restart,
    Settle(bool),
}

fn moves() -> Vec<Move> {
    let choices = [Choice::ApproveOnce, Choice::Deny, Choice::Revoke];
    let votes = (0..3).flat_map(|p| choices.map(|c| Move::Vote(p, c)));
    let by_whom = (1..=2).flat_map(|n| {
        use Happening::{Check, Claim, Execute};
        [Claim(n), Check(n, true), Check(n, false), Execute(n, true), Execute(n, false)]
    });
    use Happening::{Cancel, Restart, Settle, Supersede, TimeLost};
    let others = [Cancel, Supersede, TimeLost, Restart, Settle(true), Settle(false)];
    votes.chain(by_whom.chain(others).map(Move::Happens)).chain([Move::Later]).collect()
}

/// As the ballot counts.
fn tally(votes: &[Option<Choice>; 3]) -> Tally {
    let quorum = Quorum { groups: BTreeMap::new(), people: QUORUM as u32 };
    let said = votes.iter().zip(PEOPLE).filter_map(|(v, p)| Some((p, (*v)?, BTreeSet::new())));
    ballot::tally(&quorum, &said.collect::<Vec<_>>())
}

impl World {
    fn now(&self) -> Timestamp {
        Timestamp::new(MOMENTS[self.moment], 0)
    }

    /// The world after a move; none where the move can't be made in it.
    fn after(&self, what: Move) -> Option<Self> {
        let mut next = self.clone();
        let event = match what {
            Move::Later => {
                next.moment += 1;
                if next.moment == MOMENTS.len() {
                    return None;
                }
                Event::Ticked
            }
            Move::Vote(person, choice) => {
                // The ballot takes one decision from each, and a revocation after an approval.
                match (self.votes[person], choice) {
                    (None, Choice::ApproveOnce | Choice::Deny) | (Some(Choice::ApproveOnce), Choice::Revoke) => {}
                    _ => return None,
                }
                next.votes[person] = Some(choice);
                Event::Voted(tally(&next.votes))
            }
            Move::Happens(Happening::Cancel) => Event::Cancelled,
            Move::Happens(Happening::Claim(by)) => Event::Claimed { by, tally: tally(&self.votes) },
            Move::Happens(Happening::Check(by, same)) => Event::Checked { by, same },
            Move::Happens(Happening::Execute(by, done)) => Event::Executed { by, done },
            Move::Happens(Happening::Supersede) => Event::Superseded,
            Move::Happens(Happening::TimeLost) => Event::TimeLost,
            Move::Happens(Happening::Restart) => Event::Restarted,
            Move::Happens(Happening::Settle(done)) => Event::Settled { done },
        };
        match self.phase.step(&event, next.now(), EXPIRES) {
            Ok(phase) => next.phase = phase,
            // Refused: nobody's word is written down. What time made of it is.
            Err(_) => {
                next.votes = self.votes;
                next.phase = self.phase.at(next.now(), EXPIRES);
                return Some(next);
            }
        }
        // By what was asked for, and not by what came of it.
        let no = matches!(what, Move::Vote(_, Choice::Deny | Choice::Revoke));
        let ends = no || matches!(what, Move::Happens(Happening::Cancel | Happening::Supersede | Happening::TimeLost));
        next.stopped |= ends && (self.phase.waits() || matches!(self.phase, Phase::Claimed { .. }));
        let yes = next.votes.iter().filter(|v| **v == Some(Choice::ApproveOnce)).count();
        if yes >= QUORUM && next.met.is_none() {
            next.met = Some(next.now().secs);
        }
        next.begun += u8::from(matches!((self.phase, next.phase), (Phase::Claimed { .. }, Phase::Committing { .. })));
        next.arrived += u8::from(next.phase == Phase::Committed && self.phase != Phase::Committed);
        Some(next)
    }
}

/// What must hold after each step.
fn holds(before: &World, what: Move, after: &World) {
    let told = || format!("{what:?}\n  {before:?}\n  {after:?}");
    assert!(after.begun <= 1, "effects begin to move twice: {}", told());
    assert!(after.arrived <= 1, "effects arrive twice: {}", told());
    if after.phase != before.phase {
        assert!(!before.phase.is_over(), "it had ended: {}", told());
    }
    let claims = matches!(after.phase, Phase::Claimed { .. }) && after.phase != before.phase;
    if claims {
        assert!(matches!(what, Move::Happens(Happening::Claim(_))), "{}", told());
        assert!(matches!(before.phase, Phase::Approved { .. }), "{}", told());
    }
    let begins = matches!(after.phase, Phase::Committing { .. }) && after.phase != before.phase;
    if begins {
        assert!(matches!(before.phase, Phase::Claimed { .. }), "effects move unclaimed: {}", told());
        assert!(matches!(what, Move::Happens(Happening::Check(_, true))), "effects move unlooked: {}", told());
    }
    if claims || begins {
        let yes = after.votes.iter().filter(|v| **v == Some(Choice::ApproveOnce)).count();
        let no = after.votes.iter().filter(|v| v.is_some_and(|c| c != Choice::ApproveOnce)).count();
        assert!(yes >= QUORUM && no == 0, "without a quorum, or against a no: {}", told());
        assert!(!before.stopped, "after it was stopped: {}", told());
        let met = after.met.expect("the quorum's moment");
        assert!(after.now().secs - met < EXECUTE, "too late after the quorum: {}", told());
        assert!(after.now() < EXPIRES, "after it expired: {}", told());
    }
    if matches!(what, Move::Happens(Happening::Restart)) {
        let running = matches!(before.phase, Phase::Claimed { .. } | Phase::Committing { .. } | Phase::Unknown);
        assert_eq!(after.phase == Phase::Unknown, running, "{}", told());
    }
    if before.phase == Phase::Unknown && after.phase != Phase::Unknown {
        assert!(matches!(what, Move::Happens(Happening::Settle(_))), "tried again by itself: {}", told());
    }
    let unmoved = before.phase.waits() || matches!(before.phase, Phase::Claimed { .. });
    if matches!(what, Move::Happens(Happening::TimeLost)) && unmoved {
        assert_eq!(after.phase, Phase::Expired, "{}", told());
    }
}

#[test]
fn in_every_order_of_events_effects_move_once_and_only_on_a_quorum() {
    let first =
        World { phase: Phase::Pending, votes: [None; 3], moment: 0, met: None, begun: 0, arrived: 0, stopped: false };
    let moves = moves();
    let mut seen = BTreeSet::from([first.clone()]);
    let mut todo = VecDeque::from([first]);
    let mut steps = 0u64;
    let mut phases = BTreeSet::new();
    while let Some(world) = todo.pop_front() {
        phases.insert(world.phase.name());
        for what in &moves {
            let Some(next) = world.after(*what) else { continue };
            steps += 1;
            holds(&world, *what, &next);
            if seen.insert(next.clone()) {
                todo.push_back(next);
            }
        }
    }
    // Not a walk that stopped at the door.
    assert_eq!(phases.len(), 13, "{phases:?}");
    assert!(steps > 2_000, "{steps}");
}

#[test]
fn of_competing_executors_one_gets_it() {
    let approved = Phase::Approved { until: Timestamp::new(600, 0) };
    let now = Timestamp::new(1, 0);
    let mut phase = approved;
    let mut got = Vec::new();
    for by in 1..=8 {
        match phase.step(&Event::Claimed { by, tally: Tally::Met }, now, EXPIRES) {
            Ok(next) => {
                phase = next;
                got.push(by);
            }
            Err(refused) => assert_eq!(refused, Refused::Taken),
        }
    }
    assert_eq!(got, [1]);
    let foreign = phase.step(&Event::Checked { by: 2, same: true }, now, EXPIRES);
    assert_eq!(foreign, Err(Refused::OutOfTurn));
}

#[test]
fn what_comes_too_late_is_told_so() {
    let now = Timestamp::new(1, 0);
    let denied = || Event::Voted(Tally::Denied("anna".to_owned()));
    let claim = |by, tally| Event::Claimed { by, tally };
    let open = || Tally::Open { have: BTreeSet::new(), people: 1, groups: BTreeMap::new() };
    let until = Timestamp::new(600, 0);
    let (approved, claimed) = (Phase::Approved { until }, Phase::Claimed { by: 1, until });
    for (phase, event, answer) in [
        (Phase::Pending, claim(1, Tally::Met), Err(Refused::NotApproved)),
        (approved, claim(1, open()), Err(Refused::NotApproved)),
        (approved, Event::Voted(open()), Ok(Phase::Pending)),
        (approved, Event::Voted(Tally::Revoked("anna".to_owned())), Ok(Phase::Revoked)),
        (claimed, denied(), Err(Refused::TooLate)),
        (claimed, Event::Executed { by: 1, done: true }, Err(Refused::OutOfTurn)),
        (claimed, Event::Executed { by: 1, done: false }, Ok(Phase::Failed)),
        (claimed, Event::Superseded, Ok(Phase::Superseded)),
        (claimed, Event::Checked { by: 1, same: false }, Ok(Phase::Drifted)),
        (claimed, Event::TimeLost, Ok(Phase::Expired)),
        (Phase::Committing { by: 1 }, Event::Cancelled, Err(Refused::TooLate)),
        (Phase::Committing { by: 1 }, Event::TimeLost, Ok(Phase::Committing { by: 1 })),
        (Phase::Committing { by: 1 }, Event::Executed { by: 1, done: false }, Ok(Phase::Failed)),
        (Phase::Committed, denied(), Err(Refused::Ended)),
        (Phase::Denied, Event::Voted(Tally::Met), Err(Refused::Ended)),
        (Phase::Unknown, Event::Executed { by: 1, done: true }, Err(Refused::OutOfTurn)),
        (Phase::Unknown, claim(2, Tally::Met), Err(Refused::Taken)),
        (Phase::Unknown, Event::Settled { done: true }, Ok(Phase::Committed)),
    ] {
        assert_eq!(phase.step(&event, now, EXPIRES), answer, "{phase:?} {event:?}");
    }
}

#[test]
fn whoever_comes_too_late_is_told_and_not_let_through() {
    let until = Timestamp::new(600, 0);
    for phase in [Phase::Approved { until }, Phase::Claimed { by: 1, until }] {
        assert_eq!(phase.at(Timestamp::new(599, 0), EXPIRES), phase);
        assert_eq!(phase.at(until, EXPIRES), Phase::Expired);
        for event in [
            Event::Claimed { by: 1, tally: Tally::Met },
            Event::Checked { by: 1, same: true },
            Event::Voted(Tally::Met),
        ] {
            assert_eq!(phase.step(&event, until, EXPIRES), Err(Refused::Expired), "{phase:?} {event:?}");
        }
        assert_eq!(phase.step(&Event::Ticked, until, EXPIRES), Ok(Phase::Expired));
    }
}
