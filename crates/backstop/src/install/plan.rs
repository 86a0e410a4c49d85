//! What becomes of each file, decided before anything is written; then one loop does it.

use std::path::{Path, PathBuf};

use backstop_core::hook::Agent;
use backstop_engine::Failure;

use super::bytes::{self, Format, MergeError, Piece, What};
use super::disk::{self, Found, Mode};
use super::record::{Note, Notes, digest};
use super::table::{self, At, Body, Scope, Target};

/// What an installation goes by.
pub struct Work<'a> {
    pub at: &'a At,
    pub notes: Notes,
    pub scope: Scope,
}

impl<'a> Work<'a> {
    pub fn new(at: &'a At, state: &Path, scope: Scope) -> Self {
        Self { at, notes: Notes::of(state), scope }
    }
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It comes new.
    Create,
    /// Our entries come into it.
    Change,
    /// It is as it should be.
    Same,
    /// The bytes from before come back.
    Restore,
    /// Our entries go, the rest stays as somebody made it since.
    TakeOut,
    /// It goes: it was ours.
    Remove,
    /// Nothing of ours is there.
    Absent,
    /// It is somebody else's, and stays.
    Foreign,
}

/// One file's part of the plan.
#[derive(Clone, Debug)]
pub struct Step {
    pub act: Act,
    /// What will be in it; none where it goes, or is not there.
    pub after: Option<Vec<u8>>,
    pub found: Found,
    /// Directories that are made for it.
    pub made: Vec<PathBuf>,
    mode: Mode,
    /// What a person should know of it.
    pub notes: Vec<String>,
    /// What was there before us.
    original: Option<Vec<u8>>,
    /// The path that the client goes by.
    pub path: PathBuf,
    /// Somebody changed it since: the bytes are kept aside.
    aside: bool,
}

impl Step {
    /// True where something is written or removed.
    pub const fn acts(&self) -> bool {
        !matches!(self.act, Act::Same | Act::Absent | Act::Foreign)
    }
}

/// True where a whole file is one that we wrote, or somebody's who started from it.
fn is_marked(agent: Agent, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("ackstop") && (text.contains(&format!("hook {}", agent.name())) || text.contains("\"backstop\""))
}

/// Plans the installation for an agent; writes nothing.
///
/// # Errors
/// Where a file can't be read, understood or kept; then nothing may be done for this agent.
pub fn install(agent: Agent, work: &Work<'_>) -> Result<Vec<Step>, Failure> {
    let targets = table::targets(agent, work.scope, work.at);
    if targets.is_empty() {
        let what = format!("{} has no place for hooks of the whole machine", agent.name());
        return Err(Failure::usage(what).next(format!("backstop install {}", agent.name())));
    }
    targets.iter().map(|target| come(agent, work, target)).collect()
}

fn come(agent: Agent, work: &Work<'_>, target: &Target) -> Result<Step, Failure> {
    let found = disk::find(&target.path)?;
    let noted = noted(work, &found);
    let mut step = Step::at(target, work, found);
    step.made = disk::way(&step.found.real);
    let current = step.found.bytes.clone();
    match &target.body {
        Body::Whole { text, .. } => {
            step.original = match (&noted, &current) {
                (Some((_, before)), _) => before.clone(),
                (None, Some(bytes)) if !is_marked(agent, bytes) => {
                    let what = format!("{} is there already and not Backstop's", disk::quoted(&target.path));
                    return Err(Failure::internal(what).next("move it away, or put what it does elsewhere"));
                }
                (None, _) => None,
            };
            step.after = Some(text.clone().into_bytes());
        }
        Body::Merge { format, pieces } => {
            let ours = |text: &str| table::is_ours(agent, work.at, text);
            let bytes = current.as_deref().unwrap_or_default();
            let failed = |e: MergeError| cannot(&target.path, &e);
            step.original = match noted {
                Some((_, before)) => before,
                None => current
                    .is_some()
                    .then(|| bytes::strip(*format, bytes, pieces, &ours, None))
                    .transpose()
                    .map_err(failed)?,
            };
            // From the old bytes: what an earlier version of ours wrote leaves no trace.
            let from = step.original.as_deref().unwrap_or_default();
            let now = bytes::merge(*format, bytes, pieces, &ours).map_err(failed)?;
            step.after = Some(if now == bytes && current.is_some() {
                now
            } else {
                bytes::merge(*format, from, pieces, &ours).map_err(failed)?
            });
            step.remark(*format, pieces);
        }
    }
    step.act = match (&current, &step.after) {
        (None, _) => Act::Create,
        (Some(old), Some(new)) if old == new && (step.found.executable || step.mode.bits & 0o100 == 0) => Act::Same,
        _ => Act::Change,
    };
    Ok(step)
}

/// Plans to take an agent's hook out; writes nothing.
///
/// # Errors
/// Where a file can't be read or understood; then nothing may be done for this agent.
pub fn uninstall(agent: Agent, work: &Work<'_>) -> Result<Vec<Step>, Failure> {
    let mut targets = table::targets(agent, work.scope, work.at);
    targets.extend(table::earlier(agent, work.scope, work.at));
    targets.iter().map(|target| go(agent, work, target)).collect()
}

fn go(agent: Agent, work: &Work<'_>, target: &Target) -> Result<Step, Failure> {
    let found = disk::find(&target.path)?;
    let mut step = Step::at(target, work, found);
    let Some(current) = step.found.bytes.clone() else { return Ok(step) };
    let note = work.notes.note(&step.found.real);
    if let Some((_, before)) = noted(work, &step.found) {
        step.act = if before.is_some() { Act::Restore } else { Act::Remove };
        step.after = before;
        return Ok(step);
    }
    match &target.body {
        Body::Whole { .. } if is_marked(agent, &current) => {
            step.act = Act::Remove;
            step.aside = true;
            let aside = disk::quoted(&work.notes.aside(&step.found.real));
            step.notes.push(format!("somebody has changed it: what is in it is kept as {aside}"));
        }
        Body::Whole { .. } => {
            step.act = Act::Foreign;
            step.after = Some(current);
        }
        Body::Merge { format, pieces } => {
            let ours = |text: &str| table::is_ours(agent, work.at, text);
            let was_none = note.as_ref().is_some_and(|n| n.before.is_none());
            let before = match &note {
                Some(n) if n.before.is_some() => work.notes.before(&step.found.real, n),
                Some(_) => Some(Vec::new()),
                None => None,
            };
            let left = bytes::strip(*format, &current, pieces, &ours, before.as_deref())
                .map_err(|e| cannot(&target.path, &e))?;
            if left == current {
                step.after = Some(left);
            } else if was_none && matches!(left.trim_ascii(), b"" | b"{}") {
                step.act = Act::Remove;
            } else {
                step.act = Act::TakeOut;
                step.after = Some(left);
            }
        }
    }
    Ok(step)
}

/// The note of a file that nobody has changed since, with what was there before.
fn noted(work: &Work<'_>, found: &Found) -> Option<(Note, Option<Vec<u8>>)> {
    let note = work.notes.note(&found.real)?;
    if digest(found.bytes.as_deref()?) != note.after {
        return None;
    }
    match &note.before {
        None => Some((note, None)),
        Some(_) => work.notes.before(&found.real, &note).map(|bytes| (note, Some(bytes))),
    }
}

fn cannot(path: &Path, error: &MergeError) -> Failure {
    let next = match error {
        MergeError::Syntax { .. } | MergeError::NotText(_) => "mend it there, then say it again; nothing was written",
        MergeError::Twice(_) => "leave one of them, then say it again; nothing was written",
        MergeError::Shape(..) => "make it one, or take it out, then say it again; nothing was written",
        MergeError::NotKept => "add the hook by hand, as `--dry-run` shows it for an empty file; nothing was written",
    };
    Failure::internal(format!("{}: {error}", disk::quoted(path))).next(next)
}

impl Step {
    fn at(target: &Target, work: &Work<'_>, found: Found) -> Self {
        let bits = match target.body {
            Body::Whole { mode, .. } => mode,
            Body::Merge { .. } => 0o644,
        };
        let mut notes = Vec::new();
        if found.bytes.is_some() && found.real != target.path {
            notes.push(format!("a link leads to {}, which is what changes", disk::quoted(&found.real)));
        }
        Self {
            act: Act::Absent,
            after: None,
            aside: false,
            found,
            made: Vec::new(),
            mode: Mode { bits, shared: work.scope == Scope::System },
            notes,
            original: None,
            path: target.path.clone(),
        }
    }

    /// What a person should know of what is merged.
    fn remark(&mut self, format: Format, pieces: &[Piece]) {
        let old = self.original.as_deref().unwrap_or_default();
        if format == Format::Json && bytes::has_more_than_json(old) {
            self.notes.push("it has comments or commas that JSON does not have: the client may not read it".to_owned());
        }
        let said = bytes::value(format, old).unwrap_or_default();
        for piece in pieces {
            let What::Missing(item) = &piece.what else { continue };
            let here = bytes::at(&said, &piece.at);
            if here.is_some_and(|h| *h != item.json()) {
                let (place, wanted) = (piece.at.join("."), item.json());
                self.notes.push(format!("`{place}` stays as it is; Backstop would have it {wanted}"));
            } else if here.is_none()
                && piece
                    .at
                    .last()
                    .is_some_and(|k| k.to_lowercase().contains("managed_hooks_only") || *k == "allowManagedHooksOnly")
            {
                self.notes
                    .push("from now on only the machine's own hooks are called, no user's or project's".to_owned());
            }
        }
    }
}

/// Does what was planned: the note first, durable, then the file.
///
/// # Errors
/// Where a note or a file can't be written. What was done before it stays, and can be taken back.
pub fn act(agent: Agent, work: &Work<'_>, step: &Step) -> Result<(), Failure> {
    let real = &step.found.real;
    match step.act {
        Act::Same | Act::Foreign => Ok(()),
        Act::Absent => work.notes.forget(real),
        Act::Create | Act::Change => {
            let bytes = step.after.as_deref().unwrap_or_default();
            // Another file may have needed the same ones.
            let missing: Vec<PathBuf> = step.made.iter().filter(|d| d.symlink_metadata().is_err()).cloned().collect();
            work.notes.keep(real, agent.name(), step.original.as_deref(), bytes)?;
            work.notes.keep_dirs(&missing)?;
            let written =
                disk::make(&missing, step.mode.shared).and_then(|()| disk::replace(&step.found, bytes, step.mode));
            if written.is_err() && step.act == Act::Create {
                // Nothing was written that the note could speak of.
                work.notes.forget(real)?;
            }
            written
        }
        Act::Restore | Act::TakeOut => {
            disk::replace(&step.found, step.after.as_deref().unwrap_or_default(), step.mode)?;
            work.notes.forget(real)
        }
        Act::Remove => {
            if step.aside {
                work.notes.put_aside(real, step.found.bytes.as_deref().unwrap_or_default())?;
            }
            disk::remove(real)?;
            work.notes.forget(real)
        }
    }
}

/// True where something of the agent's hook stands in its files, or a note says that it did: a file that
/// somebody broke or took away since is no reason to say nothing of it.
pub fn installed(agent: Agent, work: &Work<'_>) -> bool {
    table::targets(agent, work.scope, work.at).iter().any(|target| {
        let Ok(found) = disk::find(&target.path) else { return work.notes.note(&target.path).is_some() };
        let stands = |bytes: &[u8]| match &target.body {
            Body::Whole { .. } => is_marked(agent, bytes),
            Body::Merge { format, pieces } => {
                let ours = |text: &str| table::is_ours(agent, work.at, text);
                bytes::strip(*format, bytes, pieces, &ours, None).is_ok_and(|left| left != bytes)
            }
        };
        found.bytes.as_deref().is_some_and(stands) || work.notes.note(&found.real).is_some()
    })
}

/// True where the agent is on this machine: its directory, or its program on the search path.
pub fn detected(agent: Agent, at: &At) -> bool {
    let (places, programs) = table::traces(agent, at);
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.iter().any(|p| p.is_dir())
        || std::env::split_paths(&path).any(|dir| programs.iter().any(|name| dir.join(name).is_file()))
}
