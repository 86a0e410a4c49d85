//! Delivers one notice by one channel: tries again and waits longer each time, until it arrived, can't arrive, or nobody
//! wants to hear of it any more. What is sent again has the same id, so that whoever gets it twice can tell.

use std::time::Duration;

use backstop_core::notice::{Delivery, Notice, What};
use backstop_core::time::Timestamp;

/// The first pause.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
/// The longest pause of our own.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);
/// The longest that a server may make us wait.
pub(crate) const ASKED: Duration = Duration::from_secs(3_600);
/// So old nobody wants to hear of it any more, in seconds.
const OLD: i64 = 24 * 3_600;

/// Why something did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// True where trying again would be in vain.
    pub permanent: bool,
    /// How long the server wants us to wait.
    pub after: Option<Duration>,
    /// Why, as a sentence fragment.
    pub why: String,
}

impl Miss {
    /// It may arrive later. Of `why`, which may be a stranger's text, plain characters are kept, and not too many.
    pub fn again(why: impl AsRef<str>) -> Self {
        Self { permanent: false, after: None, why: Delivery::reason(why.as_ref()) }
    }

    /// How long to wait before it is tried again, after a pause of so long: what a server wants, within bounds.
    pub(crate) fn wait(&self, pause: Duration) -> Duration {
        self.after.map_or(pause, |after| after.clamp(pause, ASKED))
    }

    /// It can't arrive.
    pub fn never(why: impl AsRef<str>) -> Self {
        Self { permanent: true, ..Self::again(why) }
    }
}

/// The clock, and waiting for it.
pub trait Pace {
    /// The time since whenever.
    fn now(&self) -> Duration;
    /// Waits so long.
    fn wait(&mut self, pause: Duration);
}

/// What became of it: how often it was tried, and why it was given up.
pub type Outcome = (u32, Option<String>);

/// How long, from `now` on, people want to hear of a notice: of what they are asked until that expires, of all else for a
/// day. None where that is over.
pub fn wanted(notice: &Notice, now: Timestamp) -> Option<Duration> {
    let old = Timestamp::new(notice.at.secs.saturating_add(OLD), 0);
    let end = match notice.what {
        What::Asked { .. } => notice.expires.unwrap_or(old).min(old),
        _ => old,
    };
    u64::try_from(end.seconds_since(now)).ok().filter(|left| *left > 0).map(Duration::from_secs)
}

/// Sends until it arrives or is given up after so long; `told` hears of each attempt that failed, and how long is waited then.
pub fn deliver(
    send: &mut dyn FnMut() -> Result<(), Miss>,
    pace: &mut dyn Pace,
    told: &mut dyn FnMut(&Miss, Duration),
    over: Duration,
) -> Outcome {
    let begin = pace.now();
    let mut attempts = 0;
    let mut pause = FIRST;
    loop {
        attempts += 1;
        let miss = match send() {
            Ok(()) => return (attempts, None),
            Err(miss) => miss,
        };
        let wait = miss.wait(pause);
        if miss.permanent || pace.now() + wait > begin + over {
            return (attempts, Some(miss.why));
        }
        told(&miss, wait);
        pace.wait(wait);
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Paced {
        now: Duration,
        waits: Vec<u64>,
    }

    impl Pace for Paced {
        fn now(&self) -> Duration {
            self.now
        }
        fn wait(&mut self, pause: Duration) {
            self.now += pause;
            self.waits.push(pause.as_secs());
        }
    }

    const OVER: Duration = Duration::from_secs(86_400);

    fn delivered(mut answers: Vec<Result<(), Miss>>) -> (Outcome, Paced) {
        let mut pace = Paced::default();
        let last = answers.pop().expect("an answer");
        answers.reverse();
        let outcome = deliver(&mut || answers.pop().unwrap_or_else(|| last.clone()), &mut pace, &mut |_, _| {}, OVER);
        (outcome, pace)
    }

    #[test]
    fn it_is_tried_until_it_arrives_with_longer_pauses() {
        let away = || Err(Miss::again("away"));
        let (outcome, pace) = delivered(vec![away(), away(), away(), Ok(())]);
        assert_eq!((outcome, pace.waits), ((4, None), vec![1, 2, 4]));
        let slow = Err(Miss { after: Some(Duration::from_secs(40)), ..Miss::again("busy") });
        let eager = Err(Miss { after: Some(Duration::ZERO), ..Miss::again("busy") });
        let for_ever = Err(Miss { after: Some(Duration::MAX), ..Miss::again("busy") });
        let (outcome, pace) = delivered(vec![slow, eager, for_ever, Ok(())]);
        assert_eq!((outcome, pace.waits), ((4, None), vec![40, 2, 3_600]));
    }

    #[test]
    fn what_cant_arrive_is_not_tried_again_and_all_else_for_a_day() {
        let (outcome, pace) = delivered(vec![Err(Miss::never("gone"))]);
        assert_eq!((outcome, pace.waits.len()), ((1, Some("gone".to_owned())), 0));
        let (outcome, pace) = delivered(vec![Err(Miss::again("away"))]);
        assert_eq!(outcome.1.as_deref(), Some("away"));
        assert!(pace.now <= OVER && pace.now + LONGEST > OVER, "{:?}", pace.now);
        assert!(pace.waits.iter().all(|w| *w <= LONGEST.as_secs()));
        assert_eq!(outcome.0 as usize, pace.waits.len() + 1);
    }

    #[test]
    fn what_is_over_is_not_wanted_any_more() {
        let at = Timestamp::new(1_000, 0);
        let asked = What::Asked { needs: "2 people".to_owned() };
        let notice = |what: What| Notice { at, expires: Some(Timestamp::new(2_800, 0)), what, ..Notice::test("x", at) };
        for (what, now, left) in [
            (asked.clone(), 1_000, Some(1_800)),
            (asked.clone(), 2_799, Some(1)),
            (asked, 2_800, None),
            (What::Ended { how: "denied".to_owned() }, 2_800, Some(84_600)),
            (What::Test, 1_000 + OLD, None),
        ] {
            let wanted = wanted(&notice(what.clone()), Timestamp::new(now, 0));
            assert_eq!(wanted, left.map(Duration::from_secs), "{what:?} {now}");
        }
    }

    #[test]
    fn what_a_stranger_says_is_plain_and_short() {
        let why = Miss::again(format!("550 \u{1b}[2J\u{202e}{}", "x".repeat(900))).why;
        assert!(why.len() <= 300 && why.bytes().all(|b| (b' '..=b'~').contains(&b)), "{why}");
    }
}
