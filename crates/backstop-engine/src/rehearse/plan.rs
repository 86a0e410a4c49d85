//! Takes a request and the survey of the machine, gives the recipe by which the view is built: plain
//! values, ready before the sandbox's first process is made. Makes the run's directories in the vaults.

mod opened;
mod ways;

use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::request::{Command, Net};
use backstop_sys::fs::{self as sys, Stat};

pub(super) use self::opened::{Opened, Watch};
pub(super) use self::ways::{Glass, Ways};
use super::{Lane, Layer, RehearseError, RehearseInput};
use crate::settings::StandIn;
use crate::volume::{How, Leftover, Part, Query, Survey, survey, tidy};

/// An overlay's directories, each by a path from its volume's root and what must be found there.
#[derive(Clone, Debug)]
pub(super) struct Upper {
    /// The volume's root, as a path of the machine.
    pub root: Bytes,
    /// The upper directory below it.
    pub upper: Bytes,
    /// The work directory below it.
    pub work: Bytes,
    /// What the upper directory is; anything else there is not ours.
    pub facts: Stat,
}

/// A file or link of the machine's `/run` that the view's own gets as well.
#[derive(Clone, Debug)]
pub(super) enum RunEntry {
    /// A symbolic link to this.
    Link(Bytes),
    /// A file with this content.
    File(Vec<u8>),
}

/// Everything that is needed to build the view and start the command.
#[derive(Debug)]
pub(super) struct Recipe {
    /// Whom the command runs for, where that is another than this process' user.
    pub rights: Option<StandIn>,
    /// In a user namespace, mapping this user and group.
    pub user: Option<(u32, u32)>,
    /// True in the read lane.
    pub reads: bool,
    /// In place: what of the machine can be written.
    pub opened: Option<Vec<Opened>>,
    pub net: Net,
    pub parts: Vec<Part>,
    /// Per part, where it is an overlay.
    pub uppers: Vec<Option<Upper>>,
    /// Directories that appear empty.
    pub hidden: Vec<Bytes>,
    /// How sockets and pipes in read-only places are kept out of reach.
    pub ways: Ways,
    /// What the view's `/run` holds, by path below it.
    pub run: Vec<(Bytes, RunEntry)>,
    /// A directory of the machine to hang the view on until it is entered.
    pub hook: Bytes,
    pub cwd: Bytes,
    pub argv: Vec<CString>,
    /// What `/run/backstop/inside` says.
    pub inside: Vec<u8>,
    pub uid: u32,
    pub gid: u32,
    pub umask: u32,
    /// The number of the caller's terminal below `/dev/pts`.
    pub terminal: Option<u32>,
    pub grace: std::time::Duration,
    pub stdout_to_stderr: bool,
    /// Standard input, where it is a file on a disk: its path, what it is, and where it stands.
    pub stdin: Option<(Bytes, Stat, u64)>,
    /// Inherited pipes.
    pub pass: Vec<i32>,
}

impl Recipe {
    /// True where the view's ground is a read-only copy of everything.
    pub fn copies(&self) -> bool {
        self.user.is_some() || self.reads || self.opened.is_some()
    }
}

/// The recipe, and what goes into the `Rehearsal` as it is.
#[derive(Debug)]
pub(super) struct Prepared {
    pub recipe: Recipe,
    pub survey: Survey,
    pub layers: Vec<Layer>,
}

/// Interfaces of the kernel below `/sys` that are mounts of their own.
const KERNEL_PLACES: &[&str] = &[
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

pub(super) fn prepare(input: &RehearseInput<'_>, privileged: bool) -> Result<Prepared, RehearseError> {
    let request = input.request;
    let state = fs::canonicalize(input.state).map_err(RehearseError::io("find the state directory"))?;
    let mut hidden = vec![Bytes::from(state.as_path())];
    hidden.extend(input.hide.iter().filter_map(|h| Some(Bytes::from(fs::canonicalize(h.as_path()).ok()?))));
    let seeds = if privileged { Vec::new() } else { seeds(input) };
    // The vaults are their keeper's, whomever the command runs for.
    let (uid, gid) = if privileged { backstop_sys::process::own_ids() } else { (request.uid, request.gid) };
    let query = Query { state: &state, uid, gid, privileged, seeds: &seeds, hidden: &hidden };
    let survey = match input.lane {
        Lane::Rehearse => survey(&query)?,
        Lane::Read => nothing_rehearsed(query.hidden.iter().cloned().chain(crate::volume::vaults_of(query.uid))),
        // While it runs others are rehearsed: their vaults are made now, so that they can be hidden.
        Lane::InPlace(_) => nothing_rehearsed(survey(&query)?.hidden),
    };
    let mut hidden = survey.hidden.clone();
    if !privileged || input.lane != Lane::Rehearse {
        // The copy of all mounts brings these along; root's view never takes them over.
        hidden.extend(KERNEL_PLACES.iter().map(|p| Bytes::from(*p)));
    }
    match recipe(input, privileged, &state, &survey, hidden) {
        Ok((recipe, layers)) => Ok(Prepared { recipe, survey, layers }),
        Err(e) => {
            for volume in &survey.volumes {
                tidy(volume, input.id, Leftover::All).map_err(RehearseError::io("clear the vault"))?;
            }
            Err(e)
        }
    }
}

/// A survey where nothing is rehearsed: no file system takes part. What is hidden in a rehearsal is hidden here
/// as well.
fn nothing_rehearsed(hidden: impl IntoIterator<Item = Bytes>) -> Survey {
    Survey { volumes: Vec::new(), parts: Vec::new(), notes: Vec::new(), hidden: hidden.into_iter().collect() }
}

fn recipe(
    input: &RehearseInput<'_>,
    privileged: bool,
    state: &Path,
    survey: &Survey,
    hidden: Vec<Bytes>,
) -> Result<(Recipe, Vec<Layer>), RehearseError> {
    let request = input.request;
    let (layers, uppers) = uppers(input, survey, privileged)?;
    let descriptors = super::outside::descriptors::check()?;
    let (ways, opened) = match &input.lane {
        // Nothing can be opened for writing there, and no socket be made.
        Lane::Read => (Ways::default(), None),
        Lane::InPlace(places) => {
            let points = crate::volume::mount_points()?;
            let opened = opened::opened(places, &points);
            (ways::in_place(&opened, &points), Some(opened))
        }
        Lane::Rehearse if privileged => (ways::privileged(&survey.parts), None),
        Lane::Rehearse => (ways::user(&survey.parts, &crate::volume::mount_points()?, &hidden), None),
    };
    let recipe = Recipe {
        user: (!privileged).then_some((request.uid, request.gid)),
        reads: input.lane == Lane::Read,
        opened,
        net: request.net,
        parts: survey.parts.clone(),
        uppers,
        ways,
        run: run_entries(request.net),
        hidden,
        hook: Bytes::from(state),
        cwd: request.cwd.clone(),
        argv: argv(input)?,
        inside: inside(input),
        uid: request.uid,
        gid: request.gid,
        umask: input.stand_in.map_or_else(current_umask, |him| him.umask),
        rights: input.stand_in.cloned(),
        terminal: super::tty::number(),
        grace: input.grace,
        stdout_to_stderr: input.stdout_to_stderr,
        stdin: descriptors.stdin,
        pass: descriptors.pass,
    };
    Ok((recipe, layers))
}

fn current_umask() -> u32 {
    let mask = backstop_sys::process::umask(0o077);
    backstop_sys::process::umask(mask);
    mask
}

fn seeds(input: &RehearseInput<'_>) -> Vec<Bytes> {
    let request = input.request;
    let mut seeds = vec![request.cwd.clone()];
    seeds.extend(request.workspace.clone());
    seeds.extend(input.home.cloned());
    seeds.extend(std::env::var_os("TMPDIR").map(Bytes::from));
    seeds.extend([Bytes::from("/tmp"), Bytes::from("/var/tmp")]);
    seeds
}

type Uppers = (Vec<Layer>, Vec<Option<Upper>>);

fn uppers(input: &RehearseInput<'_>, survey: &Survey, privileged: bool) -> Result<Uppers, RehearseError> {
    let id = input.id.to_string();
    let mut layers = Vec::new();
    let mut uppers = Vec::new();
    let mut run_dirs = Vec::new();
    for volume in &survey.volumes {
        // The id is new to the records. What a vault has under it is of a run whose record a power cut
        // took: nobody can commit it or take it back any more.
        tidy(volume, input.id, Leftover::All).map_err(RehearseError::io("clear the run's part of the vault"))?;
        let run = volume.run_dir(input.id, true).map_err(RehearseError::io("make the run's directory in the vault"))?;
        for name in [b"upper".as_slice(), b"work"] {
            sys::ensure_dir(run.as_fd(), name, 0o700).map_err(RehearseError::io("make the run's directories"))?;
        }
        run_dirs.push(run);
    }
    for (n, part) in survey.parts.iter().enumerate() {
        let How::Layer { volume, lower } = &part.how else {
            uppers.push(None);
            continue;
        };
        let slot = Bytes::from(format!("upper/{}", layers.len()).as_str());
        let work = Bytes::from(format!("work/{}", layers.len()).as_str());
        let make = || {
            let run = run_dirs[*volume].as_fd();
            sys::make_dir(run, slot.as_slice(), 0o700)?;
            sys::make_dir(run, work.as_slice(), 0o700)?;
            let upper = sys::open_dir_read(run, slot.as_slice())?;
            let root = survey.volumes[*volume].root();
            let below = sys::open_dir(root, lower.as_slice())?;
            sys::dress_like(upper.as_fd(), below.as_fd())?;
            sys::stat_fd(upper.as_fd())
        };
        let facts = make().map_err(RehearseError::io("make the run's directories"))?;
        let volume_of = &survey.volumes[*volume];
        let base = volume_of.spec().vault.join(id.as_bytes());
        uppers.push(Some(Upper {
            root: volume_of.root_path().clone(),
            upper: base.join(slot.as_slice()),
            work: base.join(work.as_slice()),
            facts,
        }));
        layers.push(Layer {
            volume: *volume,
            lower: lower.clone(),
            point: part.mount.path.clone(),
            upper: slot,
            xattr_prefix: if privileged { "trusted.overlay." } else { "user.overlay." },
            mount: n as u32,
        });
    }
    Ok((layers, uppers))
}

/// What the view's `/run` takes over: the links at its top (some systems have all programs behind
/// one), and with the network the file that `/etc/resolv.conf` leads to.
fn run_entries(net: Net) -> Vec<(Bytes, RunEntry)> {
    let mut entries = Vec::new();
    for entry in fs::read_dir("/run").into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_symlink())
            && let Ok(target) = fs::read_link(entry.path())
        {
            entries.push((Bytes::from(entry.file_name()), RunEntry::Link(Bytes::from(target))));
        }
    }
    if net == Net::Host
        && let Ok(real) = fs::canonicalize("/etc/resolv.conf")
        && let Ok(rest) = real.strip_prefix("/run")
        && let Ok(text) = fs::read(&real)
    {
        entries.push((Bytes::from(rest), RunEntry::File(text)));
    }
    entries
}

fn argv(input: &RehearseInput<'_>) -> Result<Vec<CString>, RehearseError> {
    let mut argv = input.request.command.argv();
    if let Command::Line(line) = &input.request.command {
        // On a line of their own: aliases count from the next one on. What another shell than bash said of its
        // functions may be no bash.
        let read = |pipe| format!("shopt -s expand_aliases; . /dev/fd/{pipe} 2>/dev/null; exec {pipe}<&-; :\n");
        // A line that sets a trap of its own for the end, or becomes another program, says nothing.
        let say = |pipe| format!("trap 'pwd -P >&{pipe}' EXIT; ");
        let before = [input.shell_from.map(read), input.cwd_to.map(say)].into_iter().flatten().collect::<String>();
        argv[2] = Bytes::new([before.as_bytes(), line.as_slice()].concat());
    }
    argv.into_iter()
        .map(|a| CString::new(a.as_slice()))
        .collect::<Result<_, _>>()
        .map_err(|e| RehearseError::Io { what: "pass the arguments on", source: e.into() })
}

/// How a Backstop inside knows that it is inside. In a file and not in the environment, which stays
/// as it is.
fn inside(input: &RehearseInput<'_>) -> Vec<u8> {
    let text = serde_json::json!({
        "run": input.id,
        "session": input.request.session,
        "workspace": input.request.workspace,
    });
    text.to_string().into_bytes()
}
