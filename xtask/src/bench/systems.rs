//! Gives the ways in which a job can be done on this machine, each as the command line that does it.

use std::path::Path;
use std::process::Command;

use super::scratch::Scratch;

/// One way to do a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// As it is.
    Native,
    /// One kernel overlay on the workspace, thrown away afterwards: what copy-on-write itself costs.
    Overlay,
    /// bwrap with the machine bound as it is: what a sandbox without copy-on-write costs.
    BwrapBind,
    /// bwrap with an overlay on the workspace, thrown away afterwards.
    BwrapOverlay,
    /// `backstop run`: view of the whole machine, ledger, judgement, journal, audit log and commit; what
    /// is known to only read runs in place.
    Backstop,
    /// `backstop run --rehearse`: the same, also for what is known to only read.
    Rehearsed,
}

/// A way, done by a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct System {
    /// How.
    pub way: Way,
    /// By whom.
    pub uid: u32,
}

impl System {
    /// True for Backstop itself, which tells its phases.
    pub fn guards(&self) -> bool {
        matches!(self.way, Way::Backstop | Way::Rehearsed)
    }

    /// For tables.
    pub fn name(&self) -> String {
        let way = match self.way {
            Way::Native => "native",
            Way::Overlay => "bare overlay",
            Way::BwrapBind => "bwrap bind",
            Way::BwrapOverlay => "bwrap tmp-overlay",
            Way::Backstop => "backstop",
            Way::Rehearsed => "backstop --rehearse",
        };
        format!("{way}{}", if self.uid == 0 { ", root" } else { ", user" })
    }

    /// The command line that does `argv` in `cwd`, where `ws` is the workspace.
    pub fn command(&self, scratch: &Scratch, ws: &Path, layer: &Path, argv: &[String]) -> Vec<String> {
        let text = |p: &Path| p.display().to_string();
        let mut line: Vec<String> = match self.way {
            Way::Native => Vec::new(),
            Way::Overlay => vec![text(&scratch.xtask), "overlay".into(), text(ws), text(layer)],
            Way::BwrapBind => words(&["bwrap", "--dev-bind", "/", "/"]),
            Way::BwrapOverlay => words(&["bwrap", "--dev-bind", "/", "/", "--overlay-src"])
                .into_iter()
                .chain([text(ws), "--tmp-overlay".to_owned(), text(ws)])
                .collect(),
            Way::Backstop => vec![text(&scratch.bin), "run".into(), "--workspace".into(), text(ws), "--".into()],
            Way::Rehearsed => {
                vec![text(&scratch.bin), "run".into(), "--rehearse".into(), "--workspace".into(), text(ws), "--".into()]
            }
        };
        line.extend_from_slice(argv);
        line
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// Root and `user` when called as root, else the caller alone.
pub fn actors(user: u32) -> Vec<u32> {
    let own = nix::unistd::geteuid().as_raw();
    if own == 0 { vec![0, user] } else { vec![own] }
}

/// What this machine can do, said out loud where it can't.
pub fn available(user: u32) -> Vec<System> {
    let mut systems = Vec::new();
    let overlays = bwrap_overlays();
    if !overlays {
        println!("bwrap here has no --tmp-overlay (0.11 brought it): measured with --dev-bind only");
    }
    for uid in actors(user) {
        systems.push(System { way: Way::Native, uid });
        systems.push(System { way: Way::Overlay, uid });
        systems.push(System { way: Way::BwrapBind, uid });
        if overlays {
            systems.push(System { way: Way::BwrapOverlay, uid });
        }
        systems.push(System { way: Way::Backstop, uid });
        systems.push(System { way: Way::Rehearsed, uid });
    }
    systems
}

fn bwrap_overlays() -> bool {
    let help = Command::new("bwrap").arg("--help").output();
    help.is_ok_and(|out| out.stdout.windows(13).any(|w| w == b"--tmp-overlay"))
}
