//! Tells people, channel by channel, each in a thread and by connections of its own: one that is slow or away keeps none
//! of the others. What was told is never told again because that could not be put on record.

mod disk;
mod figures;
mod lasting;
mod teller;
mod watch;

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::notice::{Delivery, Mark};
use backstop_engine::{Doors, FailureKind, Notices, Recovered};

use crate::channel::Channel;
use crate::config::Config;
use crate::deliver::Pace;
use crate::heartbeat::Heartbeat;
use crate::metrics;
use crate::place::{Cursors, Told};
use figures::Figures;
use lasting::Machine;
use teller::Teller;
use watch::Watch;

/// A connection that was silent for longer is another's by now.
const WAIT: Duration = Duration::from_secs(20);
/// The pause after something went wrong with the records: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What the notifier asks of the records.
trait Records {
    fn notices(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Notices, String>;
    /// Gives false where it is refused, and would be again.
    fn delivered(&mut self, delivery: &Delivery) -> Result<bool, String>;
}

impl Records for Box<dyn Doors> {
    fn notices(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Notices, String> {
        Doors::notices(&mut **self, from, wait).map_err(|failure| failure.what)
    }

    fn delivered(&mut self, delivery: &Delivery) -> Result<bool, String> {
        match Doors::delivered(&mut **self, delivery) {
            Ok(()) => Ok(true),
            Err(failure) if failure.kind == FailureKind::Refused => Ok(false),
            Err(failure) => Err(failure.what),
        }
    }
}

/// Tells what there is to tell, until the process is ended; `silences` is the file of what is not. `say` hears what people at
/// the machine should know.
///
/// # Errors
/// Cursors that can't be read: what was told already is not known then.
pub fn serve(
    config: &Config,
    channels: &[Channel],
    heartbeat: Option<&Heartbeat>,
    (cursors, silences): (&Cursors, &Path),
    say: &(dyn Fn(&str) + Sync),
) -> io::Result<()> {
    let machine = Machine::new(Watch::new(Duration::from_secs(config.guard_minutes * 60)), config.disk_percent);
    let figures = Figures::default();
    let mut tellers = Vec::new();
    for channel in channels {
        let name = &channel.config.name;
        let told = cursors
            .read::<Told>(name)
            .map_err(|e| io::Error::new(e.kind(), format!("how far {name} was told can't be read: {e}")))?;
        tellers.push(Teller::new((config, channel, cursors), silences, (&machine, &figures), told, say));
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
        scope.spawn(|| machine.guard.go_on(&mut reach));
        scope.spawn(|| machine.look_at_disks());
        if let Some(address) = config.metrics {
            let (figures, machine) = (&figures, &machine);
            let page = move || figures.page(machine.guard.answers(), &machine.now());
            scope.spawn(move || metrics::serve(address, &page, say));
        }
        if let Some(sign) = heartbeat {
            let guard = &machine.guard;
            scope.spawn(move || sign.go_on(&|| guard.answers(), say));
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
