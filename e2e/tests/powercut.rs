//! Claim: with full durability a power cut at any fault point of commit, undo and redo leaves, after
//! the file system's own recovery and `backstop recover`, exactly before or exactly after; and what
//! was called done is done. The power cut is real as far as the file system is concerned: the image is
//! copied while Backstop stands still, without what the file system has not written yet.
//!
//! `BACKSTOP_DEEP=1` cuts at every point on xfs and btrfs too, not only at every third.

use std::path::Path;

use backstop_e2e::faults::{Breaks, Found, Ready, Scenario, faults_bin, scenarios, stands_still};
use backstop_e2e::ground::{Ground, User};
use backstop_e2e::images::{FsKind, copy_image, in_private_mounts};

fn cuts(name: &'static str, kind: FsKind) {
    in_private_mounts(name, || {
        let treeops = Path::new(env!("CARGO_BIN_EXE_treeops"));
        let mut ground = Ground::make(kind, User::Root, 64, Some(&faults_bin()), treeops).expect("a file system");
        // The journal, the audit log and the vault have to survive the cut too: all on the image.
        let state = ground.image.point().join("state");
        ground.state_at(&state).expect("a state directory");
        ground.env.push(("BACKSTOP_DURABILITY".to_owned(), "full".to_owned()));
        let mut failures = Vec::new();
        for scenario in scenarios().iter().filter(|s| !s.second) {
            for verb in [Breaks::Commit, Breaks::Undo, Breaks::Redo] {
                match cut(&ground, scenario, verb) {
                    Ok(said) => eprintln!("{name}: {} {verb:?}: {said}", scenario.name),
                    Err(e) => failures.push(format!("{} {verb:?}: {e}", scenario.name)),
                }
            }
        }
        assert!(failures.is_empty(), "{name}: {}", failures.join("\n\n"));
    });
}

fn cut(ground: &Ground, scenario: &Scenario, verb: Breaks) -> Result<String, String> {
    let io = |e: std::io::Error| format!("the harness failed: {e}");
    let disk = ground.image.file().ok_or("no image")?.to_owned();
    // What was broken before may have left another image in its place.
    ground.image.take_out().map_err(io)?;
    ground.image.put_in(&disk).map_err(io)?;
    let mut ready = Ready::make(ground, scenario, verb, None)?;
    let (base, after_cut) = (ground.desk().join("base.img"), ground.desk().join("cut.img"));
    ground.image.take_out().map_err(io)?;
    copy_image(&disk, &base).map_err(io)?;

    ground.image.put_in(&disk).map_err(io)?;
    ready.expect(0, |r| r.act(None))?;
    ready.after_is_now();
    // Called done, and cut at once: it has to be there.
    copy_image(&disk, &after_cut).map_err(io)?;
    if boot(ground, &ready, &after_cut)? != Found::After {
        return Err("what was called done did not survive a power cut".to_owned());
    }

    let every = if ground.image.kind() == FsKind::Ext4 || std::env::var_os("BACKSTOP_DEEP").is_some() { 1 } else { 3 };
    let (mut befores, mut afters) = (0, 0);
    for point in (0..2_000).step_by(every) {
        let at = |e: String| format!("cut at point {point}: {e}");
        ground.image.take_out().map_err(io)?;
        copy_image(&base, &disk).map_err(io)?;
        ground.image.put_in(&disk).map_err(io)?;
        let mut child = ready.stopping(point)?;
        let stopped = stands_still(&mut child).map_err(at)?;
        if stopped {
            copy_image(&disk, &after_cut).map_err(io)?;
            child.kill().map_err(io)?;
        }
        child.wait().map_err(io)?;
        if !stopped {
            return Ok(format!("{point} points, {befores} before, {afters} after"));
        }
        match boot(ground, &ready, &after_cut).map_err(at)? {
            Found::Before => befores += 1,
            Found::After => afters += 1,
        }
    }
    Err("the verb does not end".to_owned())
}

/// Mounts what the cut left, recovers, and tells what is there.
fn boot(ground: &Ground, ready: &Ready<'_>, image: &Path) -> Result<Found, String> {
    let io = |e: std::io::Error| format!("the harness failed: {e}");
    ground.image.take_out().map_err(io)?;
    ground.image.put_in(image).map_err(io)?;
    ready.expect(0, |r| r.recover(None))?;
    let found = ready.found()?;
    ready.state_says(found)?;
    let stamps = ready.stamps()?;
    ready.expect(0, |r| r.recover(None))?;
    if ready.stamps()? != stamps {
        return Err("recovering again changed something".to_owned());
    }
    ready.audit_holds()?;
    if found == Found::Before {
        ready.expect(0, |r| r.act(None)).map_err(|e| format!("given again: {e}"))?;
        if ready.found()? != Found::After {
            return Err("given again it had no effect".to_owned());
        }
    }
    Ok(found)
}

macro_rules! disks {
    ($($name:ident: $kind:ident;)*) => {$(
        #[test]
        fn $name() {
            cuts(stringify!($name), FsKind::$kind);
        }
    )*};
}

disks! {
    a_power_cut_on_ext4_leaves_before_or_after: Ext4;
    a_power_cut_on_xfs_leaves_before_or_after: Xfs;
    a_power_cut_on_btrfs_leaves_before_or_after: Btrfs;
}
