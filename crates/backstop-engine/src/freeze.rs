//! The red button beside the runs: the state that says that everything stands, the bell by which those who wait beside
//! a command hear of it, and the mark by which they say that theirs does. Who may press it, and what is refused
//! meanwhile, is `engine/freeze.rs`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use backstop_core::digest::Digest;
use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_core::jail::{Ban, Key, Level};
use backstop_sys::{bell, fs as sys, proc, process};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::jail::{self, Stamp};
use crate::store::{Store, StoreError, Versioned};

/// The file that says so, in the state directory.
const STATE: &str = "frozen.json";

/// The bell, in the same.
const BELL: &str = "bell";

/// A mark is one write of so many bytes, so that nobody reads half of one.
const MARK: usize = 128;

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    freeze: Freeze,
    version: u32,
}

impl Versioned for Kept {
    const NEWEST: u32 = 1;
}

/// What stands; none where nothing does. What can't be read is not taken for nothing, but for the empty file that a power
/// cut leaves of one that was not kept yet: with it went everything that was to stand.
pub(crate) fn standing(store: &Store) -> Result<Option<Freeze>, StoreError> {
    match store.read_own::<Kept>(STATE) {
        Ok(kept) => Ok(kept.map(|kept| kept.freeze)),
        Err(StoreError::Damaged { path, .. }) if path.metadata().is_ok_and(|m| m.len() == 0) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Says that everything stands. Whoever begins something after this finds it; a power cut may still take it away, and
/// everything that runs with it, until [`keep`].
pub(crate) fn begin(store: &Store, freeze: &Freeze) -> Result<(), StoreError> {
    store.put_own(STATE, &Kept { freeze: freeze.clone(), version: Kept::NEWEST }, false)
}

/// Makes it durable, which may take long on a busy disk.
pub(crate) fn keep(store: &Store) -> Result<(), StoreError> {
    store.sync_own(STATE)
}

/// Says durably that nothing does.
pub(crate) fn end(store: &Store) -> Result<(), StoreError> {
    store.remove_own(STATE)
}

/// Lets all who wait beside a command look.
pub(crate) fn ring(store: &Store) -> io::Result<()> {
    match bell::ring(store.handle(), BELL) {
        // Nobody has ever listened.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Why something is not done while everything stands.
pub(crate) fn refusal(freeze: &Freeze) -> Failure {
    let why = freeze.reason.as_ref().map_or_else(String::new, |why| format!(": {}", why.quoted()));
    refused(format!("everything is frozen since {} by user {}{why}", freeze.at, freeze.by))
}

/// The same in other words.
pub(crate) fn refused(what: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Refused, what)
        .next("people let it go on: backstop thaw")
        .by("while it is frozen nothing begins and nothing takes effect")
}

/// Who is beside a command: a process of this number, started then, in this process namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    pid: i32,
    space: u64,
    start: u64,
}

impl Beside {
    fn this() -> io::Result<Self> {
        let pid = process::own_pid();
        Ok(Self { pid, space: own_space()?, start: proc::stat(&proc::place(pid))?.start })
    }

    /// False where that process is known to be gone.
    fn may_live(&self) -> bool {
        // Its number means nothing in another namespace.
        !own_space().is_ok_and(|own| own == self.space)
            || match proc::stat(&proc::place(self.pid)) {
                Ok(now) => now.start == self.start,
                Err(e) => !proc::is_gone(&e),
            }
    }
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// No command of it is about.
    None,
    /// Its command runs.
    Runs(Beside),
    /// Its command stands, by this freeze.
    Stands(Beside, Digest),
    /// It did not, and was ended for it.
    Ended(Digest),
    /// Nobody can say.
    Unknown,
}

impl Mark {
    fn text(self) -> String {
        let who = |Beside { pid, space, start }| format!("{pid} {space} {start}");
        match self {
            Self::None | Self::Unknown => String::new(),
            Self::Runs(by) => format!("runs {}", who(by)),
            Self::Stands(by, freeze) => format!("stands {} {freeze}", who(by)),
            Self::Ended(freeze) => format!("ended {freeze}"),
        }
    }

    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let who = |pid: &str, space: &str, start: &str| {
            Some(Beside { pid: pid.parse().ok()?, space: space.parse().ok()?, start: start.parse().ok()? })
        };
        let known = match words[..] {
            // Blank, but written: a version that knew no marks left it empty.
            [] if !text.is_empty() => Some(Self::None),
            ["runs", pid, space, start] => who(pid, space, start).map(Self::Runs),
            ["stands", pid, space, start, freeze] => {
                who(pid, space, start).zip(Digest::parse(freeze)).map(|(by, freeze)| Self::Stands(by, freeze))
            }
            ["ended", freeze] => Digest::parse(freeze).map(Self::Ended),
            _ => None,
        };
        known.unwrap_or(Self::Unknown)
    }

    /// Ends whoever is beside it, and with it its run; false where that can't be done from here.
    pub fn end(self) -> bool {
        match self {
            Self::Runs(by) | Self::Stands(by, _) => {
                own_space().is_ok_and(|own| own == by.space) && process::kill_exactly(by.pid, by.start).unwrap_or(false)
            }
            Self::None | Self::Ended(_) | Self::Unknown => false,
        }
    }
}

/// Names the process namespace in which this process' numbers mean something.
fn own_space() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// The marks of the runs whose process lives.
pub(crate) fn marks(store: &Store) -> Result<Vec<(RunId, Mark)>, Failure> {
    let mut marks = Vec::new();
    for id in store.marked()? {
        let path = store.mark(id);
        let look = || -> io::Result<Option<Mark>> {
            let file = File::open(&path)?;
            if sys::try_lock_exclusive(file.as_fd())? {
                // Its process is gone, and so is its command.
                return Ok(None);
            }
            let mut text = [0; MARK];
            let n = file.read_at(&mut text, 0)?;
            let mark = std::str::from_utf8(&text[..n]).map_or(Mark::Unknown, Mark::parse);
            // Somebody else has the lock, and gives a run up whose process is gone.
            let gone = matches!(mark, Mark::Runs(by) | Mark::Stands(by, _) if !by.may_live());
            Ok(Some(mark).filter(|_| !gone))
        };
        match look() {
            Ok(mark) => marks.extend(mark.map(|mark| (id, mark))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            // That of one is no reason to let go of the others.
            Err(_) => marks.push((id, Mark::Unknown)),
        }
    }
    Ok(marks)
}

/// The mark of a run of which no command is about, as it is written.
pub(crate) fn blank() -> Vec<u8> {
    padded(Mark::None).into_bytes()
}

fn padded(mark: Mark) -> String {
    format!("{:<width$}", mark.text(), width = MARK)
}

/// What each command passes before its first instruction, and hears by while it runs.
#[derive(Debug)]
pub struct Gate<'a> {
    store: &'a Store,
    path: PathBuf,
    ear: RefCell<Option<OwnedFd>>,
    /// By what whoever asked is known to the jail.
    keys: BTreeSet<Key>,
    /// His bans, as they were when the jail last changed.
    bans: RefCell<(Option<Stamp>, Vec<Ban>)>,
}

/// What passes the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// Everything stands.
    Frozen,
    /// What whoever asked runs stands, by this ban.
    Banned(Digest),
    /// What whoever asked runs is ended.
    Locked,
}

impl<'a> Gate<'a> {
    /// The gate of a run.
    pub fn new(store: &'a Store, id: RunId, keys: BTreeSet<Key>) -> Self {
        let (ear, bans) = (RefCell::new(None), RefCell::new((None, Vec::new())));
        Self { store, path: store.mark(id), ear, keys, bans }
    }

    fn write(&self, mark: Mark) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all_at(padded(mark).as_bytes(), 0)
    }

    /// None where its command may begin. It is marked as running before that is looked up: whoever freezes says so
    /// before he looks at the marks, so that one of the two sees the other.
    pub(crate) fn open(&self) -> io::Result<Option<Shut>> {
        self.write(Mark::Runs(Beside::this()?))?;
        self.listen();
        Ok(self.shut())
    }

    /// Hears the bell from here on. Where there can be none, a look now and then has to do.
    pub(crate) fn listen(&self) {
        let dir = self.store.handle();
        let ear = match bell::listen(dir, BELL) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                bell::hang(dir, BELL).and_then(|()| bell::listen(dir, BELL))
            }
            other => other,
        };
        self.ear.replace(ear.ok());
    }

    /// Why nothing passes; none where something may. Where nobody can say whether everything stands, it does.
    pub(crate) fn shut(&self) -> Option<Shut> {
        let ban = self.ban();
        match ban.as_ref().map(|ban| ban.level) {
            Some(Level::Locked) => Some(Shut::Locked),
            _ if !matches!(standing(self.store), Ok(None)) => Some(Shut::Frozen),
            _ => ban.map(|ban| Shut::Banned(ban.digest())),
        }
    }

    /// The ban by which nothing of it runs. What can't be read changes nothing: what comes to its end is judged by whoever can.
    fn ban(&self) -> Option<Ban> {
        if self.keys.is_empty() {
            return None;
        }
        let stamp = jail::stamp(self.store);
        let mut known = self.bans.borrow_mut();
        if known.0 != stamp
            && let Ok(Some(jail)) = jail::load(self.store)
        {
            let his = jail.bans(clock::now()).filter(|ban| ban.level.shuts() && self.keys.contains(&ban.key));
            *known = (stamp, his.cloned().collect());
        }
        known.1.iter().max_by_key(|ban| ban.level).cloned()
    }

    /// Its command stands.
    pub(crate) fn stands(&self) -> io::Result<()> {
        let by = match (self.shut(), standing(self.store)) {
            (Some(Shut::Banned(ban)), _) => ban,
            (Some(Shut::Frozen | Shut::Locked), Ok(Some(freeze))) => freeze.digest(),
            _ => return Ok(()),
        };
        self.write(Mark::Stands(Beside::this()?, by))
    }

    /// Its command runs again, in a moment.
    pub(crate) fn goes_on(&self) -> io::Result<()> {
        self.write(Mark::Runs(Beside::this()?))
    }

    /// No command of it is about any more; `ended`, where it was because it did not stand.
    pub(crate) fn over(&self, ended: bool) -> io::Result<()> {
        match standing(self.store) {
            Ok(Some(freeze)) if ended => self.write(Mark::Ended(freeze.digest())),
            _ => self.write(Mark::None),
        }
    }

    /// Runs `with` the handle by which the bell is heard.
    pub(crate) fn hearing<T>(&self, with: impl FnOnce(Option<BorrowedFd<'_>>) -> T) -> T {
        with(self.ear.borrow().as_ref().map(AsFd::as_fd))
    }
}

#[cfg(test)]
mod tests {
    use backstop_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_what_is_none_keeps_people_waiting() {
        let freeze = Digest([7; 32]);
        let by = Beside::this().expect("this process");
        for mark in [Mark::None, Mark::Runs(by), Mark::Stands(by, freeze), Mark::Ended(freeze)] {
            let text = padded(mark);
            assert!(text.len() == MARK && Mark::parse(&text) == mark, "{text}");
        }
        for text in ["", "runs", "runs x 4 5", "stands 12 4 5 sha256:7", "r-000007 12"] {
            assert_eq!(Mark::parse(text), Mark::Unknown, "{text}");
        }
        // Nobody outside of this namespace, nobody who was started at another time, and never everybody.
        let others = [Beside { space: 4, ..by }, Beside { start: by.start + 1, ..by }];
        let nobody = [-1, 0, 1].map(|pid| Beside { pid, ..by });
        let nobodys = others.into_iter().chain(nobody).map(Mark::Runs);
        assert!(!nobodys.chain([Mark::Unknown, Mark::None, Mark::Ended(freeze)]).any(Mark::end));
    }

    #[test]
    fn a_run_and_whoever_freezes_never_miss_each_other() {
        let place = tempfile::tempdir().expect("a temp dir");
        let state = place.path().join("state");
        let store = Store::open(&state).expect("a state directory");
        let id = RunId::from_number(7);
        let gate = Gate::new(&store, id, BTreeSet::new());
        let alive = store.alive(id).expect("a mark");
        assert_eq!(marks(&store).expect("marks"), [(id, Mark::None)]);
        assert_eq!(gate.open().expect("a gate"), None);
        assert!(matches!(marks(&store).expect("marks")[..], [(_, Mark::Runs(_))]));
        let freeze = Freeze { accounts: [].into(), at: Timestamp::new(1, 0), by: 7, quorum: None, reason: None };
        begin(&store, &freeze).and_then(|()| keep(&store)).expect("frozen");
        assert_eq!(gate.open().expect("a gate"), Some(Shut::Frozen));
        gate.stands().expect("marked");
        let [(_, Mark::Stands(_, by))] = marks(&store).expect("marks")[..] else { panic!("it stands") };
        assert_eq!((by, standing(&store).expect("known")), (freeze.digest(), Some(freeze)));
        end(&store).expect("thawed");
        end(&store).expect("again");
        assert_eq!(gate.open().expect("a gate"), None);
        gate.over(false).expect("marked");
        assert_eq!(marks(&store).expect("marks"), [(id, Mark::None)]);
        // Of a run that is being given up after a crash: somebody has its lock, and nobody is beside it.
        let gone = Beside { start: 1, ..Beside::this().expect("this process") };
        gate.write(Mark::Runs(gone)).expect("marked");
        assert_eq!(marks(&store).expect("marks"), []);
        drop(alive);
        gate.write(Mark::Runs(Beside::this().expect("this process"))).expect("marked");
        assert_eq!(marks(&store).expect("marks"), []);
        // What can't be read is not taken for nothing.
        fs::write(state.join(STATE), "{").expect("written");
        assert_eq!(gate.shut(), Some(Shut::Frozen));
        fs::write(state.join(STATE), "").expect("written");
        assert_eq!(gate.shut(), None, "a power cut came before it was kept");
    }
}
