//! Tells people, channel by channel, each in a thread and by a connection of its own: one that is slow or away keeps
//! none of the others.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::notice::{Delivery, Notice};
use backstop_engine::{Doors, Failure, House, Notices, Remote, by_daemon, daemon, porch};

use crate::channel::Channel;
use crate::config::Config;
use crate::deliver::{Miss, Outcome, Pace, deliver};
use crate::place::Cursors;

/// How long is waited for something to tell, at a time.
const WAIT: Duration = Duration::from_secs(20);
/// How long nothing is tried after the daemon was away, at most.
const AWAY: Duration = Duration::from_secs(30);
/// A cursor is kept when it is so many entries old, though nothing of these was told.
const STEP: u64 = 1_000;

/// The doors, as the machine has them.
///
/// # Errors
/// Where the daemon or the state can't be reached.
pub fn doors() -> Result<Box<dyn Doors>, Failure> {
    let caller = porch::Caller::of_this_process();
    Ok(if by_daemon(caller)? { Box::new(Remote::connect(daemon::SOCKET.as_ref())?) } else { Box::new(House::open()?) })
}

/// Tells what there is to tell, until the process is ended. `say` hears what people at the machine should know.
///
/// # Errors
/// Cursors that can't be read: what was told already is not known then.
pub fn serve(config: &Config, channels: &[Channel], cursors: &Cursors, say: &(dyn Fn(&str) + Sync)) -> io::Result<()> {
    let mut from = Vec::new();
    for channel in channels {
        from.push(cursors.read(&channel.config.name).map_err(|e| {
            io::Error::new(e.kind(), format!("how far {} was told can't be read: {e}", channel.config.name))
        })?);
    }
    thread::scope(|scope| {
        for (channel, from) in channels.iter().zip(from) {
            scope.spawn(move || Teller { config, channel, cursors, say, next: from, kept: from.unwrap_or(0) }.tell());
        }
    });
    Ok(())
}

struct Teller<'a> {
    config: &'a Config,
    channel: &'a Channel,
    cursors: &'a Cursors,
    say: &'a (dyn Fn(&str) + Sync),
    /// The first entry that was not told; none before it is known.
    next: Option<u64>,
    /// What is kept of that.
    kept: u64,
}

impl Teller<'_> {
    fn say(&self, what: &str) {
        (self.say)(&format!("{}: {what}", self.channel.config.name));
    }

    fn tell(mut self) {
        let mut pause = Duration::from_secs(1);
        loop {
            let Err(why) = self.tell_by_one_connection(&mut pause) else { continue };
            self.say(&format!("{why}; again in {} s", pause.as_secs()));
            thread::sleep(pause);
            pause = (pause * 2).min(AWAY);
        }
    }

    fn tell_by_one_connection(&mut self, pause: &mut Duration) -> Result<(), String> {
        let told = |failure: Failure| failure.what;
        let mut doors = doors().map_err(told)?;
        loop {
            let Notices { next, notices } = doors.notices(self.next, WAIT).map_err(told)?;
            *pause = Duration::from_secs(1);
            let new = self.next.is_none();
            for notice in notices.iter().filter(|n| self.channel.config.wants(n)) {
                let (attempts, failed) = self.deliver(notice);
                let failed = failed.as_deref().map(Delivery::reason);
                if let Some(why) = &failed {
                    self.say(&format!("given up after {attempts} attempts, {}: {why}", notice.id));
                }
                let delivery =
                    Delivery { attempts, channel: self.channel.config.name.clone(), entry: notice.entry, failed };
                // While it was tried the connection may have been ended; then it is told once more.
                doors.delivered(&delivery).map_err(told)?;
                self.keep(notice.entry + 1)?;
            }
            self.next = Some(next);
            if new || next >= self.kept + STEP {
                self.keep(next)?;
            }
        }
    }

    fn keep(&mut self, next: u64) -> Result<(), String> {
        let kept = self.cursors.write(&self.channel.config.name, next);
        kept.map_err(|e| format!("how far it was told can't be kept: {e}"))?;
        (self.next, self.kept) = (Some(next), next);
        Ok(())
    }

    fn deliver(&self, notice: &Notice) -> Outcome {
        let link = self.config.link(notice);
        let mut send = || self.channel.send(notice, link.as_deref());
        let mut told = |miss: &Miss, wait: Duration| {
            self.say(&format!("{} did not arrive, again in {} s: {}", notice.id, wait.as_secs(), miss.why));
        };
        deliver(&mut send, &mut Clock(Instant::now()), &mut told)
    }
}

/// The real clock.
struct Clock(Instant);

impl Pace for Clock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&mut self, pause: Duration) {
        thread::sleep(pause);
    }
}
