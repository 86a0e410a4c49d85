//! Compares the log with what auditd saw: which programs of agents' accounts no run explains, and which of runs it did not
//! see. Reads auditd's files; says what it finds as findings about completeness.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use backstop_core::auditd::{Exec, Explanations, Inode, Reader, Verdict};
use backstop_core::bytes::Bytes;
use backstop_core::size;
use backstop_core::time::Timestamp;

use super::AuditError;
use super::verify::Weight;
use crate::clock;

/// A line of auditd's is at most this long (`MAX_AUDIT_MESSAGE_LENGTH` is 8,970); longer ones are none of its.
const LINE: u64 = 64 << 10;

/// So many kinds of programs are named one by one.
const NAMED: usize = 100;

/// What auditd is to be asked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its log, or the directory with its logs; `-` is standard input.
    pub log: PathBuf,
    /// The accounts that agents alone use.
    pub accounts: BTreeSet<u32>,
    /// Numbers that they may become in user namespaces: the first, and how many.
    pub subordinate: Vec<(u32, u32)>,
    /// Executables that nobody minds: Backstop's own, and those that a person starts agents by.
    pub expected: Vec<Expected>,
}

/// An executable that is expected, as it is on this machine. By its path alone anybody could have one, in a root of his own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    path: Bytes,
    inode: Inode,
}

impl Expected {
    /// What is there now, behind all links.
    ///
    /// # Errors
    /// Where nothing is.
    pub fn at(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let now = path.metadata()?;
        let device = backstop_sys::fs::device(now.dev());
        Ok(Self { path: Bytes::from(path), inode: Inode { device, number: now.ino() } })
    }

    fn is(&self, exec: &Exec) -> bool {
        // Some file systems say another number for themselves than the kernel writes down; both have no device then.
        let same = |file: &Inode| {
            let bare = self.inode.device.0 == 0 && file.device.0 == 0;
            file.number == self.inode.number && (bare || file.device == self.inode.device)
        };
        self.path == exec.exe && exec.files.iter().any(same)
    }
}

/// Programs of one executable and one account.
struct Kind {
    count: u64,
    from: Timestamp,
    to: Timestamp,
    example: Exec,
}

/// What there is to say about it, the worst first.
pub(super) fn compare(seen: &Seen, log: &mut Explanations) -> Result<Vec<(Weight, String)>, AuditError> {
    let mut unexplained: BTreeMap<(u32, Bytes), Kind> = BTreeMap::new();
    let mut perhaps: BTreeMap<(String, Weight), u64> = BTreeMap::new();
    let (mut total, mut before, mut span) = (0_u64, 0_u64, None::<(Timestamp, Timestamp)>);
    let accounts = &seen.accounts;
    each(&seen.log, |exec| {
        let whose = [Some(exec.uid), exec.auid].into_iter().flatten().find(|uid| {
            accounts.contains(uid) || seen.subordinate.iter().any(|(first, count)| uid.wrapping_sub(*first) < *count)
        });
        let Some(whose) = whose else { return };
        total += 1;
        span = Some(span.map_or((exec.at, exec.at), |(from, to)| (from.min(exec.at), to.max(exec.at))));
        match log.explains(&exec, seen.expected.iter().any(|expected| expected.is(&exec))) {
            Verdict::Explained => {}
            Verdict::Before => before += 1,
            Verdict::Perhaps(run) => *perhaps.entry((run.to_string(), Weight::Note)).or_default() += 1,
            Verdict::Unknown(run) => *perhaps.entry((run.to_string(), Weight::Unreadable)).or_default() += 1,
            Verdict::Unexplained => {
                let kind = unexplained.entry((whose, exec.exe.clone())).or_insert_with(|| Kind {
                    count: 0,
                    from: exec.at,
                    to: exec.at,
                    example: exec.clone(),
                });
                kind.count += 1;
                (kind.from, kind.to) = (kind.from.min(exec.at), kind.to.max(exec.at));
            }
        }
    })?;
    let mut said = Vec::new();
    let kinds = unexplained.len();
    for ((uid, exe), kind) in unexplained.into_iter().take(NAMED) {
        let times = if kind.count == 1 { String::new() } else { format!(" {} times until {}", kind.count, kind.to) };
        let (at, pid, exe) = (kind.from, kind.example.pid, exe.quoted());
        let what = format!("no run explains that user {uid} started {exe} at {at}{times} (ausearch -p {pid})");
        said.push((Weight::Broken, what));
    }
    if kinds > NAMED {
        let more = size::counted((kinds - NAMED) as u64, "more program", "more programs");
        said.push((Weight::Broken, format!("nor does any explain {more}")));
    }
    for ((run, weight), count) in perhaps {
        let count = size::counted(count, "program", "programs");
        let why = match weight {
            Weight::Note => "goes on, was cut off, does not list all that it started, or was only seen to ask for it",
            _ => "was not heard of any of its programs: nothing can be said",
        };
        said.push((weight, format!("{count} that auditd saw may be of {run}, which {why}")));
    }
    if before > 0 {
        let before = size::counted(before, "program", "programs");
        said.push(match log.since() {
            Some(since) => {
                (Weight::Note, format!("{before} that auditd saw are of before {since}: none was on record then"))
            }
            None => (
                Weight::Unreadable,
                format!("no run has put a program on record here: nothing can be said of {before}"),
            ),
        });
    }
    let names: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    match span {
        Some(span) => {
            let missed = log.unseen(accounts, span);
            if missed > 0 {
                let missed = size::counted(missed, "program", "programs");
                let what = format!(
                    "auditd did not see {missed} of those that runs started from {} to {}: its rules were not loaded, \
                     or it lost them",
                    span.0, span.1
                );
                said.push((Weight::Note, what));
            }
            let total = size::counted(total, "program", "programs");
            let what = format!("auditd saw {total} of users {names}, from {} to {}", span.0, span.1);
            said.push((Weight::Note, what));
        }
        // Nothing can be said by it.
        None => said.push((
            Weight::Broken,
            format!("auditd saw no program of users {names}: its rules are not loaded (backstop install auditd)"),
        )),
    }
    Ok(said)
}

/// Hands on each program that auditd saw started, in its order.
fn each(log: &Path, mut take: impl FnMut(Exec)) -> Result<(), AuditError> {
    let mut reader = Reader::default();
    let mut from = |path: &Path, reader: &mut Reader, mut source: &mut dyn BufRead| {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut source).take(LINE).read_until(b'\n', &mut line);
            match read.map_err(AuditError::io("read", path))? {
                0 => return Ok(()),
                // Half a line is still being written, or is none of auditd's.
                _ => line.strip_suffix(b"\n").and_then(|line| reader.take(line)).into_iter().for_each(&mut take),
            }
        }
    };
    if log.as_os_str() == "-" {
        from(log, &mut reader, &mut io::stdin().lock())?;
        rest(reader).for_each(&mut take);
        return Ok(());
    }
    for path in files(log).map_err(AuditError::io("read", log))? {
        let file = File::open(&path).map_err(AuditError::io("read", &path))?;
        from(&path, &mut reader, &mut BufReader::new(file))?;
    }
    rest(reader).for_each(&mut take);
    Ok(())
}

/// What is left at the end; not what auditd may still be writing.
fn rest(reader: Reader) -> impl Iterator<Item = Exec> {
    const WRITING: i64 = 2;
    let now = clock::now();
    reader.rest().filter(move |exec| now.seconds_since(exec.at) >= WRITING)
}

/// The oldest first: it is renamed with the highest number.
fn files(log: &Path) -> io::Result<Vec<PathBuf>> {
    if !log.is_dir() {
        return Ok(vec![log.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(log)? {
        let name = entry?.file_name();
        let number = match name.to_str() {
            Some("audit.log") => Some(0),
            Some(name) => name.strip_prefix("audit.log.").and_then(|n| n.parse::<u32>().ok()),
            None => None,
        };
        found.extend(number.map(|number| (number, log.join(&name))));
    }
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit.log"));
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(log: &Path) -> Vec<(Weight, String)> {
        let seen = Seen { log: log.to_owned(), accounts: [7].into(), ..Seen::default() };
        compare(&seen, &mut Explanations::default()).expect("it can be read")
    }

    #[test]
    fn where_no_program_was_ever_put_on_record_nothing_can_be_said() {
        let dir = tempfile::tempdir().expect("temp");
        let line = |n: u32| {
            format!(
                "type=SYSCALL msg=audit({n}.000:{n}): success=yes ppid=1 pid=2 auid=3 uid=7 exe=\"/x\" key=\"backstop-exec\"\n"
            )
        };
        // The older first, and what is no such file not at all; half a line is not read.
        std::fs::write(dir.path().join("audit.log"), line(3) + line(4).trim_end()).expect("written");
        std::fs::write(dir.path().join("audit.log.1"), line(2)).expect("written");
        std::fs::write(dir.path().join("audit.log.10"), line(1)).expect("written");
        std::fs::write(dir.path().join("audit.log.old"), line(0)).expect("written");
        let all = said(dir.path());
        assert_eq!(all[0].0, Weight::Unreadable, "{all:?}");
        assert!(
            all[0].1.contains("no run has put a program on record here: nothing can be said of 3 programs"),
            "{all:?}"
        );
        assert!(
            all[1].1.contains("saw 3 programs of users 7, from 1970-01-01T00:00:01Z to 1970-01-01T00:00:03Z"),
            "{all:?}"
        );
        // Nor where nothing was seen at all.
        std::fs::write(dir.path().join("audit.log"), "").expect("emptied");
        assert_eq!(said(&dir.path().join("audit.log"))[0].0, Weight::Broken);
    }
}
