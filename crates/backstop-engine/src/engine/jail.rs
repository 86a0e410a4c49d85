//! Who keeps trying: counted, banned, and let go again by people. The state comes first, then the log; what can't be read
//! of the state is made anew from the log.

use std::collections::{BTreeMap, BTreeSet};

use backstop_core::approval::ballot::Question;
use backstop_core::approval::display;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::quorum::Quorum;
use backstop_core::audit::{Body, By};
use backstop_core::digest::Digest;
use backstop_core::facts::Findings;
use backstop_core::id::RunId;
use backstop_core::jail::{Ban, CLOSED, Came, Class, Count, How, Jail, Key, Level, Offence, Rules};
use backstop_core::policy::{Decision, Ground, Judgement};
use backstop_core::request::Request;
use backstop_core::run::RunRecord;
use backstop_core::shell::lane;
use serde::{Deserialize, Serialize};

use super::freeze::stood_by;
use super::{Engine, RunOptions, Wish};
use crate::approvals;
use crate::audit::entries;
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::freeze::{self, Mark, marks};
use crate::jail::{self, Terms};
use crate::reading;
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
    /// What a person should know.
    pub notes: Vec<String>,
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
    /// Who asks, for the jail. A person at a terminal is not an agent, whatever he asks for, where people use his account.
    pub(super) fn subject(&self, request: &Request, options: &RunOptions) -> Subject {
        let named = request.session.is_some() || request.asker.is_some();
        let person = options.person && !options.jail.alone;
        let keys = if person && !named { BTreeSet::new() } else { Key::of(request, self.settings.login) };
        Subject { keys, person: person && options.anew }
    }

    /// The jail as it is; made anew from the log where its file is gone, or can't be read.
    fn remembered(&self) -> Result<Jail, Failure> {
        match jail::load(&self.store) {
            Ok(Some(jail)) => Ok(jail),
            Ok(None) | Err(StoreError::Damaged { .. }) => self.by_the_log(),
            Err(other) => Err(other.into()),
        }
    }

    /// The same, and the file is there and whole: the log may be long.
    fn mended(&mut self) -> Result<Jail, Failure> {
        if let Ok(Some(jail)) = jail::load(&self.store) {
            return Ok(jail);
        }
        // What a crash left at the end of the log is put right first.
        self.records.open()?;
        let _lock = self.store.lock("jail")?;
        let jail = self.remembered()?;
        jail::keep(&self.store, &jail)?;
        Ok(jail)
    }

    fn by_the_log(&self) -> Result<Jail, Failure> {
        let mut jail = Jail::default();
        let dir = self.audit_dir();
        if !dir.exists() {
            return Ok(jail);
        }
        for entry in entries(&dir, 0) {
            let entry = entry.map_err(|e| {
                Failure::because("who is banned can be told neither by the state directory nor by the log", &e)
                    .next("look into it: backstop audit verify")
            })?;
            jail.tell(entry.at, entry.body);
        }
        Ok(jail)
    }

    /// Refuses what does not even begin under a ban; that it was tried counts, but for what would only look.
    pub(super) fn not_shut(&mut self, request: &Request, subject: &Subject, terms: &Terms) -> Result<(), Failure> {
        if subject.stands_by().is_empty() {
            return Ok(());
        }
        let jail = self.mended()?;
        if !jail.unsaid().is_empty() {
            let _lock = self.store.lock("jail")?;
            self.catch_up_with_bans()?;
        }
        let Some(ban) = jail.on(&subject.keys, clock::now()).filter(|ban| ban.level.shuts()).cloned() else {
            return Ok(());
        };
        let looks = || lane::lane(&reading::script(request)) == lane::Lane::Read;
        let raised = if ban.level.next().is_some() && !looks() {
            let keys = subject.keys.clone();
            let refused = Offence { classes: BTreeSet::new(), effect: None, how: How::Refused, keys, run: None };
            self.offend(refused, terms, &mut Vec::new())??
        } else {
            None
        };
        Err(shut(raised.as_ref().unwrap_or(&ban)))
    }

    /// True where whoever asks is banned in whatever way: nothing of his goes unseen.
    pub(super) fn is_banned(&self, subject: &Subject) -> Result<bool, Failure> {
        Ok(!subject.keys.is_empty() && self.remembered()?.on(&subject.keys, clock::now()).is_some())
    }

    /// True where its command stands, and that is not because everything does.
    pub(super) fn stands_by_a_ban(&self, id: RunId) -> bool {
        let by = marks(&self.store).ok().and_then(|all| {
            all.into_iter().find_map(|(of, mark)| match mark {
                Mark::Stands(_, by) if of == id => Some(by),
                _ => None,
            })
        });
        by.is_some_and(|by| self.is_banned_by(by).unwrap_or(false))
    }

    /// Why a run came to nothing by a ban.
    pub(super) fn by_a_ban(&self, request: &Request) -> Option<Failure> {
        let keys = Key::of(request, self.settings.login);
        self.remembered().ok()?.on(&keys, clock::now()).filter(|ban| ban.level.shuts()).map(shut)
    }

    /// Refuses to whoever only sees his own what changes the disk, where he asked for it as somebody who changes nothing now.
    pub(super) fn may_change(&self, request: &Request) -> Result<(), Failure> {
        if self.sees_his_own().is_none() {
            return Ok(());
        }
        let keys = Key::of(request, self.settings.login);
        let jail = self.remembered()?;
        let ban = jail.on(&keys, clock::now()).filter(|ban| ban.level >= Level::ReadOnly);
        ban.map_or(Ok(()), |ban| Err(shut(ban)))
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

    /// Counts what was tried and not let through, where it counts, and puts it on record with what `log` has before it. What
    /// can't be counted takes nothing of the answer back.
    pub(super) fn note_tried(
        &mut self,
        record: &mut RunRecord,
        (subject, terms): (&Subject, &Terms),
        tried: Option<Attempt>,
        came: Came,
        log: &mut Vec<Body>,
    ) -> Result<Option<String>, Failure> {
        let Some(Attempt { classes, effect, law }) = tried.filter(|_| !subject.stands_by().is_empty()) else {
            return Ok(None);
        };
        let closed = record.judgement.as_ref().is_some_and(|j| j.reasons.iter().any(|r| r.rule == CLOSED));
        let Some(how) = How::of(&law, closed, came) else { return Ok(None) };
        let keys = subject.keys.clone();
        match self.offend(Offence { classes, effect, how, keys, run: Some(record.id) }, terms, log)? {
            Ok(ban) => {
                let note = ban.map(|ban| banned(&ban));
                record.notes.extend(note.clone());
                Ok(note)
            }
            Err(failure) => {
                record.notes.push(format!("it could not be counted: {}", failure.what));
                Ok(None)
            }
        }
    }

    /// Counts one, and puts it on record with what `log` has before it; both under one lock, so that the log has the bans in
    /// the order in which they were made. The inner error: nothing was counted, and nothing of `log` written. The outer one:
    /// nobody knows how much of `log` was.
    fn offend(
        &mut self,
        offence: Offence,
        terms: &Terms,
        log: &mut Vec<Body>,
    ) -> Result<Result<Option<Ban>, Failure>, Failure> {
        let people = self.people()?;
        let two = terms.quorum.clone().or_else(|| people.founded.then_some(Quorum::TWO));
        let _lock = self.store.lock("jail")?;
        let counted = self.remembered().and_then(|mut jail| {
            let ban = jail.count(clock::now(), offence.clone(), &terms.rules, two.as_ref());
            jail::keep(&self.store, &jail)?;
            Ok((jail, ban))
        });
        let (mut jail, ban) = match counted {
            Ok(counted) => counted,
            Err(failure) => return Ok(Err(failure)),
        };
        log.push(Body::JailCounted { offence });
        log.extend(ban.clone().map(|ban| Body::JailBanned { ban, host: people.host }));
        self.records.write(log)?;
        log.clear();
        if let Some(ban) = &ban {
            jail.said(ban.digest());
            // Where that can't be noted, whoever looks next finds it in the log.
            let _noted = jail::keep(&self.store, &jail);
            if ban.level.shuts() {
                // Those beside its runs find out by themselves as well.
                let _heard = freeze::ring(&self.store);
            }
        }
        Ok(Ok(ban))
    }

    /// Puts on record what a crash kept from it; under the lock.
    fn catch_up_with_bans(&mut self) -> Result<(), Failure> {
        let host = self.people()?.host;
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

    /// What people let through after all does not count against whoever asked.
    pub(super) fn forgive(&mut self, record: &mut RunRecord) {
        let forgive = || -> Result<(), Failure> {
            if !jail::load(&self.store)?.is_some_and(|mut jail| jail.forgive(record.id)) {
                return Ok(());
            }
            let _lock = self.store.lock("jail")?;
            let mut jail = self.remembered()?;
            jail.forgive(record.id);
            Ok(jail::keep(&self.store, &jail)?)
        };
        if let Err(failure) = forgive() {
            record.notes.push(format!("that it was tried still counts: {}", failure.what));
        }
    }

    /// Who is banned, and what is counted; of others nothing for whoever sees only his own.
    pub fn jail(&self, rules: &Rules) -> Result<Jailed, Failure> {
        let (jail, now) = (self.remembered()?, clock::now());
        let seen = |key: &Key| self.sees_his_own().is_none_or(|who| who.uid == key.uid());
        let bans = jail.bans(now).filter(|ban| seen(&ban.key)).cloned().collect();
        let counts = jail.counts(now, rules).into_iter().filter(|count| seen(&count.key)).collect();
        Ok(Jailed { bans, counts, notes: Vec::new() })
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
                Body::RunCommitting { by: By::Approved { .. } | By::Person { .. }, run, .. } => _ = jail.forgive(run),
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
    pub fn clear(&mut self, named: Digest) -> Result<Wish<Cleared>, Failure> {
        self.sound()?;
        let lock = self.lock_runs()?;
        let ban = self.ban(named)?;
        if self.ban_on_record(named)? == Some(false) {
            // Whoever began to end it was cut off.
            let lock = self.store.lock("jail")?;
            return self.let_out(ban, &lock).map(Wish::Done);
        }
        match ban.quorum.clone() {
            None => self.clear_now(ban, None).map(Wish::Done),
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

    fn ask_to_clear(&mut self, ban: &Ban, quorum: Quorum, lock: &Lock) -> Result<Wish<Cleared>, Failure> {
        let people = self.founded(&quorum, "to end this ban", lock)?;
        let (named, now, by) = (ban.digest(), clock::now(), self.caller());
        let same = |matter: &Matter| matches!(matter, Matter::Clear { ban, .. } if *ban == named);
        let matter = Matter::Clear { asked_at: now, asked_by: by, ban: named };
        let display = |question: &Question| display::clear(question, &people, ban, by);
        let shown = (display::clear_summary(ban), display);
        self.wish((&people, lock), same, (matter, quorum), shown, |engine, request| {
            engine.clear_approved(request, named)
        })
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

    /// On record first, then it is so. Nobody raises it in between.
    fn clear_now(&mut self, ban: Ban, request: Option<Digest>) -> Result<Cleared, Failure> {
        let lock = self.store.lock("jail")?;
        self.catch_up_with_bans()?;
        let (named, host) = (ban.digest(), self.people()?.host);
        self.ban(named)?;
        self.records.write(&[Body::JailCleared { ban: named, host, request, uid: self.caller() }])?;
        self.let_out(ban, &lock)
    }

    fn let_out(&mut self, ban: Ban, _lock: &Lock) -> Result<Cleared, Failure> {
        let named = ban.digest();
        let runs = stood_by(&self.store, named)?;
        let mut jail = self.remembered()?;
        jail.clear(named);
        jail::keep(&self.store, &jail)?;
        let note = |e| format!("those beside the runs can't be told, and find out by themselves: {e}");
        let notes = freeze::ring(&self.store).err().map(note).into_iter().collect();
        Ok(Cleared { ban, notes, runs })
    }
}

/// Said where one is made.
fn banned(ban: &Ban) -> String {
    let closed = match ban.level {
        Level::Asks if ban.classes.iter().any(|class| !class.own) => format!("{} is closed to it, and ", ban.closed()),
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
