//! Tells people, channel by channel, each in a thread and by connections of its own: one that is slow or away keeps none
//! of the others. What was told is never told again because that could not be put on record.

mod watch;

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
use watch::Watch;

/// How long is waited for something to tell, at a time.
const WAIT: Duration = Duration::from_secs(20);
/// The pause after something went wrong with the records: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
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
    let watch = Watch::new(Duration::from_secs(config.guard_minutes * 60));
    let silent = || watch.silent();
    let mut tellers = Vec::new();
    for channel in channels {
        let name = &channel.config.name;
        let (next, away) = cursors
            .read::<Told>(name)
            .map_err(|e| io::Error::new(e.kind(), format!("how far {name} was told can't be read: {e}")))?
            .map_or((None, None), |told| (Some(told.next), told.away));
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
            watch: &silent,
            away,
            warned: false,
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
        scope.spawn(|| watch.go_on(&mut reach));
        if let Some(sign) = heartbeat {
            let watch = &watch;
            scope.spawn(move || sign.go_on(&|| watch.answers(), say));
        }
    });
    Ok(())
}

fn reach() -> Result<Box<dyn Doors>, String> {
    backstop_engine::open(recovered).map_err(|failure| failure.what)
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
    /// Since when the guard has not answered, where that is long.
    watch: &'a (dyn Fn() -> Option<Timestamp> + Sync),
    /// People were told that it does not answer since then, or it was tried; and that it does again they do not know.
    away: Option<Timestamp>,
    /// It arrived.
    warned: bool,
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
                self.look(pace);
                self.settle(&mut records)?;
                if !self.round(&mut records, pace)? {
                    return Ok::<_, String>(());
                }
                *pause = PAUSES.0;
            }
        };
        if let Err(why) = by_one() {
            self.look(pace);
            self.say(&format!("{why}; again in {} s", pause.as_secs()));
            pace.wait(*pause);
            *pause = (*pause * 2).min(PAUSES.1);
        }
    }

    /// Tells people where the guard has not answered for long, and that it does again. That they were told is kept before they
    /// are, and until they know that it is over, whatever is started anew meanwhile.
    fn look(&mut self, pace: &mut dyn Pace) {
        match ((self.watch)(), self.away) {
            (Some(since), None) => {
                (self.away, self.warned) = (Some(since), false);
                self.note();
                self.warn(since, pace);
            }
            (Some(_), Some(since)) if !self.warned => self.warn(since, pace),
            (None, Some(since)) if self.urgent(&Notice::away(&host(), since, true, clock::now()), pace) => {
                self.away = None;
                self.note();
            }
            _ => {}
        }
    }

    fn warn(&mut self, since: Timestamp, pace: &mut dyn Pace) {
        self.warned = self.urgent(&Notice::away(&host(), since, false, clock::now()), pace);
    }

    /// As `keep`, where nothing else fails by it.
    fn note(&mut self) {
        if let Err(why) = self.keep() {
            self.say(&why);
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
        let kept =
            self.cursors.write(&self.channel.config.name, &Told { away: self.away, next: next.clone(), version: 1 });
        kept.map_err(|e| format!("how far it was told can't be kept: {e}"))?;
        self.kept = self.next.clone();
        self.told = false;
        Ok(())
    }

    /// Tells what there is; false where the connection was silent for long.
    fn round(&mut self, records: &mut dyn Records, pace: &mut dyn Pace) -> Result<bool, String> {
        let Notices { next, notices, trouble } = records.notices(self.next.as_ref())?;
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
