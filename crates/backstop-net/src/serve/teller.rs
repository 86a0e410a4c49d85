//! Tells people by one channel: takes notices in the order of the log, sends what the desk gives out, keeps how far it is, and
//! has what became of each put on record.

mod lasts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use backstop_core::notice::{Delivery, Mark};
use backstop_core::time::Timestamp;
use backstop_engine::{Notices, clock};

use super::figures::{Fate, Figures};
use super::lasting::{Condition, Machine, Now, away, named};
use super::{PAUSES, Records, WAIT};
use crate::channel::Channel;
use crate::config::Config;
use crate::deliver::{Miss, Outcome, Pace, deliver, wanted};
use crate::desk::Desk;
use crate::message::{Item, Message};
use crate::place::{Cursors, Lasting, Told};
use lasts::Try;

/// So long is waited for something to tell, at a time: what lasts is looked at in between.
const POLL: Duration = Duration::from_secs(5);
/// A cursor is kept when it is so many entries old, though nothing of these was told.
const STEP: u64 = 1_000;

/// What lasts on the machine, whenever it is asked.
pub(super) trait Lasts: Sync {
    fn now(&self) -> Now;
}

impl Lasts for Machine {
    fn now(&self) -> Now {
        Self::now(self)
    }
}

pub(super) struct Teller<'a> {
    config: &'a Config,
    channel: &'a Channel,
    cursors: &'a Cursors,
    silences: &'a Path,
    machine: &'a dyn Lasts,
    figures: &'a Figures,
    say: &'a (dyn Fn(&str) + Sync),
    /// From where on nothing was read; none before it is known.
    read: Option<Mark>,
    /// What is to be kept: as of the last moment at which nothing waited to be sent.
    told: Option<Told>,
    /// Up to where that is kept.
    kept: Option<Mark>,
    /// Something of it changed since.
    changed: bool,
    /// What was told and is not on record yet.
    unsaid: VecDeque<Delivery>,
    desk: Desk,
    /// What each silence kept back.
    silenced: BTreeMap<String, u64>,
    /// What lasts, of which people were told or it was tried.
    lasting: BTreeMap<String, Lasting>,
    /// What lasts and is kept back, which is counted once.
    hushed: BTreeSet<String>,
    /// How it goes with telling that, where it is not told yet.
    tries: BTreeMap<String, Try>,
    /// Up to which moment the log was read; none before that is known.
    upto: Option<Timestamp>,
    /// Why the rules for alerts can't be used, where they can't, as it was heard last; none before that.
    alerts: Option<Option<String>>,
    /// What was wrong with the requests, and with the silences, as it was said last.
    troubles: [Option<String>; 2],
}

impl<'a> Teller<'a> {
    pub fn new(
        (config, channel, cursors): (&'a Config, &'a Channel, &'a Cursors),
        silences: &'a Path,
        (machine, figures): (&'a dyn Lasts, &'a Figures),
        told: Option<Told>,
        say: &'a (dyn Fn(&str) + Sync),
    ) -> Self {
        let next = told.as_ref().map(|told| told.next.clone());
        let known = told.clone().unwrap_or_else(|| Told::from(Mark { entry: 0, log: String::new() }));
        let mut lasting = known.lasting;
        if let Some(since) = known.away {
            lasting.extend(named([away(since)]).into_iter().map(|(name, condition)| (name, begun(&condition, since))));
        }
        Self {
            config,
            channel,
            cursors,
            silences,
            machine,
            figures,
            say,
            read: next.clone(),
            told,
            kept: next,
            changed: false,
            unsaid: VecDeque::new(),
            desk: Desk::new(Duration::from_secs(channel.config.gather_seconds), known.windows),
            silenced: known.silenced,
            lasting,
            hushed: BTreeSet::new(),
            tries: BTreeMap::new(),
            upto: None,
            alerts: None,
            troubles: [None, None],
        }
    }

    fn say(&self, what: &str) {
        (self.say)(&format!("{}: {what}", self.channel.config.name));
    }

    /// Tells by one connection until it breaks, or something took longer than a connection may be silent.
    pub fn go_on<R: Records>(
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
            // What waits to go out needs no records.
            self.send(None, pace);
            self.say(&format!("{why}; again in {} s", pause.as_secs()));
            pace.wait(*pause);
            *pause = (*pause * 2).min(PAUSES.1);
        }
    }

    /// Says what is wrong where that is news.
    fn trouble(&mut self, which: usize, what: Option<String>) {
        if what != self.troubles[which] {
            what.iter().for_each(|what| self.say(what));
            self.troubles[which] = what;
        }
    }

    /// Puts on record what is not yet, and keeps how far it has told.
    fn settle(&mut self, records: &mut dyn Records) -> Result<(), String> {
        while let Some(delivery) = self.unsaid.front() {
            if !records.delivered(delivery)? {
                self.say(&format!("what became of entry {} is not taken on record", delivery.entry));
            }
            self.unsaid.pop_front();
        }
        let old = self.changed
            || match (self.told.as_ref().map(|told| &told.next), &self.kept) {
                (Some(next), Some(kept)) => next.log != kept.log || next.entry >= kept.entry + STEP,
                (Some(_), None) => true,
                (None, _) => false,
            };
        if old { self.keep() } else { Ok(()) }
    }

    fn keep(&mut self) -> Result<(), String> {
        let Some(told) = &self.told else { return Ok(()) };
        let kept = self.cursors.write(&self.channel.config.name, told);
        kept.map_err(|e| format!("how far it was told can't be kept: {e}"))?;
        self.kept = Some(told.next.clone());
        self.changed = false;
        Ok(())
    }

    /// Takes it that all that was read is told, or counted, where that is so.
    fn mark(&mut self) {
        let Some(next) = self.read.clone().filter(|_| self.desk.is_clear()) else { return };
        let told = self.told.get_or_insert_with(|| Told::from(next.clone()));
        told.next = next;
        // Counting alone is no reason to write: who reads from there again counts again.
        told.windows.clone_from(self.desk.windows());
        told.silenced.clone_from(&self.silenced);
        told.lasting.clone_from(&self.lasting);
    }

    /// Tells what there is; false where the connection was silent for long.
    fn round(&mut self, records: &mut dyn Records, pace: &mut dyn Pace) -> Result<bool, String> {
        let before = clock::now();
        let wait = self.desk.wait(pace.now()).map_or(POLL, |left| left.min(POLL));
        let Notices { alerts, next, notices, trouble } = records.notices(self.read.as_ref(), wait)?;
        self.alerts = Some(alerts);
        self.trouble(0, trouble.map(|what| format!("a request can't be ended, so nobody hears of its end: {what}")));
        let silences = if notices.is_empty() { Vec::new() } else { self.silences().unwrap_or_default() };
        // Where there is nothing new, the log was read up to this moment.
        let mut upto = before;
        for notice in notices {
            upto = notice.at;
            self.read = Some(Mark { entry: notice.entry + 1, ..next.clone() });
            let name = &self.channel.config.name;
            if !self.channel.config.wants(&notice) {
                continue;
            }
            self.figures.heard(name, &notice);
            if let Some(silence) = silences.iter().find(|silence| self.keeps_back(silence, &notice)) {
                *self.silenced.entry(silence.id.clone()).or_default() += 1;
                // Soon: where it is over meanwhile, nobody who is started anew knows of it.
                self.changed = true;
                self.figures.note(name, &notice, Fate::Silenced);
                continue;
            }
            let link = self.config.link(&notice);
            if self.desk.take(Item::one(notice.clone(), link)) {
                self.figures.note(name, &notice, Fate::Counted);
            }
            if !self.send_and_settle(records, upto, pace)? {
                return Ok(false);
            }
        }
        self.upto = Some(upto);
        self.figures.read(&self.channel.config.name, next.entry);
        self.read = Some(next);
        self.send_and_settle(records, upto, pace)
    }

    fn send_and_settle(
        &mut self,
        records: &mut dyn Records,
        upto: Timestamp,
        pace: &mut dyn Pace,
    ) -> Result<bool, String> {
        let begin = pace.now();
        self.send(Some(upto), pace);
        if pace.now().saturating_sub(begin) > WAIT {
            return Ok(false);
        }
        self.settle(records)?;
        Ok(true)
    }

    /// Sends what goes out now. From then on it was told, whatever becomes of saying so.
    fn send(&mut self, upto: Option<Timestamp>, pace: &mut dyn Pace) {
        for message in self.desk.due(pace.now(), upto) {
            let said = self.deliver(message, clock::now(), pace);
            self.unsaid.extend(said);
            self.changed = true;
        }
        self.mark();
    }

    fn send_one(&self, message: &Message) -> Result<(), Miss> {
        let sent = self.channel.send(message);
        self.figures.tried(&self.channel.config.name, sent.is_err());
        sent
    }

    fn deliver(&self, message: Message, now: Timestamp, pace: &mut dyn Pace) -> Vec<Delivery> {
        let said = |item: &Item, (attempts, failed): Outcome| {
            if let Some(why) = &failed {
                self.say(&format!("given up after {attempts} attempts, {}: {why}", item.notice.id));
            }
            let channel = self.channel.config.name.clone();
            let fate = if failed.is_none() { Fate::Delivered } else { Fate::Failed };
            self.figures.note(&channel, &item.notice, fate);
            Delivery { attempts, channel, entry: item.notice.entry, failed, with: item.more }
        };
        let (late, items): (Vec<Item>, Vec<Item>) =
            message.items().iter().cloned().partition(|item| wanted(&item.notice, now).is_none());
        let over = || (0, Some("it was over before it could be told".to_owned()));
        let mut deliveries: Vec<Delivery> = late.iter().map(|item| said(item, over())).collect();
        let longest = items.iter().filter_map(|item| wanted(&item.notice, now)).max();
        if let Some((message, longest)) = Message::of(items).zip(longest) {
            let id = message.id();
            let mut send = || self.send_one(&message);
            let mut told = |miss: &Miss, wait: Duration| {
                self.say(&format!("{id} did not arrive, again in {} s: {}", wait.as_secs(), miss.why));
            };
            let outcome = deliver(&mut send, pace, &mut told, longest);
            deliveries.extend(message.items().iter().map(|item| said(item, outcome.clone())));
        }
        deliveries.sort_by_key(|delivery| delivery.entry);
        deliveries
    }
}

fn begun(condition: &Condition, since: Timestamp) -> Lasting {
    Lasting { heard: None, over: condition.over.clone(), since, warned: false, what: condition.what.clone() }
}

#[cfg(test)]
pub(super) mod tests;
