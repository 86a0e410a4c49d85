//! Backstop's side of a rehearsal: prepares, makes the sandbox's first process, and waits beside it.
//! Hears of attempted connections, watches the disk, and ends the run when it is told to end.

pub(super) mod descriptors;
pub(super) mod doors;
mod programs;
mod space;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::effect::Cover;
use backstop_core::request::Net;
use backstop_core::run::{Exit, LeftBehind};
use backstop_sys::channel::Channel;
use backstop_sys::first::First;
use backstop_sys::notify::{Aim, Attempt};
use backstop_sys::ns::{self, Init, Spaces};
use backstop_sys::process::{
    self, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, Signals,
};

use self::doors::Doors;
use self::programs::Programs;
use self::space::Space;
use super::inside::{self, Message, Order};
use super::plan::{self, Prepared, Watch};
use super::tty::Foreground;
use super::{Lane, Rehearsal, RehearseError, RehearseInput};
use crate::freeze::{Gate, Shut};
use crate::settings::Line;
use crate::volume::{self, How, Leftover};

/// How often the disk is looked at while a command runs.
const LOOK: Duration = Duration::from_millis(250);

/// A command that tries to connect more often between two looks makes us work in its place, which others are not to wait
/// for.
const BUSY: u32 = 256;

/// How long the first process may take to let everything stand: served first as root's, it is soon done, and where it is
/// not, somebody keeps it from it.
const STAND: Duration = Duration::from_millis(120);

/// The same where others may be served before it.
const STAND_IN_LINE: Duration = Duration::from_millis(400);

/// So often something may go on again before it is ended: by a timer it would, for ever.
const RELAPSES: u32 = 3;

pub(super) fn rehearse(input: &RehearseInput<'_>) -> Result<Rehearsal, RehearseError> {
    let root = process::is_root() && !input.force_user;
    let mut why = Vec::new();
    if root {
        match attempt(input, true) {
            // A user namespace has no users but one.
            Err(RehearseError::NoOverlay { why, .. }) if input.stand_in.is_some() => {
                return Err(RehearseError::NoOverlay { why, help: help(root) });
            }
            Err(RehearseError::NoOverlay { why: tried, .. }) => why.extend(tried),
            other => return other,
        }
    }
    match attempt(input, false) {
        Err(RehearseError::NoOverlay { why: tried, .. }) => {
            why.extend(tried);
            Err(RehearseError::NoOverlay { why, help: help(root) })
        }
        // Root's places outside its user namespace are read-only then: that has to be explained.
        Ok(mut done) if root => {
            done.notes.push(format!(
                "root's own view can't be had here, so this was rehearsed as an ordinary user's: {}",
                why.join("; ")
            ));
            Ok(done)
        }
        other => other,
    }
}

fn help(root: bool) -> Vec<String> {
    let lines: &[&str] = if root {
        &[
            "in a container: give it CAP_SYS_ADMIN, and a volume (ext4, xfs, btrfs, tmpfs) for the work; \
             a container's own root can't carry an overlay",
            "backstop doctor shows what this machine can do",
        ]
    } else {
        &[
            "run it as root, or",
            "let users make namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, \
             kernel.apparmor_restrict_unprivileged_userns=0",
            "backstop doctor shows what this machine can do",
        ]
    };
    lines.iter().map(|l| (*l).to_owned()).collect()
}

fn attempt(input: &RehearseInput<'_>, privileged: bool) -> Result<Rehearsal, RehearseError> {
    let prepared = plan::prepare(input, privileged)?;
    let result = run(input, &prepared, privileged);
    match result {
        Ok(told) => told.into_rehearsal(prepared),
        Err(e) => {
            for volume in &prepared.survey.volumes {
                volume::tidy(volume, input.id, Leftover::All).map_err(RehearseError::io("clear the vault"))?;
            }
            Err(e)
        }
    }
}

/// What the first process told.
#[derive(Default)]
struct Told {
    t0: Vec<backstop_core::time::Timestamp>,
    exit: Option<Exit>,
    not_started: Option<String>,
    left_behind: Vec<LeftBehind>,
    nested: Vec<Bytes>,
    doors: Vec<backstop_core::effect::Door>,
    notes: Vec<String>,
    fallbacks: Vec<(u32, String)>,
    ready: bool,
    refused: Option<Bytes>,
    stdin_at: Option<u64>,
}

impl Told {
    fn into_rehearsal(self, prepared: Prepared) -> Result<Rehearsal, RehearseError> {
        let Prepared { survey, mut layers, .. } = prepared;
        let mut mounts: Vec<_> = survey.parts.into_iter().map(|p| p.mount).collect();
        for (n, why) in self.fallbacks {
            layers.retain(|l| l.mount != n);
            if let Some(mount) = mounts.get_mut(n as usize) {
                mount.cover = Cover::ReadOnly { why };
            }
        }
        let mut notes = survey.notes;
        notes.extend(self.notes);
        Ok(Rehearsal {
            layers,
            volumes: survey.volumes,
            mounts,
            t0: self.t0,
            exit: self.exit.ok_or(RehearseError::Lost)?,
            not_started: self.not_started,
            left_behind: self.left_behind,
            nested: self.nested,
            doors: self.doors,
            refused: self.refused,
            notes,
        })
    }
}

fn run(input: &RehearseInput<'_>, prepared: &Prepared, privileged: bool) -> Result<Told, RehearseError> {
    let recipe = &prepared.recipe;
    let t0 = prepared
        .survey
        .volumes
        .iter()
        .map(|v| v.now())
        .collect::<Result<Vec<_>, _>>()
        .map_err(RehearseError::io("read the file system's clock"))?;
    let rehearses = input.lane == Lane::Rehearse;
    if prepared.layers.is_empty() && rehearses {
        return Err(no_overlay(prepared, &[]));
    }
    let watch = match &input.lane {
        Lane::InPlace(places) => Some(Watch::start(places)),
        Lane::Rehearse | Lane::Read => None,
    };
    let space = Space::start(&prepared.survey.volumes, recipe.opened.as_deref().unwrap_or_default(), input)?;
    let foreground = Foreground::remember();
    let (ours, theirs) = Channel::pair().map_err(RehearseError::io("make a channel"))?;
    // All of them until the first process is made: it starts with none let through, and the command
    // gets the caller's mask back.
    let caller_mask = Signals::all().block().map_err(RehearseError::io("block signals"))?;
    let spaces = Spaces { user: !privileged, net: recipe.net == Net::None };
    // Of whom it stands in for nothing is blocked.
    let mask = if input.stand_in.is_some() { Signals::of(&[]) } else { caller_mask };
    let spawned = ns::spawn(spaces, || inside::live(recipe, &theirs, &mask));
    drop(theirs);
    // The last comes when something becomes of a program that is looked at.
    let mut heard = vec![SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD];
    if input.stand_in.is_some() {
        // What stops the command does not stop us: nobody would hear of it.
        heard.extend([SIGTSTP, SIGTTIN, SIGTTOU]);
    }
    let heard = Signals::of(&heard);
    let result = spawned.map_err(|e| cannot_spawn(&e, privileged)).and_then(|init| {
        caller_mask.set().and_then(|()| heard.block()).map_err(RehearseError::io("set the signal mask"))?;
        let signals = heard.descriptor().map_err(RehearseError::io("listen for signals"))?;
        let mut beside = Beside {
            told: Told { t0, ..Told::default() },
            init: &init,
            channel: &ours,
            listener: None,
            signals,
            space,
            watch,
            gate: input.gate,
            frost: Frost::None,
            relapses: 0,
            first: First::now(),
            attempts: 0,
            doors: Doors::new(recipe.net),
            programs: Programs::new(&input.request.cwd, served(prepared)),
            line: input.stand_in.map(|him| him.line.as_ref() as &dyn Line),
            passed: Vec::new(),
        };
        let waited = beside.wait();
        let served = beside.first.over();
        let told = std::mem::take(&mut beside.told);
        if waited.is_err() {
            init.kill().map_err(RehearseError::io("end the run"))?;
        }
        let (doors, refused) = (beside.doors.seen(), beside.doors.refused());
        let mut programs = beside.programs;
        // Those that are looked at are taken off the process table here first.
        let buried = programs.bury();
        init.reap().map_err(RehearseError::io("wait for the run's end"))?;
        served.map_err(RehearseError::io("be served as before"))?;
        buried.map_err(RehearseError::io("wait for a program's end"))?;
        let ended =
            matches!(waited, Err(RehearseError::Frozen { begun: true } | RehearseError::Banned { begun: true }));
        input.gate.over(ended).map_err(RehearseError::io("say that the command has ended"))?;
        // After that: whoever freezes does not wait for what is read here.
        input.started.replace(programs.over(&mut input.executables.borrow_mut()));
        match waited {
            // Where no overlay can be had, what breaks afterwards is not the news.
            Err(RehearseError::View(_)) if rehearses && none_left(prepared, &told) => {
                Err(no_overlay(prepared, &told.fallbacks))
            }
            waited => waited.map(|()| Told { doors, refused, ..told }),
        }
    });
    let restored = caller_mask.set().and_then(|()| foreground.restore());
    let moved = match result.as_ref().ok().and_then(|told| told.stdin_at) {
        Some(at) => backstop_sys::fs::seek(io::stdin().as_fd(), at),
        None => Ok(()),
    };
    // Also where it failed: what is written down after this is no business of his terminal's.
    if let Some(him) = input.stand_in {
        him.line.over();
    }
    let told = result?;
    restored.map_err(RehearseError::io("take the terminal back"))?;
    moved.map_err(RehearseError::io("move standard input on"))?;
    if rehearses && none_left(prepared, &told) {
        return Err(no_overlay(prepared, &told.fallbacks));
    }
    if told.exit.is_none() { Err(RehearseError::Lost) } else { Ok(told) }
}

/// Where files are somebody else's to serve, over a network or by a program, who may take as long as he wants.
fn served(prepared: &Prepared) -> Vec<Bytes> {
    const SERVED: [&str; 10] = ["9p", "afs", "ceph", "cifs", "coda", "fuse", "fuseblk", "nfs", "nfs4", "smb3"];
    let mounts = prepared.survey.parts.iter().map(|part| &part.mount);
    let served = mounts.filter(|m| SERVED.contains(&m.fs.as_str()) || m.fs.starts_with("fuse."));
    served.map(|m| m.path.clone()).collect()
}

/// True when no layer could be made.
fn none_left(prepared: &Prepared, told: &Told) -> bool {
    prepared.layers.iter().all(|l| told.fallbacks.iter().any(|(n, _)| *n == l.mount))
}

fn cannot_spawn(e: &io::Error, privileged: bool) -> RehearseError {
    let what = if privileged { "new namespaces as root" } else { "a new user namespace" };
    RehearseError::NoOverlay { why: vec![format!("{what}: {e}")], help: Vec::new() }
}

fn no_overlay(prepared: &Prepared, fallbacks: &[(u32, String)]) -> RehearseError {
    let mut why: Vec<String> = prepared
        .survey
        .parts
        .iter()
        .filter_map(|p| match (&p.mount.cover, &p.how) {
            (Cover::ReadOnly { why }, How::Clone) => Some(format!("{}: {why}", p.mount.path.quoted())),
            _ => None,
        })
        .collect();
    why.extend(fallbacks.iter().filter_map(|(n, e)| {
        Some(format!("an overlay over {}: {e}", prepared.survey.parts.get(*n as usize)?.mount.path.quoted()))
    }));
    RehearseError::NoOverlay { why, help: Vec::new() }
}

/// Whether what is in the view stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frost {
    None,
    /// It was told to, and has to say that it does until then.
    Told(Instant),
    Stands,
}

struct Beside<'a> {
    told: Told,
    init: &'a Init,
    channel: &'a Channel,
    listener: Option<OwnedFd>,
    signals: OwnedFd,
    space: Space<'a>,
    /// What has to stay as it is while a command runs in place.
    watch: Option<Watch>,
    gate: &'a Gate<'a>,
    frost: Frost,
    /// How often something went on again since it was told to stand.
    relapses: u32,
    /// Served before others, so that what the command does can't keep us from letting it stand.
    first: First,
    /// How often it tried to connect since the last look.
    attempts: u32,
    doors: Doors,
    /// Which programs it starts.
    programs: Programs,
    /// Whoever waits for it elsewhere.
    line: Option<&'a dyn Line>,
    /// Signals of his that went to all of our group, and so to us as well.
    passed: Vec<i32>,
}

impl Beside<'_> {
    /// Returns when the first process is dead or has closed the channel, or with what stops the run.
    fn wait(&mut self) -> Result<(), RehearseError> {
        // A deadline and no pause without events: a program that connects all the time is no less able to
        // fill a disk.
        let mut look = Instant::now() + LOOK;
        loop {
            let until = if let Frost::Told(end) = self.frost { look.min(end) } else { look };
            let ready = self
                .gate
                .hearing(|ear| {
                    backstop_sys::wait::readable(
                        &[
                            Some(self.channel.as_fd()),
                            Some(self.signals.as_fd()),
                            self.listener.as_ref().map(AsFd::as_fd),
                            self.line.map(Line::handle),
                            ear,
                        ],
                        until.saturating_duration_since(Instant::now()),
                    )
                })
                .map_err(RehearseError::io("wait for the run"))?;
            if ready[4].any() {
                // First: what rings from here on is heard.
                self.gate.listen();
                self.heed()?;
            }
            if ready[3].any() {
                self.hear()?;
            }
            if ready[1].any() {
                self.signal()?;
            }
            if ready[2].closed && !ready[2].data {
                // Whoever ran under the filter is dead; asked again, it would answer at once, forever.
                self.listener = None;
            }
            if ready[2].data
                && let Some(listener) = &self.listener
            {
                let (doors, programs) = (&mut self.doors, &mut self.programs);
                self.attempts += 1;
                if self.attempts == BUSY {
                    self.first.over().map_err(RehearseError::io("be served as others are"))?;
                }
                // Where nobody listens any more, no program can be started.
                let seen = |attempt: Attempt| match &attempt.to {
                    Some(Aim::Execute(wish)) => programs.asked(attempt.pid, wish),
                    _ => doors.note(&attempt),
                };
                backstop_sys::notify::next(listener.as_fd(), seen)
                    .map_err(RehearseError::io("hear which programs are started"))?;
            }
            if ready[0].any() {
                let Some((text, mut handles)) = self.channel.receive().map_err(RehearseError::io("hear the run"))?
                else {
                    return self.all_stays();
                };
                self.message(Message::decode(&text).ok_or(RehearseError::Lost)?, handles.pop())?;
            }
            if matches!(self.frost, Frost::Told(end) if Instant::now() >= end) && !self.has_said_something()? {
                return Err(self.did_not_stand());
            }
            if Instant::now() >= look {
                self.space.check()?;
                self.programs.look();
                self.programs.sweep();
                self.all_stays()?;
                self.heed()?;
                if std::mem::take(&mut self.attempts) >= BUSY {
                    self.first.again();
                }
                look = Instant::now() + LOOK;
            }
        }
    }

    /// Lets what is in the view stand, or go on, as everything does. One that does not say in time that it stands is ended.
    fn heed(&mut self) -> Result<(), RehearseError> {
        if !self.told.ready {
            // It passes the gate first.
            return Ok(());
        }
        let shut = self.gate.shut();
        if shut == Some(Shut::Locked) {
            return Err(RehearseError::Banned { begun: true });
        }
        match (shut.is_some(), self.frost) {
            (true, Frost::None) => {
                self.relapses = 0;
                self.programs.hurry();
                self.frost = self.told_now();
                self.awake()?;
                self.order(Order::Stand)
            }
            // Another freeze than before, perhaps.
            (true, Frost::Stands) => {
                self.awake()?;
                self.gate.stands().map_err(RehearseError::io("say that the command stands"))
            }
            (false, Frost::Told(_) | Frost::Stands) => {
                self.gate.goes_on().map_err(RehearseError::io("say that the command goes on"))?;
                self.frost = Frost::None;
                self.order(Order::GoOn)
            }
            (true, Frost::Told(_)) => self.awake(),
            (false, Frost::None) => Ok(()),
        }
    }

    /// What it said is read first: we may have been late ourselves.
    fn has_said_something(&self) -> Result<bool, RehearseError> {
        let ready = backstop_sys::wait::readable(&[Some(self.channel.as_fd())], Duration::ZERO);
        Ok(ready.map_err(RehearseError::io("wait for the run"))?[0].any())
    }

    /// It is ended.
    fn did_not_stand(&self) -> RehearseError {
        match self.gate.shut() {
            Some(Shut::Banned(_) | Shut::Locked) => RehearseError::Banned { begun: true },
            Some(Shut::Frozen) | None => RehearseError::Frozen { begun: true },
        }
    }

    /// It has to say in time that all stands.
    fn told_now(&self) -> Frost {
        Frost::Told(Instant::now() + if self.first.is_before_all() { STAND } else { STAND_IN_LINE })
    }

    /// The first process may be of the account that is stopped as a whole; it is not meant.
    fn awake(&self) -> Result<(), RehearseError> {
        self.init.resume().map_err(RehearseError::io("let the first process go on"))
    }

    fn order(&self, order: Order) -> Result<(), RehearseError> {
        match order.send(self.channel) {
            // It has come to its end, and what it said of that is about to be read.
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            other => other.map_err(RehearseError::io("tell the first process")),
        }
    }

    fn all_stays(&self) -> Result<(), RehearseError> {
        let other = self.watch.as_ref().and_then(Watch::other);
        other.map_or(Ok(()), |path| Err(RehearseError::Replaced { path: path.clone() }))
    }

    /// What whoever waits elsewhere says: the terminal's signals are the command's to decide on, as if its
    /// terminal had sent them.
    fn hear(&mut self) -> Result<(), RehearseError> {
        let Some(line) = self.line else { return Ok(()) };
        match line.signal() {
            Ok(None) => Ok(()),
            Ok(Some(signal)) => match i32::from(signal) {
                signal @ (SIGINT | SIGQUIT) if self.frost == Frost::None => {
                    self.passed.push(signal);
                    process::send(0, signal).map_err(RehearseError::io("pass a signal on"))
                }
                // Nobody but people lets it go on.
                SIGCONT if self.frost != Frost::None => Ok(()),
                signal @ SIGCONT => process::send(0, signal).map_err(RehearseError::io("pass a signal on")),
                _ => Err(RehearseError::Interrupted(signal)),
            },
            Err(_) => Err(RehearseError::Interrupted(SIGHUP as u8)),
        }
    }

    fn signal(&mut self) -> Result<(), RehearseError> {
        match process::taken(&self.signals) {
            Some((signal, false)) if self.passed.contains(&signal) => {
                self.passed.retain(|s| *s != signal);
                Ok(())
            }
            // The terminal's Ctrl-C and Ctrl-\ reach the command as well: it decides.
            // Where it stands it can't.
            Some((SIGINT | SIGQUIT, true)) if self.frost == Frost::None => Ok(()),
            Some((SIGCHLD, _)) => {
                self.programs.look();
                Ok(())
            }
            Some((SIGTSTP | SIGTTIN | SIGTTOU, _)) | None => Ok(()),
            Some((signal, _)) => Err(RehearseError::Interrupted(signal as u8)),
        }
    }

    fn message(&mut self, message: Message, handle: Option<OwnedFd>) -> Result<(), RehearseError> {
        match message {
            Message::Trouble(text) => return Err(RehearseError::View(text)),
            Message::NoCwd(why) => return Err(RehearseError::Cwd { path: self.space.cwd().clone(), why }),
            Message::BadStdin(_) => {
                return Err(RehearseError::Descriptor { fd: 0, what: "a file that is not to be had in the view" });
            }
            Message::Fallback(part, why) => self.told.fallbacks.push((part, why)),
            Message::Missing(part, why) => self.told.fallbacks.push((part, format!("not there in the view: {why}"))),
            Message::Note(text) => self.told.notes.push(text),
            Message::Ready => {
                self.told.ready = true;
                if handle.is_none() {
                    self.programs.nobody_tells();
                }
                self.listener = handle;
                match self.gate.open().map_err(RehearseError::io("ask whether everything is frozen"))? {
                    Some(Shut::Frozen) => return Err(RehearseError::Frozen { begun: false }),
                    Some(Shut::Banned(_) | Shut::Locked) => return Err(RehearseError::Banned { begun: false }),
                    None => {}
                }
                self.order(Order::Begin)?;
            }
            // Told to go on meanwhile, it says so too late.
            Message::Stands | Message::Stirs if self.frost == Frost::None => {}
            Message::Stands => {
                self.frost = Frost::Stands;
                self.gate.stands().map_err(RehearseError::io("say that the command stands"))?;
            }
            Message::Stirs => {
                self.relapses += 1;
                if self.relapses > RELAPSES {
                    return Err(self.did_not_stand());
                }
                self.frost = self.told_now();
                self.gate.goes_on().map_err(RehearseError::io("say that the command goes on"))?;
            }
            // As everything does; that is no reason for us to stop.
            Message::Stopped(_) if self.frost != Frost::None => {}
            Message::NotStarted(_, why) => self.told.not_started = Some(why),
            Message::Stopped(signal) => self.stop(signal)?,
            Message::Nested(line) => self.told.nested.push(line),
            Message::Left(left) => self.told.left_behind.push(left),
            Message::Ended(exit, at) => {
                self.told.exit = Some(exit);
                self.told.stdin_at = at;
            }
        }
        Ok(())
    }

    /// The command stopped: so do we, for the shell that waits for us. Where the terminal stopped all
    /// of the group we were stopped too, and this is read when all goes on again: then it is late.
    fn stop(&self, signal: u8) -> Result<(), RehearseError> {
        if !doors::main_is_stopped(self.init.pid()) {
            return Ok(());
        }
        if let Some(line) = self.line {
            line.stopped(signal);
            return Ok(());
        }
        let signal = i32::from(signal);
        let target = if signal == SIGTSTP { 0 } else { process::own_pid() };
        process::send(target, signal).map_err(RehearseError::io("stop"))
    }
}
