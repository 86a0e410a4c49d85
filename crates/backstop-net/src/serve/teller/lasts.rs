//! What lasts and is in no entry, told by one channel: that it began, and that it is over. Nothing else waits for it.

use std::time::Duration;

use backstop_core::audit::Severity;
use backstop_core::notice::{Notice, What};
use backstop_core::size;
use backstop_engine::clock;

use super::super::figures::Fate;
use super::super::host;
use super::super::lasting::{Condition, Now, name, named, refused, silenced};
use super::{Teller, begun};
use crate::deliver::{FIRST, LONGEST, Pace};
use crate::message::Message;
use crate::place::Lasting;
use crate::silence::{Silence, Silences};

/// So long it is tried to tell one.
const OLD: Duration = Duration::from_secs(86_400);

/// Telling one that has failed.
pub(super) struct Try {
    begun: Duration,
    next: Duration,
    pause: Duration,
    /// Which notice.
    id: String,
}

/// What became of telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// People were told.
    Heard,
    /// They will not be: they do not want to, or it can't be done.
    Never,
    /// Not yet.
    Not,
}

impl Teller<'_> {
    /// Tells people what lasts, and what is over. That they are told is kept before they are, and until they know that it is
    /// over, whatever is started anew meanwhile. Of what is not known neither is said.
    pub fn look(&mut self, pace: &mut dyn Pace) {
        let now = clock::now();
        let Now { mut lasts, guard_unknown, disks } = self.machine.now();
        let silences = self.silences();
        lasts.extend(named(silences.iter().flatten().filter(|silence| silence.holds(now)).map(silenced)));
        lasts.extend(named(self.alerts.iter().flatten().map(|why| refused(why))));
        for (name, condition) in &lasts {
            let Condition { what, severity, says, .. } = condition.clone();
            let known = self.lasting.get(name);
            let since = known.map(|lasting| lasting.since).or(condition.since).unwrap_or(now);
            let notice = Notice::local(&host(), what, severity, &says, since, now);
            if known.is_none() {
                let by = silences.iter().flatten().find(|silence| self.keeps_back(silence, &notice));
                if let Some(silence) = by.filter(|_| !self.hushed.contains(name)) {
                    self.hushed.insert(name.clone());
                    *self.silenced.entry(silence.id.clone()).or_default() += 1;
                    self.figures.note(&self.channel.config.name, &notice, Fate::Silenced);
                }
                if by.is_some() {
                    continue;
                }
                self.lasting.insert(name.clone(), begun(condition, since));
                self.note();
            }
            if self.lasting.get(name).is_some_and(|lasting| lasting.warned) {
                // It began again before people could be told that it was over.
                self.tries.remove(name);
                continue;
            }
            let told = self.tell_of(name, notice, pace);
            if told != Told::Not {
                let heard = (told == Told::Heard).then(clock::now);
                self.lasting.entry(name.clone()).and_modify(|lasting| (lasting.warned, lasting.heard) = (true, heard));
                self.note();
            }
        }
        self.hushed.retain(|name| lasts.contains_key(name));
        let known = |what: &What| match what {
            What::Away { .. } => !guard_unknown,
            What::Disk { .. } => disks.is_some(),
            What::AlertRules { .. } => self.alerts.is_some(),
            // What it keeps back is known when the log was read to its end.
            What::Silenced { silence, .. } => silences.as_ref().is_some_and(|all| {
                let one = all.iter().find(|one| one.id == *silence);
                one.is_none_or(|one| self.upto.is_some_and(|upto| upto >= one.until))
            }),
            _ => true,
        };
        let over = self.lasting.iter().filter(|(name, lasting)| !lasts.contains_key(*name) && known(&lasting.what));
        let over: Vec<(String, Lasting)> = over.map(|(name, lasting)| (name.clone(), lasting.clone())).collect();
        for (name, Lasting { over, since, what, .. }) in over {
            let kept = match &what {
                What::Silenced { silence, .. } => self.silenced.get(silence).copied().unwrap_or_default(),
                _ => 0,
            };
            let over = match &what {
                What::Disk { place, .. } if disks.as_ref().is_some_and(|looked| !looked.contains(place)) => {
                    format!("how much room {place} has is not looked at any more")
                }
                _ if kept > 0 => format!("{over}; {} kept back", size::counted(kept, "notice was", "notices were")),
                _ => over,
            };
            let notice = Notice::local(&host(), what.clone().over(), Severity::Notice, &over, since, now);
            if self.tell_of(&name, notice, pace) != Told::Not {
                self.lasting.remove(&name);
                if let What::Silenced { silence, .. } = &what {
                    self.silenced.remove(silence);
                }
                self.note();
            }
        }
    }

    /// True where people are not told of this by reason of that silence: where they had heard of it by then.
    pub(super) fn keeps_back(&self, silence: &Silence, notice: &Notice) -> bool {
        let lasting = name(&silenced(silence).what).and_then(|name| self.lasting.get(&name));
        let heard = lasting.and_then(|lasting| lasting.heard);
        heard.is_some_and(|heard| heard <= notice.at) && silence.covers(notice)
    }

    /// The silences; none where they can't be read: then nothing is silenced, which is said.
    pub(super) fn silences(&mut self) -> Option<Vec<Silence>> {
        match Silences::load(self.silences) {
            Ok(all) => {
                self.trouble(1, None);
                Some(all.silences)
            }
            Err(e) => {
                self.trouble(1, Some(format!("{} can't be used, nothing is silenced: {e}", self.silences.display())));
                None
            }
        }
    }

    /// As `keep`, where nothing else fails by it.
    fn note(&mut self) {
        if let Some(told) = &mut self.told {
            told.lasting.clone_from(&self.lasting);
        }
        if let Err(why) = self.keep() {
            self.say(&why);
        }
    }

    /// Tries to tell it, once, where its pause is over.
    fn tell_of(&mut self, name: &str, notice: Notice, pace: &dyn Pace) -> Told {
        if !self.channel.config.wants(&notice) {
            return Told::Never;
        }
        let (now, id) = (pace.now(), notice.id.clone());
        let old = self.tries.remove(name).filter(|one| one.id == id);
        let tried = old.unwrap_or(Try { begun: now, next: now, pause: FIRST, id });
        if now < tried.next {
            self.tries.insert(name.to_owned(), tried);
            return Told::Not;
        }
        let Err(miss) = self.send_one(&Message::one(notice, None)) else { return Told::Heard };
        if miss.permanent || now > tried.begun + OLD {
            self.say(&format!("given up, {}: {}", tried.id, miss.why));
            return Told::Never;
        }
        let wait = miss.wait(tried.pause);
        self.say(&format!("{}, again in {} s: {}", tried.id, wait.as_secs(), miss.why));
        let next = Try { next: pace.now() + wait, pause: (tried.pause * 2).min(LONGEST), ..tried };
        self.tries.insert(name.to_owned(), next);
        Told::Not
    }
}
