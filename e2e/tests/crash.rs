//! Claim: wherever Backstop is killed, or a step fails for want of space or a broken disk, the tree
//! is exactly as before or exactly as after, the run's state says which, recovering twice is
//! recovering once, the audit log verifies, and the verb can be given again. At every fault point of
//! run, commit, undo and redo, for six kinds of plan; and at every fault point of the recovery.
//!
//! `BACKSTOP_SCENARIO=NAME` and `BACKSTOP_VERB=commit` pick one; `BACKSTOP_DEEP=1` kills the
//! recovery at every point from a fresh crash each, instead of one after the other.

use backstop_e2e::faults::{Breaks, Found, Ready, Scenario, faults_bin, scenarios, stands_still};
use backstop_e2e::ground::{Ground, User};
use backstop_e2e::images::{FsKind, in_private_mounts};
use backstop_e2e::tree::Tree;

const KILLED: i32 = 137;
/// More points than any scenario has: a verb that never ends is a failure too.
const MOST: usize = 2_000;

fn picked(name: &str, value: &str) -> bool {
    std::env::var(name).map_or(true, |v| v.eq_ignore_ascii_case(value))
}

fn each(
    name: &'static str,
    user: User,
    verb: Breaks,
    check: fn(&Ground, &Scenario, Breaks, &Tree) -> Result<String, String>,
) {
    if !picked("BACKSTOP_VERB", &format!("{verb:?}")) {
        return;
    }
    in_private_mounts(name, || {
        let treeops = std::path::Path::new(env!("CARGO_BIN_EXE_treeops"));
        let ground = Ground::make(FsKind::Ext4, user, 64, Some(&faults_bin()), treeops).expect("a file system");
        let mut failures = Vec::new();
        for scenario in scenarios().iter().filter(|s| picked("BACKSTOP_SCENARIO", s.name)) {
            // The others rename directories, change owners or write into linked files.
            if user == User::Plain && scenario.name != "delete-directory" {
                continue;
            }
            match undisturbed(&ground, scenario).and_then(|after| check(&ground, scenario, verb, &after)) {
                Ok(said) => eprintln!("{name}: {}: {said}", scenario.name),
                Err(e) => failures.push(format!("{}: {e}", scenario.name)),
            }
        }
        assert!(failures.is_empty(), "{name}: {}", failures.join("\n\n"));
    });
}

/// The tree that a commit without any fault leaves.
fn undisturbed(ground: &Ground, scenario: &Scenario) -> Result<Tree, String> {
    let ready = Ready::make(ground, scenario, Breaks::Run, None)?;
    ready.expect(0, |r| r.act(None))?;
    Ok(ready.now())
}

/// After a fault and a recovery: before or after, said so, once and for all, and usable.
fn settled(ready: &Ready<'_>, verb: Breaks) -> Result<Found, String> {
    let found = ready.found()?;
    ready.state_says(found)?;
    let stamps = ready.stamps()?;
    ready.expect(0, |r| r.recover(None))?;
    if ready.stamps()? != stamps || ready.found()? != found {
        return Err("recovering again changed something".to_owned());
    }
    ready.audit_holds()?;
    if found == Found::Before && verb != Breaks::Run {
        ready.expect(0, |r| r.act(None)).map_err(|e| format!("given again: {e}"))?;
        if ready.found()? != Found::After {
            return Err("given again it had no effect".to_owned());
        }
        ready.audit_holds().map_err(|e| format!("given again: {e}"))?;
    }
    Ok(found)
}

fn killed(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree) -> Result<String, String> {
    let (mut befores, mut afters, mut recoveries) = (0, 0, 0);
    for point in 0..MOST {
        let at = |e: String| format!("{verb:?} killed at point {point}: {e}");
        let ready = Ready::make(ground, scenario, verb, Some(after)).map_err(at)?;
        let ran = ready.act(Some(&format!("kill:{point}"))).map_err(at)?;
        if ran.code != KILLED {
            let found = ready.found().map_err(at)?;
            if ran.code != 0 || found != Found::After {
                return Err(at(format!("ended otherwise, with the tree as {found:?}: {ran}")));
            }
            return Ok(format!("{point} points ({befores} before, {afters} after), {recoveries} recoveries killed"));
        }
        // The recovery is killed too: at its first point, then the next one at its second, and so on.
        for step in 0..MOST {
            let ran = ready.recover(Some(&format!("kill:{step}"))).map_err(at)?;
            if ran.code == 0 {
                break;
            } else if ran.code != KILLED {
                return Err(at(format!("recovery with a kill at its point {step}: {ran}")));
            }
            recoveries += 1;
        }
        match settled(&ready, verb).map_err(at)? {
            Found::Before => befores += 1,
            Found::After => afters += 1,
        }
        if std::env::var_os("BACKSTOP_DEEP").is_some() {
            recoveries += deep(ground, scenario, verb, after, point).map_err(at)?;
        }
    }
    Err(format!("{verb:?} does not end after {MOST} points"))
}

/// Kills the recovery from a crash at `point`, at each of its points, each time from a fresh crash.
fn deep(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree, point: usize) -> Result<usize, String> {
    for step in 0..MOST {
        let at = |e: String| format!("recovery killed at its point {step}: {e}");
        let ready = Ready::make(ground, scenario, verb, Some(after)).map_err(at)?;
        ready.expect(KILLED, |r| r.act(Some(&format!("kill:{point}")))).map_err(at)?;
        let ran = ready.recover(Some(&format!("kill:{step}"))).map_err(at)?;
        ready.expect(0, |r| r.recover(None)).map_err(at)?;
        settled(&ready, verb).map_err(at)?;
        if ran.code != KILLED {
            return Ok(step);
        }
    }
    Err("the recovery does not end".to_owned())
}

/// Killed, and before anybody recovers, a person edits files: every one at once, or one after the other.
/// Nothing of it may be lost, neither by the recovery nor by what is done with the run afterwards, and
/// what stood in the way is said.
fn edited(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree) -> Result<String, String> {
    let (mut told, deep) = (0, std::env::var_os("BACKSTOP_DEEP").is_some());
    for point in 0..MOST {
        // Both at every point only where there is time.
        for all in [true, false].into_iter().filter(|all| deep || *all == (point % 2 == 0)) {
            let at = |e: String| format!("{verb:?} killed at point {point}, {}: {e}", if all { "all" } else { "one" });
            let ready = Ready::make(ground, scenario, verb, Some(after)).map_err(at)?;
            if ready.act(Some(&format!("kill:{point}"))).map_err(at)?.code != KILLED {
                return Ok(format!("{point} points, {told} times something was left as it was"));
            }
            let edits = ready.edit(|n, of| all || n == point % of).map_err(at)?;
            // Cut off, when something may be on its way through the vault, and done again.
            ready.recover(Some(&format!("kill:{}", point % 7))).map_err(at)?;
            let ran = ready.expect(0, |r| r.recover(None)).map_err(at)?;
            ready.keeps(&edits).map_err(|e| at(format!("{e}\nafter {ran}")))?;
            told += usize::from(ran.stderr.contains("somebody else changed it meanwhile"));
            let stamps = ready.stamps().map_err(at)?;
            ready.expect(0, |r| r.recover(None)).map_err(at)?;
            if ready.stamps().map_err(at)? != stamps {
                return Err(at("recovering again changed something".to_owned()));
            }
            ready.audit_holds().map_err(at)?;
            for words in [["commit", "@last"], ["undo", "@last"], ["redo", "@last"]] {
                let ran = ready.say(&words, None).map_err(at)?;
                ready.keeps(&edits).map_err(|e| at(format!("{e}\nafter {words:?}, {ran}")))?;
            }
            ready.audit_holds().map_err(at)?;
        }
    }
    Err(format!("{verb:?} does not end after {MOST} points"))
}

/// An undo beside what a person has edited since, killed: the edits stay, recovering and asking again
/// ends with the run taken back, and what the files held before is in the tree, once.
fn beside(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree) -> Result<String, String> {
    let words = ["undo", "--beside", "@last"];
    let mut dones = 0;
    let make = || -> Result<_, String> {
        let ready = Ready::make(ground, scenario, verb, Some(after))?;
        let edits = ready.edit(|_, _| true)?;
        Ok((ready, edits))
    };
    let whole = {
        let (ready, edits) = make()?;
        ready.expect(0, |r| r.say(&words, None))?;
        ready.keeps(&edits)?;
        ready.contents()?
    };
    for point in 0..MOST {
        let at = |e: String| format!("killed at point {point}: {e}");
        let (ready, edits) = make().map_err(at)?;
        if ready.say(&words, Some(&format!("kill:{point}"))).map_err(at)?.code != KILLED {
            return Ok(format!("{point} points, {dones} done by the recovery"));
        }
        ready.recover(Some(&format!("kill:{}", point % 7))).map_err(at)?;
        ready.expect(0, |r| r.recover(None)).map_err(at)?;
        ready.keeps(&edits).map_err(at)?;
        ready.audit_holds().map_err(at)?;
        if ready.state()? == "undone" {
            dones += 1;
        } else {
            ready.expect(0, |r| r.say(&words, None)).map_err(at)?;
        }
        ready.keeps(&edits).map_err(at)?;
        ready.audit_holds().map_err(at)?;
        let now = ready.contents().map_err(at)?;
        if now != whole {
            return Err(at(format!("other contents are in the tree: {now:?} instead of {whole:?}")));
        }
    }
    Err(format!("it does not end after {MOST} points"))
}

/// Ctrl-C at any moment: what has begun comes to its end first, so there is nothing to recover.
fn interrupted(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree) -> Result<String, String> {
    let (mut befores, mut afters) = (0, 0);
    for point in 0..MOST {
        let at = |e: String| format!("{verb:?} interrupted at point {point}: {e}");
        let ready = Ready::make(ground, scenario, verb, Some(after)).map_err(at)?;
        let mut child = ready.stopping(point)?;
        if !stands_still(&mut child).map_err(at)? {
            return Ok(format!("{point} points, {befores} before, {afters} after"));
        }
        for signal in [rustix::process::Signal::INT, rustix::process::Signal::CONT] {
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal)
                .map_err(|e| at(e.to_string()))?;
        }
        child.wait().map_err(|e| at(e.to_string()))?;
        let found = ready.found().map_err(at)?;
        ready.state_says(found).map_err(at)?;
        let recovered = ready.expect(0, |r| r.say(&["recover", "--json"], None)).map_err(at)?;
        if found == Found::After && !recovered.stdout.replace(' ', "").contains("\"recovered\":[]") {
            return Err(at(format!("there was something to recover: {recovered}")));
        }
        ready.audit_holds().map_err(at)?;
        match found {
            Found::Before => befores += 1,
            Found::After => afters += 1,
        }
    }
    Err(format!("{verb:?} does not end after {MOST} points"))
}

fn failing(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree) -> Result<String, String> {
    let (points, mut total) = (points(ground, scenario, verb, after)?, 0);
    for (fault, words) in [("enospc", "space"), ("eio", "input/output")] {
        for point in 0..points {
            let at = |e: String| format!("{verb:?} with {fault} at point {point}: {e}");
            let ready = Ready::make(ground, scenario, verb, Some(after)).map_err(at)?;
            let ran = ready.act(Some(&format!("{fault}:{point}"))).map_err(at)?;
            let found = ready.found().map_err(|e| at(format!("{e}\n{ran}")))?;
            if ran.code == 0 && found != Found::After {
                return Err(at(format!("success was claimed, but the tree is as {found:?}: {ran}")));
            }
            let text = ran.stderr.to_lowercase();
            for (is, not) in [(Found::After, "all before it was taken back"), (Found::Before, "all steps were done")] {
                if found == is && text.contains(not) {
                    return Err(at(format!("the tree is as {found:?}, but it says otherwise: {ran}")));
                }
            }
            if ran.code != 0 && !text.contains(words) {
                return Err(at(format!("the message does not say why: {ran}")));
            }
            ready.expect(0, |r| r.recover(None)).map_err(at)?;
            settled(&ready, verb).map_err(|e| at(format!("{e}\nafter {ran}")))?;
            total += usize::from(ran.code != 0);
        }
    }
    Ok(format!("{points} points, {total} of {} faults ended the verb", 2 * points))
}

/// How many points a verb passes without a fault.
fn points(ground: &Ground, scenario: &Scenario, verb: Breaks, after: &Tree) -> Result<usize, String> {
    let ready = Ready::make(ground, scenario, verb, Some(after))?;
    let file = ground.desk().join("points");
    if file.exists() {
        std::fs::remove_file(&file).map_err(|e| e.to_string())?;
    }
    // Whoever the verb runs as writes into it; the desk is root's.
    std::fs::write(&file, "").map_err(|e| e.to_string())?;
    let anybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&file, anybody).map_err(|e| e.to_string())?;
    ready.expect(0, |r| r.act(Some(&format!("count:{}", file.display()))))?;
    let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
    Ok(text.lines().count())
}

macro_rules! broken {
    ($($name:ident: $user:ident, $verb:ident, $check:ident;)*) => {$(
        #[test]
        fn $name() {
            each(stringify!($name), User::$user, Breaks::$verb, $check);
        }
    )*};
}

broken! {
    a_killed_run_leaves_before_or_after: Root, Run, killed;
    a_killed_commit_leaves_before_or_after: Root, Commit, killed;
    a_killed_undo_leaves_before_or_after: Root, Undo, killed;
    a_killed_redo_leaves_before_or_after: Root, Redo, killed;
    a_failing_run_leaves_before_or_after: Root, Run, failing;
    a_failing_commit_leaves_before_or_after: Root, Commit, failing;
    a_failing_undo_leaves_before_or_after: Root, Undo, failing;
    a_failing_redo_leaves_before_or_after: Root, Redo, failing;
    edits_after_a_killed_commit_are_kept: Root, Commit, edited;
    edits_after_a_killed_undo_are_kept: Root, Undo, edited;
    edits_after_a_killed_redo_are_kept: Root, Redo, edited;
    a_killed_undo_beside_edits_loses_nothing: Root, Undo, beside;
    ctrl_c_during_a_commit_waits_for_its_end: Root, Commit, interrupted;
    a_users_killed_commit_leaves_before_or_after: Plain, Commit, killed;
    a_users_killed_undo_leaves_before_or_after: Plain, Undo, killed;
    a_users_failing_commit_leaves_before_or_after: Plain, Commit, failing;
}
