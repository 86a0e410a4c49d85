//! Who keeps trying: counted, banned, and let go again by people. The state comes first, then the log; what can't be read
//! of the state is made anew from the log.

use std::collections::{BTreeMap, BTreeSet};

use backstop_core::approval::ballot::Question;
use backstop_core::approval::display;
use backstop_core::approval::life::Phase;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::quorum::Quorum;
use backstop_core::audit::Body;
use backstop_core::digest::Digest;
use backstop_core::facts::Findings;
use backstop_core::id::RunId;
use backstop_core::jail::{Ban, CLOSED, Class, Count, How, Jail, Key, Level, Offence, Rules};
use backstop_core::policy::{Decision, Ground, Judgement};
use backstop_core::request::Request;
use backstop_core::run::RunRecord;
use serde::{Deserialize, Serialize};

use super::approve::Pending;
use super::freeze::stood_by;
use super::{Answer, Engine, RunOptions};
use crate::approvals;
use crate::audit::entries;
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::freeze;
use crate::jail::{self, Terms};
use crate::store::{Lock, StoreError};

/// By what whoever asks is known to the jail, and what it may do to him.
#[derive(Debug)]
pub(super) struct Subject {
    /// Empty for a person at a terminal.
    keys: BTreeSet<Key>,
    /// A person wants it so, with whatever an agent had asked for: he is asked, and not refused.
    person: bool,
}

impl Subject {
    /// The keys by which what it runs stands, or is ended.
    pub(super) fn stands_by(&self) -> BTreeSet<Key> {
        if self.person { BTreeSet::new() } else { self.keys.clone() }
    }
}

/// What of a judged run concerns the jail.
pub(super) struct Attempt {
    classes: BTreeSet<Class>,
    effect: Option<Digest>,
    /// What policy alone says.
    law: Judgement,
}

/// Who is banned, and who is on the way there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jailed {
    /// The bans that stand.
    pub bans: Vec<Ban>,
    /// What is counted now.
    pub counts: Vec<Count>,
}

/// What rules would have made of what was counted.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The bans, and each raise of one.
    pub bans: Vec<Ban>,
    /// How much was counted.
    pub counted: u64,
    /// How many bans and raises there really were.
    pub made: u64,
}

/// What came of a wish to end a ban.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Clear {
    /// It is over.
    Done(Cleared),
    /// Two people are asked.
    Asked(Box<Pending>),
}

/// A ban that people ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cleared {
    /// It.
    pub ban: Ban,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Runs whose command had stood by it.
    pub runs: Vec<RunId>,
}

impl Engine {
    /// Who asks, for the jail. A person at a terminal is not an agent, whatever he asks for, where others than agents use
    /// his account.
    pub(super) fn subject(&self, request: &Request, options: &RunOptions) -> Subject {
        let named = request.session.is_some() || request.asker.is_some();
        let alone = options.jail.alone;
        let keys = if options.person && !named && !alone {
            BTreeSet::new()
        } else {
            Key::of(request, self.settings.login, alone)
        };
        Subject { keys, person: options.anew }
    }

    /// The jail as it is; made anew from the log where its file can't be read.
    fn remembered(&self) -> Result<Jail, Failure> {
        match jail::load(&self.store) {
            Err(StoreError::Damaged { .. }) => self.by_the_log(),
            other => Ok(other?),
        }
    }

    /// The same, and the file is whole again: the log may be long.
    fn mended(&self) -> Result<Jail, Failure> {
        if !matches!(jail::load(&self.store), Err(StoreError::Damaged { .. })) {
            return self.remembered();
        }
        let _lock = self.store.lock("jail")?;
        let jail = self.remembered()?;
        jail::keep(&self.store, &jail)?;
        Ok(jail)
    }

    fn by_the_log(&self) -> Result<Jail, Failure> {
        let mut jail = Jail::default();
        for entry in entries(&self.audit_dir(), 0) {
            let entry = entry.map_err(|e| {
                Failure::because("who is banned can be told neither by the state directory nor by the log", &e)
                    .next("look into it: backstop audit verify")
            })?;
            match entry.body {
                Body::JailBanned { ban, .. } => jail.told(ban),
                Body::JailCleared { ban, .. } => _ = jail.clear(ban),
                Body::JailCounted { offence } => _ = jail.remember(entry.at, offence),
                _ => {}
            }
        }
        Ok(jail)
    }

    /// Refuses what does not even begin under a ban; that it was tried counts.
    pub(super) fn not_shut(&mut self, subject: &Subject, terms: &Terms) -> Result<(), Failure> {
        if subject.stands_by().is_empty() {
            return Ok(());
        }
        let jail = self.mended()?;
        if !jail.unsaid().is_empty() {
            self.catch_up_with_bans()?;
        }
        let Some(ban) = jail.on(&subject.keys, clock::now()).filter(|ban| ban.level.shuts()).cloned() else {
            return Ok(());
        };
        let raised = if ban.level.next().is_some() {
            let keys = subject.keys.clone();
            let refused = Offence { classes: BTreeSet::new(), effect: None, how: How::Refused, keys, run: None };
            self.offend(refused, terms, &mut Vec::new())?
        } else {
            None
        };
        Err(shut(raised.as_ref().unwrap_or(&ban)))
    }

    /// True where whoever asks is banned in whatever way: nothing of his goes unseen.
    pub(super) fn is_banned(&self, subject: &Subject) -> Result<bool, Failure> {
        Ok(!subject.keys.is_empty() && self.remembered()?.on(&subject.keys, clock::now()).is_some())
    }

    /// What a ban adds to what policy says.
    pub(super) fn under_ban(
        &self,
        subject: &Subject,
        findings: &Findings,
        ground: &Ground,
        law: Judgement,
    ) -> Result<(Judgement, Attempt), Failure> {
        let classes = Class::of(&findings.facts, &ground.classes);
        let tried = Attempt { classes, effect: findings.key, law: law.clone() };
        if subject.keys.is_empty() {
            return Ok((law, tried));
        }
        let jail = self.remembered()?;
        let mut reasons: Vec<_> = jail.judge(&subject.keys, &tried.classes, clock::now()).collect();
        if subject.person {
            reasons.iter_mut().for_each(|reason| reason.decision = reason.decision.min(Decision::Ask));
        }
        Ok((Judgement { law: law.law, ..Judgement::of([law.reasons, reasons].concat()) }, tried))
    }

    /// Counts what was tried and not let through, where it counts. What can't be counted takes nothing of the answer back.
    pub(super) fn note_tried(
        &mut self,
        record: &mut RunRecord,
        (subject, terms): (&Subject, &Terms),
        tried: Option<Attempt>,
        answer: Option<Answer>,
        log: &mut Vec<Body>,
    ) {
        let Some(Attempt { classes, effect, law }) = tried.filter(|_| !subject.stands_by().is_empty()) else { return };
        let closed = record.judgement.as_ref().is_some_and(|j| j.reasons.iter().any(|r| r.rule == CLOSED));
        let Some(how) = how(&law, closed, answer) else { return };
        let keys = subject.keys.clone();
        match self.offend(Offence { classes, effect, how, keys, run: Some(record.id) }, terms, log) {
            Ok(ban) => record.notes.extend(ban.map(|ban| banned(&ban))),
            Err(failure) => record.notes.push(format!("it could not be counted: {}", failure.what)),
        }
    }

    /// Counts one, with what `log` has to say before it.
    fn offend(&mut self, offence: Offence, terms: &Terms, log: &mut Vec<Body>) -> Result<Option<Ban>, Failure> {
        let people = self.people()?;
        let two = terms.quorum.clone().or_else(|| people.founded.then_some(Quorum::TWO));
        let _lock = self.store.lock("jail")?;
        let mut jail = self.remembered()?;
        let ban = jail.count(clock::now(), offence.clone(), &terms.rules, two.as_ref());
        jail::keep(&self.store, &jail)?;
        log.push(Body::JailCounted { offence });
        log.extend(ban.clone().map(|ban| Body::JailBanned { ban, host: people.host }));
        self.records.write(&std::mem::take(log))?;
        if let Some(ban) = &ban {
            jail.said(ban.digest());
            jail::keep(&self.store, &jail)?;
            if ban.level.shuts() {
                // Those beside its runs find out by themselves as well.
                let _heard = freeze::ring(&self.store);
            }
        }
        Ok(ban)
    }

    /// Puts on record what a crash kept from it.
    fn catch_up_with_bans(&mut self) -> Result<(), Failure> {
        let host = self.people()?.host;
        let _lock = self.store.lock("jail")?;
        let mut jail = self.remembered()?;
        for ban in jail.unsaid() {
            let named = ban.digest();
            if !self.records.says(|body| matches!(body, Body::JailBanned { ban, .. } if ban.digest() == named))? {
                self.records.write(&[Body::JailBanned { ban, host: host.clone() }])?;
            }
            jail.said(named);
        }
        Ok(jail::keep(&self.store, &jail)?)
    }

    /// Who is banned, and what is counted; of others nothing for whoever sees only his own.
    pub fn jail(&self, rules: &Rules) -> Result<Jailed, Failure> {
        let (jail, now) = (self.remembered()?, clock::now());
        let seen = |key: &Key| self.sees_his_own().is_none_or(|who| who.uid == key.uid());
        let bans = jail.bans(now).filter(|ban| seen(&ban.key)).cloned().collect();
        let counts = jail.counts(now, rules).into_iter().filter(|count| seen(&count.key)).collect();
        Ok(Jailed { bans, counts })
    }

    /// What these rules would have made of all that the log says was counted.
    pub fn try_rules(&self, rules: &Rules) -> Result<Tried, Failure> {
        let mut tried = Tried { bans: Vec::new(), counted: 0, made: 0 };
        let (mut jail, mut keys) = (Jail::default(), BTreeMap::new());
        for entry in entries(&self.audit_dir(), 0) {
            let entry = entry?;
            match entry.body {
                Body::JailCounted { offence } => {
                    tried.counted += 1;
                    tried.bans.extend(jail.count(entry.at, offence, rules, None));
                }
                Body::JailBanned { ban, .. } => {
                    tried.made += 1;
                    keys.insert(ban.digest(), ban.key);
                }
                Body::JailCleared { ban, .. } => {
                    let same = |b: &&Ban| keys.get(&ban) == Some(&b.key);
                    let named = jail.bans(entry.at).find(same).map(Ban::digest);
                    named.map(|named| jail.clear(named));
                }
                _ => {}
            }
        }
        Ok(tried)
    }

    /// Ends the ban that this names, or asks two people where that is what it takes. One person's word is taken before this.
    pub fn clear(&mut self, named: Digest) -> Result<Clear, Failure> {
        self.sound()?;
        let lock = self.lock_runs()?;
        let ban = self.ban(named)?;
        if self.ban_on_record(named)? == Some(false) {
            // Whoever began to end it was cut off.
            return self.let_out(ban).map(Clear::Done);
        }
        match ban.quorum.clone() {
            None => self.clear_now(ban, None).map(Clear::Done),
            Some(quorum) => self.ask_to_clear(&ban, quorum, &lock),
        }
    }

    /// The ban of this name.
    fn ban(&self, named: Digest) -> Result<Ban, Failure> {
        let (jail, now) = (self.remembered()?, clock::now());
        let ban = jail.bans(now).find(|ban| ban.digest() == named).cloned();
        ban.ok_or_else(|| {
            Failure::new(
                FailureKind::Conflict,
                "that ban stands no more: it ended, or was raised and is another one now",
            )
            .next("look at it: backstop jail list")
        })
    }

    /// False where a request is about a ban that stands no more.
    pub(super) fn is_banned_by(&self, named: Digest) -> Result<bool, Failure> {
        Ok(self.remembered()?.bans(clock::now()).any(|ban| ban.digest() == named))
    }

    /// The log's last word on it: that it stands, or was ended; none where it has none.
    fn ban_on_record(&mut self, named: Digest) -> Result<Option<bool>, Failure> {
        Ok(self.records.last_word(|body| match body {
            Body::JailBanned { ban, .. } => (ban.digest() == named).then_some(true),
            Body::JailCleared { ban, .. } => (*ban == named).then_some(false),
            _ => None,
        })?)
    }

    fn ask_to_clear(&mut self, ban: &Ban, quorum: Quorum, lock: &Lock) -> Result<Clear, Failure> {
        let people = self.founded(&quorum, "to end this ban", lock)?;
        let (named, now, by) = (ban.digest(), clock::now(), self.caller());
        let same = |matter: &Matter| matches!(matter, Matter::Clear { ban, .. } if *ban == named);
        let matter = Matter::Clear { asked_at: now, asked_by: by, ban: named };
        let display = |question: &Question| display::clear(question, &people, ban, by);
        let (request, asked) =
            self.ask_once(&people, lock, same, (matter, quorum), display::clear_summary(ban), display)?;
        match asked.phase {
            // Both have said so; whoever came last was cut off.
            Phase::Approved { .. } => self.clear_approved(request, named).map(Clear::Done),
            _ => Ok(Clear::Asked(Box::new(asked))),
        }
    }

    /// Ends what a quorum agreed to.
    pub(super) fn clear_approved(&mut self, request: approvals::Request, named: Digest) -> Result<Cleared, Failure> {
        let ban = self.ban(named)?;
        let (mut cleared, note) = self.by_right(
            request,
            |right, host| right.is_to_clear(host, named),
            |engine, digest| engine.clear_now(ban, Some(digest)),
        )?;
        cleared.notes.extend(note);
        Ok(cleared)
    }

    /// On record first, then it is so.
    fn clear_now(&mut self, ban: Ban, request: Option<Digest>) -> Result<Cleared, Failure> {
        self.catch_up_with_bans()?;
        let (named, host) = (ban.digest(), self.people()?.host);
        self.records.write(&[Body::JailCleared { ban: named, host, request, uid: self.caller() }])?;
        self.let_out(ban)
    }

    fn let_out(&mut self, ban: Ban) -> Result<Cleared, Failure> {
        let named = ban.digest();
        let runs = stood_by(&self.store, named)?;
        let _lock = self.store.lock("jail")?;
        let mut jail = self.remembered()?;
        jail.clear(named);
        jail::keep(&self.store, &jail)?;
        let note = |e| format!("those beside the runs can't be told, and find out by themselves: {e}");
        let notes = freeze::ring(&self.store).err().map(note).into_iter().collect();
        Ok(Cleared { ban, notes, runs })
    }
}

/// How a run that was judged counts; none where it does not: what takes effect, what could not be judged, and what is denied
/// or asked about for nothing but a ban.
fn how(law: &Judgement, closed: bool, answer: Option<Answer>) -> Option<How> {
    match (law.decision, answer) {
        (_, Some(Answer::Commit)) => None,
        (_, None) => (closed || law.denies_what_is_tried()).then_some(How::Denied),
        (Decision::Allow, _) => None,
        (_, Some(Answer::Discard)) => Some(How::Denied),
        (Decision::TwoPerson, Some(Answer::Hold)) => Some(How::Held),
        (_, Some(Answer::Hold)) => Some(How::Asked),
    }
}

/// Said where one is made.
fn banned(ban: &Ban) -> String {
    let closed = match ban.level {
        Level::Asks => format!("{} is closed to it, and ", ban.closed()),
        _ => String::new(),
    };
    format!("{} is banned from now on: {closed}{}", ban.key.in_words(), ban.level.means())
}

/// Why nothing begins.
fn shut(ban: &Ban) -> Failure {
    let what = format!("{} is banned ({}): it tried {} too often", ban.key.in_words(), ban.level.name(), ban.closed());
    Failure::new(FailureKind::Refused, what)
        .next("stop trying, and tell the person you work for")
        .next(format!("people end it: backstop jail clear {}", ban.code()))
        .by("nothing of it begins until people end the ban")
}

#[cfg(test)]
mod tests;
