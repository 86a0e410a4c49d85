//! What people are told of requests for approval: read from the audit log, which is the outbox. Whoever tells it keeps
//! how far he got, and says what became of each; that is on record as well.

use std::thread;
use std::time::{Duration, Instant};

use backstop_core::approval::ballot::Question;
use backstop_core::audit::Body;
use backstop_core::notice::{Delivery, Notice};
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::approvals::{self, Request};
use crate::audit::{Entries, end, entries};
use crate::clock;
use crate::failure::{Failure, FailureKind};

/// So many are given at once.
const MOST: usize = 64;

/// Nobody is kept waiting longer for something to be told.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often the log is looked at while somebody waits.
const PAUSE: Duration = Duration::from_millis(500);

/// How often requests are looked at whose time may be over.
const CLOCK: Duration = Duration::from_secs(5);

/// What there is to tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notices {
    /// From which entry on to ask the next time.
    pub next: u64,
    /// The notices, in the order of the log.
    pub notices: Vec<Notice>,
}

impl Engine {
    /// What there is to tell from the entry `from` on; waits for something at most so long. Without `from` nothing
    /// is told but from where on to ask.
    pub fn notices(&mut self, from: Option<u64>, wait: Duration) -> Result<Notices, Failure> {
        self.records.open()?;
        let from = match (from, end(&self.audit_dir())?) {
            (None, end) => return Ok(Notices { next: end, notices: Vec::new() }),
            // What was told last was lost when power went.
            (Some(from), end) => from.min(end),
        };
        let mut reader = entries(&self.audit_dir(), from);
        let mut told = Notices { next: from, notices: Vec::new() };
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let mut looked: Option<Instant> = None;
        loop {
            if looked.is_none_or(|at| at.elapsed() >= CLOCK) {
                self.let_expire()?;
                looked = Some(Instant::now());
            }
            self.tell(&mut reader, &mut told)?;
            if !told.notices.is_empty() || Instant::now() >= until {
                return Ok(told);
            }
            thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn tell(&self, reader: &mut Entries, told: &mut Notices) -> Result<(), Failure> {
        for entry in reader {
            let entry = entry?;
            told.next = entry.index + 1;
            let question = match (&entry.body, Notice::request(&entry.body)) {
                (Body::ApprovalAsked { question }, _) => Some(question.clone()),
                (_, Some(request)) => self.question(request),
                (_, None) => None,
            };
            told.notices.extend(Notice::of(&entry, question.as_ref()));
            if told.notices.len() >= MOST {
                break;
            }
        }
        Ok(())
    }

    /// What a request asks. One that can't be read is told of all the same, by its code.
    fn question(&self, request: backstop_core::digest::Digest) -> Option<Question> {
        let request = Request::load(&self.store, request).ok().flatten()?;
        Some(request.question().clone())
    }

    /// Ends the requests whose time is over, so that people hear of it. Leaves them to others where somebody is at work.
    fn let_expire(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let mut due = Vec::new();
        for digest in approvals::open(&self.store)? {
            // One that can't be read is told by whoever lists what waits.
            let Ok(Some(request)) = Request::load(&self.store, digest) else { continue };
            let over = request.phase.at(now, request.question().expires) != request.phase;
            if request.phase.waits() && (over || !request.time_holds(now)?) {
                due.push(digest);
            }
        }
        if due.is_empty() || self.sound().is_err() {
            return Ok(());
        }
        let Ok(lock) = self.store.try_lock("apply", "")? else { return Ok(()) };
        if !self.store.open_marks()?.is_empty() {
            return Ok(());
        }
        let people = self.people()?;
        due.into_iter().try_for_each(|digest| self.current(digest, &people, &lock).map(drop))
    }

    /// Puts on record what became of a notice.
    pub fn delivered(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let refused = |what: &str| Failure::new(FailureKind::Refused, format!("not put on record: {what}"));
        if !delivery.is_sound() {
            return Err(refused("the channel's name, or the reason, is not plain text, or too long"));
        }
        let entry = entries(&self.audit_dir(), delivery.entry).next().transpose()?;
        if entry.is_none_or(|entry| Notice::of(&entry, None).is_none()) {
            return Err(refused("people are not told of that entry"));
        }
        let Delivery { attempts, channel, entry, failed } = delivery.clone();
        Ok(self.records.write(&[match failed {
            None => Body::NoticeDelivered { attempts, channel, entry },
            Some(why) => Body::NoticeFailed { attempts, channel, entry, why },
        }])?)
    }

    /// A notice that tells nothing, for whoever tries his channels.
    pub fn test_notice(&self) -> Result<Notice, Failure> {
        Ok(Notice::test(&self.people()?.host, clock::now()))
    }
}

#[cfg(test)]
mod tests {
    use backstop_core::approval::people::Change;
    use backstop_core::notice::What;

    use super::super::Wish;
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn what_nobody_looks_at_expires_and_people_hear_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        let mut engine = Engine::open(settings(&state)).expect("an engine");
        super::super::approve::tests::founded(&mut engine);
        let change = Change::Grant { group: "dba".to_owned(), id: "anna".to_owned() };
        let Ok(Wish::Asked(asked)) = engine.change_people(&change) else { panic!("nobody was asked") };
        let from = engine.notices(None, Duration::ZERO).expect("told").next;
        // The machine was started anew since.
        let path = state.join("approvals").join(asked.question.request.hex()).join("asked.json");
        let text = std::fs::read_to_string(&path).expect("readable");
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("readable");
        assert!(text.contains(boot.trim()));
        std::fs::write(&path, text.replace(boot.trim(), "another")).expect("written");
        let told = engine.notices(Some(from), LONGEST_WAIT).expect("told").notices;
        assert_eq!(
            told.iter().map(|n| n.what.clone()).collect::<Vec<_>>(),
            [What::Ended { how: "expired".to_owned() }]
        );
        assert!(told[0].title().contains("expired, nothing took effect: who may approve"), "{}", told[0].title());
        assert!(engine.pending().expect("listed").requests.is_empty());
    }

    #[test]
    fn what_people_are_told_comes_from_the_log_and_what_became_of_it_goes_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        let mut engine = Engine::open(settings(&state)).expect("an engine");
        let begin = engine.notices(None, Duration::ZERO).expect("told").next;
        assert!(engine.notices(Some(begin), Duration::ZERO).expect("told").notices.is_empty());
        super::super::approve::tests::founded(&mut engine);
        let told = engine.notices(Some(begin), LONGEST_WAIT).expect("told");
        assert_eq!((told.notices.len(), told.next), (2, begin + 2));
        assert_eq!(engine.notices(Some(begin + 1), LONGEST_WAIT).expect("told").notices, told.notices[1..]);
        let delivery =
            |entry: u64, channel: &str| Delivery { attempts: 2, channel: channel.into(), entry, failed: None };
        engine.delivered(&delivery(told.notices[0].entry, "oncall")).expect("on record");
        for (entry, channel) in [(begin + 1, "on call"), (begin + 2, "oncall"), (begin + 99, "oncall"), (0, "oncall")] {
            assert!(engine.delivered(&delivery(entry, channel)).is_err(), "{entry} {channel}");
        }
        let last = entries(&state.join("audit"), begin + 2).next().expect("an entry").expect("readable");
        assert_eq!(last.body.name(), "notice.delivered");
        assert!(
            engine.notices(Some(told.next), Duration::ZERO).expect("told").notices.is_empty(),
            "no notice of notices"
        );
    }
}
