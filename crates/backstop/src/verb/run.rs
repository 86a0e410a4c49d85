//! `run`, `commit`, `retry`: what may let something take effect.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use backstop_core::approval::life::Phase;
use backstop_core::effect::EffectSet;
use backstop_core::run::{Exit, RunRecord, State};
use backstop_engine::{Doors, Failure, FailureKind, Outcome, RunOptions};
use rustix::process::{self, Signal};

use super::{self as verb};
use crate::args::{OneRun, Run, Wait, WaitFor};
use crate::document::RunDocument;
use crate::out::{self, Done};
use crate::person::Terminal;
use crate::screen::style::Style;
use crate::screen::{approval, message, tree};
use crate::{clock, exit, inside, porch};

/// How often `--wait` looks at the record.
const LOOK: Duration = Duration::from_millis(500);

/// `backstop run`.
pub fn run(typed: &Run) -> Done {
    if let Some(parent) = typed.tied_to {
        tie(parent)?;
    }
    if typed.yes {
        inside::people_only("run --yes")?;
        if !io::stdin().is_terminal() {
            return Err(Failure::new(FailureKind::Refused, "refused: --yes without a terminal")
                .next("a person confirms at a terminal; without one the run is held: leave --yes out")
                .into());
        }
    }
    if inside::is_inside() {
        if typed.as_user.is_some() {
            return Err(Failure::new(FailureKind::Refused, "refused: `run --as` inside a run")
                .next("a run stays its user's: ask outside of it")
                .into());
        }
        let command = porch::command(typed)?;
        inside::note(&porch::nested(typed, &command)?);
        let (failure, code) = inside::become_command(&command);
        out::failure(&failure);
        return Ok(code);
    }
    let mut house = verb::doors()?;
    let wanted = porch::wanted(typed)?;
    let options = RunOptions {
        dry_run: typed.dry_run,
        hold: typed.hold,
        person: io::stdin().is_terminal() && io::stderr().is_terminal(),
        cwd_to: typed.cwd_to,
        shell_from: typed.shell_from,
        rehearse: typed.rehearse,
        stdout_to_stderr: typed.json,
        write_limit: typed.write_limit,
        ..RunOptions::default()
    };
    let mut person = Terminal::new(typed.yes, !typed.json && typed.wait.is_none());
    let mut outcome = house.run(wanted, &options, &mut person)?;
    person.clear();
    if let (Some(wait), State::Held) = (typed.wait, outcome.record.state) {
        tell(&outcome, typed.json);
        let limit = match wait {
            Wait::Forever => None,
            Wait::AtMost(limit) => Some(limit),
        };
        let id = outcome.record.id;
        outcome.record = decided(limit, || {
            let record = house.record(id)?;
            undecided(&mut *house, record)
        })?;
        if outcome.record.state == State::Held && !typed.json {
            // Said already; nobody decided in time.
            if outcome.record.approval.is_some() {
                told(&mut *house, &outcome)?;
            }
            return Ok(exit::of_outcome(&outcome));
        }
        outcome.effects = house.effects(id)?;
    }
    let done = finish(&outcome, typed.json, exit::of_outcome(&outcome));
    if io::stdin().is_terminal() {
        // A shell leaves its loop only where the program it waits for was itself ended by Ctrl-C.
        match outcome.record.exit {
            Some(Exit::Signal(2)) => out::end_by(Signal::INT, house.had_own_terminal()),
            Some(Exit::Signal(3)) => out::end_by(Signal::QUIT, house.had_own_terminal()),
            _ => {}
        }
    }
    done
}

/// `backstop retry`.
pub fn retry(one: &OneRun) -> Done {
    inside::people_only("retry")?;
    let mut house = verb::doors()?;
    let id = house.find(&one.run)?;
    let person = io::stdin().is_terminal() && io::stderr().is_terminal();
    let options = RunOptions { stdout_to_stderr: one.json, person, ..RunOptions::default() };
    let mut person = Terminal::new(false, !one.json);
    let outcome = house.retry(id, &options, &mut person)?;
    person.clear();
    finish(&outcome, one.json, exit::of_outcome(&outcome))
}

/// `backstop commit`: exit 0 when it took effect, whatever the command's own code was.
pub fn commit(one: &OneRun) -> Done {
    inside::people_only("commit")?;
    let mut house = verb::doors()?;
    let id = house.find(&one.run)?;
    let mut person = Terminal::new(false, !one.json);
    let outcome = house.commit(id, &mut person)?;
    person.clear();
    let code = match outcome.record.state {
        State::Committed => exit::OK,
        _ => exit::of_outcome(&outcome),
    };
    if one.json {
        out::document(&RunDocument::of(&outcome, code))?;
    } else {
        out::say(&message::outcome(&outcome, Style::of(&io::stderr())));
    }
    Ok(code)
}

/// Ends this process by SIGTERM once `parent` goes away: nobody is left to hear what becomes of the run.
fn tie(parent: u32) -> Result<(), Failure> {
    let tied = process::set_parent_process_death_signal(Some(Signal::TERM));
    tied.map_err(|e| Failure::because("cannot tie the run to what started it", &e))?;
    // It may have gone before that, and then no signal comes.
    if process::getppid().is_none_or(|p| u32::try_from(p.as_raw_nonzero().get()) != Ok(parent)) {
        return Err(Failure::new(
            FailureKind::Interrupted(Signal::TERM.as_raw() as u8),
            "what started the run is gone",
        ));
    }
    Ok(())
}

/// Says what became of a run, where that is news; gives the exit code.
fn finish(outcome: &Outcome, json: bool, code: u8) -> Done {
    tell(outcome, json);
    if json {
        out::document(&RunDocument::of(outcome, code))?;
    }
    Ok(code)
}

/// A run that simply took effect says nothing where nobody looks: its output is the command's own,
/// byte for byte. What behaved differently from a plain run is always said.
fn tell(outcome: &Outcome, json: bool) {
    let style = Style::of(&io::stderr());
    let record = &outcome.record;
    match record.state {
        _ if json => {}
        State::DryRun => {
            out::say(&message::outcome(outcome, style));
            out::say(&tree::draw(&outcome.effects, style, 24));
        }
        State::NoEffect => out::say(&message::quiet(outcome, style)),
        State::Committed if style.terminal => out::say(&message::outcome(outcome, style)),
        State::Committed => out::say(&message::quiet(outcome, style)),
        // What a client reads of a server is the server's.
        State::InPlace => out::say(&message::quiet(outcome, style)),
        State::Held
        | State::Denied
        | State::Failed
        | State::Discarded
        | State::Undone
        | State::Allowed
        | State::Rehearsing => {
            out::say(&message::outcome(outcome, style));
        }
    }
}

/// Looks until somebody decided, nobody can any more, or the time is up.
fn decided(
    limit: Option<Duration>,
    mut look: impl FnMut() -> Result<(RunRecord, bool), Failure>,
) -> Result<RunRecord, Failure> {
    let began = Instant::now();
    loop {
        let (record, open) = look()?;
        let left = limit.map(|l| l.saturating_sub(began.elapsed()));
        if !open || left == Some(Duration::ZERO) {
            return Ok(record);
        }
        std::thread::sleep(left.map_or(LOOK, |l| l.min(LOOK)));
    }
}

/// A run's record, and whether anything can still come of it by itself: people who were asked and are too late
/// decide nothing.
fn undecided(house: &mut dyn Doors, record: RunRecord) -> Result<(RunRecord, bool), Failure> {
    if record.state != State::Held || record.approval.is_none() {
        let open = is_open(&record);
        return Ok((record, open));
    }
    let phase = house.asked(&record.id.to_string())?.phase;
    // What the request has come to, the run may come to in a moment.
    let follows = matches!(phase, Phase::Denied | Phase::Committed);
    let record = house.record(record.id)?;
    let open = record.state == State::Held && (follows || phase.waits_or_runs());
    Ok((record, open))
}

const fn is_open(record: &RunRecord) -> bool {
    matches!(record.state, State::Held | State::Rehearsing)
}

/// `backstop wait`: lets nothing through, so it is an agent's as well as a person's.
pub fn wait(typed: &WaitFor) -> Done {
    inside::records_needed("wait")?;
    let mut house = verb::doors()?;
    let id = house.find(&typed.run)?;
    // Opened anew each time: only that tells a run that was cut off from one that goes on.
    let record = decided(typed.at_most, || {
        let mut house = verb::doors()?;
        let record = house.record(id)?;
        undecided(&mut *house, record)
    })?;
    let late = is_open(&record);
    let effects = match record.state {
        // They may have never been known.
        State::Failed | State::Rehearsing => EffectSet::default(),
        _ => house.effects(id)?,
    };
    let outcome = Outcome { record, effects };
    let code = if late { exit::HELD } else { exit::of_outcome(&outcome) };
    if typed.json {
        out::document(&RunDocument::of(&outcome, code))?;
    } else {
        told(&mut *house, &outcome)?;
    }
    Ok(code)
}

/// Says what became of a run that was waited for.
fn told(house: &mut dyn Doors, outcome: &Outcome) -> Result<(), Failure> {
    let (style, record) = (Style::of(&io::stderr()), &outcome.record);
    if record.state == State::Held && record.approval.is_some() {
        let asked = house.asked(&record.id.to_string())?;
        if !asked.phase.waits_or_runs() {
            out::say(&approval::over(&asked, record.id, clock::now(), style));
            return Ok(());
        }
    }
    out::say(&message::outcome(outcome, style));
    Ok(())
}
