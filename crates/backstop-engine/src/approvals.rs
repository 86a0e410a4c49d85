//! Requests for approval on the disk: for each a directory with what was asked, the text that people are shown,
//! the statements that were prepared, the votes, and the phase. Statements and votes are only ever added. Those that
//! have ended lie elsewhere, so that what waits is found as fast after ten thousand of them as after one.
//! Knows names and durability; what counts is decided in core.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use backstop_core::approval::ballot::{Ballot, Question, Refusal, Vote};
use backstop_core::approval::life::{JUMP, Phase};
use backstop_core::approval::people::People;
use backstop_core::approval::quorum::Terms;
use backstop_core::approval::statement::{FRESH, Nonce, Statement, Word};
use backstop_core::audit::Clocks;
use backstop_core::canon;
use backstop_core::digest::Digest;
use backstop_core::time::Timestamp;
use backstop_sys::fs as sys;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::failure::Failure;
use crate::fault;
use crate::store::Store;

/// The directory of the requests that have not ended, below the state directory.
const REQUESTS: &str = "approvals";
/// Of those that have.
const ENDED: &str = "approvals-ended";
/// The trust store, in the state directory.
const PEOPLE: &str = "people.json";
/// The next one, until the log says that it is in force.
const NEXT: &str = "people.next.json";

const ASKED: &str = "asked.json";
const DISPLAY: &str = "display.txt";
const ISSUED: &str = "issued.jsonl";
const VOTES: &str = "votes.jsonl";
const PHASE: &str = "phase.json";

/// The newest version of `asked.json` that is known here.
const NEWEST: u32 = 2;
/// One that is asked on no terms but its quorum is as those of the first version are.
const PLAIN: u32 = 1;

/// So many statements are prepared for one request; whoever needs more is no person.
const MOST_ISSUED: usize = 1_000;

/// By what a jump of the wall clock, or a new start of the machine, is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    /// The kernel's name for this start of the machine.
    boot: String,
    /// The wall clock less the seconds since the start.
    start: i64,
}

impl Anchor {
    fn now(now: Timestamp) -> Result<Self, Failure> {
        let Clocks { boot, up, .. } = clock::clocks()?;
        Ok(Self { boot, start: now.secs.saturating_sub_unsigned(up) })
    }

    fn holds(&self, now: Timestamp) -> Result<bool, Failure> {
        let today = Self::now(now)?;
        Ok(today.boot == self.boot && (today.start - self.start).abs() <= JUMP)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    anchor: Anchor,
    asked_at: Timestamp,
    question: Question,
    version: u32,
}

/// One request, open.
#[derive(Debug)]
pub(crate) struct Request {
    path: PathBuf,
    dir: OwnedFd,
    asked: Asked,
    issued: Vec<String>,
    /// The votes.
    pub ballot: Ballot,
    /// Where it is in its life, as it was written last.
    pub phase: Phase,
}

fn failed<'p>(what: &str, path: &'p Path) -> impl Fn(io::Error) -> Failure + use<'p> {
    let what = what.to_owned();
    move |e| Failure::because(format!("cannot {what} {}", path.display()), &e)
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::internal(format!("{} is damaged: {why}", path.display()))
        .next("the audit log still has what was asked and decided: backstop log")
}

/// Who may approve; none where nobody was ever enrolled.
pub(crate) fn people(store: &Store) -> Result<Option<People>, Failure> {
    let path = store.path().join(PEOPLE);
    match read_people(&path)? {
        // People have been asked here: they were not nobody.
        None if store.path().join(REQUESTS).exists() => {
            Err(Failure::internal(format!("who may approve can't be told: {} is missing", path.display()))
                .next("bring it back from where the state directory was copied; the audit log has what was in it"))
        }
        people => Ok(people),
    }
}

fn read_people(path: &Path) -> Result<Option<People>, Failure> {
    match fs::read(path) {
        Ok(bytes) => People::parse(&bytes).map(Some).map_err(|why| {
            Failure::internal(format!("who may approve can't be told: {} makes no sense: {why}", path.display()))
                .next("every change of it is in the audit log: backstop log; find out who wrote to it")
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", path)(e)),
    }
}

/// The trust store beside the audit log `dir`, by its digest, and the one that is staged, as after a crash; none
/// where that is a copy of a log, with no state directory around it.
pub(crate) fn people_in(dir: &Path) -> Vec<Result<Option<Digest>, String>> {
    let Some(state) = dir.parent().filter(|state| state.join("runs").is_dir()) else { return Vec::new() };
    let digest = |name: &str| {
        let people = read_people(&state.join(name));
        people.map(|p| p.map(|p| p.digest())).map_err(|failure| failure.what)
    };
    let staged = Some(digest(NEXT)).filter(|next| matches!(next, Ok(Some(_))));
    std::iter::once(digest(PEOPLE)).chain(staged).collect()
}

/// Keeps who is to approve from now on, durably, beside who does: [`settle_people`] puts it in force.
pub(crate) fn stage_people(store: &Store, people: &People) -> Result<(), Failure> {
    Ok(store.write_own(NEXT, people)?)
}

/// The trust store that is staged, if one is.
pub(crate) fn staged_people(store: &Store) -> Result<Option<People>, Failure> {
    read_people(&store.path().join(NEXT))
}

/// Puts the staged trust store in force, or takes it away.
pub(crate) fn settle_people(store: &Store, in_force: bool) -> Result<(), Failure> {
    let (next, now) = (store.path().join(NEXT), store.path().join(PEOPLE));
    fault::point("approvals.people").map_err(failed("settle", &next))?;
    if in_force {
        fs::rename(&next, &now).map_err(failed("put in force", &next))?;
    } else {
        fs::remove_file(&next).map_err(failed("remove", &next))?;
    }
    Ok(store.sync()?)
}

/// The requests that may wait, in no order.
pub(crate) fn open(store: &Store) -> Result<Vec<Digest>, Failure> {
    listed(&store.path().join(REQUESTS))
}

/// All requests there are, in no order.
pub(crate) fn all(store: &Store) -> Result<Vec<Digest>, Failure> {
    // In this order: one that ends meanwhile is there twice, and not missing.
    let mut all = open(store)?;
    all.extend(listed(&store.path().join(ENDED))?);
    all.sort();
    all.dedup();
    Ok(all)
}

fn listed(path: &Path) -> Result<Vec<Digest>, Failure> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("list", path))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("list", path))?.file_name();
        found.extend(name.to_str().and_then(|name| Digest::parse(&format!("sha256:{name}"))));
    }
    Ok(found)
}

impl Request {
    /// Makes a request ready, durably. It is there once it is [published](Self::publish).
    pub fn make(store: &Store, question: Question, display: &str, now: Timestamp) -> Result<Self, Failure> {
        let name = question.request.hex();
        let path = store.path().join(REQUESTS).join(&name);
        if path.join(ASKED).exists() || store.path().join(ENDED).join(&name).exists() {
            return Err(Failure::internal(format!("{} was asked already", path.display())));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed("make", &path))?;
        let dir = sys::open_root(&path).map_err(failed("open", &path))?;
        let version = if question.terms == Terms::default() { PLAIN } else { NEWEST };
        let asked = Asked { anchor: Anchor::now(now)?, asked_at: now, question, version };
        let ballot = Ballot::new(asked.question.clone());
        let request = Self { path, dir, asked, issued: Vec::new(), ballot, phase: Phase::Pending };
        request.write(DISPLAY, display.as_bytes())?;
        request.write(PHASE, &canon::line(&request.phase))?;
        Ok(request)
    }

    /// From now on it is there, whole.
    pub fn publish(&self) -> Result<(), Failure> {
        self.write(ASKED, &canon::line(&self.asked))
    }

    /// Whether people can still decide on a request, by what was written last: of those that have ended nothing
    /// more has to be read.
    pub fn waits(store: &Store, request: Digest) -> Result<bool, Failure> {
        let path = store.path().join(REQUESTS).join(request.hex());
        let Some(dir) = opened(&path)? else { return Ok(false) };
        Ok(read_phase(&dir, &path)?.is_some_and(Phase::waits))
    }

    /// A request that was asked; none where there is no such.
    pub fn load(store: &Store, request: Digest) -> Result<Option<Self>, Failure> {
        for place in [REQUESTS, ENDED] {
            let path = store.path().join(place).join(request.hex());
            if let Some(dir) = opened(&path)?
                && let Some(found) = Self::read(dir, path, request)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// By the handle, so that it is whole also where it ends and is moved meanwhile.
    fn read(dir: OwnedFd, path: PathBuf, request: Digest) -> Result<Option<Self>, Failure> {
        let Some(asked) = read(&dir, &path, ASKED)? else { return Ok(None) };
        let asked: Asked = serde_json::from_slice(&asked).map_err(|e| damaged(&path.join(ASKED), &e.to_string()))?;
        if !(PLAIN..=NEWEST).contains(&asked.version) {
            let what = format!("{} is of version {}", path.join(ASKED).display(), asked.version);
            return Err(Failure::internal(what).next("use the Backstop that wrote it"));
        }
        let phase = read_phase(&dir, &path)?.ok_or_else(|| damaged(&path.join(PHASE), "it is gone"))?;
        // In this order: what is prepared and voted on in between is then missing whole, not by half.
        let votes: Vec<Vote> = read_lines(&dir, &path, VOTES)?;
        let issued: Vec<String> = read_lines(&dir, &path, ISSUED)?;
        let ballot = Ballot::restore(asked.question.clone(), &issued, votes).map_err(|why| damaged(&path, &why))?;
        if ballot.question().request != request {
            return Err(damaged(&path, "it is another request than its name says"));
        }
        Ok(Some(Self { path, dir, asked, issued, ballot, phase }))
    }

    /// When it was asked.
    pub const fn asked_at(&self) -> Timestamp {
        self.asked.asked_at
    }

    /// What was asked.
    pub const fn question(&self) -> &Question {
        self.ballot.question()
    }

    /// The text that approvers are shown.
    pub fn display(&self) -> Result<String, Failure> {
        let path = self.path.join(DISPLAY);
        let bytes = read(&self.dir, &self.path, DISPLAY)?.unwrap_or_default();
        match String::from_utf8(bytes) {
            Ok(text) if Digest::of_content(text.as_bytes()) == self.question().display => Ok(text),
            _ => Err(damaged(&path, "it is not the text that belongs to the request")),
        }
    }

    /// True where the clocks go on as they did when it was asked.
    pub fn time_holds(&self, now: Timestamp) -> Result<bool, Failure> {
        self.asked.anchor.holds(now)
    }

    /// Prepares a statement, and remembers that.
    pub fn prepare(
        &mut self,
        word: impl Into<Word>,
        person: &str,
        credential: &str,
        now: Timestamp,
    ) -> Result<Statement, Failure> {
        // Older ones are good for nothing any more; so nobody keeps others from it for ever.
        let fresh = |text: &&String| {
            Statement::parse(text).is_ok_and(|s| now.seconds_since(s.prepared_at) <= FRESH && s.prepared_at <= now)
        };
        if self.issued.iter().rev().filter(fresh).count() >= MOST_ISSUED {
            let what = format!("{MOST_ISSUED} statements were prepared for it within ten minutes");
            return Err(Failure::internal(what).next("sign one of them, or try again in ten minutes"));
        }
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|e| Failure::because("cannot draw a nonce", &e))?;
        let statement = self.ballot.prepare(word, person, credential, Nonce(nonce), now);
        self.append(ISSUED, &statement.text())?;
        self.issued.push(statement.text());
        Ok(statement)
    }

    /// Takes a signed statement as a vote, and keeps it.
    pub fn vote(
        &mut self,
        text: &str,
        signature: &str,
        people: &People,
        now: Timestamp,
    ) -> Result<Result<Vote, Refusal>, Failure> {
        let vote = match self.ballot.cast(text, signature, people, now) {
            Ok(vote) => vote.clone(),
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.append(VOTES, &vote)?;
        Ok(Ok(vote))
    }

    /// Writes the phase down.
    pub fn enter(&mut self, phase: Phase) -> Result<(), Failure> {
        self.write(PHASE, &canon::line(&phase))?;
        self.phase = phase;
        Ok(())
    }

    /// True where it was put away, which is the last that happens to it.
    pub fn is_away(&self) -> bool {
        self.path.parent().is_some_and(|place| place.ends_with(ENDED))
    }

    /// Puts one that has ended out of the way. Where that is cut off it is read once more, and that is all.
    pub fn put_away(&mut self, store: &Store) -> Result<(), Failure> {
        let ended = store.path().join(ENDED);
        let to = ended.join(self.question().request.hex());
        if !self.is_away() {
            DirBuilder::new().recursive(true).mode(0o700).create(&ended).map_err(failed("make", &ended))?;
            fault::point("approvals.put-away")
                .and_then(|()| fs::rename(&self.path, &to))
                .map_err(failed("put away", &self.path))?;
            self.path = to;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        fault::point("approvals.write")
            .and_then(|()| sys::write_durable(self.dir.as_fd(), name.as_bytes(), bytes))
            .map_err(failed("write", &self.path.join(name)))
    }

    fn append<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Failure> {
        let path = self.path.join(name);
        let line = [canon::line(value), b"\n".to_vec()].concat();
        let add = || {
            fault::point("approvals.append")?;
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
            // A line that a power cut left without its end would swallow this one; it was told to nobody.
            let bytes = fs::read(&path)?;
            let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            if whole < bytes.len() {
                file.set_len(whole as u64)?;
            }
            file.write_all(&line)?;
            file.sync_all()?;
            sys::sync_dir(self.dir.as_fd())
        };
        add().map_err(failed("append to", &path))
    }
}

fn opened(path: &Path) -> Result<Option<OwnedFd>, Failure> {
    match sys::open_root(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("open", path)(e)),
    }
}

fn read_phase(dir: &OwnedFd, path: &Path) -> Result<Option<Phase>, Failure> {
    let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|e| damaged(&path.join(PHASE), &e.to_string()));
    read(dir, path, PHASE)?.map(parse).transpose()
}

fn read(dir: &OwnedFd, path: &Path, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let all = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::from(sys::open_file(dir.as_fd(), name.as_bytes())?).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match all() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", &path.join(name))(e)),
    }
}

/// The lines of a file; one that a power cut left half written is none.
fn read_lines<T: serde::de::DeserializeOwned>(dir: &OwnedFd, path: &Path, name: &str) -> Result<Vec<T>, Failure> {
    let bytes = read(dir, path, name)?.unwrap_or_default();
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let lines = bytes[..whole].split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let parse = |l: &[u8]| serde_json::from_slice(l).map_err(|e| damaged(&path.join(name), &e.to_string()));
    lines.map(parse).collect()
}

#[cfg(test)]
mod tests;
