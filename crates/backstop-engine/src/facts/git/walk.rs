//! Takes old and new tips, gives the commits that only the old ones reach. Reads commits through both
//! sides' stores, never the commit graph file, which whoever may write it could let lie; bounded in
//! commits and time.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use super::eyes::Eyes;
use super::oid::Oid;
use super::pack::Sort;
use super::store::{Object, Store};
use super::trouble::Trouble;

/// Longest commit or tag; most are below a kilobyte.
const COMMIT: u64 = 1 << 20;
/// Tags on tags.
const TAGS: usize = 8;
/// Commits looked at beyond the last one that only the old tips reach: clocks of committers differ.
const SLOP: usize = 64;

const OLD: u8 = 1;
const NEW: u8 = 2;

/// What is needed of a commit.
pub(super) struct Commit {
    pub(super) parents: Vec<Oid>,
    time: i64,
    pub(super) tree: Oid,
}

/// What only the old tips reach.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Only {
    pub(super) commits: u64,
    /// True when the walk had to stop before it knew: the number is the best there is.
    pub(super) cut: bool,
}

/// Both stores of a repository, and the commits read so far.
pub(super) struct History<'a> {
    pub(super) after: &'a mut Store,
    pub(super) before: &'a mut Store,
    commits: HashMap<Oid, Rc<Commit>>,
    eyes: &'a Eyes<'a>,
    shallow: HashSet<Oid>,
    spent: Duration,
}

impl<'a> History<'a> {
    /// `shallow` are commits whose parents a shallow clone does not have.
    pub(super) fn new(eyes: &'a Eyes<'a>, before: &'a mut Store, after: &'a mut Store, shallow: HashSet<Oid>) -> Self {
        Self { after, before, commits: HashMap::new(), eyes, shallow, spent: Duration::ZERO }
    }

    /// Reads an object from wherever it is.
    pub(super) fn object(&mut self, oid: &Oid, cap: u64) -> Result<Object, Trouble> {
        if let Some(found) = self.before.read(self.eyes, oid, cap)? {
            return Ok(found);
        }
        self.after.read(self.eyes, oid, cap)?.ok_or_else(|| Trouble::Missing(oid.to_hex()))
    }

    /// The commit that `oid` is, or that a tag stands for; none for a tag of something else.
    pub(super) fn peel(&mut self, mut oid: Oid) -> Result<Option<Oid>, Trouble> {
        for _ in 0..TAGS {
            if self.commits.contains_key(&oid) {
                return Ok(Some(oid));
            }
            let (sort, text) = self.object(&oid, COMMIT)?;
            match sort {
                Sort::Commit => return Ok(Some(oid)),
                Sort::Tag => {
                    let to = text.strip_prefix(b"object ").and_then(|t| t.split(|&b| b == b'\n').next());
                    oid = to.and_then(Oid::hex).ok_or(Trouble::Unsupported("a damaged tag"))?;
                }
                Sort::Tree | Sort::Blob => return Ok(None),
            }
        }
        Err(Trouble::Budget("tags of tags"))
    }

    /// Reads a commit.
    pub(super) fn commit(&mut self, oid: &Oid) -> Result<Rc<Commit>, Trouble> {
        if let Some(commit) = self.commits.get(oid) {
            return Ok(Rc::clone(commit));
        }
        let (sort, text) = self.object(oid, COMMIT)?;
        let mut commit =
            (sort == Sort::Commit).then(|| parse(&text)).flatten().ok_or(Trouble::Unsupported("a damaged commit"))?;
        if self.shallow.contains(oid) {
            commit.parents.clear();
        }
        let commit = Rc::new(commit);
        self.commits.insert(*oid, Rc::clone(&commit));
        Ok(commit)
    }

    /// Counts the commits that `old` reach and `new` don't.
    pub(super) fn only(&mut self, old: &[Oid], new: &[Oid]) -> Result<Only, Trouble> {
        let began = self.eyes.computed();
        let result = self.paint(old, new, began);
        self.spent += self.eyes.computed().saturating_sub(began);
        result
    }

    fn paint(&mut self, old: &[Oid], new: &[Oid], began: Duration) -> Result<Only, Trouble> {
        let mut canvas = Canvas::default();
        for (tips, colour) in [(old, OLD), (new, NEW)] {
            for tip in tips {
                if let Some(commit) = self.peel(*tip)? {
                    let time = self.commit(&commit)?.time;
                    canvas.mark(commit, time, colour);
                }
            }
        }
        let mut slop = SLOP;
        let (mut cut, mut steps) = (false, 0_u32);
        while let Some((oid, colour)) = canvas.pop() {
            if canvas.open == 0 && colour != OLD {
                slop -= 1;
                if slop == 0 {
                    break;
                }
            }
            steps += 1;
            // The clock is not asked each time: it costs as much as a commit.
            let late = steps % 64 == 0
                && (self.spent + self.eyes.computed().saturating_sub(began) > self.eyes.limits.walk
                    || self.eyes.late());
            if self.commits.len() > self.eyes.limits.commits || late {
                cut = canvas.open > 0;
                break;
            }
            let commit = self.commit(&oid)?;
            for parent in &commit.parents {
                let time = self.commit(parent)?.time;
                canvas.mark(*parent, time, colour);
            }
        }
        let commits = canvas.colours.values().filter(|c| **c == OLD).count() as u64;
        Ok(Only { commits, cut })
    }
}

/// Which commits have which colour, and which are still to be looked at, the youngest first.
#[derive(Default)]
struct Canvas {
    colours: HashMap<Oid, u8>,
    /// Commits in the queue that only old tips reach, as far as is known.
    open: usize,
    queue: BinaryHeap<(i64, Oid)>,
    queued: HashSet<Oid>,
}

impl Canvas {
    fn mark(&mut self, oid: Oid, time: i64, colour: u8) {
        let had = self.colours.entry(oid).or_default();
        let (before, now) = (*had, *had | colour);
        if before == now {
            return;
        }
        *had = now;
        if self.queued.insert(oid) {
            // Seen before with fewer colours: its ancestors must learn of the new one.
            self.queue.push((time, oid));
            self.open += usize::from(now == OLD);
        } else if before == OLD {
            self.open -= 1;
        }
    }

    fn pop(&mut self) -> Option<(Oid, u8)> {
        let (_, oid) = self.queue.pop()?;
        self.queued.remove(&oid);
        let colour = self.colours.get(&oid).copied().unwrap_or_default();
        self.open -= usize::from(colour == OLD);
        Some((oid, colour))
    }
}

fn parse(text: &[u8]) -> Option<Commit> {
    let mut lines = text.split(|&b| b == b'\n');
    let tree = lines.next()?.strip_prefix(b"tree ").and_then(Oid::hex)?;
    let mut parents = Vec::new();
    for line in lines {
        if let Some(parent) = line.strip_prefix(b"parent ") {
            parents.push(Oid::hex(parent)?);
        } else if let Some(who) = line.strip_prefix(b"committer ") {
            let time = who.rsplit(|&b| b == b' ').nth(1)?;
            // A senseless time changes the order of the walk, not what it finds.
            let time = std::str::from_utf8(time).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
            return Some(Commit { parents, time, tree });
        } else if line.is_empty() {
            break;
        }
    }
    Some(Commit { parents, time: 0, tree })
}
