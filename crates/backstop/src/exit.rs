//! What `backstop` returns to its caller. Part of the contract: scripts, hooks and agents rely on it.

use backstop_core::run::State;
use backstop_engine::{FailureKind, Outcome};

/// All went well; for `run` the command's own code is returned instead.
pub const OK: u8 = 0;
/// Looked for trouble and found some: `audit verify`, `doctor` and `drill` say so this way.
pub const FOUND: u8 = 1;
/// The arguments make no sense, or name something that is not there.
pub const USAGE: u8 = 2;
/// The disk changed meanwhile, or a turn was waited for in vain (EX_IOERR); the run stays held.
pub const CONFLICT: u8 = 74;
/// Held: nothing took effect, a person can let it through (EX_TEMPFAIL).
pub const HELD: u8 = 75;
/// Denied, refused or given up: nothing took effect (EX_NOPERM).
pub const DENIED: u8 = 77;
/// Backstop itself failed; nothing was changed.
pub const FAILED: u8 = 125;
/// The command is there and can't be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command is not there.
pub const NOT_FOUND: u8 = 127;

/// The code for what became of a run.
pub fn of_outcome(outcome: &Outcome) -> u8 {
    let record = &outcome.record;
    match record.state {
        State::Committed | State::NoEffect | State::InPlace | State::Undone => record.exit.map_or(OK, |e| e.code()),
        State::Held if outcome.effects.conflicts.is_empty() => HELD,
        State::Held => CONFLICT,
        State::Denied | State::Discarded => DENIED,
        State::DryRun | State::Allowed => OK,
        State::Rehearsing | State::Failed => FAILED,
    }
}

/// The code for a failure.
pub const fn of_failure(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Usage => USAGE,
        FailureKind::Conflict => CONFLICT,
        FailureKind::Refused => DENIED,
        FailureKind::Internal => FAILED,
        FailureKind::Interrupted(signal) => 128u8.wrapping_add(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::rehearsal;

    #[test]
    fn every_code_is_in_the_help() {
        let text = include_str!("topics/exit-codes.txt");
        for code in [CONFLICT, HELD, DENIED, FAILED, NOT_EXECUTABLE, NOT_FOUND] {
            assert!(text.contains(&format!("    {code}  ")), "{code}");
        }
        assert!(
            text.contains(&format!("{FOUND} when `audit verify`")) && text.contains(&format!("{USAGE} when the arg"))
        );
    }

    #[test]
    fn states_have_their_codes() {
        let mut o = rehearsal::incident();
        o.record.exit = Some(backstop_core::run::Exit::Signal(9));
        for (state, code) in [
            (State::Committed, 137),
            (State::NoEffect, 137),
            (State::InPlace, 137),
            (State::Held, 75),
            (State::Denied, 77),
            (State::Discarded, 77),
            (State::DryRun, 0),
            (State::Failed, 125),
            (State::Rehearsing, 125),
        ] {
            o.record.state = state;
            assert_eq!(of_outcome(&o), code, "{}", state.name());
        }
        assert_eq!(of_outcome(&rehearsal::conflict()), 74);
    }
}
