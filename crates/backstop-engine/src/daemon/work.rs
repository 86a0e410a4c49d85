//! One caller's worker: a process of its own that opens the engine for him and does what he asks, one thing after
//! the other, until he goes. What he may ask is decided before anything is looked up.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backstop_core::approval::key::Key;
use backstop_core::authority::{self, Deed, Services, Standing};
use backstop_core::bytes::Bytes;
use backstop_core::identity::Identity;
use backstop_core::machine::Machine;
use backstop_sys::inherit;
use backstop_sys::process::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, Signals};
use backstop_sys::socket::Peer;
use serde::Serialize;

use super::STATE;
use super::line::{Caller as Other, Heard, Streams, void};
use super::wire::{Around, Ask, Event, Hello, Kind, LONGEST_ASK, NUMBERS, PATIENCE, VERSION, Wire};
use crate::doors::{Doors, House};
use crate::engine::RunOptions;
use crate::failure::{Failure, FailureKind};
use crate::porch::{self, Caller, Wanted};
use crate::settings::StandIn;

/// A caller who asks nothing for so long is sent away. Longer than people may take over a request.
const IDLE: Duration = Duration::from_secs(3_600);

/// The signals that a worker does not end or stop by.
const WORKING: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU];

/// The same while it waits for its caller.
const IDLING: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU];

/// What was looked up for a caller (who he is here, rules, classes) is looked up anew after this.
const FRESH: Duration = Duration::from_secs(5);

/// No more of a file's content is given, whatever is asked for.
const LONGEST_CONTENT: u64 = 16 << 20;

/// The longest reason, session or name of an agent.
const LONGEST_TEXT: usize = 4 << 10;

/// How many entries go into one message.
const BATCH: usize = 256;

/// Serves one caller. Gives the process' exit code.
pub(super) fn work(stream: UnixStream, peer: &Peer) -> u8 {
    match Worker::begin(stream, peer).and_then(|mut worker| worker.serve()) {
        Ok(()) => 0,
        // He went away, or did not keep to the messages: nobody is left to be told.
        Err(_) => 1,
    }
}

struct Worker<'a> {
    wire: Arc<Wire>,
    streams: Arc<Streams>,
    peer: &'a Peer,
    /// The same, as those go by who do something for him.
    who: Identity,
    house: House,
    standing: Standing,
    /// When these two were looked up.
    opened: Instant,
    /// A command has run: a process stands in for nobody twice.
    spent: bool,
    /// Takes the numbers that handles of a caller may be given, so that nothing of ours has one of them.
    _reserved: Vec<OwnedFd>,
}

impl<'a> Worker<'a> {
    fn begin(stream: UnixStream, peer: &'a Peer) -> io::Result<Self> {
        process::umask(0o077);
        // Of whoever started the daemon: a shell's background ignores Ctrl-C.
        process::ignore_only(&[process::SIGPIPE as u8]);
        process::new_session()?;
        void(&[]);
        // Of the command's terminal, or of whoever passes one on: they are taken where they are waited for.
        Signals::of(&WORKING).set()?;
        // Out of the way first, so that the number it had is taken as well.
        let stream = UnixStream::from(process::at_least(stream.into(), NUMBERS)?);
        let reserved = reserve()?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let wire = Arc::new(Wire::new(stream, LONGEST_ASK));
        let hello: Hello = match wire.receive_within(PATIENCE, PATIENCE)? {
            Some(message) if message.kind == Kind::Hello => message.read()?,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        wire.send(Kind::Hello, &Hello::ours(), &[])?;
        if hello.version != VERSION {
            let failure = Failure::internal(format!(
                "this program speaks version {} of the daemon's messages; the daemon speaks {VERSION}",
                hello.version
            ));
            wire.send(Kind::Failed, &failure.next("install the same version of both, and start the daemon anew"), &[])?;
            return Err(io::ErrorKind::Unsupported.into());
        }
        let who = Identity { uid: peer.uid, gid: peer.gid, groups: peer.groups.clone() };
        match open(&who, peer.login) {
            Ok((house, standing)) => {
                let streams = Arc::new(Streams::new());
                let opened = Instant::now();
                Ok(Self { wire, streams, peer, who, house, standing, opened, spent: false, _reserved: reserved })
            }
            Err(failure) => {
                wire.send(Kind::Failed, &failure, &[])?;
                Err(io::Error::other(failure))
            }
        }
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            // Whoever has nothing to do ends when he is told to.
            Signals::of(&IDLING).set()?;
            let received = self.wire.receive_within(IDLE, PATIENCE);
            Signals::of(&WORKING).set()?;
            let Some(message) = received? else { return Ok(()) };
            match message.kind {
                Kind::Ask => {}
                // Passed on too late: what it was for has ended.
                Kind::Signal => continue,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
            let ask: Ask = message.read()?;
            let allowed = self.renew().and_then(|()| self.may(&ask));
            let done = allowed.and_then(|()| self.answer(ask, message.handles));
            self.streams.give_back(&self.wire);
            match done {
                Ok(answer) => self.wire.send(Kind::Answer, &answer, &[])?,
                Err(failure) => self.wire.send(Kind::Failed, &failure, &[])?,
            }
        }
    }

    /// What was looked up long ago may be otherwise now.
    fn renew(&mut self) -> Result<(), Failure> {
        if self.opened.elapsed() > FRESH {
            (self.house, self.standing) = open(&self.who, self.peer.login)?;
            self.opened = Instant::now();
        }
        Ok(())
    }

    fn may(&self, ask: &Ask) -> Result<(), Failure> {
        authority::may(self.standing, ask.deed()).map_err(|refusal| {
            Failure::new(FailureKind::Refused, format!("refused: {}", refusal.why))
                .next(refusal.next)
                .by("the daemon goes by the account that asks, as the kernel says it")
        })
    }

    /// Does one thing.
    fn answer(&mut self, ask: Ask, handles: Vec<OwnedFd>) -> Result<serde_json::Value, Failure> {
        let mut person = self.person();
        let person = &mut person;
        match ask {
            Ask::Run { wanted, options, around } => {
                let options = self.own(options, &around.pass)?;
                modest(&wanted)?;
                let (wanted, around, whom) = self.whom(*wanted, around)?;
                self.stand_in(around, handles, whom)?;
                json(self.house.run(wanted, &options, person))
            }
            Ask::RehearseEdit { wanted, around } => {
                modest(&wanted)?;
                // A client's tool writes with its own rights.
                let wanted = Wanted { as_user: None, ..*wanted };
                self.stand_in(around, handles, None)?;
                json(self.house.rehearse_edit(wanted, person))
            }
            Ask::Retry { id, options, around } => {
                let options = self.own(options, &around.pass)?;
                self.stand_in(around, handles, None)?;
                json(self.house.retry(id, &options, person))
            }
            Ask::AllowedEdit { session, call } => json(self.house.allowed_edit(session.as_ref(), &call)),
            Ask::SettleEdit { id, unchanged } => json(self.house.settle_edit(id, unchanged)),
            Ask::SettleEdits { session, unchanged } => json(self.house.settle_edits(&session, unchanged)),
            Ask::Commit { id } => json(self.house.commit(id, person)),
            Ask::Discard { id } => json(self.house.discard(id)),
            Ask::Undo { which, options } => json(self.house.undo(&which, options, person)),
            Ask::Redo { which } => json(self.house.redo(&which, person)),
            Ask::Find { text } => json(self.house.find(&text)),
            Ask::Record { id } => json(self.house.record(id)),
            Ask::Effects { id } => json(self.house.effects(id)),
            Ask::Runs { filter } => json(self.house.runs(&filter)),
            Ask::Beneath { id, path } => {
                let mut batch = Vec::with_capacity(BATCH);
                let wire = Arc::clone(&self.wire);
                let send = |batch: &mut Vec<_>| {
                    let event = Event::Beneath(std::mem::take(batch));
                    wire.send(Kind::Event, &event, &[]).is_ok()
                };
                // As long as it takes to read: no lock is held.
                self.wire.patience(None)?;
                let looked = self.house.beneath(id, &path, &mut |entry| {
                    batch.push(entry);
                    batch.len() < BATCH || send(&mut batch)
                });
                send(&mut batch);
                self.wire.patience(Some(PATIENCE))?;
                looked?;
                json(Ok(()))
            }
            Ask::Content { id, path, side, limit } => {
                let limit = limit.min(LONGEST_CONTENT);
                json(self.house.content(id, &path, side, limit).map(|c| c.map(Bytes::new)))
            }
            Ask::Pending => json(self.house.pending()),
            Ask::Asked { name } => json(self.house.asked(&name)),
            Ask::Statement { request, word, key } => {
                let key = Key::parse(&key).map_err(|e| Failure::usage(format!("that is no public key: {e}")))?;
                json(self.house.statement(request, &word, &key).map(|s| s.text()))
            }
            Ask::Decide { request, text, signature, reason } => {
                json(self.house.decide(request, (&text, &signature), reason.as_ref(), person))
            }
            Ask::People => json(self.house.people()),
            Ask::ChangePeople { change } => json(self.house.change_people(&change)),
            Ask::Frozen => json(self.house.frozen()),
            Ask::Freeze { reason } => {
                short(reason.iter())?;
                json(self.house.freeze(reason.as_ref()))
            }
            Ask::Thaw { named } => json(self.house.thaw(named)),
            Ask::Jail => json(self.house.jail()),
            Ask::Clear { named } => json(self.house.clear(named)),
            Ask::Notices { from, wait_ms } => json(self.house.notices(from.as_ref(), Duration::from_millis(wait_ms))),
            Ask::TestNotice => json(self.house.test_notice()),
            Ask::Delivered { delivery } => json(self.house.delivered(&delivery)),
            Ask::Lines { from, wait_ms } => json(self.house.lines(from.as_ref(), Duration::from_millis(wait_ms))),
            Ask::Exported { remark } => json(self.house.exported(&remark)),
        }
    }

    fn person(&self) -> Other {
        Other::new(Arc::clone(&self.wire), self.may_be_a_person(), Arc::clone(&self.streams))
    }

    /// True where people use the account, as far as the machine knows.
    fn may_be_a_person(&self) -> bool {
        authority::may(self.standing, Deed::LetThrough).is_ok()
    }

    /// Of the options only those that are a caller's to choose.
    fn own(&self, options: RunOptions, pass: &[i32]) -> Result<RunOptions, Failure> {
        for fd in [options.cwd_to, options.shell_from].into_iter().flatten() {
            if !pass.contains(&i32::from(fd)) {
                return Err(Failure::usage(format!("descriptor {fd} is no pipe that came along")));
            }
        }
        let person = options.person && self.may_be_a_person();
        Ok(RunOptions { anew: false, keep_undo: false, leave: false, person, ..options })
    }

    /// As whom the command is to run, and what is around it then: of the caller's environment nothing that could lead
    /// a command astray which is not his.
    fn whom(&self, wanted: Wanted, around: Around) -> Result<(Wanted, Around, Option<Identity>), Failure> {
        let whom = porch::whom(&wanted, self.house.caller, &self.house.accounts)?;
        let around = match &whom {
            Some(whom) => around.of_another(&whom.account),
            None => around,
        };
        // His own name is no other.
        let as_user = wanted.as_user.filter(|_| whom.is_some());
        Ok((Wanted { as_user, ..wanted }, around, whom.map(|whom| whom.who)))
    }

    /// Stands in for the caller from here on: a command runs with his rights, in his surroundings.
    fn stand_in(&mut self, around: Around, handles: Vec<OwnedFd>, whom: Option<Identity>) -> Result<(), Failure> {
        if std::mem::replace(&mut self.spent, true) {
            return Err(Failure::usage("one connection runs one command"));
        }
        let numbers = &around.pass;
        let fit = numbers.iter().all(|n| (3..NUMBERS).contains(n)) && numbers.is_sorted_by(|a, b| a < b);
        if !fit || handles.len() != 3 + numbers.len() {
            return Err(Failure::usage("the handles that came along are not those that were named")
                .next(format!("descriptors that a command inherits have numbers below {NUMBERS}")));
        }
        if handles[3..].iter().any(|fd| !inherit::is_pipe(fd.as_fd())) {
            return Err(Failure::usage("beyond the standard streams a command inherits pipes and nothing else"));
        }
        let env = around.variables()?;
        let who = whom.unwrap_or_else(|| self.who.clone());
        self.streams
            .lend(&self.wire, who.uid, handles, numbers)
            .map_err(|e| Failure::because("cannot take the caller's streams", &e))?;
        self.house.engine.stand_in(StandIn {
            who,
            env,
            umask: around.umask & 0o777,
            ignored: around.ignored,
            limits: self.peer.limits.clone(),
            line: Arc::new(Heard { wire: Arc::clone(&self.wire), streams: Arc::clone(&self.streams) }),
        });
        Ok(())
    }
}

/// The engine for this caller, and what he is here.
fn open(who: &Identity, login: Option<u32>) -> Result<(House, Standing), Failure> {
    let caller = Caller { uid: who.uid, gid: who.gid };
    let (settings, accounts) = porch::settings_for(who, login, STATE.as_ref());
    let mut house = House::with(caller, settings, accounts)?;
    let Machine { exporter, notifier, .. } = porch::machine()?;
    let uid = |name: String| Some(house.accounts.iter().find(|a| a.name.as_slice() == name.as_bytes())?.uid);
    let services = Services { exporter: exporter.and_then(uid), notifier: notifier.and_then(uid) };
    let standing = authority::standing(who.uid, &house.engine.people()?, services);
    if authority::may(standing, Deed::Decide).is_ok() {
        house.engine.sees_all();
    }
    Ok((house, standing))
}

/// What a caller says of himself is kept for ever, in the log.
fn modest(wanted: &Wanted) -> Result<(), Failure> {
    let Wanted { asker, reason, session, .. } = wanted;
    let of_asker = asker.iter().flat_map(|a| [Some(&a.agent), a.call.as_ref(), a.subagent.as_ref()]).flatten();
    short(of_asker.chain(reason).chain(session))
}

fn short<'a>(mut texts: impl Iterator<Item = &'a Bytes>) -> Result<(), Failure> {
    if texts.any(|text| text.as_slice().len() > LONGEST_TEXT) {
        return Err(Failure::usage(format!("a reason, a session or a name is longer than {LONGEST_TEXT} bytes")));
    }
    Ok(())
}

/// Takes every number below [`NUMBERS`]: what this process opens from here on has a higher one.
fn reserve() -> io::Result<Vec<OwnedFd>> {
    let mut taken = vec![OwnedFd::from(File::open("/dev/null")?)];
    while taken.last().is_some_and(|last| last.as_raw_fd() < NUMBERS - 1) {
        // The lowest that is free, as the kernel gives it.
        let next = taken[0].try_clone()?;
        taken.push(next);
    }
    Ok(taken)
}

fn json<T: Serialize>(result: Result<T, Failure>) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(result?).map_err(|e| Failure::because("cannot tell what came of it", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_after_the_reserve_has_a_number_that_no_caller_can_name() {
        // In a process of its own, which gets all numbers for itself.
        let child = process::fork(|| {
            process::close_all_but(&[0, 1, 2]);
            let (low, _other) = UnixStream::pair().expect("a pair");
            let Ok(stream) = process::at_least(low.into(), NUMBERS) else { return 1 };
            let Ok(reserved) = reserve() else { return 2 };
            let Ok(next) = File::open("/dev/null") else { return 3 };
            let mut numbers: Vec<i32> = reserved.iter().map(AsRawFd::as_raw_fd).collect();
            numbers.sort_unstable();
            // The pair's other end has one of them.
            let all = numbers.len() == (3..NUMBERS).len() - 1;
            u8::from(!(all && next.as_raw_fd() >= NUMBERS && stream.as_raw_fd() >= NUMBERS))
        });
        child.expect("forked");
        assert_eq!(process::wait_any(true).expect("waited").map(|(_, change)| change), Some(process::Change::Ended(0)));
    }
}
