//! `install system`, `install auditd`, and `uninstall` of both: says each step as it is done.

use std::io;
use std::path::PathBuf;

use backstop_engine::{Failure, FailureKind};

use crate::args::{Machine, SetUp};
use crate::document::{SetupDocument, StepDocument, VERSION};
use crate::install::auditd;
use crate::install::system::{Done as Step, Ground, install, uninstall};
use crate::out::{self, Done};
use crate::screen::install as screen;
use crate::screen::style::Style;
use crate::{exit, inside};

/// Puts the machine into system mode, or takes it out.
pub fn set_up(typed: &Machine, takes_out: bool) -> Done {
    let (verb, SetUp { root, dry_run, json }) = match (typed, takes_out) {
        (Machine::System(to), false) => ("install system", to),
        (Machine::System(to), true) => ("uninstall system", to),
        (Machine::Auditd(to), false) => ("install auditd", to),
        (Machine::Auditd(to), true) => ("uninstall auditd", to),
    };
    inside::people_only(verb)?;
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(FailureKind::Refused, "refused: the machine is root's to set up")
            .next(format!("say it as root: sudo backstop {verb}"))
            .into());
    }
    let ground = ground(root.clone(), *dry_run)?;
    let (mut steps, mut lost) = (Vec::new(), None);
    let style = Style::of(&io::stdout());
    let mut tell = |step: Step| {
        if !json && lost.is_none() {
            lost = out::print(&screen::step(&step, *dry_run, style)).err();
        }
        steps.push(StepDocument::of(step));
    };
    let done = match (typed, takes_out) {
        (Machine::System(_), false) => install(&ground, &mut tell),
        (Machine::System(_), true) => uninstall(&ground, &mut tell),
        (Machine::Auditd(_), false) => auditd::install(&ground, &mut tell),
        (Machine::Auditd(_), true) => auditd::uninstall(&ground, &mut tell),
    };
    if let Some(error) = lost {
        return Err(error.into());
    }
    done?;
    if *json {
        out::document(&SetupDocument { dry_run: *dry_run, steps, version: VERSION })?;
    }
    Ok(exit::OK)
}

fn ground(root: Option<PathBuf>, dry_run: bool) -> Result<Ground, Failure> {
    let own = std::env::current_exe().map_err(|e| Failure::because("cannot tell where this program is", &e))?;
    let root = match root {
        None => PathBuf::from("/"),
        Some(dir) => dir.canonicalize().map_err(|e| {
            Failure::because("cannot take that directory for /", &e).next("name a directory that exists")
        })?,
    };
    Ok(Ground { root, daemon: own.with_file_name("backstopd"), dry_run })
}
