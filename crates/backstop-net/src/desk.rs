//! Decides for one channel what of the notices is told, and when: what is the same as something that was told a while ago is
//! counted, and told together when the while is over; what comes within seconds after a message goes out as one. Pure: the clock
//! is handed in. Nothing is dropped, and what is counted outlives a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use backstop_core::audit::Severity;
use backstop_core::notice::What;
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{Item, Message};

/// So many are the most in one message.
const MOST: usize = 20;

/// So many wait at most, whatever is to be gathered.
const WAITING: usize = 200;

/// What people are asked waits no longer than this.
const ASKED: Duration = Duration::from_secs(30);

/// So many kinds of sameness are known at once.
const WINDOWS: usize = 1_000;

/// By so many seconds an entry may be of before the one in front of it.
const OUT_OF_ORDER: i64 = 60;

/// What is the same as something that was told, until a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// What came since, and was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Item>,
    /// So many minutes it lasts.
    minutes: u64,
    /// Until then.
    until: Timestamp,
}

/// What was told lately, by what it is the same as.
pub type Windows = BTreeMap<String, Window>;

/// One channel's.
#[derive(Debug)]
pub struct Desk {
    /// What came after a message, within this time, goes out as one; zero where each goes out by itself.
    gather: Duration,
    windows: Windows,
    waiting: Vec<Item>,
    /// When the last message went out.
    last: Option<Duration>,
}

impl Desk {
    /// One that knows what was told lately.
    pub fn new(gather: Duration, windows: Windows) -> Self {
        Self { gather, windows, waiting: Vec::new(), last: None }
    }

    /// What is to be kept, together with how far the log was read.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// True where everything that was taken went out, or is counted.
    pub fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a notice; counts it where it is the same as what was told lately, and says so.
    pub fn take(&mut self, item: Item) -> bool {
        let Some((same, minutes)) = item.notice.same() else {
            self.waiting.push(item);
            return false;
        };
        let (same, at) = (same.to_owned(), item.notice.at);
        if let Some(window) = self.windows.get_mut(&same).filter(|window| at.seconds_since(window.until) < 0) {
            let (more, since) = window.held.as_ref().map_or((0, item.since), |held| (held.more + 1, held.since));
            window.held = Some(Item { more: more + item.more, since, ..item });
            return true;
        }
        // What was counted before its while was over goes out before what begins another.
        let before = self.windows.insert(same, Window { held: None, minutes, until: later(at, minutes) });
        self.waiting.extend(before.and_then(|window| window.held));
        self.waiting.push(item);
        while self.windows.len() > WINDOWS {
            let first = self.windows.iter().min_by_key(|(_, window)| window.until).map(|(same, _)| same.clone());
            let Some(window) = first.and_then(|same| self.windows.remove(&same)) else { break };
            self.waiting.extend(window.held);
        }
        false
    }

    /// What goes out now. `clock` only goes on; the log was read up to the moment `upto`: after an outage what came hours ago
    /// is the same as what came hours ago, though all of it is over. Where nobody knows how far, no while is over.
    pub fn due(&mut self, clock: Duration, upto: Option<Timestamp>) -> Vec<Message> {
        upto.into_iter().for_each(|upto| self.close(upto));
        if self.waiting.is_empty() || self.wait(clock).is_some_and(|left| !left.is_zero()) {
            return Vec::new();
        }
        self.last = Some(clock);
        let most = if self.gather.is_zero() { 1 } else { MOST };
        // What people are asked expires, and is told by itself.
        let runs = std::mem::take(&mut self.waiting);
        let runs = runs.chunk_by(|one, next| is_asked(one) == is_asked(next));
        runs.flat_map(|run| run.chunks(most)).filter_map(|items| Message::of(items.to_vec())).collect()
    }

    /// So long it is until what waits goes out; none where nothing does.
    pub fn wait(&self, clock: Duration) -> Option<Duration> {
        if self.waiting.is_empty() {
            return None;
        }
        // Nobody is kept waiting for what is grave.
        let grave = self.waiting.iter().any(|item| item.notice.severity <= Severity::Error);
        let gather = if self.waiting.iter().any(is_asked) { self.gather.min(ASKED) } else { self.gather };
        let open = self.last.map(|last| last + gather).filter(|_| !grave && self.waiting.len() < WAITING);
        Some(open.map_or(Duration::ZERO, |open| open.saturating_sub(clock)))
    }

    /// Ends what has lasted long enough; what was counted is told, and what comes now is counted anew.
    fn close(&mut self, upto: Timestamp) {
        // A clock that was put back must not keep anything for ever. Entries are a little out of order where many write.
        let over = |window: &Window| {
            let left = window.until.seconds_since(upto);
            left <= 0 || left > seconds(window.minutes) + OUT_OF_ORDER
        };
        let ended: Vec<String> = self.windows.iter().filter(|(_, w)| over(w)).map(|(same, _)| same.clone()).collect();
        for same in ended {
            let Some(window) = self.windows.remove(&same) else { continue };
            let Some(held) = window.held else { continue };
            self.waiting.push(held);
            self.windows.insert(same, Window { held: None, until: later(upto, window.minutes), ..window });
        }
    }
}

fn is_asked(item: &Item) -> bool {
    matches!(item.notice.what, What::Asked { .. })
}

fn seconds(minutes: u64) -> i64 {
    i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(60)
}

fn later(at: Timestamp, minutes: u64) -> Timestamp {
    Timestamp::new(at.secs.saturating_add(seconds(minutes)), 0)
}

#[cfg(test)]
mod tests {
    use backstop_core::notice::Notice;

    use super::*;

    const NOON: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(NOON + seconds, 0)
    }

    fn alert(entry: u64, same: &str, seconds: i64) -> Item {
        let what = What::Alert { again: 60, rule: "r".to_owned(), same: same.to_owned() };
        Item::one(Notice { entry, id: format!("n-{entry}"), what, ..Notice::test("db-1", at(seconds)) }, None)
    }

    fn plain(entry: u64, severity: Severity) -> Item {
        Item::one(Notice { entry, id: format!("n-{entry}"), severity, ..Notice::test("db-1", at(0)) }, None)
    }

    /// What goes out at a moment: for each message its entries, each with how many more it stands for.
    fn due(desk: &mut Desk, seconds: i64) -> Vec<Vec<(u64, u64)>> {
        let clock = Duration::from_secs(u64::try_from(seconds).expect("after noon"));
        let messages = desk.due(clock, Some(at(seconds)));
        messages.iter().map(|m| m.items().iter().map(|item| (item.notice.entry, item.more)).collect()).collect()
    }

    #[test]
    fn the_first_goes_out_at_once_and_what_follows_as_one() {
        let mut desk = Desk::new(Duration::from_secs(30), Windows::new());
        desk.take(plain(1, Severity::Notice));
        assert_eq!(due(&mut desk, 0), [[(1, 0)]]);
        for entry in 2..5 {
            desk.take(plain(entry, Severity::Warning));
        }
        assert_eq!(due(&mut desk, 10), Vec::<Vec<_>>::new());
        assert_eq!(desk.wait(Duration::from_secs(10)), Some(Duration::from_secs(20)));
        assert!(!desk.is_clear());
        assert_eq!(due(&mut desk, 30), [vec![(2, 0), (3, 0), (4, 0)]]);
        assert!(desk.is_clear() && desk.wait(Duration::ZERO).is_none());
        // What is grave waits for nobody, and takes along what does.
        desk.take(plain(5, Severity::Notice));
        desk.take(plain(6, Severity::Error));
        assert_eq!(due(&mut desk, 31), [vec![(5, 0), (6, 0)]]);
        for entry in 10..55 {
            desk.take(plain(entry, Severity::Notice));
        }
        assert_eq!(due(&mut desk, 90).iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 5]);
    }

    #[test]
    fn what_people_are_asked_waits_no_hour_and_many_wait_for_nothing() {
        let mut desk = Desk::new(Duration::from_secs(3_600), Windows::new());
        desk.take(plain(1, Severity::Notice));
        assert_eq!(due(&mut desk, 0), [[(1, 0)]]);
        desk.take(plain(2, Severity::Notice));
        for entry in [3, 4] {
            let what = What::Asked { needs: String::new() };
            let asked = plain(entry, Severity::Warning);
            desk.take(Item { notice: Notice { what, ..asked.notice.clone() }, ..asked });
        }
        assert_eq!(desk.wait(Duration::from_secs(1)), Some(Duration::from_secs(29)));
        assert_eq!(due(&mut desk, 30), [vec![(2, 0)], vec![(3, 0), (4, 0)]], "by themselves");
        for entry in 0..WAITING as u64 {
            desk.take(plain(entry, Severity::Notice));
        }
        assert_eq!(desk.wait(Duration::from_secs(31)), Some(Duration::ZERO));
    }

    #[test]
    fn where_nothing_is_gathered_each_goes_out_by_itself() {
        let mut desk = Desk::new(Duration::ZERO, Windows::new());
        desk.take(plain(1, Severity::Notice));
        desk.take(plain(2, Severity::Notice));
        assert_eq!(due(&mut desk, 0), [[(1, 0)], [(2, 0)]]);
    }

    #[test]
    fn what_is_the_same_is_counted_and_told_when_its_while_is_over() {
        let mut desk = Desk::new(Duration::ZERO, Windows::new());
        desk.take(alert(1, "a", 0));
        desk.take(alert(2, "b", 1));
        assert_eq!(due(&mut desk, 1), [[(1, 0)], [(2, 0)]]);
        for (entry, seconds) in [(3, 10), (4, 1_000), (5, 3_599)] {
            desk.take(alert(entry, "a", seconds));
            assert_eq!(due(&mut desk, seconds), Vec::<Vec<_>>::new(), "{entry}");
        }
        assert!(desk.is_clear(), "it is counted, and what is counted is kept");
        // Another process goes on with what was kept.
        let kept: Windows = serde_json::from_slice(&serde_json::to_vec(desk.windows()).expect("JSON")).expect("read");
        assert_eq!(&kept, desk.windows());
        let mut desk = Desk::new(Duration::ZERO, kept);
        assert_eq!(due(&mut desk, 3_600), [[(5, 2)]]);
        // It goes on: the next is told when another hour is over, and by itself where it comes later than that.
        desk.take(alert(6, "a", 3_700));
        assert_eq!(due(&mut desk, 3_700), Vec::<Vec<_>>::new());
        assert_eq!(due(&mut desk, 7_200), [[(6, 0)]]);
        assert_eq!(due(&mut desk, 10_800), Vec::<Vec<_>>::new());
        assert!(desk.windows().is_empty());
        desk.take(alert(7, "a", 10_900));
        assert_eq!(due(&mut desk, 10_900), [[(7, 0)]]);
    }

    #[test]
    fn an_outage_or_a_clock_that_is_put_back_loses_nothing() {
        let mut desk = Desk::new(Duration::ZERO, Windows::new());
        // Read hours later: by their own moments two of these are the same, and the third is not.
        for (entry, seconds) in [(1, 0), (2, 100), (3, 4_000)] {
            desk.take(alert(entry, "a", seconds));
        }
        assert_eq!(due(&mut desk, 9_000), [[(1, 0)], [(2, 0)], [(3, 0)]]);
        desk.take(alert(4, "a", 9_000));
        let before = desk.due(Duration::from_secs(9_000), Some(at(8_999)));
        assert_eq!((before.len(), desk.windows().len()), (1, 1), "a moment out of order ends nothing");
        desk.take(alert(5, "a", 9_001));
        assert_eq!(due(&mut desk, 9_001), Vec::<Vec<_>>::new());
        let back = desk.due(Duration::from_secs(9_100), Some(at(1_000)));
        assert_eq!(back.first().map(|m| m.items()[0].notice.entry), Some(5), "the clock was put back by hours");
    }

    #[test]
    fn too_many_kinds_of_sameness_are_told_rather_than_forgotten() {
        let mut desk = Desk::new(Duration::ZERO, Windows::new());
        desk.take(alert(1, "first", 0));
        desk.take(alert(2, "first", 1));
        for n in 0..WINDOWS as u64 {
            desk.take(alert(10 + n, &format!("w{n}"), 2));
        }
        let told = due(&mut desk, 2);
        assert_eq!(told.len(), WINDOWS + 2);
        assert_eq!(told.last(), Some(&vec![(2, 0)]));
        assert_eq!(desk.windows().len(), WINDOWS);
    }
}
