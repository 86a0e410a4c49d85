//! Counts what lies beneath a directory: entries, bytes, owners, ages, who has what open, what
//! changed since a moment, and one digest over it all. O(tree), several threads, little memory.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;

use backstop_core::bytes::Bytes;
use backstop_core::digest::{ContentHasher, Digest};
use backstop_core::effect::Tally;
use backstop_core::time::Timestamp;
use backstop_sys::fs::{Stat, open_dir_read, read_dir, stat_at};

use super::openers::Openers;

/// Below so many entries one thread is faster than starting more.
const ALONE: u64 = 4_000;

/// How many paths are named of what changed, and of what is shut; any one is a conflict.
const NAMED: usize = 8;

/// What to count.
pub(crate) struct Count<'a> {
    /// The directory whose inside is counted.
    pub dir: BorrowedFd<'a>,
    /// Its absolute path, for messages.
    pub path: &'a Bytes,
    /// Absolute paths beneath that do not belong to it any more (they move elsewhere).
    pub skip: &'a HashSet<Bytes>,
    /// Who has files open.
    pub openers: &'a Openers,
    /// Entries that somebody else changed are named.
    pub foreign: &'a (dyn Fn(&Stat) -> bool + Sync),
    /// Which of the directories that can't be looked into are noted, by inode and change time (of itself, or
    /// of who may look into it).
    pub shut: &'a (dyn Fn(u64, Timestamp) -> bool + Sync),
    /// Counts entries as they come, for a progress line.
    pub progress: &'a AtomicU64,
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Counted {
    /// The sums.
    pub tally: Tally,
    /// Some of the entries that changed since, if any did.
    pub changed: Vec<Bytes>,
    /// Some of the directories that can't be looked into and are noted; nothing beneath them counts.
    pub denied: Vec<Bytes>,
    /// How many more there are.
    pub denied_more: u64,
    /// Who has how many of them open.
    pub open: HashMap<u32, (u64, bool)>,
}

impl Counted {
    fn deny(&mut self, path: impl FnOnce() -> Bytes) {
        if self.denied.len() < NAMED {
            self.denied.push(path());
        } else {
            self.denied_more += 1;
        }
    }
}

#[derive(Default)]
struct Part {
    counted: Counted,
    dirs: Vec<Digest>,
}

/// So many directories may be held open for what lies beneath them.
const NEAR: usize = 192;
/// So many at most, the further ones only where the way to their children would be long.
const MOST: usize = 384;
/// What is a long way, in levels.
const FAR: usize = 64;

/// A directory that is held open, and counted as such.
struct Held {
    fd: OwnedFd,
    held: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A directory that is to be counted.
struct Todo {
    /// The directory its way begins at: one above it that is held open, or the top.
    from: Option<Arc<Held>>,
    /// How much of the end of its path is the way from there, in bytes and in levels.
    way: (usize, usize),
    /// Its path below the top.
    path: Vec<u8>,
    /// Its inode and change time; nothing of the top.
    seen: (u64, Timestamp),
    /// Stands for the path in the digest: over the parent's and the name, since hashing every path of
    /// a deep tree would take longer than all the rest.
    id: Digest,
}

impl Todo {
    fn top() -> Self {
        let seen = (0, Timestamp::default());
        Self { from: None, way: (0, 0), path: Vec::new(), seen, id: Digest::of("backstop tally path v1", &[]) }
    }

    fn child(&self, name: &[u8], seen: (u64, Timestamp), from: Option<&Arc<Held>>) -> Self {
        let mut path = Vec::with_capacity(self.path.len() + 1 + name.len());
        path.extend_from_slice(&self.path);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let id = Digest::of("backstop tally path v1", &[&self.id.0, name]);
        match from {
            Some(held) => Self { from: Some(Arc::clone(held)), way: (name.len(), 1), path, seen, id },
            None => {
                let slash = usize::from(self.way.0 > 0);
                let way = (self.way.0 + slash + name.len(), self.way.1 + 1);
                Self { from: self.from.clone(), way, path, seen, id }
            }
        }
    }
}

struct Queue {
    dirs: Vec<Todo>,
    busy: usize,
    error: Option<io::Error>,
}

/// A panic in another thread has already ended the count; its lock's data are not relied on.
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Count<'_> {
    /// Counts.
    pub fn run(&self) -> io::Result<Counted> {
        let held = Arc::new(AtomicUsize::new(0));
        let linked = Mutex::new(HashSet::new());
        let mut first = Part::default();
        let mut dirs = vec![Todo::top()];
        let mut seen = 0;
        while let Some(dir) = dirs.pop() {
            seen += self.list(dir, &mut first, &mut dirs, &linked, &held)?;
            if seen > ALONE && !dirs.is_empty() {
                break;
            }
        }
        let mut parts = vec![first];
        if !dirs.is_empty() {
            parts.extend(self.together(dirs, &linked, &held)?);
        }
        let mut all = Counted::default();
        let mut digests = Vec::new();
        for part in parts {
            all.tally.add(&part.counted.tally);
            all.changed.extend(part.counted.changed);
            all.changed.truncate(NAMED);
            all.denied_more += part.counted.denied_more;
            for path in part.counted.denied {
                all.deny(|| path);
            }
            for (process, (files, writing)) in part.counted.open {
                let count = all.open.entry(process).or_default();
                count.0 += files;
                count.1 |= writing;
            }
            digests.extend(part.dirs);
        }
        // Threads finish in any order; sorted, the set of directory digests has one spelling.
        digests.sort_unstable();
        let parts: Vec<&[u8]> = digests.iter().map(|d| &d.0[..]).collect();
        all.tally.digest = Some(Digest::of("backstop tally v2", &parts));
        Ok(all)
    }

    fn together(
        &self,
        dirs: Vec<Todo>,
        linked: &Mutex<HashSet<(u64, u64)>>,
        held: &Arc<AtomicUsize>,
    ) -> io::Result<Vec<Part>> {
        let queue = Mutex::new(Queue { dirs, busy: 0, error: None });
        let wake = Condvar::new();
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
        let parts = std::thread::scope(|scope| {
            let handles: Vec<_> =
                (0..workers).map(|_| scope.spawn(|| self.work(&queue, &wake, linked, held))).collect();
            handles.into_iter().map(ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
        });
        match queue.into_inner().unwrap_or_else(PoisonError::into_inner).error {
            Some(error) => Err(error),
            // What one thread had counted is lost with it, and less than all must not pass for all.
            None => parts.map_err(|_| io::Error::other("a thread that counts panicked")),
        }
    }

    fn work(
        &self,
        queue: &Mutex<Queue>,
        wake: &Condvar,
        linked: &Mutex<HashSet<(u64, u64)>>,
        held: &Arc<AtomicUsize>,
    ) -> Part {
        let mut part = Part::default();
        let mut q = lock(queue);
        loop {
            if q.error.is_some() {
                break;
            }
            let Some(dir) = q.dirs.pop() else {
                if q.busy == 0 {
                    break;
                }
                q = wake.wait(q).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            q.busy += 1;
            drop(q);
            let mut below = Vec::new();
            // A panic is an error of the count: else the others would wait for what never comes.
            let list = AssertUnwindSafe(|| self.list(dir, &mut part, &mut below, linked, held));
            let result = catch_unwind(list).unwrap_or_else(|_| Err(io::Error::other("a thread that counts panicked")));
            q = lock(queue);
            q.busy -= 1;
            q.dirs.append(&mut below);
            if let Err(error) = result {
                q.error = Some(error);
            }
            wake.notify_all();
        }
        wake.notify_all();
        part
    }

    /// Counts one directory's own entries; directories in it go to `below`.
    fn list(
        &self,
        dir: Todo,
        part: &mut Part,
        below: &mut Vec<Todo>,
        linked: &Mutex<HashSet<(u64, u64)>>,
        held: &Arc<AtomicUsize>,
    ) -> io::Result<u64> {
        let from = dir.from.as_ref().map_or(self.dir, |held| held.fd.as_fd());
        let here = Bytes::from(dir.path.as_slice());
        let denied = |part: &mut Part| {
            let (ino, ctime) = dir.seen;
            if (self.shut)(ino, ctime) {
                part.counted.deny(|| self.path.join(here.as_slice()));
            }
        };
        let is_denied = |e: &io::Error| e.kind() == io::ErrorKind::PermissionDenied && !here.is_empty();
        let handle = match open_dir_read(from, &dir.path[dir.path.len() - dir.way.0..]) {
            Err(e) if is_denied(&e) => {
                denied(part);
                return Ok(0);
            }
            other => other?,
        };
        let mut hasher = ContentHasher::default();
        hasher.update(&dir.id.0);
        let mut entries = 0;
        let mut names: Vec<(Vec<u8>, (u64, Timestamp))> = Vec::new();
        // In the file system's own order, which stays the same while the directory does: sorting a
        // directory of a million names would need them all in memory.
        let read = read_dir::<io::Error>(handle.as_fd(), |e| {
            let Some(stat) = stat_at(handle.as_fd(), e.name)? else { return Ok(()) };
            let full = || self.path.join(here.join(e.name).as_slice());
            if !self.skip.is_empty() && self.skip.contains(&full()) {
                return Ok(());
            }
            entries += 1;
            hash_entry(&mut hasher, e.name, &stat);
            self.count(&stat, part, linked, full);
            if stat.is_dir() {
                names.push((e.name.to_vec(), (stat.ino, Timestamp::from(stat.ctime))));
            }
            Ok(())
        });
        match read {
            // It may be listed, but not looked into.
            Err(e) if is_denied(&e) => denied(part),
            other => other?,
        }
        part.dirs.push(hasher.finish());
        // Opened from its parent, each directory costs one step, however deep it lies.
        let keep = match held.load(Ordering::Relaxed) {
            n if n < NEAR => !names.is_empty(),
            n if n < MOST => !names.is_empty() && dir.way.1 >= FAR,
            _ => false,
        };
        let parent = keep.then(|| {
            held.fetch_add(1, Ordering::Relaxed);
            Arc::new(Held { fd: handle, held: Arc::clone(held) })
        });
        below.extend(names.iter().map(|(name, seen)| dir.child(name, *seen, parent.as_ref())));
        self.progress.fetch_add(entries, Ordering::Relaxed);
        Ok(entries)
    }

    fn count(&self, stat: &Stat, part: &mut Part, linked: &Mutex<HashSet<(u64, u64)>>, full: impl Fn() -> Bytes) {
        let counted = &mut part.counted;
        let tally = &mut counted.tally;
        match stat {
            s if s.is_file() => {
                tally.files += 1;
                let further = s.nlink > 1 && !lock(linked).insert((s.dev, s.ino));
                if !further {
                    tally.bytes += s.size;
                }
                let mtime = Timestamp::from(s.mtime);
                tally.oldest = Some(tally.oldest.map_or(mtime, |o| o.min(mtime)));
                tally.newest = Some(tally.newest.map_or(mtime, |n| n.max(mtime)));
                tally.note_big(s.size, &full);
            }
            s if s.is_dir() => tally.dirs += 1,
            _ => tally.others += 1,
        }
        *tally.owners.entry(stat.uid).or_default() += 1;
        self.openers.note(stat.dev, stat.ino, &mut counted.open);
        // Asked of every entry: who asks may collect them.
        if (self.foreign)(stat) && counted.changed.len() < NAMED {
            counted.changed.push(full());
        }
    }
}

fn hash_entry(hasher: &mut ContentHasher, name: &[u8], s: &Stat) {
    let mut fixed = [0; 64];
    let fields: [u64; 8] = [
        name.len() as u64,
        u64::from(s.mode) << 32 | u64::from(s.nlink),
        s.ino,
        s.size,
        u64::from(s.uid) << 32 | u64::from(s.gid),
        s.mtime.0 as u64,
        s.ctime.0 as u64,
        u64::from(s.mtime.1) << 32 | u64::from(s.ctime.1),
    ];
    for (at, field) in fixed.chunks_exact_mut(8).zip(fields) {
        at.copy_from_slice(&field.to_le_bytes());
    }
    hasher.update(&fixed);
    hasher.update(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstop_sys::fs::open_root;
    use std::fs;

    fn count(dir: &std::path::Path, skip: &HashSet<Bytes>) -> Counted {
        let root = open_root(dir).expect("a directory");
        let path = Bytes::from(dir);
        let (openers, progress) = (Openers::default(), AtomicU64::new(0));
        let count = Count {
            dir: root.as_fd(),
            path: &path,
            skip,
            openers: &openers,
            foreign: &|_| false,
            shut: &|_, _| true,
            progress: &progress,
        };
        count.run().expect("countable")
    }

    #[test]
    fn of_many_that_are_shut_some_are_named_and_the_others_counted() {
        let mut counted = Counted::default();
        for n in 0..NAMED + 12 {
            counted.deny(|| Bytes::from(format!("/d{n}").as_str()));
        }
        assert_eq!((counted.denied.len(), counted.denied_more), (NAMED, 12));
        assert_eq!(counted.denied[0], Bytes::from("/d0"));
    }

    #[test]
    fn many_threads_count_what_one_counts() {
        let dir = tempfile::tempdir().expect("a temp dir");
        for d in 0..60 {
            let sub = dir.path().join(format!("d{d}/e"));
            fs::create_dir_all(&sub).expect("a directory");
            for f in 0..100 {
                fs::write(sub.join(format!("f{f}")), vec![b'x'; f]).expect("a file");
            }
        }
        fs::hard_link(dir.path().join("d0/e/f99"), dir.path().join("again")).expect("a link");
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).expect("a symlink");
        let none = HashSet::new();
        let all = count(dir.path(), &none);
        assert_eq!((all.tally.files, all.tally.dirs, all.tally.others), (6_001, 120, 1));
        assert_eq!(all.tally.bytes, 60 * (0..100).sum::<u64>(), "a further link adds no bytes");
        assert_eq!(all.tally.biggest.len(), Tally::BIGGEST);
        assert_eq!(all.tally.biggest[0].size, 99);
        assert_eq!(count(dir.path(), &none).tally.digest, all.tally.digest, "the digest does not depend on threads");
        fs::write(dir.path().join("d7/e/f3"), b"xxx").expect("a change of time only");
        assert_ne!(count(dir.path(), &none).tally.digest, all.tally.digest);
        let skip = HashSet::from([Bytes::from(dir.path().join("d1"))]);
        assert_eq!(count(dir.path(), &skip).tally.files, 5_901, "what moves away is not counted");
    }

    #[test]
    fn a_count_that_panics_is_an_error_and_not_less() {
        let dir = tempfile::tempdir().expect("a temp dir");
        for d in 0..50 {
            fs::create_dir(dir.path().join(format!("d{d}"))).expect("a directory");
            for f in 0..100 {
                fs::write(dir.path().join(format!("d{d}/f{f}")), "").expect("a file");
            }
        }
        let root = open_root(dir.path()).expect("a directory");
        let (path, openers) = (Bytes::from(dir.path()), Openers::default());
        let (progress, skip) = (AtomicU64::new(0), HashSet::new());
        let asked = AtomicU64::new(0);
        let foreign = |_: &Stat| {
            assert!(asked.fetch_add(1, Ordering::Relaxed) < ALONE + 500, "on purpose");
            false
        };
        let count = Count {
            dir: root.as_fd(),
            path: &path,
            skip: &skip,
            openers: &openers,
            foreign: &foreign,
            shut: &|_, _| true,
            progress: &progress,
        };
        assert!(count.run().is_err_and(|e| e.to_string().contains("panicked")));
    }

    #[test]
    fn a_deep_tree_is_counted_from_level_to_level_with_few_open_directories() {
        const LEVELS: u64 = 6_000;
        let dir = tempfile::tempdir().expect("a temp dir");
        let mut here = open_root(dir.path()).expect("a directory");
        for _ in 0..LEVELS {
            // Two on each level, so that one of them always waits.
            for name in [b"a", b"b"] {
                backstop_sys::fs::make_dir(here.as_fd(), name, 0o700).expect("a directory");
            }
            here = open_dir_read(here.as_fd(), b"b").expect("opened");
        }
        let start = std::time::Instant::now();
        let all = count(dir.path(), &HashSet::new());
        assert_eq!(all.tally.dirs, 2 * LEVELS);
        assert!(start.elapsed().as_secs() < 20, "it took {:?}", start.elapsed());
        assert_eq!(count(dir.path(), &HashSet::new()).tally.digest, all.tally.digest, "in whatever order");
        backstop_sys::fs::remove_tree(open_root(dir.path()).expect("a directory").as_fd(), b"b").expect("removed");
    }
}
