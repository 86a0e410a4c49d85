//! The red button: everything of every agent stops, and nothing begins or takes effect until people let it go on. The
//! state comes first, then those who are about, then the log: stopping waits for nothing that can hang.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use backstop_core::approval::ballot::Question;
use backstop_core::approval::display;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::quorum::Quorum;
use backstop_core::audit::Body;
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_sys::first::First;
use backstop_sys::process::{self, SIGCONT, SIGSTOP};
use backstop_sys::rights::signal_all_of;
use serde::{Deserialize, Serialize};

use super::approve::Pending;
use super::{Engine, Wish};
use crate::approvals::{self, Request};
use crate::failure::{Failure, FailureKind};
use crate::freeze::{self, Mark, marks};
use crate::store::{Lock, Store, StoreError};
use crate::{clock, host};

/// How long those beside a command have to let it stand, before they are ended and their command with them.
const CONFIRM: Duration = Duration::from_millis(1_000);

/// How long it is waited for that what was ended is gone.
const GONE: Duration = Duration::from_secs(2);

/// How long a commit that is under way may take to end, before the log can say that none is.
const COMMITS: Duration = Duration::from_secs(30);

/// How often is looked.
const PAUSE: Duration = Duration::from_millis(8);

/// What came of freezing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frozen {
    /// True where it was frozen already.
    pub again: bool,
    /// Runs that did not stand in time, and were ended.
    pub ended: Vec<RunId>,
    /// What stands, by whom.
    pub freeze: Freeze,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Runs whose command stands.
    pub stopped: Vec<RunId>,
    /// From the word until the last of them stood, in microseconds.
    pub took_us: u64,
}

/// What came of a wish to let it go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Thaw {
    /// Nothing is frozen.
    Nothing,
    /// It goes on.
    Done(Thawed),
    /// Two people are asked.
    Asked(Box<Pending>),
}

/// What goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thawed {
    /// What had stood.
    pub freeze: Freeze,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Runs whose command goes on.
    pub runs: Vec<RunId>,
}

impl Engine {
    /// What stands; none where nothing does.
    pub fn frozen(&self) -> Result<Option<Freeze>, Failure> {
        Ok(freeze::standing(&self.store)?)
    }

    /// Refuses what is not done while everything stands.
    pub(super) fn not_frozen(&self) -> Result<(), Failure> {
        self.frozen()?.map_or(Ok(()), |freeze| Err(freeze::refusal(&freeze)))
    }

    /// The same for whoever only sees his own: what others take back goes on.
    pub(super) fn not_frozen_for_agents(&self) -> Result<(), Failure> {
        if self.sees_his_own().is_some() { self.not_frozen() } else { Ok(()) }
    }

    /// Stops everything.
    pub fn freeze(&mut self, wish: Button) -> Result<Frozen, Failure> {
        let pressed = press(&self.store, self.caller(), wish)?;
        self.stop(pressed)
    }

    /// The rest of it, where it was pressed already.
    pub fn stop(&mut self, pressed: Pressed) -> Result<Frozen, Failure> {
        let _first = First::now();
        let Pressed { again, began, freeze, mut notes } = pressed;
        let (stopped, ended) = self.stand(&freeze, &mut notes)?;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let kept = freeze::keep(&self.store);
        let mut frozen = Frozen { again, ended, freeze, notes, stopped, took_us };
        self.frozen_on_record(&mut frozen)?;
        kept?;
        Ok(frozen)
    }

    /// Waits until every command stands, and ends those that don't.
    fn stand(&self, freeze: &Freeze, notes: &mut Vec<String>) -> Result<(Vec<RunId>, Vec<RunId>), Failure> {
        let named = freeze.digest();
        let began = Instant::now();
        let mut ended = BTreeSet::new();
        loop {
            if !self.is_frozen_by(named)? {
                return Err(gone());
            }
            let all = marks(&self.store)?;
            let stands = |mark: &Mark| matches!(mark, Mark::Stands(_, by) if *by == named);
            ended.extend(all.iter().filter(|(_, mark)| *mark == Mark::Ended(named)).map(|(id, _)| *id));
            let still = |mark: &Mark| matches!(mark, Mark::None | Mark::Ended(_)) || stands(mark);
            let moves: Vec<&(RunId, Mark)> = all.iter().filter(|(_, mark)| !still(mark)).collect();
            let waited = began.elapsed();
            if moves.is_empty() || waited > CONFIRM + GONE {
                notes.extend(moves.iter().map(|(id, _)| format!("{id} could be neither stopped nor ended")));
                let stopped = all.iter().filter(|(_, mark)| stands(mark)).map(|(id, _)| *id).collect();
                return Ok((stopped, ended.into_iter().collect()));
            }
            if waited > CONFIRM {
                ended.extend(moves.iter().filter(|(_, mark)| mark.end()).map(|(id, _)| *id));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Not before what was about to take effect has: by the log nothing does from here on.
    fn frozen_on_record(&mut self, frozen: &mut Frozen) -> Result<(), Failure> {
        let until = Instant::now() + COMMITS;
        let _lock = loop {
            match self.store.try_lock("apply", "")? {
                Ok(lock) => break lock,
                Err(_) if Instant::now() < until => thread::sleep(PAUSE),
                Err(_) => {
                    let what =
                        "everything is frozen, but what was being committed has not ended, so it is not on record yet";
                    return Err(Failure::new(FailureKind::Conflict, what).next("again: backstop freeze"));
                }
            }
        };
        if !self.is_frozen_by(frozen.freeze.digest())? {
            return Err(gone());
        }
        // A thaw that was under way had this lock. What it let go on of an account stands again.
        frozen.notes.extend(stop_accounts(&frozen.freeze));
        let entry = self.frozen_entry(frozen.freeze.clone(), &frozen.stopped, &frozen.ended)?;
        self.records.write(&[entry]).map_err(|e| {
            Failure::because("everything is frozen, but that can't be put on record", &e).next("again: backstop freeze")
        })
    }

    /// Lets this go on, or asks two people where that is what it takes. One person's word is taken before this.
    pub fn thaw(&mut self, named: Digest) -> Result<Thaw, Failure> {
        self.sound()?;
        let lock = self.lock_runs()?;
        let Some(freeze) = self.frozen()? else { return Ok(Thaw::Nothing) };
        if freeze.digest() != named {
            let what = "it was thawed meanwhile, and frozen anew: that is another matter";
            return Err(Failure::new(FailureKind::Conflict, what).next("look at it: backstop thaw"));
        }
        if self.stands_on_record(named)? == Some(false) {
            // Whoever began to let it go on was cut off.
            return self.goes_on(freeze).map(Thaw::Done);
        }
        match freeze.quorum.clone() {
            None => self.thaw_now(freeze, None).map(Thaw::Done),
            Some(quorum) => self.ask_to_thaw(&freeze, quorum, &lock),
        }
    }

    fn frozen_entry(&self, freeze: Freeze, stopped: &[RunId], ended: &[RunId]) -> Result<Body, Failure> {
        // A trust store that makes no sense keeps nobody from saying so.
        let host = self.people().map(|people| people.host).or_else(|_| host::name(&self.store))?;
        Ok(Body::HostFrozen { ended: ended.to_vec(), freeze, host, stopped: stopped.to_vec() })
    }

    /// The log's last word on it: that it stands, or goes on; none where it has none.
    fn stands_on_record(&mut self, named: Digest) -> Result<Option<bool>, Failure> {
        Ok(self.records.last_word(|body| match body {
            Body::HostFrozen { freeze, .. } => (freeze.digest() == named).then_some(true),
            Body::HostThawed { freeze, .. } => (*freeze == named).then_some(false),
            _ => None,
        })?)
    }

    fn ask_to_thaw(&mut self, freeze: &Freeze, quorum: Quorum, lock: &Lock) -> Result<Thaw, Failure> {
        let people = self.founded(&quorum, "to let it go on", lock)?;
        let named = freeze.digest();
        let same = |matter: &Matter| matches!(matter, Matter::Thaw { freeze, .. } if *freeze == named);
        let (now, by) = (clock::now(), self.caller());
        let matter = Matter::Thaw { asked_at: now, asked_by: by, freeze: named };
        let display = |question: &Question| display::thaw(question, &people, freeze, by);
        let shown = (display::thaw_summary(freeze), display);
        let wish = self.wish((&people, lock), same, (matter, quorum), shown, Self::thaw_approved)?;
        Ok(match wish {
            Wish::Done(thawed) => Thaw::Done(thawed),
            Wish::Asked(asked) => Thaw::Asked(asked),
        })
    }

    /// Lets go on what a quorum agreed to.
    pub(super) fn thaw_approved(&mut self, request: Request) -> Result<Thawed, Failure> {
        let Some(freeze) = self.frozen()? else {
            return Err(Failure::new(FailureKind::Refused, "nothing is frozen any more"));
        };
        let named = freeze.digest();
        let (mut thawed, note) = self.by_right(
            request,
            |right, host| right.is_to_thaw(host, named),
            |engine, digest| engine.thaw_now(freeze, Some(digest)),
        )?;
        thawed.notes.extend(note);
        Ok(thawed)
    }

    /// On record first, then it is so.
    fn thaw_now(&mut self, freeze: Freeze, request: Option<Digest>) -> Result<Thawed, Failure> {
        let named = freeze.digest();
        if self.stands_on_record(named)?.is_none() {
            // Whoever froze it was cut off.
            let entry = self.frozen_entry(freeze.clone(), &[], &[])?;
            self.records.write(&[entry])?;
        }
        let host = self.people()?.host;
        self.records.write(&[Body::HostThawed { freeze: named, host, request, uid: self.caller() }])?;
        self.goes_on(freeze)
    }

    fn goes_on(&mut self, freeze: Freeze) -> Result<Thawed, Failure> {
        let stood = stood_by(&self.store, freeze.digest())?;
        freeze::end(&self.store)?;
        let mut notes = Vec::new();
        if let Err(e) = freeze::ring(&self.store) {
            notes.push(format!("those beside the runs can't be told, and find out by themselves: {e}"));
        }
        for uid in &freeze.accounts {
            if let Err(e) = signal_all_of(*uid, SIGCONT) {
                notes.push(format!("what user {uid} runs could not be let go on: {e}"));
            }
        }
        Ok(Thawed { freeze, notes, runs: stood })
    }

    /// False where a thaw is about what is frozen no more.
    pub(super) fn is_frozen_by(&self, named: Digest) -> Result<bool, Failure> {
        Ok(self.frozen()?.is_some_and(|freeze| freeze.digest() == named))
    }
}

/// The runs whose command stands by this freeze, or this ban.
pub(super) fn stood_by(store: &Store, named: Digest) -> Result<Vec<RunId>, Failure> {
    let stood = |(id, mark): (RunId, Mark)| matches!(mark, Mark::Stands(_, by) if by == named).then_some(id);
    Ok(marks(store)?.into_iter().filter_map(stood).collect())
}

/// It was let go on while it was pressed.
fn gone() -> Failure {
    Failure::new(FailureKind::Conflict, "it was thawed in the same moment").next("again: backstop freeze")
}

/// The first part of pressing it: needs nothing but the state directory, and waits for nobody.
#[derive(Debug)]
pub struct Pressed {
    again: bool,
    began: Instant,
    freeze: Freeze,
    notes: Vec<String>,
}

/// What is wanted of it.
#[derive(Clone, Debug, Default)]
pub struct Button {
    /// The accounts that agents alone use.
    pub accounts: BTreeSet<u32>,
    /// Whose signatures end it; none where one person's word does.
    pub quorum: Option<Quorum>,
    /// Why.
    pub reason: Option<Bytes>,
}

/// Says that everything stands, and lets all who are beside a command hear of it. What stands already stays what it is. The
/// accounts first: who is beside their commands lets the first process of each go on again, to answer.
pub(crate) fn press(store: &Store, by: u32, wish: Button) -> Result<Pressed, Failure> {
    let began = Instant::now();
    let _first = First::now();
    // Of two who press at once one is first.
    let _lock = store.lock("freeze")?;
    let (mut notes, quorum) = (Vec::new(), wish.quorum);
    let accounts = agents_alone(store, wish.accounts, &mut notes);
    let new = |quorum| Freeze { accounts: accounts.clone(), at: clock::now(), by, quorum, reason: wish.reason };
    let (freeze, again) = match freeze::standing(store) {
        Ok(Some(freeze)) => (freeze, true),
        Ok(None) => (new(quorum), false),
        // What it was nobody can say; so it takes what any takes at most.
        Err(StoreError::Damaged { .. }) => (new(Some(Quorum::TWO)), false),
        Err(e) => return Err(e.into()),
    };
    if !again {
        freeze::begin(store, &freeze)?;
    }
    let left_out = accounts.difference(&freeze.accounts).filter(|_| again);
    notes.extend(left_out.map(|uid| format!("what user {uid} runs was not among what was stopped, and is not")));
    notes.extend(stop_accounts(&freeze));
    if let Err(e) = freeze::ring(store) {
        notes.push(format!("those beside the runs can't be told, and find out by themselves: {e}"));
    }
    Ok(Pressed { again, began, freeze, notes })
}

/// Stops all of its accounts; gives a remark for each that could not be.
fn stop_accounts(freeze: &Freeze) -> Vec<String> {
    let stop = |uid: &u32| {
        let failed = signal_all_of(*uid, SIGSTOP).err();
        failed.map(|e| format!("what user {uid} runs could not be stopped: {e}"))
    };
    freeze.accounts.iter().filter_map(stop).collect()
}

/// Of these accounts those whose processes may be stopped from here: not root's, nor those of people who approve, or nobody
/// could let it go on.
fn agents_alone(store: &Store, mut accounts: BTreeSet<u32>, notes: &mut Vec<String>) -> BTreeSet<u32> {
    if !process::is_root() {
        accounts.clear();
    }
    let people = approvals::people(store);
    accounts.retain(|uid| {
        let keeps = match &people {
            _ if *uid == 0 => Some("it is root's".to_owned()),
            Ok(people) => people
                .as_ref()
                .and_then(|people| people.of_account(*uid))
                .map(|member| format!("it is that of {}, who may approve", member.id)),
            Err(_) => Some("who may approve can't be told".to_owned()),
        };
        notes.extend(keeps.as_ref().map(|why| format!("what user {uid} runs is not stopped: {why}")));
        keeps.is_none()
    });
    accounts
}

#[cfg(test)]
mod tests;
