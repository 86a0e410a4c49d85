//! The red button beside the runs: the state that says that everything stands, the bell by which those who wait beside
//! a command hear of it, and the mark by which they say that theirs does. Who may press it, and what is refused
//! meanwhile, is `engine/freeze.rs`.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use backstop_core::digest::Digest;
use backstop_core::freeze::Freeze;
use backstop_core::id::RunId;
use backstop_sys::process::{self, SIGKILL};
use backstop_sys::{bell, fs as sys};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind};
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

/// What stands; none where nothing does.
pub(crate) fn standing(store: &Store) -> Result<Option<Freeze>, StoreError> {
    Ok(store.read_own::<Kept>(STATE)?.map(|kept| kept.freeze))
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
    let what = format!("everything is frozen since {} by user {}{why}", freeze.at, freeze.by);
    Failure::new(FailureKind::Refused, what)
        .next("people let it go on: backstop thaw")
        .by("while it is frozen nothing begins and nothing takes effect")
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// No command of it is about.
    None,
    /// Its command runs. By whom it is watched: a process, in this process namespace.
    Runs { by: i32, space: u64 },
    /// Its command stands, by this freeze.
    Stands { freeze: Digest, by: i32, space: u64 },
    /// Nobody can say.
    Unknown,
}

impl Mark {
    fn text(self) -> String {
        match self {
            Self::None | Self::Unknown => String::new(),
            Self::Runs { by, space } => format!("runs {by} {space}"),
            Self::Stands { freeze, by, space } => format!("stands {by} {space} {freeze}"),
        }
    }

    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let known = match words[..] {
            [] => Some(Self::None),
            ["runs", by, space] => by.parse().ok().zip(space.parse().ok()).map(|(by, space)| Self::Runs { by, space }),
            ["stands", by, space, freeze] => by
                .parse()
                .ok()
                .zip(space.parse().ok())
                .zip(Digest::parse(freeze))
                .map(|((by, space), freeze)| Self::Stands { freeze, by, space }),
            _ => None,
        };
        known.unwrap_or(Self::Unknown)
    }

    /// Ends whoever watches over it, and with it its run; false where that can't be done from here.
    pub fn end(self) -> bool {
        match self {
            Self::Runs { by, space } | Self::Stands { by, space, .. } => {
                by > 1 && own_space().is_ok_and(|own| own == space) && process::send(by, SIGKILL).is_ok()
            }
            Self::None | Self::Unknown => false,
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
        let failed = |e: io::Error| Failure::because(format!("cannot look at {}", path.display()), &e);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(failed)?,
        };
        if sys::try_lock_exclusive(file.as_fd()).map_err(failed)? {
            // Its process is gone, and so is its command.
            continue;
        }
        let mut text = [0; MARK];
        let n = file.read_at(&mut text, 0).map_err(failed)?;
        marks.push((id, std::str::from_utf8(&text[..n]).map_or(Mark::Unknown, Mark::parse)));
    }
    Ok(marks)
}

/// What each command passes before its first instruction, and hears by while it runs.
#[derive(Debug)]
pub struct Gate<'a> {
    store: &'a Store,
    path: PathBuf,
    ear: RefCell<Option<OwnedFd>>,
}

impl<'a> Gate<'a> {
    /// The gate of a run.
    pub fn new(store: &'a Store, id: RunId) -> Self {
        Self { store, path: store.mark(id), ear: RefCell::new(None) }
    }

    fn write(&self, mark: Mark) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
        let text = format!("{:<width$}", mark.text(), width = MARK);
        file.write_all_at(text.as_bytes(), 0)
    }

    fn runs() -> io::Result<Mark> {
        Ok(Mark::Runs { by: process::own_pid(), space: own_space()? })
    }

    /// True where its command may begin. It is marked as running before that is looked up: whoever freezes says so
    /// before he looks at the marks, so that one of the two sees the other.
    pub(crate) fn open(&self) -> io::Result<bool> {
        self.write(Self::runs()?)?;
        self.listen()?;
        Ok(!self.is_shut())
    }

    /// Hears the bell from here on.
    pub(crate) fn listen(&self) -> io::Result<()> {
        let dir = self.store.handle();
        let ear = match bell::listen(dir, BELL) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                bell::hang(dir, BELL)?;
                bell::listen(dir, BELL)
            }
            other => other,
        };
        self.ear.replace(Some(ear?));
        Ok(())
    }

    /// True while everything stands; also where nobody can say.
    pub(crate) fn is_shut(&self) -> bool {
        !matches!(standing(self.store), Ok(None))
    }

    /// Its command stands.
    pub(crate) fn stands(&self) -> io::Result<()> {
        let Ok(Some(freeze)) = standing(self.store) else { return Ok(()) };
        self.write(Mark::Stands { freeze: freeze.digest(), by: process::own_pid(), space: own_space()? })
    }

    /// Its command runs again, in a moment.
    pub(crate) fn goes_on(&self) -> io::Result<()> {
        self.write(Self::runs()?)
    }

    /// No command of it is about any more.
    pub(crate) fn over(&self) -> io::Result<()> {
        self.write(Mark::None)
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
        for mark in [Mark::None, Mark::Runs { by: 12, space: 4_026_531_836 }, Mark::Stands { freeze, by: 12, space: 4 }]
        {
            let text = format!("{:<width$}", mark.text(), width = MARK);
            assert!(text.len() == MARK && Mark::parse(&text) == mark, "{text}");
        }
        for text in ["runs", "runs x 4", "stands 12 4 sha256:7", "r-000007 12"] {
            assert_eq!(Mark::parse(text), Mark::Unknown, "{text}");
        }
        // Nobody outside of this namespace, and never everybody.
        for mark in [Mark::Unknown, Mark::None, Mark::Runs { by: 12, space: 4 }] {
            assert!(!mark.end());
        }
        let space = own_space().expect("a namespace");
        for by in [-1, 0, 1] {
            assert!(!Mark::Runs { by, space }.end());
        }
    }

    #[test]
    fn a_run_and_whoever_freezes_never_miss_each_other() {
        let place = tempfile::tempdir().expect("a temp dir");
        let state = place.path().join("state");
        let store = Store::open(&state).expect("a state directory");
        let id = RunId::from_number(7);
        let gate = Gate::new(&store, id);
        let alive = store.alive(id).expect("a mark");
        assert_eq!(marks(&store).expect("marks"), [(id, Mark::None)]);
        assert!(gate.open().expect("a gate"));
        assert!(matches!(marks(&store).expect("marks")[..], [(_, Mark::Runs { .. })]));
        let freeze = Freeze { accounts: [].into(), at: Timestamp::new(1, 0), by: 7, quorum: None, reason: None };
        begin(&store, &freeze).and_then(|()| keep(&store)).expect("frozen");
        assert!(gate.is_shut() && !gate.open().expect("a gate"));
        gate.stands().expect("marked");
        let [(_, Mark::Stands { freeze: by, .. })] = marks(&store).expect("marks")[..] else { panic!("it stands") };
        assert_eq!((by, standing(&store).expect("known")), (freeze.digest(), Some(freeze)));
        end(&store).expect("thawed");
        end(&store).expect("again");
        assert!(gate.open().expect("a gate"));
        gate.over().expect("marked");
        assert_eq!(marks(&store).expect("marks"), [(id, Mark::None)]);
        drop(alive);
        assert_eq!(marks(&store).expect("marks"), []);
        // What can't be read is not taken for nothing.
        fs::write(state.join(STATE), "{").expect("written");
        assert!(gate.is_shut());
    }
}
