//! Keeps which programs are started in a run: each is looked at before its first step, when its executable, arguments and
//! parent are what they are. Judges nothing, and nothing rests on it: what a run does is seen by its effects.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use backstop_core::bytes::Bytes;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::program::{ARGUMENTS, Program, Unlisted, shortened};
use backstop_core::run::Exit;
use backstop_sys::notify::Wish;
use backstop_sys::proc;
use backstop_sys::process::Change;
use backstop_sys::trace::{self, Caught, Seen};

use super::super::Started;
use crate::clock;

/// More programs than this are only counted: a command that starts a million says no more by it.
const MOST: usize = 4_096;

/// So many are looked at at once: what asked in vain stays so until it asks again, is sent a signal, or ends.
const CAUGHT: usize = 256;

/// So many handles on running programs are held, and so many on executables: there is a limit to all of them together.
const HELD: usize = 192;

/// Larger executables are not read; and larger ones than that not while somebody waits.
const LARGEST: u64 = 512 << 20;
const SMALL: u64 = 16 << 20;

/// By what an executable's content is known to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    ctime: i64,
    ctime_nanos: i64,
}

#[derive(Debug)]
pub(super) struct Programs {
    /// Where the command was to run.
    cwd: Bytes,
    /// The second in which it began.
    since: i64,
    seen: Vec<Program>,
    caught: BTreeMap<u32, Caught>,
    /// Those that run, by their processes: their places in `seen`, and handles on them.
    running: BTreeMap<i32, (usize, OwnedFd)>,
    files: BTreeMap<Version, Executable>,
    more: u64,
    untold: bool,
}

#[derive(Debug)]
struct Executable {
    file: Option<File>,
    digest: Option<Digest>,
    /// Whose it is, by their places in `seen`.
    of: Vec<usize>,
}

impl Programs {
    pub(super) fn new(cwd: &Bytes) -> Self {
        Self {
            cwd: cwd.clone(),
            since: clock::now().secs,
            seen: Vec::new(),
            caught: BTreeMap::new(),
            running: BTreeMap::new(),
            files: BTreeMap::new(),
            more: 0,
            untold: false,
        }
    }

    /// This kernel, or whoever runs Backstop in a sandbox of his own, does not tell.
    pub(super) const fn nobody_tells(&mut self) {
        self.untold = true;
    }

    /// A thread asks for a program, and waits until this returns.
    pub(super) fn asked(&mut self, thread: u32, wish: &Wish) {
        if self.caught.contains_key(&thread) {
            // What it asked for before came to nothing.
            return;
        }
        let process = process_of(thread).unwrap_or(thread.cast_signed());
        let caught = match self.caught.len() {
            0..CAUGHT => Caught::catch(thread.cast_signed(), process),
            _ => Err(io::ErrorKind::QuotaExceeded.into()),
        };
        match caught {
            Ok(caught) => {
                self.caught.insert(thread, caught);
            }
            // A debugger's, or not ours to look at.
            Err(_) => self.as_asked(thread, process, wish),
        }
    }

    /// Looks what became of those that asked.
    pub(super) fn look(&mut self) {
        let threads: Vec<u32> = self.caught.keys().copied().collect();
        for thread in threads {
            let Some(mut caught) = self.caught.remove(&thread) else { continue };
            let signal = match caught.look() {
                Ok(Seen::Nothing) => {
                    self.caught.insert(thread, caught);
                    continue;
                }
                Ok(Seen::Begins) => {
                    self.begins(caught.process());
                    0
                }
                Ok(Seen::Stands(signal)) => signal,
                Ok(Seen::Gone) | Err(_) => continue,
            };
            // Where that fails it is dead.
            let _dead = caught.let_go(signal);
        }
    }

    fn begins(&mut self, pid: i32) {
        let place = proc::place(pid);
        let words = fs::read(place.join("cmdline")).unwrap_or_default();
        let words = words.strip_suffix(b"\0").unwrap_or(&words);
        let words = words.split(|b| *b == 0).map(Bytes::from).collect();
        let exe = fs::read_link(place.join("exe")).ok().map(Bytes::from);
        let Some(at) = self.keep(pid, words, exe, false) else { return };
        if let Ok(file) = File::open(place.join("exe")) {
            self.executable(at, file);
        }
    }

    /// Nobody may look at it once it runs: what it asks for is kept, where there is such a thing.
    fn as_asked(&mut self, thread: u32, process: i32, wish: &Wish) {
        // An argument takes a byte at least.
        let Some(wished) = wish.read(ARGUMENTS) else { return };
        let named = Bytes::from(wished.path);
        let from = match wished.dir {
            Some(fd) => format!("/proc/{thread}/fd/{fd}"),
            None => format!("/proc/{thread}/cwd"),
        };
        let Ok(from) = fs::read_link(from) else { return };
        let path = if named.as_slice().starts_with(b"/") { named } else { Bytes::from(from).join(named.as_slice()) };
        // Shells try one directory after the other.
        let inside = Bytes::from(format!("/proc/{thread}/root").as_str()).join(path.as_slice());
        if !fs::metadata(inside.as_path()).is_ok_and(|m| m.is_file()) {
            return;
        }
        let words = wished.arguments.into_iter().map(Bytes::from).collect();
        self.keep(process, words, Some(path), true);
    }

    /// Gives its place; none where it is one too many.
    fn keep(&mut self, pid: i32, words: Vec<Bytes>, exe: Option<Bytes>, as_asked: bool) -> Option<usize> {
        // It is no longer what it was before, and how it ends says nothing of that.
        self.running.remove(&pid);
        if self.seen.len() >= MOST {
            self.more += 1;
            return None;
        }
        let place = proc::place(pid);
        let cwd = fs::read_link(place.join("cwd")).ok().map(Bytes::from).filter(|cwd| *cwd != self.cwd);
        let (argv, cut) = shortened(words);
        self.seen.push(Program {
            argv,
            as_asked,
            began: clock::now(),
            cut,
            cwd,
            exe,
            exit: None,
            parent: proc::parent(pid).unwrap_or_default().cast_unsigned(),
            pid: pid.cast_unsigned(),
            sha256: None,
        });
        let at = self.seen.len() - 1;
        if self.running.len() >= HELD {
            self.sweep();
        }
        if self.running.len() < HELD
            && let Ok(handle) = trace::handle(pid)
        {
            self.running.insert(pid, (at, handle));
        }
        Some(at)
    }

    fn executable(&mut self, at: usize, file: File) {
        let Some(version) = version(&file) else { return };
        if let Some(known) = self.files.get_mut(&version) {
            known.of.push(at);
            return;
        }
        if version.ctime >= self.since && version.size <= SMALL {
            // The run's own work, which it may change or remove at once: whoever begins it waits.
            let digest = content(file, &version);
            self.files.insert(version, Executable { file: None, digest, of: vec![at] });
            return;
        }
        if self.files.values().filter(|e| e.file.is_some()).count() >= HELD {
            self.read_all();
        }
        self.files.insert(version, Executable { file: Some(file), digest: None, of: vec![at] });
    }

    /// Reads executables: not while whoever begins waits for it.
    fn read_all(&mut self) {
        for (version, executable) in &mut self.files {
            if let Some(file) = executable.file.take() {
                executable.digest = content(file, version);
            }
        }
    }

    /// Sees which have ended, and how.
    pub(super) fn sweep(&mut self) {
        let seen = &mut self.seen;
        self.running.retain(|_, (at, handle)| {
            let exit = match trace::end_of(handle.as_fd()) {
                Some(Change::Ended(code)) => Exit::Code(code),
                Some(Change::Killed(signal)) => Exit::Signal(signal),
                Some(Change::Stopped(_) | Change::Resumed) | None => return true,
            };
            if let Some(program) = seen.get_mut(*at) {
                program.exit = Some(exit);
            }
            false
        });
    }

    /// Waits for the end of those that are looked at, when all are being killed: nobody else can take them off the process
    /// table.
    pub(super) fn bury(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.caught).into_values().try_for_each(Caught::bury)
    }

    /// All of them; when the run is over.
    pub(super) fn over(mut self) -> Started {
        self.sweep();
        self.read_all();
        for Executable { digest, of, .. } in self.files.into_values() {
            for at in of {
                if let Some(program) = self.seen.get_mut(at) {
                    program.sha256 = digest;
                }
            }
        }
        let unlisted = match (self.untold, self.more) {
            (true, _) => Some(Unlisted {
                count: None,
                why: "this kernel does not tell, or Backstop runs in a sandbox that listens itself".to_owned(),
            }),
            (false, 0) => None,
            (false, more) => Some(Unlisted { count: Some(more), why: format!("more than {MOST} in one run") }),
        };
        Started { programs: self.seen, unlisted }
    }
}

fn version(file: &File) -> Option<Version> {
    let m = file.metadata().ok()?;
    Some(Version { device: m.dev(), inode: m.ino(), size: m.size(), ctime: m.ctime(), ctime_nanos: m.ctime_nsec() })
}

/// The digest of the content; none where it is another by now.
fn content(mut file: File, expected: &Version) -> Option<Digest> {
    if expected.size > LARGEST {
        return None;
    }
    let (mut hasher, mut part) = (ContentHasher::default(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(n) => hasher.update(&part[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    (version(&file).as_ref() == Some(expected)).then(|| hasher.finish())
}

fn process_of(thread: u32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}
