//! What may be asked of Backstop, whoever does the work: the engine in this process ([`House`]), or the daemon
//! behind its socket ([`Remote`]). The command line knows no other way in.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use backstop_core::approval::key::Key;
use backstop_core::approval::people::{Change, People};
use backstop_core::approval::statement::{Choice, Statement, Word};
use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::effect::EffectSet;
use backstop_core::export::Remark;
use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_core::jail::Rules;
use backstop_core::machine::{Machine, Mode};
use backstop_core::notice::{Delivery, Mark, Notice};
use backstop_core::run::RunRecord;

use crate::daemon::SOCKET;
use crate::engine::{
    Beneath, Button, Cleared, Decided, Engine, Filter, Frozen, Jailed, Lines, Listed, Notices, Offer, Outcome, Pending,
    Person, Recovered, RunOptions, Side, Thaw, Unchanged, UndoOptions, UndoReport, Waiting, Which, Wish, press,
};
use crate::failure::Failure;
use crate::jail::Terms;
use crate::law::Reader;
use crate::porch::{self, Account, Caller, Here, Wanted};
use crate::remote::Remote;
use crate::settings::{Settings, StandIn};
use crate::store::Store;

/// True where runs of `caller` are the daemon's. Where a machine is set up so, they stay so while the daemon is away.
///
/// # Errors
/// Settings that can't be used: nobody can say then.
pub fn by_daemon(caller: Caller) -> Result<bool, Failure> {
    if caller.uid == 0 {
        return Ok(false);
    }
    // A socket that can't be looked at is there.
    let there = !Path::new(SOCKET)
        .symlink_metadata()
        .is_err_and(|e| matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory));
    Ok(there || porch::machine()?.mode == Mode::System)
}

/// The doors as this machine has them for the caller of this process. `told` hears what a crash had left, where that
/// was put right here.
///
/// # Errors
/// Where neither the daemon nor the state can be reached.
pub fn open(told: impl FnOnce(&[Recovered])) -> Result<Box<dyn Doors>, Failure> {
    if by_daemon(Caller::of_this_process())? {
        return Ok(Box::new(Remote::connect(SOCKET.as_ref())?));
    }
    let house = House::open()?;
    told(house.engine.recovered());
    Ok(Box::new(house))
}

/// Stops everything of every agent. It is pressed before the engine is opened, which may have to wait for others, and to put
/// right what a crash left.
///
/// # Errors
/// Where it could not be said that all stands; what else is not as it should be is among the notes.
pub fn freeze(reason: Option<&Bytes>, told: impl FnOnce(&[Recovered])) -> Result<Frozen, Failure> {
    let caller = Caller::of_this_process();
    if by_daemon(caller)? {
        return Remote::connect(SOCKET.as_ref())?.freeze(reason);
    }
    let (settings, accounts) = porch::settings(caller)?;
    let (button, notes) = button(&accounts, reason);
    let pressed = press(&Store::open(&settings.state)?, caller.uid, button)?;
    let mut house = House::with(caller, settings, accounts)?;
    told(house.engine.recovered());
    let frozen = house.engine.stop(pressed)?;
    Ok(Frozen { notes: [frozen.notes, notes].concat(), ..frozen })
}

/// What this machine's settings make of it, with remarks. Those that can't be used keep nobody from it.
fn button(accounts: &[Account], reason: Option<&Bytes>) -> (Button, Vec<String>) {
    let machine = porch::machine();
    let quorum = Freeze::quorum_by(machine.as_ref().ok().map(|machine| machine.profile));
    let named = machine.as_ref().map_or_else(|_| Vec::new(), |machine| machine.agents.iter().collect());
    let uid = |name: &str| accounts.iter().find(|a| a.name.as_slice() == name.as_bytes()).map(|a| a.uid);
    let unknown = named.iter().filter(|name| uid(name).is_none());
    let mut notes: Vec<String> =
        unknown.map(|name| format!("the settings name {name}, and there is no such account")).collect();
    let accounts = named.iter().filter_map(|name| uid(name)).collect();
    notes.extend(machine.err().map(|failure| failure.what));
    (Button { accounts, quorum, reason: reason.cloned() }, notes)
}

/// The doors. Each has the meaning of the engine's own of that name.
pub trait Doors {
    /// Rehearses what is wanted, judges it, and commits or holds it.
    fn run(&mut self, wanted: Wanted, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure>;
    /// Rehearses and judges what a client's own file tool would do.
    fn rehearse_edit(&mut self, wanted: Wanted, person: &mut dyn Person) -> Result<Outcome, Failure>;
    /// The run of a tool call that was allowed and is not known to have ended.
    fn allowed_edit(&self, session: Option<&Bytes>, call: &Bytes) -> Result<Option<RunId>, Failure>;
    /// Looks at what a tool did, and makes it a committed run.
    fn settle_edit(&mut self, id: RunId, unchanged: Unchanged) -> Result<Option<RunRecord>, Failure>;
    /// The same for all that were allowed in a session; gives remarks.
    fn settle_edits(&mut self, session: &Bytes, unchanged: Unchanged) -> Result<Vec<String>, Failure>;
    /// Runs a command that did not take effect again, on today's disk.
    fn retry(&mut self, id: RunId, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure>;
    /// Lets a held run take effect.
    fn commit(&mut self, id: RunId, person: &mut dyn Person) -> Result<Outcome, Failure>;
    /// Gives a run up.
    fn discard(&mut self, id: RunId) -> Result<RunRecord, Failure>;
    /// Takes runs back.
    fn undo(&mut self, which: &Which, options: UndoOptions, person: &mut dyn Person) -> Result<UndoReport, Failure>;
    /// Brings undone runs back.
    fn redo(&mut self, which: &Which, person: &mut dyn Person) -> Result<UndoReport, Failure>;
    /// The run that `text` names.
    fn find(&self, text: &str) -> Result<RunId, Failure>;
    /// A run's record.
    fn record(&self, id: RunId) -> Result<RunRecord, Failure>;
    /// What it would change, or changed.
    fn effects(&self, id: RunId) -> Result<EffectSet, Failure>;
    /// The runs, newest first.
    fn runs(&self, filter: &Filter) -> Result<Listed, Failure>;
    /// Every entry beneath a directory that a run deletes, until `each` says false.
    fn beneath(&self, id: RunId, path: &Bytes, each: &mut dyn FnMut(Beneath) -> bool) -> Result<(), Failure>;
    /// At most `limit` bytes of what a file had or has; none where it is not kept.
    fn content(&self, id: RunId, path: &Bytes, side: Side, limit: u64) -> Result<Option<Vec<u8>>, Failure>;
    /// What waits for people.
    fn pending(&self) -> Result<Waiting, Failure>;
    /// A request for approval, by a run or a part of its digest.
    fn asked(&mut self, name: &str) -> Result<Pending, Failure>;
    /// What the owner of `key` signs.
    fn statement(&mut self, request: Digest, word: &Word, key: &Key) -> Result<Statement, Failure>;
    /// Takes a signed statement, and does what the quorum decided.
    fn decide(
        &mut self,
        request: Digest,
        signed: (&str, &str),
        reason: Option<&Bytes>,
        person: &mut dyn Person,
    ) -> Result<Decided, Failure>;
    /// Who may approve.
    fn people(&self) -> Result<People, Failure>;
    /// Changes that, or asks two people.
    fn change_people(&mut self, change: &Change) -> Result<Wish<People>, Failure>;
    /// What stands; none where nothing does.
    fn frozen(&self) -> Result<Option<Freeze>, Failure>;
    /// Stops everything of every agent.
    fn freeze(&mut self, reason: Option<&Bytes>) -> Result<Frozen, Failure>;
    /// Lets go on what this names, or asks two people.
    fn thaw(&mut self, named: Digest) -> Result<Thaw, Failure>;
    /// Who is banned, and what is counted.
    fn jail(&self) -> Result<Jailed, Failure>;
    /// Ends the ban that this names, or asks two people.
    fn clear(&mut self, named: Digest) -> Result<Wish<Cleared>, Failure>;
    /// What people are to be told from an entry of the log on; waits for something at most so long.
    fn notices(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Notices, Failure>;
    /// A notice that tells nothing.
    fn test_notice(&self) -> Result<Notice, Failure>;
    /// Puts on record what became of a notice.
    fn delivered(&mut self, delivery: &Delivery) -> Result<(), Failure>;
    /// The audit log's lines from an entry on; waits for one at most so long.
    fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, Failure>;
    /// Puts on record what is said of a sink of them; false where it is of another log.
    fn exported(&mut self, remark: &Remark) -> Result<bool, Failure>;
    /// True where the last command had a terminal of its own: what a key of that one sent to the command did not
    /// reach whoever waits beside this process.
    fn had_own_terminal(&self) -> bool {
        false
    }
}

/// The engine in this process, with the caller it works for.
#[derive(Debug)]
pub struct House {
    /// Who calls.
    pub caller: Caller,
    /// The accounts of this machine.
    pub accounts: Vec<Account>,
    /// The engine.
    pub engine: Engine,
}

impl House {
    /// Opens the engine for the caller of this process.
    pub fn open() -> Result<Self, Failure> {
        let caller = Caller::of_this_process();
        let (settings, accounts) = porch::settings(caller)?;
        Self::with(caller, settings, accounts)
    }

    /// Opens the engine with these settings.
    pub fn with(caller: Caller, settings: Settings, accounts: Vec<Account>) -> Result<Self, Failure> {
        Ok(Self { caller, accounts, engine: Engine::open(settings)? })
    }

    /// What is decided is within what the machine's settings allow today; gives what they offer.
    fn may_decide(&self, request: Digest, choice: Choice) -> Result<Offer, Failure> {
        if !choice.lets_through() {
            return Ok(Offer::default());
        }
        let question = self.engine.question_of(request)?;
        let Some(run) = question.matter.run() else { return Ok(Offer::default()) };
        let offer = Offer::of(&self.still(run)?);
        offer.covers(choice == Choice::BreakGlass, question.terms.opens.is_some())?;
        Ok(offer)
    }

    /// How a run is to be treated, by the machine's settings.
    fn options(&self, machine: &Machine, options: &RunOptions) -> RunOptions {
        let uid = self.caller.uid;
        let name = self.accounts.iter().find(|a| a.uid == uid).map(|a| a.name.as_slice());
        // Root's, and those of people who are enrolled, are people's whatever the settings say.
        let enrolled = || self.engine.people().is_ok_and(|people| people.of_account(uid).is_some());
        let named = machine.agents.iter().any(|agents| Some(agents.as_bytes()) == name);
        let jail = Terms {
            alone: named && uid != 0 && !enrolled(),
            quorum: Freeze::quorum_by(Some(machine.profile)),
            rules: machine.jail,
        };
        RunOptions { jail, offer: Offer::of(machine), ..options.clone() }
    }

    /// The run's request is within what the machine's settings allow today.
    fn still(&self, id: RunId) -> Result<Machine, Failure> {
        let machine = porch::machine()?;
        porch::still(&machine, &self.engine.record(id)?.request, &self.accounts)?;
        Ok(machine)
    }
}

impl Doors for House {
    fn run(&mut self, wanted: Wanted, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let machine = porch::machine()?;
        let settings = self.engine.settings();
        let him = settings.stand_in.as_ref();
        let here = Here {
            accounts: &self.accounts,
            caller: self.caller,
            classes: &settings.kinds.classes,
            env_keys: him.map_or_else(porch::env_keys, StandIn::env_keys),
            home: him.map_or_else(|| std::env::var_os("HOME"), |him| him.variable("HOME")),
            machine: &machine,
            reader: &settings.viewer.as_ref().map_or(Reader::Own, |viewer| Reader::of(&viewer.who)),
            runs_as: him.map(|him| &him.who).filter(|who| who.uid != self.caller.uid),
        };
        let request = porch::request(wanted, here)?;
        let keep_undo = porch::keeps_undo(&machine, &request);
        let options = RunOptions { keep_undo, ..self.options(&machine, options) };
        self.engine.run(request, &options, person)
    }

    fn rehearse_edit(&mut self, wanted: Wanted, person: &mut dyn Person) -> Result<Outcome, Failure> {
        self.run(wanted, &RunOptions { leave: true, stdout_to_stderr: true, ..RunOptions::default() }, person)
    }

    fn allowed_edit(&self, session: Option<&Bytes>, call: &Bytes) -> Result<Option<RunId>, Failure> {
        self.engine.allowed_edit(session, call)
    }

    fn settle_edit(&mut self, id: RunId, unchanged: Unchanged) -> Result<Option<RunRecord>, Failure> {
        self.engine.settle_edit(id, unchanged)
    }

    fn settle_edits(&mut self, session: &Bytes, unchanged: Unchanged) -> Result<Vec<String>, Failure> {
        self.engine.settle_edits(Some(session), unchanged)
    }

    fn retry(&mut self, id: RunId, options: &RunOptions, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let machine = self.still(id)?;
        let keep_undo = porch::keeps_undo(&machine, &self.engine.record(id)?.request);
        self.engine.retry(id, &RunOptions { keep_undo, ..self.options(&machine, options) }, person)
    }

    fn commit(&mut self, id: RunId, person: &mut dyn Person) -> Result<Outcome, Failure> {
        let offer = Offer::of(&self.still(id)?);
        self.engine.commit(id, offer, person)
    }

    fn discard(&mut self, id: RunId) -> Result<RunRecord, Failure> {
        self.engine.discard(id)
    }

    fn undo(&mut self, which: &Which, options: UndoOptions, person: &mut dyn Person) -> Result<UndoReport, Failure> {
        self.engine.undo(which, options, person)
    }

    fn redo(&mut self, which: &Which, person: &mut dyn Person) -> Result<UndoReport, Failure> {
        // Named first, so that all of them are checked, and no others brought back.
        let ids = self.engine.undone(which)?;
        ids.iter().try_for_each(|id| self.still(*id).map(drop))?;
        self.engine.redo(&Which::Runs(ids), person)
    }

    fn find(&self, text: &str) -> Result<RunId, Failure> {
        self.engine.find(text)
    }

    fn record(&self, id: RunId) -> Result<RunRecord, Failure> {
        self.engine.record(id)
    }

    fn effects(&self, id: RunId) -> Result<EffectSet, Failure> {
        self.engine.effects(id)
    }

    fn runs(&self, filter: &Filter) -> Result<Listed, Failure> {
        self.engine.runs(filter)
    }

    fn beneath(&self, id: RunId, path: &Bytes, each: &mut dyn FnMut(Beneath) -> bool) -> Result<(), Failure> {
        self.engine.beneath(id, path, each)
    }

    fn content(&self, id: RunId, path: &Bytes, side: Side, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        self.engine.content(id, path, side, limit)
    }

    fn pending(&self) -> Result<Waiting, Failure> {
        self.engine.pending()
    }

    fn asked(&mut self, name: &str) -> Result<Pending, Failure> {
        self.engine.asked(name)
    }

    fn statement(&mut self, request: Digest, word: &Word, key: &Key) -> Result<Statement, Failure> {
        self.may_decide(request, word.choice)?;
        self.engine.statement(request, word, key)
    }

    fn decide(
        &mut self,
        request: Digest,
        signed: (&str, &str),
        reason: Option<&Bytes>,
        person: &mut dyn Person,
    ) -> Result<Decided, Failure> {
        // What is no statement is told so by the engine.
        let choice = Statement::parse(signed.0).map(|s| s.choice);
        let offer = choice.map_or(Ok(Offer::default()), |choice| self.may_decide(request, choice))?;
        self.engine.decide(request, signed, reason, offer, person)
    }

    fn people(&self) -> Result<People, Failure> {
        self.engine.people()
    }

    fn change_people(&mut self, change: &Change) -> Result<Wish<People>, Failure> {
        self.engine.change_people(change)
    }

    fn frozen(&self) -> Result<Option<Freeze>, Failure> {
        self.engine.frozen()
    }

    fn freeze(&mut self, reason: Option<&Bytes>) -> Result<Frozen, Failure> {
        let (button, notes) = button(&self.accounts, reason);
        let frozen = self.engine.freeze(button)?;
        Ok(Frozen { notes: [frozen.notes, notes].concat(), ..frozen })
    }

    fn thaw(&mut self, named: Digest) -> Result<Thaw, Failure> {
        self.engine.thaw(named)
    }

    fn jail(&self) -> Result<Jailed, Failure> {
        let machine = porch::machine();
        let mut jailed =
            self.engine.jail(&machine.as_ref().map_or_else(|_| Rules::default(), |machine| machine.jail))?;
        // What can't be used of them keeps nobody from looking.
        let note =
            |failure: Failure| format!("from how many on it is a ban is what holds without settings: {}", failure.what);
        jailed.notes.extend(machine.err().map(note));
        Ok(jailed)
    }

    fn clear(&mut self, named: Digest) -> Result<Wish<Cleared>, Failure> {
        self.engine.clear(named)
    }

    fn notices(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Notices, Failure> {
        self.engine.notices(from, wait)
    }

    fn test_notice(&self) -> Result<Notice, Failure> {
        self.engine.test_notice()
    }

    fn delivered(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        self.engine.delivered(delivery)
    }

    fn lines(&mut self, from: Option<&Mark>, wait: Duration) -> Result<Lines, Failure> {
        self.engine.lines(from, wait)
    }

    fn exported(&mut self, remark: &Remark) -> Result<bool, Failure> {
        self.engine.exported(remark)
    }
}
