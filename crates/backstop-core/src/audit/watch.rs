//! Reads the guard's signs of life in their order and says when there were none: a log is silent where nothing
//! happened, and where nobody watched. Decides only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::life::JUMP;
use crate::audit::Body;
use crate::size::lasted;
use crate::time::Timestamp;

/// What the machine's own clocks say, which setting the time does not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Seconds that the machine was awake since it was started (`CLOCK_MONOTONIC`).
    pub awake: u64,
    /// The kernel's name for this start of the machine.
    pub boot: String,
    /// Seconds since it was started, sleep among them (`CLOCK_BOOTTIME`).
    pub up: u64,
}

/// The guard as far as it has been told.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    last: Option<Sign>,
}

/// A sign of life.
#[derive(Clone, Debug)]
struct Sign {
    at: Timestamp,
    clocks: Clocks,
    /// It was the last one, and said so.
    stopped: bool,
}

impl Watch {
    /// Seconds from one sign of life to the next.
    pub const EVERY: u64 = 60;
    /// Later than this one is missing: a busy machine may delay it, but not for another two.
    const LATE: u64 = 3 * Self::EVERY;

    /// Takes the next entry, with its time, and gives what is worth knowing about it.
    pub fn tell(&mut self, at: Timestamp, body: &Body) -> Vec<String> {
        let (clocks, starts, stopped) = match body {
            Body::GuardStarted { clocks, .. } => (clocks, true, false),
            Body::AuditHeartbeat { clocks } => (clocks, false, false),
            Body::GuardStopped { clocks } => (clocks, false, true),
            _ => return Vec::new(),
        };
        let sign = Sign { at, clocks: clocks.clone(), stopped };
        let unstarted = "the guard gives signs of life without having been started".to_owned();
        let Some(last) = self.last.replace(sign) else {
            return if starts { Vec::new() } else { vec![unstarted] };
        };
        let same = last.clocks.boot == clocks.boot;
        if same && (clocks.awake < last.clocks.awake || clocks.up < last.clocks.up) {
            return vec!["the machine's own clocks are behind those of the sign of life before".to_owned()];
        }
        let mut remarks = Vec::new();
        // Across a start of the machine there is no other clock to go by than the one that can be set.
        let passed = if same { clocks.awake - last.clocks.awake } else { seconds(last.at, at) };
        let silent = format!("{} ({} to {at})", lasted(passed), last.at);
        match (starts, last.stopped, same) {
            (true, false, true) => remarks.push(format!("the guard ended without being stopped; back after {silent}")),
            (true, false, false) => remarks.push(format!(
                "the guard was not stopped, and the machine was started anew since; back after {silent}"
            )),
            (true, true, _) if passed > Self::LATE => remarks.push(format!("the guard was stopped for {silent}")),
            (false, false, true) if passed > Self::LATE => {
                remarks.push(format!("the guard gave no sign of life for {silent}"));
            }
            (true, true, _) | (false, false, true) => {}
            (false, _, _) => remarks.push(format!("{unstarted}, after {silent}")),
        }
        if same {
            let elapsed = i64::try_from(clocks.up - last.clocks.up).unwrap_or(i64::MAX);
            let moved = at.seconds_since(last.at).saturating_sub(elapsed);
            if moved.abs() > JUMP {
                let way = if moved > 0 { "forward" } else { "back" };
                remarks.push(format!("the wall clock was set {way} by {}", lasted(moved.unsigned_abs())));
            }
        }
        remarks
    }

    /// What is worth knowing at the end of a log that is read at `now`, on a machine whose own clocks say `here`.
    pub fn end(&self, now: Timestamp, here: Option<&Clocks>) -> Option<String> {
        let last = self.last.as_ref().filter(|last| !last.stopped)?;
        let silent = match here.filter(|here| here.boot == last.clocks.boot) {
            Some(here) => here.awake.saturating_sub(last.clocks.awake),
            // A copy, or another start of the machine.
            None => seconds(last.at, now),
        };
        (silent > Self::LATE).then(|| format!("the guard was not stopped, but its last sign of life is of {}", last.at))
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.seconds_since(from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: i64 = 1_795_364_400;

    fn clocks(boot: &str, awake: u64, up: u64) -> Clocks {
        Clocks { awake, boot: boot.to_owned(), up }
    }

    fn started(boot: &str, awake: u64) -> Body {
        Body::GuardStarted { clocks: clocks(boot, awake, awake), version: "1.0.0".to_owned() }
    }

    fn beat(boot: &str, awake: u64) -> Body {
        Body::AuditHeartbeat { clocks: clocks(boot, awake, awake) }
    }

    fn stopped(boot: &str, awake: u64) -> Body {
        Body::GuardStopped { clocks: clocks(boot, awake, awake) }
    }

    /// What is said of signs at these seconds, but of the first.
    fn said(signs: &[(i64, Body)]) -> Vec<String> {
        let mut watch = Watch::default();
        let mut all = signs.iter().map(|(at, body)| watch.tell(Timestamp::new(BEGIN + at, 0), body));
        let _first = all.next();
        all.flatten().collect()
    }

    #[test]
    fn a_guard_that_lives_says_nothing_new() {
        let signs = [(0, started("a", 10)), (60, beat("a", 70)), (190, beat("a", 200)), (200, stopped("a", 210))];
        assert_eq!(said(&signs), [""; 0]);
        // Stopped in order, and soon there again, on this start of the machine or on the next.
        for next in [started("a", 160), started("b", 5)] {
            assert_eq!(said(&[(0, started("a", 10)), (100, stopped("a", 110)), (150, next)]), [""; 0]);
        }
        // No sign at all is personal mode, and no silence.
        assert_eq!(
            said(&[(0, Body::PolicyLoaded { digest: crate::digest::Digest([0; 32]), rules: 1, sources: vec![] })]),
            [""; 0]
        );
    }

    #[test]
    fn each_silence_is_said_with_its_reason() {
        let from = "2026-11-22T16:20:00Z";
        let to = |seconds: i64| Timestamp::new(BEGIN + seconds, 0).to_string();
        for (signs, what) in [
            (
                vec![(0, beat("a", 10)), (181, beat("a", 191))],
                format!("the guard gave no sign of life for 3 min ({from} to {})", to(181)),
            ),
            (
                vec![(0, started("a", 10)), (7, started("a", 17))],
                format!("the guard ended without being stopped; back after 7 s ({from} to {})", to(7)),
            ),
            (
                vec![(0, beat("a", 10)), (7_300, started("b", 17))],
                format!(
                    "the guard was not stopped, and the machine was started anew since; back after 2 h ({from} to {})",
                    to(7_300)
                ),
            ),
            (
                vec![(0, stopped("a", 10)), (200_000, started("b", 17))],
                format!("the guard was stopped for 2 d ({from} to {})", to(200_000)),
            ),
            (
                vec![(0, stopped("a", 10)), (60, beat("a", 70))],
                format!("the guard gives signs of life without having been started, after 60 s ({from} to {})", to(60)),
            ),
            (
                vec![(0, beat("a", 10)), (60, beat("b", 70))],
                format!("the guard gives signs of life without having been started, after 60 s ({from} to {})", to(60)),
            ),
        ] {
            assert_eq!(said(&signs), [what], "{signs:?}");
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_is_told_from_a_machine_that_slept() {
        let signed = |awake, up| Body::AuditHeartbeat { clocks: clocks("a", awake, up) };
        assert_eq!(said(&[(0, signed(10, 10)), (3_660, signed(70, 3_670))]), [""; 0]);
        assert_eq!(said(&[(0, signed(10, 10)), (90, signed(70, 70))]), [""; 0]);
        assert_eq!(said(&[(0, signed(10, 10)), (3_660, signed(70, 70))]), ["the wall clock was set forward by 60 min"]);
        assert_eq!(said(&[(0, signed(10, 10)), (-60, signed(70, 70))]), ["the wall clock was set back by 2 min"]);
        // Set back, it hides no silence.
        let hidden = said(&[(0, signed(10, 10)), (60, signed(3_610, 3_610))]);
        assert!(hidden.len() == 2 && hidden[0].contains("no sign of life for 60 min"), "{hidden:?}");
    }

    #[test]
    fn signs_out_of_their_order_are_said() {
        let behind = ["the machine's own clocks are behind those of the sign of life before"];
        assert_eq!(said(&[(0, beat("a", 10)), (60, beat("a", 9))]), behind);
        for first in [beat("a", 10), stopped("a", 10)] {
            let said = Watch::default().tell(Timestamp::new(BEGIN, 0), &first);
            assert_eq!(said, ["the guard gives signs of life without having been started"]);
        }
    }

    #[test]
    fn at_the_end_of_a_log_the_last_sign_is_young_or_the_guard_was_stopped() {
        let mut watch = Watch::default();
        let at = |seconds| Timestamp::new(BEGIN + seconds, 0);
        assert_eq!(watch.end(at(9_999), None), None);
        watch.tell(at(0), &started("a", 10));
        assert_eq!(watch.end(at(180), None), None);
        let late = watch.end(at(181), None).expect("a remark");
        assert!(late.contains("last sign of life is of 2026-11-22T16:20:00Z"), "{late}");
        // On the machine itself its own clocks say: one that slept, or whose time was set, has missed nothing, and one
        // whose time was set back has.
        for (now, here, silent) in [
            (9_999, clocks("a", 190, 9_999), false),
            (9_999, clocks("a", 20, 20), false),
            (0, clocks("a", 191, 191), true),
            (9_999, clocks("b", 20, 20), true),
            (100, clocks("b", 9_999, 9_999), false),
        ] {
            assert_eq!(watch.end(at(now), Some(&here)).is_some(), silent, "{now} {here:?}");
        }
        watch.tell(at(60), &stopped("a", 70));
        assert_eq!(watch.end(at(9_999), None), None);
    }
}
