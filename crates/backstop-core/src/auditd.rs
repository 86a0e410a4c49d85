//! What the kernel's audit saw (auditd, <https://man7.org/linux/man-pages/man8/auditd.8.html>), beside what runs started:
//! a program of an agent's account that no run explains was started past Backstop. Reads lines and entries; never a file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::audit::{Body, Entry};
use crate::bytes::Bytes;
use crate::id::RunId;
use crate::time::Timestamp;

/// By so much the moments of one start may differ: the kernel's is that of the call, ours that of the program's first step.
const CLOSE: i64 = 5;

/// So many halves of events are remembered: their records follow one another, with others in between.
const HALVES: usize = 4_096;

/// A program that was started, as auditd has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// When it was asked for.
    pub at: Timestamp,
    /// Its arguments; none where auditd left them out.
    pub argv: Vec<Bytes>,
    /// Who logged in, if somebody did.
    pub auid: Option<u32>,
    /// Its executable.
    pub exe: Bytes,
    /// Its process.
    pub pid: u32,
    /// The process that it was started from.
    pub parent: u32,
    /// The account that it runs as.
    pub uid: u32,
}

/// Puts events together from the lines of an audit log, `SYSCALL` and `EXECVE` records.
#[derive(Debug, Default)]
pub struct Reader {
    halves: BTreeMap<Stamp, Exec>,
}

/// When, in milliseconds, and the event's number on this start of the machine.
type Stamp = (i64, u64);

impl Reader {
    /// Takes the next line; gives an event where it is whole with it.
    pub fn take(&mut self, line: &[u8]) -> Option<Exec> {
        // Behind this stands what auditd adds for people: the same in names.
        let line = line.split(|b| *b == 0x1d).next().unwrap_or_default();
        let (kind, stamp, rest) = head(line)?;
        match kind {
            b"SYSCALL" => {
                let exec = syscall(stamp, rest)?;
                if self.halves.len() >= HALVES {
                    self.halves.pop_first();
                }
                self.halves.insert(stamp, exec);
                None
            }
            // A long list comes in several; the first is enough to know the program by.
            b"EXECVE" => {
                let mut exec = self.halves.remove(&stamp)?;
                exec.argv = arguments(rest);
                Some(exec)
            }
            _ => None,
        }
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

fn syscall((millis, _): Stamp, rest: &[u8]) -> Option<Exec> {
    let all: HashMap<&[u8], &[u8]> = fields(rest).collect();
    let number = |name: &[u8]| std::str::from_utf8(all.get(name)?).ok()?.parse::<u32>().ok();
    if all.get(&b"success"[..]).is_some_and(|word| *word != b"yes") {
        return None;
    }
    Some(Exec {
        at: Timestamp::new(millis.div_euclid(1_000), millis.rem_euclid(1_000) as u32 * 1_000_000),
        argv: Vec::new(),
        // All ones is nobody.
        auid: number(b"auid").filter(|auid| *auid != u32::MAX),
        exe: text(all.get(&b"exe"[..])?),
        pid: number(b"pid")?,
        parent: number(b"ppid")?,
        uid: number(b"uid")?,
    })
}

/// `argc=2 a0="ls" a1=2F746D70202F…`
fn arguments(rest: &[u8]) -> Vec<Bytes> {
    let is_one = |name: &[u8]| {
        let digits = name.strip_prefix(b"a").unwrap_or_default();
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    fields(rest).filter(|(name, _)| is_one(name)).map(|(_, value)| text(value)).collect()
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

/// What the log says that may explain a program.
#[derive(Debug, Default)]
pub struct Explained {
    /// What runs started, by its process; taken away where auditd saw it as well.
    started: HashMap<u32, Vec<(Timestamp, RunId)>>,
    /// When and as whom runs began.
    requested: HashMap<RunId, (Timestamp, u32)>,
    /// Runs that have said which programs they started.
    told: BTreeSet<RunId>,
    /// Runs that started more than they list: as whom, from when, until when.
    unlisted: Vec<(RunId, u32, Timestamp, Timestamp)>,
    /// Since when programs are on record.
    since: Option<Timestamp>,
}

/// What is to be said of a program that auditd saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A run started it.
    Explained,
    /// Of before programs were put on record.
    Before,
    /// A run was under way, as the same account, that does not list all that it started.
    Perhaps(RunId),
    /// Nothing explains it.
    Unexplained,
}

impl Explained {
    /// Takes the next entry of the log.
    pub fn tell(&mut self, entry: &Entry) {
        match &entry.body {
            Body::RunRequested { run, uid, .. } => {
                self.requested.insert(*run, (entry.at, *uid));
            }
            Body::ExecRan { program, run } => {
                self.on_record(*run);
                self.started.entry(program.pid).or_default().push((program.began, *run));
            }
            Body::ExecUnlisted { run, .. } => {
                self.on_record(*run);
                if let Some((from, uid)) = self.requested.get(run) {
                    self.unlisted.push((*run, *uid, *from, entry.at));
                }
            }
            // What ended without a word of its programs began none.
            body => {
                if let Some(run) = body.run() {
                    self.told.insert(run);
                }
            }
        }
    }

    fn on_record(&mut self, run: RunId) {
        self.told.insert(run);
        if self.since.is_none() {
            self.since = self.requested.get(&run).map(|(at, _)| *at);
        }
    }

    /// Looks for what explains a program; the same never explains two.
    pub fn explains(&mut self, exec: &Exec) -> Verdict {
        let apart = |at: Timestamp| at.seconds_since(exec.at).abs();
        if let Some(all) = self.started.get_mut(&exec.pid) {
            let nearest = (0..all.len()).filter(|n| apart(all[*n].0) <= CLOSE).min_by_key(|n| {
                let (secs, nanos) =
                    (all[*n].0.secs - exec.at.secs, i64::from(all[*n].0.nanos) - i64::from(exec.at.nanos));
                (secs.saturating_mul(1_000_000_000).saturating_add(nanos)).unsigned_abs()
            });
            if let Some(n) = nearest {
                all.swap_remove(n);
                return Verdict::Explained;
            }
        }
        match self.since {
            Some(since) if exec.at >= since => {}
            _ => return Verdict::Before,
        }
        let under_way = self.requested.iter().filter(|(run, _)| !self.told.contains(run));
        let under_way = under_way.map(|(run, (from, uid))| (*run, *uid, *from, Timestamp::new(i64::MAX, 0)));
        let mut perhaps = self.unlisted.iter().copied().chain(under_way);
        let found = perhaps.find(|(_, uid, from, to)| *uid == exec.uid && (*from..=*to).contains(&exec.at));
        found.map_or(Verdict::Unexplained, |(run, ..)| Verdict::Perhaps(run))
    }

    /// How many programs of runs as these accounts, between two moments, nothing was looked for that they would explain.
    pub fn unseen(&self, accounts: &BTreeSet<u32>, (from, to): (Timestamp, Timestamp)) -> u64 {
        let all = self.started.values().flatten();
        let theirs = |run: &RunId| self.requested.get(run).is_some_and(|(_, uid)| accounts.contains(uid));
        all.filter(|(at, run)| (from..=to).contains(at) && theirs(run)).count() as u64
    }
}

#[cfg(test)]
mod tests;
