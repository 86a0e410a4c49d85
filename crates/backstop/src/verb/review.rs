//! `review`: the approvers' screen at a terminal. Keys come from the terminal alone; signing is `approve`'s, which shows
//! the text once more and asks for the word.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use backstop_core::approval::matter::code;
use backstop_core::approval::statement::Choice;
use backstop_engine::{Doors, Failure, FailureKind, Outcome, Pending};
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::event::Key as Typed;
use ratatui::termion::input::TermRead as _;
use ratatui::termion::raw::IntoRawMode as _;
use ratatui::termion::screen::IntoAlternateScreen as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{self as verb, approve, look};
use crate::args::{Decide, ReviewArgs};
use crate::out::{self, Done, Trouble};
use crate::review::{Act, Key, Pane, Review, draw};
use crate::screen::page;
use crate::screen::style::Style;
use crate::{clock, exit, inside};

/// How often is looked what waits.
const LOOK: Duration = Duration::from_secs(2);
/// How long a key is waited for, at most; then times are drawn anew, and the size of the screen.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
/// Rows of the tree; more is `show --tree`.
const ROWS: usize = 2_000;
/// The screen is no wider than this for what is prepared.
const WIDEST: usize = 160;

/// `backstop review`.
pub fn review(typed: &ReviewArgs) -> Done {
    inside::people_only("review")?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::new(FailureKind::Usage, "review is a screen, and this is no terminal")
            .next("backstop pending, backstop show RUN --approval")
            .into());
    }
    let mut doors = verb::doors()?;
    let mut review = Review::new(typed.key.is_some());
    review.waits(doors.pending()?);
    loop {
        match on_the_screen(&mut review, &mut doors)? {
            None => return Ok(exit::OK),
            Some((request, choice)) => {
                sign(typed, &code(request), choice)?;
                // Whoever was asked meanwhile waits no more.
                doors = verb::doors()?;
                review.waits(doors.pending()?);
            }
        }
    }
}

type Signs = (backstop_core::digest::Digest, Choice);

/// Until the person goes, or signs something.
fn on_the_screen(review: &mut Review, doors: &mut Box<dyn Doors>) -> Result<Option<Signs>, Trouble> {
    let tty = File::options().read(true).write(true).open("/dev/tty")?;
    let mut keys = tty.try_clone()?.keys();
    let screen = tty.try_clone()?.into_raw_mode()?.into_alternate_screen()?;
    let mut terminal = Terminal::new(TermionBackend::new(screen))?;
    terminal.hide_cursor()?;
    let mut looked = Instant::now();
    let mut width = 0;
    let result = loop {
        let style =
            Style { height: ROWS, width: Style::of(&io::stdout()).width.min(WIDEST), ..Style::of(&io::stdout()) };
        if std::mem::replace(&mut width, style.width) != style.width {
            review.forget_pages();
        }
        if let Some((asked, pane)) = review.wanted() {
            let text = filled(&mut **doors, &asked, pane, style).unwrap_or_else(|f| format!("{f}\n"));
            review.fill(asked.question.request, pane, text);
        }
        terminal.draw(|frame| draw(review, clock::now(), frame))?;
        let mut wait = [PollFd::new(&tty, PollFlags::IN)];
        let ready =
            poll(&mut wait, Some(&PAUSE)).or_else(|e| if e == rustix::io::Errno::INTR { Ok(0) } else { Err(e) });
        let act = match ready.map_err(io::Error::from)? {
            0 => Act::Nothing,
            _ => match keys.next() {
                None => Act::Quit,
                Some(key) => known(key?).map_or(Act::Nothing, |key| key.map_or(Act::Quit, |key| review.key(key))),
            },
        };
        match act {
            Act::Quit => break None,
            Act::Sign(request, choice) => break Some((request, choice)),
            Act::Refresh | Act::Nothing => {}
        }
        if act == Act::Refresh || looked.elapsed() >= LOOK {
            looked = Instant::now();
            match doors.pending() {
                Ok(waiting) => review.waits(waiting),
                Err(failure) => {
                    review.say(failure.what);
                    // The daemon may have been started anew.
                    if let Ok(anew) = verb::doors() {
                        *doors = anew;
                    }
                }
            }
        }
    };
    terminal.show_cursor()?;
    Ok(result)
}

/// A key that means something; none of it for Ctrl-C and its like, by which the person goes.
fn known(key: Typed) -> Option<Option<Key>> {
    Some(Some(match key {
        Typed::Up | Typed::Char('k') => Key::Up,
        Typed::Down | Typed::Char('j') => Key::Down,
        Typed::PageUp => Key::PageUp,
        Typed::PageDown => Key::PageDown,
        Typed::Home => Key::Home,
        Typed::End => Key::End,
        Typed::Char('\t') => Key::Tab,
        Typed::Char(letter) => Key::Letter(letter),
        Typed::Ctrl('c' | 'd') | Typed::Esc => return Some(None),
        _ => return None,
    }))
}

/// What a pane shows of a request.
fn filled(doors: &mut dyn Doors, asked: &Pending, pane: Pane, style: Style) -> Result<String, Failure> {
    let Some(run) = asked.question.matter.run() else {
        return Ok("it is a change of who may approve: what is signed says all of it\n".to_owned());
    };
    let shown = Outcome { record: doors.record(run)?, effects: doors.effects(run)? };
    if pane == Pane::Effect {
        return Ok(page::run(&shown, Some(asked), clock::now(), style));
    }
    let mut text = Vec::new();
    let written = look::differences(doors, run, &shown.effects, style, &mut text);
    match written {
        Ok(()) | Err(Trouble::Output(_)) => {}
        Err(Trouble::Failed(failure)) => return Err(failure),
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(if text.is_empty() { "no text differs\n".to_owned() } else { text })
}

/// As `approve` and `deny` do it, at the terminal as it was.
fn sign(typed: &ReviewArgs, name: &str, choice: Choice) -> Result<(), Trouble> {
    let decide = Decide {
        name: name.to_owned(),
        key: typed.key.clone(),
        signature: None,
        statement: None,
        reason: None,
        json: false,
    };
    match approve::decide(&decide, choice) {
        Ok(_) => {}
        Err(Trouble::Failed(failure)) => out::failure(&failure),
        Err(other) => return Err(other),
    }
    out::say("\nEnter goes back to what waits > ");
    io::stderr().flush()?;
    rustix::termios::tcflush(io::stdin().as_fd(), rustix::termios::QueueSelector::IFlush).map_err(io::Error::from)?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
