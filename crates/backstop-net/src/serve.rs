//! Tells people, channel by channel, each in a thread and by connections of its own: one that is slow or away keeps none
//! of the others. What was told is never told again because that could not be put on record.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::notice::{Delivery, Mark, Notice};
use backstop_core::time::Timestamp;
use backstop_engine::{Doors, FailureKind, Notices, Recovered, clock};

use crate::channel::Channel;
use crate::config::Config;
use crate::deliver::{Miss, Outcome, Pace, deliver, wanted};
use crate::heartbeat::Heartbeat;
use crate::place::{Cursors, Told};

/// How long is waited for something to tell, at a time.
const WAIT: Duration = Duration::from_secs(20);
/// The pause after something went wrong with the records: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// So long the records may not answer before people are told: twice what the guard's signs of life are apart, and more than a
/// restart takes.
const AWAY: Duration = Duration::from_secs(180);
/// So long it is tried to tell that, before it is looked whether they answer again.
const URGENT: Duration = Duration::from_secs(600);
/// A cursor is kept when it is so many entries old, though nothing of these was told.
const STEP: u64 = 1_000;

/// What the notifier asks of the records.
trait Records {
    fn notices(&mut self, from: Option<&Mark>) -> Result<Notices, String>;
    /// Gives false where it is refused, and would be again.
    fn delivered(&mut self, delivery: &Delivery) -> Result<bool, String>;
}

impl Records for Box<dyn Doors> {
    fn notices(&mut self, from: Option<&Mark>) -> Result<Notices, String> {
        Doors::notices(&mut **self, from, WAIT).map_err(|failure| failure.what)
    }

    fn delivered(&mut self, delivery: &Delivery) -> Result<bool, String> {
        match Doors::delivered(&mut **self, delivery) {
            Ok(()) => Ok(true),
            Err(failure) if failure.kind == FailureKind::Refused => Ok(false),
            Err(failure) => Err(failure.what),
        }
    }
}

/// Tells what there is to tell, until the process is ended. `say` hears what people at the machine should know.
///
/// # Errors
/// Cursors that can't be read: what was told already is not known then.
pub fn serve(
    config: &Config,
    channels: &[Channel],
    heartbeat: Option<&Heartbeat>,
    cursors: &Cursors,
    say: &(dyn Fn(&str) + Sync),
) -> io::Result<()> {
    let mut tellers = Vec::new();
    for channel in channels {
        let name = &channel.config.name;
        let next = cursors
            .read::<Told>(name)
            .map_err(|e| io::Error::new(e.kind(), format!("how far {name} was told can't be read: {e}")))?
            .map(|told| told.next);
        let kept = next.clone();
        tellers.push(Teller {
            config,
            channel,
            cursors,
            say,
            next,
            kept,
            unsaid: None,
            told: false,
            trouble: None,
            silent: None,
        });
    }
    thread::scope(|scope| {
        for mut teller in tellers {
            scope.spawn(move || {
                let (mut pause, mut clock) = (PAUSES.0, Clock(Instant::now()));
                loop {
                    teller.go_on(&mut reach, &mut clock, &mut pause);
                }
            });
        }
        if let Some(sign) = heartbeat {
            scope.spawn(move || {
                loop {
                    sign.give(&mut reach, say);
                    thread::sleep(sign.every());
                }
            });
        }
    });
    Ok(())
}

fn reach() -> Result<Box<dyn Doors>, String> {
    backstop_engine::open(recovered).map_err(|failure| failure.what)
}

impl Heartbeat {
    /// Tells somebody elsewhere that guard and notifier live; where the guard does not answer, by saying nothing.
    fn give<R: Records>(&self, open: &mut dyn FnMut() -> Result<R, String>, say: &(dyn Fn(&str) + Sync)) {
        let given = open().and_then(|mut records| records.notices(None)).and_then(|_| self.send());
        if let Err(why) = given {
            say(&format!("no heartbeat: {why}"));
        }
    }
}

/// Says what a crash had left, and was put right by opening the records.
pub fn recovered(all: &[Recovered]) {
    for one in all {
        eprintln!("backstop-notify: recovered {}: {}", one.id, one.what);
    }
}

struct Teller<'a> {
    config: &'a Config,
    channel: &'a Channel,
    cursors: &'a Cursors,
    say: &'a (dyn Fn(&str) + Sync),
    /// From where on nothing was told; none before it is known.
    next: Option<Mark>,
    /// What is kept of that.
    kept: Option<Mark>,
    /// What became of the last one, until that is on record.
    unsaid: Option<Delivery>,
    /// Something was told since that was kept.
    told: bool,
    /// What was wrong with the requests, as it was said last.
    trouble: Option<String>,
    /// The records do not answer.
    silent: Option<Silence>,
}

/// See [`Teller::silent`].
struct Silence {
    /// Since when, by both clocks.
    since: (Timestamp, Duration),
    /// People were told.
    told: bool,
}

impl Teller<'_> {
    fn say(&self, what: &str) {
        (self.say)(&format!("{}: {what}", self.channel.config.name));
    }

    /// Tells by one connection until it breaks, or something took longer than a connection may be silent.
    fn go_on<R: Records>(
        &mut self,
        open: &mut dyn FnMut() -> Result<R, String>,
        pace: &mut dyn Pace,
        pause: &mut Duration,
    ) {
        let mut by_one = || {
            let mut records = open()?;
            loop {
                self.settle(&mut records)?;
                if !self.round(&mut records, pace)? {
                    return Ok::<_, String>(());
                }
                *pause = PAUSES.0;
            }
        };
        if let Err(why) = by_one() {
            self.is_silent(pace);
            self.say(&format!("{why}; again in {} s", pause.as_secs()));
            pace.wait(*pause);
            *pause = (*pause * 2).min(PAUSES.1);
        }
    }

    /// Tells people where the records have not answered for long.
    fn is_silent(&mut self, pace: &mut dyn Pace) {
        let silence = self.silent.get_or_insert(Silence { since: (clock::now(), pace.now()), told: false });
        let (since, begun) = silence.since;
        if !silence.told && pace.now().saturating_sub(begun) >= AWAY {
            let told = self.urgent(&Notice::away(&host(), since, false, clock::now()), pace);
            if let Some(silence) = &mut self.silent {
                silence.told = told;
            }
        }
    }

    /// They answer: whoever was told that they don't is told.
    fn answered(&mut self, pace: &mut dyn Pace) {
        if let Some(Silence { since: (since, _), told: true }) = self.silent.take() {
            self.urgent(&Notice::away(&host(), since, true, clock::now()), pace);
        }
    }

    /// Tells what no entry says. True where nothing of it is left to do.
    fn urgent(&self, notice: &Notice, pace: &mut dyn Pace) -> bool {
        if !self.channel.config.wants(notice) {
            return true;
        }
        let (attempts, failed) = deliver(
            &mut || self.channel.send(notice, None),
            pace,
            &mut |miss, wait| self.say(&format!("{}, again in {} s: {}", notice.id, wait.as_secs(), miss.why)),
            URGENT,
        );
        if let Some(why) = &failed {
            self.say(&format!("given up after {attempts} attempts, {}: {why}", notice.id));
        }
        failed.is_none()
    }

    /// Puts on record what is not yet, and keeps how far it has told.
    fn settle(&mut self, records: &mut dyn Records) -> Result<(), String> {
        if let Some(delivery) = &self.unsaid {
            if !records.delivered(delivery)? {
                self.say(&format!("what became of entry {} is not taken on record", delivery.entry));
            }
            self.unsaid = None;
        }
        let old = self.told
            || match (&self.next, &self.kept) {
                (Some(next), Some(kept)) => next.log != kept.log || next.entry >= kept.entry + STEP,
                (Some(_), None) => true,
                (None, _) => false,
            };
        if old { self.keep() } else { Ok(()) }
    }

    fn keep(&mut self) -> Result<(), String> {
        let Some(next) = &self.next else { return Ok(()) };
        let kept = self.cursors.write(&self.channel.config.name, &Told { next: next.clone(), version: 1 });
        kept.map_err(|e| format!("how far it was told can't be kept: {e}"))?;
        self.kept = self.next.clone();
        self.told = false;
        Ok(())
    }

    /// Tells what there is; false where the connection was silent for long.
    fn round(&mut self, records: &mut dyn Records, pace: &mut dyn Pace) -> Result<bool, String> {
        let Notices { next, notices, trouble } = records.notices(self.next.as_ref())?;
        self.answered(pace);
        if trouble != self.trouble {
            trouble
                .iter()
                .for_each(|what| self.say(&format!("a request can't be ended, so nobody hears of its end: {what}")));
            self.trouble = trouble;
        }
        for notice in notices.iter().filter(|n| self.channel.config.wants(n)) {
            let begin = pace.now();
            let (attempts, failed) = self.deliver(notice, clock::now(), pace);
            if let Some(why) = &failed {
                self.say(&format!("given up after {attempts} attempts, {}: {why}", notice.id));
            }
            // From here on it was told, whatever becomes of saying so.
            self.next = Some(Mark { entry: notice.entry + 1, ..next.clone() });
            self.told = true;
            let channel = self.channel.config.name.clone();
            self.unsaid = Some(Delivery { attempts, channel, entry: notice.entry, failed });
            if pace.now().saturating_sub(begin) > WAIT {
                return Ok(false);
            }
            self.settle(records)?;
        }
        self.next = Some(next);
        Ok(true)
    }

    fn deliver(&self, notice: &Notice, now: Timestamp, pace: &mut dyn Pace) -> Outcome {
        let Some(over) = wanted(notice, now) else {
            return (0, Some("it was over before it could be told".to_owned()));
        };
        let link = self.config.link(notice);
        let mut send = || self.channel.send(notice, link.as_deref());
        let mut told = |miss: &Miss, wait: Duration| {
            self.say(&format!("{} did not arrive, again in {} s: {}", notice.id, wait.as_secs(), miss.why));
        };
        deliver(&mut send, pace, &mut told, over)
    }
}

/// The machine's name, where the records can't be asked for it.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The real clock: the time since it was made.
pub struct Clock(pub Instant);

impl Pace for Clock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&mut self, pause: Duration) {
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests;
