//! What the kernel's audit saw (auditd, <https://man7.org/linux/man-pages/man8/auditd.8.html>), beside what runs started:
//! a program of an agent's account that no run explains was started past Backstop. Reads lines and entries; never a file.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{Body, Entry};
use crate::bytes::Bytes;
use crate::id::RunId;
use crate::time::Timestamp;

/// By so much the moments of one start may differ: the kernel's is that of the call, ours that of the program's first step.
const CLOSE: i64 = 5;

/// By which our rules' events are known (`backstop install auditd`).
pub const KEY: &str = "backstop-exec";

/// So many halves of events are remembered: their records follow one another, with others in between.
const HALVES: usize = 4_096;

/// A program that was started, as auditd has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who logged in, if somebody did.
    pub auid: Option<u32>,
    /// Its executable, as its own root has it.
    pub exe: Bytes,
    /// The files that it begins with: itself, its interpreter, its loader.
    pub files: Vec<Inode>,
    /// The process that it was started from.
    pub parent: u32,
    /// Its process.
    pub pid: u32,
    /// The account that it runs as.
    pub uid: u32,
}

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode {
    /// Its file system, by the kernel's major and minor number.
    pub device: (u32, u32),
    /// Its number there.
    pub number: u64,
}

/// Puts events together from the lines of an audit log: `SYSCALL`, `EXECVE` and `PATH` records, up to `PROCTITLE`, the last.
#[derive(Debug, Default)]
pub struct Reader {
    halves: BTreeMap<Stamp, Half>,
}

/// When, in milliseconds, and the event's number on this start of the machine.
type Stamp = (i64, u64);

#[derive(Debug)]
struct Half {
    exec: Exec,
    /// True where it is known to be the start of a program.
    starts: bool,
}

impl Reader {
    /// Takes the next line; gives an event where it is whole with it, or where so many others are not that nothing more of it
    /// will come.
    pub fn take(&mut self, line: &[u8]) -> Option<Exec> {
        // Behind this stands what auditd adds for people: the same in names.
        let line = line.split(|b| *b == 0x1d).next().unwrap_or_default();
        let (kind, stamp, rest) = head(line)?;
        match kind {
            b"SYSCALL" => {
                self.halves.insert(stamp, syscall(stamp, rest)?);
                if self.halves.len() <= HALVES {
                    return None;
                }
                self.halves.pop_first().and_then(|(_, half)| half.whole())
            }
            b"EXECVE" => {
                self.halves.get_mut(&stamp)?.starts = true;
                None
            }
            b"PATH" => {
                self.halves.get_mut(&stamp)?.exec.files.extend(inode(rest));
                None
            }
            b"PROCTITLE" => self.halves.remove(&stamp)?.whole(),
            _ => None,
        }
    }

    /// What is left when there are no more lines.
    pub fn rest(self) -> impl Iterator<Item = Exec> {
        self.halves.into_values().filter_map(Half::whole)
    }
}

impl Half {
    /// Of other calls there are events as well.
    fn whole(self) -> Option<Exec> {
        self.starts.then_some(self.exec)
    }
}

/// `[node=NAME ]type=KIND msg=audit(SECONDS.MILLIS:NUMBER): …`
fn head(line: &[u8]) -> Option<(&[u8], Stamp, &[u8])> {
    let line = match line.strip_prefix(b"node=") {
        Some(rest) => &rest[rest.iter().position(|b| *b == b' ')? + 1..],
        None => line,
    };
    let rest = line.strip_prefix(b"type=")?;
    let end = rest.iter().position(|b| *b == b' ')?;
    let (kind, rest) = (&rest[..end], rest[end + 1..].strip_prefix(b"msg=audit(")?);
    let end = rest.iter().position(|b| *b == b')')?;
    let (moment, number) = std::str::from_utf8(&rest[..end]).ok()?.split_once(':')?;
    let (secs, millis) = moment.split_once('.')?;
    let (secs, millis): (i64, i64) = (secs.parse().ok()?, millis.parse().ok()?);
    let at = secs.checked_mul(1_000)?.checked_add(millis)?;
    Some((kind, (at, number.parse().ok()?), &rest[end + 1..]))
}

fn fields(rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    rest.split(|b| *b == b' ').filter_map(|field| {
        let at = field.iter().position(|b| *b == b'=')?;
        Some((&field[..at], &field[at + 1..]))
    })
}

fn syscall((millis, _): Stamp, rest: &[u8]) -> Option<Half> {
    let all: BTreeMap<&[u8], &[u8]> = fields(rest).collect();
    let number = |name: &[u8]| std::str::from_utf8(all.get(name)?).ok()?.parse::<u32>().ok();
    if all.get(&b"success"[..]).is_some_and(|word| *word != b"yes") {
        return None;
    }
    // Our rules' own: also where the record that says so was lost.
    let starts = all.get(&b"key"[..]).is_some_and(|key| *key == format!("\"{KEY}\"").as_bytes());
    let exec = Exec {
        at: Timestamp::new(millis.div_euclid(1_000), millis.rem_euclid(1_000) as u32 * 1_000_000),
        // All ones is nobody.
        auid: number(b"auid").filter(|auid| *auid != u32::MAX),
        exe: text(all.get(&b"exe"[..])?),
        files: Vec::new(),
        pid: number(b"pid")?,
        parent: number(b"ppid")?,
        uid: number(b"uid")?,
    };
    Some(Half { exec, starts })
}

/// `item=0 name="/usr/bin/rm" inode=7 dev=fe:00 mode=…`
fn inode(rest: &[u8]) -> Option<Inode> {
    let value = |name: &[u8]| fields(rest).find(|(n, _)| *n == name).and_then(|(_, v)| std::str::from_utf8(v).ok());
    let (major, minor) = value(b"dev")?.split_once(':')?;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    Some(Inode { device: (hex(major)?, hex(minor)?), number: value(b"inode")?.parse().ok()? })
}

/// In quotes, or in hex digits where something in it would break the line.
fn text(value: &[u8]) -> Bytes {
    if let Some(inner) = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) {
        return Bytes::from(inner);
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let bytes: Option<Vec<u8>> =
        value.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
    bytes.map_or_else(|| Bytes::from(value), Bytes::from)
}

/// What the log says that may explain programs.
#[derive(Debug, Default)]
pub struct Explanations {
    /// What runs started, by its process; taken away where auditd saw it as well.
    started: BTreeMap<u32, Vec<Start>>,
    /// When and as whom runs began.
    requested: BTreeMap<RunId, (Timestamp, u32)>,
    /// Runs that have not said which programs they started, by when they began: as whom.
    open: BTreeMap<(Timestamp, RunId), u32>,
    /// Runs that started more than they list.
    gaps: Vec<Gap>,
    /// Since when programs are on record.
    since: Option<Timestamp>,
}

#[derive(Debug)]
struct Start {
    at: Timestamp,
    as_asked: bool,
    exe: Option<Bytes>,
    run: RunId,
}

/// From the request of a run to the entry that closes it: this many programs of this account may be its own.
#[derive(Debug)]
struct Gap {
    run: RunId,
    uid: u32,
    from: Timestamp,
    to: Timestamp,
    width: Width,
}

/// How many it may have been. In the order in which they are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    /// So many, and no more.
    Counted(u64),
    /// It was cut off before it could say.
    CutOff,
    /// It was not heard of any.
    Untold,
}

/// What is to be said of a program that auditd saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A run started it.
    Explained,
    /// Of before programs were put on record.
    Before,
    /// It may be of this run: one that goes on, was cut off, lists not all, or asked for it where nobody could look.
    Perhaps(RunId),
    /// Nobody can say: this run was not heard of any of its programs.
    Unknown(RunId),
    /// Nothing explains it.
    Unexplained,
}

impl Explanations {
    /// Takes the next entry of the log.
    pub fn tell(&mut self, entry: &Entry) {
        match &entry.body {
            Body::RunRequested { run, uid, .. } => {
                self.requested.insert(*run, (entry.at, *uid));
                self.open.insert((entry.at, *run), *uid);
            }
            Body::ExecRan { program, run } => {
                self.on_record(*run);
                let start =
                    Start { at: program.began, as_asked: program.as_asked, exe: program.exe.clone(), run: *run };
                self.started.entry(program.pid).or_default().push(start);
            }
            Body::ExecUnlisted { run, unlisted } => {
                self.on_record(*run);
                self.gap(*run, entry.at, unlisted.count.map_or(Width::Untold, Width::Counted));
            }
            Body::Recovered { run, .. } if self.is_open(*run) => {
                self.gap(*run, entry.at, Width::CutOff);
                self.close(*run);
            }
            // What ended without a word of its programs began none.
            body => body.run().into_iter().for_each(|run| self.close(run)),
        }
    }

    fn is_open(&self, run: RunId) -> bool {
        self.requested.get(&run).is_some_and(|(at, _)| self.open.contains_key(&(*at, run)))
    }

    fn close(&mut self, run: RunId) {
        if let Some((at, _)) = self.requested.get(&run) {
            self.open.remove(&(*at, run));
        }
    }

    fn on_record(&mut self, run: RunId) {
        self.close(run);
        if self.since.is_none() {
            self.since = self.requested.get(&run).map(|(at, _)| *at);
        }
    }

    fn gap(&mut self, run: RunId, to: Timestamp, width: Width) {
        if let Some((from, uid)) = self.requested.get(&run) {
            self.gaps.push(Gap { run, uid: *uid, from: *from, to, width });
        }
    }

    /// Since when programs are on record; none where no run ever put one there.
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Looks for what explains a program; the same never explains two. What is `expected` is good without.
    pub fn explains(&mut self, exec: &Exec, expected: bool) -> Verdict {
        if let Some(start) = self.start_of(exec) {
            return if start.as_asked { Verdict::Perhaps(start.run) } else { Verdict::Explained };
        }
        if self.since.is_none_or(|since| exec.at < since) {
            return Verdict::Before;
        }
        if expected {
            return Verdict::Explained;
        }
        let fits = |gap: &&mut Gap| {
            gap.uid == exec.uid && (gap.from..=gap.to).contains(&exec.at) && gap.width != Width::Counted(0)
        };
        if let Some(gap) = self.gaps.iter_mut().filter(fits).min_by_key(|gap| (gap.width, gap.from)) {
            return match &mut gap.width {
                Width::Counted(left) => {
                    *left -= 1;
                    Verdict::Perhaps(gap.run)
                }
                Width::CutOff => Verdict::Perhaps(gap.run),
                Width::Untold => Verdict::Unknown(gap.run),
            };
        }
        let begun = self.open.iter().take_while(|((from, _), _)| *from <= exec.at);
        let open = begun.filter(|(_, uid)| **uid == exec.uid).last();
        open.map_or(Verdict::Unexplained, |((_, run), _)| Verdict::Perhaps(*run))
    }

    /// The nearest start of the same process, account and executable.
    fn start_of(&mut self, exec: &Exec) -> Option<Start> {
        let nanos = |at: Timestamp| i128::from(at.secs) * 1_000_000_000 + i128::from(at.nanos);
        let all = self.started.get_mut(&exec.pid)?;
        let requested = &self.requested;
        let fits = |start: &Start| {
            let near = start.at.seconds_since(exec.at).abs() <= CLOSE;
            // Of what was only asked for it is a name: of a link perhaps, or of a script.
            let same = start.as_asked || start.exe.as_ref().is_none_or(|exe| is_same(exe, &exec.exe));
            // What root runs may become anybody.
            let whose = requested.get(&start.run).is_some_and(|(_, uid)| [0, exec.uid].contains(uid));
            near && same && whose
        };
        let apart = |n: &usize| (nanos(all[*n].at) - nanos(exec.at)).unsigned_abs();
        let nearest = (0..all.len()).filter(|n| fits(&all[*n])).min_by_key(apart)?;
        Some(all.swap_remove(nearest))
    }

    /// How many programs of runs as these accounts, between two moments, nothing was looked for that they would explain.
    pub fn unseen(&self, accounts: &BTreeSet<u32>, (from, to): (Timestamp, Timestamp)) -> u64 {
        let all = self.started.values().flatten().filter(|start| !start.as_asked && (from..=to).contains(&start.at));
        let theirs = |run: &RunId| self.requested.get(run).is_some_and(|(_, uid)| accounts.contains(uid));
        all.filter(|start| theirs(&start.run)).count() as u64
    }
}

/// Whether both are the same executable: ours as the view has it, the kernel's as its own root does, which may be a part of that;
/// and removed since, only one of the two may say so.
fn is_same(ours: &Bytes, kernels: &Bytes) -> bool {
    let bare = |path: &Bytes| path.as_slice().strip_suffix(b" (deleted)").unwrap_or(path.as_slice()).to_vec();
    let (ours, kernels) = (bare(ours), bare(kernels));
    kernels.starts_with(b"/") && ours.ends_with(&kernels)
}

#[cfg(test)]
mod tests;
