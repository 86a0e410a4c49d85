//! Keeps which programs are started in a run: each is looked at before its first step, when its executable and its parent
//! are what they are. Judges nothing, and nothing rests on it: what a run does is seen by its effects.
//!
//! Who asks waits meanwhile, and so does all else that the run is to be kept from; so nothing here takes long.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use backstop_core::bytes::Bytes;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::program::{ARGUMENTS, Program, Unlisted, shortened};
use backstop_core::run::Exit;
use backstop_sys::fs as sys;
use backstop_sys::notify::Wish;
use backstop_sys::proc;
use backstop_sys::process::{self, Change};
use backstop_sys::trace::{self, Caught, Seen};

use super::super::Started;
use crate::clock;
use crate::executables::{Executable, Executables, Version};

/// More programs than this are only counted, and so are those behind this many bytes of names and arguments: a command that
/// starts a million says no more by it, and the log is kept for years.
const MOST: usize = 4_096;
const BYTES: usize = 1 << 20;

/// So many are looked at at once: what asked in vain stays so until it asks again, is sent a signal, or ends.
const CAUGHT: usize = 256;

/// So many handles on running programs are held at most, and so many on executables.
const HELD: u64 = 192;

/// So many bytes of executables are read while somebody waits: each, and in one run; and so many when it is over.
const AT_ONCE: u64 = 8 << 20;
const ALL_AT_ONCE: u64 = 64 << 20;
const AFTERWARDS: u64 = 1 << 30;

/// A kernel gives no more of a process' arguments at once than a few megabytes; so much of them is looked at.
const LOOKED_AT: u64 = 256 << 10;

#[derive(Debug)]
pub(super) struct Programs {
    /// Where the command was to run.
    cwd: Bytes,
    /// The second in which it began.
    since: i64,
    /// Places whose files somebody else serves, who may take his time.
    slow: Vec<Bytes>,
    seen: Vec<Program>,
    /// Bytes of names and arguments in them.
    bytes: usize,
    /// Those that asked, by their numbers, with handles on them.
    caught: BTreeMap<i32, (Caught, Option<OwnedFd>)>,
    /// Those that run: their places in `seen`, and handles on them.
    running: BTreeMap<i32, (usize, OwnedFd)>,
    /// By device and state.
    files: BTreeMap<(u64, Version), Binary>,
    /// How many handles of each kind may be held.
    held: usize,
    /// What may still be read while somebody waits.
    room: u64,
    /// One too many.
    more: u64,
    /// Asked for, by whom nobody could look at: they may have come to nothing.
    unseen: u64,
    untold: bool,
}

/// An executable in one state.
#[derive(Debug)]
struct Binary {
    file: Option<File>,
    digest: Option<Digest>,
    /// Whose it is, by their places in `seen`.
    of: Vec<usize>,
}

impl Programs {
    /// Of a command that is to run there, where these places are somebody else's to serve.
    pub(super) fn new(cwd: &Bytes, slow: Vec<Bytes>) -> Self {
        Self {
            cwd: cwd.clone(),
            since: clock::now().secs,
            slow,
            seen: Vec::new(),
            bytes: 0,
            caught: BTreeMap::new(),
            running: BTreeMap::new(),
            files: BTreeMap::new(),
            held: HELD.min(process::most_descriptors() / 4) as usize,
            room: ALL_AT_ONCE,
            more: 0,
            unseen: 0,
            untold: false,
        }
    }

    /// This kernel, or whoever runs Backstop in a sandbox of his own, does not tell.
    pub(super) const fn nobody_tells(&mut self) {
        self.untold = true;
    }

    /// A thread asks for a program, and waits until this returns.
    pub(super) fn asked(&mut self, thread: u32, wish: &Wish) {
        let thread = thread.cast_signed();
        if self.caught.contains_key(&thread) {
            // Another by the same number, perhaps.
            self.look_at(thread);
            if self.caught.contains_key(&thread) {
                // What it asked for before came to nothing.
                return;
            }
        }
        let (process, threads) = match threads_of(thread) {
            Ok(both) => both,
            // Killed meanwhile, it begins nothing.
            Err(e) if proc::is_gone(&e) => return,
            Err(_) => {
                self.unseen += 1;
                return;
            }
        };
        // The kernel's own order of locks allows no other: see `trace`.
        let alone = process == thread && threads == 1;
        if alone && self.caught.len() < CAUGHT.min(self.held) {
            let handle = trace::handle(process).ok();
            if let Ok(caught) = Caught::catch(process) {
                self.caught.insert(process, (caught, handle));
                return;
            }
        }
        // One of many threads, a debugger's, or not ours to look at. How it ends will say nothing of what it was before.
        self.running.remove(&process);
        if self.wished(thread, process, wish).is_none() {
            self.unseen += 1;
        }
    }

    /// From here on everybody waits for all to stand, and nothing is read of executables.
    pub(super) const fn hurry(&mut self) {
        self.room = 0;
    }

    /// Looks what became of those that asked.
    pub(super) fn look(&mut self) {
        let all: Vec<i32> = self.caught.keys().copied().collect();
        all.into_iter().for_each(|pid| self.look_at(pid));
    }

    fn look_at(&mut self, pid: i32) {
        let Some((caught, mut handle)) = self.caught.remove(&pid) else { return };
        let signal = match caught.look() {
            Ok(Seen::Nothing) => {
                self.caught.insert(pid, (caught, handle));
                return;
            }
            Ok(Seen::Begins) => {
                self.begins(pid, handle.take());
                0
            }
            Ok(Seen::Stands(signal)) => signal,
            Ok(Seen::Gone) | Err(_) => return,
        };
        if !matches!(caught.let_go(signal), Ok(true)) {
            // It is being killed, and its end is ours to look at before anybody else's.
            self.caught.insert(pid, (caught, handle));
        }
    }

    fn begins(&mut self, pid: i32, handle: Option<OwnedFd>) {
        let place = proc::place(pid);
        let mut words = Vec::new();
        let read = File::open(place.join("cmdline")).and_then(|f| f.take(LOOKED_AT).read_to_end(&mut words));
        if read.is_err() {
            self.unseen += 1;
            return;
        }
        let exe = fs::read_link(place.join("exe")).ok().map(Bytes::from);
        if words.is_empty() && exe.is_none() {
            // Killed before its first step.
            return;
        }
        let words = words.strip_suffix(b"\0").unwrap_or(&words).split(|b| *b == 0).map(Bytes::from).collect();
        let quick = exe.as_ref().is_some_and(|exe| self.slow.iter().all(|slow| !exe.is_beneath(slow.as_slice())));
        let Some(at) = self.keep(pid, shortened(words), exe, false) else { return };
        self.hold(pid, at, handle);
        if quick && let Ok(file) = File::open(place.join("exe")) {
            self.executable(at, file);
        }
    }

    /// Nobody may look at it once it runs: what it asks for is kept. None where nothing can be said of that, as of a name that
    /// leads to a file for the asker alone (`/proc/self/exe`), or to one that is not there yet.
    fn wished(&mut self, thread: i32, process: i32, wish: &Wish) -> Option<()> {
        let wished = wish.read(ARGUMENTS)?;
        let named = Bytes::from(wished.path);
        let from = match wished.dir {
            Some(fd) => format!("/proc/{thread}/fd/{fd}"),
            None => format!("/proc/{thread}/cwd"),
        };
        let path = match named.as_slice().starts_with(b"/") {
            true => named,
            false => Bytes::from(fs::read_link(from).ok()?).join(named.as_slice()),
        };
        if self.slow.iter().any(|slow| path.is_beneath(slow.as_slice())) {
            return None;
        }
        // A link could lead to such a place; then only what the kernel knows already is asked.
        let root = format!("/proc/{thread}/root");
        sys::is_file_within(root.as_bytes(), path.as_slice(), !self.slow.is_empty()).ok().filter(|is| *is)?;
        let words = wished.arguments.into_iter().map(Bytes::from).collect();
        let (argv, cut) = shortened(words);
        // How much it is, only its own memory says, as long as it wants.
        let cut = if wished.whole { cut } else { cut.max(1) };
        self.keep(process, (argv, cut), Some(path), true);
        Some(())
    }

    /// Gives its place; none where it is one too many.
    fn keep(&mut self, pid: i32, (argv, cut): (Vec<Bytes>, u64), exe: Option<Bytes>, as_asked: bool) -> Option<usize> {
        // It is no longer what it was before, and how it ends says nothing of that.
        self.running.remove(&pid);
        let place = proc::place(pid);
        let cwd = fs::read_link(place.join("cwd")).ok().map(Bytes::from).filter(|cwd| *cwd != self.cwd);
        let names = argv.iter().chain(&cwd).chain(&exe);
        let bytes = self.bytes + names.map(|name| name.as_slice().len() + 1).sum::<usize>();
        if self.seen.len() >= MOST || bytes > BYTES {
            self.more += 1;
            return None;
        }
        self.bytes = bytes;
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
        Some(self.seen.len() - 1)
    }

    fn hold(&mut self, pid: i32, at: usize, handle: Option<OwnedFd>) {
        if self.running.len() >= self.held {
            self.sweep();
        }
        if self.running.len() < self.held
            && let Some(handle) = handle
        {
            self.running.insert(pid, (at, handle));
        }
    }

    fn executable(&mut self, at: usize, file: File) {
        let Ok(now) = file.metadata() else { return };
        let version = Version::of(&now);
        let key = (now.dev(), version);
        if let Some(known) = self.files.get_mut(&key) {
            known.of.push(at);
            return;
        }
        let mut new = Binary { file: None, digest: None, of: vec![at] };
        if version.changed.0 >= self.since {
            // The run's own work, which it may change or remove at once.
            if version.size <= AT_ONCE.min(self.room) {
                self.room -= version.size;
                new.digest = content(file, &version);
            }
        } else if self.files.values().filter(|e| e.file.is_some()).count() < self.held {
            new.file = Some(file);
        }
        self.files.insert(key, new);
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
    /// table. All of them, also where one can't be.
    pub(super) fn bury(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        for (caught, _) in std::mem::take(&mut self.caught).into_values() {
            let buried = caught.bury();
            result = result.and(buried);
        }
        result
    }

    /// All of them; when the run is over, and nobody waits for more than the answer.
    pub(super) fn over(mut self, executables: &mut Executables) -> Started {
        self.sweep();
        let mut room = AFTERWARDS;
        for ((_, version), executable) in self.files {
            let digest = executable.file.map_or(executable.digest, |file| {
                let path = executable.of.first().and_then(|at| self.seen.get(*at)?.exe.clone())?;
                let now = file.metadata().ok().filter(|now| Version::of(now) == version)?;
                let read = || {
                    room = room.checked_sub(version.size)?;
                    content(file, &version)
                };
                // Whoever may write to it could do so without a trace, through memory.
                let (what, roots) = (Executable { path, version }, now.uid() == 0);
                if roots { executables.digest(what, read) } else { read() }
            });
            for at in executable.of {
                if let Some(program) = self.seen.get_mut(at) {
                    program.sha256 = digest;
                }
            }
        }
        Started { programs: self.seen, unlisted: unlisted(self.untold, self.more, self.unseen) }
    }
}

fn unlisted(untold: bool, more: u64, unseen: u64) -> Option<Unlisted> {
    if untold {
        let why = "this kernel does not tell, or Backstop runs in a sandbox that listens itself";
        return Some(Unlisted { count: None, why: why.to_owned() });
    }
    let too_many = format!("over {MOST}, or over {BYTES} bytes of them, in one run");
    let not_seen = "they could not be looked at, and may have come to nothing";
    let why = match (more, unseen) {
        (0, 0) => return None,
        (_, 0) => too_many,
        (0, _) => not_seen.to_owned(),
        (..) => format!("{too_many}; {unseen} of them: {not_seen}"),
    };
    Some(Unlisted { count: Some(more.saturating_add(unseen)), why })
}

/// The digest of the content; none where it is another by now.
fn content(mut file: File, expected: &Version) -> Option<Digest> {
    let (mut hasher, mut part) = (ContentHasher::default(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(n) => hasher.update(&part[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    file.metadata().is_ok_and(|now| Version::of(&now) == *expected).then(|| hasher.finish())
}

/// The process of a thread, and how many threads that has. A name in what is read may be of any bytes.
fn threads_of(thread: i32) -> io::Result<(i32, u32)> {
    let mut text = Vec::with_capacity(4096);
    File::open(proc::place(thread).join("status"))?.read_to_end(&mut text)?;
    let value = |name: &[u8]| {
        let line = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(name))?;
        std::str::from_utf8(line).ok()?.trim().parse::<u32>().ok()
    };
    let both = value(b"Tgid:").zip(value(b"Threads:"));
    both.map(|(process, threads)| (process.cast_signed(), threads)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
